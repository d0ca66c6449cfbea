/* search_internal.h: the points that the stages of a search share. See search.h. */
#ifndef SM_HARNESS_SEARCH_INTERNAL_H
#define SM_HARNESS_SEARCH_INTERNAL_H

#include "harness/search/search.h"

struct sm__tuning {
	const struct sm_tune_search *s;
	struct sm_tune_found *found;
	double *expected; /* of each tried point, the sum of its parts; NAN: none */
	/* of each point of the last batch: the median of its scores there, its standard error */
	double *last, *error;
	double seconds;	   /* so far */
	double points_run; /* points times repetitions */
	bool keep;	   /* the next batch is the confirmation: into the found total and works */
};

/* The index of the point, settled, among the tried, which it joins if it is new; -ENOMEM. */
int sm__tuning_point(struct sm__tuning *t, const struct sm_tune_point *wanted);

/* Measures the points, of which [0] is 0, the default, and adds their scores to what is known. */
int sm__tuning_run(struct sm__tuning *t, const char *stage, const unsigned *points, unsigned n,
		   unsigned reps);

/* Does it keep within the memory that is allowed, as far as is known? */
bool sm__tuning_fits(const struct sm__tuning *t, unsigned point);
/* Is a better than b, as far as is known or expected? What fits is, whatever the rest has. */
bool sm__tuning_less(const struct sm__tuning *t, unsigned a, unsigned b);

#endif
