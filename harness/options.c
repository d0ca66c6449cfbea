/*
 * options.c: the option table and the parsing of argv. See options.h.
 */
#include "harness/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/configfile.h"
#include "harness/suggest.h"

#define MAX_REPS    1000
#define MAX_TIMEOUT (7 * 86400.0)
#define MAX_LIST    4096

/* ---- taking values ------------------------------------------------------------------------ */

static void *member(const struct sm_option *opt, struct sm_run_options *o)
{
	return (char *)o + opt->offset;
}

static int refuse_value(char *err, size_t errlen, const struct sm_option *opt, const char *value,
			const char *allowed)
{
	snprintf(err, errlen, "--%s: '%.80s' is not allowed; allowed: %s", opt->name, value,
		 allowed);
	return -EINVAL;
}

/* Splits a word list "a|b|c" into names[]; the text must outlive them. Returns how many. */
static size_t split_words(char *text, const char **names, size_t max)
{
	size_t n = 0;

	for (char *save = NULL, *w = strtok_r(text, "|", &save); w != NULL && n < max;
	     w = strtok_r(NULL, "|", &save))
		names[n++] = w;
	return n;
}

/* Index of value among opt->words, or -EINVAL. */
static int word_index(const struct sm_option *opt, const char *value, char *err, size_t errlen)
{
	char text[256];
	const char *names[16];
	size_t n, used;

	snprintf(text, sizeof(text), "%s", opt->words);
	n = split_words(text, names, 16);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	}
	used = (size_t)snprintf(err, errlen, "--%s: ", opt->name);
	if (used < errlen)
		sm_suggest_error(err + used, errlen - used, "value", value, names, n);
	return -EINVAL;
}

static void disinherit(struct sm_strings *s)
{
	if (s->inherited)
		sm_strings_free(s);
}

static const char *skip_blank(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Length up to the next comma that separates; those between slashes belong to the entry
 * ("cpu/event=1,umask=2/"). */
static size_t entry_length(const char *p, bool slashes)
{
	bool inside = false;
	size_t n;

	for (n = 0; p[n] && (inside || p[n] != ','); n++) {
		if (slashes && p[n] == '/')
			inside = !inside;
	}
	return n;
}

/* Comma-separated, blanks around the entries dropped; each non-empty. */
static int take_list(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);

	disinherit(s);
	for (const char *p = value;; p++) {
		size_t len, next;

		p = skip_blank(p);
		len = next = entry_length(p, opt->letter == 'e');
		while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
			len--;
		if (len == 0)
			return refuse_value(err, errlen, opt, value,
					    "names separated by commas, none of them empty");
		if (s->n >= MAX_LIST)
			return refuse_value(err, errlen, opt, "..", "at most 4096 entries");
		if (sm_strings_add(s, p, len))
			return -ENOMEM;
		p += next;
		if (!*p)
			return 0;
	}
}

/* KEY=VALUE; a later one with the same key replaces an earlier. */
static int take_pair(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	const char *eq = strchr(value, '=');
	size_t keylen = eq != NULL ? (size_t)(eq - value) : 0;

	if (keylen == 0 || eq[1] == 0)
		return refuse_value(err, errlen, opt, value, "KEY=VALUE");
	for (size_t i = 0; i < s->n; i++) {
		if (strncmp(s->v[i], value, keylen + 1) == 0) {
			char *copy = strdup(value);

			if (copy == NULL)
				return -ENOMEM;
			free(s->v[i]);
			s->v[i] = copy;
			return 0;
		}
	}
	return sm_strings_add(s, value, strlen(value));
}

static int parse_number(const char *value, unsigned long min, unsigned long max, unsigned long *out)
{
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(value, &end, 10);
	return errno || *end || *out < min || *out > max ? -EINVAL : 0;
}

/* A list of numbers, kept as text: threads 1..4096, workers 0..256 as gc.workers. */
static int take_counts(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		       char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	bool threads = strcmp(opt->name, "threads") == 0;
	unsigned long n;
	int rc = take_list(opt, o, value, err, errlen);

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		if (parse_number(s->v[i], threads, threads ? 4096 : 256, &n))
			rc = refuse_value(
				err, errlen, opt, s->v[i],
				threads ? "numbers from 1 to 4096, separated by commas"
					: "numbers from 0 (the default) to 256, separated by "
					  "commas");
	}
	return rc;
}

static int take_reps(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	unsigned long n;

	if (parse_number(value, 1, MAX_REPS, &n))
		return refuse_value(err, errlen, opt, value, "a number from 1 to 1000");
	o->reps = (unsigned)n;
	return 0;
}

static int take_seed(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	char *end;

	errno = 0;
	o->seed = strtoull(value, &end, 0);
	if (errno || *end || value[0] < '0' || value[0] > '9')
		return refuse_value(err, errlen, opt, value, "a number from 0 to 2^64-1");
	o->seed_given = true;
	return 0;
}

static int take_timeout(const struct sm_option *opt, struct sm_run_options *o, const char *value,
			char *err, size_t errlen)
{
	char *end;
	double s = strtod(value, &end);

	if (end != value && strcmp(end, "ms") == 0) {
		s /= 1e3;
		end += 2;
	} else if (end != value && (strcmp(end, "s") == 0 || strcmp(end, "m") == 0)) {
		s *= *end == 'm' ? 60 : 1;
		end++;
	}
	if (end == value || *end || !isfinite(s) || s < 0.001 || s > MAX_TIMEOUT)
		return refuse_value(err, errlen, opt, value,
				    "seconds from 0.001 to 604800; 100ms and 5m are understood");
	o->timeout_s = s;
	return 0;
}

/* A run's id, or nothing: the last unfinished one. A configuration file says yes or no. */
static int take_resume(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		       char *err, size_t errlen)
{
	unsigned long id;

	if (value == NULL || strcmp(value, "yes") == 0 || strcmp(value, "no") == 0) {
		o->resume = value == NULL || value[0] == 'y';
		return 0;
	}
	if (parse_number(value, 1, 1ul << 52, &id))
		return refuse_value(err, errlen, opt, value,
				    "the number of a run, or nothing for the last unfinished one");
	o->resume = true;
	o->resume_run = (int64_t)id;
	return 0;
}

static int take_word(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	int i = word_index(opt, value, err, errlen);

	if (i < 0)
		return i;
	*(unsigned *)member(opt, o) = (unsigned)i;
	return 0;
}

static int take_words(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		      char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	int rc = take_list(opt, o, value, err, errlen);

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		if (word_index(opt, s->v[i], err, errlen) < 0)
			rc = -EINVAL;
	}
	return rc;
}

static int take_text(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	char **slot = member(opt, o);
	char *copy;

	if (!*value)
		return refuse_value(err, errlen, opt, value, "a name that is not empty");
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

static int take_flag(const struct sm_option *opt, struct sm_run_options *o, const char *value,
		     char *err, size_t errlen)
{
	bool on = true;

	if (value != NULL) { /* only from a configuration file */
		on = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 ||
		     strcmp(value, "1") == 0;
		if (!on && strcmp(value, "no") != 0 && strcmp(value, "false") != 0 &&
		    strcmp(value, "0") != 0)
			return refuse_value(err, errlen, opt, value, "yes, no");
	}
	*(bool *)member(opt, o) = on;
	return 0;
}

/* ---- the table ---------------------------------------------------------------------------- */

#define AT(m) offsetof(struct sm_run_options, m)

/* enum members are written through an unsigned by take_word */
_Static_assert(sizeof(enum sm_format) == sizeof(unsigned), "enum is an unsigned");

static const struct sm_option table[] = {
	{"workload", 'w', "NAME,..", "workloads to run; all when not given", NULL, take_list,
	 AT(workloads)},
	{"param", 'p', "KEY=VALUE",
	 "a workload parameter; KEY may be WORKLOAD.KEY; V1,V2 runs each", NULL, take_pair,
	 AT(params)},
	{"backend", 'b', "NAME,..", "where objects come from", "gc|span|libc", take_words,
	 AT(backends)},
	{"threads", 't', "N,..", "mutator threads", NULL, take_counts, AT(threads)},
	{"workers", 0, "N,..", "mark workers of the collector", NULL, take_counts, AT(workers)},
	{"place", 0, "POLICY,..", "which cores the mutators are pinned to",
	 "compact|scatter|per-node|one-per-core|none", take_words, AT(place)},
	{"mark-place", 0, "POLICY,..", "which cores the mark workers are pinned to",
	 "auto|dedicated|shared|sibling|remote-node|none", take_words, AT(mark_place)},
	{"kind", 0, "KIND,..", "kind of cores that threads may use: all, or as spanmark topo says",
	 NULL, take_list, AT(kinds)},
	{"set", 's', "KEY=VALUE", "a setting of heap or collector (spanmark list); V1,V2 runs each",
	 NULL, take_pair, AT(settings)},
	{"reps", 'n', "N", "repetitions of everything: 3, with --quick 1", NULL, take_reps, 0},
	{"quick", 'q', NULL, "small parameters, one repetition: all workloads within a minute",
	 NULL, take_flag, AT(quick)},
	{"counters", 'c', "SOURCE", "where counts come from", "auto|pmu|sw|sim|none", take_word,
	 AT(counters)},
	{"counter-set", 'C', "SET,..", "counter sets to read (spanmark events lists them)", NULL,
	 take_list, AT(sets)},
	{"event", 'e', "EVENT,..", "further events by libpfm4 name, or raw as rNNN", NULL,
	 take_list, AT(events)},
	{"multiplex", 0, NULL,
	 "let the kernel rotate counters: fewer passes, scaled and labelled values", NULL,
	 take_flag, AT(multiplex)},
	{"by", 0, "WHAT", "rows of the table: counts summed by this",
	 "role|thread|core|l3|node|kind", take_word, AT(by)},
	{"format", 'f', "FORMAT", "how to print", "table|csv|json", take_word, AT(format)},
	{"output", 'o', "FILE", "print into FILE, which is replaced when all went well", NULL,
	 take_text, AT(output)},
	{"color", 0, "WHEN", "colour in the table", "auto|always|never", take_word, AT(color)},
	{"store", 0, "FILE", "keep samples in this SQLite database, each as it arrives", NULL,
	 take_text, AT(store)},
	{"resume", 0, "[ID]", "go on with a run in --store, by default the last unfinished one",
	 NULL, take_resume, 0},
	{"timeout", 0, "SECONDS", "limit for one sample: 300, with --quick 30", NULL, take_timeout,
	 0},
	{"seed", 0, "N", "seed of order and workloads; printed when not given", NULL, take_seed, 0},
	{"no-shuffle", 0, NULL, "run in the order written, not a random one", NULL, take_flag,
	 AT(no_shuffle)},
	{"config", 0, "FILE", "read options from an INI file; the command line wins", NULL,
	 take_text, AT(config)},
	{"topology", 0, "FILE", "plan for another machine (hwloc XML or synthetic); with --dry-run",
	 NULL, take_text, AT(topology)},
	{"dry-run", 0, NULL, "print the plan and the placement, run nothing", NULL, take_flag,
	 AT(dry_run)},
	{"help", 'h', NULL, "this text", NULL, take_flag, AT(help)},
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
	struct sm_strings *lists[] = {&o->workloads, &o->events,     &o->sets,
				      &o->backends,  &o->threads,    &o->workers,
				      &o->place,     &o->mark_place, &o->kinds};

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

/* Entries with a blank between them where they may hold commas. */
static void print_list(FILE *f, const struct sm_strings *s, const char *between)
{
	for (size_t i = 0; i < s->n; i++)
		fprintf(f, "%s%s", i ? between : "", s->v[i]);
}

static void print_word(FILE *f, const char *words, unsigned index)
{
	while (index-- > 0)
		words = strchr(words, '|') + 1;
	fprintf(f, "%.*s", (int)strcspn(words, "|"), words);
}

void sm_option_print(const struct sm_option *opt, const struct sm_run_options *o, FILE *f)
{
	const void *at = (const char *)o + opt->offset;

	if (opt->take == take_list || opt->take == take_counts || opt->take == take_words)
		print_list(f, at, ",");
	else if (opt->take == take_pair)
		print_list(f, at, " ");
	else if (opt->take == take_word)
		print_word(f, opt->words, *(const unsigned *)at);
	else if (opt->take == take_flag)
		fputs(*(const bool *)at ? "yes" : "no", f);
	else if (opt->take == take_reps)
		fprintf(f, "%u", o->reps);
	else if (opt->take == take_seed)
		fprintf(f, "%llu", (unsigned long long)o->seed);
	else if (opt->take == take_timeout)
		fprintf(f, "%g", o->timeout_s);
}
