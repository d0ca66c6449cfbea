/* waits.c: how long mutators waited, by cause, and the heap over time: the series of a sample. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/page/chart.h"
#include "harness/page/section.h"
#include "spanmark/gc.h"
#include "workloads/series.h"

static const struct sm_series *series_of(const struct sm_record *rec, const char *name)
{
	for (size_t i = 0; i < rec->nseries; i++)
		if (strcmp(rec->series[i].name, name) == 0)
			return &rec->series[i];
	return NULL;
}

/* ---- histograms --------------------------------------------------------------------------- */

#define BINS 80 /* two for each power of 2, from 1 ns on */
#define ROW  40

struct histogram {
	double bins[BINS], count, longest;
};

static unsigned bin_of(double ns)
{
	double bin = ns >= 1 ? floor(2 * log2(ns)) : 0;

	return bin < BINS ? (unsigned)bin : BINS - 1;
}

/* The waits of one cause in all repetitions of a case. */
static int add_up(const struct sm_report *r, const struct sm__case *c, const char *cause,
		  struct histogram *h)
{
	size_t first, end, n;
	char name[48];
	int rc = 0;

	snprintf(name, sizeof(name), "stall_%s", cause);
	sm_summary_group(r, r->records[c->first].group, &first, &end);
	for (size_t i = first; i < end && rc == 0; i++) {
		const struct sm_series *s = series_of(&r->records[i], name);
		double(*points)[2];

		if (s == NULL)
			continue;
		rc = sm_series_read(s->points, &points, &n);
		for (size_t k = 0; rc == 0 && k < n; k++) {
			h->bins[bin_of(points[k][0])] += points[k][1];
			h->count += points[k][1];
			h->longest = fmax(h->longest, points[k][0]);
		}
		if (rc == 0)
			free(points);
		if (rc == -EINVAL)
			rc = 0; /* damaged: as if it were not there */
	}
	return rc;
}

static void put_bars(FILE *out, const struct histogram *h, const struct sm_scale *x, double top,
		     double most)
{
	double base = top + ROW - 3, high = ROW - 20;

	for (unsigned b = 0; b < BINS; b++) {
		double from = exp2(b / 2.0), left = sm_scale_at(x, from),
		       right = sm_scale_at(x, exp2((b + 1) / 2.0)),
		       height = high * log1p(h->bins[b]) / log1p(most);
		char a[24], z[24];

		if (h->bins[b] <= 0)
			continue;
		sm_text_time(from, a, sizeof(a));
		sm_text_time(exp2((b + 1) / 2.0), z, sizeof(z));
		sm_html(out,
			"<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
			"<title>%s \xe2\x80\x93 %s: %.0f</title></rect>",
			left + 0.5, base - height, fmax(right - left - 1, 1), height, a, z,
			h->bins[b]);
	}
	sm_html(out, "<line class=\"base\" x1=\"8\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		SM_CHART_WIDTH - 8, base, base);
}

static void put_rows(FILE *out, const struct histogram *all, const char *const *names, size_t n)
{
	struct sm_scale x = {.from = INFINITY,
			     .to = -INFINITY,
			     .begin = 8,
			     .end = SM_CHART_WIDTH - 8,
			     .log = true,
			     .unit = "ns"};
	double most = 1, bottom = (double)(ROW * n) + 2;

	for (size_t i = 0; i < n; i++)
		for (unsigned b = 0; b < BINS; b++)
			if (all[i].bins[b] > 0) {
				sm_scale_hold(&x, exp2(b / 2.0));
				sm_scale_hold(&x, exp2((b + 1) / 2.0));
				most = fmax(most, all[i].bins[b]);
			}
	sm_scale_round(&x);
	sm_chart_x(out, &x, 0, bottom);
	for (size_t i = 0; i < n; i++) {
		double top = (double)(ROW * i);
		char longest[24], value[80];

		sm_text_time(all[i].longest, longest, sizeof(longest));
		snprintf(value, sizeof(value), "%.0f wait%s, up to %s", all[i].count,
			 all[i].count == 1 ? "" : "s", longest);
		sm_html(out,
			"<text class=\"label\" x=\"0\" y=\"%.1f\">%s</text>"
			"<text class=\"value end\" x=\"%d\" y=\"%.1f\">%s</text>",
			top + 13, names[i], SM_CHART_WIDTH, top + 13, value);
		put_bars(out, &all[i], &x, top, most);
	}
}

/* A figure of the case's waits; nothing where it has none. */
static int put_histograms(struct sm_section *s, const struct sm__case *c)
{
	struct histogram all[SM_STALL_CAUSES] = {{.count = 0}};
	const char *names[SM_STALL_CAUSES];
	char title[200];
	size_t n = 0;

	for (unsigned k = 0; k < SM_STALL_CAUSES; k++) {
		int rc;

		names[n] = sm_stall_name((enum sm_stall_cause)k);
		rc = add_up(s->r, c, names[n], &all[n]);
		if (rc)
			return rc;
		n += all[n].count > 0;
	}
	if (n == 0)
		return 0;
	snprintf(title, sizeof(title), "%.90s %.60s: waits by cause and length", c->name,
		 c->config);
	sm_html(s->out, "<figure><figcaption><bdi>%s</bdi> <span><bdi>%s</bdi></span></figcaption>",
		c->name, c->config);
	sm_chart_begin(
		s->out, (unsigned)(ROW * n) + 20, title,
		"For each cause a histogram: length of the wait on a logarithmic axis, height "
		"of a bar by the logarithm of how many there were, all repetitions together.");
	put_rows(s->out, all, names, n);
	sm_chart_end(s->out);
	fputs("</figure>\n", s->out);
	return 0;
}

static bool has_series(const struct sm_section *s, const char *prefix)
{
	for (size_t i = 0; i < s->r->nrecords; i++)
		for (size_t k = 0; k < s->r->records[i].nseries; k++)
			if (strncmp(s->r->records[i].series[k].name, prefix, strlen(prefix)) == 0)
				return true;
	return false;
}

int sm__section_waits(struct sm_section *s)
{
	int rc = 0;

	if (!has_series(s, "stall_"))
		return 0;
	sm__section_begin(s, "waits", "Waits for the collector");
	sm__section_note(s,
			 "How long mutators waited, by cause, all repetitions together. Length "
			 "and height are logarithmic: a bar twice as high stands for many times as "
			 "many waits.");
	fputs("<div class=\"charts\">\n", s->out);
	for (size_t k = 0; k < s->cases.n && rc == 0; k++)
		rc = put_histograms(s, &s->cases.v[k]);
	fputs("</div>\n", s->out);
	sm__section_end(s);
	return rc;
}

/* ---- over time ---------------------------------------------------------------------------- */

#define MAX_LINES 8

struct curve {
	struct sm_point *points;
	size_t n;
};

/* The first repetition of the case that has the series; n 0: none has. */
static int read_curve(const struct sm_report *r, const struct sm__case *c, const char *name,
		      struct curve *out)
{
	size_t first, end;

	*out = (struct curve){.n = 0};
	sm_summary_group(r, r->records[c->first].group, &first, &end);
	for (size_t i = first; i < end && out->n == 0; i++) {
		const struct sm_series *s = series_of(&r->records[i], name);
		double(*points)[2];
		size_t n;
		int rc = s != NULL ? sm_series_read(s->points, &points, &n) : -EINVAL;

		if (rc == -ENOMEM)
			return rc;
		if (rc)
			continue;
		out->points = calloc(n, sizeof(*out->points));
		for (size_t k = 0; out->points != NULL && k < n; k++)
			out->points[k] = (struct sm_point){
				.x = points[k][0], .y = points[k][1], .low = NAN, .high = NAN};
		free(points);
		if (out->points == NULL)
			return -ENOMEM;
		out->n = n;
	}
	return 0;
}

static void put_figure(struct sm_section *s, const struct sm__case *c, const char *config,
		       const char *what, const char *text, const struct sm_line *lines, size_t n)
{
	char title[240];
	struct sm_lines chart = {.title = title,
				 .text = text,
				 .lines = lines,
				 .n = n,
				 .x_unit = "ns",
				 .y_unit = "bytes",
				 .x_label = "since the timed part began",
				 .from_0 = true};

	snprintf(title, sizeof(title), "%.90s %.60s: %.60s over time", c->name, config, what);
	sm_html(s->out,
		"<figure><figcaption><bdi>%s</bdi> <span>%s%s<bdi>%s</bdi></span></figcaption>",
		c->name, what, config[0] ? ", " : "", config);
	sm_chart_lines(s->out, &chart);
	fputs("</figure>\n", s->out);
}

/* The resident memory of all cases that do the work of case `first`. */
static int put_resident(struct sm_section *s, size_t first)
{
	struct curve curves[MAX_LINES] = {{.n = 0}};
	struct sm_line lines[MAX_LINES];
	char what[90] = "resident memory";
	size_t n = 0, all = 0;
	int rc = 0;

	for (size_t k = first; k < s->cases.n && rc == 0; k++) {
		struct curve curve;

		if (strcmp(s->cases.v[k].work, s->cases.v[first].work) != 0)
			continue;
		rc = read_curve(s->r, &s->cases.v[k], "rss", &curve);
		all += rc == 0 && curve.n >= 2;
		if (rc || curve.n < 2 || n == MAX_LINES) {
			free(curve.points);
			continue;
		}
		curves[n] = curve;
		lines[n] = (struct sm_line){.label = s->cases.v[k].config,
					    .kind = (unsigned)n % MAX_LINES + 1,
					    .points = curves[n].points,
					    .n = curves[n].n};
		n++;
	}
	if (all > n)
		snprintf(what, sizeof(what), "resident memory, the first %zu of %zu cases", n, all);
	if (n > 0 && rc == 0)
		put_figure(s, &s->cases.v[first], n == 1 ? lines[0].label : "", what,
			   "Resident memory of the process, first repetition.", lines, n);
	for (size_t i = 0; i < MAX_LINES; i++)
		free(curves[i].points);
	return rc;
}

static int put_heap(struct sm_section *s, const struct sm__case *c)
{
	static const char *const names[] = {"heap_before", "heap_live", "heap_goal"};
	static const char *const labels[] = {"before", "live after", "goal"};
	struct curve curves[3] = {{.n = 0}};
	struct sm_line lines[3];
	int rc = 0;

	for (size_t i = 0; i < 3 && rc == 0; i++) {
		rc = read_curve(s->r, c, names[i], &curves[i]);
		lines[i] = (struct sm_line){.label = labels[i],
					    .kind = (unsigned)i + 1,
					    .points = curves[i].points,
					    .n = curves[i].n,
					    .dots = curves[i].n < 16};
	}
	if (rc == 0 && curves[0].n > 0)
		put_figure(s, c, c->config, "heap at each cycle",
			   "Heap before each collection, what was alive after it, and the goal it "
			   "was paced for, first repetition.",
			   lines, 3);
	for (size_t i = 0; i < 3; i++)
		free(curves[i].points);
	return rc;
}

int sm__section_memory(struct sm_section *s)
{
	int rc = 0;

	if (!has_series(s, "heap_") && !has_series(s, "rss"))
		return 0;
	sm__section_begin(s, "memory", "Heap and memory over time");
	sm__section_note(s,
			 "Of the first repetition. Resident memory is that of the whole process, "
			 "looked at from outside; the heap is what the collector saw at its "
			 "cycles. Long samples are thinned to 64 points, each the most of its "
			 "stretch.");
	fputs("<div class=\"charts\">\n", s->out);
	for (size_t k = 0; k < s->cases.n && rc == 0; k++) {
		bool first = true;

		for (size_t i = 0; i < k; i++)
			first &= strcmp(s->cases.v[i].work, s->cases.v[k].work) != 0;
		if (first)
			rc = put_resident(s, k);
		if (rc == 0)
			rc = put_heap(s, &s->cases.v[k]);
	}
	fputs("</div>\n", s->out);
	sm__section_end(s);
	return rc;
}
