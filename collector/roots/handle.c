/* handle.c: handles of objects, for threads and code that hold no pointer. */
#include "collector/roots/handle.h"

#include <errno.h>

#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/types/object.h"

void sm__handles_init(struct sm_gc *gc)
{
	sm__cells_init(&gc->handles, sizeof(struct sm_handle), "a handle");
}

void sm__handles_fini(struct sm_gc *gc)
{
	sm__cells_fini(&gc->handles);
}

/* Free ones too: they hold NULL. One that is made or set meanwhile is recorded by the barrier. */
void sm__handles_scan(struct sm_gc *gc, struct sm_marker *k, uint64_t first, uint64_t count)
{
	for (uint64_t n = first; n < first + count; n++) {
		struct sm_handle *h = (struct sm_handle *)sm__cell_at(&gc->handles, n);

		sm__mark_words(k, (const uintptr_t *)&h->object, 1);
	}
}

struct sm_handle *sm_handle_new(struct sm_mutator *m, void *object)
{
	struct sm_handle *h;

	if (!sm__may_use(m) || (object && !sm__is_object(m, object))) {
		errno = EINVAL;
		return NULL;
	}
	h = (struct sm_handle *)sm__cell_take(&m->gc->handles);
	if (h == NULL)
		return NULL;
	sm_store(m, &h->object, object);
	sm__cell_use(&h->cell);
	return h;
}

/* What can be told without the collector that it belongs to. */
static void must_be_used(struct sm_handle *h, const char *call)
{
	if (SM_UNLIKELY(!sm__cell_is_used(&h->cell)))
		sm__misuse(call, h, "not a handle in use");
}

void *sm_handle_get(struct sm_handle *h)
{
	must_be_used(h, "sm_handle_get");
	return sm_load(&h->object);
}

int sm_handle_set(struct sm_mutator *m, struct sm_handle *h, void *object)
{
	if (!sm__may_use(m))
		return -EINVAL;
	sm__cell_must_be_used(&m->gc->handles, h, "sm_handle_set");
	if (object && !sm__is_object(m, object))
		return -EINVAL;
	sm_store(m, &h->object, object);
	return 0;
}

void sm_handle_free(struct sm_mutator *m, struct sm_handle *h)
{
	if (h == NULL)
		return;
	sm__check_caller(m, "sm_handle_free");
	sm__cell_must_be_used(&m->gc->handles, h, "sm_handle_free");
	sm_store(m, &h->object, NULL);
	sm__cell_give(&m->gc->handles, &h->cell, "sm_handle_free");
}
