/*
 * generation.h: gc.generations: cycles between two full ones mark what is young alone.
 *
 * Mark bits are sticky (Demers et al., "Combining generational and conservative garbage
 * collection", 1990): an old object keeps its bit from cycle to cycle, so that a marker finds it
 * marked and goes no farther. No object moves for its age. An object is old after it has lived
 * through two sweeps (as in Lua 5.4): what was born while a cycle marked, and what happened to be
 * in use then, gets another chance to die. So there are two maps of one shape:
 *
 *     mark  aged                                       a cycle's sweep: aged' = mark
 *      0     0    young, never swept                                    mark' = mark and aged
 *      0     1    young, has lived through a sweep
 *      1     1    old; or, while a cycle marks, reached
 *      1     0    while a cycle marks: reached, or born black
 *
 *   minor cycle   marks from roots, stacks and the remembered set (remember.h); of an object that
 *                 is old nothing is read but what lies on a set card. The sweep frees what has no
 *                 mark: young and unreached.
 *   major cycle   first all mark bits are cleared, then it is a cycle as any.
 *
 * What a minor cycle may miss: nothing that is alive. All that is reachable at T (barrier.c: the
 * end of the BLACK round) is old, or is reached by a path of which consider the last old object:
 * from there on all are young. The path's next edge is on a set card (remember.h), or begins at a
 * root or a stack, and each further edge is that of a young object, white at T: marked as in any
 * cycle, with the same barrier. An old object is black with edges to white ones: those of set
 * cards are grey until the card has been looked at, and what is overwritten in it meanwhile the
 * deletion barrier records. What it does keep: old objects that are dead, and what they lead to,
 * until the next major cycle.
 *
 * Birth costs nothing more: a slot that is free has neither bit, for the sweep that freed it left
 * both clear. (But windows of CPUs, cache.mode=cpu, may hold slots that are black and swept: what
 * is born there is aged, or old. No argument asks that a new object be young.)
 *
 * Clearing. Before a major cycle's door opens no thread marks, and after an empty round none
 * sweeps: the control thread clears the maps' words meanwhile. Windows are white, so none goes back
 * by clearing bits.
 *
 * Weak references, ephemerons and finalizers stand beside the heap and are gone through by every
 * cycle: an old object counts as alive.
 *
 * With gc.mark=spans, scans follows the marks: what is old needs no scan.
 *
 * Compaction (compact.h, armed.h) moves objects between two cycles, with the world stopped: no
 * thread marks, sweeps or stores then, and no card is looked at. A moved object takes its bits of
 * both maps along, so it is as old as it was, and the slots that it left have none, as slots that
 * are free. What its words on cards lead to remains remembered (remember.h). Pins, which are mark
 * bits otherwise, have a map of their own.
 *
 * Memory. The map of the aged, and the kind's of what is remembered, are memory where the heap was
 * in use. Behind a compaction, which gives the heap's memory back, pages of both go back that stand
 * for places at which nothing aged lies: of `aged` they are zero, and what they remember is of
 * objects that have not lived through a sweep, which the next look would drop unread (remember.h):
 * this is that look, before its time. None sweeps, so no word of `aged` is written meanwhile; a
 * store that comes meanwhile sets its card before it is dropped, which is as good as never, for its
 * object is not aged before the next sweep, or behind it, in a page that is there again.
 *
 * An armed cycle, in which the slots that lead to what will move are noted, is a major one: a minor
 * one scans no old object, and would note none of its slots.
 *
 * gc.generations=auto (genchoice.h): they go on and off between two cycles, while no thread marks
 * and, after a handshake round, none sweeps. Off is as if there were none: the round clears the
 * mutators' bit, so that a store is one compare; then all marks are cleared, and all ages, and a
 * sweep clears marks as it does without. The maps' memory goes back to the system.
 *
 * On again, with cycle C. The round sets every mutator's bit before C's door opens, so every store
 * from T(C) on sets its card (remember.h). All are young: C's sweep finds nothing aged, so C + 1
 * finds nothing old and is a full cycle whatever it is called; it is a major one, for the pacer's
 * sake. The first cycle that may have old objects is C + 2. An edge from X, old, to Y that was made
 * before T(C), when no card was set for it, is one of T(C): X, which lived through C + 1 and was
 * not born after T(C) (else the store that made the edge came after), was marked by C and C + 1,
 * and so was Y each time; or the edge was overwritten in between, and where it was made anew a card
 * tells. So Y is old with X. All other edges the argument of remember.h covers. Cards that an
 * earlier time left behind are set in vain.
 */
#ifndef SM_COLLECTOR_GENERATION_H
#define SM_COLLECTOR_GENERATION_H

#include "allocator/pages/span.h"
#include "collector/generations/genchoice.h"
#include "spanmark/heap.h"

struct sm_gc;
struct sm_cycle;

struct sm_generations {
	/* fixed after creation */
	bool made;
	struct sm_range aged; /* the heap's, with the map of aged objects in place of marks */
	/* [number % 2] the youngest cycle that is to be a major one: as compact.wanted */
	_Atomic(uint64_t) full_wanted[2];
	_Atomic(size_t) old_bytes; /* of the spans swept in this cycle */
	unsigned minors_in_a_row;  /* up to now; control thread */

	/* cycles are generational, or so the next one will be: control thread, while none marks
	 * and none sweeps */
	_Atomic(uint32_t) on;
	/* control thread, for gc.generations=auto */
	struct sm_gen_choice choice;
	unsigned young;	 /* so many cycles until something can be old, these are major ones */
	uint64_t cpu_ns; /* CPU time of the process when the last cycle was judged */
	size_t lived;	 /* .. and what was left behind it */
};

/* -ENOTSUP: gc.remember does not go with this kernel; -ENOMEM. err says which. */
int sm__gen_init(struct sm_gc *gc, char *err, size_t errlen);
void sm__gen_fini(struct sm_gc *gc);

/* What its maps take of memory for a unit of the heap. */
size_t sm__gen_unit_bytes(const struct sm_gc *gc);

/* A cycle has begun: is it a minor one? All is swept, and it is armed or not. Control thread, under
 * control_lock. */
void sm__gen_begin(struct sm_gc *gc, struct sm_cycle *c);
/* The next cycle is to be a major one: when it is due is set anew. Control thread. */
void sm__gen_next_is_major(struct sm_gc *gc);
/* Before a cycle opens its door, and all is swept: generations go on or off, if it was decided so.
 * Control thread. */
void sm__gen_switch(struct sm_gc *gc);
/* The cycle was paced: may the next one be minor, and does it pay? Control thread. */
void sm__gen_judge(struct sm_gc *gc, struct sm_cycle *c);
/* No object is marked any more. Control thread; no thread marks, none sweeps. */
void sm__gen_forget(struct sm_gc *gc);

/* A compaction has moved objects, and no thread has swept since mutators last acknowledged. Control
 * thread, before the next cycle. */
void sm__gen_give_back(struct sm_gc *gc);

/* The sweep of a span that belongs to the caller: ages its objects. marks: its slots that live,
 * `live` in number; returned: others may have mark bits. */
void sm__gen_sweep_span(struct sm_gc *gc, const struct sm_span *s, const uint64_t *marks,
			unsigned live, bool returned);

/* An object of so many bytes has moved; the world is stopped. And all of a span's have gone. */
void sm__gen_moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes);
void sm__gen_left(struct sm_gc *gc, const struct sm_span *s);

/* All units that the heap has reached. Takes the nodes' locks for as long as it reads their bounds.
 */
struct sm_gen_runs {
	struct {
		size_t from, end;
	} run[2 * SM_MAX_NODES];
	unsigned n;
};
void sm__gen_reached(struct sm_gc *gc, struct sm_gen_runs *runs);
/* Tells fn of the runs, without a lock held. */
void sm__gen_each_reached(struct sm_gc *gc, void (*fn)(void *ctx, size_t from, size_t end),
			  void *ctx);

#endif
