/* doctor_checks.c: what spanmark doctor examines: what can be counted here, what this process may.
 * Each a function that fills one finding; see doctor.h. */
#include "harness/machine/doctor_internal.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "perf/clock.h"
#include "perf/counter.h"
#include "perf/counter_sim.h"
#include "perf/events.h"
#include "perf/pmu.h"
#include "perf/privilege.h"
#include "perf/topology.h"

#if defined(__has_include)
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#define HAVE_RSEQ 1
#endif
#endif
#ifndef HAVE_RSEQ
#define HAVE_RSEQ 0
#endif

const char *sm_health_name(enum sm_health h)
{
	static const char *const names[] = {"ok", "info", "warn", "bad", "unknown"};

	return names[h];
}

void sm__doctor_find(struct exam *x, const char *name, enum sm_health health, const char *remedy,
		     const char *fmt, ...)
{
	struct sm_finding *f;
	va_list ap;

	if (x->n == SM_DOCTOR_MAX)
		return;
	f = &x->out[x->n++];
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->health = health;
	f->files = f->to = NULL;
	va_start(ap, fmt);
	vsnprintf(f->value, sizeof(f->value), fmt, ap);
	va_end(ap);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
}

void sm__doctor_settable(struct exam *x, const char *files, const char *to)
{
	struct sm_finding *f = &x->out[x->n - 1];

	if (f->remedy[0] != '\0') {
		f->files = files;
		f->to = to;
	}
}

bool sm__doctor_text(struct exam *x, const char *path, char *buf, size_t len)
{
	return !sm__read_line(x->root, path, buf, len);
}

bool sm__doctor_number(struct exam *x, const char *path, long *v)
{
	char buf[64], *end;

	if (!sm__doctor_text(x, path, buf, sizeof(buf)))
		return false;
	*v = strtol(buf, &end, 10);
	return end != buf;
}

/* ---- counters ----------------------------------------------------------------------------- */

/* The proof of a PMU is an event that counts. */
static enum sm_status try_hardware(char *reason, size_t len)
{
	static const struct sm_event_code code = {.backend = SM_BACKEND_PERF,
						  .source = SM_SOURCE_PMU,
						  .type = PERF_TYPE_HARDWARE,
						  .config = PERF_COUNT_HW_CPU_CYCLES,
						  .exclude_kernel = true,
						  .scale = 1};
	const struct sm_event_code *codes[] = {&code};
	struct sm_group_options opt = {.cpu = -1, .no_user_read = true};
	struct sm_counter_group g;
	enum sm_status st;

	sm_group_open(&g, codes, 1, &opt);
	st = g.ev[0].status;
	snprintf(reason, len, "%s", g.ev[0].reason);
	sm_group_close(&g);
	if (st == SM_STATUS_OK && !sm_group_fits(codes, 1, NULL)) {
		snprintf(reason, len, "cycles open, but no counter is free for them");
		st = SM_STATUS_NOT_COUNTED;
	}
	return st;
}

static void check_pmu(struct exam *x, bool files_only)
{
	struct sm_pmus p;
	char reason[200] = "";
	enum sm_status st = files_only ? SM_STATUS_OK : try_hardware(reason, sizeof(reason));

	if (sm_pmus_scan(x->root, &p)) {
		sm__doctor_find(
			x, "pmu", SM_HEALTH_BAD, "use --counters=none",
			"more than %d kinds of cores have a PMU of their own: they cannot be told "
			"apart",
			SM_PMU_KINDS);
		return;
	}
	for (unsigned i = 0; i < p.n_core; i++) {
		const char *u = p.pmus[i].uarch;

		if (!p.pmus[i].present)
			sm__doctor_find(x, "pmu", SM_HEALTH_BAD,
					"run on real hardware, or give the virtual machine a PMU "
					"(KVM: <cpu "
					"mode='host-passthrough'/> and "
					"<pmu state='on'/>); until then use --counters=sim",
					"none is offered; core: %s%s%s", u, reason[0] ? ": " : "",
					reason);
		else
			sm__doctor_find(x, "pmu", st == SM_STATUS_OK ? SM_HEALTH_OK : SM_HEALTH_BAD,
					st == SM_STATUS_OK
						? ""
						: "see perf_event_paranoid and nmi_watchdog below",
					"%s, events of %s%s%s", p.pmus[i].device, u,
					reason[0] ? ": " : "", reason);
		if (strcmp(u, "unknown") == 0)
			sm__doctor_find(x, "counter sets", SM_HEALTH_WARN,
					"write sets for it (docs/COUNTERS.md) or give events by -e",
					"no set knows this microarchitecture");
	}
	sm_pmus_free(&p);
}

static void check_paranoid(struct exam *x)
{
	long v;
	bool may = sm_privilege_has_perfmon();

	if (!sm__doctor_number(x, "/proc/sys/kernel/perf_event_paranoid", &v)) {
		sm__doctor_find(x, "perf_event_paranoid", SM_HEALTH_BAD,
				"use a kernel with CONFIG_PERF_EVENTS",
				"this kernel has no perf events");
		return;
	}
	if (v > 2)
		sm__doctor_find(
			x, "perf_event_paranoid", may ? SM_HEALTH_OK : SM_HEALTH_BAD,
			may ? ""
			    : "sysctl kernel.perf_event_paranoid=2, or setcap cap_perfmon=p on the "
			      "spanmark "
			      "file",
			"%ld: nothing without CAP_PERFMON%s", v,
			may ? ", which this process has" : "");
	else if (v > 0)
		sm__doctor_find(
			x, "perf_event_paranoid", SM_HEALTH_OK,
			may ? ""
			    : "sysctl kernel.perf_event_paranoid=0 to count packages (uncore) too",
			"%ld: own threads, %s%s", v, v == 2 ? "user mode" : "user and kernel mode",
			may ? "; CAP_PERFMON allows everything" : "");
	else
		sm__doctor_find(x, "perf_event_paranoid", SM_HEALTH_OK, "", "%ld: everything", v);
	sm__doctor_settable(x, "/proc/sys/kernel/perf_event_paranoid", "0");
}

static void check_perfmon(struct exam *x)
{
	bool may = sm_privilege_has_perfmon();

	sm__doctor_find(
		x, "cap_perfmon", may ? SM_HEALTH_OK : SM_HEALTH_INFO,
		may ? ""
		    : "setcap cap_perfmon=p on the spanmark file lets it count kernel mode and "
		      "packages",
		may ? "held by this process"
		    : "not held: no kernel mode beyond paranoid 1, no packages beyond paranoid 0");
}

static void check_nmi_watchdog(struct exam *x)
{
	long v;

	if (!sm__doctor_number(x, "/proc/sys/kernel/nmi_watchdog", &v))
		return;
	sm__doctor_find(x, "nmi_watchdog", v ? SM_HEALTH_WARN : SM_HEALTH_OK,
			v ? "sysctl kernel.nmi_watchdog=0 while measuring" : "",
			v ? "on: it may hold one counter of each core" : "off");
	sm__doctor_settable(x, "/proc/sys/kernel/nmi_watchdog", "0");
}

static void check_user_reads(struct exam *x)
{
	long v;

	if (sm__doctor_number(x, "/proc/sys/kernel/perf_user_access", &v)) {
		sm__doctor_find(x, "perf_user_access", v ? SM_HEALTH_OK : SM_HEALTH_WARN,
				v ? ""
				  : "sysctl kernel.perf_user_access=1: reading costs tens of ns, "
				    "not hundreds",
				v ? "on: counters are read without system calls"
				  : "off: every read is a system call");
		sm__doctor_settable(x, "/proc/sys/kernel/perf_user_access", "1");
		return;
	}
	if (sm__doctor_number(x, "/sys/bus/event_source/devices/cpu/rdpmc", &v) ||
	    sm__doctor_number(x, "/sys/bus/event_source/devices/cpu_core/rdpmc", &v)) {
		sm__doctor_find(x, "rdpmc", v ? SM_HEALTH_OK : SM_HEALTH_WARN,
				v ? "" : "echo 1 > /sys/bus/event_source/devices/cpu/rdpmc",
				v ? "allowed" : "forbidden: every read is a system call");
		sm__doctor_settable(x, "/sys/bus/event_source/devices/cpu*/rdpmc", "1");
	} else
		sm__doctor_find(
			x, "perf_user_access", SM_HEALTH_UNKNOWN, "",
			"neither perf_user_access nor rdpmc here: no PMU whose counters a program "
			"could read");
}

static void check_tracepoints(struct exam *x)
{
	char path[300];
	bool here, readable;

	snprintf(path, sizeof(path), "%s/sys/kernel/tracing/events", x->root);
	here = !access(path, F_OK);
	readable = !access(path, R_OK | X_OK);
	sm__doctor_find(
		x, "tracepoints", readable ? SM_HEALTH_OK : SM_HEALTH_INFO,
		readable ? ""
		: here	 ? "mount -o remount,gid=GROUP,mode=750 /sys/kernel/tracing, or run as root"
		       : "mount -t tracefs tracefs /sys/kernel/tracing, as root; a container needs "
			 "it from its host",
		readable ? "readable"
		: here	 ? "not readable by this user"
			 : "tracefs is not mounted or not visible");
}

static void check_sim(struct exam *x)
{
	char path[512], why[200];
	bool here = !sm_sim_find(path, sizeof(path), why, sizeof(why));

	sm__doctor_find(x, "valgrind", here ? SM_HEALTH_OK : SM_HEALTH_INFO,
			here ? "" : "apt-get install valgrind (make deps-sim)",
			here ? "%s: --counters=sim works" : "%snot installed: no --counters=sim",
			here ? path : "");
}

/* ---- what this process may ---------------------------------------------------------------- */

static void check_cpuset(struct exam *x)
{
	struct sm_topology *t;
	char err[300];

	if (sm_topology_load(NULL, &t, err, sizeof(err))) {
		sm__doctor_find(x, "cpuset", SM_HEALTH_BAD, "", "%s", err);
		return;
	}
	if (t->n_allowed < t->n_pus)
		sm__doctor_find(x, "cpuset", SM_HEALTH_INFO,
				"run without taskset, or widen the cgroup's cpuset.cpus",
				"%d of %d PUs allowed", t->n_allowed, t->n_pus);
	else
		sm__doctor_find(x, "cpuset", SM_HEALTH_OK, "", "all %d PUs allowed, %d nodes",
				t->n_pus, t->n_nodes);
	sm_topology_free(t);
}

static void check_limits(struct exam *x)
{
	struct rlimit l;

	getrlimit(RLIMIT_MEMLOCK, &l);
	if (l.rlim_cur == RLIM_INFINITY)
		sm__doctor_find(x, "memlock", SM_HEALTH_OK, "", "unlimited");
	else
		sm__doctor_find(x, "memlock", l.rlim_cur >= 1 << 20 ? SM_HEALTH_OK : SM_HEALTH_WARN,
				l.rlim_cur >= 1 << 20
					? ""
					: "ulimit -l 8192: counter pages and io_uring rings "
					  "need locked memory",
				"%llu KiB", (unsigned long long)l.rlim_cur / 1024);
	getrlimit(RLIMIT_NOFILE, &l);
	sm__doctor_find(x, "nofile", l.rlim_cur >= 1024 ? SM_HEALTH_OK : SM_HEALTH_WARN,
			l.rlim_cur >= 1024
				? ""
				: "ulimit -n 4096: each thread needs a descriptor for each event",
			"%llu descriptors", (unsigned long long)l.rlim_cur);
}

static void check_io_uring(struct exam *x)
{
	/* An empty request is refused with EFAULT or EINVAL by a kernel that has the call, before
	 * anything happens. */
	long rc = syscall(SYS_io_uring_setup, 0, NULL);
	long disabled = 0;

	if (rc < 0 && errno == ENOSYS)
		sm__doctor_find(x, "io_uring", SM_HEALTH_INFO,
				"the scavenger uses plain madvise instead",
				"this kernel or sandbox has none");
	else if (sm__doctor_number(x, "/proc/sys/kernel/io_uring_disabled", &disabled) && disabled)
		sm__doctor_find(
			x, "io_uring", SM_HEALTH_INFO,
			"sysctl kernel.io_uring_disabled=0; the scavenger uses plain madvise until "
			"then",
			"disabled (%ld)", disabled);
	else if (rc < 0 && errno == EPERM)
		sm__doctor_find(x, "io_uring", SM_HEALTH_INFO,
				"the scavenger uses plain madvise instead",
				"forbidden by a security policy");
	else
		sm__doctor_find(x, "io_uring", SM_HEALTH_OK, "", "available");
}

static void check_rseq(struct exam *x)
{
#if HAVE_RSEQ
	bool on = __rseq_size > 0;

	sm__doctor_find(
		x, "rseq", on ? SM_HEALTH_OK : SM_HEALTH_INFO,
		on ? ""
		   : "unset GLIBC_TUNABLES glibc.pthread.rseq=0; per-thread caches are used until "
		     "then",
		on ? "registered by the C library: per-core caches work"
		   : "not registered: no per-core caches");
#else
	sm__doctor_find(x, "rseq", SM_HEALTH_INFO, "use glibc 2.35 or later",
			"this C library does not register it");
#endif
}

static void check_perfmon_syscall(struct exam *x)
{
	struct perf_event_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	a.size = sizeof(a);
	a.type = PERF_TYPE_SOFTWARE;
	a.config = PERF_COUNT_SW_PAGE_FAULTS;
	a.exclude_kernel = a.exclude_hv = 1;
	fd = syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0) {
		close((int)fd);
		sm__doctor_find(x, "perf_event_open", SM_HEALTH_OK, "",
				"software events of own threads can be opened");
	} else {
		char why[200];
		int err = errno;

		sm_counter_explain(err, false, why, sizeof(why));
		sm__doctor_find(
			x, "perf_event_open", SM_HEALTH_BAD,
			err == EPERM
				? "allow perf_event_open in the container's seccomp profile, or "
				  "run outside it"
				: "",
			"%s", why);
	}
}

unsigned sm_doctor_examine(const char *root, bool files_only, struct sm_finding out[SM_DOCTOR_MAX])
{
	struct exam x = {.root = root, .out = out};

	check_pmu(&x, files_only);
	check_paranoid(&x);
	check_perfmon(&x);
	if (!files_only)
		check_perfmon_syscall(&x);
	check_nmi_watchdog(&x);
	check_user_reads(&x);
	check_tracepoints(&x);
	check_sim(&x);
	sm__doctor_check_steady(&x);
	if (!files_only) {
		check_cpuset(&x);
		check_limits(&x);
		check_io_uring(&x);
		check_rseq(&x);
	}
	sm__doctor_check_others(&x);
	return x.n;
}
