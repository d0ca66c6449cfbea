/*
 * compact.h: compaction: objects move together, so that spans, and whole huge pages, come free.
 * What follows is said of gc.compact=full; armed.h has what is different where objects move a few
 * at a time (gc.compact=auto|force).
 *
 * gc.compact=full is the simple kind, and the one to compare others with. The control thread does
 * all of it, between two cycles, with the world stopped:
 *
 *   sm_collect_compact -> a full cycle, swept
 *     -> stop: every window goes back, so every span is on a central list, and swept
 *     -> pin    what may not move                                     (compact_pin.c)
 *     -> plan   spans to be evacuated, the rest takes what they hold  (compact_plan.c)
 *     -> copy   to free slots of the same bin; the old slot's first word says where to
 *     -> patch  every word that may hold an address of what moved     (compact_patch.c)
 *     -> give the evacuated spans back, go on
 *
 * A read barrier would be needed by a program that runs while only some words are patched. None
 * does: so there is none, and no cost when nothing is compacted.
 *
 * Why no word is missed. Objects are reached by words of three kinds:
 *
 *   exact      words of objects that their layout calls pointers, registered roots, handles, weak
 *              references, ephemerons, finalizers. All of them are gone through and patched, those
 *              of dead objects that no sweep has found yet, too. The table of finalizers is by
 *              address: it is made anew where an address changed.
 *   doubtful   stacks, registers, thread ranges, objects of a conservative type: they cannot be
 *              patched, for they may be no addresses. What they lead to is pinned: an object that
 *              such a word points to or into, also from one byte behind it (a loop's end) and up to
 *              SM_PIN_BEFORE bytes in front (compilers count from there), and which is the only
 *              trace of the object that a thread may have kept.
 *   none       other memory. A program that keeps an address elsewhere (a hash of it, a copy in
 *              malloc's memory) pins the object, or finds it by something else.
 *
 * A mutator stands still at a safepoint, in which it holds no address but on its stack and in its
 * callee-saved registers, which lie on its stack then: between a load and the store of what was
 * loaded there is no safepoint, or the address is pinned. One in a blocking section is in the
 * system, or in code that touches no object: what it may use when it leaves is what it had when it
 * entered, in its place or in the copy that entering made (mutator.c): both are looked at. A thread
 * that attaches waits until the world goes on; one that detaches does so before or after. A thread
 * that is not attached holds no object; it may compare what a handle gives, which is a word that is
 * patched by one store.
 *
 * Nothing else holds an address. Between two cycles barrier buffers and packets are empty, no mark
 * bit is set, no window is open, no finalizer is TAKEN, and a mutator that sets one (or makes a
 * handle or a weak reference) has no safepoint on its way. compact.c checks the first of these.
 *
 * Pins. Mark bits are all clear between two cycles, and no thread reads them: while the world
 * stands still they say which objects are pinned. They are cleared before it goes on. With
 * gc.generations they are not clear: there pins have a map of the same shape.
 *
 * Pinned objects keep their span: it is not evacuated, but filled up. A span with one object of an
 * unmovable type has nothing else. Large objects and mapped files do not move.
 *
 * Fork. A child must not get a heap that is half patched: `lock` is held while objects move, and by
 * a thread that forks, which therefore waits (fork.c).
 *
 * debug.fill (and gc.verify, which adds a walk before and after): evacuated spans become
 * inaccessible until the next compaction, so a word that was missed faults; without, their slots
 * look like those of any object that died.
 */
#ifndef SM_COLLECTOR_COMPACT_H
#define SM_COLLECTOR_COMPACT_H

#include "allocator/base/lock.h"
#include "allocator/pages/span.h"
#include "collector/roots/cell_index.h"
#include "collector/mutator/stall.h"
#include "spanmark/gc.h"

/* So far in front of an object a word pins it. Slots have as many bytes at least. */
#define SM_PIN_BEFORE 16

/* Objects that the program has pinned: cells by object, each with a handle that keeps it alive. */
struct sm_pins {
	struct sm_cells cells;
	struct sm_lock lock;	    /* rank SM_RANK_GC_PINS */
	struct sm_cell_index index; /* under lock */
};

/* Is told of a compaction before its first stop and when memory has gone back, by the control
 * thread, with mutators running. */
typedef void sm__compaction_fn(void *ctx, bool begins);

struct sm_compact {
	struct sm_lock lock; /* rank SM_RANK_GC_COMPACT; see above */
	/* [number % 2] the youngest cycle behind which objects are to move: the one that is on, and
	 * the one that is asked for meanwhile; under control_lock */
	_Atomic(uint64_t) wanted[2];
	/* fixed after creation: the heap's range, pins are among its marks; with gc.generations,
	 * where marks stay, with a map of its own in place of them */
	struct sm_range pinned;
	/* control thread */
	uint64_t cpu_from;    /* its CPU time when the stop began */
	uint32_t shut, nshut; /* evacuated spans that are inaccessible, linked by next; 0: none */
	_Atomic(uint32_t) failed; /* the last one had no memory for its tables */
	/* set before the first compaction */
	sm__compaction_fn *told;
	void *told_ctx;
	/* under stats_lock */
	struct sm_gc_compact_stats stats;
	struct sm_stall_hist slices;
};

void sm__compact_init(struct sm_gc *gc);
/* The map of pins, when the heap's range is known. -ENOMEM. */
int sm__compact_map_pins(struct sm_gc *gc, char *err, size_t errlen);
void sm__compact_unmap_pins(struct sm_gc *gc);
void sm__pins_init(struct sm_gc *gc);
void sm__pins_fini(struct sm_gc *gc);
/* Calls fn for each object that the program has pinned; beside mutators some more, or less. */
void sm__pins_each(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx);

/* Has fn told of the compactions; before there is one. */
void sm__compactions_tell(struct sm_gc *gc, sm__compaction_fn *fn, void *ctx);

/* Control thread, when the cycle is swept: moves objects, if that was asked for or is due, and
 * chooses which are to move behind the next one. */
void sm__compact_behind(struct sm_gc *gc);

/* For the verifier, while the world is stopped after a move: does addr lie in an object's slot from
 * which the object has gone? */
bool sm__compact_has_left(const struct sm_gc *gc, uintptr_t addr);

#endif
