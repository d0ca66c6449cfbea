/*
 * Formulas of derived metrics: numbers, names, + - * / ( ), min(a,b), max(a,b). Nothing else: no
 * state, no side effects.
 *
 * A formula over a missing value has no value, and so has one that divides by zero: never 0, never
 * inf.
 */
#ifndef SM_PERF_EXPR_H
#define SM_PERF_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#define SM_EXPR_NAME 32

/* Gives the value of a name; false: there is none (say why in a place of your own). */
typedef bool (*sm_expr_fn)(void *ctx, const char *name, double *value);

/* Evaluates. 0; -EINVAL syntax; -ENODATA a name had no value; -EDOM division by zero or overflow;
 * err says more. */
int sm_expr_eval(const char *text, sm_expr_fn fn, void *ctx, double *out, char *err, size_t errlen);

/* The names that a formula uses, each once. Returns how many, -EINVAL (err), -E2BIG for more than
 * max. */
int sm_expr_names(const char *text, char (*names)[SM_EXPR_NAME], int max, char *err, size_t errlen);

#endif
