/* expr.c: recursive-descent evaluation of formulas; see expr.h. */
#include "perf/expr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64

struct eval {
	const char *text, *p;
	sm_expr_fn fn;
	void *ctx;
	char *err;
	size_t errlen;
	int rc; /* the first error */
	int depth;
	bool any; /* whatever the value: to the end, for syntax and names */
};

static double sum(struct eval *e);

static double stop(struct eval *e, int rc, const char *what)
{
	if (!e->rc) {
		e->rc = rc;
		if (e->err != NULL && e->errlen)
			snprintf(e->err, e->errlen, "%s at \"%.24s\" in \"%s\"", what,
				 *e->p ? e->p : "the end", e->text);
	}
	return 0;
}

static bool take_char(struct eval *e, char c)
{
	while (isspace((unsigned char)*e->p))
		e->p++;
	if (*e->p != c)
		return false;
	e->p++;
	return true;
}

static double call(struct eval *e, const char *name)
{
	double a = sum(e), b;

	if (!take_char(e, ','))
		return stop(e, -EINVAL, "want a comma");
	b = sum(e);
	if (!take_char(e, ')'))
		return stop(e, -EINVAL, "want )");
	if (strcmp(name, "min") == 0)
		return a < b ? a : b;
	if (strcmp(name, "max") == 0)
		return a > b ? a : b;
	return stop(e, -EINVAL, "unknown function (min and max exist)");
}

static double name(struct eval *e)
{
	char id[SM_EXPR_NAME];
	size_t n = 0;
	double v = 0;

	while (isalnum((unsigned char)e->p[n]) || e->p[n] == '_')
		n++;
	if (n >= sizeof(id))
		return stop(e, -EINVAL, "name too long");
	memcpy(id, e->p, n);
	id[n] = '\0';
	e->p += n;
	if (take_char(e, '('))
		return call(e, id);
	if (!e->fn(e->ctx, id, &v) && !e->rc) {
		e->rc = -ENODATA;
		if (e->err != NULL && e->errlen)
			snprintf(e->err, e->errlen, "no value for %s", id);
	}
	return v;
}

static double factor(struct eval *e)
{
	double v;
	char *end;

	if (e->rc)
		return 0;
	if (take_char(e, '-'))
		return ++e->depth > MAX_DEPTH ? stop(e, -EINVAL, "too deep") : -factor(e);
	if (take_char(e, '(')) {
		if (++e->depth > MAX_DEPTH)
			return stop(e, -EINVAL, "too deep");
		v = sum(e);
		e->depth--;
		return take_char(e, ')') ? v : stop(e, -EINVAL, "want )");
	}
	if (isdigit((unsigned char)*e->p) || *e->p == '.') {
		v = strtod(e->p, &end);
		if (end == e->p)
			return stop(e, -EINVAL, "want a number");
		e->p = end;
		return v;
	}
	if (isalpha((unsigned char)*e->p) || *e->p == '_')
		return name(e);
	return stop(e, -EINVAL, "want a value");
}

static double product(struct eval *e)
{
	double v = factor(e), d;

	while (!e->rc) {
		if (take_char(e, '*')) {
			v *= factor(e);
		} else if (take_char(e, '/')) {
			d = factor(e);
			if (!e->rc && d == 0 && !e->any)
				return stop(e, -EDOM, "division by zero");
			v = e->rc ? 0 : v / d;
		} else {
			break;
		}
	}
	return v;
}

static double sum(struct eval *e)
{
	double v = product(e);

	while (!e->rc) {
		if (take_char(e, '+'))
			v += product(e);
		else if (take_char(e, '-'))
			v -= product(e);
		else
			break;
	}
	return v;
}

static double whole(struct eval *e)
{
	double v = sum(e);

	take_char(e, ' ');
	if (!e->rc && *e->p)
		stop(e, -EINVAL, "unexpected text");
	return v;
}

int sm_expr_eval(const char *text, sm_expr_fn fn, void *ctx, double *out, char *err, size_t errlen)
{
	struct eval e = {
		.text = text, .p = text, .fn = fn, .ctx = ctx, .err = err, .errlen = errlen};
	double v = whole(&e);

	if (!e.rc && !isfinite(v))
		stop(&e, -EDOM, "the result is not finite");
	if (!e.rc)
		*out = v;
	return e.rc;
}

struct collect {
	char (*names)[SM_EXPR_NAME];
	int max, n;
};

static bool collect(void *ctx, const char *id, double *value)
{
	struct collect *c = ctx;

	*value = 1;
	for (int i = 0; i < c->n && i < c->max; i++) {
		if (strcmp(c->names[i], id) == 0)
			return true;
	}
	if (c->n < c->max)
		strcpy(c->names[c->n], id);
	c->n++;
	return true;
}

int sm_expr_names(const char *text, char (*names)[SM_EXPR_NAME], int max, char *err, size_t errlen)
{
	struct collect c = {.names = names, .max = max};
	struct eval e = {.text = text,
			 .p = text,
			 .fn = collect,
			 .ctx = &c,
			 .err = err,
			 .errlen = errlen,
			 .any = true};

	(void)whole(&e);
	if (e.rc)
		return e.rc;
	if (c.n > max) {
		if (err != NULL && errlen)
			snprintf(err, errlen, "more than %d names in \"%s\"", max, text);
		return -E2BIG;
	}
	return c.n;
}
