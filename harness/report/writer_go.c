/*
 * writer_go.c: Go's benchmark format (golang.org/design/14313-benchmark-format), which benchstat
 * reads:
 *
 *   goos: linux
 *   Unit ns/op better=lower
 *   Unit ops assume=exact
 *   BenchmarkChurn/size=64/ops=5000000/threads=1/backend=gc-1  5000000  8.6 ns/op  0.043 wall_s ..
 *   BenchmarkChurn/size=64/../backend=gc/role=mutator/phase=app-1  5000000  2667561 ns  ..
 *
 * A line is one repetition: its counter passes are joined, what several of them measured is their
 * mean, since benchstat takes lines for repetitions. Results have a line, and so has each row of
 * --by that occurred. The number of iterations is that of operations, where they are counted. A
 * unit is the name of the figure, with a slash for "_per_", and "ns" for the time of a row; numbers
 * are those of CSV and JSON. What is not there is not on the line; a comment says why.
 *
 * Keys of configuration are few: benchstat compares only what has the same ones.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/report/summary_internal.h"
#include "harness/report/writer.h"

struct go {
	const struct sm_report *r;
	const struct sm_writer *w;
	FILE *out;
	char *name, *threads; /* of the case: before and after what a line adds */
};

/* ---- names -------------------------------------------------------------------------------- */

/* As in an address: a blank ends a name, a slash a part of it. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f ||
		    strchr("/%", *text) != NULL)
			fprintf(out, "%%%02X", (unsigned char)*text);
		else
			fputc(*text, out);
	}
}

/* Of a figure: "ns/op", "wall_s", "cycles/op". */
static void put_unit(FILE *out, const char *name, bool counter)
{
	const char *per = strstr(name, "_per_");

	if (counter && strcmp(name, "time") == 0) {
		fputs("ns", out);
		return;
	}
	for (; *name; name++) {
		char one[2] = {*name, 0};

		if (name == per) {
			fputc('/', out);
			name += 4;
		} else
			put_escaped(out, one);
	}
}

/* "Churn/size=64/../backend=gc" and "-1". 0 or -ENOMEM. */
static int name_case(struct go *g, const struct sm_record *rec)
{
	cJSON *placement = cJSON_Parse(rec->placement);
	const cJSON *threads = cJSON_GetObjectItemCaseSensitive(placement, "threads");
	char *plain = sm__writer_case(rec, put_escaped);
	size_t len;
	FILE *f = plain != NULL ? open_memstream(&g->name, &len) : NULL;

	if (asprintf(&g->threads, "-%d", cJSON_IsNumber(threads) ? threads->valueint : 1) < 0)
		g->threads = NULL;
	cJSON_Delete(placement);
	if (f != NULL) {
		bool small = plain[0] >= 'a' && plain[0] <= 'z';

		if (small)
			plain[0] = (char)(plain[0] - 'a' + 'A');
		fprintf(f, "%s%s/backend=", plain[0] >= 'A' && plain[0] <= 'Z' ? "" : "X", plain);
		put_escaped(f, rec->backend);
		if (fclose(f) != 0) {
			free(g->name);
			g->name = NULL;
		}
	}
	free(plain);
	return g->name != NULL && g->threads != NULL ? 0 : -ENOMEM;
}

/* "/role=mutator/core=2/phase=app" */
static void put_row(const struct go *g, const struct sm_metric *m)
{
	const struct {
		enum sm_by by;
		const char *key;
		int number;
	} places[] = {{SM_BY_THREAD, "thread", m->thread},
		      {SM_BY_CORE, "core", m->core},
		      {SM_BY_L3, "l3", m->l3},
		      {SM_BY_NODE, "node", m->node}};

	if (m->role[0]) {
		fputs("/role=", g->out);
		put_escaped(g->out, m->role);
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (m->by == places[i].by && places[i].number >= 0)
			fprintf(g->out, "/%s=%d", places[i].key, places[i].number);
		else if (m->by == places[i].by)
			fprintf(g->out, "/%s=none", places[i].key);
	if (m->by == SM_BY_PACKAGE)
		fprintf(g->out, "/package=%d", m->thread);
	if (m->core_kind[0]) {
		fputs("/kind=", g->out);
		put_escaped(g->out, m->core_kind);
	}
	fputs("/phase=", g->out);
	put_escaped(g->out, m->phase);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void put_begin(const struct go *g, const struct sm_metric *row, const struct sm_record *rec)
{
	const struct sm_result *ops = sm_record_result(rec, "ops");

	fprintf(g->out, "Benchmark%s", g->name);
	if (row != NULL)
		put_row(g, row);
	fprintf(g->out, "%s\t%.0f", g->threads,
		ops != NULL && ops->has_value && ops->value >= 1 && ops->value < 0x1p53
			? floor(ops->value)
			: 1);
}

static void put_figure(const struct go *g, double value, const char *name, bool counter)
{
	char number[40];

	sm_text_number(value, number, sizeof(number));
	fprintf(g->out, "\t%s ", number);
	put_unit(g->out, name, counter);
}

/* The mean of a result over the passes [first, end) that have it. false: none has. */
static bool mean_result(const struct sm_report *r, size_t first, size_t end, const char *name,
			double *mean)
{
	unsigned n = 0;

	for (size_t i = first; i < end; i++) {
		const struct sm_result *res = sm_record_result(&r->records[i], name);

		if (res == NULL || !res->has_value || !isfinite(res->value))
			continue;
		*mean = n++ == 0 ? res->value : *mean + (res->value - *mean) / n;
	}
	return n > 0;
}

/* The results of one repetition, records [first, end). */
static void put_results(const struct go *g, size_t first, size_t end)
{
	const struct sm_record *rec = &g->r->records[first];
	bool any = false;
	double mean = 0;

	for (size_t i = first; i < end && rec->nresults == 0; i++)
		rec = &g->r->records[i];

	for (size_t i = 0; i < rec->nresults; i++) {
		const char *name = rec->results[i].name;

		if (!name[0] || !mean_result(g->r, first, end, name, &mean))
			continue;
		if (!any)
			put_begin(g, NULL, rec);
		any = true;
		put_figure(g, mean, name, false);
	}
	if (any)
		fputc('\n', g->out);
}

/* A counter of one row in one repetition. */
struct counted {
	const struct sm_metric *m;
	double mean;
	unsigned n, row;
};

struct counting {
	struct counted *v;
	size_t n, last;
	unsigned rows;
};

/* Where this one is, or the first of its row; mostly behind the last. */
static struct counted *find_counted(struct counting *c, const struct sm_metric *m, unsigned *row)
{
	*row = c->rows;
	for (size_t i = 0; i < c->n; i++) {
		size_t at = (c->last + 1 + i) % c->n;

		if (!sm_metrics_share_a_row(c->v[at].m, m))
			continue;
		*row = c->v[at].row;
		if (c->v[at].m->metric == m->metric) {
			c->last = at;
			return &c->v[at];
		}
	}
	return NULL;
}

static void take_counted(struct counting *c, const struct sm_metric *m)
{
	unsigned row;
	struct counted *old = find_counted(c, m, &row);

	if (old != NULL) {
		old->mean += (m->value - old->mean) / ++old->n;
		return;
	}
	c->rows += row == c->rows;
	c->v[c->n] = (struct counted){.m = m, .mean = m->value, .n = 1, .row = row};
	c->last = c->n++;
}

static int put_counters(const struct go *g, size_t first, size_t end)
{
	struct counting c = {0};
	size_t room = 1;

	for (size_t i = first; i < end; i++)
		room += g->r->records[i].nmetrics;
	c.v = calloc(room, sizeof(*c.v));
	if (c.v == NULL)
		return -ENOMEM;
	for (size_t i = first; i < end; i++)
		for (size_t k = 0; k < g->r->records[i].nmetrics; k++) {
			const struct sm_metric *m = &g->r->records[i].metrics[k];

			if (sm__concerns(m, g->w->by) && m->metric[0] && m->has_value &&
			    isfinite(m->value))
				take_counted(&c, m);
		}
	for (unsigned row = 0; row < c.rows; row++) {
		bool any = false;

		for (size_t i = 0; i < c.n; i++) {
			if (c.v[i].row != row)
				continue;
			if (!any)
				put_begin(g, c.v[i].m, &g->r->records[first]);
			any = true;
			put_figure(g, c.v[i].mean, c.v[i].m->metric, true);
		}
		fputc('\n', g->out);
	}
	free(c.v);
	return 0;
}

/* ---- what is not there -------------------------------------------------------------------- */

static void put_comment(const struct go *g, const char *name, bool counter, const char *status,
			const char *reason)
{
	fprintf(g->out, "# Benchmark%s%s: ", g->name, g->threads);
	if (name != NULL) {
		put_unit(g->out, name, counter);
		fputc(' ', g->out);
	}
	fputs(status, g->out);
	fputs(reason[0] ? ": " : "", g->out);
	sm_text_print(g->out, reason);
	fputc('\n', g->out);
}

/* Of the first good sample of each pass: later ones lack the same. */
static void put_missing(const struct go *g, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		const struct sm_record *rec = &g->r->records[i];
		const char *last = NULL;

		if (rec->status != SM_OUTCOME_OK) {
			put_comment(g, NULL, false, sm_outcome_names[rec->status], rec->message);
			continue;
		}
		if (rec->rep != g->r->records[first].rep)
			continue;
		for (size_t k = 0; k < rec->nresults; k++)
			if (!rec->results[k].has_value)
				put_comment(g, rec->results[k].name, false, "n/a",
					    rec->results[k].reason);
		for (size_t k = 0; k < rec->nmetrics; k++) {
			const struct sm_metric *m = &rec->metrics[k];

			if (m->has_value || m->metric == last || !sm__concerns(m, g->w->by) ||
			    strcmp(m->phase, "total") != 0)
				continue;
			put_comment(g, m->metric, true, "n/a", m->reason);
			last = m->metric;
		}
	}
}

/* ---- the file ----------------------------------------------------------------------------- */

static void put_key(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s: ", key);
	sm_text_print(out, value);
	fputc('\n', out);
}

/* As Go names it. */
static const char *architecture(const char *machine)
{
	return strcmp(machine, "x86_64") == 0	 ? "amd64"
	       : strcmp(machine, "aarch64") == 0 ? "arm64"
						 : machine;
}

static void put_head(const struct sm_report *r, FILE *out)
{
	cJSON *env = cJSON_Parse(r->environment);
	const char *machine =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(env, "architecture"));
	const char *cpu = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(env, "cpu_model"));

	put_key(out, "goos", "linux");
	if (machine != NULL)
		put_key(out, "goarch", architecture(machine));
	put_key(out, "pkg", "spanmark");
	if (cpu != NULL)
		put_key(out, "cpu", cpu);
	cJSON_Delete(env);
}

static int put_units(const struct sm_report *r, FILE *out)
{
	static const char *const ways[] = {
		[SM_BETTER_LESS] = " better=lower", [SM_BETTER_MORE] = " better=higher"};
	struct sm_figures f;
	int rc = sm__writer_figures(r, &f);

	for (size_t i = 0; i < f.n && rc == 0; i++) {
		struct sm_figure *v = &f.v[i];
		bool again = false;

		/* minor_faults are a result, and counted by row: one unit, of one kind */
		for (size_t k = 0; k < f.n; k++) {
			if (k == i || f.v[k].name != v->name)
				continue;
			again |= k < i;
			v->exact &= f.v[k].exact;
		}
		if (again || !v->name[0] || (v->better == SM_BETTER_NEITHER && !v->exact))
			continue;
		fputs("Unit ", out);
		put_unit(out, v->name, v->counter);
		fputs(v->better != SM_BETTER_NEITHER ? ways[v->better] : "", out);
		fputs(v->exact ? " assume=exact\n" : "\n", out);
	}
	sm__writer_figures_free(&f);
	return rc;
}

static int put_case(struct go *g, size_t first, size_t end)
{
	int rc = name_case(g, &g->r->records[first]);

	if (rc == 0)
		put_missing(g, first, end);
	for (size_t i = first, to; i < end && rc == 0; i = to) {
		for (to = i; to < end && g->r->records[to].rep == g->r->records[i].rep; to++)
			;
		put_results(g, i, to);
		rc = put_counters(g, i, to);
	}
	free(g->name);
	free(g->threads);
	g->name = g->threads = NULL;
	return rc;
}

int sm_write_go(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	struct go g = {.r = r, .w = w, .out = out};
	int rc;

	put_head(r, out);
	rc = put_units(r, out);
	for (size_t i = 0, end; i < r->nrecords && rc == 0; i = end) {
		sm_summary_group(r, r->records[i].group, &i, &end);
		rc = put_case(&g, i, end);
	}
	return rc;
}
