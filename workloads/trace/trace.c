/*
 * trace.c: the threads of a timeline: their hooks and rings; its begin and end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "perf/clock.h"
#include "spanmark/gc.h"
#include "workloads/trace/trace_internal.h"

#define RING_EVENTS 65536u /* 1 MiB: at 2 million events/s, 30 ms without the writer */

static __thread struct sm_trace_thread *self;

/* ---- names -------------------------------------------------------------------------------- */

const char *sm__trace_name(unsigned code)
{
	if (code < SM_PHASE_COUNT)
		return sm_phase_name((enum sm_phase)code);
	if (code == SM_TRACE_TIMED)
		return "timed part";
	if (code == SM_TRACE_COLLECTION)
		return "collection";
	if (code >= SM_TRACE_CAUSE && code < SM_TRACE_CAUSE + SM_STALL_CAUSES)
		return sm_stall_name((enum sm_stall_cause)(code - SM_TRACE_CAUSE));
	return NULL;
}

const char *sm__trace_category(unsigned code)
{
	return code < SM_PHASE_COUNT ? "phase" : code >= SM_TRACE_CAUSE ? "wait" : "sample";
}

/* ---- recording: the owner's side of its ring ---------------------------------------------- */

/*
 * The inner hook reads the clock and then counters, which takes system calls for some: so the clock
 * is read before it here, and what the counters take is the same phase's as in the results.
 */
static void enter(void *ctx, enum sm_phase phase)
{
	struct sm_trace_thread *th = ctx;
	uint64_t at = sm__trace_now(th->trace);

	if (th->inner != NULL)
		th->inner->enter(th->inner->ctx, phase);
	sm__trace_begin(&th->ring, phase, at);
}

static void leave(void *ctx, enum sm_phase phase)
{
	struct sm_trace_thread *th = ctx;
	uint64_t at = sm__trace_now(th->trace);

	if (th->inner != NULL)
		th->inner->leave(th->inner->ctx, phase);
	sm__trace_end(&th->ring, phase, at);
}

static void waited(void *ctx, unsigned cause, uint64_t ns)
{
	struct sm_trace_thread *th = ctx;

	if (th->inner != NULL && th->inner->waited != NULL)
		th->inner->waited(th->inner->ctx, cause, ns);
	sm__trace_wait(&th->ring, SM_TRACE_CAUSE + cause, sm__trace_now(th->trace), ns);
}

void sm__trace_span(struct sm_trace *t, enum sm_trace_span what, bool begins)
{
	if (t == NULL || self == NULL)
		return;
	if (begins)
		sm__trace_begin(&self->ring, what, sm__trace_now(t));
	else
		sm__trace_end(&self->ring, what, sm__trace_now(t));
}

/* ---- threads ------------------------------------------------------------------------------ */

static size_t ring_bytes(const struct sm_trace_ring *r)
{
	return ((size_t)r->mask + 1) * sizeof(*r->events);
}

void sm__trace_thread_free(struct sm_trace_thread *th)
{
	if (th->ring.events != NULL)
		sm__os_unmap_guarded(th->ring.events, ring_bytes(&th->ring));
	sm__os_unmap_guarded(th, sizeof(*th));
}

/* Not by malloc, which may be what is measured. */
static struct sm_trace_thread *new_thread(struct sm_trace *t)
{
	struct sm_trace_thread *th = sm__os_map_guarded(sizeof(*th));

	if (th == NULL)
		return NULL;
	th->trace = t;
	th->ring.mask = t->to.ring - 1;
	th->ring.events = sm__os_map_guarded(ring_bytes(&th->ring));
	if (th->ring.events != NULL)
		return th;
	sm__trace_thread_free(th);
	return NULL;
}

/* Above all thread numbers of the kernel, which end at 2^22. */
#define NO_THREAD (1L << 22)

void sm__trace_thread_start(struct sm_trace *t, const char *role, unsigned index)
{
	struct sm_trace_thread *th = t != NULL ? new_thread(t) : NULL;

	if (th == NULL)
		return;
	snprintf(th->name, sizeof(th->name), "%s %u", role, index);
	th->phases.tid = gettid();
	th->waits.tid = th->phases.tid | NO_THREAD;
	th->inner = sm__phase_hook;
	th->hook = (struct sm_phase_hook){enter, leave, waited, th};
	pthread_mutex_lock(&t->lock);
	th->phases.id = SM_TRACK_THREADS + 2 * t->started++;
	th->waits.id = th->phases.id + 1;
	th->next = t->threads;
	t->threads = th;
	pthread_mutex_unlock(&t->lock);
	self = th;
	sm_phase_set_hook(&th->hook);
}

void sm__trace_thread_stop(struct sm_trace *t)
{
	if (t == NULL || self == NULL)
		return;
	sm_phase_set_hook(self->inner);
	/* The writer that sees it has seen, or will see in its next look, all events before. */
	sm_store_release(&self->ended, true);
	self = NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

void sm__trace_watch(struct sm_trace *t, struct sm_gc *gc, struct sm_heap *heap)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	/* The writer may not have had the CPU while there was one. */
	if (gc == NULL && heap == NULL)
		t->parting = sm__trace_read_heap(t);
	t->gc = gc;
	t->heap = heap;
	pthread_mutex_unlock(&t->lock);
}

static void set_clock(struct sm_trace *t)
{
	struct timespec ts;

	t->use_ns = !sm_clock_ticks_reliable();
	t->ns_per_tick = t->use_ns ? 1 : 1 / sm_clock_ticks_per_ns();
	t->at0 = sm__trace_now(t);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	t->ns0 = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int *copy_cpus(const int *cpus, unsigned n)
{
	int *copy = calloc(n, sizeof(*copy));

	if (copy != NULL)
		memcpy(copy, cpus, n * sizeof(*copy));
	return copy;
}

int sm__trace_open(const struct sm_trace_to *to, struct sm_trace **out)
{
	struct sm_trace *t = sm__os_map_guarded(sizeof(*t));
	int err;

	*out = NULL;
	if (t == NULL)
		return -ENOMEM;
	t->to = *to;
	t->format = to->format;
	if (to->ring == 0)
		t->to.ring = RING_EVENTS;
	for (unsigned i = 0; i < SM_TRACE_NCOUNTERS; i++)
		t->counters[i] = UINT64_MAX;
	set_clock(t);
	t->out.label = to->label;
	t->out.pid = getpid();
	t->out.base = t->ns0;
	t->out.sequence = (uint32_t)(t->ns0 / 1000000) | 1u << 31; /* not 0 */
	pthread_mutex_init(&t->lock, NULL);
	/* the writer's own: the caller's may go when this returns */
	t->to.cpus = to->ncpus > 0 ? copy_cpus(to->cpus, to->ncpus) : NULL;
	err = sm__sink_open(&t->out, to->fd);
	if (err == 0 && to->ncpus > 0 && t->to.cpus == NULL)
		err = -ENOMEM;
	if (err == 0)
		err = -pthread_create(&t->writer, NULL, sm__trace_writer, t);
	if (err == 0) {
		*out = t;
		return 0;
	}
	sm__sink_close(&t->out);
	free((void *)(uintptr_t)t->to.cpus);
	sm__os_unmap_guarded(t, sizeof(*t));
	return err;
}

void sm__trace_close(struct sm_trace *t, struct sm_trace_totals *totals)
{
	if (t == NULL)
		return;
	sm_store_release(&t->stop, true);
	pthread_join(t->writer, NULL);
	sm__sink_close(&t->out);
	*totals = t->totals;
	totals->err = t->out.err;
	while (t->threads != NULL) {
		struct sm_trace_thread *th = t->threads;

		t->threads = th->next;
		sm__trace_thread_free(th);
	}
	pthread_mutex_destroy(&t->lock);
	free((void *)(uintptr_t)t->to.cpus);
	sm__os_unmap_guarded(t, sizeof(*t));
}
