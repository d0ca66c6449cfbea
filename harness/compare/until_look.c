/* until_look.c: how narrow the intervals of a run are. See until_look.h. */
#include "harness/compare/until_look.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/compare.h"
#include "harness/plan/until.h"
#include "harness/report/summary.h"

/* Two cases of a family, in one result. */
struct pair {
	size_t a, b; /* the first record of each */
	const struct sm_until_target *target;
	const char *metric;
};

struct look {
	const struct sm_report *r;
	struct sm_until_seen *seen;
	struct pair *pairs;
	struct sm_difference *differences;
	size_t npairs;
};

static const char *metric_of(const struct look *l, const struct sm_until_target *t, unsigned group)
{
	struct sm_stats s;
	const char *reason;

	if (t->metric[0])
		return t->metric;
	return sm_summary_result(l->r, group, "ns_per_op", &s, NULL, &reason) ? "ns_per_op"
									      : "wall_s";
}

/* Keeps what is furthest from what was wanted. */
static void take(struct look *l, const struct sm_until_target *t, double middle, bool has_interval,
		 double low, double high, const char *what, const char *metric)
{
	struct sm_until_seen *s = l->seen;
	double width = has_interval && low > 0 ? fmax(high / middle, middle / low) - 1 : INFINITY;

	if (s->wanted > 0 && width / t->width <= s->width / s->wanted)
		return;
	s->width = width;
	s->wanted = t->width;
	s->narrow = width <= t->width;
	snprintf(s->what, sizeof(s->what), "%.120s, %.64s", what, metric);
}

static size_t first_of(const struct sm_report *r, unsigned group)
{
	size_t first, end;

	sm_summary_group(r, group, &first, &end);
	return first < end ? first : r->nrecords;
}

static void look_at_case(struct look *l, const struct sm_until_target *t, unsigned group)
{
	const char *metric = metric_of(l, t, group), *reason;
	size_t first = first_of(l->r, group);
	struct sm_stats s;
	char what[160];

	if (first == l->r->nrecords || !sm_summary_result(l->r, group, metric, &s, NULL, &reason))
		return;
	snprintf(what, sizeof(what), "%.80s %.60s", l->r->records[first].workload,
		 l->r->records[first].backend);
	take(l, t, s.median, s.has_interval, s.low, s.high, what, metric);
}

static int add_pair(struct look *l, const struct sm_until_target *t, unsigned g, unsigned h)
{
	struct pair p = {.a = first_of(l->r, g),
			 .b = first_of(l->r, h),
			 .target = t,
			 .metric = metric_of(l, t, g)};
	struct sm_difference d = {0};
	void *more;
	int rc;

	if (p.a == l->r->nrecords || p.b == l->r->nrecords)
		return 0;
	rc = sm__compare_result(l->r, p.a, p.b, p.metric, &d);
	if (rc || d.nbase == 0) {
		free(d.base);
		free(d.other);
		return rc;
	}
	more = realloc(l->pairs, (l->npairs + 1) * sizeof(*l->pairs));
	if (more != NULL)
		l->pairs = more;
	if (more != NULL)
		more = realloc(l->differences, (l->npairs + 1) * sizeof(*l->differences));
	if (more == NULL) {
		free(d.base);
		free(d.other);
		return -ENOMEM;
	}
	l->differences = more;
	l->pairs[l->npairs] = p;
	l->differences[l->npairs++] = d;
	return 0;
}

static void look_at_pairs(struct look *l)
{
	for (size_t i = 0; i < l->npairs; i++) {
		const struct pair *p = &l->pairs[i];
		const struct sm_record *a = &l->r->records[p->a], *b = &l->r->records[p->b];
		const struct sm_difference *d = &l->differences[i];
		char what[160];

		if (strcmp(a->backend, b->backend) != 0)
			snprintf(what, sizeof(what), "%.60s %.40s / %.40s", a->workload, b->backend,
				 a->backend);
		else
			snprintf(what, sizeof(what), "%.40s %.50s / %.50s", a->workload, b->config,
				 a->config);
		take(l, p->target, d->ratio, d->has_interval, d->low, d->high, what, p->metric);
	}
}

static int look_at_target(struct look *l, const struct sm_until_target *t)
{
	const struct sm_until *u = &l->r->until;
	int rc = 0;

	for (unsigned g = 0; g < u->ncases && rc == 0; g++) {
		look_at_case(l, t, g);
		for (unsigned h = g + 1; h < u->ncases && rc == 0; h++)
			if (u->family[g] == u->family[h])
				rc = add_pair(l, t, g, h);
	}
	return rc;
}

int sm_until_look(const struct sm_report *r, struct sm_until_seen *seen)
{
	struct look l = {.r = r, .seen = seen};
	struct sm_verdict_options o = {.margin = SM_VERDICT_MARGIN,
				       .target = SM_VERDICT_MARGIN + 0.02};
	double each;
	int rc = 0;

	*seen = (struct sm_until_seen){
		.reps = r->reps, .looks = sm_until_looks(&r->until, r->reps), .wanted = -1};
	for (size_t i = 0; i < r->until.ntargets && rc == 0; i++)
		rc = look_at_target(&l, &r->until.targets[i]);
	if (rc == 0)
		rc = sm_verdict_table(l.differences, l.npairs, &o, &each);
	if (rc == 0)
		look_at_pairs(&l);
	for (size_t i = 0; i < l.npairs; i++) {
		free(l.differences[i].base);
		free(l.differences[i].other);
	}
	free(l.pairs);
	free(l.differences);
	return rc;
}

void sm_until_say(const struct sm_until_seen *s, char *buf, size_t len)
{
	char width[60] = "no interval";

	if (s->wanted < 0) {
		snprintf(buf, len, "no sample has a figure that --until looks at");
		return;
	}
	if (isfinite(s->width))
		snprintf(width, sizeof(width), "\xc2\xb1%.2g %%", s->width * 100);
	snprintf(buf, len, "%s after %u repetition%s", width, s->reps, s->reps == 1 ? "" : "s");
}
