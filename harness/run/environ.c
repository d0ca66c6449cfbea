/* environ.c: the machine and the run as JSON. See environ.h. */
#include "harness/run/environ.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <gnu/libc-version.h>
#include <hwloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "harness/mallocs/elf.h"
#include "harness/plan/plan.h"
#include "harness/run/resume.h"
#include "harness/plan/until.h"
#include "perf/counterset.h"

/* ---- small files of the kernel ------------------------------------------------------------ */

/* First line of root/path into buf; false when it cannot be read. */
static bool first_line(const char *root, const char *path, char *buf, size_t len)
{
	char full[512];
	FILE *f;
	bool ok;

	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "re");
	ok = f != NULL && fgets(buf, (int)len, f) != NULL;
	if (f != NULL)
		fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = 0;
	return ok;
}

/* Adds the file's line as text, or null. */
static void add_line(cJSON *obj, const char *name, const char *root, const char *path)
{
	char line[256];

	if (first_line(root, path, line, sizeof(line)))
		cJSON_AddStringToObject(obj, name, line);
	else
		cJSON_AddNullToObject(obj, name);
}

/* The word in brackets: "always [madvise] never" -> "madvise". */
static void add_choice(cJSON *obj, const char *name, const char *root, const char *path)
{
	char line[256], *open, *close;

	if (first_line(root, path, line, sizeof(line)) && (open = strchr(line, '[')) &&
	    (close = strchr(open, ']'))) {
		*close = 0;
		cJSON_AddStringToObject(obj, name, open + 1);
	} else
		cJSON_AddNullToObject(obj, name);
}

/* "key : value" of /proc/cpuinfo's first CPU that has it. */
static bool cpuinfo(const char *root, const char *key, char *value, size_t len)
{
	char path[512], line[4096];
	size_t keylen = strlen(key);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/cpuinfo", root);
	f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, key, keylen) != 0 || colon == NULL ||
		    (!isspace((unsigned char)line[keylen]) && line[keylen] != ':'))
			continue;
		snprintf(value, len, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
		value[strcspn(value, "\n")] = 0;
		found = true;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

/* ---- machine ------------------------------------------------------------------------------ */

static void add_cpu(cJSON *env, const char *root, const struct sm_topology *t)
{
	char value[4096];

	if (t != NULL && t->is_thissystem && t->cpu_model[0])
		cJSON_AddStringToObject(env, "cpu_model", t->cpu_model);
	else if (cpuinfo(root, "model name", value, sizeof(value)))
		cJSON_AddStringToObject(env, "cpu_model", value);
	else
		cJSON_AddNullToObject(env, "cpu_model");
	if (cpuinfo(root, "microcode", value, sizeof(value)))
		cJSON_AddStringToObject(env, "microcode", value);
	else
		cJSON_AddNullToObject(env, "microcode");
	/* x86 only; elsewhere the kernel does not say. */
	if (cpuinfo(root, "flags", value, sizeof(value)))
		cJSON_AddBoolToObject(env, "virtual_machine", strstr(value, " hypervisor") != NULL);
	else
		cJSON_AddNullToObject(env, "virtual_machine");
}

static void add_turbo(cJSON *env, const char *root)
{
	char line[64];

	if (first_line(root, "/sys/devices/system/cpu/intel_pstate/no_turbo", line, sizeof(line)))
		cJSON_AddStringToObject(env, "turbo", line[0] == '0' ? "on" : "off");
	else if (first_line(root, "/sys/devices/system/cpu/cpufreq/boost", line, sizeof(line)))
		cJSON_AddStringToObject(env, "turbo", line[0] == '1' ? "on" : "off");
	else
		cJSON_AddNullToObject(env, "turbo");
}

static void add_settings(cJSON *env, const char *root)
{
	add_line(env, "governor", root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	add_turbo(env, root);
	add_line(env, "smt", root, "/sys/devices/system/cpu/smt/control");
	add_choice(env, "thp", root, "/sys/kernel/mm/transparent_hugepage/enabled");
	add_line(env, "aslr", root, "/proc/sys/kernel/randomize_va_space");
	add_line(env, "numa_balancing", root, "/proc/sys/kernel/numa_balancing");
	add_line(env, "perf_event_paranoid", root, "/proc/sys/kernel/perf_event_paranoid");
	add_line(env, "nmi_watchdog", root, "/proc/sys/kernel/nmi_watchdog");
	add_line(env, "load_average", root, "/proc/loadavg");
}

bool sm_environ_is_busy(const char *root, int cpus, char *text, size_t len)
{
	char line[64];
	double load;

	if (!first_line(root, "/proc/loadavg", line, sizeof(line)))
		return false;
	load = strtod(line, NULL);
	if (load <= cpus)
		return false;
	snprintf(text, len,
		 "load %.1f on %d CPU%s: other programs take part; times and waits of this run say "
		 "little",
		 load, cpus, cpus == 1 ? "" : "s");
	return true;
}

static void add_topology(cJSON *env, const struct sm_topology *t)
{
	cJSON *obj;

	if (t == NULL)
		return;
	obj = cJSON_AddObjectToObject(env, "topology");
	cJSON_AddStringToObject(obj, "source", t->source);
	cJSON_AddNumberToObject(obj, "packages", t->n_packages);
	cJSON_AddNumberToObject(obj, "nodes", t->n_nodes);
	cJSON_AddNumberToObject(obj, "l3s", t->n_l3s);
	cJSON_AddNumberToObject(obj, "cores", t->n_cores);
	cJSON_AddNumberToObject(obj, "pus", t->n_pus);
	cJSON_AddNumberToObject(obj, "pus_allowed", t->n_allowed);
	cJSON_AddNumberToObject(obj, "l3_bytes", (double)t->l3.size);
	cJSON_AddNumberToObject(obj, "page_bytes", (double)sysconf(_SC_PAGESIZE));
	cJSON_AddNumberToObject(obj, "memory_bytes",
				(double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
}

static void add_versions(cJSON *env)
{
	cJSON *obj = cJSON_AddObjectToObject(env, "versions");
	char text[64];
	unsigned v = hwloc_get_api_version();
	struct sm_elf self;
	char why[80];

	cJSON_AddStringToObject(obj, "spanmark", SM_VERSION);
	if (sm_elf_read("/proc/self/exe", &self, why, sizeof(why)) == 0 && self.build_id[0])
		cJSON_AddStringToObject(obj, "build", self.build_id);
	snprintf(text, sizeof(text), "%u.%u.%u", v >> 16, v >> 8 & 0xff, v & 0xff);
	cJSON_AddStringToObject(obj, "hwloc_api", text); /* hwloc does not tell its own version */
	cJSON_AddStringToObject(obj, "sqlite", sqlite3_libversion());
	cJSON_AddStringToObject(obj, "libc", gnu_get_libc_version());
	cJSON_AddStringToObject(obj, "compiler", __VERSION__);
}

/* ---- malloc's environment ----------------------------------------------------------------- */

/* Variables that choose or set the malloc of backend libc, by the beginning of their names. */
static bool is_malloc_variable(const char *entry)
{
	static const char *const begin[] = {
		"LD_PRELOAD=", "GLIBC_TUNABLES=", "MALLOC_",	      "MIMALLOC_",
		"GC_",	       "TCMALLOC_",	  "SPANMARK_MALLOC=", "SPANMARK_CONFIG="};

	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		if (strncmp(entry, begin[i], strlen(begin[i])) == 0)
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of what is preloaded the name, without its folder: that may name a person. */
static void print_variable(FILE *f, const char *entry)
{
	const char *value = strchr(entry, '=') + 1;

	fprintf(f, "%.*s", (int)(value - entry), entry);
	if (strncmp(entry, "LD_PRELOAD=", 11) != 0) {
		fputs(value, f);
		return;
	}
	while (*value != '\0') {
		size_t n = strcspn(value, ": ");
		const char *name = memrchr(value, '/', n);

		name = name != NULL ? name + 1 : value;
		fprintf(f, "%.*s", (int)(value + n - name), name);
		value += n;
		if (*value != '\0')
			fputc(*value++, f);
	}
}

static void add_malloc(cJSON *env)
{
	char *found[64], *text = NULL;
	size_t n = 0, len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return;
	for (char **e = environ; *e != NULL && n < sizeof(found) / sizeof(found[0]); e++)
		if (is_malloc_variable(*e) && strchr(*e, '=') != NULL)
			found[n++] = *e;
	qsort(found, n, sizeof(found[0]), by_text);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputc(' ', f);
		print_variable(f, found[i]);
	}
	if (fclose(f) == 0)
		cJSON_AddStringToObject(env, "malloc_variables", text);
	free(text);
}

/* ---- run ---------------------------------------------------------------------------------- */

static bool shell_plain(const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:%@";

	return *s && strspn(s, plain) == strlen(s);
}

char *sm_environ_command_line(int argc, char **argv)
{
	char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	if (f == NULL)
		return NULL;
	fputs("spanmark", f);
	for (int i = 0; i < argc; i++) {
		fputc(' ', f);
		if (shell_plain(argv[i])) {
			fputs(argv[i], f);
			continue;
		}
		fputc('\'', f);
		for (const char *p = argv[i]; *p; p++) {
			if (*p == '\'')
				fputs("'\\''", f);
			else
				fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, f);
		}
		fputc('\'', f);
	}
	if (fclose(f)) {
		free(line);
		return NULL;
	}
	return line;
}

/* The columns that were asked for, so that a report can evaluate formulas over sums. */
static void add_metrics(cJSON *obj, const struct sm_counterset *cs)
{
	cJSON *list = cJSON_AddArrayToObject(obj, "metrics");

	for (unsigned i = 0; i < cs->n_metrics; i++) {
		const struct sm_cs_metric *m = &cs->metrics[i];
		cJSON *item = cJSON_CreateObject();
		char label[256];

		sm_counterset_label(cs, m, 0, label, sizeof(label));
		cJSON_AddStringToObject(item, "metric", m->name);
		cJSON_AddStringToObject(item, "set", m->set);
		cJSON_AddStringToObject(item, "formula", m->formula);
		cJSON_AddStringToObject(item, "unit", m->unit);
		cJSON_AddStringToObject(item, "better", sm_better_names[m->better]);
		cJSON_AddStringToObject(item, "help", m->help);
		cJSON_AddStringToObject(item, "event", label);
		cJSON_AddNumberToObject(item, "pass", m->pass);
		cJSON_AddStringToObject(item, "status", sm_status_names[m->refused]);
		cJSON_AddStringToObject(item, "reason", m->reason);
		cJSON_AddItemToArray(list, item);
	}
}

static void add_counters(cJSON *env, const struct sm_run_options *o, const struct sm_plan *plan)
{
	cJSON *obj;

	if (plan == NULL || plan->counters == NULL) {
		cJSON_AddNullToObject(env, "counters");
		return;
	}
	obj = cJSON_AddObjectToObject(env, "counters");
	cJSON_AddStringToObject(obj, "from", sm_count_name(o->counters));
	cJSON_AddBoolToObject(obj, "multiplex", o->multiplex);
	cJSON_AddBoolToObject(obj, "chosen", o->sets.n || o->events.n); /* by -C or -e */
	cJSON_AddNumberToObject(obj, "passes", plan->passes);
	cJSON_AddNumberToObject(obj, "counters_found", plan->counters->most_together);
	add_metrics(obj, plan->counters);
}

char *sm_environ_json(const struct sm_run_options *o, const struct sm_plan *plan,
		      const struct sm_topology *t, int argc, char **argv, const char *root)
{
	cJSON *env = cJSON_CreateObject();
	char *line = sm_environ_command_line(argc, argv), *text, when[32];
	time_t now = time(NULL);
	struct utsname u;
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	cJSON_AddStringToObject(env, "started", when);
	cJSON_AddStringToObject(env, "command_line", line != NULL ? line : "");
	if (o->note != NULL)
		cJSON_AddStringToObject(env, "note", o->note);
	add_cpu(env, root, t);
	if (uname(&u) == 0) {
		cJSON_AddStringToObject(env, "architecture", u.machine);
		cJSON_AddStringToObject(env, "kernel", u.release);
	}
	add_settings(env, root);
	add_topology(env, t);
	add_versions(env);
	add_malloc(env);
	if (plan != NULL) {
		char seed[32];

		snprintf(seed, sizeof(seed), "%llu", (unsigned long long)plan->seed);
		cJSON_AddStringToObject(env, "seed", seed); /* text: JSON's numbers end at 2^53 */
		cJSON_AddNumberToObject(env, "repetitions", plan->reps);
		cJSON_AddBoolToObject(env, "quick", o->quick);
		cJSON_AddNumberToObject(env, "timeout_s", plan->timeout_s);
		sm_resume_describe(env, o, plan);
		if (o->until != NULL)
			sm_until_describe(env, o->until, o->max_time_s, plan);
	}
	add_counters(env, o, plan);
	text = cJSON_PrintUnformatted(env);
	cJSON_Delete(env);
	free(line);
	return text;
}
