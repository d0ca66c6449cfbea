/* compare.c: sides, and which cases of them are compared. See compare.h. */
#include "harness/compare.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/backend.h"
#include "harness/summary.h"

int sm__strings_printf(struct sm_strings *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sm_strings_add(s, text, strlen(text));
}

bool sm__strings_have(const struct sm_strings *s, const char *text)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], text) == 0)
			return true;
	return false;
}

/* ---- sides -------------------------------------------------------------------------------- */

static int add_wants(struct sm_side *s, const char *text, char *err, size_t errlen)
{
	for (;; text++) {
		size_t len = strcspn(text, ",");
		int rc = sm_strings_add(&s->wants, text, len);

		if (rc)
			return rc;
		if (memchr(text, '=', len) == NULL &&
		    sm_backend_find(s->wants.v[s->wants.n - 1], err, errlen) == NULL)
			return -EINVAL;
		text += len;
		if (!*text)
			return 0;
	}
}

int sm_side_parse(struct sm_side *s, const char *text, char *err, size_t errlen)
{
	const char *colon = strrchr(text, ':'), *at = text;
	char *end;

	*s = (struct sm_side){.text = text};
	if (strncmp(text, SM_BACKEND_PRELOAD, strlen(SM_BACKEND_PRELOAD)) == 0)
		return add_wants(s, text, err, errlen);
	if (colon != NULL && colon > text && strchr("0123456789", colon[1]) != NULL && colon[1]) {
		s->store = strndup(text, (size_t)(colon - text));
		if (s->store == NULL)
			return -ENOMEM;
		at = colon + 1;
	}
	if (*at < '0' || *at > '9')
		return add_wants(s, at, err, errlen);
	errno = 0;
	s->run = strtoll(at, &end, 10);
	if (errno || s->run <= 0 || (*end && (*end != '/' || !end[1]))) {
		snprintf(err, errlen,
			 "'%.80s' is no side; allowed: RUN, STORE:RUN, BACKEND, KEY=VALUE, "
			 "RUN/BACKEND,KEY=VALUE",
			 text);
		return -EINVAL;
	}
	return *end ? add_wants(s, end + 1, err, errlen) : 0;
}

void sm_side_free(struct sm_side *s)
{
	free((char *)s->store);
	sm_strings_free(&s->wants);
}

/* ---- cases -------------------------------------------------------------------------------- */

/* One group of samples; the texts are of its first record. */
struct item {
	const struct sm_record *rec;
	size_t first;
	cJSON *params, *config, *placement;
	char *work; /* all of it that two cases must share to be compared */
	bool matched;
};

struct items {
	struct item *v;
	size_t n;
	/* {"graph":{"":index of its first case,"objects":true}}: what varies between its cases */
	cJSON *varying;
};

static void free_item(struct item *it)
{
	cJSON_Delete(it->params);
	cJSON_Delete(it->config);
	cJSON_Delete(it->placement);
	free(it->work);
}

static void free_items(struct items *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_item(&l->v[i]);
	free(l->v);
	cJSON_Delete(l->varying);
}

static const cJSON *setting(const cJSON *config, const char *want)
{
	char key[128];

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(want, "="), want);
	return cJSON_GetObjectItemCaseSensitive(config, key);
}

static bool wanted(const struct sm_side *s, const struct sm_compare_what *what,
		   const struct item *it)
{
	if (what->workloads.n > 0 && !sm__strings_have(&what->workloads, it->rec->workload))
		return false;
	for (size_t i = 0; i < s->wants.n; i++) {
		const char *want = s->wants.v[i], *value = strchr(want, '=');
		const cJSON *has = value != NULL ? setting(it->config, want) : NULL;

		if (value == NULL ? strcmp(it->rec->backend, want) != 0
				  : !cJSON_IsString(has) || strcmp(has->valuestring, value + 1))
			return false;
	}
	return true;
}

static bool same_member(const cJSON *a, const cJSON *b, const char *name)
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
		if (!same_member(first, now, p->string) &&
		    cJSON_GetObjectItemCaseSensitive(seen, p->string) == NULL)
			cJSON_AddTrueToObject(seen, p->string);
	}
}

static int find_varying(struct items *l)
{
	l->varying = cJSON_CreateObject();
	for (size_t i = 0; i < l->n; i++) {
		const char *workload = l->v[i].rec->workload;
		cJSON *seen = cJSON_GetObjectItemCaseSensitive(l->varying, workload);
		const struct item *first;

		if (seen == NULL) {
			seen = cJSON_AddObjectToObject(l->varying, workload);
			if (cJSON_AddNumberToObject(seen, "", (double)i) == NULL)
				return -ENOMEM;
			continue;
		}
		first = &l->v[cJSON_GetObjectItemCaseSensitive(seen, "")->valueint];
		note_varying(seen, first->params, l->v[i].params);
		if (!same_member(first->placement, l->v[i].placement, "threads") &&
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
static char *work_of(const struct item *it)
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

static bool same_work(const struct item *a, const struct item *b)
{
	return strcmp(a->work, b->work) == 0;
}

static int find_items(const struct sm_side *s, const struct sm_compare_what *what,
		      struct items *out)
{
	const struct sm_report *r = s->report;

	*out = (struct items){.v = calloc(r->nrecords + 1, sizeof(*out->v))};
	if (out->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->nrecords; i++) {
		const struct sm_record *rec = &r->records[i];
		struct item *it = &out->v[out->n];

		if (i > 0 && rec[-1].group == rec->group)
			continue;
		*it = (struct item){.rec = rec,
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

/* Settings apart from those that a side names. */
static bool same_settings(const struct sm_side *s, const struct sm_side *t, const struct item *a,
			  const struct item *b)
{
	cJSON *x = cJSON_Duplicate(a->config, true), *y = cJSON_Duplicate(b->config, true);
	const struct sm_side *sides[] = {s, t};
	bool same;

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < sides[k]->wants.n; i++) {
			char *key = sides[k]->wants.v[i], *equals = strchr(key, '=');

			if (equals == NULL)
				continue;
			*equals = 0;
			cJSON_DeleteItemFromObjectCaseSensitive(x, key);
			cJSON_DeleteItemFromObjectCaseSensitive(y, key);
			*equals = '=';
		}
	}
	same = cJSON_Compare(x, y, true);
	cJSON_Delete(x);
	cJSON_Delete(y);
	return same;
}

static bool same_kind(const struct sm_side *s, const struct sm_side *t, const struct item *a,
		      const struct item *b)
{
	return strcmp(a->rec->backend, b->rec->backend) == 0 &&
	       same_member(a->placement, b->placement, "workers") &&
	       same_member(a->placement, b->placement, "mark_place") && same_settings(s, t, a, b);
}

/* The only one left in the list that does the same work; NULL: none, or several. */
static struct item *only_left(struct items *l, const struct item *like)
{
	struct item *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].matched || !same_work(&l->v[i], like))
			continue;
		if (found != NULL)
			return NULL;
		found = &l->v[i];
	}
	return found;
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
static char *name_of(const struct items *l, const struct item *it, bool whole)
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

/* ---- matching ----------------------------------------------------------------------------- */

struct matching {
	const struct sm_side *s, *t;
	struct items a, b;
	const struct sm_compare_what *what;
	struct sm_comparison *out;
	size_t matched;
};

static int match(struct matching *m, struct item *a, struct item *b)
{
	bool twins = false;
	char *name;
	int rc = 0;

	for (size_t i = 0; i < m->a.n; i++)
		twins |= &m->a.v[i] != a && same_work(&m->a.v[i], a);
	name = name_of(&m->a, a, twins);
	if (name == NULL)
		return -ENOMEM;
	a->matched = b->matched = true;
	m->matched++;
	if (m->s->wants.n == 0 && m->t->wants.n == 0 && !same_kind(m->s, m->t, a, b))
		rc = sm__strings_printf(&m->out->hidden, "%.80s: %s %.140s / %s %.140s", name,
					a->rec->backend, a->rec->config, b->rec->backend,
					b->rec->config);
	if (rc == 0)
		rc = sm__compare_library(m->s, a->first, m->t, b->first, m->out);
	if (rc == 0)
		rc = sm__compare_lost(m->s, a->first, m->t, b->first, name, m->out);
	if (rc == 0)
		rc = sm__compare_rows(m->s, a->first, m->t, b->first, m->what, name, m->out);
	free(name);
	return rc < 0 ? rc : 0;
}

/* Whoever has everything in common first, then what only one is left of. */
static int match_all(struct matching *m)
{
	int rc = 0;

	for (size_t i = 0; i < m->a.n && rc == 0; i++) {
		struct item *a = &m->a.v[i];

		for (size_t k = 0; k < m->b.n && rc == 0 && !a->matched; k++)
			if (!m->b.v[k].matched && same_work(a, &m->b.v[k]) &&
			    same_kind(m->s, m->t, a, &m->b.v[k]))
				rc = match(m, a, &m->b.v[k]);
	}
	for (size_t i = 0; i < m->a.n && rc == 0; i++) {
		struct item *a = &m->a.v[i], *b = a->matched ? NULL : only_left(&m->b, a);

		if (b != NULL && only_left(&m->a, b) == a)
			rc = match(m, a, b);
	}
	return rc;
}

static int list_unmatched(struct sm_comparison *out, const struct items *l, const char *side)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		char *name = l->v[i].matched ? NULL : name_of(l, &l->v[i], true);

		if (l->v[i].matched)
			continue;
		rc = name != NULL
			     ? sm__strings_printf(&out->unmatched, "%.80s alone has %s", side, name)
			     : -ENOMEM;
		if (rc == 0)
			rc = sm_strings_add(&out->lost, name, strlen(name));
		if (rc == 0)
			rc = sm__strings_printf(&out->why, "%.80s alone has it", side);
		free(name);
	}
	return rc;
}

bool sm__compare_has(const struct sm_comparison *c, const char *name)
{
	for (size_t i = 0; i < c->nrows; i++)
		if (strcmp(c->rows[i].metric, name) == 0)
			return true;
	return false;
}

static int check(const struct matching *m, char *err, size_t errlen)
{
	if (m->a.n == 0 || m->b.n == 0) {
		const struct sm_side *side = m->a.n == 0 ? m->s : m->t;

		snprintf(err, errlen, "%.80s: run %lld has no such case", side->text,
			 (long long)side->report->run);
		return -EINVAL;
	}
	if (m->matched == 0) {
		snprintf(err, errlen,
			 "%.80s and %.80s have no case in common; compared are cases of the same "
			 "workload, parameters, threads and place",
			 m->s->text, m->t->text);
		return -EINVAL;
	}
	if (m->out->lost.n == m->matched) {
		snprintf(err, errlen, "%.80s and %.80s have no result in common: %.140s: %s",
			 m->s->text, m->t->text, m->out->lost.v[0], m->out->why.v[0]);
		return -EINVAL;
	}
	for (size_t i = 0; i < m->what->metrics.n; i++) {
		if (sm__compare_has(m->out, m->what->metrics.v[i]))
			continue;
		snprintf(
			err, errlen,
			"no sample of both sides has '%.60s'; spanmark list, -C and -e of spanmark "
			"run tell what can be measured",
			m->what->metrics.v[i]);
		return -EINVAL;
	}
	if (m->out->nrows > 0)
		return 0;
	snprintf(err, errlen, "%.80s and %.80s have no result in common", m->s->text, m->t->text);
	return -EINVAL;
}

int sm_compare_sides(const struct sm_side *base, const struct sm_side *other,
		     const struct sm_compare_what *what, struct sm_comparison *out, char *err,
		     size_t errlen)
{
	struct matching m = {.s = base, .t = other, .what = what, .out = out};
	int rc;

	*out = (struct sm_comparison){0};
	rc = find_items(base, what, &m.a);
	if (rc == 0)
		rc = find_items(other, what, &m.b);
	if (rc == 0 && base->report != other->report)
		rc = sm__compare_hidden(base->report->environment, other->report->environment,
					&out->hidden);
	if (rc == 0)
		rc = match_all(&m);
	if (rc == 0)
		rc = check(&m, err, errlen);
	if (rc == 0)
		rc = list_unmatched(out, &m.a, base->text);
	if (rc == 0)
		rc = list_unmatched(out, &m.b, other->text);
	free_items(&m.a);
	free_items(&m.b);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm_comparison_free(struct sm_comparison *c)
{
	for (size_t i = 0; i < c->nrows; i++) {
		free(c->rows[i].name);
		free(c->rows[i].d.base);
		free(c->rows[i].d.other);
	}
	free(c->rows);
	sm_strings_free(&c->hidden);
	sm_strings_free(&c->unmatched);
	sm_strings_free(&c->lost);
	sm_strings_free(&c->why);
}
