/* events.c: name -> encoding, by libpfm4 and a few notations of our own; see events.h. */
#include "perf/events.h"

#include <ctype.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <perfmon/pfmlib_perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/counter_sim.h"
#include "perf/sysfs_event.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int pfm_state = PFM_ERR_NOINIT;

/*
 * LIBPFM_ENCODE_INACTIVE lets libpfm4 encode for PMUs that it does not detect (Zen 4 beyond model
 * 0x11, hybrid cores, the linter). Other variables of its (LIBPFM_FORCE_PMU) would make results
 * depend on the caller's environment.
 */
static void init_pfm(void)
{
	FILE *mounts = fopen("/proc/mounts", "re");

	/* libpfm 4.13 looks there for tracefs, and crashes where the file opens but cannot be
	 * read. */
	if (mounts != NULL) {
		int c = fgetc(mounts);

		fclose(mounts);
		if (c == EOF)
			return;
	}
	setenv("LIBPFM_ENCODE_INACTIVE", "1", 1);
	unsetenv("LIBPFM_FORCE_PMU");
	unsetenv("LIBPFM_DISABLED_PMUS");
	pfm_state = pfm_initialize();
}

static bool pfm_ready(void)
{
	pthread_once(&once, init_pfm);
	return pfm_state == PFM_SUCCESS;
}

/* ---- soft --------------------------------------------------------------------------------- */

static const struct {
	const char *name, *unit, *help;
} softs[SM_SOFT_COUNT] = {
	[SM_SOFT_TASK_CLOCK] = {"task-clock", "ns",
				"CPU time of the thread (CLOCK_THREAD_CPUTIME_ID)"},
	[SM_SOFT_USER_TIME] = {"user-time", "ns", "CPU time in user mode (getrusage)"},
	[SM_SOFT_SYSTEM_TIME] = {"system-time", "ns", "CPU time in the kernel (getrusage)"},
	[SM_SOFT_FAULTS] = {"faults", "faults", "page faults of both kinds (getrusage)"},
	[SM_SOFT_MINOR_FAULTS] = {"minor-faults", "faults",
				  "page faults served without I/O (getrusage)"},
	[SM_SOFT_MAJOR_FAULTS] = {"major-faults", "faults",
				  "page faults that waited for I/O (getrusage)"},
	[SM_SOFT_CONTEXT_SWITCHES] = {"context-switches", "switches",
				      "context switches of both kinds (getrusage)"},
	[SM_SOFT_VOLUNTARY_SWITCHES] = {"voluntary-switches", "switches",
					"the thread waited (getrusage)"},
	[SM_SOFT_INVOLUNTARY_SWITCHES] = {"involuntary-switches", "switches",
					  "the thread was preempted (getrusage)"},
};

const char *sm_soft_unit(enum sm_soft s)
{
	return s < SM_SOFT_COUNT ? softs[s].unit : "?";
}

static int refuse_event(struct sm_event_resolved *out, enum sm_status st, const char *fmt,
			const char *a)
{
	out->status = st;
	snprintf(out->reason, sizeof(out->reason), fmt, a);
	return 0;
}

/* sw::NAME. Migrations are the one software event that only perf_event has; it needs kernel mode to
 * see them. */
static bool resolve_soft(const char *name, struct sm_event_resolved *out)
{
	for (int i = 0; i < SM_SOFT_COUNT; i++) {
		if (strcmp(name, softs[i].name) != 0)
			continue;
		out->code = (struct sm_event_code){.backend = SM_BACKEND_SOFT,
						   .source = SM_SOURCE_SW,
						   .soft = (enum sm_soft)i,
						   .scale = 1};
		return true;
	}
	if (strcmp(name, "migrations") == 0) {
		out->code = (struct sm_event_code){.backend = SM_BACKEND_PERF,
						   .source = SM_SOURCE_SW,
						   .type = PERF_TYPE_SOFTWARE,
						   .config = PERF_COUNT_SW_CPU_MIGRATIONS,
						   .scale = 1};
		return true;
	}
	return refuse_event(out, SM_STATUS_UNSUPPORTED,
			    "no software metric is called \"%s\" (see spanmark events sw)", name);
}

/* ---- raw and tracepoints ------------------------------------------------------------------ */

static bool is_raw(const char *name)
{
	size_t n = strlen(name);

	if (name[0] != 'r' || n < 2 || n > 17)
		return false;
	for (size_t i = 1; i < n; i++)
		if (!isxdigit((unsigned char)name[i]))
			return false;
	return true;
}

/* The core PMU's own type where there are several: type RAW would mean the first one. */
static uint32_t core_type(const struct sm_event_options *opt)
{
	const struct sm_pmu *p = &opt->pmus->pmus[opt->core];

	return p->present && opt->pmus->n_core > 1 ? p->type : (uint32_t)PERF_TYPE_RAW;
}

static bool resolve_raw(const char *name, const struct sm_event_options *opt,
			struct sm_event_resolved *out)
{
	out->code = (struct sm_event_code){.backend = SM_BACKEND_PERF,
					   .source = SM_SOURCE_PMU,
					   .type = core_type(opt),
					   .config = strtoull(name + 1, NULL, 16),
					   .exclude_kernel = !opt->count_kernel,
					   .scale = 1};
	return true;
}

static bool resolve_tracepoint(const char *name, const struct sm_event_options *opt,
			       struct sm_event_resolved *out)
{
	static const char *const dirs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[256], text[64];
	const char *colon = strchr(name, ':');
	int rc = -ENOENT;

	if (colon == NULL || strchr(name, '/') != NULL || strstr(name, "..") != NULL)
		return refuse_event(out, SM_STATUS_UNSUPPORTED,
				    "tracepoint \"%s\": want tp::CATEGORY:NAME", name);
	for (unsigned i = 0; rc && i < 2; i++) {
		snprintf(path, sizeof(path), "%s/events/%.*s/%s/id", dirs[i], (int)(colon - name),
			 name, colon + 1);
		rc = sm__read_line(opt->pmus->root, path, text, sizeof(text));
		if (rc == -EACCES)
			return refuse_event(
				out, SM_STATUS_DENIED,
				"tracepoint \"%s\": /sys/kernel/tracing is not readable "
				"(needs root or "
				"a mount "
				"option gid=)",
				name);
	}
	if (rc)
		return refuse_event(
			out, SM_STATUS_UNSUPPORTED,
			"tracepoint \"%s\": not there (tracefs mounted? kernel without it?)", name);
	out->code = (struct sm_event_code){.backend = SM_BACKEND_PERF,
					   .source = SM_SOURCE_SW,
					   .type = PERF_TYPE_TRACEPOINT,
					   .config = strtoull(text, NULL, 10),
					   .scale = 1};
	return true;
}

/* ---- libpfm4 ------------------------------------------------------------------------------ */

bool sm_event_has_tables(const char *pmu)
{
	pfm_pmu_info_t info;

	if (!pfm_ready())
		return false;
	for (int i = 0; i < PFM_PMU_MAX; i++) {
		memset(&info, 0, sizeof(info));
		info.size = sizeof(info);
		if (!pfm_get_pmu_info((pfm_pmu_t)i, &info) && info.name != NULL &&
		    strcmp(info.name, pmu) == 0)
			return true;
	}
	return false;
}

const char *sm_event_detected_pmu(void)
{
	pfm_pmu_info_t info;

	if (!pfm_ready())
		return NULL;
	for (int i = 0; i < PFM_PMU_MAX; i++) {
		memset(&info, 0, sizeof(info));
		info.size = sizeof(info);
		if (!pfm_get_pmu_info((pfm_pmu_t)i, &info) && info.is_present &&
		    info.type == PFM_PMU_TYPE_CORE)
			return info.name;
	}
	return NULL;
}

static int encode(const char *name, bool kernel, struct perf_event_attr *attr, char **full)
{
	pfm_perf_encode_arg_t arg;

	memset(attr, 0, sizeof(*attr));
	memset(&arg, 0, sizeof(arg));
	arg.attr = attr;
	arg.fstr = full;
	arg.size = sizeof(arg);
	return pfm_get_os_event_encoding(name, kernel ? PFM_PLM0 | PFM_PLM3 : PFM_PLM3,
					 PFM_OS_PERF_EVENT, &arg);
}

static bool pfm_refused(const char *name, int rc, struct sm_event_resolved *out, bool *bad)
{
	const char *sep = strstr(name, "::");
	char pmu[64] = "";

	if (sep != NULL)
		snprintf(pmu, sizeof(pmu), "%.*s", (int)(sep - name), name);
	out->status = SM_STATUS_UNSUPPORTED;
	if (pmu[0] && !sm_event_has_tables(pmu)) {
		for (unsigned i = 0; sm_uarch_name(i); i++)
			if (strcmp(sm_uarch_name(i), pmu) == 0)
				*bad = false;
		snprintf(out->reason, sizeof(out->reason),
			 "libpfm4 of this architecture has no tables for \"%s\"", pmu);
		return false;
	}
	snprintf(out->reason, sizeof(out->reason), "libpfm4: %s", pfm_strerror(rc));
	return false;
}

/* An event of a microarchitecture that is not this one would count something else under this name.
 */
static bool is_foreign(const char *name, const char *uarch)
{
	const char *sep = strstr(name, "::");

	if (sep == NULL || strncmp(name, "perf_raw::", 10) == 0 || strcmp(uarch, "unknown") == 0)
		return false;
	return strncmp(name, uarch, strlen(uarch)) != 0 || strlen(uarch) != (size_t)(sep - name);
}

static struct sm_event_code code_of(const struct perf_event_attr *attr)
{
	return (struct sm_event_code){.backend = SM_BACKEND_PERF,
				      .source = attr->type == PERF_TYPE_SOFTWARE ? SM_SOURCE_SW
										 : SM_SOURCE_PMU,
				      .type = attr->type,
				      .config = attr->config,
				      .config1 = attr->config1,
				      .config2 = attr->config2,
				      .exclude_user = attr->exclude_user,
				      .exclude_kernel = attr->exclude_kernel,
				      .scale = 1};
}

static bool resolve_pfm(const char *name, const struct sm_event_options *opt,
			struct sm_event_resolved *out, bool *bad)
{
	const struct sm_pmu *core = &opt->pmus->pmus[opt->core];
	struct perf_event_attr attr;
	char *full = NULL, own[SM_EVENT_STRING + 64];
	int rc;

	*bad = true;
	if (!pfm_ready())
		return refuse_event(out, SM_STATUS_UNSUPPORTED, "libpfm4 cannot start: %s",
				    pfm_strerror(pfm_state));
	/* Unqualified: this machine's own event first, whatever libpfm4 believes to be present. */
	snprintf(own, sizeof(own), "%s::%s", core->uarch, name);
	rc = strstr(name, "::") != NULL ? PFM_ERR_NOTFOUND
					: encode(own, opt->count_kernel, &attr, &full);
	if (rc)
		rc = encode(name, opt->count_kernel, &attr, &full);
	if (rc)
		return pfm_refused(name, rc, out, bad);
	*bad = false;
	snprintf(out->name, sizeof(out->name), "%s", full != NULL ? full : name);
	free(full);
	out->code = code_of(&attr);
	if (attr.type == PERF_TYPE_RAW && is_foreign(out->name, core->uarch)) {
		snprintf(out->reason, sizeof(out->reason), "event of %.*s, this core is %s",
			 (int)strcspn(out->name, ":"), out->name, core->uarch);
		out->status = SM_STATUS_UNSUPPORTED;
		return false;
	}
	if (attr.type == PERF_TYPE_RAW)
		out->code.type = core_type(opt);
	/* Generic hardware events on hybrid machines: the PMU's type goes into the upper half of
	 * config. */
	if ((attr.type == PERF_TYPE_HARDWARE || attr.type == PERF_TYPE_HW_CACHE) &&
	    opt->pmus->n_core > 1 && core->present)
		out->code.config |= (uint64_t)core->type << 32;
	return true;
}

bool sm_event_resolve(const char *name, const struct sm_event_options *opt,
		      struct sm_event_resolved *out, bool *bad_name)
{
	bool bad = false, ok;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", name);
	if (strncmp(name, "sw::", 4) == 0) {
		ok = resolve_soft(name + 4, out);
		bad = !ok;
	} else if (strncmp(name, "sim::", 5) == 0) {
		int i = sm_sim_event(name + 5);

		ok = i >= 0 || refuse_event(out, SM_STATUS_UNSUPPORTED,
					    "no simulated event is called \"%s\"", name + 5);
		bad = !ok;
		out->code = (struct sm_event_code){.backend = SM_BACKEND_SIM,
						   .source = SM_SOURCE_SIM,
						   .config = (uint64_t)(i < 0 ? 0 : i),
						   .scale = 1};
	} else if (strncmp(name, "tp::", 4) == 0) {
		const char *colon = strchr(name + 4, ':');

		bad = colon == NULL || colon == name + 4 || !colon[1] ||
		      strchr(name, '/') != NULL || strstr(name, "..") != NULL;
		ok = resolve_tracepoint(name + 4, opt, out);
	} else if (is_raw(name)) {
		ok = resolve_raw(name, opt, out);
	} else if (strchr(name, '/') != NULL) {
		ok = sm__sysfs_event(name, opt, out, &bad);
	} else {
		ok = resolve_pfm(name, opt, out, &bad);
	}
	if (bad_name != NULL)
		*bad_name = bad;
	return ok;
}

/* ---- listing ------------------------------------------------------------------------------ */

static int list_event(int idx, const char *pmu, int (*fn)(const char *, const char *, void *),
		      void *arg)
{
	pfm_event_info_t ev = {.size = sizeof(ev)};
	char name[320];
	int rc, umasks = 0;

	if (pfm_get_event_info(idx, PFM_OS_PERF_EVENT, &ev))
		return 0;
	for (int a = 0; a < ev.nattrs; a++) {
		pfm_event_attr_info_t at = {.size = sizeof(at)};

		if (pfm_get_event_attr_info(idx, a, PFM_OS_PERF_EVENT, &at) ||
		    at.type != PFM_ATTR_UMASK)
			continue;
		umasks++;
		snprintf(name, sizeof(name), "%s::%s:%s", pmu, ev.name, at.name);
		rc = fn(name, at.desc, arg);
		if (rc)
			return rc;
	}
	if (umasks)
		return 0;
	snprintf(name, sizeof(name), "%s::%s", pmu, ev.name);
	return fn(name, ev.desc, arg);
}

int sm_event_list(const char *pmu, int (*fn)(const char *, const char *, void *), void *arg)
{
	pfm_pmu_info_t info;
	char name[64];
	int rc = 0;

	for (int i = 0; !rc && (pmu == NULL || strcmp(pmu, "sw") == 0) && i < SM_SOFT_COUNT; i++) {
		snprintf(name, sizeof(name), "sw::%s", softs[i].name);
		rc = fn(name, softs[i].help, arg);
	}
	if (!rc && (pmu == NULL || strcmp(pmu, "sw") == 0))
		rc = fn("sw::migrations",
			"the thread was moved to another CPU (perf_event, needs permission)", arg);
	for (int i = 0; !rc && (pmu == NULL || strcmp(pmu, "sim") == 0) && i < SM_SIM_COUNT; i++) {
		snprintf(name, sizeof(name), "sim::%s", sm_sim_event_name((enum sm_sim)i));
		rc = fn(name, "counted by Callgrind (--counters=sim)", arg);
	}
	for (int i = 0; !rc && pfm_ready() && i < PFM_PMU_MAX; i++) {
		memset(&info, 0, sizeof(info));
		info.size = sizeof(info);
		if (pfm_get_pmu_info((pfm_pmu_t)i, &info) || info.name == NULL ||
		    (pmu != NULL ? strcmp(info.name, pmu) != 0 : !info.is_present))
			continue;
		for (int e = info.first_event; !rc && e != -1; e = pfm_get_event_next(e))
			rc = list_event(e, info.name, fn, arg);
	}
	return rc;
}
