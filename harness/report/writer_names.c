/*
 * writer_names.c: what figures and cases are called in the forms that other programs read. See
 * writer.h.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/summary.h"
#include "harness/report/writer.h"

/* ---- cases -------------------------------------------------------------------------------- */

static void put_plain(FILE *out, const char *text)
{
	fputs(text, out);
}

static void put_pairs(FILE *f, const char *json, sm_put_fn *put)
{
	cJSON *obj = cJSON_Parse(json);
	const cJSON *item;

	cJSON_ArrayForEach(item, obj)
	{
		fputc('/', f);
		put(f, item->string);
		fputc('=', f);
		if (cJSON_IsString(item))
			put(f, item->valuestring);
		else if (cJSON_IsNumber(item))
			fprintf(f, "%.15g", item->valuedouble);
		else {
			const cJSON *e;

			cJSON_ArrayForEach(e, item)
				fprintf(f, "%s%.15g", e == item->child ? "" : ";", e->valuedouble);
		}
	}
	cJSON_Delete(obj);
}

/* Threads, where they are no parameter of the workload. */
static void put_placement(FILE *f, const struct sm_record *rec, sm_put_fn *put)
{
	static const char *const shown[] = {"place", "mark_place", "kind", "workers", "threads"};
	cJSON *placement = cJSON_Parse(rec->placement);

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(placement, shown[i]);

		if (cJSON_IsString(item)) {
			fprintf(f, "/%s=", shown[i]);
			put(f, item->valuestring);
		} else if (cJSON_IsNumber(item) && !(strcmp(shown[i], "threads") == 0 &&
						     strstr(rec->params, "\"threads\"") != NULL))
			fprintf(f, "/%s=%d", shown[i], item->valueint);
	}
	cJSON_Delete(placement);
}

char *sm__writer_case(const struct sm_record *rec, sm_put_fn *put)
{
	char *name = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&name, &len);

	if (f == NULL)
		return NULL;
	put = put != NULL ? put : put_plain;
	put(f, rec->workload);
	put_pairs(f, rec->params, put);
	put_pairs(f, rec->config, put);
	put_placement(f, rec, put);
	if (fclose(f) == 0)
		return name;
	free(name);
	return NULL;
}

void sm__writer_column(const struct sm_column *c, char *buf, size_t len)
{
	bool time = c->per_op && strcmp(c->metric, "time") == 0;

	snprintf(buf, len, "%s%s", time ? "time_ns" : c->metric, c->per_op ? "_per_op" : "");
}

/* ---- figures ------------------------------------------------------------------------------ */

/* Results that say how much was to be done, by the options alone: two runs of a case that differ in
 * one did not do the same. */
static bool is_given(const char *name)
{
	static const char *const names[] = {"ops",    "check",	     "long_lived", "marked",
					    "slices", "request_ops", "requests"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* The figure of this name, an interned one, made when there is none. The next one asked for is
 * mostly the one behind the last. -1: out of memory. */
static long figure_of(struct sm_figures *f, const char *name, bool counter)
{
	struct sm_figure *v;

	for (size_t i = 0; i < f->n; i++) {
		size_t at = (f->last + 1 + i) % f->n;

		if (f->v[at].name == name && f->v[at].counter == counter)
			return (long)(f->last = at);
	}
	v = realloc(f->v, (f->n + 1) * sizeof(*v));
	if (v == NULL)
		return -1;
	f->v = v;
	v[f->n] = (struct sm_figure){.name = name, .counter = counter};
	return (long)(f->last = f->n++);
}

/* Its values in the samples of a case, one after another, are they all the same? */
static void note_value(struct sm_figure *f, unsigned group, const struct sm_result *res)
{
	if (!res->has_value)
		return;
	if (f->known && f->group == group) {
		f->again = true;
		f->varies |= res->value != f->value;
	}
	f->known = true;
	f->group = group;
	f->value = res->value;
}

static int take_results(const struct sm_record *rec, struct sm_figures *f)
{
	for (size_t i = 0; i < rec->nresults; i++) {
		const struct sm_result *res = &rec->results[i];
		size_t known = f->n;
		long at = figure_of(f, res->name, false);

		if (at < 0)
			return -ENOMEM;
		if (known != f->n) {
			f->v[at].unit = res->unit;
			f->v[at].better = sm_better_of_result(res);
			f->v[at].exact = is_given(res->name);
		}
		note_value(&f->v[at], rec->group, res);
	}
	return 0;
}

/* The same row and metric of the first sample of its case, if it has them at the same place, as the
 * samples of what is simulated have. */
static bool repeats(const struct sm_record *rec, const struct sm_record *first, size_t k)
{
	const struct sm_metric *a = &rec->metrics[k], *b = &first->metrics[k];

	return k < first->nmetrics && a->metric == b->metric && sm_metrics_share_a_row(a, b) &&
	       a->has_value == b->has_value && (!a->has_value || a->value == b->value);
}

static int take_counters(const struct sm_report *r, const struct sm_record *rec,
			 const struct sm_record *first, struct sm_figures *f)
{
	for (size_t k = 0; k < rec->nmetrics; k++) {
		const struct sm_metric *m = &rec->metrics[k];
		size_t known = f->n;
		long at = figure_of(f, m->metric, true);

		if (at < 0)
			return -ENOMEM;
		if (known != f->n) {
			f->v[at].unit = m->unit;
			f->v[at].better = sm_better_of_counter(r, m->metric);
			f->v[at].exact = true;
		}
		f->v[at].exact &= m->source == SM_SOURCE_SIM;
		if (rec != first && f->v[at].exact) {
			f->v[at].again = true;
			f->v[at].varies |= !repeats(rec, first, k);
		}
	}
	return 0;
}

int sm__writer_figures(const struct sm_report *r, struct sm_figures *f)
{
	const struct sm_record *first = NULL;
	int rc = 0;

	*f = (struct sm_figures){0};
	for (size_t i = 0; i < r->nrecords && rc == 0; i++) {
		const struct sm_record *rec = &r->records[i];

		if (rec->nresults == 0 && rec->nmetrics == 0)
			continue;
		if (first == NULL || first->group != rec->group || first->pass != rec->pass)
			first = rec;
		rc = take_results(rec, f);
		if (rc == 0)
			rc = take_counters(r, rec, first, f);
	}
	for (size_t i = 0; i < f->n; i++)
		f->v[i].exact &= f->v[i].again && !f->v[i].varies;
	return rc;
}

void sm__writer_figures_free(struct sm_figures *f)
{
	free(f->v);
	*f = (struct sm_figures){0};
}
