/*
 * cache_cpu.h: windows of a collected heap that belong to CPUs (cache.mode=cpu).
 *
 * A CPU has for each bin a window {cur, end} and no span: the mutator that refills carves a run
 * from a span, gives the span straight back to the central list, keeps the run's first slot and
 * leaves the rest to the CPU it happens to be on (rseq.h). So threads hold nothing, and a span that
 * is swept meanwhile keeps the window's slots, because they are black:
 *
 *   - what is taken while its mutator allocates black is blackened by window_taken, before it is
 *     left;
 *   - what lies there when marking starts is blackened by the collector after every mutator
 *     allocates black and before anything is scanned (sm__cache_foreach_cpu_window). An object that
 *     a black mutator took from such a window just before is white and as good as one that is older
 *     than the cycle;
 *   - with gc.mode=stw nothing is black: the windows are forgotten while the world stands still
 *     (sm__cache_drop_cpu_windows), and the sweep frees their slots.
 *
 * Idle CPUs. A CPU that handed out nothing and got nothing since the cycle before keeps nothing:
 * its windows are forgotten, not blackened, where marking starts. Their slots are then like objects
 * that no pointer leads to: alloc bits set, white, memory as windows are (zero where the layout has
 * pointers), so a stale word that leads a conservative scanner to one finds nothing in it; the
 * sweep frees the others.
 *
 * Counted. A CPU's allocations are the slots that were left to it, less what its windows still hold
 * and what was forgotten.
 */
#ifndef SM_ALLOCATOR_CACHE_CPU_H
#define SM_ALLOCATOR_CACHE_CPU_H

#include "allocator/objects/heap.h"
#include "allocator/os/rseq.h"

struct sm_cpu_cache {
	struct sm_cpu_window {
		/* changed by sections, or by the holder of the slab. cur 0: none */
		_Atomic(uintptr_t) cur, end;
	} windows[SM_BINS_MAX];
	/* relaxed, from whichever thread is there */
	/* taken: what was left here, and objects that refills kept for themselves; returned:
	 * forgotten */
	struct sm_class_counts cls[SM_NCLASSES_MAX];
	/* runs that went back: another thread had left one, or no budget */
	_Atomic(uint32_t) lost;
	_Atomic(uint64_t) drains; /* times that its windows were forgotten for its being idle */
	/* the collector's thread: what it looked like when marking last began */
	uint64_t seen;
	/* bytes that its windows may hold, 0: not read yet; SIZE_MAX: no bound */
	_Atomic(size_t) budget;
};

struct sm_cpu_caches {
	struct sm_rseq_table table;
	struct sm_cpu_cache *caches; /* [table.ncpus] */
};

/* Makes heap->cpus. False: not usable here, one line said why; windows stay per thread. */
bool sm__cache_cpu_init(struct sm_heap *h);
/* The next slot of the CPU's window, or NULL. */
void *sm__cache_cpu_bump(struct sm_heap *h, unsigned bin);
/* Leaves [cur, end) to the CPU. False: it has a window already. */
bool sm__cache_cpu_leave(struct sm_heap *h, unsigned bin, char *cur, char *end);

/* What a refill's cache counted of a class, its own objects included, is this CPU's; *k is zero
 * afterwards. */
void sm__cache_cpu_count(struct sm_heap *h, struct sm_class_counts *k, unsigned cls);

/* Calls fn for the rest of every CPU's windows, each while its CPU cannot use it; idle CPUs' are
 * forgotten instead. No-op in other modes. */
void sm__cache_foreach_cpu_window(struct sm_heap *h,
				  void (*fn)(void *ctx, struct sm_span *s, unsigned first,
					     unsigned count),
				  void *ctx);
/* Forgets every CPU's windows; their slots stay allocated until swept. Precondition: no thread
 * allocates. */
void sm__cache_drop_cpu_windows(struct sm_heap *h);
/* Slots in the windows of a CPU, by class, added to slots[]. */
void sm__cache_cpu_slots(struct sm_heap *h, unsigned cpu, uint64_t slots[SM_NCLASSES_MAX]);

#endif
