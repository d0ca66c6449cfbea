/*
 * remember_cards.c: gc.remember=cards: one byte for 128 bytes of the heap's range.
 *
 * A store of a pointer into an object sets the byte of its slot to CARD_STORED, whatever the age of
 * the object and of what it points to: no test but that the slot is no root's. While no cycle
 * marks, that is done where the store is compiled (sm_store, of gc.h). A minor cycle looks, card by
 * card, at the objects in those that are set, the old ones, and there at the words that lie in the
 * card: of a large array 16 words.
 *
 *     store        minor cycle        minor cycle
 *       -> STORED ------------> SEEN ------------> 0      a store meanwhile: STORED again
 *                    looked at          looked at
 *
 * A card has one looker in a cycle, of whichever thread (remember.h).
 *
 * A store that races with the look finds its STORED lowered to SEEN, or its card cleared before it
 * sets it. STORED is lowered by a plain store, for SEEN is enough for such a store. SEEN is cleared
 * by an exchange, which fails if a store set STORED in between: so the byte is never lowered twice
 * for one look. Where nothing on a card has lived through a sweep, it is cleared by a plain store
 * whatever it is, many together: an X there will be old in n + 2 at the earliest, and n + 1 reads
 * all of it. A major cycle looks at no card, nor does it change one: a card may count for longer,
 * never for less.
 */
#include "collector/generations/remember_internal.h"

#include <errno.h>

#include "allocator/os/os.h"
#include "collector/mark/scan_internal.h"

static size_t cards_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes >> SM_CARD_SHIFT;
}

static int init(struct sm_gc *gc, char *err, size_t errlen)
{
	(void)err;
	(void)errlen;
	gc->remember.cards = sm__os_map(cards_bytes(gc));
	return gc->remember.cards != NULL ? 0 : -ENOMEM;
}

static void fini(struct sm_gc *gc)
{
	if (gc->remember.cards != NULL)
		sm__os_unmap((void *)gc->remember.cards, cards_bytes(gc));
}

static size_t card_of(const struct sm_gc *gc, uintptr_t addr)
{
	return (addr - gc->range.base) >> SM_CARD_SHIFT;
}

static void raise_cards(struct sm_gc *gc, uintptr_t from, uintptr_t end, uint8_t value)
{
	for (size_t card = card_of(gc, from); card <= card_of(gc, end - 1); card++)
		if (sm_load_relaxed(&gc->remember.cards[card]) < value)
			sm_store_relaxed(&gc->remember.cards[card], value);
}

/* Bytes of one card lie on two, where the copy begins elsewhere on its own. */
static void moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes)
{
	uintptr_t end = from + bytes, next;

	for (uintptr_t at = from; at < end; at = next) {
		uint8_t value = sm_load_relaxed(&gc->remember.cards[card_of(gc, at)]);

		next = sm_align_up(at + 1, SM_CARD_BYTES);
		next = next < end ? next : end;
		if (value != 0)
			raise_cards(gc, to + (at - from), to + (next - from), value);
	}
}

/* One that stays set is looked at in vain. */
static void drop(struct sm_gc *gc)
{
	(void)sm__os_release((void *)gc->remember.cards, cards_bytes(gc));
}

_Static_assert(SM_CARD_SHIFT == SM_MARK_SHIFT + 3,
	       "a page of cards for a page of the map of the aged");

static void give_back(struct sm_gc *gc, uintptr_t from, uintptr_t end)
{
	(void)sm__os_release((void *)&gc->remember.cards[card_of(gc, from)],
			     (end - from) >> SM_CARD_SHIFT);
}

static bool has(const struct sm_gc *gc, uintptr_t slot)
{
	return sm_load_relaxed(&gc->remember.cards[card_of(gc, slot)]) != 0;
}

/* ---- the walk ----------------------------------------------------------------------------- */

_Static_assert(SM_CARD_BYTES >> SM_MARK_SHIFT == 8, "eight cards have a word of the maps");

#define AHEAD 16 /* cards from one that is looked at to those that are asked for */

static void visit_card(struct sm_look *l, size_t card)
{
	_Atomic(uint8_t) *at = &l->gc->remember.cards[card];
	uintptr_t lo = l->gc->range.base + (card << SM_CARD_SHIFT);
	uint8_t was = sm_load_relaxed(at);
	enum sm_held held;

	if (was == 0)
		return;
	held = sm__look_at(l, lo, lo + SM_CARD_BYTES);
	l->found += held == SM_HELD_OLD;
	l->bytes += held == SM_HELD_OLD ? SM_CARD_BYTES : 0;
	if (held == SM_HELD_NOTHING)
		sm_store_relaxed(at, 0);
	else if (was == SM_CARD_STORED)
		sm_store_relaxed(at, SM_CARD_SEEN);
	else
		(void)sm_cas_relaxed(at, &was, 0); /* fails if a store has set it anew */
}

SM_INLINE _Atomic(uint64_t) *eight_cards(const struct sm_gc *gc, size_t card)
{
	return (_Atomic(uint64_t) *)&gc->remember.cards[card];
}

/* The cards at which nothing aged lies, eight together, are cleared. */
static bool clear_eight(struct sm_look *l, size_t card)
{
	if (!sm__none_aged(l->gc, l->gc->range.base + (card << SM_CARD_SHIFT), 1))
		return false;
	sm_store_relaxed(eight_cards(l->gc, card), 0);
	return true;
}

/* Is there nothing to look at on a unit's cards? They are clear then: most units of a large heap
 * have no card that is set, or hold what is new alone. */
static bool pass_unit(struct sm_look *l, size_t unit)
{
	_Atomic(uint64_t) *cards = eight_cards(l->gc, unit << (SM_UNIT_SHIFT - SM_CARD_SHIFT));
	uint64_t set = 0;

	for (unsigned i = 0; i < SM_UNIT_MARK_WORDS; i++)
		set |= sm_load_relaxed(&cards[i]);
	if (set == 0)
		return true;
	if (!sm__none_aged(l->gc, l->gc->range.base + (unit << SM_UNIT_SHIFT), SM_UNIT_MARK_WORDS))
		return false;
	for (unsigned i = 0; i < SM_UNIT_MARK_WORDS; i++)
		sm_store_relaxed(&cards[i], 0);
	return true;
}

/* Asks for what eight cards hold, if they will be looked at. */
static void ask_for_eight(struct sm_look *l, size_t card)
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
static void visit_unit(struct sm_look *l, size_t unit)
{
	size_t card = unit << (SM_UNIT_SHIFT - SM_CARD_SHIFT), end = card + 8 * SM_UNIT_MARK_WORDS;

	for (; card < end; card += 8) {
		if (card + AHEAD < end)
			ask_for_eight(l, card + AHEAD);
		if (sm_load_relaxed(eight_cards(l->gc, card)) == 0 || clear_eight(l, card))
			continue;
		for (unsigned i = 0; i < 8; i++)
			visit_card(l, card + i);
	}
}

static void look(struct sm_look *l, const struct sm_part *p)
{
	for (size_t unit = p->from; unit < p->end; unit++) {
		if (!pass_unit(l, unit))
			visit_unit(l, unit);
	}
	l->bytes += (p->end - p->from) << (SM_UNIT_SHIFT - SM_CARD_SHIFT);
}

const struct sm_remember_kind sm__remember_cards = {
	.name = "cards",
	.what = "cards",
	.store = 1,
	.barrier = SM__BARRIER_REMEMBER,
	.unit_bytes = SM_UNIT >> SM_CARD_SHIFT,
	.init = init,
	.fini = fini,
	.moved = moved,
	.give_back = give_back,
	.drop = drop,
	.begin = sm__walk_begin,
	.take = sm__walk_take,
	.look = look,
	.has = has,
};
