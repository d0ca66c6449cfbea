/*
 * writer_table.c: the table for people. Three parts: results by case; counters by case, role and
 * phase, per operation, joined over passes; and what one must know to read them (which event is
 * behind a column, why a cell is n/a, failed samples, warnings).
 *
 * Everything fits SM_TABLE_WIDTH columns, 80 on a terminal that is narrower. Colour is decoration
 * only: every mark is a character as well.
 */
#include "harness/report/table.h"
#include "harness/base/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- head --------------------------------------------------------------------------------- */

static const char *env_text(const cJSON *env, const char *name, const char *none)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(env, name);

	return cJSON_IsString(item) ? item->valuestring : none;
}

static int env_number(const cJSON *env, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(env, name);

	return cJSON_IsNumber(item) ? item->valueint : 0;
}

static void write_head(struct sm_table *t)
{
	cJSON *env = cJSON_Parse(t->r->environment);
	const cJSON *topo = cJSON_GetObjectItemCaseSensitive(env, "topology");
	const cJSON *counters = cJSON_GetObjectItemCaseSensitive(env, "counters");
	char line[512];
	int passes = env_number(counters, "passes");
	bool grew = t->r->until.ntargets > 0;
	int cores = env_number(topo, "cores"), nodes = env_number(topo, "nodes");
	int reps = grew ? (int)t->r->reps : env_number(env, "repetitions");

	snprintf(line, sizeof(line),
		 "%s, %d core%s, %d node%s, Linux %s%s; seed %llu; %d repetition%s%s",
		 env_text(env, "cpu_model", "CPU model unknown"), cores, cores == 1 ? "" : "s",
		 nodes, nodes == 1 ? "" : "s", env_text(env, "kernel", "?"),
		 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(env, "virtual_machine"))
			 ? " (virtual machine)"
			 : "",
		 (unsigned long long)t->r->seed, reps, reps == 1 ? "" : "s",
		 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(env, "quick")) ? ", quick parameters"
									      : "");
	t->passes = passes;
	if (passes > 1)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
			 ", %d counter passes joined", passes);
	sm__table_wrap(t, "", 0, line);
	cJSON_Delete(env);
}

/* ---- results ------------------------------------------------------------------------------ */

/* Long names of backends have their room of this column, which has some to spare. */
#define INTERVAL_WIDTH(t) ((t)->backend > 13 ? 32 - (t)->backend : 19)

static void put_interval(struct sm_table *t, size_t first)
{
	unsigned group = t->r->records[first].group;
	const char *unit = "", *reason;
	struct sm_stats s;
	char text[64] = "-", low[24], high[24];

	if (sm_summary_result(t->r, group, "ns_per_op", &s, &unit, &reason) ||
	    sm_summary_result(t->r, group, "wall_s", &s, &unit, &reason)) {
		if (s.has_interval) {
			sm_text_value(s.low, unit, low, sizeof(low));
			sm_text_value(s.high, unit, high, sizeof(high));
			snprintf(text, sizeof(text), "%s..%s%s", low, high, s.outliers ? "!" : "");
		}
		t->outliers |= s.outliers > 0;
	}
	fprintf(t->out, " %*s", INTERVAL_WIDTH(t), text);
}

/* The group's failed samples, in words of the table. */
static bool all_failed(const struct sm_report *r, size_t first)
{
	for (size_t i = first, end = sm__table_group_end(r, first); i < end; i++) {
		if (r->records[i].status == SM_OUTCOME_OK)
			return false;
	}
	return true;
}

static void write_result_row(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = &t->r->records[first];

	if (sm__table_has_twin(t, first))
		sm__table_case_line(t, first);
	sm__table_put_names(t, rec, true);
	if (rec->status == SM_OUTCOME_ABSENT) {
		sm__table_put_na(t, 8, rec->message);
		fputc('\n', t->out);
		return;
	}
	if (all_failed(t->r, first)) {
		fprintf(t->out, " %sno sample (see below)%s\n", SM_RED(t), SM_PLAIN(t));
		return;
	}
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++) {
		if (sm_results[i].shown == SM_SHOWN_COLUMN)
			sm__table_put_result(t, first, &sm_results[i], sm_results[i].width);
		if (i == SM_RESULT_ns_per_op)
			put_interval(t, first);
	}
	fputc('\n', t->out);
}

static void write_more(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = sm__table_with_results(t->r, first);
	size_t indent = SM_NAMES_WIDTH(t) + 1;
	struct sm_wrap w = {t->out, indent, indent, t->width};
	bool any = false;

	if (rec == NULL)
		return;
	for (size_t i = 0; i < rec->nresults; i++) {
		enum sm_shown shown = sm_result_shown(rec->results[i].name);
		const char *unit = "", *reason;
		struct sm_stats s;
		char value[40], word[128];

		if ((shown != SM_SHOWN_MORE && shown != SM_SHOWN_SERIES &&
		     !rec->results[i].better[0]) || /* with it: a --metric */
		    !sm_summary_result(t->r, rec->group, rec->results[i].name, &s, &unit, &reason))
			continue;
		if (!any) {
			if (sm__table_has_twin(t, first))
				sm__table_case_line(t, first);
			sm__table_put_names(t, rec, true);
			fputc(' ', t->out);
		}
		any = true;
		sm_text_value(s.median, unit, value, sizeof(value));
		snprintf(word, sizeof(word), "%s %s", rec->results[i].name, value);
		sm__table_wrap_word(&w, word);
	}
	if (any)
		fputc('\n', t->out);
}

static void write_results(struct sm_table *t)
{
	fprintf(t->out, "\n%s", SM_BOLD(t));
	sm__table_put_heads(t);
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++) {
		if (sm_results[i].shown == SM_SHOWN_COLUMN)
			fprintf(t->out, " %*s", sm_results[i].width, sm_results[i].title);
		if (i == SM_RESULT_ns_per_op)
			fprintf(t->out, " %*s", INTERVAL_WIDTH(t), "95% interval");
	}
	fprintf(t->out, "%s\n", SM_PLAIN(t));
	sm__table_each_group(t, write_result_row);
	fputc('\n', t->out);
	sm__table_each_group(t, write_more);
}

/* ---- what workloads printed --------------------------------------------------------------- */

/* Programs say a lot, each in its own way: JSON has it. */
static void write_output(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = &t->r->records[first];
	const char *p = rec->output;

	if (!p[0] || sm_record_is_program(rec))
		return;
	fputc('\n', t->out);
	sm_text_print(t->out, rec->workload);
	fputs(" (", t->out);
	sm_text_print(t->out, rec->backend);
	fputs(") printed:\n", t->out);
	while (*p) {
		size_t len = strcspn(p, "\n");
		char *line = strndup(p, len);

		if (line != NULL)
			sm__table_wrap(t, "", 2, line);
		free(line);
		p += len + (p[len] != 0);
	}
}

/* Room for the longest name of a backend that is no path. */
static int backend_width(const struct sm_report *r)
{
	size_t width = 4;

	for (size_t i = 0; i < r->nrecords; i++)
		width = strlen(r->records[i].backend) > width ? strlen(r->records[i].backend)
							      : width;
	return width > SM_TABLE_BACKEND ? SM_TABLE_BACKEND : (int)width;
}

int sm_write_table(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	struct sm_table t = {
		.r = r, .w = w, .out = out, .width = w->width ? w->width : SM_TABLE_WIDTH};
	int rc = sm_summary_build(r, w->by, &t.summary);

	if (rc)
		return rc;
	t.narrow = t.width < SM_TABLE_WIDTH;
	t.backend = backend_width(r);
	t.families = sm__table_families(r);
	write_head(&t);
	if (r->nrecords > 0)
		write_results(&t);
	sm__table_counters(&t);
	sm__table_stalls(&t);
	sm__table_each_group(&t, write_output);
	sm__table_notes(&t);
	cJSON_Delete(t.families);
	sm_summary_free(&t.summary);
	return 0;
}
