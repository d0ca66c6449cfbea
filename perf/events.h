/*
 * From an event's name to what perf_event_open wants.
 *
 *   amd64_fam19h_zen4::RETIRED_INSTRUCTIONS   libpfm4, fully qualified; encoded for any PMU in its
 *                                             tables
 *   RETIRED_INSTRUCTIONS                      libpfm4, of this machine's microarchitecture
 *   perf::PAGE-FAULTS                         libpfm4's names for the kernel's generic events
 *   r01c2                                     a raw code of the core PMU, hexadecimal
 *   cpu/event=0xc2,umask=0x01/                sysfs notation, any PMU: core ones and cpu-wide ones
 *   amd_l3/l3_misses/                         an alias from <pmu>/events
 *   sw::minor-faults                          the soft backend (`spanmark events` lists them) and
 *                                             sw::migrations
 *   sim::Ir                                   a Callgrind count (counter_sim.h)
 *   tp::kmem:mm_page_alloc                    a tracepoint
 *
 * libpfm4 and sysfs names may end in the modifiers that libpfm4 knows (:u :k ...).
 */
#ifndef SM_PERF_EVENTS_H
#define SM_PERF_EVENTS_H

#include "perf/counter.h"
#include "perf/pmu.h"

#define SM_EVENT_STRING 256

struct sm_event_options {
	const struct sm_pmus *pmus;
	unsigned core;	   /* index of the core PMU to encode for */
	bool count_kernel; /* default: user mode only */
};

/* What became of a name on one PMU. code is valid only when status is OK. */
struct sm_event_resolved {
	enum sm_status status;
	char reason[160];
	char name[320]; /* as the encoder understood it, with all its attributes */
	struct sm_event_code code;
	const struct sm_pmu *pmu; /* the cpu-wide PMU of an uncore event, else NULL */
};

/*
 * Resolves one name. Always fills *out; returns true when it can be opened (or tried). `bad_name`
 * (may be NULL) is set when no source could ever resolve it: a usage error rather than a limit of
 * this machine.
 */
bool sm_event_resolve(const char *name, const struct sm_event_options *opt,
		      struct sm_event_resolved *out, bool *bad_name);

/* Does libpfm4 of this architecture have tables for this PMU ("arm_n1" on x86-64: no)? */
bool sm_event_has_tables(const char *pmu);

/* The PMU that libpfm4 detects here, for machines that pmu.h has no name for; NULL when none. */
const char *sm_event_detected_pmu(void);

/*
 * Calls fn for every event of libpfm4's tables for one PMU (NULL: those present) plus the soft
 * ones; name is fully qualified, one call per umask. Stops when fn returns non-zero and returns
 * that.
 */
int sm_event_list(const char *pmu, int (*fn)(const char *name, const char *desc, void *arg),
		  void *arg);

const char *sm_soft_unit(enum sm_soft s);

#endif
