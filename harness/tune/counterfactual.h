/*
 * counterfactual.h: what each size of a cache would have done, computed from one recorded run
 * before anything is tried (allocator/malloc/record/record.h); and beside it what was measured
 * where a size was tried.
 *
 *     lists    span and malloc: recorded, step by step, for lists of 2 to 2048 slots
 *     windows  gc: the bytes of a class over the window, or over what a span gives at most
 *     marking  gc: whether anything is marked by span at all (marking.c)
 */
#ifndef SM_HARNESS_COUNTERFACTUAL_H
#define SM_HARNESS_COUNTERFACTUAL_H

#include <stdio.h>

#include "harness/tune/trials.h"

#define SM_CURVE_POINTS 16

struct cJSON;

/* A size of a class's cache. */
struct sm_curve_point {
	double size;	  /* slots of a list, bytes of a window */
	double predicted; /* refills for 1000 allocations */
	double measured;  /* the same; NAN: not tried */
	double held;	  /* bytes, of all threads, in the mean */
};

struct sm_class_curve {
	unsigned bytes;
	double allocs, share; /* share: of all allocations */
	double reuse;	      /* median bytes allocated until a freed slot is used again; NAN */
	double fresh;	      /* share of allocations that no freed slot served */
	const char *binds;    /* what an allocation waits for: "L1", "refill rate", .. */
	struct sm_curve_point points[SM_CURVE_POINTS];
	unsigned npoints;
};

struct sm_counterfactual {
	bool windows;			/* else lists */
	struct sm_class_curve *classes; /* those with most allocations first */
	unsigned n;
	unsigned threads;
	char why[200]; /* nothing was recorded: the reason */
	/* Of one sample of each case with gc.mark=spans: its collections, and the spans that were
	 * taken from the queue. NAN: none was measured. */
	double cycles, spans;
};

/* Caches of the machine, in bytes; 0: not known. */
struct sm_cache_sizes {
	double l1, l2, tlb;
};

/* Runs what the trials are about once, recorded. 0, or -ECANCELED, -ENOMEM; without a record n is 0
 * and why says it. Free in every case. */
int sm_counterfactual_record(struct sm_trials *t, const char *backend,
			     const struct sm_cache_sizes *sizes, struct sm_counterfactual *out);
/* Runs it once as it is with gc.mark=spans, and sets cycles and spans. 0, or -ECANCELED, -ENOMEM.
 */
int sm_marking_record(struct sm_trials *t, struct sm_counterfactual *out);
/* Of a file of records, one a line. 0, -EINVAL, -ENOMEM. */
int sm_counterfactual_read(FILE *in, bool windows, const struct sm_cache_sizes *sizes,
			   struct sm_counterfactual *out);
/* What was measured in the screening: a point that has this size alone. */
int sm_counterfactual_measured(const struct sm_trials *t, struct sm_counterfactual *c);
void sm_counterfactual_free(struct sm_counterfactual *c);

/* Takes knobs of the caches and of marking out of s that cannot matter, and puts in those of a
 * class. 0, -ENOMEM. */
int sm_choice_make(struct sm_space *s, const struct sm_counterfactual *c);
/* Keeps with the recorded run what was chosen; 0 or -errno. */
int sm_choice_keep(struct sm_trials *t, const struct sm_space *s);
/* For a tuning that goes on: 1, and s is what was kept; 0: nothing was; -errno. */
int sm_choice_recall(struct sm_trials *t, struct sm_space *s);

/* The smallest size that does nearly all that any does; 0: not known. */
double sm_curve_enough(const struct sm_class_curve *v);
/* Refills for 1000 allocations of all classes, with lists or windows of so many bytes. */
double sm_counterfactual_rate(const struct sm_counterfactual *c, double bytes);

/* A line for each class that matters, before anything is tried. */
void sm_counterfactual_preview(const struct sm_counterfactual *c, FILE *out);
/* The classes that matter, a line for each size; the same as JSON, an array. */
void sm_counterfactual_print(const struct sm_counterfactual *c, FILE *out);
struct cJSON *sm_counterfactual_json(const struct sm_counterfactual *c);

#endif
