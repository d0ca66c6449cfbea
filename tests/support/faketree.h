/* A directory that plays / for perf/pmu.h: files are written into it, everything is removed at the
 * end. */
#ifndef SM_TESTS_FAKETREE_H
#define SM_TESTS_FAKETREE_H

struct faketree {
	char root[64];
};

void faketree_init(struct faketree *t);
/* Writes root + path, making directories; text gets a newline. */
void faketree_write(const struct faketree *t, const char *path, const char *text);
/* A PMU: its type, and its `cpus` (core) or `cpumask` file, NULL for neither. */
void faketree_pmu(const struct faketree *t, const char *name, int type, const char *file,
		  const char *cpus);
/* A uniform machine: one PMU "cpu" on CPUs 0-3 and a cpuinfo of this vendor, family and model. */
void faketree_x86(const struct faketree *t, const char *vendor, int family, int model);
void faketree_remove(struct faketree *t);

#endif
