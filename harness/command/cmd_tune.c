/*
 * cmd_tune.c: spanmark tune: options, the search (search/search.h) over runs (tune/trials.h), what
 * came of it (tune/tuning.h).
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/command/cmd.h"
#include "harness/options/option_value.h"
#include "harness/report/writer.h"
#include "harness/process/child.h"
#include "harness/tune/tuner.h"

/* ---- options ------------------------------------------------------------------------------ */

/* An option of spanmark run, for it to check. */
static int take_through(const struct sm_option *opt, void *options, const char *value, char *err,
			size_t errlen)
{
	struct sm_tuner *t = options;
	char word[64];

	(void)err;
	(void)errlen;
	snprintf(word, sizeof(word), "--%s", opt->name);
	t->said_what |= strcmp(opt->name, "workload") == 0 || strcmp(opt->name, "program") == 0 ||
			strcmp(opt->name, "server") == 0;
	if (sm_strings_add(&t->args, word, strlen(word)) != 0 ||
	    (value != NULL && sm_strings_add(&t->args, value, strlen(value)) != 0))
		return -ENOMEM;
	return 0;
}

static int take_duration(const struct sm_option *opt, void *options, const char *value, char *err,
			 size_t errlen)
{
	double s;

	if (!sm__read_seconds(value, &s) || s < 1)
		return sm__refuse_value(err, errlen, opt, value, "1s to 7 days: 90s, 10m, 2h");
	((struct sm_tuner *)options)->budget_s = s;
	return 0;
}

/* "1.1x" */
static int take_ratio(const struct sm_option *opt, void *options, const char *value, char *err,
		      size_t errlen)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || strcmp(end, "x") != 0 || !(v > 0) || v > 1000)
		return sm__refuse_value(err, errlen, opt, value,
					"a multiple of the default's, such as 1.1x");
	((struct sm_tuner *)options)->max_memory = v;
	return 0;
}

/* "1%" */
static int take_percent(const struct sm_option *opt, void *options, const char *value, char *err,
			size_t errlen)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || strcmp(end, "%") != 0 || !(v > 0) || v > 50)
		return sm__refuse_value(err, errlen, opt, value, "above 0% to 50%");
	((struct sm_tuner *)options)->margin = v / 100;
	((struct sm_tuner *)options)->margin_given = true;
	return 0;
}

static int take_seed(const struct sm_option *opt, void *options, const char *value, char *err,
		     size_t errlen)
{
	struct sm_tuner *t = options;
	char *end;

	errno = 0;
	t->seed = strtoull(value, &end, 0);
	t->seed_given = true;
	if (errno != 0 || *end != '\0' || value[0] < '0' || value[0] > '9')
		return sm__refuse_value(err, errlen, opt, value, "a number from 0 to 2^64-1");
	return 0;
}

#define INTO(function, member) SM_INTO(function, struct sm_tuner, member)
#define THROUGH		       .take = take_through

static const struct sm_option rows[] = {
	{"backend", 'b', "NAME", "whose settings: gc, unless another is named",
	 INTO(sm__take_borrowed, backend), .heading = "What is tuned",
	 .more = "`gc` and `span`: the collector, and the span allocator freed explicitly. "
		 "`spanmark-malloc`, `libc`, `jemalloc`, `mimalloc`, `tcmalloc`: their published "
		 "knobs, by variables of the environment."},
	{"knob", 'k', "KEY[=V1,V2]",
	 "turn this alone, with these values or the usual ones; again for each",
	 INTO(sm__take_item, knobs)},
	{"objective", 0, "WHAT", "what shall become less: time",
	 INTO(sm__take_borrowed, objective_text),
	 .more = "`time`, `p999`, `memory`, `misses`, `instructions`, or several with weights: "
		 "time:0.7,memory:0.3 makes the product of their ratios to these powers less."},
	{"max-rss", 0, "RATIOx", "peak RSS may be so many times the default's", .take = take_ratio},
	{"weight", 0, "WORKLOAD=N", "how much a workload counts; others 1",
	 INTO(sm__take_pair, weights)},
	{"margin", 0, "P%", "what is no difference: 1%", .take = take_percent},

	{"workload", 'w', "NAME,..", "workloads to tune for", THROUGH, .topic = "workloads",
	 .heading = "For what",
	 .more = "Without any: churn over sizes of 16 to 1024 bytes, binary-trees, lru-cache, "
		 "handoff, larson and ring."},
	{"param", 'p', "KEY=VALUE", "a workload parameter", THROUGH, .topic = "params"},
	{"set", 's', "KEY=VALUE", "a setting that stays, of the default too", THROUGH,
	 .topic = "settings",
	 .more = "It is no knob then, unless --knob names it: then it is what the others "
		 "are compared with."},
	{"threads", 't', "N", "mutator threads", THROUGH},
	{"kind", 0, "KIND", "kind of cores that threads may use", THROUGH, .topic = "kinds"},
	{"program", 0, "CMD", "a whole program as a workload, in quotes", THROUGH},
	{"setup", 0, "CMD", "run before each sample of a program", THROUGH},
	{"teardown", 0, "CMD", "run after each", THROUGH},
	{"server", 0, "CMD", "a server, measured while --client loads it", THROUGH},
	{"ready", 0, "PORT|REGEX", "when the server is", THROUGH},
	{"client", 0, "CMD", "what loads the server, until it ends", THROUGH},
	{"full", 0, NULL, "workloads in their full sizes: samples of seconds, not tenths",
	 INTO(sm__take_flag, full)},
	{"timeout", 0, "SECONDS", "limit for one sample", THROUGH},
	{"counters", 0, "SOURCE", "where misses and instructions of an objective come from",
	 THROUGH,
	 .more = "As of `spanmark run`. `sim` simulates them under valgrind, where no hardware "
		 "counts: slowly, the same on any machine."},

	{"budget", 0, "TIME", "how long it may take, about: 10m", .take = take_duration,
	 .more = "Every value twice and 12 repetitions of the confirmation are the least: where "
		 "they "
		 "take longer, what is begun says so, and how long it takes.",
	 .heading = "How"},
	{"method", 0, "HOW", "search, or measure every combination", INTO(sm__take_word, method),
	 .words = "halving|exhaustive"},
	{"seed", 0, "N", "seed of the order and the workloads", .take = take_seed},
	{"dry-run", 0, NULL, "print the knobs and their values, run nothing",
	 INTO(sm__take_flag, dry_run)},

	{"store", 0, "FILE", "where every sample is kept: spanmark.db",
	 INTO(sm__take_borrowed, store), .heading = "Results"},
	{"resume", 0, NULL, "go on with the last tuning of the store, begun with the same options",
	 INTO(sm__take_flag, resume)},
	{"output", 'o', "FILE", "where settings go that are recommended: spanmark.ini",
	 INTO(sm__take_borrowed, output)},
	{"check", 0, "FILE", "does this file still hold? Measures it against the default again",
	 INTO(sm__take_borrowed, check)},
	{"format", 'f', "FORMAT", "how to print", INTO(sm__take_word, format),
	 .words = "table|json"},
};

/* ---- what is asked ------------------------------------------------------------------------ */

static int add_words(struct sm_strings *s, const char *const *words)
{
	int rc = 0;

	for (; *words != NULL && rc == 0; words++)
		rc = sm_strings_add(s, *words, strlen(*words));
	return rc;
}

/* What the user left open; of a file that is checked, what it was found for. */
static int fill_in(struct sm_tuner *t)
{
	static const char *const usual[] = {"--workload",
					    "churn,binary-trees,lru-cache,handoff,larson,ring",
					    "--param", "churn.size=16,64,256,1024", NULL};
	const char *const backend[] = {"--backend", t->backend, NULL};
	int rc = 0;

	if (t->check != NULL && t->args.n == 0) {
		for (size_t i = 0; i < t->file.options.n && rc == 0; i++)
			rc = sm_strings_add(&t->args, t->file.options.v[i],
					    strlen(t->file.options.v[i]));
		return rc; /* backend and size included */
	}
	if (!t->said_what)
		rc = add_words(&t->args, usual);
	if (rc == 0 && !t->full)
		rc = sm_strings_add(&t->args, "--quick", 7);
	return rc ? rc : add_words(&t->args, backend);
}

static int check_backend(struct sm_tuner *t)
{
	if (strchr(t->backend, ',') == NULL)
		return 0;
	snprintf(t->err, sizeof(t->err),
		 "--backend '%.60s': allowed: one, whose settings are tuned", t->backend);
	return -EINVAL;
}

/* May a file say this for spanmark run? What tune passes on, and what it adds itself: no file that
 * came from elsewhere names where things are written. */
static bool is_passed_on(const char *word)
{
	if (strcmp(word, "--backend") == 0)
		return true;
	for (size_t i = 0; strncmp(word, "--", 2) == 0 && i < SM_COUNT_OF(rows); i++)
		if (rows[i].take == take_through && strcmp(rows[i].name, word + 2) == 0)
			return true;
	return false;
}

/* What a file was found under holds again, where nothing else is said. */
static int ask_again(struct sm_tuner *t)
{
	const struct sm_strings *o = &t->file.options, *w = &t->file.weights;
	bool weighted = t->weights.n > 0;
	int rc = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (strcmp(o->v[i], "--quick") == 0)
			continue;
		if (!is_passed_on(o->v[i]) || ++i == o->n) {
			snprintf(t->err, sizeof(t->err),
				 "'%.200s': option '%.60s' is none that spanmark tune passes on; "
				 "allowed: those of spanmark tune --help under For what, each with "
				 "a value in the next line",
				 t->check, o->v[i < o->n ? i : o->n - 1]);
			return -EINVAL;
		}
	}
	if (t->max_memory <= 0)
		t->max_memory = t->file.max_memory;
	if (!t->margin_given && t->file.margin > 0)
		t->margin = t->file.margin;
	for (size_t i = 0; i < w->n && rc == 0 && !weighted; i++)
		rc = sm_strings_add(&t->weights, w->v[i], strlen(w->v[i]));
	return rc;
}

/* The settings of a file are one knob with one value. */
static int space_of_file(struct sm_tuner *t)
{
	t->space.n = 1;
	t->space.knobs[0] = (struct sm_knob){.key = strdup(""), .why = ""};
	t->space.dials[0] = (struct sm_tune_dial){.name = "", .levels = 2};
	if (t->space.knobs[0].key == NULL)
		return -ENOMEM;
	return sm_strings_add(&t->space.knobs[0].values, t->file.variant, strlen(t->file.variant));
}

/* A setting that stays has one value. A variable that stays, and parts of it that are turned:
 * either would replace the other. */
static int check_variables(struct sm_tuner *t)
{
	for (size_t i = 0; i + 1 < t->args.n; i++) {
		const char *pair = t->args.v[i + 1];
		size_t len = strncmp(pair, "env.", 4) == 0 ? strcspn(pair + 4, "=") : 0;

		if (strcmp(t->args.v[i], "--set") == 0 && len == 0 && strchr(pair, ',') != NULL) {
			snprintf(t->err, sizeof(t->err),
				 "--set '%.60s': allowed: one value, which stays; --knob %.60s "
				 "turns it",
				 pair, pair);
			return -EINVAL;
		}
		for (unsigned k = 0; strcmp(t->args.v[i], "--set") == 0 && k < t->space.n; k++) {
			const char *key = t->space.knobs[k].key;

			if (len == 0 || strncmp(key, pair + 4, len) != 0 || key[len] != ':')
				continue;
			snprintf(t->err, sizeof(t->err),
				 "--set env.%.*s: parts of it are knobs here; allowed: the part "
				 "that "
				 "stays as --knob %.*s:KEY=VALUE, or other knobs",
				 (int)len, pair + 4, (int)len, pair + 4);
			return -EINVAL;
		}
	}
	return 0;
}

/* Opened before anything is measured, so that an unwritable place is found out then. */
static int open_output(struct sm_tuner *t)
{
	if (t->check != NULL || t->dry_run)
		return 0;
	if (sm_output_hits_store(t->output, t->store)) {
		snprintf(t->err, sizeof(t->err),
			 "--output '%.200s' is the store; allowed: another file", t->output);
		return -EINVAL;
	}
	return sm_output_open(&t->ini, t->output, t->err, sizeof(t->err)) != 0 ? -EINVAL : 0;
}

static int prepare(struct sm_tuner *t)
{
	int rc = 0;

	if (t->check != NULL)
		rc = sm_tuning_file_read(t->check, &t->file, t->err, sizeof(t->err));
	if (t->backend == NULL)
		t->backend = t->check != NULL ? t->file.backend : "gc";
	if (t->objective_text == NULL)
		t->objective_text = t->check != NULL ? t->file.objective : "time";
	if (rc == 0 && t->check != NULL)
		rc = ask_again(t);
	if (rc == 0)
		rc = check_backend(t);
	if (rc == 0)
		rc = sm_objective_parse(&t->objective, t->objective_text, t->err, sizeof(t->err));
	if (rc == 0)
		rc = t->check != NULL ? space_of_file(t)
				      : sm_space_make(&t->space, t->backend, &t->knobs, t->err,
						      sizeof(t->err));
	if (rc == 0 && t->method == SM_TUNE_EXHAUSTIVE &&
	    sm_tune_grid(t->space.dials, t->space.n) > SM_TUNE_GRID) {
		snprintf(
			t->err, sizeof(t->err),
			"--method exhaustive: the knobs span more than %d configurations; allowed: "
			"fewer of them (--knob)",
			SM_TUNE_GRID);
		rc = -EINVAL;
	}
	rc = rc ? rc : fill_in(t);
	if (rc == 0)
		sm_tuner_keep(t);
	if (rc == 0 && t->check == NULL && strcmp(t->backend, "gc") == 0)
		rc = sm_space_drop_default(&t->space, &t->args, t->err, sizeof(t->err));
	rc = rc ? rc : check_variables(t);
	rc = rc ? rc : sm_tuner_check(t);
	return rc ? rc : open_output(t);
}

static void print_space(const struct sm_tuner *t)
{
	unsigned n = 1, grid = sm_tune_grid(t->space.dials, t->space.n);

	for (unsigned i = 0; i < t->space.n; i++) {
		printf("%s\n    default", t->space.knobs[i].key);
		for (unsigned v = 1; v < t->space.dials[i].levels; v++, n++)
			printf(", %s", sm_space_value(&t->space, i, v));
		putchar('\n');
		if (t->space.knobs[i].why[0] != '\0')
			printf("    %s\n", t->space.knobs[i].why);
	}
	printf("\n%u configurations to screen, ", n);
	printf(grid > SM_TUNE_GRID ? "more than %u combinations\n" : "%u combinations\n",
	       grid > SM_TUNE_GRID ? SM_TUNE_GRID : grid);
	fputs("for spanmark run", stdout);
	for (size_t i = 0; i < t->args.n; i++)
		printf(strchr(t->args.v[i], ' ') != NULL ? " '%s'" : " %s", t->args.v[i]);
	putchar('\n');
}

static int tune(struct sm_tuner *t)
{
	int rc = prepare(t);

	if (rc == 0 && t->dry_run) {
		print_space(t);
		return SM_EXIT_OK;
	}
	if (rc == 0)
		rc = sm_tuner_identify(t);
	if (rc == 0) {
		sm_child_catch_signals();
		rc = sm_tuner_search(t);
	}
	if (rc == 0)
		return sm_tuner_conclude(t);
	if (rc == -ECANCELED) {
		sm_complain("interrupted: what was measured is kept in '%s'; the same command with "
			    "--resume goes on",
			    t->store);
		return 128 + sm_child_signal();
	}
	sm_complain("%s", t->err[0] != '\0' ? t->err : strerror(-rc));
	return rc == -EINVAL || rc == -ENOENT ? SM_EXIT_USAGE : SM_EXIT_FAILED;
}

static int run_tune(int argc, char **argv)
{
	struct sm_tuner t = {.store = SM_STORE_DEFAULT,
			     .output = "spanmark.ini",
			     .budget_s = 600,
			     .margin = SM_VERDICT_MARGIN};
	int status;

	if (sm_options_parse(&sm_command_tune, &t, argc, argv, &status))
		status = tune(&t);
	(void)sm_output_close(&t.ini, false, t.err, sizeof(t.err)); /* nothing was recommended */
	sm_tune_found_free(&t.found);
	sm_counterfactual_free(&t.counterfactual);
	sm_trials_free(&t.trials);
	sm_space_free(&t.space);
	sm_tuning_file_free(&t.file);
	sm_strings_free(&t.args);
	sm_strings_free(&t.knobs);
	sm_strings_free(&t.weights);
	free(t.environment);
	return status;
}

static const struct sm_option_table table = {"tune", rows, SM_COUNT_OF(rows), NULL,
					     "workloads are named with -w"};

const struct sm_command sm_command_tune = {
	.name = "tune",
	.summary = "which settings are best for these workloads on this machine",
	.run = run_tune,
	.options = &table,
	.about =
		"Finds the settings of an allocator or collector that are best here, and proves "
		"it: "
		"what looks best in the search is measured once more against the default, on fresh "
		"samples, and is recommended only when the interval of the ratio says so. That the "
		"default is as good is a result, and the common one.\n"
		"\n"
		"The search turns every knob alone (screen), combines what helped and drops the "
		"worse half again and again (halve), tries the neighbours of what is left and "
		"leaves out what does not pay (refine), then confirms. Every sample goes into the "
		"store; `spanmark report` shows the curves.",
	.examples =
		(const char *const[]){
			"spanmark tune",
			"the collector, for six workloads, in about ten minutes",
			"spanmark tune -b jemalloc --program 'make -s -j2' --setup 'make clean' "
			"--budget 1h",
			"the knobs of jemalloc for a build",
			"spanmark tune -w larson -t 8 -b span -k cache.slots=64,256,1024,4096 "
			"--max-rss 1.1x",
			"how deep per-thread lists should be, memory bounded",
			"spanmark tune -w ring --objective p999 -k gc.percent -k workers "
			"--method exhaustive",
			"every combination of two knobs, for the latency of steps",
			"spanmark tune --check spanmark.ini",
			"does it still hold, after an update of kernel or library?",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done; with --check, the file still holds.",
			"1",
			"It could not be measured, or not be written.",
			"2",
			"The command line is wrong.",
			"3",
			"With --check, the file does not hold here.",
			"130, 143, 129",
			"Interrupted (INT, TERM, HUP); --resume goes on.",
			NULL,
		},
};
