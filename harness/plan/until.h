/*
 * until.h: --until: repeat until every interval is narrow enough.
 *
 * Whoever looks at an interval again and again, and stops when he likes it, stops at lucky moments:
 * the interval then holds less often than it says. So looks are few, and each has a share of the
 * error that is allowed:
 *
 *     look k    after n(k) repetitions, n(1) >= 10, n(k + 1) = 1.5 n(k), whole Latin squares
 *     share     1 / (k (k + 1)) of the 5 %: 2.5 %, 0.83 %, 0.42 %, ..; all of them sum up to 5 %
 *
 * The intervals of all looks hold together with 95 %, whatever the values are distributed like
 * (Boole's inequality), so that of the look at which the run stopped does. A run that time stopped
 * between two looks has looked once more there. Whoever reads such a run later, the report and
 * compare, uses the confidence of its last look.
 *
 * Narrow is an interval within `width` of its middle on both sides: high / middle and middle / low
 * are at most 1 + width. Looked at are the median of each case, and the ratio of each two cases of
 * a family (plan.h) as compare makes it, all ratios as one table.
 */
#ifndef SM_HARNESS_UNTIL_H
#define SM_HARNESS_UNTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/options/until_value.h"

#define SM_UNTIL_FIRST	  10 /* repetitions at the first look, at least */
#define SM_UNTIL_MAX_TIME 600.0

struct cJSON;
struct sm_plan;

struct sm_until {
	struct sm_until_target targets[SM_UNTIL_TARGETS];
	size_t ntargets; /* 0: not asked */
	double max_time_s;
	unsigned first, step; /* of the looks, in repetitions */
	/* how the plan goes on: a family for each case, and the order of running */
	unsigned *family, ncases, passes;
	bool *absent; /* a case whose library is not there: one job, in the first repetition */
	unsigned nabsent;
	bool shuffle;
};

/* Into the environment of a run, and out of it; none: ntargets is 0. 0, -ENOMEM, or -EINVAL of what
 * is damaged. */
void sm_until_describe(struct cJSON *env, const char *text, double max_time_s,
		       const struct sm_plan *plan);
int sm_until_read(const char *environment, struct sm_until *u);
void sm_until_free(struct sm_until *u);

/* Repetitions at the first look after `reps`. */
unsigned sm_until_next(const struct sm_until *u, unsigned reps);
/* How often a run of so many repetitions has looked; at the last of them, too. At least 1. */
unsigned sm_until_looks(const struct sm_until *u, unsigned reps);
/* By how much the error allowed is divided for the interval of look k. */
double sm_until_split(unsigned k);

/* Jobs of a repetition, and those of the first one, where absent cases have theirs. */
unsigned sm_until_round(const struct sm_until *u);
unsigned sm_until_first_round(const struct sm_until *u);

/*
 * The jobs of repetitions [from, to), from 1 on, in the order of running: those of the first
 * repetition (sm_until_first_round of them, as the store keeps them) again, with the number and the
 * seed of theirs.
 * *out and each of its jobs are malloc'ed. 0, -ENOMEM, or -EINVAL of what is damaged.
 */
int sm_until_jobs(const struct sm_until *u, char *const *first, uint64_t seed, unsigned from,
		  unsigned to, char ***out);

#endif
