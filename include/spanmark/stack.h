/*
 * stack.h: stacks for mutators, spans of a heap with a guard below; and the report of an overflow.
 * Conventions: heap.h; pictures and the wording of the report: docs/API.md.
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
 * A stack of at least `bytes` usable bytes (and SM_STACK_MIN) on a node, an index below the
 * configuration's nnodes; contents undefined. *out is the caller's until sm_stack_free, which takes
 * the same h, once, when nothing runs on the stack and no range in it is registered. -ENOMEM (the
 * heap's limit counts); -EINVAL: more than a node's range can hold.
 */
SM_API int sm_stack_alloc(struct sm_heap *h, unsigned node, size_t bytes, struct sm_stack *out);
SM_API void sm_stack_free(struct sm_heap *h, struct sm_stack *s);

/*
 * Watches the calling thread's stack, from this heap or not, until sm_stack_unwatch, which the
 * thread calls before it ends (unwatched: no-op). The name is copied; watched already, the new name
 * counts. A signal stack that the thread has is kept, and what is no overflow goes to the handler
 * that was there before the first call in the process, which installs one for SIGSEGV and SIGBUS.
 * -ENOMEM, or an error of pthread_getattr_np.
 */
SM_API int sm_stack_watch(const char *name);
SM_API void sm_stack_unwatch(void);

#ifdef __cplusplus
}
#endif

#endif
