/* harness/plan/plan.c, expand.c, job.c: the matrix, its order, and every refusal before anything
 * runs. */
#include "harness/plan/job.h"
#include "perf/counterset.h"
#include "harness/plan/order.h"
#include "harness/plan/plan.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"

#define MAX_ARGS 40

static struct sm_run_options o;
static struct sm_plan p;
static char err[768];

/* Plans the words of `line` on a machine of two packages with two nodes and four cores of two
 * threads each. */
static int plan(const char *line)
{
	static const char machine[] = "pack:2 [numa] l3:1 core:2 pu:2";
	char copy[2048], *argv[MAX_ARGS + 4] = {(char *)"run", (char *)"--dry-run",
						(char *)"--topology", (char *)machine};
	int argc = 4, rc;

	sm_plan_free(&p);
	sm_run_options_free(&o);
	sm_run_options_init(&o);
	err[0] = 0;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w && argc < MAX_ARGS;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	rc = sm_run_options_parse(&o, argc, argv, err, sizeof(err));
	return rc ? rc : sm_plan_build(&o, &p, err, sizeof(err));
}

/* The same with variants, whose blanks are their own. */
static int plan_variants(const char *line, const char *const *variants)
{
	char *argv[MAX_ARGS] = {(char *)"run", (char *)"-w", (char *)line, (char *)"--counters",
				(char *)"none"};
	int argc = 5, rc;

	sm_plan_free(&p);
	sm_run_options_free(&o);
	sm_run_options_init(&o);
	for (; *variants != NULL; variants++) {
		argv[argc++] = (char *)"--variant";
		argv[argc++] = (char *)*variants;
	}
	rc = sm_run_options_parse(&o, argc, argv, err, sizeof(err));
	return rc ? rc : sm_plan_build(&o, &p, err, sizeof(err));
}

static void planned(const char *line)
{
	ck_assert_msg(plan(line) == 0, "'%s': %s", line, err);
}

static void refused(const char *line, const char *fragment)
{
	ck_assert_msg(plan(line) < 0, "'%s' was planned", line);
	ck_assert_msg(strstr(err, fragment) != NULL, "'%s': '%s' lacks '%s'", line, err, fragment);
	ck_assert_msg(!strchr(err, '\n') && strlen(err) > 10, "'%s': '%s'", line, err);
}

START_TEST(variants_are_cases_of_one_family)
{
	static const char *const variants[] = {"default", "cache.window=64k  cache.spans=2",
					       "cache.spans=2 cache.spans=4", "default", NULL};
	static const char *const placed[] = {"default", "place=none",
					     "workers=2 mark-place=shared gc.percent=50", NULL};

	ck_assert_msg(plan_variants("churn", variants) == 0, "%s", err);
	ck_assert_uint_eq(p.ncases, 3); /* default twice is one */
	ck_assert_uint_eq(p.cases[0].settings.n, 0);
	ck_assert_uint_eq(p.cases[1].settings.n, 2);
	ck_assert_str_eq(p.cases[1].settings.v[0], "cache.window=64k");
	ck_assert_str_eq(p.cases[1].settings.v[1], "cache.spans=2");
	ck_assert_uint_eq(p.cases[2].settings.n, 1);
	ck_assert_str_eq(p.cases[2].settings.v[0], "cache.spans=4");
	for (unsigned i = 0; i < p.ncases; i++)
		ck_assert_uint_eq(p.family[i], p.family[0]);
	ck_assert_msg(plan_variants("ring", placed) == 0, "%s", err);
	ck_assert_uint_eq(p.ncases, 3);
	ck_assert_int_eq(p.cases[1].place, SM_PLACE_NONE);
	ck_assert_int_eq(p.cases[2].mark_place, SM_MARK_SHARED);
	ck_assert_uint_eq(p.cases[2].workers, 2);
	ck_assert_uint_eq(p.cases[2].settings.n, 1);
}
END_TEST

START_TEST(variants_are_refused_by_word)
{
	static const struct {
		const char *variant, *fragment;
	} bad[] = {
		{"", "--variant: ''"},
		{"cache.window", "allowed: KEY=VALUE with blanks between, or 'default'"},
		{"=3", "--variant '=3'"},
		{"cache.window= cache.spans=2", "--variant 'cache.window= "},
		{"cache.windo=64k", "did you mean 'cache.window'"},
		{"cache.window=3", "cache.window: '3' is not allowed"},
		{"env.1X=3", "does not begin with LD_"},
		{"env.LD_PRELOAD=x.so", "does not begin with LD_"},
		{"place=nowhere", "nowhere"},
		{"workers=0", "workers=0: allowed: 1 to 256"},
		{"workers=x", "workers=x: allowed: 1 to 256"},
		{"env.=x", "allowed: env.NAME=VALUE"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const variants[] = {bad[i].variant, NULL};

		ck_assert_msg(plan_variants("churn", variants) < 0, "'%s'", bad[i].variant);
		ck_assert_msg(strstr(err, bad[i].fragment) != NULL, "'%s': '%s'", bad[i].variant,
			      err);
	}
}
END_TEST

START_TEST(everything_by_default)
{
	unsigned n;

	sm_workloads(&n);
	planned("--counters none");
	ck_assert_uint_eq(p.ncases, n);
	ck_assert_uint_eq(p.reps, 3);
	ck_assert_uint_eq(p.njobs, n * 3);
	planned("--counters none --quick");
	ck_assert_uint_eq(p.reps, 1);
}
END_TEST

START_TEST(matrix)
{
	planned("-w binary-trees -p depth=10,12 --threads 1,2 --backend gc,libc --set "
		"gc.percent=50,100 "
		"--reps 2 "
		"--counters none");
	/* libc has no gc.percent: a sweep over it adds nothing there, and a line says so */
	ck_assert_uint_eq(p.ncases, 2 * 2 * (2 + 1));
	ck_assert_uint_eq(p.njobs, 24);
	ck_assert_ptr_nonnull(strstr(p.note, "--set gc.percent: backend libc ignores it"));
	planned("-w churn --backend span,libc --set cache.batch=8,16 --counters none");
	ck_assert_uint_eq(p.ncases, 3);
	planned("-w churn --backend gc --set gc.percent=50,100 --counters none");
	ck_assert_str_eq(p.note, "");
	/* mark workers are no dimension of a heap without any */
	planned("-w binary-trees --backend gc,libc --workers 1,2 --counters none");
	ck_assert_uint_eq(p.ncases, 3);
	/* commas of a list parameter are its own */
	planned("-w slices -p sizes=1,2,3 --counters none");
	ck_assert_uint_eq(p.ncases, 1);
	/* what says nothing new adds no case */
	planned("-w churn,churn --counters none --reps 2");
	ck_assert_uint_eq(p.ncases, 1);
	ck_assert_uint_eq(p.njobs, 2);
	planned("-w churn,ring,churn --threads 1,1 --backend gc,gc --workers 2,2 --place "
		"compact,compact "
		"--set gc.percent=50,50 -p size=1024,1k,64,1024 --counters none");
	ck_assert_uint_eq(p.ncases, 4);
	planned("-w binary-trees,binary-trees --threads 1,2,1 --set gc.percent=50,60 --counters "
		"none");
	ck_assert_uint_eq(p.ncases, 4);
	/* a particular parameter wins over a general one */
	planned("-w churn,ring -p ring.size=32 -p size=64 --counters none");
	ck_assert_int_eq(sm_params_int(p.cases[0].params, "size"), 64);
	ck_assert_int_eq(sm_params_int(p.cases[1].params, "size"), 32);
	/* a backend that only some have */
	planned("--backend libc --counters none");
	for (unsigned i = 0; i < p.ncases; i++)
		ck_assert_int_eq(p.cases[i].backend->kernel, SM_WL_LIBC);
	/* and a number of threads: handoff runs in pairs */
	planned("-t 1,2,3 --counters none");
	for (unsigned i = 0; i < p.ncases; i++)
		if (strcmp(p.cases[i].params->workload->name, "handoff") == 0)
			ck_assert_uint_eq(p.cases[i].threads, 2);
}
END_TEST

START_TEST(placement)
{
	planned("-w binary-trees --threads 2 --workers 1 --place compact --mark-place dedicated "
		"--counters "
		"none");
	ck_assert_uint_eq(p.cases[0].placement.n, 3);
	/* left open: one to a core where they fit, packed where not */
	planned("-w binary-trees --threads 3 --workers 1 --counters none");
	ck_assert_int_eq(p.cases[0].place, SM_PLACE_ONE_PER_CORE);
	ck_assert_int_eq(p.cases[0].mark_place, SM_MARK_AUTO);
	/* 4 cores, 3 mutators: the worker has the fourth */
	ck_assert_int_eq(p.cases[0].placement.threads[3].core, 3);
	planned("-w binary-trees --threads 8 --workers 1 --counters none");
	ck_assert_int_eq(p.cases[0].place, SM_PLACE_COMPACT);
	ck_assert_int_eq(p.cases[0].mark_place, SM_MARK_AUTO);
	/* nobody asked for more than there are */
	planned("-w handoff --topology pu:1 --counters none");
	ck_assert_int_eq(p.cases[0].threads, 2);
	ck_assert_int_eq(p.cases[0].place, SM_PLACE_NONE);
	refused("-w handoff --topology pu:1 --threads 2 --counters none", "has room for 1");
	planned("-w binary-trees --threads 100 --place none --mark-place none --counters none");
	ck_assert_int_eq(p.cases[0].placement.threads[0].pu, SM_NONE);
}
END_TEST

START_TEST(refusals)
{
	refused("-w grpah", "did you mean 'graph'");
	refused("-w quicksort", "binary-trees");
	refused("-w graph -p objcts=5", "did you mean 'objects'");
	refused("-w graph -p graf.objects=5", "graph");
	refused("-w graph -p ring.size=5", "graph");
	refused("-w graph -p objects=many", "objects");
	refused("-w graph -p objects=1", "objects");
	refused("-w graph -p objects=99999999999999999999", "objects");
	refused("-w graph -p objects=", "KEY=VALUE");
	refused("-w graph --set gc.mod=stw", "did you mean 'gc.mode'");
	refused("-w graph --set gc.mode=fast", "stw");
	refused("-w slices --backend libc", "backend");
	refused("-w slices --threads 2", "thread");
	refused("-w binary-trees --threads 9", "threads");
	refused("-w binary-trees --threads 8 --mark-place dedicated", "mark");
	refused("-w graph -C cahe", "cahe");
	refused("-w graph -e no_such_event_at_all", "no_such_event_at_all");
	refused("-w graph --topology /does/not/exist.xml", "/does/not/exist.xml");
	/* rules between parameters, in any case of the matrix */
	refused("-w handoff -t 2,5", "handoff: threads=5: must be even");
	refused("-p threads=3", "handoff: threads=3: must be even");
	refused("-w churn,larson -p min_size=600 -p max_size=100",
		"larson: min_size=600: must be at most max_size, 100");
	refused("-w graph -p edges=4096 -p size=16", "edges=4096: must be at most 2 with size=16");
	refused("-w gcbench -p stretch=4 -p longest=26", "longest=26: must be at most stretch, 4");
	refused("-w churn -p ops=1,2,3,4,5,6,7,8,9,10,11 -p live=1,2,3,4,5,6,7,8,9,10,11 -p "
		"size=16,17,18,19,20,21,22,23,24,25 --threads 1,2,3,4 --set "
		"gc.percent=10,20,30,40,50,60,70,80,90,100 --counters none",
		"10000 cases");
}
END_TEST

START_TEST(shuffles_by_the_seed)
{
	unsigned a[50], b[50], c[50], sum = 0;
	bool same = true, sorted = true;

	for (unsigned i = 0; i < 50; i++)
		a[i] = b[i] = c[i] = i;
	sm_plan_shuffle(a, 50, 7);
	sm_plan_shuffle(b, 50, 7);
	sm_plan_shuffle(c, 50, 8);
	ck_assert_mem_eq(a, b, sizeof(a));
	for (unsigned i = 0; i < 50; i++) {
		sum += a[i];
		same &= a[i] == c[i];
		sorted &= a[i] == i;
	}
	ck_assert_uint_eq(sum, 49 * 50 / 2);
	ck_assert(!same && !sorted);
}
END_TEST

/* Every position gets every value about equally often. */
START_TEST(shuffles_evenly)
{
	unsigned count[4][4] = {{0}};

	for (unsigned seed = 0; seed < 4000; seed++) {
		unsigned v[4] = {0, 1, 2, 3};

		sm_plan_shuffle(v, 4, seed);
		for (unsigned i = 0; i < 4; i++)
			count[i][v[i]]++;
	}
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 4; k++) {
			ck_assert_uint_gt(count[i][k], 850); /* 1000 +- 5 sigma */
			ck_assert_uint_lt(count[i][k], 1150);
		}
	}
}
END_TEST

/* The samples of a repetition draw the same numbers, those of another repetition others. */
START_TEST(repetitions_differ_in_their_seeds)
{
	static const char key[] = "\"seed\":\"";
	char seeds[2][3][32];

	ck_assert_int_eq(plan("-w churn -p size=16,32,64 --seed 5 --reps 2 --counters none"), 0);
	ck_assert_uint_eq(p.njobs, 6);
	for (unsigned i = 0; i < 6; i++) {
		const char *at = strstr(p.jobs[i], key);

		ck_assert_ptr_nonnull(at);
		snprintf(seeds[i / 3][i % 3], 32, "%.*s", (int)strcspn(at + strlen(key), "\""),
			 at + strlen(key));
	}
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_str_eq(seeds[0][i], seeds[0][0]);
		ck_assert_str_eq(seeds[1][i], seeds[1][0]);
	}
	ck_assert_str_ne(seeds[0][0], seeds[1][0]);
}
END_TEST

START_TEST(equal_seeds_equal_plans)
{
	char *first;

	planned("-w churn,ring,graph -p size=32,64 --seed 5 --reps 4 --counters none");
	first = strdup(p.jobs[3]);
	planned("-w churn,ring,graph -p size=32,64 --seed 5 --reps 4 --counters none");
	ck_assert_str_eq(p.jobs[3], first);
	free(first);
	/* whole repetitions one after the other */
	for (unsigned i = 0; i < p.njobs; i++) {
		cJSON *job = cJSON_Parse(p.jobs[i]);

		ck_assert_int_eq(cJSON_GetObjectItem(job, "rep")->valueint, (int)(i / p.ncases));
		cJSON_Delete(job);
	}
}
END_TEST

START_TEST(a_job_describes_itself)
{
	struct sm_pool pool = {0};
	struct sm_record rec;

	planned("-w binary-trees -p depth=12 --threads 2 --set gc.mode=stw --counters none "
		"--no-shuffle");
	ck_assert_int_eq(sm_job_describe(p.jobs[0], &rec, &pool), 0);
	ck_assert_str_eq(rec.workload, "binary-trees");
	ck_assert_str_eq(rec.backend, "gc");
	ck_assert_str_eq(rec.params, "{\"depth\":12,\"threads\":2}");
	ck_assert_str_eq(rec.config, "{\"gc.mode\":\"stw\"}");
	ck_assert_ptr_nonnull(strstr(rec.placement, "\"threads\":2"));
	ck_assert_int_ne(sm_job_describe("{}", &rec, &pool), 0);
	ck_assert_int_ne(sm_job_describe("", &rec, &pool), 0);
	sm_pool_free(&pool);
}
END_TEST

/* On this machine, the worker makes of a job what the planner meant. */
START_TEST(a_job_comes_back_whole)
{
	struct sm_job_parts parts;
	char *argv[] = {(char *)"run",
			(char *)"-w",
			(char *)"slices",
			(char *)"-p",
			(char *)"sizes=3,4",
			(char *)"--set",
			(char *)"gc.percent=50",
			(char *)"-C",
			(char *)"soft,cycles",
			(char *)"--seed",
			(char *)"9"};

	sm_plan_free(&p);
	sm_run_options_free(&o);
	sm_run_options_init(&o);
	ck_assert_int_eq(sm_run_options_parse(&o, 11, argv, err, sizeof(err)), 0);
	ck_assert_msg(sm_plan_build(&o, &p, err, sizeof(err)) == 0, "%s", err);
	ck_assert_msg(sm_job_parse(p.jobs[0], strlen(p.jobs[0]), &parts, err, sizeof(err)) == 0,
		      "%s", err);
	ck_assert_str_eq(parts.job.params->workload->name, "slices");
	ck_assert_uint_eq(parts.job.params->values[0].n, 2);
	ck_assert_int_eq(parts.job.params->values[0].list[1], 4);
	ck_assert_uint_eq(parts.job.nsettings, 1);
	ck_assert_str_eq(parts.job.settings[0].value, "50");
	ck_assert_uint_eq(parts.job.seed, sm_plan_job_seed(9, 0));
	ck_assert_ptr_nonnull(parts.job.counters);
	ck_assert_uint_eq(parts.job.counters->n_passes, p.counters->n_passes);
	ck_assert_uint_eq(parts.job.counters->n_metrics, p.counters->n_metrics);
	for (unsigned i = 0; i < p.counters->n_metrics; i++) {
		ck_assert_uint_eq(parts.job.counters->metrics[i].pass, p.counters->metrics[i].pass);
		ck_assert_str_eq(parts.job.counters->metrics[i].reason,
				 p.counters->metrics[i].reason);
	}
	ck_assert_int_ge(parts.job.mutators[0].cpu, 0);
	sm_job_parts_free(&parts);
}
END_TEST

/* Every prefix and every changed byte of a job is understood or refused with a reason. */
START_TEST(damaged_jobs)
{
	char *job;
	size_t len, from = 0, step = 3;

	/* The second time: the plan of the counters, which is the longest part of a job. */
	planned(_i == 0 ? "-w slices --counters none --no-shuffle"
			: "-w slices -C cycles,soft --no-shuffle");
	job = strdup(p.jobs[0]);
	len = strlen(job);
	if (_i == 1) {
		from = (size_t)(strstr(job, "\"plan\"") - job);
		step = 11;
	}
	for (size_t i = from; i < len; i += step) {
		struct sm_job_parts parts;

		ck_assert_int_ne(sm_job_parse(job, i, &parts, err, sizeof(err)), 0);
		sm_job_parts_free(&parts);
		job[i] ^= 4;
		err[0] = 0;
		if (sm_job_parse(job, len, &parts, err, sizeof(err)) != 0)
			ck_assert_uint_gt(strlen(err), 0);
		sm_job_parts_free(&parts);
		job[i] ^= 4;
	}
	free(job);
}
END_TEST

/* Over n repetitions every thing stands once at every place; each repetition has all of them. */
START_TEST(a_latin_square)
{
	unsigned order[7], spare[7], first[2] = {0};

	for (unsigned n = 1; n <= 7; n++) {
		for (unsigned square = 0; square < 3; square++) {
			unsigned stood[7][7] = {{0}};

			for (unsigned rep = square * n; rep < square * n + n; rep++) {
				sm_plan_latin(order, spare, n, rep, 5);
				for (unsigned i = 0; i < n; i++)
					stood[order[i]][i]++;
			}
			for (unsigned i = 0; i < n; i++)
				for (unsigned k = 0; k < n; k++)
					ck_assert_uint_eq(stood[i][k], 1);
		}
	}
	/* either comes first, as the seed says */
	for (unsigned seed = 0; seed < 100; seed++) {
		sm_plan_latin(order, spare, 2, 0, seed);
		first[order[0]]++;
	}
	ck_assert_uint_gt(first[0], 25);
	ck_assert_uint_gt(first[1], 25);
}
END_TEST

/* What does the same work over different backends runs side by side, each as often first. */
START_TEST(backends_run_in_blocks)
{
	unsigned first[SM_WL_COUNT] = {0}, places[4] = {0};

	planned("-w churn,binary-trees --backend gc,span,libc --counters none --reps 6 --seed 3");
	ck_assert_uint_eq(p.njobs, 36);
	for (unsigned i = 0; i < p.njobs; i += 3) {
		const struct sm_case *c = &p.cases[p.order[i]];
		unsigned seen = 0;

		for (unsigned k = 0; k < 3; k++) {
			ck_assert_ptr_eq(p.cases[p.order[i + k]].params->workload,
					 c->params->workload);
			seen |= 1u << p.cases[p.order[i + k]].backend->kernel;
		}
		ck_assert_uint_eq(seen, 1u << SM_WL_GC | 1u << SM_WL_SPAN | 1u << SM_WL_LIBC);
		first[c->backend->kernel]++;
		places[i % 6 / 3 * 2 + (strcmp(c->params->workload->name, "churn") == 0)]++;
	}
	/* 2 squares of 3 repetitions for each of 2 workloads */
	ck_assert_uint_eq(first[SM_WL_GC], 4);
	ck_assert_uint_eq(first[SM_WL_SPAN], 4);
	ck_assert_uint_eq(first[SM_WL_LIBC], 4);
	/* and neither workload is always first */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_gt(places[i], 0);
	for (unsigned i = 0; i < p.njobs; i++) {
		char want[32];

		snprintf(want, sizeof(want), "\"rep\":%u,", i / 6);
		ck_assert_ptr_nonnull(strstr(p.jobs[i], want));
	}
	/* other parameters are other work */
	planned("-w churn -p ops=1000,2000,3000 --set cache.batch=8,16 --backend span "
		"--counters none --reps 2");
	for (unsigned i = 0; i < p.njobs; i += 2)
		ck_assert_int_eq(sm_params_int(p.cases[p.order[i]].params, "ops"),
				 sm_params_int(p.cases[p.order[i + 1]].params, "ops"));
}
END_TEST

int main(void)
{
	return SM_SUITE("plan", 60, SM_T(variants_are_cases_of_one_family),
			SM_T(variants_are_refused_by_word), SM_T(everything_by_default),
			SM_T(matrix), SM_T(placement), SM_T(refusals), SM_T(shuffles_by_the_seed),
			SM_T(shuffles_evenly), SM_T(a_latin_square), SM_T(backends_run_in_blocks),
			SM_T(repetitions_differ_in_their_seeds), SM_T(equal_seeds_equal_plans),
			SM_T(a_job_describes_itself), SM_T(a_job_comes_back_whole),
			SM_LOOP(damaged_jobs, 0, 2));
}
