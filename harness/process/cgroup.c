/* cgroup.c: a control group for one program. See cgroup.h. */
#include "harness/process/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where version 2 is mounted, and our group in it, in one path; "": there is none. */
static void find_own(const char *root, char *path, size_t len)
{
	char file[128], line[1024], mount[256] = "", group[256] = "";
	FILE *f;

	snprintf(file, sizeof(file), "%.90s/proc/self/mountinfo", root);
	f = fopen(file, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " - cgroup2 ") != NULL && mount[0] == 0 &&
		    sscanf(line, "%*s %*s %*s %*s %255s", mount) != 1)
			mount[0] = 0;
	if (f != NULL)
		fclose(f);
	snprintf(file, sizeof(file), "%.90s/proc/self/cgroup", root);
	f = fopen(file, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "0::", 3) == 0 && sscanf(line + 3, "%255[^\n]", group) != 1)
			group[0] = 0;
	if (f != NULL)
		fclose(f);
	path[0] = 0;
	if (mount[0] && group[0] == '/')
		snprintf(path, len, "%.127s%s%s", root, mount, group[1] ? group : "");
}

static void file_of(const struct sm_cgroup *g, const char *name, char *buf, size_t len)
{
	snprintf(buf, len, "%s/%s", g->path, name);
}

static int write_text(const struct sm_cgroup *g, const char *name, const char *text)
{
	char file[1000];
	int fd, rc;

	file_of(g, name, file, sizeof(file));
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return rc;
}

/* A group below `parent` with the process in it, if both may be. */
static bool make_in(struct sm_cgroup *g, const char *parent, pid_t pid, bool memory)
{
	char text[1000];

	if (snprintf(g->path, sizeof(g->path), "%s/spanmark-%d", parent, (int)getpid()) <
		    (int)sizeof(g->path) &&
	    mkdir(g->path, 0755) == 0) {
		file_of(g, "memory.peak", text, sizeof(text));
		if (!memory || access(text, R_OK) == 0) {
			snprintf(text, sizeof(text), "%d", (int)pid);
			if (write_text(g, "cgroup.procs", text) == 0)
				return true;
		}
		rmdir(g->path);
	}
	g->path[0] = 0;
	return false;
}

/* The next group above; false: above the mount there is none. */
static bool go_up(char *path)
{
	char file[840];

	*strrchr(path, '/') = 0;
	snprintf(file, sizeof(file), "%.799s/cgroup.procs", path);
	return access(file, F_OK) == 0;
}

void sm_cgroup_make(struct sm_cgroup *g, const char *root, pid_t pid)
{
	char own[800], path[800];

	*g = (struct sm_cgroup){0};
	find_own(root, own, sizeof(own));
	for (int memory = 1; memory >= 0 && own[0]; memory--) {
		snprintf(path, sizeof(path), "%s", own);
		do
			if (make_in(g, path, pid, memory))
				return;
		while (go_up(path));
	}
}

/* A process that has ended leaves it a moment later. */
static void remove_group(const char *path)
{
	for (int i = 0; i < 100 && rmdir(path) != 0 && errno == EBUSY; i++)
		poll(NULL, 0, 10);
}

void sm_cgroup_remove_left(pid_t maker)
{
	char path[800], left[840];

	find_own("", path, sizeof(path));
	if (path[0] == 0)
		return;
	do {
		snprintf(left, sizeof(left), "%s/spanmark-%d", path, (int)maker);
		remove_group(left);
	} while (go_up(path));
}

/* The number behind `field` ("": the first) in a file of the group. */
static bool read_number(const struct sm_cgroup *g, const char *name, const char *field,
			uint64_t *value)
{
	char file[1000], line[128];
	unsigned long long v;
	bool found = false;
	FILE *f;

	if (g->path[0] == 0)
		return false;
	file_of(g, name, file, sizeof(file));
	f = fopen(file, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strncmp(line, field, strlen(field)) == 0 &&
			sscanf(line + strlen(field), "%llu", &v) == 1;
	if (f != NULL)
		fclose(f);
	if (found)
		*value = v;
	return found;
}

static struct timeval of_us(uint64_t us)
{
	return (struct timeval){(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
}

bool sm_cgroup_throttled(const char *root, uint64_t *times, uint64_t *us)
{
	struct sm_cgroup g;
	bool known = false;

	*times = *us = 0;
	find_own(root, g.path, sizeof(g.path));
	if (g.path[0] == 0)
		return false;
	do {
		uint64_t n, t;

		if (!read_number(&g, "cpu.stat", "nr_throttled ", &n) ||
		    !read_number(&g, "cpu.stat", "throttled_usec ", &t))
			continue;
		known = true;
		*times += n;
		*us += t;
	} while (go_up(g.path));
	return known;
}

bool sm_cgroup_times(const struct sm_cgroup *g, struct rusage *used)
{
	uint64_t user, system;

	if (!read_number(g, "cpu.stat", "user_usec ", &user) ||
	    !read_number(g, "cpu.stat", "system_usec ", &system))
		return false;
	used->ru_utime = of_us(user);
	used->ru_stime = of_us(system);
	return true;
}

bool sm_cgroup_peak_kib(const struct sm_cgroup *g, uint64_t *kib)
{
	uint64_t bytes;

	if (!read_number(g, "memory.peak", "", &bytes))
		return false;
	*kib = bytes / 1024;
	return true;
}

void sm_cgroup_kill(const struct sm_cgroup *g)
{
	if (g->path[0])
		write_text(g, "cgroup.kill", "1");
}

void sm_cgroup_remove(struct sm_cgroup *g)
{
	if (g->path[0])
		remove_group(g->path);
	*g = (struct sm_cgroup){0};
}
