/*
 * weak.h: weak references, and how the objects that marking has not reached are let go beside
 * mutators that may still ask for one.
 *
 * A weak reference is a cell beside the heap, which the program frees. When a FLUSH round has found
 * nothing, everything reachable is black; but a mutator may still get a white object, from a weak
 * reference. So white objects are let go in steps that no mutator waits for:
 *
 *   marking: a get that finds its object white marks it, by the door (mark.h)
 *      |
 *      |  drained, nothing found since the round began: the door shuts, in one exchange (workq.h)
 *      v
 *   shut: a get that finds its object white finds the door shut, and answers NULL; the control
 *   thread clears weak
 *      |  references and ephemerons of white objects, and takes finalizers of white objects aside
 *      |                                                 |
 *      |  finalizers were found: a NONE round            |  none was: BARRIER_OFF
 *      v                                                 v
 *   open again: their objects are marked, and what       over
 *   they lead to; there is no second decision
 *
 * Why it is right. The door is one word with the count of those who mark: a get that marks has
 * entered before it shut, and the exchange fails; one that comes later sees it shut. While it is
 * shut no thread marks, all that a mutator can reach or record is black (the argument of FLUSH in
 * cycle.c), and what is born is black. So the colour of each object is fixed, and is the same
 * answer for the control thread and for any get, in whichever order they reach a reference.
 *
 * A get has no safepoint in it. So no get that has read a reference before it was cleared lasts
 * over the NONE round: what is marked after it, a resurrected object, is handed out by no weak
 * reference.
 *
 * One decision a cycle is enough. Of the white objects every reference was cleared, every finalizer
 * taken. What is made later, a weak reference or a finalizer, is made for an object that a mutator
 * holds: a black one. (tests/model/decide.pml checks this, and refutes its variants.)
 *
 * gc.mode=stw: the same with the world stopped, so that no mutator asks.
 */
#ifndef SM_COLLECTOR_WEAK_H
#define SM_COLLECTOR_WEAK_H

#include "collector/roots/cell.h"
#include "collector/mark/mark.h"

struct sm_mutator;

struct sm_weak {
	struct sm_cell cell;
	_Atomic(uintptr_t) object; /* 0: it was let go */
};

void sm__weaks_init(struct sm_gc *gc);
void sm__weaks_fini(struct sm_gc *gc);
/* Clears those of white objects. Control thread; the door is shut. */
void sm__weaks_clear(struct sm_gc *gc);
/* For the verifier, with the world stopped: all that are not cleared. */
void sm__weaks_each(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx);
/*
 * object was read from a weak place by m, whose barrier is on, and there was no safepoint since.
 * True: it lives, and may be handed out. False: it is being let go.
 */
bool sm__weak_keep(struct sm_mutator *m, uintptr_t object);

#endif
