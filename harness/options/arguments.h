/*
 * arguments.h: getopt for commands that have no table of options yet (option.h), until they do.
 */
#ifndef SM_HARNESS_ARGUMENTS_H
#define SM_HARNESS_ARGUMENTS_H

#include <getopt.h>
#include <stdbool.h>

struct sm_arguments {
	int argc;
	char **argv; /* [0]: the command */
	const char *shorts;
	const struct option *options; /* with these, by getopt_long; 'h' is --help */
	const char *help;
	bool begun;
	/* When there are no more: the command ends here, with this status. */
	bool over;
	int status;
};

/* The next option, its value in optarg. -1: there are no more; the rest begins at argv[optind]. */
int sm_arguments_next(struct sm_arguments *a);

#endif
