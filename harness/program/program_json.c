/* program_json.c: a program as a job carries it, both ways. See program.h. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/program/program.h"
#include "perf/names.h"

void sm_program_params(const struct sm_program *p, cJSON *params)
{
	for (int i = 0; i < SM_PARTS; i++)
		if (p->line[i] != NULL)
			cJSON_AddStringToObject(params, sm_part_names[i], p->line[i]);
}

cJSON *sm_program_json(const struct sm_program *p)
{
	cJSON *obj = cJSON_CreateObject(), *argv = cJSON_AddObjectToObject(obj, "argv");
	cJSON *lines = cJSON_AddObjectToObject(obj, "lines"),
	      *metrics = cJSON_AddArrayToObject(obj, "metrics");

	sm_program_params(p, lines);
	for (int i = 0; i < SM_PARTS; i++) {
		cJSON *list =
			p->argv[i] != NULL ? cJSON_AddArrayToObject(argv, sm_part_names[i]) : NULL;

		for (size_t k = 0; p->argv[i] != NULL && p->argv[i][k] != NULL; k++)
			cJSON_AddItemToArray(list, cJSON_CreateString(p->argv[i][k]));
	}
	if (p->ready != NULL)
		cJSON_AddStringToObject(obj, "ready", p->ready);
	for (unsigned i = 0; i < p->nmetrics; i++) {
		cJSON *m = cJSON_CreateObject();

		cJSON_AddStringToObject(m, "name", p->metrics[i].name);
		cJSON_AddStringToObject(m, "regex", p->metrics[i].regex);
		cJSON_AddStringToObject(m, "better", sm_better_names[p->metrics[i].better]);
		cJSON_AddItemToArray(metrics, m);
	}
	return obj;
}

static int parse_argv(const cJSON *list, char ***argv)
{
	int n = cJSON_GetArraySize(list);
	const cJSON *item;

	if (list == NULL)
		return 0;
	if (!cJSON_IsArray(list) || n == 0)
		return -EINVAL;
	*argv = calloc((size_t)n + 1, sizeof(**argv));
	if (*argv == NULL)
		return -ENOMEM;
	n = 0;
	cJSON_ArrayForEach(item, list)
	{
		const char *text = cJSON_GetStringValue(item);

		if (text == NULL)
			return -EINVAL;
		(*argv)[n] = strdup(text);
		if ((*argv)[n++] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static const char *text_of(const cJSON *obj, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));
}

static int parse_metrics(const cJSON *list, struct sm_program *p)
{
	const cJSON *item;

	p->metrics = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*p->metrics));
	if (p->metrics == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(item, list)
	{
		const char *name = text_of(item, "name"), *regex = text_of(item, "regex"),
			   *better = text_of(item, "better");
		int word = better != NULL ? sm_names_find(sm_better_names, better) : -1;

		if (name == NULL || regex == NULL || word < 0)
			return -EINVAL;
		p->metrics[p->nmetrics].name = strdup(name);
		if (p->metrics[p->nmetrics].name == NULL)
			return -ENOMEM;
		p->metrics[p->nmetrics].regex = regex;
		p->metrics[p->nmetrics++].better = (enum sm_better)word;
	}
	return 0;
}

int sm_program_parse(const cJSON *json, struct sm_program **out)
{
	const cJSON *argv = cJSON_GetObjectItemCaseSensitive(json, "argv");
	const cJSON *lines = cJSON_GetObjectItemCaseSensitive(json, "lines");
	struct sm_program *p = calloc(1, sizeof(*p));
	int rc = p != NULL ? 0 : -ENOMEM;

	*out = p;
	for (int i = 0; i < SM_PARTS && rc == 0; i++) {
		rc = parse_argv(cJSON_GetObjectItemCaseSensitive(argv, sm_part_names[i]),
				&p->argv[i]);
		p->line[i] = text_of(lines, sm_part_names[i]);
		if (rc == 0 && (p->argv[i] == NULL) != (p->line[i] == NULL))
			rc = -EINVAL;
	}
	if (rc)
		return rc;
	p->ready = text_of(json, "ready");
	if (p->argv[sm_program_main(p)] == NULL ||
	    (p->argv[SM_PART_SERVER] != NULL &&
	     (p->ready == NULL || p->argv[SM_PART_CLIENT] == NULL)))
		return -EINVAL;
	sm__program_describe(p);
	return parse_metrics(cJSON_GetObjectItemCaseSensitive(json, "metrics"), p);
}
