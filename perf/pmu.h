/*
 * The performance monitoring units that the kernel offers, and which microarchitecture each CPU is.
 *
 * Read from <root>/sys/bus/event_source/devices and <root>/proc/cpuinfo, where root is "" on a real
 * machine and a directory in tests: hybrid x86, big.LITTLE and uncore layouts are tested from fake
 * trees.
 *
 * A *core PMU* counts for threads; there is one per kind of core (Alder Lake: cpu_core, cpu_atom;
 * big.LITTLE: armv8_cortex_a53, armv8_cortex_a72). An event is opened once per core PMU, with that
 * PMU's type. Where the kernel offers none (a virtual machine) one entry with present = false
 * stands for it, so that events still resolve to names and the attempt to open them gives the
 * reason. Other PMUs are *cpu-wide* (uncore, L3, memory controllers): one count for a package or
 * L3, opened on the CPUs of their cpumask with pid -1.
 *
 * The microarchitecture name is libpfm4's where it has one (amd64_fam19h_zen4, arm_n1), else in its
 * style (amd64_fam1ah_zen5, arm_ac72, adl_p): sets refer to it (`[pmu NAME]`).
 */
#ifndef SM_PERF_PMU_H
#define SM_PERF_PMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SM_PMU_KINDS	8 /* core PMUs at most; a machine with more is refused */
#define SM_PMU_MAX_CPUS 4096

struct sm_cpumask {
	uint64_t bits[SM_PMU_MAX_CPUS / 64];
};

struct sm_pmu {
	char device[256]; /* name in sysfs; "" when not present */
	char uarch[32];	  /* core PMUs: microarchitecture, "unknown" when we have no name for it */
	uint32_t type;
	bool core;
	bool present;
	struct sm_cpumask cpus; /* core: CPUs it counts on; cpu-wide: one CPU per package or L3 */
};

struct sm_pmus {
	char root[256];
	unsigned n;
	struct sm_pmu *pmus; /* core PMUs first */
	unsigned n_core;     /* 1 .. SM_PMU_KINDS */
};

/*
 * 0; -ENOMEM; -E2BIG: more core PMUs than are told apart. Of cpu-wide ones there may be any number
 * (a server shows two hundred). A machine without sysfs still gives one core PMU that is not
 * present.
 */
int sm_pmus_scan(const char *root, struct sm_pmus *out);
void sm_pmus_free(struct sm_pmus *p);

/* Index of the core PMU that counts on a CPU (0 when the kernel does not say). */
unsigned sm_pmus_of_cpu(const struct sm_pmus *p, int cpu);

/* By sysfs name; NULL when there is none. */
const struct sm_pmu *sm_pmus_find(const struct sm_pmus *p, const char *device);

/* Text list "0-3,8" -> mask. 0 or -EINVAL (the mask then holds what came before the error). */
int sm_cpumask_parse(const char *list, struct sm_cpumask *m);
bool sm_cpumask_has(const struct sm_cpumask *m, int cpu);
/* The next CPU >= from, -1 when there is none. */
int sm_cpumask_next(const struct sm_cpumask *m, int from);

/* First line of <root><path> without newline, cut at len; -errno. */
int sm__read_line(const char *root, const char *path, char *buf, size_t len);

/* All microarchitectures that we have names for, for the linter; NULL after the last. */
const char *sm_uarch_name(unsigned i);

#endif
