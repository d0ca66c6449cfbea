/*
 * sysfs_event.c: the notation of perf(1): pmu/term=value,.../. Terms are bit fields described in
 * <pmu>/format/<term> ("config:0-7,32-35"), aliases are files in <pmu>/events holding such terms,
 * with an optional .scale and .unit beside them.
 */
#include "perf/sysfs_event.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse {
	const struct sm_event_options *opt;
	const struct sm_pmu *pmu;
	struct sm_event_resolved *out;
	int depth;
};

static bool refuse_text(struct parse *p, const char *fmt, const char *a, const char *b)
{
	p->out->status = SM_STATUS_UNSUPPORTED;
	snprintf(p->out->reason, sizeof(p->out->reason), fmt, a, b);
	return false;
}

/* Spreads value over the bits that the format names, lowest first. */
static bool deposit(struct parse *p, const char *format, uint64_t value, const char *term)
{
	struct sm_event_code *c = &p->out->code;
	uint64_t *word = &c->config;
	const char *s = strchr(format, ':');
	char *end;

	if (s == NULL)
		return refuse_text(p, "%s: format \"%s\" is not understood", term, format);
	if (strncmp(format, "config1:", 8) == 0)
		word = &c->config1;
	else if (strncmp(format, "config2:", 8) == 0)
		word = &c->config2;
	else if (strncmp(format, "config:", 7) != 0)
		return refuse_text(p, "%s: format \"%s\" is not understood", term, format);
	for (s++; *s;) {
		unsigned long lo = strtoul(s, &end, 10), hi = lo;

		if (end == s)
			return refuse_text(p, "%s: format \"%s\" is not understood", term, format);
		if (*end == '-')
			hi = strtoul(end + 1, &end, 10);
		if (hi > 63 || hi < lo)
			return refuse_text(p, "%s: format \"%s\" is not understood", term, format);
		for (; lo <= hi; lo++, value >>= 1)
			*word = (*word & ~((uint64_t)1 << lo)) | ((value & 1) << lo);
		s = *end == ',' ? end + 1 : end;
		if (*end && *end != ',')
			return refuse_text(p, "%s: format \"%s\" is not understood", term, format);
	}
	return value ? refuse_text(p, "%s: the value is too large for %.60s", term, p->pmu->device)
		     : true;
}

static bool safe(const char *s)
{
	return *s && strchr(s, '/') == NULL && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool apply_terms(struct parse *p, const char *terms);

static bool apply_alias(struct parse *p, const char *name)
{
	char path[PATH_MAX], text[512];

	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/events/%s", p->pmu->device,
		 name);
	if (p->depth > 0 || sm__read_line(p->opt->pmus->root, path, text, sizeof(text)))
		return refuse_text(p, "%.60s has no event or term \"%s\"", p->pmu->device, name);
	p->depth++;
	if (!apply_terms(p, text))
		return false;
	p->depth--;
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/events/%s.scale",
		 p->pmu->device, name);
	if (!sm__read_line(p->opt->pmus->root, path, text, sizeof(text)))
		p->out->code.scale = strtod(text, NULL);
	return true;
}

static bool apply_term(struct parse *p, char *term)
{
	char *eq = strchr(term, '='), path[PATH_MAX], format[128], *end;
	uint64_t value = 1;

	if (eq != NULL) {
		*eq = '\0';
		value = strtoull(eq + 1, &end, 0);
		if (end == eq + 1 || *end)
			return refuse_text(p, "%s: \"%s\" is not a number", term, eq + 1);
	}
	if (!safe(term))
		return refuse_text(p, "%.60s has no event or term \"%s\"", p->pmu->device, term);
	if (strcmp(term, "config") == 0)
		return deposit(p, "config:0-63", value, term);
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/format/%s", p->pmu->device,
		 term);
	if (!sm__read_line(p->opt->pmus->root, path, format, sizeof(format)))
		return deposit(p, format, value, term);
	return eq != NULL ? refuse_text(p, "%.60s has no term \"%s\"", p->pmu->device, term)
			  : apply_alias(p, term);
}

static bool apply_terms(struct parse *p, const char *terms)
{
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", terms);
	for (char *t = strtok_r(copy, ",", &save); t; t = strtok_r(NULL, ",", &save))
		if (!apply_term(p, t))
			return false;
	return true;
}

/*
 * On a machine with several core PMUs "cpu/.../" means the core PMU at hand; a name without its
 * number means the first instance (uncore.c opens them all).
 */
static const struct sm_pmu *find_pmu(const struct sm_event_options *opt, const char *device)
{
	const struct sm_pmu *core = &opt->pmus->pmus[opt->core];
	const struct sm_pmu *p = sm_pmus_find(opt->pmus, device);
	size_t len = strlen(device);

	if (p == NULL && strcmp(device, "cpu") == 0 && core->present)
		return core;
	for (unsigned i = 0; p == NULL && i < opt->pmus->n; i++) {
		const char *d = opt->pmus->pmus[i].device;

		if (strncmp(d, device, len) == 0 && d[len] == '_' && d[len + 1] &&
		    strspn(d + len + 1, "0123456789") == strlen(d + len + 1))
			p = &opt->pmus->pmus[i];
	}
	return p;
}

/* "event=0x1,umask=2,name": a value must be a number, whether this machine has the PMU or not. */
static bool well_formed(const char *terms, size_t len)
{
	if (len == 0)
		return false;
	while (len > 0) {
		const char *comma = memchr(terms, ',', len), *eq;
		size_t n = comma != NULL ? (size_t)(comma - terms) : len;
		char *end;

		eq = memchr(terms, '=', n);
		if (n == 0 || eq == terms)
			return false;
		if (eq != NULL) {
			strtoull(eq + 1, &end, 0);
			if (end != terms + n || end == eq + 1)
				return false;
		}
		terms += n + (comma != NULL);
		len -= n + (comma != NULL);
	}
	return true;
}

bool sm__sysfs_event(const char *name, const struct sm_event_options *opt,
		     struct sm_event_resolved *out, bool *bad)
{
	const char *slash = strchr(name, '/'), *last = strrchr(name, '/');
	struct parse p = {.opt = opt, .out = out};
	char device[48], terms[SM_EVENT_STRING];
	const struct sm_pmu *core = &opt->pmus->pmus[opt->core];

	snprintf(device, sizeof(device), "%.*s", (int)(slash - name), name);
	*bad = slash == name || last == slash || !safe(device) ||
	       (last[1] && strcmp(last, "/u") != 0 && strcmp(last, "/k") != 0) ||
	       !well_formed(slash + 1, (size_t)(last - slash - 1));
	if (*bad)
		return refuse_text(&p, "\"%s\": want PMU/term=value,.../%s", name, "");
	out->code = (struct sm_event_code){.source = SM_SOURCE_PMU, .scale = 1};
	p.pmu = find_pmu(opt, device);
	if (p.pmu == NULL)
		return refuse_text(&p, "this machine has no PMU called \"%s\"%s", device, "");
	snprintf(terms, sizeof(terms), "%.*s", (int)(last - slash - 1), slash + 1);
	if (!apply_terms(&p, terms))
		return false;
	if (p.pmu->core && opt->pmus->n_core > 1 && p.pmu != core)
		return refuse_text(&p, "event of %.60s, this core is counted by %.60s",
				   p.pmu->device, core->device);
	out->code.backend = p.pmu->core ? SM_BACKEND_PERF : SM_BACKEND_UNCORE;
	out->code.type = p.pmu->type;
	if (p.pmu->core) {
		out->code.exclude_kernel = !opt->count_kernel && last[1] != 'k';
		out->code.exclude_user = last[1] == 'k';
	} else {
		out->pmu = p.pmu;
	}
	return true;
}
