/*
 * verdict.h: is the difference real? From the values of two sides to a ratio, the interval around
 * it, and one word.
 *
 *     interval of the ratio, lower is better:
 *       beyond 1 + margin           worse      |----[1-m  1  1+m]--(===)--
 *       beyond 1 / (1 + margin)     better     |--(==)--[1-m  1  1+m]-----
 *       between them                same       |------[ (===) ]-----------
 *       across one of them          unclear    |------[   (===]====)------
 *
 * The ratio is other / base, of logarithms: of pairs where samples come in blocks (the same
 * repetition of one run), else of two samples (ranks.h). All intervals of a table hold together
 * with 95 %, each is widened for it, so a table of equal things calls one row different in 5 of 100
 * tables at most. Counts that are the same whenever the same is done (`exact`) have no interval:
 * any change is one.
 */
#ifndef SM_HARNESS_VERDICT_H
#define SM_HARNESS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "workloads/results.h"

#define SM_VERDICT_CONFIDENCE 0.95
#define SM_VERDICT_MARGIN     0.01
#define SM_VERDICT_POWER      0.8 /* with which a difference shall be found */

enum sm_verdict {
	SM_VERDICT_UNCLEAR,
	SM_VERDICT_SAME,
	SM_VERDICT_BETTER,
	SM_VERDICT_WORSE,
	SM_VERDICT_DIFFERS, /* where neither direction is better */
};
extern const char *const sm_verdict_names[];

struct sm_difference {
	/* what was measured; the values are reordered */
	double *base, *other;
	size_t nbase, nother;
	bool paired; /* base[i] and other[i] are of one block; nbase == nother */
	bool exact;  /* likewise paired, and without noise */
	enum sm_better better;
	double split; /* of the error, for runs that looked at themselves (until.h) */
	/* what it says */
	double ratio; /* NAN: none */
	bool has_interval;
	double low, high;
	enum sm_verdict verdict;
	char reason[100]; /* of unclear */
	/* repetitions with which a difference of `target` would be found with SM_VERDICT_POWER; 0:
	 * no matter */
	unsigned needed;
};

struct sm_verdict_options {
	double margin; /* 0.01: 1 % */
	double target; /* a difference to be found, above the margin */
};

/* All rows of a table; *each gets the confidence of one interval, where all have no split. 0 or
 * -ENOMEM. */
int sm_verdict_table(struct sm_difference *rows, size_t n, const struct sm_verdict_options *o,
		     double *each);

#endif
