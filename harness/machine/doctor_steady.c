/* doctor_steady.c: what spanmark doctor examines: how steady the machine is, and who else is there.
 * See doctor.h. */
#include "harness/machine/doctor_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- how steady the machine is ------------------------------------------------------------ */

static void check_governor(struct exam *x)
{
	char g[64], driver[64] = "";

	if (!sm__doctor_text(x, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", g,
			     sizeof(g))) {
		sm__doctor_find(x, "governor", SM_HEALTH_UNKNOWN, "",
				"no frequency scaling visible (a virtual machine, usually)");
		return;
	}
	sm__doctor_text(x, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", driver,
			sizeof(driver));
	sm__doctor_find(
		x, "governor", strcmp(g, "performance") != 0 ? SM_HEALTH_WARN : SM_HEALTH_OK,
		strcmp(g, "performance") != 0 ? "cpupower frequency-set -g performance" : "",
		"%s (%s)", g, driver);
	sm__doctor_settable(x, "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
			    "performance");
}

static void check_turbo(struct exam *x)
{
	long v;

	if (sm__doctor_number(x, "/sys/devices/system/cpu/intel_pstate/no_turbo", &v)) {
		sm__doctor_find(x, "turbo", v ? SM_HEALTH_OK : SM_HEALTH_WARN,
				v ? "" : "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo",
				v ? "off" : "on: the clock depends on load and heat");
		sm__doctor_settable(x, "/sys/devices/system/cpu/intel_pstate/no_turbo", "1");
	} else if (sm__doctor_number(x, "/sys/devices/system/cpu/cpufreq/boost", &v)) {
		sm__doctor_find(x, "turbo", v ? SM_HEALTH_WARN : SM_HEALTH_OK,
				v ? "echo 0 > /sys/devices/system/cpu/cpufreq/boost" : "",
				v ? "on: the clock depends on load and heat" : "off");
		sm__doctor_settable(x, "/sys/devices/system/cpu/cpufreq/boost", "0");
	} else
		sm__doctor_find(x, "turbo", SM_HEALTH_UNKNOWN, "", "not visible");
}

static void check_smt(struct exam *x)
{
	long v;

	if (!sm__doctor_number(x, "/sys/devices/system/cpu/smt/active", &v))
		sm__doctor_find(x, "smt", SM_HEALTH_UNKNOWN, "", "not visible");
	else
		sm__doctor_find(x, "smt", SM_HEALTH_INFO,
				v ? "--place one-per-core keeps siblings apart; echo off > "
				    "/sys/devices/system/cpu/smt/control"
				  : "",
				v ? "on: siblings share caches, and some PMUs halve their counters"
				  : "off or not there");
}

static void check_thp(struct exam *x)
{
	char t[128], *open, *close;

	if (!sm__doctor_text(x, "/sys/kernel/mm/transparent_hugepage/enabled", t, sizeof(t))) {
		sm__doctor_find(x, "thp", SM_HEALTH_UNKNOWN, "", "not visible");
		return;
	}
	open = strchr(t, '[');
	close = strchr(t, ']');
	if (open != NULL && close > open) {
		*close = '\0';
		open++;
	} else {
		open = t;
	}
	sm__doctor_find(
		x, "thp", strcmp(open, "always") != 0 ? SM_HEALTH_OK : SM_HEALTH_WARN,
		strcmp(open, "always") != 0
			? ""
			: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: then heaps "
			  "choose",
		"transparent huge pages: %s", open);
	sm__doctor_settable(x, "/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
}

static void check_aslr(struct exam *x)
{
	long v;

	if (sm__doctor_number(x, "/proc/sys/kernel/randomize_va_space", &v))
		sm__doctor_find(x, "aslr", SM_HEALTH_INFO,
				v ? "setarch -R spanmark .. repeats addresses exactly" : "",
				v ? "on: addresses, and cache sets, differ from run to run"
				  : "off");
}

static void check_numa_balancing(struct exam *x)
{
	long v;

	if (!sm__doctor_number(x, "/proc/sys/kernel/numa_balancing", &v))
		return;
	sm__doctor_find(x, "numa_balancing", v ? SM_HEALTH_WARN : SM_HEALTH_OK,
			v ? "sysctl kernel.numa_balancing=0" : "",
			v ? "on: the kernel unmaps and moves pages while we measure" : "off");
	sm__doctor_settable(x, "/proc/sys/kernel/numa_balancing", "0");
}

static void check_clock(struct exam *x)
{
	char c[64];

	if (!sm__doctor_text(x, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
			     c, sizeof(c)))
		return;
	bool good = strcmp(c, "tsc") == 0 || strcmp(c, "kvm-clock") == 0 ||
		    strcmp(c, "arch_sys_counter") == 0;

	sm__doctor_find(x, "clocksource", good ? SM_HEALTH_OK : SM_HEALTH_WARN,
			good ? ""
			     : "the kernel distrusts the TSC: regions use clock_gettime, which "
			       "costs a system "
			       "call here",
			"%s", c);
}

void sm__doctor_check_steady(struct exam *x)
{
	check_governor(x);
	check_turbo(x);
	check_smt(x);
	check_thp(x);
	check_aslr(x);
	check_numa_balancing(x);
	check_clock(x);
}

/* ---- other programs ----------------------------------------------------------------------- */

static void check_load(struct exam *x)
{
	char t[128];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	double load;

	if (!sm__doctor_text(x, "/proc/loadavg", t, sizeof(t)))
		return;
	load = strtod(t, NULL);
	sm__doctor_find(x, "load", load > 0.25 * (double)cpus ? SM_HEALTH_WARN : SM_HEALTH_OK,
			load > 0.25 * (double)cpus
				? "stop other programs, or measure in a cpuset of its own"
				: "",
			"%.2f on %ld CPUs", load, cpus);
}

/* Share of CPU time that the hypervisor gave to others, since boot. */
static void check_steal(struct exam *x)
{
	unsigned long long v[8] = {0}, sum = 0;
	char t[256];
	double share;

	if (!sm__doctor_text(x, "/proc/stat", t, sizeof(t)) ||
	    sscanf(t, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		   &v[4], &v[5], &v[6], &v[7]) != 8)
		return;
	for (int i = 0; i < 8; i++)
		sum += i == 3 || i == 4 ? 0 : v[i]; /* of the time that was wanted */
	share = sum ? (double)v[7] / (double)sum : 0;
	sm__doctor_find(x, "steal", share > 0.02 ? SM_HEALTH_WARN : SM_HEALTH_OK,
			share > 0.02
				? "the host is overcommitted: more repetitions, or a dedicated host"
				: "",
			"%.2f%% of the busy time since boot went to other guests", 100 * share);
}

void sm__doctor_check_others(struct exam *x)
{
	check_load(x);
	check_steal(x);
}
