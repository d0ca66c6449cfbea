/*
 * cpu_cache.h: caches of freed objects of CPUs (cache.mode=cpu), and how much each may hold.
 */
#ifndef SM_ALLOCATOR_CPU_CACHE_H
#define SM_ALLOCATOR_CPU_CACHE_H

#include "allocator/malloc/process_heap.h"

/*
 * A CPU's cache. Words of stacks are changed by restartable sections alone, or by the holder of the
 * slab. The rest: relaxed, from whichever thread is there; cap, end, used and budget under
 * sm__process_heap.budget_lock.
 *
 * Identities: used == sum of cap * slot_bytes over the classes; the budgets of all CPUs add up to
 * their shares.
 */
struct sm_mcpu {
	/* The stacks by class, their ends at begin + cap. NULL until just before `ready`. */
	_Atomic(struct sm_rseq_slab *) slab;
	/* objects that the stack may have; 0 until it is first used */
	_Atomic(uint32_t) cap[SM_NCLASSES_MAX];
	struct sm_mcpu_class {
		struct sm_class_counts n; /* without `taken`: pops are in the stack's word */
		_Atomic(uint64_t) moved;  /* objects popped to be given away */
		_Atomic(bool) dry;	  /* was empty since it was last full */
		/* fixed once `ready` */
		/* index of the stack's NULL; cap's bound; slots of a refill; spans looked at for
		 * them */
		uint32_t begin, most, batch, spans;
		/* under budget_lock */
		uint64_t seen; /* refills + overflows when budget was last looked for */
	} cls[SM_NCLASSES_MAX];
	_Atomic(bool) ready, over; /* tunables are filled in; a list may be longer than its cap */
	_Atomic(size_t) budget, used;
	size_t share; /* the budget it was given by the configuration */
	unsigned hand;
	_Atomic(uint32_t) slow;	       /* slow paths taken on this CPU */
	_Atomic(uint32_t) seen;	       /* `slow` when the cache was last looked at for idleness */
	_Atomic(uint32_t) seen_budget; /* the same, when it was last asked for budget */
	_Atomic(uint64_t) drains;      /* times that it was emptied for being idle, or by trim */
} __attribute__((aligned(4096)));

_Static_assert(SM_NCLASSES_MAX <= SM_RSEQ_STACKS, "a slab has a stack for each class");

/* False: not usable here, one line said why; caches are per thread. */
bool sm__mcpu_init(void);
/* An object of the class; cls 0: there was no heap a moment ago. NULL: no memory. */
void *sm__mcpu_malloc(size_t size, size_t cls);
/* An object of any size. */
void *sm__mcpu_malloc_any(size_t size);
void sm__mcpu_free(void *p, size_t cls, uint64_t key);
/* Empties one CPU's cache; any thread may run there. 0, -errno. */
int sm__mcpu_drain(unsigned cpu);
void sm__mcpu_drain_all(void);
size_t sm__mcpu_held(unsigned cpu, unsigned cls);
/* Objects that were popped for malloc. */
uint64_t sm__mcpu_pops(unsigned cpu, unsigned cls);
/* A CPU's tunables are known (under budget_lock): makes its stacks. False: no memory. */
bool sm__mcpu_make_locked(unsigned cpu);
/* In the child of a fork: slabs that another thread had taken away are there again. */
void sm__mcpu_fork_child(void);

/* Fills in the tunables of a CPU on its first slow path. */
void sm__mbudget_prepare(unsigned cpu);
/*
 * Room for up to `want` more objects in a CPU's list, from its own budget, its own idle classes, or
 * other CPUs. Returns how many were granted. *idle: a CPU to be drained, whose budget the next call
 * can have, or -1.
 */
unsigned sm__mbudget_grow(unsigned cpu, unsigned cls, unsigned want, int *idle);
/* The CPU's lists are empty: nothing of its budget is used. */
void sm__mbudget_drained(unsigned cpu);
/* Identities, of a heap at rest. NULL, or what is wrong. */
const char *sm__mbudget_check(void);

#endif
