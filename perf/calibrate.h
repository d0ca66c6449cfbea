/*
 * Calibration: can the counters be believed?
 *
 * Kernels with known counts (kernels.h) run under every event that this machine's sets name for
 * them; expected and counted are set side by side. Two amounts of work are run and subtracted, so
 * constants cancel; the median of seven is taken.
 *
 *   kernel               event         expected
 *   loop                 instructions  2 a round, exactly
 *                        branches      1 a round, exactly
 *   dependent chain      cycles        1 an operation, within a tenth
 *   random branches      br_miss       half of them, between 0.4 and 0.6
 *   pointer chase        l1d_miss ..   of 1/2 a level: nearly none; of 4 times a level: nearly
 *                        every access
 *   pages in random order dtlb_walk    of 16 pages: nearly none; of 65536: nearly every access
 *   calls into pages     itlb_walk     the same for instructions
 *   fresh pages          minor_faults  1 a page, exactly
 *   busy loop            task_clock    the time that passed, in rounds in which no other program
 *                        had the CPU
 *
 * The chase also tells the time of an access at each size, which needs no PMU.
 */
#ifndef SM_PERF_CALIBRATE_H
#define SM_PERF_CALIBRATE_H

#include "perf/counterset.h"
#include "perf/topology.h"

enum sm_verdict {
	SM_VERDICT_EXACT, /* as expected, to the last count or 1 in 100 000 */
	SM_VERDICT_GOOD,  /* within the bounds */
	SM_VERDICT_OFF,	  /* counted something else: do not believe it */
	SM_VERDICT_ZERO,  /* never counts */
	SM_VERDICT_NA,	  /* could not be counted at all: reason */
};

struct sm_cal_row {
	char kernel[48]; /* "loop", "chase 16 KiB (1/2 L1d)" */
	char event[SM_EXPR_NAME];
	char label[320];    /* the resolved event */
	char core_kind[32]; /* microarchitecture of the core PMU it ran on */
	enum sm_source source;
	double work;	  /* how many operations the kernel did */
	double expected;  /* counts */
	double low, high; /* bounds of "good" */
	double counted;	  /* NAN when n/a */
	double error;	  /* (counted - expected) / max(expected, work / 100); NAN when n/a */
	double ns_per_op; /* time of one operation, NAN where it says nothing */
	enum sm_verdict verdict;
	enum sm_status status;
	char reason[160];
};

struct sm_calibration {
	unsigned n;
	struct sm_cal_row *rows;
	unsigned exact, good, off, zero, na;
};

/*
 * Runs everything (a few seconds). `base` gives opener, root and user_dir for tests; its sets are
 * ignored. 0 or -errno with err.
 */
int sm_calibrate(const struct sm_topology *topo, const struct sm_counterset_options *base,
		 struct sm_calibration *out, char *err, size_t errlen);
void sm_calibration_free(struct sm_calibration *c);
/* The rows of the kernel's own counts alone, under a set that names them. */
int sm__calibrate_software(struct sm_counterset *cs, struct sm_calibration *out);

/* The verdict on a count; pure, for tests. */
enum sm_verdict sm_cal_judge(double expected, double low, double high, double counted);
const char *sm_verdict_name(enum sm_verdict v); /* "exact", "good", "off", "reads 0", "n/a" */

#endif
