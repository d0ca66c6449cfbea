/* pmu.c: finding PMUs and microarchitectures; see pmu.h. */
#include "perf/pmu.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* x86: family and model range. ARM64: implementer and part in `family` and `lo`. */
struct uarch {
	const char *name;
	char vendor; /* 'A' AMD, 'I' Intel, 'M' ARM64 */
	unsigned family, lo, hi;
};

static const struct uarch uarchs[] = {
	{"amd64_fam17h_zen1", 'A', 0x17, 0x00, 0x2f},
	{"amd64_fam17h_zen2", 'A', 0x17, 0x30, 0xff},
	{"amd64_fam19h_zen4", 'A', 0x19, 0x10, 0x1f},
	{"amd64_fam19h_zen4", 'A', 0x19, 0x60, 0x7f},
	{"amd64_fam19h_zen4", 'A', 0x19, 0xa0, 0xaf},
	{"amd64_fam19h_zen3", 'A', 0x19, 0x00, 0x5f},
	{"amd64_fam1ah_zen5", 'A', 0x1a, 0x00, 0xff},
	{"skx", 'I', 6, 0x55, 0x55},
	{"icx", 'I', 6, 0x6a, 0x6a},
	{"icx", 'I', 6, 0x6c, 0x6c},
	{"spr", 'I', 6, 0x8f, 0x8f},
	{"spr", 'I', 6, 0xcf, 0xcf}, /* Emerald Rapids: the same core PMU */
	{"adl_p", 'I', 6, 0x97, 0x97},
	{"adl_p", 'I', 6, 0x9a, 0x9a},
	{"adl_p", 'I', 6, 0xb7, 0xb7},
	{"adl_p", 'I', 6, 0xba, 0xba},
	{"adl_p", 'I', 6, 0xbf, 0xbf},
	{"adl_e", 'I', 6, 0xbe, 0xbe}, /* Alder Lake N: E cores alone */
	{"arm_n1", 'M', 0x41, 0xd0c, 0},
	{"arm_v1", 'M', 0x41, 0xd40, 0},
	{"arm_n2", 'M', 0x41, 0xd49, 0},
	{"arm_v2", 'M', 0x41, 0xd4f, 0},
	{"arm_ac53", 'M', 0x41, 0xd03, 0},
	{"arm_ac57", 'M', 0x41, 0xd07, 0},
	{"arm_ac72", 'M', 0x41, 0xd08, 0},
	{"arm_ac76", 'M', 0x41, 0xd0b, 0},
};
#define N_UARCHS (sizeof(uarchs) / sizeof(uarchs[0]))

const char *sm_uarch_name(unsigned i)
{
	static const char *const names[] = {"amd64_fam17h_zen1",
					    "amd64_fam17h_zen2",
					    "amd64_fam19h_zen3",
					    "amd64_fam19h_zen4",
					    "amd64_fam1ah_zen5",
					    "skx",
					    "icx",
					    "spr",
					    "adl_p",
					    "adl_e",
					    "arm_n1",
					    "arm_v1",
					    "arm_n2",
					    "arm_v2",
					    "arm_ac53",
					    "arm_ac57",
					    "arm_ac72",
					    "arm_ac76"};

	return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

/* ---- small readers ------------------------------------------------------------------------ */

/* root NULL: none. NULL and errno. */
static FILE *open_below(const char *root, const char *path)
{
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s%s", root != NULL ? root : "", path);

	if (n >= (int)sizeof(full)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(full, "re");
}

int sm__read_line(const char *root, const char *path, char *buf, size_t len)
{
	FILE *f = open_below(root, path);

	if (f == NULL)
		return -errno;
	if (fgets(buf, (int)len, f) == NULL)
		buf[0] = '\0';
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int sm_cpumask_parse(const char *list, struct sm_cpumask *m)
{
	memset(m, 0, sizeof(*m));
	while (*list && *list != '\n') {
		char *end;
		unsigned long a = strtoul(list, &end, 10), b = a;

		if (end == list)
			return -EINVAL;
		if (*end == '-') {
			list = end + 1;
			b = strtoul(list, &end, 10);
			if (end == list)
				return -EINVAL;
		}
		if (b < a || b >= SM_PMU_MAX_CPUS)
			return -EINVAL;
		for (; a <= b; a++)
			m->bits[a / 64] |= (uint64_t)1 << (a % 64);
		list = *end == ',' ? end + 1 : end;
		if (*end && *end != ',' && *end != '\n')
			return -EINVAL;
	}
	return 0;
}

bool sm_cpumask_has(const struct sm_cpumask *m, int cpu)
{
	return cpu >= 0 && cpu < SM_PMU_MAX_CPUS && m->bits[cpu / 64] >> (cpu % 64) & 1;
}

int sm_cpumask_next(const struct sm_cpumask *m, int from)
{
	for (int i = from < 0 ? 0 : from; i < SM_PMU_MAX_CPUS; i++)
		if (m->bits[i / 64] >> (i % 64) & 1)
			return i;
	return -1;
}

/* ---- microarchitecture -------------------------------------------------------------------- */

struct cpuinfo {
	char vendor;
	unsigned long family, model;
};

static const char *name_of(const struct cpuinfo *c)
{
	for (size_t i = 0; i < N_UARCHS; i++) {
		const struct uarch *u = &uarchs[i];

		if (u->vendor != c->vendor || u->family != c->family)
			continue;
		if (u->vendor == 'M' ? c->model == u->lo : c->model >= u->lo && c->model <= u->hi)
			return u->name;
	}
	return "unknown";
}

static bool field(const char *line, const char *key, const char **value)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0)
		return false;
	n += strspn(line + n, " \t"); /* "model name" is not "model" */
	if (line[n] != ':')
		return false;
	*value = line + n + 1 + strspn(line + n + 1, " \t");
	return true;
}

/* The microarchitecture of `cpu` by <root>/proc/cpuinfo; of the first one listed when cpu < 0. */
static const char *uarch_of_cpu(const char *root, int cpu)
{
	char path[PATH_MAX], line[512];
	struct cpuinfo c = {0};
	const char *v;
	bool mine = cpu < 0, seen = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/cpuinfo", root);
	f = fopen(path, "re");
	if (f == NULL)
		return "unknown";
	while (fgets(line, sizeof(line), f) != NULL) {
		if (field(line, "processor", &v)) {
			if (seen && mine)
				break;
			mine = cpu < 0 || atoi(v) == cpu;
			seen = mine;
		} else if (!mine) {
			continue;
		} else if (field(line, "vendor_id", &v)) {
			c.vendor = strncmp(v, "AuthenticAMD", 12) == 0	 ? 'A'
				   : strncmp(v, "GenuineIntel", 12) == 0 ? 'I'
									 : '?';
		} else if (field(line, "cpu family", &v)) {
			c.family = strtoul(v, NULL, 0);
		} else if (field(line, "model", &v)) {
			c.model = strtoul(v, NULL, 0);
		} else if (field(line, "CPU implementer", &v)) {
			c.vendor = 'M';
			c.family = strtoul(v, NULL, 0);
		} else if (field(line, "CPU part", &v)) {
			c.model = strtoul(v, NULL, 0);
		}
	}
	fclose(f);
	return name_of(&c);
}

static void set_uarch(const char *root, struct sm_pmu *p)
{
	const char *u = uarch_of_cpu(root, p->present ? sm_cpumask_next(&p->cpus, 0) : -1);

	/* x86 has one family and model for all CPUs: any that is listed will do. ARM64 parts
	 * differ. */
	if (strcmp(u, "unknown") == 0 && strncmp(p->device, "cpu", 3) == 0)
		u = uarch_of_cpu(root, -1);
	/* A hybrid x86 shows one family and model for both kinds of core: the PMU's name tells them
	 * apart. */
	if (strcmp(p->device, "cpu_atom") == 0 && strncmp(u, "adl", 3) == 0)
		u = "adl_e";
	snprintf(p->uarch, sizeof(p->uarch), "%s", u);
}

/* ---- devices ------------------------------------------------------------------------------ */

static bool is_core_name(const char *name)
{
	return strcmp(name, "cpu") == 0 || strcmp(name, "cpu_core") == 0 ||
	       strcmp(name, "cpu_atom") == 0 || strncmp(name, "armv8_", 6) == 0 ||
	       strncmp(name, "armv9_", 6) == 0;
}

static bool is_software_name(const char *name)
{
	static const char *const soft[] = {"software", "tracepoint", "breakpoint", "kprobe",
					   "uprobe"};

	for (size_t i = 0; i < sizeof(soft) / sizeof(soft[0]); i++)
		if (strcmp(name, soft[i]) == 0)
			return true;
	return false;
}

/* A list of CPUs of any length: every other one of 4096 takes 10 KiB. */
static bool read_cpus(const char *root, const char *path, struct sm_cpumask *m)
{
	FILE *f = open_below(root, path);
	char *line = NULL;
	size_t cap = 0;
	bool ok;

	if (f == NULL)
		return false;
	ok = getline(&line, &cap, f) >= 0 && !sm_cpumask_parse(line, m);
	free(line);
	fclose(f);
	return ok;
}

static void read_device(const char *root, const char *name, struct sm_pmu *p)
{
	char path[PATH_MAX], text[64];

	memset(p, 0, sizeof(*p));
	snprintf(p->device, sizeof(p->device), "%s", name);
	p->present = true;
	p->core = is_core_name(name);
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/type", name);
	if (!sm__read_line(root, path, text, sizeof(text)))
		p->type = (uint32_t)strtoul(text, NULL, 10);
	/* Core PMUs of hybrid machines and of ARM64 have `cpus`, cpu-wide ones `cpumask`, the lone
	 * x86 "cpu" neither. */
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/%s", name,
		 p->core ? "cpus" : "cpumask");
	if (!read_cpus(root, path, &p->cpus) && p->core)
		read_cpus(root, "/sys/devices/system/cpu/online", &p->cpus);
	if (p->core)
		set_uarch(root, p);
}

static int by_rank(const void *a, const void *b)
{
	const struct sm_pmu *x = a, *y = b;
	int fx = sm_cpumask_next(&x->cpus, 0), fy = sm_cpumask_next(&y->cpus, 0);

	if (x->core != y->core)
		return x->core ? -1 : 1;
	if (x->core && fx != fy)
		return fx < fy ? -1 : 1;
	return strcmp(x->device, y->device);
}

/* Room for one more in a doubling array; NULL when out of memory. */
static struct sm_pmu *add_pmu(struct sm_pmus *out)
{
	struct sm_pmu *grown;

	if ((out->n & (out->n - 1)) == 0) {
		grown = realloc(out->pmus, (out->n ? 2 * (size_t)out->n : 1) * sizeof(*grown));
		if (grown == NULL)
			return NULL;
		out->pmus = grown;
	}
	memset(&out->pmus[out->n], 0, sizeof(out->pmus[0]));
	return &out->pmus[out->n++];
}

static int add_absent_core(struct sm_pmus *out)
{
	struct sm_pmu *p = add_pmu(out);

	if (p == NULL)
		return -ENOMEM;
	p->core = true;
	p->type = 4; /* PERF_TYPE_RAW */
	read_cpus(out->root, "/sys/devices/system/cpu/online", &p->cpus);
	set_uarch(out->root, p);
	return 0;
}

static int read_devices(struct sm_pmus *out)
{
	char path[PATH_MAX];
	struct dirent *e;
	struct sm_pmu *p;
	int rc = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/sys/bus/event_source/devices", out->root);
	d = opendir(path);
	while (d != NULL && rc == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || is_software_name(e->d_name))
			continue;
		p = add_pmu(out);
		if (p != NULL)
			read_device(out->root, e->d_name, p);
		else
			rc = -ENOMEM;
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

int sm_pmus_scan(const char *root, struct sm_pmus *out)
{
	int rc;

	memset(out, 0, sizeof(*out));
	snprintf(out->root, sizeof(out->root), "%s", root != NULL ? root : "");
	rc = read_devices(out);
	for (unsigned i = 0; i < out->n; i++)
		out->n_core += out->pmus[i].core;
	if (rc == 0 && !out->n_core) {
		rc = add_absent_core(out);
		out->n_core = 1;
	}
	if (rc == 0 && out->n_core > SM_PMU_KINDS)
		rc = -E2BIG;
	if (rc)
		sm_pmus_free(out);
	else
		qsort(out->pmus, out->n, sizeof(*out->pmus), by_rank);
	return rc;
}

void sm_pmus_free(struct sm_pmus *p)
{
	free(p->pmus);
	memset(p, 0, sizeof(*p));
}

unsigned sm_pmus_of_cpu(const struct sm_pmus *p, int cpu)
{
	for (unsigned i = 0; i < p->n_core; i++)
		if (sm_cpumask_has(&p->pmus[i].cpus, cpu))
			return i;
	return 0;
}

const struct sm_pmu *sm_pmus_find(const struct sm_pmus *p, const char *device)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->pmus[i].present && strcmp(p->pmus[i].device, device) == 0)
			return &p->pmus[i];
	return NULL;
}
