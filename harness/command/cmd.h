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
 */
#ifndef SM_HARNESS_CMD_H
#define SM_HARNESS_CMD_H

struct sm_command {
	const char *name;
	const char *summary; /* one line for `spanmark --help` */
	int (*run)(int argc, char **argv);
};

int sm_cmd_list(int argc, char **argv);
int sm_cmd_topo(int argc, char **argv);
int sm_cmd_events(int argc, char **argv);
int sm_cmd_run(int argc, char **argv);
int sm_cmd_compare(int argc, char **argv);
int sm_cmd_lbo(int argc, char **argv);
int sm_cmd_doctor(int argc, char **argv);
int sm_cmd_heap(int argc, char **argv);
#endif
