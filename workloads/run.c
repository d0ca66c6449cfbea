/*
 * run.c: the threads of a run, and what it reports; its timed part is in timed.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/pin.h"
#include "spanmark/stack.h"
#include "workloads/backend.h"
#include "workloads/counting.h"
#include "workloads/run_internal.h"
#include "workloads/trace/trace.h"

__thread struct sm_thread_exit *sm__thread_exit;

struct sm_thread *sm_run_thread(struct sm_run *run)
{
	return &run->thread0;
}

enum sm_wl_backend sm_run_backend(const struct sm_run *run)
{
	return run->job->backend;
}

const struct sm_params *sm_run_params(const struct sm_run *run)
{
	return run->job->params;
}

unsigned sm_run_threads(const struct sm_run *run)
{
	return run->nthreads;
}

struct sm_gc *sm_run_gc(struct sm_run *run)
{
	return run->gc;
}

bool sm_run_moves(const struct sm_run *run)
{
	return run->compacts;
}

/* ---- failures and reports ----------------------------------------------------------------- */

int sm_run_fail(struct sm_run *run, int err, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&run->lock);
	if (run->error == 0) {
		va_start(ap, fmt);
		vsnprintf(run->sample->error, sizeof(run->sample->error), fmt, ap);
		va_end(ap);
		run->error = err;
	}
	pthread_mutex_unlock(&run->lock);
	return err;
}

void sm_run_out_of_memory(struct sm_thread *t, size_t bytes)
{
	sm_run_fail(t->run, -ENOMEM, "out of memory: an object of %zu bytes was refused", bytes);
	longjmp(sm__thread_exit->env, 1);
}

/* Appends text to a growing string, by any thread; a failure to do so fails the run. */
static void append(struct sm_run *run, char **to, const char *fmt, va_list ap)
{
	va_list again;
	char *grown;
	size_t old;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	pthread_mutex_lock(&run->lock);
	old = *to != NULL ? strlen(*to) : 0;
	grown = len < 0 ? NULL : realloc(*to, old + (size_t)len + 1);
	if (grown != NULL) {
		vsnprintf(grown + old, (size_t)len + 1, fmt, ap);
		*to = grown;
	}
	pthread_mutex_unlock(&run->lock);
	if (grown == NULL)
		sm_run_fail(run, -ENOMEM, "out of memory for the run's output");
}

void sm_run_print(struct sm_run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(run, &run->sample->output, fmt, ap);
	va_end(ap);
}

void sm_run_warn(struct sm_run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(run, &run->sample->warnings, fmt, ap);
	va_end(ap);
}

void sm_run_ops(struct sm_run *run, uint64_t ops)
{
	run->have_ops = true;
	run->ops = ops;
}

static void add_result(struct sm_run *run, enum sm_result_id what, bool has_value, double value,
		       const char *reason)
{
	struct sm_result r = {.name = sm_results[what].name,
			      .unit = sm_results[what].unit,
			      .has_value = has_value,
			      .value = value,
			      .reason = reason};

	if (sm_sample_add_result(run->sample, &r) != 0)
		sm_run_fail(run, -ENOMEM, "out of memory for results");
}

void sm_run_result(struct sm_run *run, enum sm_result_id what, double value)
{
	add_result(run, what, true, value, "");
}

void sm_run_result_none(struct sm_run *run, enum sm_result_id what, const char *reason)
{
	add_result(run, what, false, 0, reason);
}

/* ---- threads ------------------------------------------------------------------------------ */

int sm__run_seat(struct sm_run *run, const struct sm_seat *seat, const char *who)
{
	char why[160];
	int err;

	if (seat == NULL || seat->cpu < 0)
		return 0;
	err = sm_pin_thread(seat->cpu, why, sizeof(why));
	return err == 0 ? 0 : sm_run_fail(run, err, "%s: %s", who, why);
}

/* A CPU may have gone offline, or out of our cpuset: what was measured since is not what was asked
 * for. */
void sm__run_seat_check(struct sm_run *run, const struct sm_seat *seat, const char *who)
{
	char why[160];

	if (seat != NULL && seat->cpu >= 0 && sm_pin_verify(seat->cpu, why, sizeof(why)) != 0)
		sm_run_fail(run, -EIO, "%s: %s", who, why);
}

static const struct sm_seat *seat_of(const struct sm_run *run, unsigned index)
{
	return run->job->mutators != NULL ? &run->job->mutators[index] : NULL;
}

int sm__thread_start(struct sm_thread *t, struct sm_run *run, unsigned index)
{
	const struct sm_seat *seat = seat_of(run, index);
	char who[32];
	int err;

	memset(t, 0, sizeof(*t));
	t->run = run;
	t->index = index;
	sm_rng_seed(&t->rng, run->job->seed, index);
	snprintf(who, sizeof(who), "mutator %u", index);
	err = sm__run_seat(run, seat, who);
	if (err != 0)
		return err;
	if (run->gc != NULL) {
		t->m = sm_mutator_attach(run->gc);
		if (t->m == NULL)
			return sm_run_fail(run, -errno, "%s: cannot attach to the collector: %s",
					   who, strerror(errno));
	}
	if (run->job->backend == SM_WL_BDWGC && index > 0 && !sm_bdwgc_thread_start())
		return sm_run_fail(run, -EAGAIN, "%s: bdwgc does not take it", who);
	t->moves = sm__run_simulated(run) ? -1 : sm_pin_moves();
	t->began_ns = sm_clock_ns();
	sm__counting_thread_start(run->counting, "mutator", index, seat);
	sm__trace_thread_start(run->trace, "mutator", index);
	return 0;
}

/* Each move costs tens of microseconds of cold caches: so many a second are some thousandths. */
#define MOVES_A_SECOND 50

static void check_moves(const struct sm_thread *t, const struct sm_seat *seat)
{
	bool pinned = seat != NULL && seat->cpu >= 0;
	double seconds = (double)(sm_clock_ns() - t->began_ns) * 1e-9;
	long moves = t->moves >= 0 ? sm_pin_moves() - t->moves : 0;

	if (pinned && moves > 0)
		sm_run_warn(t->run, "mutator %u is pinned, but was moved between CPUs %ld times\n",
			    t->index, moves);
	else if (moves >= 10 && (double)moves > MOVES_A_SECOND * seconds)
		sm_run_warn(t->run,
			    "mutator %u moved between CPUs %ld times, %.0f a second; --place pins "
			    "it\n",
			    t->index, moves, (double)moves / seconds);
}

void sm__thread_stop(struct sm_thread *t)
{
	char who[32];

	snprintf(who, sizeof(who), "mutator %u", t->index);
	sm__run_seat_check(t->run, seat_of(t->run, t->index), who);
	sm__trace_thread_stop(t->run->trace);
	sm__counting_thread_stop(t->run->counting);
	check_moves(t, seat_of(t->run, t->index));
	if (t->m != NULL)
		sm_mutator_detach(t->m);
	t->m = NULL;
	if (t->run->job->backend == SM_WL_BDWGC && t->index > 0)
		sm_bdwgc_thread_stop();
}

/* The gate at which threads wait until all are ready; then it opens, or with `abort`, sends them
 * home. */
struct crew {
	struct sm_run *run;
	int (*fn)(struct sm_thread *t, void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned ready, working; /* under lock */
	bool open, abort;	 /* under lock */
};

struct member {
	struct crew *crew;
	pthread_t id;
	unsigned index;
	int err; /* read after the thread was joined */
};

/* Blocking for the collector's eyes, where there is one. */
static void blocking(struct sm_thread *t, bool enter)
{
	if (t->m == NULL)
		return;
	if (enter)
		sm_blocking_enter(t->m);
	else
		sm_blocking_leave(t->m);
}

int sm_run_collect(struct sm_thread *t)
{
	struct sm_gc *gc = sm_run_gc(t->run);
	int err = sm_collect_compact(gc, t->m);

	return err == -ENOTSUP ? sm_collect(gc, t->m) : err;
}

void sm_run_sleep(struct sm_thread *t, uint64_t ns)
{
	struct timespec left = {.tv_sec = (time_t)(ns / 1000000000),
				.tv_nsec = (long)(ns % 1000000000)};

	blocking(t, true);
	while (ns > 0 && nanosleep(&left, &left) != 0)
		;
	blocking(t, false);
}

/* True when the gate opened, false on abort. */
static bool wait_at_gate(struct crew *c, struct sm_thread *t)
{
	bool go;

	blocking(t, true);
	pthread_mutex_lock(&c->lock);
	c->ready++;
	pthread_cond_broadcast(&c->changed);
	while (!c->open && !c->abort)
		pthread_cond_wait(&c->changed, &c->lock);
	go = !c->abort;
	pthread_mutex_unlock(&c->lock);
	blocking(t, false);
	return go;
}

static void work_done(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	c->working--;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Calls fn with a way out for sm_run_out_of_memory. */
static SM_NOINLINE int call(struct crew *c, struct sm_thread *t)
{
	struct sm_thread_exit out, *before = sm__thread_exit;
	int err = -ENOMEM;

	sm__thread_exit = &out;
	if (setjmp(out.env) == 0)
		err = c->fn(t, c->arg);
	sm__thread_exit = before;
	return err;
}

static void *member_main(void *p)
{
	struct member *me = p;
	struct crew *c = me->crew;
	struct sm_thread t;
	char name[24];

	/* An overflow of its stack is then one line that says so, not a bare SIGSEGV. */
	snprintf(name, sizeof(name), "mutator %u", me->index);
	(void)sm_stack_watch(name);
	me->err = sm__thread_start(&t, c->run, me->index);
	if (me->err != 0) {
		pthread_mutex_lock(&c->lock);
		c->abort = true;
		c->working--;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		if (t.m != NULL)
			sm_mutator_detach(t.m);
		sm_stack_unwatch();
		return NULL;
	}
	if (wait_at_gate(c, &t)) {
		sm__counting_sync(c->run->counting);
		me->err = call(c, &t);
	}
	/* Before the clean-up, which is not part of what may be timed. */
	work_done(c);
	sm__thread_stop(&t);
	sm_stack_unwatch();
	return NULL;
}

/* Waits until `n` members are ready or one gave up. */
static bool all_ready(struct crew *c, unsigned n)
{
	bool go;

	blocking(&c->run->thread0, true);
	pthread_mutex_lock(&c->lock);
	while (c->ready < n && !c->abort)
		pthread_cond_wait(&c->changed, &c->lock);
	go = !c->abort;
	pthread_mutex_unlock(&c->lock);
	blocking(&c->run->thread0, false);
	return go;
}

static void open_gate(struct crew *c, bool go)
{
	pthread_mutex_lock(&c->lock);
	c->open = go;
	c->abort = !go;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void wait_for_work(struct crew *c)
{
	blocking(&c->run->thread0, true);
	pthread_mutex_lock(&c->lock);
	while (c->working > 0)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	blocking(&c->run->thread0, false);
}

static unsigned start_members(struct crew *c, struct member *members, unsigned n)
{
	unsigned started;

	for (started = 0; started < n; started++) {
		struct member *me = &members[started];
		int err;

		*me = (struct member){.crew = c, .index = started + 1};
		pthread_mutex_lock(&c->lock);
		c->working++;
		pthread_mutex_unlock(&c->lock);
		err = pthread_create(&me->id, NULL, member_main, me);
		if (err != 0) {
			work_done(c);
			sm_run_fail(c->run, -err, "cannot start mutator %u: %s", me->index,
				    strerror(err));
			break;
		}
	}
	return started;
}

static void join_members(struct crew *c, struct member *members, unsigned n, int *err)
{
	blocking(&c->run->thread0, true);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(members[i].id, NULL);
		if (*err == 0)
			*err = members[i].err;
	}
	blocking(&c->run->thread0, false);
}

static int parallel(struct sm_run *run, unsigned n, int (*fn)(struct sm_thread *t, void *arg),
		    void *arg, bool timed)
{
	struct crew c = {.run = run, .fn = fn, .arg = arg};
	struct member *members = calloc(n, sizeof(*members));
	unsigned started;
	int err = 0;
	bool go;

	SM_CHECK(n >= 1 && n <= run->nthreads);
	if (members == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %u threads", n);
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.changed, NULL);
	started = start_members(&c, members, n - 1);
	go = started == n - 1 && all_ready(&c, n - 1);
	if (go && timed)
		sm_run_timed_begin(run);
	open_gate(&c, go);
	if (go)
		err = call(&c, &run->thread0);
	wait_for_work(&c);
	if (go && timed)
		sm_run_timed_end(run);
	join_members(&c, members, started, &err);
	pthread_cond_destroy(&c.changed);
	pthread_mutex_destroy(&c.lock);
	free(members);
	return err != 0 ? err : run->error;
}

int sm_run_parallel(struct sm_run *run, unsigned n, int (*fn)(struct sm_thread *t, void *arg),
		    void *arg)
{
	return parallel(run, n, fn, arg, false);
}

int sm_run_parallel_timed(struct sm_run *run, unsigned n, int (*fn)(struct sm_thread *t, void *arg),
			  void *arg)
{
	return parallel(run, n, fn, arg, true);
}
