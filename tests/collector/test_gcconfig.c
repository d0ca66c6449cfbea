/* test_gcconfig: every key takes what its help says and refuses the rest in one line; presets; what
 * is passed on. */
#include <errno.h>

#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc_config cfg;
static char err[200];

static int set(const char *key, const char *value)
{
	err[0] = '\0';
	return sm_gc_config_set(&cfg, key, value, err, sizeof(err));
}

START_TEST(every_key)
{
	size_t n = 0;

	sm_gc_config_init(&cfg);
	for (const struct sm_config_key *k = sm_gc_config_keys(); k->name; k++, n++) {
		ck_assert_int_eq(strncmp(k->name, "gc.", 3), 0);
		ck_assert(k->help && k->values);
		ck_assert_int_eq(set(k->name, "nonsense"), -EINVAL);
		/* One line, naming the key and what is allowed. */
		ck_assert_ptr_nonnull(strstr(err, k->name));
		ck_assert_ptr_nonnull(strstr(err, k->values));
		ck_assert_ptr_null(strchr(err, '\n'));
		ck_assert_int_eq(set(k->name, ""), -EINVAL);
		ck_assert_int_eq(set(k->name, "-1"), -EINVAL);
		ck_assert_int_eq(set(k->name, "99999999999999999999999"), -EINVAL);
	}
	ck_assert_uint_ge(n, 18);
}
END_TEST

/* What the help says is taken: each word, both ends of a range, and a size. */
START_TEST(what_help_says)
{
	for (const struct sm_config_key *k = sm_gc_config_keys(); k->name; k++) {
		char text[100], *item, *rest = text, *dots = strstr(k->values, "..");

		sm_gc_config_init(&cfg);
		snprintf(text, sizeof(text), "%s", k->values);
		if (strcmp(k->values, "size") == 0) {
			ck_assert_msg(set(k->name, "1m") == 0, "%s", err);
			continue;
		}
		if (dots) {
			text[dots - k->values] = '\0';
			ck_assert_msg(set(k->name, text) == 0, "%s", err);
			ck_assert_msg(set(k->name, dots + 2) == 0, "%s", err);
			continue;
		}
		while ((item = strsep(&rest, "|")) != NULL)
			ck_assert_msg(set(k->name, item) == 0, "%s", err);
	}
}
END_TEST

START_TEST(values)
{
	sm_gc_config_init(&cfg);
	ck_assert_int_eq(cfg.mode, SM_GC_CONCURRENT);
	ck_assert_int_eq(set("gc.mode", "stw"), 0);
	ck_assert_int_eq(cfg.mode, SM_GC_STW);
	ck_assert_int_eq(set("gc.percent", "250"), 0);
	ck_assert_uint_eq(cfg.growth_percent, 250);
	ck_assert_int_eq(set("gc.percent", "10001"), -EINVAL);
	ck_assert_int_eq(set("gc.min_heap", "3m"), 0);
	ck_assert_uint_eq(cfg.min_heap, 3 * SM_MIB);
	ck_assert_int_eq(set("gc.mark", "spans"), 0);
	ck_assert_int_eq(set("gc.mark", "rows"), -EINVAL);
	ck_assert_int_eq(set("gc.kernel", "portable"), 0);
	ck_assert_int_eq(set("gc.kernel", "mmx"), -EINVAL);
	ck_assert_uint_eq(cfg.mark, SM_GC_MARK_SPANS);
	ck_assert_int_eq(set("gc.dense", "101"), 0);
	ck_assert_int_eq(set("gc.dense", "102"), -EINVAL);
	ck_assert_int_eq(set("gc.span_ahead", "17"), -EINVAL);
	ck_assert_int_eq(set("gc.fifo", "64"), 0);
	ck_assert_int_eq(set("gc.fifo", "65"), -EINVAL);
	ck_assert_uint_eq(cfg.fifo, 64);
	ck_assert_int_eq(set("gc.verify", "1"), 0);
	ck_assert(cfg.verify);
	ck_assert_int_eq(set("gc.barrier_buffer", "1"), -EINVAL);
	ck_assert_int_eq(set("gc.nothing", "1"), -ENOENT);
	/* A heap's key goes on to the heap. */
	ck_assert_int_eq(set("heap.limit", "1g"), 0);
	ck_assert_uint_eq(cfg.heap.limit, SM_GIB);
	ck_assert_int_eq(set("cache.mode", "cpu"), 0);
	ck_assert_int_eq(set("cache.mode", "gpu"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "thread"));
	ck_assert_int_eq(set("cache.mode", "none"), 0);
}
END_TEST

/* A preset is a starting point: what is set after it wins. */
START_TEST(policies)
{
	unsigned slice;

	sm_gc_config_init(&cfg);
	slice = cfg.tuning.assist_slice;
	ck_assert_int_eq(set("gc.policy", "latency"), 0);
	ck_assert_uint_lt(cfg.tuning.assist_slice, slice);
	ck_assert_int_eq(set("gc.policy", "memory"), 0);
	ck_assert_uint_lt(cfg.growth_percent, 100);
	ck_assert_int_eq(set("gc.percent", "77"), 0);
	ck_assert_uint_eq(cfg.growth_percent, 77);
	ck_assert_int_eq(set("gc.policy", "throughput"), 0);
	ck_assert_uint_eq(cfg.growth_percent, 100);
	ck_assert_int_eq(set("gc.policy", "speed"), -EINVAL);
}
END_TEST

/* What a fresh configuration says its preset is holds: setting it changes nothing, and undoes the
 * others. */
START_TEST(the_default_policy)
{
	struct sm_gc_config fresh;

	sm_gc_config_init(&fresh);
#if !defined(SM_HOSTILE)
	for (const char *const *p =
		     (const char *const[]){"none", "throughput", "latency", "memory", NULL};
	     *p; p++) {
		sm_gc_config_init(&cfg);
		ck_assert_int_eq(set("gc.policy", *p), 0);
		ck_assert_int_eq(cfg.tuning.policy == fresh.tuning.policy, strcmp(*p, "none") == 0);
		ck_assert_int_eq(set("gc.policy", "none"), 0);
		ck_assert_msg(memcmp(&cfg, &fresh, sizeof(cfg)) == 0, "none does not undo %s", *p);
	}
#endif
	ck_assert_uint_eq(fresh.tuning.policy, 0);
}
END_TEST

int main(void)
{
	return SM_SUITE("gcconfig", 0, SM_T(every_key), SM_T(what_help_says), SM_T(values),
			SM_T(policies), SM_T(the_default_policy));
}
