/* weak.c: weak references: making, reading, clearing. */
#include "collector/roots/weak.h"

#include <errno.h>

#include "collector/mutator/barrier.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/types/object.h"

void sm__weaks_init(struct sm_gc *gc)
{
	sm__cells_init(&gc->weaks, sizeof(struct sm_weak), "a weak reference");
}

void sm__weaks_fini(struct sm_gc *gc)
{
	sm__cells_fini(&gc->weaks);
}

/* ---- the cycle's side --------------------------------------------------------------------- */

static struct sm_weak *weak_at(struct sm_gc *gc, uint64_t number)
{
	return (struct sm_weak *)sm__cell_at(&gc->weaks, number);
}

/*
 * Mutators go on meanwhile. A compare and swap: the cell may have been freed since it was read and
 * be another reference by now, to an object that its maker holds, so a black one: the exchange
 * fails.
 */
void sm__weaks_clear(struct sm_gc *gc)
{
	uint64_t made = sm__cells_made(&gc->weaks);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_weak *w = weak_at(gc, n);
		uintptr_t object;

		if (!sm__cell_is_used(&w->cell))
			continue;
		object = sm_load_relaxed(&w->object);
		if (object && !sm__is_marked(&gc->range, object))
			(void)sm_cas_relaxed(&w->object, &object, 0);
	}
}

void sm__weaks_each(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx)
{
	uint64_t made = sm__cells_made(&gc->weaks);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_weak *w = weak_at(gc, n);
		uintptr_t object = sm__cell_is_used(&w->cell) ? sm_load_relaxed(&w->object) : 0;

		if (object)
			fn(ctx, object);
	}
}

bool sm__weak_keep(struct sm_mutator *m, uintptr_t object)
{
	struct sm_marking in;

	if (sm__is_marked(&m->gc->range, object))
		return true;
	/* Shut. The object is as white as at that look: no thread has marked since the calm before
	 * the last round, and a get that began before it has ended. */
	if (!sm__marking_enter(&in, &m->priv->marker))
		return false;
	sm__mark_exact(&m->priv->marker, object);
	sm__marking_leave(&in);
	return true;
}

/* ---- public ------------------------------------------------------------------------------- */

struct sm_weak *sm_weak_new(struct sm_mutator *m, void *object)
{
	struct sm_weak *w;

	if (!sm__may_use(m) || !sm__is_object(m, object)) {
		errno = EINVAL;
		return NULL;
	}
	w = (struct sm_weak *)sm__cell_take(&m->gc->weaks);
	if (w == NULL)
		return NULL;
	sm__barrier_note(m, &w->object, object);
	sm_store_relaxed(&w->object, (uintptr_t)object);
	sm__cell_use(&w->cell);
	return w;
}

void *sm_weak_get(struct sm_mutator *m, struct sm_weak *w)
{
	uintptr_t object;

	sm__check_caller(m, "sm_weak_get");
	sm__cell_must_be_used(&m->gc->weaks, w, "sm_weak_get");
	object = sm_load_relaxed(&w->object);
	if (object && SM_UNLIKELY(sm__marking(m)) && !sm__weak_keep(m, object))
		return NULL;
	return (void *)object;
}

void sm_weak_free(struct sm_mutator *m, struct sm_weak *w)
{
	if (w == NULL)
		return;
	sm__check_owner(m, "sm_weak_free");
	sm__cell_give(&m->gc->weaks, &w->cell, "sm_weak_free");
}
