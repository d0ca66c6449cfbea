/*
 * What the built-in sets mean: the same on every machine that has a section, as far as its counters
 * go. Codes are compared bit by bit as libpfm4 encodes them, or as they are written.
 */
#include "perf/events.h"
#include "perf/setfile.h"
#include "tests/support/faketree.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static struct faketree tree;

static void setup(void)
{
	faketree_init(&tree);
}

static void teardown(void)
{
	faketree_remove(&tree);
}

static uint64_t code_of(const char *string, const char *uarch)
{
	struct sm_pmus pmus;
	struct sm_event_options o = {.pmus = &pmus};
	struct sm_event_resolved r;

	ck_assert_int_eq(sm_pmus_scan(tree.root, &pmus), 0);
	snprintf(pmus.pmus[0].uarch, sizeof(pmus.pmus[0].uarch), "%s", uarch);
	ck_assert_msg(sm_event_resolve(string, &o, &r, NULL), "%s: %s", string, r.reason);
	sm_pmus_free(&pmus);
	return r.code.config;
}

/* The code of a set's event on a microarchitecture; 0: it has none. */
static uint64_t code(const char *set, const char *uarch, const char *event)
{
	const struct sm_set_mapping *m;
	struct sm_setfile *f;
	char err[200];
	uint64_t c;

	ck_assert_msg(sm_setfile_find(set, "", &f, err, sizeof(err)) == 0, "%s", err);
	m = sm_setfile_map(f, uarch, event);
	c = m != NULL && strncmp(m->string, "const::", 7) != 0 ? code_of(m->string, uarch) : 0;
	sm_setfile_free(f);
	return c;
}

/* libpfm4 of other architectures has no tables. */
static bool is_x86(void)
{
	return sm_event_has_tables("skx");
}

static unsigned umask(uint64_t config)
{
	return config >> 8 & 0xff;
}

/* Each level's misses are those of the level above that went on: demand loads all of them, whoever
 * served them behind. */
START_TEST(misses_of_amd_are_levels_of_one_event)
{
	static const char *const amd[] = {"amd64_fam17h_zen2", "amd64_fam19h_zen3",
					  "amd64_fam19h_zen4", "amd64_fam1ah_zen5"};

	for (unsigned i = 0; is_x86() && i < 4; i++) {
		uint64_t l1 = code("cache", amd[i], "l1d_miss"),
			 l2 = code("cache", amd[i], "l2_miss"),
			 llc = code("cache", amd[i], "llc_miss"),
			 dram = code("memory", amd[i], "dram_fill");

		ck_assert_uint_eq(l1 & 0xff, 0x43);
		ck_assert_uint_eq(l2 & 0xff, 0x43);
		ck_assert_uint_eq(llc & 0xff, 0x43);
		ck_assert_uint_eq(umask(l1) & umask(l2), umask(l2));
		ck_assert_uint_eq(umask(l1) & ~umask(l2) & 0xdf, 0x01); /* served by the own L2 */
		ck_assert_uint_eq(umask(l2) & ~umask(llc), 0x02);	/* by the own L3 */
		ck_assert_uint_eq(umask(llc) & umask(dram), umask(dram));
	}
}
END_TEST

/* What came from another socket: its memory, its modified and its clean lines. */
START_TEST(remote_of_intel_has_all_sources)
{
	static const char *const intel[] = {"skx", "icx", "spr"};

	for (unsigned i = 0; is_x86() && i < 3; i++) {
		unsigned all = umask(code("numa", intel[i], "remote")) |
			       umask(code("numa", intel[i], "remote_hitm")) |
			       umask(code("numa", intel[i], "remote_fwd"));

		ck_assert_msg(all == 0x0e, "%s: %x", intel[i], all);
	}
}
END_TEST

/* The back end: not every cycle without execution. */
START_TEST(stalls_of_the_back_end)
{
	static const char *const intel[] = {"skx", "icx", "spr", "adl_p"};

	for (unsigned i = 0; is_x86() && i < 4; i++) {
		uint64_t c = code("stall", intel[i], "stall_be");

		ck_assert_msg((c & 0xff) == (i == 0 ? 0xa2 : 0xa4), "%s: %llx", intel[i],
			      (unsigned long long)c);
	}
	/* a full retire queue is what waits for memory look like */
	for (unsigned i = 0; is_x86() && i < 2; i++)
		ck_assert_uint_eq(umask(code("stall", i ? "amd64_fam19h_zen3" : "amd64_fam17h_zen2",
					     "stall_be_tokens")) &
					  0x20,
				  0x20);
	/* raw codes where a line of names would be too long: all that libpfm4 names */
	for (unsigned i = 0; is_x86() && i < 2; i++) {
		static const char *const names[2][9] = {
			{"INT_PHY_REG_FILE_RSRC_STALL", "LOAD_QUEUE_RSRC_STALL",
			 "STORE_QUEUE_RSRC_STALL", "INT_SCHEDULER_MISC_RSRC_STALL",
			 "TAKEN_BRANCH_BUFFER_RSRC_STALL", "FP_REG_FILE_RSRC_STALL",
			 "FP_SCHEDULER_FILE_RSRC_STALL", "FP_MISC_FILE_RSRC_STALL"},
			{"INT_PHY_REG_FILE_RSRC_STALL", "LOAD_QUEUE_RSRC_STALL",
			 "STORE_QUEUE_RSRC_STALL", "TAKEN_BRANCH_BUFFER_RSRC_STALL",
			 "FP_REG_FILE_RSRC_STALL", "FP_SCHEDULER_RSRC_STALL",
			 "FP_FLUSH_RECOVERY_STALL"}};
		const char *uarch = i ? "amd64_fam19h_zen3" : "amd64_fam17h_zen2";
		uint64_t all = 0;
		char text[120];

		for (unsigned k = 0; names[i][k] != NULL; k++) {
			snprintf(text, sizeof(text), "%s::DISPATCH_RESOURCE_STALL_CYCLES_1:%s",
				 uarch, names[i][k]);
			all |= code_of(text, uarch) & 0xffff;
		}
		ck_assert_uint_eq(code("stall", uarch, "stall_be"), all);
	}
}
END_TEST

/* Waiting for loads, whatever serves them: not for those alone that miss the L3. */
START_TEST(stalls_for_loads_mean_one_thing)
{
	static const char *const intel[] = {"skx", "icx", "spr", "adl_p"};
	static const unsigned events[] = {0xa3, 0xa3, 0xa6, 0xa6};

	for (unsigned i = 0; is_x86() && i < 4; i++)
		ck_assert_uint_eq(code("stall", intel[i], "stall_mem") & 0xff, events[i]);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("sets", 0, setup, teardown,
			     SM_T(misses_of_amd_are_levels_of_one_event),
			     SM_T(remote_of_intel_has_all_sources), SM_T(stalls_of_the_back_end),
			     SM_T(stalls_for_loads_mean_one_thing));
}
