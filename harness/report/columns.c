/*
 * columns.c: which columns a summary has: those of perf/sets/table.ini, then those that were asked
 * for. See summary.h.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/summary.h"
#include "perf/expr.h"
#include "perf/names.h"
#include "perf/setfile.h"
#include "workloads/results.h"

static struct sm_column *add_column(struct sm_summary *r)
{
	struct sm_column *c = realloc(r->columns, (r->ncolumns + 1) * sizeof(*c));

	if (c == NULL)
		return NULL;
	r->columns = c;
	c[r->ncolumns] = (struct sm_column){.source = ""};
	return &c[r->ncolumns++];
}

/*
 * One metric of each name that the report has, one with a value if any has one, found in a single
 * pass. Samples are alike: a metric is most often of the name that stood at its place in the sample
 * before.
 */
struct seen {
	const struct sm_metric **v;
	size_t n;
	size_t *at; /* of v, by the place in a sample: [0, places) */
	size_t places;
};

static bool see(struct seen *seen, size_t place, const struct sm_metric *m)
{
	size_t i = seen->at[place];

	if (i >= seen->n || seen->v[i]->metric != m->metric)
		for (i = 0; i < seen->n && seen->v[i]->metric != m->metric; i++)
			;
	if (i == seen->n) {
		const struct sm_metric **v = realloc(seen->v, (i + 1) * sizeof(*v));

		if (v == NULL)
			return false;
		seen->v = v;
		v[seen->n++] = m;
	} else if (m->has_value && !seen->v[i]->has_value)
		seen->v[i] = m;
	seen->at[place] = i;
	return true;
}

static int see_all(struct seen *seen, const struct sm_report *report)
{
	*seen = (struct seen){0};
	for (size_t i = 0; i < report->nrecords; i++) {
		size_t n = report->records[i].nmetrics;

		seen->places = n > seen->places ? n : seen->places;
	}
	seen->at = calloc(seen->places + 1, sizeof(*seen->at));
	for (size_t i = 0; i < report->nrecords; i++)
		for (size_t k = 0; k < report->records[i].nmetrics; k++)
			if (seen->at == NULL || !see(seen, k, &report->records[i].metrics[k]))
				return -ENOMEM;
	return 0;
}

static void free_seen(struct seen *seen)
{
	free(seen->v);
	free(seen->at);
}

/* NULL: the report has none of this name. */
static const struct sm_metric *find_seen(const struct seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->v[i]->metric, name) == 0)
			return seen->v[i];
	return NULL;
}

/* The events behind the column: those of the metrics in its formula, else those of the metric
 * itself. false: no row has it. */
static bool label_column(struct sm_column *c, const struct seen *seen)
{
	char names[8][SM_EXPR_NAME], err[80];
	const struct sm_metric *own = find_seen(seen, c->metric);
	int n = c->formula[0] ? sm_expr_names(c->formula, names, 8, err, sizeof(err)) : 0;
	size_t used = 0;

	for (int i = 0; i < n; i++) {
		const struct sm_metric *m = find_seen(seen, names[i]);

		if (m == NULL) {
			n = 0;
			break;
		}
		if (used < sizeof(c->event))
			used += (size_t)snprintf(c->event + used, sizeof(c->event) - used, "%s%s",
						 used ? ", " : "", m->event);
		c->source = sm_source_names[m->source];
	}
	if (n <= 0 && own != NULL) {
		snprintf(c->event, sizeof(c->event), "%s", own->event);
		c->source = sm_source_names[own->source];
	}
	return n > 0 || own != NULL;
}

static bool is_column(const struct sm_summary *r, const char *metric)
{
	for (size_t i = 0; i < r->ncolumns; i++) {
		if (strcmp(r->columns[i].metric, metric) == 0)
			return true;
	}
	return false;
}

static const char *member(const cJSON *item, const char *name)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(item, name);

	return cJSON_IsString(m) ? m->valuestring : "";
}

/* Does a column show the metric in another form: in a formula for an operation, or itself for an
 * operation? */
static bool covered(const struct sm_summary *r, const char *name, const char *formula)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < r->ncolumns; i++) {
		char names[8][SM_EXPR_NAME], err[80];
		const struct sm_column *c = &r->columns[i];
		int n = c->per_op && c->formula[0]
				? sm_expr_names(c->formula, names, 8, err, sizeof(err))
				: 0;

		for (int k = 0; k < n; k++)
			if (strcmp(names[k], name) == 0)
				return true;
	}
	return is_column(r, name) ||
	       (formula[0] && len > 7 && strcmp(name + len - 7, "_per_op") == 0);
}

/* Sets named by -C and events by -e give further columns; the default sets only the standard ones.
 */
static int add_asked(struct sm_summary *r, const struct seen *seen, const cJSON *metrics)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, metrics)
	{
		const char *name = member(item, "metric"), *formula = member(item, "formula");
		const struct sm_metric *m = find_seen(seen, name);
		struct sm_column *c;

		if (m == NULL || covered(r, name, formula))
			continue;
		c = add_column(r);
		if (c == NULL)
			return -ENOMEM;
		snprintf(c->title, sizeof(c->title), "%.15s", name);
		for (char *p = c->title; *p; p++)
			*p = *p < 0x20 || *p == 0x7f ? '?' : *p; /* -e takes any name */
		snprintf(c->metric, sizeof(c->metric), "%.95s", name);
		snprintf(c->formula, sizeof(c->formula), "%.159s", formula);
		snprintf(c->unit, sizeof(c->unit), "%.23s", member(item, "unit"));
		snprintf(c->event, sizeof(c->event), "%.255s", member(item, "event"));
		c->per_op = !formula[0];
		c->source = sm_source_names[m->source];
	}
	return 0;
}

/* What the run's sets say of the metric; NULL. */
static const cJSON *metric_of(const cJSON *metrics, const char *metric)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, metrics)
	{
		if (strcmp(member(item, "metric"), metric) == 0)
			return item;
	}
	return NULL;
}

/* perf/sets/table.ini, as far as its metrics were asked for. */
static int add_standard(struct sm_summary *r, const struct seen *seen, const cJSON *metrics)
{
	struct sm_setfile *table = sm_setfile_table();
	int rc = table != NULL ? 0 : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < table->n_metrics; i++) {
		const struct sm_set_metric *m = &table->metrics[i];
		struct sm_column *c = add_column(r);

		if (c == NULL) {
			rc = -ENOMEM;
			break;
		}
		snprintf(c->title, sizeof(c->title), "%s", m->title);
		snprintf(c->metric, sizeof(c->metric), "%s", m->name);
		snprintf(c->formula, sizeof(c->formula), "%.159s",
			 m->formula[0] ? m->formula
				       : member(metric_of(metrics, m->name), "formula"));
		snprintf(c->unit, sizeof(c->unit), "%s", m->unit);
		c->per_op = m->per_op;
		if (!label_column(c, seen))
			r->ncolumns--;
	}
	sm_setfile_free(table);
	return rc;
}

int sm__summary_columns(const struct sm_report *report, struct sm_summary *r)
{
	cJSON *env = cJSON_Parse(report->environment);
	const cJSON *counters = cJSON_GetObjectItemCaseSensitive(env, "counters");
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(counters, "metrics");
	struct seen seen;
	int rc = see_all(&seen, report);

	if (rc == 0)
		rc = add_standard(r, &seen, metrics);
	if (rc == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(counters, "chosen")))
		rc = add_asked(r, &seen, metrics);
	for (size_t i = 0; i < r->ncolumns; i++)
		r->columns[i].name = sm_pool_find(&report->pool, r->columns[i].metric);
	free_seen(&seen);
	cJSON_Delete(env);
	return rc;
}

/* ---- which way is better ------------------------------------------------------------------ */

enum sm_better sm_better_of_result(const struct sm_result *result)
{
	int said = sm_names_find(sm_better_names, result->better);
	const struct sm_result_desc *d = sm_result_desc_find(result->name);

	if (said >= 0)
		return (enum sm_better)said;
	return d != NULL ? d->better : SM_BETTER_NEITHER;
}

enum sm_better sm_better_of_counter(const struct sm_report *r, const char *name)
{
	cJSON *env = cJSON_Parse(r->environment);
	const cJSON *counters = cJSON_GetObjectItemCaseSensitive(env, "counters");
	const cJSON *m = metric_of(cJSON_GetObjectItemCaseSensitive(counters, "metrics"), name);
	int better = sm_names_find(sm_better_names, member(m, "better"));

	cJSON_Delete(env);
	return better >= 0 ? (enum sm_better)better : sm_setfile_better(name);
}
