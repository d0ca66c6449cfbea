/* The heap's keys: every one reads back, bounds hold, a bad value changes nothing and says what is
 * allowed. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/config.h"
#include "tests/support/run.h"

static struct sm_heap_config cfg;
static char err[256];

static void setup(void)
{
	sm_heap_config_init(&cfg);
	memset(err, 0, sizeof(err));
}

static int set(const char *key, const char *value)
{
	return sm_heap_config_set(&cfg, key, value, err, sizeof(err));
}

START_TEST(every_listed_key_reads_and_writes_back)
{
	const struct sm_config_key *k;
	unsigned n = 0;

	for (k = sm_heap_config_keys(); k->name != NULL; k++, n++) {
		char value[64];

		ck_assert_int_eq(sm_heap_config_get(&cfg, k->name, value, sizeof(value)), 0);
		ck_assert_msg(set(k->name, value) == 0, "default of %s ('%s') is refused: %s",
			      k->name, value, err);
		ck_assert_uint_gt(strlen(k->help), 0);
		ck_assert_uint_gt(strlen(k->values), 0);
	}
	ck_assert_uint_ge(n, 10);
}
END_TEST

START_TEST(values_land_in_their_members)
{
	ck_assert_int_eq(set("cache.window", "4k"), 0);
	ck_assert_uint_eq(cfg.window, 4096);
	ck_assert_int_eq(set("pageheap", "bitmap"), 0);
	ck_assert_int_eq(cfg.pageheap, SM_PAGEHEAP_BITMAP);
	ck_assert_int_eq(set("cache.mode", "none"), 0);
	ck_assert_int_eq(cfg.cache_mode, SM_CACHE_NONE);
	ck_assert_int_eq(set("numa", "bind:3"), 0);
	ck_assert_int_eq(cfg.numa, SM_NUMA_BIND);
	ck_assert_uint_eq(cfg.numa_bind, 3);
	ck_assert_int_eq(set("debug.fill", "1"), 0);
	ck_assert(cfg.debug_fill);
	ck_assert_int_eq(set("heap.limit", "0"), 0);
	ck_assert_uint_eq(cfg.limit, 0);
	ck_assert_int_eq(set("hugepages", "collapse"), 0);
	ck_assert_int_eq(cfg.hugepages, SM_HUGE_COLLAPSE);
}
END_TEST

static const struct {
	const char *key, *value;
} bad[] = {
	{"cache.window", "63"},
	{"cache.window", "17m"},
	{"cache.window", ""},
	{"cache.window", "-1"},
	{"cache.window", "4kb"},
	{"cache.window", " 4k"},
	{"heap.limit", "1k"},
	{"heap.arena", "3m"},
	{"heap.reserve", "1m"},
	{"pageheap", "Buddy"},
	{"cache.mode", "percpu"},
	{"numa", "bind:64"},
	{"numa", "bind:"},
	{"numa", "remote"},
	{"debug.fill", "2"},
	{"hugepages", "always"},
	{"scavenge.pace", "0"},
	{"scavenge.pace", "101"},
	{"scavenge.retain", "1001"},
	{"debug.fill", ""},
	{"heap.limit", "99999999999999999999"},
};

START_TEST(a_bad_value_changes_nothing_and_says_what_is_allowed)
{
	struct sm_heap_config before = cfg;

	ck_assert_int_eq(set(bad[_i].key, bad[_i].value), -EINVAL);
	ck_assert_msg(memcmp(&before, &cfg, sizeof(cfg)) == 0, "%s=%s changed something",
		      bad[_i].key, bad[_i].value);
	ck_assert_ptr_nonnull(strstr(err, bad[_i].key));
	ck_assert_ptr_nonnull(strstr(err, "allowed: "));
	ck_assert_ptr_null(strchr(err, '\n'));
}
END_TEST

START_TEST(an_unknown_key_is_told_apart)
{
	char value[8];

	ck_assert_int_eq(set("cache.windows", "4k"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "cache.windows"));
	ck_assert_int_eq(sm_heap_config_get(&cfg, "nothing", value, sizeof(value)), -ENOENT);
}
END_TEST

START_TEST(sizes)
{
	size_t n = 7;

	ck_assert_int_eq(sm_parse_size("1536", &n), 0);
	ck_assert_uint_eq(n, 1536);
	ck_assert_int_eq(sm_parse_size("2K", &n), 0);
	ck_assert_uint_eq(n, 2048);
	ck_assert_int_eq(sm_parse_size("8KiB", &n), 0);
	ck_assert_uint_eq(n, 8192);
	ck_assert_int_eq(sm_parse_size("3m", &n), 0);
	ck_assert_uint_eq(n, 3 * SM_MIB);
	ck_assert_int_eq(sm_parse_size("1t", &n), 0);
	ck_assert_uint_eq(n, (size_t)1 << 40);
	ck_assert_int_eq(sm_parse_size("18446744073709551615", &n), 0);
	ck_assert_uint_eq(n, SIZE_MAX);
	n = 7;
	ck_assert_int_eq(sm_parse_size("18446744073709551616", &n), -ERANGE);
	ck_assert_int_eq(sm_parse_size("17179869184g", &n), -ERANGE);
	ck_assert_int_eq(sm_parse_size("", &n), -EINVAL);
	ck_assert_int_eq(sm_parse_size("k", &n), -EINVAL);
	ck_assert_int_eq(sm_parse_size("+1", &n), -EINVAL);
	ck_assert_int_eq(sm_parse_size("1.5k", &n), -EINVAL);
	ck_assert_int_eq(sm_parse_size("1k ", &n), -EINVAL);
	ck_assert_int_eq(sm_parse_size("8kB", &n), -EINVAL); /* 1000 or 1024? */
	ck_assert_int_eq(sm_parse_size("8iB", &n), -EINVAL);
	ck_assert_uint_eq(n, 7);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("config", 0, setup, NULL, SM_T(every_listed_key_reads_and_writes_back),
			     SM_T(values_land_in_their_members),
			     SM_LOOP(a_bad_value_changes_nothing_and_says_what_is_allowed, 0,
				     sizeof(bad) / sizeof(bad[0])),
			     SM_T(an_unknown_key_is_told_apart), SM_T(sizes));
}
