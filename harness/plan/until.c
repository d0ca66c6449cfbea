/* until.c: what --until asks for, when it looks, and the jobs it adds. See until.h. */
#include "harness/plan/until.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/case.h"
#include "harness/plan/order.h"

/* ---- kept with the run -------------------------------------------------------------------- */

void sm_until_describe(cJSON *env, const char *text, double max_time_s, const struct sm_plan *plan)
{
	cJSON *obj = cJSON_AddObjectToObject(env, "until"), *family, *absent;

	cJSON_AddStringToObject(obj, "want", text);
	cJSON_AddNumberToObject(obj, "max_time_s", max_time_s > 0 ? max_time_s : SM_UNTIL_MAX_TIME);
	cJSON_AddNumberToObject(obj, "first", plan->reps);
	cJSON_AddNumberToObject(obj, "step", plan->step);
	cJSON_AddNumberToObject(obj, "passes", plan->passes);
	cJSON_AddBoolToObject(obj, "shuffle", plan->shuffle);
	family = cJSON_AddArrayToObject(obj, "family");
	absent = cJSON_AddArrayToObject(obj, "absent");
	for (unsigned i = 0; i < plan->ncases; i++) {
		cJSON_AddItemToArray(family, cJSON_CreateNumber(plan->family[i]));
		if (plan->cases[i].backend->missing[0])
			cJSON_AddItemToArray(absent, cJSON_CreateNumber(i));
	}
}

/* 0 where there is no number from 1 to the most. */
static unsigned number_of(const cJSON *obj, const char *name, unsigned most)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);
	double v = cJSON_IsNumber(item) ? item->valuedouble : 0;

	return v >= 1 && v <= most ? (unsigned)v : 0;
}

static int read_family(const cJSON *obj, struct sm_until *u)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(obj, "family"), *item;
	int n = cJSON_GetArraySize(list);

	if (n < 1 || n > SM_PLAN_MAX_CASES)
		return -EINVAL;
	u->family = calloc((size_t)n, sizeof(*u->family));
	u->absent = calloc((size_t)n, sizeof(*u->absent));
	if (u->family == NULL || u->absent == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < n))
			return -EINVAL;
		u->family[u->ncases++] = (unsigned)item->valuedouble;
	}
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(obj, "absent"))
	{
		if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < n) ||
		    u->absent[item->valueint])
			return -EINVAL;
		u->absent[item->valueint] = true;
		u->nabsent++;
	}
	return 0;
}

int sm_until_read(const char *environment, struct sm_until *u)
{
	cJSON *env = cJSON_Parse(environment);
	const cJSON *obj = cJSON_GetObjectItemCaseSensitive(env, "until"),
		    *most = cJSON_GetObjectItemCaseSensitive(obj, "max_time_s");
	const char *want = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, "want"));
	char err[200];
	int rc = 0;

	*u = (struct sm_until){0};
	if (obj != NULL)
		rc = want != NULL ? sm_until_parse(want, u->targets, &u->ntargets, err, sizeof(err))
				  : -EINVAL;
	if (obj != NULL && rc == 0) {
		u->max_time_s = cJSON_IsNumber(most) && most->valuedouble > 0 ? most->valuedouble
									      : SM_UNTIL_MAX_TIME;
		u->first = number_of(obj, "first", SM_PLAN_MAX_JOBS);
		u->step = number_of(obj, "step", SM_PLAN_MAX_CASES);
		u->passes = number_of(obj, "passes", SM_PLAN_MAX_JOBS);
		u->shuffle = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(obj, "shuffle"));
		rc = u->first && u->step && u->passes ? read_family(obj, u) : -EINVAL;
	}
	if (rc)
		sm_until_free(u);
	cJSON_Delete(env);
	return rc;
}

void sm_until_free(struct sm_until *u)
{
	free(u->family);
	free(u->absent);
	*u = (struct sm_until){0};
}

/* ---- looks -------------------------------------------------------------------------------- */

unsigned sm_until_next(const struct sm_until *u, unsigned reps)
{
	uint64_t n = u->first;

	while (n <= reps) {
		n += (n + 1) / 2;
		n = (n + u->step - 1) / u->step * u->step;
	}
	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

unsigned sm_until_looks(const struct sm_until *u, unsigned reps)
{
	unsigned k = 1;

	for (unsigned n = u->first; n < reps; n = sm_until_next(u, n))
		k++;
	return k;
}

double sm_until_split(unsigned k)
{
	return k * (k + 1.0);
}

unsigned sm_until_round(const struct sm_until *u)
{
	return (u->ncases - u->nabsent) * u->passes;
}

unsigned sm_until_first_round(const struct sm_until *u)
{
	return sm_until_round(u) + u->nabsent;
}

/* ---- jobs --------------------------------------------------------------------------------- */

/* The first repetition's jobs by case * passes + pass. */
static int read_first(const struct sm_until *u, char *const *first, cJSON **jobs)
{
	for (unsigned i = 0; i < sm_until_first_round(u); i++) {
		cJSON *job = cJSON_Parse(first[i]);
		unsigned group = number_of(job, "group", u->ncases - 1),
			 pass = number_of(job, "pass", u->passes - 1);

		if (job == NULL || jobs[group * u->passes + pass] != NULL) {
			cJSON_Delete(job);
			return -EINVAL;
		}
		jobs[group * u->passes + pass] = job;
	}
	return 0;
}

static char *job_again(cJSON *job, unsigned rep, uint64_t seed)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)sm_plan_job_seed(seed, rep));
	if (!cJSON_ReplaceItemInObjectCaseSensitive(job, "rep", cJSON_CreateNumber(rep)) ||
	    !cJSON_ReplaceItemInObjectCaseSensitive(job, "seed", cJSON_CreateString(text)))
		return NULL;
	return cJSON_PrintUnformatted(job);
}

static int add_repetition(const struct sm_until *u, cJSON *const *jobs, unsigned *order,
			  unsigned rep, uint64_t seed, char **out)
{
	unsigned all = u->ncases * u->passes;
	int rc = 0;

	for (unsigned i = 0; i < all; i++)
		order[i] = i;
	if (u->shuffle)
		rc = sm_plan_blocks(order, u->family, u->ncases, u->passes, rep, seed);
	for (unsigned i = 0; i < all && rc == 0; i++) {
		if (u->absent[order[i] / u->passes])
			continue;
		*out = jobs[order[i]] != NULL ? job_again(jobs[order[i]], rep, seed) : NULL;
		rc = *out != NULL ? 0 : jobs[order[i]] != NULL ? -ENOMEM : -EINVAL;
		out++;
	}
	return rc;
}

int sm_until_jobs(const struct sm_until *u, char *const *first, uint64_t seed, unsigned from,
		  unsigned to, char ***out)
{
	size_t all = (size_t)u->ncases * u->passes, round = sm_until_round(u);
	size_t n = round * (to - from);
	cJSON **jobs = calloc(all + 1, sizeof(*jobs));
	unsigned *order = calloc(all + 1, sizeof(*order));
	int rc = -ENOMEM;

	*out = calloc(n + 1, sizeof(**out));
	if (jobs != NULL && order != NULL && *out != NULL)
		rc = read_first(u, first, jobs);
	for (unsigned rep = from; rep < to && rc == 0; rep++)
		rc = add_repetition(u, jobs, order, rep, seed, *out + round * (rep - from));
	for (size_t i = 0; jobs != NULL && i < all; i++)
		cJSON_Delete(jobs[i]);
	for (size_t i = 0; rc && *out != NULL && i < n; i++)
		free((*out)[i]);
	if (rc) {
		free(*out);
		*out = NULL;
	}
	free(jobs);
	free(order);
	return rc;
}
