/*
 * finalizer.h: objects with a function to be called once they are unreachable.
 *
 *   SET --white when marking has ended--> TAKEN --marked--> QUEUED --> RUNNING --> done
 *
 * A finalizer is a cell; SET ones are found by their object (cell_index.h). SET holds the object
 * weakly; QUEUED and RUNNING ones are roots. TAKEN ones are the control thread's own: they are
 * queued only when their objects are marked, for the finalizer thread may run them at once, and
 * store an object that is white somewhere while no thread may mark (weak.h).
 *
 * Roots. The cells are looked through before stacks are scanned (push_roots). An object that leaves
 * the queue afterwards is marked; one that left it before was on the finalizer thread's stack,
 * unscanned, when it was stored anywhere, so that the barrier recorded it.
 *
 * Locks. One, for sections of a few steps each, whatever the number of finalizers: the control
 * thread looks through the cells without it, and takes it for each finalizer that it takes.
 */
#ifndef SM_COLLECTOR_FINALIZER_H
#define SM_COLLECTOR_FINALIZER_H

#include <pthread.h>

#include "allocator/base/lock.h"
#include "allocator/base/futex.h"
#include "collector/roots/cell_index.h"
#include "collector/mark/mark.h"

struct sm_finalizer;

struct sm_finalizers {
	struct sm_cells cells;
	/* control thread, while the door is shut; in order of setting */
	struct sm_finalizer *taken;
	struct sm_lock lock; /* rank SM_RANK_GC_FINALIZERS */
	/* under lock */
	struct sm_cell_index index;		 /* the SET ones */
	struct sm_finalizer *queue, *queue_last; /* waiting to be run */
	uint64_t order;				 /* of the last that was set */
	uint64_t queued, ran;			 /* since creation */
	bool quit, have_thread;
	pthread_t thread;
	/* itself */
	struct sm_event work; /* something was queued, or ran, or quit */
};

void sm__finalizers_init(struct sm_gc *gc);
/* Ends the thread, after the finalizer that it is running. */
void sm__finalizers_stop(struct sm_gc *gc);
/* Runs nothing more; disposes of the contexts of those that have not run. */
void sm__finalizers_fini(struct sm_gc *gc);
/* Marks the objects of those that wait to be run. Control thread. */
void sm__finalizers_roots(struct sm_gc *gc, struct sm_marker *k);
/* Takes those of white objects; false: there are none. Control thread; the door is shut. */
bool sm__finalizers_take(struct sm_gc *gc);
/* Marks the objects of the taken ones and queues them. The caller counts in workq.active. */
void sm__finalizers_resurrect(struct sm_gc *gc, struct sm_marker *k);
/* For the verifier, with the world stopped: the objects of those that wait to be run, or run. */
void sm__finalizers_each_queued(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object),
				void *ctx);

#endif
