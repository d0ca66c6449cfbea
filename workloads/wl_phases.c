/*
 * wl_phases.c: a server's memory while its load rises and falls.
 *
 * Eight phases of `phase` ms each, every one with a share of a thread's `sessions` and `requests`
 * (loads, below): up to full load, down, up, down to a tenth, nothing to do, full load once more,
 * nothing to do. Sessions come, and the oldest go, evenly over the first quarter of a phase,
 * requests over all of it; a thread sleeps when it is ahead of time, so what is done depends on no
 * clock. A session is eight parts of 32 to 4095 B, small ones more often; a request makes and drops
 * a buffer, and replaces a part of a random session. Each phase has new threads. Resident memory is
 * read at the end of each phase, and twenty times in the last. Timed: the phases, sleep included.
 *
 * Stresses: giving memory back to the system when it is not needed, also when nothing is called any
 * more, and memory that threads which end leave behind. Shown by: rss_kib and rss_over_live of each
 * phase, rss_returned_share and rss_half_ms of the last.
 */
#include <errno.h>

#include "perf/clock.h"
#include "workloads/backend.h"
#include "workloads/resident.h"

enum { PARTS = 8, TICKS = 20, RAMP = 5 };

/* Of `sessions` and `requests`, in per cent. */
static const struct load {
	unsigned sessions, requests;
} loads[] = {{30, 30}, {100, 100}, {30, 30}, {100, 100}, {10, 10}, {10, 0}, {100, 100}, {10, 0}};
enum { PHASES = sizeof(loads) / sizeof(loads[0]) };

struct session {
	void *parts[PARTS];
	uint64_t number; /* among the sessions of its thread */
};

/* What a thread has: a slice of the table, and in it the sessions from `closed` up to `opened`. */
struct share {
	uint64_t first, opened, closed;
	uint64_t bytes, requests;
	uint64_t busy_ns; /* serving requests */
} __attribute__((aligned(SM_CACHELINE)));

struct server {
	enum sm_wl_backend backend;
	uint64_t sessions, requests, phase_ns;
	unsigned phase;
	const struct sm_type *session; /* gc */
	struct sm_table table;
	struct share *shares; /* one a thread */
	struct sm_resident resident;
	uint64_t grown[TICKS]; /* resident memory over the last phase; thread 0 */
};

/* ---- sessions ----------------------------------------------------------------------------- */

/* The first word says whose it is and its size, the last byte the size again. */
SM_INLINE void *make_part(const enum sm_wl_backend b, struct sm_thread *t, uint64_t number)
{
	size_t least = (size_t)32 << sm_rng_below(&t->rng, 7);
	size_t size = least + sm_rng_below(&t->rng, least);
	unsigned char *part = sm_backend_bytes(b, t, size);

	memset(part, (unsigned char)size, size);
	*(uint64_t *)(void *)part = number << 16 | size;
	return part;
}

static size_t size_of(const void *part)
{
	return *(const uint64_t *)part & UINT16_MAX;
}

static bool intact(const void *part, uint64_t number)
{
	const unsigned char *byte = part;
	size_t size = size_of(part);

	return *(const uint64_t *)part >> 16 == number && size >= 32 && size < 4096 &&
	       byte[size - 1] == (unsigned char)size;
}

/* Puts a new part into place `at` of a session; the old one, if any, goes. False: that was damaged.
 */
SM_INLINE bool replace(const enum sm_wl_backend b, struct sm_thread *t, struct share *mine,
		       struct session *s, unsigned at)
{
	void *old = sm_load(&s->parts[at]), *part;

	if (old != NULL) {
		if (!intact(old, s->number))
			return false;
		mine->bytes -= size_of(old);
	}
	part = make_part(b, t, s->number);
	mine->bytes += size_of(part);
	sm_backend_store(b, t, &s->parts[at], part);
	sm_backend_free(b, old);
	return true;
}

/* Where the thread's session of this number stands: the oldest goes, so they are a ring. */
SM_INLINE void **slot_of(const struct server *v, const struct share *mine, uint64_t number)
{
	return &v->table.slots[mine->first + number % v->sessions];
}

SM_INLINE void open_session(const enum sm_wl_backend b, struct sm_thread *t, const struct server *v,
			    struct share *mine)
{
	struct session *s = sm_backend_new(b, t, v->session, sizeof(*s));

	if (!sm_backend_collects(b))
		*s = (struct session){0};
	s->number = mine->opened++;
	sm_backend_store(b, t, slot_of(v, mine, s->number), s);
	mine->bytes += sizeof(*s);
	for (unsigned i = 0; i < PARTS; i++)
		(void)replace(b, t, mine, s, i);
}

SM_INLINE bool close_session(const enum sm_wl_backend b, struct sm_thread *t,
			     const struct server *v, struct share *mine)
{
	void **slot = slot_of(v, mine, mine->closed++);
	struct session *s = sm_load(slot);
	bool sound = true;

	sm_backend_store(b, t, slot, NULL);
	for (unsigned i = 0; i < PARTS; i++) {
		sound = sound && intact(s->parts[i], s->number);
		mine->bytes -= sound ? size_of(s->parts[i]) : 0;
		sm_backend_free(b, s->parts[i]);
	}
	mine->bytes -= sizeof(*s);
	sm_backend_free(b, s);
	return sound;
}

SM_INLINE bool serve(const enum sm_wl_backend b, struct sm_thread *t, const struct server *v,
		     struct share *mine)
{
	size_t size = 256 + sm_rng_below(&t->rng, 8192 - 256);
	char *buffer = sm_backend_bytes(b, t, size);
	uint64_t number = mine->closed + sm_rng_below(&t->rng, mine->opened - mine->closed);
	bool sound;

	memset(buffer, (int)size, size);
	sound = replace(b, t, mine, sm_load(slot_of(v, mine, number)),
			(unsigned)sm_rng_below(&t->rng, PARTS)) &&
		buffer[0] == (char)size && buffer[size - 1] == (char)size;
	sm_backend_free(b, buffer);
	return sound;
}

/* ---- phases ------------------------------------------------------------------------------- */

/* What a thread does in tick k of a phase, in which it has `sessions` and serves `requests`. False:
 * something was damaged. */
SM_INLINE bool tick(const enum sm_wl_backend b, struct sm_thread *t, const struct server *v,
		    struct share *mine, unsigned k, uint64_t before, uint64_t sessions,
		    uint64_t requests)
{
	/* Evenly over the ramp, to the exact number at its end. */
	uint64_t step = k < RAMP ? k + 1 : RAMP,
		 want = (before * (RAMP - step) + sessions * step) / RAMP,
		 serving = requests * (k + 1) / TICKS - requests * k / TICKS, begin;

	while (mine->opened - mine->closed < want)
		open_session(b, t, v, mine);
	while (mine->opened - mine->closed > want)
		if (!close_session(b, t, v, mine))
			return false;
	begin = sm_clock_ns();
	for (uint64_t i = 0; want > 0 && i < serving; i++, mine->requests++)
		if (!serve(b, t, v, mine))
			return false;
	mine->busy_ns += sm_clock_delta(begin, sm_clock_ns());
	return true;
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct server *v)
{
	const struct load *load = &loads[v->phase];
	struct share *mine = &v->shares[t->index];
	uint64_t sessions = v->sessions * load->sessions / 100,
		 requests = v->requests * load->requests / 100,
		 before = mine->opened - mine->closed, begin = sm_clock_ns();

	for (unsigned k = 0; k < TICKS; k++) {
		uint64_t end = v->phase_ns * (k + 1) / TICKS, past;

		if (!tick(b, t, v, mine, k, before, sessions, requests))
			return sm_run_fail(t->run, -EIO, "phase %u: a session was overwritten",
					   v->phase + 1);
		past = sm_clock_delta(begin, sm_clock_ns());
		if (past < end)
			sm_run_sleep(t, end - past);
		if (v->phase == PHASES - 1 && t->index == 0)
			v->grown[k] = sm_resident_read(&v->resident);
	}
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	struct server *v = arg;

	return SM_FOR_BACKEND(v->backend, work, t, v);
}

static uint64_t held(const struct server *v, unsigned threads)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < threads; i++)
		bytes += v->shares[i].bytes;
	return bytes;
}

/* How much of what the last phase dropped went back to the system, and when half of it had. */
static void report_return(struct sm_run *run, const struct server *v, uint64_t peak,
			  uint64_t dropped)
{
	double tick_ms = (double)v->phase_ns * 1e-6 / TICKS, last = (double)v->grown[TICKS - 1];
	unsigned k = RAMP - 1;

	if (v->resident.err != 0 || dropped == 0 || v->phase_ns == 0) {
		const char *why = v->resident.err != 0 ? "/proc/self/smaps_rollup cannot be read"
				  : dropped == 0       ? "nothing was dropped"
						       : "phases of no length";

		sm_run_result_none(run, SM_RESULT_rss_returned_share, why);
		sm_run_result_none(run, SM_RESULT_rss_half_ms, why);
		return;
	}
	sm_run_result(run, SM_RESULT_rss_returned_share,
		      100 * ((double)peak - last) / (double)dropped);
	while (k < TICKS && v->grown[k] + dropped / 2 > peak)
		k++;
	if (k < TICKS)
		sm_run_result(run, SM_RESULT_rss_half_ms, tick_ms * (k + 1 - RAMP));
	else
		sm_run_result_none(run, SM_RESULT_rss_half_ms,
				   "half of what was dropped did not go back in time");
}

static int run_phases(struct sm_run *run, struct server *v)
{
	unsigned n = sm_run_threads(run);
	uint64_t peak = 0, most = 0;
	int err = 0;

	sm_resident_begin(&v->resident);
	for (v->phase = 0; err == 0 && v->phase < PHASES; v->phase++) {
		most = held(v, n);
		peak = sm_resident_read(&v->resident);
		err = sm_run_parallel_timed(run, n, thread_main, v);
		if (err == 0)
			sm_resident_step(run, &v->resident, v->phase + 1, held(v, n));
	}
	if (err == 0)
		report_return(run, v, peak, most - held(v, n));
	return err;
}

static void report(struct sm_run *run, const struct server *v)
{
	uint64_t requests = 0, ns = 0;

	for (unsigned i = 0; i < sm_run_threads(run); i++) {
		requests += v->shares[i].requests;
		ns += v->shares[i].busy_ns;
	}
	sm_run_ops(run, requests);
	if (requests > 0)
		sm_run_result(run, SM_RESULT_request_ns, (double)ns / (double)requests);
	else
		sm_run_result_none(run, SM_RESULT_request_ns, "no request");
}

/* ---- the run ------------------------------------------------------------------------------ */

static void free_sessions(struct server *v)
{
	for (uint64_t i = 0; !sm_backend_collects(v->backend) && i < v->table.n && v->table.slots;
	     i++) {
		struct session *s = v->table.slots[i];

		for (unsigned p = 0; s != NULL && p < PARTS; p++)
			sm_backend_free(v->backend, s->parts[p]);
	}
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned n = sm_run_threads(run);
	struct server v = {
		.backend = sm_run_backend(run),
		.sessions = (uint64_t)sm_params_int(p, "sessions"),
		.requests = (uint64_t)sm_params_int(p, "requests"),
		.phase_ns = (uint64_t)sm_params_int(p, "phase") * 1000000,
	};
	int err;

	if (v.backend == SM_WL_GC &&
	    (v.session = sm_type_prefix(sm_run_gc(run), sizeof(struct session), PARTS)) == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	v.shares = aligned_alloc(SM_CACHELINE, n * sizeof(*v.shares));
	if (v.shares == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %u threads", n);
	memset(v.shares, 0, n * sizeof(*v.shares));
	for (unsigned i = 0; i < n; i++)
		v.shares[i].first = i * v.sessions;
	err = sm_table_new(sm_run_thread(run), &v.table, n * v.sessions);
	if (err == 0)
		err = run_phases(run, &v);
	if (err == 0)
		report(run, &v);
	free_sessions(&v);
	sm_table_free(sm_run_thread(run), &v.table);
	free(v.shares);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "sessions",
	 .def = 10000,
	 .min = 1,
	 .max = 100000000,
	 .quick = 500,
	 .unit = "sessions",
	 .help = "of each thread at full load, of 7 KB each"},
	{.name = "requests",
	 .def = 50000,
	 .min = 0,
	 .max = 1000000000000,
	 .quick = 1000,
	 .unit = "requests",
	 .help = "served by each thread in a phase of full load"},
	{.name = "phase",
	 .def = 500,
	 .min = 0,
	 .max = 86400000,
	 .quick = 10,
	 .unit = "ms",
	 .help = "of each of the eight phases"},
	SM_PARAM_THREADS(2, 1, "with sessions of their own; new ones in each phase"),
	{0},
};

const struct sm_workload sm__wl_phases = {
	.name = "phases",
	.summary = "a server's memory while its load rises and falls: what goes back, and how fast",
	.op = "request",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run,
};
