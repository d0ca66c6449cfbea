/*
 * cgroup.h: a control group (version 2) for one program, where we may make one: who belongs to a
 * tree is then the kernel's to say, all of it can be ended at once, and used CPU time includes
 * processes that nobody waited for. The peak of memory is known where the memory controller is on.
 */
#ifndef SM_HARNESS_PROGRAM_CGROUP_H
#define SM_HARNESS_PROGRAM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct sm_cgroup {
	char path[900]; /* "": none */
};

/* Puts the process, which has no children yet, in a group below our own, or below one above it: the
 * nearest where we may, of those with the memory controller first. root: of /proc and /sys, "" but
 * for tests. None is no error. */
void sm_cgroup_make(struct sm_cgroup *g, const char *root, pid_t pid);
/* Its two times; false: not known, and *used stays as it is. */
bool sm_cgroup_times(const struct sm_cgroup *g, struct rusage *used);
/* false: not known. */
bool sm_cgroup_peak_kib(const struct sm_cgroup *g, uint64_t *kib);
/* How often a limit of CPU time stopped our own group and those above it, and for how long. false:
 * not known. root as above. */
bool sm_cgroup_throttled(const char *root, uint64_t *times, uint64_t *us);
/* All of its processes. */
void sm_cgroup_kill(const struct sm_cgroup *g);
/* Once they have ended. */
void sm_cgroup_remove(struct sm_cgroup *g);
/* The empty one that process `maker`, whose group is ours, made and left behind: it was killed. */
void sm_cgroup_remove_left(pid_t maker);

#endif
