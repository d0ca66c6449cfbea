/* tuning_ini.c: spanmark.ini, written and read back for --check. See tuning.h. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/os/setfile.h"
#include "harness/base/text.h"
#include "harness/options/configfile.h"
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

static void print_list(FILE *out, const char *key, const struct sm_strings *list)
{
	for (size_t i = 0; i < list->n; i++) {
		fprintf(out, "%s = ", key);
		sm_config_put(out, list->v[i]);
		fputc('\n', out);
	}
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
	print_list(out, "weight", t->weights);
	print_list(out, "option", t->trials->args);
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
	for (unsigned w = 0; w < t->found->nworks; w++) {
		fputs(";   ", out); /* one line, whatever a program is called */
		sm_text_print(out, w < t->trials->works.n ? t->trials->works.v[w] : "?");
		fprintf(out, ": %.4f\n", t->found->works[w].ratio);
	}
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
		fprintf(out, "; as it was asked\n%.*s = ", (int)strcspn(pair, "="), pair);
		sm_config_put(out, pair + strcspn(pair, "=") + 1);
		fputc('\n', out);
	}
}

static void put_value(FILE *out, const char *value, size_t len)
{
	char *copy = strndup(value, len);

	if (copy != NULL)
		sm_config_put(out, copy);
	free(copy);
	fputc('\n', out);
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
			fputs(options ? "\n; Of these, SPANMARK_CONFIG has workers alone.\n[run]\n"
				      : "\n[set]\n",
			      out);
		begun = true;
		for (unsigned i = 0; i < t->space->n; i++) {
			const struct sm_knob *k = &t->space->knobs[i];
			const struct sm_tune_tried *alone = sm_tuning_alone(t, i, p->level[i]);

			if (p->level[i] > 0 && strlen(k->key) == key &&
			    strncmp(k->key, word, key) == 0 && alone != NULL)
				fprintf(out, "; alone %.4f: %s\n", exp(alone->median), k->why);
		}
		fprintf(out, "%.*s = ", (int)key, word);
		put_value(out, word + key + 1, len - key - 1);
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
};

#define NO_FILE                                                                                 \
	"no file of spanmark tune: [tune] with backend and objective, and [set] or [run] with " \
	"settings are wanted"

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

/* 0, -EINVAL: no value that tune writes, -ENOMEM. */
static int take_question(struct sm_tuning_file *f, const char *key, const char *value)
{
	if (strcmp(key, "backend") == 0)
		return keep(&f->backend, value);
	if (strcmp(key, "objective") == 0)
		return keep(&f->objective, value);
	if (strcmp(key, "option") == 0)
		return sm_strings_add(&f->options, value, strlen(value));
	if (strcmp(key, "weight") == 0)
		return strchr(value, '=') != NULL
			       ? sm_strings_add(&f->weights, value, strlen(value))
			       : -EINVAL;
	if (strcmp(key, "max-rss") == 0)
		return keep_ratio(&f->max_memory, value, 1000);
	if (strcmp(key, "margin") == 0)
		return keep_ratio(&f->margin, value, 0.5);
	return 0;
}

/* Asked for both sides: it stays, and may have blanks, which end a word of a variant. */
static bool is_asked(const struct sm_tuning_file *f, const char *key, const char *value)
{
	size_t len = strlen(key);

	for (size_t i = 1; i < f->options.n; i++) {
		const char *pair = f->options.v[i];

		if (strcmp(f->options.v[i - 1], "--set") == 0 && strncmp(pair, key, len) == 0 &&
		    pair[len] == '=' && strcmp(pair + len + 1, value) == 0)
			return true;
	}
	return false;
}

static int take_item(void *ctx, const struct sm_config_item *i, char *err, size_t errlen)
{
	struct reader *r = ctx;
	int rc = 0;

	if (i->key == NULL)
		return 0;
	if (strcmp(i->section, "set") == 0 && is_asked(r->f, i->key, i->value))
		return 0;
	if (strcmp(i->section, "set") == 0 || strcmp(i->section, "run") == 0)
		fprintf(r->variant, "%s%s=%s", r->f->nsettings++ > 0 ? " " : "", i->key, i->value);
	else if (strcmp(i->section, "machine") == 0 && strcmp(i->key, "identity") == 0)
		rc = keep(&r->f->identity, i->value);
	else if (strcmp(i->section, "tune") == 0)
		rc = take_question(r->f, i->key, i->value);
	if (rc == -EINVAL)
		snprintf(err, errlen, NO_FILE);
	return rc;
}

int sm_tuning_file_read(const char *path, struct sm_tuning_file *out, char *err, size_t errlen)
{
	struct reader r = {.f = out};
	char *text;
	size_t len;
	int rc;

	*out = (struct sm_tuning_file){0};
	text = sm_config_load(path, err, errlen);
	if (text == NULL)
		return -EINVAL;
	r.variant = open_memstream(&out->variant, &len);
	rc = r.variant != NULL ? sm_config_each(path, text, take_item, &r, err, errlen) : -ENOMEM;
	if (r.variant != NULL && fclose(r.variant) != 0)
		rc = -ENOMEM;
	free(text);
	if (rc == 0 && (out->nsettings == 0 || out->backend == NULL || out->objective == NULL)) {
		snprintf(err, errlen, "'%.200s': " NO_FILE, path);
		rc = -EINVAL;
	}
	return rc;
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
