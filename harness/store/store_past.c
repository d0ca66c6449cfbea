/*
 * store_past.c: how long a plan will take, by what the store has of the same cases. See store.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/text.h"
#include "harness/plan/job.h"
#include "harness/store/store_internal.h"

struct estimate {
	double seconds;		 /* for the `known` of the samples, .. */
	unsigned known, samples; /* .. whose cases the store has; absent backends are none */
	char why[300];		 /* known is 0: why */
};

/* Of the same work in the same place with the same source of counts, the latest ones: a machine and
 * a build change. */
static const char past[] =
	"SELECT avg(took_s), count(*) FROM (SELECT took_s FROM sample JOIN run ON "
	"run.id=sample.run "
	"WHERE workload=?1 AND backend=?2 AND params=?3 AND config=?4 AND placement=?5 AND "
	"sample.status='ok' AND coalesce(json_extract(environment,'$.counters.from'),'none')=?6 "
	"ORDER BY sample.id DESC LIMIT 20)";

/* The mean of what samples like the job's took; false: there is none. */
static bool took(sqlite3_stmt *st, const char *job, const char *from, double *mean)
{
	struct sm_pool pool = {0};
	struct sm_record r;
	bool known = false;

	if (sm_job_describe(job, &r, &pool) == 0) {
		const char *const texts[] = {r.workload, r.backend,   r.params,
					     r.config,	 r.placement, from};

		sqlite3_reset(st);
		for (int i = 0; i < 6; i++)
			sqlite3_bind_text(st, i + 1, texts[i], -1, SQLITE_STATIC);
		known = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 1) > 0;
		if (known)
			*mean = sqlite3_column_double(st, 0);
		sqlite3_reset(st);
		sm_record_free(&r);
	}
	sm_pool_free(&pool);
	return known;
}

/* Jobs differ by case; those of one case take equally long. */
static int add_up(struct sm_store *s, const struct sm_plan *p, const char *from,
		  struct estimate *out)
{
	double *of = calloc(p->ncases + 1, sizeof(*of)); /* 0: not looked for, below: not known */
	int rc = of != NULL ? 0 : -ENOMEM;
	sqlite3_stmt *st = sm__store_prepare(s, past, &rc);

	for (unsigned i = 0; i < p->njobs && rc == 0; i++) {
		struct sm_pool pool = {0};
		struct sm_record r;
		unsigned group = p->ncases;

		if (sm_job_describe(p->jobs[i], &r, &pool) == 0) {
			group = r.missing[0] == '\0' ? r.group : p->ncases;
			sm_record_free(&r);
		}
		sm_pool_free(&pool);
		if (group >= p->ncases)
			continue;
		if (of[group] == 0 && !took(st, p->jobs[i], from, &of[group]))
			of[group] = -1;
		out->samples++;
		out->known += of[group] > 0;
		out->seconds += of[group] > 0 ? of[group] : 0;
	}
	sqlite3_finalize(st);
	free(of);
	return rc;
}

static void estimate(const char *path, const struct sm_plan *p, const char *from,
		     struct estimate *out)
{
	struct sm_store *s = NULL;

	*out = (struct estimate){.why = ""};
	if (access(path, F_OK) != 0) {
		snprintf(out->why, sizeof(out->why), "there is no store with earlier samples");
		return;
	}
	if (sm_store_open_read(path, &s, out->why, sizeof(out->why)) != 0)
		return;
	if (add_up(s, p, from, out) != 0)
		snprintf(out->why, sizeof(out->why), "%s", sm_store_error(s));
	else if (out->known == 0)
		snprintf(out->why, sizeof(out->why), "%.200s has no sample of these cases", path);
	sm_store_close(s);
}

void sm_store_print_estimate(const char *path, const struct sm_plan *p, const char *from, FILE *f)
{
	struct estimate e;
	char text[40], most[40];

	estimate(path != NULL ? path : SM_STORE_DEFAULT, p, from, &e);
	sm_text_time(e.seconds * 1e9, text, sizeof(text));
	sm_text_time(p->njobs * p->timeout_s * 1e9, most, sizeof(most));
	if (e.known == 0)
		fprintf(f, "time: n/a: %s; at most %s by the limit of a sample\n", e.why, most);
	else if (e.known < e.samples)
		fprintf(f,
			"time: about %s for %u of the %u samples, by earlier ones; of the others "
			"the store has none\n",
			text, e.known, e.samples);
	else
		fprintf(f, "time: about %s, by earlier samples of these cases\n", text);
	if (p->until)
		fputs("--until may take more repetitions than these\n", f);
}
