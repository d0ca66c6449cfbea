/*
 * table_cases.c: what tells the cases of one workload and backend apart: the line above a row. See
 * table.h.
 *
 * Only what differs between them is worth the room: a key whose value some case has and another has
 * not.
 */
#include "harness/report/table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the planner made of the case: it differs where something else does. */
static bool is_consequence(const char *key)
{
	return strcmp(key, "placed") == 0 || strcmp(key, "mutator_cpus") == 0 ||
	       strcmp(key, "worker_cpus") == 0;
}

/* All that the case was made of, in one object; the caller deletes it. */
static cJSON *parts_of(const struct sm_record *rec)
{
	const char *const texts[] = {rec->params, rec->config, rec->placement};
	cJSON *all = cJSON_CreateObject();

	for (size_t i = 0; i < 3; i++) {
		cJSON *obj = cJSON_Parse(texts[i]);

		while (obj != NULL && obj->child != NULL) {
			cJSON *item = cJSON_DetachItemViaPointer(obj, obj->child);

			if (!is_consequence(item->string) &&
			    cJSON_GetObjectItemCaseSensitive(all, item->string) == NULL)
				cJSON_AddItemToObject(all, item->string, item);
			else
				cJSON_Delete(item);
		}
		cJSON_Delete(obj);
	}
	return all;
}

static const char *family_of(const struct sm_record *rec, char *buf, size_t len)
{
	snprintf(buf, len, "%.80s %.40s", rec->workload, rec->backend);
	return buf;
}

/* Keys of a that b lacks or has another value for. */
static void add_differences(cJSON *keys, const cJSON *a, const cJSON *b)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, a)
	{
		if (!cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(b, item->string), true) &&
		    cJSON_GetObjectItemCaseSensitive(keys, item->string) == NULL)
			cJSON_AddTrueToObject(keys, item->string);
	}
}

/* {"graph gc":{"first":{..parts of its first case},"cases":n,"keys":{"workers":true}}} */
struct cJSON *sm__table_families(const struct sm_report *r)
{
	cJSON *families = cJSON_CreateObject();

	for (size_t i = 0; i < r->nrecords; i = sm__table_group_end(r, i)) {
		char name[128];
		cJSON *parts = parts_of(&r->records[i]), *first, *keys;
		cJSON *family = cJSON_GetObjectItemCaseSensitive(
			families, family_of(&r->records[i], name, sizeof(name)));

		if (family == NULL) {
			family = cJSON_AddObjectToObject(families, name);
			cJSON_AddItemToObject(family, "first", parts);
			cJSON_AddObjectToObject(family, "keys");
			continue;
		}
		first = cJSON_GetObjectItemCaseSensitive(family, "first");
		keys = cJSON_GetObjectItemCaseSensitive(family, "keys");
		add_differences(keys, first, parts);
		add_differences(keys, parts, first);
		if (!cJSON_HasObjectItem(family, "twins"))
			cJSON_AddTrueToObject(family, "twins");
		cJSON_Delete(parts);
	}
	return families;
}

bool sm__table_has_twin(const struct sm_table *t, size_t first)
{
	char name[128];

	return cJSON_HasObjectItem(
		cJSON_GetObjectItemCaseSensitive(
			t->families, family_of(&t->r->records[first], name, sizeof(name))),
		"twins");
}

static void make_line(const struct sm_table *t, const struct sm_record *rec, FILE *out)
{
	char name[128];
	const cJSON *family =
		cJSON_GetObjectItemCaseSensitive(t->families, family_of(rec, name, sizeof(name)));
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(family, "keys"), *item;
	cJSON *parts = parts_of(rec);
	struct sm_wrap w = {out, 2, 2, t->width};
	bool said = false;

	fprintf(out, "%s  ", SM_DIM(t));
	cJSON_ArrayForEach(item, parts)
	{
		char *value, word[256];

		if (keys != NULL && keys->child != NULL && !cJSON_HasObjectItem(keys, item->string))
			continue;
		value = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
		snprintf(word, sizeof(word), "%s=%s", item->string,
			 value != NULL ? value : item->valuestring);
		sm__table_wrap_word(&w, word);
		free(value);
		said = true;
	}
	if (!said) /* without a setting, among others that have some */
		sm__table_wrap_word(&w, "default");
	fprintf(out, "%s\n", SM_PLAIN(t));
	cJSON_Delete(parts);
}

void sm__table_case_line(struct sm_table *t, size_t first)
{
	struct sm_case_lines *l = &t->lines;

	if (l->at[first] == 0) { /* each table of the report shows it */
		l->at[first] = 1 + (size_t)ftello(l->file);
		make_line(t, &t->r->records[first], l->file);
		fputc(0, l->file);
		fflush(l->file);
	}
	fputs(l->text + l->at[first] - 1, t->out);
}

int sm__table_lines_open(struct sm_case_lines *l, size_t nrecords)
{
	l->at = calloc(nrecords + 1, sizeof(*l->at));
	l->file = l->at != NULL ? open_memstream(&l->text, &l->len) : NULL;
	return l->file != NULL ? 0 : -ENOMEM;
}

void sm__table_lines_close(struct sm_case_lines *l)
{
	if (l->file != NULL)
		fclose(l->file);
	free(l->text);
	free(l->at);
}
