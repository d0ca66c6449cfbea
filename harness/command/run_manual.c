/*
 * run_manual.c: what `spanmark run` is: its descriptor, and the words for --help and the manual.
 */
#include "harness/command/cmd.h"
#include "harness/options/options.h"

static const char *const examples[] = {
	"spanmark run --quick",
	"all workloads, small; under a minute on two cores",
	"spanmark run -w graph -p objects=1m,8m --workers 1,2 --reps 7",
	"four cases, medians with 95% intervals",
	"spanmark run -w binary-trees --backend gc,libc -p depth=16 -C cache,tlb --by core",
	"where the misses are: counts by core, collector against malloc and free",
	"spanmark run -w ring --set gc.mode=stw,concurrent -f json -o ring.json",
	"the stop-the-world baseline beside the concurrent collector, for a program to read",
	"spanmark run --program 'sort -n big.txt' -b libc,jemalloc --reps 12",
	"a whole program under two mallocs; servers: docs/COMPARING.md",
	"spanmark run --store lab.db --reps 20; spanmark run --store lab.db --resume",
	"kept as they arrive; goes on after an interruption",
	"spanmark run plan.ini --dry-run",
	"several matrices in one run; this shows its cases and how many samples they take",
	"spanmark run -w churn --threads 16 --place scatter --topology server.xml --dry-run",
	"where the threads would go on another machine",
	NULL,
};

static const char *const statuses[] = {
	"0",
	"Done.",
	"1",
	"Some samples failed or were not measured (a backend that is not installed is n/a, no "
	"failure), or the report could not be written.",
	"2",
	"The command line is wrong; nothing was run or written.",
	"130, 143, 129",
	"SIGINT, SIGTERM or SIGHUP ended the run: the report has what was measured until then, and "
	"--resume goes on. The first SIGINT (Ctrl-C) lets the sample in flight finish, a second "
	"one "
	"drops it; the others do not wait for it. A signal while the report is written ends the "
	"command at once; the old file of --output stays. SIGTSTP (^Z) throws the sample in flight "
	"away; "
	"it is measured again when the command goes on.",
	NULL,
};

static const char *const sections[] = {
	"PROGRAMS",
	"A sample of a program is its setup, the program, its teardown; at its end nothing of it "
	"runs, daemons included, also where `spanmark` itself is killed. A status other than 0, a "
	"signal and a limit that was passed make a failed sample with the program's last words.\n"
	"\n"
	"* Which malloc: The library is put before the program's malloc (LD_PRELOAD) in its whole "
	"tree, and a witness beside it says in each program that is executed which file serves "
	"malloc. A sample whose program has another is failed; a child with another is told of. "
	"`libc` is the C library's own malloc, also in a program that is linked with another. A "
	"program that is static, setuid, has capabilities, or that a such interprets, takes no "
	"library: other backends are refused, with `libc` it runs as it is, and a line says so. "
	"`gc`, `span` and `--counters=sim` do not apply to programs.\n"
	"\n"
	"* How memory is measured: peak_rss_kib is the kernel's own peak of the largest process, "
	"or the largest sum (Pss) of several processes that was sampled, whichever is more; the "
	"report says which. Sampling costs a fiftieth of one CPU at most. Where a control group "
	"(version 2) may be made, CPU time is the group's, and peak_charged_kib is its "
	"memory.peak, with page cache and kernel memory.\n"
	"\n"
	"* What is measured of a server: From the start of the client to its end: time, CPU time "
	"(in steps of 10 ms without a control group), faults, counters. Its peak of memory is of "
	"its whole life.",
	"PLAN FILES",
	"A plan file names options without the dashes. `[defaults]` holds for all of it; each "
	"other section is a part of the matrix, named after its workload, with parameters and "
	"settings as keys. An indented line without = goes on with the value above it; ; and # "
	"begin comments. docs/PLANS.md tells more.\n"
	"\n"
	"    [defaults]\n"
	"    reps = 7\n"
	"    backend = gc, libc\n"
	"    [churn]\n"
	"    size = 16, 256\n"
	"    [graph large]\n"
	"    objects = 10m\n"
	"    backend = gc\n"
	"    gc.mode = stw, concurrent",
	NULL,
};

const struct sm_command sm_command_run = {
	.name = "run",
	.summary = "measure workloads and print a counter table",
	.run = sm_run,
	.options = &sm_run_options_table,
	.about = "Measures workloads, each sample in a process of its own, and prints a counter "
		 "table. Lists are separated by commas; every combination of what is listed is "
		 "measured, once.",
	.examples = examples,
	.statuses = statuses,
	.sections = sections,
};
