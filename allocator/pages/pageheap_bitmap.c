/*
 * pageheap_bitmap.c: address-ordered first fit over one bit a unit.
 *
 * The summary is the tree of Go's page allocator (runtime/mpagealloc.go, 2019; "Scaling the Go page
 * allocator", Knyszek and Clements): for each subtree the free runs at its start, at its end, and
 * the longest one. A leaf is one cache line of bits, 512 units; each level above has one entry for
 * eight below. A search goes down from the root to the leftmost place where a run is long enough:
 * inside of a child, or across the border of neighbours; so it finds the lowest run in O(levels),
 * whatever lies in between.
 */
#include <string.h>

#include "allocator/pages/pageheap_internal.h"

static size_t chunks_of(size_t units)
{
	return (units + SM_BITMAP_CHUNK - 1) / SM_BITMAP_CHUNK;
}

/* Widths of the levels, up to one entry at the top. */
static unsigned shape(size_t units, size_t width[SM_BITMAP_LEVELS])
{
	unsigned n = 0;

	for (size_t w = chunks_of(units);; w = (w + SM_BITMAP_FANOUT - 1) / SM_BITMAP_FANOUT) {
		SM_CHECK(n < SM_BITMAP_LEVELS);
		width[n++] = w;
		if (w == 1)
			return n;
	}
}

size_t sm__bitmap_bytes(size_t units)
{
	size_t width[SM_BITMAP_LEVELS];
	size_t bytes = chunks_of(units) * (SM_BITMAP_CHUNK / 8);
	unsigned n = shape(units, width);

	for (unsigned l = 0; l < n; l++)
		bytes += width[l] * sizeof(struct sm_runs);
	return bytes;
}

/* ---- the summary -------------------------------------------------------------------------- */

/* The longest run of ones in a word, if longer than `than`; else something not longer. */
static uint32_t longest_in(uint64_t w, uint32_t than)
{
	uint32_t n = 0;

	/* Each step shortens every run by one. */
	for (; w != 0; w &= w >> 1)
		n++;
	return n > than ? n : than;
}

static struct sm_runs summarise_chunk(const uint64_t *w)
{
	struct sm_runs r = {0, 0, 0};
	uint32_t run = 0;
	bool all = true;

	for (unsigned i = 0; i < SM_BITMAP_CHUNK / 64; i++) {
		if (w[i] == ~(uint64_t)0) {
			run += 64;
			continue;
		}
		run += (uint32_t)__builtin_ctzll(~w[i]);
		if (all)
			r.start = run;
		all = false;
		if (run > r.max)
			r.max = run;
		/* A run inside of the word has at most 62 bits, and only some words can beat the
		 * record. */
		if (r.max < 62 && (uint32_t)__builtin_popcountll(w[i]) > r.max)
			r.max = longest_in(w[i], r.max);
		run = (uint32_t)__builtin_clzll(~w[i]);
	}
	if (all)
		r.start = run;
	if (run > r.max)
		r.max = run;
	r.end = run;
	return r;
}

/* Units under one entry of a level. */
SM_INLINE uint32_t span_of(unsigned level)
{
	return (uint32_t)SM_BITMAP_CHUNK << (3 * level);
}

static struct sm_runs summarise_children(const struct sm_bitmap *b, unsigned level, size_t i)
{
	const struct sm_runs *child = b->level[level - 1];
	size_t from = i * SM_BITMAP_FANOUT, to = from + SM_BITMAP_FANOUT;
	uint32_t whole = span_of(level - 1), run = 0;
	struct sm_runs r = {0, 0, 0};
	bool all = true;

	if (to > b->width[level - 1])
		to = b->width[level - 1];
	for (; from < to; from++) {
		struct sm_runs c = child[from];

		if (all)
			r.start = run + c.start;
		if (run + c.start > r.max)
			r.max = run + c.start;
		if (c.max > r.max)
			r.max = c.max;
		if (c.start == whole) {
			run += whole;
			continue;
		}
		all = false;
		run = c.end;
	}
	r.end = run;
	if (run > r.max)
		r.max = run;
	return r;
}

/* The bits of [unit, unit + n) have changed. */
static void update(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_bitmap *b = &nd->bitmap;
	size_t from = unit / SM_BITMAP_CHUNK, to = (unit + n - 1) / SM_BITMAP_CHUNK;

	for (unsigned l = 0; l < b->nlevels; l++) {
		bool changed = false;

		for (size_t i = from; i <= to; i++) {
			struct sm_runs r =
				l == 0 ? summarise_chunk(&b->bits[i * (SM_BITMAP_CHUNK / 64)])
				       : summarise_children(b, l, i);
			struct sm_runs *old = &b->level[l][i];

			changed |= old->start != r.start || old->max != r.max || old->end != r.end;
			*old = r;
		}
		if (!changed)
			return;
		from /= SM_BITMAP_FANOUT;
		to /= SM_BITMAP_FANOUT;
	}
}

/* ---- birth and growth --------------------------------------------------------------------- */

void sm__bitmap_move(struct sm_ph_node *nd, void *memory, size_t units, unsigned max_order)
{
	struct sm_bitmap *b = &nd->bitmap;
	const uint64_t *old = b->bits;
	char *p = memory;

	(void)max_order;
	b->bits = memory;
	b->nlevels = shape(units, b->width);
	p += chunks_of(units) * (SM_BITMAP_CHUNK / 8);
	for (unsigned l = 0; l < b->nlevels; l++) {
		b->level[l] = (struct sm_runs *)(void *)p;
		p += b->width[l] * sizeof(struct sm_runs);
	}
	if (nd->tracked != 0) {
		memcpy(b->bits, old, chunks_of(nd->tracked) * (SM_BITMAP_CHUNK / 8));
		update(nd, 0, nd->tracked);
	}
}

/* ---- bits --------------------------------------------------------------------------------- */

SM_INLINE bool is_free(const struct sm_bitmap *b, uint32_t unit)
{
	return b->bits[unit >> 6] >> (unit & 63) & 1;
}

SM_INLINE uint64_t mask_of(uint32_t unit, uint32_t end)
{
	uint64_t mask = ~(uint64_t)0 << (unit & 63);

	return end > (unit | 63) ? mask : mask & ~(~(uint64_t)0 << (end & 63));
}

static void flip(struct sm_bitmap *b, uint32_t unit, uint32_t n)
{
	for (uint32_t end = unit + n; unit < end; unit = (unit | 63) + 1)
		b->bits[unit >> 6] ^= mask_of(unit, end);
}

static bool all_free(const struct sm_bitmap *b, uint32_t unit, uint32_t n)
{
	for (uint32_t end = unit + n; unit < end; unit = (unit | 63) + 1)
		if (~b->bits[unit >> 6] & mask_of(unit, end))
			return false;
	return true;
}

/* The first unit at or behind `unit`, before `end`, whose bit is `value`; end: none. */
static uint32_t scan_bits(const struct sm_bitmap *b, uint32_t unit, uint32_t end, bool value)
{
	for (; unit < end; unit = (unit | 63) + 1) {
		uint64_t w = b->bits[unit >> 6];

		w = (value ? w : ~w) & (~(uint64_t)0 << (unit & 63));
		if (w != 0) {
			unit = (unit & ~63u) + (uint32_t)__builtin_ctzll(w);
			return unit < end ? unit : end;
		}
	}
	return end;
}

/* ---- the search --------------------------------------------------------------------------- */

/* The first run of n inside of a chunk that is known to have one. */
static uint32_t find_in_chunk(struct sm_ph_node *nd, uint32_t base, uint32_t n)
{
	struct sm_bitmap *b = &nd->bitmap;
	uint32_t end = base + SM_BITMAP_CHUNK, unit = base;

	for (;;) {
		uint32_t from = scan_bits(b, unit, end, true), to = scan_bits(b, from, end, false);

		nd->counts.steps++;
		if (to - from >= n)
			return from;
		SM_CHECK(to < end);
		unit = to;
	}
}

static uint32_t find_run(struct sm_ph_node *nd, uint32_t n)
{
	struct sm_bitmap *b = &nd->bitmap;
	unsigned level = b->nlevels - 1;
	size_t i = 0;

	if (b->level[level][0].max < n)
		return 0;
	/* Entry i of this level has a run of n under it; where is the first? */
	while (level > 0) {
		const struct sm_runs *child = b->level[--level];
		uint32_t whole = span_of(level), run = 0;

		for (i *= SM_BITMAP_FANOUT;; i++) {
			nd->counts.steps++;
			if (run + child[i].start >= n && run > 0)
				return (uint32_t)i * whole - run;
			if (child[i].max >= n)
				break;
			run = child[i].start == whole ? run + whole : child[i].end;
		}
	}
	return find_in_chunk(nd, (uint32_t)i * SM_BITMAP_CHUNK, n);
}

static void remove_run(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_bitmap *b = &nd->bitmap;

	/* Neighbours that are free become runs of their own; unit 0 is never free. */
	b->nruns +=
		(size_t)is_free(b, unit - 1) + (unit + n < nd->tracked && is_free(b, unit + n)) - 1;
	flip(b, unit, n);
	update(nd, unit, n);
}

uint32_t sm__bitmap_take(struct sm_ph_node *nd, uint32_t n, uint32_t align)
{
	/* With room to align; a run that fits exactly is left to the slow search (pageheap.c). */
	uint32_t unit = find_run(nd, n + align - 1);

	if (unit == 0)
		return 0;
	unit = (uint32_t)sm_align_up(unit, align);
	remove_run(nd, unit, n);
	return unit;
}

bool sm__bitmap_take_at(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	nd->counts.steps += n / 64 + 1;
	if (!all_free(&nd->bitmap, unit, n))
		return false;
	remove_run(nd, unit, n);
	return true;
}

void sm__bitmap_give(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_bitmap *b = &nd->bitmap;

	b->nruns +=
		1 - (size_t)is_free(b, unit - 1) - (unit + n < nd->tracked && is_free(b, unit + n));
	flip(b, unit, n);
	update(nd, unit, n);
}

uint32_t sm__bitmap_next(struct sm_ph_node *nd, uint32_t unit, uint32_t *n)
{
	struct sm_bitmap *b = &nd->bitmap;
	uint32_t from = scan_bits(b, unit, nd->frontier, true);

	if (from == nd->frontier)
		return 0;
	*n = scan_bits(b, from, nd->frontier, false) - from;
	return from;
}

uint32_t sm__bitmap_before(const struct sm_ph_node *nd, uint32_t end)
{
	const struct sm_bitmap *b = &nd->bitmap;

	/* Unit 0 is never free. */
	while (is_free(b, end - 1)) {
		uint64_t w = b->bits[(end - 1) >> 6] << (63 - ((end - 1) & 63));

		end -= w == ~(uint64_t)0 ? 64 : (uint32_t)__builtin_clzll(~w);
	}
	return end;
}

uint32_t sm__bitmap_largest(const struct sm_ph_node *nd)
{
	return nd->bitmap.level[nd->bitmap.nlevels - 1][0].max;
}

size_t sm__bitmap_nruns(const struct sm_ph_node *nd)
{
	return nd->bitmap.nruns;
}

/* Every summary is what its children or bits say; nothing is free behind the frontier; runs are
 * counted. */
unsigned sm__bitmap_check(struct sm_ph_node *nd)
{
	struct sm_bitmap *b = &nd->bitmap;
	uint32_t n = 0, largest = 0;
	size_t runs = 0;
	unsigned bad = 0;

	for (unsigned l = 0; l < b->nlevels; l++)
		for (size_t i = 0; i <= (nd->frontier - 1) / span_of(l); i++) {
			struct sm_runs r =
				l == 0 ? summarise_chunk(&b->bits[i * (SM_BITMAP_CHUNK / 64)])
				       : summarise_children(b, l, i);
			struct sm_runs *s = &b->level[l][i];

			if (s->start != r.start || s->max != r.max || s->end != r.end) {
				sm__say("page heap %u: summary %zu of level %u is stale", nd->index,
					i, l);
				bad++;
			}
		}
	for (uint32_t unit = 1; (unit = sm__bitmap_next(nd, unit, &n)) != 0; unit += n) {
		runs++;
		largest = n > largest ? n : largest;
	}
	if (runs != b->nruns || largest != sm__bitmap_largest(nd)) {
		sm__say("page heap %u: %zu free runs, %zu counted; the longest has %u units, %u "
			"noted",
			nd->index, runs, b->nruns, largest, sm__bitmap_largest(nd));
		bad++;
	}
	return bad;
}
