/*
 * Kinds of cores: machines of other people by what hwloc says of them (Linux's capacities and
 * frequencies, Intel's core types, ARM's part numbers), and where threads go on them.
 */
#include "perf/placement.h"

#include <check.h>
#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"

/* One kind as hwloc lists it: CPUs [from, from + n), what it knows of them, and its rank. */
struct told {
	unsigned from, n;
	int efficiency;
	const char *name, *value;
};

static struct sm_topology *machine(const char *shape, const struct told *told, unsigned n)
{
	char path[] = "/tmp/sm_kindsXXXXXX", err[300] = "";
	hwloc_topology_t hw;
	struct sm_topology *t;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	hwloc_topology_init(&hw);
	hwloc_topology_set_synthetic(hw, shape);
	hwloc_topology_load(hw);
	for (unsigned i = 0; i < n; i++) {
		struct hwloc_info_s info = {(char *)told[i].name, (char *)told[i].value};
		hwloc_bitmap_t cpus = hwloc_bitmap_alloc();

		hwloc_bitmap_set_range(cpus, told[i].from, (int)(told[i].from + told[i].n - 1));
		ck_assert_int_eq(hwloc_cpukinds_register(hw, cpus, told[i].efficiency, 1, &info, 0),
				 0);
		hwloc_bitmap_free(cpus);
	}
	ck_assert_int_eq(hwloc_topology_export_xml(hw, path, 0), 0);
	hwloc_topology_destroy(hw);
	ck_assert_msg(sm_topology_load(&(struct sm_topology_source){.xml = path}, &t, err,
				       sizeof(err)) == 0,
		      "%s", err);
	unlink(path);
	return t;
}

/* A DGX Spark: ten little cores and ten big ones, of which hwloc 2.9 makes five kinds. */
static struct sm_topology *spark(void)
{
	static const struct told told[] = {{0, 5, 718, "LinuxCapacity", "718"},
					   {5, 3, 997, "LinuxCapacity", "997"},
					   {8, 2, 1003, "LinuxCapacity", "1003"},
					   {10, 5, 731, "LinuxCapacity", "731"},
					   {15, 5, 1024, "LinuxCapacity", "1024"}};

	return machine("numa:1 core:20 pu:1", told, 5);
}

START_TEST(turbo_bins_are_no_kinds)
{
	struct told grace[16];
	char capacity[16][8];
	struct sm_topology *t = spark();

	ck_assert_int_eq(t->n_kinds, 2);
	ck_assert(t->kinds_ranked);
	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(sm_topology_kind_name(t, t->pus[i].kind), i % 10 < 5 ? "e" : "p");
	sm_topology_free(t);
	/* equal cores, each with the turbo clock that it was born with */
	for (unsigned i = 0; i < 16; i++) {
		snprintf(capacity[i], sizeof(capacity[i]), "%u", 996 + 28 * i / 15);
		grace[i] =
			(struct told){i, 1, (int)(996 + 28 * i / 15), "LinuxCapacity", capacity[i]};
	}
	t = machine("numa:1 core:16 pu:1", grace, 16);
	ck_assert_int_eq(t->n_kinds, 1);
	sm_topology_free(t);
}
END_TEST

START_TEST(types_and_parts_are_kinds)
{
	static const struct told alder[] = {{0, 8, 1, "CoreType", "IntelCore"},
					    {8, 4, 0, "CoreType", "IntelAtom"}};
	static const struct told parts[] = {{0, 4, 0, "CPUPart", "0xd87"},
					    {4, 2, 1, "CPUPart", "0xd85"},
					    {6, 2, 2, "CPUPart", "0xd85"}};
	static const struct told unranked[] = {{0, 4, -1, "CPUPart", "0xd87"},
					       {4, 4, -1, "CPUPart", "0xd85"}};
	struct sm_topology *t = machine("numa:1 core:8 pu:2", alder, 2);

	ck_assert_int_eq(t->n_kinds, 2);
	ck_assert_str_eq(sm_topology_kind_name(t, t->pus[0].kind), "p");
	sm_topology_free(t);
	t = machine("numa:1 core:8 pu:1", parts, 3);
	ck_assert_int_eq(t->n_kinds, 2);
	ck_assert_int_eq(t->pus[4].kind, t->pus[7].kind);
	sm_topology_free(t);
	/* which is the faster one is not known */
	t = machine("numa:1 core:8 pu:1", unranked, 2);
	ck_assert_int_eq(t->n_kinds, 2);
	ck_assert(!t->kinds_ranked);
	ck_assert_str_eq(sm_topology_kind_name(t, 0), "k0");
	sm_topology_free(t);
}
END_TEST

static void count(const struct sm_topology *t, struct sm_place_request r, unsigned *big,
		  unsigned *little)
{
	struct sm_placement p;
	char err[400] = "";

	*big = *little = 0;
	ck_assert_msg(!sm_placement_plan(t, &r, &p, err, sizeof(err)), "%s", err);
	for (unsigned i = 0; i < p.n; i++)
		if (p.threads[i].pu != SM_NONE)
			++*(p.threads[i].kind == t->n_kinds - 1 ? big : little);
	sm_placement_free(&p);
}

/* Whatever the policy: big cores while there are some, mark workers beside their mutators. */
START_TEST(fast_cores_come_first)
{
	static const enum sm_place places[] = {SM_PLACE_COMPACT, SM_PLACE_SCATTER,
					       SM_PLACE_PER_NODE, SM_PLACE_ONE_PER_CORE};
	struct sm_topology *t = spark();
	unsigned big, little;

	for (unsigned i = 0; i < 4; i++) {
		struct sm_place_request r = {
			.place = places[i], .mark_place = SM_MARK_AUTO, .threads = 6, .workers = 3};

		count(t, r, &big, &little);
		ck_assert_msg(big == 9 && little == 0, "%s: %u, %u", sm_place_name(places[i]), big,
			      little);
		r.threads = 12;
		r.workers = 0;
		count(t, r, &big, &little);
		ck_assert_msg(big == 10 && little == 2, "%s: %u, %u", sm_place_name(places[i]), big,
			      little);
	}
	count(t, (struct sm_place_request){.place = SM_PLACE_NONE, .threads = 4, .workers = 2},
	      &big, &little);
	ck_assert_uint_eq(big, 2);
	sm_topology_free(t);
}
END_TEST

START_TEST(a_kind_can_be_asked_for)
{
	struct sm_place_request r = {.place = SM_PLACE_ONE_PER_CORE,
				     .mark_place = SM_MARK_AUTO,
				     .threads = 8,
				     .workers = 4};
	struct sm_topology *t = spark(), *uniform = machine("numa:1 core:4 pu:1", NULL, 0);
	struct sm_placement p;
	unsigned big, little;
	char err[400];

	ck_assert_int_eq(sm_place_kinds_parse(t, "e", &r.kinds, err, sizeof(err)), 0);
	count(t, r, &big, &little);
	ck_assert_uint_eq(big, 0);
	ck_assert_uint_eq(little, 12);
	r.threads = 11;
	ck_assert_int_eq(sm_placement_plan(t, &r, &p, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "room for 10"));
	ck_assert_int_eq(sm_place_kinds_parse(t, "all", &r.kinds, err, sizeof(err)), 0);
	ck_assert_uint_eq(r.kinds, 0);
	ck_assert_int_eq(sm_place_kinds_parse(t, "big", &r.kinds, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "allowed: all, p, e"));
	ck_assert_int_eq(sm_place_kinds_parse(uniform, "p", &r.kinds, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "of one kind"));
	sm_topology_free(uniform);
	sm_topology_free(t);
}
END_TEST

START_TEST(mixed_kinds_are_seen)
{
	static const struct {
		enum sm_place place;
		unsigned threads;
		int kinds;
	} all[] = {{SM_PLACE_COMPACT, 10, 1}, {SM_PLACE_COMPACT, 11, 2}, {SM_PLACE_NONE, 1, 2}};
	struct sm_topology *t = spark();
	struct sm_placement p;
	char err[400];

	for (unsigned i = 0; i < 3; i++) {
		struct sm_place_request r = {.place = all[i].place, .threads = all[i].threads};

		ck_assert_int_eq(sm_placement_plan(t, &r, &p, err, sizeof(err)), 0);
		ck_assert_int_eq(sm_placement_mutator_kinds(t, &p), all[i].kinds);
		sm_placement_free(&p);
	}
	sm_topology_free(t);
}
END_TEST

int main(void)
{
	return SM_SUITE("kinds", 0, SM_T(turbo_bins_are_no_kinds), SM_T(types_and_parts_are_kinds),
			SM_T(fast_cores_come_first), SM_T(a_kind_can_be_asked_for),
			SM_T(mixed_kinds_are_seen));
}
