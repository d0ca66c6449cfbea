/* recording.c: the recorded run, and what the screening measured of the same. See
 * counterfactual.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/mallocs/backend.h"
#include "harness/store/store.h"
#include "harness/process/child.h"
#include "harness/tune/counterfactual.h"
#include "workloads/series.h"

#define LIBRARY "libspanmark-record.so"

/* The options of the trials, over the recording library. */
static int words_of(const struct sm_trials *t, const char *library, const char *file,
		    struct sm_strings *words)
{
	char backend[4200], setting[200], note[SM_TRIALS_NOTE];
	const char *const last[] = {"--backend", backend,      "--set",	   setting,  "--note",
				    note,	 "--counters", "none",	   "--reps", "1",
				    "--store",	 t->store,     "--format", "csv",    "--output",
				    "/dev/null", NULL};
	int rc = sm_strings_add(words, "run", 3);

	snprintf(backend, sizeof(backend), "preload:%s", library);
	snprintf(setting, sizeof(setting), "env.SPANMARK_RECORD=%s", file);
	sm_trials_note(t, "record", note, sizeof(note));
	for (size_t i = 0; i < t->args->n && rc == 0; i++) {
		if (strcmp(t->args->v[i], "--backend") == 0)
			i++; /* and its value */
		else
			rc = sm_strings_add(words, t->args->v[i], strlen(t->args->v[i]));
	}
	for (size_t i = 0; last[i] != NULL && rc == 0; i++)
		rc = sm_strings_add(words, last[i], strlen(last[i]));
	return rc;
}

static int record_to(struct sm_trials *t, const char *library, const char *file)
{
	struct sm_strings words = {0};
	char err[512];
	int rc = words_of(t, library, file, &words);

	if (rc == 0)
		rc = sm_child_run(&words, err, sizeof(err));
	sm_strings_free(&words);
	return rc;
}

int sm_counterfactual_record(struct sm_trials *t, const char *backend,
			     const struct sm_cache_sizes *sizes, struct sm_counterfactual *out)
{
	char *library = sm_backend_ours(LIBRARY), file[] = "/tmp/spanmark-record.XXXXXX";
	int fd = library != NULL ? mkstemp(file) : -1, rc = 0;
	FILE *in = NULL;

	*out = (struct sm_counterfactual){.cycles = NAN, .spans = NAN};
	if (fd < 0) {
		snprintf(out->why, sizeof(out->why),
			 library != NULL ? "no temporary file can be made"
					 : "no " LIBRARY " beside spanmark");
		free(library);
		return 0;
	}
	rc = record_to(t, library, file);
	if (rc == 0 || rc == -EINVAL || rc == -EIO) {
		in = fdopen(fd, "r");
		rc = in != NULL ? sm_counterfactual_read(in, strcmp(backend, "gc") == 0, sizes, out)
				: -ENOMEM;
		if (rc == 0 && out->n == 0)
			snprintf(out->why, sizeof(out->why),
				 "nothing of it ran over malloc, or it did not end by exit");
		if (rc == -EINVAL) { /* a line of a process that was killed in it */
			snprintf(out->why, sizeof(out->why), "the record is damaged");
			rc = 0;
		}
	}
	if (in != NULL)
		fclose(in);
	else
		close(fd);
	unlink(file);
	free(library);
	return rc;
}

/* ---- measured ----------------------------------------------------------------------------- */

struct counts {
	double hits, refills;
};

static void add_counts(const struct sm_record *r, unsigned bytes, struct counts *sum)
{
	for (size_t i = 0; i < r->nseries; i++) {
		bool refills = strcmp(r->series[i].name, "cache_refills") == 0;
		double(*points)[2];
		size_t n;

		if ((!refills && strcmp(r->series[i].name, "cache_hits") != 0) ||
		    sm_series_read(r->series[i].points, &points, &n) != 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (points[k][0] == bytes)
				*(refills ? &sum->refills : &sum->hits) += points[k][1];
		free(points);
	}
}

/* The variant of a screening that sets one size: cache.slots or cache.window, as a number. */
static double size_alone(const char *config, const char *key)
{
	char pattern[64], *end;
	const char *at;
	double v;

	snprintf(pattern, sizeof(pattern), "{\"%s\":\"", key);
	if (strncmp(config, pattern, strlen(pattern)) != 0)
		return NAN;
	at = config + strlen(pattern);
	v = strtod(at, &end);
	if (*end == 'k' || *end == 'm')
		v *= *end++ == 'k' ? 1024 : 1024 * 1024;
	return strcmp(end, "\"}") == 0 ? v : NAN;
}

static void measure_point(const struct sm_report *r, struct sm_class_curve *v,
			  struct sm_curve_point *p, const char *key)
{
	struct counts sum = {0};

	for (size_t i = 0; i < r->nrecords; i++)
		if (r->records[i].status == SM_OUTCOME_OK &&
		    size_alone(r->records[i].config, key) == p->size)
			add_counts(&r->records[i], v->bytes, &sum);
	if (sum.hits + sum.refills > 0)
		p->measured = 1000 * sum.refills / (sum.hits + sum.refills);
}

int sm_counterfactual_measured(const struct sm_trials *t, struct sm_counterfactual *c)
{
	const char *key = c->windows ? "cache.window" : "cache.slots";
	struct sm_store *s = NULL;
	struct sm_report r;
	char err[512];
	int rc;

	if (c->n == 0 || t->screened == 0)
		return 0;
	rc = sm_store_open_read(t->store, &s, err, sizeof(err));
	if (rc)
		return rc;
	rc = sm_store_load(s, t->screened, &r);
	sm_store_close(s);
	if (rc)
		return rc;
	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < c->classes[i].npoints; k++)
			measure_point(&r, &c->classes[i], &c->classes[i].points[k], key);
	sm_report_free(&r);
	return 0;
}
