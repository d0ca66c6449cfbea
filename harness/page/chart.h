/*
 * chart.h: charts as SVG, made when the page is written. A chart is SM_CHART_WIDTH units wide,
 * about what a telephone has; wide screens show several side by side, so that letters have one size
 * everywhere. Colours are classes of page.css. Every chart has a title and a sentence that says
 * what it shows.
 */
#ifndef SM_HARNESS_PAGE_CHART_H
#define SM_HARNESS_PAGE_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SM_CHART_WIDTH 360
#define SM_CHART_TICKS 12

/* ---- scales ------------------------------------------------------------------------------- */

/* From what is measured to where it stands. Values beyond the ends stand at the ends. */
struct sm_scale {
	double from, to;   /* measured; from < to, both above 0 where log */
	double begin, end; /* of the drawing */
	bool log;
	const char *unit;
};

double sm_scale_at(const struct sm_scale *s, double v);
/* Round values within the scale, at most `most` (2 .. SM_CHART_TICKS); how many. */
size_t sm_scale_ticks(const struct sm_scale *s, size_t most, double *ticks);
/* Widens the ends to round values, so that nothing stands on the frame. */
void sm_scale_round(struct sm_scale *s);
/* A scale grows to hold v; start with from = INFINITY, to = -INFINITY. */
void sm_scale_hold(struct sm_scale *s, double v);

/* ---- frames ------------------------------------------------------------------------------- */

/* <svg>, its title and description; what follows is inside. */
void sm_chart_begin(FILE *out, unsigned height, const char *title, const char *text);
void sm_chart_end(FILE *out);
/* Lines at the ticks of x from `top` to `bottom`, values below; likewise of y, values at the left.
 */
void sm_chart_x(FILE *out, const struct sm_scale *x, double top, double bottom);
void sm_chart_y(FILE *out, const struct sm_scale *y, double left, double right);

/* ---- strips: values of several things on one scale ---------------------------------------- */

struct sm_strip {
	const char *label, *value; /* above the strip, left and right */
	const char *kind;	   /* class: "better", "worse", ..; "" */
	const double *dots;	   /* single values; may be NULL */
	size_t ndots;
	double middle; /* NAN: nothing is drawn */
	bool has_interval;
	double low, high;
};

struct sm_strips {
	const char *title, *text;
	const struct sm_strip *rows;
	size_t n;
	const char *unit;
	bool log;
	double mark; /* a line through all rows, such as a ratio of 1; NAN: none */
};
void sm_chart_strips(FILE *out, const struct sm_strips *s);

/* ---- lines -------------------------------------------------------------------------------- */

struct sm_point {
	double x, y, low, high; /* low, high: NAN without */
};

struct sm_line {
	const char *label;
	unsigned kind; /* class line1, line2, ..: colour and dashes */
	const struct sm_point *points;
	size_t n;
	bool dots; /* points are drawn, too */
};

struct sm_lines {
	const char *title, *text;
	const struct sm_line *lines;
	size_t n;
	const char *x_unit, *y_unit, *x_label;
	/* x is one of these, by number; NULL: a quantity */
	const char *const *x_names;
	size_t n_names;
	bool x_log, from_0; /* from_0: both axes */
};
void sm_chart_lines(FILE *out, const struct sm_lines *c);

#endif
