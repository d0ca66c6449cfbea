#include "collector/roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/gc_priv.h"

void sm__roots_init(struct sm_roots *r)
{
	memset(r, 0, sizeof(*r));
	sm_lock_init(&r->lock, SM_RANK_GC_ROOTS);
}

void sm__roots_fini(struct sm_roots *r)
{
	free(r->ranges);
	free(r->pieces);
}

/* ---- scanning ------------------------------------------------------------------------------------- */

void sm__roots_scan_piece(struct sm_gc *gc, struct sm_marker *k, size_t index)
{
	struct sm_roots *r = &gc->roots;
	struct sm_root_piece *piece = &r->pieces[index];

	k->n.root_pieces++;
	k->n.scan_bytes += piece->nwords * sizeof(uintptr_t);
	if (piece->handles) {
		sm__handles_scan(gc, k, (uintptr_t)piece->start, piece->nwords);
		return;
	}
	/* A range that is gone by now was scanned by its removal, see root_remove. */
	sm_lock_acquire(&r->lock);
	for (size_t i = 0; i < r->nranges; i++) {
		struct sm_root_range *g = &r->ranges[i];

		if (piece->start >= g->start && piece->start + piece->nwords <= g->start + g->nwords) {
			if (!SM_IS_MUTANT(9))
				sm__mark_words(k, piece->start, piece->nwords);
			break;
		}
	}
	sm_lock_release(&r->lock);
}

static bool add_piece(struct sm_roots *r, uintptr_t *start, size_t nwords, bool handles)
{
	if (r->npieces == r->pieces_capacity) {
		size_t capacity = r->pieces_capacity ? r->pieces_capacity * 2 : 64;
		struct sm_root_piece *grown = realloc(r->pieces, capacity * sizeof(*grown));

		if (grown == NULL)
			return false;
		r->pieces = grown;
		r->pieces_capacity = capacity;
	}
	r->pieces[r->npieces++] =
		(struct sm_root_piece){.start = start, .nwords = nwords, .handles = handles};
	return true;
}

void sm__roots_begin(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_roots *r = &gc->roots;
	size_t most = SM_ROOT_PIECE / sizeof(uintptr_t);
	uint64_t handles;

	r->npieces = 0;
	sm_lock_acquire(&r->lock);
	r->marking = true;
	for (size_t i = 0; i < r->nranges; i++) {
		struct sm_root_range *g = &r->ranges[i];

		for (size_t at = 0; at < g->nwords; at += most) {
			size_t n = g->nwords - at < most ? g->nwords - at : most;

			/* No memory for the list: scan it here and now. */
			if (!add_piece(r, g->start + at, n, false))
				sm__mark_words(k, g->start + at, n);
		}
	}
	sm_lock_release(&r->lock);
	handles = sm__cells_made(&gc->handles);
	for (uint64_t n = 1; n <= handles; n += SM_HANDLE_PIECE) {
		uint64_t count = handles - n + 1 < SM_HANDLE_PIECE ? handles - n + 1 : SM_HANDLE_PIECE;

		if (!add_piece(r, (uintptr_t *)n, count, true))
			sm__handles_scan(gc, k, n, count);
	}
	for (size_t i = 0; i < r->npieces; i++)
		sm__mark_push_entry(k, (uintptr_t)i << 1 | 1);
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
	struct sm_roots *r = &gc->roots;
	size_t words = 0;

	sm_lock_acquire(&r->lock);
	for (size_t i = 0; i < r->nranges; i++)
		words += r->ranges[i].nwords;
	sm_lock_release(&r->lock);
	return words * sizeof(uintptr_t) + sm__cells_made(&gc->handles) * sizeof(struct sm_handle);
}

/*
 * A range that comes or goes while marking is on is scanned on the spot: a new one may hold what only the
 * caller's already scanned stack held; one that goes may hold what a scanned stack has loaded from it. The
 * caller may not be attached, so there is a marker for this alone, made beforehand: this cannot fail. Nor does any
 * round ask that caller: it comes by the door. When that is shut, all that a range may lead to is black.
 */
static void scan_now_locked(struct sm_gc *gc, const uintptr_t *start, size_t nwords)
{
	struct sm_marker *k = &gc->root_marker;
	struct sm_marking in;

	if (!gc->roots.marking || !sm__marking_enter(&in, k))
		return;
	sm__marker_here(k);
	sm__mark_words(k, start, nwords);
	sm__marking_leave(&in);
	sm_lock_acquire(&gc->stats_lock);
	sm__mark_counts_add(&gc->dead_counts, &k->n);
	sm_lock_release(&gc->stats_lock);
}

/*
 * gc.mode=stw: nobody marks beside the workers, one of which may mark with plain stores. Who comes meanwhile waits, as an
 * attaching thread does; it holds nothing up, for all mutators stand still or block by then.
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

/* ---- ranges --------------------------------------------------------------------------------------- */

int sm_root_add(struct sm_gc *gc, void *start, size_t nwords)
{
	struct sm_roots *r = &gc->roots;
	int err = 0;

	if (start == NULL || nwords == 0 || nwords > SIZE_MAX / sizeof(uintptr_t) ||
	    (uintptr_t)start % sizeof(uintptr_t) != 0)
		return -EINVAL;
	acquire_stopped_waits(gc);
	if (r->nranges == r->capacity) {
		size_t capacity = r->capacity ? r->capacity * 2 : 16;
		struct sm_root_range *grown = realloc(r->ranges, capacity * sizeof(*grown));

		if (grown) {
			r->ranges = grown;
			r->capacity = capacity;
		} else {
			err = -ENOMEM;
		}
	}
	if (err == 0) {
		r->ranges[r->nranges++] = (struct sm_root_range){.start = start, .nwords = nwords};
		scan_now_locked(gc, start, nwords);
	}
	sm_lock_release(&r->lock);
	return err;
}

int sm_root_remove(struct sm_gc *gc, void *start)
{
	struct sm_roots *r = &gc->roots;
	int err = -ENOENT;

	acquire_stopped_waits(gc);
	for (size_t i = 0; i < r->nranges; i++) {
		if (r->ranges[i].start != (uintptr_t *)start)
			continue;
		scan_now_locked(gc, r->ranges[i].start, r->ranges[i].nwords);
		r->ranges[i] = r->ranges[--r->nranges];
		err = 0;
		break;
	}
	sm_lock_release(&r->lock);
	return err;
}
