/*
 * wl_mutate.c: a graph that is rewritten at a given rate, beside marking.
 *
 * `nodes` nodes; node i points to node (i + 1) mod n, to four random nodes, and to a leaf of its
 * own, a pointer-free object of `size` bytes. Each thread makes `stores` stores, `rate` a
 * millisecond: an edge of a node among the first `share` per cent gets a new target, any node. For
 * each hundred stores, `replace` leaves of such nodes are replaced; with an explicit backend the
 * old one is freed. On gc full collections run all the while, `pause` ms apart. A thread writes
 * every nth node alone. Timed: the stores, sleep included.
 *
 * Stresses: the store barrier and its buffers, marking of what changes meanwhile. Shown by:
 * writer_store_ns_marking against writer_store_ns_calm, gc_cycles, mark_objects_per_s; backend span
 * shows what the stores cost without a collector.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "perf/clock.h"
#include "workloads/backend.h"
#include "workloads/writes.h"

enum { EDGES = 4, BURST = 64 }; /* BURST: stores between two readings of the clock */

struct leaf {
	uint64_t node, replaced; /* whose it is, how many came before; the last word: their sum */
};

struct node {
	struct node *next, *edges[EDGES];
	struct leaf *leaf;
	uint64_t number;
};
#define NODE_POINTERS (EDGES + 2)

struct mutate {
	enum sm_wl_backend backend;
	uint64_t n, stores, rate, replace;
	uint64_t own; /* nodes that a thread writes: every nth of the first n * own */
	size_t size;
	const struct sm_type *node; /* gc */
	struct node *first;	    /* holds all others: on the stack of the run */
	struct node **nodes;	    /* outside of any heap */
	struct sm_writes writes;    /* of all threads; under lock */
	pthread_mutex_t lock;
};

/* ---- building ----------------------------------------------------------------------------- */

SM_INLINE void put_leaf(const enum sm_wl_backend b, struct sm_thread *t, const struct mutate *m,
			struct node *node, uint64_t replaced)
{
	struct leaf *leaf = sm_backend_bytes(b, t, m->size);

	*leaf = (struct leaf){node->number, replaced};
	((uint64_t *)(void *)leaf)[m->size / 8 - 1] = node->number + replaced;
	sm_backend_store(b, t, (void **)&node->leaf, leaf);
}

/* A node is held by the one before it as soon as it is made. */
SM_INLINE int build(const enum sm_wl_backend b, struct sm_thread *t, struct mutate *m)
{
	for (uint64_t i = 0; i < m->n; i++) {
		struct node *node = sm_backend_new(b, t, m->node, sizeof(*node));

		if (!sm_backend_collects(b))
			*node = (struct node){0};
		node->number = i;
		if (i == 0)
			m->first = node;
		sm_backend_store(b, t, (void **)&node->next, m->first);
		if (i > 0)
			sm_backend_store(b, t, (void **)&m->nodes[i - 1]->next, node);
		m->nodes[i] = node;
		put_leaf(b, t, m, node, 0);
		for (unsigned e = 0; e < EDGES; e++)
			sm_backend_store(b, t, (void **)&node->edges[e],
					 m->nodes[sm_rng_below(&t->rng, i + 1)]);
	}
	return 0;
}

/* ---- rewriting ---------------------------------------------------------------------------- */

/* One of those that the thread writes. */
SM_INLINE struct node *own_node(struct sm_thread *t, const struct mutate *m)
{
	return m->nodes[sm_rng_below(&t->rng, m->own) * sm_run_threads(t->run) + t->index];
}

SM_INLINE void store_edges(const enum sm_wl_backend b, struct sm_thread *t, const struct mutate *m,
			   struct sm_writes *w, uint64_t n)
{
	bool marking = b == SM_WL_GC && (t->m->barrier & SM__BARRIER_MARK);
	uint64_t begin = sm_clock_ns(), ns;

	for (uint64_t i = 0; i < n; i++) {
		struct node *node = own_node(t, m), *to = m->nodes[sm_rng_below(&t->rng, m->n)];

		sm_backend_store(b, t, (void **)&node->edges[i % EDGES], to);
	}
	ns = sm_clock_delta(begin, sm_clock_ns());
	sm_writes_add(w, n, ns, marking, b == SM_WL_GC && (t->m->barrier & SM__BARRIER_MARK));
	if (b == SM_WL_GC)
		sm_safepoint(t->m);
}

SM_INLINE void replace_leaf(const enum sm_wl_backend b, struct sm_thread *t, const struct mutate *m)
{
	struct node *node = own_node(t, m);
	struct leaf *old = node->leaf;

	put_leaf(b, t, m, node, old->replaced + 1);
	sm_backend_free(b, old);
}

/* Sleeps where `done` stores since `begin` are ahead of the rate. */
static void wait_until_due(struct sm_thread *t, const struct mutate *m, uint64_t begin,
			   uint64_t done)
{
	uint64_t due, past;

	if (m->rate == 0)
		return;
	due = (uint64_t)((double)done * 1e6 / (double)m->rate);
	past = sm_clock_delta(begin, sm_clock_ns());
	if (past < due)
		sm_run_sleep(t, due - past);
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct mutate *m)
{
	uint64_t begin = sm_clock_ns(), replaced = 0;
	struct sm_writes writes = {0};

	for (uint64_t done = 0; done < m->stores;) {
		uint64_t n = m->stores - done < BURST ? m->stores - done : BURST;

		store_edges(b, t, m, &writes, n);
		done += n;
		for (; replaced < done * m->replace / 100; replaced++)
			replace_leaf(b, t, m);
		wait_until_due(t, m, begin, done);
	}
	pthread_mutex_lock(&m->lock);
	sm_writes_sum(&m->writes, &writes);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	struct mutate *m = arg;

	return SM_FOR_BACKEND(m->backend, work, t, m);
}

/* ---- marking beside it -------------------------------------------------------------------- */

struct marking {
	struct sm_gc *gc;
	uint64_t pause_ms;
	_Atomic(bool) done;
};

/* No mutator: it only asks for collections, until the stores are done. */
static void *collect_main(void *arg)
{
	struct marking *c = arg;
	struct timespec pause = {.tv_sec = (time_t)(c->pause_ms / 1000),
				 .tv_nsec = (long)(c->pause_ms % 1000 * 1000000)};

	while (!sm_load_acquire(&c->done)) {
		(void)sm_collect(c->gc, NULL);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static int rewrite(struct sm_run *run, struct mutate *m, uint64_t pause_ms)
{
	struct marking c = {.gc = sm_run_gc(run), .pause_ms = pause_ms};
	struct sm_thread *t = sm_run_thread(run);
	pthread_t id;
	int err;

	if (c.gc != NULL && (err = pthread_create(&id, NULL, collect_main, &c)) != 0)
		return sm_run_fail(run, -err, "cannot start the thread that asks for collections");
	err = sm_run_parallel_timed(run, sm_run_threads(run), thread_main, m);
	if (c.gc == NULL)
		return err;
	sm_store_release(&c.done, true);
	sm_blocking_enter(t->m);
	pthread_join(id, NULL);
	sm_blocking_leave(t->m);
	return err;
}

/* ---- the run ------------------------------------------------------------------------------ */

/* Every node is in its place, with a leaf of its own and edges into the graph. How many leaves were
 * replaced at all, and how often; false: something was damaged. */
static bool intact(const struct mutate *m, uint64_t *leaves, uint64_t *times)
{
	const struct node *node = m->first;

	for (uint64_t i = 0; i < m->n; i++, node = node->next) {
		const struct leaf *leaf = node->leaf;
		const uint64_t *last = (const uint64_t *)(const void *)leaf + m->size / 8 - 1;

		if (node->number != i || leaf->node != i || *last != i + leaf->replaced)
			return false;
		for (unsigned e = 0; e < EDGES; e++)
			if (node->edges[e]->number >= m->n)
				return false;
		*leaves += leaf->replaced > 0;
		*times += leaf->replaced;
	}
	return node == m->first;
}

static int report(struct sm_run *run, const struct mutate *m)
{
	uint64_t leaves = 0, times = 0, threads = sm_run_threads(run);

	if (!intact(m, &leaves, &times) || times != m->stores * m->replace / 100 * threads)
		return sm_run_fail(run, -EIO, "a node of the graph is lost or damaged");
	sm_run_ops(run, m->stores * threads);
	sm_run_result(run, SM_RESULT_replaced, (double)leaves);
	sm_writes_report(run, &m->writes);
	return 0;
}

static void free_graph(struct mutate *m)
{
	for (uint64_t i = 0; !sm_backend_collects(m->backend) && i < m->n; i++) {
		sm_backend_free(m->backend, m->nodes[i]->leaf);
		sm_backend_free(m->backend, m->nodes[i]);
	}
}

static int check_threads(const struct sm_params *p, char *err, size_t errlen)
{
	long long nodes = sm_params_int(p, "nodes"), share = sm_params_int(p, "share");
	unsigned threads = sm_params_threads(p);

	if (nodes * share / 100 >= threads)
		return 0;
	snprintf(err, errlen, "share=%lld: %lld %% of nodes=%lld must be at least threads, %u",
		 share, share, nodes, threads);
	return -EINVAL;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	struct mutate m = {
		.backend = sm_run_backend(run),
		.n = (uint64_t)sm_params_int(p, "nodes"),
		.stores = (uint64_t)sm_params_int(p, "stores"),
		.rate = (uint64_t)sm_params_int(p, "rate"),
		.replace = (uint64_t)sm_params_int(p, "replace"),
		.size = (size_t)sm_params_int(p, "size"),
	};
	int err = 0;

	m.own = m.n * (uint64_t)sm_params_int(p, "share") / 100 / sm_run_threads(run);
	if (m.backend == SM_WL_GC)
		m.node = sm_type_prefix(sm_run_gc(run), sizeof(struct node), NODE_POINTERS);
	m.nodes = malloc(m.n * sizeof(struct node *));
	pthread_mutex_init(&m.lock, NULL);
	if (m.nodes == NULL || (m.backend == SM_WL_GC && m.node == NULL)) {
		err = sm_run_fail(run, -ENOMEM, "out of memory for the tables of %llu nodes",
				  (unsigned long long)m.n);
	} else {
		SM_FOR_BACKEND(m.backend, build, sm_run_thread(run), &m);
		err = rewrite(run, &m, (uint64_t)sm_params_int(p, "pause"));
		err = err != 0 ? err : report(run, &m);
		free_graph(&m);
	}
	pthread_mutex_destroy(&m.lock);
	free(m.nodes);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "nodes",
	 .def = 1000000,
	 .min = 1,
	 .max = 4000000000,
	 .quick = 20000,
	 .unit = "nodes",
	 .help = "of the graph, each with a leaf of its own"},
	{.name = "size",
	 .def = 64,
	 .min = 24,
	 .max = 1 << 24,
	 .quick = 64,
	 .unit = "bytes",
	 .help = "of a leaf"},
	{.name = "stores",
	 .def = 5000000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 300000,
	 .unit = "stores",
	 .help = "of random edges by each thread"},
	{.name = "rate",
	 .def = 0,
	 .min = 0,
	 .max = 1000000000,
	 .quick = 0,
	 .unit = "stores/ms",
	 .help = "of each thread; 0: as fast as it can"},
	{.name = "share",
	 .def = 100,
	 .min = 1,
	 .max = 100,
	 .quick = 100,
	 .unit = "%",
	 .help = "of the nodes, the first ones, whose edges and leaves are written"},
	{.name = "replace",
	 .def = 10,
	 .min = 0,
	 .max = 1000,
	 .quick = 10,
	 .unit = "leaves",
	 .help = "that are replaced for each hundred stores"},
	{.name = "pause",
	 .def = 20,
	 .min = 0,
	 .max = 3600000,
	 .quick = 2,
	 .unit = "ms",
	 .help = "between full collections (gc), which run all the while"},
	SM_PARAM_THREADS(1, 1, "each writes nodes of its own"),
	{0},
};

const struct sm_workload sm__wl_mutate = {
	.name = "mutate",
	.summary = "a graph that is rewritten at a given rate, beside marking",
	.op = "store",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check_threads,
	.run = run,
};
