/* metric.c: evaluating metrics over readings; see counterset.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "perf/counterset.h"
#include "perf/passes.h"

struct eval {
	const struct sm_counterset *cs;
	const struct sm_cs_metric *m;
	unsigned kind;
	const struct sm_reading *readings;
	const struct sm_metric_env *env;
	struct sm_metric_value *out;
	const struct sm_reading *first_scaled;
};

static void missing(struct eval *e, enum sm_status st, const char *why)
{
	if (e->out->status > SM_STATUS_MULTIPLEXED)
		return;
	e->out->status = st;
	snprintf(e->out->reason, sizeof(e->out->reason), "%s",
		 why != NULL ? why : sm_status_names[st]);
}

/*
 * Two scaled values may be set against each other only when they ran in the same group, which shows
 * in equal times; otherwise their ratio compares different stretches of the program.
 */
static bool comparable(struct eval *e, const struct sm_reading *r)
{
	if (r->status != SM_STATUS_MULTIPLEXED)
		return true;
	if (e->first_scaled == NULL)
		e->first_scaled = r;
	return r->enabled == e->first_scaled->enabled && r->running == e->first_scaled->running;
}

static bool event_value(struct eval *e, unsigned index, double *v)
{
	const struct sm_cs_event *ev = &e->cs->events[index];
	const struct sm_reading *r = &e->readings[index];

	if (ev->constant) {
		*v = ev->value;
		return true;
	}
	if (!sm_reading_value(r, v)) {
		missing(e, r->status == SM_STATUS_MULTIPLEXED ? SM_STATUS_NOT_COUNTED : r->status,
			r->reason != NULL ? r->reason : "never scheduled");
		return false;
	}
	if (!comparable(e, r)) {
		missing(e, SM_STATUS_NOT_COUNTED, "its events were multiplexed at different times");
		return false;
	}
	if (r->status == SM_STATUS_MULTIPLEXED)
		e->out->status = SM_STATUS_MULTIPLEXED;
	*v *= ev->res[e->kind].code.scale > 0 ? ev->res[e->kind].code.scale : 1;
	return true;
}

static bool variable(void *ctx, const char *name, double *v)
{
	struct eval *e = ctx;

	if (strcmp(name, "ops") == 0 || strcmp(name, "seconds") == 0) {
		*v = name[0] == 'o' ? e->env->ops : e->env->seconds;
		if (!isnan(*v))
			return true;
		missing(e, SM_STATUS_NOT_COUNTED,
			name[0] == 'o' ? "the workload states no number of operations"
				       : "the time is not known");
		return false;
	}
	for (unsigned i = 0; i < e->m->n_events; i++)
		if (strcmp(e->cs->events[e->m->events[i]].name, name) == 0)
			return event_value(e, e->m->events[i], v);
	missing(e, SM_STATUS_UNSUPPORTED, "no such event");
	return false;
}

void sm_metric_eval(const struct sm_counterset *cs, const struct sm_cs_metric *m, unsigned kind,
		    const struct sm_reading *readings, const struct sm_metric_env *env,
		    struct sm_metric_value *out)
{
	struct eval e = {
		.cs = cs, .m = m, .kind = kind, .readings = readings, .env = env, .out = out};
	char why[160];
	int rc = 0;

	*out = (struct sm_metric_value){.source = m->source};
	if (m->refused != SM_STATUS_OK) {
		missing(&e, m->refused, m->reason);
		return;
	}
	if (m->formula[0]) {
		rc = sm_expr_eval(m->formula, variable, &e, &out->value, why, sizeof(why));
		if (rc && rc != -ENODATA)
			missing(&e, SM_STATUS_NOT_COUNTED, rc == -EDOM ? "division by zero" : why);
	} else if (m->n_events) {
		event_value(&e, m->events[0], &out->value);
	}
	if (out->status == SM_STATUS_MULTIPLEXED)
		snprintf(out->reason, sizeof(out->reason),
			 "multiplexed: scaled from a part of the time");
}

struct sm_reading sm_counterset_missing(const struct sm_counterset *cs, unsigned event,
					unsigned kind, unsigned pass)
{
	const struct sm_cs_event *e = &cs->events[event];
	const struct sm_event_resolved *r = &e->res[kind];
	struct sm_reading out = {
		.source = r->code.source, .status = r->status, .reason = r->reason};

	if (r->status != SM_STATUS_OK)
		return out;
	out.status = SM_STATUS_NOT_COUNTED;
	if (cs->opt.from == SM_COUNTERS_SIM && r->code.source == SM_SOURCE_SIM)
		out.reason = "comes from the Callgrind dump of the sample";
	else if (e->uncore)
		out.reason = "counted per package or L3, not per thread";
	else if (sm__is_hw(e, kind) && !(e->in_pass >> pass & 1))
		out.reason = e->in_pass ? "counted in another pass" : "not part of any pass";
	else
		out.reason = "not opened for this thread";
	return out;
}

void sm_counterset_label(const struct sm_counterset *cs, const struct sm_cs_metric *m,
			 unsigned kind, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < m->n_events && at < len; i++) {
		const struct sm_cs_event *e = &cs->events[m->events[i]];

		if (e->constant)
			continue;
		at += (size_t)snprintf(buf + at, len - at, "%s%s", at ? " " : "",
				       e->res[kind].name[0] ? e->res[kind].name
				       : e->string[0]	    ? e->string
							    : e->name);
	}
}
