/* lbo.c: totals, distilled costs, the least of them, and the ratios. See lbo.h. */
#include "harness/compare/lbo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/compare.h"
#include "harness/judge/ranks.h"
#include "harness/judge/statistics.h"

static const char *const units[] = {"ns", "ns", "cycles", "insn"};

/* One configuration in one figure, by repetition. */
struct cost {
	const struct sm__case *c;
	bool manual;
	double *total, *distilled; /* NAN: that repetition has none */
	size_t n;		   /* that have one */
	size_t row;
};

/* The configurations of one case in one figure. */
struct group {
	const struct sm_report *r;
	int metric;
	struct cost *v;
	size_t n, ngc;
	const char *source;
};

/* ---- the values of a group ---------------------------------------------------------------- */

static int read_costs(struct group *g, struct cost *c, unsigned threads)
{
	const struct sm_report *r = g->r;
	unsigned *passes = calloc(r->reps + 1, sizeof(*passes));

	c->total = calloc(r->reps + 1, sizeof(*c->total));
	c->distilled = calloc(r->reps + 1, sizeof(*c->distilled));
	if (passes == NULL || c->total == NULL || c->distilled == NULL) {
		free(passes);
		return -ENOMEM;
	}
	for (size_t i = c->c->first;
	     i < r->nrecords && r->records[i].group == r->records[c->c->first].group; i++) {
		const struct sm_record *rec = &r->records[i];
		const char *source;
		double total, visible;

		if (!sm__lbo_costs(rec, g->metric, threads, &total, &visible, &source))
			continue;
		g->source = source;
		passes[rec->rep]++;
		c->total[rec->rep] += (total - c->total[rec->rep]) / passes[rec->rep];
		c->distilled[rec->rep] +=
			(total - visible - c->distilled[rec->rep]) / passes[rec->rep];
	}
	for (unsigned rep = 0; rep < r->reps; rep++) {
		c->n += passes[rep] > 0;
		if (passes[rep] == 0)
			c->total[rep] = c->distilled[rep] = NAN;
	}
	free(passes);
	return 0;
}

static double median(const double *values, size_t n)
{
	double *copy = malloc((n + 1) * sizeof(*copy));
	struct sm_stats s = {0};

	if (copy != NULL) {
		memcpy(copy, values, n * sizeof(*copy));
		sm_stats_compute(copy, n, SM_STATS_CONFIDENCE, &s);
	}
	free(copy);
	return s.n > 0 ? s.median : NAN;
}

static void free_group(struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->v[i].total);
		free(g->v[i].distilled);
	}
	free(g->v);
	g->v = NULL;
	g->n = 0;
}

/* ---- ratios ------------------------------------------------------------------------------- */

/* What a ratio is of a row: an end of its bound's interval, the bound too, or the truth. */
enum part { PART_INTERVAL, PART_BOUND, PART_TRUTH };

/* What is to be judged, and which row's it is. */
struct pairs {
	struct sm_difference *d;
	size_t *row;
	enum part *part;
	size_t n;
};

static int add_pair(struct pairs *p, const struct sm_report *r, const double *base,
		    const double *other, size_t row, enum part part)
{
	struct sm_difference d = {.base = malloc((r->reps + 1) * sizeof(double)),
				  .other = malloc((r->reps + 1) * sizeof(double)),
				  .paired = true};
	void *a = realloc(p->d, (p->n + 1) * sizeof(*p->d)), *b, *c;

	p->d = a != NULL ? a : p->d;
	b = realloc(p->row, (p->n + 1) * sizeof(*p->row));
	p->row = b != NULL ? b : p->row;
	c = realloc(p->part, (p->n + 1) * sizeof(*p->part));
	p->part = c != NULL ? c : p->part;
	if (d.base == NULL || d.other == NULL || a == NULL || b == NULL || c == NULL) {
		free(d.base);
		free(d.other);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < r->reps; i++) {
		if (isnan(base[i]) || isnan(other[i]))
			continue;
		d.base[d.nbase++] = base[i];
		d.other[d.nother++] = other[i];
	}
	if (r->until.ntargets > 0)
		d.split = sm_until_split(sm_until_looks(&r->until, r->reps));
	p->row[p->n] = row;
	p->part[p->n] = part;
	p->d[p->n++] = d;
	return 0;
}

static void free_pairs(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->d[i].base);
		free(p->d[i].other);
	}
	free(p->d);
	free(p->row);
	free(p->part);
}

/* The backend whose explicit free is compared with: that of the same heap, else the first. */
static const struct cost *manual_of(const struct group *g)
{
	const struct cost *found = NULL;

	for (size_t i = 0; i < g->n; i++) {
		const char *backend = g->r->records[g->v[i].c->first].backend;

		if (g->v[i].manual && (found == NULL || strcmp(backend, "span") == 0))
			found = &g->v[i];
	}
	return found;
}

static int pair_all(struct pairs *p, const struct group *g, const struct sm_lbo_row *rows)
{
	const struct cost *manual = manual_of(g);
	int rc = 0;

	for (size_t i = 0; i < g->n && rc == 0; i++) {
		for (size_t k = 0; k < g->n && rc == 0; k++)
			if (!g->v[k].manual)
				rc = add_pair(p, g->r, g->v[k].distilled, g->v[i].total,
					      g->v[i].row,
					      rows[g->v[k].row].least ? PART_BOUND : PART_INTERVAL);
		if (rc == 0 && manual != NULL && manual != &g->v[i])
			rc = add_pair(p, g->r, manual->total, g->v[i].total, g->v[i].row,
				      PART_TRUTH);
	}
	return rc;
}

/*
 * The bound is the ratio to the least; the greatest of all would be too great by their noise. Any
 * could be the least in truth, so the ends of its interval are the greatest of all, and the bound
 * is no less than the lower one.
 */
static void take_ratio(struct sm_lbo_row *row, const struct sm_difference *d, enum part part)
{
	struct sm_lbo_ratio *to = part == PART_TRUTH ? &row->truth : &row->bound;

	if (isnan(d->ratio))
		return;
	if (part != PART_INTERVAL)
		to->ratio = d->ratio;
	to->has_interval &= d->has_interval;
	if (d->has_interval) {
		to->low = fmax(to->low, d->low);
		to->high = fmax(to->high, d->high);
	}
}

static int judge(struct pairs *p, struct sm_lbo *out)
{
	struct sm_verdict_options o = {.margin = SM_VERDICT_MARGIN,
				       .target = SM_VERDICT_MARGIN + 0.02};
	int rc = sm_verdict_table(p->d, p->n, &o, &out->each);

	for (size_t i = 0; i < p->n && rc == 0; i++) {
		struct sm_lbo_row *row = &out->rows[p->row[i]];
		double by = p->d[i].split > 1 ? p->d[i].split : 1;

		take_ratio(row, &p->d[i], p->part[i]);
		if (!p->d[i].has_interval && p->d[i].nbase > 0)
			out->needed = sm_ranks_fewest(1 - (1 - out->each) / by, true);
	}
	for (size_t i = 0; i < out->nrows; i++)
		if (out->rows[i].bound.has_interval)
			out->rows[i].bound.ratio =
				fmax(out->rows[i].bound.ratio, out->rows[i].bound.low);
	return rc;
}

/* ---- rows --------------------------------------------------------------------------------- */

static int add_rows(struct group *g, struct sm_lbo *out)
{
	struct sm_lbo_row *rows = realloc(out->rows, (out->nrows + g->n + 1) * sizeof(*rows));
	const struct cost *manual = manual_of(g);
	size_t least = g->n;
	bool seen = false;

	if (rows == NULL)
		return -ENOMEM;
	out->rows = rows;
	for (size_t i = 0; i < g->n; i++) {
		struct cost *c = &g->v[i];
		struct sm_lbo_row *row = &rows[out->nrows];

		*row = (struct sm_lbo_row){
			.name = strdup(c->c->name),
			.config = strdup(c->c->config),
			.metric = sm_lbo_metrics[g->metric],
			.unit = units[g->metric],
			.source = g->source,
			.manual = c->manual,
			.reps = c->n,
			.total = median(c->total, g->r->reps),
			.distilled = median(c->distilled, g->r->reps),
			.bound = {NAN, true, -INFINITY, -INFINITY},
			.truth = {manual == c ? 1 : NAN, manual != c, -INFINITY, -INFINITY},
			.against = manual != NULL ? g->r->records[manual->c->first].backend : ""};
		c->row = out->nrows++;
		if (row->name == NULL || row->config == NULL)
			return -ENOMEM;
		seen |= !c->manual && row->distilled < row->total;
		if (!c->manual &&
		    (least == g->n || row->distilled < rows[g->v[least].row].distilled))
			least = i;
	}
	rows[g->v[least].row].least = true;
	out->unseen += !seen;
	return 0;
}

/* The configurations of the case `like` in one figure: those that have it. */
static int read_group(struct group *g, const struct sm__cases *cases, size_t like)
{
	int rc = 0;

	g->v = calloc(cases->n + 1, sizeof(*g->v));
	if (g->v == NULL)
		return -ENOMEM;
	for (size_t i = like; i < cases->n && rc == 0; i++) {
		const struct sm__case *c = &cases->v[i];
		struct cost *cost = &g->v[g->n];

		if (strcmp(c->work, cases->v[like].work) != 0)
			continue;
		*cost = (struct cost){.c = c,
				      .manual = !sm__lbo_collected(&g->r->records[c->first])};
		rc = read_costs(g, cost, c->threads);
		g->n++;
		if (rc == 0 && cost->n == 0) {
			free(cost->total);
			free(cost->distilled);
			g->n--;
		} else
			g->ngc += !cost->manual;
	}
	return rc;
}

static bool is_first(const struct sm__cases *cases, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(cases->v[k].work, cases->v[i].work) == 0)
			return false;
	return true;
}

static size_t collectors(const struct sm_report *r, const struct sm__cases *cases, size_t like)
{
	size_t n = 0;

	for (size_t i = 0; i < cases->n; i++)
		n += strcmp(cases->v[i].work, cases->v[like].work) == 0 &&
		     sm__lbo_collected(&r->records[cases->v[i].first]);
	return n;
}

static bool is_idle(const struct sm_report *r, const struct sm__case *c)
{
	for (size_t i = c->first;
	     i < r->nrecords && r->records[i].group == r->records[c->first].group; i++)
		if (!sm__lbo_idle(&r->records[i]))
			return false;
	return true;
}

/* Of such a configuration nothing can be taken off, and it may be the least. */
static int note_idle(const struct sm_report *r, const struct sm__cases *cases, size_t like,
		     struct sm_lbo *out)
{
	int rc = 0;

	for (size_t i = like; i < cases->n && rc == 0; i++)
		if (strcmp(cases->v[i].work, cases->v[like].work) == 0 && is_idle(r, &cases->v[i]))
			rc = sm__strings_printf(&out->notes,
						"%.140s, %.140s: no collection took place; its "
						"total is without any",
						cases->v[i].name, cases->v[i].config);
	return rc;
}

/* All figures of one case. */
static int take_case(const struct sm_report *r, const struct sm__cases *cases, size_t like,
		     const struct sm_strings *metrics, struct pairs *p, struct sm_lbo *out)
{
	size_t n = collectors(r, cases, like), before = out->nrows;
	int rc = 0;

	if (n < 2)
		return sm__strings_printf(&out->left_out, "%.140s: %s of the collector",
					  cases->v[like].name,
					  n == 0 ? "no configuration" : "one configuration");
	for (int m = 0; m < SM__LBO_METRICS && rc == 0; m++) {
		struct group g = {.r = r, .metric = m};

		if (metrics->n > 0 && !sm__strings_have(metrics, sm_lbo_metrics[m]))
			continue;
		rc = read_group(&g, cases, like);
		if (rc == 0 && g.ngc >= 2) {
			rc = add_rows(&g, out);
			if (rc == 0)
				rc = pair_all(p, &g, out->rows);
		}
		free_group(&g);
	}
	if (rc == 0 && out->nrows == before)
		rc = sm__strings_printf(&out->left_out,
					"%.140s: fewer than two configurations of the collector "
					"have a figure",
					cases->v[like].name);
	return rc ? rc : note_idle(r, cases, like, out);
}

static int note(struct sm_lbo *out)
{
	bool alone = false;
	size_t above = 0;
	int rc = 0;

	for (size_t i = 0; i < out->nrows; i++) {
		const struct sm_lbo_row *r = &out->rows[i];

		alone |= r->against[0] == 0;
		above += !r->manual && r->bound.has_interval && r->truth.has_interval &&
			 r->bound.low > r->truth.high;
	}
	if (above > 0)
		rc = sm__strings_printf(&out->notes,
					"%zu bound%s above the ratio to explicit free: free costs "
					"more there than the least distilled configuration hides",
					above, above == 1 ? " is" : "s are");
	if (rc == 0 && out->unseen > 0)
		rc = sm__strings_printf(
			&out->notes,
			"%u table%s nothing that is visibly the collector's: it did "
			"not run, or was not counted; the bound is the least total",
			out->unseen, out->unseen == 1 ? " has" : "s have");
	if (rc == 0 && alone)
		rc = sm__strings_printf(&out->notes,
					"without a backend that frees explicitly there is nothing "
					"to check the bound against: --backend gc,span has it");
	if (rc == 0 && out->needed > 0)
		rc = sm__strings_printf(&out->notes,
					"too few repetitions for intervals: 95 %% over the whole "
					"table takes %u",
					out->needed);
	return rc;
}

static int refuse(const struct sm_report *r, const char *store, const struct sm_lbo *l, char *err,
		  size_t errlen)
{
	const char *workload = r->nrecords > 0 ? r->records[0].workload : "binary-trees";

	if (r->nrecords > 0 && sm_record_is_program(&r->records[0])) {
		snprintf(err, errlen,
			 "lbo: run %lld: '%.80s' is a program, which frees explicitly; allowed: "
			 "runs "
			 "of workloads with --backend gc",
			 (long long)r->run, workload);
		return -EINVAL;
	}
	snprintf(
		err, errlen,
		"lbo: run %lld: %.160s; it needs two configurations of the collector or more, and "
		"explicit free beside them: spanmark run --store %.100s -w %.40s --backend gc,span "
		"--set gc.percent=50,100,200 --reps 12",
		(long long)r->run, l->left_out.n > 0 ? l->left_out.v[0] : "no such case", store,
		workload);
	return -EINVAL;
}

int sm_lbo_compute(const struct sm_report *r, const char *store, const struct sm_strings *metrics,
		   const struct sm_strings *workloads, struct sm_lbo *out, char *err, size_t errlen)
{
	struct sm__cases cases;
	struct pairs p = {0};
	int rc = sm__compare_cases(r, workloads, &cases);

	*out = (struct sm_lbo){0};
	for (size_t i = 0; i < cases.n && rc == 0; i++)
		if (is_first(&cases, i))
			rc = take_case(r, &cases, i, metrics, &p, out);
	if (rc == 0 && out->nrows == 0)
		rc = refuse(r, store, out, err, errlen);
	if (rc == 0)
		rc = judge(&p, out);
	if (rc == 0)
		rc = note(out);
	free_pairs(&p);
	sm__cases_free(&cases);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm_lbo_free(struct sm_lbo *l)
{
	for (size_t i = 0; i < l->nrows; i++) {
		free(l->rows[i].name);
		free(l->rows[i].config);
	}
	free(l->rows);
	sm_strings_free(&l->left_out);
	sm_strings_free(&l->notes);
}
