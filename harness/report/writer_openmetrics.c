/*
 * writer_openmetrics.c: OpenMetrics text 1.0, for Prometheus and what reads its format: gauges of
 * what the table says. A result is a family of its own, and so is a column of counters:
 *
 *   # TYPE spanmark_result_wall_s gauge
 *   # UNIT spanmark_result_wall_s s
 *   # HELP spanmark_result_wall_s wall_s over the repetitions
 *   spanmark_result_wall_s{case="0",run="churn/size=64/..",workload="churn",backend="gc",
 *                          stat="median"} 0.04
 *   spanmark_counter_cycles_per_op{case="0",..,role="mutator",phase="app",stat="median"} 12.5
 *   spanmark_absent_info{case="0",..,figure="gc_cycles",reason="no collector"} 1
 *   # EOF
 *
 * stat: median, low and high of its interval where there is one, min, max; spanmark_values says of
 * how many repetitions. Numbers are those of JSON's summary, in the unit that the name ends with.
 * Letters that a name may not have are '_'; the label `figure` then has the name as it is. What is
 * not there has no line but one of spanmark_absent_info.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/base/text.h"
#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "perf/names.h"

struct om {
	const struct sm_report *r;
	FILE *out;
	enum sm_by by;
	struct sm_summary summary;
	struct sm_figures figures;
};

/* ---- words -------------------------------------------------------------------------------- */

/* A label, behind others, and its value. */
static void put_label(FILE *out, const char *label, const char *value)
{
	char *clean = strdup(value);

	fprintf(out, ",%s=\"", label);
	if (clean != NULL)
		sm_text_clean(clean);
	for (const char *p = clean; p != NULL && *p; p++) {
		if (*p == '\\' || *p == '"')
			fprintf(out, "\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", out);
		else
			fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
	}
	fputc('"', out);
	free(clean);
}

/* "spanmark_" and the name, as far as its letters may stand there. */
static void name_family(char *buf, size_t len, const char *kind, const char *name)
{
	snprintf(buf, len, "spanmark_%s%s", kind, name);
	for (char *p = buf; *p; p++)
		if (!isalnum((unsigned char)*p) || (unsigned char)*p > 0x7f)
			*p = '_';
}

/* A family may have a unit that its name ends with. */
static void put_family(const struct om *o, const char *family, const char *unit, const char *what,
		       const char *help)
{
	size_t n = strlen(family), u = strlen(unit);

	fprintf(o->out, "# TYPE %s gauge\n", family);
	if (u > 0 && n > u + 1 && family[n - u - 1] == '_' && strcasecmp(family + n - u, unit) == 0)
		fprintf(o->out, "# UNIT %s %s\n", family, family + n - u);
	fprintf(o->out, "# HELP %s ", family);
	for (; *what; what++)
		fputc((unsigned char)*what <= 0x20 || (unsigned char)*what >= 0x7f ||
				      *what == '\\' || *what == '"'
			      ? '_'
			      : *what,
		      o->out);
	fprintf(o->out, "%s\n", help);
}

/* ---- samples ------------------------------------------------------------------------------ */

/* The name and the labels of the case that the record is of, without the closing brace. 0 or
 * -ENOMEM. */
static int put_sample(const struct om *o, const char *name, const struct sm_record *rec)
{
	char *run = sm__writer_case(rec, NULL);

	if (run == NULL)
		return -ENOMEM;
	fprintf(o->out, "%s{case=\"%u\"", name, rec->group);
	put_label(o->out, "run", run);
	put_label(o->out, "workload", rec->workload);
	put_label(o->out, "backend", rec->backend);
	free(run);
	return 0;
}

/* What tells the samples of one family apart, beside the case; NULL or "": it is not there. */
struct who {
	const char *figure, *row, *phase;
};

static void put_who(const struct om *o, const struct who *who)
{
	if (who->figure != NULL)
		put_label(o->out, "figure", who->figure);
	if (who->row != NULL) {
		put_label(o->out, sm_by_names[o->by], who->row);
		put_label(o->out, "phase", who->phase);
	}
}

static int put_stats(const struct om *o, const char *family, const struct sm_record *rec,
		     const struct who *who, const struct sm_stats *s)
{
	const struct {
		const char *stat;
		bool there;
		double value;
	} all[] = {{"median", true, s->median},
		   {"low", s->has_interval, s->low},
		   {"high", s->has_interval, s->high},
		   {"min", true, s->min},
		   {"max", true, s->max}};
	int rc = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && rc == 0; i++) {
		char number[40];

		if (!all[i].there)
			continue;
		rc = put_sample(o, family, rec);
		put_who(o, who);
		sm_text_number(all[i].value, number, sizeof(number));
		fprintf(o->out, ",stat=\"%s\"} %s\n", all[i].stat, number);
	}
	return rc;
}

static int put_count(const struct om *o, const char *family, const struct sm_record *rec,
		     const struct who *who, size_t n)
{
	int rc = put_sample(o, family, rec);

	put_who(o, who);
	fprintf(o->out, "} %zu\n", n);
	return rc;
}

static int put_absent(const struct om *o, const struct sm_record *rec, const struct who *who,
		      const char *reason)
{
	int rc = put_sample(o, "spanmark_absent_info", rec);

	put_who(o, who);
	put_label(o->out, "reason", reason);
	fputs("} 1\n", o->out);
	return rc;
}

/* ---- families ----------------------------------------------------------------------------- */

/* The first record of the case behind that of record i. */
static size_t next_case(const struct sm_report *r, size_t i)
{
	unsigned group = r->records[i].group;

	while (i < r->nrecords && r->records[i].group == group)
		i++;
	return i;
}

/* Its name is `family` where that has all its letters. */
static struct who who_is(const char *kind, const char *name, const char *family)
{
	char plain[256];

	snprintf(plain, sizeof(plain), "spanmark_%s%s", kind, name);
	return (struct who){.figure = strcmp(plain, family) != 0 ? name : NULL};
}

/* All results whose family has this name. */
static int put_result_samples(const struct om *o, const char *family)
{
	int rc = 0;

	for (size_t i = 0; i < o->figures.n; i++) {
		const struct sm_figure *f = &o->figures.v[i];
		char same[256];

		name_family(same, sizeof(same), "result_", f->name);
		if (f->counter || strcmp(same, family) != 0)
			continue;
		for (size_t k = 0; k < o->r->nrecords && rc == 0; k = next_case(o->r, k)) {
			struct who who = who_is("result_", f->name, family);
			struct sm_stats s;
			const char *reason;

			if (rc == 0 && sm_summary_result(o->r, o->r->records[k].group, f->name, &s,
							 NULL, &reason))
				rc = put_stats(o, family, &o->r->records[k], &who, &s);
		}
	}
	return rc;
}

static int put_results(const struct om *o)
{
	int rc = 0;

	for (size_t i = 0; i < o->figures.n && rc == 0; i++) {
		const struct sm_figure *f = &o->figures.v[i];
		char family[256], earlier[256];
		bool again = false;

		name_family(family, sizeof(family), "result_", f->name);
		for (size_t k = 0; k < i; k++) {
			name_family(earlier, sizeof(earlier), "result_", o->figures.v[k].name);
			again |= !o->figures.v[k].counter && strcmp(earlier, family) == 0;
		}
		if (f->counter || again)
			continue;
		put_family(o, family, f->unit, f->name, " over the repetitions");
		rc = put_result_samples(o, family);
	}
	return rc;
}

static int put_column_samples(const struct om *o, const char *family)
{
	const struct sm_summary *u = &o->summary;
	char column[128], same[256];
	int rc = 0;

	for (size_t c = 0; c < u->ncolumns; c++) {
		struct who who;

		sm__writer_column(&u->columns[c], column, sizeof(column));
		name_family(same, sizeof(same), "counter_", column);
		if (strcmp(same, family) != 0)
			continue;
		who = who_is("counter_", column, family);
		for (size_t i = 0; i < u->nrows && rc == 0; i++) {
			const struct sm_cell *cell = &u->cells[i * u->ncolumns + c];

			who.row = u->rows[i].who;
			who.phase = u->rows[i].phase;
			if (cell->has_value)
				rc = put_stats(o, family, &o->r->records[u->rows[i].first], &who,
					       &cell->stats);
		}
	}
	return rc;
}

static void name_column(const struct om *o, size_t c, char *family, size_t len)
{
	char column[128];

	sm__writer_column(&o->summary.columns[c], column, sizeof(column));
	name_family(family, len, "counter_", column);
}

static int put_counters(const struct om *o)
{
	const struct sm_summary *u = &o->summary;
	int rc = 0;

	for (size_t c = 0; c < u->ncolumns && rc == 0; c++) {
		char family[256], earlier[256];
		bool again = false;

		name_column(o, c, family, sizeof(family));
		for (size_t k = 0; k < c; k++) {
			name_column(o, k, earlier, sizeof(earlier));
			again |= strcmp(earlier, family) == 0;
		}
		if (again)
			continue;
		put_family(o, family, "", u->columns[c].metric,
			   u->columns[c].per_op ? " for an operation of the workload"
						: " over the repetitions");
		rc = put_column_samples(o, family);
	}
	return rc;
}

/* Of how many repetitions each result is. */
static int put_values(const struct om *o)
{
	int rc = 0;

	put_family(o, "spanmark_values", "", "repetitions", " that have the figure");
	for (size_t k = 0; k < o->r->nrecords && rc == 0; k = next_case(o->r, k)) {
		for (size_t i = 0; i < o->figures.n && rc == 0; i++) {
			const struct sm_figure *f = &o->figures.v[i];
			struct who who = {.figure = f->name};
			struct sm_stats s;
			const char *reason;

			if (!f->counter && sm_summary_result(o->r, o->r->records[k].group, f->name,
							     &s, NULL, &reason))
				rc = put_count(o, "spanmark_values", &o->r->records[k], &who, s.n);
		}
	}
	return rc;
}

/* How many samples of each case ended in which way. */
static int put_outcomes(const struct om *o)
{
	int rc = 0;

	put_family(o, "spanmark_samples", "", "samples", " of the case, by how they ended");
	for (size_t k = 0; k < o->r->nrecords && rc == 0; k = next_case(o->r, k)) {
		for (unsigned status = 0; sm_outcome_names[status] != NULL && rc == 0; status++) {
			size_t n = 0;

			for (size_t i = k; i < next_case(o->r, k); i++)
				n += o->r->records[i].status == status;
			if (n == 0)
				continue;
			rc = put_sample(o, "spanmark_samples", &o->r->records[k]);
			put_label(o->out, "status", sm_outcome_names[status]);
			fprintf(o->out, "} %zu\n", n);
		}
	}
	return rc;
}

static int put_all_absent(const struct om *o)
{
	const struct sm_summary *u = &o->summary;
	int rc = 0;

	fputs("# TYPE spanmark_absent info\n"
	      "# HELP spanmark_absent Why a figure is not there\n",
	      o->out);
	for (size_t k = 0; k < o->r->nrecords && rc == 0; k = next_case(o->r, k)) {
		for (size_t i = 0; i < o->figures.n && rc == 0; i++) {
			struct who who = {.figure = o->figures.v[i].name};
			const char *reason;
			struct sm_stats s;

			if (!o->figures.v[i].counter &&
			    !sm_summary_result(o->r, o->r->records[k].group, who.figure, &s, NULL,
					       &reason) &&
			    reason[0])
				rc = put_absent(o, &o->r->records[k], &who, reason);
		}
	}
	for (size_t i = 0; i < u->nrows * u->ncolumns && rc == 0; i++) {
		const struct sm_row *row = &u->rows[i / u->ncolumns];
		char column[128];
		struct who who = {column, row->who, row->phase};

		sm__writer_column(&u->columns[i % u->ncolumns], column, sizeof(column));
		if (!u->cells[i].has_value)
			rc = put_absent(o, &o->r->records[row->first], &who,
					u->cells[i].reason != NULL ? u->cells[i].reason : "");
	}
	return rc;
}

/* ---- the file ----------------------------------------------------------------------------- */

static void put_run(const struct om *o)
{
	cJSON *env = cJSON_Parse(o->r->environment);
	const cJSON *versions = cJSON_GetObjectItemCaseSensitive(env, "versions");
	const char *cpu = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(env, "cpu_model")),
		   *kernel = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(env, "kernel")),
		   *version = cJSON_GetStringValue(
			   cJSON_GetObjectItemCaseSensitive(versions, "spanmark"));
	char seed[24];

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)o->r->seed);
	fprintf(o->out,
		"# TYPE spanmark_run info\n# HELP spanmark_run The run and where it was\n"
		"spanmark_run_info{id=\"%lld\"",
		(long long)o->r->run);
	put_label(o->out, "version", version != NULL ? version : "");
	put_label(o->out, "cpu", cpu != NULL ? cpu : "");
	put_label(o->out, "kernel", kernel != NULL ? kernel : "");
	put_label(o->out, "state", o->r->state);
	put_label(o->out, "seed", seed);
	fputs("} 1\n", o->out);
	cJSON_Delete(env);
}

int sm_write_openmetrics(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	struct om o = {.r = r, .out = out, .by = w->by};
	int rc = sm_summary_build(r, w->by, &o.summary);

	if (rc == 0)
		rc = sm__writer_figures(r, &o.figures);
	if (rc == 0) {
		put_run(&o);
		rc = put_results(&o);
	}
	if (rc == 0)
		rc = put_counters(&o);
	if (rc == 0)
		rc = put_values(&o);
	if (rc == 0)
		rc = put_outcomes(&o);
	if (rc == 0)
		rc = put_all_absent(&o);
	fputs("# EOF\n", out);
	sm__writer_figures_free(&o.figures);
	sm_summary_free(&o.summary);
	return rc;
}
