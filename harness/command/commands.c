/*
 * commands.c: the list of commands, and what `spanmark` says by itself.
 */
#include "harness/command/cmd.h"

#include <stdio.h>
#include <string.h>

#include "harness/base/complain.h"
#include "harness/base/suggest.h"

static const struct sm_command *const commands[] = {
	&sm_command_run,    &sm_command_compare, &sm_command_tune,   &sm_command_lbo,
	&sm_command_report, &sm_command_runs,	 &sm_command_show,   &sm_command_merge,
	&sm_command_import, &sm_command_export,	 &sm_command_delete, &sm_command_list,
	&sm_command_topo,   &sm_command_events,	 &sm_command_doctor, &sm_command_heap,
};

const struct sm_command *const *sm_commands(size_t *n)
{
	*n = SM_COUNT_OF(commands);
	return commands;
}

const struct sm_command *sm_command_find(const char *name)
{
	for (size_t i = 0; i < SM_COUNT_OF(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

int sm_command_unknown(const char *name)
{
	const char *names[SM_COUNT_OF(commands)];
	char err[256];

	if (name[0] == '-') {
		sm_complain("unknown option '%.60s'; allowed before a command: --help, --version",
			    name);
		return SM_EXIT_USAGE;
	}
	for (size_t i = 0; i < SM_COUNT_OF(commands); i++)
		names[i] = commands[i]->name;
	sm_suggest_error(err, sizeof(err), "command", name, names, SM_COUNT_OF(commands));
	sm_complain("%s", err);
	return SM_EXIT_USAGE;
}

void sm_front_page(FILE *f)
{
	fputs("spanmark measures memory managers: the malloc of your programs, its own allocator "
	      "and\n"
	      "concurrent collector, with hardware counters where the machine has them.\n"
	      "\n"
	      "  Measure  spanmark run --quick\n"
	      "             all workloads, small, within a minute\n"
	      "  Compare  spanmark run -w churn -b span,libc --reps 12\n"
	      "           spanmark compare libc span\n"
	      "             which of two is better, and is it real\n"
	      "  Tune     spanmark tune -w churn,ring -b gc\n"
	      "             which settings are best here, proved on fresh samples\n"
	      "\n"
	      "`spanmark help` lists all commands; `spanmark doctor` says what can be counted "
	      "here.\n",
	      f);
}

void sm_print_commands(FILE *f)
{
	fputs("usage: spanmark COMMAND [OPTION ..]\n\n", f);
	for (size_t i = 0; i < SM_COUNT_OF(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "Start here:\n"
	      "  spanmark run --quick\n"
	      "      all workloads, small, in seconds\n"
	      "  spanmark doctor\n"
	      "      what this machine lets us count\n"
	      "  spanmark run -w graph -p objects=8m -C cache --reps 5\n"
	      "      one workload, cache counters, medians of five\n"
	      "  spanmark run -w binary-trees --backend span,gc,libc --threads 1,2 -f csv -o "
	      "trees.csv\n"
	      "      every combination, as tidy CSV\n"
	      "\n"
	      "`spanmark help COMMAND` has the options and more examples, `man spanmark-COMMAND` "
	      "all of\n"
	      "it. --version prints the version.\n",
	      f);
}
