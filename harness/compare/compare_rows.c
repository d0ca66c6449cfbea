/* compare_rows.c: the values of two matched groups. compare_environ.c has the runs around them. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/compare_internal.h"
#include "harness/report/summary_internal.h"
#include "perf/by.h"
#include "perf/names.h"
#include "perf/setfile.h"

/* What a row is of: a result, or a metric of a role in all its phases. */
struct wanted {
	const char *metric, *who, *kind, *unit; /* kind: of the cores, as in metric.def */
	enum sm_better better;
	enum sm_source source;
};

/* Values of a group by repetition. */
struct series {
	double *values;
	unsigned *reps;
	size_t n;
};

/* ---- one sample --------------------------------------------------------------------------- */

static const struct sm_metric *metric_of(const struct sm_record *r, const struct wanted *w)
{
	for (size_t i = 0; i < r->nmetrics; i++) {
		const struct sm_metric *m = &r->metrics[i];

		if (m->by == SM_BY_ROLE && strcmp(m->phase, "total") == 0 &&
		    strcmp(m->metric, w->metric) == 0 && strcmp(m->role, w->who) == 0 &&
		    strcmp(m->core_kind, w->kind) == 0)
			return m;
	}
	return NULL;
}

/* Not a count, which more operations make more of. */
static bool is_ratio(const char *unit)
{
	return strchr(unit, '/') != NULL || strchr(unit, '%') != NULL || strcmp(unit, "share") == 0;
}

/* A count is for an operation where the workload counts them. */
static bool value_of(const struct sm_record *r, const struct wanted *w, double *v)
{
	const struct sm_result *result = sm_record_result(r, w->who[0] ? "ops" : w->metric);
	const struct sm_metric *m;

	if (r->status != SM_OUTCOME_OK)
		return false;
	if (!w->who[0]) {
		*v = result != NULL ? result->value : 0;
		return result != NULL && result->has_value;
	}
	m = metric_of(r, w);
	if (m == NULL || !m->has_value || m->source != w->source)
		return false;
	*v = m->value;
	if (!is_ratio(w->unit) && result != NULL && result->has_value && result->value > 0)
		*v /= result->value;
	return true;
}

static int read_series(const struct sm_report *r, size_t first, const struct wanted *w,
		       struct series *s)
{
	struct sm__by_rep b = {0};
	size_t end = first;

	while (end < r->nrecords && r->records[end].group == r->records[first].group)
		end++;
	s->values = b.values = calloc(end - first + 1, sizeof(*s->values));
	s->reps = calloc(end - first + 1, sizeof(*s->reps));
	for (size_t i = first; s->values != NULL && s->reps != NULL && i < end; i++) {
		double v;

		if (!value_of(&r->records[i], w, &v))
			continue;
		sm__by_rep_take(&b, r->records[i].rep, v);
		s->reps[b.n - 1] = r->records[i].rep;
	}
	s->n = b.n;
	return s->values != NULL && s->reps != NULL ? 0 : -ENOMEM;
}

/* Keeps what both have, in the same order: both are by repetition. */
static void pair_up(struct series *a, struct series *b)
{
	size_t n = 0;

	for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
		if (a->reps[i] != b->reps[k]) {
			a->reps[i] < b->reps[k] ? i++ : k++;
			continue;
		}
		a->values[n] = a->values[i++];
		b->values[n++] = b->values[k++];
	}
	a->n = b->n = n;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Simulated counts of one thread, of the same random choices: the same again and again. */
static bool is_exact(const struct sm_side *s, const struct sm_side *t, const struct wanted *w,
		     const struct sm_record *a, const struct sm_record *b)
{
	const struct sm_record *both[] = {a, b};

	for (int i = 0; i < 2; i++) {
		cJSON *place = cJSON_Parse(both[i]->placement);
		const cJSON *threads = cJSON_GetObjectItemCaseSensitive(place, "threads");
		const cJSON *workers = cJSON_GetObjectItemCaseSensitive(place, "workers");
		bool alone = cJSON_IsNumber(threads) && threads->valueint == 1 &&
			     cJSON_IsNumber(workers) && workers->valueint == 0;

		cJSON_Delete(place);
		if (!alone)
			return false;
	}
	return w->who[0] && w->source == SM_SOURCE_SIM && s->report->seed == t->report->seed;
}

/* Values that were looked at again and again have their last look's share of the error; two such
 * runs share it twice. */
static double split_of(const struct sm_report *r, const struct sm_report *other)
{
	double split = 1;

	if (r->until.ntargets > 0)
		split *= sm_until_split(sm_until_looks(&r->until, r->reps));
	return other != NULL ? split * split_of(other, NULL) : split;
}

/* The values of both; d->base and d->other are malloc'ed. */
static int make_difference(const struct sm_report *r, size_t a, const struct sm_report *other,
			   size_t b, const struct wanted *w, bool exact, struct sm_difference *d)
{
	struct series x = {0}, y = {0};
	bool paired = exact || r == other;
	int rc = read_series(r, a, w, &x);

	if (rc == 0)
		rc = read_series(other, b, w, &y);
	if (rc == 0 && paired)
		pair_up(&x, &y);
	free(x.reps);
	free(y.reps);
	if (rc) {
		free(x.values);
		free(y.values);
		return rc;
	}
	*d = (struct sm_difference){.base = x.values,
				    .other = y.values,
				    .nbase = x.n,
				    .nother = y.n,
				    .paired = paired,
				    .exact = exact,
				    .better = w->better,
				    .split = split_of(r, r == other ? NULL : other)};
	return 0;
}

int sm__compare_result(const struct sm_report *r, size_t a, size_t b, const char *result,
		       struct sm_difference *d)
{
	struct wanted w = {.metric = result, .who = "", .kind = "", .unit = ""};

	return make_difference(r, a, r, b, &w, false, d);
}

static int add_row(const struct sm_side *s, size_t a, const struct sm_side *t, size_t b,
		   const struct wanted *w, const char *name, struct sm_comparison *out)
{
	struct sm_compare_row *rows = realloc(out->rows, (out->nrows + 1) * sizeof(*rows)), row;
	bool exact = is_exact(s, t, w, &s->report->records[a], &t->report->records[b]);
	int rc;

	if (rows == NULL)
		return -ENOMEM;
	out->rows = rows;
	row = (struct sm_compare_row){.name = strdup(name),
				      .metric = w->metric,
				      .who = w->who,
				      .kind = w->kind,
				      .unit = w->unit};
	rc = row.name != NULL ? make_difference(s->report, a, t->report, b, w, exact, &row.d)
			      : -ENOMEM;
	if (rc)
		free(row.name);
	else
		rows[out->nrows++] = row;
	return rc;
}

/*
 * What a person would look at first, and what one asked for (--metric of run); the time of all of
 * it says what the time of an operation does.
 */
static bool is_first(const struct sm_record *r, const struct sm_result *res)
{
	enum sm_shown shown = sm_result_shown(res->name);
	const struct sm_result *op = sm_record_result(r, "ns_per_op");

	if (strcmp(res->name, "wall_s") == 0 && op != NULL && op->has_value)
		return false;
	return res->has_value &&
	       (res->better[0] || (sm_better_of_result(res) != SM_BETTER_NEITHER &&
				   (shown == SM_SHOWN_COLUMN || shown == SM_SHOWN_WIDE ||
				    shown == SM_SHOWN_TOLD || shown == SM_SHOWN_MORE)));
}

/* The group's first sample that has results. */
static const struct sm_record *measured(const struct sm_report *r, size_t first)
{
	for (size_t i = first; i < r->nrecords; i++) {
		if (r->records[i].group != r->records[first].group)
			break;
		if (r->records[i].nresults > 0)
			return &r->records[i];
	}
	return &r->records[first];
}

/* Has the row been added already? Passes bring the same metrics again. */
static bool is_row(const struct sm_comparison *c, size_t from, const struct sm_metric *m)
{
	for (size_t i = from; i < c->nrows; i++)
		if (strcmp(c->rows[i].metric, m->metric) == 0 &&
		    strcmp(c->rows[i].who, m->role) == 0 &&
		    strcmp(c->rows[i].kind, m->core_kind) == 0)
			return true;
	return false;
}

static bool is_asked(const struct sm_compare_what *what, const char *metric)
{
	return sm__strings_have(&what->metrics, metric) || sm__strings_have(&what->gated, metric);
}

/* Metrics that the records from r's `first` on have. */
static int add_metrics(const struct sm_side *s, size_t a, const struct sm_side *t, size_t b,
		       const struct sm_report *r, size_t first, const struct sm_compare_what *what,
		       const char *name, struct sm_comparison *out, size_t from)
{
	int rc = 0;

	for (size_t i = first; i < r->nrecords && r->records[i].group == r->records[first].group;
	     i++) {
		for (size_t k = 0; k < r->records[i].nmetrics && rc == 0; k++) {
			const struct sm_metric *m = &r->records[i].metrics[k];
			struct wanted w = {.metric = m->metric,
					   .who = m->role,
					   .kind = m->core_kind,
					   .unit = m->unit,
					   .source = m->source};
			bool simulated = m->source == SM_SOURCE_SIM &&
					 strcmp(m->metric, "instructions") == 0;

			if (m->by != SM_BY_ROLE || strcmp(m->phase, "total") != 0 || !m->role[0] ||
			    !(is_asked(what, m->metric) || (what->metrics.n == 0 && simulated)) ||
			    is_row(out, from, m))
				continue;
			w.better = sm_better_of_counter(r, m->metric);
			rc = add_row(s, a, t, b, &w, name, out);
		}
	}
	return rc;
}

/* What is asked or gated, on either side; else what both have, and a person would look at first. */
static bool is_wanted(const struct sm_compare_what *what, const struct sm_record *has,
		      const struct sm_record *other, const struct sm_result *res)
{
	return is_asked(what, res->name) || (what->metrics.n == 0 && is_first(has, res) &&
					     sm_record_result(other, res->name) != NULL);
}

int sm__compare_rows(const struct sm_side *s, size_t a, const struct sm_side *t, size_t b,
		     const struct sm_compare_what *what, const char *name,
		     struct sm_comparison *out)
{
	const struct sm_record *both[] = {measured(s->report, a), measured(t->report, b)};
	size_t from = out->nrows;
	int rc = 0;

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < both[k]->nresults && rc == 0; i++) {
			const struct sm_result *res = &both[k]->results[i];
			struct wanted w = {.metric = res->name,
					   .who = "",
					   .kind = "",
					   .unit = res->unit,
					   .better = sm_better_of_result(res)};
			bool again = k == 1 && sm_record_result(both[0], res->name) != NULL;

			if (!again && is_wanted(what, both[k], both[1 - k], res))
				rc = add_row(s, a, t, b, &w, name, out);
		}
	}
	if (rc == 0)
		rc = add_metrics(s, a, t, b, s->report, a, what, name, out, from);
	return rc ? rc : add_metrics(s, a, t, b, t->report, b, what, name, out, from);
}

/* ---- cases without a value ---------------------------------------------------------------- */

/* Appends "2 of 2 samples of B failed (timeout: ..)", with the first reason, or "jemalloc of B: not
 * installed: .."; nothing where one did not fail. */
static bool all_failed(const struct sm_side *s, size_t first, char *buf, size_t len)
{
	const struct sm_record *r = &s->report->records[first];
	size_t n = 0, at = strlen(buf);

	for (; first + n < s->report->nrecords && r[n].group == r->group; n++)
		if (r[n].status == SM_OUTCOME_OK)
			return false;
	if (r->status == SM_OUTCOME_ABSENT)
		snprintf(buf + at, len - at, "%s%.80s of %.80s: %.120s", at ? ", " : "", r->backend,
			 s->text, r->message);
	else
		snprintf(buf + at, len - at, "%s%zu of %zu sample%s of %.80s failed (%s%s%.100s)",
			 at ? ", " : "", n, n, n == 1 ? "" : "s", s->text,
			 sm_outcome_names[r->status], r->message[0] ? ": " : "", r->message);
	return true;
}

int sm__compare_lost(const struct sm_side *s, size_t a, const struct sm_side *t, size_t b,
		     const char *name, struct sm_comparison *out)
{
	char why[500] = "";
	bool first = all_failed(s, a, why, sizeof(why));
	bool second = all_failed(t, b, why, sizeof(why));
	int rc;

	if (!first && !second)
		return 0;
	rc = sm_strings_add(&out->lost, name, strlen(name));
	if (rc == 0)
		rc = sm_strings_add(&out->why, why, strlen(why));
	if (rc == 0 && first && second)
		rc = sm__strings_printf(&out->unmatched, "neither has %.140s: %s", name, why);
	else if (rc == 0)
		rc = sm__strings_printf(&out->unmatched, "%.80s alone has %.140s: %s",
					first ? t->text : s->text, name, why);
	return rc ? rc : 1;
}

/* ---- libraries ---------------------------------------------------------------------------- */

/* Of the first sample that has one. */
static void library_of(const struct sm_side *s, size_t first, char *buf, size_t len)
{
	const struct sm_record *r = &s->report->records[first];

	buf[0] = '\0';
	for (size_t n = 0; first + n < s->report->nrecords && r[n].group == r->group; n++)
		if (buf[0] == '\0')
			sm_record_library(&r[n], buf, len);
}

int sm__compare_library(const struct sm_side *s, size_t a, const struct sm_side *t, size_t b,
			struct sm_comparison *out)
{
	const char *backend = s->report->records[a].backend;
	char one[200], two[200], line[500];

	library_of(s, a, one, sizeof(one));
	library_of(t, b, two, sizeof(two));
	if (strcmp(backend, t->report->records[b].backend) != 0 || one[0] == '\0' ||
	    two[0] == '\0' || strcmp(one, two) == 0)
		return 0;
	snprintf(line, sizeof(line), "%.80s: %s / %s", backend, one, two);
	for (size_t i = 0; i < out->hidden.n; i++)
		if (strcmp(out->hidden.v[i], line) == 0)
			return 0;
	return sm_strings_add(&out->hidden, line, strlen(line));
}
