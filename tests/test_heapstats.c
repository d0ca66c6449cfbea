/* Figures: on a heap at rest they add up, and the two written forms say the same. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/heapstats.h"
#include "allocator/malloc.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"

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

/* cpu or thread: objects in use are what the test holds, the rest of in_use is cached or in the depot. */
static void check_manual(const char *mode)
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
	ck_assert(figure(json, "schema_version") == 1);
	ck_assert(figure(json, "slot_bytes") == (double)st.slot_bytes);
	ck_assert(figure(json, "in_use_bytes") == (double)st.in_use_bytes);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "classes")), (int)st.nclasses - 1);
	cJSON_Delete(json);
	free(text);
	text = written(sm_heap_stats_print, h);
	ck_assert_ptr_nonnull(strstr(text, "mapped_bytes"));
	ck_assert_ptr_nonnull(strstr(text, "   704 "));
	free(text);
	for (unsigned i = 0; i < 1000; i++)
		sm_free(p[i]);
}

START_TEST(the_manual_heap_with_caches_per_thread)
{
	check_manual("thread");
}
END_TEST

START_TEST(the_manual_heap_with_caches_per_cpu)
{
	check_manual("cpu");
}
END_TEST

START_TEST(the_manual_heap_without_caches)
{
	check_manual("none");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heapstats");
	TCase *t = tcase_create("heapstats");

	tcase_add_test(t, a_collected_heap_adds_up);
	tcase_add_test(t, the_manual_heap_with_caches_per_thread);
	tcase_add_test(t, the_manual_heap_with_caches_per_cpu);
	tcase_add_test(t, the_manual_heap_without_caches);
	suite_add_tcase(s, t);
	return sm_test_run(s);
}
