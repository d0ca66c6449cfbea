/*
 * Tidy CSV (RFC 4180): one row for each metric of each thread and phase of each sample. A sample's own
 * results are rows without role and phase, of metric "wall_s", "ops", ..; a failed sample is one row of
 * metric "sample" whose status says how it ended. `calibration` is "off" where spanmark doctor --calibrate found an event
 * behind the value to count something else, and empty otherwise.
 *
 * `run` names the case: workload/param=value/.., then the settings that were not the default. A field of text that a
 * spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection).
 */
#include "harness/writer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "run,rep,phase,role,thread,cpu,node,core_kind,backend,metric,event,value,unit,"
			     "enabled_ns,running_ns,status,source,calibration\n";

static void put_text(FILE *out, const char *text, char end)
{
	bool formula = text[0] && strchr("=+-@\t\r", text[0]);
	bool quote = strpbrk(text, ",\"\r\n") != NULL;

	if (quote)
		fputc('"', out);
	if (formula)
		fputc('\'', out);
	for (const char *p = text; *p; p++) {
		if (*p == '"')
			fputc('"', out);
		fputc(*p, out);
	}
	if (quote)
		fputc('"', out);
	fputc(end, out);
}

/* Empty for "there is none" (-1). */
static void put_index(FILE *out, int v)
{
	if (v >= 0)
		fprintf(out, "%d", v);
	fputc(',', out);
}

static void put_value(FILE *out, bool has, double v)
{
	char text[40];

	if (has) {
		sm_text_number(v, text, sizeof(text));
		fputs(text, out);
	}
	fputc(',', out);
}

static void add_pairs(FILE *f, const char *json)
{
	cJSON *obj = cJSON_Parse(json);
	const cJSON *item;

	cJSON_ArrayForEach(item, obj)
	{
		fprintf(f, "/%s=", item->string);
		if (cJSON_IsString(item))
			fputs(item->valuestring, f);
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

/* "graph/objects=200000/edges=4/gc.mode=stw/place=compact/mark_place=shared/workers=1" */
static char *case_name(const struct sm_record *rec)
{
	cJSON *placement = cJSON_Parse(rec->placement);
	static const char *const shown[] = {"place", "mark_place", "workers", "threads"};
	char *name = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&name, &len);

	if (!f) {
		cJSON_Delete(placement);
		return NULL;
	}
	fputs(rec->workload, f);
	add_pairs(f, rec->params);
	add_pairs(f, rec->config);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(placement, shown[i]);

		if (cJSON_IsString(item))
			fprintf(f, "/%s=%s", shown[i], item->valuestring);
		else if (cJSON_IsNumber(item) && !strstr(rec->params, "\"threads\""))
			fprintf(f, "/%s=%d", shown[i], item->valueint);
	}
	cJSON_Delete(placement);
	if (fclose(f)) {
		free(name);
		return NULL;
	}
	return name;
}

static void put_metric(FILE *out, const char *run, const struct sm_record *rec,
		       const struct sm_record_metric *m)
{
	put_text(out, run, ',');
	fprintf(out, "%u,", rec->rep);
	put_text(out, m->phase, ',');
	put_text(out, m->role, ',');
	put_index(out, m->thread);
	put_index(out, m->cpu);
	put_index(out, m->node);
	put_text(out, strcmp(m->kind, "-") ? m->kind : "", ',');
	put_text(out, rec->backend, ',');
	put_text(out, m->metric, ',');
	put_text(out, m->event, ',');
	put_value(out, m->has_value, m->value);
	put_text(out, m->unit, ',');
	fprintf(out, "%llu,%llu,", (unsigned long long)m->enabled_ns, (unsigned long long)m->running_ns);
	put_text(out, m->status, ',');
	put_text(out, m->source, ',');
	put_text(out, m->doubt, '\n');
}

/* A row that belongs to the whole process. */
static void put_process(FILE *out, const char *run, const struct sm_record *rec, const char *metric, bool has,
			double value, const char *unit, const char *status)
{
	put_text(out, run, ',');
	fprintf(out, "%u,,,,,,,", rec->rep);
	put_text(out, rec->backend, ',');
	put_text(out, metric, ',');
	fputc(',', out);
	put_value(out, has, value);
	put_text(out, unit, ',');
	fputs(",,", out);
	put_text(out, status, ',');
	fputs("sw,\n", out);
}

static int put_record(FILE *out, const struct sm_record *rec)
{
	char *run = case_name(rec);

	if (!run)
		return -ENOMEM;
	if (strcmp(rec->status, SM_STATUS_WORD_OK))
		put_process(out, run, rec, "sample", false, 0, "", rec->status);
	for (size_t i = 0; i < rec->nresults; i++) {
		const struct sm_record_result *res = &rec->results[i];

		put_process(out, run, rec, res->name, res->has_value, res->value, res->unit,
			    res->has_value ? "ok" : "not_counted");
	}
	for (size_t i = 0; i < rec->nmetrics; i++)
		put_metric(out, run, rec, &rec->metrics[i]);
	free(run);
	return 0;
}

int sm_write_csv(const struct sm_report *r, FILE *out)
{
	int rc = 0;

	fputs(header, out);
	for (size_t i = 0; i < r->nrecords && rc == 0; i++)
		rc = put_record(out, &r->records[i]);
	return rc;
}
