/* writes.h: what stores of pointers take, on a calm heap and while a marker is at work. */
#ifndef SM_WORKLOADS_WRITES_H
#define SM_WORKLOADS_WRITES_H

#include "workloads/run.h"

struct sm_writes {
	uint64_t calm_stores, calm_ns, marking_stores, marking_ns;
};

/* Adds stores during which the barrier was off, or on, at both ends: others are left out. */
SM_INLINE void sm_writes_add(struct sm_writes *w, uint64_t stores, uint64_t ns, bool on_before,
			     bool on_after)
{
	if (on_before && on_after) {
		w->marking_stores += stores;
		w->marking_ns += ns;
	} else if (!on_before && !on_after) {
		w->calm_stores += stores;
		w->calm_ns += ns;
	}
}

void sm_writes_sum(struct sm_writes *sum, const struct sm_writes *w);
/* writer_store_ns_calm, _marking, and their ratio. */
void sm_writes_report(struct sm_run *run, const struct sm_writes *sum);

#endif
