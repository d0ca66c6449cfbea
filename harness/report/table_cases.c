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

/* What a case was made of: parameters, configuration, placement. Most cases share two of the three,
 * which then are not parsed again. */
enum { PARTS = 3 };
struct parts {
	const char *text[PARTS];
	cJSON *obj[PARTS];
};

static void read_parts(struct parts *p, const struct sm_record *rec)
{
	const char *const texts[PARTS] = {rec->params, rec->config, rec->placement};

	for (size_t i = 0; i < PARTS; i++) {
		if (p->text[i] != NULL && strcmp(p->text[i], texts[i]) == 0)
			continue;
		cJSON_Delete(p->obj[i]);
		p->text[i] = texts[i];
		p->obj[i] = cJSON_Parse(texts[i]);
	}
}

static void free_parts(struct parts *p)
{
	for (size_t i = 0; i < PARTS; i++)
		cJSON_Delete(p->obj[i]);
}

/* The key in the first of the n parts that has it; NULL. */
static const cJSON *find_part(const struct parts *p, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(p->obj[i], key);

		if (item != NULL)
			return item;
	}
	return NULL;
}

static bool is_part(const struct parts *p, size_t i, const cJSON *item)
{
	return !is_consequence(item->string) && find_part(p, i, item->string) == NULL;
}

/* Keys of a that b lacks or has another value for. */
static void add_differences(cJSON *keys, const struct parts *a, const struct parts *b)
{
	const cJSON *item;

	for (size_t i = 0; i < PARTS; i++)
		cJSON_ArrayForEach(item, a->obj[i])
		{
			if (is_part(a, i, item) &&
			    cJSON_GetObjectItemCaseSensitive(keys, item->string) == NULL &&
			    !cJSON_Compare(item, find_part(b, PARTS, item->string), true))
				cJSON_AddTrueToObject(keys, item->string);
		}
}

/* Cases of one workload and backend. */
struct sm_family {
	const struct sm_record *first;
	cJSON *keys;	    /* what differs between some of them */
	bool twins;	    /* there are several */
	struct parts parts; /* of the first; of the case whose line was made last */
};

static struct sm_family *family_of(struct sm_families *f, const struct sm_record *rec)
{
	for (size_t i = f->n; i-- > 0;) /* most often the last */
		if (strcmp(f->v[i].first->workload, rec->workload) == 0 &&
		    strcmp(f->v[i].first->backend, rec->backend) == 0)
			return &f->v[i];
	return NULL;
}

static struct sm_family *add_family(struct sm_families *f, const struct sm_record *rec)
{
	struct sm_family *v = realloc(f->v, (f->n + 1) * sizeof(*v));

	if (v == NULL)
		return NULL;
	f->v = v;
	v += f->n++;
	*v = (struct sm_family){.first = rec, .keys = cJSON_CreateObject()};
	read_parts(&v->parts, rec);
	return v;
}

int sm__table_find_families(struct sm_table *t)
{
	const struct sm_report *r = t->r;
	struct sm_families *f = &t->families;
	struct parts parts = {0};
	int rc = 0;

	f->of = calloc(r->nrecords + 1, sizeof(*f->of));
	if (f->of == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->nrecords && rc == 0; i = sm__table_group_end(r, i)) {
		struct sm_family *family = family_of(f, &r->records[i]);

		if (family != NULL) {
			read_parts(&parts, &r->records[i]);
			add_differences(family->keys, &family->parts, &parts);
			add_differences(family->keys, &parts, &family->parts);
			family->twins = true;
		} else
			family = add_family(f, &r->records[i]);
		if (family == NULL)
			rc = -ENOMEM;
		else
			f->of[i] = (size_t)(family - f->v);
	}
	free_parts(&parts);
	return rc;
}

void sm__table_free_families(struct sm_families *f)
{
	for (size_t i = 0; i < f->n; i++) {
		cJSON_Delete(f->v[i].keys);
		free_parts(&f->v[i].parts);
	}
	free(f->v);
	free(f->of);
}

bool sm__table_has_twin(const struct sm_table *t, size_t first)
{
	return t->families.v[t->families.of[first]].twins;
}

static bool make_word(struct sm_wrap *w, const cJSON *item)
{
	char *value = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item), word[256];

	snprintf(word, sizeof(word), "%s=%s", item->string,
		 value != NULL ? value : item->valuestring);
	sm__table_wrap_word(w, word);
	free(value);
	return true;
}

static void make_line(struct sm_table *t, size_t first, FILE *out)
{
	struct sm_family *family = &t->families.v[t->families.of[first]];
	const cJSON *keys = family->keys, *item;
	struct parts *parts = &family->parts;
	struct sm_wrap w = {out, 2, 2, t->width};
	bool said = false;

	read_parts(parts, &t->r->records[first]);
	fprintf(out, "%s  ", SM_DIM(t));
	for (size_t i = 0; i < PARTS; i++)
		cJSON_ArrayForEach(item,
				   parts->obj[i]) if (is_part(parts, i, item) &&
						      (keys == NULL || keys->child == NULL ||
						       cJSON_HasObjectItem(keys, item->string)))
			said = make_word(&w, item);
	if (!said) /* without a setting, among others that have some */
		sm__table_wrap_word(&w, "default");
	fprintf(out, "%s\n", SM_PLAIN(t));
}

void sm__table_case_line(struct sm_table *t, size_t first)
{
	struct sm_case_lines *l = &t->lines;

	if (l->at[first] == 0) { /* each table of the report shows it */
		l->at[first] = 1 + (size_t)ftello(l->file);
		make_line(t, first, l->file);
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
