/*
 * until_look.h: the looks of --until (until.h of the plan): how narrow are the intervals by now?
 */
#ifndef SM_HARNESS_UNTIL_LOOK_H
#define SM_HARNESS_UNTIL_LOOK_H

#include <stdbool.h>
#include <stddef.h>

struct sm_report;

/* What a look sees. */
struct sm_until_seen {
	unsigned reps, looks;
	bool narrow;
	/* Of what is furthest from what was wanted: */
	double width;	/* INFINITY: it has no interval */
	double wanted;	/* -1: nothing was there to look at */
	char what[200]; /* "churn span / libc, ns_per_op" */
};
/* 0 or -ENOMEM. */
int sm_until_look(const struct sm_report *r, struct sm_until_seen *seen);
/* "±0.82 % after 15 repetitions", or why there is none. */
void sm_until_say(const struct sm_until_seen *seen, char *buf, size_t len);

#endif
