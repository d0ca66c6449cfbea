/*
 * writer.c: the thread that empties the rings, reads the counters, and has all of it encoded.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/pages/pageheap.h"
#include "allocator/objects/heap.h"
#include "collector/cycle/gcstats.h"
#include "perf/clock.h"
#include "perf/pin.h"
#include "workloads/trace/trace_internal.h"

#define LOOK_NS	    2000000u /* between looks */
#define FLUSH_LOOKS 50	     /* what a crash loses at most: 100 ms */

const struct sm_trace_counter_desc sm__trace_counters[SM_TRACE_NCOUNTERS] = {
#define COUNTER(id, text, what) [SM_TRACE_##id] = {text, #what},
	SM_TRACE_COUNTERS(COUNTER)
#undef COUNTER
};

static const struct sm_trace_track sample_track = {SM_TRACK_SAMPLE, 0},
				   timed_track = {SM_TRACK_TIMED, 1L << 23},
				   collections_track = {SM_TRACK_COLLECTIONS, (1L << 23) + 1};

static uint64_t file_ns(const struct sm_trace *t, uint64_t at)
{
	uint64_t ticks = sm_clock_delta(t->at0, at);

	return t->ns0 + (t->use_ns ? ticks : (uint64_t)((double)ticks * t->ns_per_tick));
}

/* ---- events ------------------------------------------------------------------------------- */

/*
 * Waits are told when they are over, and some are the sum of several, put where the last ended: one
 * may hold earlier ones, or reach into one. Then it begins where that ends, so that waits on a
 * track lie beside or inside each other.
 */
static uint64_t place_wait(struct sm_trace_thread *th, uint64_t since, uint64_t until)
{
	unsigned n = th->nbeside;

	while (n > 0 && th->beside[n - 1].since >= since)
		n--;
	if (n > 0 && since < th->beside[n - 1].until)
		since = th->beside[n - 1].until;
	if (n == SM_TRACE_BESIDE) {
		for (unsigned i = 1; i < n; i++)
			th->beside[i - 1] = th->beside[i];
		n--;
	}
	th->beside[n].since = since;
	th->beside[n].until = until;
	th->nbeside = n + 1;
	return since;
}

static void take_wait(struct sm_trace *t, struct sm_trace_thread *th,
		      const struct sm_trace_event *e, uint64_t ns)
{
	uint64_t since = place_wait(th, ns - e->ns, ns);

	if (!th->has_waited)
		t->format->track(&t->out, &th->waits, "waits", &th->phases);
	th->has_waited = true;
	t->format->wait(&t->out, &th->waits, e->code, since, ns);
}

static void take(struct sm_trace *t, struct sm_trace_thread *th, const struct sm_trace_event *e)
{
	const struct sm_trace_track *track = e->code == SM_TRACE_TIMED	      ? &timed_track
					     : e->code == SM_TRACE_COLLECTION ? &collections_track
									      : &th->phases;
	uint64_t ns = file_ns(t, e->at);

	/* Another CPU's counter may be behind by a little. */
	if (ns < th->latest)
		ns = th->latest;
	th->latest = ns;
	t->totals.events++;
	if (e->kind == SM_TRACE_WAIT)
		take_wait(t, th, e, ns);
	else
		t->format->slice(&t->out, track, e->kind == SM_TRACE_BEGIN, e->code, ns);
}

static void show_dropped(struct sm_trace *t, struct sm_trace_thread *th)
{
	uint64_t dropped = sm_load_relaxed(&th->ring.dropped);

	if (dropped == th->dropped)
		return;
	if (th->latest == 0) /* not one found room */
		th->latest = file_ns(t, sm__trace_now(t));
	t->totals.dropped += dropped - th->dropped;
	t->format->dropped(&t->out, &th->phases, dropped - th->dropped, th->latest);
	th->dropped = dropped;
}

static void empty_ring(struct sm_trace *t, struct sm_trace_thread *th)
{
	struct sm_trace_ring *r = &th->ring;
	uint32_t at = sm_load_relaxed(&r->taken), head = sm_load_acquire(&r->head);

	if (!th->shown) {
		th->shown = true;
		t->format->track(&t->out, &th->phases, th->name, NULL);
	}
	while (at != head) {
		take(t, th, &r->events[at & r->mask]);
		at++;
		/* Room for the owner while we go on: what was read may be written over. */
		if (at % 256 == 0)
			sm_store_release(&r->taken, at);
	}
	sm_store_release(&r->taken, at);
	show_dropped(t, th);
}

static void take_off(struct sm_trace *t, struct sm_trace_thread *th)
{
	struct sm_trace_thread **at = &t->threads;

	pthread_mutex_lock(&t->lock);
	while (*at != th)
		at = &(*at)->next;
	*at = th->next;
	pthread_mutex_unlock(&t->lock);
	sm__trace_thread_free(th);
}

/* Without the lock, for which threads that start would wait: they come before the first, and nobody
 * else takes any off the list. Those that have ended go when they are empty. */
static void empty_rings(struct sm_trace *t)
{
	struct sm_trace_thread *th, *next;

	pthread_mutex_lock(&t->lock);
	th = t->threads;
	pthread_mutex_unlock(&t->lock);
	for (; th != NULL; th = next) {
		bool ended = sm_load_acquire(&th->ended);

		next = th->next;
		empty_ring(t, th);
		if (ended)
			take_off(t, th);
	}
}

/* ---- counters ----------------------------------------------------------------------------- */

static void show(struct sm_trace *t, enum sm_trace_counter which, uint64_t value, uint64_t ns)
{
	if (value == t->counters[which])
		return;
	t->counters[which] = value;
	t->format->counter(&t->out, which, value, ns);
}

static bool read_rss(const struct sm_trace *t, uint64_t *bytes)
{
	char text[128], *end;
	ssize_t n = t->statm >= 0 ? pread(t->statm, text, sizeof(text) - 1, 0) : -1;

	if (n <= 0)
		return false;
	text[n] = 0;
	strtoull(text, &end, 10); /* the address space */
	*bytes = strtoull(end, NULL, 10) * sm__os_page_size();
	return true;
}

struct sm_trace_gauges sm__trace_read_heap(const struct sm_trace *t)
{
	struct sm_trace_gauges g = {.at = 0};

	if (t->gc != NULL) {
		struct sm_gc_gauges of;

		sm__gc_gauges(t->gc, &of);
		g.collected = true;
		g.value[SM_TRACE_HEAP] = of.heap;
		g.value[SM_TRACE_GOAL] = of.goal;
		g.value[SM_TRACE_GREY] = of.grey;
	} else if (t->heap != NULL) {
		size_t in_use, dirty;

		sm__pageheap_resident(&t->heap->pages, &in_use, &dirty);
		g.value[SM_TRACE_HEAP] = in_use;
	} else {
		return g;
	}
	g.at = sm__trace_now(t);
	return g;
}

static void show_heap(struct sm_trace *t, const struct sm_trace_gauges *g)
{
	uint64_t ns = file_ns(t, g->at);

	if (g->at == 0)
		return;
	show(t, SM_TRACE_HEAP, g->value[SM_TRACE_HEAP], ns);
	if (g->collected) {
		show(t, SM_TRACE_GOAL, g->value[SM_TRACE_GOAL], ns);
		show(t, SM_TRACE_GREY, g->value[SM_TRACE_GREY], ns);
	}
}

static void read_counters(struct sm_trace *t)
{
	struct sm_trace_gauges g;
	uint64_t rss;

	pthread_mutex_lock(&t->lock);
	show_heap(t, &t->parting);
	t->parting.at = 0;
	g = sm__trace_read_heap(t);
	show_heap(t, &g);
	pthread_mutex_unlock(&t->lock);
	if (read_rss(t, &rss))
		show(t, SM_TRACE_RSS, rss, file_ns(t, sm__trace_now(t)));
}

/* ---- the thread --------------------------------------------------------------------------- */

void *sm__trace_writer(void *trace)
{
	struct sm_trace *t = trace;
	bool last;

	prctl(PR_SET_NAME, "sm-trace");
	(void)sm_pin_avoid(t->to.cpus, t->to.ncpus); /* where none is left: on any */
	t->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	t->format->sample(&t->out);
	t->format->track(&t->out, &timed_track, "timed part", &sample_track);
	t->format->track(&t->out, &collections_track, "collections", &sample_track);
	for (unsigned looks = 1;; looks++) {
		last = sm_load_acquire(&t->stop); /* then no event comes any more */
		empty_rings(t);
		read_counters(t);
		if (looks % FLUSH_LOOKS == 0)
			sm__sink_flush(&t->out);
		if (last)
			break;
		nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
	}
	if (t->statm >= 0)
		close(t->statm);
	return NULL;
}
