/*
 * writer_table.c: the table for people. Three parts: results by case; counters by case, role and
 * phase, per operation, joined over passes; and what one must know to read them (which event is
 * behind a column, why a cell is n/a, failed samples, warnings). table.h has the rest.
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

static void free_table(struct sm_table *t)
{
	sm__table_lines_close(&t->lines);
	free(t->shown);
	cJSON_Delete(t->families);
	sm_summary_free(&t->summary);
}

int sm_write_table(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	struct sm_table t = {
		.r = r, .w = w, .out = out, .width = w->width ? w->width : SM_TABLE_WIDTH};
	int rc = w->wide ? sm_summary_build(r, w->by, &t.summary)
			 : sm_summary_build_brief(r, w->by, &t.summary);

	if (rc)
		return rc;
	t.shown = calloc(t.summary.ncolumns + 1, sizeof(*t.shown));
	if (sm__table_lines_open(&t.lines, r->nrecords) != 0 || t.shown == NULL) {
		free_table(&t);
		return -ENOMEM;
	}
	t.backend = backend_width(r);
	t.families = sm__table_families(r);
	sm__table_choose(&t);
	write_head(&t);
	if (r->nrecords > 0)
		sm__table_results(&t);
	sm__table_counters(&t);
	sm__table_marked(&t);
	if (w->waits)
		sm__table_stalls(&t);
	sm__table_spans(&t);
	if (w->wide)
		sm__table_each_group(&t, write_output);
	sm__table_notes(&t);
	free_table(&t);
	return 0;
}
