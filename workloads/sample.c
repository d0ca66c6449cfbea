/*
 * sample.c: the container that a sample's results and metrics come back in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/session.h"

/* Room for one more in an array that doubles; entries are counted by n, capacity is the next power of 2. */
static int make_room(void **array, unsigned n, size_t size)
{
	void *grown;

	if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
		return 0;
	grown = realloc(*array, size * (n == 0 ? 8 : 2 * (size_t)n));
	if (grown == NULL)
		return -ENOMEM;
	*array = grown;
	return 0;
}

void sm_sample_init(struct sm_sample *s)
{
	memset(s, 0, sizeof(*s));
}

void sm_sample_free(struct sm_sample *s)
{
	free(s->results);
	free(s->metrics);
	free(s->output);
	free(s->warnings);
	sm_sample_init(s);
}

/* A result is reported once: a second report of a name replaces the first. */
static struct sm_result *result_slot(struct sm_sample *s, const char *name, const char *unit)
{
	struct sm_result *r = (struct sm_result *)sm_sample_result(s, name);

	if (r == NULL) {
		if (make_room((void **)&s->results, s->nresults, sizeof(*r)) != 0)
			return NULL;
		r = &s->results[s->nresults++];
	}
	memset(r, 0, sizeof(*r));
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->unit, sizeof(r->unit), "%s", unit);
	return r;
}

int sm_sample_add_int(struct sm_sample *s, const char *name, int64_t value, const char *unit)
{
	struct sm_result *r = result_slot(s, name, unit);

	if (r == NULL)
		return -ENOMEM;
	r->kind = SM_VALUE_INT;
	r->i = value;
	return 0;
}

int sm_sample_add_double(struct sm_sample *s, const char *name, double value, const char *unit)
{
	struct sm_result *r = result_slot(s, name, unit);

	if (r == NULL)
		return -ENOMEM;
	r->kind = SM_VALUE_DOUBLE;
	r->d = value;
	return 0;
}

int sm_sample_add_none(struct sm_sample *s, const char *name, const char *unit, const char *reason)
{
	struct sm_result *r = result_slot(s, name, unit);

	if (r == NULL)
		return -ENOMEM;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	return 0;
}

int sm_sample_add_metric(struct sm_sample *s, const struct sm_metric *m)
{
	if (make_room((void **)&s->metrics, s->nmetrics, sizeof(*m)) != 0)
		return -ENOMEM;
	s->metrics[s->nmetrics++] = *m;
	return 0;
}

const struct sm_result *sm_sample_result(const struct sm_sample *s, const char *name)
{
	for (unsigned i = 0; i < s->nresults; i++)
		if (strcmp(s->results[i].name, name) == 0)
			return &s->results[i];
	return NULL;
}

const char *sm_metric_status_name(enum sm_metric_status s)
{
	static const char *const names[] = {
		[SM_METRIC_OK] = "ok",
		[SM_METRIC_SCALED] = "multiplexed",
		[SM_METRIC_UNSUPPORTED] = "unsupported",
		[SM_METRIC_DENIED] = "denied",
		[SM_METRIC_NOT_COUNTED] = "not_counted",
	};

	return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "unknown";
}
