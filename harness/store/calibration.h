/*
 * calibration.h: what `spanmark doctor --calibrate` found out about the counters goes with each run
 * and into its report.
 *
 * The kept calibration (doctor.h) is copied into the store when a run begins, if it is of this
 * machine. A report that is loaded applies it to every metric behind which a calibrated event
 * stands, alone or in a formula:
 *
 *   reads 0   the event never counts: the metric has no value, its reason says so
 *   off       it counts something else: the value stays, marked by sm_metric.calibration
 */
#ifndef SM_HARNESS_CALIBRATION_H
#define SM_HARNESS_CALIBRATION_H

#include "harness/store/store.h"

/* Copies the kept calibration into the run; none, or of another machine (one line on stderr):
 * nothing. 0 or -errno. */
int sm_calibration_keep(struct sm_store *s, int64_t run, const char *cpu_model);

/* Applies the report's calibrations to its metrics. 0 or -ENOMEM. */
int sm_calibration_apply(struct sm_report *r);

/* Is this verdict about an event that stands behind the metric? */
bool sm_calibration_concerns(const struct sm_calibration_row *c, const struct sm_metric *m);

#endif
