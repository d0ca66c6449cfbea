/* armed_slots.c: slots that point into candidates: noting them, and finding them by candidate. */
#include <string.h>

#include "allocator/objects/shape.h"
#include "allocator/os/os.h"
#include "collector/compact/armed_internal.h"

#define WORD sizeof(uintptr_t)

/* ---- noting ------------------------------------------------------------------------------- */

static struct sm_slot_block *map_block(void)
{
	struct sm_slot_block *b = sm__os_map(sizeof(*b));

	for (size_t i = 1; b != NULL && i < SM_SLOT_CHUNKS; i++)
		b->chunk[i - 1].next = &b->chunk[i];
	return b;
}

/* NULL: there is no more. */
static struct sm_slot_chunk *take_chunk(struct sm_armed *a)
{
	struct sm_slot_block *b = NULL;
	struct sm_slot_chunk *c;
	bool may;

	sm_lock_acquire(&a->lock);
	c = a->free;
	if (c != NULL)
		a->free = c->next;
	may = c == NULL && a->nblocks < a->most;
	a->nblocks += may;
	sm_lock_release(&a->lock);
	if (c != NULL)
		return c;
	if (!may || (b = map_block()) == NULL) {
		sm_store_release(&a->lost, 1);
		return NULL;
	}
	sm_lock_acquire(&a->lock);
	b->next = a->blocks;
	a->blocks = b;
	b->chunk[SM_SLOT_CHUNKS - 1].next = a->free;
	a->free = b->chunk[0].next;
	sm_lock_release(&a->lock);
	return &b->chunk[0];
}

void sm__armed_give(struct sm_gc *gc, struct sm_slot_chunk **c)
{
	struct sm_armed *a = &gc->armed;
	struct sm_slot_chunk **to = &a->full;

	if (*c == NULL)
		return;
	sm_lock_acquire(&a->lock);
	/* A few go into the last one, or threads that come and go would take a chunk each. */
	if (a->full != NULL && a->full->n + (*c)->n <= SM_SLOT_CHUNK) {
		memcpy(&a->full->at[a->full->n], (*c)->at, (*c)->n * sizeof((*c)->at[0]));
		a->full->n += (*c)->n;
		to = &a->free;
	}
	(*c)->next = *to;
	*to = *c;
	sm_lock_release(&a->lock);
	*c = NULL;
}

void sm__armed_note(struct sm_gc *gc, struct sm_slot_chunk **at, uintptr_t slot, uintptr_t value)
{
	struct sm_slot_chunk *c = *at;

	if (c != NULL && c->at[c->n - 1].slot == slot && c->at[c->n - 1].value == value)
		return;
	if (c == NULL || c->n == SM_SLOT_CHUNK) {
		sm__armed_give(gc, at);
		if ((c = take_chunk(&gc->armed)) == NULL)
			return;
		c->n = 0;
		*at = c;
	}
	c->at[c->n++] = (struct sm_slot){slot, value};
}

/* ---- by candidate ------------------------------------------------------------------------- */

/* Was this noted before? No: not that this table knows. Programs store to few slots often. */
static bool was_seen(struct sm_armed *a, uintptr_t slot, uint32_t candidate)
{
	struct sm_slot *at = &a->seen[(slot / WORD * 0x9e3779b97f4a7c15u >> 32) % SM_SLOTS_SEEN];

	if (at->slot == slot && at->value == candidate)
		return true;
	*at = (struct sm_slot){slot, candidate};
	return false;
}

/* In chunks of their own, that stay; NULL: no memory. */
static struct sm_slot *keep(struct sm_armed *a)
{
	if (a->kept == NULL || a->kept->n == SM_SLOT_CHUNK) {
		a->kept = take_chunk(a);
		if (a->kept == NULL)
			return NULL;
		a->kept->n = 0;
	}
	return &a->kept->at[a->kept->n++];
}

static void index_chunk(struct sm_gc *gc, const struct sm_slot_chunk *c)
{
	struct sm_armed *a = &gc->armed;

	for (const struct sm_slot *e = c->at; e < c->at + c->n; e++) {
		uint32_t i = a->index[(e->value - gc->range.base) >> SM_UNIT_SHIFT];
		struct sm_candidate *to;
		struct sm_slot *new;
		uintptr_t word;

		/* Of one that is done, or was let go. */
		if (i == 0)
			continue;
		word = sm__armed_word(gc, e);
		if (was_seen(a, word, i))
			continue;
		new = keep(a);
		if (new == NULL)
			return;
		to = &a->candidate[i - 1];
		*new = (struct sm_slot){word, (uintptr_t)to->slots};
		to->slots = new;
		to->nslots++;
	}
}

/* What is noted meanwhile is for the next time: it may be as much. */
void sm__armed_index(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;
	struct sm_slot_chunk *c, *next;

	sm_lock_acquire(&a->lock);
	c = a->full;
	a->full = NULL;
	sm_lock_release(&a->lock);
	for (; c != NULL; c = next) {
		next = c->next;
		index_chunk(gc, c);
		a->n.slots_noted += c->n;
		sm_lock_acquire(&a->lock);
		c->next = a->free;
		a->free = c;
		sm_lock_release(&a->lock);
	}
}

void sm__armed_forget_slots(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;
	struct sm_slot_block *b;

	sm_lock_acquire(&a->lock);
	b = a->blocks;
	a->blocks = NULL;
	a->full = a->free = a->own = a->kept = NULL;
	a->nblocks = 0;
	sm_lock_release(&a->lock);
	while (b != NULL) {
		struct sm_slot_block *next = b->next;

		sm__os_unmap(b, sizeof(*b));
		b = next;
	}
	sm_store_relaxed(&a->lost, 0);
}

/* ---- what a word is ----------------------------------------------------------------------- */

uint64_t sm__pointer_bits(const struct sm_gc *gc, const struct sm_span *s, uintptr_t p, size_t from,
			  size_t n)
{
	size_t first;
	uint64_t bits = 0;

	if (s->layout->kind != SM_SCAN_MIXED)
		return sm__layout_bits(s->layout, from, n);
	first = (p - sm_span_base(&gc->range, s)) / WORD + from;
	for (size_t i = 0; i < n; i++)
		bits |= (sm_load_relaxed(&s->pointers[(first + i) / 64]) >> ((first + i) % 64) & 1)
			<< i;
	return bits;
}

/* The span of objects that addr lies in; NULL: it lies elsewhere. */
static struct sm_span *span_at(const struct sm_range *r, uintptr_t addr)
{
	struct sm_span *s;
	uint8_t state;

	if (!sm_range_contains(r, addr))
		return NULL;
	s = &r->spans[(addr - r->base) >> SM_UNIT_SHIFT];
	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	return state == SM_SPAN_SMALL || state == SM_SPAN_LARGE ? s : NULL;
}

enum sm_slot_kind sm__armed_slot_kind(const struct sm_gc *gc, uintptr_t slot)
{
	const struct sm_span *s = span_at(&gc->range, slot);
	uintptr_t object;
	uint32_t i;

	if (s == NULL || slot % WORD != 0)
		return SM_SLOT_NONE;
	i = sm_span_slot(&gc->range, s, slot);
	if (i >= s->nslots || (sm_load_relaxed(&s->alloc[i / 64]) >> (i % 64) & 1) == 0)
		return SM_SLOT_NONE;
	object = sm_span_base(&gc->range, s) + (uintptr_t)i * s->slot_bytes;
	if (sm__pointer_bits(gc, s, object, (slot - object) / WORD, 1) == 0)
		return SM_SLOT_NONE;
	return s->layout->kind == SM_SCAN_CONSERVATIVE ? SM_SLOT_DOUBTFUL : SM_SLOT_EXACT;
}
