/* setfile.c: reading counter sets; setfile.h has the format. */
#include "perf/setfile.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "perf/names.h"

/* The linker puts the text files into the program: a set is edited as text and never out of step
 * with the binary. */
#define EMBED(id, file)                     \
	__asm__(".pushsection .rodata\n"    \
		".balign 8\n"               \
		".globl sm__set_" #id "\n"  \
		".hidden sm__set_" #id "\n" \
		"sm__set_" #id ":\n"        \
		".incbin \"" file "\"\n"    \
		".byte 0\n"                 \
		".popsection\n");           \
	extern const char sm__set_##id[] __attribute__((visibility("hidden")))

EMBED(cycles, "perf/sets/cycles.ini");
EMBED(cache, "perf/sets/cache.ini");
EMBED(tlb, "perf/sets/tlb.ini");
EMBED(branch, "perf/sets/branch.ini");
EMBED(stall, "perf/sets/stall.ini");
EMBED(numa, "perf/sets/numa.ini");
EMBED(memory, "perf/sets/memory.ini");
EMBED(soft, "perf/sets/soft.ini");
EMBED(table, "perf/sets/table.ini");

static const struct {
	const char *name, *text;
} builtin[] = {
	{"cycles", sm__set_cycles}, {"cache", sm__set_cache}, {"tlb", sm__set_tlb},
	{"branch", sm__set_branch}, {"stall", sm__set_stall}, {"numa", sm__set_numa},
	{"memory", sm__set_memory}, {"soft", sm__set_soft},
};
#define N_BUILTIN (sizeof(builtin) / sizeof(builtin[0]))

const char *sm_setfile_builtin_name(unsigned i)
{
	return i < N_BUILTIN ? builtin[i].name : NULL;
}

const char *sm_setfile_builtin_text(unsigned i)
{
	return i < N_BUILTIN ? builtin[i].text : NULL;
}

const char *const sm_better_names[] = {"none", "less", "more", NULL};

/* ---- parsing ------------------------------------------------------------------------------ */

struct parse {
	struct sm_setfile *s;
	bool table; /* it is table.ini */
	char why[200];
	int rc;
};

static int refuse_line(struct parse *p, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* inih's handlers return 0 for an error. */
static int refuse_line(struct parse *p, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!p->rc) {
		va_start(ap, fmt);
		vsnprintf(p->why, sizeof(p->why), fmt, ap);
		va_end(ap);
		p->rc = rc;
	}
	return 0;
}

static int copy(struct parse *p, char *to, size_t len, const char *from, const char *what)
{
	if (strlen(from) >= len)
		return refuse_line(p, -EINVAL, "%s is longer than %zu characters", what, len - 1);
	strcpy(to, from);
	return 1;
}

static int on_set(struct parse *p, const char *key, const char *value)
{
	if (strcmp(key, "name") == 0)
		return copy(p, p->s->name, sizeof(p->s->name), value, "name");
	if (strcmp(key, "title") == 0)
		return copy(p, p->s->title, sizeof(p->s->title), value, "title");
	return refuse_line(p, -EINVAL, "[set] has no \"%s\" (name, title)", key);
}

static struct sm_set_metric *metric(struct parse *p, const char *name)
{
	struct sm_setfile *s = p->s;
	struct sm_set_metric *grown;

	for (unsigned i = 0; i < s->n_metrics; i++)
		if (strcmp(s->metrics[i].name, name) == 0)
			return &s->metrics[i];
	grown = realloc(s->metrics, (s->n_metrics + 1) * sizeof(*grown));
	if (grown == NULL) {
		refuse_line(p, -ENOMEM, "out of memory");
		return NULL;
	}
	s->metrics = grown;
	memset(&grown[s->n_metrics], 0, sizeof(*grown));
	if (!copy(p, grown[s->n_metrics].name, sizeof(grown->name), name, "metric name"))
		return NULL;
	return &grown[s->n_metrics++];
}

static int take_better(struct parse *p, struct sm_set_metric *m, const char *value)
{
	int found = sm_names_find(sm_better_names, value);

	if (found < 0)
		return refuse_line(p, -EINVAL, "better = %s; allowed: less, more, none", value);
	m->better = (enum sm_better)found;
	return 1;
}

static int on_metric(struct parse *p, const char *name, const char *key, const char *value)
{
	struct sm_set_metric *m = metric(p, name);

	if (m == NULL)
		return 0;
	if (strcmp(key, "formula") == 0)
		return copy(p, m->formula, sizeof(m->formula), value, "formula");
	if (strcmp(key, "unit") == 0)
		return copy(p, m->unit, sizeof(m->unit), value, "unit");
	if (strcmp(key, "help") == 0)
		return copy(p, m->help, sizeof(m->help), value, "help");
	if (strcmp(key, "better") == 0)
		return take_better(p, m, value);
	if (p->table && strcmp(key, "title") == 0)
		return copy(p, m->title, sizeof(m->title), value, "title");
	if (p->table && strcmp(key, "per_op") == 0)
		return m->per_op = strcmp(value, "yes") == 0;
	return refuse_line(p, -EINVAL, "[metric %s] has no \"%s\" (formula, unit, better, help)",
			   name, key);
}

/* Strings in a notation of their own stay as they are; the others are libpfm4 events of the
 * section's PMU. */
static bool qualified(const char *s)
{
	if (strstr(s, "::") != NULL || strchr(s, '/') != NULL)
		return true;
	return s[0] == 'r' && s[1] && strspn(s + 1, "0123456789abcdefABCDEF") == strlen(s + 1);
}

static int add_map(struct parse *p, const char *pmu, const char *event, const char *string)
{
	struct sm_setfile *s = p->s;
	struct sm_set_mapping *m;
	char full[SM_EVENT_STRING * 2];

	for (unsigned i = 0; i < s->n_maps; i++)
		if (strcmp(s->maps[i].pmu, pmu) == 0 && strcmp(s->maps[i].event, event) == 0)
			return refuse_line(p, -EINVAL, "%s is defined twice for %s", event, pmu);
	m = realloc(s->maps, (s->n_maps + 1) * sizeof(*m));
	if (m == NULL)
		return refuse_line(p, -ENOMEM, "out of memory");
	s->maps = m;
	m += s->n_maps;
	snprintf(full, sizeof(full), "%s%s%s", qualified(string) ? "" : pmu,
		 qualified(string) ? "" : "::", string);
	if (!copy(p, m->pmu, sizeof(m->pmu), pmu, "PMU name") ||
	    !copy(p, m->event, sizeof(m->event), event, "event name") ||
	    !copy(p, m->string, sizeof(m->string), full, "event string"))
		return 0;
	s->n_maps++;
	return 1;
}

static int on_pmu(struct parse *p, const char *list, const char *event, const char *string)
{
	char names[64], *save = NULL;
	int ok = 1;

	if (!copy(p, names, sizeof(names), list, "list of PMUs"))
		return 0;
	for (char *n = strtok_r(names, " ", &save); ok && n != NULL; n = strtok_r(NULL, " ", &save))
		ok = add_map(p, n, event, string);
	return ok;
}

static int on_line(void *user, const char *section, const char *key, const char *value)
{
	struct parse *p = user;

	/* inih cuts sections at 49 characters without saying so. */
	if (strlen(section) >= 49)
		return refuse_line(p, -EINVAL, "section name too long: use several sections");
	if (value == NULL || !*value)
		return refuse_line(p, -EINVAL, "\"%s\" has no value", key);
	if (strcmp(section, "set") == 0)
		return on_set(p, key, value);
	if (strncmp(section, "metric ", 7) == 0)
		return on_metric(p, section + 7, key, value);
	if (strncmp(section, "pmu ", 4) == 0)
		return on_pmu(p, section + 4, key, value);
	return refuse_line(p, -EINVAL, "unknown section [%s] (set, metric NAME, pmu NAME..)",
			   section);
}

static int parse(const char *text, const char *origin, bool table, struct sm_setfile **out,
		 char *err, size_t errlen)
{
	struct parse p = {.s = calloc(1, sizeof(*p.s)), .table = table};
	int line;

	*out = NULL;
	if (p.s == NULL)
		return -ENOMEM;
	snprintf(p.s->origin, sizeof(p.s->origin), "%s", origin);
	line = ini_parse_string(text, on_line, &p);
	if (line > 0 && !p.rc)
		refuse_line(&p, -EINVAL, "not \"key = value\", or longer than 199 characters");
	else if (line < 0)
		refuse_line(&p, -ENOMEM, "out of memory");
	if (!p.rc && !p.s->name[0])
		refuse_line(&p, -EINVAL, "[set] name is missing");
	if (!p.rc && !p.s->n_metrics)
		refuse_line(&p, -EINVAL, "no [metric NAME] section");
	if (p.rc) {
		if (err != NULL && errlen)
			snprintf(err, errlen, "%s:%d: %s", origin, line > 0 ? line : 1, p.why);
		sm_setfile_free(p.s);
		return p.rc;
	}
	*out = p.s;
	return 0;
}

int sm_setfile_parse(const char *text, const char *origin, struct sm_setfile **out, char *err,
		     size_t errlen)
{
	return parse(text, origin, false, out, err, errlen);
}

struct sm_setfile *sm_setfile_table(void)
{
	struct sm_setfile *table;

	parse(sm__set_table, "perf/sets/table.ini", true, &table, NULL, 0);
	return table;
}

int sm_setfile_read(const char *path, struct sm_setfile **out, char *err, size_t errlen)
{
	FILE *f = fopen(path, "re");
	char *text;
	size_t n;
	int rc;

	*out = NULL;
	if (f == NULL) {
		rc = -errno;
		snprintf(err, errlen, "%s: %s", path, strerror(-rc));
		return rc;
	}
	text = calloc(1, 1 << 20);
	n = text != NULL ? fread(text, 1, (1 << 20) - 1, f) : 0;
	rc = text == NULL ? -ENOMEM : ferror(f) ? -EIO : strlen(text) != n ? -EINVAL : 0;
	fclose(f);
	if (rc)
		snprintf(err, errlen, "%s: %s", path,
			 rc == -EINVAL ? "not a text file" : strerror(-rc));
	else
		rc = sm_setfile_parse(text, path, out, err, errlen);
	free(text);
	return rc;
}

void sm_setfile_free(struct sm_setfile *s)
{
	if (s == NULL)
		return;
	free(s->metrics);
	free(s->maps);
	free(s);
}

/* ---- finding ------------------------------------------------------------------------------ */

void sm_setfile_user_dir(char *buf, size_t len)
{
	const char *own = getenv("SPANMARK_SETS"), *xdg = getenv("XDG_CONFIG_HOME"),
		   *home = getenv("HOME");

	buf[0] = '\0';
	if (getauxval(AT_SECURE))
		return;
	if (own != NULL && *own)
		snprintf(buf, len, "%s", own);
	else if (xdg != NULL && *xdg)
		snprintf(buf, len, "%s/spanmark/sets", xdg);
	else if (home != NULL && *home)
		snprintf(buf, len, "%s/.config/spanmark/sets", home);
}

static bool is_path(const char *name)
{
	size_t n = strlen(name);

	return strchr(name, '/') != NULL || (n > 4 && strcmp(name + n - 4, ".ini") == 0);
}

static int unknown(const char *name, char *err, size_t errlen)
{
	size_t at = (size_t)snprintf(err, errlen, "unknown counter set \"%s\"; allowed:", name);

	for (unsigned i = 0; i < N_BUILTIN && at < errlen; i++)
		at += (size_t)snprintf(err + at, errlen - at, "%s %s", i ? "," : "",
				       builtin[i].name);
	if (at < errlen)
		snprintf(err + at, errlen - at, ", or the path of an .ini file");
	return -ENOENT;
}

int sm_setfile_find(const char *name, const char *user_dir, struct sm_setfile **out, char *err,
		    size_t errlen)
{
	char path[512];
	int rc;

	*out = NULL;
	if (is_path(name))
		return sm_setfile_read(name, out, err, errlen);
	if (user_dir != NULL && *user_dir) {
		snprintf(path, sizeof(path), "%s/%s.ini", user_dir, name);
		rc = sm_setfile_read(path, out, err, errlen);
		/* A folder that we may not look into (sudo -u, a service) has no sets for us. */
		if (rc != -ENOENT && rc != -ENOTDIR &&
		    !(rc == -EACCES && access(user_dir, X_OK) != 0))
			return rc;
	}
	for (unsigned i = 0; i < N_BUILTIN; i++)
		if (strcmp(builtin[i].name, name) == 0)
			return sm_setfile_parse(builtin[i].text, "built in", out, err, errlen);
	return unknown(name, err, errlen);
}

const struct sm_set_mapping *sm_setfile_map(const struct sm_setfile *s, const char *uarch,
					    const char *event)
{
	const char *const order[] = {uarch, "any",
				     strcmp(uarch, "callgrind") != 0 ? "generic" : "any"};

	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i < s->n_maps; i++)
			if (strcmp(s->maps[i].pmu, order[k]) == 0 &&
			    strcmp(s->maps[i].event, event) == 0)
				return &s->maps[i];
	return NULL;
}

enum sm_better sm_setfile_better(const char *metric)
{
	enum sm_better better = SM_BETTER_NEITHER;

	for (unsigned i = 0; i <= N_BUILTIN && better == SM_BETTER_NEITHER; i++) {
		struct sm_setfile *s = NULL;

		if (i == N_BUILTIN)
			s = sm_setfile_table();
		else
			sm_setfile_parse(builtin[i].text, "built in", &s, NULL, 0);
		for (unsigned k = 0; s != NULL && k < s->n_metrics; k++)
			if (strcmp(s->metrics[k].name, metric) == 0)
				better = s->metrics[k].better;
		sm_setfile_free(s);
	}
	return better;
}
