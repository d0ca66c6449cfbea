/* "pmu/term=value,alias/" by the kernel's own tables in /sys/bus/event_source/devices; used by
 * events.c. */
#ifndef SM_PERF_SYSFS_EVENT_H
#define SM_PERF_SYSFS_EVENT_H

#include "perf/events.h"

/* As sm_event_resolve, for the notation with slashes. */
bool sm__sysfs_event(const char *name, const struct sm_event_options *opt,
		     struct sm_event_resolved *out, bool *bad);

#endif
