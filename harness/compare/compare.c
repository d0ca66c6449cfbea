/* compare.c: sides, and which cases of them are compared. See compare.h. */
#include "harness/compare/compare_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/mallocs/backend.h"
#include "harness/plan/variant.h"
#include "harness/report/summary.h"

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
		    strcmp(s->wants.v[s->wants.n - 1], SM_VARIANT_DEFAULT) != 0 &&
		    sm_backend_find(s->wants.v[s->wants.n - 1], err, errlen) == NULL)
			return -EINVAL;
		text += len;
		if (!*text)
			return 0;
	}
}

/* The length of the run's name that the text begins with, up to its end or a slash; 0: none. */
static size_t run_length(const char *text)
{
	size_t len = strcspn(text, "/");
	char name[40];

	snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : 0), text);
	return sm_store_is_name(name) ? len : 0;
}

int sm_side_parse(struct sm_side *s, const char *text, char *err, size_t errlen)
{
	const char *colon = strrchr(text, ':'), *at = text;
	size_t len;

	*s = (struct sm_side){.text = text};
	if (strncmp(text, SM_BACKEND_PRELOAD, strlen(SM_BACKEND_PRELOAD)) == 0)
		return add_wants(s, text, err, errlen);
	if (colon != NULL && colon > text && run_length(colon + 1) > 0) {
		s->store = strndup(text, (size_t)(colon - text));
		if (s->store == NULL)
			return -ENOMEM;
		at = colon + 1;
	}
	len = run_length(at);
	if (len == 0 && (*at < '0' || *at > '9'))
		return add_wants(s, at, err, errlen);
	if (len == 0 || (at[len] == '/' && at[len + 1] == '\0')) {
		snprintf(err, errlen,
			 "'%.80s' is no side; allowed: RUN, STORE:RUN, BACKEND, KEY=VALUE, "
			 "RUN/BACKEND,KEY=VALUE",
			 text);
		return -EINVAL;
	}
	s->run = strndup(at, len);
	if (s->run == NULL)
		return -ENOMEM;
	return at[len] == '/' ? add_wants(s, at + len + 1, err, errlen) : 0;
}

void sm_side_free(struct sm_side *s)
{
	free((char *)s->store);
	free(s->run);
	sm_strings_free(&s->wants);
}

static int load(struct sm_side *side, const char *path, struct sm_report *report, char *err,
		size_t errlen)
{
	struct sm_store *s;
	int rc = sm_store_open_read(path, &s, err, errlen);

	if (rc)
		return rc;
	rc = sm_store_load_named(s, side->run, report);
	if (rc)
		snprintf(err, errlen, "%.80s: %s", side->text, sm_store_error(s));
	else
		side->report = report;
	sm_store_close(s);
	return rc;
}

int sm_sides_load(struct sm_side *sides, size_t n, const char *store, struct sm_report *reports,
		  char *err, size_t errlen)
{
	for (size_t i = 0; i < n; i++) {
		const char *path = sides[i].store != NULL ? sides[i].store : store;
		int rc = load(&sides[i], path, &reports[i], err, errlen);

		if (rc)
			return rc;
		for (size_t k = 0; k < i; k++) {
			const char *earlier = sides[k].store != NULL ? sides[k].store : store;

			if (strcmp(earlier, path) != 0 || sides[k].report->run != reports[i].run)
				continue;
			sides[i].report = sides[k].report;
			break;
		}
	}
	return 0;
}

bool sm_sides_same(const struct sm_side *a, const struct sm_side *b)
{
	for (size_t i = 0; i < a->wants.n; i++)
		if (!sm__strings_have(&b->wants, a->wants.v[i]))
			return false;
	return a->wants.n == b->wants.n && a->report == b->report;
}

/* ---- cases -------------------------------------------------------------------------------- */

static bool same_work(const struct sm__item *a, const struct sm__item *b)
{
	return strcmp(a->work, b->work) == 0;
}

/* Settings apart from those that a side names. */
static bool same_settings(const struct sm_side *s, const struct sm_side *t,
			  const struct sm__item *a, const struct sm__item *b)
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

static bool same_kind(const struct sm_side *s, const struct sm_side *t, const struct sm__item *a,
		      const struct sm__item *b)
{
	return strcmp(a->rec->backend, b->rec->backend) == 0 &&
	       sm__same_member(a->placement, b->placement, "workers") &&
	       sm__same_member(a->placement, b->placement, "mark_place") &&
	       same_settings(s, t, a, b);
}

/* The only one left in the list that does the same work; NULL: none, or several. */
static struct sm__item *only_left(struct sm__items *l, const struct sm__item *like)
{
	struct sm__item *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].matched || !same_work(&l->v[i], like))
			continue;
		if (found != NULL)
			return NULL;
		found = &l->v[i];
	}
	return found;
}

/* ---- matching ----------------------------------------------------------------------------- */

struct matching {
	const struct sm_side *s, *t;
	struct sm__items a, b;
	const struct sm_compare_what *what;
	struct sm_comparison *out;
	size_t matched;
};

static bool has_item(const struct sm__items *l, const struct sm__item *it)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].first == it->first)
			return true;
	return false;
}

/*
 * A case of one run that both sides name, as `gc` and `gc.percent=50` do, is the narrower side's;
 * of two that overlap it is neither's: beside itself it tells nothing. 0; -EINVAL: they are the
 * same cases.
 */
static int take_apart(struct matching *m)
{
	struct sm__items *lists[] = {&m->a, &m->b};
	bool in_a = true, in_b = true;

	if (m->s->report != m->t->report || sm_sides_same(m->s, m->t))
		return 0;
	for (size_t i = 0; i < m->a.n; i++)
		in_b &= has_item(&m->b, &m->a.v[i]);
	for (size_t i = 0; i < m->b.n; i++)
		in_a &= has_item(&m->a, &m->b.v[i]);
	if (in_a && in_b && m->a.n > 0)
		return -EINVAL;
	for (size_t k = 0; k < 2; k++) {
		struct sm__items *l = lists[k];

		for (size_t i = 0; i < l->n && !(k == 0 ? in_b : in_a); i++)
			l->v[i].matched = has_item(lists[1 - k], &l->v[i]);
	}
	for (size_t k = 0; k < 2; k++)
		sm__items_drop_matched(lists[k]);
	return 0;
}

static int match(struct matching *m, struct sm__item *a, struct sm__item *b)
{
	bool twins = false;
	char *name;
	int rc = 0;

	for (size_t i = 0; i < m->a.n; i++)
		twins |= &m->a.v[i] != a && same_work(&m->a.v[i], a);
	name = sm__item_name(&m->a, a, twins);
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
		struct sm__item *a = &m->a.v[i];

		for (size_t k = 0; k < m->b.n && rc == 0 && !a->matched; k++)
			if (!m->b.v[k].matched && same_work(a, &m->b.v[k]) &&
			    same_kind(m->s, m->t, a, &m->b.v[k]))
				rc = match(m, a, &m->b.v[k]);
	}
	for (size_t i = 0; i < m->a.n && rc == 0; i++) {
		struct sm__item *a = &m->a.v[i], *b = a->matched ? NULL : only_left(&m->b, a);

		if (b != NULL && only_left(&m->a, b) == a)
			rc = match(m, a, b);
	}
	return rc;
}

static int list_unmatched(struct sm_comparison *out, const struct sm__items *l, const char *side)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		char *name = l->v[i].matched ? NULL : sm__item_name(l, &l->v[i], true);

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
	rc = sm__items_find(base, what, &m.a);
	if (rc == 0)
		rc = sm__items_find(other, what, &m.b);
	if (rc == 0 && take_apart(&m) != 0) {
		snprintf(err, errlen, "%.80s and %.80s are the same cases of run %lld", base->text,
			 other->text, (long long)base->report->run);
		rc = -EINVAL;
	}
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
	sm__items_free(&m.a);
	sm__items_free(&m.b);
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

int sm_compare_judge(struct sm_comparison *cmps, size_t n, const struct sm_verdict_options *o)
{
	size_t total = 0, at = 0;
	struct sm_difference *all;
	double each;
	int rc;

	for (size_t i = 0; i < n; i++)
		total += cmps[i].nrows;
	all = calloc(total + 1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < cmps[i].nrows; k++)
			all[at++] = cmps[i].rows[k].d;
	rc = sm_verdict_table(all, total, o, &each);
	at = 0;
	for (size_t i = 0; i < n; i++) {
		cmps[i].each = each;
		for (size_t k = 0; k < cmps[i].nrows; k++)
			cmps[i].rows[k].d = all[at++];
	}
	free(all);
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
