/*
 * finalizer.h: objects of which the collector must know more: those with finalizers, and those that weak
 * references point to. Both are kept beside the heap, in tables under one lock.
 *
 *   finalizer:  set --(object found unreachable, resurrected)--> queued --> run by the finalizer thread
 *
 * The tables hold their objects weakly; the queue is a root. A cycle asks sm__specials_process once no
 * grey object is left (see cycle.c): it clears weak references to white objects, queues finalizers of white
 * objects and marks those objects. Both in one critical section, so that sm_weak_get, which takes the
 * same lock, sees either an object that is going to live, or NULL.
 */
#ifndef SM_COLLECTOR_FINALIZER_H
#define SM_COLLECTOR_FINALIZER_H

#include <pthread.h>

#include "allocator/base/lock.h"
#include "allocator/base/futex.h"
#include "collector/mark.h"

struct sm_finalizer;
struct sm_weak;

struct sm_specials {
	struct sm_lock lock;		   /* rank SM_RANK_GC_SPECIALS; guards everything but the event */
	struct sm_finalizer *first, *last; /* set, in that order */
	struct sm_finalizer **table;	   /* by object */
	size_t nset, ntable;		   /* ntable: a power of two, or 0 */
	struct sm_finalizer *queue, *queue_last; /* waiting to be run: a root */
	struct sm_finalizer *running;		 /* a root, too */
	uint64_t queued, ran;
	struct sm_weak *weaks;
	struct sm_event work; /* something was queued, or ran, or quit */
	bool quit, have_thread;
	pthread_t thread;
};

void sm__specials_init(struct sm_specials *s);
/* Runs nothing more; ends the thread. */
void sm__specials_fini(struct sm_gc *gc);
void sm__specials_stop(struct sm_gc *gc);
/* The queue's objects, as roots. */
void sm__specials_roots(struct sm_gc *gc, struct sm_marker *k);
/*
 * See above. The door is shut: nobody marks. Returns the number of objects resurrected; if there are any, they are grey
 * and the door is open again.
 */
unsigned sm__specials_process(struct sm_gc *gc, struct sm_marker *k);
/* For the verifier, with the world stopped: the queue, and all weak references that are not cleared. */
void sm__specials_each_queued(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx);
void sm__specials_each_weak(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx);

#endif
