/*
 * Counters that belong to no core: memory controllers, L3s, fabrics.
 *
 * The kernel offers each as a PMU of its own (uncore_imc_0, amd_l3, amd_umc_3, arm_cmn_0) whose
 * `cpumask` names one CPU for each package or L3; it is opened there for all processes (pid -1),
 * which needs perf_event_paranoid 0 or CAP_PERFMON. The counts are those of the whole package or
 * L3, whichever program caused them: they are reported per package or L3 and never attributed to
 * threads. An event whose PMU name has numbered instances (uncore_imc -> uncore_imc_0, _1, ..) is
 * opened on all of them and summed per package.
 */
#ifndef SM_PERF_UNCORE_H
#define SM_PERF_UNCORE_H

#include "perf/counterset.h"
#include "perf/topology.h"

struct sm_uncore;

/* One package or L3. */
struct sm_uncore_row {
	bool is_l3;
	int index; /* into the topology's packages or l3s */
	/* one per event of the set; those of other domains are not counted */
	struct sm_reading *readings;
};

/*
 * Opens all uncore events of the set and starts them. Always gives an object (unless -ENOMEM): what
 * could not be opened is told in the readings; a set without uncore events gives one with no rows.
 */
int sm_uncore_open(const struct sm_counterset *cs, const struct sm_topology *topo,
		   struct sm_uncore **out);

/* Begin and end of a stretch that is measured. The readings are sums over all stretches. */
void sm_uncore_start(struct sm_uncore *u);
void sm_uncore_stop(struct sm_uncore *u);

unsigned sm_uncore_rows(const struct sm_uncore *u, const struct sm_uncore_row **rows);
void sm_uncore_free(struct sm_uncore *u);

#endif
