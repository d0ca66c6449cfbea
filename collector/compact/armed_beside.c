/*
 * armed_beside.c: words beside the heap that lead into candidates, so that no slice goes through a
 * table: handles, weak references, ephemerons, finalizers, registered roots, and what is pinned.
 *
 * Before the first slice all of them are gone through once, beside mutators. Behind T (armed.h) who
 * makes an entry, or stores to one, notes it. So at a slice each such word was noted: it was there
 * when the walk came by, or it is younger and its maker's own.
 *
 * What a note becomes in a candidate's list is decided when it is put there (sm__armed_word):
 *
 *   a slot           of an object, of a cell of a table, or of a range that was there at the walk
 *                    and is still: it is patched
 *   an object, TAG   that must stay: the program pinned it; or the slot is in none of these
 *
 * Cells keep their place until the collector ends, so that a slot of one may be read whatever
 * became of it. The words of a range go with it: at each look its lock is taken, and the range must
 * be there. If it is not when its slot is to be patched, another that was added since may have that
 * word: then all ranges are gone through, for once. One that is added behind the walk has its words
 * noted by who adds it: either that thread had the table's lock before the walk, which finds the
 * range, or behind it, and then it finds `on` set.
 */
#include <stddef.h>
#include <stdlib.h>

#include "allocator/os/os.h"
#include "collector/compact/armed_internal.h"
#include "collector/roots/ephemeron.h"
#include "collector/roots/weak.h"

/* Of an object that must stay, in place of a slot: objects are aligned. */
#define STAYS	   ((uintptr_t)1)
#define BY_PROGRAM ((uintptr_t)2) /* so it was asked for */
#define TAGS	   ((uintptr_t)7)

/* ---- cells -------------------------------------------------------------------------------- */

/* Where in which cells a word leads to an object. */
struct words {
	struct sm_cells *cells;
	size_t offset;
};

enum { FINALIZERS, HANDLES, WEAKS, KEYS, VALUES, TABLES };

static void list_tables(struct sm_gc *gc, struct words *w)
{
	w[FINALIZERS] = (struct words){&gc->finalizers.cells, offsetof(struct sm_keyed_cell, key)};
	w[HANDLES] = (struct words){&gc->handles, offsetof(struct sm_handle, object)};
	w[WEAKS] = (struct words){&gc->weaks, offsetof(struct sm_weak, object)};
	w[KEYS] = (struct words){&gc->ephemerons.cells, offsetof(struct sm_ephemeron, key)};
	w[VALUES] = (struct words){&gc->ephemerons.cells, offsetof(struct sm_ephemeron, value)};
}

/* The table and the number of the cell that slot is a word of; 0: of none. */
static uint64_t cell_of(struct sm_gc *gc, uintptr_t slot, unsigned *table)
{
	struct words w[TABLES];
	uint64_t number = 0;

	list_tables(gc, w);
	for (*table = 0; *table < TABLES; ++*table) {
		number = sm__cell_number(w[*table].cells, (void *)(slot - w[*table].offset));
		if (number != 0)
			break;
	}
	return number;
}

static bool is_candidate(const struct sm_gc *gc, uintptr_t p)
{
	return sm__unit_has(gc, p, SM_UNIT_CANDIDATE);
}

/* One that is taken but not in use is behind T, and noted by its maker. */
static void note_cells(struct sm_gc *gc, struct words w)
{
	uint64_t made = sm__cells_made(w.cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_cell *c = sm__cell_at(w.cells, n);
		_Atomic(uintptr_t) *word = (_Atomic(uintptr_t) *)((uintptr_t)c + w.offset);
		uintptr_t p = sm__cell_is_used(c) ? sm_load_relaxed(word) : 0;

		if (is_candidate(gc, p))
			sm__armed_note(gc, &gc->armed.own, (uintptr_t)word, p);
	}
}

static void note_pinned(void *arg, uintptr_t object)
{
	struct sm_gc *gc = arg;

	if (is_candidate(gc, object))
		sm__armed_note(gc, &gc->armed.own, 0, object);
}

/* ---- ranges ------------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
	const struct sm_root_at *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static uintptr_t end_of(const struct sm_root_at *x)
{
	return x->start + x->nwords * sizeof(uintptr_t);
}

/* Those that overlap become one without a number. */
static size_t join_overlapping(struct sm_root_at *x, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct sm_root_at *last = kept != 0 ? &x[kept - 1] : NULL;

		if (last == NULL || x[i].start >= end_of(last)) {
			x[kept++] = x[i];
			continue;
		}
		last->number = 0;
		if (end_of(&x[i]) > end_of(last))
			last->nwords = (end_of(&x[i]) - last->start) / sizeof(uintptr_t);
	}
	return kept;
}

static bool list_ranges(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;
	size_t room = sm__roots_made(gc);

	sm__armed_forget_beside(gc);
	if (room == 0)
		return true;
	a->roots_room = room;
	a->roots = sm__os_map(room * sizeof(*a->roots));
	if (a->roots == NULL)
		return false;
	a->nroots = sm__roots_list(gc, a->roots, room);
	return true;
}

static void note_words(void *arg, const uintptr_t *start, size_t nwords)
{
	struct sm_gc *gc = arg;

	for (size_t i = 0; i < nwords; i++) {
		uintptr_t p = __atomic_load_n(&start[i], __ATOMIC_RELAXED);

		if (is_candidate(gc, p))
			sm__armed_note(gc, &gc->armed.own, (uintptr_t)&start[i], p);
	}
}

/* In pieces: who removes a range waits for one. */
static void note_ranges(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;
	const size_t piece = SM_ROOT_PIECE / sizeof(uintptr_t);

	for (size_t i = 0; i < a->nroots; i++)
		for (size_t at = 0; at < a->roots[i].nwords; at += piece)
			(void)sm__roots_with(gc, &a->roots[i], at, piece, note_words, gc);
	if (a->nroots > 1) /* there is no table without any */
		qsort(a->roots, a->nroots, sizeof(*a->roots), by_start);
	a->nroots = join_overlapping(a->roots, a->nroots);
}

/* The range that slot lies in; NULL: none that was there at the walk, alone, and still is. */
static const struct sm_root_at *range_of(struct sm_gc *gc, uintptr_t slot)
{
	const struct sm_armed *a = &gc->armed;
	size_t lo = 0, hi = a->nroots;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (end_of(&a->roots[mid]) <= slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == a->nroots || slot < a->roots[lo].start || a->roots[lo].number == 0)
		return NULL;
	return &a->roots[lo];
}

static void patch_words(void *arg, const uintptr_t *start, size_t nwords)
{
	for (size_t i = 0; i < nwords; i++)
		sm__compact_patch_word(arg, (uintptr_t *)start + i);
}

static size_t word_in(const struct sm_root_at *x, uintptr_t slot)
{
	return (slot - x->start) / sizeof(uintptr_t);
}

/* ---- calls -------------------------------------------------------------------------------- */

void sm__armed_note_beside(struct sm_gc *gc)
{
	struct words w[TABLES];

	list_tables(gc, w);
	for (unsigned i = 0; i < TABLES; i++)
		note_cells(gc, w[i]);
	sm__pins_each(gc, note_pinned, gc);
	if (list_ranges(gc))
		note_ranges(gc);
	else
		sm_store_release(&gc->armed.lost, 1);
	sm__armed_give(gc, &gc->armed.own);
}

void sm__armed_forget_beside(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;

	sm__os_unmap(a->roots, a->roots_room * sizeof(*a->roots));
	a->roots = NULL;
	a->nroots = 0;
}

uintptr_t sm__armed_word(struct sm_gc *gc, const struct sm_slot *e)
{
	const struct sm_root_at *x;
	unsigned table;

	if (sm_range_contains(&gc->range, e->slot))
		return e->slot;
	if (e->slot == 0)
		return (e->value & ~TAGS) | STAYS | BY_PROGRAM;
	if (cell_of(gc, e->slot, &table) != 0)
		return e->slot;
	x = range_of(gc, e->slot);
	if (x != NULL && sm__roots_with(gc, x, word_in(x, e->slot), 1, NULL, NULL))
		return e->slot;
	return (e->value & ~TAGS) | STAYS;
}

bool sm__armed_pin_word(struct sm_move *v, uintptr_t word)
{
	if ((word & STAYS) == 0)
		return false;
	v->gc->armed.beside++;
	v->cause = (word & BY_PROGRAM) != 0 ? SM_PINNED_PROGRAM : SM_PINNED_CONSERVATIVE;
	sm__compact_pin_at(v, word & ~TAGS);
	return true;
}

/* Threads in blocking sections may free some meanwhile: what is written then means nothing. */
bool sm__armed_patch_beside(struct sm_gc *gc, uintptr_t slot)
{
	const struct sm_root_at *x;
	unsigned table;
	uint64_t number = cell_of(gc, slot, &table);

	gc->armed.beside++;
	if (number != 0 && table == FINALIZERS) {
		sm__finalizer_patch(gc, number);
	} else if (number != 0) {
		sm__compact_patch_word(gc, (uintptr_t *)slot);
	} else {
		x = range_of(gc, slot);
		return x != NULL && sm__roots_with(gc, x, word_in(x, slot), 1, patch_words, gc);
	}
	return true;
}

static void patch_range(void *arg, const uintptr_t *start, size_t nwords)
{
	struct sm_gc *gc = arg;

	gc->armed.beside += nwords;
	patch_words(gc, start, nwords);
}

void sm__armed_patch_ranges(struct sm_gc *gc)
{
	sm__roots_each(gc, patch_range, gc);
}

void sm__armed_root_added(struct sm_gc *gc, const uintptr_t *start, size_t nwords)
{
	const size_t piece = SM_ROOT_PIECE / sizeof(uintptr_t);

	for (size_t at = 0; at < nwords; at += piece) {
		sm_lock_acquire(&gc->roots.marker_lock);
		for (size_t i = at; sm_load_relaxed(&gc->armed.on) && i < nwords && i < at + piece;
		     i++) {
			uintptr_t p = __atomic_load_n(&start[i], __ATOMIC_RELAXED);

			if (is_candidate(gc, p))
				sm__armed_note(gc, &gc->root_marker.slots, (uintptr_t)&start[i], p);
		}
		sm_lock_release(&gc->roots.marker_lock);
	}
}

void sm__armed_give_roots(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->roots.marker_lock);
	sm__armed_give(gc, &gc->root_marker.slots);
	sm_lock_release(&gc->roots.marker_lock);
}
