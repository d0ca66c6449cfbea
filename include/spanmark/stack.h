/*
 * stack.h: stacks for mutators: fixed-size spans with a guard below, used again; and the report of
 * an overflow.
 *
 *   span   | guard, one unit, inaccessible | low ........ usable ........ high |
 *                                            <- grows down, and faults here when it is full
 *
 * A freed stack waits in the heap's pool, guard in place, for the next one of its size: no system
 * call in either direction. Sizes are powers of two units. The scavenger gives back what was not
 * needed for a round.
 *
 * An overflow touches the guard and raises SIGSEGV. sm_stack_watch gives a thread a signal stack of
 * its own and notes its bounds; the handler then tells an overflow from other faults by the
 * address, prints
 *
 *   spanmark: stack overflow in thread "mutator 3" (tid 4711): stack 0x..-0x.. (256 KiB), fault at
 *   0x..
 *
 * and aborts. Other faults go to whichever handler was there before. Works for any thread, also for
 * those whose stack is not ours: their bounds are asked of the thread library.
 *
 * Example:
 *     #include <spanmark/malloc.h>
 *     #include <spanmark/stack.h>
 *     struct sm_heap *heap = sm_malloc_heap();
 *     struct sm_stack stack;
 *     int err = sm_stack_alloc(heap, 0, 256 << 10, &stack);
 *     if (err != 0)
 *         return 1;
 *     ((char *)stack.low)[stack.bytes - 1] = 1;
 *     sm_stack_free(heap, &stack);
 *     return sm_stack_watch("main") != 0 || (sm_stack_unwatch(), 0);
 */
#ifndef SPANMARK_STACK_H
#define SPANMARK_STACK_H

#include <pthread.h>
#include <stddef.h>

#include "spanmark/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sm_span;

#define SM_STACK_MIN ((size_t)64 << 10)

struct sm_stack {
	void *low;    /* lowest usable byte; the guard ends here */
	size_t bytes; /* usable */
	struct sm_span *span;
};

/*
 * A stack of at least `bytes` usable bytes (at least SM_STACK_MIN) on a node (an index below the
 * configuration's nnodes); contents undefined, *out the caller's until sm_stack_free. 0, -ENOMEM
 * (the heap's limit counts), -EINVAL (more than a node's range can hold). Any thread.
 */
SM_API int sm_stack_alloc(struct sm_heap *h, unsigned node, size_t bytes, struct sm_stack *out);
/* Nobody may run on it any more, and no range in it may be registered. h: as in sm_stack_alloc. Any
 * thread. */
SM_API void sm_stack_free(struct sm_heap *h, struct sm_stack *s);

/* A thread on a stack of the heap, watched for overflow. The caller's; it lives until it has been
 * joined. */
struct sm_stack_thread {
	pthread_t id;
	struct sm_heap *heap;
	struct sm_stack stack;
	void *(*run)(void *arg);
	void *arg;
	char name[24];
};

/* 0 or -errno: sm_stack_alloc's, pthread_create's. The name is cut to what fits. Any thread. */
SM_API int sm_stack_thread_start(struct sm_stack_thread *t, struct sm_heap *h, unsigned node,
				 size_t stack_bytes, const char *name, void *(*run)(void *arg),
				 void *arg);
/* Waits for it and frees its stack; once. Returns what run returned. A mutator says
 * sm_blocking_enter first. */
SM_API void *sm_stack_thread_join(struct sm_stack_thread *t);

/*
 * Watches the calling thread's stack from here on. Installs the SIGSEGV/SIGBUS handler on first use
 * in the process; keeps a signal stack that the thread has already. 0, -ENOMEM. Again: the new name
 * counts. The name is copied.
 */
SM_API int sm_stack_watch(const char *name);
/* Before the thread ends. No-op when it is not watched. */
SM_API void sm_stack_unwatch(void);

#ifdef __cplusplus
}
#endif

#endif
