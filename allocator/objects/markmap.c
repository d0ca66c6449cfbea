/* markmap.c: a span's part of the map of mark bits: runs of slots, and the bits of its slots side
 * by side. */
#include "allocator/objects/markmap.h"

#include <errno.h>
#include <string.h>

#include "allocator/base/syscall.h"
#include "allocator/objects/heap.h"
#include "allocator/os/os.h"
#include "allocator/pages/pageheap_internal.h"

/* ---- birth and end ------------------------------------------------------------------------ */

static size_t marks_bytes(const struct sm_range *r)
{
	return r->bytes >> (SM_MARK_SHIFT + 3);
}

static size_t kind_bytes(const struct sm_range *r)
{
	return r->bytes >> SM_UNIT_SHIFT;
}

int sm__markmap_create(struct sm_heap *h)
{
	struct sm_range *r = &h->pages.range;

	r->marks = sm__os_map(marks_bytes(r));
	r->unit_kind = sm__os_map(kind_bytes(r));
	r->kinds = h->kinds;
	if (r->marks == NULL || r->unit_kind == NULL) {
		sm__markmap_destroy(h);
		return -ENOMEM;
	}
	/* As the heap itself: what is marked in no order is looked up through few entries of the
	 * TLB. */
	if (h->config.hugepages != SM_HUGE_OFF)
		(void)sm__os_madvise((void *)r->marks, marks_bytes(r), MADV_HUGEPAGE);
	return 0;
}

int sm__markmap_add_scans(struct sm_heap *h)
{
	struct sm_range *r = &h->pages.range;

	r->scans = sm__os_map(marks_bytes(r));
	if (r->scans == NULL)
		return -ENOMEM;
	if (h->config.hugepages != SM_HUGE_OFF)
		(void)sm__os_madvise((void *)r->scans, marks_bytes(r), MADV_HUGEPAGE);
	return 0;
}

void sm__markmap_destroy(struct sm_heap *h)
{
	struct sm_range *r = &h->pages.range;

	if (r->scans != NULL)
		(void)sm__sys_munmap((void *)r->scans, marks_bytes(r));
	if (r->marks != NULL)
		(void)sm__sys_munmap((void *)r->marks, marks_bytes(r));
	if (r->unit_kind != NULL)
		(void)sm__sys_munmap(r->unit_kind, kind_bytes(r));
	r->marks = r->scans = NULL;
	r->unit_kind = NULL;
}

/* A write that changes nothing, whichever thread marks meanwhile. */
static void touch(_Atomic(uint64_t) *map, size_t from, size_t end)
{
	size_t step = sm__os_page_size() / sizeof(uint64_t);

	if (map == NULL)
		return;
	for (from = sm_align_down(from, step); from < end; from += step)
		sm_fetch_or_relaxed(&map[from], 0);
}

void sm__markmap_touch(struct sm_heap *h)
{

	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		struct sm_ph_node *nd = &sm__ph(&h->pages)->nodes[i];
		size_t from, end;

		sm_lock_acquire(&nd->lock);
		from = ((size_t)nd->first + nd->marks_touched)
		       << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT);
		end = ((size_t)nd->first + nd->frontier) << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT);
		if (nd->frontier > nd->marks_touched)
			nd->marks_touched = nd->frontier;
		sm_lock_release(&nd->lock);
		touch(h->pages.range.marks, from, end);
		touch(h->pages.range.scans, from, end);
	}
}

unsigned sm__markmap_kind(struct sm_heap *h, size_t slot_bytes, const struct sm_layout *layout)
{
	uint32_t kind = (uint32_t)slot_bytes << SM_KIND_BYTES_SHIFT;

	if (layout->kind == SM_SCAN_NONE)
		kind |= SM_KIND_POINTER_FREE;
	else if (layout->kind == SM_SCAN_PREFIX && layout->nptrs < SM_KIND_POINTER_FREE)
		kind |= layout->nptrs;
	else if (layout->kind == SM_SCAN_ALL)
		kind |= (uint32_t)(slot_bytes / sizeof(uintptr_t));
	else
		return 0;
	for (unsigned i = 1; i < h->nkinds; i++)
		if (h->kinds[i] == kind)
			return i;
	if (h->nkinds == SM_KINDS_MAX)
		return 0;
	h->kinds[h->nkinds] = kind;
	return h->nkinds++;
}

/* ---- runs of slots ------------------------------------------------------------------------ */

/* Mask of the bits of [first, end) that fall into word w. */
static uint64_t word_mask(size_t w, size_t first, size_t end)
{
	size_t lo = w * 64, from = first > lo ? first - lo : 0, to = end - lo < 64 ? end - lo : 64;
	uint64_t below = to == 64 ? ~(uint64_t)0 : ((uint64_t)1 << to) - 1;

	return below & ~(((uint64_t)1 << from) - 1);
}

/* Below this a run is filled from its first slot's bit to the next run's: the bits between mean
 * nothing. */
#define FILL_MAX 256

/* Release: who sees the mark sees what was set in scans before. */
static void change_bits(_Atomic(uint64_t) *word, uint64_t mask, bool set)
{
	if (set)
		atomic_fetch_or_explicit(word, mask, memory_order_release);
	else
		sm_fetch_and_relaxed(word, ~mask);
}

static void change_run(_Atomic(uint64_t) *words, const struct sm_span *s, unsigned first,
		       unsigned count, bool set)
{
	size_t from = ((size_t)first * s->slot_bytes) >> SM_MARK_SHIFT,
	       end = ((size_t)(first + count) * s->slot_bytes) >> SM_MARK_SHIFT;

	if (s->slot_bytes > FILL_MAX || s->slot_bytes < 16) {
		for (unsigned i = first; i < first + count; i++) {
			size_t bit = ((size_t)i * s->slot_bytes) >> SM_MARK_SHIFT;

			change_bits(&words[bit / 64], UINT64_C(1) << (bit % 64), set);
		}
		return;
	}
	for (size_t w = from / 64; w * 64 < end; w++)
		change_bits(&words[w], word_mask(w, from, end), set);
}

void sm__marks_set_run(const struct sm_range *r, const struct sm_span *s, unsigned first,
		       unsigned count)
{
	if (r->scans != NULL)
		change_run(sm__scans_of(r, s), s, first, count, true);
	change_run(sm__marks_of(r, s), s, first, count, true);
}

void sm__marks_clear_run(const struct sm_range *r, const struct sm_span *s, unsigned first,
			 unsigned count)
{
	change_run(sm__marks_of(r, s), s, first, count, false);
	if (r->scans != NULL)
		change_run(sm__scans_of(r, s), s, first, count, false);
}

/* ---- where nothing lies ------------------------------------------------------------------- */

static bool unit_has_marks(const struct sm_range *r, size_t unit)
{
	const _Atomic(uint64_t) *words = &r->marks[unit << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT)];

	for (unsigned i = 0; i < SM_UNIT >> SM_MARK_WORD_SHIFT; i++) {
		if (sm_load_relaxed(&words[i]) != 0)
			return true;
	}
	return false;
}

struct on_free {
	const struct sm_range *r;
	uintptr_t *first;
	size_t n;
};

static void marks_on_free(void *ctx, size_t from, size_t end)
{
	struct on_free *f = ctx;
	const struct sm_range *r = f->r;

	for (size_t u = from; u < end; u++) {
		struct sm_span *s = &r->spans[u];

		s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
		if (sm_load_acquire(&s->state) != SM_SPAN_FREE || !unit_has_marks(r, u))
			continue;
		if (f->n++ == 0)
			*f->first = r->base + (u << SM_UNIT_SHIFT);
	}
}

void sm__markmap_reached(struct sm_heap *h, void (*fn)(void *ctx, size_t from, size_t end),
			 void *ctx)
{
	for (unsigned i = 0; i < h->pages.nnodes; i++) {
		struct sm_ph_node *nd = &sm__ph(&h->pages)->nodes[i];

		sm_lock_acquire(&nd->lock);
		fn(ctx, nd->first, (size_t)nd->first + nd->frontier);
		fn(ctx, (size_t)nd->first + nd->own_lowest, (size_t)nd->first + nd->units);
		sm_lock_release(&nd->lock);
	}
}

size_t sm__marks_on_free_units(struct sm_heap *h, uintptr_t *first)
{
	struct on_free f = {.r = &h->pages.range, .first = first};

	sm__markmap_reached(h, marks_on_free, &f);
	return f.n;
}

/* ---- side by side ------------------------------------------------------------------------- */

/* Every second, fourth or eighth bit of x, moved together at the lower end. */
static uint64_t every_2nd(uint64_t x)
{
	x &= 0x5555555555555555u;
	x = (x | x >> 1) & 0x3333333333333333u;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0fu;
	x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
	x = (x | x >> 8) & 0x0000ffff0000ffffu;
	return (x | x >> 16) & 0xffffffffu;
}

static uint64_t every_4th(uint64_t x)
{
	x &= 0x1111111111111111u;
	x = (x | x >> 3) & 0x0303030303030303u;
	x = (x | x >> 6) & 0x000f000f000f000fu;
	x = (x | x >> 12) & 0x000000ff000000ffu;
	return (x | x >> 24) & 0xffffu;
}

static uint64_t every_8th(uint64_t x)
{
	return ((x & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
}

static bool gather_strided(const _Atomic(uint64_t) *words, unsigned stride, unsigned nslots,
			   uint64_t *out)
{
	unsigned per = 64 / stride;
	uint64_t any = 0;

	for (unsigned slot = 0, w = 0; slot < nslots; slot += per, w++) {
		uint64_t x = sm_load_relaxed(&words[w]);

		if (x == 0)
			continue;
		x = stride == 1	  ? x
		    : stride == 2 ? every_2nd(x)
		    : stride == 4 ? every_4th(x)
				  : every_8th(x);
		if (nslots - slot < per)
			x &= (UINT64_C(1) << (nslots - slot)) - 1;
		out[slot / 64] |= x << (slot % 64);
		any |= x;
	}
	return any != 0;
}

static bool gather_each(const _Atomic(uint64_t) *words, const struct sm_span *s, uint64_t *out)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < s->nslots; i++) {
		size_t bit = ((size_t)i * s->slot_bytes) >> SM_MARK_SHIFT;
		uint64_t x = sm_load_relaxed(&words[bit / 64]) >> (bit % 64) & 1;

		out[i / 64] |= x << (i % 64);
		any |= x;
	}
	return any != 0;
}

/*
 * Of 48 bits in groups of three the lower `keep` of each, moved together: in four steps that join
 * two neighbours each. At the beginning of a step the groups are 3 << i wide, of which the lower
 * keep << i bits count.
 */
static uint64_t of_every_three(uint64_t x, unsigned keep)
{
	/* The lower 3, 6, 12 and 24 of every 6, 12, 24 and 48 bits: the first of two neighbours. */
	static const uint64_t first[4] = {0x1c71c71c71c7u, 0x03f03f03f03fu, 0x000fff000fffu,
					  0x000000ffffffu};

	x &= keep == 1 ? 0x249249249249u : 0x6db6db6db6dbu;
	for (unsigned i = 0; i < 4; i++)
		x = (x & first[i]) | (x & ~first[i]) >> ((3 - keep) << i);
	return x;
}

/* 48 bits from bit `at`, of which none lies at or behind `end`. */
static uint64_t bits_48(const _Atomic(uint64_t) *words, size_t at, size_t end)
{
	uint64_t x = sm_load_relaxed(&words[at / 64]) >> (at % 64);

	if (at % 64 > 16 && (at / 64 + 1) * 64 < end)
		x |= sm_load_relaxed(&words[at / 64 + 1]) << (64 - at % 64);
	return x & 0xffffffffffffu;
}

/* Slots of 24 bytes, which begin in two of every three granules, and of 48, in one. */
static bool gather_thirds(const _Atomic(uint64_t) *words, unsigned keep, unsigned nslots,
			  uint64_t *out)
{
	unsigned per = 16 * keep, end = (nslots * 3 + keep - 1) / keep;
	uint64_t any = 0;

	for (unsigned slot = 0, at = 0; slot < nslots; slot += per, at += 48) {
		uint64_t x = bits_48(words, at, end);

		if (x == 0)
			continue;
		x = of_every_three(x, keep);
		if (nslots - slot < per)
			x &= (UINT64_C(1) << (nslots - slot)) - 1;
		out[slot / 64] |= x << (slot % 64);
		any |= x;
	}
	return any != 0;
}

/* From so many bytes on there are at least two words for a slot: the slots are looked at. */
#define FEW_FROM (2 << SM_MARK_WORD_SHIFT)

/* Slots of no power of two, and such as have few bits in a word: from the bits that are set, those
 * at which a slot starts. */
static bool gather_scattered(const _Atomic(uint64_t) *words, const struct sm_span *s, uint64_t *out)
{
	size_t end = ((size_t)s->nslots * s->slot_bytes + 15) >> SM_MARK_SHIFT;
	uint64_t any = 0;

	for (size_t w = 0; w * 64 < end; w++) {
		for (uint64_t x = sm_load_relaxed(&words[w]); x; x &= x - 1) {
			size_t bit = w * 64 + (unsigned)__builtin_ctzll(x);
			/* The slot of the granule's last byte: if a slot starts in the granule,
			 * that one. */
			uint32_t slot = (uint32_t)(((bit * 16 + 15) * (uint64_t)s->recip) >> 32);

			if (slot >= s->nslots ||
			    ((size_t)slot * s->slot_bytes) >> SM_MARK_SHIFT != bit)
				continue;
			out[slot / 64] |= UINT64_C(1) << (slot % 64);
			any = 1;
		}
	}
	return any != 0;
}

bool sm__marks_gather(const struct sm_range *r, const struct sm_span *s, uint64_t *out)
{
	const _Atomic(uint64_t) *words = sm__marks_of(r, s);
	unsigned bytes = s->slot_bytes;

	memset(out, 0, (s->nslots + 63u) / 64 * sizeof(*out));
	if (bytes < 16 || bytes >= FEW_FROM)
		return gather_each(words, s, out);
	if ((bytes & (bytes - 1)) == 0 && bytes < FILL_MAX)
		return gather_strided(words, bytes >> SM_MARK_SHIFT, s->nslots, out);
	if (bytes == 24 || bytes == 48)
		return gather_thirds(words, bytes == 24 ? 2 : 1, s->nslots, out);
	return gather_scattered(words, s, out);
}

static void clear_words(_Atomic(uint64_t) *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (sm_load_relaxed(&words[i]) != 0)
			sm_store_relaxed(&words[i], 0);
	}
}

void sm__marks_clear(const struct sm_range *r, const struct sm_span *s)
{
	size_t n = s->slot_bytes ? sm_span_bytes(s) >> SM_MARK_WORD_SHIFT : 1;

	clear_words(sm__marks_of(r, s), n);
	if (r->scans != NULL)
		clear_words(sm__scans_of(r, s), n);
}
