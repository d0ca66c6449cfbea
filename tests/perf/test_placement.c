/* Placement policies over invented machines: every plan is checked against what its policy
 * promises. */
#include "perf/placement.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static struct sm_topology *synthetic(const char *s)
{
	struct sm_topology_source from = {.synthetic = s};
	struct sm_topology *t = NULL;
	char err[300] = "";

	ck_assert_msg(!sm_topology_load(&from, &t, err, sizeof(err)), "%s: %s", s, err);
	return t;
}

static struct sm_placement plan(const struct sm_topology *t, enum sm_place p, unsigned threads,
				enum sm_mark_place m, unsigned workers)
{
	struct sm_place_request r = {
		.place = p, .mark_place = m, .threads = threads, .workers = workers};
	struct sm_placement out;
	char err[400] = "";

	ck_assert_msg(!sm_placement_plan(t, &r, &out, err, sizeof(err)), "%s", err);
	ck_assert_uint_eq(out.n, threads + workers);
	for (unsigned i = 0; i < out.n; i++) {
		const struct sm_place_thread *th = &out.threads[i];

		ck_assert_int_eq(th->role, i < threads ? SM_ROLE_MUTATOR : SM_ROLE_WORKER);
		ck_assert_uint_eq(th->index, i < threads ? i : i - threads);
		if (th->pu == SM_NONE)
			continue;
		ck_assert(t->pus[th->pu].allowed);
		ck_assert_int_eq(t->pus[th->pu].os, th->pu_os);
		ck_assert_int_eq(t->pus[th->pu].node, th->node);
		ck_assert_int_eq(t->nodes[th->node].os, th->node_os);
	}
	return out;
}

static void refused(const struct sm_topology *t, enum sm_place p, unsigned threads,
		    enum sm_mark_place m, unsigned workers, const char *must_say)
{
	struct sm_place_request r = {
		.place = p, .mark_place = m, .threads = threads, .workers = workers};
	struct sm_placement out;
	char err[400] = "";

	ck_assert_int_eq(sm_placement_plan(t, &r, &out, err, sizeof(err)), -EINVAL);
	ck_assert_msg(strstr(err, must_say) != NULL, "\"%s\" does not say \"%s\"", err, must_say);
	ck_assert_msg(strstr(err, "allowed") != NULL, "\"%s\" does not say what is allowed", err);
	ck_assert_ptr_null(strchr(err, '\n'));
	ck_assert_ptr_null(strstr(err, "at most 0")); /* is nothing that one could ask for */
	ck_assert_ptr_null(out.threads);
}

static void no_pu_twice(const struct sm_placement *p)
{
	for (unsigned i = 0; i < p->n; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_int_ne(p->threads[i].pu, p->threads[j].pu);
}

START_TEST(test_compact_fills_cores)
{
	struct sm_topology *t = synthetic("pack:2 [numa] l3:2 core:2 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_COMPACT, 5, SM_MARK_NONE, 0);

	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(p.threads[i].pu, (int)i);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_scatter_spreads)
{
	struct sm_topology *t = synthetic("pack:2 [numa] l3:2 core:2 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_SCATTER, 16, SM_MARK_NONE, 0);

	no_pu_twice(&p);
	ck_assert_int_ne(p.threads[0].package, p.threads[1].package);
	/* The first four are on four L3s, the first eight on eight cores. */
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_int_ne(p.threads[i].l3, p.threads[j].l3);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_int_ne(p.threads[i].core, p.threads[j].core);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_per_node_is_even)
{
	struct sm_topology *t = synthetic("[numa] pack:3 [numa] core:4 pu:2");

	for (unsigned n = 1; n <= 24; n++) {
		struct sm_placement p = plan(t, SM_PLACE_PER_NODE, n, SM_MARK_NONE, 0);
		unsigned count[4] = {0}, min = 99, max = 0;

		no_pu_twice(&p);
		for (unsigned i = 0; i < n; i++) {
			ck_assert(t->nodes[p.threads[i].node].has_cpu);
			count[p.threads[i].node]++;
			if (i)
				ck_assert_int_ge(p.threads[i].node, p.threads[i - 1].node);
		}
		for (int k = 0; k < 4; k++) {
			if (!t->nodes[k].has_cpu)
				continue;
			min = count[k] < min ? count[k] : min;
			max = count[k] > max ? count[k] : max;
		}
		ck_assert_uint_le(max - min, 1);
		sm_placement_free(&p);
	}
	sm_topology_free(t);
}
END_TEST

/* A node's cores come before siblings of those that are taken. */
START_TEST(test_per_node_takes_cores_first)
{
	struct sm_topology *t = synthetic("[numa] pack:2 [numa] core:4 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_PER_NODE, 8, SM_MARK_NONE, 0);

	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_int_ne(p.threads[i].core, p.threads[k].core);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_one_per_core)
{
	struct sm_topology *t = synthetic("pack:2 [numa] core:3 pu:4");
	struct sm_placement p = plan(t, SM_PLACE_ONE_PER_CORE, 6, SM_MARK_NONE, 0);

	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(p.threads[i].pu, (int)i * 4);
	sm_placement_free(&p);
	refused(t, SM_PLACE_ONE_PER_CORE, 7, SM_MARK_NONE, 0, "--threads 7");
	sm_topology_free(t);
}
END_TEST

START_TEST(test_dedicated_workers)
{
	struct sm_topology *t = synthetic("pack:2 [numa] l3:2 core:2 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_COMPACT, 2, SM_MARK_DEDICATED, 3);

	for (unsigned w = 2; w < 5; w++) {
		for (unsigned m = 0; m < w; m++)
			ck_assert_int_ne(p.threads[w].core, p.threads[m].core);
		ck_assert_int_eq(p.threads[w].node, p.threads[0].node);
	}
	ck_assert_int_eq(p.threads[2].l3, p.threads[0].l3); /* nearest first */
	sm_placement_free(&p);
	/* 8 cores: 7 workers beside one core's mutators, not 8. */
	p = plan(t, SM_PLACE_COMPACT, 2, SM_MARK_DEDICATED, 7);
	sm_placement_free(&p);
	refused(t, SM_PLACE_COMPACT, 2, SM_MARK_DEDICATED, 8, "--workers 8");
	sm_topology_free(t);
}
END_TEST

START_TEST(test_shared_and_sibling)
{
	struct sm_topology *t = synthetic("pack:2 [numa] core:4 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_ONE_PER_CORE, 3, SM_MARK_SHARED, 4);

	for (unsigned w = 0; w < 3; w++)
		ck_assert_int_eq(p.threads[3 + w].pu, p.threads[w].pu);
	/* one more than there are mutators: not a second one on a mutator's PU while a core is free
	 */
	for (unsigned m = 0; m < 6; m++)
		ck_assert_int_ne(p.threads[6].core, p.threads[m].core);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_ONE_PER_CORE, 3, SM_MARK_SIBLING, 3);
	no_pu_twice(&p);
	for (unsigned w = 0; w < 3; w++)
		ck_assert_int_eq(p.threads[3 + w].core, p.threads[w].core);
	sm_placement_free(&p);
	refused(t, SM_PLACE_ONE_PER_CORE, 3, SM_MARK_SIBLING, 4, "--workers 4");
	refused(t, SM_PLACE_COMPACT, 2, SM_MARK_SIBLING, 1, "sibling");
	sm_topology_free(t);
	t = synthetic("numa:2 core:4 pu:1");
	refused(t, SM_PLACE_COMPACT, 1, SM_MARK_SIBLING, 1, "no SMT siblings");
	sm_topology_free(t);
}
END_TEST

static void described(const struct sm_topology *t, const struct sm_placement *p, const char *want)
{
	char text[SM_PLACED_TEXT];

	sm_placement_describe(t, p, text, sizeof(text));
	ck_assert_str_eq(text, want);
	ck_assert_uint_lt(strlen(text), 100); /* one line of the table */
}

/* What is not pinned is said, and who may meet it. */
START_TEST(test_unpinned_in_words)
{
	struct sm_topology *t = synthetic("core:4 pu:1");
	struct sm_placement p = plan(t, SM_PLACE_NONE, 2, SM_MARK_AUTO, 1);

	described(t, &p, "2 mutators (not pinned), 1 mark worker: on a core that mutators use too");
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_COMPACT, 1, SM_MARK_NONE, 2);
	described(t, &p, "1 mutator, 2 mark workers: where gc.avoid_cpus lets them");
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

/* The default on machines where an eye can check it: PU of each worker, and what is said about it.
 */
START_TEST(test_auto_small_machines)
{
	static const struct {
		const char *machine;
		unsigned threads, workers;
		int pus[4];
		const char *said;
	} cases[] = {
		{"core:1 pu:1",
		 1,
		 1,
		 {0},
		 "1 mutator, 1 mark worker: on a mutator's CPU (1 core allowed)"},
		{"core:1 pu:1",
		 1,
		 2,
		 {0, 0},
		 "1 mutator, 2 mark workers: on mutators' CPUs (1 core allowed)"},
		{"core:1 pu:2",
		 1,
		 1,
		 {1},
		 "1 mutator, 1 mark worker: on the SMT sibling of a mutator (1 core allowed)"},
		{"core:2 pu:1", 1, 1, {1}, "1 mutator, 1 mark worker: on a core of its own"},
		/* two workers, two cores: one each, the second beside the only mutator */
		{"core:2 pu:1",
		 1,
		 2,
		 {1, 0},
		 "1 mutator, 2 mark workers: 1 on a core of its own, 1 on a mutator's CPU (2 cores "
		 "allowed)"},
		{"core:2 pu:1",
		 2,
		 2,
		 {0, 1},
		 "2 mutators, 2 mark workers: on mutators' CPUs (2 cores allowed)"},
		{"core:2 pu:1",
		 2,
		 1,
		 {0},
		 "2 mutators, 1 mark worker: on a mutator's CPU (2 cores allowed)"},
		{"core:2 pu:2",
		 2,
		 2,
		 {1, 3},
		 "2 mutators, 2 mark workers: on SMT siblings of mutators (2 cores allowed)"},
		{"core:4 pu:1",
		 1,
		 3,
		 {1, 2, 3},
		 "1 mutator, 3 mark workers: on cores of their own"},
		{"core:4 pu:1",
		 1,
		 4,
		 {1, 2, 3, 0},
		 "1 mutator, 4 mark workers: 3 on cores of their own, 1 on a mutator's CPU (4 "
		 "cores "
		 "allowed)"},
		{"core:4 pu:1",
		 3,
		 2,
		 {3, 0},
		 "3 mutators, 2 mark workers: 1 on a core of its own, 1 on a mutator's CPU (4 "
		 "cores "
		 "allowed)"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sm_topology *t = synthetic(cases[i].machine);
		enum sm_place place =
			cases[i].threads > 1 ? SM_PLACE_ONE_PER_CORE : SM_PLACE_COMPACT;
		struct sm_placement p =
			plan(t, place, cases[i].threads, SM_MARK_AUTO, cases[i].workers);

		for (unsigned w = 0; w < cases[i].workers; w++)
			ck_assert_msg(p.threads[cases[i].threads + w].pu == cases[i].pus[w],
				      "case %zu: worker %u on PU %d", i, w,
				      p.threads[cases[i].threads + w].pu);
		described(t, &p, cases[i].said);
		sm_placement_free(&p);
		sm_topology_free(t);
	}
}
END_TEST

/*
 * What auto promises, for every number of threads on larger machines: never refused; no two workers
 * on a core while one has none; no worker beside a mutator while a core is empty; the nodes' share
 * of workers follows their share of mutators.
 */
static void check_auto(const struct sm_topology *t, enum sm_place place, unsigned threads,
		       unsigned workers)
{
	struct sm_placement p = plan(t, place, threads, SM_MARK_AUTO, workers);
	int *on_core = calloc((size_t)t->n_cores, sizeof(int)),
	    *mut = calloc((size_t)t->n_cores, sizeof(int));
	int most = 0, least = 9999, empty = 0, beside = 0;

	for (unsigned i = 0; i < threads; i++)
		mut[p.threads[i].core]++;
	for (unsigned i = threads; i < p.n; i++)
		on_core[p.threads[i].core]++;
	for (int c = 0; c < t->n_cores; c++) {
		most = on_core[c] > most ? on_core[c] : most;
		least = on_core[c] < least ? on_core[c] : least;
		empty += !on_core[c] && !mut[c];
		beside += on_core[c] && mut[c];
	}
	ck_assert_int_le(most - least, 1);
	ck_assert_msg(!empty || !beside, "%u+%u: %d cores are empty, %d shared", threads, workers,
		      empty, beside);
	free(on_core);
	free(mut);
	sm_placement_free(&p);
}

START_TEST(test_auto_large_machines)
{
	static const char *const machines[] = {"core:64 pu:1", "pack:2 [numa] l3:4 core:8 pu:1",
					       "pack:2 [numa] l3:2 core:4 pu:2",
					       "numa:8 core:2 pu:4"};

	for (size_t m = 0; m < sizeof(machines) / sizeof(machines[0]); m++) {
		struct sm_topology *t = synthetic(machines[m]);

		for (unsigned threads = 1; threads <= (unsigned)t->n_cores; threads += 7)
			for (unsigned workers = 0; workers <= 2 * (unsigned)t->n_cores;
			     workers += 11) {
				check_auto(t, SM_PLACE_ONE_PER_CORE, threads, workers);
				check_auto(t, SM_PLACE_SCATTER, threads, workers);
				check_auto(t, SM_PLACE_PER_NODE, threads, workers);
				check_auto(t, SM_PLACE_COMPACT, threads, workers);
			}
		sm_topology_free(t);
	}
}
END_TEST

/* Work is marked by the node that owns it: each node with mutators gets its share of the workers.
 */
START_TEST(test_auto_follows_the_nodes)
{
	static const enum sm_place places[] = {SM_PLACE_PER_NODE, SM_PLACE_SCATTER};
	struct sm_topology *t = synthetic("pack:4 [numa] core:8 pu:1");
	struct sm_placement p;

	for (size_t k = 0; k < 2; k++)
		for (unsigned workers = 4; workers <= 16; workers += 4) {
			unsigned on_node[4] = {0};

			p = plan(t, places[k], 16, SM_MARK_AUTO, workers);
			for (unsigned i = 16; i < p.n; i++)
				on_node[p.threads[i].node]++;
			for (int n = 0; n < 4; n++)
				ck_assert_uint_eq(on_node[n], workers / 4);
			sm_placement_free(&p);
		}
	/* all mutators on one node: so are the workers, in its L3 first, until it is full */
	p = plan(t, SM_PLACE_COMPACT, 4, SM_MARK_AUTO, 5);
	for (unsigned i = 4; i < 8; i++)
		ck_assert_int_eq(p.threads[i].node, p.threads[0].node);
	ck_assert_int_ne(p.threads[8].node, p.threads[0].node);
	sm_placement_free(&p);
	/* mutators that roam: workers over all nodes */
	p = plan(t, SM_PLACE_NONE, 4, SM_MARK_AUTO, 4);
	for (unsigned i = 4; i < 8; i++)
		ck_assert_int_eq(p.threads[i].node, (int)i - 4);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

/* Under taskset: what is not allowed is not used, and cores without an allowed PU do not count. */
START_TEST(test_auto_in_a_cpuset)
{
	struct sm_topology *t = synthetic("core:4 pu:2");
	struct sm_placement p;

	for (int i = 2; i < 6; i++)
		t->pus[i].allowed = false;
	t->n_allowed = 4;
	p = plan(t, SM_PLACE_ONE_PER_CORE, 1, SM_MARK_AUTO, 4);
	ck_assert_int_eq(p.threads[1].pu, 6);
	ck_assert_int_eq(p.threads[2].pu, 1);
	ck_assert_int_eq(p.threads[3].pu, 7);
	ck_assert_int_eq(p.threads[4].pu, 0);
	described(t, &p,
		  "1 mutator, 4 mark workers: 3 on cores with other workers, 1 on a mutator's CPU "
		  "(2 cores "
		  "allowed)");
	sm_placement_free(&p);
	refused(t, SM_PLACE_ONE_PER_CORE, 1, SM_MARK_DEDICATED, 2, "auto");
	sm_topology_free(t);
}
END_TEST

START_TEST(test_remote_node)
{
	struct sm_topology *t = synthetic("numa:2 core:4 pu:1");
	struct sm_placement p = plan(t, SM_PLACE_COMPACT, 2, SM_MARK_REMOTE_NODE, 2);

	ck_assert_int_ne(p.threads[2].node, p.threads[0].node);
	ck_assert_int_ne(p.threads[3].node, p.threads[1].node);
	sm_placement_free(&p);
	refused(t, SM_PLACE_COMPACT, 2, SM_MARK_REMOTE_NODE, 5, "--workers 5");
	sm_topology_free(t);
	t = synthetic("numa:1 core:4 pu:1");
	refused(t, SM_PLACE_COMPACT, 1, SM_MARK_REMOTE_NODE, 1, "one node");
	sm_topology_free(t);
}
END_TEST

START_TEST(test_limits_and_none)
{
	struct sm_topology *t = synthetic("core:2 pu:1");
	struct sm_placement p;

	refused(t, SM_PLACE_COMPACT, 3, SM_MARK_NONE, 0, "--threads 3");
	refused(t, SM_PLACE_SCATTER, 3, SM_MARK_NONE, 0, "1 to 2");
	refused(t, SM_PLACE_PER_NODE, 3, SM_MARK_NONE, 0, "per-node");
	refused(t, SM_PLACE_COMPACT, 2, SM_MARK_DEDICATED, 1, "dedicated");
	p = plan(t, SM_PLACE_NONE, 100, SM_MARK_NONE, 3);
	ck_assert_int_eq(p.threads[102].pu_os, SM_NONE);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_NONE, 2, SM_MARK_SHARED, 2); /* no thread to share with: any PU */
	ck_assert_int_ge(p.threads[2].pu, 0);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_COMPACT, 0, SM_MARK_DEDICATED, 2);
	no_pu_twice(&p);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

/* Under a cgroup or taskset only the allowed PUs count, and a lone second sibling is its core's
 * first. */
START_TEST(test_disallowed_pus)
{
	struct sm_topology *t = synthetic("numa:2 core:2 pu:2");
	struct sm_placement p;

	for (int i = 0; i < 8; i += 2)
		t->pus[i].allowed = false;
	t->n_allowed = 4;
	p = plan(t, SM_PLACE_ONE_PER_CORE, 4, SM_MARK_NONE, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(p.threads[i].pu, 2 * (int)i + 1);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_SCATTER, 2, SM_MARK_DEDICATED, 2);
	no_pu_twice(&p);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_PER_NODE, 4, SM_MARK_NONE, 0);
	no_pu_twice(&p);
	sm_placement_free(&p);
	refused(t, SM_PLACE_COMPACT, 5, SM_MARK_NONE, 0, "4");
	sm_topology_free(t);
}
END_TEST

START_TEST(test_large_machine)
{
	struct sm_topology *t = synthetic("pack:16 numa:4 l3:2 core:4 pu:2");
	struct sm_placement p = plan(t, SM_PLACE_SCATTER, 1024, SM_MARK_SHARED, 4);
	char *seen = calloc(1024, 1);

	for (unsigned i = 0; i < 1024; i++) {
		ck_assert(!seen[p.threads[i].pu]);
		seen[p.threads[i].pu] = 1;
	}
	free(seen);
	sm_placement_free(&p);
	p = plan(t, SM_PLACE_PER_NODE, 64, SM_MARK_DEDICATED, 64);
	sm_placement_free(&p);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_names)
{
	enum sm_place p;
	enum sm_mark_place m;
	char err[200];

	ck_assert_int_eq(sm_place_parse("per-node", &p, err, sizeof(err)), 0);
	ck_assert_int_eq(p, SM_PLACE_PER_NODE);
	ck_assert_str_eq(sm_place_name(p), "per-node");
	ck_assert_int_eq(sm_mark_place_parse("sibling", &m, err, sizeof(err)), 0);
	ck_assert_str_eq(sm_mark_place_name(m), "sibling");
	ck_assert_int_eq(sm_place_parse("dense", &p, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "compact, scatter"));
	ck_assert_int_eq(sm_mark_place_parse("", &m, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "dedicated, shared"));
}
END_TEST

int main(void)
{
	return SM_SUITE("placement", 60, SM_T(test_compact_fills_cores), SM_T(test_scatter_spreads),
			SM_T(test_per_node_is_even), SM_T(test_per_node_takes_cores_first),
			SM_T(test_one_per_core), SM_T(test_dedicated_workers),
			SM_T(test_shared_and_sibling), SM_T(test_unpinned_in_words),
			SM_T(test_auto_small_machines), SM_T(test_auto_large_machines),
			SM_T(test_auto_follows_the_nodes), SM_T(test_auto_in_a_cpuset),
			SM_T(test_remote_node), SM_T(test_limits_and_none),
			SM_T(test_disallowed_pus), SM_T(test_large_machine), SM_T(test_names));
}
