/* knobs.c: see knobs.h. */
#include "harness/tune/knobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/span/scankernel.h"
#include "harness/base/suggest.h"
#include "harness/plan/variant.h"
#include "spanmark/gc.h"
#include "workloads/session.h"

static const struct row {
	const char *backend, *key, *values, *why;
} table[] = {
#define X(backend, key, values, why) {backend, key, values, why},
#include "harness/tune/knobs.def"
#undef X
};
#define NROWS (sizeof(table) / sizeof(table[0]))

/* Variables that have parts: how a part is joined to its value, and to the next. */
static const struct {
	const char *name;
	char equals, comma;
} parts[] = {
	{"MALLOC_CONF", ':', ','}, {"GLIBC_TUNABLES", '=', ':'}, {"SPANMARK_MALLOC", '=', ','}};

/* Knobs that do something beside this value of another one only. */
static const struct {
	const char *key, *of, *value;
} needs[] = {{"gc.dense", "gc.mark", "spans"}, {"gc.kernel", "gc.mark", "spans"}};

/* ---- which knobs -------------------------------------------------------------------------- */

struct wanted {
	const char *key;
	bool has;
};

static void is_it(void *ctx, const char *key, const char *values, const char *help)
{
	struct wanted *w = ctx;

	(void)values;
	(void)help;
	w->has |= strlen(key) == strcspn(w->key, "@=") && strncmp(key, w->key, strlen(key)) == 0;
}

/* A setting that this build has, or an option that a variant may have. */
static bool is_ours(const char *key)
{
	struct wanted w = {key, sm__variant_word(key) != SM_WORD_SETTING};

	sm_job_setting_keys(is_it, &w);
	return w.has;
}

/* Variables have no dots in their names; of a part, what stands before the colon. */
static bool is_variable(const char *key)
{
	return strchr(key, ':') != NULL || strchr(key, '.') == NULL ||
	       sm_job_setting_variable(key) != NULL;
}

/* A kernel that this CPU has, and that is not the one it would take by itself. */
static bool is_other_kernel(const char *name)
{
	const struct sm_scan_kernel *k = sm__scan_kernel(name);

	return k != NULL && k != sm__scan_kernel(NULL);
}

/* Does this build take the value? A table serves builds of several ages. */
static bool takes(const char *key, const char *value, char *err, size_t errlen)
{
	struct sm_gc_config cfg;

	if (sm__variant_word(key) != SM_WORD_SETTING || !is_ours(key))
		return true;
	sm_gc_config_init(&cfg);
	return sm_gc_config_set(&cfg, key, value, err, errlen) == 0;
}

static int add_knob(struct sm_space *s, const char *key, size_t keylen, const char *values,
		    const char *separators, const char *why)
{
	struct sm_knob *k = &s->knobs[s->n];
	int rc = 0;

	*k = (struct sm_knob){.key = strndup(key, keylen), .why = why};
	if (k->key == NULL)
		return -ENOMEM;
	s->n++;
	for (const char *at = values; rc == 0; at++) {
		size_t len = strcspn(at, separators);
		char value[128], err[256];

		snprintf(value, sizeof(value), "%.*s", (int)len, at);
		if (separators[0] == ',' ||
		    (takes(k->key, value, err, sizeof(err)) &&
		     (strcmp(k->key, "gc.kernel") != 0 || is_other_kernel(value))))
			rc = sm_strings_add(&k->values, at, len);
		at += len;
		if (*at == '\0')
			break;
	}
	s->dials[s->n - 1] =
		(struct sm_tune_dial){.name = k->key, .levels = (unsigned)k->values.n + 1};
	return rc;
}

static const struct row *row_of(const char *backend, const char *key, size_t len)
{
	for (size_t i = 0; i < NROWS; i++)
		if (strcmp(table[i].backend, backend) == 0 && strlen(table[i].key) == len &&
		    strncmp(table[i].key, key, len) == 0)
			return &table[i];
	return NULL;
}

static int unknown(const char *backend, const char *text, size_t len, char *err, size_t errlen)
{
	const char *names[NROWS];
	char typed[80];
	size_t n = 0;

	for (size_t i = 0; i < NROWS; i++)
		if (strcmp(table[i].backend, backend) == 0)
			names[n++] = table[i].key;
	snprintf(typed, sizeof(typed), "%.*s", (int)(len < 79 ? len : 79), text);
	sm_suggest_error(err, errlen, "knob", typed, names, n);
	return -EINVAL;
}

/* --knob KEY or KEY=V1,V2. */
static int choose(struct sm_space *s, const char *backend, const char *text, char *err,
		  size_t errlen)
{
	size_t len = strcspn(text, "=");
	const struct row *row = row_of(backend, text, len);

	if (text[len] == '\0')
		return row != NULL ? add_knob(s, row->key, len, row->values, "|", row->why)
				   : unknown(backend, text, len, err, errlen);
	if (row == NULL && !is_ours(text) && sm_job_setting_variable(text) == NULL)
		return unknown(backend, text, len, err, errlen);
	if (text[len + 1] == '\0' || strstr(text, ",,") != NULL || text[strlen(text) - 1] == ',' ||
	    text[len + 1] == ',' || strpbrk(text, " \t") != NULL) {
		snprintf(err, errlen,
			 "--knob '%.80s': allowed: KEY=VALUE,VALUE,.. without blanks, or KEY",
			 text);
		return -EINVAL;
	}
	return add_knob(s, text, len, text + len + 1, ",", row != NULL ? row->why : "");
}

/* Cases that differ in what their backend ignores would be one. */
static int check_effect(const struct sm_space *s, const char *backend, char *err, size_t errlen)
{
	bool own = strcmp(backend, "gc") == 0 || strcmp(backend, "span") == 0;

	for (unsigned i = 0; i < s->n; i++) {
		const char *key = s->knobs[i].key;
		bool option = sm__variant_word(key) != SM_WORD_SETTING;

		if (option || own == is_ours(key))
			continue;
		snprintf(err, errlen, "--knob %.60s has no effect on backend %.40s; allowed: %s",
			 key, backend,
			 own ? "settings of heap and collector (spanmark list settings)"
			     : "env.NAME, a variable that it reads, or its own knobs (--dry-run)");
		return -EINVAL;
	}
	return 0;
}

static int check_levels(const struct sm_space *s, char *err, size_t errlen)
{
	for (unsigned i = 0; i < s->n; i++) {
		for (size_t v = 0; v < s->knobs[i].values.n; v++)
			if (!takes(s->knobs[i].key, s->knobs[i].values.v[v], err, errlen))
				return -EINVAL;
		if (s->dials[i].levels <= SM_TUNE_LEVELS)
			continue;
		snprintf(err, errlen, "--knob %.60s: %u values; allowed: %d at most",
			 s->knobs[i].key, s->dials[i].levels - 1, SM_TUNE_LEVELS - 1);
		return -EINVAL;
	}
	return 0;
}

static int find(const struct sm_space *s, const char *key)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->knobs[i].key, key) == 0)
			return (int)i;
	return -1;
}

/* What a configuration becomes by a setting; one that is none of ours, or not taken, changes
 * nothing. A copy to the byte: what lies between members is compared, too. */
static void set(struct sm_gc_config *to, const struct sm_gc_config *from, const char *key,
		const char *value)
{
	char err[256];

	memcpy(to, from, sizeof(*to));
	if (is_ours(key) && sm__variant_word(key) == SM_WORD_SETTING)
		(void)sm_gc_config_set(to, key, value, err, sizeof(err));
}

/* Two spellings of one value, 32k and 32768. */
static bool is_same(const char *key, const char *a, const char *b)
{
	struct sm_gc_config none, with_a, with_b;

	if (strcmp(a, b) == 0 || !is_ours(key) || sm__variant_word(key) != SM_WORD_SETTING)
		return strcmp(a, b) == 0;
	sm_gc_config_init(&none);
	set(&with_a, &none, key, a);
	set(&with_b, &none, key, b);
	return memcmp(&with_a, &with_b, sizeof(with_a)) == 0;
}

/* Twice the same would be measured as if it were two. */
static int check_once(const struct sm_space *s, char *err, size_t errlen)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct sm_strings *v = &s->knobs[i].values;

		if (find(s, s->knobs[i].key) != (int)i) {
			snprintf(err, errlen,
				 "--knob %.60s is given twice; allowed: once, with all its values",
				 s->knobs[i].key);
			return -EINVAL;
		}
		for (size_t a = 0; a < v->n; a++)
			for (size_t b = 0; b < a; b++)
				if (is_same(s->knobs[i].key, v->v[a], v->v[b])) {
					snprintf(err, errlen,
						 "--knob %.60s: the value '%.60s' is given twice",
						 s->knobs[i].key, v->v[a]);
					return -EINVAL;
				}
	}
	return 0;
}

/* Which dials need which level of which other one. */
static void link_dials(struct sm_space *s)
{
	for (unsigned i = 0; i < s->n; i++)
		s->dials[i].of = s->dials[i].at = 0;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		int of = find(s, needs[i].of), it = find(s, needs[i].key);

		for (size_t v = 0; of >= 0 && it >= 0 && v < s->knobs[of].values.n; v++) {
			if (strcmp(s->knobs[of].values.v[v], needs[i].value) != 0)
				continue;
			s->dials[it].of = (unsigned)of + 1;
			s->dials[it].at = (unsigned)v + 1;
		}
	}
}

int sm_space_make(struct sm_space *s, const char *backend, const struct sm_strings *chosen,
		  char *err, size_t errlen)
{
	int rc = 0;

	*s = (struct sm_space){.n = 0};
	if (chosen->n > SM_TUNE_KNOBS) {
		snprintf(err, errlen, "--knob is given %zu times; allowed: %d", chosen->n,
			 SM_TUNE_KNOBS);
		return -EINVAL;
	}
	for (size_t i = 0; i < chosen->n && rc == 0; i++)
		rc = choose(s, backend, chosen->v[i], err, errlen);
	for (size_t i = 0; i < NROWS && rc == 0 && chosen->n == 0; i++)
		if (strcmp(table[i].backend, backend) == 0 &&
		    (is_ours(table[i].key) || is_variable(table[i].key)))
			rc = add_knob(s, table[i].key, strlen(table[i].key), table[i].values, "|",
				      table[i].why);
	if (rc == 0)
		rc = check_levels(s, err, errlen);
	if (rc == 0)
		rc = check_effect(s, backend, err, errlen);
	if (rc == 0)
		rc = check_once(s, err, errlen);
	if (rc == 0 && s->n == 0) {
		snprintf(
			err, errlen,
			"backend %.60s has no knobs that are known; allowed: --knob KEY=V1,V2, for "
			"example --knob env.NAME=1,2",
			backend);
		rc = -EINVAL;
	}
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	link_dials(s);
	return rc;
}

void sm_space_drop(struct sm_space *s, const char *key)
{
	int at = find(s, key);
	size_t behind = at >= 0 ? s->n - (size_t)at - 1 : 0;

	if (at < 0)
		return;
	free(s->knobs[at].key);
	sm_strings_free(&s->knobs[at].values);
	memmove(&s->knobs[at], &s->knobs[at + 1], behind * sizeof(s->knobs[0]));
	memmove(&s->dials[at], &s->dials[at + 1], behind * sizeof(s->dials[0]));
	s->n--;
	link_dials(s);
}

void sm_space_drop_all(struct sm_space *s, const char *pair)
{
	size_t len = strcspn(pair, "=");

	for (unsigned i = s->n; i-- > 0;) {
		const char *key = s->knobs[i].key;

		if (strncmp(key, pair, len) == 0 && (key[len] == '\0' || key[len] == '@'))
			sm_space_drop(s, key);
	}
}

static void drop_value(struct sm_space *s, unsigned knob, size_t at)
{
	struct sm_strings *v = &s->knobs[knob].values;

	free(v->v[at]);
	memmove(&v->v[at], &v->v[at + 1], (v->n - at - 1) * sizeof(v->v[0]));
	v->n--;
	s->dials[knob].levels--;
}

int sm_space_drop_default(struct sm_space *s, const struct sm_strings *args, char *err,
			  size_t errlen)
{
	struct sm_gc_config usual, with;

	sm_gc_config_init(&usual);
	for (size_t i = 0; i + 1 < args->n; i++) {
		const char *pair = args->v[i + 1], *value = strchr(pair, '=');
		char key[80];

		if (strcmp(args->v[i], "--set") != 0 || value == NULL)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(value - pair), pair);
		set(&with, &usual, key, value + 1);
		memcpy(&usual, &with, sizeof(usual));
	}
	for (unsigned i = 0; i < s->n; i++) {
		const char *key = s->knobs[i].key;

		for (size_t v = s->knobs[i].values.n; v-- > 0;) {
			set(&with, &usual, key, s->knobs[i].values.v[v]);
			if (is_ours(key) && sm__variant_word(key) == SM_WORD_SETTING &&
			    memcmp(&with, &usual, sizeof(with)) == 0)
				drop_value(s, i, v);
		}
		if (s->knobs[i].values.n > 0)
			continue;
		snprintf(err, errlen,
			 "--knob %.60s has no value but the default, which is always tried; "
			 "allowed: another one",
			 key);
		return -EINVAL;
	}
	link_dials(s);
	return 0;
}

int sm_space_add(struct sm_space *s, const char *key, const char *value, const char *why)
{
	return s->n < SM_TUNE_KNOBS ? add_knob(s, key, strlen(key), value, "|", why) : 0;
}

void sm_space_free(struct sm_space *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		free(s->knobs[i].key);
		sm_strings_free(&s->knobs[i].values);
	}
	s->n = 0;
}

/* ---- a point as text ---------------------------------------------------------------------- */

const char *sm_space_value(const struct sm_space *s, unsigned knob, unsigned level)
{
	return level > 0 ? s->knobs[knob].values.v[level - 1] : SM_VARIANT_DEFAULT;
}

/* The words that are settings, options, and whole variables. */
static void print_words(FILE *f, const struct sm_space *s, const struct sm_tune_point *p,
			const char **blank)
{
	for (unsigned i = 0; i < s->n; i++) {
		const char *key = s->knobs[i].key;
		bool bare = *key != '\0' && !is_ours(key) && sm_job_setting_variable(key) == NULL;

		if (p->level[i] == 0 || strchr(key, ':') != NULL)
			continue;
		fprintf(f, "%s%s%s%s%s", *blank, bare ? "env." : "", key, *key ? "=" : "",
			sm_space_value(s, i, p->level[i]));
		*blank = " ";
	}
}

/* The parts of one variable, joined. */
static void print_parts(FILE *f, const struct sm_space *s, const struct sm_tune_point *p,
			size_t which, const char **blank)
{
	size_t len = strlen(parts[which].name);
	bool begun = false;

	for (unsigned i = 0; i < s->n; i++) {
		const char *key = s->knobs[i].key;

		if (p->level[i] == 0 || strncmp(key, parts[which].name, len) != 0 ||
		    key[len] != ':')
			continue;
		if (begun)
			fputc(parts[which].comma, f);
		else
			fprintf(f, "%senv.%s=", *blank, parts[which].name);
		fprintf(f, "%s%c%s", key + len + 1, parts[which].equals,
			sm_space_value(s, i, p->level[i]));
		begun = true;
		*blank = " ";
	}
}

char *sm_space_variant(const struct sm_space *s, const struct sm_tune_point *p)
{
	const char *blank = "";
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	print_words(f, s, p, &blank);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		print_parts(f, s, p, i, &blank);
	if (*blank == '\0')
		fputs(SM_VARIANT_DEFAULT, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
