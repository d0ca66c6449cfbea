/*
 * cmd_list.c: spanmark list: what can be named on the command line of `spanmark run`.
 */
#include "harness/command/cmd.h"

#include <stdio.h>
#include <string.h>

#include "harness/mallocs/backend.h"
#include "harness/base/suggest.h"
#include "perf/setfile.h"
#include "workloads/session.h"
#include "harness/base/complain.h"

static void list_backends(unsigned mask)
{
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (mask & 1u << b)
			printf(" %s%s", sm_wl_backend_name((enum sm_wl_backend)b),
			       b == SM_WL_LIBC ? " (and any malloc library)" : "");
	}
}

static void list_param(const struct sm_param_desc *d)
{
	char def[160], bounds[120];

	if (d->kind == SM_PARAM_INT)
		snprintf(def, sizeof(def), "%s=%lld", d->name, (long long)d->def);
	else
		snprintf(def, sizeof(def), "%s=%s", d->name, d->def_text);
	if (d->kind == SM_PARAM_TEXT)
		snprintf(bounds, sizeof(bounds), "%s", d->choices);
	else
		snprintf(bounds, sizeof(bounds), "%lld..%lld%s%s", (long long)d->min,
			 (long long)d->max, d->unit != NULL && *d->unit ? " " : "",
			 d->unit != NULL ? d->unit : "");
	printf("    %-20s %s (%s)\n", def, d->help, bounds);
}

static void list_workloads(void)
{
	unsigned n;
	const struct sm_workload *const *w = sm_workloads(&n);

	puts("Workloads (-w) and their parameters (-p), with defaults:");
	for (unsigned i = 0; i < n; i++) {
		printf("  %s: %s\n    backends:", w[i]->name, w[i]->summary);
		list_backends(w[i]->backends);
		printf("; operation: %s\n", w[i]->op);
		for (unsigned k = 0; k < sm_workload_nparams(w[i]); k++)
			list_param(&w[i]->params[k]);
	}
}

static void list_backend_names(void)
{
	size_t n;
	const struct sm_backend_desc *d = sm_backends(&n);

	puts("Backends (--backend):");
	for (size_t i = 0; i < n; i++) {
		struct sm_case_backend b = {0};
		char err[300];

		printf("  %-16s %s\n", d[i].name, d[i].help);
		if (d[i].sonames != NULL &&
		    sm_backend_resolve(&b, d[i].name, err, sizeof(err)) == 0)
			printf("  %-16s %s\n", "", b.missing[0] != '\0' ? b.missing : b.library);
		sm_backend_free(&b);
	}
}

static void list_places(void)
{
	puts("Placement of mutators (--place):\n"
	     "  compact       neighbours first: siblings, then cores, L3, node, package\n"
	     "  scatter       as far apart as possible, siblings last\n"
	     "  per-node      equal shares for every node\n"
	     "  one-per-core  the first PU of each core (what runs when nothing is said, where it "
	     "fits)\n"
	     "  none          not pinned: any core that the scheduler likes\n"
	     "Placement of mark workers (--mark-place):\n"
	     "  auto          cores of their own while there are enough, then one to a core, the "
	     "emptiest "
	     "first\n"
	     "  dedicated     cores of their own, or not at all\n"
	     "  shared        on the mutators' CPUs, one beside each; more than those as auto "
	     "does\n"
	     "  sibling       on SMT siblings of the mutators' cores\n"
	     "  remote-node   on another node than the mutators'\n"
	     "  none          not pinned; gc.avoid_cpus keeps them off CPUs on which mutators run");
}

static void list_sets(void)
{
	puts("Counter sets (-C); `spanmark events` shows what they resolve to here:");
	for (unsigned i = 0; sm_setfile_builtin_name(i); i++) {
		struct sm_setfile *set = NULL;
		char err[200];

		if (sm_setfile_parse(sm_setfile_builtin_text(i), sm_setfile_builtin_name(i), &set,
				     err, sizeof(err)) == 0)
			printf("  %-8s %s\n", sm_setfile_builtin_name(i), set->title);
		sm_setfile_free(set);
	}
}

static void list_key(void *ctx, const char *key, const char *values, const char *help)
{
	(void)ctx;
	printf("  %-22s %s\n    %s\n", key, values, help);
}

static void list_settings(void)
{
	puts("Settings of collector and heap (--set KEY=VALUE):");
	sm_job_setting_keys(list_key, NULL);
	puts("Where [@SIZE][@cpuN] is allowed, a setting can be one size class's, one core's, or "
	     "one class's "
	     "on one\n"
	     "core: --set cache.window@64=8k --set cache.window@cpu3=64k --set "
	     "cache.window@64@cpu3=4k. The "
	     "most\n"
	     "particular one counts, a class before a core.");
}

static const struct {
	const char *name;
	void (*list)(void);
} topics[] = {
	{"workloads", list_workloads}, {"backends", list_backend_names}, {"places", list_places},
	{"sets", list_sets},	       {"settings", list_settings},
};
#define NTOPICS (sizeof(topics) / sizeof(topics[0]))

static void print_list_help(void)
{
	puts("spanmark list: what can be named in `spanmark run`.\n"
	     "\n"
	     "  spanmark list                    everything\n"
	     "  spanmark list workloads          workloads, their parameters, defaults and bounds\n"
	     "  spanmark list backends|places    where objects come from; where threads are "
	     "pinned\n"
	     "  spanmark list sets               counter sets\n"
	     "  spanmark list settings           keys of --set");
}

static int list_topic(const char *name)
{
	const char *names[NTOPICS];
	char err[256];

	for (size_t i = 0; i < NTOPICS; i++) {
		names[i] = topics[i].name;
		if (strcmp(name, names[i]) == 0) {
			topics[i].list();
			return SM_EXIT_OK;
		}
	}
	sm_suggest_error(err, sizeof(err), "topic of list", name, names, NTOPICS);
	sm_complain("%s", err);
	return SM_EXIT_USAGE;
}

int sm_cmd_list(int argc, char **argv)
{
	if (argc > 2) {
		sm_complain("list takes one topic at most; allowed: workloads, backends, places, "
			    "sets, settings");
		return SM_EXIT_USAGE;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_list_help();
		return SM_EXIT_OK;
	}
	if (argc == 2)
		return list_topic(argv[1]);
	for (size_t i = 0; i < NTOPICS; i++) {
		if (i)
			putchar('\n');
		topics[i].list();
	}
	return SM_EXIT_OK;
}
