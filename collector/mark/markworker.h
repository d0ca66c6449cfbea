/*
 * markworker.h: threads that mark while mutators run.
 */
#ifndef SM_COLLECTOR_MARKWORKER_H
#define SM_COLLECTOR_MARKWORKER_H

#include <pthread.h>

#include "collector/mark/cpu_avoid.h"
#include "collector/mark/mark.h"

enum sm_worker_kind { SM_WORKER_DEDICATED, SM_WORKER_FRACTIONAL, SM_WORKER_IDLE };

struct sm_mark_worker {
	struct sm_gc *gc;
	pthread_t thread;
	unsigned index; /* as config.worker_start gets it */
	enum sm_worker_kind kind;
	bool started;
	struct sm_cpu_avoid cpu_avoid;
	struct sm_marker marker;
	uint64_t cpu_ns; /* owner; read by the control thread after the cycle's end */
} __attribute__((aligned(SM_CACHELINE)));

/* 0 or -errno; workers that were started stay until sm__workers_stop, which waits for them. */
int sm__workers_start(struct sm_gc *gc);
void sm__workers_stop(struct sm_gc *gc);
/* The marking begins: wakes the workers. Control thread, as sm__workers_end. */
void sm__workers_begin(struct sm_gc *gc);
/* All workers have left the marking when this returns; their counts are added to *n. */
void sm__workers_end(struct sm_gc *gc, struct sm_mark_counts *n);

#endif
