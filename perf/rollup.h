/*
 * Rolling up regions of threads into rows: by thread, role, core, L3, node, package or core kind.
 *
 * A row is one (role, region, place, core kind). Rows of different core kinds are never added up: their PMUs count
 * different things under one name. A thread that is not pinned has no place (SM_NONE) except for its core kind, which its counters
 * tell. A sum with a missing part is missing (sm_reading_add).
 */
#ifndef SM_PERF_ROLLUP_H
#define SM_PERF_ROLLUP_H

#include "perf/placement.h"
#include "perf/region.h"

enum sm_rollup_by {
	SM_BY_THREAD, /* key: index in the list of threads */
	SM_BY_ROLE,   /* key: SM_NONE */
	SM_BY_CORE,   /* keys: indexes into the topology's arrays */
	SM_BY_L3,
	SM_BY_NODE,
	SM_BY_PACKAGE,
	SM_BY_KIND, /* key: the topology's core kind */
};

struct sm_rollup_thread {
	const struct sm_region_thread *t; /* NULL: the thread was not measured, it is left out */
	enum sm_role role;
	int pu_os; /* where it is pinned, SM_NONE */
};

struct sm_rollup_row {
	enum sm_role role;
	unsigned region;
	int key;
	unsigned pmu; /* index of the core PMU ("kind" of sm_region_get, sm_metric_eval) */
	unsigned n_threads;
	struct sm_region_time time;  /* summed over the threads */
	struct sm_reading *readings; /* one per event of the set */
};

struct sm_rollup {
	unsigned n;
	struct sm_rollup_row *rows; /* by role, region, key, pmu */
};

/*
 * Rolls up. Regions that no thread entered give no row. 0 or -ENOMEM. Topology may be NULL for SM_BY_THREAD and
 * SM_BY_ROLE.
 */
int sm_rollup(const struct sm_counterset *cs, const struct sm_topology *topo,
	      const struct sm_rollup_thread *threads, unsigned n, unsigned n_regions, enum sm_rollup_by by,
	      struct sm_rollup *out);
void sm_rollup_free(struct sm_rollup *r);

const char *
sm_rollup_by_name(enum sm_rollup_by by); /* "thread", "role", "core", "l3", "node", "package", "kind" */

#endif
