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

/* A program may set a member itself: what its key would not take makes no collector. */
static void refused(const char *key, const char *value)
{
	char want[80];

	errno = 0;
	err[0] = '\0';
	ck_assert_ptr_null(sm_gc_create(&cfg, err, sizeof(err)));
	ck_assert_int_eq(errno, EINVAL);
	snprintf(want, sizeof(want), "%s: '%s' is not allowed; allowed: ", key, value);
	ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
	ck_assert_ptr_null(sm_gc_create(&cfg, NULL, 0));
	sm_gc_config_init(&cfg);
}

START_TEST(a_member_that_no_key_takes)
{
	struct sm_gc *gc;

	sm_gc_config_init(&cfg);
	cfg.remember = (enum sm_gc_remember)77;
	refused("gc.remember", "77");
	cfg.generations = (enum sm_gc_generations)3;
	refused("gc.generations", "3");
	cfg.compact = (enum sm_gc_compact)4;
	refused("gc.compact", "4");
	cfg.compact_percent = 0;
	refused("gc.compact_percent", "0");
	cfg.workers = 257;
	refused("gc.workers", "257");
	cfg.tuning.barrier_buffer = 1;
	refused("gc.barrier_buffer", "1");
	cfg.min_heap = SIZE_MAX;
	refused("gc.min_heap", "18446744073709551615");
	cfg.heap.window = 1;
	refused("cache.window", "1");
	cfg.heap.arena = 3 * SM_MIB;
	refused("heap.arena", "3145728");
	cfg.heap.limit = 1;
	refused("heap.limit", "1");
	cfg.heap.numa = (enum sm_numa_policy)9;
	ck_assert_ptr_null(sm_gc_create(&cfg, err, sizeof(err)));
	ck_assert_int_eq(errno, EINVAL);
	sm_gc_config_init(&cfg);
	cfg.heap.limit = 0;
	cfg.memory_limit = 0;
	gc = sm_gc_create(&cfg, err, sizeof(err));
	ck_assert_msg(gc != NULL, "%s", err);
	sm_gc_destroy(gc);
}
END_TEST

int main(void)
{
	return SM_SUITE("gcconfig", 0, SM_T(every_key), SM_T(what_help_says), SM_T(values),
			SM_T(policies), SM_T(the_default_policy), SM_T(a_member_that_no_key_takes));
}
