/* roots.c: ranges that programs register, and how markers share them. */
#include "collector/roots/roots.h"

#include <errno.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"

#define PIECE_WORDS (SM_ROOT_PIECE / sizeof(uintptr_t))

void sm__roots_init(struct sm_roots *r)
{
	memset(r, 0, sizeof(*r));
	sm__cells_init(&r->cells, sizeof(struct sm_root_range), "a root range");
	sm__cell_index_init(&r->index, &r->cells);
	sm_lock_init(&r->lock, SM_RANK_GC_ROOTS);
	sm_lock_init(&r->marker_lock, SM_RANK_GC_ROOT_MARKER);
}

void sm__roots_fini(struct sm_roots *r)
{
	sm__cell_index_fini(&r->index);
	sm__cells_fini(&r->cells);
}

static struct sm_root_range *range_at(struct sm_roots *r, uint64_t number)
{
	return (struct sm_root_range *)sm__cell_at(&r->cells, number);
}

void sm__roots_fork_child(struct sm_roots *r)
{
	uint64_t made = sm__cells_made(&r->cells);

	r->marking = false;
	for (uint64_t n = 1; n <= made; n++)
		sm_store_relaxed(&range_at(r, n)->lock.word, 0);
}

/* ---- entries of packets ------------------------------------------------------------------- */

/*
 *     63 | 62 .. 32                    | 31 .. 1                   | 0
 *      1 | number of a range           | which piece of it         | 1
 *      1 | number of a group's first   | WHOLE_GROUP               | 1
 *      1 | 0                           | which piece of all handles| 1
 *      1 | all bits: SM_ENTRY_REMEMBERED                           | 1
 *
 * No address of a heap has bit 63 set. mark.h: an entry that is not in the heap's range is a piece
 * of the roots.
 */
#define WHOLE_GROUP 0x7fffffffu

_Static_assert(0x7fffffffu % SM_ROOT_GROUP != 1, "no group's first number is all bits");

static uintptr_t entry_of(uint64_t number, uint64_t piece)
{
	return (uintptr_t)1 << 63 | number << 32 | piece << 1 | 1;
}

/* ---- scanning ----------------------------------------------------------------------------- */

static void scan_words(struct sm_marker *k, const uintptr_t *start, size_t nwords)
{
	k->n.scan_bytes += nwords * sizeof(uintptr_t);
	sm__mark_words(k, start, nwords);
}

static const uintptr_t *start_of(const struct sm_root_range *g)
{
	return (const uintptr_t *)g->keyed.key;
}

/*
 * One that is gone by now was scanned by its removal; one that was made of the same cell meanwhile
 * is a range all the same. Only as far as it goes.
 */
static void scan_piece(struct sm_marker *k, struct sm_root_range *g, size_t piece)
{
	size_t from = piece * PIECE_WORDS;

	sm_lock_acquire(&g->lock);
	if (from < g->nwords)
		scan_words(k, start_of(g) + from,
			   g->nwords - from < PIECE_WORDS ? g->nwords - from : PIECE_WORDS);
	sm_lock_release(&g->lock);
}

/* All pieces of a range that has so many words. */
static void push_pieces(struct sm_marker *k, uint64_t number, size_t nwords)
{
	for (size_t piece = 0; piece * PIECE_WORDS < nwords; piece++)
		sm__mark_push_entry(k, entry_of(number, piece));
}

static void scan_group(struct sm_roots *r, struct sm_marker *k, uint64_t first)
{
	uint64_t made = sm__cells_made(&r->cells);

	for (uint64_t n = first; n < first + SM_ROOT_GROUP && n <= made; n++) {
		struct sm_root_range *g = range_at(r, n);
		size_t nwords;

		sm_fetch_add_relaxed(&r->cells_seen, 1);
		if (!sm__cell_is_used(&g->keyed.cell))
			continue;
		sm_lock_acquire(&g->lock);
		nwords = g->nwords;
		if (nwords <= SM_ROOT_SMALL)
			scan_words(k, start_of(g), nwords);
		sm_lock_release(&g->lock);
		if (nwords > SM_ROOT_SMALL)
			push_pieces(k, n, nwords);
	}
}

static void scan_handles(struct sm_gc *gc, struct sm_marker *k, uint64_t piece)
{
	uint64_t first = piece * SM_HANDLE_PIECE + 1, made = sm__cells_made(&gc->handles),
		 count = made - first + 1 < SM_HANDLE_PIECE ? made - first + 1 : SM_HANDLE_PIECE;

	k->n.scan_bytes += count * sizeof(struct sm_handle);
	sm__handles_scan(gc, k, first, count);
}

void sm__roots_scan_piece(struct sm_gc *gc, struct sm_marker *k, size_t index)
{
	uint64_t number = index >> 31 & 0x7fffffff, piece = index & 0x7fffffff,
		 before = k->n.objects;

	k->n.root_pieces++;
	if (index == SM_ENTRY_REMEMBERED >> 1) {
		sm__remember_help(gc, k);
		return;
	}
	if (number == 0)
		scan_handles(gc, k, piece);
	else if (piece == WHOLE_GROUP)
		scan_group(&gc->roots, k, number);
	else
		scan_piece(k, range_at(&gc->roots, number), piece);
	/* It may have been queued since the calm: what is found in it was found from outside.
	 * (Always to say so would let a thread that adds and removes hold off the end for ever.) */
	if (k->n.objects != before)
		sm__workq_find(&gc->workq);
}

/*
 * Under the lock, so that a range comes before or after: before, and it is in a group; after, and
 * its maker finds `marking` set.
 */
void sm__roots_begin(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_roots *r = &gc->roots;
	uint64_t ranges, handles = sm__cells_made(&gc->handles);

	sm_lock_acquire(&r->lock);
	r->marking = true;
	ranges = sm__cells_made(&r->cells);
	sm_lock_release(&r->lock);
	for (uint64_t n = 1; n <= ranges; n += SM_ROOT_GROUP)
		sm__mark_push_entry(k, entry_of(n, WHOLE_GROUP));
	for (uint64_t n = 0; n * SM_HANDLE_PIECE < handles; n++)
		sm__mark_push_entry(k, entry_of(0, n));
	sm__marker_give(k);
}

void sm__roots_end(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->roots.lock);
	gc->roots.marking = false;
	sm_lock_release(&gc->roots.lock);
}

size_t sm__roots_bytes(struct sm_gc *gc)
{
	return sm_load_relaxed(&gc->roots.nwords) * sizeof(uintptr_t) +
	       sm__cells_made(&gc->handles) * sizeof(struct sm_handle);
}

void sm__roots_each(struct sm_gc *gc, void (*fn)(void *ctx, const uintptr_t *start, size_t nwords),
		    void *ctx)
{
	struct sm_roots *r = &gc->roots;
	uint64_t made = sm__cells_made(&r->cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_root_range *g = range_at(r, n);

		if (!sm__cell_is_used(&g->keyed.cell))
			continue;
		sm_lock_acquire(&g->lock);
		if (g->nwords != 0)
			fn(ctx, start_of(g), g->nwords);
		sm_lock_release(&g->lock);
	}
}

size_t sm__roots_made(struct sm_gc *gc)
{
	size_t made;

	sm_lock_acquire(&gc->roots.lock);
	made = sm__cells_made(&gc->roots.cells);
	sm_lock_release(&gc->roots.lock);
	return made;
}

size_t sm__roots_list(struct sm_gc *gc, struct sm_root_at *to, size_t n)
{
	size_t listed = 0;

	for (uint64_t number = 1; number <= n; number++) {
		struct sm_root_range *g = range_at(&gc->roots, number);

		if (!sm__cell_is_used(&g->keyed.cell))
			continue;
		sm_lock_acquire(&g->lock);
		if (g->nwords != 0)
			to[listed++] = (struct sm_root_at){g->keyed.key, g->nwords, number};
		sm_lock_release(&g->lock);
	}
	return listed;
}

bool sm__roots_with(struct sm_gc *gc, const struct sm_root_at *x, size_t at, size_t n,
		    void (*fn)(void *ctx, const uintptr_t *start, size_t nwords), void *ctx)
{
	struct sm_root_range *g = range_at(&gc->roots, x->number);
	bool there;

	sm_lock_acquire(&g->lock);
	there = g->keyed.key == x->start && at < g->nwords;
	if (there && fn != NULL)
		fn(ctx, start_of(g) + at, g->nwords - at < n ? g->nwords - at : n);
	sm_lock_release(&g->lock);
	return there;
}

/* ---- ranges that come and go while marking is on ------------------------------------------ */

/*
 * A new one may hold what only the caller's already scanned stack held: it is queued, and what is
 * stored there before its turn comes the barrier covers. One that goes may hold what a scanned
 * stack has loaded from it, and its memory may go next: it is scanned by the caller. The caller may
 * not be attached, so there is a marker for this alone, made beforehand: this cannot fail. Nor does
 * any round ask that caller: it comes by the door. When that is shut, all that a range may lead to
 * is black.
 */
static void count_marks(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->stats_lock);
	sm__mark_counts_add(&gc->dead_counts, &gc->root_marker.n);
	sm_lock_release(&gc->stats_lock);
}

static void queue_now(struct sm_gc *gc, uint64_t number, size_t nwords)
{
	struct sm_marker *k = &gc->root_marker;

	sm_lock_acquire(&gc->roots.marker_lock);
	if (sm__workq_enter_open(&gc->workq)) {
		sm__marker_here(k);
		push_pieces(k, number, nwords);
		sm__marker_give(k);
		sm__workq_leave_open(&gc->workq, false);
		count_marks(gc);
	}
	sm_lock_release(&gc->roots.marker_lock);
}

static void scan_now(struct sm_gc *gc, const uintptr_t *start, size_t nwords)
{
	struct sm_marking in;

	/* Another caller waits for a piece at most. */
	for (size_t at = 0; at < nwords; at += PIECE_WORDS) {
		sm_lock_acquire(&gc->roots.marker_lock);
		if (sm__marking_enter(&in, &gc->root_marker)) {
			sm__marker_here(&gc->root_marker);
			sm__mark_words(&gc->root_marker, start + at,
				       nwords - at < PIECE_WORDS ? nwords - at : PIECE_WORDS);
			sm__marking_leave(&in);
			count_marks(gc);
		}
		sm_lock_release(&gc->roots.marker_lock);
	}
}

/*
 * gc.mode=stw: no thread marks beside the workers, one of which may mark with plain stores. A
 * caller that comes meanwhile waits, as an attaching thread does; it holds nothing up, for all
 * mutators stand still or block by then.
 */
static void acquire_stopped_waits(struct sm_gc *gc)
{
	struct sm_roots *r = &gc->roots;

	sm_lock_acquire(&r->lock);
	while (r->marking && gc->config.mode == SM_GC_STW) {
		uint32_t seq = sm__event_prepare(&gc->hs.resumed);

		sm_lock_release(&r->lock);
		sm__event_wait(&gc->hs.resumed, seq, 0);
		sm_lock_acquire(&r->lock);
	}
}

/* No thread reads its words from here on. */
static void give_range(struct sm_roots *r, struct sm_root_range *g)
{
	sm_lock_acquire(&g->lock);
	g->nwords = 0;
	sm_lock_release(&g->lock);
	sm__cell_give(&r->cells, &g->keyed.cell, "sm_root_remove");
}

/* ---- public ------------------------------------------------------------------------------- */

int sm_root_add(struct sm_gc *gc, void *start, size_t nwords)
{
	struct sm_roots *r = &gc->roots;
	struct sm_root_range *g;
	uint64_t number;
	bool marking, armed;
	int err;

	if (start == NULL || nwords == 0 || nwords / PIECE_WORDS >= WHOLE_GROUP - 1 ||
	    (uintptr_t)start % sizeof(uintptr_t) != 0)
		return -EINVAL;
	g = (struct sm_root_range *)sm__cell_take(&r->cells);
	if (g == NULL)
		return -ENOMEM;
	/* Its lock was made with its memory, and is free, or held by a thread that looks at the
	 * range that it was before. */
	g->lock.rank = SM_RANK_GC_ROOT_RANGE;
	sm_lock_acquire(&g->lock);
	g->keyed.key = (uintptr_t)start;
	g->nwords = nwords;
	sm_lock_release(&g->lock);
	number = sm__cell_number(&r->cells, g);
	acquire_stopped_waits(gc);
	err = sm__cell_index_add(&r->index, number);
	sm__cell_use(&g->keyed.cell);
	marking = r->marking;
	armed = sm_load_relaxed(&gc->armed.on) != 0;
	sm_lock_release(&r->lock);
	if (err) {
		give_range(r, g);
		return err;
	}
	sm_fetch_add_relaxed(&r->nwords, nwords);
	if (marking)
		queue_now(gc, number, nwords);
	if (SM_UNLIKELY(armed))
		sm__armed_root_added(gc, start, nwords);
	return 0;
}

int sm_root_remove(struct sm_gc *gc, void *start)
{
	struct sm_roots *r = &gc->roots;
	struct sm_root_range *g = NULL;
	uint64_t number;
	bool marking;

	acquire_stopped_waits(gc);
	number = sm__cell_index_find(&r->index, (uintptr_t)start);
	if (number) {
		sm__cell_index_remove(&r->index, number);
		g = range_at(r, number);
	}
	marking = r->marking;
	sm_lock_release(&r->lock);
	if (g == NULL)
		return -ENOENT;
	if (marking)
		scan_now(gc, start_of(g), g->nwords);
	sm_fetch_sub_relaxed(&r->nwords, g->nwords);
	give_range(r, g);
	return 0;
}
