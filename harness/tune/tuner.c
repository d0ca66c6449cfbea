/* tuner.c: see tuner.h. */
#include "harness/tune/tuner.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "allocator/os/setfile.h"
#include "harness/base/complain.h"
#include "harness/plan/variant.h"
#include "harness/process/child.h"

/* ---- the tuning --------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ull;
	return (h ^ 0xff) * 1099511628211ull; /* where one text ends */
}

static uint64_t hash_strings(uint64_t h, const struct sm_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		h = hash_text(h, s->v[i]);
	return hash_text(h, "");
}

/* All that decides what is measured. */
static void hash_options(const struct sm_tuner *t, char out[17])
{
	char numbers[160];
	uint64_t h = 14695981039346656037ull;

	snprintf(numbers, sizeof(numbers), "%g %g %g %d %llu", t->budget_s, t->max_memory,
		 t->margin, (int)t->method, (unsigned long long)(t->seed_given ? t->seed : 0));
	h = hash_text(hash_text(h, t->backend), t->objective_text);
	h = hash_text(hash_strings(hash_strings(h, &t->args), &t->weights), numbers);
	for (unsigned i = 0; i < t->space.n; i++)
		h = hash_strings(hash_text(h, t->space.knobs[i].key), &t->space.knobs[i].values);
	snprintf(out, 17, "%016llx", (unsigned long long)h);
}

/* What is measured can be kept, and is, so that a refusal costs no sample. */
static int open_store_once(struct sm_tuner *t)
{
	struct sm_store *s = NULL;
	int rc = sm_store_open(t->store, &s, t->err, sizeof(t->err));

	sm_store_close(s);
	return rc == 0 || sm_store_is_no_mistake(rc, t->store) ? rc : -EINVAL;
}

int sm_tuner_identify(struct sm_tuner *t)
{
	char options[17], begun[17] = "";
	uint64_t id;
	int rc = 0;

	hash_options(t, options);
	if (t->resume) {
		rc = sm_trials_last(t->store, t->trials.id, begun, t->err, sizeof(t->err));
		if (rc == 0 && strcmp(begun, options) != 0) {
			snprintf(t->err, sizeof(t->err),
				 "--resume: the last tuning of '%.200s' was begun with other "
				 "options; give the same, or leave --resume out",
				 t->store);
			rc = -EINVAL;
		}
		if (rc)
			return sm_store_is_no_mistake(rc, t->store) ? rc : -EINVAL;
	} else {
		rc = open_store_once(t);
		if (rc)
			return rc;
		while (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
			;
		snprintf(t->trials.id, sizeof(t->trials.id), "%016llx", (unsigned long long)id);
	}
	snprintf(t->trials.options, sizeof(t->trials.options), "%s", options);
	t->trials.seed = t->seed_given ? t->seed : strtoull(t->trials.id, NULL, 16);
	return 0;
}

static void say(void *ctx, const char *stage, unsigned points, unsigned reps)
{
	const struct sm_tuner *t = ctx;
	double left = t->budget_s - t->used_s;
	double step = t->points_run > 0 ? points * reps * t->used_s / t->points_run : 0;
	bool beyond = step > left;

	left = beyond ? step : left;
	fprintf(stderr, "tune: %s: %u configuration%s, %u time%s; ", stage, points,
		points == 1 ? "" : "s", reps, reps == 1 ? "" : "s");
	fprintf(stderr, left >= 60 ? "about %.0f min left%s\n" : "about %.0f s left%s\n",
		left >= 60 ? left / 60 : left, beyond ? ": more than --budget has" : "");
}

/* "churn=2" is for all cases of churn, "churn size=64" among them. */
static bool weighs(const char *text, const char *name)
{
	size_t len = strcspn(text, "=");

	return strncmp(name, text, len) == 0 && (name[len] == '\0' || name[len] == ' ');
}

static double weight_of(const struct sm_tuner *t, const char *workload)
{
	double weight = 1;

	for (size_t i = 0; i < t->weights.n; i++)
		if (weighs(t->weights.v[i], workload))
			weight = strtod(strchr(t->weights.v[i], '=') + 1, NULL);
	return weight;
}

static void resolve_weights(struct sm_tuner *t, unsigned nworks)
{
	for (unsigned w = 0; w < nworks && t->weights.n > 0; w++)
		t->search.weights[w] = weight_of(t, t->trials.works.v[w]);
}

/* Each is a number, and of something that is measured. */
static int check_weights(struct sm_tuner *t, const struct sm_strings *workloads)
{
	for (size_t i = 0; i < t->weights.n; i++) {
		const char *text = t->weights.v[i];
		char *end;
		double v = strtod(strchr(text, '=') + 1, &end);
		bool any = false;

		for (size_t w = 0; w < workloads->n; w++)
			any |= weighs(text, workloads->v[w]);
		if (any && end[-1] != '=' && *end == '\0' && v >= 0 && isfinite(v))
			continue;
		snprintf(t->err, sizeof(t->err),
			 "--weight '%.60s'; allowed: WORKLOAD=NUMBER, of a workload that is "
			 "measured",
			 text);
		return -EINVAL;
	}
	for (size_t w = 0; w < workloads->n; w++)
		if (weight_of(t, workloads->v[w]) > 0)
			return 0;
	snprintf(t->err, sizeof(t->err),
		 "--weight: no workload counts; allowed: more than 0 for one");
	return -EINVAL;
}

int sm_tuner_check(struct sm_tuner *t)
{
	struct sm_strings workloads = {0};
	int rc;

	t->trials.store = t->store;
	t->trials.args = &t->args;
	t->trials.space = &t->space;
	t->trials.objective = &t->objective;
	rc = sm_trials_check(&t->trials, &workloads);
	if (rc && t->trials.err[0] != '\0')
		snprintf(t->err, sizeof(t->err), "%s", t->trials.err);
	rc = rc ? rc : check_weights(t, &workloads);
	sm_strings_free(&workloads);
	return rc;
}

static int measure(void *ctx, const char *stage, const struct sm_tune_point *points, unsigned n,
		   unsigned reps, struct sm_tune_batch *out)
{
	struct sm_tuner *t = ctx;
	int rc = sm_trials_measure(&t->trials, stage, points, n, reps, out);

	if (rc && t->trials.err[0] != '\0')
		snprintf(t->err, sizeof(t->err), "%s", t->trials.err);
	t->used_s += rc ? 0 : out->seconds;
	t->points_run += rc ? 0 : (double)n * reps;
	if (rc == 0)
		resolve_weights(t, out->nworks);
	return rc;
}

void sm_tuner_keep(struct sm_tuner *t)
{
	if (t->check != NULL || t->knobs.n > 0)
		return;
	for (size_t i = 0; i + 1 < t->args.n; i++) {
		if (strcmp(t->args.v[i], "--set") != 0)
			continue;
		sm_space_drop_all(&t->space, t->args.v[i + 1]);
		if (strncmp(t->args.v[i + 1], "gc.workers=", 11) == 0)
			sm_space_drop(&t->space, "workers"); /* the same by the other name */
	}
}

/* The caches of this machine, the smallest of each level. */
static void cache_sizes(struct sm_cache_sizes *out)
{
	long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);

	*out = (struct sm_cache_sizes){.l1 = l1 > 0 ? (double)l1 : 32 * 1024,
				       .l2 = l2 > 0 ? (double)l2 : 512 * 1024,
				       .tlb = 1536 * 4096.0}; /* second level, 4 KiB pages */
}

/* Knobs that cannot matter here are left out; a class that refills often has one of its own. What a
 * tuning has begun with, it goes on with. */
static int choose_by_record(struct sm_tuner *t, bool known)
{
	bool ours = strcmp(t->backend, "gc") == 0 || strcmp(t->backend, "span") == 0;
	int rc = 0;

	if (!known && t->knobs.n == 0 && ours)
		rc = sm_choice_make(&t->space, &t->counterfactual);
	sm_tuner_keep(t);
	rc = rc ? rc : sm_choice_keep(&t->trials, &t->space);
	if (rc && t->trials.err[0] != '\0')
		snprintf(t->err, sizeof(t->err), "%s", t->trials.err);
	t->search.dials = t->space.dials;
	t->search.ndials = t->space.n;
	return rc;
}

/* Before anything is tried: what sizes would have done. */
static int look_ahead(struct sm_tuner *t)
{
	struct sm_cache_sizes sizes;
	int rc, known;

	if (t->check != NULL)
		return 0;
	cache_sizes(&sizes);
	known = t->resume ? sm_choice_recall(&t->trials, &t->space) : 0;
	if (known < 0) {
		snprintf(t->err, sizeof(t->err), "%s", t->trials.err);
		return known;
	}
	say(t, "record", 1, 1);
	rc = sm_counterfactual_record(&t->trials, t->backend, &sizes, &t->counterfactual);
	if (rc == 0 && known == 0 && t->knobs.n == 0 && strcmp(t->backend, "gc") == 0)
		rc = sm_marking_record(&t->trials, &t->counterfactual);
	if (rc == 0 && t->format == 0) {
		sm_counterfactual_preview(&t->counterfactual, stdout);
		putchar('\n');
		fflush(stdout);
	}
	return rc ? rc : choose_by_record(t, known > 0);
}

int sm_tuner_search(struct sm_tuner *t)
{
	int rc;

	t->trials.say = say;
	t->trials.ctx = t;
	t->search = (struct sm_tune_search){
		.dials = t->space.dials,
		.ndials = t->space.n,
		.method = t->check != NULL ? SM_TUNE_CHECK : t->method,
		.budget_s = t->budget_s,
		.max_memory = t->max_memory,
		.margin = t->margin,
		.measure = measure,
		.ctx = t,
	};
	rc = look_ahead(t);
	if (rc == 0)
		rc = sm_tune_search(&t->search, &t->found);
	return rc ? rc : sm_counterfactual_measured(&t->trials, &t->counterfactual);
}

/* ---- what came of it ---------------------------------------------------------------------- */

/* The machine as the last run saw it; the run has the tuning from here on. */
static int keep_in_store(struct sm_tuner *t, struct sm_tuning *tuning)
{
	struct sm_store *s = NULL;
	struct sm_report r;
	char *text = NULL;
	cJSON *doc = NULL;
	int rc = sm_store_open(t->store, &s, t->err, sizeof(t->err));

	if (rc)
		return rc;
	rc = sm_store_load(s, t->trials.last, &r);
	if (rc == 0) {
		t->environment = strdup(r.environment);
		tuning->environment = t->environment != NULL ? t->environment : "{}";
		sm_report_free(&r);
		doc = sm_tuning_json(tuning);
		text = cJSON_PrintUnformatted(doc);
		rc = text != NULL ? sm_store_annotate(s, t->trials.last, "tuning", text) : -ENOMEM;
	}
	if (rc)
		snprintf(t->err, sizeof(t->err), "%s", sm_store_error(s));
	cJSON_Delete(doc);
	cJSON_free(text);
	sm_store_close(s);
	return rc;
}

static int write_ini(struct sm_tuner *t, const struct sm_tuning *tuning)
{
	sm_tuning_ini(tuning, t->ini.file);
	return sm_output_close(&t->ini, true, t->err, sizeof(t->err));
}

static void print(const struct sm_tuner *t, const struct sm_tuning *tuning)
{
	cJSON *doc;
	char *text;

	if (t->format == 0) {
		sm_tuning_table(tuning, stdout);
		return;
	}
	doc = sm_tuning_json(tuning);
	text = cJSON_Print(doc);
	puts(text != NULL ? text : "null");
	cJSON_free(text);
	cJSON_Delete(doc);
}

/* Of a file that was checked: does it hold? Exit status. */
static int judge_file(const struct sm_tuner *t, enum sm_advice advice)
{
	const struct sm_difference *d = &t->found.total;

	fprintf(stderr, "%s %s: ", t->check,
		advice == SM_ADVICE_TAKE ? "still holds" : "does not hold here");
	if (isnan(d->ratio))
		fputs("no ratio to the default, as samples failed", stderr);
	else
		fprintf(stderr, "%.4f of the default", d->ratio);
	if (d->has_interval)
		fprintf(stderr, " (%.4f..%.4f)", d->low, d->high);
	fputs(advice == SM_ADVICE_UNCLEAR ? ", which may be chance: a larger --budget may tell\n"
					  : "\n",
	      stderr);
	return advice == SM_ADVICE_TAKE ? SM_EXIT_OK : SM_EXIT_BEYOND;
}

/* Where the file is of use, and what of it is not. */
static void say_where(const struct sm_tuner *t)
{
	static const char *const ours[] = {"gc", "span", "spanmark-malloc"};
	const struct sm_tune_point *p = &t->found.tried[t->found.winner].point;
	bool own = false, first = true;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		own |= strcmp(t->backend, ours[i]) == 0;
	fprintf(stderr, "settings: %s; spanmark run --config %s, or ", t->output, t->output);
	if (!own) {
		fputs("its variables of the environment\n", stderr);
		return;
	}
	fprintf(stderr, "%s=%s", SM_SETFILE_VARIABLE, t->output);
	for (unsigned i = 0; i < t->space.n; i++) {
		const char *key = t->space.knobs[i].key;

		if (p->level[i] == 0 || sm__variant_word(key) == SM_WORD_SETTING ||
		    strcmp(key, "workers") == 0)
			continue;
		fprintf(stderr, "%s%s", first ? ", which does without " : ", ", key);
		first = false;
	}
	fputc('\n', stderr);
}

int sm_tuner_conclude(struct sm_tuner *t)
{
	struct sm_tuning tuning = {.space = &t->space,
				   .objective = &t->objective,
				   .trials = &t->trials,
				   .search = &t->search,
				   .found = &t->found,
				   .counterfactual = &t->counterfactual,
				   .backend = t->backend,
				   .weights = &t->weights,
				   .environment = "{}"};
	char why[200];
	enum sm_advice advice = sm_tuning_advice(&tuning, why, sizeof(why));
	int rc = keep_in_store(t, &tuning);

	print(t, &tuning);
	if (t->check != NULL)
		return rc ? SM_EXIT_FAILED : judge_file(t, advice);
	if (rc == 0 && advice == SM_ADVICE_TAKE) {
		rc = write_ini(t, &tuning);
		if (rc == 0 && strcmp(t->output, "-") != 0)
			say_where(t);
	}
	if (rc)
		sm_complain("%s", t->err);
	return rc ? SM_EXIT_FAILED : SM_EXIT_OK;
}
