/* worker_env.c: see worker_env.h. */
#include "harness/run/worker_env.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/mallocs/backend.h"
#include "harness/run/runner.h"
#include "harness/run/sim.h"
#include "workloads/session.h"

static int add_variables(const cJSON *config, char **env, size_t *n)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, config)
	{
		const char *name = sm_job_setting_variable(item->string);

		if (name == NULL || !cJSON_IsString(item))
			continue;
		if (asprintf(&env[*n], "%s=%s", name, item->valuestring) < 0) {
			env[*n] = NULL;
			return -ENOMEM;
		}
		++*n;
	}
	return 0;
}

int sm_worker_env(const struct sm_record *rec, char ***env)
{
	cJSON *config = cJSON_Parse(rec->config);
	size_t n = 0;
	int rc;

	*env = calloc((size_t)cJSON_GetArraySize(config) + 2, sizeof(**env));
	rc = *env != NULL ? add_variables(config, *env, &n) : -ENOMEM;
	if (rc == 0 && !rec->program && rec->preload[0] != '\0') {
		char preload[4096];

		sm_backend_preload(rec->preload, preload, sizeof(preload));
		(*env)[n] = strdup(preload);
		rc = (*env)[n] != NULL ? 0 : -ENOMEM;
	}
	cJSON_Delete(config);
	return rc;
}

void sm_worker_env_free(char **env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

static int run_simulated(struct sm_runner *runner, const struct sm_topology *topology,
			 const char *job, struct sm_worker_end *end, char *err, size_t errlen)
{
	struct sm_sim_run sim;
	char *const *argv = runner->argv;

	if (sm_sim_begin(&sim, topology, argv, err, errlen) != 0) {
		*end = (struct sm_worker_end){.how = SM_WORKER_NOT_STARTED, .code = ENOEXEC};
		return -ENOEXEC;
	}
	runner->argv = sim.argv;
	sm_runner_run(runner, job, end);
	runner->argv = argv;
	sm_sim_end(&sim);
	return 0;
}

int sm_worker_run(struct sm_runner *runner, const struct sm_record *rec,
		  const struct sm_topology *topology, const char *job, struct sm_worker_end *end,
		  char *err, size_t errlen)
{
	char **env;
	int rc = sm_worker_env(rec, &env);

	if (rc) {
		*end = (struct sm_worker_end){.how = SM_WORKER_NOT_STARTED, .code = ENOMEM};
		snprintf(err, errlen, "out of memory");
	} else {
		runner->env = (const char *const *)env;
		if (rec->simulated)
			rc = run_simulated(runner, topology, job, end, err, errlen);
		else
			sm_runner_run(runner, job, end);
	}
	sm_worker_env_free(env);
	return rc;
}
