/* Each workload at small sizes: what it reports is what its definition says, on every backend it
 * has. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"

/* Nodes of all short-lived trees, by the definition in the workload's contract. */
static int64_t short_lived_nodes(int depth)
{
	int64_t nodes = 0;

	for (int d = 4; d <= depth; d += 4)
		nodes += ((int64_t)1 << (depth - d + 4)) * (((int64_t)1 << (d + 1)) - 1);
	return nodes;
}

/* ---- binary-trees ------------------------------------------------------------------------- */

START_TEST(trees_formula)
{
	ck_assert_int_eq(short_lived_nodes(18), 33274816);
	ck_assert_int_eq(((int64_t)1 << 19) - 1, 524287);
}
END_TEST

START_TEST(trees_counts)
{
	static const int depths[] = {4, 5, 8, 11, 12, 13};
	EACH_BACKEND(b, "binary-trees")
	for (unsigned i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
		for (int threads = 1; threads <= 3; threads++) {
			char text[64];

			snprintf(text, sizeof(text), "depth=%d threads=%d", depths[i], threads);
			ok("binary-trees", (enum sm_wl_backend)b, text, "");
			ck_assert_int_eq(integer("check"), short_lived_nodes(depths[i]));
			ck_assert_int_eq(integer("long_lived"), ((int64_t)2 << depths[i]) - 1);
			ck_assert_int_eq(integer("ops"), integer("check") + integer("long_lived"));
			ck_assert(number("wall_s") > 0 && number("ns_per_op") > 0);
			sm_sample_free(&sample);
		}
}
END_TEST

/* A small heap makes it collect all the time; the verifier looks after every cycle. */
START_TEST(trees_collect)
{
	static const char *const settings[] = {
		"gc.mode=stw gc.verify=1 gc.min_heap=1m",
		"gc.mode=concurrent gc.min_heap=1m",
	};

	ok("binary-trees", SM_WL_GC, "depth=15 threads=2", settings[_i]);
	ck_assert_int_eq(integer("check"), short_lived_nodes(15));
	ck_assert_int_gt(integer("gc_cycles"), 0);
	ck_assert_int_eq(integer("verify_errors"), 0);
	sm_sample_free(&sample);
}
END_TEST

/* ---- graph -------------------------------------------------------------------------------- */

START_TEST(graph_marks_all)
{
	ok("graph", SM_WL_GC, "objects=20000 collections=3", "gc.verify=1");
	ck_assert_int_ge(integer("marked"), 20000);
	/* What stale words on the stack may keep is a handful. */
	ck_assert_int_le(integer("marked"), 20000 + 100);
	ck_assert(number("mark_objects_per_s") > 0);
	ck_assert(number("memory_bound_loads_per_s") > 0);
	ck_assert_int_ge(integer("gc_cycles"), 3);
	sm_sample_free(&sample);
	ok("graph", SM_WL_GC, "objects=300 size=4096 edges=512 collections=2", "gc.verify=1");
	ck_assert_int_ge(integer("marked"), 300);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(graph_with_writers)
{
	ok("graph", SM_WL_GC, "objects=200000 collections=10 threads=3", "gc.verify=1");
	ck_assert_int_ge(integer("marked"), 200000);
	ck_assert(number("writer_stores_per_s") > 0);
	ck_assert(number("writer_stores_per_s_calm") > 0);
	ck_assert(number("writer_store_ns_calm") > 0);
	ck_assert(number("writer_store_ns_marking") > 0);
	ck_assert(number("writer_slowdown") > 0);
	ck_assert_int_eq(integer("verify_errors"), 0);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(graph_refuses)
{
	ck_assert_int_ne(run_with("graph", SM_WL_GC, "objects=10 size=64 edges=9", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "edges=9: must be at most 8"));
	ck_assert_uint_eq(sample.nresults, 0);
	sm_sample_free(&sample);
}
END_TEST

/* ---- churn -------------------------------------------------------------------------------- */

START_TEST(churn_sizes)
{
	static const int sizes[] = {8, 16, 64, 1000, 1024, 5000, 40000};
	EACH_BACKEND(b, "churn")
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char text[96];

		snprintf(text, sizeof(text), "size=%d ops=3000 live=%u threads=%u", sizes[i],
			 i * 50 + 1, i % 3 + 1);
		ok("churn", (enum sm_wl_backend)b, text, "");
		ck_assert_int_eq(integer("ops"), 3000 * (int)(i % 3 + 1));
		sm_sample_free(&sample);
	}
	/* Fewer operations than entries: the rest stays empty. */
	ok("churn", SM_WL_GC, "size=64 ops=10 live=100", "");
	sm_sample_free(&sample);
}
END_TEST

/* ---- ring --------------------------------------------------------------------------------- */

/* The mean of the steps is at most the longest, but for what comes between them and the borders of
 * the timed part: the thread loses its CPU there now and then, not ten times. */
static void ring_of(enum sm_wl_backend b, const char *params)
{
	for (unsigned tries = 1;; tries++) {
		ok("ring", b, params, "gc.min_heap=2m");
		ck_assert(number("p50_us") >= 0);
		ck_assert(number("p50_us") <= number("p99_us"));
		ck_assert(number("p99_us") <= number("p999_us"));
		ck_assert(number("p999_us") <= number("p9999_us"));
		ck_assert(number("p9999_us") <= number("max_us"));
		if (number("ns_per_op") <= number("max_us") * 1000 * 1.05)
			break;
		ck_assert_uint_lt(tries, 10);
		sm_sample_free(&sample);
	}
}

/* The workload is a server's: its requests have latencies, its mutators a curve. */
static void serves(enum sm_wl_backend b, int64_t requests)
{
	const struct sm_result *mmu = sm_sample_result(&sample, "mmu_1ms");

	ck_assert_int_eq(integer("requests"), requests);
	ck_assert(number("request_p99_us") > 0);
	ck_assert(number("metered_100ms_p99_us") >= number("request_p99_us"));
	ck_assert(number("metered_full_p99_us") >= number("request_p99_us"));
	if ((b != SM_WL_GC && b != SM_WL_BDWGC) || number("wall_s") < 1e-3)
		ck_assert(!mmu->has_value);
	else
		ck_assert(mmu->value >= 0 && mmu->value <= 100);
}

START_TEST(ring_latencies)
{
	static const char *const cases[] = {
		"live=2 size=8 ops=1000",
		"live=2000 size=1024 ops=50000",
		"live=20 size=100000 ops=500",
	};
	EACH_BACKEND(b, "ring")
	for (unsigned i = 0; i < 3; i++) {
		ring_of((enum sm_wl_backend)b, cases[i]);
		ck_assert(number("p50_us") <= number("p90_us"));
		ck_assert(number("p90_us") <= number("p99_us"));
		serves((enum sm_wl_backend)b, i == 0 ? 15 : i == 1 ? 781 : 7);
		if (b == SM_WL_GC)
			ck_assert(number("stall_max_us") >= 0);
		else if (b != SM_WL_BDWGC)
			ck_assert(!sm_sample_result(&sample, "stall_max_us")->has_value);
		sm_sample_free(&sample);
	}
}
END_TEST

/* ---- slices ------------------------------------------------------------------------------- */

/* Every "before" line has an "after" line of the same address and contents, whatever dies around
 * the arrays. */
START_TEST(slices_output)
{
	char *before, *after, *line;
	unsigned n = 0;

	ok("slices", SM_WL_GC, _i == 0 ? "sizes=10,20,30" : "sizes=10,20,30 around=1000",
	   "gc.compact=off");
	ck_assert_int_eq(integer("slices"), 3);
	ck_assert_int_eq(integer("intact"), 3);
	ck_assert_int_eq(integer("moved"), 0);
	ck_assert_ptr_nonnull(strstr(sample.output, "0 1 4 9 16 25 36 49 64 81\n"));
	ck_assert_ptr_nonnull(strstr(sample.output, " 841\n"));
	after = strstr(sample.output, "after ");
	for (before = strtok_r(sample.output, "\n", &line); strncmp(before, "before ", 7) == 0;
	     before = strtok_r(NULL, "\n", &line), n++) {
		char *slice = strstr(before, "slice"), *same = strstr(after, slice);

		ck_assert_msg(same != NULL && same[strlen(slice)] == '\n', "'%s' differs after",
			      slice);
	}
	ck_assert_uint_eq(n, 3);
	sm_sample_free(&sample);
}
END_TEST

/* A line of the kind for each slice; they tell its contents, whatever its address. */
static void check_lines(const char *when)
{
	static const char *const ends[] = {" [10]: 0 1 4 9 16 25 36 49 64 81\n", " 289 324 361\n",
					   " 729 784 841\n"};
	const char *at = sample.output;

	for (unsigned i = 0; i < 3; i++) {
		char slice[32];

		snprintf(slice, sizeof(slice), "%s slice %u 0x", when, i);
		at = strstr(at, slice);
		ck_assert_ptr_nonnull(at);
		ck_assert_ptr_nonnull(strstr(at, ends[i]));
	}
}

/* Where few arrays are left around them, they move, as the addresses that are printed do; what they
 * hold does not change. The default makes room for it. */
START_TEST(slices_move)
{
	char line[100], text[64];
	const struct sm_param_desc *around = sm_workload_find("slices", line, sizeof(line))->params;
	int64_t moved = 0;

	while (strcmp(around->name, "around") != 0)
		around++;
	snprintf(text, sizeof(text), "sizes=10,20,30 around=%lld", (long long)around->def);
	ok("slices", SM_WL_GC, text, "gc.compact=full gc.verify=1");
	ck_assert_int_eq(integer("slices"), 3);
	ck_assert_int_eq(integer("intact"), 3);
	check_lines("before");
	check_lines("after ");
	for (unsigned i = 0; i < 3; i++) {
		const char *before, *end;

		snprintf(line, sizeof(line), "slice %u 0x", i);
		before = strstr(sample.output, line);
		end = strchr(before, ' ') + 1;
		end = strchr(strchr(end, ' ') + 1, ' ');
		snprintf(line, sizeof(line), "after  %.*s", (int)(end - before), before);
		moved += strstr(sample.output, line) == NULL;
	}
	ck_assert_int_eq(integer("moved"), moved);
	ck_assert_int_gt(moved, 0);
	ck_assert_int_gt(integer("moved_objects"), 30);
	ck_assert_int_eq(integer("compactions"), 1);
	sm_sample_free(&sample);
}
END_TEST

/* ---- gcbench ------------------------------------------------------------------------------ */

/* By the definition: as many trees of depth d from the root down as from the leaves up. */
static int64_t gcbench_nodes(int stretch, int longest)
{
	int64_t nodes = 0;

	for (int d = 4; d <= longest; d += 2) {
		int64_t tree = ((int64_t)1 << (d + 1)) - 1;

		nodes += 2 * (2 * (((int64_t)1 << (stretch + 1)) - 1) / tree) * tree;
	}
	return nodes;
}

START_TEST(gcbench_counts)
{
	/* Boehm's sizes: 14678504 nodes in the short-lived trees. */
	ck_assert_int_eq(gcbench_nodes(18, 16), 14678504);
	EACH_BACKEND(b, "gcbench")
	for (int threads = 1; threads <= 3; threads += 2) {
		char text[96];

		snprintf(text, sizeof(text),
			 "stretch=11 long_lived=9 longest=8 array=1000 threads=%d", threads);
		ok("gcbench", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		ck_assert_int_eq(integer("check"), gcbench_nodes(11, 8));
		ck_assert_int_eq(integer("long_lived"), 1023);
		ck_assert_int_eq(integer("ops"), gcbench_nodes(11, 8) + 4095 + 1023);
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(gcbench_refuses)
{
	ck_assert_int_eq(run_with("gcbench", SM_WL_LIBC, "stretch=4 longest=5", ""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(sample.error, "longest=5: must be at most stretch, 4"));
	sm_sample_free(&sample);
}
END_TEST

/* ---- handoff, larson ---------------------------------------------------------------------- */

/* A queue of one object, shorter and longer than the number of objects. */
START_TEST(handoff_arrives)
{
	/* A short queue hands over at each switch of threads, where there are few CPUs. */
	static const char *const queues[] = {"queue=1", "queue=7", "queue=100k"};
	static const int ops[] = {200, 2000, 20000};

	EACH_BACKEND(b, "handoff")
	for (int threads = 2; threads <= 4; threads += 2) {
		char text[96];

		snprintf(text, sizeof(text), "ops=%d size=%d threads=%d %s", ops[_i],
			 _i == 1 ? 8 : 96, threads, queues[_i]);
		ok("handoff", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		ck_assert_int_eq(integer("ops"), ops[_i] * threads / 2);
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(handoff_refuses)
{
	ck_assert_int_ne(run_with("handoff", SM_WL_LIBC, "threads=3", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "threads=3: must be even"));
	sm_sample_free(&sample);
}
END_TEST

START_TEST(larson_replaces)
{
	EACH_BACKEND(b, "larson")
	for (int threads = 1; threads <= 3; threads++) {
		char text[96];

		snprintf(text, sizeof(text),
			 "ops=5000 live=300 min_size=8 max_size=%d generations=3 threads=%d",
			 threads == 1 ? 8 : 3000, threads);
		ok("larson", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		ck_assert_int_eq(integer("ops"), 5000 * 3 * threads);
		serves((enum sm_wl_backend)b, 78 * 3 * threads);
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(larson_refuses)
{
	ck_assert_int_ne(run_with("larson", SM_WL_LIBC, "min_size=64 max_size=63", ""), 0);
	ck_assert_ptr_nonnull(strstr(sample.error, "min_size=64: must be at most max_size, 63"));
	sm_sample_free(&sample);
}
END_TEST

/* ---- lru-cache, strings, linked-list ------------------------------------------------------ */

/* The cube of a uniform number below 1 is below 1/4 with probability 0.63, so a cache of a quarter
 * of the keys, kept by use, hits somewhat less. One of all keys hits but for each key's first. */
START_TEST(lru_cache_hits)
{
	double hits[SM_WL_COUNT];

	EACH_BACKEND(b, "lru-cache")
	{
		ok("lru-cache", (enum sm_wl_backend)b, "live=500 ops=50000 size=48 threads=2",
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		hits[b] = number("hit_share");
		ck_assert_msg(hits[b] > 40 && hits[b] < 63, "%.2f %%", hits[b]);
		ck_assert_msg(hits[b] == hits[0], "%.2f and %.2f %%", hits[b], hits[0]);
		ck_assert_int_eq(integer("ops"), 100000);
		sm_sample_free(&sample);
		ok("lru-cache", (enum sm_wl_backend)b, "live=1 ops=1000 size=8", "");
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(strings_join)
{
	EACH_BACKEND(b, "strings")
	{
		ok("strings", (enum sm_wl_backend)b, "live=300 ops=30000 threads=2",
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m" : "");
		ck_assert_int_eq(integer("ops"), 2 * 30300);
		sm_sample_free(&sample);
		ok("strings", (enum sm_wl_backend)b, "live=1 ops=1000 longest=1", "");
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(linked_list_stays)
{
	EACH_BACKEND(b, "linked-list")
	for (int size = 16; size <= 2000; size *= 5) {
		char text[64];

		snprintf(text, sizeof(text), "objects=3000 rounds=2 size=%d", size);
		ok("linked-list", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.mark_stack=1k" : "");
		ck_assert_int_eq(integer("ops"), 9000);
		if (b == SM_WL_GC)
			ck_assert_int_ge(integer("gc_cycles"), 2);
		sm_sample_free(&sample);
	}
}
END_TEST

/* All that every backend's run checks: new lists, those that die old, and those that stay; the
 * same counts on each. */
START_TEST(young_garbage_stays_whole)
{
	EACH_BACKEND(b, "young-garbage")
	for (int keep = 1; keep <= 100; keep *= 10) {
		char text[96];

		snprintf(text, sizeof(text), "live=500 burst=5 ops=20000 keep=%d threads=2 size=%d",
			 keep, 16 + keep * 8);
		ok("young-garbage", (enum sm_wl_backend)b, text,
		   b == SM_WL_GC ? "gc.verify=1 gc.min_heap=1m gc.sync=1 gc.generations=on" : "");
		ck_assert_int_eq(integer("ops"), 40000);
		if (b == SM_WL_GC && keep > 1) {
			ck_assert_int_gt(integer("minor_cycles"), 0);
			ck_assert_int_lt(integer("minor_cycles"), integer("gc_cycles") + 1);
		}
		sm_sample_free(&sample);
	}
}
END_TEST

/* ---- bdwgc -------------------------------------------------------------------------------- */

/* It collects, and its longest stop is no longer than all of them, nor these than its cycles. */
START_TEST(bdwgc_tells_what_it_does)
{
	if (!runs_on("binary-trees", SM_WL_BDWGC))
		return;
	ok("binary-trees", SM_WL_BDWGC, "depth=14 threads=3", "");
	ck_assert_int_gt(integer("gc_cycles"), 0);
	/* Two pointers a node, and no more than four times that. */
	ck_assert_int_ge(integer("alloc_bytes"), integer("ops") * 16);
	ck_assert_int_lt(integer("alloc_bytes"), integer("ops") * 64);
	ck_assert_double_gt(number("stall_max_us"), 0);
	/* Three mutators wait for each stop. */
	ck_assert_double_le(number("stall_max_us") * 1000 * 3, number("stall_total_ns") * 1.001);
	ck_assert_double_le(number("stall_total_ns") / 3, number("cycle_ns"));
	ck_assert(!sm_sample_result(&sample, "mark_objects_per_s")->has_value);
	sm_sample_free(&sample);
	/* A stop is in some window of a millisecond. */
	ok("ring", SM_WL_BDWGC, "live=2000 size=1024 ops=50000", "");
	ck_assert_int_gt(integer("gc_cycles"), 0);
	if (number("wall_s") >= 1e-3)
		ck_assert_double_lt(number("mmu_1ms"), 100);
	sm_sample_free(&sample);
	/* What its settings are not is said. */
	ok("churn", SM_WL_BDWGC, "ops=100", "gc.mode=stw");
	ck_assert_ptr_nonnull(
		strstr(sample.warnings, "gc.mode=stw has no effect on backend bdwgc"));
	ck_assert_int_eq(integer("gc_cycles"), 0);
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("workloads", 60, SM_T(trees_formula), SM_T(trees_counts),
			SM_LOOP(trees_collect, 0, 2), SM_T(graph_marks_all),
			SM_T(graph_with_writers), SM_T(graph_refuses), SM_T(churn_sizes),
			SM_T(ring_latencies), SM_LOOP(slices_output, 0, 2), SM_T(slices_move),
			SM_T(gcbench_counts), SM_T(gcbench_refuses), SM_LOOP(handoff_arrives, 0, 3),
			SM_T(handoff_refuses), SM_T(larson_replaces), SM_T(larson_refuses),
			SM_T(lru_cache_hits), SM_T(strings_join), SM_T(linked_list_stays),
			SM_T(young_garbage_stays_whole), SM_T(bdwgc_tells_what_it_does));
}
