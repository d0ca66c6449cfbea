/* objective.c: see objective.h. */
#include "harness/tune/objective.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/names.h"

static const char *const names[] = {"time", "p999", "memory", "misses", "instructions", NULL};

static int refuse(const char *text, char *err, size_t errlen)
{
	snprintf(err, errlen,
		 "--objective '%.60s'; allowed: time, p999, memory, misses, instructions, or "
		 "several with weights: time:0.7,memory:0.3",
		 text);
	return -EINVAL;
}

/* "time" or "time:0.7". */
static int parse_part(struct sm_objective *o, const char *part)
{
	char name[32], *end;
	size_t len = strcspn(part, ":");
	double weight = 1;
	int goal;

	snprintf(name, sizeof(name), "%.*s", (int)(len < 31 ? len : 31), part);
	goal = sm_names_find(names, name);
	if (part[len] == ':') {
		weight = strtod(part + len + 1, &end);
		if (end == part + len + 1 || *end != '\0')
			return -EINVAL;
	}
	if (goal < 0 || !(weight > 0) || !isfinite(weight) || o->weight[goal] > 0)
		return -EINVAL;
	o->weight[goal] = weight;
	return 0;
}

int sm_objective_parse(struct sm_objective *o, const char *text, char *err, size_t errlen)
{
	double sum = 0;

	*o = (struct sm_objective){{0}};
	for (const char *at = text;; at++) {
		char part[64];
		size_t len = strcspn(at, ",");

		snprintf(part, sizeof(part), "%.*s", (int)(len < 63 ? len : 63), at);
		if (parse_part(o, part) != 0)
			return refuse(text, err, errlen);
		at += len;
		if (*at == '\0')
			break;
	}
	for (int g = 0; g < SM_GOALS; g++)
		sum += o->weight[g];
	for (int g = 0; g < SM_GOALS; g++)
		o->weight[g] /= sum;
	return 0;
}

const char *sm_objective_sets(const struct sm_objective *o)
{
	bool misses = o->weight[SM_GOAL_MISSES] > 0, insn = o->weight[SM_GOAL_INSTRUCTIONS] > 0;

	return misses && insn ? "cycles,cache" : misses ? "cache" : insn ? "cycles" : NULL;
}

void sm_objective_print(const struct sm_objective *o, char *buf, size_t len)
{
	size_t at = 0;

	for (int g = 0; g < SM_GOALS; g++) {
		if (o->weight[g] <= 0 || at >= len)
			continue;
		at += (size_t)snprintf(buf + at, len - at, "%s%s", at > 0 ? "," : "", names[g]);
		if (o->weight[g] < 1 && at < len)
			at += (size_t)snprintf(buf + at, len - at, ":%.3g", o->weight[g]);
	}
}

/* The first of the results that the sample has. */
static double first_result(const struct sm_record *r, const char *const *list, const char **what)
{
	for (; *list != NULL; list++) {
		const struct sm_result *x = sm_record_result(r, *list);

		if (x == NULL || isnan(x->value))
			continue;
		*what = *list;
		return x->value;
	}
	return NAN;
}

/* A counter, all threads, for an operation; a part that is missing makes it so. */
static double counted(const struct sm_record *r, const char *name)
{
	const struct sm_result *ops = sm_record_result(r, "ops");
	double sum = 0;
	bool any = false;

	for (size_t i = 0; i < r->nmetrics; i++) {
		const struct sm_metric *m = &r->metrics[i];

		if (m->by != SM_BY_THREAD || strcmp(m->phase, "total") != 0 ||
		    strcmp(m->metric, name) != 0)
			continue;
		if (!m->has_value)
			return NAN;
		sum += m->value;
		any = true;
	}
	return any && ops != NULL && ops->value > 0 ? sum / ops->value : NAN;
}

double sm_goal_value(const struct sm_record *r, enum sm_goal goal, const char **what)
{
	static const char *const times[] = {"ns_per_op", "wall_s", NULL};
	static const char *const tails[] = {"request_p999_us", "p999_us", "stall_p999_us", NULL};
	static const char *const memory[] = {"peak_rss_kib", NULL};

	*what = goal == SM_GOAL_MISSES	       ? "llc_miss"
		: goal == SM_GOAL_INSTRUCTIONS ? "instructions"
					       : "";
	if (r->status != SM_OUTCOME_OK)
		return NAN;
	switch (goal) {
	case SM_GOAL_TIME: return first_result(r, times, what);
	case SM_GOAL_P999: return first_result(r, tails, what);
	case SM_GOAL_MEMORY: return first_result(r, memory, what);
	default: return counted(r, *what);
	}
}
