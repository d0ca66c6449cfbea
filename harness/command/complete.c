/*
 * complete.c: what Tab completes. The shells' scripts (docs/completions) know no option: they ask
 * `spanmark --complete WORD ..`, the words of the command line behind the command's name, of which
 * the last one is being typed and may be empty. A candidate a line, a tab, what it means; and how
 * the shell is to go on:
 *
 *     :list       the candidates are entries of a list, a comma may follow
 *     :files      a file's name fits
 *     :commands   a program's name fits
 */
#include "harness/command/cmd.h"

#include <stdio.h>
#include <string.h>

#include "harness/base/complain.h"

/* What is being typed: head stays as it is, candidates begin with `typed`. */
struct word {
	char head[512];
	const char *typed;
};

static void candidate(void *ctx, const char *name, const char *tells)
{
	const struct word *w = ctx;

	if (strncmp(name, w->typed, strlen(w->typed)) == 0)
		printf("%s%s\t%s\n", w->head, name, tells);
}

static void candidate_words(struct word *w, const char *words)
{
	char name[64];

	for (const char *p = words; *p; p += strcspn(p, "|"), p += *p == '|') {
		/* of preload:PATH what is the same each time */
		size_t len = strcspn(p, "|"), colon = strcspn(p, ":");

		snprintf(name, sizeof(name), "%.*s", (int)(colon < len ? colon + 1 : len), p);
		candidate(w, name, "");
	}
}

static void complete_value(const struct sm_option *opt, struct word *w)
{
	const char *comma = strrchr(w->typed, ',');
	size_t len = strlen(opt->arg);
	bool list = len > 3 && strcmp(opt->arg + len - 3, ",..") == 0;

	if (list && comma != NULL) {
		size_t used = strlen(w->head);

		snprintf(w->head + used, sizeof(w->head) - used, "%.*s",
			 (int)(comma + 1 - w->typed), w->typed);
		w->typed = comma + 1;
	}
	if (opt->words != NULL)
		candidate_words(w, opt->words);
	if (opt->topic != NULL)
		sm_list_names(opt->topic, candidate, w);
	if (list && (opt->words != NULL || opt->topic != NULL))
		puts(":list");
	if (strstr(opt->arg, "FILE") != NULL)
		puts(":files");
	if (strcmp(opt->arg, "CMD") == 0)
		puts(":commands");
}

static void complete_option(const struct sm_option *opt, struct word *w)
{
	char name[64];

	snprintf(name, sizeof(name), "--%s", opt->name);
	candidate(w, name, opt->help);
	snprintf(name, sizeof(name), "-%c", opt->letter);
	if (opt->letter && strcmp(w->typed, "-") == 0)
		candidate(w, name, opt->help);
}

static const struct sm_option *option_of(const struct sm_option_table *t, const char *word)
{
	if (word[0] != '-' || word[1] == '\0')
		return NULL;
	if (word[1] == '-')
		return sm_option_find(t, word + 2, strcspn(word + 2, "="));
	return word[2] == '\0' ? sm_option_letter(t, word[1]) : NULL;
}

/* The last of n words behind the command. */
static void complete_word(const struct sm_option_table *t, char **words, int n)
{
	struct word w = {.head = "", .typed = words[n - 1]};
	const char *equals = strchr(w.typed, '=');
	const struct sm_option *before = n > 1 ? option_of(t, words[n - 2]) : NULL;
	const struct sm_option *here = option_of(t, w.typed);

	if (before != NULL && before->arg != NULL && before->arg[0] != '[' &&
	    strchr(words[n - 2], '=') == NULL) {
		complete_value(before, &w);
		return;
	}
	if (here != NULL && here->arg != NULL && equals != NULL) {
		snprintf(w.head, sizeof(w.head), "%.*s", (int)(equals + 1 - w.typed), w.typed);
		w.typed = equals + 1;
		complete_value(here, &w);
		return;
	}
	if (t->operand != NULL && w.typed[0] != '-')
		complete_value(t->operand, &w);
	if (w.typed[0] == '-' || (w.typed[0] == '\0' && t->operand == NULL)) {
		for (size_t i = 0; i < t->n; i++)
			complete_option(&t->rows[i], &w);
		complete_option(&sm_option_help, &w);
	}
}

int sm_complete(int argc, char **argv)
{
	const struct sm_command *c;
	struct word w = {.head = "", .typed = argc > 0 ? argv[0] : ""};
	size_t n;
	const struct sm_command *const *all = sm_commands(&n);

	if (argc > 1) {
		bool help = strcmp(argv[0], "help") == 0;

		c = sm_command_find(argv[0]);
		if (c != NULL)
			complete_word(c->options, argv + 1, argc - 1);
		if (!help || argc > 2)
			return SM_EXIT_OK;
		w.typed = argv[1];
	}
	for (size_t i = 0; i < n; i++)
		candidate(&w, all[i]->name, all[i]->summary);
	if (argc > 1)
		return SM_EXIT_OK;
	candidate(&w, "help", "all commands, or the options of one");
	if (w.typed[0] == '-') {
		candidate(&w, "--help", "all commands");
		candidate(&w, "--version", "the version");
	}
	return SM_EXIT_OK;
}
