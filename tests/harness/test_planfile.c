/*
 * test_planfile.c: a plan that --print-plan prints runs the same: the same jobs, byte for byte,
 * with the same options of the run.
 */
#include "harness/plan/plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"

#define MAX_ARGS 40

static char err[1024];

/* Words separated by |. */
static int parse(struct sm_run_options *o, const char *words)
{
	char *copy = strdup(words), *rest = copy, *argv[MAX_ARGS + 1] = {(char *)"run"};
	int argc = 1, rc;

	while (rest != NULL && argc < MAX_ARGS)
		argv[argc++] = strsep(&rest, "|");
	sm_run_options_init(o);
	rc = sm_run_options_parse(o, argc, argv, err, sizeof(err));
	free(copy);
	return rc;
}

static char *printed(const struct sm_option *opt, const struct sm_run_options *o)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	sm_option_print(opt, o, f);
	fclose(f);
	return text;
}

/* Written to a file, read again. */
static void read_back(const struct sm_run_options *o, uint64_t seed, struct sm_run_options *again)
{
	char path[] = "/tmp/spanmark-plan-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	ck_assert_ptr_nonnull(f);
	sm_run_options_print_plan(o, seed, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_msg(parse(again, path) == 0, "%s", err);
	unlink(path);
}

static void same_jobs(const struct sm_plan *a, const struct sm_plan *b)
{
	ck_assert_uint_gt(a->njobs, 0);
	ck_assert_uint_eq(a->njobs, b->njobs);
	for (unsigned i = 0; i < a->njobs; i++)
		ck_assert_str_eq(a->jobs[i], b->jobs[i]);
}

/* Prints the plan of these words; it is the same again, and so is what concerns the whole run. Adds
 * to *seen what was said. */
static void round_trip(const char *words, uint64_t *seen)
{
	struct sm_run_options o, again;
	struct sm_plan plan = {0}, same = {0};
	size_t n;
	const struct sm_option *opt = sm_options(&n);

	ck_assert_msg(parse(&o, words) == 0, "%s: %s", words, err);
	ck_assert_msg(sm_plan_build(&o, &plan, err, sizeof(err)) == 0, "%s: %s", words, err);
	read_back(&o, plan.seed, &again);
	ck_assert_msg(sm_plan_build(&again, &same, err, sizeof(err)) == 0, "%s: %s", words, err);
	same_jobs(&plan, &same);
	ck_assert_uint_eq(o.nparts, again.nparts);
	for (size_t i = 0; i < n; i++) {
		char *was = printed(&opt[i], &o), *is = printed(&opt[i], &again);

		if ((o.given >> i & 1) && strcmp(opt[i].name, "config") != 0 &&
		    (o.nparts == 0 || !sm_option_is_of_parts(&opt[i])))
			ck_assert_msg(strcmp(was, is) == 0, "%s: --%s is '%s', was '%s'", words,
				      opt[i].name, is, was);
		free(was);
		free(is);
	}
	*seen |= o.given;
	sm_plan_free(&plan);
	sm_plan_free(&same);
	sm_run_options_free(&o);
	sm_run_options_free(&again);
}

static const char *const lines[] = {
	"-w|churn,binary-trees|--quick|--counters|sw|--no-store|--wide|--waits|--trace|a b.json",
	"-w|churn|-b|gc,libc,span|-p|size=16,64|-p|churn.ops=1000|--set|gc.mode=stw,concurrent|-n|"
	"3|"
	"--by|thread|-f|csv|-o|a file; with # "
	"all.csv|--color|never|--store|x.db|--note|a ; b # "
	"\"c\" ",
	"-w|graph|--workers|1,2|--mark-place|auto,shared|--place|none,compact|--kind|all|--seed|77|"
	"--no-shuffle|--timeout|12.3456789",
	"-w|churn|--threads|1|--variant|gc.mode=stw gc.percent=50|--variant|default|--until|"
	"wall_s=1%,ns_per_op=2.5%|--max-time|0.125",
	"-w|churn|-c|sw|-C|soft,cycles|-e|sw::context-switches|--multiplex",
	"-w|churn|--set|env.X= a ; b ,\"c\"",
	"--program|sh -c 'echo \"x ; y\" # z'|--program|true  a\\\\b|--metric|n=(\\d+) ; "
	"#|--better|"
	"n=higher|--setup|sh -c 'true ; '|--teardown|\"true\"|-b|libc",
	"--server|sleep 5|--ready|listening on \"(.*)\"|--client|true # x",
};

/* Options that a plan leaves out: how it is run, not what. */
static bool is_left_out(const char *name)
{
	static const char *const names[] = {"config", "print-plan", "dry-run",
					    "resume", "topology",   "programs"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

START_TEST(what_was_typed)
{
	uint64_t seen = 0;
	size_t n;
	const struct sm_option *opt = sm_options(&n);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		round_trip(lines[i], &seen);
	for (size_t i = 0; i < n; i++) /* a new option has a line above */
		ck_assert_msg((seen >> i & 1) || is_left_out(opt[i].name), "--%s", opt[i].name);
}
END_TEST

START_TEST(parts)
{
	static const char text[] =
		"[defaults]\nreps = 2\nbackend = gc, libc\ncounters = none\nchurn.ops = "
		"1000\nquick = yes\n"
		"[churn]\nsize = 16, 64\n[churn two]\nops = 2000\nbackend = libc\n[any thing]\n"
		"program = sh -c \"a ; b\" # c\nbackend = libc\n[last]\nworkload = graph, "
		"binary-trees\n"
		"gc.percent = 50, 100\nbackend = gc\n";
	char path[] = "/tmp/spanmark-parts-XXXXXX";
	uint64_t seen = 0;
	FILE *f = fdopen(mkstemp(path), "w");

	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	round_trip(path, &seen);
	unlink(path);
}
END_TEST

/* A plan is one run: the same case in two parts is there once, and cases of two parts that do the
 * same work are a family. */
START_TEST(parts_are_one_run)
{
	static const char text[] = "counters = none\nquick = yes\n[churn]\nbackend = gc, libc\n"
				   "[churn again]\nbackend = libc, span\n";
	char path[] = "/tmp/spanmark-parts-XXXXXX";
	struct sm_run_options o;
	struct sm_plan p = {0};
	FILE *f = fdopen(mkstemp(path), "w");

	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_msg(parse(&o, path) == 0, "%s", err);
	unlink(path);
	ck_assert_msg(sm_plan_build(&o, &p, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(p.ncases, 3);
	for (unsigned i = 0; i < p.ncases; i++)
		ck_assert_uint_eq(p.family[i], 0);
	sm_plan_free(&p);
	sm_run_options_free(&o);
}
END_TEST

/* Parameters of all parts may be of any, those of one are its own. */
START_TEST(refusals)
{
	static const struct {
		const char *text, *fragment;
	} bad[] = {{"objcts = 1\n[graph]\n", "line 1"},
		   {"param = objcts=1\n[graph]\n[churn]\n", "did you mean 'objects'"},
		   {"[churn]\n[graph]\nparam = size=1,\n", "line 2 [graph]: "},
		   {"[churn]\n[graph b]\ngc.mod = stw\n", "line 2 [graph b]: unknown setting"},
		   {"[churn]\n[b]\nprogram = a 'b\n", "line 2 [b]: --program"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char path[] = "/tmp/spanmark-parts-XXXXXX";
		struct sm_run_options o;
		struct sm_plan p = {0};
		FILE *f = fdopen(mkstemp(path), "w");

		fputs(bad[i].text, f);
		ck_assert_int_eq(fclose(f), 0);
		ck_assert(parse(&o, path) != 0 || sm_plan_build(&o, &p, err, sizeof(err)) != 0);
		unlink(path);
		ck_assert_msg(strstr(err, bad[i].fragment) != NULL, "%s", err);
		ck_assert_ptr_null(strchr(err, '\n'));
		sm_plan_free(&p);
		sm_run_options_free(&o);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("planfile", 0, SM_T(what_was_typed), SM_T(parts), SM_T(parts_are_one_run),
			SM_T(refusals));
}
