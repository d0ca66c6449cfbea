/* answer.c: the head of the page, and what the baseline says: verdicts, ratios, the rows behind. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/page/chart.h"
#include "harness/page/section.h"

const char *sm__headline(const struct sm_report *r, const struct sm__case *c)
{
	static const char *const names[] = {"ns_per_op", "wall_s"};
	struct sm_stats stats;
	const char *reason;

	for (size_t i = 0; i < 2; i++)
		if (sm_summary_result(r, r->records[c->first].group, names[i], &stats, NULL,
				      &reason))
			return names[i];
	return NULL;
}

/* ---- head --------------------------------------------------------------------------------- */

static const char *text(const cJSON *obj, const char *name, const char *none)
{
	const char *t = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));

	return t != NULL ? t : none;
}

static int number(const cJSON *obj, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsNumber(item) ? item->valueint : 0;
}

/* Different values of a kind in the order of their first appearance, as "a, b and 3 more". */
static void put_list(FILE *out, const struct sm_section *runs, size_t nruns,
		     const char *(*value)(const struct sm_section *s, size_t k), const char *none)
{
	const char *seen[8];
	size_t n = 0, more = 0;

	for (size_t i = 0; i < nruns; i++)
		for (size_t k = 0; k < runs[i].cases.n; k++) {
			const char *v = value(&runs[i], k);
			size_t at = 0;

			while (at < n && strcmp(seen[at], v) != 0)
				at++;
			if (at < n)
				continue;
			if (n < sizeof(seen) / sizeof(seen[0]))
				seen[n++] = v;
			else
				more++;
		}
	for (size_t i = 0; i < n; i++)
		sm_html(out, "%s<bdi>%s</bdi>", i > 0 ? ", " : "", seen[i]);
	if (more > 0)
		fputs(" and more", out);
	if (n == 0)
		fputs(none, out);
}

static const char *workload_of(const struct sm_section *s, size_t k)
{
	return s->r->records[s->cases.v[k].first].workload;
}

static const char *config_of(const struct sm_section *s, size_t k)
{
	return s->cases.v[k].config;
}

static unsigned count_bad(const struct sm_report *r)
{
	unsigned bad = 0;

	for (size_t i = 0; i < r->nrecords; i++)
		bad += r->records[i].status != SM_OUTCOME_OK;
	return bad;
}

/* Where, when, how much: a line for each run. */
static void put_run(FILE *out, const struct sm_section *s)
{
	const cJSON *env = s->environment;
	const cJSON *topo = cJSON_GetObjectItemCaseSensitive(env, "topology");
	int cores = number(topo, "cores"), nodes = number(topo, "nodes");
	unsigned bad = count_bad(s->r);

	fputs("<p class=\"where\">", out);
	if (s->several)
		sm_html(out, "<a href=\"#results-%zu\"><b>Run <bdi>%s</bdi></b></a> ", s->index,
			s->side->text);
	sm_html(out,
		"<span><bdi>%s</bdi>%s%s, %d core%s, %d node%s</span> <span>Linux %s%s</span> "
		"<span>%s</span> "
		"<span>%zu of %u samples%s</span>",
		s->r->host, s->r->host[0] ? ": " : "", text(env, "cpu_model", "CPU model unknown"),
		cores, cores == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s",
		text(env, "kernel", "?"),
		cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(env, "virtual_machine"))
			? ", virtual machine"
			: "",
		s->r->started, s->r->nrecords, s->r->planned,
		s->r->reps == 1 ? ", one repetition" : "");
	if (s->r->reps > 1)
		sm_html(out, " <span>%u repetitions</span>", s->r->reps);
	if (bad > 0)
		sm_html(out, " <span class=\"worse\">%u without a figure</span>", bad);
	if (strcmp(s->r->state, "done") != 0)
		sm_html(out, " <span class=\"worse\">%s</span>", s->r->state);
	fputs("</p>\n", out);
}

void sm__page_head(const struct sm_page *page, struct sm_section *runs, FILE *out)
{
	fputs("<header>\n<p class=\"kind\">spanmark report</p>\n<h1>", out);
	put_list(out, runs, page->nruns, workload_of, "no sample");
	fputs("</h1>\n<p class=\"configs\">", out);
	put_list(out, runs, page->nruns, config_of, "");
	fputs("</p>\n", out);
	for (size_t i = 0; i < page->nruns; i++)
		put_run(out, &runs[i]);
	fputs("</header>\n", out);
}

/* ---- verdicts ----------------------------------------------------------------------------- */

static bool is_headline(const struct sm_compare_row *row)
{
	return strcmp(row->metric, "ns_per_op") == 0 || strcmp(row->metric, "wall_s") == 0;
}

/* "0.83", and two digits of what is small: "0.012", "3.1e-04". */
static void ratio_text(double v, char *buf, size_t len)
{
	if (isnan(v))
		snprintf(buf, len, "\xe2\x80\x93");
	else
		snprintf(buf, len,
			 v >= 99.95	? "%.0f"
			 : v >= 9.995	? "%.1f"
			 : v >= 0.0995	? "%.2f"
			 : v >= 0.00995 ? "%.3f"
			 : v > 0	? "%.1e"
					: "%.0f",
			 v);
}

static void put_verdict(FILE *out, const struct sm_page_ratio *p)
{
	static const struct {
		enum sm_verdict verdict;
		const char *words, *kind;
	} list[] = {{SM_VERDICT_BETTER, "faster in", "better"},
		    {SM_VERDICT_WORSE, "slower in", "worse"},
		    {SM_VERDICT_SAME, "the same in", "same"},
		    {SM_VERDICT_UNCLEAR, "unclear in", "unclear"}};
	unsigned counts[4] = {0}, all = 0;
	const char *gap = " ", *why = "";
	double sum = 0;
	char mean[24];

	for (size_t i = 0; i < p->c->nrows; i++) {
		if (!is_headline(&p->c->rows[i]))
			continue;
		for (size_t k = 0; k < 4; k++)
			counts[k] += p->c->rows[i].d.verdict == list[k].verdict;
		if (p->c->rows[i].d.verdict == SM_VERDICT_UNCLEAR && !why[0])
			why = p->c->rows[i].d.reason;
		sum += log(p->c->rows[i].d.ratio);
		all++;
	}
	sm_html(out, "<p class=\"verdict\"><b><bdi>%s</bdi></b> is", p->other->text);
	for (size_t k = 0; k < 4; k++) {
		if (counts[k] == 0)
			continue;
		sm_html(out, "%s<span class=\"%s\">%s %u</span>", gap, list[k].kind, list[k].words,
			counts[k]);
		gap = ", ";
	}
	sm_html(out, " of %u case%s", all, all == 1 ? "" : "s");
	if (all > 1 && isfinite(sum)) {
		ratio_text(exp(sum / all), mean, sizeof(mean));
		sm_html(out, "; geometric mean of the time ratios %s", mean);
	}
	if (counts[3] < all)
		why = ""; /* the table has it */
	sm_html(out, ".%s%s%s</p>\n", why[0] ? " (" : "", why, why[0] ? ")" : "");
}

static const char *mark_of(enum sm_verdict v)
{
	static const char *const marks[] = {"?", "=", "\xe2\x96\xb2", "\xe2\x96\xbc",
					    "\xe2\x89\xa0"};

	return marks[v];
}

/* The time ratios of one side, a strip for each case. */
static int put_forest(FILE *out, const struct sm_page_ratio *p)
{
	struct sm_strip *strips = calloc(p->c->nrows + 1, sizeof(*strips));
	char(*texts)[80] = calloc(p->c->nrows + 1, sizeof(*texts));
	char title[200];
	struct sm_strips chart = {
		.title = title,
		.text = "Ratio of the times, with the interval around it; below 1 is "
			"faster than the baseline.",
		.rows = strips,
		.unit = "x",
		.log = true,
		.mark = 1};
	int rc = strips != NULL && texts != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->c->nrows && rc == 0; i++) {
		const struct sm_compare_row *row = &p->c->rows[i];
		char ratio[24];

		if (!is_headline(row))
			continue;
		ratio_text(row->d.ratio, ratio, sizeof(ratio));
		snprintf(texts[chart.n], sizeof(texts[0]), "%s %s %s", ratio,
			 mark_of(row->d.verdict), sm_verdict_names[row->d.verdict]);
		strips[chart.n] = (struct sm_strip){.label = row->name,
						    .value = texts[chart.n],
						    .kind = sm_verdict_names[row->d.verdict],
						    .middle = row->d.ratio,
						    .has_interval = row->d.has_interval,
						    .low = row->d.low,
						    .high = row->d.high};
		chart.n++;
	}
	snprintf(title, sizeof(title), "%.80s against %.80s: time", p->other->text, p->base->text);
	if (rc == 0 && chart.n > 0) {
		sm_html(out,
			"<figure><figcaption><bdi>%s</bdi> <span>time, as a ratio to "
			"<bdi>%s</bdi></span></figcaption>",
			p->other->text, p->base->text);
		sm_chart_strips(out, &chart);
		fputs("</figure>\n", out);
	}
	free(strips);
	free(texts);
	return rc;
}

/* ---- all rows ----------------------------------------------------------------------------- */

static void put_middle(FILE *out, const double *values, size_t n, const char *unit)
{
	double *copy = calloc(n + 1, sizeof(*copy));
	struct sm_stats stats = {.n = 0};

	if (copy != NULL) {
		memcpy(copy, values, n * sizeof(*copy));
		sm_stats_compute(copy, n, SM_STATS_CONFIDENCE, &stats);
	}
	free(copy);
	if (stats.n > 0)
		sm__grid_number(out, stats.median, unit);
	else
		sm__grid_na(out, NULL, NULL);
}

static void put_row(FILE *out, const struct sm_page_ratio *p, const struct sm_compare_row *row,
		    struct sm__reasons *known)
{
	const struct sm_difference *d = &row->d;
	char ratio[24], low[24], high[24];

	sm_html(out, "<tr data-name=\"%s\"><th scope=\"row\"><bdi>%s</bdi></th>", row->metric,
		row->name);
	sm_html(out, "<td><bdi>%s</bdi></td><td>%s%s%s%s%s</td>", p->other->text, row->who,
		row->who[0] ? " " : "", row->kind, row->kind[0] ? " " : "", row->metric);
	put_middle(out, d->base, d->nbase, row->unit);
	put_middle(out, d->other, d->nother, row->unit);
	if (isnan(d->ratio)) {
		sm__grid_na(out, known, d->reason);
	} else {
		ratio_text(d->ratio, ratio, sizeof(ratio));
		fputs("<td class=\"n\"", out);
		sm_html_data(out, "v", d->ratio);
		if (d->has_interval) {
			sm_html_data(out, "low", d->low);
			sm_html_data(out, "high", d->high);
		}
		sm_html(out, ">%s", ratio);
		if (d->has_interval && !d->exact) {
			ratio_text(d->low, low, sizeof(low));
			ratio_text(d->high, high, sizeof(high));
			sm_html(out, "<small>%s \xe2\x80\x93 %s</small>", low, high);
		}
		fputs("</td>", out);
	}
	sm_html(out, "<td class=\"%s\">%s %s%s%s</td></tr>\n", sm_verdict_names[d->verdict],
		mark_of(d->verdict), sm_verdict_names[d->verdict],
		d->reason[0] && !isnan(d->ratio) ? ": " : "", isnan(d->ratio) ? "" : d->reason);
}

static void put_table(const struct sm_page *page, FILE *out)
{
	struct sm__reasons known = {.n = 0};

	sm__grid_begin(out, "ratios-table", "Every figure that was compared");
	sm__grid_head(out, "workload", false, NULL);
	sm__grid_head(out, "side", false, NULL);
	sm__grid_head(out, "figure", false, NULL);
	sm__grid_head(out, "baseline", true, NULL);
	sm__grid_head(out, "side\xe2\x80\x99s", true, NULL);
	sm__grid_head(out, "ratio", true, NULL);
	sm__grid_head(out, "verdict", false, NULL);
	sm__grid_body(out);
	for (size_t i = 0; i < page->nratios; i++)
		for (size_t k = 0; k < page->ratios[i].c->nrows; k++)
			put_row(out, &page->ratios[i], &page->ratios[i].c->rows[k], &known);
	sm__grid_end(out);
	sm__grid_reasons(out, &known);
}

static void put_lists(const struct sm_page *page, FILE *out)
{
	fputs("<ul class=\"notes\">\n", out);
	for (size_t i = 0; i < page->nratios; i++) {
		const struct sm_page_ratio *p = &page->ratios[i];

		for (size_t k = 0; k < p->c->hidden.n; k++)
			sm_html(out, "<li>differs, too: <bdi>%s</bdi></li>\n", p->c->hidden.v[k]);
		for (size_t k = 0; k < p->c->unmatched.n; k++)
			sm_html(out, "<li>not compared: <bdi>%s</bdi></li>\n",
				p->c->unmatched.v[k]);
	}
	fputs("</ul>\n", out);
}

int sm__page_ratios(const struct sm_page *page, FILE *out, FILE *contents)
{
	int rc = 0;

	if (page->nratios == 0)
		return 0;
	sm_html(out,
		"<section id=\"ratios\" aria-labelledby=\"ratios-h\"><h2 id=\"ratios-h\">Against "
		"<bdi>%s</bdi></h2>\n",
		page->ratios[0].base->text);
	fputs("<li><a href=\"#ratios\">Ratios</a></li>\n", contents);
	for (size_t i = 0; i < page->nratios; i++)
		put_verdict(out, &page->ratios[i]);
	fputs("<div class=\"charts\">\n", out);
	for (size_t i = 0; i < page->nratios && rc == 0; i++)
		rc = put_forest(out, &page->ratios[i]);
	sm_html(out,
		"</div>\n<p class=\"note\">All intervals hold together with 95 %%. Better and "
		"worse lie "
		"beyond %g %% of the baseline.</p>\n",
		page->margin * 100);
	put_table(page, out);
	put_lists(page, out);
	fputs("</section>\n", out);
	return rc;
}
