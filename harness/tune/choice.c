/*
 * choice.c: which knobs the recorded run leaves, kept with that run in the store. The run differs a
 * little each time, so a tuning that goes on must take what was chosen, not choose again: its steps
 * are those of that space. See counterfactual.h.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/store/store.h"
#include "harness/tune/counterfactual.h"

/* One refill for so many allocations, and caches of whatever size cannot matter. */
#define SELDOM 5000

/* Nothing marks, or nothing that would be marked by span: how that is done cannot matter. */
static void choose_marking(struct sm_space *s, const struct sm_counterfactual *c)
{
	static const char *const keys[] = {"gc.mark", "gc.dense", "gc.kernel", "gc.fifo",
					   "gc.assist_slice"};
	bool none = c->cycles == 0;

	if (!none && c->spans != 0) /* NAN: not known */
		return;
	fprintf(stderr, "tune: gc.mark, gc.dense, gc.kernel%s left out: %s\n",
		none ? ", gc.fifo, gc.assist_slice" : "",
		none ? "there is no collection" : "no object of these workloads is marked by span");
	for (unsigned i = 0; i < (none ? 5 : 3); i++)
		sm_space_drop(s, keys[i]);
}

int sm_choice_make(struct sm_space *s, const struct sm_counterfactual *c)
{
	static const char *const lists[] = {"cache.slots", "cache.batch", "cache.spans"};
	static const char *const windows[] = {"cache.window", "cache.spans", NULL};
	const char *const *keys = c->windows ? windows : lists;
	double rate = sm_counterfactual_rate(c, c->windows ? 32768 : 16384);
	int rc = 0;

	choose_marking(s, c);
	if (c->n == 0)
		return 0;
	if (rate < 1000.0 / SELDOM) {
		fprintf(stderr,
			"tune: %s, %s%s%s left out: one refill for %.0f allocations as it is\n",
			keys[0], keys[1], keys[2] != NULL ? ", " : "",
			keys[2] != NULL ? keys[2] : "", 1000 / rate);
		for (int i = 0; i < 3 && keys[i] != NULL; i++)
			sm_space_drop(s, keys[i]);
	}
	for (unsigned i = 0; i < c->n && i < 4 && rc == 0; i++) {
		const struct sm_class_curve *v = &c->classes[i];
		double enough = sm_curve_enough(v), now = c->windows ? 32768 : 16384.0 / v->bytes;
		char key[40], value[24];

		if (enough < 2 * now && 2 * enough > now)
			continue; /* it is about that */
		snprintf(key, sizeof(key), "%s@%u", keys[0], v->bytes);
		snprintf(value, sizeof(value), "%.0f", enough);
		rc = sm_space_add(s, key, value,
				  "what the recorded run says is enough for this class");
	}
	return rc;
}

static bool has_key(const struct sm_space *s, const char *key, size_t len)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strlen(s->knobs[i].key) == len && strncmp(s->knobs[i].key, key, len) == 0)
			return true;
	return false;
}

/* Makes s what was chosen: "KEY=VALUE", the value of a knob that was added. */
static int apply(struct sm_space *s, const cJSON *chosen)
{
	const cJSON *one;
	int rc = 0;

	for (unsigned i = s->n; i-- > 0;) {
		const char *key = s->knobs[i].key;
		bool kept = false;

		cJSON_ArrayForEach(one, chosen)
		{
			size_t len = cJSON_IsString(one) ? strcspn(one->valuestring, "=") : 0;

			kept |= len == strlen(key) && strncmp(one->valuestring, key, len) == 0;
		}
		if (!kept)
			sm_space_drop(s, key);
	}
	cJSON_ArrayForEach(one, chosen)
	{
		const char *text = cJSON_IsString(one) ? one->valuestring : "";
		size_t len = strcspn(text, "=");
		char key[64];

		if (rc != 0 || text[len] == '\0' || has_key(s, text, len))
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)len, text);
		rc = sm_space_add(s, key, text + len + 1,
				  "what the recorded run says is enough for this class");
	}
	return rc;
}

static char *as_text(const struct sm_space *s)
{
	cJSON *list = cJSON_CreateArray();
	char *text;

	for (unsigned i = 0; i < s->n; i++) {
		char pair[200];

		snprintf(pair, sizeof(pair), "%s=%s", s->knobs[i].key, sm_space_value(s, i, 1));
		cJSON_AddItemToArray(list, cJSON_CreateString(pair));
	}
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text;
}

/* The space that this run of the store has. 1: it has one; 0, or -errno. */
static int recall_from(struct sm_store *store, int64_t run, struct sm_space *s)
{
	struct sm_report r;
	int rc = sm_store_load(store, run, &r);
	cJSON *environment, *chosen;

	if (rc)
		return rc;
	environment = cJSON_Parse(r.environment);
	chosen = cJSON_GetObjectItemCaseSensitive(environment, "space");
	rc = cJSON_IsArray(chosen) ? apply(s, chosen) : 0;
	rc = rc == 0 && cJSON_IsArray(chosen) ? 1 : rc;
	cJSON_Delete(environment);
	sm_report_free(&r);
	return rc;
}

static int each_record(struct sm_trials *t, struct sm_space *s, const char *keep)
{
	struct sm_store *store = NULL;
	struct sm_runs runs = {.n = 0};
	char note[SM_TRIALS_NOTE];
	int rc;

	if (access(t->store, F_OK) != 0)
		return 0;
	sm_trials_note(t, "record", note, sizeof(note));
	rc = keep != NULL ? sm_store_open(t->store, &store, t->err, sizeof(t->err))
			  : sm_store_open_read(t->store, &store, t->err, sizeof(t->err));
	rc = rc ? rc : sm_store_runs(store, &runs);
	for (size_t i = 0; i < runs.n && rc == 0; i++) {
		if (strcmp(runs.v[i].note, note) != 0)
			continue;
		rc = keep != NULL ? sm_store_annotate(store, runs.v[i].id, "space", keep)
				  : recall_from(store, runs.v[i].id, s);
	}
	if (rc < 0 && store != NULL)
		snprintf(t->err, sizeof(t->err), "%s", sm_store_error(store));
	sm_runs_free(&runs);
	sm_store_close(store);
	return rc;
}

int sm_choice_recall(struct sm_trials *t, struct sm_space *s)
{
	return each_record(t, s, NULL);
}

int sm_choice_keep(struct sm_trials *t, const struct sm_space *s)
{
	char *text = as_text(s);
	int rc = text != NULL ? each_record(t, NULL, text) : -ENOMEM;

	cJSON_free(text);
	return rc;
}
