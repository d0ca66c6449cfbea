/* sim.c: a worker under Callgrind. See sim.h. */
#include "harness/run/sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "perf/counter_sim.h"

static int make_folder(char *folder, size_t len)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > len - 32)
		tmp = "/tmp";
	snprintf(folder, len, "%s/spanmark-sim-XXXXXX", tmp);
	if (mkdtemp(folder) != NULL)
		return 0;
	/* A TMPDIR that is not there is common, and valgrind wants one too. */
	snprintf(folder, len, "/tmp/spanmark-sim-XXXXXX");
	return mkdtemp(folder) != NULL && setenv("TMPDIR", "/tmp", 1) == 0 ? 0 : -errno;
}

int sm_sim_begin(struct sm_sim_run *s, const struct sm_topology *topo, char *const *worker_argv,
		 char *err, size_t errlen)
{
	char path[256];
	int rc;

	*s = (struct sm_sim_run){0};
	rc = sm_sim_find(path, sizeof(path), err, errlen);
	if (rc)
		return rc;
	rc = make_folder(s->folder, sizeof(s->folder));
	if (rc) {
		snprintf(err, errlen, "--counters=sim: no folder for Callgrind's dumps in '%s': %s",
			 s->folder, strerror(-rc));
		s->folder[0] = 0;
		return rc;
	}
	s->argv = sm_sim_command(topo, s->folder, worker_argv);
	if (s->argv == NULL || setenv(SM_SIM_FOLDER_ENV, s->folder, 1) != 0) {
		snprintf(err, errlen, "out of memory");
		sm_sim_end(s);
		return -ENOMEM;
	}
	/* hwloc cannot ask the CPU itself there and would say so in every run. */
	s->quieted =
		getenv("HWLOC_COMPONENTS") == NULL && setenv("HWLOC_COMPONENTS", "-x86", 1) == 0;
	return 0;
}

/* Callgrind writes plain files; what else is there is not ours to remove. */
static void remove_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
	rmdir(folder);
}

void sm_sim_end(struct sm_sim_run *s)
{
	if (s->folder[0])
		remove_folder(s->folder);
	free(s->argv);
	unsetenv(SM_SIM_FOLDER_ENV);
	if (s->quieted)
		unsetenv("HWLOC_COMPONENTS");
	*s = (struct sm_sim_run){0};
}
