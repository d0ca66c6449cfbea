/* harness/options/options.c and configfile.c, suggest.c: what is understood, what is refused. */
#include "harness/options/options.h"
#include "harness/base/suggest.h"
#include "harness/command/cmd.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "workloads/workload.h"

#define MAX_ARGS 32

static struct sm_run_options o;
static char err[512];

/* Parses "run" and the words of `line`, separated by blanks. */
static int parse(const char *line)
{
	char copy[2048], *argv[MAX_ARGS + 1] = {(char *)"run"};
	int argc = 1;

	sm_run_options_free(&o);
	sm_run_options_init(&o);
	err[0] = 0;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w && argc < MAX_ARGS;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return sm_run_options_parse(&o, argc, argv, err, sizeof(err));
}

static void refused(const char *line, const char *fragment)
{
	ck_assert_msg(parse(line) < 0, "'%s' was accepted", line);
	ck_assert_msg(strstr(err, fragment) != NULL, "'%s': '%s' lacks '%s'", line, err, fragment);
	ck_assert_msg(!strchr(err, '\n'), "'%s': more than one line: '%s'", line, err);
}

static char *write_file(const char *text, size_t len)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/spanmark-options-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
	return path;
}

START_TEST(every_form)
{
	ck_assert_int_eq(parse("-w graph,ring -wchurn --workload slices --workload=binary-trees"),
			 0);
	ck_assert_uint_eq(o.workloads.n, 5);
	ck_assert_str_eq(o.workloads.v[0], "graph");
	ck_assert_str_eq(o.workloads.v[2], "churn");
	ck_assert_str_eq(o.workloads.v[4], "binary-trees");
	ck_assert_int_eq(
		parse("-q -n 7 --format=json --counters sw --by node --timeout 1.5 --seed 0x10"),
		0);
	ck_assert(o.quick);
	ck_assert_uint_eq(o.reps, 7);
	ck_assert_int_eq(o.format, SM_FORMAT_JSON);
	ck_assert_int_eq(o.counters, SM_COUNT_SW);
	ck_assert_int_eq(o.by, SM_BY_NODE);
	ck_assert_double_eq(o.timeout_s, 1.5);
	ck_assert(o.seed_given && o.seed == 16);
	ck_assert_int_eq(parse("--timeout 100ms"), 0);
	ck_assert_double_eq(o.timeout_s, 0.1);
	ck_assert_int_eq(parse("--timeout 2m"), 0);
	ck_assert_double_eq(o.timeout_s, 120);
}
END_TEST

/* --by writes the index of its word into an enum: its words are the names of that enum, in its
 * order. */
START_TEST(by_takes_the_names_of_its_enum)
{
	char line[40];

	for (int by = 0; by < SM_BY_PACKAGE; by++) {
		snprintf(line, sizeof(line), "--by %s", sm_by_names[by]);
		ck_assert_int_eq(parse(line), 0);
		ck_assert_int_eq(o.by, by);
	}
}
END_TEST

START_TEST(pairs_replace)
{
	ck_assert_int_eq(parse("-p depth=10 -p threads=2 -p depth=12,14 --set gc.mode=stw"), 0);
	ck_assert_uint_eq(o.params.n, 2);
	ck_assert_str_eq(o.params.v[0], "depth=12,14");
	ck_assert_str_eq(o.params.v[1], "threads=2");
	ck_assert_str_eq(o.settings.v[0], "gc.mode=stw");
	/* a longer key with the same beginning is another key */
	ck_assert_int_eq(parse("-p size=1 -p sizes=2"), 0);
	ck_assert_uint_eq(o.params.n, 2);
}
END_TEST

START_TEST(refusals)
{
	refused("graph", "workloads are named with -w");
	refused("nosuch.ini", "cannot read 'nosuch.ini'");
	refused("--frmat json", "did you mean '--format'");
	refused("-Z", "unknown option");
	refused("-w", "needs a value");
	refused("--reps", "needs a value");
	refused("-w ,", "separated by commas");
	refused("-w a,,b", "separated by commas");
	refused("-p depth", "KEY=VALUE");
	refused("-p =3", "KEY=VALUE");
	refused("-p depth=", "KEY=VALUE");
	refused("--reps 0", "1 to 1000");
	refused("--reps 1001", "1 to 1000");
	refused("--reps -1", "1 to 1000");
	refused("--reps 3x", "1 to 1000");
	refused("--threads 0", "1 to 4096");
	refused("--threads 1,two", "1 to 4096");
	refused("--threads 99999999999999999999", "1 to 4096");
	refused("--timeout 0", "seconds");
	refused("--timeout nan", "seconds");
	refused("--timeout inf", "seconds");
	refused("--timeout -5", "seconds");
	refused("--timeout 169h", "seconds");
	refused("--format xml", "table, csv, json");
	refused("--format jsn", "did you mean 'json'");
	refused("--place comapct", "did you mean 'compact'");
	refused("--mark-place nowhere", "auto, dedicated, shared, sibling, remote-node, none");
	refused("--backend nomalloc", "gc, span, libc");
	refused("--counters all", "auto, pmu, sw, sim, none");
	refused("--by cpu", "role, thread, core, l3, node, kind");
	refused("--seed -1", "0 to 2^64-1");
	refused("--quick=yes", "takes no value");
	refused("--topology m.xml", "--dry-run");
	refused("--resume --no-store", "--no-store");
	refused("--counters none -e cycles", "contradicts");
	refused("--config /does/not/exist.ini", "/does/not/exist.ini");
}
END_TEST

START_TEST(configuration_file)
{
	static const char text[] =
		"; a comment\n[run]\nworkload = graph, churn\nreps=5\nquick = no\n\n[params]\n"
		"graph.objects = 1m\n[set]\ngc.mode = stw\n";
	char line[128];

	snprintf(line, sizeof(line), "--reps 2 --config %s -p churn.ops=5",
		 write_file(text, sizeof(text) - 1));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_uint_eq(o.workloads.n, 2);
	ck_assert_str_eq(o.workloads.v[1], "churn");
	ck_assert_uint_eq(o.reps, 2); /* the command line wins, wherever --config stands */
	ck_assert_uint_eq(o.params.n, 2);
	ck_assert_str_eq(o.settings.v[0], "gc.mode=stw");
}
END_TEST

/* A value over several lines is one value; indented names are names; lines keep their numbers. */
START_TEST(configuration_continues)
{
	static const char text[] =
		"    [run]\n    workload = graph,\n\tchurn,\r\n ring\n    reps = 5\n[set]\n"
		"gc.percent = 50,\n  100,\n  200\n";
	static const char wrong[] = "[run]\nworkload = graph,\n  churn\nreps = many\n";
	const char *file;
	char line[128];

	snprintf(line, sizeof(line), "--config %s", write_file(text, sizeof(text) - 1));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_uint_eq(o.workloads.n, 3);
	ck_assert_str_eq(o.workloads.v[0], "graph");
	ck_assert_str_eq(o.workloads.v[2], "ring");
	ck_assert_uint_eq(o.reps, 5);
	ck_assert_uint_eq(o.settings.n, 1);
	ck_assert_str_eq(o.settings.v[0], "gc.percent=50,100,200");
	file = write_file(wrong, sizeof(wrong) - 1);
	snprintf(line, sizeof(line), "--config %s", file);
	ck_assert_int_eq(parse(line), -EINVAL);
	unlink(file);
	ck_assert_ptr_nonnull(strstr(err, "line 4"));
}
END_TEST

START_TEST(configuration_lists_are_replaced)
{
	static const char text[] = "[run]\nworkload = graph, churn\n";
	char line[128];

	snprintf(line, sizeof(line), "-w ring --config %s -w slices",
		 write_file(text, sizeof(text) - 1));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_uint_eq(o.workloads.n, 2);
	ck_assert_str_eq(o.workloads.v[0], "ring");
	ck_assert_str_eq(o.workloads.v[1], "slices");
}
END_TEST

START_TEST(configuration_refusals)
{
	static const struct {
		const char *text, *fragment;
	} bad[] = {{"[run]\nreps = many\n", "line 2"},
		   {"[run]\nreeps = 3\n", "did you mean '--reps'"},
		   {"[rum]\nreps = 3\n", "did you mean 'run'"},
		   {"[run]\nquick = maybe\n", "yes, no"},
		   {"[run]\nconfig = other.ini\n", "no further"},
		   {"[run\nreps = 3\n", "line 1"},
		   {"[]\n", "line 1"},
		   {"[run] x\n", "line 1"},
		   {"no equals sign\n", "line 1"},
		   {"reps = 3\n\n[churn]\nreps = 2\n", "line 4: 'reps' holds for the whole run"},
		   {"[chrun]\n", "line 1: without workload = or program = in it: unknown section "
				 "'chrun'; did you mean 'churn'"},
		   {"[churn]\nsise = 3\n", "line 2: unknown option or parameter 'sise'; did you "
					   "mean 'size'"},
		   {"[graph a]\nobjects = 1m,\n  many\n", "line 2: graph: objects=many"},
		   {"[x]\nworkload = graph\n[y]\nhelp = yes\n", "line 3"},
		   {"[churn]\nplace = compcat\n", "line 2: --place"}};
	char line[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *path = write_file(bad[i].text, strlen(bad[i].text));

		snprintf(line, sizeof(line), "--config %s", path);
		refused(line, bad[i].fragment);
		unlink(path);
	}
	snprintf(line, sizeof(line), "-w graph %s", write_file("[churn]\n", 8));
	refused(line, "--workload: the plan's sections say what runs");
	snprintf(line, sizeof(line), "--config %s", write_file("a\0b", 3));
	refused(line, "not text");
	refused("--config /tmp", "cannot read");
}
END_TEST

/* A value is what is written, of any length and with any letter; comments are not in it. */
START_TEST(configuration_values)
{
	static const char text[] =
		"\xef\xbb\xbfstore = a b.db ; two words\nsetup = sh -c 'a ; b' # not c\n"
		"program = \"x \\\"y\\\" ; z\"\nprogram = echo \"a\" \"b ; c\"\n"
		"output: it's \n[set]\nenv.X = a , b\n";
	char longer[600], line[128];

	snprintf(line, sizeof(line), "%s", write_file(text, sizeof(text) - 1));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_str_eq(o.store, "a b.db");
	ck_assert_str_eq(o.setup, "sh -c 'a ; b'");
	ck_assert_str_eq(o.programs.v[0], "x \"y\" ; z");
	ck_assert_str_eq(o.programs.v[1], "echo \"a\" \"b ; c\"");
	ck_assert_str_eq(o.output, "it's");
	ck_assert_str_eq(o.settings.v[0], "env.X=a , b");
	snprintf(longer, sizeof(longer), "program = %0500d\n", 7);
	snprintf(line, sizeof(line), "%s", write_file(longer, strlen(longer)));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_uint_eq(strlen(o.programs.v[0]), 500);
}
END_TEST

/* What a part has: its own lists in place of those of the defaults, parameters by their keys; the
 * command line in place of both. */
START_TEST(parts)
{
	static const char text[] =
		"reps = 4\nbackend = gc,\n  libc\ngc.mode = stw\ngraph.objects = 1000\nthreads = "
		"1\n"
		"[graph small]\n[graph large]\nobjects = 5000, 6000\nbackend = gc\ngc.mode = "
		"concurrent\n[mine]\nprogram = true\nbackend = libc\n";
	char line[128];

	snprintf(line, sizeof(line), "--threads 2 %s --reps 7", write_file(text, sizeof(text) - 1));
	ck_assert_msg(parse(line) == 0, "%s", err);
	unlink(o.config);
	ck_assert_uint_eq(o.nparts, 3);
	ck_assert_str_eq(o.parts[0].title, "graph small");
	ck_assert_str_eq(o.parts[0].workloads.v[0], "graph");
	ck_assert_uint_eq(o.parts[0].backends.n, 2);
	ck_assert_str_eq(o.parts[0].params.v[0], "graph.objects=1000");
	ck_assert_str_eq(o.parts[0].settings.v[0], "gc.mode=stw");
	ck_assert_uint_eq(o.parts[1].backends.n, 1);
	ck_assert_uint_eq(o.parts[1].params.n, 1);
	ck_assert_str_eq(o.parts[1].params.v[0], "objects=5000,6000");
	ck_assert_str_eq(o.parts[1].settings.v[0], "gc.mode=concurrent");
	ck_assert_uint_eq(o.parts[2].workloads.n, 0);
	ck_assert_str_eq(o.parts[2].programs.v[0], "true");
	for (size_t i = 0; i < o.nparts; i++) {
		ck_assert_uint_eq(o.parts[i].reps, 7);
		ck_assert_uint_eq(o.parts[i].threads.n, 1);
		ck_assert_str_eq(o.parts[i].threads.v[0], "2");
	}
}
END_TEST

/* A parameter and an option of one name in a part would be a riddle, but for threads, which mean
 * the same. */
START_TEST(no_parameter_is_called_as_an_option)
{
	unsigned n;
	const struct sm_workload *const *all = sm_workloads(&n);

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < sm_workload_nparams(all[i]); k++) {
			const char *name = all[i]->params[k].name;

			ck_assert_msg(strcmp(name, "threads") == 0 ||
					      sm_option_find(&sm_run_options_table, name,
							     strlen(name)) == NULL,
				      "%s of %s", name, all[i]->name);
		}
}
END_TEST

/* Damaged in every way, a configuration is read or refused with a reason that names the line. */
START_TEST(configuration_mutations)
{
	static const char text[] =
		"[run]\nworkload = graph, churn\nreps=5\ntimeout = 10s\n[params]\n"
		"graph.objects = 1m\n[set]\ngc.mode = stw\n";
	unsigned seed = 1;

	for (int i = 0; i < 400; i++) {
		char copy[sizeof(text)], line[96], *path;

		memcpy(copy, text, sizeof(text));
		for (int k = 0; k <= i % 4; k++)
			copy[(unsigned)rand_r(&seed) % (sizeof(text) - 1)] = (char)rand_r(&seed);
		path = write_file(copy, sizeof(text) - 1);
		snprintf(line, sizeof(line), "--config %s", path);
		if (parse(line) != 0)
			ck_assert_msg(strstr(err, "line ") != NULL, "%s", err);
		unlink(path);
	}
}
END_TEST

START_TEST(suggestions)
{
	static const char *const names[] = {"binary-trees", "churn", "graph", "ring", "slices"};

	ck_assert_str_eq(sm_suggest("grpah", names, 5), "graph");
	ck_assert_str_eq(sm_suggest("binary", names, 5), "binary-trees");
	ck_assert_str_eq(sm_suggest("Binary-Tree", names, 5), "binary-trees");
	ck_assert_str_eq(sm_suggest("slice", names, 5), "slices");
	ck_assert_ptr_null(sm_suggest("quicksort", names, 5));
	ck_assert_ptr_null(sm_suggest("", names, 5));
	ck_assert_ptr_null(sm_suggest("x", names, 5));
	sm_suggest_error(err, 60, "workload", "grpah", names, 5);
	ck_assert_uint_lt(strlen(err), 60);
}
END_TEST

/* Rows of every command: names and letters are not used twice, and the half lines are such. */
START_TEST(tables_are_sound)
{
	size_t commands;
	const struct sm_command *const *all = sm_commands(&commands);

	for (size_t c = 0; c < commands; c++) {
		const struct sm_option_table *t = all[c]->options;

		ck_assert_str_eq(t->command, all[c]->name);
		ck_assert_ptr_nonnull(all[c]->about);
		for (size_t i = 0; i < t->n; i++) {
			const struct sm_option *opt = &t->rows[i];

			ck_assert_ptr_eq(sm_option_find(t, opt->name, strlen(opt->name)), opt);
			if (opt->letter)
				ck_assert_ptr_eq(sm_option_letter(t, opt->letter), opt);
			ck_assert(opt->help[0] && opt->help[strlen(opt->help) - 1] != '.');
			ck_assert((!opt->words && !opt->topic) || opt->arg);
		}
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("options", 0, SM_T(every_form), SM_T(by_takes_the_names_of_its_enum),
			SM_T(pairs_replace), SM_T(refusals), SM_T(configuration_file),
			SM_T(configuration_continues), SM_T(configuration_lists_are_replaced),
			SM_T(configuration_refusals), SM_T(configuration_mutations),
			SM_T(configuration_values), SM_T(parts),
			SM_T(no_parameter_is_called_as_an_option), SM_T(suggestions),
			SM_T(tables_are_sound));
}
