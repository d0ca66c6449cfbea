/* tuning_ini.c: spanmark.ini, written and read back for --check. See tuning.h. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/os/setfile.h"
#include "harness/plan/variant.h"
#include "harness/tune/tuning.h"

/* ---- written ------------------------------------------------------------------------------ */

static void print_member(FILE *out, const cJSON *env, const char *group, const char *name)
{
	const cJSON *item;

	if (group != NULL)
		env = cJSON_GetObjectItemCaseSensitive(env, group);
	item = cJSON_GetObjectItemCaseSensitive(env, name);
	if (cJSON_IsString(item))
		fprintf(out, "%s = %s\n", name, item->valuestring);
	else if (cJSON_IsNumber(item))
		fprintf(out, "%s = %.0f\n", name, item->valuedouble);
}

static void print_machine(const struct sm_tuning *t, FILE *out)
{
	cJSON *env = cJSON_Parse(t->environment);
	char identity[SM_MACHINE_MAX];

	sm__machine(identity, sizeof(identity));
	fprintf(out,
		"; What this was found on. Elsewhere it is read all the same, with a warning.\n"
		"[machine]\nidentity = %s\n",
		identity);
	print_member(out, env, NULL, "cpu_model");
	print_member(out, env, "topology", "cores");
	print_member(out, env, "topology", "pus");
	print_member(out, env, "topology", "nodes");
	print_member(out, env, "topology", "l3_bytes");
	print_member(out, env, NULL, "kernel");
	print_member(out, env, NULL, "started");
	cJSON_Delete(env);
}

/* What was measured, so that --check measures it again. */
static void print_question(const struct sm_tuning *t, FILE *out)
{
	char objective[80];

	sm_objective_print(t->objective, objective, sizeof(objective));
	fprintf(out,
		"\n; What was asked: spanmark tune --check FILE asks it again.\n[tune]\n"
		"backend = %s\nobjective = %s\n",
		t->backend, objective);
	if (t->search->max_memory > 0)
		fprintf(out, "max-rss = %.17g\n", t->search->max_memory);
	fprintf(out, "margin = %.17g\n", t->search->margin);
	for (size_t i = 0; i < t->weights->n; i++)
		fprintf(out, "weight = %s\n", t->weights->v[i]);
	for (size_t i = 0; i < t->trials->args->n; i++)
		fprintf(out, "option = %s\n", t->trials->args->v[i]);
}

static void print_evidence(const struct sm_tuning *t, FILE *out)
{
	const struct sm_difference *d = &t->found->total;

	fprintf(out,
		"; spanmark tune: settings for %s.\n"
		"; On fresh samples %.4f of the default (%.4f to %.4f with 95 %%, %zu pairs)",
		t->backend, d->ratio, d->low, d->high, d->nbase);
	if (!isnan(t->found->memory))
		fprintf(out, ", peak RSS %.3f", t->found->memory);
	fputs(".\n", out);
	for (unsigned w = 0; w < t->found->nworks; w++)
		fprintf(out, ";   %s: %.4f\n", w < t->trials->works.n ? t->trials->works.v[w] : "?",
			t->found->works[w].ratio);
	fputc('\n', out);
}

/* Does the text assign to the same key? */
static bool assigns(const char *variant, const char *pair)
{
	const char *word;
	size_t len, key = strcspn(pair, "=") + 1;

	while (sm__variant_next(&variant, &word, &len))
		if (strncmp(word, pair, key) == 0)
			return true;
	return false;
}

/* What stayed for the default, too, is part of what was measured. */
static void print_base(const struct sm_tuning *t, FILE *out, const char *variant, bool *begun)
{
	const struct sm_strings *args = t->trials->args;

	for (size_t i = 0; i + 1 < args->n; i++) {
		const char *pair = args->v[i + 1];

		if (strcmp(args->v[i], "--set") != 0 || assigns(variant, pair))
			continue;
		if (!*begun)
			fputs("\n[set]\n", out);
		*begun = true;
		fprintf(out, "; as it was asked\n%.*s = %s\n", (int)strcspn(pair, "="), pair,
			pair + strcspn(pair, "=") + 1);
	}
}

/* The settings, each with what it did alone. */
static void print_settings(const struct sm_tuning *t, FILE *out, bool options)
{
	const struct sm_tune_point *p = &t->found->tried[t->found->winner].point;
	char *variant = sm_space_variant(t->space, p);
	const char *at = variant, *word;
	bool begun = false;
	size_t len;

	if (variant != NULL && !options)
		print_base(t, out, variant, &begun);
	while (variant != NULL && sm__variant_next(&at, &word, &len)) {
		size_t key = (size_t)((const char *)memchr(word, '=', len) - word);

		if (strcmp(variant, SM_VARIANT_DEFAULT) == 0 ||
		    (sm__variant_word(word) != SM_WORD_SETTING) != options)
			continue;
		if (!begun)
			fputs(options ? "\n[run]\n" : "\n[set]\n", out);
		begun = true;
		for (unsigned i = 0; i < t->space->n; i++) {
			const struct sm_knob *k = &t->space->knobs[i];
			const struct sm_tune_tried *alone = sm_tuning_alone(t, i, p->level[i]);

			if (p->level[i] > 0 && strlen(k->key) == key &&
			    strncmp(k->key, word, key) == 0 && alone != NULL)
				fprintf(out, "; alone %.4f: %s\n", exp(alone->median), k->why);
		}
		fprintf(out, "%.*s = %.*s\n", (int)key, word, (int)(len - key - 1), word + key + 1);
	}
	free(variant);
}

void sm_tuning_ini(const struct sm_tuning *t, FILE *out)
{
	print_evidence(t, out);
	print_machine(t, out);
	print_question(t, out);
	print_settings(t, out, true);
	print_settings(t, out, false);
}

/* ---- read --------------------------------------------------------------------------------- */

struct reader {
	struct sm_tuning_file *f;
	FILE *variant;
	int rc;
};

static int keep(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	return *to != NULL ? 0 : -ENOMEM;
}

/* A ratio that tune wrote, above 0 to most; anything else is no file of it. */
static int keep_ratio(double *to, const char *value, double most)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || *end != '\0' || !(v > 0) || v > most)
		return -EINVAL;
	*to = v;
	return 0;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	if (strcmp(section, "set") == 0 || strcmp(section, "run") == 0) {
		fprintf(r->variant, "%s%s=%s", r->f->nsettings > 0 ? " " : "", name, value);
		r->f->nsettings++;
	} else if (strcmp(section, "machine") == 0 && strcmp(name, "identity") == 0) {
		r->rc = keep(&r->f->identity, value);
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "backend") == 0) {
		r->rc = keep(&r->f->backend, value);
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "objective") == 0) {
		r->rc = keep(&r->f->objective, value);
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "option") == 0) {
		r->rc = sm_strings_add(&r->f->options, value, strlen(value));
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "weight") == 0) {
		r->rc = strchr(value, '=') != NULL
				? sm_strings_add(&r->f->weights, value, strlen(value))
				: -EINVAL;
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "max-rss") == 0) {
		r->rc = keep_ratio(&r->f->max_memory, value, 1000);
	} else if (strcmp(section, "tune") == 0 && strcmp(name, "margin") == 0) {
		r->rc = keep_ratio(&r->f->margin, value, 0.5);
	}
	return r->rc == 0;
}

int sm_tuning_file_read(const char *path, struct sm_tuning_file *out, char *err, size_t errlen)
{
	struct reader r = {.f = out};
	size_t len;
	int at;

	*out = (struct sm_tuning_file){0};
	r.variant = open_memstream(&out->variant, &len);
	if (r.variant == NULL)
		return -ENOMEM;
	at = ini_parse(path, on_value, &r);
	if (fclose(r.variant) != 0 || r.rc == -ENOMEM)
		return -ENOMEM;
	if (at < 0) {
		snprintf(err, errlen, "cannot read '%.200s': %s", path, strerror(errno));
		return -EINVAL;
	}
	if (at > 0 || out->nsettings == 0 || out->backend == NULL || out->objective == NULL) {
		snprintf(err, errlen,
			 "'%.200s' line %d: no file of spanmark tune: [tune] with backend and "
			 "objective, and [set] or [run] with settings are wanted",
			 path, at);
		return -EINVAL;
	}
	return 0;
}

void sm_tuning_file_free(struct sm_tuning_file *f)
{
	free(f->backend);
	free(f->objective);
	free(f->identity);
	free(f->variant);
	sm_strings_free(&f->options);
	sm_strings_free(&f->weights);
}
