/*
 * rescan.c: objects that were marked but could not be queued, because there was no memory for
 * another packet.
 *
 * Their spans are flagged (SM_UNIT_OVERFLOW), and `overflowed` says that there are any. All marked
 * objects of a flagged span are scanned once more: to scan one twice is harmless.
 */
#include "collector/mark/scan_internal.h"

/* All of it: a piece that had to be queued would find as little room as the one that brought us
 * here, for ever. */
static void rescan_large(struct sm_marker *k, struct sm_span *s)
{
	uintptr_t start = sm_span_base(&k->gc->range, s), end = sm__pointers_end(s, start);

	if (!sm_mark_test(&k->gc->range, start))
		return;
	k->n.scanned++;
	k->n.scan_bytes += end - start;
	sm__scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)start,
		       (const uintptr_t *)end, SM_HOW_ARMED);
}

static void rescan_span(struct sm_marker *k, struct sm_span *s)
{
	uint64_t marks[SM_MARK_SLOTS_WORDS];

	if (s->slot_bytes == 0) {
		rescan_large(k, s);
		return;
	}
	(void)sm__marks_gather(&k->gc->range, s, marks);
	for (uint32_t w = 0; w < (s->nslots + 63u) / 64; w++) {
		for (uint64_t bits = marks[w]; bits; bits &= bits - 1) {
			uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

			sm__scan(k,
				 sm_span_base(&k->gc->range, s) + (uintptr_t)slot * s->slot_bytes,
				 SM_HOW_CHECKED);
		}
	}
}

bool sm__mark_rescan(struct sm_marker *k)
{
	struct sm_gc *gc = k->gc;
	size_t units = gc->range.bytes >> SM_UNIT_SHIFT;

	/* An exchange: the flags are read after it. With a plain store of 0 they could be read
	 * before, and a mutator that flags a span and raises `overflowed` in between would be
	 * forgotten. */
	if (sm_load_acquire(&gc->overflowed) == 0 || sm_exchange_acqrel(&gc->overflowed, 0) == 0)
		return false;
	/* The flags are bytes of a sparse table; eight at a time. */
	for (size_t i = 0; i < units; i += 8) {
		if (sm_load_relaxed((_Atomic(uint64_t) *)&gc->unit_flags[i]) == 0)
			continue;
		for (size_t u = i; u < i + 8; u++) {
			if ((sm_load_relaxed(&gc->unit_flags[u]) & SM_UNIT_OVERFLOW) == 0)
				continue;
			sm_fetch_and_relaxed(&gc->unit_flags[u], (uint8_t)~SM_UNIT_OVERFLOW);
			rescan_span(k, &gc->range.spans[u]);
			/* What that led to, and all behind it, before the next one is looked at:
			 * else one span after another would find no room and be flagged again. */
			sm__mark_drain(k, 0);
			sm__marker_give(k);
		}
	}
	return true;
}
