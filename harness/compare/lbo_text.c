/* lbo_text.c: the cost of collection as a table, as CSV and as JSON. See lbo.h. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/lbo.h"
#include "harness/report/table.h"
#include "harness/report/writer.h"
#include "harness/base/text.h"

static bool has(const struct sm_lbo_ratio *r)
{
	return !isnan(r->ratio) && r->has_interval;
}

/* ---- table -------------------------------------------------------------------------------- */

static void put_ratio(const struct sm_lbo_ratio *r, FILE *out)
{
	char ratio[16] = "-", interval[32] = "-";

	if (!isnan(r->ratio))
		snprintf(ratio, sizeof(ratio), "%.4g", r->ratio);
	if (has(r))
		snprintf(interval, sizeof(interval), "%.4g..%.4g", r->low, r->high);
	fprintf(out, " %7s %15s", ratio, interval);
}

static void put_row(const struct sm_lbo_row *r, FILE *out)
{
	char name[160], total[24], visible[16] = "-";

	snprintf(name, sizeof(name), "  %.120s%s", r->config, r->least ? " *" : "");
	sm_text_value(r->total, r->unit, total, sizeof(total));
	if (!r->manual)
		snprintf(visible, sizeof(visible), "%.3g %%", 100 * (1 - r->distilled / r->total));
	sm_text_name(out, name, 34);
	fprintf(out, " %9s %8s", total, visible);
	put_ratio(&r->bound, out);
	put_ratio(&r->truth, out);
	fputc('\n', out);
}

static void put_head(const struct sm_lbo_row *r, FILE *out)
{
	char name[200], against[24] = "";

	snprintf(name, sizeof(name), "%.120s: %s, for an operation%s", r->name, r->metric,
		 strcmp(r->source, "sim") == 0 ? " [sim]" : "");
	sm_text_print(out, name);
	if (r->against[0])
		snprintf(against, sizeof(against), "/ %.16s", r->against);
	fprintf(out, "\n%-34s %9s %8s %7s %15s %7s %15s\n", "", "total", "visible", "bound",
		"interval", against, r->against[0] ? "interval" : "");
}

void sm_lbo_table(const struct sm_lbo *l, const struct sm_report *r, FILE *out)
{
	char text[600];

	fprintf(out, "run %lld, %s\n", (long long)r->run, r->started);
	for (size_t i = 0; i < l->nrows; i++) {
		if (i == 0 || strcmp(l->rows[i].name, l->rows[i - 1].name) != 0 ||
		    strcmp(l->rows[i].metric, l->rows[i - 1].metric) != 0) {
			fputc('\n', out);
			put_head(&l->rows[i], out);
		}
		put_row(&l->rows[i], out);
	}
	fputc('\n', out);
	snprintf(text, sizeof(text),
		 "bound: total / the least distilled cost (*), that is total without what is "
		 "visibly the collector's: the configuration costs so much of an ideal one at "
		 "least. All intervals hold together with 95 %% (each ratio's is one of %.4g %%). "
		 "Ratios are of pairs of one repetition, which drift does not touch: they may "
		 "differ from the quotients of the totals above, which are medians.",
		 l->each * 100);
	sm__table_wrap_text(out, "", 0, text);
	sm__table_list(out, "note: ", &l->notes);
	sm__table_list(out, "left out: ", &l->left_out);
}

/* ---- CSV and JSON ------------------------------------------------------------------------- */

void sm_lbo_csv(const struct sm_lbo *l, FILE *out)
{
	fputs("case,config,metric,unit,source,manual,least,reps,total,distilled,bound,bound_low,"
	      "bound_high,against,truth,truth_low,truth_high,confidence\n",
	      out);
	for (size_t i = 0; i < l->nrows; i++) {
		const struct sm_lbo_row *r = &l->rows[i];
		const struct sm_lbo_ratio *const ratios[] = {&r->bound, &r->truth};

		sm_csv_quoted(out, r->name);
		fputc(',', out);
		sm_csv_quoted(out, r->config);
		fprintf(out, ",%s,%s,%s,%d,%d,%zu", r->metric, r->unit, r->source, r->manual,
			r->least, r->reps);
		sm_csv_number(out, r->total, true);
		sm_csv_number(out, r->distilled, true);
		for (int k = 0; k < 2; k++) {
			if (k == 1)
				fprintf(out, ",%s", r->against);
			sm_csv_number(out, ratios[k]->ratio, true);
			sm_csv_number(out, ratios[k]->low, has(ratios[k]));
			sm_csv_number(out, ratios[k]->high, has(ratios[k]));
		}
		sm_csv_number(out, l->each, true);
		fputc('\n', out);
	}
}

static void add_ratio(cJSON *row, const char *name, const struct sm_lbo_ratio *r)
{
	cJSON *obj = cJSON_AddObjectToObject(row, name);

	sm_json_number(obj, "ratio", r->ratio, true);
	sm_json_number(obj, "low", r->low, has(r));
	sm_json_number(obj, "high", r->high, has(r));
}

static cJSON *row_json(const struct sm_lbo_row *r)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddStringToObject(obj, "case", r->name);
	cJSON_AddStringToObject(obj, "config", r->config);
	cJSON_AddStringToObject(obj, "metric", r->metric);
	cJSON_AddStringToObject(obj, "unit", r->unit);
	cJSON_AddStringToObject(obj, "source", r->source);
	cJSON_AddBoolToObject(obj, "manual", r->manual);
	cJSON_AddBoolToObject(obj, "least", r->least);
	cJSON_AddNumberToObject(obj, "reps", (double)r->reps);
	sm_json_number(obj, "total", r->total, true);
	sm_json_number(obj, "distilled", r->distilled, true);
	add_ratio(obj, "bound", &r->bound);
	cJSON_AddStringToObject(obj, "against", r->against);
	add_ratio(obj, "truth", &r->truth);
	return obj;
}

static void add_texts(cJSON *obj, const char *name, const struct sm_strings *s)
{
	cJSON_AddItemToObject(obj, name,
			      cJSON_CreateStringArray((const char *const *)s->v, (int)s->n));
}

void sm_lbo_json(const struct sm_lbo *l, const struct sm_report *r, FILE *out)
{
	cJSON *obj = cJSON_CreateObject(), *rows;
	char *text;

	cJSON_AddNumberToObject(obj, "run", (double)r->run);
	cJSON_AddNumberToObject(obj, "confidence_of_interval", l->each);
	add_texts(obj, "notes", &l->notes);
	add_texts(obj, "left_out", &l->left_out);
	rows = cJSON_AddArrayToObject(obj, "rows");
	for (size_t i = 0; i < l->nrows; i++)
		cJSON_AddItemToArray(rows, row_json(&l->rows[i]));
	text = cJSON_Print(obj);
	fprintf(out, "%s\n", text != NULL ? text : "null");
	cJSON_free(text);
	cJSON_Delete(obj);
}
