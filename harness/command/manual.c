/*
 * manual.c: the manual pages, a page for each command and one for all, out of the tables of
 * options: `spanmark help --manual FOLDER`, as `make install` does. The marks in texts: option.h.
 */
#include "harness/command/cmd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/complain.h"

#define DATE "2026-11-26"

/* ---- roff --------------------------------------------------------------------------------- */

/* len characters of text; a word between backquotes is bold. A newline is a blank in running text.
 */
static void put(FILE *f, const char *text, size_t len)
{
	bool bold = false;

	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '`':
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", f);
			break;
		case '\\': fputs("\\e", f); break;
		case '-': fputs("\\-", f); break;
		case '\'': fputs("\\(aq", f); break;
		case '"': fputs("\\(dq", f); break;
		case '^': fputs("\\(ha", f); break;
		case '~': fputs("\\(ti", f); break;
		case '.': fputs(i == 0 ? "\\&." : ".", f); break;
		case '\n': fputc(' ', f); break;
		default: fputc(text[i], f);
		}
	}
}

static void put_line(FILE *f, const char *text)
{
	put(f, text, strlen(text));
	fputc('\n', f);
}

/* A paragraph: running text, an entry of a list, or what stays as it is. */
static void put_paragraph(FILE *f, const char *text, size_t len, bool first)
{
	if (*text == ' ') {
		fputs(first ? ".nf\n" : ".PP\n.nf\n", f);
		for (size_t n; len > 0; text += n, len -= n) {
			n = strcspn(text, "\n");
			n = n > len ? len : n;
			put(f, text, n);
			fputc('\n', f);
			n += n < len;
		}
		fputs(".fi\n", f);
		return;
	}
	if (strncmp(text, "* ", 2) == 0) {
		const char *colon = strstr(text, ": ");

		fputs(".TP\n\\fB", f);
		put(f, text + 2, (size_t)(colon - text) - 2);
		fputs("\\fR\n", f);
		len -= (size_t)(colon + 2 - text);
		text = colon + 2;
	} else if (!first) {
		fputs(".PP\n", f);
	}
	put(f, text, len);
	fputc('\n', f);
}

static void put_text(FILE *f, const char *text)
{
	for (bool first = true; *text; first = false) {
		const char *end = strstr(text, "\n\n");
		size_t len = end != NULL ? (size_t)(end - text) : strlen(text);

		put_paragraph(f, text, len, first);
		text += len + (end != NULL ? 2 : 0);
	}
}

/* Half a line becomes a sentence. */
static void put_sentence(FILE *f, const char *text)
{
	fputc(toupper((unsigned char)text[0]), f);
	put(f, text + 1, strlen(text + 1));
	fputs(text[strlen(text) - 1] == '.' ? "\n" : ".\n", f);
}

/* ---- a page ------------------------------------------------------------------------------- */

static void put_title(FILE *f, const char *name, const char *summary)
{
	fputs(".TH \"", f);
	for (const char *p = name; *p; p++)
		fputc(toupper((unsigned char)*p), f);
	fprintf(f, "\" 1 \"%s\" \"spanmark %s\" \"User Commands\"\n.SH NAME\n%s \\- ", DATE,
		SM_VERSION, name);
	put_line(f, summary);
}

static void put_option(FILE *f, const struct sm_option *opt)
{
	if (opt->heading != NULL) {
		fputs(".SS \"", f);
		put(f, opt->heading, strlen(opt->heading));
		fputs("\"\n", f);
	}
	fputs(".TP\n", f);
	if (opt->letter)
		fprintf(f, "\\fB\\-%c\\fR, ", opt->letter);
	if (opt->name != NULL) {
		fputs("\\fB\\-\\-", f);
		put(f, opt->name, strlen(opt->name));
		fputs("\\fR", f);
	}
	if (opt->arg != NULL) {
		fputs(opt->name != NULL ? " \\fI" : "\\fI", f);
		put(f, opt->arg, strlen(opt->arg));
		fputs("\\fR", f);
	}
	fputc('\n', f);
	put_sentence(f, opt->help);
	if (opt->words != NULL) {
		char words[200];

		sm_option_words(opt, words, sizeof(words));
		put_sentence(f, words);
	}
	if (opt->more != NULL && opt->more[0] != '\0')
		put_text(f, opt->more);
}

static void put_pairs(FILE *f, const char *heading, const char *const *pairs)
{
	if (pairs == NULL)
		return;
	fprintf(f, ".SH \"%s\"\n", heading);
	for (; *pairs != NULL; pairs += 2) {
		fputs(".TP\n\\fB", f);
		put(f, pairs[0], strlen(pairs[0]));
		fputs("\\fR\n", f);
		put_sentence(f, pairs[1]);
	}
}

static void put_sections(FILE *f, const char *const *sections)
{
	for (; sections != NULL && *sections != NULL; sections += 2) {
		fprintf(f, ".SH \"%s\"\n", sections[0]);
		put_text(f, sections[1]);
	}
}

/* Where there are FILES, they are the last section. */
static void put_store(FILE *f, const char *const *sections)
{
	bool files = false;

	for (; sections != NULL && *sections != NULL; sections += 2)
		files = strcmp(sections[0], "FILES") == 0;
	if (!files)
		fputs(".SH \"FILES\"\n", f);
	put_text(f, "* spanmark.db: The store, an SQLite database in the current folder, where "
		    "`--store` names no other.");
}

/* All the other pages. */
static void put_see_also(FILE *f, const struct sm_command *self)
{
	size_t n;
	const struct sm_command *const *all = sm_commands(&n);

	fputs(".SH \"SEE ALSO\"\n", f);
	if (self != NULL)
		fputs(".BR spanmark (1),\n", f);
	for (size_t i = 0; i < n; i++) {
		if (all[i] != self)
			fprintf(f, ".BR spanmark\\-%s (1),\n", all[i]->name);
	}
	fputs(".BR perf (1),\n.BR lstopo (1),\n.BR valgrind (1)\n", f);
}

static void put_command(FILE *f, const struct sm_command *c)
{
	const struct sm_option_table *t = c->options;
	char name[80], synopsis[160];

	snprintf(name, sizeof(name), "spanmark-%s", c->name);
	put_title(f, name, c->summary);
	sm_command_synopsis(c, synopsis, sizeof(synopsis));
	fprintf(f, ".SH SYNOPSIS\n\\fBspanmark %s\\fR ", c->name);
	put_line(f, synopsis);
	fputs(".SH DESCRIPTION\n", f);
	put_text(f, c->about);
	fputs(".SH OPTIONS\n", f);
	if (t->operand != NULL)
		put_option(f, t->operand);
	for (size_t i = 0; i < t->n; i++)
		put_option(f, &t->rows[i]);
	put_option(f, &sm_option_help);
	put_sections(f, c->sections);
	if (sm_option_find(t, "store", 5) != NULL)
		put_store(f, c->sections);
	put_pairs(f, "EXAMPLES", c->examples);
	put_pairs(f, "EXIT STATUS", sm_command_statuses(c));
	put_see_also(f, c);
}

static void put_overview(FILE *f)
{
	size_t n;
	const struct sm_command *const *all = sm_commands(&n);

	put_title(f, "spanmark", "benchmark memory managers with hardware counters");
	fputs(".SH SYNOPSIS\n\\fBspanmark\\fR \\fICOMMAND\\fR [OPTION ..]\n"
	      ".br\n\\fBspanmark\\fR \\fBhelp\\fR [\\fICOMMAND\\fR]\n"
	      ".br\n\\fBspanmark\\fR \\fB\\-\\-version\\fR\n"
	      ".SH DESCRIPTION\n",
	      f);
	put_text(f, "`spanmark` pins mutator threads and background mark workers to cores and NUMA "
		    "nodes, drives synthetic workloads over its own span allocator and concurrent "
		    "garbage collector, or over the C library's malloc, or runs whole programs, "
		    "and reports time, events and faults per GC phase, thread role, core and "
		    "node.\n\n"
		    "Each sample runs in a process of its own. A sample that crashes or runs past "
		    "its limit is named in the output, and the others go on. A counter that was "
		    "not counted is printed as `n/a` with its reason, never as 0.");
	fputs(".SH COMMANDS\n", f);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, ".TP\n.BR spanmark\\-%s (1)\n", all[i]->name);
		put_sentence(f, all[i]->summary);
	}
	put_sections(f, (const char *const[]){
				"ENVIRONMENT",
				"* NO_COLOR: When not empty: no colour.\n\n"
				"* TMPDIR: Where temporary files go.\n\n"
				"* SPANMARK_SETS, XDG_CONFIG_HOME, HOME: The user's folder of "
				"counter sets: "
				"$SPANMARK_SETS, else $XDG_CONFIG_HOME/spanmark/sets, else "
				"~/.config/spanmark/sets.",
				NULL});
	put_see_also(f, NULL);
}

static int write_page(const char *folder, const struct sm_command *c)
{
	char path[4096];
	FILE *f;
	bool bad;

	snprintf(path, sizeof(path), "%s/spanmark%s%s.1", folder, c != NULL ? "-" : "",
		 c != NULL ? c->name : "");
	f = fopen(path, "we");
	if (f == NULL) {
		sm_complain("%s: %s", path, strerror(errno));
		return SM_EXIT_USAGE;
	}
	if (c != NULL)
		put_command(f, c);
	else
		put_overview(f);
	bad = ferror(f);
	if (fclose(f) == 0 && !bad)
		return SM_EXIT_OK;
	sm_complain("%s: %s", path, strerror(errno));
	return SM_EXIT_FAILED;
}

int sm_manual(const char *folder)
{
	size_t n;
	const struct sm_command *const *all = sm_commands(&n);
	int status = write_page(folder, NULL);

	for (size_t i = 0; i < n && status == SM_EXIT_OK; i++)
		status = write_page(folder, all[i]);
	return status;
}
