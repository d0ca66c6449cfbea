/*
 * bdwgc.h: Boehm, Demers and Weiser's collector, loaded where it is installed.
 *
 * It stops the world, marks conservatively and never moves. Stacks of registered threads and all
 * static data are its roots; memory of malloc is not, so what lies there and leads to objects is
 * allocated uncollectable (sm_table_new). Nothing is freed explicitly.
 *
 * One a process, never unloaded. Loading and beginning are thread 0's, before other threads start.
 */
#ifndef SM_WORKLOADS_BDWGC_H
#define SM_WORKLOADS_BDWGC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its functions, resolved once. */
struct sm_bdwgc {
	void *(*malloc)(size_t size);	     /* zeroed; looked through for pointers */
	void *(*malloc_atomic)(size_t size); /* neither */
	void *(*malloc_uncollectable)(size_t size);
	void (*free)(void *p); /* of uncollectable memory alone */
	void (*gcollect)(void);
	/* Run by whoever allocates or collects next, on its thread. */
	void (*register_finalizer)(void *object, void (*fn)(void *object, void *ctx), void *ctx,
				   void *old_fn, void *old_ctx);
};
extern struct sm_bdwgc sm_bdwgc;

/* What it did so far. */
struct sm_bdwgc_totals {
	uint64_t cycles, allocated_bytes;
	uint64_t cycle_ns, stopped_ns; /* in collections; with the world stopped */
};

/* Loads it from that file, or NULL: as the loader finds libgc.so.1. 0, also when it was loaded
 * before; -ENOENT, -EINVAL and one line in err. */
int sm_bdwgc_load(const char *path, char *err, size_t errlen);

/*
 * Makes its heap. threads: mutators there will be; alone: it shall not mark by threads of its own.
 * warn receives its warnings, one line each, from any thread. Returns how many threads of its own
 * it has.
 */
unsigned sm_bdwgc_begin(unsigned threads, bool alone, void (*warn)(void *ctx, const char *text),
			void *ctx);
void sm_bdwgc_end(void); /* no more warnings */

/* The calling thread, if it is not the first: it is stopped and looked through from here on. */
bool sm_bdwgc_thread_start(void);
void sm_bdwgc_thread_stop(void);

/* Does it tell of its cycles' times? The counts are always there. */
bool sm_bdwgc_tells_times(void);
void sm_bdwgc_totals(struct sm_bdwgc_totals *out);
/* The longest time that the world was stopped since the last call of reset. */
uint64_t sm_bdwgc_longest_stop_ns(void);
void sm_bdwgc_reset_longest_stop(void);
/* From now on each stop is told to fn, from when until when by sm_clock_ns, one at a time; NULL:
 * none. While no other thread allocates. */
void sm_bdwgc_on_stop(void (*fn)(void *ctx, uint64_t since, uint64_t until), void *ctx);

#endif
