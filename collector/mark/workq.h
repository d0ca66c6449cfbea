/*
 * workq.h: grey objects waiting to be scanned, in packets, on one queue for each node.
 *
 * A grey entry is an address: the start of an object whose mark bit is set, or a place inside a
 * large object from which the next piece is to be scanned. A marker fills and empties a packet of
 * its own (LIFO) without any synchronisation; whole packets travel through the queues.
 *
 *   marker --full packet--> queue of its node --> another marker: own node, L3, nearer nodes, ..
 *
 * Draining. `active` counts the threads that may hold grey entries privately. The queues are
 * drained when no packet is queued and active is 0, which is stable while no thread brings new grey
 * from outside: from a barrier buffer, a stack, a root that comes or goes. One that does goes
 * through the door (sm__workq_enter_open), is active meanwhile, and leaves FOUND behind if anything
 * was white. Packets, active, FOUND and the door are one word, so the end of marking is one
 * exchange: drained, nothing found, shut (cycle.c).
 *
 * Who wakes whom. A worker that puts a packet wakes one that is parked. A mutator wakes no thread,
 * neither with a packet nor when it leaves: a thread that it wakes is likely to be put on its own
 * CPU, the others being busy with the collector, and takes its place for a time slice of
 * milliseconds. The control thread looks after the queues instead: while it waits for them to be
 * drained it looks every SM_WORKQ_LOOK_NS, less often the longer all workers are busy, and wakes
 * workers if packets lie there. A worker that leaves with nothing queued wakes it at any rate; then
 * it spins for the mutators that may still be inside, and looks again soon.
 *
 * Bounded. Packets come from chunks up to a limit in bytes; past it sm__workq_empty returns NULL
 * and the caller takes the overflow path (mark.c). So that this makes progress there are `least`
 * packets in any case, shorter ones under a low limit, and that is raised where it would not hold
 * them at 16 entries each.
 */
#ifndef SM_COLLECTOR_WORKQ_H
#define SM_COLLECTOR_WORKQ_H

#include "spanmark/heap.h"
#include "allocator/base/lock.h"
#include "allocator/base/clock.h"
#include "allocator/base/futex.h"

struct sm_packet {
	struct sm_packet *next;
	const void *giver; /* the thread that queued it: to be compared only */
	uint32_t l3;	   /* where the giver ran; SM_NO_L3: on another node than the entries lie */
	uint32_t n, cap;
	bool by_span; /* of units (markspan.h): taken first in, first out, by sm__workq_get_spans */
	uintptr_t entry[];
};

#define SM_NO_L3 UINT32_MAX

struct sm_workq_node {
	struct sm_lock lock;
	struct sm_packet *first;
	_Atomic(uint32_t) count;	      /* written under lock; read before trying the lock */
	struct sm_packet *spans, **spans_end; /* packets of units, oldest first */
	_Atomic(uint32_t) spans_count;
} __attribute__((aligned(SM_CACHELINE)));

struct sm_workq {
	/* fixed after init */
	unsigned nnodes;
	uint32_t cap;
	size_t limit;
	uint16_t near[SM_MAX_NODES][SM_MAX_NODES]; /* node -> nodes by distance, itself first */

	/* under free_lock */
	struct sm_lock free_lock;
	struct sm_packet *free;
	size_t nfree;
	struct sm_chunk {
		struct sm_chunk *next;
		size_t bytes;
	} * chunks;
	size_t bytes;

	/* Packets on all queues << 32 | SM_WORKQ_SHUT | SM_WORKQ_FOUND | active markers. */
	_Atomic(uint64_t) load __attribute__((aligned(SM_CACHELINE)));
	_Atomic(uint32_t) parked; /* workers asleep for want of work */
	_Atomic(uint32_t) hungry; /* an assist found nothing to do; a hint, never waited for */
	struct sm_event work;	  /* packets appeared, or the cycle ended */
	struct sm_event drained;  /* active fell to 0 */

	struct sm_workq_node node[SM_MAX_NODES];
};

/* With the first packets; least: of those that fit under the limit. -ENOMEM. */
int sm__workq_init(struct sm_workq *q, const struct sm_heap_config *cfg, unsigned nnodes,
		   size_t packet_entries, size_t limit_bytes, unsigned least);
void sm__workq_fini(struct sm_workq *q);

/*
 * So many bytes of packets on the free list, their memory there, as far as the limit allows. For
 * the collector's own threads, before marking and at each look after the queues: to map and touch a
 * chunk takes 0.1 ms, which a mutator that hands a barrier buffer over would have to wait.
 */
void sm__workq_reserve(struct sm_workq *q, size_t bytes);
#define SM_WORKQ_SPARE (512 * SM_KIB)
/* An empty packet, or NULL: the limit is reached, or the system refuses more. */
struct sm_packet *sm__workq_empty(struct sm_workq *q);
void sm__workq_recycle(struct sm_workq *q, struct sm_packet *p);
/* Queues a packet that has entries, giver and l3; wakes a parked worker unless quiet. */
void sm__workq_put(struct sm_workq *q, unsigned node, struct sm_packet *p, bool quiet);
/*
 * A packet from `node`, one given from the same L3 if there is such among the latest, else from the
 * nearest node that has one; *from says which. NULL: none anywhere. Precondition: the caller counts
 * in active.
 */
struct sm_packet *sm__workq_get(struct sm_workq *q, unsigned node, uint32_t l3, unsigned *from);
/* The same of packets of units: the oldest. */
struct sm_packet *sm__workq_get_spans(struct sm_workq *q, unsigned node, unsigned *from);

/* The door is shut: no thread from outside may mark, for all that is alive is marked, or no cycle
 * marks at all. */
#define SM_WORKQ_SHUT ((uint64_t)1 << 31)
/* A thread from outside has marked something since sm__workq_calm. */
#define SM_WORKQ_FOUND ((uint64_t)1 << 30)

/* A worker or an assist, which marks what the queues lead to, or the control thread. */
SM_INLINE void sm__workq_enter(struct sm_workq *q)
{
	atomic_fetch_add_explicit(&q->load, 1, memory_order_seq_cst);
}
/* The caller holds no grey entry any more. quiet: no thread is woken when it was the last. */
void sm__workq_leave(struct sm_workq *q, bool quiet);
/* Any other thread, before it marks. False: the door is shut, and there is nothing to mark. */
bool sm__workq_enter_open(struct sm_workq *q);
/* Leaves FOUND behind. The caller is inside. */
SM_INLINE void sm__workq_find(struct sm_workq *q)
{
	atomic_fetch_or_explicit(&q->load, SM_WORKQ_FOUND, memory_order_seq_cst);
}
/* found: it marked something. */
void sm__workq_leave_open(struct sm_workq *q, bool found);
SM_INLINE uint32_t sm__workq_queued(struct sm_workq *q)
{
	return (uint32_t)(sm_load_seqcst(&q->load) >> 32);
}
SM_INLINE bool sm__workq_is_drained(struct sm_workq *q)
{
	return (sm_load_seqcst(&q->load) & ~(SM_WORKQ_SHUT | SM_WORKQ_FOUND)) == 0;
}

/* Control thread only: opens the door; */
void sm__workq_open(struct sm_workq *q);
/* .. if the queues are drained, forgets in the same moment what was found; */
bool sm__workq_calm(struct sm_workq *q);
/* .. shuts the door if the queues are drained and nothing was found since sm__workq_calm. Waits for
 * those inside that have found nothing yet. */
bool sm__workq_shut(struct sm_workq *q);
/* Shut, and nothing queued, found, or held by a thread. */
SM_INLINE bool sm__workq_is_over(struct sm_workq *q)
{
	return sm_load_seqcst(&q->load) == SM_WORKQ_SHUT;
}
/* Wakes parked workers if there are packets. */
void sm__workq_kick(struct sm_workq *q);
#define SM_WORKQ_LOOK_NS 100000
/* Nothing is queued and a worker is parked: inside is a mutator that flushes, which takes a
 * microsecond and wakes no thread when it leaves. */
#define SM_WORKQ_LOOK_SOON_NS 10000
#define SM_WORKQ_LOOK_MAX_NS  1600000
/* Control thread only; looks after packets that mutators put meanwhile. */
void sm__workq_wait_drained(struct sm_workq *q);

#endif
