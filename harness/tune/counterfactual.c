/* counterfactual.c: from records to curves. See counterfactual.h. */
#include "harness/tune/counterfactual.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/sizeclass.h"
#include "harness/base/text.h"

#define MAX_LINE (1u << 20)
#define SOONEST	 64.0 /* bytes of the first bucket of reuse */
#define CLASSES	 80   /* more than there are */

void sm_counterfactual_free(struct sm_counterfactual *c)
{
	free(c->classes);
	*c = (struct sm_counterfactual){0};
}

/* ---- records ------------------------------------------------------------------------------ */

static double number(const cJSON *obj, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 ? item->valuedouble : 0;
}

static double element(const cJSON *obj, const char *name, int i)
{
	const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(obj, name), i);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 ? item->valuedouble : 0;
}

/* 0; -EINVAL: more classes than there are; -ENOMEM. */
static int curve_of(struct sm_counterfactual *c, unsigned bytes, struct sm_class_curve **out)
{
	struct sm_class_curve *v = c->classes;

	for (unsigned i = 0; i < c->n; i++) {
		*out = &c->classes[i];
		if (c->classes[i].bytes == bytes)
			return 0;
	}
	if (c->n == CLASSES)
		return -EINVAL;
	v = realloc(v, (c->n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	c->classes = v;
	v[c->n] = (struct sm_class_curve){.bytes = bytes, .reuse = NAN};
	*out = &v[c->n++];
	return 0;
}

/* Reuse over the records so far: the counts lie in the points' place until finish() has them. */
struct sums {
	double reuse[CLASSES][32];
	double reused[CLASSES];
};

/* Lists: the record's own sizes, summed over its processes. */
static void add_lists(struct sm_class_curve *v, const cJSON *record, const cJSON *cls)
{
	int n = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(record, "slots"));

	for (int i = 0; i < n && i < SM_CURVE_POINTS; i++) {
		struct sm_curve_point *p = &v->points[i];

		p->size = element(record, "slots", i);
		p->predicted += element(cls, "refills", i);
		p->held += element(cls, "held", i) * v->bytes;
		p->measured = NAN;
		v->npoints = (unsigned)i + 1;
	}
}

/* Windows: what a class takes in a run of slots, no more than one span has. */
static void add_windows(struct sm_class_curve *v, double allocs, double threads)
{
	double span = (double)sm__sizeclasses[sm_size_class(v->bytes)].nunits * (double)SM_UNIT;

	v->npoints = 0;
	for (double window = 4096; window <= 512 * 1024; window *= 2) {
		struct sm_curve_point *p = &v->points[v->npoints++];
		double takes = fmax(fmin(window, span), v->bytes);

		p->size = window;
		p->predicted += allocs * v->bytes / takes;
		p->held += threads * takes / 2;
		p->measured = NAN;
	}
}

static int add_record(struct sm_counterfactual *c, const cJSON *record, struct sums *s)
{
	const cJSON *cls;
	double threads = number(record, "threads");

	c->threads += (unsigned)threads;
	cJSON_ArrayForEach(cls, cJSON_GetObjectItemCaseSensitive(record, "classes"))
	{
		unsigned bytes = (unsigned)number(cls, "bytes");
		struct sm_class_curve *v;
		double allocs = number(cls, "allocs");
		int rc;

		if (bytes == 0 || bytes > SM_MAX_SMALL || allocs <= 0)
			continue;
		rc = curve_of(c, bytes, &v);
		if (rc)
			return rc;
		v->allocs += allocs;
		for (int i = 0; i < 32; i++) {
			s->reuse[v - c->classes][i] += element(cls, "reuse", i);
			s->reused[v - c->classes] += element(cls, "reuse", i);
		}
		if (c->windows)
			add_windows(v, allocs, threads);
		else
			add_lists(v, record, cls);
	}
	return 0;
}

/* ---- what they say ------------------------------------------------------------------------ */

static double median_reuse(const double *counts, double all)
{
	double below = 0;

	for (int i = 0; i < 32; i++) {
		below += counts[i];
		if (all > 0 && below >= all / 2)
			return SOONEST * pow(2, i);
	}
	return NAN;
}

/*
 * What an allocation of the class waits for. In this order: memory that was never used; the way to
 * the lists behind the cache, where it goes there more than once in 64 times at any size but the
 * smallest; else the level of the memory that what it reuses has stayed in.
 */
static const char *binding(const struct sm_class_curve *v, const struct sm_cache_sizes *sizes)
{
	double rate = v->npoints > 0 ? v->points[v->npoints / 2].predicted : 0;

	if (v->fresh > 0.5)
		return "first touch";
	if (rate > 1000.0 / 64)
		return "refill rate";
	if (isnan(v->reuse))
		return "nothing known";
	if (sizes->l1 > 0 && v->reuse <= sizes->l1)
		return "L1";
	if (sizes->l2 > 0 && v->reuse <= sizes->l2)
		return "L2";
	if (sizes->tlb > 0 && v->reuse <= sizes->tlb)
		return "L3";
	return "TLB and memory";
}

static int by_allocs(const void *a, const void *b)
{
	const struct sm_class_curve *x = a, *y = b;

	return (x->allocs < y->allocs) - (x->allocs > y->allocs);
}

static void finish(struct sm_counterfactual *c, const struct sums *s,
		   const struct sm_cache_sizes *sizes)
{
	double all = 0;

	for (unsigned i = 0; i < c->n; i++)
		all += c->classes[i].allocs;
	for (unsigned i = 0; i < c->n; i++) {
		struct sm_class_curve *v = &c->classes[i];

		v->share = v->allocs / all;
		v->reuse = median_reuse(s->reuse[i], s->reused[i]);
		v->fresh = fmax(0, 1 - s->reused[i] / v->allocs);
		for (unsigned k = 0; k < v->npoints; k++)
			v->points[k].predicted *= 1000 / v->allocs;
		v->binds = binding(v, sizes);
	}
	if (c->n > 0)
		qsort(c->classes, c->n, sizeof(*c->classes), by_allocs);
}

int sm_counterfactual_read(FILE *in, bool windows, const struct sm_cache_sizes *sizes,
			   struct sm_counterfactual *out)
{
	char *line = malloc(MAX_LINE);
	struct sums *sums = calloc(1, sizeof(*sums));
	int rc = line != NULL && sums != NULL ? 0 : -ENOMEM;

	*out = (struct sm_counterfactual){.windows = windows, .cycles = NAN, .spans = NAN};
	while (rc == 0 && fgets(line, MAX_LINE, in) != NULL) {
		cJSON *record = cJSON_Parse(line);

		rc = cJSON_IsObject(record) ? add_record(out, record, sums) : -EINVAL;
		cJSON_Delete(record);
	}
	if (rc == 0)
		finish(out, sums, sizes);
	else /* half of it would be shown as the whole */
		sm_counterfactual_free(out);
	free(line);
	free(sums);
	return rc;
}

/* ---- shown -------------------------------------------------------------------------------- */

double sm_curve_enough(const struct sm_class_curve *v)
{
	double least = INFINITY;

	for (unsigned k = 0; k < v->npoints; k++)
		least = fmin(least, v->points[k].predicted);
	for (unsigned k = 0; k < v->npoints; k++)
		if (v->points[k].predicted <= 1.2 * least + 0.2)
			return v->points[k].size;
	return 0;
}

double sm_counterfactual_rate(const struct sm_counterfactual *c, double bytes)
{
	double rate = 0;

	for (unsigned i = 0; i < c->n; i++) {
		const struct sm_class_curve *v = &c->classes[i];
		double size = c->windows ? bytes : bytes / v->bytes;
		unsigned k = 0;

		while (k + 1 < v->npoints && v->points[k + 1].size <= size)
			k++;
		if (v->npoints > 0)
			rate += v->share * v->points[k].predicted;
	}
	return rate;
}

#define PREVIEWED 6 /* classes */
#define SHOWN	  2

static void print_size(FILE *out, double v, int width)
{
	if (v >= 1024 && fmod(v, 1024) == 0)
		fprintf(out, "%*.0fk", width - 1, v / 1024);
	else
		fprintf(out, "%*.0f", width, v);
}

static void print_class(const struct sm_class_curve *v, FILE *out)
{
	char after[24];

	fprintf(out, "%6u bytes  %4.1f %% of allocations, ", v->bytes, 100 * v->share);
	if (isnan(v->reuse))
		fputs("never reused", out);
	else {
		sm_text_value(v->reuse, "bytes", after, sizeof(after));
		fprintf(out, "reused after %s", after);
	}
	fprintf(out, ", waits for %s", v->binds);
}

void sm_counterfactual_preview(const struct sm_counterfactual *c, FILE *out)
{
	if (c->n == 0) {
		fprintf(out, "what caches would have done: n/a (%s)\n", c->why);
		return;
	}
	for (unsigned i = 0; i < c->n && i < PREVIEWED; i++) {
		print_class(&c->classes[i], out);
		fputs("; enough: ", out);
		print_size(out, sm_curve_enough(&c->classes[i]), 1);
		fputs(c->windows ? " bytes\n" : " slots\n", out);
	}
}

void sm_counterfactual_print(const struct sm_counterfactual *c, FILE *out)
{
	fprintf(out,
		"what each size does: refills for 1000 allocations, computed from one recorded "
		"run, and measured\n");
	for (unsigned i = 0; i < c->n && i < SHOWN; i++) {
		const struct sm_class_curve *v = &c->classes[i];

		fputc('\n', out);
		print_class(v, out);
		fprintf(out, "\n%10s  predicted   measured       held\n",
			c->windows ? "window" : "slots");
		for (unsigned k = 0; k < v->npoints; k++) {
			const struct sm_curve_point *p = &v->points[k];
			char held[24];

			print_size(out, p->size, 10);
			fprintf(out, "  %9.3g", p->predicted);
			if (isnan(p->measured))
				fprintf(out, "  %9s", "-");
			else
				fprintf(out, "  %9.3g", p->measured);
			sm_text_value(p->held, "bytes", held, sizeof(held));
			fprintf(out, "  %9s\n", held);
		}
	}
}

cJSON *sm_counterfactual_json(const struct sm_counterfactual *c)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < c->n; i++) {
		const struct sm_class_curve *v = &c->classes[i];
		cJSON *obj = cJSON_CreateObject(), *points;

		cJSON_AddNumberToObject(obj, "bytes", v->bytes);
		cJSON_AddNumberToObject(obj, "share", v->share);
		if (!isnan(v->reuse))
			cJSON_AddNumberToObject(obj, "reuse_bytes", v->reuse);
		cJSON_AddNumberToObject(obj, "fresh", v->fresh);
		cJSON_AddStringToObject(obj, "binds", v->binds);
		cJSON_AddStringToObject(obj, "size_of", c->windows ? "window" : "list");
		points = cJSON_AddArrayToObject(obj, "points");
		for (unsigned k = 0; k < v->npoints; k++) {
			const struct sm_curve_point *p = &v->points[k];
			cJSON *one = cJSON_CreateObject();

			cJSON_AddNumberToObject(one, "size", p->size);
			cJSON_AddNumberToObject(one, "predicted", p->predicted);
			if (!isnan(p->measured))
				cJSON_AddNumberToObject(one, "measured", p->measured);
			cJSON_AddNumberToObject(one, "held_bytes", p->held);
			cJSON_AddItemToArray(points, one);
		}
		cJSON_AddItemToArray(list, obj);
	}
	return list;
}
