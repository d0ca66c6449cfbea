/*
 * worker_env.h: what a worker's environment has in place of the command's own, and a worker in it.
 */
#ifndef SM_HARNESS_WORKER_ENV_H
#define SM_HARNESS_WORKER_ENV_H

#include "harness/plan/record.h"

/*
 * NAME=VALUE, NULL-terminated: the settings env.NAME of the job, and the library that takes
 * malloc's place in a worker that is no program's. *env and its entries are malloc'ed, and to be
 * freed in every case. 0 or -ENOMEM.
 */
int sm_worker_env(const struct sm_record *rec, char ***env);
void sm_worker_env_free(char **env);

struct sm_runner;
struct sm_topology;
struct sm_worker_end;

/*
 * Runs the job's worker in its environment, under Callgrind where its counts are simulated. 0; or
 * -errno and one line in err, and *end says that it was not started.
 */
int sm_worker_run(struct sm_runner *runner, const struct sm_record *rec,
		  const struct sm_topology *topology, const char *job, struct sm_worker_end *end,
		  char *err, size_t errlen);

#endif
