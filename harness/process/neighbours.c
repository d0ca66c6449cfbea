/* neighbours.c: what went on beside a sample. See neighbours.h. */
#include "harness/process/neighbours.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/process/cgroup.h"

#define HALF	   0.5 /* of a CPU: less is not told */
#define STOLEN	   0.02
#define LEAST_NS   200000000u /* 20 ticks: half a CPU is then known to a tenth */
#define LOOK_SHARE 50
#define NAMED	   8 /* processes, the busiest ones */

/* ---- a look ------------------------------------------------------------------------------- */

static void read_cpu_times(const char *root, struct sm_neighbours_moment *m)
{
	unsigned long long v[8] = {0}; /* user nice system idle iowait irq softirq steal */
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%.90s/proc/stat", root);
	f = fopen(path, "re");
	if (f != NULL && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
				&v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8) {
		m->busy = v[0] + v[1] + v[2] + v[5] + v[6];
		m->stolen = v[7];
	}
	if (f != NULL)
		fclose(f);
}

static uint64_t throttle_count(const char *root, unsigned cpu, const char *of)
{
	unsigned long long n = 0;
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path),
		 "%.90s/sys/devices/system/cpu/cpu%u/thermal_throttle/%s_throttle_count", root, cpu,
		 of);
	f = fopen(path, "re");
	if (f != NULL && fscanf(f, "%llu", &n) != 1)
		n = 0;
	if (f != NULL)
		fclose(f);
	return n;
}

/* Of each core, and of the package that was throttled most: its CPUs all show it. */
static uint64_t read_throttled(const char *root)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t cores = 0, package = 0;
	char path[160];

	snprintf(path, sizeof(path), "%.90s/sys/devices/system/cpu/cpu0/thermal_throttle", root);
	if (access(path, F_OK) != 0)
		return 0;
	for (unsigned cpu = 0; (long)cpu < cpus; cpu++) {
		uint64_t p = throttle_count(root, cpu, "package");

		cores += throttle_count(root, cpu, "core");
		package = p > package ? p : package;
	}
	return cores + package;
}

static int look(const char *root, uint64_t now_ns, struct sm_neighbours_moment *m)
{
	*m = (struct sm_neighbours_moment){.ns = now_ns};
	read_cpu_times(root, m);
	m->throttled = read_throttled(root);
	sm_cgroup_throttled(root, &m->limited_times, &m->limited_us);
	return sm_tree_read_all(&m->all, root);
}

/* ---- what became of it -------------------------------------------------------------------- */

struct share {
	const struct sm_process *p;
	int64_t ticks;
	bool ours;
};

static int64_t ticks_of(const struct sm_process *p)
{
	return (int64_t)(p->user + p->system);
}

static const struct sm_process *same_in(const struct sm_tree *t, const struct sm_process *p)
{
	const struct sm_process *q = sm_tree_find(t, p->pid);

	return q != NULL && q->start == p->start ? q : NULL;
}

/*
 * A process that has ended gave all its time to the one that waited for it, also what it had used
 * before: that is no time of now. The one that waited is the nearest above it that lives.
 */
static void take_off_ended(struct share *shares, const struct sm_tree *then,
			   const struct sm_tree *now)
{
	for (size_t i = 0; i < then->n; i++) {
		const struct sm_process *p = &then->v[i], *up = p, *heir = same_in(now, p);

		if (heir != NULL)
			continue;
		for (size_t step = 0; up != NULL && heir == NULL && step < then->n; step++) {
			up = sm_tree_find(then, up->parent);
			heir = up != NULL ? same_in(now, up) : NULL;
		}
		if (heir != NULL)
			shares[heir - now->v].ticks -= ticks_of(p);
	}
}

/* Ticks that each process of now has used since then, with the children that ended meanwhile. */
static struct share *shares_of(const struct sm_neighbours *n, const struct sm_tree *then,
			       const struct sm_tree *now)
{
	struct share *shares = calloc(now->n + 1, sizeof(*shares));

	for (size_t i = 0; shares != NULL && i < now->n; i++) {
		const struct sm_process *p = &now->v[i], *before = same_in(then, p);

		shares[i] = (struct share){
			.p = p,
			.ticks = ticks_of(p) - (before != NULL ? ticks_of(before) : 0),
			.ours = p->pid == n->self || sm_tree_descends(now, p, n->self, NULL),
		};
	}
	if (shares != NULL)
		take_off_ended(shares, then, now);
	return shares;
}

static int busiest_first(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->ticks != y->ticks)
		return x->ticks < y->ticks ? 1 : -1;
	return x->p->pid < y->p->pid ? -1 : x->p->pid > y->p->pid;
}

/* A process chooses its name itself. */
static void print_name(FILE *f, const char *name)
{
	for (; *name; name++)
		fputc((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name, f);
}

/* Those that took more than half a CPU, by name; and the rest of what was not ours together. */
static void tell_processes(struct share *shares, size_t n, double ticks, int64_t busy, FILE *lines)
{
	int64_t told = 0, others;
	size_t named = 0;

	qsort(shares, n, sizeof(*shares), busiest_first);
	for (size_t i = 0; i < n; i++) {
		double share = (double)shares[i].ticks / ticks;

		if (shares[i].ours)
			told += shares[i].ticks;
		if (shares[i].ours || share <= HALF || named++ >= NAMED)
			continue;
		told += shares[i].ticks;
		fprintf(lines, "meanwhile: process %d (", (int)shares[i].p->pid);
		print_name(lines, shares[i].p->name);
		fprintf(lines, ") took %.1f CPUs\n", share);
	}
	/* ticks are counted in two ways, which do not agree to the last one */
	others = busy - told - busy / 10;
	if ((double)others > HALF * ticks)
		fprintf(lines,
			"meanwhile: other processes, each with less or unseen, "
			"took %.1f CPUs\n",
			(double)(busy - told) / ticks);
}

static void tell_machine(const struct sm_neighbours_moment *then,
			 const struct sm_neighbours_moment *now, FILE *lines)
{
	double busy = (double)now->busy - (double)then->busy;
	double stolen = (double)now->stolen - (double)then->stolen;

	if (stolen >= 2 && stolen > STOLEN * (busy + stolen))
		fprintf(lines,
			"meanwhile: %.1f%% of the CPU time that was wanted went to other guests "
			"(steal)\n",
			100 * stolen / (busy + stolen));
	if (now->throttled > then->throttled)
		fprintf(lines, "meanwhile: heat or power throttled CPUs (%llu events)\n",
			(unsigned long long)(now->throttled - then->throttled));
	if (now->limited_times > then->limited_times)
		fprintf(lines,
			"meanwhile: the control group's limit of CPU time stopped processes %llu "
			"times, %.1f ms in all\n",
			(unsigned long long)(now->limited_times - then->limited_times),
			(double)(now->limited_us - then->limited_us) / 1000);
}

/* ---- the door ----------------------------------------------------------------------------- */

static uint64_t own_time_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A look took so long; until the next one it is a small part of the time. */
static void rest(struct sm_neighbours *n, uint64_t began_ns)
{
	n->rest_ns = LOOK_SHARE * (own_time_ns() - began_ns);
	if (n->rest_ns < LEAST_NS)
		n->rest_ns = LEAST_NS;
}

int sm_neighbours_begin(struct sm_neighbours *n, const char *root, pid_t self, uint64_t now_ns)
{
	uint64_t began = own_time_ns();
	int rc;

	*n = (struct sm_neighbours){.root = root, .self = self};
	rc = look(root, now_ns, &n->then);
	if (rc != 0)
		sm_neighbours_free(n);
	rest(n, began);
	return rc;
}

void sm_neighbours_tell(struct sm_neighbours *n, uint64_t now_ns, FILE *lines)
{
	uint64_t began = own_time_ns();
	struct sm_neighbours_moment now;
	struct share *shares;

	if (n->root == NULL || now_ns - n->then.ns < n->rest_ns)
		return;
	if (look(n->root, now_ns, &now) != 0) {
		sm_tree_free(&now.all);
		return;
	}
	shares = lines != NULL ? shares_of(n, &n->then.all, &now.all) : NULL;
	if (shares != NULL) {
		double ticks = (double)(now_ns - n->then.ns) * 1e-9 * (double)sysconf(_SC_CLK_TCK);

		tell_processes(shares, now.all.n, ticks, (int64_t)(now.busy - n->then.busy), lines);
		tell_machine(&n->then, &now, lines);
	}
	free(shares);
	sm_tree_free(&n->then.all);
	n->then = now;
	rest(n, began);
}

void sm_neighbours_free(struct sm_neighbours *n)
{
	sm_tree_free(&n->then.all);
	n->root = NULL;
}
