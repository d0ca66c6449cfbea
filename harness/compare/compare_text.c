/* compare_text.c: a comparison as a table, as CSV and as JSON. See compare.h. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/compare.h"
#include "harness/report/table.h"
#include "harness/report/writer.h"
#include "harness/base/text.h"

/* ---- table -------------------------------------------------------------------------------- */

static void middle_of(const double *values, size_t n, const char *unit, char *buf, size_t len)
{
	double *copy = calloc(n + 1, sizeof(*copy));
	struct sm_stats s = {0};

	if (copy != NULL) {
		memcpy(copy, values, n * sizeof(*copy));
		sm_stats_compute(copy, n, SM_STATS_CONFIDENCE, &s);
	}
	if (s.n == 0)
		snprintf(buf, len, "-");
	else
		sm_text_value(s.median, unit, buf, len);
	free(copy);
}

static void row_name(const struct sm_compare_row *r, char *buf, size_t len)
{
	snprintf(buf, len, "  %s%s%s%s%s", r->who, r->who[0] ? " " : "", r->kind,
		 r->kind[0] ? " " : "", r->metric);
}

/* Gives equal reasons one number, from 1, in the order of the rows. */
static void number_notes(struct sm_comparison *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nrows; i++) {
		struct sm_compare_row *r = &c->rows[i];
		size_t k = 0, at = 0;

		r->note = 0;
		if (r->d.reason[0] == 0)
			continue;
		for (; at < n; at++, k++) { /* the row that has it first */
			while (c->rows[k].note != at + 1)
				k++;
			if (strcmp(c->rows[k].d.reason, r->d.reason) == 0)
				break;
		}
		r->note = at < n ? at + 1 : ++n;
	}
}

static void put_row(const struct sm_comparison *c, size_t i, FILE *out)
{
	const struct sm_compare_row *r = &c->rows[i];
	const struct sm_difference *d = &r->d;
	char name[80], a[24], b[24], ratio[16] = "-", interval[32] = "-", count[32];

	row_name(r, name, sizeof(name));
	middle_of(d->base, d->nbase, r->unit, a, sizeof(a));
	middle_of(d->other, d->nother, r->unit, b, sizeof(b));
	if (!isnan(d->ratio))
		snprintf(ratio, sizeof(ratio), "%.4g", d->ratio);
	if (d->exact)
		snprintf(interval, sizeof(interval), "exact");
	else if (d->has_interval)
		snprintf(interval, sizeof(interval), "%.4g..%.4g", d->low, d->high);
	if (d->paired)
		snprintf(count, sizeof(count), "%zu pair%s", d->nbase, d->nbase == 1 ? "" : "s");
	else
		snprintf(count, sizeof(count), "%zu+%zu", d->nbase, d->nother);
	sm_text_name(out, name, 30);
	fprintf(out, " %9s %9s %8s %16s %9s  %s", a, b, ratio, interval, count,
		sm_verdict_names[d->verdict]);
	if (d->reason[0])
		fprintf(out, " (%zu)", r->note);
	fputc('\n', out);
}

static void put_notes(const struct sm_comparison *c, FILE *out)
{
	size_t printed = 0;

	for (size_t i = 0; i < c->nrows; i++)
		if (c->rows[i].note > printed)
			fprintf(out, "(%zu) %s\n", ++printed, c->rows[i].d.reason);
}

static bool same_figure(const struct sm_compare_row *a, const struct sm_compare_row *b)
{
	return strcmp(a->metric, b->metric) == 0 && strcmp(a->who, b->who) == 0 &&
	       strcmp(a->kind, b->kind) == 0;
}

/* Of a figure that several rows have; none where one of them has no ratio. */
static void put_mean(const struct sm_comparison *c, const struct sm_compare_row *first, FILE *out)
{
	double sum = 0;
	size_t n = 0;

	for (size_t k = 0; k < c->nrows; k++) {
		if (!same_figure(&c->rows[k], first))
			continue;
		sum += log(c->rows[k].d.ratio);
		n++;
	}
	if (n > 1 && !isnan(sum))
		fprintf(out, "geometric mean of %s%s%s over %zu rows: %.4g\n", first->who,
			first->who[0] ? " " : "", first->metric, n, exp(sum / (double)n));
}

/* The rows of the first case have nearly every figure; others come as they appear. */
static void put_means(const struct sm_comparison *c, FILE *out)
{
	size_t known[64], n = 0;

	for (size_t i = 0; i < c->nrows && n < 64; i++) {
		size_t k = 0;

		while (k < n && !same_figure(&c->rows[known[k]], &c->rows[i]))
			k++;
		if (k < n)
			continue;
		known[n++] = i;
		put_mean(c, &c->rows[i], out);
	}
}

static void put_claim(const struct sm_compare_text *t, FILE *out)
{
	size_t sampled = 0, exact = 0;
	bool split = false;
	char text[400];

	for (size_t i = 0; i < t->c->nrows; i++) {
		sampled += t->c->rows[i].d.has_interval && !t->c->rows[i].d.exact;
		exact += t->c->rows[i].d.exact;
		split |= t->c->rows[i].d.split > 1;
	}
	snprintf(text, sizeof(text),
		 "All intervals hold together with 95 %% (each is one of %.4g %%%s). Same: within "
		 "%g %% of 1; better and worse: wholly beyond.%s",
		 t->c->each * 100, split ? ", wider for the looks of --until" : "",
		 t->judged.margin * 100,
		 exact ? " Exact: simulated counts of one thread; any change is one. Times and "
			 "memory of a run with --counters sim are the simulator's."
		       : "");
	if (sampled + exact > 0)
		sm__table_wrap_text(out, "", 0, text);
}

static void put_power(const struct sm_compare_text *t, FILE *out)
{
	unsigned most = 0;
	const struct sm_compare_row *worst = NULL;

	for (size_t i = 0; i < t->c->nrows; i++) {
		if (t->c->rows[i].d.needed > most) {
			worst = &t->c->rows[i];
			most = worst->d.needed;
		}
	}
	if (t->power > 0 && worst != NULL)
		fprintf(out,
			"To find a difference of %g %% in every row takes %u repetitions (%s, "
			"%s).\n",
			t->power * 100, most, worst->name, worst->metric);
}

/* "1 of 3 planned samples, interrupted" of a run that is not whole; false: it is. */
static bool is_unfinished(const struct sm_report *r, char *buf, size_t len)
{
	bool said = strcmp(r->state, "unfinished") == 0; /* by who prints this */

	snprintf(buf, len, "%zu of %u planned samples%s%s", r->nrecords, r->planned,
		 said ? "" : ", ", said ? "" : r->state);
	return r->nrecords < r->planned;
}

static void put_side(const char *name, const struct sm_side *s, FILE *out)
{
	char text[100];

	fprintf(out, "%s = %s (run %lld, %s", name, s->text, (long long)s->report->run,
		s->report->started);
	if (is_unfinished(s->report, text, sizeof(text)))
		fprintf(out, "; unfinished: %s", text);
	fputs(")\n", out);
}

void sm_compare_table(const struct sm_compare_text *t, FILE *out)
{
	put_side("A", t->base, out);
	put_side("B", t->other, out);
	sm__table_list(out, "differs: ", &t->c->hidden);
	number_notes(t->c);
	fprintf(out, "\n%-30s %9s %9s %8s %16s %9s  %s\n", "", "A", "B", "B / A", "interval",
		"from", "B is");
	for (size_t i = 0; i < t->c->nrows; i++) {
		if (i == 0 || strcmp(t->c->rows[i].name, t->c->rows[i - 1].name) != 0) {
			sm_text_print(out, t->c->rows[i].name);
			fputc('\n', out);
		}
		put_row(t->c, i, out);
	}
	put_means(t->c, out);
	fputc('\n', out);
	put_notes(t->c, out);
	put_claim(t, out);
	put_power(t, out);
	sm__table_list(out, "not compared: ", &t->c->unmatched);
}

/* ---- CSV ---------------------------------------------------------------------------------- */

static void put_names(const struct sm_compare_text *t, const char *name, FILE *out)
{
	const char *const texts[] = {t->base->text, t->other->text, name};

	for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
		sm_csv_quoted(out, texts[k]);
		fputc(',', out);
	}
}

void sm_compare_csv(const struct sm_compare_text *t, bool head, FILE *out)
{
	if (head)
		fputs("base,other,case,who,kind,metric,unit,base_values,other_values,paired,exact,"
		      "ratio,low,high,confidence,verdict,needed,reason\n",
		      out);
	for (size_t i = 0; i < t->c->nrows; i++) {
		const struct sm_compare_row *r = &t->c->rows[i];
		const char *const texts[] = {r->who, r->kind, r->metric, r->unit};

		put_names(t, r->name, out);
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			sm_csv_quoted(out, texts[k]);
			fputc(',', out);
		}
		fprintf(out, "%zu,%zu,%d,%d", r->d.nbase, r->d.nother, r->d.paired, r->d.exact);
		sm_csv_number(out, r->d.ratio, true);
		sm_csv_number(out, r->d.low, r->d.has_interval);
		sm_csv_number(out, r->d.high, r->d.has_interval);
		sm_csv_number(out, t->c->each, !r->d.exact);
		fprintf(out, ",%s,%u,", sm_verdict_names[r->d.verdict], r->d.needed);
		sm_csv_quoted(out, r->d.reason);
		fputc('\n', out);
	}
	for (size_t i = 0; i < t->c->lost.n; i++) {
		put_names(t, t->c->lost.v[i], out);
		fprintf(out, ",,,,,,,,,,,,%s,,", sm_verdict_names[SM_VERDICT_UNCLEAR]);
		sm_csv_quoted(out, t->c->why.v[i]);
		fputc('\n', out);
	}
}

/* ---- JSON --------------------------------------------------------------------------------- */

static cJSON *row_json(const struct sm_compare_row *r)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddStringToObject(obj, "case", r->name);
	cJSON_AddStringToObject(obj, "who", r->who);
	cJSON_AddStringToObject(obj, "kind", r->kind);
	cJSON_AddStringToObject(obj, "metric", r->metric);
	cJSON_AddStringToObject(obj, "unit", r->unit);
	cJSON_AddItemToObject(obj, "base", cJSON_CreateDoubleArray(r->d.base, (int)r->d.nbase));
	cJSON_AddItemToObject(obj, "other", cJSON_CreateDoubleArray(r->d.other, (int)r->d.nother));
	cJSON_AddBoolToObject(obj, "paired", r->d.paired);
	cJSON_AddBoolToObject(obj, "exact", r->d.exact);
	sm_json_number(obj, "ratio", r->d.ratio, true);
	sm_json_number(obj, "low", r->d.low, r->d.has_interval);
	sm_json_number(obj, "high", r->d.high, r->d.has_interval);
	cJSON_AddStringToObject(obj, "verdict", sm_verdict_names[r->d.verdict]);
	cJSON_AddStringToObject(obj, "reason", r->d.reason);
	sm_json_number(obj, "needed", r->d.needed, r->d.needed > 0);
	return obj;
}

static void add_unfinished(cJSON *obj, const char *name, const struct sm_report *r)
{
	char text[100];

	if (is_unfinished(r, text, sizeof(text)))
		cJSON_AddStringToObject(obj, name, text);
	else
		cJSON_AddNullToObject(obj, name);
}

cJSON *sm_compare_json(const struct sm_compare_text *t)
{
	cJSON *obj = cJSON_CreateObject(), *rows;

	cJSON_AddStringToObject(obj, "base", t->base->text);
	cJSON_AddStringToObject(obj, "other", t->other->text);
	cJSON_AddNumberToObject(obj, "base_run", (double)t->base->report->run);
	cJSON_AddNumberToObject(obj, "other_run", (double)t->other->report->run);
	add_unfinished(obj, "base_unfinished", t->base->report);
	add_unfinished(obj, "other_unfinished", t->other->report);
	cJSON_AddNumberToObject(obj, "confidence_of_table", SM_VERDICT_CONFIDENCE);
	cJSON_AddNumberToObject(obj, "confidence_of_interval", t->c->each);
	cJSON_AddNumberToObject(obj, "margin", t->judged.margin);
	cJSON_AddItemToObject(
		obj, "differs",
		cJSON_CreateStringArray((const char *const *)t->c->hidden.v, (int)t->c->hidden.n));
	cJSON_AddItemToObject(obj, "not_compared",
			      cJSON_CreateStringArray((const char *const *)t->c->unmatched.v,
						      (int)t->c->unmatched.n));
	rows = cJSON_AddArrayToObject(obj, "rows");
	for (size_t i = 0; i < t->c->nrows; i++)
		cJSON_AddItemToArray(rows, row_json(&t->c->rows[i]));
	return obj;
}
