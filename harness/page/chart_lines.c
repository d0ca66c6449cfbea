/* chart_lines.c: lines over time or over a setting. See chart.h. */
#include "harness/page/chart.h"

#include <math.h>
#include <string.h>

#include "harness/page/html.h"

#define LEFT 58
#define TOP  26 /* below the legend */
#define PLOT 150
#define KEYS 3 /* of the legend, side by side */

static void put_legend(FILE *out, const struct sm_lines *c)
{
	double width = (SM_CHART_WIDTH - LEFT) / (double)KEYS;

	for (size_t i = 0; i < c->n; i++) {
		double x = LEFT + width * (double)(i % KEYS), y = 10 + 15 * (double)(i / KEYS);

		sm_html(out,
			"<line class=\"curve line%u\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
			"y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\">",
			c->lines[i].kind, x, x + 18, y - 3.5, y - 3.5, x + 23, y);
		sm_html_short(out, c->lines[i].label, 14);
		fputs("</text>", out);
	}
	fputc('\n', out);
}

static void hold_all(const struct sm_lines *c, struct sm_scale *x, struct sm_scale *y)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->lines[i].n; k++) {
			const struct sm_point *p = &c->lines[i].points[k];

			sm_scale_hold(x, p->x);
			sm_scale_hold(y, p->y);
			sm_scale_hold(y, p->low);
			sm_scale_hold(y, p->high);
		}
	if (c->from_0) {
		sm_scale_hold(x, 0);
		sm_scale_hold(y, 0);
	}
}

static void put_points(FILE *out, const struct sm_line *l, const struct sm_scale *x,
		       const struct sm_scale *y)
{
	for (size_t k = 0; k < l->n; k++) {
		const struct sm_point *p = &l->points[k];
		double at = sm_scale_at(x, p->x);

		if (!isfinite(p->y))
			continue;
		if (isfinite(p->low) && isfinite(p->high))
			sm_html(out,
				"<line class=\"whisker line%u\" x1=\"%.1f\" x2=\"%.1f\" "
				"y1=\"%.1f\" "
				"y2=\"%.1f\"/>",
				l->kind, at, at, sm_scale_at(y, p->low), sm_scale_at(y, p->high));
		sm_html(out, "<circle class=\"point line%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>",
			l->kind, at, sm_scale_at(y, p->y));
	}
}

static void put_line(FILE *out, const struct sm_line *l, const struct sm_scale *x,
		     const struct sm_scale *y)
{
	const char *gap = "";

	sm_html(out, "<polyline class=\"curve line%u\" points=\"", l->kind);
	for (size_t k = 0; k < l->n; k++) {
		if (!isfinite(l->points[k].y))
			continue;
		sm_html(out, "%s%.1f,%.1f", gap, sm_scale_at(x, l->points[k].x),
			sm_scale_at(y, l->points[k].y));
		gap = " ";
	}
	fputs("\"/>", out);
	if (l->dots)
		put_points(out, l, x, y);
	fputc('\n', out);
}

/* Under each of the names, as far as there is room for it. */
static void put_names(FILE *out, const struct sm_lines *c, const struct sm_scale *x, double bottom)
{
	double last = -1e9;

	fputs("<g class=\"axis\" aria-hidden=\"true\">", out);
	for (size_t i = 0; i < c->n_names; i++) {
		double at = sm_scale_at(x, (double)i), half = 3.2 * (double)strlen(c->x_names[i]);

		sm_html(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at,
			bottom, bottom + 3);
		if (at - half < last + 6)
			continue;
		sm_html(out, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">", at, bottom + 16);
		sm_html_short(out, c->x_names[i], 16);
		fputs("</text>", out);
		last = at + half;
	}
	fputs("</g>\n", out);
}

void sm_chart_lines(FILE *out, const struct sm_lines *c)
{
	unsigned legend = c->n > 1 ? 15 * (unsigned)((c->n + KEYS - 1) / KEYS) : 0;
	double top = TOP - 15 + legend, bottom = top + PLOT;
	struct sm_scale x = {.from = INFINITY,
			     .to = -INFINITY,
			     .begin = LEFT,
			     .end = SM_CHART_WIDTH - 10,
			     .log = c->x_log,
			     .unit = c->x_unit};
	struct sm_scale y = {
		.from = INFINITY, .to = -INFINITY, .begin = bottom, .end = top, .unit = c->y_unit};

	hold_all(c, &x, &y);
	if (c->x_names != NULL) {
		x.from = -0.5;
		x.to = (double)c->n_names - 0.5;
	}
	if (c->x_log)
		sm_scale_round(&x);
	else if (!(x.from < x.to))
		sm_scale_round(&x);
	sm_scale_round(&y);
	sm_chart_begin(out, (unsigned)bottom + 32, c->title, c->text);
	if (c->n > 1)
		put_legend(out, c);
	sm_chart_y(out, &y, LEFT, SM_CHART_WIDTH - 10);
	if (c->x_names != NULL)
		put_names(out, c, &x, bottom);
	else
		sm_chart_x(out, &x, bottom, bottom + 3);
	for (size_t i = 0; i < c->n; i++)
		put_line(out, &c->lines[i], &x, &y);
	sm_html(out, "<text class=\"middle axis-name\" x=\"%.1f\" y=\"%.1f\">%s</text>",
		(LEFT + SM_CHART_WIDTH - 10) / 2.0, bottom + 28, c->x_label);
	sm_chart_end(out);
}
