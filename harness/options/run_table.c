/*
 * run_table.c: the options of `spanmark run`, as data. See option.h.
 */
#include "harness/options/options.h"

#include "harness/options/option_value.h"

#define INTO(take_fn, m) SM_INTO(take_fn, struct sm_run_options, m)

/* enum members are written through an unsigned by sm__take_word */
_Static_assert(sizeof(enum sm_format) == sizeof(unsigned), "enum is an unsigned");

static const struct sm_option rows[] = {
	{"workload", 'w', "NAME,..", "workloads to run; all when not given",
	 INTO(sm__take_list, workloads), .decides = SM_DECIDES_WORK, .topic = "workloads",
	 .heading = "What runs"},
	{"param", 'p', "KEY=VALUE",
	 "a workload parameter; KEY may be WORKLOAD.KEY; V1,V2 runs each",
	 INTO(sm__take_pair, params), .decides = SM_DECIDES_CASES, .topic = "params",
	 .more = "Numbers take the suffixes k, m, g: powers of 1024 for bytes (KiB, MiB, GiB "
		 "too), of 1000 for all else; 1e6 is understood."},
	{"backend", 'b', "NAME,..", "where objects come from", INTO(sm__take_words, backends),
	 .decides = SM_DECIDES_CASES,
	 .words = "gc|span|libc|bdwgc|mimalloc|jemalloc|tcmalloc|spanmark-malloc|preload:PATH",
	 .more = "`gc`: spanmark's collector. `span`: its allocator, freed explicitly. `libc`: "
		 "malloc and free of the process. `bdwgc`: Boehm's collector, where installed. "
		 "`mimalloc`, `jemalloc`, `tcmalloc`: where installed, preloaded into the "
		 "measured process alone. `spanmark-malloc`: spanmark's own library, likewise. "
		 "`preload:PATH`: any malloc library. The library that serves malloc is proved, "
		 "and kept with its version and build id; one that is not installed is n/a, with "
		 "the package to install."},
	{"threads", 't', "N,..", "mutator threads", INTO(sm__take_counts, threads),
	 .decides = SM_DECIDES_CASES},
	{"workers", 0, "N,..", "mark workers of the collector", INTO(sm__take_counts, workers),
	 .decides = SM_DECIDES_CASES, .more = "0, the default: a quarter of the CPUs."},
	{"place", 0, "POLICY,..", "which cores the mutators are pinned to",
	 INTO(sm__take_words, place), .decides = SM_DECIDES_CASES,
	 .words = "compact|scatter|per-node|one-per-core|none",
	 .more = "Left open: one to a core where they fit, packed where not, and not at all "
		 "where a workload has more threads by itself than there are CPUs."},
	{"mark-place", 0, "POLICY,..", "which cores the mark workers are pinned to",
	 INTO(sm__take_words, mark_place), .decides = SM_DECIDES_CASES,
	 .words = "auto|dedicated|shared|sibling|remote-node|none",
	 .more = "`auto`, the default, is never refused: cores of their own near the mutators "
		 "while there are enough, then one worker to a core, the cores with the fewest "
		 "threads first; the report says what came of it. `dedicated` refuses where a "
		 "worker would have to share its core."},
	{"kind", 0, "KIND,..", "kind of cores that threads may use: all, or as spanmark topo says",
	 INTO(sm__take_list, kinds), .decides = SM_DECIDES_CASES, .topic = "kinds",
	 .more = "`p` and `e`, or `k0`, `k1`, .. where there are more or it is not known which "
		 "is faster. `all`, the default, takes the fastest first; a line says when "
		 "mutators are on several kinds."},
	{"set", 's', "KEY=VALUE", "a setting of heap or collector (spanmark list); V1,V2 runs each",
	 INTO(sm__take_pair, settings), .decides = SM_DECIDES_CASES, .topic = "settings",
	 .more = "For example gc.mode=stw; `spanmark list settings` shows them all. Sizes take "
		 "k, m, g, t and KiB, MiB, GiB, powers of 1024. One that a backend ignores (any "
		 "with libc, gc.* with span) is no part of its cases: a sweep over it runs them "
		 "once, and a line says so. Those of the caches can be one size class's, one "
		 "core's, or one class's on one core: cache.window@64=8k, cache.window@cpu3=64k, "
		 "cache.window@64@cpu3=4k. `env.NAME=VALUE` is a variable of the environment of "
		 "the worker, for the malloc libraries and programs that read it: "
		 "env.MALLOC_CONF=tcache:false."},
	{"variant", 0, "K=V K=V",
	 "settings that go together, or 'default'; again for each: one case for each",
	 INTO(sm__take_item, variants), .decides = SM_DECIDES_CASES, .topic = "settings",
	 .more = "With blanks between. `default`: none. workers, place and mark-place are allowed "
		 "among them. Given again for each, each is a case beside the others, not one for "
		 "each combination of values, as several `--set` are."},
	{"reps", 'n', "N", "repetitions of everything: 3, with --quick 1", .take = sm__take_reps,
	 .more = "Six or more give 95% intervals."},
	{"until", 0, "P%|RESULT=P%,..",
	 "repeat until all intervals are so narrow (of ns_per_op, else wall_s), at least 10 times",
	 .take = sm__take_until,
	 .more = "Until the interval of every case, and of every ratio of two backends or "
		 "settings, lies within P % on both sides of its middle: of the time for an "
		 "operation (else the whole time), or of the results named. There are 10 "
		 "repetitions at least (more with `--reps`), whole Latin squares, and few looks, "
		 "each with a share of the 5 % of error that is allowed."},
	{"max-time", 0, "SECONDS", "end --until after so long: 600",
	 INTO(sm__take_timeout, max_time_s), .decides = SM_DECIDES_REPORT,
	 .more = "What was reached is said; the status is 0."},
	{"quick", 'q', NULL, "small parameters, one repetition: all workloads within a minute",
	 INTO(sm__take_flag, quick)},
	{"note", 0, "TEXT", "what the run is about, kept with it", INTO(sm__take_text, note),
	 .decides = SM_DECIDES_REPORT},
	{"seed", 0, "N", "seed of order and workloads; printed when not given",
	 .take = sm__take_seed},
	{"no-shuffle", 0, NULL, "run in the order written, not a random one",
	 INTO(sm__take_flag, no_shuffle),
	 .more = "Otherwise cases of the same work over different backends or settings run side "
		 "by side within a repetition, each as often first as the others, and the rest "
		 "in random order."},
	{"timeout", 0, "SECONDS", "limit for one sample: 300, with --quick 30",
	 INTO(sm__take_timeout, timeout_s), .more = "100ms, 5m and 2h are understood."},
	{"program", 0, "CMD", "a whole program as a workload, in quotes; again for each",
	 INTO(sm__take_item, programs), .decides = SM_DECIDES_WORK, .heading = "Whole programs",
	 .more = "Under each backend that serves malloc. The line is split into words as a shell "
		 "would, with quotes, $NAME, ~ and patterns, but no shell runs: what needs one is "
		 "`sh -c '..'`. What is expanded is expanded once, by spanmark: $$ is its own "
		 "process. Within single quotes nothing is. Measured is the process with all "
		 "that it starts: wall time, CPU time, peak memory, page faults, switches, and "
		 "counters that threads and children inherit. `--threads` is the number of CPUs "
		 "that it may use, by default all; `--place` says which. See `PROGRAMS`."},
	{"programs", 0, "FILE", "programs to run, one a line", INTO(sm__take_text, programs_file),
	 .decides = SM_DECIDES_WORK, .more = "Lines that are empty or begin with # are none."},
	{"metric", 0, "NAME=REGEX",
	 "a figure out of what a program prints: group 1 of the last match",
	 INTO(sm__take_pair, metrics), .decides = SM_DECIDES_CASES,
	 .more = "An extended regular expression, a line at a time. A name of `spanmark list` "
		 "keeps its meaning (ops: operations done, by which counts are divided; "
		 "ops_per_s; p99_us)."},
	{"better", 0, "NAME=WAY", "which way of a --metric is better: higher or lower",
	 INTO(sm__take_pair, better), .decides = SM_DECIDES_CASES,
	 .more = "For `spanmark compare`."},
	{"setup", 0, "CMD", "run before each sample of a program, not measured",
	 INTO(sm__take_text, setup), .decides = SM_DECIDES_CASES,
	 .more = "What it leaves running is ended after the sample."},
	{"teardown", 0, "CMD", "run after each, likewise", INTO(sm__take_text, teardown),
	 .decides = SM_DECIDES_CASES, .more = "Whatever became of the sample."},
	{"server", 0, "CMD", "a server, measured while --client loads it",
	 INTO(sm__take_text, server), .decides = SM_DECIDES_WORK,
	 .more = "It stays in the foreground; then it gets a TERM, five seconds later a KILL."},
	{"ready", 0, "PORT|REGEX", "when the server is: a port answers, or it prints this",
	 INTO(sm__take_text, ready), .decides = SM_DECIDES_CASES,
	 .more = "The port is one of loopback; 60 seconds are waited at most."},
	{"client", 0, "CMD", "what loads the server, until it ends", INTO(sm__take_text, client),
	 .decides = SM_DECIDES_CASES,
	 .more = "On the CPUs that the server does not have, where there are such."},
	{"counters", 'c', "SOURCE", "where counts come from", INTO(sm__take_word, counters),
	 .words = "auto|pmu|sw|sim|none", .heading = "What is counted",
	 .more = "`auto`: hardware where it can be read, and software events; where no hardware "
		 "can be and valgrind is installed, a table has one simulated pass of each case "
		 "more, at a smaller size that it names. `pmu`: refuse to "
		 "run without hardware counters. `sw`: software events alone. `sim`: under "
		 "Callgrind, instructions that repeat, modelled caches; times then mean nothing."},
	{"counter-set", 'C', "SET,..", "counter sets to read (spanmark events lists them)",
	 INTO(sm__take_list, sets), .topic = "sets",
	 .more = "By name or as the path of an .ini file. What does not fit on the counters at "
		 "once is measured in further passes, which the report joins."},
	{"event", 'e', "EVENT,..", "further events by libpfm4 name, or raw as rNNN",
	 INTO(sm__take_list, events), .more = "Or PMU/TERM=VALUE,../."},
	{"multiplex", 0, NULL,
	 "let the kernel rotate counters: fewer passes, scaled and labelled values",
	 INTO(sm__take_flag, multiplex), .more = "There is one pass; values are marked with ~."},
	{"by", 0, "WHAT", "rows of the table: counts summed by this", INTO(sm__take_word, by),
	 .words = "role|thread|core|l3|node|kind", .heading = "How it is printed",
	 .more = "`kind` is that of the core. `l3` is refused where there is no L3."},
	{"format", 'f', "FORMAT", "how to print", INTO(sm__take_word, format),
	 .decides = SM_DECIDES_REPORT, .words = "table|csv|json|go|markdown|openmetrics",
	 .more = "The same numbers in all (docs/FORMATS.md): `go` is Go's benchmark format, for "
		 "benchstat, `markdown` has tables for an issue, `openmetrics` is for Prometheus. "
		 "CSV is tidy: one row for each metric of each thread and phase; its columns are "
		 "in its first line: `pass` is the counter pass from 0 (results of the whole "
		 "process stand there once for each: they are repeats of one repetition), and "
		 "`reason` says why a value is missing. A table has 100 columns, 80 on a "
		 "terminal that is narrower. A value behind which a calibration found an event "
		 "off is marked: with ? in the table, off in the column calibration of CSV, "
		 "\"calibration\":\"off\" in JSON."},
	{"output", 'o', "FILE", "print into FILE, which is replaced when all went well",
	 INTO(sm__take_text, output), .decides = SM_DECIDES_REPORT,
	 .more = "Until the report is complete, and when the disk is full, the old one stays; "
		 "then, with `--no-store`, the report goes into a file in $TMPDIR, /tmp or "
		 "/var/tmp that is named."},
	{"wide", 0, NULL, "the table with everything: every result, phase, event and wait",
	 INTO(sm__take_flag, wide), .decides = SM_DECIDES_REPORT,
	 .more = "Also what the workloads printed. The table without it leaves out columns that "
		 "nothing was counted for, and names them with the reason and what helps; joins "
		 "the "
		 "phases below 1% of their thread's time in a row `other`; and shows the results "
		 "that "
		 "say something to a person."},
	{"waits", 0, NULL, "the table with the waits for the collector by their causes",
	 INTO(sm__take_flag, waits), .decides = SM_DECIDES_REPORT},
	{"trace", 0, "FILE", "a timeline of every sample, to be looked at in ui.perfetto.dev",
	 INTO(sm__take_text, trace),
	 .more = "Phases and waits of each mutator and worker, collections, and over time the "
		 "heap, its goal, resident memory and the grey queue. Perfetto's format, or with "
		 "the extension .json Chrome's. Each sample is a process in it; its times have the "
		 "recording in them. Workloads alone, not resumed, not simulated. See "
		 "docs/TIMELINE.md."},
	{"color", 0, "WHEN", "colour in the table", INTO(sm__take_word, color),
	 .decides = SM_DECIDES_REPORT, .words = "auto|always|never"},
	{"store", 0, "FILE",
	 "keep samples in this SQLite database, each as it arrives: spanmark.db",
	 INTO(sm__take_text, store), .decides = SM_DECIDES_REPORT,
	 .heading = "Keeping and repeating",
	 .more = "`spanmark runs` lists what is kept. Where spanmark.db cannot be written in the "
		 "current folder, a line says so and the run goes on without; a FILE that was "
		 "named must be writable."},
	{"no-store", 0, NULL, "keep no samples once they are reported", .take = sm__take_no_store,
	 .decides = SM_DECIDES_REPORT, .offset = offsetof(struct sm_run_options, no_store)},
	{"resume", 0, "[ID]", "go on with a run of the store, by default the last unfinished one",
	 .take = sm__take_resume, .decides = SM_DECIDES_REPORT,
	 .more = "What is left is measured as the run was begun: source of counts, limits, "
		 "passes, seed and all come from the store. An option that says otherwise, "
		 "another build of spanmark, another machine or other settings of it are refused "
		 "in a line that names the difference. Options of printing are free."},
	{"config", 0, "FILE", "read a plan file, as one that stands alone; the command line wins",
	 INTO(sm__take_text, config), .decides = SM_DECIDES_REPORT, .more = "See `PLAN FILES`."},
	{"topology", 0, "FILE", "plan for another machine (hwloc XML or synthetic); with --dry-run",
	 INTO(sm__take_text, topology), .decides = SM_DECIDES_REPORT,
	 .more = "A synthetic description is such as \"pack:2 [numa] core:8 pu:2\"."},
	{"dry-run", 0, NULL, "print the plan and the placement, run nothing",
	 INTO(sm__take_flag, dry_run), .decides = SM_DECIDES_REPORT},
	{"print-plan", 0, NULL, "print a plan file that runs the same, run nothing",
	 INTO(sm__take_flag, print_plan), .decides = SM_DECIDES_REPORT,
	 .more = "It has the seed, and all that was said."},
};
static const struct sm_option operand = {NULL, 0, "[FILE ..]",
					 "plan files: options, and parts of the matrix",
					 INTO(sm__take_text, config)};
_Static_assert(SM_COUNT_OF(rows) <= 64, "struct sm_run_options has a bit for each");

const struct sm_option_table sm_run_options_table = {
	.command = "run",
	.rows = rows,
	.n = SM_COUNT_OF(rows),
	.operand = &operand,
};
