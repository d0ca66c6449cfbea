/*
 * mark.h: a marker, the thing that turns white objects grey and grey ones black.
 *
 * White: mark bit clear. Grey: mark bit set, and its address waits in a packet (or in a marker's
 * ring). Black: mark bit set, nothing waits: scanned, or pointer-free, or born during the cycle, or
 * part of a window. The thread that sets the mark bit pushes the object, so each is scanned once.
 *
 * Every dedicated worker, every mutator and the control thread has one; a marker is used by one
 * thread at a time. Entries of a packet: the address of an object's start; the address of a piece
 * inside a large object; or (index << 1) | 1, a piece of the roots, SM_ENTRY_REMEMBERED among them:
 * no address of the heap. (A tiny object may start at any address.)
 */
#ifndef SM_COLLECTOR_MARK_H
#define SM_COLLECTOR_MARK_H

#include "allocator/base/sizeclass.h"
#include "allocator/objects/layout.h"
#include "allocator/pages/span.h"
#include "collector/mark/workq.h"

struct sm_gc;

#define SM_FIFO_MAX 64
/* Pieces of large objects and of root ranges: what an assist cannot stop in the middle of. 1024
 * edges take 20 us. */
#define SM_LARGE_PIECE (8 * SM_KIB)
#define SM_ROOT_PIECE  (8 * SM_KIB)

/* Added up by their owner, read by the control thread when the owner is idle or has acknowledged.
 */
struct sm_mark_counts {
	uint64_t objects, bytes; /* newly marked */
	uint64_t remote;	 /* of the objects, those of another node than the marker's */
	uint64_t scanned;	 /* objects and pieces scanned, of which .. */
	uint64_t away;		 /* .. those in memory of another node than the marker's */
	uint64_t root_pieces;	 /* .. pieces of root ranges, which lie on no node of the heap */
	/* .. what the overflow path scanned, perhaps for the second time */
	uint64_t rescanned;
	uint64_t scan_bytes; /* bytes of objects looked at: the pacer's measure of work */
	/* Packets that another marker gave: from the same L3, the same node, another node's queue;
	 * and those with objects of this node that a marker of another node found and handed over.
	 */
	uint64_t steals_l3, steals_node, steals_across, delivered;
	uint64_t stores;     /* of pointers, by mutators while the cycle marked */
	uint64_t overflows;  /* objects that found no packet */
	uint64_t wild;	     /* words in pointer slots that lie in the heap and are no object */
	uint64_t remembered; /* places of the remembered set that held old objects: remember.h */
};

/* How an object came to be scanned by span: alone in its unit, with others one by one, by the
 * kernel. */
enum sm_scanned_how { SM_SCANNED_ALONE, SM_SCANNED_SPARSE, SM_SCANNED_DENSE, SM_SCANNED_HOWS };

struct sm_span_counts {
	uint64_t objects[SM_SCANNED_HOWS][SM_NCLASSES_MAX];
	uint64_t spans[SM_SCANNED_HOWS]; /* claimed, by what was found */
};

struct sm_marker {
	/* read in the loop, fixed while marking */
	uintptr_t base;
	size_t bytes;
	struct sm_span *spans;
	_Atomic(uint64_t) *marks;
	/* the packet being filled: entries [first, next), room up to limit; all NULL when there is
	 * none */
	uintptr_t *first, *next, *limit;
	struct sm_packet *packet;
	/* the packet being emptied, from its end: entries [take_first, take); NULL when there is
	 * none */
	uintptr_t *take_first, *take;
	struct sm_packet *taking;
	struct sm_mark_counts n;
	uint64_t published; /* of n.scan_bytes, what gc->scan_done has */

	struct sm_gc *gc;
	struct sm_packet **out; /* [node] packets for other nodes' workers; NULL with one node */
	unsigned node, l3, fifo;
	bool plain;    /* no other thread marks: no atomic read-modify-write needed */
	bool quiet;    /* a mutator's: what it queues wakes no thread, see workq.h */
	bool donating; /* a dedicated worker, which shares when others are parked */
	bool keeps;    /* full packets stay here, in `kept`: sm__mark_trace */
	bool special;  /* a push must look at its entry: several nodes, or marking by span */
	struct sm_packet *kept;
	struct sm_span_marker *by_span; /* markspan.h; NULL with gc.mark=objects */
	struct sm_slot_chunk *slots;	/* noted by it, or by its mutator's barrier: armed.h */
	uint64_t helped;		/* with so many parts of the remembered set, ever */
};

/* Is this entry a piece of the roots? */
SM_INLINE bool sm__entry_is_root(const struct sm_marker *k, uintptr_t entry)
{
	return entry - k->base >= k->bytes;
}

/* -ENOMEM. */
int sm__marker_init(struct sm_marker *k, struct sm_gc *gc, unsigned node);
/* Precondition: it holds no entries. */
void sm__marker_fini(struct sm_marker *k);
/* In a forked child, where the thread that used it is not: whatever it was in the middle of, it
 * holds nothing any more. */
void sm__marker_abandon(struct sm_marker *k);
/* From now on the marker serves the node of the CPU it runs on. Precondition: it holds no entries.
 */
void sm__marker_here(struct sm_marker *k);

/* The object that starts at p (0 and addresses outside the heap are ignored) becomes grey. */
void sm__mark_exact(struct sm_marker *k, uintptr_t p);
/* The object that word points into, if it points into one, becomes grey. */
void sm__mark_conservative(struct sm_marker *k, uintptr_t word);
/*
 * The same before all windows are black: what is found may be a slot of a window, which its owner
 * is setting up or will. It is marked, but not queued: its span is one for the overflow path, which
 * expects that (SM_HOW_CHECKED).
 */
void sm__mark_early(struct sm_marker *k, uintptr_t word);
/* Every aligned word of [lo, hi), conservatively. The memory may be changing: any thread's stack.
 */
void sm__mark_stack(struct sm_marker *k, uintptr_t lo, uintptr_t hi);
/* Every word of [start, start + nwords) as an exact pointer. */
void sm__mark_words(struct sm_marker *k, const uintptr_t *start, size_t nwords);
/* Has the object at p its mark bit? Precondition: a live object. */
bool sm__is_marked(const struct sm_range *r, uintptr_t p);

/* As sm__mark_exact, and the object is queued even if there is nothing to scan: sm__mark_trace will
 * tell of it. */
void sm__mark_pushed(struct sm_marker *k, uintptr_t p);
/*
 * Scans all that is grey here or in the queues, and all it leads to, on this thread alone, and
 * tells fn of each object as it becomes black; fn may mark more with sm__mark_pushed. (And of
 * pieces of large objects, which fn does not know.) What the marker fills it keeps, so that no
 * other takes it untold; where there is no packet, objects are scanned untold. The caller counts in
 * workq.active.
 */
void sm__mark_trace(struct sm_marker *k,
		    void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx);

/* Queues an entry as it is. */
void sm__mark_push_entry(struct sm_marker *k, uintptr_t entry);
/* .. unless there is no packet for it: then nothing is done, and the answer is false. */
bool sm__mark_offer_entry(struct sm_marker *k, uintptr_t entry);
/* Hands everything grey that the marker holds to the queues. */
void sm__marker_give(struct sm_marker *k);

/*
 * Marking by any thread but a worker or the control thread: a mutator that hands its barrier buffer
 * over or scans a stack, a root that comes or goes, a weak reference that is read. Known to
 * termination between the two. False: marking is over, or there is none; then all that is alive is
 * marked, or needs no mark.
 */
struct sm_marking {
	struct sm_marker *k;
	uint64_t before;
};
bool sm__marking_enter(struct sm_marking *in, struct sm_marker *k);
/* Gives what was found to the queues. */
void sm__marking_leave(struct sm_marking *in);

/*
 * Scans until nothing is left here or in the queues, or about budget bytes have been scanned.
 * Returns the bytes. What is left over stays with the marker: give it away or call again. The
 * caller counts in workq.active. Budget 0 means none.
 */
uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget);

/* The overflow path: every marked object of the spans that overflowed is scanned (again). True:
 * there were any. */
bool sm__mark_rescan(struct sm_marker *k);

/* Bits of gc->unit_flags, one byte for each unit, at the head of a span. */
#define SM_UNIT_OVERFLOW  1u /* a marked object of this span may be waiting in no packet */
#define SM_UNIT_EVACUATED 4u /* of each of its units: its objects have moved, see compact.h */
#define SM_UNIT_CANDIDATE 8u /* of each of its units: its objects are about to move, see armed.h */
#define SM_UNIT_RETURNED  2u /* black slots went back while marking: marks need not be in alloc */

/* Adds *from to *to and clears it. */
void sm__mark_counts_add(struct sm_mark_counts *to, struct sm_mark_counts *from);

#endif
