/*
 * search.h: which settings are best, over whatever can measure them: a meter runs points of a space
 * of knobs side by side and says how each compares with the default.
 *
 *     pilot      the default alone: what a sample costs
 *     screen     the default and every other value of every knob, one at a time
 *     halve      combinations of what screening liked: the better half goes on with twice the
 *                repetitions, until one is left
 *     refine     around the one that is left: each of its settings a step less, a step more, left
 *                out; what does not pay goes
 *     confirm    that one and the default, on fresh samples
 *
 * A score is the logarithm of (point / default) of one repetition, weighted over workloads and
 * objectives; below 0 is better. All points of a batch run in the blocks of one run (plan.h), so
 * drift falls out of a score. What is chosen among many looks better than it is; hence nothing of
 * the search is in the verdict, which comes from confirmation alone. Its interval therefore holds
 * whatever was tried before it, with 95 %: on a surface where nothing differs by as much as the
 * margin, something is recommended in 5 of 100 tunings at most (tests/harness/test_search.c).
 *
 * After Jamieson and Talwalkar, Non-stochastic Best Arm Identification, 2016 (halving), with paired
 * scores. `exhaustive` measures the whole grid in place of the three in the middle.
 *
 * The same scores and costs lead to the same decisions, so that a tuning that was cut off is
 * resumed by running it again over a meter that remembers.
 */
#ifndef SM_HARNESS_SEARCH_H
#define SM_HARNESS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/judge/verdict.h"

#define SM_TUNE_KNOBS  32
#define SM_TUNE_LEVELS 12
#define SM_TUNE_GRID   1024 /* points of an exhaustive search, at most */
#define SM_TUNE_WORKS  32

struct sm_tune_dial {
	const char *name;
	unsigned levels; /* 2 or more; level 0 is the default */
	/* It does something beside this level of another dial only, which needs none itself: 1 +
	 * the dial; 0: it always does. */
	unsigned of, at;
};

/* A level for each dial. */
struct sm_tune_point {
	unsigned char level[SM_TUNE_KNOBS];
};

/* What a batch of points came to. The first point is the default. */
struct sm_tune_batch {
	unsigned npoints, reps, nworks;
	/* [(work * npoints + point) * reps + rep]: logarithm of the ratio to the default; NAN:
	 * this sample failed */
	double *score;
	double *memory; /* [work * npoints + point]: peak RSS over the default's; NAN: not known */
	double seconds; /* that the batch took */
};

/*
 * Measures points[0 .. n), the first of which is the default. out's arrays are malloc'ed, and freed
 * by the search. 0; -ECANCELED: interrupted, with what was measured until then kept by the meter;
 * another -errno.
 */
typedef int sm_tune_measure_fn(void *ctx, const char *stage, const struct sm_tune_point *points,
			       unsigned n, unsigned reps, struct sm_tune_batch *out);

/* CHECK: the point whose first dial has level 1 is confirmed, nothing is searched. */
enum sm_tune_method { SM_TUNE_HALVING, SM_TUNE_EXHAUSTIVE, SM_TUNE_CHECK };

struct sm_tune_search {
	const struct sm_tune_dial *dials;
	unsigned ndials;
	enum sm_tune_method method;
	double budget_s;
	double max_memory;	       /* ratio to the default; 0: no matter */
	double margin;		       /* what is no difference: SM_VERDICT_MARGIN */
	double weights[SM_TUNE_WORKS]; /* of each work; all 0: equal */
	sm_tune_measure_fn *measure;
	void *ctx;
};

/* A point and all its scores: one for each repetition of each batch that had it. */
struct sm_tune_tried {
	struct sm_tune_point point;
	double *score;
	unsigned n;
	unsigned failed;  /* samples without one, where the default has one */
	unsigned excused; /* samples in which the default has none, either */
	double median;	  /* of the scores; NAN: none, or it fails more often than the default */
	double memory;	  /* the largest ratio of any work; NAN: not known */
	/* It is the default but for one dial, and for what that one needs: 1 + the dial; 0: not
	 * so. */
	unsigned screened;
};

struct sm_tune_found {
	struct sm_tune_tried *tried; /* the default is [0], whose median is 0 */
	unsigned ntried;
	unsigned winner;    /* of tried; 0: the default, nothing was better */
	bool confirmed_any; /* there was something to confirm: total and works are there */
	struct sm_difference total;
	struct sm_difference works[SM_TUNE_WORKS]; /* each holds with the others and the total */
	unsigned nworks;
	double memory;	  /* of the confirmation, the largest of any work */
	bool fails;	  /* there, more often than the default: a ratio of the rest is no merit */
	bool recommended; /* total is better, it does not fail, and memory is within bounds */
};

/* 0, what the meter returned, -E2BIG (a grid of too many points), -ENOMEM. Free in every case. */
int sm_tune_search(const struct sm_tune_search *s, struct sm_tune_found *out);
void sm_tune_found_free(struct sm_tune_found *f);

/* Takes out the levels that do nothing there: what differs in these alone is one point. */
void sm_tune_settle(const struct sm_tune_dial *dials, unsigned n, struct sm_tune_point *p);

/* How many points the grid has at most; more than SM_TUNE_GRID: that and one. */
unsigned sm_tune_grid(const struct sm_tune_dial *dials, unsigned n);

#endif
