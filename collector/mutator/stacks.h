/*
 * stacks.h: what a thread knows of itself, and where the stacks of its mutators lie. See stacks.c.
 */
#ifndef SM_COLLECTOR_STACKS_H
#define SM_COLLECTOR_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "allocator/base/base.h"

#if defined(__x86_64__)
#include "collector/mutator/arch/x86_64/registers.h"
#elif defined(__aarch64__)
#include "collector/mutator/arch/aarch64/registers.h"
#endif

struct sm_mutator;
struct sm_mutator_priv;

/* Thread-local. Its address is the thread's name in a mutator: the same in a forked child. */
struct sm_thread {
	struct sm_mutator_priv *mutators; /* attached, of one collector each; linked by `mine` */
	uintptr_t stack_lo, stack_hi;	  /* the thread's own stack; 0: not known yet */
	size_t page;
	pid_t tid;	 /* 0: not known, or changed by fork */
	unsigned rounds; /* of destructors at the thread's end */
};
extern __thread struct sm_thread sm__self __attribute__((visibility("hidden")));

/* Finds out stack bounds and id, once. 0 or -errno. */
int sm__thread_know(void);

/* The thread's own stack, or a range that sm_thread_range_add registered. */
struct sm_thread_range {
	struct sm_thread_range *next, *prev;
	uintptr_t start, end;
	/* the mutator was seen on it: a coroutine's stack */
	bool ran;
	uintptr_t left;				/* where it was when it was left; 0: not told */
	uintptr_t registers[SM_REGISTER_WORDS]; /* .. and what they were then */
};

/* Precondition for all: the caller may act for the mutator. NULL: *err is -ENOMEM, -EEXIST (it
 * overlaps another). */
struct sm_thread_range *sm__range_add(struct sm_mutator_priv *p, uintptr_t start, size_t bytes,
				      int *err);
/* -ENOENT, -EBUSY (sp lies in it). */
int sm__range_remove(struct sm_mutator_priv *p, uintptr_t start, uintptr_t sp);
void sm__ranges_free(struct sm_mutator_priv *p);

/* Sets p->on to the stack that sp lies in. False: in none that is known. */
bool sm__stack_find(struct sm_mutator_priv *p, uintptr_t sp);
/* From where a stack (or range) that the mutator does not run on is to be scanned. */
uintptr_t sm__stack_low(const struct sm_mutator_priv *p, const struct sm_thread_range *r);

/* What sm_stack_leave does, with the registers at sp. Returns how much below sp is to be zeroed. */
size_t sm__stack_leave(struct sm_mutator *m, uintptr_t *sp);

#endif
