/*
 * pin.c: objects that the program has pinned.
 *
 * A cell for each, found by the object, with a count and a handle: the object lives, so its address
 * is its alone. It does not move, so the key stays what it is.
 */
#include <errno.h>

#include "collector/mutator/barrier.h"
#include "collector/compact/compact.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/types/object.h"

struct sm_pinned {
	struct sm_keyed_cell keyed; /* the key: the object's start */
	struct sm_handle *handle;
	uint64_t times; /* under the lock; 0: going */
};

void sm__pins_init(struct sm_gc *gc)
{
	struct sm_pins *ps = &gc->pins;

	sm__cells_init(&ps->cells, sizeof(struct sm_pinned), "a pin");
	sm__cell_index_init(&ps->index, &ps->cells);
	sm_lock_init(&ps->lock, SM_RANK_GC_PINS);
}

void sm__pins_fini(struct sm_gc *gc)
{
	sm__cell_index_fini(&gc->pins.index);
	sm__cells_fini(&gc->pins.cells);
}

static struct sm_pinned *pinned_at(struct sm_pins *ps, uint64_t number)
{
	return (struct sm_pinned *)sm__cell_at(&ps->cells, number);
}

void sm__pins_each(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx)
{
	uint64_t made = sm__cells_made(&gc->pins.cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_pinned *p = pinned_at(&gc->pins, n);

		if (sm__cell_is_used(&p->keyed.cell))
			fn(ctx, sm_load_relaxed((_Atomic(uintptr_t) *)&p->keyed.key));
	}
}

/* One more time for an object that is pinned. */
static bool count_locked(struct sm_pins *ps, uintptr_t object)
{
	uint64_t number = sm__cell_index_find(&ps->index, object);

	if (number)
		pinned_at(ps, number)->times++;
	return number != 0;
}

/* Another thread may have pinned it meanwhile: then p goes again. */
static int add_pin(struct sm_mutator *m, struct sm_pinned *p)
{
	struct sm_pins *ps = &m->gc->pins;
	bool had;
	int err = 0;

	sm_lock_acquire(&ps->lock);
	had = count_locked(ps, p->keyed.key);
	if (!had)
		err = sm__cell_index_add(&ps->index, sm__cell_number(&ps->cells, p));
	sm_lock_release(&ps->lock);
	if (had || err) {
		sm_handle_free(m, p->handle);
		sm__cell_give(&ps->cells, &p->keyed.cell, "sm_pin");
	}
	return err;
}

int sm_pin(struct sm_mutator *m, void *object)
{
	struct sm_pins *ps;
	struct sm_pinned *p;
	void *base;
	bool had;

	if (!sm__may_use(m) || !sm__is_object(m, object))
		return -EINVAL;
	ps = &m->gc->pins;
	base = sm_object_base(m->gc, object);
	sm__barrier_note(m, NULL, base);
	sm_lock_acquire(&ps->lock);
	had = count_locked(ps, (uintptr_t)base);
	sm_lock_release(&ps->lock);
	if (had)
		return 0;
	p = (struct sm_pinned *)sm__cell_take(&ps->cells);
	if (p == NULL)
		return -ENOMEM;
	p->handle = sm_handle_new(m, base);
	/* Atomic, as the walk over pins reads beside mutators. */
	sm_store_relaxed((_Atomic(uintptr_t) *)&p->keyed.key, (uintptr_t)base);
	p->times = 1;
	sm__cell_use(&p->keyed.cell);
	if (p->handle == NULL) {
		sm__cell_give(&ps->cells, &p->keyed.cell, "sm_pin");
		return -ENOMEM;
	}
	return add_pin(m, p);
}

int sm_unpin(struct sm_mutator *m, void *object)
{
	struct sm_pins *ps;
	struct sm_pinned *p = NULL;
	uint64_t number;
	void *base;

	if (!sm__may_use(m))
		return -EINVAL;
	base = sm_object_base(m->gc, object);
	if (base == NULL)
		return -EINVAL;
	ps = &m->gc->pins;
	sm_lock_acquire(&ps->lock);
	number = sm__cell_index_find(&ps->index, (uintptr_t)base);
	if (number && --pinned_at(ps, number)->times == 0) {
		p = pinned_at(ps, number);
		sm__cell_index_remove(&ps->index, number);
	}
	sm_lock_release(&ps->lock);
	if (p) {
		sm_handle_free(m, p->handle);
		sm__cell_give(&ps->cells, &p->keyed.cell, "sm_unpin");
	}
	return number ? 0 : -ENOENT;
}
