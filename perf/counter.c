/* counter.c: what the backends share: readings, names, reasons. See counter.h. */
#include "perf/counter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

const char *const sm_source_names[] = {"pmu", "sw", "sim", NULL};
const char *const sm_status_names[] = {"ok",	 "multiplexed", "unsupported",
				       "denied", "not_counted", NULL};

const char *sm_read_mode_name(enum sm_read_mode m)
{
	static const char *const names[] = {"none", "user", "read", "soft"};

	return names[m];
}

bool sm_reading_value(const struct sm_reading *r, double *v)
{
	switch (r->status) {
	case SM_STATUS_OK: *v = (double)r->raw; return true;
	case SM_STATUS_MULTIPLEXED:
		if (!r->running)
			return false;
		*v = (double)r->raw * ((double)r->enabled / (double)r->running);
		return true;
	default: return false;
	}
}

/* OK < MULTIPLEXED < NOT_COUNTED < DENIED < UNSUPPORTED: how little is known. */
static int badness(enum sm_status s)
{
	static const int rank[] = {0, 1, 4, 3, 2};

	return rank[s];
}

void sm_reading_add(struct sm_reading *dst, const struct sm_reading *src)
{
	if (badness(src->status) > badness(dst->status)) {
		dst->status = src->status;
		dst->reason = src->reason;
	}
	dst->source = src->source;
	dst->raw += src->raw;
	dst->enabled += src->enabled;
	dst->running += src->running;
}

static int paranoid_level(void)
{
	int level = -100;
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");

	if (f != NULL) {
		if (fscanf(f, "%d", &level) != 1)
			level = -100;
		fclose(f);
	}
	return level;
}

void sm__counter_denied(int level, bool hw, char *buf, size_t len)
{
	if (level == -100)
		snprintf(buf, len, "perf_event_open: permission denied; grant CAP_PERFMON");
	else
		snprintf(buf, len, "perf_event_paranoid=%d forbids %s; needs %s or CAP_PERFMON",
			 level, hw ? "it" : "this software event",
			 level > 2 ? "level 2 or less" : "level 1 or less");
}

enum sm_status sm_counter_explain(int err, bool hw, char *buf, size_t len)
{
	struct rlimit lim = {0};

	switch (err) {
	case 0: buf[0] = '\0'; return SM_STATUS_OK;
	case EACCES: sm__counter_denied(paranoid_level(), hw, buf, len); return SM_STATUS_DENIED;
	case EPERM:
		snprintf(buf, len,
			 "perf_event_open is forbidden by a security policy (seccomp, container, "
			 "LSM)");
		return SM_STATUS_DENIED;
	case ENOSYS:
		snprintf(buf, len, "this kernel or sandbox has no perf_event_open");
		return SM_STATUS_UNSUPPORTED;
	case ENOENT:
		snprintf(buf, len,
			 hw ? "no PMU offers this event (usual in a VM)"
			    : "this kernel has no such event");
		return SM_STATUS_UNSUPPORTED;
	case ENODEV:
	case ENXIO:
	case EOPNOTSUPP:
		snprintf(buf, len, "the PMU does not support this event");
		return SM_STATUS_UNSUPPORTED;
	case EINVAL:
		snprintf(buf, len, "the kernel refuses this event or combination of events");
		return SM_STATUS_UNSUPPORTED;
	case E2BIG:
		snprintf(buf, len, "the kernel is too old for this kind of event");
		return SM_STATUS_UNSUPPORTED;
	case EMFILE:
		getrlimit(RLIMIT_NOFILE, &lim);
		snprintf(buf, len, "out of file descriptors (limit %llu); raise it with ulimit -n",
			 (unsigned long long)lim.rlim_cur);
		return SM_STATUS_NOT_COUNTED;
	case EBUSY:
		snprintf(buf, len, "the PMU is in use by another profiler, or by the NMI watchdog");
		return SM_STATUS_NOT_COUNTED;
	default:
		snprintf(buf, len, "perf_event_open: %s", strerror(err));
		return SM_STATUS_NOT_COUNTED;
	}
}

int sm_group_open(struct sm_counter_group *g, const struct sm_event_code *const *codes, unsigned n,
		  const struct sm_group_options *opt)
{
	static const struct sm_group_options normal = {.cpu = -1};

	memset(g, 0, sizeof(*g));
	g->opt = opt != NULL ? *opt : normal;
	g->leader = -1;
	if (g->opt.opener == NULL)
		g->opt.opener = &sm_opener_kernel;
	g->ops = n && codes[0]->backend == SM_BACKEND_SOFT ? &sm_counter_soft : &sm_counter_perf;
	for (unsigned i = 0; i < SM_GROUP_MAX; i++)
		g->ev[i].fd = -1;
	if (n > SM_GROUP_MAX)
		return -EINVAL;
	g->n = n;
	memcpy(g->codes, codes, n * sizeof(codes[0]));
	return g->ops->open(g);
}

void sm_group_close(struct sm_counter_group *g)
{
	if (g->ops != NULL)
		g->ops->close(g);
	g->ops = NULL;
}
