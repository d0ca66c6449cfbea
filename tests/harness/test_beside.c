/* harness/run/beside.c: which cases have a simulated pass, at what size, and that it changes
 * nothing of the plan but its end. A valgrind that is never run stands in PATH. */
#include "harness/plan/job.h"
#include "harness/plan/plan.h"
#include "harness/run/sim.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/generations/remember_dirty.h"
#include "perf/counterset.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static char folder[] = "/tmp/spanmark-beside-XXXXXX", valgrind[64];

static void setup(void)
{
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(valgrind, sizeof(valgrind), "%s/valgrind", folder);
	fd = open(valgrind, O_CREAT | O_WRONLY, 0700);
	ck_assert_int_ge(fd, 0);
	close(fd);
	setenv("PATH", folder, 1);
}

static void teardown(void)
{
	unlink(valgrind);
	rmdir(folder);
}

/* The plan of the words; how many jobs it has of its own comes back in own. false: this machine has
 * hardware counters. */
static bool plan(struct sm_plan *p, unsigned *own, const char *words)
{
	char line[256], err[512], *argv[32], *save = NULL;
	static struct sm_run_options o;
	int argc = 1;
	bool counts = false;

	snprintf(line, sizeof(line), "%s", words);
	argv[0] = (char *)"run";
	for (char *w = strtok_r(line, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	sm_run_options_init(&o);
	ck_assert_msg(sm_run_options_parse(&o, argc, argv, err, sizeof(err)) == 0, "%s", err);
	ck_assert_msg(sm_plan_build(&o, p, err, sizeof(err)) == 0, "%s", err);
	*own = p->njobs;
	for (unsigned i = 0; p->counters != NULL && i < p->counters->n_metrics; i++)
		counts |= p->counters->metrics[i].source == SM_SOURCE_PMU &&
			  (p->counters->metrics[i].refused == SM_STATUS_OK ||
			   p->counters->metrics[i].refused == SM_STATUS_MULTIPLEXED);
	ck_assert_int_eq(sm_beside_plan(&o, p), 0);
	sm_run_options_free(&o);
	ck_assert_uint_eq(p->njobs, *own + p->nbeside);
	return !counts;
}

/* Cases go unused where there is a PMU. */
#define SKIP(name)                                                             \
	do {                                                                   \
		printf("SKIP %s: this machine has hardware counters\n", name); \
		sm_plan_free(&p);                                              \
		return;                                                        \
	} while (0)

static double number(const cJSON *job, const char *object, const char *name)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(
		object != NULL ? cJSON_GetObjectItemCaseSensitive(job, object) : job, name));
}

START_TEST(each_case_has_one_at_its_end)
{
	struct sm_plan p;
	struct sm_pool pool = {0};
	unsigned own;

	if (!plan(&p, &own, "-w churn,slices --backend gc,libc --reps 2 --seed 1 --no-shuffle"))
		SKIP("each_case_has_one_at_its_end");
	ck_assert_uint_eq(p.ncases, 3); /* slices has no libc */
	ck_assert_uint_eq(own, 6);
	ck_assert_uint_eq(p.nbeside, 3);
	for (unsigned i = 0; i < p.njobs; i++) {
		struct sm_record rec;
		cJSON *job = cJSON_Parse(p.jobs[i]);
		bool churn;

		ck_assert_int_eq(sm_job_describe(p.jobs[i], &rec, &pool), 0);
		churn = strcmp(rec.workload, "churn") == 0;
		ck_assert_int_eq(rec.beside, i >= own);
		ck_assert_int_eq(rec.simulated, i >= own);
		ck_assert_uint_eq(rec.pass, i >= own ? p.passes : 0);
		if (i >= own) {
			ck_assert_uint_eq(rec.rep, 0);
			ck_assert_uint_eq(rec.group, i - own);
			ck_assert_double_le(rec.timeout_s, 60);
		}
		if (churn)
			ck_assert_double_eq(number(job, "params", "ops"),
					    i >= own ? 200000 : 50000000);
		if (i >= own && strcmp(rec.backend, "gc") == 0)
			ck_assert_double_eq(number(job, NULL, "workers"), 1);
		cJSON_Delete(job);
	}
	/* the cases are what they were */
	ck_assert_int_eq(p.cases[0].params->values[1].number, 50000000);
	sm_pool_free(&pool);
	sm_plan_free(&p);
}
END_TEST

static const struct {
	const char *words;
	unsigned passes;
} runs[] = {
	{"-w churn", 1},
	{"-w churn -p ops=1000", 1},		/* smaller than the pass: kept */
	{"-w churn -p ops=1000,1000000000", 1}, /* larger: another case */
	{"-w churn -p live=1000000", 0},
	{"-w file-cache", 0},	 /* nobody knows how long */
	{"-w churn -f json", 0}, /* for a program to read */
	{"-w churn --until 5%", 0},
	{"-w churn -c sw", 0},
	/* Refused under valgrind, which knows no userfaultfd. */
	{"-w churn -b gc --set gc.remember=none,cards --set gc.generations=off,on,auto", 4},
	{"-w churn -c none", 0},
	{"-w churn -C soft", 0}, /* asks for no hardware */
	{"-w churn -C cycles", 1},
	{"-w churn --set gc.percent=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
	 "25",
	 0},
};

/* gc.remember=none is refused where not. */
static bool kernel_tells_of_pages(void)
{
	struct sm_dirty d;

	if (sm__dirty_open(&d, NULL, 0) != 0)
		return false;
	sm__dirty_close(&d);
	return true;
}

START_TEST(which_have_one)
{
	struct sm_plan p;
	unsigned own;

	if (strstr(runs[_i].words, "remember") != NULL && !kernel_tells_of_pages())
		SM_SKIP("this kernel does not tell which pages were written");
	if (!plan(&p, &own, runs[_i].words) && p.counters != NULL)
		SKIP("which_have_one");
	ck_assert_msg(p.nbeside == runs[_i].passes, "%s: %u passes", runs[_i].words, p.nbeside);
	sm_plan_free(&p);
}
END_TEST

START_TEST(none_without_valgrind)
{
	struct sm_plan p;
	unsigned own;

	unlink(valgrind);
	plan(&p, &own, "-w churn");
	ck_assert_uint_eq(p.nbeside, 0);
	sm_plan_free(&p);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("beside", 0, setup, teardown, SM_T(each_case_has_one_at_its_end),
			     SM_LOOP(which_have_one, 0, sizeof(runs) / sizeof(runs[0])),
			     SM_T(none_without_valgrind));
}
