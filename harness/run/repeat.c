/* repeat.c: see repeat.h. */
#include "harness/run/repeat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "harness/plan/case.h"
#include "perf/clock.h"
#include "harness/base/complain.h"
#include "harness/compare/until_look.h"

static double now_s(void)
{
	return (double)sm_clock_ns() * 1e-9;
}

int sm_repeat_begin(struct sm_repeat *x, struct sm_store *store, int64_t run, double max_time_s)
{
	struct sm_report r;
	int rc = sm_store_load(store, run, &r);

	if (rc)
		return rc;
	*x = (struct sm_repeat){.store = store,
				.run = run,
				.cases = r.until.ncases,
				.round = sm_until_round(&r.until),
				.first_round = sm_until_first_round(&r.until),
				.max_time_s = max_time_s > 0 ? max_time_s : r.until.max_time_s,
				.began_s = now_s()};
	sm_report_free(&r);
	return 0;
}

static bool begins_repetition(const struct sm_repeat *x, unsigned ordinal)
{
	return ordinal == 0 ||
	       (ordinal >= x->first_round && (ordinal - x->first_round) % x->round == 0);
}

bool sm_repeat_goes_on(struct sm_repeat *x, unsigned ordinal)
{
	double spent = now_s() - x->began_s;

	if (x->round == 0 || !begins_repetition(x, ordinal))
		return true;
	if (x->repetitions > 0)
		x->time_is_up = spent + spent / x->repetitions > x->max_time_s;
	x->repetitions += !x->time_is_up;
	return !x->time_is_up;
}

/* The plan's jobs up to repetition `to`, and what is left of each group. */
static int grow(struct sm_repeat *x, const struct sm_report *r, unsigned to, unsigned *total)
{
	char **first, **jobs = NULL;
	size_t n = (size_t)x->round * (to - r->reps);
	int rc = sm_store_jobs(x->store, x->run, x->first_round, &first);

	if (rc == 0)
		rc = sm_until_jobs(&r->until, first, r->seed, r->reps, to, &jobs);
	if (rc == 0)
		rc = sm_store_grow(x->store, x->run, (const char *const *)jobs, (unsigned)n);
	for (size_t i = 0; jobs != NULL && i < n; i++)
		free(jobs[i]);
	for (size_t i = 0; first != NULL && i < x->first_round; i++)
		free(first[i]);
	free(jobs);
	free(first);
	*total += rc == 0 ? (unsigned)n : 0;
	return rc;
}

static void say(const struct sm_until_seen *seen, const char *end)
{
	char text[200];

	sm_until_say(seen, text, sizeof(text));
	if (seen->wanted < 0)
		sm_complain("%s", text);
	else
		sm_complain("%s (%s)%s", text, seen->what, end);
}

int sm_repeat_look(struct sm_repeat *x, unsigned done, unsigned *total, struct sm_progress *p)
{
	struct sm_until_seen seen;
	struct sm_report r;
	char end[160];
	unsigned next;
	int rc;

	if (x->round == 0)
		return 0;
	rc = sm_store_load(x->store, x->run, &r);
	if (rc)
		return rc;
	rc = sm_until_look(&r, &seen);
	next = sm_until_next(&r.until, r.reps);
	sm_progress_clear(p);
	if (rc == 0 && (x->time_is_up || seen.wanted < 0)) {
		snprintf(end, sizeof(end), " at --max-time %g s; wanted was %g %%", x->max_time_s,
			 seen.wanted * 100);
		say(&seen, end);
		rc = sm_store_cut(x->store, x->run, done);
	} else if (rc == 0 && (seen.narrow || (uint64_t)next * x->round > SM_PLAN_MAX_JOBS)) {
		say(&seen, seen.narrow ? "" : "; more samples than a run may have");
	} else if (rc == 0) {
		snprintf(end, sizeof(end), ": %u more", next - r.reps);
		rc = grow(x, &r, next, total);
		if (rc == 0) {
			say(&seen, end);
			sm_progress_more(p, r.until.passes * (next - r.reps));
		}
		rc = rc ? rc : 1;
	}
	sm_report_free(&r);
	return rc;
}
