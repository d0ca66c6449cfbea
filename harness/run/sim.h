/*
 * sim.h: running a worker under Callgrind (--counters=sim): a folder for its dumps and the command
 * line around it. What the worker does there is told in perf/counter_sim.h.
 */
#ifndef SM_HARNESS_SIM_H
#define SM_HARNESS_SIM_H

#include <stdbool.h>
#include <stddef.h>

struct sm_plan;
struct sm_run_options;
struct sm_topology;

struct sm_sim_run {
	char folder[256];
	char **argv; /* NULL-terminated: valgrind .. and the worker's own */
	bool quieted;
};

/* Makes the folder, names it in the environment of processes started from now on. 0 or -errno and a
 * line in err. */
int sm_sim_begin(struct sm_sim_run *s, const struct sm_topology *topo, char *const *worker_argv,
		 char *err, size_t errlen);
/* Removes the folder and what the worker left there. */
void sm_sim_end(struct sm_sim_run *s);

/*
 * ---- beside.c: a simulated pass of each case, where the machine has no hardware counters ----
 *
 * --counters auto on such a machine would leave instructions and misses n/a. Where valgrind is
 * installed, and the report is a table, each case has one job more behind all others: the same
 * workload under Callgrind, at a size that takes a second or two. It stands in the case's group as
 * a further counter pass, with parameters of its own, and sends its simulated counts and the number
 * of its operations alone (result simulated_ops): no time, no memory. So nothing that was measured
 * is mixed with it, and counts for an operation are those of the size that it names.
 *
 * A case has none where its own parameters were given and are larger than those of the pass: that
 * would be another case. Nor has a program, a collector that Callgrind does not suit (bdwgc), a
 * workload whose cost there is not known (no parameter of it has a simulated value), a run with
 * --until or --trace, or one of more than SM_BESIDE_CASES cases. The first without one is named on
 * stderr.
 */
#define SM_BESIDE_CASES 24

/* Appends the jobs. 0 or -ENOMEM. */
int sm_beside_plan(const struct sm_run_options *o, struct sm_plan *p);

#endif
