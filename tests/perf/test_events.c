/* Event names: the encoder over the whole of tests/data/events.tsv, the linter, formulas, set
 * files. */
#include "perf/events.h"
#include "perf/expr.h"
#include "perf/lint.h"
#include "perf/setfile.h"
#include "tests/support/faketree.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

/* From the root of the repository, or next to the program (emulated machines). */
static FILE *open_data(const char *name)
{
	char exe[512], path[800];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *dir = getenv("SM_TEST_DATA");
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/data", name);
	f = fopen(path, "re");
	if (f || n <= 0)
		return f;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	snprintf(path, sizeof(path), "%s/data/%s", exe, name);
	return fopen(path, "re");
}

START_TEST(test_events_tsv)
{
	FILE *f = open_data("events.tsv");
	char line[1024], why[200];
	unsigned lines = 0, encoded = 0, foreign = 0;

	if (!f) {
		SM_SKIP("tests/data/events.tsv is not here");
	}
	while (fgets(line, sizeof(line), f)) {
		char *save = NULL, *pmu, *metric, *string, *verdict;
		int rc;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || !line[0])
			continue;
		pmu = strtok_r(line, "\t", &save);
		metric = strtok_r(NULL, "\t", &save);
		string = strtok_r(NULL, "\t", &save);
		verdict = strtok_r(NULL, "\t", &save);
		ck_assert(pmu && metric && string && verdict);
		lines++;
		rc = sm_lint_encodes(string, why, sizeof(why));
		if (rc < 0) {
			foreign++;
			continue;
		}
		encoded += rc;
		ck_assert_msg(rc == !strcmp(verdict, "ok"), "%s %s: %s: %s, the table says %s", pmu,
			      metric, string, rc ? "encoded" : why, verdict);
	}
	fclose(f);
	printf("events.tsv: %u strings, %u encoded, %u of another architecture's tables\n", lines,
	       encoded, foreign);
	ck_assert_uint_gt(lines, 100);
	ck_assert_uint_gt(encoded, 0);
}
END_TEST

static void complain(const struct sm_lint_finding *f, void *arg)
{
	if (!f->bad)
		return;
	printf("%s: %s %s: %s\n", f->origin, f->pmu, f->what, f->message);
	++*(unsigned *)arg;
}

START_TEST(test_builtin_sets_are_clean)
{
	struct sm_lint_counts c = {0};
	unsigned bad = 0;
	char err[300];

	setenv("SPANMARK_SETS", "/nonexistent", 1);
	ck_assert_int_eq(sm_lint_all(complain, &bad, &c, err, sizeof(err)), 0);
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_eq(c.errors, 0);
	ck_assert_uint_ge(c.sets, 7);
	ck_assert_uint_eq(c.encoded + c.foreign, c.strings);
	ck_assert_uint_gt(c.encoded, c.foreign);
}
END_TEST

/* Every microarchitecture that we name has its events in every set of hardware events. */
START_TEST(test_every_set_knows_every_core)
{
	for (unsigned i = 0; sm_setfile_builtin_name(i); i++) {
		struct sm_setfile *s;
		char err[300];

		ck_assert_int_eq(
			sm_setfile_parse(sm_setfile_builtin_text(i), "x", &s, err, sizeof(err)), 0);
		ck_assert_str_eq(s->name, sm_setfile_builtin_name(i));
		for (unsigned u = 0; strcmp(s->name, "soft") && sm_uarch_name(u); u++) {
			bool found = !strcmp(sm_uarch_name(u), "amd64_fam17h_zen1");

			for (unsigned m = 0; m < s->n_maps; m++)
				found |= !strcmp(s->maps[m].pmu, sm_uarch_name(u));
			ck_assert_msg(found, "set %s has nothing for %s", s->name,
				      sm_uarch_name(u));
		}
		sm_setfile_free(s);
	}
}
END_TEST

static unsigned times(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Every metric that we name says which direction is better, or that none is. */
START_TEST(test_every_metric_has_a_direction)
{
	struct sm_setfile *s;
	char err[300] = "";

	for (unsigned i = 0; sm_setfile_builtin_name(i); i++) {
		const char *text = sm_setfile_builtin_text(i);

		ck_assert_msg(times(text, "[metric ") == times(text, "better ="), "set %s",
			      sm_setfile_builtin_name(i));
	}
	s = sm_setfile_table();
	for (unsigned i = 0; i < s->n_metrics; i++)
		ck_assert_msg(s->metrics[i].better != SM_BETTER_NEITHER, "table: %s",
			      s->metrics[i].name);
	sm_setfile_free(s);
	ck_assert_int_eq(sm_setfile_better("llc_mpki"), SM_BETTER_LESS);
	ck_assert_int_eq(sm_setfile_better("br_miss_rate"), SM_BETTER_LESS);
	ck_assert_int_eq(sm_setfile_better("ipc"), SM_BETTER_MORE);
	ck_assert_int_eq(sm_setfile_better("mem_read_mbps"), SM_BETTER_NEITHER);
	ck_assert_int_eq(sm_setfile_better("time"), SM_BETTER_LESS);
	ck_assert_int_eq(sm_setfile_better("r01c4"), SM_BETTER_NEITHER);
	ck_assert_int_eq(sm_setfile_parse("[set]\nname=a\n[metric f]\nbetter=faster", "x", &s, err,
					  sizeof(err)),
			 -EINVAL);
	ck_assert_str_eq(err, "x:4: better = faster; allowed: less, more, none");
}
END_TEST

START_TEST(test_linter_finds)
{
	static const struct {
		const char *text;
		unsigned errors;
	} all[] = {
		{"[set]\nname=x\n[metric a]\nunit=u\n[pmu skx]\na = INST_RETIRED:ANY_P\n", 0},
		{"[set]\nname=x\n[metric a]\nunit=u\n[pmu amd64_fam19h_zen4]\na = NO_SUCH_EVENT\n",
		 1},
		{"[set]\nname=x\n[metric a]\nunit=u\nformula = b /\n[pmu any]\nb = sw::faults\n",
		 1},
		{"[set]\nname=x\n[metric a]\nunit=u\nformula = b / c\n[pmu any]\nb = sw::faults\n",
		 1},
		{"[set]\nname=x\n[metric a]\nformula = b / ops\n[pmu any]\nb = sw::faults\n", 1},
		{"[set]\nname=x\n[metric a]\nunit=u\n[pmu any]\na = sw::nothing\n", 1},
		{"[set]\nname=x\n[metric a]\nunit=u\n[pmu any]\na = const::x\n", 1},
		{"[set]\nname=x\n[metric a]\nunit=u\n", 1},
		{"[set]\nname=x\n", 1},
		{"[metric a]\nunit=u\n[pmu any]\na=r1\n", 1},
		{"[set]\nname=x\n[metric a]\nunit=u\n[pmu any]\na=r1\na=r2\n", 1},
		{"[set]\nname=x\n[metric a]\nunits=u\n", 1},
		{"[sets]\nname=x\n", 1},
		{"nonsense\n", 1},
	};

#if !defined(__x86_64__)
	puts("the tables of this architecture have no x86 events: strings are not judged");
#endif
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct sm_lint_counts c = {0};

#if !defined(__x86_64__)
		if (i < 2)
			continue;
#endif
		sm_lint_text(all[i].text, "test", NULL, NULL, &c);
		ck_assert_msg(c.errors == all[i].errors, "text %zu: %u errors", i, c.errors);
	}
}
END_TEST

START_TEST(test_set_files)
{
	struct faketree dir;
	struct sm_setfile *s;
	char err[300] = "", path[200];

	faketree_init(&dir);
	faketree_write(&dir, "/mine.ini",
		       "[set]\nname=mine\ntitle=t\n[metric f]\nunit=n\n[pmu any]\nf=sw::faults");
	faketree_write(&dir, "/cycles.ini",
		       "[set]\nname=cycles\n[metric g]\nunit=n\n[pmu any]\ng=sw::faults");
	ck_assert_int_eq(sm_setfile_find("mine", dir.root, &s, err, sizeof(err)), 0);
	ck_assert_str_eq(s->metrics[0].name, "f");
	sm_setfile_free(s);
	ck_assert_int_eq(sm_setfile_find("cycles", dir.root, &s, err, sizeof(err)), 0);
	ck_assert_str_eq(s->metrics[0].name, "g"); /* the user's replaces the built-in one */
	sm_setfile_free(s);
	snprintf(path, sizeof(path), "%s/mine.ini", dir.root);
	ck_assert_int_eq(sm_setfile_find(path, "", &s, err, sizeof(err)), 0);
	sm_setfile_free(s);
	ck_assert_int_eq(sm_setfile_find("nope", dir.root, &s, err, sizeof(err)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "allowed: cycles, cache"));
	ck_assert_int_eq(sm_setfile_find("cycles", "", &s, err, sizeof(err)), 0);
	ck_assert_str_eq(sm_setfile_map(s, "icx", "cycles")->string, "icx::UNHALTED_CORE_CYCLES");
	ck_assert_str_eq(sm_setfile_map(s, "arm_ac76", "cycles")->string, "r011");
	ck_assert_str_eq(sm_setfile_map(s, "pentium", "cycles")->string,
			 "perf::PERF_COUNT_HW_CPU_CYCLES");
	ck_assert_ptr_null(sm_setfile_map(s, "icx", "nothing"));
	sm_setfile_free(s);
	faketree_remove(&dir);
}
END_TEST

/* ---- formulas ----------------------------------------------------------------------------- */

static bool lookup(void *ctx, const char *name, double *v)
{
	(void)ctx;
	if (!strcmp(name, "a"))
		*v = 6;
	else if (!strcmp(name, "b_2"))
		*v = 4;
	else if (!strcmp(name, "zero"))
		*v = 0;
	else
		return false;
	return true;
}

START_TEST(test_formulas)
{
	static const struct {
		const char *text;
		int rc;
		double value;
	} all[] = {
		{"1", 0, 1},
		{"1 + 2 * 3", 0, 7},
		{"(1 + 2) * 3", 0, 9},
		{"10 - 2 - 3", 0, 5},
		{"16 / 4 / 2", 0, 2},
		{"-a + 1", 0, -5},
		{"2 * -3", 0, -6},
		{"a / b_2", 0, 1.5},
		{" a/( b_2+2 ) ", 0, 1},
		{"1000 * a / b_2", 0, 1500},
		{"1e3 * .5", 0, 500},
		{"min(a, b_2) + max(a, 1)", 0, 10},
		{"a / zero", -EDOM, 0},
		{"1e308 * 1e308", -EDOM, 0},
		{"missing + 1", -ENODATA, 0},
		{"", -EINVAL, 0},
		{"1 +", -EINVAL, 0},
		{"1 2", -EINVAL, 0},
		{"(1", -EINVAL, 0},
		{"a ** 2", -EINVAL, 0},
		{"sqrt(1,2)", -EINVAL, 0},
		{"min(1)", -EINVAL, 0},
		{"a;", -EINVAL, 0},
		{"((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1",
		 -EINVAL, 0},
		{"a_name_that_is_longer_than_thirty_one_characters", -EINVAL, 0},
	};
	char err[200];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		double v = NAN;
		int rc = sm_expr_eval(all[i].text, lookup, NULL, &v, err, sizeof(err));

		ck_assert_msg(rc == all[i].rc, "\"%s\" gives %d (%s)", all[i].text, rc, err);
		if (!rc)
			ck_assert_msg(fabs(v - all[i].value) < 1e-9, "\"%s\" = %g", all[i].text, v);
		else
			ck_assert(isnan(v)); /* never 0 for want of a value */
	}
}
END_TEST

START_TEST(test_formula_names)
{
	char names[4][SM_EXPR_NAME], err[200];

	ck_assert_int_eq(sm_expr_names("a / (b + a) - c * 2", names, 4, err, sizeof(err)), 3);
	ck_assert_str_eq(names[0], "a");
	ck_assert_str_eq(names[1], "b");
	ck_assert_str_eq(names[2], "c");
	ck_assert_int_eq(sm_expr_names("a/(b - b)", names, 4, err, sizeof(err)), 2);
	/* Read to the end, whatever the values of the names would make of it. */
	ck_assert_int_eq(sm_expr_names("a/0 + c", names, 4, err, sizeof(err)), 2);
	ck_assert_int_eq(sm_expr_names("1/0 + seco(c)", names, 4, err, sizeof(err)), -EINVAL);
	ck_assert_int_eq(sm_expr_names("a+b+c+d+e", names, 4, err, sizeof(err)), -E2BIG);
	ck_assert_int_eq(sm_expr_names("a +", names, 4, err, sizeof(err)), -EINVAL);
}
END_TEST

/* ---- names typed by users ----------------------------------------------------------------- */

START_TEST(test_resolution)
{
	struct sm_pmus pmus;
	struct sm_event_options o = {.pmus = &pmus};
	struct sm_event_resolved r;
	bool bad;

	sm_pmus_scan("", &pmus);
	ck_assert(sm_event_resolve("sw::minor-faults", &o, &r, &bad) && !bad);
	ck_assert_int_eq(r.code.backend, SM_BACKEND_SOFT);
	ck_assert(!sm_event_resolve("sw::nonsense", &o, &r, &bad) && bad);
	ck_assert(sm_event_resolve("r1c2", &o, &r, &bad) && !bad);
	ck_assert_uint_eq(r.code.config, 0x1c2);
	ck_assert(!sm_event_resolve("no-such-event-anywhere", &o, &r, &bad) && bad);
	ck_assert(r.reason[0] != '\0');
	ck_assert(!sm_event_resolve("", &o, &r, &bad) && bad);
	ck_assert(sm_event_resolve("perf::PERF_COUNT_SW_PAGE_FAULTS", &o, &r, &bad) && !bad);
	ck_assert_int_eq(r.code.source, SM_SOURCE_SW);
	ck_assert(!sm_event_resolve("tp::x", &o, &r, &bad));
	ck_assert(!sm_event_resolve("tp::../..:../../etc/passwd", &o, &r, &bad));
	ck_assert(sm_event_resolve("sim::D1mr", &o, &r, &bad) && r.code.source == SM_SOURCE_SIM);
	/* Another machine's event is known, but would count something else here; of a machine that
	 * nobody knows, who names an event says what it is. */
	ck_assert(!sm_event_resolve("skx::INST_RETIRED:ANY_P", &o, &r, &bad) ||
		  !strcmp(pmus.pmus[0].uarch, "skx") || !strcmp(pmus.pmus[0].uarch, "unknown"));
	ck_assert(!bad);
	sm_pmus_free(&pmus);
}
END_TEST

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return SM_SUITE("events", 60, SM_T(test_events_tsv), SM_T(test_builtin_sets_are_clean),
			SM_T(test_every_set_knows_every_core),
			SM_T(test_every_metric_has_a_direction), SM_T(test_linter_finds),
			SM_T(test_set_files), SM_T(test_formulas), SM_T(test_formula_names),
			SM_T(test_resolution));
}
