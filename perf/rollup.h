/*
 * Rolling up regions of threads into rows: by thread, role, core, L3, node, package or core kind.
 *
 * A row is one (role, label, place, core PMU): its label is a region, or another number that the
 * caller gives to it (sm_rollup_thread.label), or SM_ROLLUP_TOTAL, all regions together. By thread
 * and role, rows of different roles are kept apart, and kinds of mark workers are roles like any
 * other; by a place or core kind all threads there are added up, whatever their role. Rows of
 * different core PMUs are never added up: they count different things under one name. A thread that
 * is not pinned has no place (SM_NONE) except for its core PMU, which its counters tell; its wall
 * time then stands in the row of each PMU. A sum with a missing part is missing (sm_reading_add).
 */
#ifndef SM_PERF_ROLLUP_H
#define SM_PERF_ROLLUP_H

#include "perf/by.h"
#include "perf/region.h"
#include "perf/topology.h"

#define SM_ROLLUP_TOTAL (SM_REGION_MAX + 15u)

struct sm_rollup_thread {
	const struct sm_region_thread *t; /* NULL: the thread was not measured, it is left out */
	const char *role;		  /* outlives the rows */
	int pu_os;			  /* where it is pinned, SM_NONE */
	/* [n_regions]: the number of the row that each region belongs to (idle instead of
	 * application), NULL: its own */
	const uint8_t *label;
	/*
	 * A region whose wall time is what `fill_ns` leaves beside the other regions' (a worker
	 * that sleeps before it first enters a region); SM_NONE: none.
	 */
	int fill;
	uint64_t fill_ns;
	/* 1 + the number of an earlier thread of the list, whose place this one took when it had
	 * ended: by thread they are one row. 0: none. */
	unsigned took_over;
};

struct sm_rollup_options {
	enum sm_by by;
	/* regions 0 .. n - 1 make rows; others (what is not timed) are left out */
	unsigned n_regions;
	bool totals; /* a row SM_ROLLUP_TOTAL for each group of rows */
	/*
	 * Light regions (sm_region_options): what they could not count is in the enclosing region's
	 * reading, so it is not missing in a total.
	 */
	uint32_t light;
};

struct sm_rollup_row {
	const char *role; /* NULL: all roles */
	unsigned label;
	/*
	 * By thread: the index in the list of threads; by role: SM_NONE; by kind: the topology's
	 * core kind, SM_NONE where there is one or where the PMUs tell the kinds apart; else the
	 * index in the topology's array.
	 */
	int key;
	unsigned pmu; /* index of the core PMU ("kind" of sm_region_get, sm_metric_eval) */
	unsigned n_threads;
	struct sm_region_time time;  /* summed over the threads */
	struct sm_reading *readings; /* one per event of the set */
};

struct sm_rollup {
	unsigned n;
	/* by key, role in order of first appearance, pmu, label; totals last */
	struct sm_rollup_row *rows;
};

/*
 * Rolls up. Regions that no thread entered give no row. 0 or -ENOMEM. Topology may be NULL for
 * SM_BY_THREAD and SM_BY_ROLE.
 */
int sm_rollup(const struct sm_counterset *cs, const struct sm_topology *topo,
	      const struct sm_rollup_thread *threads, unsigned n,
	      const struct sm_rollup_options *opt, struct sm_rollup *out);
void sm_rollup_free(struct sm_rollup *r);

#endif
