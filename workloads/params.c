/*
 * params.c: a workload's parameters: defaults, parsing of "key=value", printing back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "allocator/base/base.h"
#include "workloads/workload.h"

unsigned sm_workload_nparams(const struct sm_workload *w)
{
	unsigned n = 0;

	while (w->params[n].name != NULL)
		n++;
	SM_CHECK(n <= SM_PARAMS_MAX);
	return n;
}

int sm_workload_param(const struct sm_workload *w, const char *name)
{
	for (unsigned i = 0; w->params[i].name != NULL; i++)
		if (strcmp(w->params[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* ---- parsing ------------------------------------------------------------------------------ */

static bool is_bytes(const struct sm_param_desc *d)
{
	return d->unit != NULL && strcmp(d->unit, "bytes") == 0;
}

/* The factor of a suffix; 0 for what is none. */
static int64_t suffix_factor(const struct sm_param_desc *d, char c)
{
	int64_t k = is_bytes(d) ? 1024 : 1000;

	switch (c) {
	case 'k':
	case 'K': return k;
	case 'm':
	case 'M': return k * k;
	case 'g':
	case 'G': return k * k * k;
	default: return 0;
	}
}

/* One integer that ends at a comma or the end. Out-of-range values of int64 count as out of bounds.
 */
static int parse_integer(const struct sm_param_desc *d, const char *text, const char **end,
			 int64_t *out)
{
	char *stop;
	long long v;
	int64_t factor = 1, product;

	if ((*text < '0' || *text > '9') && *text != '-')
		return -EINVAL;
	errno = 0;
	v = strtoll(text, &stop, 10);
	if (stop == text)
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	if (*stop == 'e' || *stop == 'E') { /* 1e6 */
		if (stop[1] < '0' || stop[1] > '9')
			return -EINVAL;
		for (long exp = strtol(stop + 1, &stop, 10); exp > 0; exp--)
			if (__builtin_mul_overflow(factor, (int64_t)10, &factor))
				return -ERANGE;
		if (*stop != '\0' && *stop != ',')
			return -EINVAL;
	} else if (*stop != '\0' && *stop != ',') {
		factor = suffix_factor(d, *stop++);
		if (is_bytes(d) && strncasecmp(stop, "ib", 2) == 0) /* 1KiB */
			stop += 2;
		if (factor == 0 || (*stop != '\0' && *stop != ','))
			return -EINVAL;
	}
	if (__builtin_mul_overflow((int64_t)v, factor, &product) || product < d->min ||
	    product > d->max)
		return -ERANGE;
	*end = stop;
	*out = product;
	return 0;
}

static int parse_list(const struct sm_param_desc *d, const char *text, struct sm_param_value *v)
{
	for (v->n = 0;; text++) {
		int err = v->n < SM_PARAM_LIST_MAX ? parse_integer(d, text, &text, &v->list[v->n])
						   : -E2BIG;

		if (err != 0)
			return err;
		v->n++;
		if (*text == '\0')
			return 0;
	}
}

static int parse_choice(const struct sm_param_desc *d, const char *text, struct sm_param_value *v)
{
	size_t len = strlen(text);

	for (const char *c = d->choices; len > 0 && len < sizeof(v->text);) {
		size_t n = strcspn(c, "|");

		if (n == len && memcmp(c, text, n) == 0) {
			memcpy(v->text, text, len + 1);
			return 0;
		}
		if (c[n] == '\0')
			break;
		c += n + 1;
	}
	return -EINVAL;
}

static int parse_value(const struct sm_param_desc *d, const char *text, struct sm_param_value *v)
{
	const char *end = text;
	int err;

	switch (d->kind) {
	case SM_PARAM_INT:
		err = parse_integer(d, text, &end, &v->number);
		return err == 0 && *end != '\0' ? -EINVAL : err;
	case SM_PARAM_LIST: return parse_list(d, text, v);
	case SM_PARAM_TEXT: return parse_choice(d, text, v);
	}
	return -EINVAL;
}

/* ---- messages ----------------------------------------------------------------------------- */

static void say_allowed(const struct sm_workload *w, const struct sm_param_desc *d,
			const char *value, char *err, size_t errlen)
{
	const char *unit = d->unit != NULL ? d->unit : "", *gap = *unit != '\0' ? " " : "";

	switch (d->kind) {
	case SM_PARAM_INT:
		snprintf(err, errlen,
			 "%s: %s=%s: must be an integer from %" PRId64 " to %" PRId64 "%s%s",
			 w->name, d->name, value, d->min, d->max, gap, unit);
		break;
	case SM_PARAM_LIST:
		snprintf(err, errlen,
			 "%s: %s=%s: must be 1 to %d integers from %" PRId64 " to %" PRId64
			 "%s%s, separated by commas",
			 w->name, d->name, value, SM_PARAM_LIST_MAX, d->min, d->max, gap, unit);
		break;
	case SM_PARAM_TEXT:
		snprintf(err, errlen, "%s: %s=%s: must be one of %s", w->name, d->name, value,
			 d->choices);
		break;
	}
}

static void say_names(const struct sm_workload *w, const char *assignment, size_t keylen, char *err,
		      size_t errlen)
{
	size_t at = (size_t)snprintf(err, errlen, "%s: no parameter '%.*s'; it has", w->name,
				     (int)(keylen < 40 ? keylen : 40), assignment);

	for (unsigned i = 0; w->params[i].name != NULL && at < errlen; i++)
		at += (size_t)snprintf(err + at, errlen - at, "%s %s", i > 0 ? "," : "",
				       w->params[i].name);
	if (w->params[0].name == NULL && at < errlen)
		snprintf(err + at, errlen - at, " none");
}

/* ---- the interface ------------------------------------------------------------------------ */

void sm_params_init(struct sm_params *p, const struct sm_workload *w, bool quick)
{
	memset(p, 0, sizeof(*p));
	p->workload = w;
	for (unsigned i = 0; i < sm_workload_nparams(w); i++) {
		const struct sm_param_desc *d = &w->params[i];

		if (d->kind == SM_PARAM_INT)
			p->values[i].number = quick ? d->quick : d->def;
		else
			SM_CHECK(parse_value(d, quick ? d->quick_text : d->def_text,
					     &p->values[i]) == 0);
	}
}

int sm_params_set(struct sm_params *p, const char *assignment, char *err, size_t errlen)
{
	const struct sm_workload *w = p->workload;
	const char *equals = strchr(assignment, '=');
	char key[48] = "";
	struct sm_param_value v = {.given = true};
	int index, rc;

	if (equals == NULL || equals == assignment) {
		snprintf(err, errlen, "%s: '%s': must be of the form key=value", w->name,
			 assignment);
		return -EINVAL;
	}
	if ((size_t)(equals - assignment) < sizeof(key))
		memcpy(key, assignment, (size_t)(equals - assignment));
	index = sm_workload_param(w, key);
	if (index < 0) {
		say_names(w, assignment, (size_t)(equals - assignment), err, errlen);
		return -ENOENT;
	}
	rc = parse_value(&w->params[index], equals + 1, &v);
	if (rc != 0) {
		say_allowed(w, &w->params[index], equals + 1, err, errlen);
		return rc == -ERANGE ? -ERANGE : -EINVAL;
	}
	p->values[index] = v;
	return 0;
}

int sm_params_format(const struct sm_params *p, unsigned index, char *buf, size_t len)
{
	const struct sm_param_value *v = &p->values[index];
	size_t at = 0;

	SM_CHECK(index < sm_workload_nparams(p->workload));
	switch (p->workload->params[index].kind) {
	case SM_PARAM_INT: return snprintf(buf, len, "%" PRId64, v->number);
	case SM_PARAM_TEXT: return snprintf(buf, len, "%s", v->text);
	case SM_PARAM_LIST:
		for (unsigned i = 0; i < v->n; i++)
			at += (size_t)snprintf(at < len ? buf + at : NULL, at < len ? len - at : 0,
					       i > 0 ? ",%" PRId64 : "%" PRId64, v->list[i]);
		break;
	}
	return (int)at;
}

static unsigned must_find(const struct sm_params *p, const char *name, enum sm_param_kind kind)
{
	int i = sm_workload_param(p->workload, name);

	if (i < 0 || p->workload->params[i].kind != kind)
		sm__fatal(__FILE__, __LINE__, "%s has no parameter %s of this kind",
			  p->workload->name, name);
	return (unsigned)i;
}

int64_t sm_params_int(const struct sm_params *p, const char *name)
{
	return p->values[must_find(p, name, SM_PARAM_INT)].number;
}

const int64_t *sm_params_list(const struct sm_params *p, const char *name, unsigned *n)
{
	const struct sm_param_value *v = &p->values[must_find(p, name, SM_PARAM_LIST)];

	*n = v->n;
	return v->list;
}

unsigned sm_params_threads(const struct sm_params *p)
{
	int i = sm_workload_param(p->workload, "threads");

	return i < 0 ? 1 : (unsigned)p->values[i].number;
}

int sm_params_set_threads(struct sm_params *p, unsigned n, char *err, size_t errlen)
{
	char text[32];

	if (sm_workload_param(p->workload, "threads") < 0) {
		if (n == 1)
			return 0;
		snprintf(err, errlen, "%s: threads=%u: must be 1, this workload has one thread",
			 p->workload->name, n);
		return -ERANGE;
	}
	snprintf(text, sizeof(text), "threads=%u", n);
	return sm_params_set(p, text, err, errlen);
}
