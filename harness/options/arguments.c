/*
 * arguments.c: see arguments.h.
 */
#include "harness/options/arguments.h"

#include <stdio.h>

#include "harness/base/complain.h"

int sm_arguments_next(struct sm_arguments *a)
{
	int option;

	if (!a->begun)
		optind = opterr = 0;
	a->begun = true;
	option = getopt_long(a->argc, a->argv, a->shorts, a->options, NULL);
	if (option == 'h') {
		fputs(a->help, stdout);
		a->status = SM_EXIT_OK;
	} else if (option == ':' || option == '?') {
		sm_complain("%s %s: %s; see spanmark %s --help", a->argv[0], a->argv[optind - 1],
			    option == ':' ? "wants a value" : "unknown option", a->argv[0]);
		a->status = SM_EXIT_USAGE;
	} else {
		return option;
	}
	a->over = true;
	return -1;
}
