/* compact_patch.c: every word that may hold the address of an object that moved. */
#include "allocator/objects/shape.h"
#include "collector/compact/compact_internal.h"

#define WORD sizeof(uintptr_t)

static void patch_words(const struct sm_gc *gc, uintptr_t *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sm__compact_patch_word(gc, &w[i]);
}

/* ---- the heap ----------------------------------------------------------------------------- */

/* Up to 64 words, of which those with a bit in `bits` are pointers. */
static void patch_bits(const struct sm_gc *gc, uintptr_t *w, uint64_t bits)
{
	for (; bits; bits &= bits - 1)
		sm__compact_patch_word(gc, &w[__builtin_ctzll(bits)]);
}

static void patch_pattern(const struct sm_gc *gc, const struct sm_layout *l, uintptr_t *w, size_t n)
{
	for (size_t i = 0; i < n; i += 64)
		patch_bits(gc, w + i, sm__layout_bits(l, i, n - i < 64 ? n - i : 64));
}

/* A small object of a span of mixed layouts. */
static void patch_mixed(const struct sm_gc *gc, const struct sm_span *s, uintptr_t object)
{
	size_t first = (object - sm_span_base(&gc->range, s)) / WORD;
	uintptr_t *w = (uintptr_t *)object;

	for (size_t i = 0; i < s->slot_bytes / WORD; i++) {
		size_t at = first + i;

		if (sm_load_relaxed(&s->pointers[at / 64]) >> (at % 64) & 1)
			sm__compact_patch_word(gc, &w[i]);
	}
}

static void patch_object(const struct sm_gc *gc, const struct sm_span *s, uintptr_t object,
			 size_t words)
{
	const struct sm_layout *l = s->layout;
	uintptr_t *w = (uintptr_t *)object;

	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE: break;
	/* What its words lead to is pinned: they may be no addresses. */
	case SM_SCAN_CONSERVATIVE: break;
	case SM_SCAN_ALL: patch_words(gc, w, words); break;
	case SM_SCAN_PREFIX: patch_words(gc, w, l->nptrs < words ? l->nptrs : words); break;
	case SM_SCAN_MIXED: patch_mixed(gc, s, object); break;
	case SM_SCAN_MASK:
	case SM_SCAN_BITMAP:
	case SM_SCAN_FLEX: patch_pattern(gc, l, w, words); break;
	}
}

/* Evacuated spans hold nothing any more: their objects are in others, which are patched. */
static void patch_span(void *arg, struct sm_span *s)
{
	enum sm_span_state state = (enum sm_span_state)sm_load_relaxed(&s->state);
	const struct sm_gc *gc = arg;
	uintptr_t base = sm_span_base(&gc->range, s);

	if (state == SM_SPAN_LARGE)
		patch_object(gc, s, base, sm_span_bytes(s) / WORD);
	if (state != SM_SPAN_SMALL || s->layout->kind == SM_SCAN_NONE ||
	    sm__unit_has(gc, base, SM_UNIT_EVACUATED))
		return;
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		for (uint64_t bits = sm_load_relaxed(&s->alloc[w]); bits; bits &= bits - 1)
			patch_object(gc, s,
				     base + (size_t)(w * 64 + (unsigned)__builtin_ctzll(bits)) *
						     s->slot_bytes,
				     s->slot_bytes / WORD);
}

/* ---- beside the heap ---------------------------------------------------------------------- */

static void patch_range(void *arg, const uintptr_t *start, size_t nwords)
{
	patch_words(arg, (uintptr_t *)start, nwords);
}

static void patch_handles(struct sm_gc *gc)
{
	uint64_t made = sm__cells_made(&gc->handles);

	/* Free ones hold NULL. */
	for (uint64_t n = 1; n <= made; n++) {
		struct sm_handle *h = (struct sm_handle *)sm__cell_at(&gc->handles, n);

		sm__compact_patch_word(gc, (uintptr_t *)&h->object);
	}
}

/* Threads in blocking sections may free some meanwhile: what is written then means nothing. */
static void patch_weaks(struct sm_gc *gc)
{
	uint64_t made = sm__cells_made(&gc->weaks);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_weak *w = (struct sm_weak *)sm__cell_at(&gc->weaks, n);

		if (sm__cell_is_used(&w->cell))
			sm__compact_patch_word(gc, (uintptr_t *)&w->object);
	}
}

static void patch_ephemerons(struct sm_gc *gc)
{
	struct sm_cells *cells = &gc->ephemerons.cells;
	uint64_t made = sm__cells_made(cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_ephemeron *e = (struct sm_ephemeron *)sm__cell_at(cells, n);

		if (!sm__cell_is_used(&e->cell) || sm_load_relaxed(&e->key) == 0)
			continue;
		sm__compact_patch_word(gc, (uintptr_t *)&e->key);
		sm__compact_patch_word(gc, (uintptr_t *)&e->value);
	}
}

void sm__compact_patch_tables(struct sm_gc *gc)
{
	sm__roots_each(gc, patch_range, gc);
	patch_handles(gc);
	patch_weaks(gc);
	patch_ephemerons(gc);
	sm__finalizers_patch(gc);
}

void sm__compact_patch(struct sm_move *v)
{
	sm__compact_patch_tables(v->gc);
	sm__heap_foreach_span(v->gc->heap, patch_span, v->gc);
}
