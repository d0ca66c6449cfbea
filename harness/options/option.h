/*
 * option.h: a command's options as data. One table for each command, and everything that a person
 * meets is made from it: the parser, --help, the manual page (command/manual.c), what Tab completes
 * (command/complete.c).
 *
 *     static const struct sm_option rows[] = {
 *         {"why", 0, "ADDRESS", "a path from a root to it",
 *          SM_INTO(sm__take_borrowed, struct heap_options, why)},
 *     };
 *     static const struct sm_option_table table = {"heap", rows, SM_COUNT_OF(rows), &operand};
 *     if (!sm_options_parse(&sm_command_heap, &options, argc, argv, &status))
 *             return status;
 *
 * Texts (about, more, ..) are paragraphs with an empty line between them. `text` between backquotes
 * is bold in the manual page; a paragraph "* TERM: text" is an entry of a list; lines that begin
 * with a blank stay as they are.
 */
#ifndef SM_HARNESS_OPTION_H
#define SM_HARNESS_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The last fields of a row: what takes the value, and into which member. */
#define SM_INTO(function, type, member) .take = (function), .offset = offsetof(type, member)
#define SM_COUNT_OF(array)		(sizeof(array) / sizeof((array)[0]))

struct sm_option;

/* Takes a value (NULL without arg). 0, or -EINVAL with the line for the user in err. */
typedef int sm_take_fn(const struct sm_option *opt, void *options, const char *value, char *err,
		       size_t errlen);

/* What an option of `run` decides. */
enum sm_decides {
	SM_DECIDES_HOW,	   /* how all is measured */
	SM_DECIDES_WORK,   /* what runs: a workload or a program */
	SM_DECIDES_CASES,  /* which cases of it there are */
	SM_DECIDES_REPORT, /* what becomes of samples, and when to end: not what is measured */
};

/* How an option is written, or (without a name) what stands beside the options: an operand. */
struct sm_option {
	const char *name; /* long, without the dashes */
	char letter;	  /* 0: none */
	/* placeholder in --help, in brackets when it may be left out; NULL: takes none. FILE and
	 * CMD are completed; "NAME,.." is a list; an operand that ends in ".." may be repeated */
	const char *arg;
	const char *help; /* half a line */
	sm_take_fn *take;
	size_t offset;	   /* for the shared take functions: where the value goes */
	const char *words; /* allowed words, separated by '|'; NULL: anything */
	/* A topic of `spanmark list` whose names complete it. */
	const char *topic;
	const char *more;    /* for the manual page, after the half line */
	const char *heading; /* begins a group of options */
	enum sm_decides decides;
};

struct sm_option_table {
	const char *command;
	const struct sm_option *rows; /* in the order of --help, which itself is no row */
	size_t n;
	const struct sm_option *operand; /* NULL: options alone */
	const char *hint;		 /* to somebody who types an operand where there is none */
};

/* Every command has the status 1 for this (main.c), beside what else it has it for. */
#define SM_STATUS_UNWRITTEN "What was to be printed could not be written."

/* What `spanmark NAME` is. */
struct sm_command {
	const char *name;
	const char *summary; /* one line for `spanmark --help` */
	int (*run)(int argc, char **argv);
	const struct sm_option_table *options;
	const char *about;
	/* Pairs, ended by NULL: a command line and what it does; a status and when; a heading of
	 * the manual page and its text. */
	const char *const *examples, *const *statuses, *const *sections;
};

/* --help, which every command has. */
extern const struct sm_option sm_option_help;

/* By its long name or letter, sm_option_help too. NULL: there is none. */
const struct sm_option *sm_option_find(const struct sm_option_table *t, const char *name,
				       size_t len);
const struct sm_option *sm_option_letter(const struct sm_option_table *t, char letter);
/* An unknown option, into err. -EINVAL. */
int sm_option_unknown(const struct sm_option_table *t, const char *typed, char *err, size_t errlen);

typedef int sm_option_fn(void *ctx, const struct sm_option *opt, const char *value, char *err,
			 size_t errlen);
/* Each option and operand of argv[1..] in turn. 0, 1 at --help, or -EINVAL and one line in err. */
int sm_options_each(const struct sm_option_table *t, int argc, char **argv, sm_option_fn *fn,
		    void *ctx, char *err, size_t errlen);

/* Takes all of argv[1..] into *options. False: the command ends, with *status: --help was printed,
 * or a complaint. */
bool sm_options_parse(const struct sm_command *c, void *options, int argc, char **argv,
		      int *status);

/* "-w, --workload NAME,.." */
void sm_option_spell(const struct sm_option *opt, char *buf, size_t len);
/* "one of a, b, c" */
void sm_option_words(const struct sm_option *opt, char *buf, size_t len);
/* "[OPTION ..] FILE" */
void sm_command_synopsis(const struct sm_command *c, char *buf, size_t len);
/* Its statuses, the common ones where it names none. */
const char *const *sm_command_statuses(const struct sm_command *c);
/* The text of --help. */
void sm_command_help(const struct sm_command *c, FILE *f);

#endif
