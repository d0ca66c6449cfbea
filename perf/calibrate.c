/* calibrate.c: see calibrate.h. */
#include "perf/calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "perf/clock.h"
#include "perf/kernels.h"
#include "perf/passes.h"

#define ROUNDS 7 /* some are disturbed by interrupts: the median is not */
#define TRIES  100

struct cal {
	const struct sm_topology *topo;
	struct sm_counterset *cs;
	struct sm_calibration *out;
	unsigned kind;
	bool failed; /* out of memory */
};

/* A kernel does `work` operations; what it needs besides is in arg. */
typedef void (*kernel_fn)(const void *arg, uint64_t work);

struct job {
	const char *kernel;
	const char *event;
	kernel_fn fn;
	const void *arg;
	uint64_t small, large;	    /* two amounts of work */
	double expected, low, high; /* counts per operation */
	bool timed;
	/* the count is of time: a round in which others had the CPU says nothing about the event */
	bool alone;
};

enum sm_verdict sm_cal_judge(double expected, double low, double high, double counted)
{
	if (isnan(counted))
		return SM_VERDICT_NA;
	if (counted == 0 && low > 0)
		return SM_VERDICT_ZERO;
	if (fabs(counted - expected) <= fabs(expected) * 1e-5)
		return SM_VERDICT_EXACT;
	return counted >= low && counted <= high ? SM_VERDICT_GOOD : SM_VERDICT_OFF;
}

const char *sm_verdict_name(enum sm_verdict v)
{
	static const char *const names[] = {"exact", "good", "off", "reads 0", "n/a"};

	return names[v];
}

/* ---- kernels ------------------------------------------------------------------------------ */

static void run_loop(const void *arg, uint64_t work)
{
	(void)arg;
	sm__kernel_loop(work);
}

static void run_chain(const void *arg, uint64_t work)
{
	(void)arg;
	sm__kernel_chain(work / 16);
}

static void run_branches(const void *arg, uint64_t work)
{
	sm__kernel_branches(arg, work);
}

static void run_chase(const void *arg, uint64_t work)
{
	sm__kernel_chase(arg, work);
}

static void run_pages(const void *arg, uint64_t work)
{
	sm__kernel_pages(arg, work);
}

static void run_code(const void *arg, uint64_t work)
{
	sm__kernel_code(arg, work);
}

static void run_faults(const void *arg, uint64_t work)
{
	(void)arg;
	sm__kernel_faults(work);
}

/* One operation is a nanosecond of wall time. */
static void run_busy(const void *arg, uint64_t work)
{
	uint64_t until = sm_clock_ns() + work;

	(void)arg;
	while (sm_clock_ns() < until)
		;
}

/* ---- one measurement ---------------------------------------------------------------------- */

static int find_event(const struct sm_counterset *cs, const char *name)
{
	for (unsigned i = 0; i < cs->n_events; i++)
		if (strcmp(cs->events[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

static int run_once(struct sm_counter_group *g, const struct job *j, uint64_t work, double *count,
		    double *ns)
{
	struct sm_group_count a, b;
	uint64_t t0, t1;

	if (g != NULL && sm_group_read(g, &a))
		return -EIO;
	t0 = sm_clock_ns();
	j->fn(j->arg, work);
	t1 = sm_clock_ns();
	if (g != NULL &&
	    (sm_group_read(g, &b) || (b.enabled > a.enabled && b.running == a.running)))
		return -EIO;
	*count = g != NULL ? (double)(b.values[0] - a.values[0]) : NAN;
	*ns = (double)(t1 - t0);
	return 0;
}

static long times_preempted(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_nivcsw;
}

/* 0, -EIO: the kernel did not schedule it, -EAGAIN: never were there enough rounds that others left
 * alone. */
static int measure(struct sm_counter_group *g, const struct job *j, double *count, double *ns)
{
	double counts[ROUNDS], times[ROUNDS], c0, c1, t0, t1;

	j->fn(j->arg, j->small); /* warm */
	for (int i = 0, tries = 0; i < ROUNDS; tries++) {
		long before = j->alone ? times_preempted() : 0;

		if (run_once(g, j, j->small, &c0, &t0) || run_once(g, j, j->large, &c1, &t1))
			return -EIO;
		if (j->alone && tries == TRIES)
			return -EAGAIN;
		if (j->alone && times_preempted() != before)
			continue;
		counts[i] = c1 - c0;
		times[i++] = t1 - t0;
	}
	*count = g != NULL ? median(counts, ROUNDS) : NAN;
	*ns = median(times, ROUNDS);
	return 0;
}

static struct sm_cal_row *new_row(struct cal *c)
{
	struct sm_cal_row *r = realloc(c->out->rows, (c->out->n + 1) * sizeof(*r));

	if (r == NULL) {
		c->failed = true;
		return NULL;
	}
	c->out->rows = r;
	r += c->out->n++;
	memset(r, 0, sizeof(*r));
	return r;
}

static void missing(struct sm_cal_row *r, enum sm_status st, const char *reason)
{
	r->status = st;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void count_verdict(struct sm_calibration *out, enum sm_verdict v)
{
	unsigned *const counters[] = {&out->exact, &out->good, &out->off, &out->zero, &out->na};

	++*counters[v];
}

static void run_kernel(struct cal *c, const struct job *j)
{
	struct sm_group_options opt = {.opener = c->cs->opt.opener, .cpu = -1};
	int e = find_event(c->cs, j->event);
	const struct sm_event_resolved *res = e < 0 ? NULL : &c->cs->events[e].res[c->kind];
	const struct sm_event_code *code = res != NULL ? &res->code : NULL;
	struct sm_cal_row *r = new_row(c);
	struct sm_counter_group g;
	bool open = false;
	double ns = NAN;
	int err;

	if (r == NULL)
		return;
	r->counted = NAN;
	r->work = (double)(j->large - j->small);
	r->expected = j->expected * r->work;
	r->low = j->low * r->work;
	r->high = j->high * r->work;
	snprintf(r->kernel, sizeof(r->kernel), "%s", j->kernel);
	snprintf(r->event, sizeof(r->event), "%s", j->event);
	snprintf(r->core_kind, sizeof(r->core_kind), "%s", c->cs->pmus.pmus[c->kind].uarch);
	if (res == NULL || res->status != SM_STATUS_OK) {
		missing(r, res != NULL ? res->status : SM_STATUS_UNSUPPORTED,
			res != NULL ? res->reason : "no set names it");
	} else {
		sm_group_open(&g, &code, 1, &opt);
		open = true;
		if (!g.n_open)
			missing(r, g.ev[0].status, g.ev[0].reason);
	}
	if (res != NULL) {
		snprintf(r->label, sizeof(r->label), "%s", res->name);
		r->source = res->code.source;
	}
	err = measure(open && g.n_open ? &g : NULL, j, &r->counted, &ns);
	if (err && r->status == SM_STATUS_OK)
		missing(r, SM_STATUS_NOT_COUNTED,
			err == -EAGAIN ? "other programs took the CPU away whenever it was tried"
				       : "the kernel did not schedule it");
	if (open)
		sm_group_close(&g);
	r->ns_per_op = j->timed ? ns / r->work : NAN;
	r->verdict = sm_cal_judge(r->expected, r->low, r->high, r->counted);
	r->error = (r->counted - r->expected) / fmax(r->expected, r->work / 100);
	count_verdict(c->out, r->verdict);
}

/* ---- the series --------------------------------------------------------------------------- */

static void calibrate_core(struct cal *c)
{
	size_t n = 1 << 18;
	uint8_t *bits = malloc(n);

	run_kernel(c, &(struct job){"loop", "instructions", run_loop, NULL, 20000, 220000, 2, 1.999,
				    2.001, false, false});
	run_kernel(c, &(struct job){"loop", "branches", run_loop, NULL, 20000, 220000, 1, 0.999,
				    1.001, false, false});
	run_kernel(c, &(struct job){"dependent chain", "cycles", run_chain, NULL, 32000, 352000, 1,
				    0.9, 1.1, true, false});
	if (bits == NULL) {
		c->failed = true;
		return;
	}
	sm__random_bytes(bits, n, 88172645463325252u);
	run_kernel(c, &(struct job){"random branches", "br_miss", run_branches, bits, 1 << 16, n,
				    0.5, 0.4, 0.6, true, false});
	free(bits);
}

static void size_name(char *buf, size_t len, uint64_t bytes, const char *part, const char *level)
{
	if (bytes >= 1u << 20)
		snprintf(buf, len, "chase %.4g MiB (%s %s)", (double)bytes / (1 << 20), part,
			 level);
	else
		snprintf(buf, len, "chase %.4g KiB (%s %s)", (double)bytes / 1024, part, level);
}

/* Memory that a chase may take: a quarter of what there is, at most 1 GiB. */
static uint64_t chase_limit(void)
{
	long pages = sysconf(_SC_AVPHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t quarter = pages > 0 ? (uint64_t)pages * (uint64_t)size / 4 : (uint64_t)64 << 20;

	return quarter < (uint64_t)1 << 30 ? quarter : (uint64_t)1 << 30;
}

static void chase_size(struct cal *c, uint64_t bytes, const char *part, const char *level,
		       const char *event, bool miss)
{
	struct sm_chase chase;
	char name[48];
	struct job j = {
		.kernel = name, .event = event, .fn = run_chase, .arg = &chase, .timed = true};

	size_name(name, sizeof(name), bytes, part, level);
	if (bytes > chase_limit() || sm__chase_make(&chase, bytes, bytes | 1)) {
		struct sm_cal_row *r = new_row(c);

		if (r == NULL)
			return;
		snprintf(r->kernel, sizeof(r->kernel), "%s", name);
		snprintf(r->event, sizeof(r->event), "%s", event);
		r->counted = r->error = r->ns_per_op = NAN;
		r->verdict = SM_VERDICT_NA;
		missing(r, SM_STATUS_NOT_COUNTED, "not enough free memory for this size");
		count_verdict(c->out, r->verdict);
		return;
	}
	/* Every line visited at least twice in the difference, so that the cache is in its steady
	 * state. */
	j.small = chase.lines > 100000 ? 100000 : 2 * chase.lines;
	j.large = j.small + 200000;
	j.expected = miss ? 1 : 0;
	j.low = miss ? 0.8 : 0;
	j.high = miss ? 1.2 : 0.05;
	run_kernel(c, &j);
	sm__chase_free(&chase);
}

static void calibrate_caches(struct cal *c)
{
	const struct {
		const char *name, *event;
		uint64_t size;
	} levels[] = {{"L1d", "l1d_miss", c->topo->l1d.size},
		      {"L2", "l2_miss", c->topo->l2.size},
		      {"LLC", "llc_miss", c->topo->l3.size ? c->topo->l3.size : c->topo->l2.size}};

	for (unsigned i = 0; i < 3; i++) {
		/* Geometry unknown (emulated machines): sizes that are typical. */
		static const uint64_t typical[] = {32u << 10, 1u << 20, 16u << 20};
		uint64_t size = levels[i].size ? levels[i].size : typical[i];
		const char *name = levels[i].name;

		chase_size(c, size / 2, "1/2", name, levels[i].event, false);
		chase_size(c, size * 4, "4 x", name, levels[i].event, true);
	}
}

static void calibrate_pages(struct cal *c)
{
	static const struct {
		size_t pages;
		const char *name, *code_name;
		bool miss;
	} all[] = {{16, "16 pages, random order", "calls into 16 pages", false},
		   {65536, "65536 pages, random order", "calls into 65536 pages", true}};
	struct sm_pages p;

	for (unsigned i = 0; i < 2; i++) {
		bool miss = all[i].miss;
		struct job data = {
			all[i].name, "dtlb_walk",    run_pages,		&p,   100000, 300000,
			miss,	     miss ? 0.8 : 0, miss ? 1.2 : 0.01, true, false};
		struct job code = {
			all[i].code_name, "itlb_walk",	     run_code, &p,   100000, 300000, miss,
			miss ? 0.8 : 0,	  miss ? 1.2 : 0.01, true,     false};

		if (sm__pages_make(&p, all[i].pages, 7)) {
			c->failed = true;
			return;
		}
		run_kernel(c, &data);
		sm__pages_free(&p);
		/* Where nothing may be made executable this row is left out. */
		if (sm__code_make(&p, all[i].pages, 7))
			continue;
		run_kernel(c, &code);
		sm__pages_free(&p);
	}
}

static void calibrate_software(struct cal *c)
{
	run_kernel(c, &(struct job){"fresh pages", "minor_faults", run_faults, NULL, 100, 2100, 1,
				    0.999, 1.01, true, false});
	run_kernel(c, &(struct job){.kernel = "busy loop",
				    .event = "task_clock",
				    .fn = run_busy,
				    .small = 200000,
				    .large = 2200000,
				    .expected = 1,
				    .low = 0.5,
				    .high = 1.05,
				    .alone = true});
}

int sm__calibrate_software(struct sm_counterset *cs, struct sm_calibration *out)
{
	struct cal c = {.cs = cs, .out = out};

	memset(out, 0, sizeof(*out));
	calibrate_software(&c);
	return c.failed ? -ENOMEM : 0;
}

int sm_calibrate(const struct sm_topology *topo, const struct sm_counterset_options *base,
		 struct sm_calibration *out, char *err, size_t errlen)
{
	static const char *const sets[] = {"cycles", "branch", "cache", "tlb", "soft"};
	struct sm_counterset_options o = base != NULL ? *base : (struct sm_counterset_options){0};
	struct cal c = {.topo = topo, .out = out};
	int rc;

	memset(out, 0, sizeof(*out));
	o.sets = sets;
	o.n_sets = 5;
	o.events = NULL;
	o.n_events = 0;
	o.no_screen = true; /* to see them read 0 is the point */
	rc = sm_counterset_new(&o, &c.cs, err, errlen);
	if (rc)
		return rc;
	for (c.kind = 0; c.kind < c.cs->n_kinds; c.kind++) {
		sm__go_to_kind(c.cs, c.kind);
		calibrate_core(&c);
		calibrate_caches(&c);
		calibrate_pages(&c);
		sm__go_back(c.cs);
	}
	c.kind = 0;
	calibrate_software(&c);
	sm_counterset_free(c.cs);
	if (c.failed) {
		snprintf(err, errlen, "calibration: out of memory");
		sm_calibration_free(out);
		return -ENOMEM;
	}
	return 0;
}

void sm_calibration_free(struct sm_calibration *c)
{
	free(c->rows);
	memset(c, 0, sizeof(*c));
}
