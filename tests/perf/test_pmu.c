/* PMUs and microarchitectures from fake sysfs trees: uniform, hybrid x86, big.LITTLE, uncore, none;
 * sysfs event notation. */
#include "perf/events.h"
#include "perf/pmu.h"
#include "tests/support/faketree.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static struct faketree tree;
static struct sm_pmus pmus;

static void setup(void)
{
	faketree_init(&tree);
}

static void teardown(void)
{
	sm_pmus_free(&pmus);
	faketree_remove(&tree);
}

static void scan(void)
{
	ck_assert_int_eq(sm_pmus_scan(tree.root, &pmus), 0);
}

START_TEST(test_cpumask)
{
	struct sm_cpumask m;

	ck_assert_int_eq(sm_cpumask_parse("0-3,8,64-65\n", &m), 0);
	ck_assert(sm_cpumask_has(&m, 0) && sm_cpumask_has(&m, 3) && sm_cpumask_has(&m, 8) &&
		  sm_cpumask_has(&m, 65));
	ck_assert(!sm_cpumask_has(&m, 4) && !sm_cpumask_has(&m, -1) &&
		  !sm_cpumask_has(&m, 1 << 20));
	ck_assert_int_eq(sm_cpumask_next(&m, 4), 8);
	ck_assert_int_eq(sm_cpumask_next(&m, 66), -1);
	ck_assert_int_eq(sm_cpumask_parse("", &m), 0);
	ck_assert_int_eq(sm_cpumask_next(&m, 0), -1);
	ck_assert_int_eq(sm_cpumask_parse("3-1", &m), -EINVAL);
	ck_assert_int_eq(sm_cpumask_parse("x", &m), -EINVAL);
	ck_assert_int_eq(sm_cpumask_parse("1;2", &m), -EINVAL);
	ck_assert_int_eq(sm_cpumask_parse("0-99999999", &m), -EINVAL);
}
END_TEST

START_TEST(test_x86_microarchitectures)
{
	static const struct {
		const char *vendor;
		int family, model;
		const char *name;
	} all[] = {
		{"AuthenticAMD", 0x17, 0x31, "amd64_fam17h_zen2"},
		{"AuthenticAMD", 0x19, 0x01, "amd64_fam19h_zen3"},
		{"AuthenticAMD", 0x19, 0x11, "amd64_fam19h_zen4"},
		{"AuthenticAMD", 0x19, 0xa0, "amd64_fam19h_zen4"},
		{"AuthenticAMD", 0x19, 0x61, "amd64_fam19h_zen4"},
		{"AuthenticAMD", 0x1a, 0x02, "amd64_fam1ah_zen5"},
		{"GenuineIntel", 6, 0x55, "skx"},
		{"GenuineIntel", 6, 0x6a, "icx"},
		{"GenuineIntel", 6, 0x8f, "spr"},
		{"GenuineIntel", 6, 0x97, "adl_p"},
		{"GenuineIntel", 6, 0x01, "unknown"},
		{"CentaurHauls", 6, 0x55, "unknown"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		faketree_x86(&tree, all[i].vendor, all[i].family, all[i].model);
		scan();
		ck_assert_uint_eq(pmus.n_core, 1);
		ck_assert_str_eq(pmus.pmus[0].uarch, all[i].name);
		ck_assert(pmus.pmus[0].present);
		ck_assert_uint_eq(pmus.pmus[0].type, 4);
		ck_assert(sm_cpumask_has(&pmus.pmus[0].cpus, 3));
		sm_pmus_free(&pmus);
	}
}
END_TEST

START_TEST(test_no_pmu)
{
	faketree_x86(&tree, "AuthenticAMD", 0x19, 0x01);
	faketree_remove(&tree);
	faketree_init(&tree);
	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 25\nmodel : 17\n");
	faketree_pmu(&tree, "software", 1, NULL, NULL);
	scan();
	ck_assert_uint_eq(pmus.n_core, 1);
	ck_assert(!pmus.pmus[0].present);
	ck_assert_str_eq(pmus.pmus[0].uarch, "amd64_fam19h_zen4");
	ck_assert_ptr_null(sm_pmus_find(&pmus, ""));
	sm_pmus_free(&pmus);
	ck_assert_int_eq(sm_pmus_scan("/nonexistent", &pmus), 0);
	ck_assert_uint_eq(pmus.n_core, 1);
	ck_assert_str_eq(pmus.pmus[0].uarch, "unknown");
}
END_TEST

/* A server of two sockets shows 183 PMUs; which ones come last is the directory's choice. */
START_TEST(test_any_number_of_pmus)
{
	char name[64];
	unsigned imcs = 0;

	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "uncore_%s_%d", i % 25 ? "cha" : "imc", i);
		faketree_pmu(&tree, name, 10 + i, "cpumask", "0,56");
	}
	scan();
	ck_assert_uint_eq(pmus.n, 301);
	for (unsigned i = 0; i < pmus.n; i++)
		imcs += strncmp(pmus.pmus[i].device, "uncore_imc_", 11) == 0;
	ck_assert_uint_eq(imcs, 12);
	ck_assert(pmus.pmus[0].core);
}
END_TEST

/* Names and lists of CPUs as long as they come. */
START_TEST(test_long_names_and_lists)
{
	char list[16384] = "";
	size_t n = 0;
	static const char name[] = "vendor_soc_interconnect_performance_monitor_unit_0_of_die_1_0";

	for (int cpu = 0; cpu < 4096; cpu += 2)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%d", n ? "," : "", cpu);
	faketree_x86(&tree, "GenuineIntel", 6, 0x8f);
	faketree_pmu(&tree, name, 77, "cpumask", list);
	scan();
	ck_assert_ptr_nonnull(sm_pmus_find(&pmus, name));
	ck_assert_uint_eq(sm_pmus_find(&pmus, name)->type, 77);
	ck_assert(sm_cpumask_has(&sm_pmus_find(&pmus, name)->cpus, 4094));
}
END_TEST

/* Cores of a kind that has no number would be counted as the first kind's. */
START_TEST(test_too_many_kinds)
{
	char name[64], cpus[16];

	for (int i = 0; i <= SM_PMU_KINDS; i++) {
		snprintf(name, sizeof(name), "armv8_cortex_x%d", i);
		snprintf(cpus, sizeof(cpus), "%d", i);
		faketree_pmu(&tree, name, 10 + i, "cpus", cpus);
	}
	ck_assert_int_eq(sm_pmus_scan(tree.root, &pmus), -E2BIG);
}
END_TEST

static void alder_lake(void)
{
	faketree_write(&tree, "/proc/cpuinfo",
		       "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : "
		       "151\nmodel name : i9\n\n"
		       "processor : 16\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 151\n");
	faketree_pmu(&tree, "cpu_core", 4, "cpus", "0-15");
	faketree_pmu(&tree, "cpu_atom", 10, "cpus", "16-23");
	faketree_pmu(&tree, "uncore_imc_0", 20, "cpumask", "0");
	faketree_pmu(&tree, "uncore_imc_1", 21, "cpumask", "0");
	faketree_pmu(&tree, "breakpoint", 5, NULL, NULL);
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu_atom/format/event", "config:0-7");
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu_core/format/event", "config:0-7");
	faketree_write(&tree, "/sys/bus/event_source/devices/cpu_core/format/umask",
		       "config:8-15,40-47");
	faketree_write(&tree, "/sys/bus/event_source/devices/uncore_imc_0/format/event",
		       "config:0-7");
	faketree_write(&tree, "/sys/bus/event_source/devices/uncore_imc_0/format/umask",
		       "config:8-15");
	faketree_write(&tree, "/sys/bus/event_source/devices/uncore_imc_0/events/cas_count_read",
		       "event=0x04,umask=0x03");
	faketree_write(&tree,
		       "/sys/bus/event_source/devices/uncore_imc_0/events/cas_count_read.scale",
		       "6.103515625e-5");
	faketree_write(&tree, "/sys/bus/event_source/devices/uncore_imc_0/format/thr",
		       "config1:4-7");
}

START_TEST(test_hybrid)
{
	alder_lake();
	scan();
	ck_assert_uint_eq(pmus.n_core, 2);
	ck_assert_str_eq(pmus.pmus[0].device, "cpu_core");
	ck_assert_str_eq(pmus.pmus[0].uarch, "adl_p");
	ck_assert_str_eq(pmus.pmus[1].device, "cpu_atom");
	ck_assert_str_eq(pmus.pmus[1].uarch, "adl_e");
	ck_assert_uint_eq(sm_pmus_of_cpu(&pmus, 3), 0);
	ck_assert_uint_eq(sm_pmus_of_cpu(&pmus, 20), 1);
	ck_assert_ptr_null(sm_pmus_find(&pmus, "breakpoint"));
	ck_assert(!sm_pmus_find(&pmus, "uncore_imc_1")->core);
}
END_TEST

/* One event per PMU: raw codes and generic events carry the type of the PMU at hand. */
START_TEST(test_hybrid_types)
{
	struct sm_event_options o = {.pmus = &pmus};
	struct sm_event_resolved r;

	alder_lake();
	scan();
	for (o.core = 0; o.core < 2; o.core++) {
		unsigned type = o.core ? 10 : 4;

		ck_assert(sm_event_resolve("r00c0", &o, &r, NULL));
		ck_assert_uint_eq(r.code.type, type);
		ck_assert_uint_eq(r.code.config, 0xc0);
		ck_assert(sm_event_resolve("perf::PERF_COUNT_HW_INSTRUCTIONS", &o, &r, NULL));
		ck_assert_uint_eq(r.code.type, 0);
		ck_assert_uint_eq(r.code.config, (uint64_t)type << 32 | 1);
		ck_assert(sm_event_resolve("cpu/event=0xc4/", &o, &r, NULL));
		ck_assert_uint_eq(r.code.type, type);
	}
	o.core = 0;
	ck_assert(!sm_event_resolve("cpu_atom/event=0xc4/", &o, &r, NULL));
	ck_assert(strstr(r.reason, "cpu_core"));
}
END_TEST

START_TEST(test_sysfs_notation)
{
	struct sm_event_options o = {.pmus = &pmus};
	struct sm_event_resolved r;
	bool bad;

	alder_lake();
	scan();
	ck_assert(sm_event_resolve("cpu_core/event=0xd1,umask=0x1020/", &o, &r, &bad));
	ck_assert_uint_eq(r.code.config, 0xd1 | 0x20 << 8 | (uint64_t)0x10 << 40);
	ck_assert(r.code.exclude_kernel && !r.code.exclude_user);
	ck_assert_int_eq(r.code.backend, SM_BACKEND_PERF);
	ck_assert(sm_event_resolve("cpu_core/event=0xd1/k", &o, &r, &bad));
	ck_assert(r.code.exclude_user && !r.code.exclude_kernel);
	ck_assert(sm_event_resolve("uncore_imc_0/cas_count_read/", &o, &r, &bad));
	ck_assert_uint_eq(r.code.config, 0x304);
	ck_assert_uint_eq(r.code.type, 20);
	ck_assert_int_eq(r.code.backend, SM_BACKEND_UNCORE);
	ck_assert(r.code.scale > 6.1e-5 && r.code.scale < 6.2e-5);
	ck_assert(sm_event_resolve("uncore_imc_0/event=4,thr=0xf/", &o, &r, &bad));
	ck_assert_uint_eq(r.code.config1, 0xf0);

	static const char *const wrong[] = {
		"uncore_imc_0/nosuch/",	  "uncore_imc_0/event=zz/", "uncore_imc_0/event=0x100/",
		"uncore_imc_0/nosuch=1/", "nopmu/event=1/",	    "uncore_imc_0/../type/",
		"cpu_core/event=1/x"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!sm_event_resolve(wrong[i], &o, &r, &bad), "%s", wrong[i]);
		ck_assert(r.reason[0] != '\0');
	}
}
END_TEST

START_TEST(test_big_little)
{
	struct sm_event_options o = {.pmus = &pmus};
	struct sm_event_resolved r;

	faketree_write(&tree, "/proc/cpuinfo",
		       "processor\t: 0\nBogoMIPS\t: 48.00\nCPU implementer\t: 0x41\nCPU "
		       "architecture: 8\nCPU "
		       "variant\t: 0x0\n"
		       "CPU part\t: 0xd03\nCPU revision\t: 4\n\nprocessor\t: 4\nCPU implementer\t: "
		       "0x41\nCPU "
		       "part\t: 0xd08\n");
	faketree_pmu(&tree, "armv8_cortex_a53", 7, "cpus", "0-3");
	faketree_pmu(&tree, "armv8_cortex_a72", 8, "cpus", "4-5");
	scan();
	ck_assert_uint_eq(pmus.n_core, 2);
	ck_assert_str_eq(pmus.pmus[0].uarch, "arm_ac53");
	ck_assert_str_eq(pmus.pmus[1].uarch, "arm_ac72");
	o.core = 1;
	ck_assert(sm_event_resolve("r011", &o, &r, NULL));
	ck_assert_uint_eq(r.code.type, 8);
}
END_TEST

START_TEST(test_arm_parts)
{
	static const struct {
		const char *part, *name;
	} all[] = {{"0xd0c", "arm_n1"}, {"0xd40", "arm_v1"},   {"0xd49", "arm_n2"},
		   {"0xd4f", "arm_v2"}, {"0xd07", "arm_ac57"}, {"0xd0b", "arm_ac76"},
		   {"0xfff", "unknown"}};
	char text[200];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(text, sizeof(text),
			 "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: %s", all[i].part);
		faketree_write(&tree, "/proc/cpuinfo", text);
		faketree_pmu(&tree, "armv8_pmuv3_0", 8, "cpus", "0-3");
		scan();
		ck_assert_str_eq(pmus.pmus[0].uarch, all[i].name);
		sm_pmus_free(&pmus);
	}
}
END_TEST

START_TEST(test_this_machine)
{
	ck_assert_int_eq(sm_pmus_scan("", &pmus), 0);
	ck_assert_uint_ge(pmus.n_core, 1);
	printf("core PMU: %s (%s)\n", pmus.pmus[0].uarch,
	       pmus.pmus[0].present ? pmus.pmus[0].device : "not offered");
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("pmu", 0, setup, teardown, SM_T(test_cpumask),
			     SM_T(test_x86_microarchitectures), SM_T(test_no_pmu),
			     SM_T(test_any_number_of_pmus), SM_T(test_long_names_and_lists),
			     SM_T(test_too_many_kinds), SM_T(test_hybrid), SM_T(test_hybrid_types),
			     SM_T(test_sysfs_notation), SM_T(test_big_little), SM_T(test_arm_parts),
			     SM_T(test_this_machine));
}
