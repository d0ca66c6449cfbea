/* compare_cases.c: the cases of a side, their names, and what they share. See compare.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/compare_internal.h"
#include "harness/plan/variant.h"

/* ---- cases -------------------------------------------------------------------------------- */

static void free_item(struct sm__item *it)
{
	cJSON_Delete(it->params);
	cJSON_Delete(it->config);
	cJSON_Delete(it->placement);
	free(it->work);
}

void sm__items_free(struct sm__items *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_item(&l->v[i]);
	free(l->v);
	cJSON_Delete(l->varying);
}

void sm__items_drop_matched(struct sm__items *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].matched)
			free_item(&l->v[i]);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
}

static const cJSON *setting(const cJSON *config, const char *want)
{
	char key[128];

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(want, "="), want);
	return cJSON_GetObjectItemCaseSensitive(config, key);
}

static bool wanted(const struct sm_side *s, const struct sm_compare_what *what,
		   const struct sm__item *it)
{
	if (what->workloads.n > 0 && !sm__strings_have(&what->workloads, it->rec->workload))
		return false;
	for (size_t i = 0; i < s->wants.n; i++) {
		const char *want = s->wants.v[i], *value = strchr(want, '=');
		const cJSON *has = value != NULL ? setting(it->config, want) : NULL;

		if (strcmp(want, SM_VARIANT_DEFAULT) == 0) {
			if (cJSON_GetArraySize(it->config) > 0)
				return false;
		} else if (value == NULL
				   ? strcmp(it->rec->backend, want) != 0
				   : !cJSON_IsString(has) || strcmp(has->valuestring, value + 1))
			return false;
	}
	return true;
}

bool sm__same_member(const cJSON *a, const cJSON *b, const char *name)
{
	const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, name),
		    *y = cJSON_GetObjectItemCaseSensitive(b, name);

	return (x == NULL && y == NULL) || cJSON_Compare(x, y, true);
}

static void note_varying(cJSON *seen, const cJSON *first, const cJSON *now)
{
	const cJSON *p;

	cJSON_ArrayForEach(p, now)
	{
		if (!sm__same_member(first, now, p->string) &&
		    cJSON_GetObjectItemCaseSensitive(seen, p->string) == NULL)
			cJSON_AddTrueToObject(seen, p->string);
	}
}

static int find_varying(struct sm__items *l)
{
	l->varying = cJSON_CreateObject();
	for (size_t i = 0; i < l->n; i++) {
		const char *workload = l->v[i].rec->workload;
		cJSON *seen = cJSON_GetObjectItemCaseSensitive(l->varying, workload);
		const struct sm__item *first;

		if (seen == NULL) {
			seen = cJSON_AddObjectToObject(l->varying, workload);
			if (cJSON_AddNumberToObject(seen, "", (double)i) == NULL)
				return -ENOMEM;
			continue;
		}
		first = &l->v[cJSON_GetObjectItemCaseSensitive(seen, "")->valueint];
		note_varying(seen, first->params, l->v[i].params);
		if (!sm__same_member(first->placement, l->v[i].placement, "threads") &&
		    cJSON_GetObjectItemCaseSensitive(seen, "threads") == NULL)
			cJSON_AddTrueToObject(seen, "threads");
	}
	return 0;
}

static void put_member(FILE *f, const cJSON *obj, const char *name)
{
	char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(obj, name));

	fprintf(f, "\n%s", text != NULL ? text : "");
	cJSON_free(text);
}

/* The same work in the same place has the same text. malloc'ed; NULL when out of memory. */
static char *work_of(const struct sm__item *it)
{
	char *params = cJSON_PrintUnformatted(it->params), *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f != NULL) {
		fprintf(f, "%s\n%s", it->rec->workload, params != NULL ? params : "");
		put_member(f, it->placement, "place");
		put_member(f, it->placement, "kind");
		put_member(f, it->placement, "threads");
		if (fclose(f) != 0) {
			free(text);
			text = NULL;
		}
	}
	cJSON_free(params);
	return text;
}

int sm__items_find(const struct sm_side *s, const struct sm_compare_what *what,
		   struct sm__items *out)
{
	const struct sm_report *r = s->report;

	*out = (struct sm__items){.v = calloc(r->nrecords + 1, sizeof(*out->v))};
	if (out->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->nrecords; i++) {
		const struct sm_record *rec = &r->records[i];
		struct sm__item *it = &out->v[out->n];

		if (i > 0 && rec[-1].group == rec->group)
			continue;
		*it = (struct sm__item){.rec = rec,
					.first = i,
					.params = cJSON_Parse(rec->params),
					.config = cJSON_Parse(rec->config),
					.placement = cJSON_Parse(rec->placement)};
		it->work = work_of(it);
		out->n++;
		if (it->work == NULL)
			return -ENOMEM;
		if (!wanted(s, what, it))
			free_item(&out->v[--out->n]);
	}
	return find_varying(out);
}

/* ---- names -------------------------------------------------------------------------------- */

static void print_value(FILE *f, const char *key, const cJSON *value)
{
	if (cJSON_IsString(value))
		fprintf(f, " %s=%s", key, value->valuestring);
	else if (cJSON_IsNumber(value))
		fprintf(f, " %s=%.15g", key, value->valuedouble);
}

/* "graph objects=1000", with all that tells the cases of the list apart. malloc'ed. */
char *sm__item_name(const struct sm__items *l, const struct sm__item *it, bool whole)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	const cJSON *seen = cJSON_GetObjectItemCaseSensitive(l->varying, it->rec->workload), *p;

	if (f == NULL)
		return NULL;
	fputs(it->rec->workload, f);
	cJSON_ArrayForEach(p, it->params)
	{
		if (cJSON_GetObjectItemCaseSensitive(seen, p->string) != NULL)
			print_value(f, p->string, p);
	}
	if (whole)
		fprintf(f, " %s", it->rec->backend);
	cJSON_ArrayForEach(p, it->config) if (whole) print_value(f, p->string, p);
	p = cJSON_GetObjectItemCaseSensitive(it->placement, "threads");
	if (p != NULL && cJSON_GetObjectItemCaseSensitive(seen, "threads") != NULL &&
	    cJSON_GetObjectItemCaseSensitive(it->params, "threads") == NULL)
		print_value(f, "threads", p);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static unsigned placed(const struct sm__item *it, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(it->placement, name);

	return cJSON_IsNumber(n) && n->valuedouble > 0 ? (unsigned)n->valuedouble : 0;
}

static char *config_of(const struct sm__items *l, const struct sm__item *it)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool varies = false;
	const cJSON *p;

	if (f == NULL)
		return NULL;
	fputs(it->rec->backend, f);
	cJSON_ArrayForEach(p, it->config) print_value(f, p->string, p);
	for (size_t i = 0; i < l->n; i++)
		varies |= strcmp(l->v[i].rec->backend, it->rec->backend) == 0 &&
			  placed(&l->v[i], "workers") != placed(it, "workers");
	if (varies)
		fprintf(f, " workers=%u", placed(it, "workers"));
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

int sm__compare_cases(const struct sm_report *r, const struct sm_strings *workloads,
		      struct sm__cases *out)
{
	struct sm_side side = {.report = r};
	struct sm_compare_what what = {.workloads = *workloads}; /* borrows */
	struct sm__items items;
	int rc = sm__items_find(&side, &what, &items);

	*out = (struct sm__cases){.v = calloc(items.n + 1, sizeof(*out->v))};
	if (out->v == NULL)
		rc = -ENOMEM;
	for (size_t i = 0; i < items.n && rc == 0; i++) {
		struct sm__item *it = &items.v[i];
		struct sm__case *c = &out->v[out->n++];

		*c = (struct sm__case){.first = it->first,
				       .work = strdup(it->work),
				       .name = sm__item_name(&items, it, false),
				       .config = config_of(&items, it),
				       .threads = placed(it, "threads")};
		if (c->work == NULL || c->name == NULL || c->config == NULL)
			rc = -ENOMEM;
	}
	sm__items_free(&items);
	return rc;
}

void sm__cases_free(struct sm__cases *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].work);
		free(c->v[i].name);
		free(c->v[i].config);
	}
	free(c->v);
}
