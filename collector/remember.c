/* remember.c: the cards, and a minor cycle's walk over them. */
#include "collector/remember.h"

#include <errno.h>
#include <sys/mman.h>

#include "collector/generation.h"
#include "collector/scan_internal.h"

static size_t cards_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes >> SM_CARD_SHIFT;
}

int sm__remember_init(struct sm_gc *gc)
{
	void *p = mmap(NULL, cards_bytes(gc), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	gc->remember.cards = p;
	return 0;
}

void sm__remember_fini(struct sm_gc *gc)
{
	if (gc->remember.cards != NULL)
		munmap((void *)gc->remember.cards, cards_bytes(gc));
}

bool sm__remember_has(const struct sm_gc *gc, uintptr_t slot)
{
	return sm_load_relaxed(&gc->remember.cards[(slot - gc->range.base) >> SM_CARD_SHIFT]) != 0;
}

/* ---- what lies on a card ------------------------------------------------------------------ */

_Static_assert(SM_CARD_BYTES >> SM_MARK_SHIFT == 8, "a card has a byte of the maps' words");

#define AHEAD 16 /* cards from one that is looked at to those that are asked for */

struct look {
	struct sm_gc *gc;
	struct sm_marker *k;
	uint64_t cards; /* with old objects */
};

/* What a card holds: nothing that has lived through a sweep, or such objects, old ones among them.
 */
enum held { HELD_NOTHING, HELD_AGED, HELD_OLD };

/* The object's words on the card at lo. */
static enum held look_at_object(struct look *l, struct sm_span *s, uintptr_t object, uintptr_t end,
				uintptr_t lo)
{
	uintptr_t from = object > lo ? object : lo;

	end = end < lo + SM_CARD_BYTES ? end : lo + SM_CARD_BYTES;
	if (!sm_mark_test(&l->gc->gen.aged, object))
		return HELD_NOTHING;
	if (!sm_mark_test(&l->gc->range, object))
		return HELD_AGED;
	sm__scan_range(l->k, s->layout, (const uintptr_t *)object, (const uintptr_t *)from,
		       (const uintptr_t *)end, SM_HOW_ATOMIC);
	return HELD_OLD;
}

static enum held look_at_large(struct look *l, struct sm_span *s, uintptr_t lo)
{
	uintptr_t start = sm_span_base(&l->gc->range, s), end;

	/* The head of a span that does not reach so far, or is another's by now: nothing aged is
	 * there, or nothing here. */
	if (lo - start >= sm_span_bytes(s) || s->layout == NULL)
		return HELD_NOTHING;
	end = sm__pointers_end(s, start);
	return look_at_object(l, s, start, end, lo);
}

/* Does an aged object begin on the card at lo, which has a byte of a word of the map? */
static bool any_aged_begins(const struct sm_gc *gc, uintptr_t lo)
{
	uint64_t word = sm_load_relaxed(sm_mark_word(&gc->gen.aged, lo));

	return (uint8_t)(word >> ((lo - gc->gen.aged.base) >> SM_MARK_SHIFT & 63)) != 0;
}

static enum held look_at_small(struct look *l, struct sm_span *s, uintptr_t lo)
{
	uintptr_t base = sm_span_base(&l->gc->range, s);
	uint32_t slot = (uint32_t)(((lo - base) * (uint64_t)s->recip) >> 32);
	enum held most = HELD_NOTHING;
	uint32_t last = s->nslots;

	/* Most cards are those of new objects. */
	if (!any_aged_begins(l->gc, lo))
		last = slot + 1;
	for (; slot < last; slot++) {
		uintptr_t object = base + (uintptr_t)slot * s->slot_bytes;
		enum held held;

		if (object >= lo + SM_CARD_BYTES)
			break;
		held = look_at_object(l, s, object, object + s->slot_bytes, lo);
		most = held > most ? held : most;
	}
	return most;
}

/*
 * A span that an aged object lies in holds still while a cycle marks. Others may come into being
 * right now, on cards that are set from what lay there before: their maps are clear, and state is
 * read with acquire, so their fields are there.
 */
static enum held look_at_card(struct look *l, uintptr_t lo)
{
	struct sm_span *s = &l->gc->range.spans[(lo - l->gc->range.base) >> SM_UNIT_SHIFT];

	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	switch (sm_load_acquire(&s->state)) {
	case SM_SPAN_SMALL: return look_at_small(l, s, lo);
	case SM_SPAN_LARGE: return look_at_large(l, s, lo);
	default: return HELD_NOTHING;
	}
}

/* ---- the walk ----------------------------------------------------------------------------- */

static void visit_card(struct look *l, size_t card)
{
	_Atomic(uint8_t) *at = &l->gc->remember.cards[card];
	uint8_t was = sm_load_relaxed(at);
	enum held held;

	if (was == 0)
		return;
	held = look_at_card(l, l->gc->range.base + (card << SM_CARD_SHIFT));
	l->cards += held == HELD_OLD;
	/* Fails if a store has set it anew. */
	(void)sm_cas_relaxed(at, &was,
			     was == SM_CARD_STORED && held != HELD_NOTHING ? SM_CARD_SEEN : 0);
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

/* The cards at which nothing aged lies, eight together: cleared, unless a store has set one anew.
 */
static bool clear_eight(struct look *l, size_t card, uint64_t was)
{
	_Atomic(uint64_t) *at = (_Atomic(uint64_t) *)&l->gc->remember.cards[card];
	uintptr_t lo = l->gc->range.base + (card << SM_CARD_SHIFT);

	if (sm_load_relaxed(sm_mark_word(&l->gc->gen.aged, lo)) != 0 ||
	    aged_reaches_over(l->gc, lo))
		return false;
	return sm_cas_relaxed(at, &was, 0);
}

/* Asks for what eight cards hold, if they will be looked at. */
static void ask_for_eight(struct look *l, size_t card)
{
	uint64_t set = sm_load_relaxed((const _Atomic(uint64_t) *)&l->gc->remember.cards[card]);
	const char *lo = (const char *)l->gc->range.base + (card << SM_CARD_SHIFT);

	if (set == 0 || sm_load_relaxed(sm_mark_word(&l->gc->gen.aged, (uintptr_t)lo)) == 0)
		return;
	for (; set != 0; set >>= 8, lo += SM_CARD_BYTES) {
		if ((set & 0xff) == 0)
			continue;
		SM_PREFETCH_R(lo);
		SM_PREFETCH_R(lo + SM_CACHELINE);
	}
}

/* Eight at a time: a word of the maps has as many, and a unit some words. */
static void visit_cards(void *ctx, size_t from, size_t end)
{
	struct look *l = ctx;
	const unsigned shift = SM_UNIT_SHIFT - SM_CARD_SHIFT;

	for (size_t card = from << shift; card < end << shift; card += 8) {
		uint64_t set =
			sm_load_relaxed((const _Atomic(uint64_t) *)&l->gc->remember.cards[card]);

		if (card + AHEAD < end << shift)
			ask_for_eight(l, card + AHEAD);
		if (set == 0 || clear_eight(l, card, set))
			continue;
		for (unsigned i = 0; i < 8; i++)
			visit_card(l, card + i);
	}
}

uint64_t sm__remember_mark(struct sm_gc *gc, struct sm_marker *k)
{
	struct look l = {.gc = gc, .k = k};

	sm__gen_each_reached(gc, visit_cards, &l);
	return l.cards;
}
