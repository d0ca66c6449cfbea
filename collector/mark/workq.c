/* workq.c: the queues of grey packets: sharing, stealing, the end of marking. */
#include "collector/mark/workq.h"

#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"

#define QUEUED		((uint64_t)1 << 32)
#define PACKETS_A_CHUNK 32u
#define PACKET_MIN	16u

/* near[n]: all nodes by distance from n, itself first; equal distances by index. */
static void order_nodes(struct sm_workq *q, const struct sm_heap_config *cfg)
{
	for (unsigned n = 0; n < q->nnodes; n++) {
		uint16_t *list = q->near[n];

		for (unsigned i = 0; i < q->nnodes; i++) {
			unsigned d = i == n ? 0 : cfg->distance[n][i] ? cfg->distance[n][i] : 20;
			unsigned j = i;

			for (; j > 0; j--) {
				unsigned o = list[j - 1];
				unsigned od = o == n		    ? 0
					      : cfg->distance[n][o] ? cfg->distance[n][o]
								    : 20;

				if (od <= d)
					break;
				list[j] = list[j - 1];
			}
			list[j] = (uint16_t)i;
		}
	}
}

static size_t packet_bytes(const struct sm_workq *q)
{
	return sm_align_up(sizeof(struct sm_packet) + q->cap * sizeof(uintptr_t), SM_CACHELINE);
}

/* Bytes of the next chunk, counted against the limit from here on; 0: the limit is reached. Hostile
 * builds get one packet at a time. free_lock held. */
static size_t claim_locked(struct sm_workq *q)
{
	size_t each = packet_bytes(q), bytes = SM_CACHELINE + each * PACKETS_A_CHUNK;

	if (q->bytes + bytes > q->limit)
		bytes = SM_CACHELINE + each;
	if (q->bytes + bytes > q->limit)
		return 0;
	q->bytes += bytes;
	return bytes;
}

/* A claimed chunk's memory, or NULL. populate: its pages are there when this returns. */
static struct sm_chunk *map_chunk(size_t bytes, bool populate)
{
	return populate ? sm__os_map_populated(bytes) : sm__os_map(bytes);
}

/* What became of a claim: packets on the free list, or nothing. free_lock held. */
static void add_locked(struct sm_workq *q, struct sm_chunk *c, size_t bytes)
{
	size_t each = packet_bytes(q);

	if (c == NULL) {
		q->bytes -= bytes;
		return;
	}
	c->next = q->chunks;
	c->bytes = bytes;
	q->chunks = c;
	for (size_t off = SM_CACHELINE; off + each <= bytes; off += each) {
		struct sm_packet *p = (struct sm_packet *)((char *)c + off);

		p->cap = q->cap;
		p->next = q->free;
		q->free = p;
		q->nfree++;
	}
}

/* Another chunk of packets onto the free list; free_lock held. 0 also at the limit, -ENOMEM when
 * the system refuses. */
static int grow_locked(struct sm_workq *q, bool populate)
{
	size_t bytes = claim_locked(q);
	struct sm_chunk *c;

	if (bytes == 0)
		return 0;
	c = map_chunk(bytes, populate);
	add_locked(q, c, bytes);
	return c ? 0 : -ENOMEM;
}

/* Each packet may be a chunk of its own (claim_locked). */
static void fit_packets(struct sm_workq *q, unsigned least)
{
	while (q->cap > PACKET_MIN && least * (SM_CACHELINE + packet_bytes(q)) > q->limit)
		q->cap = q->cap / 2 > PACKET_MIN ? q->cap / 2 : PACKET_MIN;
	if (least * (SM_CACHELINE + packet_bytes(q)) > q->limit)
		q->limit = least * (SM_CACHELINE + packet_bytes(q));
}

int sm__workq_init(struct sm_workq *q, const struct sm_heap_config *cfg, unsigned nnodes,
		   size_t packet_entries, size_t limit_bytes, unsigned least)
{
	memset(q, 0, sizeof(*q));
	q->nnodes = nnodes;
	q->cap = (uint32_t)packet_entries;
	q->limit = limit_bytes;
	fit_packets(q, least);
	sm_store_relaxed(&q->load, SM_WORKQ_SHUT);
	order_nodes(q, cfg);
	sm_lock_init(&q->free_lock, SM_RANK_GC_PACKETS);
	for (unsigned n = 0; n < nnodes; n++) {
		sm_lock_init(&q->node[n].lock, SM_RANK_GC_QUEUE);
		q->node[n].spans_end = &q->node[n].spans;
	}
	/* Some there are always, whatever the system refuses later. Without any, a cycle would be
	 * one long overflow: a look at the whole heap for every few objects. */
	return grow_locked(q, true);
}

void sm__workq_fini(struct sm_workq *q)
{
	while (q->chunks) {
		struct sm_chunk *c = q->chunks;

		q->chunks = c->next;
		sm__os_unmap(c, c->bytes);
	}
}

/* Mapped with the lock let go: a mutator may want a packet meanwhile. */
void sm__workq_reserve(struct sm_workq *q, size_t spare)
{
	size_t n = spare / packet_bytes(q);

	sm_lock_acquire(&q->free_lock);
	while (q->nfree < n) {
		size_t bytes = claim_locked(q);
		struct sm_chunk *c;

		if (bytes == 0)
			break;
		sm_lock_release(&q->free_lock);
		c = map_chunk(bytes, true);
		sm_lock_acquire(&q->free_lock);
		add_locked(q, c, bytes);
		if (c == NULL)
			break;
	}
	sm_lock_release(&q->free_lock);
}

struct sm_packet *sm__workq_empty(struct sm_workq *q)
{
	struct sm_packet *p;

	sm_lock_acquire(&q->free_lock);
	if (q->free == NULL)
		(void)grow_locked(q, false);
	p = q->free;
	if (p) {
		q->free = p->next;
		q->nfree--;
	}
	sm_lock_release(&q->free_lock);
	if (p) {
		p->n = 0;
		p->by_span = false;
	}
	return p;
}

void sm__workq_recycle(struct sm_workq *q, struct sm_packet *p)
{
	sm_lock_acquire(&q->free_lock);
	p->next = q->free;
	q->free = p;
	q->nfree++;
	sm_lock_release(&q->free_lock);
}

void sm__workq_put(struct sm_workq *q, unsigned node, struct sm_packet *p, bool quiet)
{
	struct sm_workq_node *w = &q->node[node];

	SM_ASSERT(p->n > 0 && node < q->nnodes);
	/* Counted before it can be taken, so that the count never falls below what is there. */
	atomic_fetch_add_explicit(&q->load, QUEUED, memory_order_seq_cst);
	sm_lock_acquire(&w->lock);
	if (p->by_span) {
		p->next = NULL;
		*w->spans_end = p;
		w->spans_end = &p->next;
		sm_store_relaxed(&w->spans_count, sm_load_relaxed(&w->spans_count) + 1);
	} else {
		p->next = w->first;
		w->first = p;
		sm_store_relaxed(&w->count, sm_load_relaxed(&w->count) + 1);
	}
	sm_lock_release(&w->lock);
	/* A worker that is about to park raises `parked` and then looks at load once more; both are
	 * sequentially consistent, so one of us sees the other. A quiet packet is found by the
	 * thread that looks next: a marker that runs out, a worker before it parks, or the control
	 * thread. */
	if (!quiet && sm_load_seqcst(&q->parked) != 0)
		sm__event_signal(&q->work);
}

/* So many of a queue's packets are looked at for one from the own L3; all are as good where there
 * is one L3. */
#define L3_LOOKS 16

static struct sm_packet *unlink_nearest(struct sm_workq_node *w, uint32_t l3)
{
	struct sm_packet **at = &w->first, *p;

	for (unsigned i = 0; i < L3_LOOKS && *at; i++, at = &(*at)->next) {
		if ((*at)->l3 == l3)
			break;
	}
	if (*at == NULL || (*at)->l3 != l3)
		at = &w->first;
	p = *at;
	if (p)
		*at = p->next;
	return p;
}

static struct sm_packet *take_packet(struct sm_workq *q, struct sm_workq_node *w, uint32_t l3)
{
	struct sm_packet *p;

	/* A stale zero only makes us look elsewhere; a worker that parks looks at load again. */
	if (sm_load_relaxed(&w->count) == 0)
		return NULL;
	sm_lock_acquire(&w->lock);
	p = unlink_nearest(w, l3);
	if (p)
		sm_store_relaxed(&w->count, sm_load_relaxed(&w->count) - 1);
	sm_lock_release(&w->lock);
	if (p)
		atomic_fetch_sub_explicit(&q->load, QUEUED, memory_order_seq_cst);
	return p;
}

struct sm_packet *sm__workq_get(struct sm_workq *q, unsigned node, uint32_t l3, unsigned *from)
{
	for (unsigned i = 0; i < q->nnodes; i++) {
		unsigned n = q->near[node][i];
		struct sm_packet *p = take_packet(q, &q->node[n], l3);

		if (p) {
			*from = n;
			return p;
		}
	}
	return NULL;
}

static struct sm_packet *take_spans(struct sm_workq *q, struct sm_workq_node *w)
{
	struct sm_packet *p;

	if (sm_load_relaxed(&w->spans_count) == 0)
		return NULL;
	sm_lock_acquire(&w->lock);
	p = w->spans;
	if (p) {
		w->spans = p->next;
		if (w->spans == NULL)
			w->spans_end = &w->spans;
		sm_store_relaxed(&w->spans_count, sm_load_relaxed(&w->spans_count) - 1);
	}
	sm_lock_release(&w->lock);
	if (p)
		atomic_fetch_sub_explicit(&q->load, QUEUED, memory_order_seq_cst);
	return p;
}

struct sm_packet *sm__workq_get_spans(struct sm_workq *q, unsigned node, unsigned *from)
{
	struct sm_packet *p = NULL;

	for (unsigned i = 0; i < q->nnodes && p == NULL; i++) {
		*from = q->near[node][i];
		p = take_spans(q, &q->node[*from]);
	}
	return p;
}

void sm__workq_leave(struct sm_workq *q, bool quiet)
{
	uint64_t old = atomic_fetch_sub_explicit(&q->load, 1, memory_order_seq_cst);

	/* Not only the last: the one still inside may be a mutator, which wakes no thread. */
	if (!quiet && old / QUEUED == 0)
		sm__event_signal(&q->drained);
}

/* ---- the door ----------------------------------------------------------------------------- */

/* A try in vain changes nothing, so that what is over stays exactly so. */
bool sm__workq_enter_open(struct sm_workq *q)
{
	uint64_t old = sm_load_seqcst(&q->load);

	do {
		if (old & SM_WORKQ_SHUT)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&q->load, &old, old + 1, memory_order_seq_cst, memory_order_seq_cst));
	return true;
}

/* Found first: a thread that sees none inside sees that, too. */
void sm__workq_leave_open(struct sm_workq *q, bool found)
{
	if (found)
		sm__workq_find(q);
	sm__workq_leave(q, true);
}

static bool change(struct sm_workq *q, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(&q->load, &from, to, memory_order_seq_cst,
						       memory_order_seq_cst);
}

void sm__workq_open(struct sm_workq *q)
{
	atomic_fetch_and_explicit(&q->load, ~SM_WORKQ_SHUT, memory_order_seq_cst);
}

bool sm__workq_calm(struct sm_workq *q)
{
	return change(q, SM_WORKQ_FOUND, 0) || change(q, 0, 0);
}

bool sm__workq_shut(struct sm_workq *q)
{
	while (!change(q, 0, SM_WORKQ_SHUT)) {
		if (sm_load_seqcst(&q->load) & SM_WORKQ_FOUND)
			return false;
		sm__workq_wait_drained(q);
	}
	return true;
}

void sm__workq_kick(struct sm_workq *q)
{
	if (sm__workq_queued(q) != 0 && sm_load_seqcst(&q->parked) != 0)
		sm__event_signal(&q->work);
}

/* With nothing queued, the thread inside may be a mutator that flushes, which takes a microsecond
 * and wakes no thread when it leaves. A sleep would be fifty times as long, with all barriers on.
 */
static bool drained_in_a_moment(struct sm_workq *q)
{
	for (int i = 0; i < 64 && sm__workq_queued(q) == 0; i++) {
		if (sm__workq_is_drained(q))
			return true;
		sm_cpu_relax();
	}
	return false;
}

void sm__workq_wait_drained(struct sm_workq *q)
{
	uint64_t look = SM_WORKQ_LOOK_NS;
	unsigned looks = 0;

	while (!sm__workq_is_drained(q)) {
		uint32_t seq;

		if (sm_load_seqcst(&q->parked) != 0 && drained_in_a_moment(q))
			break;
		seq = sm__event_prepare(&q->drained);

		if (sm__workq_is_drained(q)) {
			sm__event_cancel(&q->drained);
			break;
		}
		sm__workq_kick(q);
		sm__workq_reserve(q, SM_WORKQ_SPARE);
		/* Each look takes a CPU from a worker: seldom, while none of them is parked in long
		 * marking. */
		if (sm_load_seqcst(&q->parked) != 0)
			look = sm__workq_queued(q) ? SM_WORKQ_LOOK_NS : SM_WORKQ_LOOK_SOON_NS;
		else if (++looks > 8 && look < SM_WORKQ_LOOK_MAX_NS)
			look *= 2;
		sm__event_wait(&q->drained, seq, look);
	}
}
