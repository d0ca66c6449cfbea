/*
 * sample.c: the container that a sample's results and metrics come back in.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/session.h"
#include "workloads/results.h"

void sm_sample_init(struct sm_sample *s)
{
	memset(s, 0, sizeof(*s));
}

void sm_sample_forget(struct sm_sample *s)
{
	free(s->results);
	free(s->metrics);
	free(s->series);
	s->results = NULL;
	s->metrics = NULL;
	s->series = NULL;
	s->nresults = s->nmetrics = s->nseries = 0;
	sm_pool_free(&s->pool);
}

int sm_sample_keep_simulated(struct sm_sample *s)
{
	const struct sm_result *all = sm_sample_result(s, "ops");
	struct sm_result ops = all != NULL ? *all : (struct sm_result){.reason = "none counted"};
	size_t kept = 0, marked = 0;

	for (size_t i = 0; i < s->nmetrics; i++)
		if (s->metrics[i].source == SM_SOURCE_SIM)
			s->metrics[kept++] = s->metrics[i];
	s->nmetrics = kept;
	for (size_t i = 0; i < s->nresults; i++)
		if (sm_result_shown(s->results[i].name) == SM_SHOWN_MARKED)
			s->results[marked++] = s->results[i];
	s->nresults = marked;
	free(s->series);
	free(s->output);
	free(s->warnings);
	s->series = NULL;
	s->output = s->warnings = NULL;
	s->nseries = 0;
	ops.name = "simulated_ops";
	ops.unit = "ops";
	return sm_sample_add_result(s, &ops);
}

void sm_sample_free(struct sm_sample *s)
{
	sm_sample_forget(s);
	free(s->output);
	free(s->warnings);
	sm_sample_init(s);
}

int sm_sample_add_result(struct sm_sample *s, const struct sm_result *r)
{
	struct sm_result *slot = (struct sm_result *)sm_sample_result(s, r->name);

	if (slot == NULL)
		slot = sm_row_add(&sm_result_type, &s->results, &s->nresults);
	if (slot == NULL)
		return -ENOMEM;
	*slot = *r;
	if (r->has_value && !isfinite(r->value)) {
		slot->has_value = false;
		slot->reason = "not a finite number";
	}
	return sm_row_keep(&sm_result_type, slot, &s->pool);
}

int sm_sample_add_metric(struct sm_sample *s, const struct sm_metric *m)
{
	struct sm_metric *slot = sm_row_add(&sm_metric_type, &s->metrics, &s->nmetrics);

	if (slot == NULL)
		return -ENOMEM;
	*slot = *m;
	slot->has_value = m->has_value && isfinite(m->value);
	return sm_row_keep(&sm_metric_type, slot, &s->pool);
}

int sm_sample_add_series(struct sm_sample *s, const struct sm_series *series)
{
	struct sm_series *slot = sm_row_add(&sm_series_type, &s->series, &s->nseries);

	if (slot == NULL)
		return -ENOMEM;
	*slot = *series;
	return sm_row_keep(&sm_series_type, slot, &s->pool);
}

const struct sm_result *sm_sample_result(const struct sm_sample *s, const char *name)
{
	return sm_result_find(s->results, s->nresults, name);
}
