/*
 * test_mark_steal: who marked what, and from where packets were taken. The maps are made up: the
 * two CPUs that the test pins to are called different nodes, or different L3s of one node, and all
 * memory is the real node 0's.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/support/gctest.h"
#include "tests/support/run.h"

#define OBJECTS 40000

/* CPUs by place: A is node (or L3) 0, B is 1. Where the machine has one CPU only, B does not exist.
 */
enum place { A, B };
static int cpu_of[2] = {-1, -1};
static enum place place_of_workers[2], place_of_control;

static void find_cpus(void)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (int c = 0; c < CPU_SETSIZE && n < 2; c++) {
		if (CPU_ISSET(c, &set))
			cpu_of[n++] = c;
	}
}

static void pin(enum place p)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu_of[p], &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void worker_start(void *ctx, unsigned index, const char *role)
{
	(void)ctx;
	pin(strcmp(role, "mark") == 0 ? place_of_workers[index % 2] : place_of_control);
}

/* nodes 2: A and B are nodes. nodes 1: they are L3s of the one. */
static struct sm_gc *new_gc(unsigned nodes, unsigned workers, const char *mode, const char *numa)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_gc *gc;

	sm_gc_config_init(&cfg);
	gctest_config(&cfg);
	cfg.heap.nnodes = nodes;
	if (nodes == 2) {
		cfg.heap.distance[0][0] = cfg.heap.distance[1][1] = 10;
		cfg.heap.distance[0][1] = cfg.heap.distance[1][0] = 20;
		cfg.heap.cpu_node[cpu_of[B]] = 1;
	}
	cfg.cpu_l3[cpu_of[B]] = 1;
	cfg.workers = workers;
	cfg.worker_start = worker_start;
	cfg.verify = true;
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.percent", "0", err, sizeof(err)), 0);
	/* What the overflow path scans is not counted; hostile builds have a mark stack of a page.
	 */
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.mark_stack", "256m", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.mode", mode, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_gc_config_set(&cfg, "numa", numa, err, sizeof(err)), 0);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	return gc;
}

/* A heap-ordered tree of n objects, no object but the first is a root. */
static void *tree(struct sm_gc *gc, struct sm_mutator *m, unsigned n)
{
	const struct sm_type *type = sm_type_prefix(gc, 64, 4);
	void **all = calloc(n, sizeof(*all)), *first;

	ck_assert_int_eq(sm_root_add(gc, all, n), 0);
	for (unsigned i = 0; i < n; i++) {
		void **o = sm_new(m, type);

		ck_assert_ptr_nonnull(o);
		sm_store(m, &all[i], o);
		if (i > 0)
			sm_store(m, &((void **)all[(i - 1) / 4])[(i - 1) % 4], o);
	}
	first = all[0];
	ck_assert_int_eq(sm_root_remove(gc, all), 0);
	free(all);
	return first;
}

/* What one collection adds to the figures. */
static struct sm_gc_stats collect(struct sm_gc *gc, struct sm_mutator *m)
{
	struct sm_gc_stats before = gctest_stats(gc), s;

	ck_assert_int_eq(sm_collect(gc, m), 0);
	s = gctest_stats(gc);
	ck_assert_uint_eq(s.verify_errors, 0);
	s.total_scanned_local -= before.total_scanned_local;
	s.total_scanned_remote -= before.total_scanned_remote;
	s.total_steals_l3 -= before.total_steals_l3;
	s.total_steals_node -= before.total_steals_node;
	s.total_steals_across -= before.total_steals_across;
	s.total_delivered -= before.total_delivered;
	return s;
}

static void end(struct sm_gc *gc, struct sm_mutator *m)
{
	sm_mutator_detach(m);
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
	ck_assert_uint_eq(sm_heap_check(sm_gc_heap(gc)), 0);
	sm_gc_destroy(gc);
}

/* One worker and all objects on one node: the two counters are exact. All objects have pointers, so
 * that each marked one is scanned, once. */
START_TEST(one_worker_counts_exactly)
{
	enum place objects = _i & 1, worker = _i >> 1 & 1;
	const char *mode = _i & 4 ? "concurrent" : "stw";
	struct sm_gc_stats s;
	struct sm_mutator *m;
	struct sm_gc *gc;
	void *root;

	place_of_workers[0] = place_of_workers[1] = place_of_control = worker;
	gc = new_gc(2, 1, mode, objects == A ? "bind:0" : "bind:1");
	pin(worker); /* the mutator assists, and its stack is scanned by itself */
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	sm_store(m, &root, tree(gc, m, OBJECTS));
	for (int i = 0; i < 3; i++) {
		s = collect(gc, m);
		ck_assert_uint_ge(s.last_marked_objects, OBJECTS);
		ck_assert_uint_eq(objects == worker ? s.total_scanned_local
						    : s.total_scanned_remote,
				  s.last_marked_objects);
		ck_assert_uint_eq(
			objects == worker ? s.total_scanned_remote : s.total_scanned_local, 0);
		if (objects == worker)
			ck_assert_uint_eq(s.total_steals_across, 0);
		else
			ck_assert_uint_gt(s.total_steals_across, 0);
	}
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	end(gc, m);
}
END_TEST

/* A tree on each node, linked to the other's at the root only, a worker on each node: the sum is
 * exact, and what crosses is what a worker took because its own node had no work left. */
START_TEST(two_workers_stay_at_home)
{
	struct sm_gc_stats s = {0};
	struct sm_mutator *m;
	struct sm_gc *gc;
	void *roots[2];

	place_of_workers[0] = place_of_control = A;
	place_of_workers[1] = B;
	gc = new_gc(2, 2, _i ? "concurrent" : "stw", "local");
	ck_assert_int_eq(sm_root_add(gc, roots, 2), 0);
	for (int at = 0; at < 2; at++) {
		pin(at ? B : A);
		m = sm_mutator_attach(gc);
		sm_store(m, &roots[at], tree(gc, m, OBJECTS));
		if (at == 0)
			sm_mutator_detach(m);
	}
	for (int i = 0; i < 5; i++) {
		s = collect(gc, m);
		ck_assert_uint_ge(s.last_marked_objects, 2 * OBJECTS);
		ck_assert_uint_eq(s.total_scanned_local + s.total_scanned_remote,
				  s.last_marked_objects);
		/* The roots are scanned on A, so B's tree was delivered, or taken back across. */
		ck_assert_uint_gt(s.total_delivered + s.total_steals_across, 0);
	}
	ck_assert_int_eq(sm_root_remove(gc, roots), 0);
	end(gc, m);
}
END_TEST

/* One node, two L3s: packets that control and mutator give are taken from the same L3, or from the
 * other. */
START_TEST(steals_by_l3)
{
	enum place giver = _i & 1, taker = _i >> 1 & 1;
	struct sm_gc_stats s;
	struct sm_mutator *m;
	struct sm_gc *gc;
	void *root;

	place_of_workers[0] = place_of_workers[1] = taker;
	place_of_control = giver;
	gc = new_gc(1, 1, "stw", "local");
	pin(giver);
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	sm_store(m, &root, tree(gc, m, OBJECTS));
	s = collect(gc, m);
	ck_assert_uint_ge(s.last_marked_objects, OBJECTS);
	ck_assert_uint_gt(giver == taker ? s.total_steals_l3 : s.total_steals_node, 0);
	ck_assert_uint_eq(giver == taker ? s.total_steals_node : s.total_steals_l3, 0);
	ck_assert_uint_eq(s.total_steals_across + s.total_delivered, 0);
	ck_assert_uint_eq(s.total_scanned_local, s.last_marked_objects);
	ck_assert_uint_eq(s.total_scanned_remote, 0);
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	end(gc, m);
}
END_TEST

int main(void)
{
	find_cpus();
	if (cpu_of[B] < 0) {
		printf("SKIP: one CPU is allowed, the test needs two\n");
		return 77;
	}
	return SM_SUITE("mark_steal", 60, SM_LOOP(one_worker_counts_exactly, 0, 8),
			SM_LOOP(two_workers_stay_at_home, 0, 2), SM_LOOP(steals_by_l3, 0, 4));
}
