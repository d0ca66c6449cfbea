/*
 * wl_graph.c: full collections of a large random graph.
 *
 * Node i points to node (i + 1) mod n and to edges - 1 random nodes; a node is `size` bytes.
 * `collections` full collections are timed: mark_objects_per_s is the median, from barrier on to no
 * grey work. Beside it stands what the memory allows: memory_bound_loads_per_s, independent random
 * loads of one word of 64 B lines over as much memory of the same heap (so with the same pages),
 * one thread, as many in flight as the core keeps. Threads beyond the first write edges at full
 * speed while the collections run; what a store takes them while marking, against a calm heap, is
 * reported too.
 *
 * Timed: the collections. Building the graph and measuring the bound are set-up.
 */
#include <errno.h>
#include <stdio.h>

#include "perf/clock.h"
#include "workloads/backend.h"
#include "workloads/writes.h"

#define LINE	     64
#define WRITER_BURST 64 /* stores between looks at the phase */

struct graph {
	uint64_t n, edges, size, collections;
	const struct sm_type *type;
	void **head;   /* the first node: on the stack of the run, which roots the whole ring */
	void ***nodes; /* all nodes, outside the heap: valid while the ring from head holds them */
	double *mark_rate;
	uint64_t marked;
	/* Written by thread 0, read by the writers, relaxed: a look that comes late is harmless. */
	_Atomic(int) phase; /* enum phase */
};

enum phase { CALM, COLLECTING, DONE, PHASES };

/* ---- building ----------------------------------------------------------------------------- */

static void build(struct sm_run *run, struct graph *g)
{
	struct sm_thread *t = sm_run_thread(run);
	void **first = sm_backend_new(SM_WL_GC, t, g->type, g->size);

	g->head = g->nodes[0] = first;
	sm_store(t->m, &first[0], first);
	for (uint64_t i = 1; i < g->n; i++) {
		void **node = sm_backend_new(SM_WL_GC, t, g->type, g->size);

		/* The ring holds every node from here on, so the table outside the heap may too. */
		sm_store(t->m, &node[0], first);
		sm_store(t->m, &g->nodes[i - 1][0], node);
		g->nodes[i] = node;
	}
	for (uint64_t i = 0; i < g->n; i++) {
		for (uint64_t e = 1; e < g->edges; e++)
			sm_store(t->m, &g->nodes[i][e], g->nodes[sm_rng_below(&t->rng, g->n)]);
		sm_safepoint(t->m);
	}
}

/* Walks the ring: every node must be there, and every edge must lead to a node of the graph. */
static uint64_t count_ring(const struct graph *g)
{
	void **node = g->head;
	uint64_t n = 0;

	do {
		node = sm_load(&node[0]);
		n++;
	} while (node != g->head && n <= g->n);
	return n;
}

/* ---- the bound ---------------------------------------------------------------------------- */

/* The upper half of Knuth's MMIX generator picks a line well enough, for one multiplication. */
SM_INLINE const uint64_t *random_line(uint64_t *x, const char *memory, uint64_t lines)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return (const uint64_t *)(memory + (((*x >> 32) * lines) >> 32) * LINE);
}

/* Loads in eight streams: a step is short, so the core's window holds as many as it has room for
 * misses. */
static SM_NOINLINE uint64_t plain_loads(const char *memory, uint64_t lines, uint64_t loads)
{
	uint64_t sum = 0, x[8];

	for (unsigned k = 0; k < 8; k++)
		x[k] = 0x9e3779b97f4a7c15u * (k + 1);
	for (uint64_t i = 0; i < loads; i += 8)
		for (unsigned k = 0; k < 8; k++)
			sum += *random_line(&x[k], memory, lines);
	return sum;
}

/* Each line is prefetched some loads ahead, as a marker does it: never waits for a load in the
 * window. */
static SM_NOINLINE uint64_t prefetched_loads(const char *memory, uint64_t lines, uint64_t loads)
{
	enum { AHEAD = 32 };
	const uint64_t *ring[AHEAD];
	uint64_t sum = 0, x = 1;

	for (unsigned k = 0; k < AHEAD; k++)
		ring[k] = random_line(&x, memory, lines);
	for (uint64_t i = 0; i < loads; i++) {
		const uint64_t *next = random_line(&x, memory, lines);

		SM_PREFETCH_R(next);
		sum += *ring[i % AHEAD];
		ring[i % AHEAD] = next;
	}
	return sum;
}

/* The best of both ways and of several rounds: a bound is what the machine can do, not what it did
 * once. */
static double best_load_rate(const char *memory, uint64_t lines)
{
	static volatile uint64_t sink;
	uint64_t loads = 1u << 21;
	double best = 0;

	for (unsigned round = 0; round < 6; round++) {
		uint64_t begin = sm_clock_ns(), ns;

		sink = round % 2 ? prefetched_loads(memory, lines, loads)
				 : plain_loads(memory, lines, loads);
		ns = sm_clock_delta(begin, sm_clock_ns());
		if (ns > 0 && (double)loads * 1e9 / (double)ns > best)
			best = (double)loads * 1e9 / (double)ns;
	}
	(void)sink;
	return best;
}

static void measure_bound(struct sm_run *run, const struct graph *g)
{
	struct sm_thread *t = sm_run_thread(run);
	uint64_t bytes = g->n * g->size, lines = bytes / LINE;
	char *memory = lines > 0 ? sm_new_bytes_zeroed(t->m, bytes) : NULL;

	if (memory == NULL || lines > UINT32_MAX) {
		sm_run_result_none(run, SM_RESULT_memory_bound_loads_per_s,
				   lines > 0 ? "no room for as much memory again"
					     : "less than a line");
		return;
	}
	for (uint64_t i = 0; i < bytes; i += LINE)
		memory[i] = (char)i; /* pages of its own, not the kernel's page of zeros */
	sm_run_result(run, SM_RESULT_memory_bound_loads_per_s, best_load_rate(memory, lines));
}

/* ---- collecting, and writing beside it ---------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int collect_all(struct sm_thread *t, struct graph *g)
{
	struct sm_gc *gc = sm_run_gc(t->run);
	struct sm_gc_stats stats;

	for (uint64_t i = 0; i < g->collections; i++) {
		int err = sm_collect(gc, t->m);

		if (err != 0)
			return sm_run_fail(t->run, err, "collection %llu failed: %s",
					   (unsigned long long)i, strerror(-err));
		sm_gc_stats(gc, &stats);
		g->marked = stats.last_marked_objects;
		g->mark_rate[i] = (double)stats.last_marked_objects * 1e9 /
				  (double)(stats.last_mark_ns ? stats.last_mark_ns : 1);
	}
	return 0;
}

/* Bursts by phase. Calm are those before any collection, marking those during which the barrier was
 * on: without the sweep. */
struct writes {
	uint64_t stores[PHASES], ns[PHASES];
	struct sm_writes sum;
};

struct crew {
	struct graph *g;
	struct writes *writes; /* one a thread */
};

/* Swaps random edges (not the ring) between nodes as fast as it can, until thread 0 is done. */
static void write_edges(struct sm_thread *t, struct graph *g, struct writes *w)
{
	uint64_t before = sm_clock_ns();

	for (;;) {
		int phase = sm_load_relaxed(&g->phase);
		bool marking = (t->m->barrier & SM__BARRIER_MARK) != 0;
		uint64_t now;

		sm_run_timed_sync(t);
		if (phase == DONE)
			return;
		for (unsigned i = 0; i < WRITER_BURST; i++) {
			void **node = g->nodes[sm_rng_below(&t->rng, g->n)];
			uint64_t e = 1 + sm_rng_below(&t->rng, g->edges - 1);

			sm_store(t->m, &node[e], g->nodes[sm_rng_below(&t->rng, g->n)]);
		}
		sm_safepoint(t->m);
		now = sm_clock_ns();
		w->stores[phase] += WRITER_BURST;
		w->ns[phase] += sm_clock_delta(before, now);
		if (phase == CALM || (marking && (t->m->barrier & SM__BARRIER_MARK)))
			sm_writes_add(&w->sum, WRITER_BURST, sm_clock_delta(before, now),
				      phase != CALM, phase != CALM);
		before = now;
	}
}

static int writer_main(struct sm_thread *t, void *arg)
{
	struct crew *c = arg;
	struct graph *g = c->g;
	int err;

	if (t->index > 0) {
		write_edges(t, g, &c->writes[t->index]);
		return 0;
	}
	if (sm_run_threads(t->run) > 1)
		sm_run_sleep(t, 100000000); /* the writers' speed without a collection */
	sm_store_relaxed(&g->phase, COLLECTING);
	sm_run_timed_begin(t->run);
	err = collect_all(t, g);
	sm_run_timed_end(t->run);
	sm_store_relaxed(&g->phase, DONE);
	return err;
}

static void report_writers(struct sm_run *run, const struct crew *c)
{
	struct sm_writes sum = {0};
	double rate[PHASES] = {0};

	for (unsigned i = 1; i < sm_run_threads(run); i++) {
		for (unsigned p = CALM; p < DONE; p++)
			if (c->writes[i].ns[p] > 0)
				rate[p] += (double)c->writes[i].stores[p] * 1e9 /
					   (double)c->writes[i].ns[p];
		sm_writes_sum(&sum, &c->writes[i].sum);
	}
	sm_run_result(run, SM_RESULT_writer_stores_per_s, rate[COLLECTING]);
	sm_run_result(run, SM_RESULT_writer_stores_per_s_calm, rate[CALM]);
	sm_writes_report(run, &sum);
}

/* ---- the run ------------------------------------------------------------------------------ */

static int run_graph(struct sm_run *run, struct graph *g, struct crew *c)
{
	uint64_t ring;
	int err;

	measure_bound(run, g);
	build(run, g);
	err = sm_run_parallel(run, sm_run_threads(run), writer_main, c);
	if (err != 0)
		return err;
	ring = count_ring(g);
	if (ring != g->n)
		return sm_run_fail(run, -EIO,
				   "the ring through the graph has %llu nodes instead of %llu",
				   (unsigned long long)ring, (unsigned long long)g->n);
	if (g->marked < g->n)
		return sm_run_fail(run, -EIO, "%llu objects were marked, but the graph has %llu",
				   (unsigned long long)g->marked, (unsigned long long)g->n);
	qsort(g->mark_rate, g->collections, sizeof(*g->mark_rate), by_value);
	sm_run_result(run, SM_RESULT_mark_objects_per_s, g->mark_rate[g->collections / 2]);
	sm_run_result(run, SM_RESULT_marked, (double)g->marked);
	sm_run_ops(run, g->marked * g->collections);
	if (sm_run_threads(run) > 1)
		report_writers(run, c);
	return 0;
}

static int check_edges(const struct sm_params *p, char *err, size_t errlen)
{
	long long edges = sm_params_int(p, "edges"), size = sm_params_int(p, "size");
	long long room = size / (long long)sizeof(void *);

	if (edges <= room)
		return 0;
	snprintf(err, errlen, "edges=%lld: must be at most %lld with size=%lld", edges, room, size);
	return -EINVAL;
}

static int run_graph_workload(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct graph g = {
		.n = (uint64_t)sm_params_int(p, "objects"),
		.edges = (uint64_t)sm_params_int(p, "edges"),
		.size = (uint64_t)sm_params_int(p, "size"),
		.collections = (uint64_t)sm_params_int(p, "collections"),
	};
	struct crew c = {.g = &g};
	int err;

	g.type = sm_type_prefix(sm_run_gc(run), g.size, g.edges);
	g.nodes = malloc(g.n * sizeof(*g.nodes));
	g.mark_rate = calloc(g.collections, sizeof(*g.mark_rate));
	c.writes = calloc(sm_run_threads(run), sizeof(*c.writes));
	if (g.type == NULL || g.nodes == NULL || g.mark_rate == NULL || c.writes == NULL)
		err = sm_run_fail(run, -ENOMEM, "out of memory for the tables of %llu nodes",
				  (unsigned long long)g.n);
	else
		err = run_graph(run, &g, &c);
	free(g.nodes);
	free(g.mark_rate);
	free(c.writes);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "objects",
	 .def = 8000000,
	 .min = 2,
	 .max = 4000000000,
	 .quick = 200000,
	 .simulated = 4000,
	 .unit = "objects",
	 .help = "nodes of the graph"},
	{.name = "edges",
	 .def = 4,
	 .min = 2,
	 .max = 4096,
	 .quick = 4,
	 .unit = "pointers",
	 .help = "of a node: the next one, the others random"},
	{.name = "size",
	 .def = 64,
	 .min = 16,
	 .max = 32768,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of a node, edges included"},
	{.name = "collections",
	 .def = 5,
	 .min = 1,
	 .max = 100000,
	 .quick = 3,
	 .unit = "cycles",
	 .help = "full collections that are timed"},
	SM_PARAM_THREADS(1, 1, "those beyond the first write edges while collections run"),
	{0},
};

const struct sm_workload sm__wl_graph = {
	.name = "graph",
	.summary = "full collections of a large random graph, against random loads over as much "
		   "memory",
	.op = "object",
	.params = params,
	.backends = 1u << SM_WL_GC,
	.check = check_edges,
	.run = run_graph_workload,
};
