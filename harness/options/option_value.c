/*
 * option_value.c: what the value of an option means, and how one would type it.
 */
#include "harness/options/option_value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/suggest.h"
#include "harness/base/text.h"
#include "harness/options/until_value.h"

#define MAX_REPS    1000
#define MAX_SECONDS (7 * 86400.0)
#define MAX_LIST    4096

static void *member(const struct sm_option *opt, void *o)
{
	return (char *)o + opt->offset;
}

int sm__refuse_value(char *err, size_t errlen, const struct sm_option *opt, const char *value,
		     const char *allowed)
{
	/* An operand has no name, only what stands for it in the usage line. */
	snprintf(err, errlen, "%s%s: '%.80s' is not allowed; allowed: %s",
		 opt->name != NULL ? "--" : "", opt->name != NULL ? opt->name : opt->arg, value,
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
		const char *colon = strchr(names[i], ':'); /* preload:PATH */

		if (colon != NULL ? strncmp(value, names[i], (size_t)(colon + 1 - names[i])) == 0 &&
					    value[colon + 1 - names[i]] != '\0'
				  : strcmp(value, names[i]) == 0)
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
int sm__take_list(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
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
			return sm__refuse_value(err, errlen, opt, value,
						"names separated by commas, none of them empty");
		if (s->n >= MAX_LIST)
			return sm__refuse_value(err, errlen, opt, "..", "at most 4096 entries");
		if (sm_strings_add(s, p, len))
			return -ENOMEM;
		p += next;
		if (!*p)
			return 0;
	}
}

/* KEY=VALUE; a later one with the same key replaces an earlier. */
int sm__take_pair(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	const char *eq = strchr(value, '=');
	size_t keylen = eq != NULL ? (size_t)(eq - value) : 0;

	if (keylen == 0 || eq[1] == 0)
		return sm__refuse_value(err, errlen, opt, value, opt->arg);
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

/* One whole value, whatever is in it. */
int sm__take_item(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
{
	struct sm_strings *s = member(opt, o);

	disinherit(s);
	if (!*value)
		return sm__refuse_value(err, errlen, opt, value, "something that is not empty");
	if (s->n >= MAX_LIST)
		return sm__refuse_value(err, errlen, opt, "..", "at most 4096 entries");
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
int sm__take_counts(const struct sm_option *opt, void *o, const char *value, char *err,
		    size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	bool threads = strcmp(opt->name, "threads") == 0;
	unsigned long n;
	int rc = sm__take_list(opt, o, value, err, errlen);

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		if (parse_number(s->v[i], threads, threads ? 4096 : 256, &n))
			rc = sm__refuse_value(
				err, errlen, opt, s->v[i],
				threads ? "numbers from 1 to 4096, separated by commas"
					: "numbers from 0 (the default) to 256, separated by "
					  "commas");
	}
	return rc;
}

int sm__take_reps(const struct sm_option *opt, void *options, const char *value, char *err,
		  size_t errlen)
{
	struct sm_run_options *o = options;
	unsigned long n;

	if (parse_number(value, 1, MAX_REPS, &n))
		return sm__refuse_value(err, errlen, opt, value, "a number from 1 to 1000");
	o->reps = (unsigned)n;
	return 0;
}

int sm__take_until(const struct sm_option *opt, void *options, const char *value, char *err,
		   size_t errlen)
{
	struct sm_run_options *o = options;
	struct sm_until_target checked[SM_UNTIL_TARGETS];
	size_t n;
	int rc = sm_until_parse(value, checked, &n, err, errlen);

	(void)opt;
	if (rc)
		return rc;
	free(o->until);
	o->until = strdup(value);
	return o->until != NULL ? 0 : -ENOMEM;
}

int sm__take_seed(const struct sm_option *opt, void *options, const char *value, char *err,
		  size_t errlen)
{
	struct sm_run_options *o = options;
	char *end;

	errno = 0;
	o->seed = strtoull(value, &end, 0);
	if (errno || *end || value[0] < '0' || value[0] > '9')
		return sm__refuse_value(err, errlen, opt, value, "a number from 0 to 2^64-1");
	o->seed_given = true;
	return 0;
}

bool sm__read_seconds(const char *value, double *out)
{
	static const struct {
		const char *name;
		double s;
	} units[] = {{"", 1}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
	char *end;
	double v = strtod(value, &end);

	for (size_t i = 0; end != value && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].name) == 0) {
			*out = v * units[i].s;
			return isfinite(*out) && *out <= MAX_SECONDS;
		}
	return false;
}

int sm__take_timeout(const struct sm_option *opt, void *o, const char *value, char *err,
		     size_t errlen)
{
	double s;

	if (!sm__read_seconds(value, &s) || s < 0.001)
		return sm__refuse_value(
			err, errlen, opt, value,
			"seconds from 0.001 to 604800; 100ms, 5m and 2h are understood");
	*(double *)member(opt, o) = s;
	return 0;
}

/* What a run is called, or nothing: the last unfinished one. A configuration file says yes or no.
 */
int sm__take_resume(const struct sm_option *opt, void *options, const char *value, char *err,
		    size_t errlen)
{
	struct sm_run_options *o = options;

	(void)opt, (void)err, (void)errlen;
	free(o->resume_run);
	o->resume_run = NULL;
	o->resume = value == NULL || strcmp(value, "no") != 0;
	if (value == NULL || strcmp(value, "no") == 0 || strcmp(value, "yes") == 0)
		return 0;
	o->resume_run = strdup(value); /* which the store looks up */
	return o->resume_run != NULL ? 0 : -ENOMEM;
}

/* The one of --store and --no-store that comes last is meant. */
int sm__take_no_store(const struct sm_option *opt, void *options, const char *value, char *err,
		      size_t errlen)
{
	struct sm_run_options *o = options;
	int rc = sm__take_flag(opt, o, value, err, errlen);

	if (rc == 0 && o->no_store) {
		free(o->store);
		o->store = NULL;
	}
	return rc;
}

int sm__take_word(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
{
	int i = word_index(opt, value, err, errlen);

	if (i < 0)
		return i;
	*(unsigned *)member(opt, o) = (unsigned)i;
	return 0;
}

int sm__take_words(const struct sm_option *opt, void *o, const char *value, char *err,
		   size_t errlen)
{
	struct sm_strings *s = member(opt, o);
	int rc = sm__take_list(opt, o, value, err, errlen);

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		if (word_index(opt, s->v[i], err, errlen) < 0)
			rc = -EINVAL;
	}
	return rc;
}

int sm__take_text(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
{
	char **slot = member(opt, o);
	char *copy;

	if (!*value)
		return sm__refuse_value(err, errlen, opt, value, "a name that is not empty");
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

int sm__take_borrowed(const struct sm_option *opt, void *o, const char *value, char *err,
		      size_t errlen)
{
	if (!*value)
		return sm__refuse_value(err, errlen, opt, value, "a name that is not empty");
	*(const char **)member(opt, o) = value;
	return 0;
}

int sm__take_percent(const struct sm_option *opt, void *o, const char *value, char *err,
		     size_t errlen)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || (strcmp(end, "%") != 0 && *end) || !(v >= 0 && v <= 1000)) {
		snprintf(err, errlen,
			 "--%s '%.60s'; allowed: a percentage such as 3%%, up to 1000%%", opt->name,
			 value);
		return -EINVAL;
	}
	*(double *)member(opt, o) = v / 100;
	return 0;
}

int sm__take_flag(const struct sm_option *opt, void *o, const char *value, char *err, size_t errlen)
{
	bool on = true;

	if (value != NULL) { /* only from a configuration file */
		on = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 ||
		     strcmp(value, "1") == 0;
		if (!on && strcmp(value, "no") != 0 && strcmp(value, "false") != 0 &&
		    strcmp(value, "0") != 0)
			return sm__refuse_value(err, errlen, opt, value, "yes, no");
	}
	*(bool *)member(opt, o) = on;
	return 0;
}

/* ---- printing values ----------------------------------------------------------------------- */

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

static void print_number(FILE *f, double v)
{
	char text[40];

	sm_text_number(v, text, sizeof(text));
	fputs(text, f);
}

void sm_option_print(const struct sm_option *opt, const struct sm_run_options *o, FILE *f)
{
	const void *at = (const char *)o + opt->offset;

	if (opt->take == sm__take_list || opt->take == sm__take_counts ||
	    opt->take == sm__take_words)
		print_list(f, at, ",");
	else if (opt->take == sm__take_pair)
		print_list(f, at, " ");
	else if (opt->take == sm__take_item)
		print_list(f, at, "; ");
	else if (opt->take == sm__take_text)
		fputs(*(char *const *)at != NULL ? *(char *const *)at : "", f);
	else if (opt->take == sm__take_word)
		print_word(f, opt->words, *(const unsigned *)at);
	else if (opt->take == sm__take_flag || opt->take == sm__take_no_store)
		fputs(*(const bool *)at ? "yes" : "no", f);
	else if (opt->take == sm__take_reps)
		fprintf(f, "%u", o->reps);
	else if (opt->take == sm__take_seed)
		fprintf(f, "%llu", (unsigned long long)o->seed);
	else if (opt->take == sm__take_timeout)
		print_number(f, *(const double *)at);
	else if (opt->take == sm__take_until)
		fputs(o->until != NULL ? o->until : "", f);
}
