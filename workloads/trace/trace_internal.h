/*
 * trace_internal.h: what trace.c (threads), writer.c (the writer thread), the two encoders and
 * sink.c (the file) share.
 */
#ifndef SM_WORKLOADS_TRACE_INTERNAL_H
#define SM_WORKLOADS_TRACE_INTERNAL_H

#include <pthread.h>

#include "allocator/base/phase.h"
#include "allocator/os/uring.h"
#include "perf/clock.h"
#include "workloads/trace/ring.h"
#include "workloads/trace/trace.h"

/* ---- codes and tracks --------------------------------------------------------------------- */

/* A code is a phase, a span (enum sm_trace_span), or a cause of a wait: */
#define SM_TRACE_CAUSE 96u
#define SM_TRACE_CODES 128u
/* NULL: no such code. */
const char *sm__trace_name(unsigned code);
const char *sm__trace_category(unsigned code);

/* Tracks of a sample: its own, then two for each thread, phases and waits. */
enum sm_trace_track_id {
	SM_TRACK_SAMPLE,
	SM_TRACK_TIMED,
	SM_TRACK_COLLECTIONS,
	SM_TRACK_COUNTERS,
	SM_TRACK_THREADS = 16
};
struct sm_trace_track {
	unsigned id;
	long tid; /* for Chrome, which knows threads alone: above all of the kernel for a track */
};

#define SM_TRACE_COUNTERS(X)   \
	X(HEAP, "heap", bytes) \
	X(GOAL, "goal", bytes) \
	X(RSS, "RSS", bytes)   \
	X(GREY, "grey queue", packets)
enum sm_trace_counter {
#define COUNTER(id, name, unit) SM_TRACE_##id,
	SM_TRACE_COUNTERS(COUNTER)
#undef COUNTER
		SM_TRACE_NCOUNTERS
};
struct sm_trace_counter_desc {
	const char *name, *unit;
};
extern const struct sm_trace_counter_desc sm__trace_counters[SM_TRACE_NCOUNTERS];

/* ---- threads ------------------------------------------------------------------------------ */

/* Waits that lie beside each other, latest last: a later one begins behind them or holds some. */
#define SM_TRACE_BESIDE 8

struct sm_trace_thread {
	/* fixed once started */
	struct sm_trace *trace;
	struct sm_phase_hook hook;
	const struct sm_phase_hook *inner; /* that was there before; NULL: none */
	char name[40];
	struct sm_trace_track phases, waits;
	struct sm_trace_ring ring;
	struct sm_trace_thread *next; /* under trace->lock */
	_Atomic(bool) ended;	      /* stored with release behind its last event */
	/* writer only */
	bool shown, has_waited;
	uint64_t latest;  /* ns of its latest event */
	uint64_t dropped; /* of ring.dropped, what is shown */
	struct {
		uint64_t since, until;
	} beside[SM_TRACE_BESIDE];
	unsigned nbeside;
};

/* ---- output ------------------------------------------------------------------------------- */

#define SM_TRACE_BUFFER (256 * SM_KIB)
#define SM_TRACE_RECORD ((size_t)8 * SM_KIB) /* the most that one call of an encoder writes */

struct sm_trace_out {
	int fd;
	struct sm_uring *uring; /* NULL: plain writes */
	char *buffers[2];
	unsigned at;	 /* the buffer that is filled; the other may be on its way */
	size_t len;	 /* in it */
	uint64_t offset; /* of its begin in the file */
	size_t flying;	 /* bytes of the other that are on their way */
	int err;	 /* the first; then nothing more is written */
	/* who writes */
	const char *label;
	pid_t pid;
	uint64_t base;	   /* ids of the sample's tracks are base + id: its begin in ns */
	uint32_t sequence; /* likewise unique in the file */
};

int sm__sink_open(struct sm_trace_out *o, int fd);
void sm__sink_close(struct sm_trace_out *o); /* all is written then */
/* Where SM_TRACE_RECORD bytes have room; the caller adds what it used to len. */
char *sm__sink_room(struct sm_trace_out *o);
/* Hands what there is to the kernel. */
void sm__sink_flush(struct sm_trace_out *o);

/* A format: each call writes whole records. Times are ns. */
struct sm_trace_format {
	const char *name;
	const char *prologue, *separator, *epilogue; /* of the file; separator ends each record */
	/* Length of the whole records at the start of these bytes. */
	size_t (*whole)(const unsigned char *bytes, size_t len);
	void (*sample)(struct sm_trace_out *o);
	void (*track)(struct sm_trace_out *o, const struct sm_trace_track *track, const char *name,
		      const struct sm_trace_track *parent);
	void (*slice)(struct sm_trace_out *o, const struct sm_trace_track *track, bool begins,
		      unsigned code, uint64_t ns);
	void (*wait)(struct sm_trace_out *o, const struct sm_trace_track *track, unsigned code,
		     uint64_t since, uint64_t until);
	void (*counter)(struct sm_trace_out *o, enum sm_trace_counter which, uint64_t value,
			uint64_t ns);
	void (*dropped)(struct sm_trace_out *o, const struct sm_trace_track *track, uint64_t n,
			uint64_t ns);
};
extern const struct sm_trace_format sm__trace_perfetto, sm__trace_chrome;

/* ---- the trace ---------------------------------------------------------------------------- */

/* What the counters of a heap were at a moment. */
struct sm_trace_gauges {
	uint64_t at;	/* on the trace's clock; 0: there was none */
	bool collected; /* all of them, not HEAP alone */
	uint64_t value[SM_TRACE_NCOUNTERS];
};

struct sm_trace {
	/* fixed once opened */
	struct sm_trace_to to;
	const struct sm_trace_format *format;
	bool use_ns;	   /* the tick counter is not to be trusted */
	uint64_t at0, ns0; /* the same moment: on the trace's clock, and in the file */
	double ns_per_tick;
	pthread_t writer;
	_Atomic(bool) stop;
	/* under lock, which no thread takes while it records */
	pthread_mutex_t lock;
	struct sm_trace_thread *threads;
	unsigned started;
	struct sm_gc *gc;
	struct sm_heap *heap;
	struct sm_trace_gauges parting; /* of the heap that went; not shown yet */
	/* writer only */
	struct sm_trace_out out;
	int statm; /* descriptor of /proc/self/statm; -1: not to be had */
	uint64_t counters[SM_TRACE_NCOUNTERS]; /* as last shown */
	struct sm_trace_totals totals;
};

/* The trace's clock. */
static inline uint64_t sm__trace_now(const struct sm_trace *t)
{
	return t->use_ns ? sm_clock_ns() : sm_clock_ticks();
}

/* Of the heap that is watched; under lock. */
struct sm_trace_gauges sm__trace_read_heap(const struct sm_trace *t);
void *sm__trace_writer(void *trace);
void sm__trace_thread_free(struct sm_trace_thread *th);

#endif
