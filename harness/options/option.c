/*
 * option.c: argv against a table of options. See option.h.
 */
#include "harness/options/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/complain.h"
#include "harness/base/suggest.h"
#include "harness/base/text.h"

const struct sm_option sm_option_help = {"help", 'h', NULL, "this text", .more = ""};

const struct sm_option *sm_option_find(const struct sm_option_table *t, const char *name,
				       size_t len)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strlen(t->rows[i].name) == len && strncmp(t->rows[i].name, name, len) == 0)
			return &t->rows[i];
	}
	return len == 4 && strncmp(name, "help", len) == 0 ? &sm_option_help : NULL;
}

const struct sm_option *sm_option_letter(const struct sm_option_table *t, char letter)
{
	for (size_t i = 0; i < t->n; i++) {
		if (letter && t->rows[i].letter == letter)
			return &t->rows[i];
	}
	return letter == 'h' ? &sm_option_help : NULL;
}

int sm_option_unknown(const struct sm_option_table *t, const char *typed, char *err, size_t errlen)
{
	const char **names = calloc(t->n + 1, sizeof(*names)), *near = NULL;

	for (size_t i = 0; names != NULL && i < t->n; i++)
		names[i] = t->rows[i].name;
	if (names != NULL)
		near = sm_suggest(typed + strspn(typed, "-"), names, t->n);
	if (near != NULL)
		snprintf(err, errlen,
			 "unknown option '%.60s'; did you mean '--%s'? `spanmark %s --help` lists "
			 "them",
			 typed, near, t->command);
	else
		snprintf(err, errlen,
			 "unknown option '%.60s'; `spanmark %s --help` lists what is allowed",
			 typed, t->command);
	free(names);
	return -EINVAL;
}

/* ---- argv --------------------------------------------------------------------------------- */

static int needs_value(const struct sm_option *opt, char *err, size_t errlen)
{
	snprintf(err, errlen, "--%s needs a value: %s%s%s", opt->name, opt->arg,
		 opt->words ? ", one of " : "", opt->words ? opt->words : "");
	return -EINVAL;
}

/* Of the one option whose value may be left out: "12", "cafe", "last". */
static bool is_run(const char *word)
{
	return *word != '\0' &&
	       (strspn(word, "0123456789abcdef") == strlen(word) || strcmp(word, "last") == 0);
}

/* One option at argv[*i] and its value (--name=value, --name value, -xvalue, -x value). */
static int parse_one(const struct sm_option_table *t, int argc, char **argv, int *i,
		     const struct sm_option **opt, const char **value, char *err, size_t errlen)
{
	const char *a = argv[*i], *attached = NULL;

	if (a[1] == '-') {
		size_t len = strcspn(a + 2, "=");

		*opt = sm_option_find(t, a + 2, len);
		attached = a[2 + len] ? a + 2 + len + 1 : NULL;
	} else {
		*opt = sm_option_letter(t, a[1]);
		attached = a[2] ? a + 2 : NULL;
	}
	if (*opt == NULL)
		return sm_option_unknown(t, a, err, errlen);
	*value = attached;
	if (!(*opt)->arg) {
		if (attached == NULL)
			return 0;
		snprintf(err, errlen, "--%s takes no value ('%.60s')", (*opt)->name, a);
		return -EINVAL;
	}
	if (attached != NULL)
		return 0;
	if ((*opt)->arg[0] == '[') { /* need not be there */
		if (*i + 1 < argc && is_run(argv[*i + 1]))
			*value = argv[++*i];
		return 0;
	}
	if (*i + 1 >= argc)
		return needs_value(*opt, err, errlen);
	*value = argv[++*i];
	return 0;
}

static bool may_repeat(const struct sm_option *operand)
{
	return strstr(operand->arg, "..") != NULL;
}

/* An operand, the one after n others. */
static int parse_operand(const struct sm_option_table *t, const char *a, unsigned n, char *err,
			 size_t errlen)
{
	size_t bracket = t->operand != NULL && t->operand->arg[0] == '[';

	if (t->operand == NULL && t->hint != NULL)
		snprintf(err, errlen, "'%.60s' is not an option; %s", a, t->hint);
	else if (t->operand == NULL)
		snprintf(err, errlen, "'%.60s' is not an option of %s; see `spanmark %s --help`", a,
			 t->command, t->command);
	else if (n > 0 && !may_repeat(t->operand))
		snprintf(err, errlen, "%s: '%.60s' is one too many; allowed: one %.*s", t->command,
			 a, (int)strcspn(t->operand->arg + bracket, "]"),
			 t->operand->arg + bracket);
	else
		return 0;
	return -EINVAL;
}

int sm_options_each(const struct sm_option_table *t, int argc, char **argv, sm_option_fn *fn,
		    void *ctx, char *err, size_t errlen)
{
	unsigned operands = 0;
	bool rest = false; /* -- was there */
	int rc = 0;

	for (int i = 1; i < argc && rc == 0; i++) {
		const struct sm_option *opt = t->operand;
		const char *value = argv[i];
		bool is_operand = rest || argv[i][0] != '-' || argv[i][1] == '\0';

		if (!is_operand && strcmp(argv[i], "--") == 0 && t->operand != NULL) {
			rest = true;
			continue;
		}
		if (is_operand)
			rc = parse_operand(t, argv[i], operands++, err, errlen);
		else
			rc = parse_one(t, argc, argv, &i, &opt, &value, err, errlen);
		if (rc == 0)
			rc = opt == &sm_option_help ? 1 : fn(ctx, opt, value, err, errlen);
	}
	if (rc == 0 && operands == 0 && t->operand != NULL && t->operand->arg[0] != '[') {
		snprintf(err, errlen, "%s: wants %s; see `spanmark %s --help`", t->command,
			 t->operand->arg, t->command);
		return -EINVAL;
	}
	return rc;
}

static int take_into(void *ctx, const struct sm_option *opt, const char *value, char *err,
		     size_t errlen)
{
	return opt->take(opt, ctx, value, err, errlen);
}

bool sm_options_parse(const struct sm_command *c, void *options, int argc, char **argv, int *status)
{
	char err[768] = "out of memory";
	int rc = sm_options_each(c->options, argc, argv, take_into, options, err, sizeof(err));

	if (rc < 0)
		sm_complain("%s", err);
	else if (rc > 0)
		sm_command_help(c, stdout);
	*status = rc < 0 ? SM_EXIT_USAGE : SM_EXIT_OK;
	return rc == 0;
}

/* ---- --help ------------------------------------------------------------------------------- */

enum { WIDTH = 80, COLUMN = 31 };

void sm_option_spell(const struct sm_option *opt, char *buf, size_t len)
{
	const char *space = opt->name != NULL && opt->arg != NULL ? " " : "";
	const char *arg = opt->arg != NULL ? opt->arg : "";

	if (opt->name == NULL)
		snprintf(buf, len, "%s", arg);
	else if (opt->letter)
		snprintf(buf, len, "-%c, --%s%s%s", opt->letter, opt->name, space, arg);
	else
		snprintf(buf, len, "    --%s%s%s", opt->name, space, arg);
}

/* "one of a, b, c" */
void sm_option_words(const struct sm_option *opt, char *buf, size_t len)
{
	size_t used = (size_t)snprintf(buf, len, "one of ");

	for (const char *p = opt->words; *p && used + 3 < len; p++) {
		buf[used++] = *p == '|' ? ',' : *p;
		if (*p == '|')
			buf[used++] = ' ';
	}
	buf[used] = '\0';
}

void sm_command_synopsis(const struct sm_command *c, char *buf, size_t len)
{
	const struct sm_option *operand = c->options->operand;

	snprintf(buf, len, "[OPTION ..]%s%s", operand != NULL ? " " : "",
		 operand != NULL ? operand->arg : "");
}

const char *const *sm_command_statuses(const struct sm_command *c)
{
	static const char *const common[] = {
		"0", "Done.", "1", SM_STATUS_UNWRITTEN, "2", "The command line is wrong.", NULL};

	return c->statuses != NULL ? c->statuses : common;
}

static void print_option(const struct sm_option *opt, bool first, FILE *f)
{
	char left[60], words[200];

	if (opt->heading != NULL)
		fprintf(f, "%s%s:\n", first ? "" : "\n", opt->heading);
	sm_option_spell(opt, left, sizeof(left));
	fprintf(f, "  %-28s", left);
	if (strlen(left) > 28)
		fprintf(f, "\n%*s", COLUMN - 1, "");
	fputc(' ', f);
	sm_text_wrapped(f, opt->help, COLUMN, 0, WIDTH);
	if (opt->words == NULL)
		return;
	sm_option_words(opt, words, sizeof(words));
	fprintf(f, "%*s", COLUMN, "");
	sm_text_wrapped(f, words, COLUMN, 2, WIDTH);
}

static void print_paragraphs(const char *text, FILE *f)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
		char *copy = strndup(text, len);

		if (copy != NULL && *copy == ' ')
			fprintf(f, "%s\n", copy);
		else if (copy != NULL)
			sm_text_wrapped(f, copy, 0, 0, WIDTH);
		fputc('\n', f);
		free(copy);
		text += len + (end != NULL ? 2 : 0);
	}
}

void sm_command_help(const struct sm_command *c, FILE *f)
{
	const struct sm_option_table *t = c->options;
	char synopsis[160];

	sm_command_synopsis(c, synopsis, sizeof(synopsis));
	fprintf(f, "usage: spanmark %s %s\n\n", c->name, synopsis);
	print_paragraphs(c->about, f);
	if (t->operand != NULL)
		print_option(t->operand, true, f);
	for (size_t i = 0; i < t->n; i++)
		print_option(&t->rows[i], i == 0 && t->operand == NULL, f);
	print_option(&sm_option_help, false, f);
	if (c->examples != NULL)
		fputs("\nExamples:\n", f);
	for (const char *const *e = c->examples; e != NULL && *e != NULL; e += 2) {
		fprintf(f, "  %s\n      ", e[0]);
		sm_text_wrapped(f, e[1], 6, 0, WIDTH);
	}
	fputs("\nExit status:\n", f);
	for (const char *const *s = sm_command_statuses(c); *s != NULL; s += 2) {
		fprintf(f, "  %-14s ", s[0]);
		sm_text_wrapped(f, s[1], 17, 0, WIDTH);
	}
}
