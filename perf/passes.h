/* Packing events into passes; called by counterset.c. */
#ifndef SM_PERF_PASSES_H
#define SM_PERF_PASSES_H

#include "perf/counterset.h"

#define SM_PASSES_MAX 64 /* bits of sm_cs_event.in_pass */

/*
 * Tries every hardware event, packs the metrics' events into passes by opening, and writes the
 * outcome into cs: passes, and for what cannot be counted the status and reason. With opt.plan
 * nothing is tried. 0; -EINVAL: that plan is of another set.
 */
int sm__passes_plan(struct sm_counterset *cs);

/* Is this event opened by threads as part of a pass (a hardware event that can be counted on kind)?
 */
bool sm__is_hw(const struct sm_cs_event *e, unsigned kind);

/*
 * On a hybrid machine an event is scheduled only while the thread runs on a CPU of its kind: goes
 * there, and back. Nothing happens on uniform machines.
 */
void sm__go_to_kind(const struct sm_counterset *cs, unsigned kind);
void sm__go_back(const struct sm_counterset *cs);

#endif
