/*
 * registry.c: the workloads there are, and the backends' names.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "workloads/workload.h"

#define X(name) &sm__wl_##name,
static const struct sm_workload *const workloads[] = {
#include "workloads/workloads.def"
};
#undef X

static const char *const backend_names[SM_WL_COUNT] = {
	[SM_WL_GC] = "gc",
	[SM_WL_SPAN] = "span",
	[SM_WL_LIBC] = "libc",
	[SM_WL_BDWGC] = "bdwgc",
};

const struct sm_workload *const *sm_workloads(unsigned *n)
{
	*n = sizeof(workloads) / sizeof(workloads[0]);
	return workloads;
}

const struct sm_workload *sm_workload_find(const char *name, char *err, size_t errlen)
{
	unsigned n;
	const struct sm_workload *const *all = sm_workloads(&n);
	size_t at;

	for (unsigned i = 0; i < n; i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	at = (size_t)snprintf(err, errlen, "no workload '%.40s'; there are", name);
	for (unsigned i = 0; i < n && at < errlen; i++)
		at += (size_t)snprintf(err + at, errlen - at, "%s %s", i > 0 ? "," : "",
				       all[i]->name);
	return NULL;
}

const char *sm_wl_backend_name(enum sm_wl_backend b)
{
	return (unsigned)b < SM_WL_COUNT ? backend_names[b] : "unknown";
}

int sm_wl_backend_parse(const char *name, enum sm_wl_backend *out, char *err, size_t errlen)
{
	for (unsigned i = 0; i < SM_WL_COUNT; i++)
		if (strcmp(backend_names[i], name) == 0) {
			*out = (enum sm_wl_backend)i;
			return 0;
		}
	snprintf(err, errlen, "no backend '%.40s'; there are gc, span, libc, bdwgc", name);
	return -EINVAL;
}
