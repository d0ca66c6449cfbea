/* remember_look.c: the old objects' words in a place of the heap, and what they lead to. */
#include "collector/generations/remember_internal.h"

#include "collector/mark/scan_internal.h"

enum sm_held sm__look_at_object(struct sm_look *l, struct sm_span *s, uintptr_t object,
				uintptr_t end, uintptr_t lo, uintptr_t hi)
{
	uintptr_t from = object > lo ? object : lo;

	end = end < hi ? end : hi;
	if (!sm_mark_test(&l->gc->gen.aged, object))
		return SM_HELD_NOTHING;
	if (!sm_mark_test(&l->gc->range, object))
		return SM_HELD_AGED;
	if (l->k != NULL)
		sm__scan_range(l->k, s->layout, (const uintptr_t *)object, (const uintptr_t *)from,
			       (const uintptr_t *)end, SM_HOW_ATOMIC);
	return SM_HELD_OLD;
}

static enum sm_held look_at_large(struct sm_look *l, struct sm_span *s, uintptr_t lo, uintptr_t hi)
{
	uintptr_t start = sm_span_base(&l->gc->range, s), end;

	/* The head of a span that does not reach so far, or is another's by now: nothing aged is
	 * there, or nothing here. */
	if (lo - start >= sm_span_bytes(s) || s->layout == NULL)
		return SM_HELD_NOTHING;
	end = sm__pointers_end(s, start);
	return sm__look_at_object(l, s, start, end, lo, hi);
}

/* Does an aged object begin in [lo, hi), which has bits of one word of the map? */
static bool any_aged_begins(const struct sm_gc *gc, uintptr_t lo, uintptr_t hi)
{
	uint64_t word = sm_load_relaxed(sm_mark_word(&gc->gen.aged, lo));
	unsigned bits = (unsigned)((hi - lo) >> SM_MARK_SHIFT);

	word >>= (lo - gc->gen.aged.base) >> SM_MARK_SHIFT & 63;
	return (bits < 64 ? word & ((UINT64_C(1) << bits) - 1) : word) != 0;
}

static enum sm_held look_at_small(struct sm_look *l, struct sm_span *s, uintptr_t lo, uintptr_t hi)
{
	uintptr_t base = sm_span_base(&l->gc->range, s);
	uint32_t slot = (uint32_t)(((lo - base) * (uint64_t)s->recip) >> 32);
	enum sm_held most = SM_HELD_NOTHING;
	uint32_t last = s->nslots;

	/* Most places are those of new objects. */
	if (!any_aged_begins(l->gc, lo, hi))
		last = slot + 1;
	for (; slot < last; slot++) {
		uintptr_t object = base + (uintptr_t)slot * s->slot_bytes;
		enum sm_held held;

		if (object >= hi)
			break;
		held = sm__look_at_object(l, s, object, object + s->slot_bytes, lo, hi);
		most = held > most ? held : most;
	}
	return most;
}

/*
 * A span that an aged object lies in holds still while a cycle marks. Others may come into being
 * right now, in places that are in the set from what lay there before: their maps are clear, and
 * state is read with acquire, so their fields are there.
 */
enum sm_held sm__look_at(struct sm_look *l, uintptr_t lo, uintptr_t hi)
{
	struct sm_span *s = &l->gc->range.spans[(lo - l->gc->range.base) >> SM_UNIT_SHIFT];

	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	switch (sm_load_acquire(&s->state)) {
	case SM_SPAN_SMALL: return look_at_small(l, s, lo, hi);
	case SM_SPAN_LARGE: return look_at_large(l, s, lo, hi);
	default: return SM_HELD_NOTHING;
	}
}

/* Does the aged object that reaches over lo begin in front of it? */
static bool aged_reaches_over(const struct sm_gc *gc, uintptr_t lo)
{
	const struct sm_span *s = &gc->range.spans[(lo - gc->range.base) >> SM_UNIT_SHIFT];
	uintptr_t base, object;
	uint8_t state;

	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	base = object = sm_span_base(&gc->range, s);
	if (state == SM_SPAN_SMALL)
		object += (((lo - base) * (uint64_t)s->recip) >> 32) * s->slot_bytes;
	else if (state != SM_SPAN_LARGE)
		return false;
	return object < lo && sm_mark_test(&gc->gen.aged, object);
}

bool sm__none_aged(const struct sm_gc *gc, uintptr_t lo, unsigned words)
{
	const _Atomic(uint64_t) *aged = sm_mark_word(&gc->gen.aged, lo);
	uint64_t any = 0;

	for (unsigned i = 0; i < words; i++)
		any |= sm_load_relaxed(&aged[i]);
	return any == 0 && !aged_reaches_over(gc, lo);
}
