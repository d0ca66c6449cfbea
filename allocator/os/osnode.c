/*
 * osnode.c: the machine's memory nodes, for a heap that is handed no topology: malloc's, in a
 * program that only preloads us. From sysfs, by system calls alone: this runs before the first
 * malloc, which may be ours.
 *
 * A node is one that has memory, in order of the system's numbers, which may have gaps; one without
 * CPUs counts. A CPU of a node without memory counts as the nearest node's.
 */
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>

#include "allocator/base/config.h"
#include "allocator/base/syscall.h"
#include "allocator/os/os.h"

#define MAX_OS_NODES 1024

/* The set of the numbers 0..n-1 as bytes: there are few, and nothing here is hot. */
struct set {
	bool has[SM_MAX_CPUS];
};

struct machine {
	const char *root;
	struct set online, memory, cpus;
	int index_of[MAX_OS_NODES]; /* -1: no memory */
};

static bool read_text(const struct machine *m, const char *name, char *text, size_t len)
{
	static const char folder[] = "/sys/devices/system/node/";
	size_t root = strlen(m->root), n = strlen(name) + 1;
	char path[400];

	if (root + sizeof(folder) + n > sizeof(path))
		return false;
	memcpy(path, m->root, root);
	memcpy(path + root, folder, sizeof(folder) - 1);
	memcpy(path + root + sizeof(folder) - 1, name, n);
	return sm__sys_read_text(path, text, len) >= 0;
}

/* "0-2,5" as a set of numbers below max. */
static bool read_set(const struct machine *m, const char *name, struct set *out, unsigned max)
{
	static char text[4096]; /* one thread at a time, and maybe on a small stack */
	const char *at = text;

	memset(out, 0, max);
	if (!read_text(m, name, text, sizeof(text)))
		return false;
	while (*at >= '0' && *at <= '9') {
		unsigned long from = sm__read_digits(&at), to = from;

		if (*at == '-') {
			at++;
			to = sm__read_digits(&at);
		}
		for (; from <= to && from < max; from++)
			out->has[from] = true;
		at += *at == ',';
	}
	return true;
}

/* Takes out what this process may have no memory of (cpuset). Where the kernel does not say,
 * nothing. */
static void only_allowed(struct machine *m)
{
	unsigned long mask[MAX_OS_NODES / (8 * sizeof(long))] = {0};

	if (*m->root != '\0' || sm__syscall6(SYS_get_mempolicy, 0, (long)mask, MAX_OS_NODES, 0,
					     MPOL_F_MEMS_ALLOWED, 0) != 0)
		return;
	for (unsigned i = 0; i < MAX_OS_NODES; i++)
		m->memory.has[i] &= mask[i / (8 * sizeof(long))] >> i % (8 * sizeof(long)) & 1;
}

/* The row of a node: one number for each online node, in order. The nearest with memory, by index.
 */
static int read_distances(const struct machine *m, unsigned os, struct sm_heap_config *cfg)
{
	static char text[4096];
	const char *at = text;
	char name[40];
	unsigned best = UINT16_MAX;
	int nearest = 0;

	snprintf(name, sizeof(name), "node%u/distance", os);
	if (!read_text(m, name, text, sizeof(text)))
		return 0;
	for (unsigned other = 0; other < MAX_OS_NODES; other++) {
		const char *end = at;
		unsigned long d;

		if (!m->online.has[other])
			continue;
		d = sm__read_digits(&end);
		if (end == at)
			break;
		at = end;
		if (m->index_of[other] < 0)
			continue;
		if (m->index_of[os] >= 0)
			cfg->distance[m->index_of[os]][m->index_of[other]] =
				(uint16_t)(d < UINT16_MAX ? d : UINT16_MAX);
		if (d < best) {
			best = (unsigned)d;
			nearest = m->index_of[other];
		}
	}
	return nearest;
}

static void read_node(struct machine *m, unsigned os, struct sm_heap_config *cfg)
{
	int nearest = read_distances(m, os, cfg);
	char name[40];

	if (m->index_of[os] >= 0)
		nearest = m->index_of[os];
	snprintf(name, sizeof(name), "node%u/cpulist", os);
	if (!read_set(m, name, &m->cpus, SM_MAX_CPUS))
		return;
	for (unsigned cpu = 0; cpu < SM_MAX_CPUS; cpu++)
		if (m->cpus.has[cpu])
			cfg->cpu_node[cpu] = (uint8_t)nearest;
}

void sm__os_nodes(const char *root, struct sm_heap_config *cfg)
{
	/* Static: large, and the caller holds the lock under which heaps are made. */
	static struct machine m;
	unsigned n = 0;

	cfg->nnodes = 0;
	m.root = root;
	if (!read_set(&m, "online", &m.online, MAX_OS_NODES) ||
	    !read_set(&m, "has_memory", &m.memory, MAX_OS_NODES))
		return;
	only_allowed(&m);
	for (unsigned os = 0; os < MAX_OS_NODES; os++) {
		m.index_of[os] = -1;
		if (!m.memory.has[os] || !m.online.has[os])
			continue;
		if (n == SM_MAX_NODES)
			return; /* more than we have room for: as one node, unbound */
		m.index_of[os] = (int)n;
		cfg->node_os[n++] = (int)os;
	}
	/* One node needs no binding, and nobody asks how far it is or which CPUs are its. */
	if (n <= 1)
		return;
	for (unsigned os = 0; os < MAX_OS_NODES; os++)
		if (m.online.has[os])
			read_node(&m, os, cfg);
	cfg->nnodes = n;
}
