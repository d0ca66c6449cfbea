/*
 * scan_internal.h: scanning one object, inline: markloop.c, markspan_other.c and rescan.c share it.
 * `how` is a constant in each call, so that each caller has code of its own for each kind of
 * layout.
 */
#ifndef SM_COLLECTOR_SCAN_INTERNAL_H
#define SM_COLLECTOR_SCAN_INTERNAL_H

#include "collector/mark/mark_internal.h"
#include "collector/span/markspan.h"

SM_INLINE uintptr_t sm__word_at(const uintptr_t *w)
{
	return sm_load_dependent((const _Atomic(uintptr_t) *)w);
}

/* An edge that is to be marked with others (markspan_other.c). Precondition: there is room. */
SM_INLINE void sm__edge_gather(struct sm_marker *k, uintptr_t p)
{
	struct sm_span_marker *y = k->by_span;

	y->edge[y->gathered] = p;
	y->gathered += p - k->base < k->bytes;
}

/* The slot at w, in an object, holds p. */
SM_INLINE void sm__scan_note(struct sm_marker *k, const uintptr_t *w, uintptr_t p)
{
	uintptr_t off = p - k->base;

	if (off < k->bytes &&
	    SM_UNLIKELY(sm_load_relaxed(&k->gc->unit_flags[off >> SM_UNIT_SHIFT]) &
			SM_UNIT_CANDIDATE))
		sm__armed_note(k->gc, &k->slots, (uintptr_t)w, p);
}

SM_INLINE void sm__scan_edge(struct sm_marker *k, const uintptr_t *w, enum sm_how how)
{
	uintptr_t p = sm__word_at(w);

	if (how > SM_HOW_GATHERED)
		sm__scan_note(k, w, p);
	if (how == SM_HOW_GATHERED)
		sm__edge_gather(k, p);
	else if (how == SM_HOW_CHECKED)
		sm__mark_word_conservative(k, p, how);
	else
		sm__mark_word_exact(k, p, how);
}

SM_INLINE void sm__scan_all(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end,
			    enum sm_how how)
{
	for (; w < end; w++)
		sm__scan_edge(k, w, how);
}

/* Bits of one mask, at most 64 words from w; stops at end. */
SM_INLINE void sm__scan_bits(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end,
			     uint64_t bits, enum sm_how how)
{
	for (; bits; bits &= bits - 1) {
		const uintptr_t *at = w + __builtin_ctzll(bits);

		if (at >= end)
			return;
		sm__scan_edge(k, at, how);
	}
}

/* All of an object whose pattern is one mask, repeated. No division, which sm__scan_pattern needs
 * to begin anywhere. */
SM_INLINE void sm__scan_mask(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *w,
			     const uintptr_t *end, enum sm_how how)
{
	for (; w < end; w += l->period)
		sm__scan_bits(k, w, end, l->mask, how);
}

/* Words [from, end) of an object whose pattern repeats every l->period words from `start`. */
SM_INLINE void sm__scan_pattern(struct sm_marker *k, const struct sm_layout *l,
				const uintptr_t *start, const uintptr_t *from, const uintptr_t *end,
				enum sm_how how)
{
	size_t phase = (size_t)(from - start) % l->period; /* word of the pattern at `from` */

	while (from < end) {
		/* words to the end of this mask, then to the period's end */
		size_t run = 64 - phase % 64;
		uint64_t bits = l->kind == SM_SCAN_MASK ? l->mask : l->bits[phase / 64];

		if (run > l->period - phase)
			run = l->period - phase;
		bits >>= phase % 64;
		if (run < 64)
			bits &= ((uint64_t)1 << run) - 1;
		sm__scan_bits(k, from, end, bits, how);
		from += run;
		phase += run;
		if (phase == l->period)
			phase = 0;
	}
}

/* The same of a layout with a header, which knows two patterns. */
static SM_NOINLINE void sm__scan_flex(struct sm_marker *k, const struct sm_layout *l,
				      const uintptr_t *start, const uintptr_t *from,
				      const uintptr_t *end, enum sm_how how)
{
	const uintptr_t *body = start + l->period;

	if (from < body && l->head->kind != SM_SCAN_NONE)
		sm__scan_pattern(k, l->head, start, from, end < body ? end : body, how);
	if (end > body && l->element->kind != SM_SCAN_NONE)
		sm__scan_pattern(k, l->element, body, from > body ? from : body, end, how);
}

/* A small object of a span of mixed layouts: by the span's bitmap. mixed.h says why its bits are
 * seen. */
static SM_NOINLINE void sm__scan_mixed(struct sm_marker *k, const uintptr_t *object,
				       enum sm_how how)
{
	const struct sm_span *s = sm_span_of(&k->gc->range, (uintptr_t)object);
	const uintptr_t *base = (const uintptr_t *)sm_span_base(&k->gc->range, s);
	size_t at = (size_t)(object - base), last = at + s->slot_bytes / sizeof(uintptr_t) - 1;
	const uintptr_t *end = base + last + 1;
	uint64_t above = ~(uint64_t)0 << (at % 64);

	for (size_t w = at / 64; w <= last / 64; w++, above = ~(uint64_t)0)
		sm__scan_bits(k, base + w * 64, end, sm_load_relaxed(&s->pointers[w]) & above, how);
}

/* Words [from, end) of the object that starts at `start`. */
SM_INLINE void sm__scan_range(struct sm_marker *k, const struct sm_layout *l,
			      const uintptr_t *start, const uintptr_t *from, const uintptr_t *end,
			      enum sm_how how)
{
	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE: break;
	case SM_SCAN_PREFIX:
		if (end > start + l->nptrs)
			end = start + l->nptrs;
		sm__scan_all(k, from, end, how);
		break;
	case SM_SCAN_ALL: sm__scan_all(k, from, end, how); break;
	case SM_SCAN_MASK:
	case SM_SCAN_BITMAP: sm__scan_pattern(k, l, start, from, end, how); break;
	case SM_SCAN_CONSERVATIVE:
		for (; from < end; from++) {
			uintptr_t word = sm__word_at(from);

			if (how > SM_HOW_GATHERED)
				sm__scan_note(k, from, word);
			sm__mark_word_conservative(k, word, how);
		}
		break;
	case SM_SCAN_FLEX: sm__scan_flex(k, l, start, from, end, how); break;
	case SM_SCAN_MIXED: sm__scan_mixed(k, start, how); break;
	}
}

/* Behind the last word of a large object that may be a pointer. */
SM_INLINE uintptr_t sm__pointers_end(const struct sm_span *s, uintptr_t start)
{
	size_t bytes = sm_span_bytes(s);

	if (s->layout->kind == SM_SCAN_PREFIX && bytes > s->layout->nptrs * sizeof(uintptr_t))
		bytes = s->layout->nptrs * sizeof(uintptr_t);
	return start + bytes;
}

/*
 * A piece of a large object is taken; the next piece is queued first, so that another marker may
 * take it. The first stands for the object, and counts it. Returns the piece's end; 0: there is
 * nothing to scan.
 */
SM_INLINE uintptr_t sm__take_piece(struct sm_marker *k, struct sm_span *s, uintptr_t piece)
{
	uintptr_t start = sm_span_base(&k->gc->range, s), end;

	if (piece == start)
		k->n.bytes += sm_span_bytes(s);
	/* No edge leads to a later piece, so no bit is set there but by a pointer to no object's
	 * start, which then was pushed as well: the bit must not be there when the units hold other
	 * objects. To scan the piece twice is harmless. */
	if (SM_UNLIKELY(piece != start && sm_mark_test(&k->gc->range, piece)))
		sm__mark_wild(k, piece);
	if (s->layout->kind == SM_SCAN_NONE)
		return 0;
	k->n.scanned++;
	end = sm__pointers_end(s, start);
	if (piece >= end)
		return 0;
	if (end - piece > SM_LARGE_PIECE) {
		sm__mark_push(k, piece + SM_LARGE_PIECE);
		end = piece + SM_LARGE_PIECE;
	}
	k->n.scan_bytes += end - piece;
	return end;
}

static SM_NOINLINE void sm__scan_large(struct sm_marker *k, struct sm_span *s, uintptr_t piece)
{
	const uintptr_t *start = (const uintptr_t *)sm_span_base(&k->gc->range, s);
	uintptr_t end = sm__take_piece(k, s, piece);

	if (end == 0)
		return;
	if (SM_UNLIKELY(k->keeps))
		sm__scan_range(k, s->layout, start, (const uintptr_t *)piece,
			       (const uintptr_t *)end, SM_HOW_TRACED);
	else if (SM_UNLIKELY(sm_load_relaxed(&k->gc->armed.on)))
		sm__scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece,
			       (const uintptr_t *)end, SM_HOW_ARMED);
	else
		sm__scan_range(k, s->layout, start, (const uintptr_t *)piece,
			       (const uintptr_t *)end, SM_HOW_ATOMIC);
}

static SM_NOINLINE void sm__scan_root_piece(struct sm_marker *k, uintptr_t entry)
{
	k->n.scanned++;
	sm__roots_scan_piece(k->gc, k, entry >> 1);
}

/* Any entry, by its span's descriptor. */
SM_INLINE void sm__scan(struct sm_marker *k, uintptr_t entry, enum sm_how how)
{
	struct sm_span *s;
	const struct sm_layout *l;
	const uintptr_t *w = (const uintptr_t *)entry;

	if (SM_UNLIKELY(sm__entry_is_root(k, entry))) {
		sm__scan_root_piece(k, entry);
		return;
	}
	s = &k->spans[(entry - k->base) >> SM_UNIT_SHIFT];
	s -= s->back;
	l = s->layout;
	if (SM_UNLIKELY(l == NULL)) {
		sm__mark_wild(k, entry);
		return;
	}
	if (SM_UNLIKELY(s->slot_bytes == 0)) {
		sm__scan_large(k, s, entry);
		return;
	}
	if (how != SM_HOW_CHECKED)
		k->n.bytes += s->slot_bytes;
	if (l->kind == SM_SCAN_NONE)
		return;
	k->n.scanned++;
	k->n.scan_bytes += s->slot_bytes;
	if (SM_LIKELY(l->kind == SM_SCAN_PREFIX))
		sm__scan_all(k, w, w + l->nptrs, how);
	else if (l->kind == SM_SCAN_MASK)
		sm__scan_mask(k, l, w, (const uintptr_t *)(entry + s->slot_bytes), how);
	else if (l->kind == SM_SCAN_ALL)
		sm__scan_all(k, w, (const uintptr_t *)(entry + s->slot_bytes), how);
	else
		sm__scan_range(k, l, w, w, (const uintptr_t *)(entry + s->slot_bytes), how);
}

#endif
