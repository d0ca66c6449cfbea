/*
 * planfile.c: see planfile.h.
 */
#include "harness/options/planfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/suggest.h"
#include "harness/options/configfile.h"
#include "harness/options/option_value.h"
#include "workloads/workload.h"

/* ---- which option ------------------------------------------------------------------------- */

static bool is_among(const struct sm_option *opt, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(opt->name, names[i]) == 0)
			return true;
	return false;
}

bool sm_option_is_of_parts(const struct sm_option *opt)
{
	return opt->decides == SM_DECIDES_WORK || opt->decides == SM_DECIDES_CASES;
}

static const struct sm_option *find(const char *name)
{
	return sm_option_find(&sm_run_options_table, name, strlen(name));
}

/* In place: no blanks around commas, as in lists. */
static void squeeze(char *text)
{
	char *to = text;

	for (char *p = text; *p; p++) {
		if (*p == ',')
			while (to > text && isblank((unsigned char)to[-1]))
				to--;
		*to++ = *p;
		if (*p == ',')
			p += strspn(p + 1, " \t");
	}
	*to = 0;
}

/* KEY=VALUE, for an option that takes such. */
static int take_pair(struct sm_run_options *o, const char *option, const char *key,
		     const char *value, char *err, size_t errlen)
{
	char *pair;
	int rc;

	if (asprintf(&pair, "%s=%s", key, value) < 0)
		return -ENOMEM;
	if (strncmp(key, "env.", 4) != 0) /* whose values are anything */
		squeeze(pair);
	rc = sm_run_options_take(find(option), o, pair, err, errlen);
	free(pair);
	return rc;
}

/* Does the name begin with a workload's, up to one of these letters? */
static const struct sm_workload *workload_before(const char *name, const char *letters)
{
	char word[64], none[200];
	size_t len = strcspn(name, letters);

	if (len == 0 || len >= sizeof(word))
		return NULL;
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	return sm_workload_find(word, none, sizeof(none));
}

/* A key with a dot: a workload's parameter, or a setting. */
static int take_dotted(struct sm_run_options *o, const struct sm_config_item *item, char *err,
		       size_t errlen)
{
	return take_pair(o, workload_before(item->key, ".") != NULL ? "param" : "set", item->key,
			 item->value, err, errlen);
}

/* ---- for all parts ------------------------------------------------------------------------ */

static const char *const common[] = {"defaults", "run", "params", "set"};

static bool is_common(const char *section)
{
	for (size_t i = 0; i < SM_COUNT_OF(common); i++)
		if (strcmp(section, common[i]) == 0)
			return true;
	return section[0] == 0;
}

/* What spanmark tune says of its file. */
static bool is_remark(const char *section)
{
	return strcmp(section, "machine") == 0 || strcmp(section, "tune") == 0;
}

static int take_default(void *ctx, const struct sm_config_item *item, char *err, size_t errlen)
{
	const struct sm_option *opt = item->key != NULL ? find(item->key) : NULL;

	if (item->key == NULL || !is_common(item->section))
		return 0;
	if (strcmp(item->section, "params") == 0)
		return take_pair(ctx, "param", item->key, item->value, err, errlen);
	if (strcmp(item->section, "set") == 0)
		return take_pair(ctx, "set", item->key, item->value, err, errlen);
	if (opt == NULL && strchr(item->key, '.') != NULL)
		return take_dotted(ctx, item, err, errlen);
	if (opt == NULL || opt == &sm_option_help)
		return sm_option_unknown(&sm_run_options_table, item->key, err, errlen);
	if (strcmp(opt->name, "config") == 0) {
		snprintf(err, errlen, "a plan file names no further one");
		return -EINVAL;
	}
	return sm_run_options_take(opt, ctx, item->value, err, errlen);
}

int sm_plan_file_defaults(const struct sm_plan_file *f, struct sm_run_options *o, char *err,
			  size_t errlen)
{
	return sm_config_each(f->path, f->text, take_default, o, err, errlen);
}

/* ---- one part ----------------------------------------------------------------------------- */

/* What is taken of a part: nothing yet, then what says which work it is, then everything else. */
struct part {
	struct sm_run_options *o;
	unsigned line; /* of its section */
	enum { PART_LOOK, PART_WORK, PART_REST } now;
	bool names_work;
};

/* The value of a parameter, or each of several. */
static int check_param(const struct sm_workload *w, const char *key, const char *value, char *err,
		       size_t errlen)
{
	int k = sm_workload_param(w, key);
	struct sm_params params;
	int rc = 0;

	sm_params_init(&params, w, false);
	while (rc == 0) {
		size_t len =
			w->params[k].kind == SM_PARAM_LIST ? strlen(value) : strcspn(value, ",");
		char *pair;

		if (asprintf(&pair, "%s=%.*s", key, (int)len, value) < 0)
			return -ENOMEM;
		squeeze(pair);
		while (len > 0 && isblank((unsigned char)pair[strlen(pair) - 1]))
			pair[strlen(pair) - 1] = 0;
		rc = sm_params_set(&params, pair, err, errlen) ? -EINVAL : 0;
		free(pair);
		if (!value[len])
			break;
		value += len + 1;
		value += strspn(value, " \t");
	}
	return rc;
}

static int unknown_key(const struct part *p, const char *key, char *err, size_t errlen)
{
	const char *names[128];
	size_t n = 0;

	for (size_t i = 0; i < sm_run_options_table.n; i++)
		if (sm_option_is_of_parts(&sm_run_options_table.rows[i]))
			names[n++] = sm_run_options_table.rows[i].name;
	for (size_t i = 0; i < p->o->workloads.n; i++) {
		const struct sm_workload *w = workload_before(p->o->workloads.v[i], "");

		for (unsigned k = 0; w != NULL && k < sm_workload_nparams(w) && n < 128; k++)
			names[n++] = w->params[k].name;
	}
	sm_suggest_error(err, errlen, "option or parameter", key, names, n);
	return -EINVAL;
}

/* "graph.objects=1m" of the defaults gives way to "objects" of a part of graph. */
static void forget_param(struct sm_run_options *o, const struct sm_workload *w, const char *key)
{
	size_t name = strlen(w->name), len = strlen(key), kept = 0;

	for (size_t i = 0; i < o->params.n; i++) {
		char *p = o->params.v[i];

		if (strncmp(p, w->name, name) == 0 && p[name] == '.' &&
		    strncmp(p + name + 1, key, len) == 0 && p[name + 1 + len] == '=')
			free(p);
		else
			o->params.v[kept++] = p;
	}
	o->params.n = kept;
}

/* A key that is no option: a parameter of the part's workloads. */
static int take_param(const struct part *p, const struct sm_config_item *item, char *err,
		      size_t errlen)
{
	bool known = false;

	for (size_t i = 0; i < p->o->workloads.n; i++) {
		const struct sm_workload *w = workload_before(p->o->workloads.v[i], "");
		int rc;

		if (w == NULL || sm_workload_param(w, item->key) < 0)
			continue;
		known = true;
		forget_param(p->o, w, item->key);
		rc = check_param(w, item->key, item->value, err, errlen);
		if (rc)
			return rc;
	}
	return known ? take_pair(p->o, "param", item->key, item->value, err, errlen)
		     : unknown_key(p, item->key, err, errlen);
}

static int take_of_part(void *ctx, const struct sm_config_item *item, char *err, size_t errlen)
{
	struct part *p = ctx;
	const struct sm_option *opt = item->key != NULL ? find(item->key) : NULL;
	bool work = opt != NULL && opt->decides == SM_DECIDES_WORK;

	if (item->section_line != p->line)
		return 0;
	if (item->key == NULL && p->now == PART_LOOK) {
		p->o->title = strdup(item->section);
		return p->o->title != NULL ? 0 : -ENOMEM;
	}
	p->names_work |= work;
	if (item->key == NULL || p->now != (work ? PART_WORK : PART_REST))
		return 0;
	if (opt == NULL)
		return strchr(item->key, '.') != NULL ? take_dotted(p->o, item, err, errlen)
						      : take_param(p, item, err, errlen);
	if (!sm_option_is_of_parts(opt)) {
		snprintf(err, errlen, "'%s' holds for the whole run; it belongs into [defaults]",
			 item->key);
		return -EINVAL;
	}
	return sm_run_options_take(opt, p->o, item->value, err, errlen);
}

/* What the defaults say of it gives way to what the part says. */
static void forget_work(struct sm_run_options *o)
{
	sm_strings_free(&o->workloads);
	sm_strings_free(&o->programs);
	free(o->programs_file);
	free(o->server);
	o->programs_file = o->server = NULL;
	for (size_t i = 0; i < sm_run_options_table.n; i++)
		if (sm_run_options_table.rows[i].decides == SM_DECIDES_WORK)
			o->given &= ~(UINT64_C(1) << i);
}

static int unknown_section(const struct sm_run_options *o, char *err, size_t errlen)
{
	const char *names[128];
	unsigned all, n = 0;
	const struct sm_workload *const *known = sm_workloads(&all);
	char word[64];
	int used;

	for (; n < all && n < 64; n++)
		names[n] = known[n]->name;
	for (size_t i = 0; i < SM_COUNT_OF(common); i++)
		names[n++] = common[i];
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(o->title, " \t"), o->title);
	used = snprintf(err, errlen, "%s: without workload = or program = in it: ", o->from);
	if (used > 0 && (size_t)used < errlen)
		sm_suggest_error(err + used, errlen - (size_t)used, "section", word, names, n);
	return -EINVAL;
}

/* A section is named after its workload, unless it or the defaults say what runs. */
static int begin_work(const struct part *p, char *err, size_t errlen)
{
	struct sm_run_options *o = p->o;
	const struct sm_workload *w = workload_before(o->title, " \t");

	if (p->names_work || w != NULL)
		forget_work(o);
	else if (o->workloads.n == 0 && o->programs.n == 0 && o->programs_file == NULL &&
		 o->server == NULL)
		return unknown_section(o, err, errlen);
	return w != NULL && !p->names_work
		       ? sm_run_options_take(find("workload"), o, w->name, err, errlen)
		       : 0;
}

int sm_plan_file_part(const struct sm_plan_file *f, size_t part, struct sm_run_options *o,
		      char *err, size_t errlen)
{
	struct part p = {.o = o, .line = f->lines[part], .now = PART_LOOK};
	int rc = asprintf(&o->from, "'%.200s' line %u", f->path, p.line) < 0 ? -ENOMEM : 0;

	if (rc == 0)
		rc = sm_config_each(f->path, f->text, take_of_part, &p, err, errlen);
	if (rc == 0)
		rc = begin_work(&p, err, errlen);
	for (p.now = PART_WORK; rc == 0 && p.now <= PART_REST; p.now++)
		rc = sm_config_each(f->path, f->text, take_of_part, &p, err, errlen);
	return rc;
}

/* "[WORKLOAD.]KEY=VALUE" of this workload. */
static bool is_param_of(const struct sm_workload *w, const char *text)
{
	size_t len = strcspn(text, ".="), name = strlen(w->name);
	char key[64];

	if (text[len] == '.' && (len != name || strncmp(text, w->name, name) != 0))
		return false;
	text += text[len] == '.' ? len + 1 : 0;
	snprintf(key, sizeof(key), "%.*s", (int)strcspn(text, "="), text);
	return sm_workload_param(w, key) >= 0;
}

static bool is_own(const struct sm_run_options *part, const struct sm_run_options *whole,
		   const char *text)
{
	bool inherited = false;

	for (size_t i = 0; i < whole->params.n; i++)
		inherited |= strcmp(whole->params.v[i], text) == 0;
	for (size_t i = 0; i < part->workloads.n; i++) {
		const struct sm_workload *w = workload_before(part->workloads.v[i], "");

		if (w == NULL || is_param_of(w, text))
			return true;
	}
	return !inherited || (part->workloads.n == 0 && strncmp(text, "threads=", 8) == 0);
}

void sm_plan_file_keep_own(struct sm_run_options *part, const struct sm_run_options *whole)
{
	size_t kept = 0;

	for (size_t i = 0; i < part->params.n; i++) {
		if (is_own(part, whole, part->params.v[i]))
			part->params.v[kept++] = part->params.v[i];
		else
			free(part->params.v[i]);
	}
	part->params.n = kept;
}

/* ---- the file ----------------------------------------------------------------------------- */

static int note_part(void *ctx, const struct sm_config_item *item, char *err, size_t errlen)
{
	struct sm_plan_file *f = ctx;
	unsigned *lines;

	(void)err;
	(void)errlen;
	if (item->key != NULL || is_common(item->section) || is_remark(item->section))
		return 0;
	lines = realloc(f->lines, (f->nparts + 1) * sizeof(*lines));
	if (lines == NULL)
		return -ENOMEM;
	f->lines = lines;
	lines[f->nparts++] = item->section_line;
	return 0;
}

int sm_plan_file_load(const char *path, struct sm_plan_file *out, char *err, size_t errlen)
{
	*out = (struct sm_plan_file){.path = strdup(path),
				     .text = sm_config_load(path, err, errlen)};
	if (out->path == NULL)
		return -ENOMEM;
	if (out->text == NULL)
		return -EINVAL;
	return sm_config_each(path, out->text, note_part, out, err, errlen);
}

void sm_plan_file_free(struct sm_plan_file *f)
{
	free(f->path);
	free(f->text);
	free(f->lines);
	*f = (struct sm_plan_file){0};
}

/* ---- printing ----------------------------------------------------------------------------- */

/* One line for each of several values that have no commas of their own between them. */
static void print_items(const struct sm_option *opt, const struct sm_strings *s, FILE *f)
{
	for (size_t i = 0; i < s->n; i++) {
		fprintf(f, "%s = ", opt->name);
		sm_config_put(f, s->v[i]);
		fputc('\n', f);
	}
}

static void print_option(const struct sm_option *opt, const struct sm_run_options *o, FILE *f)
{
	char *value = NULL;
	size_t len;
	FILE *text;

	if (opt->take == sm__take_pair || opt->take == sm__take_item) {
		print_items(opt, (const void *)((const char *)o + opt->offset), f);
		return;
	}
	text = open_memstream(&value, &len);
	if (text == NULL)
		return;
	sm_option_print(opt, o, text);
	if (fclose(text) == 0 && len > 0) {
		fprintf(f, "%s = ", opt->name);
		sm_config_put(f, value);
		fputc('\n', f);
	}
	free(value);
}

/* Those that were said; of_parts: those of parts, or the others. */
static void print_given(const struct sm_run_options *o, bool of_parts, FILE *f)
{
	static const char *const left[] = {"config", "print-plan", "dry-run", "resume", "topology"};

	for (size_t i = 0; i < sm_run_options_table.n; i++) {
		const struct sm_option *opt = &sm_run_options_table.rows[i];

		if (opt->take == sm__take_no_store && o->store != NULL)
			continue; /* said first: the store is meant */
		if ((o->given >> i & 1) && sm_option_is_of_parts(opt) == of_parts &&
		    !is_among(opt, left, SM_COUNT_OF(left)))
			print_option(opt, o, f);
	}
}

void sm_run_options_print_plan(const struct sm_run_options *o, uint64_t seed, FILE *f)
{
	struct sm_run_options all = *o; /* borrows */

	all.seed = seed;
	all.given |= UINT64_C(1) << (find("seed") - sm_run_options_table.rows);
	fputs("; spanmark run THIS FILE\n[defaults]\n", f);
	print_given(&all, false, f);
	if (o->nparts == 0)
		print_given(o, true, f);
	for (size_t i = 0; i < o->nparts; i++) {
		fprintf(f, "\n[%s]\n", o->parts[i].title);
		print_given(&o->parts[i], true, f);
	}
}
