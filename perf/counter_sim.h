/*
 * Source `sim`: counts from a run of the sample under Callgrind, for machines without a PMU.
 *
 * How it works together:
 *
 *   parent   sm_sim_find() looks for valgrind, sm_sim_command() wraps the worker's argv, the parent
 *            runs that with
 *            the folder for the dumps in the environment (SM_SIM_FOLDER_ENV)
 *   worker   sm_region_thread_open() sees that it runs under Callgrind (counter set from
 *            SM_COUNTERS_SIM) and announces
 *            itself; at every change of region it asks Callgrind to dump what each thread has spent
 *            so far, labelled with the thread's number and the two regions; light regions
 *            (region.h) do not dump
 *   worker   after its threads have stopped, sm_region_get() gives the simulated counts like any
 *            others, with source sim:
 *            the dumps are read when they are first asked for, and again when more threads have
 *            stopped
 *
 * Callgrind counts only between open and stop (collection is off elsewhere), so start-up and the
 * harness are not in the numbers. A dump covers all threads: each one's costs go to the region that
 * it was in. Callgrind numbers threads in its own way; which number is which thread shows in the
 * first dump after a thread opens, where it is the only newcomer.
 *
 * What the numbers are: instructions repeat to 1 in 10 000 for one thread, and for several as far
 * as what they do does not depend on who is first (workloads/session.c sees to it for the
 * collector: gc.sync); caches and branch predictor are simple models (two levels, LRU, geometry of
 * this machine by hwloc, rounded to what Callgrind can simulate); threads are serialised, so
 * contention, NUMA and the overlap of collector and mutators do not exist. Time measured in such a
 * run means nothing.
 *
 * Dumps are files, one for each thread and change: at most SM_SIM_MAX_DUMPS changes are dumped.
 * After that regions are no longer told apart: their counts are "not counted" with that reason, the
 * thread's totals remain right.
 */
#ifndef SM_PERF_COUNTER_SIM_H
#define SM_PERF_COUNTER_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sm_topology;
struct sm_sim_counts;

#define SM_SIM_MAX_DUMPS   4000
#define SM_SIM_MAX_THREADS 64
#define SM_SIM_MAX_REGIONS 16

/* Callgrind's event types (--cache-sim=yes --branch-sim=yes), and sums of two of them. */
enum sm_sim {
	SM_SIM_IR,   /* instructions */
	SM_SIM_DR,   /* data reads */
	SM_SIM_DW,   /* data writes */
	SM_SIM_I1MR, /* L1I misses */
	SM_SIM_D1MR, /* L1D read misses */
	SM_SIM_D1MW, /* L1D write misses */
	SM_SIM_ILMR, /* last-level misses of instruction fetches */
	SM_SIM_DLMR, /* last-level read misses */
	SM_SIM_DLMW, /* last-level write misses */
	SM_SIM_BC,   /* conditional branches */
	SM_SIM_BCM,  /* ... mispredicted */
	SM_SIM_BI,   /* indirect branches */
	SM_SIM_BIM,  /* ... mispredicted */
	SM_SIM_BASIC,
	SM_SIM_D1 = SM_SIM_BASIC, /* D1mr + D1mw */
	SM_SIM_DL,		  /* DLmr + DLmw */
	SM_SIM_B,		  /* Bc + Bi */
	SM_SIM_BM,		  /* Bcm + Bim */
	SM_SIM_COUNT
};

/* Name (as in callgrind.out: "Ir", "D1mr"; and "D1", "DL", "B", "Bm") -> event, -1 when there is
 * none. */
int sm_sim_event(const char *name);
const char *sm_sim_event_name(enum sm_sim e);

/* ---- the parent --------------------------------------------------------------------------- */

/* The path of valgrind with callgrind. -ENOENT and what to do in why. */
int sm_sim_find(char *path, size_t len, char *why, size_t whylen);

/*
 * argv of the command that runs argv under Callgrind with dumps in folder (which must exist), the
 * caches shaped like topo's. One allocation, NULL-terminated, to be freed; NULL when out of memory
 * or there is no valgrind.
 */
char **sm_sim_command(const struct sm_topology *topo, const char *folder, char *const *argv);

/* A cache that Callgrind can simulate, nearest to the given one: a power of two of sets. "" when
 * the size is unknown. */
void sm_sim_cache(uint64_t size, unsigned ways, unsigned line, char *buf, size_t len);

/* ---- the worker --------------------------------------------------------------------------- */

/* Does this process run under valgrind? */
bool sm_sim_running(void);

/* The folder that the parent gave to sm_sim_command and named in this variable; -ENOENT when not
 * under Callgrind. */
#define SM_SIM_FOLDER_ENV "SM_SIM_FOLDER"
int sm_sim_folder(char *buf, size_t len);

/*
 * Reads all dumps of the calling process (or of any, with pid) in the folder. 0; -ENOENT no dumps;
 * -EINVAL a dump that is not understood (err says which).
 */
int sm_sim_load(const char *folder, int pid, struct sm_sim_counts **out, char *err, size_t errlen);
void sm_sim_free(struct sm_sim_counts *c);

/*
 * One value: thread counts from 0, in the order of sm__sim_open(). False when it is not known: the
 * thread left no dump, or (region >= 0) its regions could not be told apart. region -1: the
 * thread's total.
 */
bool sm_sim_value(const struct sm_sim_counts *c, int thread, int region, enum sm_sim e,
		  uint64_t *v);

/* ---- called by region.c ------------------------------------------------------------------- */

/*
 * One value out of this process's dumps, loading them when need be. False and a static reason when
 * there is none. Thread-safe.
 */
bool sm__sim_lookup(int thread, int region, enum sm_sim e, uint64_t *v, const char **why);
unsigned sm__sim_stops(void);	   /* threads that have stopped so far */
int sm__sim_open(unsigned region); /* the new thread's number, -1: not under Callgrind */
void sm__sim_change(int id, unsigned from, unsigned to);
void sm__sim_reset(int id, unsigned region);
void sm__sim_stop(int id, unsigned region);

#endif
