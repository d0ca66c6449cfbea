/* compact_copy.c: objects of evacuated spans go to free slots of the others. */
#include <string.h>

#include "allocator/objects/mixed.h"
#include "collector/compact/compact_internal.h"

/* Free slots of a bin's spans, from the fullest on. */
struct room {
	const struct sm_plan_bin *bin;
	size_t at; /* spans [at, n) have been filled, but the one at `at` perhaps */
	unsigned word;
};

static struct sm_span *room_span(const struct sm_move *v, const struct room *room)
{
	return sm__plan_span(v->gc, &room->bin->spans[room->at]);
}

bool sm__compact_take_slot(struct sm_span *s, unsigned *word, uint32_t *slot)
{
	for (; *word < (s->nslots + 63u) / 64; ++*word) {
		uint64_t used = sm_load_relaxed(&s->alloc[*word]);
		unsigned i = used == ~(uint64_t)0 ? 64 : (unsigned)__builtin_ctzll(~used);

		*slot = *word * 64 + i;
		if (i == 64 || *slot >= s->nslots)
			continue;
		sm_store_relaxed(&s->alloc[*word], used | (uint64_t)1 << i);
		sm_store_relaxed(&s->nalloc, (uint16_t)(sm_load_relaxed(&s->nalloc) + 1));
		return true;
	}
	return false;
}

/* A free slot, allocated; there is one. */
static struct sm_span *take_slot(struct sm_move *v, struct room *room, uint32_t *slot)
{
	for (;;) {
		struct sm_span *s = room_span(v, room);

		if (sm__compact_take_slot(s, &room->word, slot))
			return s;
		SM_CHECK(room->at > room->bin->evacuated);
		room->at--;
		room->word = 0;
	}
}

/* Of a span of mixed layouts: which words are pointers goes with the object. */
static void copy_bits(const struct sm_move *v, const struct sm_span *from, uintptr_t old,
		      struct sm_span *to, uintptr_t new)
{
	size_t a = (old - sm_span_base(&v->gc->range, from)) / sizeof(uintptr_t),
	       b = (new - sm_span_base(&v->gc->range, to)) / sizeof(uintptr_t);

	for (size_t i = 0; i < from->slot_bytes / sizeof(uintptr_t); i++) {
		uint64_t bit = sm_load_relaxed(&from->pointers[(a + i) / 64]) >> ((a + i) % 64) & 1,
			 mask = (uint64_t)1 << ((b + i) % 64);
		_Atomic(uint64_t) *word = &to->pointers[(b + i) / 64];

		sm_store_relaxed(word, (sm_load_relaxed(word) & ~mask) | (bit ? mask : 0));
	}
}

uintptr_t sm__compact_copy_to(struct sm_move *v, const struct sm_span *from, uint32_t slot,
			      struct sm_span *to, uint32_t free_slot)
{
	const struct sm_range *r = &v->gc->range;
	char *old = sm_span_slot_address(r, from, slot),
	     *new = sm_span_slot_address(r, to, free_slot);

	memcpy(new, old, from->slot_bytes);
	if (from->pointers != NULL)
		copy_bits(v, from, (uintptr_t)old, to, (uintptr_t) new);
	*(uintptr_t *)old = (uintptr_t) new;
	if (sm__gen_on(v->gc))
		sm__gen_moved(v->gc, (uintptr_t)old, (uintptr_t) new, from->slot_bytes);
	v->n.moved_objects++;
	v->n.moved_bytes += from->slot_bytes;
	return (uintptr_t) new;
}

static void copy_object(struct sm_move *v, struct room *room, struct sm_span *from, uint32_t slot)
{
	uint32_t free_slot;
	struct sm_span *to = take_slot(v, room, &free_slot);

	(void)sm__compact_copy_to(v, from, slot, to, free_slot);
}

void sm__compact_copy(struct sm_move *v)
{
	for (size_t i = 0; i < v->nbins; i++) {
		struct sm_plan_bin *b = &v->bins[i];
		struct room room = {.bin = b, .at = b->n ? b->n - 1 : 0};

		for (size_t k = 0; k < b->evacuated; k++) {
			struct sm_span *s = sm__plan_span(v->gc, &b->spans[k]);

			for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
				for (uint64_t bits = sm_load_relaxed(&s->alloc[w]); bits;
				     bits &= bits - 1)
					copy_object(v, &room, s,
						    w * 64 + (unsigned)__builtin_ctzll(bits));
		}
	}
}

/* ---- where an object is ------------------------------------------------------------------- */

uintptr_t sm__compact_moved_to(const struct sm_gc *gc, uintptr_t word)
{
	struct sm_span *s;
	uint32_t slot;
	uintptr_t old;

	/* A free slot: a word of a dead object, or a stale one. */
	if (!sm__slot_at(&gc->range, word, &s, &slot))
		return word;
	old = sm_span_base(&gc->range, s) + (uintptr_t)slot * s->slot_bytes;
	/* Pinned, in a span that the others leave. */
	if (sm_mark_test(&gc->compact.pinned, old))
		return word;
	return *(const uintptr_t *)old + (word - old);
}

bool sm__compact_has_left(const struct sm_gc *gc, uintptr_t addr)
{
	struct sm_span *s;
	uint32_t slot;

	return sm__unit_has(gc, addr, SM_UNIT_EVACUATED) &&
	       sm__slot_at(&gc->range, addr, &s, &slot) &&
	       !sm_mark_test(&gc->compact.pinned,
			     sm_span_base(&gc->range, s) + (uintptr_t)slot * s->slot_bytes);
}
