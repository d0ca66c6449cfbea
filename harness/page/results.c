/* results.c: what each case brought: a table to read, one of every figure, and each repetition as a
 * dot. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/chart.h"
#include "harness/page/section.h"
#include "harness/base/text.h"

/* ---- tables ------------------------------------------------------------------------------- */

static void put_names(struct sm_section *s, const struct sm__case *c, const char *result)
{
	sm_html(s->out, "<tr data-case=\"%u\"", s->r->records[c->first].group);
	if (result != NULL)
		sm_html(s->out, " data-name=\"%s\"", result);
	sm_html(s->out, "><th scope=\"row\"><bdi>%s</bdi></th><td><bdi>%s</bdi></td>", c->name,
		c->config);
}

/* Why the case has no figures: its samples' message. */
static const char *why_none(const struct sm_report *r, const struct sm__case *c)
{
	const struct sm_record *rec = &r->records[c->first];

	return rec->message[0] ? rec->message : "no sample of it was measured";
}

static void put_cell(struct sm_section *s, const struct sm__case *c, enum sm_result_id id,
		     struct sm__reasons *known, bool *marked)
{
	const struct sm_record *rec = &s->r->records[c->first];
	const char *unit = sm_results[id].unit, *reason;
	struct sm_stats stats = {.outliers = 0};

	if (sm_summary_result(s->r, rec->group, sm_results[id].name, &stats, &unit, &reason))
		sm__grid_value(s->out, &stats, unit, stats.outliers ? "!" : "");
	else
		sm__grid_na(s->out, known,
			    sm__case_record(s->r, c) == NULL ? why_none(s->r, c) : reason);
	*marked |= stats.outliers > 0;
}

/* A page has room for what tables of a terminal share among them. */
static bool is_column(unsigned id)
{
	enum sm_shown shown = sm_results[id].shown;

	return shown == SM_SHOWN_COLUMN || shown == SM_SHOWN_BRIEF || shown == SM_SHOWN_WIDE;
}

static void put_table(struct sm_section *s)
{
	struct sm__reasons known = {.n = 0};
	bool marked = false;
	char id[32];

	snprintf(id, sizeof(id), "results-%zu", s->index);
	sm__grid_begin(s->out, id, "Medians, and below them what the median lies in with 95 %");
	sm__grid_head(s->out, "workload", false, NULL);
	sm__grid_head(s->out, "backend", false, NULL);
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++)
		if (is_column(i))
			sm__grid_head(s->out, sm_results[i].title, true, sm_results[i].name);
	sm__grid_body(s->out);
	for (size_t k = 0; k < s->cases.n; k++) {
		put_names(s, &s->cases.v[k], NULL);
		for (unsigned i = 0; i < SM_RESULT_COUNT; i++)
			if (is_column(i))
				put_cell(s, &s->cases.v[k], (enum sm_result_id)i, &known, &marked);
		fputs("</tr>\n", s->out);
	}
	sm__grid_end(s->out);
	if (marked)
		sm__section_note(s, "! Some repetitions lie far out of the others.");
	sm__grid_reasons(s->out, &known);
}

static void put_figure(struct sm_section *s, const struct sm__case *c, const char *name)
{
	const struct sm_record *rec = &s->r->records[c->first];
	const char *unit = "", *reason;
	struct sm_stats stats;

	if (!sm_summary_result(s->r, rec->group, name, &stats, &unit, &reason))
		return;
	put_names(s, c, name);
	sm_html(s->out, "<td>%s</td>", name);
	sm__grid_value(s->out, &stats, unit, "");
	sm__grid_number(s->out, stats.min, unit);
	sm__grid_number(s->out, stats.max, unit);
	sm__grid_number(s->out, (double)stats.n, "");
	sm__grid_number(s->out, (double)stats.outliers, "");
	fputs("</tr>\n", s->out);
}

/* One row a figure of a case, closed until somebody wants it. */
static void put_all(struct sm_section *s)
{
	static const char *const heads[] = {"median", "least", "most", "repetitions", "far out"};
	char id[32];

	snprintf(id, sizeof(id), "figures-%zu", s->index);
	fputs("<details><summary>Every figure of every case</summary>\n", s->out);
	sm__grid_begin(s->out, id, "Every figure that a case reported");
	sm__grid_head(s->out, "workload", false, NULL);
	sm__grid_head(s->out, "backend", false, NULL);
	sm__grid_head(s->out, "figure", false, NULL);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		sm__grid_head(s->out, heads[i], true, NULL);
	sm__grid_body(s->out);
	for (size_t k = 0; k < s->cases.n; k++) {
		const struct sm_record *rec = sm__case_record(s->r, &s->cases.v[k]);

		for (size_t i = 0; rec != NULL && i < rec->nresults; i++)
			put_figure(s, &s->cases.v[k], rec->results[i].name);
	}
	sm__grid_end(s->out);
	fputs("</details>\n", s->out);
}

int sm__section_results(struct sm_section *s)
{
	if (s->cases.n == 0)
		return 0;
	sm__section_begin(s, "results", "Results");
	put_table(s);
	put_all(s);
	sm__section_end(s);
	return 0;
}

/* ---- distributions ------------------------------------------------------------------------ */

struct row {
	double *values;
	char text[140];
};

/* One case in a chart. false: it has no such figure. */
static bool fill_strip(struct sm_section *s, const struct sm__case *c, const char *name,
		       struct sm_strip *strip, struct row *row, const char **unit)
{
	char low[40], high[40], middle[40];
	struct sm_stats stats;
	size_t n = sm_summary_values(s->r, s->r->records[c->first].group, name, &row->values, unit);
	double *copy = calloc(n + 1, sizeof(*copy));

	if (n == 0 || copy == NULL) {
		free(copy);
		return false;
	}
	memcpy(copy, row->values, n * sizeof(*copy));
	sm_stats_compute(copy, n, s->r->confidence, &stats);
	free(copy);
	if (stats.max <= 0)
		return false; /* 0 throughout: nothing to see */
	sm_text_value(stats.median, *unit, middle, sizeof(middle));
	snprintf(row->text, sizeof(row->text), "%s", middle);
	if (stats.has_interval) {
		sm_text_value(stats.low, *unit, low, sizeof(low));
		sm_text_value(stats.high, *unit, high, sizeof(high));
		snprintf(row->text, sizeof(row->text), "%s  (%s \xe2\x80\x93 %s)", middle, low,
			 high);
	}
	*strip = (struct sm_strip){.label = c->config,
				   .value = row->text,
				   .kind = "",
				   .dots = row->values,
				   .ndots = n,
				   .middle = stats.median,
				   .has_interval = stats.has_interval,
				   .low = stats.low,
				   .high = stats.high};
	return true;
}

/* Values far apart need a logarithmic scale. */
static bool wants_log(const struct sm_strip *rows, size_t n)
{
	double least = INFINITY, most = 0;

	for (size_t i = 0; i < n; i++) {
		if (rows[i].middle <= 0)
			return false;
		for (size_t k = 0; k < rows[i].ndots; k++) {
			if (rows[i].dots[k] <= 0)
				return false;
			least = fmin(least, rows[i].dots[k]);
			most = fmax(most, rows[i].dots[k]);
		}
	}
	return most > 20 * least;
}

/* All cases that do the same work as case `first`, one figure. */
static int put_chart(struct sm_section *s, size_t first, const char *name, const char *title)
{
	size_t most = s->cases.n - first, n = 0, used = 0;
	struct sm_strip *strips = calloc(most, sizeof(*strips));
	struct row *rows = calloc(most, sizeof(*rows));
	const char *unit = "";
	char head[200], text[300];

	if (strips == NULL || rows == NULL) {
		free(strips);
		free(rows);
		return -ENOMEM;
	}
	for (size_t k = first; k < s->cases.n; k++)
		if (strcmp(s->cases.v[k].work, s->cases.v[first].work) == 0)
			n += fill_strip(s, &s->cases.v[k], name, &strips[n], &rows[used++], &unit);
	snprintf(head, sizeof(head), "%.120s: %.60s", s->cases.v[first].name, title);
	snprintf(text, sizeof(text),
		 "%s for each backend: a dot is a repetition, the line the median, the bar its 95 "
		 "%% "
		 "interval.",
		 title);
	if (n > 0) {
		struct sm_strips c = {.title = head,
				      .text = text,
				      .rows = strips,
				      .n = n,
				      .unit = unit,
				      .log = wants_log(strips, n),
				      .mark = NAN};

		sm_html(s->out, "<figure><figcaption><bdi>%s</bdi> <span>%s%s</span></figcaption>",
			s->cases.v[first].name, title, c.log ? ", logarithmic" : "");
		sm_chart_strips(s->out, &c);
		fputs("</figure>\n", s->out);
	}
	for (size_t k = 0; k < used; k++)
		free(rows[k].values);
	free(strips);
	free(rows);
	return 0;
}

int sm__section_distributions(struct sm_section *s)
{
	bool any = false;
	int rc = 0;

	for (size_t k = 0; k < s->cases.n; k++)
		any |= sm__headline(s->r, &s->cases.v[k]) != NULL;
	if (!any)
		return 0;
	sm__section_begin(s, "distributions", "Distributions");
	sm__section_note(s,
			 "A dot is one repetition, the line the median, the bar the interval that "
			 "the median lies in with 95 %. Without a bar there were too few "
			 "repetitions for one.");
	fputs("<div class=\"charts\">\n", s->out);
	for (size_t k = 0; k < s->cases.n && rc == 0; k++) {
		const char *headline = sm__headline(s->r, &s->cases.v[k]);
		bool first = true;

		for (size_t i = 0; i < k; i++)
			first &= strcmp(s->cases.v[i].work, s->cases.v[k].work) != 0;
		if (!first)
			continue;
		if (headline != NULL)
			rc = put_chart(s, k, headline,
				       strcmp(headline, "wall_s") == 0 ? "time"
								       : "time per operation");
		if (rc == 0)
			rc = put_chart(s, k, "peak_rss_kib", "peak resident memory");
		if (rc == 0)
			rc = put_chart(s, k, "stall_max_us", "longest wait");
	}
	fputs("</div>\n", s->out);
	sm__section_end(s);
	return rc;
}
