/*
 * cmd_list.c: spanmark list: what can be named on the command line of `spanmark run`.
 */
#include "harness/command/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/mallocs/backend.h"
#include "harness/base/suggest.h"
#include "perf/setfile.h"
#include "harness/options/option.h"
#include "harness/store/store.h"
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

/* ---- names alone, for scripts and for what Tab completes ---------------------------------- */

static void name_workloads(sm_name_fn *fn, void *ctx)
{
	unsigned n;
	const struct sm_workload *const *w = sm_workloads(&n);

	for (unsigned i = 0; i < n; i++)
		fn(ctx, w[i]->name, w[i]->summary);
}

/* Two workloads may have a parameter of one name. */
static void name_params(sm_name_fn *fn, void *ctx)
{
	unsigned n;
	const struct sm_workload *const *w = sm_workloads(&n);
	char name[80];

	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < sm_workload_nparams(w[i]); k++) {
			const struct sm_param_desc *d = &w[i]->params[k];
			bool said = false;

			for (unsigned j = 0; j < i && !said; j++)
				for (unsigned m = 0; m < sm_workload_nparams(w[j]); m++)
					said |= strcmp(w[j]->params[m].name, d->name) == 0;
			snprintf(name, sizeof(name), "%s=", d->name);
			if (!said)
				fn(ctx, name, d->help);
		}
	}
}

static void name_backends(sm_name_fn *fn, void *ctx)
{
	size_t n;
	const struct sm_backend_desc *d = sm_backends(&n);

	for (size_t i = 0; i < n; i++)
		fn(ctx, d[i].name, d[i].help);
}

static void name_kinds(sm_name_fn *fn, void *ctx)
{
	fn(ctx, "all", "the fastest first");
	fn(ctx, "p", "fast cores");
	fn(ctx, "e", "small cores");
}

static void name_sets(sm_name_fn *fn, void *ctx)
{
	for (unsigned i = 0; sm_setfile_builtin_name(i); i++)
		fn(ctx, sm_setfile_builtin_name(i), "");
}

/* The last runs of this folder's store. */
static void name_runs(sm_name_fn *fn, void *ctx)
{
	struct sm_store *s;
	int64_t ids[32];
	char err[400], name[24];
	int n;

	if (sm_store_open_read(SM_STORE_DEFAULT, &s, err, sizeof(err)) != 0)
		return;
	n = sm_store_last(s, ids, (int)SM_COUNT_OF(ids));
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%lld", (long long)ids[i]);
		fn(ctx, name, "a run of " SM_STORE_DEFAULT);
	}
	sm_store_close(s);
}

struct names {
	sm_name_fn *fn;
	void *ctx;
};

static void name_key(void *ctx, const char *key, const char *values, const char *help)
{
	const struct names *to = ctx;
	char name[80];

	(void)values;
	snprintf(name, sizeof(name), "%.*s=", (int)strcspn(key, "["), key);
	to->fn(to->ctx, name, help);
}

static void name_settings(sm_name_fn *fn, void *ctx)
{
	struct names to = {fn, ctx};

	sm_job_setting_keys(name_key, &to);
}

static const struct {
	const char *name;
	void (*list)(void); /* NULL: names alone, of no topic that one would read */
	void (*names)(sm_name_fn *fn, void *ctx);
} topics[] = {
	{"workloads", list_workloads, name_workloads},
	{"backends", list_backend_names, name_backends},
	{
		"places",
		list_places,
		NULL,
	},
	{"sets", list_sets, name_sets},
	{"settings", list_settings, name_settings},
	{"params", NULL, name_params},
	{"kinds", NULL, name_kinds},
	{"runs", NULL, name_runs},
};

void sm_list_names(const char *topic, sm_name_fn *fn, void *ctx)
{
	for (size_t i = 0; i < SM_COUNT_OF(topics); i++) {
		if (topics[i].names != NULL && strcmp(topics[i].name, topic) == 0)
			topics[i].names(fn, ctx);
	}
}

static void list_all(void)
{
	for (size_t i = 0; i < SM_COUNT_OF(topics) && topics[i].list != NULL; i++) {
		if (i)
			putchar('\n');
		topics[i].list();
	}
}

static int take_topic(const struct sm_option *opt, void *options, const char *value, char *err,
		      size_t errlen)
{
	const char *names[SM_COUNT_OF(topics)];
	size_t n = 0;

	(void)opt;
	for (; n < SM_COUNT_OF(topics) && topics[n].list != NULL; n++) {
		names[n] = topics[n].name;
		if (strcmp(value, names[n]) != 0)
			continue;
		*(void (**)(void))options = topics[n].list;
		return 0;
	}
	sm_suggest_error(err, errlen, "topic of list", value, names, n);
	return -EINVAL;
}

static int run_list(int argc, char **argv)
{
	void (*list)(void) = list_all;
	int status;

	if (sm_options_parse(&sm_command_list, &list, argc, argv, &status))
		list();
	return status;
}

static const struct sm_option operand = {NULL,
					 0,
					 "[TOPIC]",
					 "all when not given",
					 .take = take_topic,
					 .words = "workloads|backends|places|sets|settings"};
static const struct sm_option_table table = {"list", NULL, 0, &operand, NULL};

const struct sm_command sm_command_list = {
	.name = "list",
	.summary = "workloads, backends, counter sets, configuration keys",
	.run = run_list,
	.options = &table,
	.about = "Lists what can be named in `spanmark run`: workloads with their parameters, "
		 "defaults and bounds; backends, where objects come from; places, where threads "
		 "are pinned; counter sets; settings, the keys of --set.",
	.examples =
		(const char *const[]){
			"spanmark list",
			"everything",
			"spanmark list settings",
			"the settings of collector and heap",
			NULL,
		},
};
