/* topology_kinds.c: kinds of cores, as far as a counter or a clock can tell them apart; see
 * topology.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/topology_internal.h"

/* What tells one of hwloc's kinds from others. */
struct core_kind {
	char type[48];	/* CoreType, or the part number of an ARM core; "": not known */
	long capacity;	/* the kernel's, the fastest core has 1024; 0: not known */
	int efficiency; /* hwloc's rank; -1: it has none */
};

/* The part number in MIDR_EL1, which hwloc reads from 2.14 on. */
static void read_midr(const struct sm_topology *t, hwloc_const_bitmap_t cpus, char *type,
		      size_t len)
{
	char path[96];
	unsigned long midr = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/regs/identification/midr_el1",
		 hwloc_bitmap_first(cpus));
	f = t->is_thissystem ? fopen(path, "re") : NULL;
	if (f == NULL)
		return;
	if (fscanf(f, "%lx", &midr) == 1)
		snprintf(type, len, "0x%03lx", midr >> 4 & 0xfff);
	fclose(f);
}

static void read_kind(hwloc_topology_t hw, const struct sm_topology *t, unsigned number,
		      struct core_kind *k)
{
	struct hwloc_info_s *info = NULL;
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
	unsigned nr = 0;

	*k = (struct core_kind){.efficiency = -1};
	if (cpus == NULL ||
	    hwloc_cpukinds_get_info(hw, number, cpus, &k->efficiency, &nr, &info, 0))
		nr = 0;
	for (unsigned j = 0; j < nr; j++) {
		if (strcmp(info[j].name, "CoreType") == 0 || strcmp(info[j].name, "CPUPart") == 0)
			snprintf(k->type, sizeof(k->type), "%s", info[j].value);
		else if (strcmp(info[j].name, "LinuxCapacity") == 0)
			k->capacity = strtol(info[j].value, NULL, 10);
	}
	if (!k->type[0] && cpus != NULL)
		read_midr(t, cpus, k->type, sizeof(k->type));
	hwloc_bitmap_free(cpus);
}

/* Turbo bins of identical cores differ by some per cent, kinds of cores by a quarter and more. */
static bool same_kind(const struct core_kind *slow, const struct core_kind *fast)
{
	if (slow->type[0] && fast->type[0])
		return strcmp(slow->type, fast->type) == 0;
	if (slow->capacity > 0 && fast->capacity > 0)
		return 8 * labs(fast->capacity - slow->capacity) <= slow->capacity;
	return slow->type[0] == fast->type[0];
}

/*
 * Kinds that differ in nothing a counter can tell apart are one kind: hwloc makes one of each
 * frequency and capacity, of which a DGX Spark has five and a Grace of 72 equal cores a dozen.
 */
int sm__topology_kinds(hwloc_topology_t hw, struct sm_topology *t, int *map)
{
	int n = hwloc_cpukinds_get_nr(hw, 0), out = 0;
	struct core_kind kinds[SM__TOPOLOGY_KINDS], first[SM__TOPOLOGY_KINDS];

	for (int k = 0; k < n && k < SM__TOPOLOGY_KINDS; k++) {
		map[k] = SM_NONE;
		read_kind(hw, t, (unsigned)k, &kinds[k]);
		for (int j = 0; j < out && map[k] == SM_NONE; j++)
			if (same_kind(&first[j], &kinds[k]))
				map[k] = j;
		if (map[k] != SM_NONE)
			continue;
		first[out] = kinds[k];
		map[k] = out++;
	}
	t->kinds_ranked = out > 1;
	for (int j = 0; j < out; j++)
		t->kinds_ranked &= first[j].efficiency >= 0;
	return out > 0 ? out : 1;
}

const char *sm_topology_kind_name(const struct sm_topology *t, int kind)
{
	static const char *const many[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};

	if (t->n_kinds <= 1)
		return "-";
	if (t->n_kinds == 2 && t->kinds_ranked)
		return kind == 0 ? "e" : "p";
	return kind >= 0 && kind < 8 ? many[kind] : "k?";
}
