/*
 * The command `spanmark`: what the folder harness/ is for, and how a sample travels through it.
 *
 *   options.c    argv and the configuration file become struct sm_run_options; option_value.c takes
 *                the values; nothing is looked up yet
 *   plan.c       names are resolved (chosen.c), the matrix workload x parameters x placement x
 *                configuration (expand.c) x counter pass x repetition is laid out and shuffled;
 *                every mistake of the user ends here, status 2
 *   resume.c     may a run in the store go on: only as what it was begun as
 *   runner.c     one job at a time: /proc/self/exe is started again with a hidden subcommand, gets
 *                the job as JSON on a descriptor and sends the sample back as JSON on another;
 *                runner_start.c starts it
 *   worker.c     the other end: job JSON -> sm_session_run() of workloads/ -> sample JSON
 *   store.c      each sample is committed to SQLite as it arrives; a failed one too, with what is
 *                known
 *   store_read.c reads a run back; writer_table.c, writer_csv.c and writer_json.c print it
 *
 * compare.c matches the cases of two sides of stored runs, verdict.c judges them by ranks.c.
 *
 * Measuring and reporting meet only in the store, so a run that was killed reports what it had.
 *
 * Commands get their own argv (argv[0] is the command's name) and return the exit status. Anything
 * wrong with what the user typed is one line on stderr through sm_complain() and SM_EXIT_USAGE,
 * before anything ran.
 *
 * A command is one file that ends in its table of options (harness/options/option.h) and its
 * descriptor, which is declared here and stands in the list of commands.c. --help, the manual page
 * (manual.c) and what Tab completes (complete.c) come from there.
 */
#ifndef SM_HARNESS_CMD_H
#define SM_HARNESS_CMD_H

#include <stddef.h>

#include "harness/options/option.h"

extern const struct sm_command sm_command_run, sm_command_compare, sm_command_tune, sm_command_lbo,
	sm_command_list, sm_command_topo, sm_command_events, sm_command_doctor, sm_command_heap,
	sm_command_runs, sm_command_show, sm_command_report, sm_command_merge, sm_command_import,
	sm_command_export, sm_command_delete;

/* In the order of `spanmark --help`, *n of them. NULL: no command has that name. */
const struct sm_command *const *sm_commands(size_t *n);
const struct sm_command *sm_command_find(const char *name);
/* Says that there is none. Exit status. */
int sm_command_unknown(const char *name);
/* What `spanmark` prints by itself, and `spanmark help`. */
void sm_front_page(FILE *f);
void sm_print_commands(FILE *f);

/* The hidden commands of the shells and of `make install`. Exit status. */
int sm_complete(int argc, char **argv);
int sm_manual(const char *folder);

typedef void sm_name_fn(void *ctx, const char *name, const char *tells);
/* What can be named, of a topic of `spanmark list`: keys end in '='. */
void sm_list_names(const char *topic, sm_name_fn *fn, void *ctx);

int sm_run(int argc, char **argv); /* cmd_run.c; its descriptor is in run_manual.c */
#endif
