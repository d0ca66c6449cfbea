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

/* Without the signs of trade marks. */
static const char *cpu_model(const cJSON *env, char *buf, size_t len)
{
	const char *p = env_text(env, "cpu_model", "CPU model unknown");
	size_t n = 0;

	while (*p && n + 1 < len) {
		size_t sign = strncmp(p, "(R)", 3) == 0 ? 3 : strncmp(p, "(TM)", 4) == 0 ? 4 : 0;

		if (sign > 0)
			p += sign;
		else
			buf[n++] = *p++;
	}
	buf[n] = '\0';
	return buf;
}

static void write_head(struct sm_table *t)
{
	cJSON *env = cJSON_Parse(t->r->environment);
	const cJSON *topo = cJSON_GetObjectItemCaseSensitive(env, "topology");
	const cJSON *counters = cJSON_GetObjectItemCaseSensitive(env, "counters");
	char line[512], model[120], seed[32] = "";
	int passes = env_number(counters, "passes");
	bool grew = t->r->until.ntargets > 0;
	int cores = env_number(topo, "cores"), nodes = env_number(topo, "nodes");
	int reps = grew ? (int)t->r->reps : env_number(env, "repetitions");

	if (t->w->wide)
		snprintf(seed, sizeof(seed), " seed %llu;", (unsigned long long)t->r->seed);
	snprintf(line, sizeof(line), "%s, %d core%s, %d node%s, Linux %s%s;%s %d repetition%s%s",
		 cpu_model(env, model, sizeof(model)), cores, cores == 1 ? "" : "s", nodes,
		 nodes == 1 ? "" : "s", env_text(env, "kernel", "?"),
		 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(env, "virtual_machine"))
			 ? (t->w->wide ? " (virtual machine)" : " (VM)")
			 : "",
		 seed, reps, reps == 1 ? "" : "s",
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

/* ---- what samples warned of --------------------------------------------------------------- */

/* What is said once however often it was found. */
struct said {
	char *key; /* the words without their numbers */
	const char *line;
	size_t len;
	const struct sm_record *first, *last; /* samples that have it */
	size_t samples;
	bool one_case;
};

struct said_list {
	struct said *v;
	size_t n, cap;
};

char *sm__table_without_digits(const char *line, size_t len)
{
	char *key = malloc(len + 1), *at = key;

	for (size_t i = 0; key != NULL && i < len; i++)
		if (!(line[i] >= '0' && line[i] <= '9'))
			*at++ = line[i];
	if (key != NULL)
		*at = 0;
	return key;
}

static struct said *said_of(struct said_list *list, const char *line, size_t len)
{
	char *key = sm__table_without_digits(line, len);

	if (key == NULL)
		return NULL;
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].key, key) == 0) {
			free(key);
			return &list->v[i];
		}
	}
	if (list->n == list->cap) {
		struct said *v = realloc(list->v, (2 * list->cap + 8) * sizeof(*v));

		if (v == NULL) {
			free(key);
			return NULL;
		}
		list->v = v;
		list->cap = 2 * list->cap + 8;
	}
	list->v[list->n] = (struct said){.key = key, .line = line, .len = len, .one_case = true};
	return &list->v[list->n++];
}

static void say_also(struct said_list *list, const struct sm_record *rec, const char *line,
		     size_t len)
{
	struct said *s = said_of(list, line, len);

	if (s == NULL)
		return;
	s->first = s->first != NULL ? s->first : rec;
	s->one_case &= s->first->group == rec->group;
	s->samples += s->last != rec;
	s->last = rec;
}

static void write_said(struct sm_table *t, const char *head, struct said_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct said *s = &list->v[i];
		char many[64] = "", *text;

		if (s->len == 0) /* is said with others */
			continue;
		if (s->samples > 1)
			snprintf(many, sizeof(many), " (first of %zu samples%s)", s->samples,
				 s->one_case ? "" : ", in several cases");
		if (asprintf(&text, "%s (%s): %.*s%s", s->first->workload, s->first->backend,
			     (int)s->len, s->line, many) > 0) {
			sm__table_wrap(t, head, 9, text);
			free(text);
		}
	}
}

static void free_said(struct said_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].key);
	free(list->v);
}

/* Of what went on beside the samples, that of the most of them; the rest is counted. */
#define MEANWHILE_SHOWN 3

static struct said *most_said(const struct said_list *list, const char *begin)
{
	struct said *most = NULL;

	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].len > 0 && strncmp(list->v[i].line, begin, strlen(begin)) == 0 &&
		    (most == NULL || list->v[i].samples > most->samples))
			most = &list->v[i];
	return most;
}

/* In the short table a paragraph: whatever it was, the machine was not ours alone. */
static void write_meanwhile(struct sm_table *t, struct said_list *list)
{
	static const char begin[] = "meanwhile: ";
	char *text = NULL;
	size_t len = 0, more = 0, skip = sizeof(begin) - 1;
	FILE *f = open_memstream(&text, &len);
	struct said *s;

	for (size_t n = 0; f != NULL && (s = most_said(list, begin)) != NULL; n++) {
		if (n >= MEANWHILE_SHOWN)
			more++;
		else
			fprintf(f, "%s%.*s (", n > 0 ? "; " : begin, (int)(s->len - skip),
				s->line + skip);
		if (n < MEANWHILE_SHOWN && s->one_case)
			fprintf(f, "%s %s", s->first->workload, s->first->backend);
		if (n < MEANWHILE_SHOWN && s->samples > 1)
			fprintf(f, "%s%zu samples", s->one_case ? ", " : "", s->samples);
		if (n < MEANWHILE_SHOWN)
			fputc(')', f);
		s->len = 0;
	}
	if (f != NULL && more > 0)
		fprintf(f, "; %zu more: --wide", more);
	if (f != NULL && fclose(f) == 0 && text[0] != '\0')
		sm__table_wrap(t, "warning", 9, text);
	free(text);
}

/* Warnings of the samples, each once. */
void sm__table_warnings(struct sm_table *t)
{
	struct said_list list = {0};

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_record *rec = &t->r->records[i];

		for (const char *p = rec->warnings; *p;) {
			size_t len = strcspn(p, "\n");

			say_also(&list, rec, p, len);
			p += len + (p[len] != 0);
		}
	}
	if (!t->w->wide)
		write_meanwhile(t, &list);
	write_said(t, "warning", &list);
	free_said(&list);
}

/* ---- the whole ---------------------------------------------------------------------------- */

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
	free(t->wholes);
	sm__table_free_families(&t->families);
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
	if (sm__table_lines_open(&t.lines, r->nrecords) != 0 || t.shown == NULL ||
	    sm__table_find_wholes(&t) != 0 || sm__table_find_families(&t) != 0) {
		free_table(&t);
		return -ENOMEM;
	}
	t.backend = backend_width(r);
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
