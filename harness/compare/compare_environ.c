/* compare_environ.c: the environments of two runs, and what differs between them. See compare.h. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "harness/compare/compare_internal.h"

/* Differ from run to run by nature, or stand in the table. */
static bool is_expected(const char *key)
{
	static const char *const keys[] = {"started",	  "command_line", "load_average", "asked",
					   "repetitions", "metrics",	  "timeout_s"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void shown(const cJSON *item, char *buf, size_t len)
{
	char *text = cJSON_IsString(item) ? NULL
		     : item != NULL	  ? cJSON_PrintUnformatted(item)
					  : NULL;

	snprintf(buf, len, "%.60s",
		 cJSON_IsString(item) ? item->valuestring
		 : text != NULL	      ? text
				      : "not known");
	cJSON_free(text);
}

static int differ(const cJSON *a, const cJSON *b, const char *path, struct sm_strings *out)
{
	const cJSON *x;
	int rc = 0;

	cJSON_ArrayForEach(x, a)
	{
		const cJSON *y = cJSON_GetObjectItemCaseSensitive(b, x->string);
		char one[80], two[80], name[120];

		if (rc || is_expected(x->string) || (y != NULL && cJSON_Compare(x, y, true)))
			continue;
		snprintf(name, sizeof(name), "%.60s%s%.50s", path, path[0] ? "." : "", x->string);
		if (cJSON_IsObject(x) && cJSON_IsObject(y)) {
			rc = differ(x, y, name, out);
			continue;
		}
		shown(x, one, sizeof(one));
		shown(y, two, sizeof(two));
		if (strcmp(one, two) != 0)
			rc = sm__strings_printf(out, "%s: %s / %s", name, one, two);
	}
	return rc;
}

const cJSON *sm__environ_metric(const cJSON *list, const char *name)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, list)
	{
		const char *is =
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "metric"));

		if (is != NULL && strcmp(is, name) == 0)
			return m;
	}
	return NULL;
}

/* A metric of one name may be another event on each side. */
static int differ_events(const cJSON *a, const cJSON *b, struct sm_strings *out)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(b, "metrics"), *m;
	int rc = 0;

	cJSON_ArrayForEach(m, cJSON_GetObjectItemCaseSensitive(a, "metrics"))
	{
		const char *name =
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "metric"));
		const cJSON *same = name != NULL ? sm__environ_metric(list, name) : NULL, *x, *y;
		char one[80], two[80];

		if (same == NULL || rc)
			continue;
		x = cJSON_GetObjectItemCaseSensitive(m, "event");
		y = cJSON_GetObjectItemCaseSensitive(same, "event");
		shown(x, one, sizeof(one));
		shown(y, two, sizeof(two));
		if (strcmp(one, two) != 0)
			rc = sm__strings_printf(out, "%.60s counts: %s / %s", name, one, two);
	}
	return rc;
}

int sm__compare_hidden(const char *base, const char *other, struct sm_strings *out)
{
	cJSON *a = cJSON_Parse(base), *b = cJSON_Parse(other);
	int rc = differ(a, b, "", out);

	if (rc == 0)
		rc = differ_events(cJSON_GetObjectItemCaseSensitive(a, "counters"),
				   cJSON_GetObjectItemCaseSensitive(b, "counters"), out);

	cJSON_Delete(a);
	cJSON_Delete(b);
	return rc;
}
