/* tuning_json.c: a tuning as the store keeps it and the report shows it. See tuning.h. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/tune/tuning.h"

/* Above each value of a knob what it did alone. */
static void add_curve(cJSON *curves, const struct sm_tuning *t, unsigned knob)
{
	cJSON *curve = cJSON_CreateObject(), *points;

	cJSON_AddStringToObject(curve, "title", t->space->knobs[knob].key);
	cJSON_AddStringToObject(curve, "x", t->space->knobs[knob].key);
	cJSON_AddStringToObject(curve, "y", "ratio to the default");
	cJSON_AddStringToObject(curve, "why", t->space->knobs[knob].why);
	points = cJSON_AddArrayToObject(curve, "points");
	for (unsigned level = 0; level < t->space->dials[knob].levels; level++) {
		const struct sm_tune_tried *x = level > 0 ? sm_tuning_alone(t, knob, level) : NULL;
		struct sm_ratio r = {.median = 1};
		cJSON *p;

		if (level > 0 && x == NULL)
			continue;
		if (x != NULL)
			r = sm_tuning_ratio(x);
		p = cJSON_CreateObject();
		cJSON_AddStringToObject(p, "x", sm_space_value(t->space, knob, level));
		sm_json_number(p, "y", r.median, !isnan(r.median));
		sm_json_number(p, "low", r.low, r.has_interval);
		sm_json_number(p, "high", r.high, r.has_interval);
		cJSON_AddNumberToObject(p, "pairs", r.n);
		cJSON_AddItemToArray(points, p);
	}
	if (cJSON_GetArraySize(points) > 1)
		cJSON_AddItemToArray(curves, curve);
	else
		cJSON_Delete(curve);
}

/* How often caches of each size would be refilled for a class: what was computed, and, where a size
 * was tried, counted. */
static void add_class_curve(cJSON *curves, const struct sm_class_curve *v, bool windows)
{
	cJSON *curve = cJSON_CreateObject(), *points;
	char text[200];
	size_t at;

	snprintf(text, sizeof(text), "%u bytes", v->bytes);
	cJSON_AddStringToObject(curve, "title", text);
	cJSON_AddStringToObject(curve, "x", windows ? "bytes of a window" : "slots of a list");
	cJSON_AddStringToObject(curve, "y", "refills for 1000 allocations, computed");
	at = (size_t)snprintf(text, sizeof(text), "waits for %s", v->binds);
	points = cJSON_AddArrayToObject(curve, "points");
	for (unsigned k = 0; k < v->npoints; k++) {
		const struct sm_curve_point *from = &v->points[k];
		cJSON *p = cJSON_CreateObject();
		char size[24];

		snprintf(size, sizeof(size), from->size >= 1024 ? "%.0fk" : "%.0f",
			 from->size >= 1024 ? from->size / 1024 : from->size);
		cJSON_AddStringToObject(p, "x", size);
		cJSON_AddNumberToObject(p, "y", from->predicted);
		cJSON_AddItemToArray(points, p);
		if (!isnan(from->measured) && at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "; counted with %s: %.3g", size, from->measured);
	}
	cJSON_AddStringToObject(curve, "why", text);
	cJSON_AddItemToArray(curves, curve);
}

static void add_pareto(cJSON *list, const struct sm_tuning *t, unsigned i)
{
	const struct sm_tune_tried *x = &t->found->tried[i];
	char *variant = sm_space_variant(t->space, &x->point);
	cJSON *p = cJSON_CreateObject();

	cJSON_AddStringToObject(p, "label", variant != NULL ? variant : "?");
	sm_json_number(p, "time_ratio", exp(x->median), !isnan(x->median));
	sm_json_number(p, "rss_ratio", x->memory, !isnan(x->memory));
	cJSON_AddBoolToObject(p, "front", sm_tuning_on_front(t, i));
	cJSON_AddBoolToObject(p, "chosen", t->found->confirmed_any && i == t->found->winner);
	cJSON_AddItemToArray(list, p);
	free(variant);
}

static void add_difference(cJSON *obj, const struct sm_difference *d)
{
	sm_json_number(obj, "ratio", d->ratio, !isnan(d->ratio));
	sm_json_number(obj, "low", d->low, d->has_interval);
	sm_json_number(obj, "high", d->high, d->has_interval);
	cJSON_AddNumberToObject(obj, "pairs", (double)d->nbase);
	cJSON_AddStringToObject(obj, "verdict", sm_verdict_names[d->verdict]);
}

static void add_confirmation(cJSON *doc, const struct sm_tuning *t)
{
	const struct sm_tune_found *f = t->found;
	cJSON *obj, *works;

	if (!f->confirmed_any) {
		cJSON_AddNullToObject(doc, "confirmed");
		return;
	}
	obj = cJSON_AddObjectToObject(doc, "confirmed");
	add_difference(obj, &f->total);
	sm_json_number(obj, "rss_ratio", f->memory, !isnan(f->memory));
	works = cJSON_AddArrayToObject(obj, "workloads");
	for (unsigned w = 0; w < f->nworks; w++) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "workload",
					w < t->trials->works.n ? t->trials->works.v[w] : "?");
		add_difference(one, &f->works[w]);
		cJSON_AddItemToArray(works, one);
	}
}

cJSON *sm_tuning_json(const struct sm_tuning *t)
{
	static const char *const advices[] = {"take", "default", "unclear"};
	cJSON *doc = cJSON_CreateObject(), *list;
	char text[200];
	enum sm_advice advice = sm_tuning_advice(t, text, sizeof(text));
	char *variant = sm_space_variant(t->space, &t->found->tried[t->found->winner].point);

	cJSON_AddStringToObject(doc, "id", t->trials->id);
	cJSON_AddStringToObject(doc, "backend", t->backend);
	cJSON_AddStringToObject(doc, "advice", advices[advice]);
	cJSON_AddStringToObject(doc, "why", text);
	cJSON_AddStringToObject(doc, "settings", variant != NULL ? variant : "?");
	sm_objective_print(t->objective, text, sizeof(text));
	cJSON_AddStringToObject(doc, "objective", text);
	add_confirmation(doc, t);
	list = cJSON_AddArrayToObject(doc, "curves");
	for (unsigned i = 0; i < t->space->n; i++)
		add_curve(list, t, i);
	for (unsigned i = 0; i < t->counterfactual->n && i < 4; i++)
		add_class_curve(list, &t->counterfactual->classes[i], t->counterfactual->windows);
	cJSON_AddItemToObject(doc, "classes", sm_counterfactual_json(t->counterfactual));
	list = cJSON_AddArrayToObject(doc, "pareto");
	for (unsigned i = 0; i < t->found->ntried; i++)
		add_pareto(list, t, i);
	free(variant);
	return doc;
}
