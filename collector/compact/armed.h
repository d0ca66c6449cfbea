/*
 * armed.h: compaction by slices (gc.compact=auto|force): objects leave sparse spans a few at a
 * time, while the program runs in between.
 *
 *   behind a sweep     candidates are chosen, and held: no cache allocates there  (armed_choose.c)
 *   the next cycle,    the marker notes each slot that points into one;           (markdirect.c)
 *   the armed one      so does the barrier, which stays on behind it              (barrier.c)
 *   behind its sweep   the slots are put in order, by candidate                   (armed_slots.c)
 *   slice by slice     a few candidates: the world stops, stacks are scanned, what they hit is
 *                      pinned, the rest is copied, the noted slots of these candidates are
 *                      patched, the world goes on                                 (armed_slice.c)
 *   at the end         the barrier goes off, what is left of the candidates goes back
 *
 * As in compact.h no mutator runs while only some words are patched: a slice brings all of its
 * candidates to their end. What differs is how words are found: there all of the heap is gone
 * through, here a slot must have been noted.
 *
 * Why no slot is missed. Claim: at a slice each pointer slot of an allocated object that holds an
 * address in a candidate is noted, with that candidate. Let T be the end of the round that turns
 * the barrier on in the armed cycle; candidates are chosen, and known to every mutator, before it
 * begins. Look at the last store to the slot.
 *
 *   Behind T, or by a mutator that had acknowledged: the barrier noted it: sm_store, sm_cas,
 *   sm_exchange, and what is made of them, all call note_slot (initialising stores are no
 *   exception, docs/API.md), whoever made the object and whatever its colour. It does so before it
 *   stores; no safepoint lies between, so no slice.
 *
 *   Before: then the slot has held that address since T, and the object has been there since
 *   before BLACK, so it was not born black: it is dead, and its memory free when slices begin, or
 *   it was marked and scanned. The scan began behind BLACK, read that address and noted it. Every
 *   way in which an object is scanned notes (sm__scan_edge): armed cycles have a loop of their own,
 *   marking by span rests; pieces of large objects, the overflow path and tracing ask.
 *
 *   By a slice, that copied the object or patched the slot: a slot that is patched leads to an
 *   object's new place, which is in no candidate. One of an object that was copied is noted again,
 *   by its new address, if it leads to a candidate that is left.
 *
 * A slot holds one address, so if it was noted with several candidates, that of the last store is
 * among them. Noted slots are with the mutator that noted them, or further on, and a slice looks at
 * all: a mutator that it stops stands at a safepoint, one that detached handed its own over. One
 * that attaches takes the view of the latest round, so its barrier is on. (tests/model/slice.pml
 * has a marker, two mutators and two slices, and shows what each of these rules is for.)
 *
 * Why no word is changed that is no pointer. Between note and slice an object may have died, and
 * its memory be another's. So a noted slot counts for what it is when its slice comes: a word of an
 * allocated object that its layout calls a pointer, and that holds an address in one of the slice's
 * candidates. Of a conservative object such a word pins what it leads to.
 *
 * Beside the heap (roots, handles, weak references, ephemerons, finalizers, pins) words are noted,
 * too: by one walk before the first slice, beside mutators, and by who makes an entry behind T. So
 * a slice looks at what leads to its candidates, however large the tables are (armed_beside.c).
 * Stacks alone are gone through at each.
 *
 * Pins are by slot: an object that may not move stays, its span with it, and the others leave.
 *
 * gc.generations. An armed cycle is a major one (sm__gen_begin): a minor one would scan no old
 * object, and note none of its slots; and only a major one finds all dead, as the claim has it. The
 * control thread runs the slices before it begins the next cycle, however long that has been
 * wanted: so candidates are held from one sweep to behind the next, and no minor cycle comes
 * between. No card is looked at meanwhile, and none is set by halves: the barrier notes the slot,
 * sets the card and stores, in whatever order, between two safepoints, so a slice finds all of that
 * or nothing. Age and cards of what moves: generation.h, remember.h.
 *
 * Blocked threads, fork: as in compact.h: `lock` is held while the world is stopped, so a child is
 * made between two slices, when the heap is whole. There nothing is noted any more, and candidates
 * that were left keep their objects.
 *
 * Memory. Notes are 16 bytes; what is noted again and again is kept once, mostly. Beyond a limit,
 * or when memory is refused, `lost` is set, and nothing more moves: what has moved was whole.
 */
#ifndef SM_COLLECTOR_ARMED_H
#define SM_COLLECTOR_ARMED_H

#include "allocator/base/lock.h"
#include "collector/mutator/stall.h"
#include "spanmark/gc.h"

/* A pointer slot that was seen to hold `value`. In a candidate's list that is the next one's
 * address instead. */
struct sm_slot {
	uintptr_t slot, value;
};

/* A range of roots that was there when tables were gone through. number: of its cell; 0: of
 * several that overlap. */
struct sm_root_at {
	uintptr_t start;
	size_t nwords;
	uint64_t number;
};

/* A chunk is 4 KiB; they are mapped in blocks. */
#define SM_SLOT_CHUNK  255
#define SM_SLOT_CHUNKS 63
#define SM_SLOTS_SEEN  262144u
struct sm_slot_chunk {
	struct sm_slot_chunk *next;
	size_t n;
	struct sm_slot at[SM_SLOT_CHUNK];
};
struct sm_slot_block {
	struct sm_slot_block *next;
	struct sm_slot_chunk chunk[SM_SLOT_CHUNKS];
};

struct sm_candidate {
	uint32_t unit; /* of its span; 0: not any more */
	uint32_t nslots;
	struct sm_slot *slots;
};

struct sm_armed {
	/* slots are noted: from before the armed cycle's first round until the slices are done */
	_Atomic(uint32_t) on;
	_Atomic(uint32_t) lost; /* a note was, so nothing more may move */

	struct sm_lock lock; /* rank SM_RANK_GC_SLOTS */
	/* under lock */
	struct sm_slot_chunk *full, *free; /* full: handed over, not yet in lists */
	struct sm_slot_block *blocks;
	size_t nblocks, most; /* mapped, and so many may be */

	/* control thread */
	struct sm_slot_chunk *own;  /* what slices note */
	struct sm_slot_chunk *kept; /* of candidates' lists, being filled */
	struct sm_slot *seen;	    /* slots with candidates that are in lists; some of them */
	struct sm_candidate *candidate;
	size_t ncandidates, room; /* room: in the table */
	uint32_t *index;	  /* [unit] candidate + 1 */
	struct sm_root_at *roots; /* by start */
	size_t nroots, roots_room;
	uint64_t beside;	/* words beside the heap that slices looked at: what tests bound */
	uint64_t plans;		/* that were made to choose: what tests bound */
	struct sm_compaction n; /* so far */
	bool release;		/* memory is to go back to the system at once */
};

void sm__armed_init(struct sm_gc *gc);
void sm__armed_fini(struct sm_gc *gc);

/* Notes that slot gets, or was seen with, value, in chunks of *c. */
void sm__armed_note(struct sm_gc *gc, struct sm_slot_chunk **c, uintptr_t slot, uintptr_t value);
/* The chunk that is being filled goes to the common list. */
void sm__armed_give(struct sm_gc *gc, struct sm_slot_chunk **c);

/* Words that become roots while slots are noted; any thread. */
void sm__armed_root_added(struct sm_gc *gc, const uintptr_t *start, size_t nwords);

/* Control thread. The next cycle is about to begin: it is armed, if there are candidates. */
void sm__armed_begin(struct sm_gc *gc);
/* With all lists swept: candidates, too. */
void sm__armed_sweep(struct sm_gc *gc);
/* Objects leave the candidates, if the cycle was armed. */
void sm__armed_evacuate(struct sm_gc *gc);
/* Chooses candidates, if so many per cent of the heap come free; 0: in any case. -ENOMEM. */
int sm__armed_choose(struct sm_gc *gc, unsigned percent);

#endif
