/*
 * armed_internal.h: what choosing, noting and slices share.
 */
#ifndef SM_COLLECTOR_ARMED_INTERNAL_H
#define SM_COLLECTOR_ARMED_INTERNAL_H

#include "collector/compact/compact_internal.h"

/* What a word is, by what lies there now. */
enum sm_slot_kind { SM_SLOT_NONE, SM_SLOT_EXACT, SM_SLOT_DOUBTFUL };

SM_INLINE struct sm_span *sm__candidate_span(const struct sm_gc *gc, const struct sm_candidate *c)
{
	return &gc->range.spans[c->unit];
}

/* armed_slots.c: all that was noted and handed over goes to the candidates' lists. */
void sm__armed_index(struct sm_gc *gc);
void sm__armed_forget_slots(struct sm_gc *gc);
/* armed.c: the tables, and what was noted. */
void sm__armed_forget(struct sm_gc *gc);
/* Which of up to 64 words from `from` on of the object at p of s are pointers, or may be. */
uint64_t sm__pointer_bits(const struct sm_gc *gc, const struct sm_span *s, uintptr_t p, size_t from,
			  size_t n);
enum sm_slot_kind sm__armed_slot_kind(const struct sm_gc *gc, uintptr_t slot);

/* armed_beside.c. Notes all that leads into candidates from beside the heap, before the first
 * slice. */
void sm__armed_note_beside(struct sm_gc *gc);
void sm__armed_forget_beside(struct sm_gc *gc);
/* Hands over what threads noted that added roots. */
void sm__armed_give_roots(struct sm_gc *gc);
/* What becomes of a note: a slot, or a word that says which object stays. */
uintptr_t sm__armed_word(struct sm_gc *gc, const struct sm_slot *e);
/* Pins what such a word says; false: it is a slot. */
bool sm__armed_pin_word(struct sm_move *v, uintptr_t word);
/* A slot beside the heap. False: its range went, so all ranges have to be patched. */
bool sm__armed_patch_beside(struct sm_gc *gc, uintptr_t slot);
void sm__armed_patch_ranges(struct sm_gc *gc);

/* armed_choose.c: c is a candidate no more. Its span goes back with so many objects. */
void sm__armed_drop(struct sm_gc *gc, struct sm_candidate *c, unsigned in_use);

/* Free slots of a node's bin: spans of it, linked by next, that are the control thread's. */
struct sm_room {
	uint32_t first;
	unsigned word; /* where to look on in the first */
	size_t free;   /* in all of them */
	size_t wanted; /* by the slice's objects */
};

/* What a slice is about, and what is known from those before. */
struct sm_slicer {
	struct sm_move v;
	size_t from, to;  /* candidates of the slice */
	size_t objects;	  /* in them */
	uintptr_t *slots; /* that were noted with one of them */
	size_t nslots, slots_room;
	struct sm_room *rooms;	  /* as v.bins */
	uint32_t filled;	  /* spans without room, linked by next */
	double fixed_ns, work_ns; /* of a slice without its batch; of a unit of work */
	uint64_t longest_ns;
	unsigned errors;
};

/* armed_batch.c. The next candidates, with slots and room; false: there are none left. */
bool sm__slice_take(struct sm_slicer *z);
/* Room for n more slots. False: no memory. */
bool sm__slice_reserve(struct sm_slicer *z, size_t n);
struct sm_room *sm__slice_room(struct sm_slicer *z, const struct sm_span *s);
/* A free slot, allocated; there is one. */
struct sm_span *sm__slice_take_slot(struct sm_slicer *z, struct sm_room *room, uint32_t *slot);
void sm__slice_give_rooms(struct sm_slicer *z);

#endif
