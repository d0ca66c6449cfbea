/* program.c: programs out of the options. See program.h. */
#include "harness/program/program.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/options.h"
#include "harness/program/command.h"
#include "harness/program/figures.h"

#define MAX_PROGRAMS 1000
#define MAX_FILE     (1u << 20)

const char *const sm_part_names[SM_PARTS] = {"program", "server", "client", "setup", "teardown"};

/* ---- one program ---------------------------------------------------------------------------- */

void sm_program_free(struct sm_program *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < SM_PARTS; i++)
		sm_argv_free(p->argv[i]);
	for (unsigned i = 0; i < p->nmetrics; i++)
		free((char *)p->metrics[i].name);
	free(p->metrics);
	free(p);
}

void sm__program_describe(struct sm_program *p)
{
	enum sm_part part = sm_program_main(p);

	p->params[0] = (struct sm_param_desc){.name = "threads",
					      .min = 1,
					      .max = 4096,
					      .unit = "threads",
					      .help = "CPUs that it may use; all when not given"};
	sm_command_name(p->argv[part][0], p->name, sizeof(p->name));
	p->workload = (struct sm_workload){.name = p->name,
					   .summary = p->line[part],
					   .op = "operation",
					   .params = p->params,
					   .backends = 1u << SM_WL_LIBC};
}

static enum sm_better better_of(const struct sm_run_options *o, const char *name, size_t len)
{
	for (size_t i = 0; i < o->better.n; i++) {
		const char *b = o->better.v[i];

		if (strncmp(b, name, len) == 0 && b[len] == '=')
			return strcmp(b + len + 1, "higher") == 0 ? SM_BETTER_MORE : SM_BETTER_LESS;
	}
	return SM_BETTER_NEITHER;
}

static int take_metrics(struct sm_program *p, const struct sm_run_options *o)
{
	p->metrics = calloc(o->metrics.n + 1, sizeof(*p->metrics));
	if (p->metrics == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < o->metrics.n; i++) {
		const char *text = o->metrics.v[i];
		size_t len = strcspn(text, "=");
		struct sm_program_metric *m = &p->metrics[p->nmetrics];

		m->name = strndup(text, len);
		if (m->name == NULL)
			return -ENOMEM;
		m->regex = text + len + 1;
		m->better = better_of(o, text, len);
		p->nmetrics++;
	}
	return 0;
}

static int take_part(struct sm_program *p, enum sm_part part, const char *line, char *err,
		     size_t errlen)
{
	char option[32];

	if (line == NULL)
		return 0;
	snprintf(option, sizeof(option), "--%s", sm_part_names[part]);
	p->line[part] = line;
	return sm_command_split(option, line, &p->argv[part], err, errlen);
}

static int make_one(struct sm_programs *out, const struct sm_run_options *o, enum sm_part part,
		    const char *line, char *err, size_t errlen)
{
	struct sm_program *p = calloc(1, sizeof(*p));
	int rc = p != NULL ? take_part(p, part, line, err, errlen) : -ENOMEM;

	if (rc == 0 && part == SM_PART_SERVER) {
		p->ready = o->ready;
		rc = take_part(p, SM_PART_CLIENT, o->client, err, errlen);
	}
	if (rc == 0)
		rc = take_part(p, SM_PART_SETUP, o->setup, err, errlen);
	if (rc == 0)
		rc = take_part(p, SM_PART_TEARDOWN, o->teardown, err, errlen);
	if (rc == 0)
		rc = take_metrics(p, o);
	if (rc == 0) {
		sm__program_describe(p);
		out->v[out->n++] = p;
		return 0;
	}
	sm_program_free(p);
	return rc;
}

/* ---- what the options say ------------------------------------------------------------------- */

/* Figures that we measure ourselves. */
static bool is_ours(const char *name, size_t len)
{
	static const char *const names[] = {"wall_s",	    "user_s",		"system_s",
					    "peak_rss_kib", "minor_faults",	"major_faults",
					    "ns_per_op",    "context_switches", "peak_charged_kib"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && strncmp(names[i], name, len) == 0)
			return true;
	return false;
}

static int check_metrics(const struct sm_run_options *o, char *err, size_t errlen)
{
	for (size_t i = 0; i < o->metrics.n; i++) {
		const char *text = o->metrics.v[i];
		size_t len = strcspn(text, "=");

		if (sm_figure_check(text, err, errlen) != 0)
			return -EINVAL;
		if (is_ours(text, len)) {
			snprintf(err, errlen,
				 "--metric '%.80s': %.*s is measured anyway; allowed: another name",
				 text, (int)len, text);
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < o->better.n; i++) {
		const char *text = o->better.v[i], *word = strchr(text, '=') + 1;
		size_t len = (size_t)(word - text);
		bool named = false;

		for (size_t k = 0; k < o->metrics.n; k++)
			named |= strncmp(o->metrics.v[k], text, len) == 0;
		if (strcmp(word, "higher") != 0 && strcmp(word, "lower") != 0) {
			snprintf(err, errlen, "--better '%.80s': allowed: NAME=higher, NAME=lower",
				 text);
			return -EINVAL;
		}
		if (!named) {
			snprintf(err, errlen, "--better '%.80s': no --metric has this name", text);
			return -EINVAL;
		}
	}
	return 0;
}

static const char *wrong_ready(const char *ready)
{
	regex_t re;

	if (ready[strspn(ready, "0123456789")] == 0)
		return strlen(ready) > 5 || atoi(ready) < 1 || atoi(ready) > 65535
			       ? "a port is a number from 1 to 65535"
			       : NULL;
	if (regcomp(&re, ready, REG_EXTENDED | REG_NOSUB) != 0)
		return "the regular expression is wrong";
	regfree(&re);
	return NULL;
}

static int check_server(const struct sm_run_options *o, char *err, size_t errlen)
{
	const char *wrong = NULL;

	if (o->server == NULL && (o->client != NULL || o->ready != NULL))
		wrong = "--client and --ready belong to --server CMD";
	else if (o->server != NULL && o->client == NULL)
		wrong = "--server needs --client CMD, what loads it";
	else if (o->server != NULL && o->ready == NULL)
		wrong = "--server needs --ready PORT, or an expression that it prints when it is "
			"ready";
	if (wrong != NULL)
		snprintf(err, errlen, "%s", wrong);
	else if (o->ready != NULL && (wrong = wrong_ready(o->ready)) != NULL)
		snprintf(err, errlen, "--ready '%.80s': %s", o->ready, wrong);
	return wrong != NULL ? -EINVAL : 0;
}

static bool has_any(const struct sm_run_options *o)
{
	return o->programs.n > 0 || o->programs_file != NULL || o->server != NULL;
}

static int check_options(const struct sm_run_options *o, char *err, size_t errlen)
{
	int rc = check_server(o, err, errlen);

	if (rc == 0 && !has_any(o) &&
	    (o->setup != NULL || o->teardown != NULL || o->metrics.n > 0 || o->better.n > 0)) {
		snprintf(err, errlen,
			 "--setup, --teardown, --metric and --better belong to --program, "
			 "--programs or --server");
		rc = -EINVAL;
	}
	if (rc == 0 && has_any(o) && o->counters == SM_COUNT_SIM) {
		snprintf(err, errlen,
			 "--counters=sim: a whole program is not simulated; allowed with it: auto, "
			 "pmu, sw, none");
		rc = -EINVAL;
	}
	return rc ? rc : check_metrics(o, err, errlen);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool is_listed(const struct sm_programs *p, const char *line)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i]->line[SM_PART_PROGRAM] != NULL &&
		    strcmp(p->v[i]->line[SM_PART_PROGRAM], line) == 0)
			return true;
	return false;
}

static int add(struct sm_programs *out, const struct sm_run_options *o, enum sm_part part,
	       const char *line, char *err, size_t errlen)
{
	struct sm_program **v;

	if (is_listed(out, line))
		return 0;
	if (out->n >= MAX_PROGRAMS) {
		snprintf(err, errlen, "--program: more than %d programs", MAX_PROGRAMS);
		return -EINVAL;
	}
	v = realloc(out->v, (out->n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	out->v = v;
	return make_one(out, o, part, line, err, errlen);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f != NULL ? malloc(MAX_FILE + 1) : NULL;
	size_t n = text != NULL ? fread(text, 1, MAX_FILE, f) : 0;
	bool bad = f == NULL || text == NULL || ferror(f) != 0;
	int err = errno;

	if (f != NULL)
		fclose(f);
	if (bad) {
		free(text);
		errno = err;
		return NULL;
	}
	text[n] = 0;
	return text;
}

/* One a line; what is empty or begins with # is none. The text stays: lines point into it. */
static int add_file(struct sm_programs *out, const struct sm_run_options *o, char *err,
		    size_t errlen)
{
	unsigned number = 0, before = out->n;
	char why[400];
	int rc = 0;

	out->text = slurp(o->programs_file);
	if (out->text == NULL) {
		snprintf(err, errlen, "--programs: cannot read '%.200s': %s", o->programs_file,
			 strerror(errno));
		return -EINVAL;
	}
	for (char *p = out->text; *p && rc == 0;) {
		size_t len = strcspn(p, "\n");
		char *next = p + len + (p[len] != 0);

		p[len] = 0;
		number++;
		p += strspn(p, " \t\r");
		p[strcspn(p, "\r")] = 0;
		if (*p && *p != '#')
			rc = add(out, o, SM_PART_PROGRAM, p, why, sizeof(why));
		p = next;
	}
	if (rc == -EINVAL)
		snprintf(err, errlen, "--programs '%.150s', line %u: %s", o->programs_file, number,
			 why);
	if (rc == 0 && out->n == before) {
		snprintf(err, errlen, "--programs '%.200s': there is no program in it",
			 o->programs_file);
		rc = -EINVAL;
	}
	return rc;
}

int sm_programs_make(struct sm_programs *out, const struct sm_run_options *o, char *err,
		     size_t errlen)
{
	int rc = check_options(o, err, errlen);

	*out = (struct sm_programs){0};
	for (size_t i = 0; i < o->programs.n && rc == 0; i++)
		rc = add(out, o, SM_PART_PROGRAM, o->programs.v[i], err, errlen);
	if (rc == 0 && o->programs_file != NULL)
		rc = add_file(out, o, err, errlen);
	if (rc == 0 && o->server != NULL)
		rc = add(out, o, SM_PART_SERVER, o->server, err, errlen);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm_programs_free(struct sm_programs *p)
{
	for (unsigned i = 0; i < p->n; i++)
		sm_program_free(p->v[i]);
	free(p->v);
	free(p->text);
	*p = (struct sm_programs){0};
}

bool sm_program_takes_preload(const struct sm_program *p, char *why, size_t whylen)
{
	return sm_command_takes_preload(p->argv[sm_program_main(p)][0], why, whylen);
}
