/*
 * inspect.h: walking what is reachable, with the world stopped.
 */
#ifndef SM_COLLECTOR_INSPECT_H
#define SM_COLLECTOR_INSPECT_H

#include "allocator/pages/span.h"
#include "spanmark/gc.h"

struct sm_inspection; /* a request, gc->inspections */

/* What a walk tells. Addresses are the starts of objects; bytes: of the slot. */
struct sm_walk_hooks {
	/*
	 * kind: "stack", "coroutine", "thread range" (on which its thread was not seen running),
	 * all three with the thread; "range", "handle", "finalizer", thread 0. slot: where the
	 * pointer lies.
	 */
	void (*root)(void *ctx, const char *kind, int thread, uintptr_t slot, uintptr_t object);
	/* Once for each object. False: enough. Its edges follow. */
	bool (*object)(void *ctx, uintptr_t object, size_t bytes, const struct sm_layout *l);
	void (*edge)(void *ctx, uintptr_t object, uintptr_t to);
	void *ctx;
};

/* Is word i of the object a pointer, as its layout says? Conservatively scanned words may be. */
bool sm__is_pointer_word(const struct sm_range *r, const struct sm_span *s, uintptr_t object,
			 size_t i);
/* Runs a walk on the control thread and waits for it. 0; -ENOMEM: for the walk's own tables;
 * -ENOTSUP: a fork's child. */
int sm__walk(struct sm_gc *gc, struct sm_mutator *m, const struct sm_walk_hooks *hooks);
/* Control thread, between cycles: serves what was asked for. */
void sm__inspect_all(struct sm_gc *gc);
/* Aborts when called on the control thread, that is by a callback of it: a call that waits for that
 * very thread. */
void sm__not_in_callback(struct sm_gc *gc, const char *call);

#endif
