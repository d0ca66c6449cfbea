/*
 * sim.h: running a worker under Callgrind (--counters=sim): a folder for its dumps and the command
 * line around it. What the worker does there is told in perf/counter_sim.h.
 */
#ifndef SM_HARNESS_SIM_H
#define SM_HARNESS_SIM_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
