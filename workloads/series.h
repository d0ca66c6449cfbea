/*
 * series.h: how something went over a sample, in few numbers: the heap over time, or how many waits
 * were of which length. A sample's series are rows of a store (metric.h), whose points are text.
 *
 * What comes one after another without end is thinned as it comes: a full sm_trail has each two of
 * its neighbours made one, which keeps the larger figures of both, and takes from now on as many
 * moments for a point as it has for the others. So a peak stays where it was, to within a point.
 */
#ifndef SM_WORKLOADS_SERIES_H
#define SM_WORKLOADS_SERIES_H

#include <stdio.h>

#include "workloads/session.h"

#define SM_TRAIL_POINTS 64
#define SM_TRAIL_LINES	3

/* One writer. All 0 is empty. */
struct sm_trail {
	struct sm_trail_point {
		uint64_t x, y[SM_TRAIL_LINES];
	} points[SM_TRAIL_POINTS];
	unsigned n;
	unsigned each; /* moments in a point, as a power of 2 */
	unsigned last; /* moments in the last one */
};

/* A moment. x grows from one to the next. */
void sm_trail_add(struct sm_trail *t, uint64_t x, const uint64_t y[SM_TRAIL_LINES]);

/* A series in the making: its points as text, "[[x,y],..]". */
struct sm_series_text {
	FILE *file; /* NULL: out of memory */
	char *text;
	size_t len;
	unsigned n;
};
void sm_series_begin(struct sm_series_text *t);
void sm_series_point(struct sm_series_text *t, uint64_t x, uint64_t y);
/* malloc'ed; NULL when out of memory or without a point. */
char *sm_series_end(struct sm_series_text *t);
/* The points of one line from x `from` to `to`, counted from `from`; without those whose y is
 * UINT64_MAX, "none". As above. */
char *sm_trail_text(const struct sm_trail *t, unsigned line, uint64_t from, uint64_t to);

/* Points of a series' text, which may be anything: (*points)[0 .. n), malloc'ed. 0, -EINVAL: it is
 * no series, -ENOMEM. */
int sm_series_read(const char *text, double (**points)[2], size_t *n);

#endif
