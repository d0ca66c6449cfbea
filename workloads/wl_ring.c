/*
 * wl_ring.c: a large live set under steady replacement, every step timed (after "Push, Will,
 * Pusher", the latency benchmarks of message queues that Go and OCaml were compared with).
 *
 * `live` messages stand in a ring; a message is a node (next, payload) and a pointer-free payload
 * of `size` zeroed bytes. A step replaces the oldest message by a new one. The time of a step is
 * the distance between two readings of the CPU's constant-rate counter, so nothing that delays the
 * thread is missed. Timed: the steps; building the ring is set-up.
 */
#include <errno.h>

#include "workloads/backend.h"
#include "workloads/histogram.h"
#include "workloads/requests.h"

struct message {
	struct message *next;
	char *payload;
};

struct ring {
	const struct sm_type *type; /* gc: a message */
	size_t size;
	uint64_t live, ops;
	/* its next is the oldest; on the stack of the run, which roots it */
	struct message *newest;
	struct sm_histogram *steps; /* ticks */
};

SM_INLINE struct message *new_message(const enum sm_wl_backend b, struct sm_thread *t,
				      const struct ring *r)
{
	struct message *m = sm_backend_new(b, t, r->type, sizeof(*m));

	sm_backend_store(b, t, (void **)&m->payload, sm_backend_zeroed(b, t, r->size));
	return m;
}

SM_INLINE void build(const enum sm_wl_backend b, struct sm_thread *t, struct ring *r)
{
	struct message *first = new_message(b, t, r);

	r->newest = first;
	sm_backend_store(b, t, (void **)&first->next, first);
	for (uint64_t i = 1; i < r->live; i++) {
		struct message *m = new_message(b, t, r);

		sm_backend_store(b, t, (void **)&m->next, first);
		sm_backend_store(b, t, (void **)&r->newest->next, m);
		r->newest = m;
	}
}

SM_INLINE void step(const enum sm_wl_backend b, struct sm_thread *t, struct ring *r)
{
	struct message *oldest = sm_load((void **)&r->newest->next);
	struct message *m = new_message(b, t, r);

	sm_backend_store(b, t, (void **)&m->next, sm_load((void **)&oldest->next));
	sm_backend_store(b, t, (void **)&r->newest->next, m);
	r->newest = m;
	if (b != SM_WL_GC) {
		sm_backend_free(b, oldest->payload);
		sm_backend_free(b, oldest);
	}
}

SM_INLINE void steps(const enum sm_wl_backend b, struct sm_thread *t, struct ring *r)
{
	struct sm_requests *requests = sm_requests_begin(t);
	uint64_t before = sm_clock_ticks(), now = before;

	for (uint64_t left = r->ops, n; left > 0; left -= n) {
		n = sm_requests_next(requests, left);
		for (uint64_t i = 0; i < n; i++, before = now) {
			step(b, t, r);
			now = sm_clock_ticks();
			sm_histogram_record(r->steps, sm_clock_delta(before, now));
		}
		sm_requests_done(requests, n, now);
	}
	sm_requests_end(t);
}

/* Counts the messages of the ring, and gives them back; 0 when one is damaged. */
SM_INLINE uint64_t dismantle(const enum sm_wl_backend b, struct ring *r)
{
	struct message *m = r->newest, *next;
	uint64_t n = 0;
	bool damaged = false;

	do {
		next = m->next;
		damaged |= m->payload == NULL || m->payload[0] != 0 || m->payload[r->size - 1] != 0;
		if (b != SM_WL_GC) {
			sm_backend_free(b, m->payload);
			sm_backend_free(b, m);
		}
		m = next;
		n++;
	} while (m != r->newest && n <= r->live);
	return damaged ? 0 : n;
}

/* All of it, for one backend. Returns the number of messages in the ring, or 0 when one is damaged.
 */
SM_INLINE uint64_t run_ring(const enum sm_wl_backend b, struct sm_run *run, struct ring *r)
{
	struct sm_thread *t = sm_run_thread(run);

	build(b, t, r);
	sm_run_timed_begin(run);
	steps(b, t, r);
	sm_run_timed_end(run);
	return dismantle(b, r);
}

static uint64_t run_backend(struct sm_run *run, struct ring *r)
{
	return SM_FOR_BACKEND(sm_run_backend(run), run_ring, run, r);
}

/* One run at a time in a process; static, so that a run that ends for want of memory leaves nothing
 * behind. */
static struct sm_histogram steps_taken;

static int run_ring_workload(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct ring r = {
		.live = (uint64_t)sm_params_int(p, "live"),
		.size = (size_t)sm_params_int(p, "size"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.steps = &steps_taken,
	};
	uint64_t n;

	if (sm_run_gc(run) != NULL)
		r.type = sm_type_pointers(sm_run_gc(run), sizeof(struct message) / sizeof(void *));
	if (sm_run_gc(run) != NULL && r.type == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a type");
	memset(&steps_taken, 0, sizeof(steps_taken));
	if (sm_requests_plan(run, 1, r.ops) != 0)
		return -ENOMEM;
	n = run_backend(run, &r);
	sm_run_ops(run, r.ops);
	sm_run_latency(run, SM_RESULT_p50_us, r.steps);
	if (n != r.live)
		return sm_run_fail(run, -EIO,
				   "the ring lost or damaged messages: %llu of %llu are left",
				   (unsigned long long)n, (unsigned long long)r.live);
	return 0;
}

static const struct sm_param_desc params[] = {
	{.name = "live",
	 .def = 200000,
	 .min = 2,
	 .max = 1000000000,
	 .quick = 20000,
	 .simulated = 2000,
	 .unit = "messages",
	 .help = "in the ring"},
	{.name = "size",
	 .def = 1024,
	 .min = 8,
	 .max = 1 << 30,
	 .quick = 1024,
	 .unit = "bytes",
	 .help = "of a payload, which is zeroed"},
	{.name = "ops",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 200000,
	 .simulated = 20000,
	 .unit = "ops",
	 .help = "steps: messages replaced"},
	{0},
};

const struct sm_workload sm__wl_ring = {
	.name = "ring",
	.summary = "a large ring of messages under steady replacement: the latency of every step",
	.op = "step",
	.params = params,
	.backends = SM_WL_EVERY,
	.run = run_ring_workload,
};
