/* screen.c: see screen.h. */
#include "perf/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/kernels.h"
#include "perf/passes.h"

static const char reason[] =
	"it opens but reads 0 where it must count: this PMU does not implement it";

bool sm__screen_applies(const char *event)
{
	static const char *const never_zero[] = {
		"cycles",   "instructions", "branches",	 "br_miss",	"l1d_miss",
		"l2_miss",  "llc_miss",	    "dtlb_walk", "dtlb_refill", "stall_fe",
		"stall_be", "stall_mem",    "dram_fill", "itlb_walk"};

	for (size_t i = 0; i < sizeof(never_zero) / sizeof(never_zero[0]); i++)
		if (strcmp(never_zero[i], event) == 0)
			return true;
	return false;
}

/* Where the chase lies in the last-level cache, nothing needs memory. */
#define CHASE ((size_t)64 << 20)

static bool needs_memory(const char *event)
{
	return strcmp(event, "llc_miss") == 0 || strcmp(event, "dram_fill") == 0;
}

/* The largest cache of a CPU in bytes; 0: not known. */
static size_t largest_cache(const struct sm_counterset *cs, int cpu)
{
	size_t largest = 0;

	for (int i = 0; i < 8; i++) {
		char path[96], text[32], *end;
		size_t size;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/size",
			 cpu, i);
		if (sm__read_line(cs->pmus.root, path, text, sizeof(text)))
			break;
		size = strtoul(text, &end, 10);
		size <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
		largest = size > largest ? size : largest;
	}
	return largest;
}

struct program {
	struct sm_chase chase;
	struct sm_pages pages, code;
	uint8_t *bits;
	size_t n_bits;
};

/* More than most last-level caches hold; more than all of them would cost seconds to build. */
static bool prepare(struct program *p)
{
	memset(p, 0, sizeof(*p));
	p->n_bits = 1 << 17;
	p->bits = malloc(p->n_bits);
	if (p->bits == NULL)
		return false;
	sm__random_bytes(p->bits, p->n_bits, 88172645463325252u);
	/* Without leave to make memory executable itlb_walk is not judged. */
	if (sm__code_make(&p->code, 8192, 3))
		p->code.start = NULL;
	return !sm__chase_make(&p->chase, CHASE, 1) && !sm__pages_make(&p->pages, 16384, 2);
}

static void run_program(const struct program *p)
{
	sm__kernel_loop(100000);
	sm__kernel_branches(p->bits, p->n_bits);
	sm__kernel_chase(&p->chase, 100000);
	sm__kernel_pages(&p->pages, 65536);
	if (p->code.start != NULL)
		sm__kernel_code(&p->code, 32768);
}

static void finish(struct program *p)
{
	sm__chase_free(&p->chase);
	sm__pages_free(&p->pages);
	if (p->code.start != NULL)
		sm__pages_free(&p->code);
	free(p->bits);
}

static bool reads_zero(const struct sm_counterset *cs, const struct sm_event_code *code,
		       const struct program *p)
{
	struct sm_group_options opt = {.opener = cs->opt.opener, .cpu = -1, .no_user_read = true};
	struct sm_group_count a, b;
	struct sm_counter_group g;
	bool zero = false;

	sm_group_open(&g, &code, 1, &opt);
	if (g.n_open && !sm_group_read(&g, &a)) {
		run_program(p);
		zero = !sm_group_read(&g, &b) && b.running > a.running &&
		       b.values[0] == a.values[0];
	}
	sm_group_close(&g);
	return zero;
}

static void condemn(struct sm_event_resolved *r)
{
	r->status = SM_STATUS_UNSUPPORTED;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

unsigned sm__screen(struct sm_counterset *cs)
{
	struct program p;
	unsigned found = 0, todo = 0;

	for (unsigned e = 0; e < cs->n_events; e++)
		for (unsigned k = 0; k < cs->n_kinds; k++)
			todo += sm__is_hw(&cs->events[e], k) &&
				sm__screen_applies(cs->events[e].name);
	if (!todo)
		return 0;
	if (prepare(&p)) {
		for (unsigned k = 0; k < cs->n_kinds; k++) {
			bool fits = largest_cache(cs, sm_cpumask_next(&cs->pmus.pmus[k].cpus, 0)) >=
				    CHASE;

			sm__go_to_kind(cs, k);
			for (unsigned e = 0; e < cs->n_events; e++) {
				const char *name = cs->events[e].name;

				if (!sm__is_hw(&cs->events[e], k) || !sm__screen_applies(name) ||
				    (p.code.start == NULL && strcmp(name, "itlb_walk") == 0) ||
				    (fits && needs_memory(name)) ||
				    !reads_zero(cs, &cs->events[e].res[k].code, &p))
					continue;
				condemn(&cs->events[e].res[k]);
				found++;
			}
			sm__go_back(cs);
		}
	}
	finish(&p);
	return found;
}
