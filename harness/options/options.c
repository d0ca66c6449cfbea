/*
 * options.c: the option table and the parsing of argv. See options.h.
 */
#include "harness/options/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/configfile.h"
#include "harness/options/option_value.h"
#include "harness/base/suggest.h"

/* ---- the table ---------------------------------------------------------------------------- */

#define AT(m) offsetof(struct sm_run_options, m)

/* enum members are written through an unsigned by sm__take_word */
_Static_assert(sizeof(enum sm_format) == sizeof(unsigned), "enum is an unsigned");

static const struct sm_option table[] = {
	{"workload", 'w', "NAME,..", "workloads to run; all when not given", NULL, sm__take_list,
	 AT(workloads)},
	{"param", 'p', "KEY=VALUE",
	 "a workload parameter; KEY may be WORKLOAD.KEY; V1,V2 runs each", NULL, sm__take_pair,
	 AT(params)},
	{"backend", 'b', "NAME,..", "where objects come from",
	 "gc|span|libc|bdwgc|mimalloc|jemalloc|tcmalloc|spanmark-malloc|preload:PATH",
	 sm__take_words, AT(backends)},
	{"threads", 't', "N,..", "mutator threads", NULL, sm__take_counts, AT(threads)},
	{"workers", 0, "N,..", "mark workers of the collector", NULL, sm__take_counts, AT(workers)},
	{"place", 0, "POLICY,..", "which cores the mutators are pinned to",
	 "compact|scatter|per-node|one-per-core|none", sm__take_words, AT(place)},
	{"mark-place", 0, "POLICY,..", "which cores the mark workers are pinned to",
	 "auto|dedicated|shared|sibling|remote-node|none", sm__take_words, AT(mark_place)},
	{"kind", 0, "KIND,..", "kind of cores that threads may use: all, or as spanmark topo says",
	 NULL, sm__take_list, AT(kinds)},
	{"set", 's', "KEY=VALUE", "a setting of heap or collector (spanmark list); V1,V2 runs each",
	 NULL, sm__take_pair, AT(settings)},
	{"variant", 0, "K=V K=V",
	 "settings that go together, or 'default'; again for each: one case for each", NULL,
	 sm__take_item, AT(variants)},
	{"program", 0, "CMD", "a whole program as a workload, in quotes; again for each", NULL,
	 sm__take_item, AT(programs)},
	{"programs", 0, "FILE", "programs to run, one a line", NULL, sm__take_text,
	 AT(programs_file)},
	{"metric", 0, "NAME=REGEX",
	 "a figure out of what a program prints: group 1 of the last match", NULL, sm__take_pair,
	 AT(metrics)},
	{"better", 0, "NAME=WAY", "which way of a --metric is better: higher or lower", NULL,
	 sm__take_pair, AT(better)},
	{"setup", 0, "CMD", "run before each sample of a program, not measured", NULL,
	 sm__take_text, AT(setup)},
	{"teardown", 0, "CMD", "run after each, likewise", NULL, sm__take_text, AT(teardown)},
	{"server", 0, "CMD", "a server, measured while --client loads it", NULL, sm__take_text,
	 AT(server)},
	{"ready", 0, "PORT|REGEX", "when the server is: a port answers, or it prints this", NULL,
	 sm__take_text, AT(ready)},
	{"client", 0, "CMD", "what loads the server, until it ends", NULL, sm__take_text,
	 AT(client)},
	{"reps", 'n', "N", "repetitions of everything: 3, with --quick 1", NULL, sm__take_reps, 0},
	{"until", 0, "P%|RESULT=P%,..",
	 "repeat until all intervals are so narrow (of ns_per_op, else wall_s), at least 10 times",
	 NULL, sm__take_until, 0},
	{"max-time", 0, "SECONDS", "end --until after so long: 600", NULL, sm__take_timeout,
	 AT(max_time_s)},
	{"quick", 'q', NULL, "small parameters, one repetition: all workloads within a minute",
	 NULL, sm__take_flag, AT(quick)},
	{"counters", 'c', "SOURCE", "where counts come from", "auto|pmu|sw|sim|none", sm__take_word,
	 AT(counters)},
	{"counter-set", 'C', "SET,..", "counter sets to read (spanmark events lists them)", NULL,
	 sm__take_list, AT(sets)},
	{"event", 'e', "EVENT,..", "further events by libpfm4 name, or raw as rNNN", NULL,
	 sm__take_list, AT(events)},
	{"multiplex", 0, NULL,
	 "let the kernel rotate counters: fewer passes, scaled and labelled values", NULL,
	 sm__take_flag, AT(multiplex)},
	{"by", 0, "WHAT", "rows of the table: counts summed by this",
	 "role|thread|core|l3|node|kind", sm__take_word, AT(by)},
	{"format", 'f', "FORMAT", "how to print", "table|csv|json", sm__take_word, AT(format)},
	{"output", 'o', "FILE", "print into FILE, which is replaced when all went well", NULL,
	 sm__take_text, AT(output)},
	{"color", 0, "WHEN", "colour in the table", "auto|always|never", sm__take_word, AT(color)},
	{"store", 0, "FILE", "keep samples in this SQLite database, each as it arrives", NULL,
	 sm__take_text, AT(store)},
	{"resume", 0, "[ID]", "go on with a run in --store, by default the last unfinished one",
	 NULL, sm__take_resume, 0},
	{"timeout", 0, "SECONDS", "limit for one sample: 300, with --quick 30", NULL,
	 sm__take_timeout, AT(timeout_s)},
	{"note", 0, "TEXT", "what the run is about, kept with it", NULL, sm__take_text, AT(note)},
	{"seed", 0, "N", "seed of order and workloads; printed when not given", NULL, sm__take_seed,
	 0},
	{"no-shuffle", 0, NULL, "run in the order written, not a random one", NULL, sm__take_flag,
	 AT(no_shuffle)},
	{"config", 0, "FILE", "read options from an INI file; the command line wins", NULL,
	 sm__take_text, AT(config)},
	{"topology", 0, "FILE", "plan for another machine (hwloc XML or synthetic); with --dry-run",
	 NULL, sm__take_text, AT(topology)},
	{"dry-run", 0, NULL, "print the plan and the placement, run nothing", NULL, sm__take_flag,
	 AT(dry_run)},
	{"help", 'h', NULL, "this text", NULL, sm__take_flag, AT(help)},
};
#define NOPTIONS (sizeof(table) / sizeof(table[0]))
_Static_assert(NOPTIONS <= 64, "struct sm_run_options has a bit for each");

const struct sm_option *sm_options(size_t *n)
{
	*n = NOPTIONS;
	return table;
}

static const struct sm_option *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
			return &table[i];
	}
	return NULL;
}

static const struct sm_option *find_letter(char c)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (c && table[i].letter == c)
			return &table[i];
	}
	return NULL;
}

static int unknown(const char *typed, char *err, size_t errlen)
{
	const char *names[NOPTIONS];
	const char *near;

	for (size_t i = 0; i < NOPTIONS; i++)
		names[i] = table[i].name;
	near = sm_suggest(typed + strspn(typed, "-"), names, NOPTIONS);
	if (near != NULL)
		snprintf(err, errlen,
			 "unknown option '%.60s'; did you mean '--%s'? `spanmark run --help` lists "
			 "them",
			 typed, near);
	else
		snprintf(err, errlen,
			 "unknown option '%.60s'; `spanmark run --help` lists what is allowed",
			 typed);
	return -EINVAL;
}

static int take_value(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		      char *err, size_t errlen)
{
	o->given |= UINT64_C(1) << (opt - table);
	return opt->take(opt, o, value, err, errlen);
}

static int set_option(void *options, const char *name, const char *value, char *err, size_t errlen)
{
	const struct sm_option *opt = find_long(name, strlen(name));

	if (opt == NULL)
		return unknown(name, err, errlen);
	return take_value(opt, options, value, err, errlen);
}

/* ---- argv --------------------------------------------------------------------------------- */

/* One option at argv[*i] and its value (--name=value, --name value, -xvalue, -x value). */
static int parse_one(int argc, char **argv, int *i, const struct sm_option **opt,
		     const char **value, char *err, size_t errlen)
{
	const char *a = argv[*i], *attached = NULL;

	if (a[0] != '-' || a[1] == 0) {
		snprintf(err, errlen, "'%.60s' is not an option; workloads are named with -w", a);
		return -EINVAL;
	}
	if (a[1] == '-') {
		size_t len = strcspn(a + 2, "=");

		*opt = find_long(a + 2, len);
		attached = a[2 + len] ? a + 2 + len + 1 : NULL;
	} else {
		*opt = find_letter(a[1]);
		attached = a[2] ? a + 2 : NULL;
	}
	if (!*opt)
		return unknown(a, err, errlen);
	*value = NULL;
	if (!(*opt)->arg) {
		if (attached == NULL)
			return 0;
		snprintf(err, errlen, "--%s takes no value ('%.60s')", (*opt)->name, a);
		return -EINVAL;
	}
	if (attached != NULL) {
		*value = attached;
		return 0;
	}
	if ((*opt)->arg[0] == '[') { /* need not be there */
		if (*i + 1 < argc && argv[*i + 1][0] >= '0' && argv[*i + 1][0] <= '9')
			*value = argv[++*i];
		return 0;
	}
	if (*i + 1 >= argc) {
		snprintf(err, errlen, "--%s needs a value: %s%s%s", (*opt)->name, (*opt)->arg,
			 (*opt)->words ? ", one of " : "", (*opt)->words ? (*opt)->words : "");
		return -EINVAL;
	}
	*value = argv[++*i];
	return 0;
}

static void mark_inherited(struct sm_run_options *o)
{
	struct sm_strings *lists[] = {&o->workloads, &o->events,   &o->sets,	&o->backends,
				      &o->threads,   &o->workers,  &o->place,	&o->mark_place,
				      &o->kinds,     &o->programs, &o->variants};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lists[i]->inherited = true;
}

/* pass 0: --config alone; pass 1: everything else */
static int parse_pass(struct sm_run_options *o, int argc, char **argv, int pass, char *err,
		      size_t errlen)
{
	for (int i = 1; i < argc; i++) {
		const struct sm_option *opt;
		const char *value = NULL;
		bool config;
		int rc = parse_one(argc, argv, &i, &opt, &value, err, errlen);

		if (rc)
			return rc;
		config = strcmp(opt->name, "config") == 0;
		if (config == (pass == 0)) {
			rc = take_value(opt, o, value, err, errlen);
			if (rc == 0 && config)
				rc = sm_config_file_read(o->config, set_option, o, err, errlen);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* What fits together only in certain ways. */
static int check_together(const struct sm_run_options *o, char *err, size_t errlen)
{
	const char *wrong = NULL;

	if (o->topology != NULL && !o->dry_run)
		wrong = "--topology is for planning: add --dry-run";
	else if (o->max_time_s > 0 && o->until == NULL && !o->resume)
		wrong = "--max-time ends --until: add --until 1%";
	else if (o->resume && o->store == NULL)
		wrong = "--resume needs --store FILE, the database to go on with";
	else if (o->resume && o->dry_run)
		wrong = "--resume runs the plan that the store keeps: leave --dry-run out";
	else if (o->counters == SM_COUNT_NONE && (o->events.n || o->sets.n))
		wrong = "--counters=none contradicts -e and -C; allowed with them: auto, pmu, sw, "
			"sim";
	if (wrong == NULL)
		return 0;
	snprintf(err, errlen, "%s", wrong);
	return -EINVAL;
}

int sm_run_options_parse(struct sm_run_options *o, int argc, char **argv, char *err, size_t errlen)
{
	int rc = parse_pass(o, argc, argv, 0, err, errlen);

	if (rc == 0) {
		mark_inherited(o);
		rc = parse_pass(o, argc, argv, 1, err, errlen);
	}
	if (rc == 0 && !o->help)
		rc = check_together(o, err, errlen);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}
