/* ephemeron.c: pairs whose value lives as long as the key, and the rounds that decide. */
#include "collector/roots/ephemeron.h"

#include <errno.h>
#include <stdlib.h>

#include "allocator/os/os.h"
#include "collector/mutator/barrier.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/types/object.h"
#include "collector/roots/weak.h"

void sm__ephemerons_init(struct sm_gc *gc)
{
	sm__cells_init(&gc->ephemerons.cells, sizeof(struct sm_ephemeron), "an ephemeron");
}

void sm__ephemerons_fini(struct sm_gc *gc)
{
	sm__cells_fini(&gc->ephemerons.cells);
}

static struct sm_ephemeron *ephemeron_at(struct sm_ephemerons *es, uint64_t number)
{
	return (struct sm_ephemeron *)sm__cell_at(&es->cells, number);
}

/* Its key; 0: cleared, free, or not yet in use. Acquire: the value that goes with it, or a later
 * one, is there. */
static uintptr_t key_of(struct sm_ephemeron *e)
{
	return sm__cell_is_used(&e->cell) ? sm_load_acquire(&e->key) : 0;
}

/* ---- those that wait ---------------------------------------------------------------------- */

void sm__ephemerons_begin(struct sm_gc *gc)
{
	gc->ephemerons.listed = false;
	gc->ephemerons.looks = 0;
}

/* Made later in this cycle: key and value are held by their maker, so they are marked without us.
 */
static void list_all(struct sm_ephemerons *es)
{
	uint64_t made = sm__cells_made(&es->cells);

	es->waiting = 0;
	es->nwaiting = 0;
	for (uint64_t n = made; n > 0; n--) {
		struct sm_ephemeron *e = ephemeron_at(es, n);

		if (key_of(e) == 0)
			continue;
		e->waiting = es->waiting;
		es->waiting = (uint32_t)n;
		es->nwaiting++;
	}
	es->looks += made;
	es->listed = true;
}

/*
 * The cell may have been freed and made anew since it was listed: what is marked then is an object
 * that its maker holds. Of a cell that is being freed right now: the value was alive when the cycle
 * began.
 */
static bool wake_ephemeron(struct sm_gc *gc, struct sm_marker *k, struct sm_ephemeron *e)
{
	uintptr_t value = sm_load_relaxed(&e->value);

	if (sm__is_marked(&gc->range, value))
		return false;
	sm__mark_pushed(k, value);
	return true;
}

/* Looks at all that wait; returns how many values became grey. */
static uint64_t pass(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_ephemerons *es = &gc->ephemerons;
	uint32_t *at = &es->waiting;
	uint64_t woken = 0;

	while (*at) {
		struct sm_ephemeron *e = ephemeron_at(es, *at);
		uintptr_t key = key_of(e);

		es->looks++;
		if (key && !sm__is_marked(&gc->range, key)) {
			at = &e->waiting;
			continue;
		}
		*at = e->waiting;
		es->nwaiting--;
		woken += key && wake_ephemeron(gc, k, e);
	}
	return woken;
}

/* ---- tracing ------------------------------------------------------------------------------ */

static uint32_t *key_bucket(struct sm_ephemerons *es, uintptr_t key)
{
	return &es->table[((key >> 3) * 0x9e3779b97f4a7c15u >> 32) & (es->table_size - 1)];
}

/* False: no memory for it; passes do the work then, however many. */
static bool make_table(struct sm_ephemerons *es)
{
	size_t size = 64;

	while (size < es->nwaiting)
		size *= 2;
	es->table = sm__os_map(size * sizeof(*es->table));
	if (es->table == NULL)
		return false;
	es->table_size = size;
	for (uint32_t n = es->waiting; n;) {
		struct sm_ephemeron *e = ephemeron_at(es, n);
		uint32_t *b = key_bucket(es, sm_load_relaxed(&e->key));

		e->chain = *b;
		*b = n;
		n = e->waiting;
		es->looks++;
	}
	return true;
}

/* An object has become grey: so do the values of all ephemerons of this key. They stay in the list
 * of those that wait. */
static void became_grey(void *ctx, struct sm_marker *k, uintptr_t object)
{
	struct sm_gc *gc = ctx;
	struct sm_ephemerons *es = &gc->ephemerons;

	for (uint32_t n = *key_bucket(es, object); n;) {
		struct sm_ephemeron *e = ephemeron_at(es, n);

		es->looks++;
		if (key_of(e) == object)
			wake_ephemeron(gc, k, e);
		n = e->chain;
	}
}

static void trace_values(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_ephemerons *es = &gc->ephemerons;

	if (!make_table(es))
		return;
	sm__mark_trace(k, became_grey, gc);
	sm__os_unmap(es->table, es->table_size * sizeof(*es->table));
}

bool sm__ephemerons_settle(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_ephemerons *es = &gc->ephemerons;
	uint64_t waited, woken;

	if (sm__cells_made(&es->cells) == 0)
		return false;
	if (!es->listed)
		list_all(es);
	sm__workq_enter(&gc->workq);
	waited = es->nwaiting;
	woken = pass(gc, k);
	if (woken && woken < waited / 4)
		trace_values(gc, k);
	sm__marker_give(k);
	sm__workq_leave(&gc->workq, false);
	return woken != 0;
}

/* ---- letting go --------------------------------------------------------------------------- */

/* As sm__weaks_clear. The key alone decides, so one exchange does it. */
void sm__ephemerons_clear(struct sm_gc *gc)
{
	struct sm_ephemerons *es = &gc->ephemerons;
	uint64_t made = sm__cells_made(&es->cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_ephemeron *e = ephemeron_at(es, n);
		uintptr_t key = key_of(e);

		if (key && !sm__is_marked(&gc->range, key))
			(void)sm_cas_relaxed(&e->key, &key, 0);
	}
}

/* ---- pairs -------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct sm_pair *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

bool sm__pairs_gather(struct sm_gc *gc, struct sm_pairs *pairs)
{
	struct sm_ephemerons *es = &gc->ephemerons;
	uint64_t made = sm__cells_made(&es->cells);

	pairs->n = 0;
	pairs->bytes = (made + 1) * sizeof(*pairs->at);
	pairs->at = sm__os_map(pairs->bytes);
	if (pairs->at == NULL)
		return false;
	for (uint64_t n = 1; n <= made; n++) {
		struct sm_ephemeron *e = ephemeron_at(es, n);
		uintptr_t key = key_of(e);

		if (key)
			pairs->at[pairs->n++] = (struct sm_pair){key, sm_load_relaxed(&e->value)};
	}
	qsort(pairs->at, pairs->n, sizeof(*pairs->at), by_key);
	return true;
}

void sm__pairs_drop(struct sm_pairs *pairs)
{
	sm__os_unmap(pairs->at, pairs->bytes);
}

void sm__pairs_of(const struct sm_pairs *pairs, uintptr_t key,
		  void (*fn)(void *ctx, uintptr_t key, uintptr_t value), void *ctx)
{
	size_t lo = 0, hi = pairs->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pairs->at[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < pairs->n && pairs->at[lo].key == key; lo++)
		fn(ctx, key, pairs->at[lo].value);
}

/* ---- public ------------------------------------------------------------------------------- */

struct sm_ephemeron *sm_ephemeron_new(struct sm_mutator *m, void *key, void *value)
{
	struct sm_ephemeron *e;

	if (!sm__may_use(m) || !sm__is_object(m, key) || !sm__is_object(m, value)) {
		errno = EINVAL;
		return NULL;
	}
	e = (struct sm_ephemeron *)sm__cell_take(&m->gc->ephemerons.cells);
	if (e == NULL)
		return NULL;
	sm__barrier_record(m, value);
	sm__barrier_note(m, &e->value, value);
	sm__barrier_note(m, &e->key, key);
	sm_store_relaxed(&e->value, (uintptr_t)value);
	sm_store_release(&e->key, (uintptr_t)key);
	sm__cell_use(&e->cell);
	return e;
}

void *sm_ephemeron_get(struct sm_mutator *m, struct sm_ephemeron *e)
{
	uintptr_t key, value;

	sm__check_caller(m, "sm_ephemeron_get");
	sm__cell_must_be_used(&m->gc->ephemerons.cells, e, "sm_ephemeron_get");
	key = sm_load_acquire(&e->key);
	value = sm_load_relaxed(&e->value);
	if (key == 0)
		return NULL;
	/* The key first: while it is white and the door shut, so is the value, or it lives for
	 * another reason. */
	if (SM_UNLIKELY(sm__marking(m)) && (!sm__weak_keep(m, key) || !sm__weak_keep(m, value)))
		return NULL;
	return (void *)value;
}

void sm_ephemeron_free(struct sm_mutator *m, struct sm_ephemeron *e)
{
	if (e == NULL)
		return;
	sm__check_owner(m, "sm_ephemeron_free");
	sm__cell_give(&m->gc->ephemerons.cells, &e->cell, "sm_ephemeron_free");
}
