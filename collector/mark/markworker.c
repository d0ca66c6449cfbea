/*
 * markworker.c: mark workers: dedicated, fractional, idle.
 *
 *   control: epoch odd ----> worker wakes, counts as active, drains --> nothing left: leaves, parks
 *                                  ^                                            |
 *                                  +------- a packet is put: woken <------------+
 *   control: epoch even ---> worker counts itself out; the last one wakes the control thread
 *
 * A worker may wake so late that the marking is over. The control thread waits for workers that
 * have come to leave, and for none to come.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "collector/mark/markworker.h"
#include "allocator/os/osthread.h"
#include "collector/cycle/gc_internal.h"

static bool marking(struct sm_gc *gc, uint32_t epoch)
{
	return sm_load_seqcst(&gc->worker_epoch) == epoch;
}

/* Sleeps until there may be work or the marking is over. Not active. */
static void park_worker(struct sm_gc *gc, uint32_t epoch)
{
	struct sm_workq *q = &gc->workq;
	uint32_t seq = sm__event_prepare(&q->work);

	/* Raised before load is looked at: sm__workq_put does the two in the other order. */
	atomic_fetch_add_explicit(&q->parked, 1, memory_order_seq_cst);
	if (sm__workq_queued(q) == 0 && marking(gc, epoch))
		sm__event_wait(&q->work, seq, 0);
	else
		sm__event_cancel(&q->work);
	atomic_fetch_sub_explicit(&q->parked, 1, memory_order_seq_cst);
}

/* A fractional worker marks this many bytes, then sleeps until its share of the time is kept. */
#define FRACTION_BYTES (64 * SM_KIB)

static void rest_worker(struct sm_gc *gc, uint64_t worked_ns)
{
	unsigned percent = gc->config.tuning.fractional;
	uint64_t ns = worked_ns * (100 - percent) / percent;

	nanosleep(&(struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)}, NULL);
}

/* Marks what there is; a fractional worker only a little of it. Not active afterwards. */
static void mark_some(struct sm_mark_worker *w)
{
	static const enum sm_phase phases[] = {SM_PHASE_MARK, SM_PHASE_MARK_FRACTIONAL,
					       SM_PHASE_MARK_IDLE};
	struct sm_gc *gc = w->gc;
	bool fractional = w->kind == SM_WORKER_FRACTIONAL;
	uint64_t since = fractional ? sm__now_ns() : 0;

	sm__marker_here(&w->marker);
	sm__workq_enter(&gc->workq);
	if (sm__workq_queued(&gc->workq)) {
		sm_phase_enter(phases[w->kind]);
		sm__mark_drain(&w->marker, fractional ? FRACTION_BYTES : 0);
		sm__marker_give(&w->marker);
		sm_phase_leave(phases[w->kind]);
	}
	sm__workq_leave(&gc->workq, false);
	if (fractional)
		rest_worker(gc, sm__now_ns() - since);
}

/* One cycle's marking. A worker that woke too late touches nothing, its CPU time included: the
 * control thread waited for those that were counted in while the epoch was theirs, and reads
 * without a lock. */
static void mark_cycle(struct sm_mark_worker *w, uint32_t epoch)
{
	struct sm_gc *gc = w->gc;
	uint64_t t0 = sm__thread_ns();

	if (!marking(gc, epoch))
		return;
	do {
		mark_some(w);
		park_worker(gc, epoch);
	} while (marking(gc, epoch));
	w->cpu_ns += sm__thread_ns() - t0;
}

static const char *const roles[] = {"mark", "mark-fractional", "mark-idle"};

static void *worker_main(void *arg)
{
	struct sm_mark_worker *w = arg;
	struct sm_gc *gc = w->gc;
	uint32_t seen = 0;

	pthread_setname_np(pthread_self(), "sm-mark");
	/* Refused, an idle worker is an ordinary one: more marking than was asked for, nothing
	 * worse. */
	if (w->kind == SM_WORKER_IDLE)
		(void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){0});
	if (gc->config.worker_start)
		gc->config.worker_start(gc->config.worker_ctx, w->index, roles[w->kind]);
	sm__cpu_avoid_ready(&w->cpu_avoid);
	for (;;) {
		uint32_t seq = sm__event_prepare(&gc->workers_go);
		uint32_t epoch = sm_load_seqcst(&gc->worker_epoch);

		if (sm_load_seqcst(&gc->workers_quit)) {
			sm__event_cancel(&gc->workers_go);
			break;
		}
		if (epoch % 2 == 0 || epoch == seen) {
			sm__event_wait(&gc->workers_go, seq, 0);
			continue;
		}
		sm__event_cancel(&gc->workers_go);
		seen = epoch;
		/* A worker that wakes too late finds the epoch moved on: mark_cycle does nothing
		 * then. Counted in before the epoch is looked at again, so the control thread,
		 * which moves the epoch first and looks at the count after, waits for every worker
		 * that may still mark. */
		atomic_fetch_add_explicit(&gc->workers_in, 1, memory_order_seq_cst);
		mark_cycle(w, epoch);
		if (sm_fetch_sub_acqrel(&gc->workers_in, 1) == 1)
			sm__event_signal(&gc->workers_out);
	}
	if (gc->config.worker_stop)
		gc->config.worker_stop(gc->config.worker_ctx, w->index, roles[w->kind]);
	return NULL;
}

int sm__workers_start(struct sm_gc *gc)
{
	for (unsigned i = 0; i < gc->nall_workers; i++) {
		struct sm_mark_worker *w = &gc->workers[i];
		int err;

		w->gc = gc;
		/* control, finalizer and scavenger have the three indexes behind the dedicated
		 * workers. */
		w->index = i < gc->nworkers ? i : i + 3;
		w->kind = i < gc->nworkers				      ? SM_WORKER_DEDICATED
			  : i == gc->nworkers && gc->config.tuning.fractional ? SM_WORKER_FRACTIONAL
									      : SM_WORKER_IDLE;
		err = sm__marker_init(&w->marker, gc, i % gc->nnodes);
		if (err)
			return err;
		w->marker.donating = gc->nall_workers > 1;
		err = sm__os_thread(&w->thread, worker_main, w);
		if (err) {
			sm__marker_fini(&w->marker);
			return err;
		}
		w->started = true;
	}
	return 0;
}

/* gc->quit is set, and the control thread has ended. */
void sm__workers_stop(struct sm_gc *gc)
{
	sm_store_seqcst(&gc->workers_quit, 1);
	sm__event_signal(&gc->workers_go);
	for (unsigned i = 0; i < gc->nall_workers; i++) {
		struct sm_mark_worker *w = &gc->workers[i];

		if (w->started && !sm_load_relaxed(&gc->forked))
			pthread_join(w->thread, NULL);
		if (w->started)
			sm__marker_fini(&w->marker);
	}
}

void sm__workers_begin(struct sm_gc *gc)
{
	for (unsigned i = 0; i < gc->nall_workers; i++) {
		struct sm_mark_worker *w = &gc->workers[i];

		/* The worker is asleep; it sees these by the epoch. */
		w->cpu_ns = 0;
		w->marker.plain = gc->plain_marks;
	}
	sm_store_relaxed(&gc->workq.hungry, 0);
	sm_store_seqcst(&gc->worker_epoch, sm_load_relaxed(&gc->worker_epoch) + 1);
	sm__event_signal(&gc->workers_go);
}

void sm__workers_end(struct sm_gc *gc, struct sm_mark_counts *n)
{
	sm_store_seqcst(&gc->worker_epoch, sm_load_relaxed(&gc->worker_epoch) + 1);
	sm__event_signal(&gc->workq.work);
	while (sm_load_seqcst(&gc->workers_in) != 0) {
		uint32_t seq = sm__event_prepare(&gc->workers_out);

		if (sm_load_seqcst(&gc->workers_in) == 0) {
			sm__event_cancel(&gc->workers_out);
			break;
		}
		sm__event_wait(&gc->workers_out, seq, 0);
	}
	for (unsigned i = 0; i < gc->nall_workers; i++)
		sm__mark_counts_add(n, &gc->workers[i].marker.n);
}
