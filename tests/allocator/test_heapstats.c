/* Figures: on a heap at rest they add up, and the two written forms say the same. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/cache_cpu.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/depot.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

START_TEST(a_collected_heap_adds_up)
{
	const struct sm_layout none = {.kind = SM_SCAN_NONE, .period = 1};
	struct sm_heap_stats st;
	struct marksim m;
	struct sm_cache *c;

	marksim_init(&m, NULL);
	c = marksim_cache_new(&m);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(sm__cache_tiny(c, 8, 8));
	for (unsigned bin = 3; bin < 20; bin++)
		ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
	ck_assert_ptr_nonnull(sm__cache_large(c, 100000, &none, false));
	sm__cache_retire_all(c);
	sm_heap_stats(m.heap, &st);
	ck_assert_uint_eq(st.version, SM_HEAP_STATS_VERSION);
	ck_assert_uint_eq(st.cls[2].in_use, 500);
	ck_assert_uint_eq(st.cls[5].in_use, 1);
	ck_assert_uint_eq(st.large_objects, 1);
	ck_assert_uint_eq(st.cached_bytes, 0);
	ck_assert_uint_eq(st.caches, 1);
	/* Every byte taken is in a slot or a large object. */
	ck_assert_uint_eq(st.slot_bytes + st.large_bytes, st.allocated_bytes);
	ck_assert_uint_eq(st.in_use_bytes + st.free_bytes + st.released_bytes, st.committed_bytes);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

static double figure(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	ck_assert_msg(cJSON_IsNumber(item), "%s is missing", name);
	return item->valuedouble;
}

static char *written(void (*fn)(struct sm_heap *, FILE *), struct sm_heap *h)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	fn(h, f);
	fclose(f);
	return text;
}

/* cpu or thread: objects in use are what the test holds, the rest of in_use is cached or in the
 * depot. */
static void check_malloc(const char *mode)
{
	struct sm_heap *h;
	struct sm_heap_stats st;
	void *p[3000];
	char err[256], *text;
	uint64_t objects = 0;
	cJSON *json;

	ck_assert_int_eq(sm_malloc_configure("cache.mode", mode, err, sizeof(err)), 0);
	for (unsigned i = 0; i < 3000; i++)
		p[i] = sm_malloc(i % 700);
	for (unsigned i = 1000; i < 3000; i++)
		sm_free(p[i]);
	h = sm_malloc_heap();
	sm_heap_stats(h, &st);
	for (unsigned cls = 1; cls < st.nclasses; cls++) {
		ck_assert_uint_ge(st.cls[cls].in_use, st.cls[cls].cached + st.cls[cls].depot);
		objects += st.cls[cls].in_use - st.cls[cls].cached - st.cls[cls].depot;
	}
	ck_assert_uint_eq(objects, 1000);
	text = written(sm_heap_stats_json, h);
	json = cJSON_Parse(text);
	ck_assert_msg(json != NULL, "not JSON: %s", text);
	ck_assert(figure(json, "schema_version") == SM_HEAP_STATS_VERSION);
	ck_assert(figure(json, "slot_bytes") == (double)st.slot_bytes);
	ck_assert(figure(json, "in_use_bytes") == (double)st.in_use_bytes);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "classes")),
			 (int)st.nclasses - 1);
	cJSON_Delete(json);
	free(text);
	text = written(sm_heap_stats_print, h);
	ck_assert_ptr_nonnull(strstr(text, "mapped_bytes"));
	/* The row of the largest requests; which slots serve them depends on what a unit is. */
	snprintf(err, sizeof(err), "   %u ",
		 (unsigned)sm__sizeclasses[sm_size_class(704)].slot_bytes);
	ck_assert_msg(strstr(text, err) != NULL, "no '%s' in:\n%s", err, text);
	free(text);
	for (unsigned i = 0; i < 1000; i++)
		sm_free(p[i]);
}

START_TEST(the_malloc_heap_with_caches_per_thread)
{
	check_malloc("thread");
}
END_TEST

START_TEST(the_malloc_heap_with_caches_per_cpu)
{
	check_malloc("cpu");
}
END_TEST

START_TEST(the_malloc_heap_without_caches)
{
	check_malloc("none");
}
END_TEST

/* ---- by core and class -------------------------------------------------------------------- */

static unsigned stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	return (unsigned)cpu;
}

/* Every allocation is a hit or comes with a refill: so many there were, on this core and on no
 * other. */
static struct sm_core_class exactly(struct sm_heap *h, unsigned cpu, unsigned cls,
				    uint64_t allocations)
{
	struct sm_heap_stats all;
	struct sm_core_stats st;
	struct sm_core_class k;

	ck_assert_int_eq(sm_heap_core_stats(h, cpu, &st), 0);
	ck_assert_uint_eq(st.version, SM_CORE_STATS_VERSION);
	k = st.cls[cls];
	ck_assert_uint_eq(k.hits + k.refills, allocations);
	sm_heap_stats(h, &all);
	ck_assert_int_eq(memcmp(&k, &all.cls[cls].cores, sizeof(k)), 0);
	for (unsigned other = 0; sm_heap_core_stats(h, other, &st) == 0; other++)
		if (other != cpu)
			ck_assert_uint_eq(
				st.cls[cls].hits + st.cls[cls].refills + st.cls[cls].held_bytes, 0);
	ck_assert_int_eq(sm_heap_core_stats(h, h->ncpus, &st), -ENOENT);
	return k;
}

static void *passing_by(void *arg)
{
	for (unsigned i = 0; i < 700; i++)
		sm_free(sm_malloc(128));
	return arg;
}

START_TEST(hits_of_lists_are_every_allocation_that_was_no_refill)
{
	unsigned cpu = stay_here(), cls = sm_size_class(64);
	struct sm_core_class k;
	void *p[3000];
	pthread_t t;

	for (unsigned i = 0; i < 3000; i++)
		p[i] = sm_malloc(64);
	k = exactly(sm_malloc_heap(), cpu, cls, 3000);
	ck_assert_uint_gt(k.refills, 1);
	for (unsigned i = 0; i < 3000; i++)
		sm_free(p[i]);
	ck_assert_uint_gt(exactly(sm_malloc_heap(), cpu, cls, 3000).overflows, 1);
	for (unsigned i = 0; i < 100000; i++)
		sm_free(sm_malloc(64));
	k = exactly(sm_malloc_heap(), cpu, cls, 103000);
	ck_assert_uint_gt(k.held_bytes, 0);
	sm_malloc_trim();
	ck_assert_uint_eq(exactly(sm_malloc_heap(), cpu, cls, 103000).held_bytes, 0);
	/* A thread's figures stay when it goes; the next one begins with none of them. */
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(pthread_create(&t, NULL, passing_by, NULL), 0);
		pthread_join(t, NULL);
		exactly(sm_malloc_heap(), cpu, sm_size_class(128), 700 * i);
	}
}
END_TEST

static void *new_in(struct sm_cache *c, unsigned bin)
{
	void *p = sm__cache_bump(c, bin);

	return p ? p : sm__cache_refill_slow(c, bin);
}

static void count_slots(void *ctx, struct sm_span *s, unsigned first, unsigned count)
{
	(void)s;
	(void)first;
	*(unsigned *)ctx += count;
}

/* Windows of threads and of CPUs. */
START_TEST(hits_of_windows_are_every_allocation_that_was_no_refill)
{
	unsigned cpu = stay_here(), cls = sm_size_class(80), seen = 0;
	struct sm_core_stats st;
	struct sm_core_class k;
	struct marksim m;
	struct sm_cache *c;

	marksim_init(&m, (const char *const[]){_i ? "cache.mode=cpu" : "cache.mode=thread", NULL});
	c = marksim_cache_new(&m);
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_ptr_nonnull(new_in(c, cls));
	k = exactly(m.heap, cpu, cls, 5000);
	ck_assert_uint_gt(k.refills, 1);
	ck_assert_uint_gt(k.held_bytes, 0);
	if (m.heap->cpus != NULL) {
		/* A cycle begins, and another one without anything having happened here: then it is
		 * idle. */
		sm__cache_foreach_cpu_window(m.heap, count_slots, &seen);
		ck_assert_uint_eq(seen * 80, k.held_bytes);
		sm__cache_foreach_cpu_window(m.heap, count_slots, &seen);
		ck_assert_uint_eq(seen * 80, k.held_bytes);
		ck_assert_int_eq(sm_heap_core_stats(m.heap, cpu, &st), 0);
		ck_assert_uint_eq(st.drains, 1);
	}
	sm__cache_retire_all(c);
	ck_assert_uint_eq(exactly(m.heap, cpu, cls, 5000).held_bytes, 0);
	/* An allocation is a sign of life. */
	ck_assert_ptr_nonnull(new_in(c, cls));
	if (m.heap->cpus != NULL) {
		seen = 0;
		sm__cache_foreach_cpu_window(m.heap, count_slots, &seen);
		ck_assert_uint_gt(seen, 0);
		ck_assert_ptr_nonnull(new_in(c, cls));
		sm__cache_foreach_cpu_window(m.heap, count_slots, &seen);
		ck_assert_int_eq(sm_heap_core_stats(m.heap, cpu, &st), 0);
		ck_assert_uint_eq(st.drains, 1);
	}
	marksim_cache_free(c);
	marksim_advance(&m);
	marksim_sweep_all(&m);
	marksim_fini(&m);
}
END_TEST

/*
 * Lists of CPUs: each allocation is a hit or a refill, whichever CPU this thread is on, and objects
 * that are moved away without being allocated are neither.
 */
START_TEST(lists_of_cpus_count_hits)
{
	struct sm_heap *h;
	struct sm_heap_stats st;
	char err[256], *text;
	static void *p[5000];
	cJSON *json;

	ck_assert_int_eq(sm_malloc_configure("cache.mode", "cpu", err, sizeof(err)), 0);
	h = sm_malloc_heap();
	if (!(sm__process_heap.nslabs != 0))
		SM_SKIP("no caches of CPUs here");
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5000; i++)
			p[i] = sm_malloc(64);
		for (int i = 0; i < 5000; i++)
			sm_free(p[i]);
	}
	sm_malloc_trim();
	sm_heap_stats(h, &st);
	ck_assert_uint_gt(st.overflows, 0);
	ck_assert_uint_gt(st.refills, 0);
	ck_assert_uint_eq(st.hits + st.refills, 20 * 5000);
	text = written(sm_heap_stats_json, h);
	json = cJSON_Parse(text);
	ck_assert(figure(json, "hits") == (double)st.hits);
	cJSON_Delete(json);
	free(text);
}
END_TEST

int main(void)
{
	return SM_SUITE("heapstats", 0, SM_T(a_collected_heap_adds_up),
			SM_T(the_malloc_heap_with_caches_per_thread),
			SM_T(the_malloc_heap_with_caches_per_cpu),
			SM_T(the_malloc_heap_without_caches),
			SM_T(hits_of_lists_are_every_allocation_that_was_no_refill),
			SM_LOOP(hits_of_windows_are_every_allocation_that_was_no_refill, 0, 2),
			SM_T(lists_of_cpus_count_hits));
}
