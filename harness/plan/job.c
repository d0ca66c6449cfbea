/*
 * job.c: jobs as JSON, from the plan. See job.h.
 */
#include "harness/plan/job.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/order.h"
#include "perf/counterset.h"
#include "perf/names.h"

/* ---- plan -> text ------------------------------------------------------------------------- */

static cJSON *params_json(const struct sm_params *p)
{
	cJSON *obj = cJSON_CreateObject();

	if (sm_program_of(p->workload) != NULL)
		sm_program_params(sm_program_of(p->workload), obj);
	for (unsigned i = 0; i < sm_workload_nparams(p->workload); i++) {
		const struct sm_param_desc *d = &p->workload->params[i];
		const struct sm_param_value *v = &p->values[i];
		cJSON *list;

		switch (d->kind) {
		case SM_PARAM_INT: cJSON_AddNumberToObject(obj, d->name, (double)v->number); break;
		case SM_PARAM_TEXT: cJSON_AddStringToObject(obj, d->name, v->text); break;
		case SM_PARAM_LIST:
			list = cJSON_AddArrayToObject(obj, d->name);
			for (unsigned k = 0; k < v->n; k++)
				cJSON_AddItemToArray(list, cJSON_CreateNumber((double)v->list[k]));
			break;
		}
	}
	return obj;
}

static cJSON *config_json(const struct sm_case *c)
{
	cJSON *obj = cJSON_CreateObject();

	for (size_t i = 0; i < c->settings.n; i++) {
		const char *s = c->settings.v[i];
		size_t len = strcspn(s, "=");
		char *key = strndup(s, len);

		if (key != NULL)
			cJSON_AddStringToObject(obj, key, s + len + 1);
		free(key);
	}
	return obj;
}

static cJSON *seats_json(const struct sm_case *c, enum sm_role role)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < c->placement.n; i++) {
		const struct sm_place_thread *t = &c->placement.threads[i];
		int seat[2] = {t->pu == SM_NONE ? -1 : t->pu_os,
			       t->pu == SM_NONE ? -1 : t->node_os};

		if (t->role == role)
			cJSON_AddItemToArray(list, cJSON_CreateIntArray(seat, 2));
	}
	return list;
}

static cJSON *cpus_json(const struct sm_case *c, enum sm_role role)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < c->placement.n; i++) {
		const struct sm_place_thread *t = &c->placement.threads[i];

		if (t->role == role)
			cJSON_AddItemToArray(list,
					     cJSON_CreateNumber(t->pu == SM_NONE ? -1 : t->pu_os));
	}
	return list;
}

/* What the report shows of it. */
static cJSON *placement_json(const struct sm_plan *p, const struct sm_case *c)
{
	cJSON *obj = cJSON_CreateObject();
	char text[SM_PLACED_TEXT];

	cJSON_AddStringToObject(obj, "place", sm_place_name(c->place));
	cJSON_AddStringToObject(obj, "mark_place", sm_mark_place_name(c->mark_place));
	if (c->kind[0])
		cJSON_AddStringToObject(obj, "kind", c->kind);
	sm_placement_describe(p->topology, &c->placement, text, sizeof(text));
	cJSON_AddStringToObject(obj, "placed", text);
	cJSON_AddNumberToObject(obj, "threads", c->threads);
	cJSON_AddNumberToObject(obj, "workers", c->workers);
	cJSON_AddItemToObject(obj, "mutator_cpus", cpus_json(c, SM_ROLE_MUTATOR));
	cJSON_AddItemToObject(obj, "worker_cpus", cpus_json(c, SM_ROLE_WORKER));
	return obj;
}

/* What the parent found out about the counters: a worker need not, and must not come to another
 * end. */
static cJSON *pass_plan_json(const struct sm_counterset *cs)
{
	cJSON *obj = cJSON_CreateObject(), *metrics = cJSON_AddArrayToObject(obj, "metrics");
	cJSON *verdicts = cJSON_AddArrayToObject(obj, "verdicts");
	struct sm_pass_plan plan;

	if (sm_counterset_plan(cs, &plan))
		return obj; /* of no metrics: refused by its reader */
	for (unsigned i = 0; i < plan.n_metrics; i++) {
		cJSON *m = cJSON_CreateObject();

		cJSON_AddStringToObject(m, "name", plan.metrics[i].name);
		cJSON_AddNumberToObject(m, "pass", plan.metrics[i].pass);
		cJSON_AddItemToArray(metrics, m);
	}
	for (unsigned i = 0; i < plan.n_verdicts; i++) {
		const struct sm_pass_verdict *from = &plan.verdicts[i];
		cJSON *v = cJSON_CreateObject();

		cJSON_AddNumberToObject(v, "event", from->event);
		cJSON_AddNumberToObject(v, "kind", from->kind);
		cJSON_AddStringToObject(v, "status", sm_status_names[from->status]);
		cJSON_AddStringToObject(v, "reason", from->reason);
		cJSON_AddItemToArray(verdicts, v);
	}
	free(plan.metrics);
	free(plan.verdicts);
	return obj;
}

char *sm__job_counters(const struct sm_run_options *o, const struct sm_plan *p)
{
	cJSON *obj;
	char *text;

	if (p->counters == NULL)
		return strdup("null");
	obj = cJSON_CreateObject();
	cJSON_AddStringToObject(obj, "from", sm_count_name(o->counters));
	cJSON_AddItemToObject(obj, "sets", cJSON_CreateStringArray(p->sets, (int)p->nsets));
	cJSON_AddItemToObject(
		obj, "events",
		cJSON_CreateStringArray((const char *const *)o->events.v, (int)o->events.n));
	cJSON_AddBoolToObject(obj, "multiplex", o->multiplex);
	cJSON_AddItemToObject(obj, "plan", pass_plan_json(p->counters));
	text = cJSON_PrintUnformatted(obj);
	cJSON_Delete(obj);
	return text;
}

/* What the worker shall run with, and how it was found. */
static cJSON *library_json(const struct sm_case_backend *b)
{
	cJSON *obj = cJSON_CreateObject();

	cJSON_AddStringToObject(obj, "kernel", sm_wl_backend_name(b->kernel));
	if (b->missing[0] != '\0')
		cJSON_AddStringToObject(obj, "missing", b->missing);
	if (b->library != NULL)
		cJSON_AddStringToObject(obj, "path", b->library);
	if (b->build_id[0] != '\0')
		cJSON_AddStringToObject(obj, "build_id", b->build_id);
	return obj;
}

char *sm__job_format(const struct sm_run_options *o, const struct sm_plan *p, unsigned group,
		     unsigned pass, unsigned rep)
{
	const struct sm_case *c = &p->cases[group];
	cJSON *job = cJSON_CreateObject();
	char seed[32], *text;

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)sm_plan_job_seed(p->seed, rep));
	cJSON_AddStringToObject(job, "workload", c->params->workload->name);
	cJSON_AddStringToObject(job, "backend", c->backend->name);
	cJSON_AddItemToObject(job, "library", library_json(c->backend));
	cJSON_AddItemToObject(job, "params", params_json(c->params));
	if (sm_program_of(c->params->workload) != NULL)
		cJSON_AddItemToObject(job, "program",
				      sm_program_json(sm_program_of(c->params->workload)));
	cJSON_AddItemToObject(job, "config", config_json(c));
	cJSON_AddItemToObject(job, "placement", placement_json(p, c));
	cJSON_AddNumberToObject(job, "group", group);
	cJSON_AddNumberToObject(job, "pass", pass);
	cJSON_AddNumberToObject(job, "rep", rep);
	cJSON_AddStringToObject(job, "seed", seed);
	cJSON_AddItemToObject(job, "mutators", seats_json(c, SM_ROLE_MUTATOR));
	cJSON_AddNumberToObject(job, "workers", c->workers);
	cJSON_AddItemToObject(job, "marks", seats_json(c, SM_ROLE_WORKER));
	cJSON_AddRawToObject(job, "counters", p->counters_text);
	cJSON_AddStringToObject(job, "by", sm_by_names[o->by]);
	cJSON_AddStringToObject(job, "from", sm_count_name(o->counters));
	if (pass >= p->passes)
		cJSON_AddTrueToObject(job, "beside");
	cJSON_AddNumberToObject(job, "timeout_s", p->timeout_s);
	text = cJSON_PrintUnformatted(job);
	cJSON_Delete(job);
	return text;
}
