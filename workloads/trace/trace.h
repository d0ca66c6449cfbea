/*
 * trace.h: the timeline of a sample: what each thread did when, into a file that Perfetto or
 * Chrome's viewer shows.
 *
 * How an event travels: a thread's phase hook (allocator/base/phase.h) puts it into the thread's
 * ring (ring.h). A writer thread, kept off the CPUs of mutators and mark workers where others are
 * left, looks every 2 ms: it empties the rings, reads the counters (heap, goal, grey queue, RSS),
 * encodes (perfetto.c, chrome.c), and writes by io_uring, or plainly where that is denied (sink.c).
 *
 * The file belongs to who measures many samples (sm_trace_file_*): each worker appends its own.
 * Times are CLOCK_BOOTTIME in the file, Perfetto's own clock, so a trace of the kernel's scheduler
 * may be laid beside it.
 *
 * All calls with a struct sm_trace accept NULL: nothing is traced.
 */
#ifndef SM_WORKLOADS_TRACE_H
#define SM_WORKLOADS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sm_gc;
struct sm_heap;
struct sm_trace;
struct sm_trace_format;

/* ---- the file ----------------------------------------------------------------------------- */

/* Chrome's JSON where the name ends in .json, else Perfetto's TrackEvent protobuf. */
const struct sm_trace_format *sm_trace_format_of(const char *path);
/* By sm_trace_format_name; NULL: there is none. */
const struct sm_trace_format *sm_trace_format_find(const char *name);
const char *sm_trace_format_name(const struct sm_trace_format *f);

/* What stands before and behind all samples. 0 or -errno. */
int sm_trace_file_begin(const struct sm_trace_format *f, int fd);
int sm_trace_file_end(const struct sm_trace_format *f, int fd);
/* Cuts off what a worker that was killed left in part; `from` is where its sample begins. Returns
 * the file's length then, or -errno. */
off_t sm_trace_file_mend(const struct sm_trace_format *f, int fd, off_t from);

/* ---- a sample ----------------------------------------------------------------------------- */

struct sm_trace_to {
	int fd; /* a regular file; appended to */
	const struct sm_trace_format *format;
	const char *label; /* what the sample's group of tracks is called */
	uint32_t ring;	   /* events in a thread's ring, a power of two; 0: as many as do */
	const int *cpus;   /* that the writer is kept off; -1 is none; copied */
	unsigned ncpus;
};

/* What the writer saw. */
struct sm_trace_totals {
	uint64_t events, dropped;
	int err; /* of writing to the file; the timeline ends there */
};

/* Starts the writer; the calling thread is bound to no CPU yet. 0 or -errno. */
int sm__trace_open(const struct sm_trace_to *to, struct sm_trace **out);
/* Writes what is left, and ends the writer. All threads that were traced have stopped. */
void sm__trace_close(struct sm_trace *t, struct sm_trace_totals *totals);

/* The calling thread has a track from here on, until it stops. Its phase hook, which stays in use,
 * is called first, and is not exchanged meanwhile. */
void sm__trace_thread_start(struct sm_trace *t, const char *role, unsigned index);
void sm__trace_thread_stop(struct sm_trace *t);

/* On tracks of the sample's own, by a thread that has one. */
enum sm_trace_span { SM_TRACE_TIMED = 64, SM_TRACE_COLLECTION };
void sm__trace_span(struct sm_trace *t, enum sm_trace_span what, bool begins);

/* Where heap, goal and grey queue are read from now on: of a collector, else a heap; both NULL: no
 * longer, once the call returns. */
void sm__trace_watch(struct sm_trace *t, struct sm_gc *gc, struct sm_heap *heap);

#endif
