/*
 * counting.c: the counters of a run: attaching threads, and splitting them at the timed part's
 * borders. counting_report.c makes metrics of them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/atomic.h"
#include "perf/privilege.h"
#include "workloads/counting_internal.h"
#include "workloads/counting_uncore.h"

static __thread struct sm_counted *self;

/* ---- threads ------------------------------------------------------------------------------ */

/* Base region: SM_REGION_OUTSIDE, with APP pushed on it while a timed part is open. */
static void sync_border(struct sm_counted *t)
{
	bool armed = sm_load_relaxed(&t->counting->armed);

	if (SM_LIKELY(armed == t->timed))
		return;
	if (armed)
		sm_region_enter(t->regions, SM_PHASE_APP);
	else
		sm_region_leave(t->regions);
	t->timed = armed;
}

static void enter(void *ctx, enum sm_phase phase)
{
	struct sm_counted *t = ctx;

	if (t->depth++ == 0)
		sync_border(t);
	sm_region_enter(t->regions, t->timed ? (unsigned)phase : SM_REGION_OUTSIDE);
}

static void leave(void *ctx, enum sm_phase phase)
{
	struct sm_counted *t = ctx;

	(void)phase;
	sm_region_leave(t->regions);
	if (--t->depth == 0)
		sync_border(t);
}

void sm__counting_thread_start(struct sm_counting *c, const char *role, unsigned index,
			       const struct sm_seat *seat)
{
	struct sm_region_options opt = {
		.n_regions = SM_REGIONS, .first = SM_REGION_OUTSIDE, .light = SM_REGIONS_LIGHT};
	struct sm_counted *t;
	char why[200] = "out of memory";

	if (c == NULL)
		return;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		sm_run_warn(c->run, "%s %u is not counted: out of memory\n", role, index);
		return;
	}
	t->counting = c;
	snprintf(t->role, sizeof(t->role), "%s", role);
	t->index = index;
	t->seat = seat != NULL ? *seat : (struct sm_seat){.cpu = -1, .node = -1};
	t->hook = (struct sm_phase_hook){.enter = enter, .leave = leave, .ctx = t};
	opt.pass = c->pass;
	opt.pu_os = t->seat.cpu;
	if (sm_region_thread_open(c->set, &opt, &t->regions, why, sizeof(why)) != 0)
		sm_run_warn(c->run, "%s %u is not counted: %s\n", role, index, why);
	pthread_mutex_lock(&c->lock);
	t->next = c->threads;
	c->threads = t;
	pthread_mutex_unlock(&c->lock);
	self = t;
	sm_phase_set_hook(&t->hook);
	sync_border(t);
}

void sm__counting_thread_stop(struct sm_counting *c)
{
	if (c == NULL || self == NULL)
		return;
	sm_phase_set_hook(NULL);
	sm_region_thread_stop(self->regions);
	self = NULL;
}

void sm__counting_sync(struct sm_counting *c)
{
	if (c != NULL && self != NULL && self->depth == 0)
		sync_border(self);
}

/*
 * Rights that the file gave the process (perf/privilege.h) go as soon as they are not needed: mark
 * workers have started with the collector, each dropped its own when its counters were open; this
 * is for thread 0, once all mutators are there.
 */
static void drop_rights(struct sm_counting *c)
{
	unsigned mutators = 0;

	pthread_mutex_lock(&c->lock);
	for (const struct sm_counted *t = c->threads; t != NULL; t = t->next)
		mutators += strcmp(t->role, "mutator") == 0;
	pthread_mutex_unlock(&c->lock);
	if (mutators >= c->run->nthreads)
		sm_privilege_drop();
}

void sm__counting_arm(struct sm_counting *c, bool on)
{
	if (c == NULL)
		return;
	if (on)
		drop_rights(c);
	sm__uncore_arm(c->uncore, on);
	sm_store_relaxed(&c->armed, on);
	sm__counting_sync(c);
}

/* ---- life --------------------------------------------------------------------------------- */

int sm__counting_new(struct sm_run *run, struct sm_counting **out)
{
	const struct sm_counterset *set = run->job->counters;
	struct sm_counting *c;

	*out = NULL;
	if (set == NULL)
		return 0;
	if (run->job->pass >= (set->n_passes > 0 ? set->n_passes : 1))
		return sm_run_fail(run, -EINVAL, "pass %u of %u", run->job->pass, set->n_passes);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for counters");
	c->run = run;
	c->set = set;
	c->pass = run->job->pass;
	c->uncore = sm__uncore_new(set, c->pass, run->job->topology);
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

void sm__counting_free(struct sm_counting *c)
{
	if (c == NULL)
		return;
	while (c->threads != NULL) {
		struct sm_counted *t = c->threads;

		c->threads = t->next;
		sm_region_thread_free(t->regions);
		free(t);
	}
	sm__uncore_free(c->uncore);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
