/*
 * resume.c: see resume.h.
 */
#include "harness/run/resume.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/plan.h"

/* Of a plan file, the value in each of its parts. */
static char *value_of(const struct sm_option *opt, const struct sm_run_options *o)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	if (o->nparts == 0 || !sm_option_is_of_parts(opt))
		sm_option_print(opt, o, f);
	for (size_t i = 0; i < o->nparts && sm_option_is_of_parts(opt); i++) {
		fputs(i ? " | " : "", f);
		sm_option_print(opt, &o->parts[i], f);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void sm_resume_describe(cJSON *env, const struct sm_run_options *o, const struct sm_plan *plan)
{
	struct sm_run_options effective = *o; /* borrows */
	cJSON *asked = cJSON_AddObjectToObject(env, "asked");
	size_t n;
	const struct sm_option *opt = sm_options(&n);

	effective.reps = plan->reps;
	effective.timeout_s = plan->timeout_s;
	effective.seed = plan->seed;
	for (size_t i = 0; i < n; i++) {
		char *value =
			opt[i].decides == SM_DECIDES_REPORT ? NULL : value_of(&opt[i], &effective);

		if (value != NULL)
			cJSON_AddStringToObject(asked, opt[i].name, value);
		free(value);
	}
}

/* ---- differences -------------------------------------------------------------------------- */

static int same_options(const cJSON *begun, const struct sm_run_options *o, char *err,
			size_t errlen)
{
	const cJSON *asked = cJSON_GetObjectItemCaseSensitive(begun, "asked"), *was_traced;
	size_t n;
	const struct sm_option *opt = sm_options(&n);
	int rc = 0;

	if (asked == NULL) {
		snprintf(err, errlen,
			 "--resume: the store does not say what this run was begun with (an "
			 "older spanmark); begin a new run");
		return -EINVAL;
	}
	was_traced = cJSON_GetObjectItemCaseSensitive(asked, "trace");
	if (cJSON_IsString(was_traced) && was_traced->valuestring[0] != '\0') {
		snprintf(err, errlen,
			 "--resume: the run was begun with --trace, whose recording is in its "
			 "times; "
			 "begin a new run");
		return -EINVAL;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		const cJSON *was = cJSON_GetObjectItemCaseSensitive(asked, opt[i].name);
		char *value;

		if (!(o->given >> i & 1) || opt[i].decides == SM_DECIDES_REPORT)
			continue;
		value = value_of(&opt[i], o);
		if (value == NULL) {
			rc = -ENOMEM;
			snprintf(err, errlen, "out of memory");
		} else if (!cJSON_IsString(was) || strcmp(was->valuestring, value) != 0) {
			rc = -EINVAL;
			snprintf(err, errlen,
				 "--resume: the run was begun with --%s '%.80s', not '%.80s'; "
				 "leave it out, "
				 "or "
				 "begin a new run",
				 opt[i].name, cJSON_IsString(was) ? was->valuestring : "", value);
		}
		free(value);
	}
	return rc;
}

static void shown(const cJSON *item, char *buf, size_t len)
{
	if (cJSON_IsString(item))
		snprintf(buf, len, "%s", item->valuestring);
	else if (cJSON_IsNumber(item))
		snprintf(buf, len, "%g", item->valuedouble);
	else
		snprintf(buf, len, "unknown");
}

/* One line of a circumstance, "topology.pus": what it was and what it is. */
static int same_circumstance(const cJSON *begun, const cJSON *now, const char *path, char *err,
			     size_t errlen)
{
	const char *dot = strchr(path, '.');
	char was[96], is[96], group[32];

	if (dot != NULL) {
		snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
		begun = cJSON_GetObjectItemCaseSensitive(begun, group);
		now = cJSON_GetObjectItemCaseSensitive(now, group);
		path = dot + 1;
	}
	begun = cJSON_GetObjectItemCaseSensitive(begun, path);
	now = cJSON_GetObjectItemCaseSensitive(now, path);
	shown(begun, was, sizeof(was));
	shown(now, is, sizeof(is));
	if (strcmp(was, is) == 0)
		return 0;
	snprintf(err, errlen,
		 "--resume: the run was begun with %s '%s', here it is '%s'; begin a new run", path,
		 was, is);
	return -EINVAL;
}

int sm_resume_check(const char *begun_text, const char *now_text, const struct sm_run_options *o,
		    char *err, size_t errlen)
{
	static const char *const circumstances[] = {"versions.spanmark",
						    "versions.build",
						    "architecture",
						    "cpu_model",
						    "microcode",
						    "kernel",
						    "topology.nodes",
						    "topology.l3s",
						    "topology.cores",
						    "topology.pus",
						    "topology.packages",
						    "governor",
						    "turbo",
						    "smt",
						    "thp",
						    "aslr",
						    "numa_balancing",
						    "malloc_variables",
						    "topology.pus_allowed"};
	cJSON *begun = cJSON_Parse(begun_text), *now = cJSON_Parse(now_text);
	int rc = same_options(begun, o, err, errlen);

	for (size_t i = 0; i < sizeof(circumstances) / sizeof(circumstances[0]) && rc == 0; i++)
		rc = same_circumstance(begun, now, circumstances[i], err, errlen);
	cJSON_Delete(begun);
	cJSON_Delete(now);
	return rc;
}
