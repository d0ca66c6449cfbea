/*
 * job_read.c: jobs from JSON: for the loop that runs them, and for the worker. See job.h.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/job.h"
#include "perf/counterset.h"
#include "perf/names.h"

/* ---- text -> record ----------------------------------------------------------------------- */

static const char *text_of(const cJSON *root, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* A whole number in 0..max; -1 when it is none. */
static int64_t number_of(const cJSON *root, const char *name, double max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= max))
		return -1;
	return (int64_t)item->valuedouble;
}

static const char *object_text(const cJSON *root, const char *name, struct sm_pool *pool)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
	char *text = cJSON_IsObject(item) ? cJSON_PrintUnformatted(item) : NULL;
	const char *kept = text != NULL ? sm_pool_str(pool, text) : NULL;

	free(text);
	return kept;
}

static const char *label_of(const cJSON *root, const char *workload, const char *backend,
			    struct sm_pool *pool)
{
	char text[160];
	const cJSON *item;
	size_t n = (size_t)snprintf(text, sizeof(text), "%s %s", workload, backend);

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "config"))
	{
		if (n < sizeof(text) && cJSON_IsString(item))
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%s", item->string,
					      item->valuestring);
	}
	return sm_pool_str(pool, text);
}

/* Of the job's library; "": not said. */
static const char *library_text(const cJSON *root, const char *name, struct sm_pool *pool)
{
	const char *text = text_of(cJSON_GetObjectItemCaseSensitive(root, "library"), name);

	return sm_pool_str(pool, text != NULL ? text : "");
}

int sm_job_describe(const char *text, struct sm_record *r, struct sm_pool *pool)
{
	cJSON *root = cJSON_Parse(text);
	const char *workload = text_of(root, "workload"), *backend = text_of(root, "backend");
	int64_t group = number_of(root, "group", UINT32_MAX),
		pass = number_of(root, "pass", UINT32_MAX);
	int64_t rep = number_of(root, "rep", UINT32_MAX);
	const cJSON *limit = cJSON_GetObjectItemCaseSensitive(root, "timeout_s");
	const char *from = text_of(root, "from");
	int rc = 0;

	*r = (struct sm_record){0};
	if (workload == NULL || backend == NULL || group < 0 || pass < 0 || rep < 0 ||
	    from == NULL || !cJSON_IsNumber(limit) || !(limit->valuedouble > 0))
		rc = -EINVAL;
	if (rc == 0) {
		r->workload = sm_pool_str(pool, workload);
		r->backend = sm_pool_str(pool, backend);
		r->params = object_text(root, "params", pool);
		r->config = object_text(root, "config", pool);
		r->placement = object_text(root, "placement", pool);
		r->label = label_of(root, workload, backend, pool);
		r->missing = library_text(root, "missing", pool);
		r->preload = strcmp(library_text(root, "kernel", pool), "libc") == 0
				     ? library_text(root, "path", pool)
				     : sm_pool_str(pool, "");
		r->group = (unsigned)group;
		r->pass = (unsigned)pass;
		r->rep = (unsigned)rep;
		r->program = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "program"));
		r->simulated = strcmp(from, sm_count_name(SM_COUNT_SIM)) == 0;
		r->beside = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "beside"));
		r->timeout_s = limit->valuedouble;
		r->message = r->output = r->warnings = r->library = sm_pool_str(pool, "");
		if (r->workload == NULL || r->backend == NULL || r->params == NULL ||
		    r->config == NULL || r->placement == NULL || r->label == NULL ||
		    r->message == NULL)
			rc = -EINVAL;
	}
	cJSON_Delete(root);
	return rc;
}

/* ---- text -> session's job ---------------------------------------------------------------- */

static int bad(char *err, size_t errlen, const char *what)
{
	snprintf(err, errlen, "the job is damaged: %s", what);
	return -EINVAL;
}

static int set_param(struct sm_params *params, const cJSON *item, char *err, size_t errlen)
{
	char text[SM_PARAM_LIST_MAX * 24 + 128];
	size_t n = (size_t)snprintf(text, sizeof(text), "%.60s=", item->string);

	if (cJSON_IsString(item))
		snprintf(text + n, sizeof(text) - n, "%s", item->valuestring);
	else if (cJSON_IsNumber(item))
		snprintf(text + n, sizeof(text) - n, "%.0f", item->valuedouble);
	else if (cJSON_IsArray(item)) {
		for (const cJSON *e = item->child; e != NULL && n < sizeof(text); e = e->next)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%.0f%s", e->valuedouble,
					      e->next != NULL ? "," : "");
	}
	return sm_params_set(params, text, err, errlen);
}

static int parse_params(const cJSON *root, struct sm_job_parts *p, char *err, size_t errlen)
{
	const char *name = text_of(root, "workload");
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(root, "params"), *item;
	const cJSON *program = cJSON_GetObjectItemCaseSensitive(root, "program");
	const struct sm_workload *w;
	int rc = 0;

	if (name == NULL || !cJSON_IsObject(params))
		return bad(err, errlen, "workload");
	if (program != NULL) {
		rc = sm_program_parse(program, &p->program);
		if (rc)
			return rc == -EINVAL ? bad(err, errlen, "program") : rc;
		w = &p->program->workload;
	} else {
		w = sm_workload_find(name, err, errlen);
	}
	if (w == NULL)
		return -EINVAL;
	p->params = malloc(sizeof(*p->params));
	if (p->params == NULL)
		return -ENOMEM;
	sm_params_init(p->params, w, false);
	for (item = params->child; item != NULL && rc == 0; item = item->next)
		if (p->program == NULL || sm_workload_param(w, item->string) >= 0)
			rc = set_param(p->params, item, err, errlen);
	return rc;
}

static int parse_settings(const cJSON *root, struct sm_job_parts *p, char *err, size_t errlen)
{
	const cJSON *config = cJSON_GetObjectItemCaseSensitive(root, "config"), *item;

	if (!cJSON_IsObject(config))
		return bad(err, errlen, "config");
	p->settings = calloc((size_t)cJSON_GetArraySize(config) + 1, sizeof(*p->settings));
	if (p->settings == NULL)
		return -ENOMEM;
	for (item = config->child; item; item = item->next) {
		if (!cJSON_IsString(item))
			return bad(err, errlen, "config");
		p->settings[p->job.nsettings++] =
			(struct sm_setting){item->string, item->valuestring};
	}
	return 0;
}

/* Of a CPU or a node: a number of the system's, or -1. */
static bool is_seat(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble == item->valueint && item->valueint >= -1;
}

static int parse_seats(const cJSON *root, const char *name, unsigned want, struct sm_seat **out,
		       char *err, size_t errlen)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, name), *item;
	unsigned n = 0;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != (int)want)
		return bad(err, errlen, name);
	*out = calloc(want + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (item = list->child; item; item = item->next) {
		const cJSON *cpu = cJSON_GetArrayItem(item, 0), *node = cJSON_GetArrayItem(item, 1);

		if (!is_seat(cpu) || !is_seat(node))
			return bad(err, errlen, name);
		(*out)[n++] = (struct sm_seat){cpu->valueint, node->valueint};
	}
	return 0;
}

/* The strings of an array as an array of pointers into it; NULL when out of memory or no array of
 * strings. */
static const char **string_array(const cJSON *list, unsigned *n)
{
	const char **v = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*v));
	const cJSON *item;

	*n = 0;
	for (item = v != NULL && list != NULL ? list->child : NULL; item; item = item->next) {
		if (cJSON_IsString(item))
			v[(*n)++] = item->valuestring;
	}
	return v;
}

/* The two arrays of "plan", allocated whatever is in them. -EINVAL: damaged. */
static int parse_pass_plan(const cJSON *obj, struct sm_pass_plan *plan)
{
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(obj, "metrics"), *item;
	const cJSON *verdicts = cJSON_GetObjectItemCaseSensitive(obj, "verdicts");

	plan->metrics = calloc((size_t)cJSON_GetArraySize(metrics) + 1, sizeof(*plan->metrics));
	plan->verdicts = calloc((size_t)cJSON_GetArraySize(verdicts) + 1, sizeof(*plan->verdicts));
	if (plan->metrics == NULL || plan->verdicts == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(item, metrics)
	{
		struct sm_pass_metric m = {.name = text_of(item, "name"),
					   .pass = (int)number_of(item, "pass", INT32_MAX)};

		if (m.name == NULL)
			return -EINVAL;
		plan->metrics[plan->n_metrics++] = m;
	}
	cJSON_ArrayForEach(item, verdicts)
	{
		int64_t event = number_of(item, "event", INT32_MAX),
			kind = number_of(item, "kind", INT32_MAX);
		const char *status = text_of(item, "status"), *reason = text_of(item, "reason");
		int word = status != NULL ? sm_names_find(sm_status_names, status) : -1;

		if (event < 0 || kind < 0 || word < 0 || reason == NULL)
			return -EINVAL;
		plan->verdicts[plan->n_verdicts++] = (struct sm_pass_verdict){
			(unsigned)event, (unsigned)kind, (enum sm_status)word, reason};
	}
	return 0;
}

static int parse_counters(const cJSON *root, struct sm_job_parts *p, char *err, size_t errlen)
{
	const cJSON *obj = cJSON_GetObjectItemCaseSensitive(root, "counters");
	const char *from = text_of(obj, "from");
	struct sm_counterset_options opt = {0};
	struct sm_pass_plan plan = {0};
	int rc;

	if (!cJSON_IsObject(obj))
		return 0;
	p->sets = string_array(cJSON_GetObjectItemCaseSensitive(obj, "sets"), &opt.n_sets);
	p->events = string_array(cJSON_GetObjectItemCaseSensitive(obj, "events"), &opt.n_events);
	if (p->sets == NULL || p->events == NULL)
		return -ENOMEM;
	opt.sets = p->sets;
	opt.events = p->events;
	opt.multiplex = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(obj, "multiplex"));
	opt.plan = &plan;
	opt.from = from != NULL && strcmp(from, "sw") == 0    ? SM_COUNTERS_SW
		   : from != NULL && strcmp(from, "sim") == 0 ? SM_COUNTERS_SIM
							      : SM_COUNTERS_AUTO;
	rc = parse_pass_plan(cJSON_GetObjectItemCaseSensitive(obj, "plan"), &plan);
	if (rc == -EINVAL)
		bad(err, errlen, "plan of the counters");
	if (rc == 0)
		rc = sm_counterset_new(&opt, &p->counters, err, errlen);
	free(plan.metrics);
	free(plan.verdicts);
	return rc;
}

static int parse_rest(const cJSON *root, struct sm_job_parts *p, char *err, size_t errlen)
{
	const cJSON *library = cJSON_GetObjectItemCaseSensitive(root, "library");
	const char *backend = text_of(library, "kernel"), *seed = text_of(root, "seed"),
		   *by = text_of(root, "by");
	int what = by != NULL ? sm_names_find(sm_by_names, by) : SM_BY_ROLE;
	int64_t workers = number_of(root, "workers", 4096),
		pass = number_of(root, "pass", UINT32_MAX);
	struct sm_topology_source here = {0};
	int rc;

	backend = backend != NULL ? backend : text_of(root, "backend");
	p->library = text_of(library, "path");
	p->build_id = text_of(library, "build_id");
	if (backend == NULL || seed == NULL || workers < 0 || pass < 0 || what < 0)
		return bad(err, errlen, "backend, seed, workers, pass or by");
	rc = sm_wl_backend_parse(backend, &p->job.backend, err, errlen);
	p->job.seed = strtoull(seed, NULL, 10);
	p->job.workers = (unsigned)workers;
	p->beside = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "beside"));
	p->job.pass = p->beside ? 0 : (unsigned)pass; /* of its own counters it is the first */
	p->timeout_s = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(root, "timeout_s"));
	p->job.by = (enum sm_by)what;
	if (rc == 0)
		rc = parse_settings(root, p, err, errlen);
	if (rc == 0)
		rc = parse_seats(root, "mutators", sm_params_threads(p->params), &p->mutators, err,
				 errlen);
	if (rc == 0)
		rc = parse_seats(root, "marks", p->job.workers, &p->marks, err, errlen);
	if (rc == 0)
		rc = sm_topology_load(&here, &p->topology, err, errlen);
	if (rc == 0)
		rc = parse_counters(root, p, err, errlen);
	return rc;
}

int sm_job_parse(const char *text, size_t len, struct sm_job_parts *p, char *err, size_t errlen)
{
	int rc;

	*p = (struct sm_job_parts){.root = cJSON_ParseWithLength(text, len)};
	if (p->root == NULL)
		return bad(err, errlen, "not JSON");
	rc = parse_params(p->root, p, err, errlen);
	if (rc == 0) {
		sm_job_init(&p->job, p->params);
		rc = parse_rest(p->root, p, err, errlen);
	}
	p->job.params = p->params;
	p->job.settings = p->settings;
	p->job.mutators = p->mutators;
	p->job.marks = p->marks;
	p->job.topology = p->topology;
	p->job.counters = p->counters;
	p->job.library = p->library;
	p->job.backend_name = text_of(p->root, "backend");
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	return rc;
}

void sm_job_parts_free(struct sm_job_parts *p)
{
	free(p->params);
	free(p->settings);
	free(p->mutators);
	free(p->marks);
	sm_program_free(p->program);
	sm_topology_free(p->topology);
	sm_counterset_free(p->counters);
	free(p->sets);
	free(p->events);
	cJSON_Delete(p->root);
	*p = (struct sm_job_parts){0};
}
