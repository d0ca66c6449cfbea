/*
 * ephemeron.h: pairs whose value is alive while the key is (Hayes, "Ephemerons: a new finalization
 * mechanism", OOPSLA 1997). That a value leads back to its key, or is the key, keeps neither.
 *
 * Each is a cell beside the heap, which the program frees. When the queues are empty, and before
 * the round that would end marking, all ephemerons that wait, with white keys so far, are looked
 * at: the values of those whose keys have become black are marked, and marking goes on. That alone
 * is quadratic for chains, where each value leads to the next key. So when a pass wakes less than a
 * quarter of those that wait, the control thread traces what the values lead to by itself, an
 * object at a time, and asks a table of the waiting keys for each object it marks: one pass does
 * the rest of the chain. Passes that wake a quarter or more are a geometric series. So the work is
 * linear in ephemerons and in what their values lead to, however they hang together; but for a pass
 * for each round in which mutators bring something white, which they do finitely often.
 *
 * The looks are made after sm__workq_calm and before the round: if nothing has been marked when
 * the door shuts, each ephemeron's key was white or its value black at that moment too. Then those
 * of white keys are cleared, as weak references are and by the same argument (weak.h); a key that a
 * finalizer resurrects has lost them.
 *
 * The barrier. A value that a mutator holds when it makes an ephemeron is recorded as if stored
 * (insertion): its own stack may have to be scanned yet, and may have dropped it then. What get
 * hands out is marked.
 */
#ifndef SM_COLLECTOR_EPHEMERON_H
#define SM_COLLECTOR_EPHEMERON_H

#include "collector/roots/cell.h"
#include "collector/mark/mark.h"

struct sm_ephemeron {
	struct sm_cell cell;
	_Atomic(uintptr_t) key;	  /* 0: it was let go; the value means nothing then */
	_Atomic(uintptr_t) value; /* written before the cell comes into use */
	/* control thread */
	uint32_t waiting; /* number of the next that waits, 0: none */
	uint32_t chain;	  /* number of the next of its bucket */
};

struct sm_ephemerons {
	struct sm_cells cells;
	/* control thread, while marking */
	bool listed;
	uint32_t waiting; /* those with white keys, so far as known */
	uint64_t nwaiting;
	uint32_t *table; /* by key, while tracing */
	size_t table_size;
	uint64_t looks; /* at ephemerons, in this cycle: what the tests bound */
};

void sm__ephemerons_init(struct sm_gc *gc);
void sm__ephemerons_fini(struct sm_gc *gc);
/* A cycle's marking begins. */
void sm__ephemerons_begin(struct sm_gc *gc);
/* See above. True: something was marked, and given to the queues. Control thread; the queues are
 * drained. */
bool sm__ephemerons_settle(struct sm_gc *gc, struct sm_marker *k);
/* Clears those of white keys. Control thread; the door is shut. */
void sm__ephemerons_clear(struct sm_gc *gc);

/* For the verifier and the inspector, with the world stopped: all that are not cleared, by key. */
struct sm_pairs {
	struct sm_pair {
		uintptr_t key, value;
	} * at;
	size_t n, bytes;
};

/* False: no memory for them; there are none then. */
bool sm__pairs_gather(struct sm_gc *gc, struct sm_pairs *pairs);
void sm__pairs_drop(struct sm_pairs *pairs);
/* Calls fn with the value of each that has this key. */
void sm__pairs_of(const struct sm_pairs *pairs, uintptr_t key,
		  void (*fn)(void *ctx, uintptr_t key, uintptr_t value), void *ctx);

#endif
