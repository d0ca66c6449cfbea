/* chart.c: scales, frames, and rows of strips. See chart.h. */
#include "harness/page/chart.h"

#include <math.h>
#include <string.h>

#include "harness/page/html.h"
#include "harness/base/text.h"

/* ---- scales ------------------------------------------------------------------------------- */

void sm_scale_hold(struct sm_scale *s, double v)
{
	if (!isfinite(v) || (s->log && v <= 0))
		return;
	s->from = fmin(s->from, v);
	s->to = fmax(s->to, v);
}

double sm_scale_at(const struct sm_scale *s, double v)
{
	double share;

	if (s->log)
		share = v > 0 ? log(v / s->from) / log(s->to / s->from) : 0;
	else
		share = (v - s->from) / (s->to - s->from);
	share = fmin(fmax(share, 0), 1);
	return s->begin + share * (s->end - s->begin);
}

/* Bytes are cut by powers of 2, everything else by powers of 10. */
static double step_of(const struct sm_scale *s, double least)
{
	static const double tens[] = {1, 2, 5, 10};
	bool bytes = strcmp(s->unit, "bytes") == 0 || strcmp(s->unit, "KiB") == 0;
	double power = pow(10, floor(log10(least)));

	if (bytes && least >= 1)
		return pow(2, ceil(log2(least)));
	for (size_t i = 0; i < 4; i++)
		if (tens[i] * power >= least * (1 - 1e-9))
			return tens[i] * power;
	return 10 * power;
}

/* 1, 2, 5 of each decade, or where that is too many every decade, every second, .. */
static size_t log_ticks(const struct sm_scale *s, size_t most, double *ticks)
{
	static const double parts[] = {1, 2, 5};
	int first = (int)floor(log10(s->from)), last = (int)ceil(log10(s->to));

	for (int every = 0;; every++) {
		size_t n = 0;

		for (int e = first; e <= last; e += every ? every : 1)
			for (size_t k = 0; k < (every ? 1 : 3); k++) {
				double v = parts[k] * pow(10, e);

				if (v < s->from * (1 - 1e-9) || v > s->to * (1 + 1e-9))
					continue;
				if (n < most)
					ticks[n] = v;
				n++;
			}
		if (n <= most)
			return n;
	}
}

size_t sm_scale_ticks(const struct sm_scale *s, size_t most, double *ticks)
{
	double step = step_of(s, (s->to - s->from) / (double)most), v;
	size_t n = 0;

	if (s->log && s->to / s->from >= 3)
		return log_ticks(s, most, ticks);
	for (v = ceil(s->from / step - 1e-9) * step; v <= s->to + step * 1e-9 && n < most;
	     v += step)
		ticks[n++] = fabs(v) < step * 1e-9 ? 0 : v;
	return n;
}

void sm_scale_round(struct sm_scale *s)
{
	double step;

	if (!(s->from <= s->to)) { /* nothing to hold */
		s->from = s->log ? 0.5 : 0;
		s->to = s->log ? 2 : 1;
	}
	if (s->log) {
		s->from /= 1.06;
		s->to *= 1.06;
		return;
	}
	if (s->from == s->to) {
		double room = s->from != 0 ? fabs(s->from) * 0.05 : 1;

		s->from -= room;
		s->to += room;
	}
	step = step_of(s, (s->to - s->from) / 5);
	s->to = ceil(s->to / step - 1e-9) * step;
	s->from = floor(s->from / step + 1e-9) * step;
}

/* ---- frames ------------------------------------------------------------------------------- */

void sm_chart_begin(FILE *out, unsigned height, const char *title, const char *text)
{
	sm_html(out,
		"<svg class=\"chart\" viewBox=\"0 0 %d %u\" role=\"img\">"
		"<title>%s</title><desc>%s</desc>\n",
		SM_CHART_WIDTH, height, title, text);
}

void sm_chart_end(FILE *out)
{
	fputs("</svg>\n", out);
}

/* "12.3 ns" without what its neighbours do not need: "10 ns", not "10.0 ns". */
static void tick_text(double v, const char *unit, char *buf, size_t len)
{
	char *dot, *end;

	if (strcmp(unit, "x") == 0 || unit[0] == 0) {
		snprintf(buf, len, "%.4g", v);
		if (fabs(v) >= 1e4)
			sm_text_count(v, buf, len);
		return;
	}
	sm_text_value(v, unit, buf, len);
	dot = strchr(buf, '.');
	if (dot == NULL)
		return;
	end = dot + 1 + strspn(dot + 1, "0123456789");
	for (char *p = end; p > dot && (p[-1] == '0' || p[-1] == '.'); p--) {
		bool point = p[-1] == '.';

		memmove(p - 1, p, strlen(p) + 1);
		if (point)
			break;
	}
}

void sm_chart_x(FILE *out, const struct sm_scale *x, double top, double bottom)
{
	double ticks[SM_CHART_TICKS], last = -1e9;
	size_t n = sm_scale_ticks(x, 6, ticks);

	fputs("<g class=\"axis\" aria-hidden=\"true\">", out);
	for (size_t i = 0; i < n; i++) {
		double at = sm_scale_at(x, ticks[i]), half;
		char text[40];

		sm_html(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at, top,
			bottom);
		tick_text(ticks[i], x->unit, text, sizeof(text));
		half = 3.2 * (double)strlen(text);
		at = fmin(fmax(at, half), SM_CHART_WIDTH - half);
		if (at - half < last + 6)
			continue; /* no room for its value */
		sm_html(out, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>", at,
			bottom + 13, text);
		last = at + half;
	}
	fputs("</g>\n", out);
}

void sm_chart_y(FILE *out, const struct sm_scale *y, double left, double right)
{
	double ticks[SM_CHART_TICKS];
	size_t n = sm_scale_ticks(y, 5, ticks);

	fputs("<g class=\"axis\" aria-hidden=\"true\">", out);
	for (size_t i = 0; i < n; i++) {
		double at = sm_scale_at(y, ticks[i]);
		char text[40];

		tick_text(ticks[i], y->unit, text, sizeof(text));
		sm_html(out,
			"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
			"<text class=\"end\" x=\"%.1f\" y=\"%.1f\">%s</text>",
			left, right, at, at, left - 6, at + 3.5, text);
	}
	fputs("</g>\n", out);
}

/* ---- strips ------------------------------------------------------------------------------- */

#define ROW    40 /* height of a row */
#define TEXT   17 /* its part above the dots, where its words are */
#define MARGIN 8

static void put_strip(FILE *out, const struct sm_strip *r, const struct sm_scale *x, double top)
{
	double y = top + 27, at = sm_scale_at(x, r->middle);

	sm_html(out, "<g class=\"strip %s\"><text class=\"label\" x=\"%d\" y=\"%.1f\">", r->kind, 0,
		top + 13);
	sm_html_short(out, r->label, 60 - (unsigned)strlen(r->value));
	sm_html(out, "</text><text class=\"value end\" x=\"%d\" y=\"%.1f\">%s</text>",
		SM_CHART_WIDTH, top + 13, r->value);
	if (!isnan(r->middle) && r->has_interval)
		sm_html(out,
			"<rect class=\"interval\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			"height=\"8\" rx=\"2\"/>",
			sm_scale_at(x, r->low), y - 4,
			fmax(sm_scale_at(x, r->high) - sm_scale_at(x, r->low), 1.5));
	for (size_t i = 0; i < r->ndots; i++) /* not all at one height, so that equal ones show */
		sm_html(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.3\"/>",
			sm_scale_at(x, r->dots[i]), y + ((double)(i * 3 % 5) - 2) * 1.3);
	if (!isnan(r->middle))
		sm_html(out,
			"<line class=\"mid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at,
			at, y - 7, y + 7);
	fputs("</g>\n", out);
}

void sm_chart_strips(FILE *out, const struct sm_strips *s)
{
	struct sm_scale x = {.from = INFINITY,
			     .to = -INFINITY,
			     .begin = MARGIN,
			     .end = SM_CHART_WIDTH - MARGIN,
			     .log = s->log,
			     .unit = s->unit};
	double bottom = (double)(ROW * s->n) + 4;

	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->rows[i].ndots; k++)
			sm_scale_hold(&x, s->rows[i].dots[k]);
		sm_scale_hold(&x, s->rows[i].middle);
		if (s->rows[i].has_interval) {
			sm_scale_hold(&x, s->rows[i].low);
			sm_scale_hold(&x, s->rows[i].high);
		}
	}
	sm_scale_hold(&x, s->mark);
	sm_scale_round(&x);
	sm_chart_begin(out, (unsigned)bottom + 18, s->title, s->text);
	sm_chart_x(out, &x, 0, bottom);
	for (size_t i = 0; i < s->n; i++) {
		double top = (double)(ROW * i), at = sm_scale_at(&x, s->mark);

		if (!isnan(s->mark)) /* not through the words */
			sm_html(out,
				"<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
				"y2=\"%.1f\"/>\n",
				at, at, top + TEXT, top + ROW);
		put_strip(out, &s->rows[i], &x, top);
	}
	sm_chart_end(out);
}
