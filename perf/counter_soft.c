/*
 * counter_soft.c: the software metrics that every Linux gives to every thread about itself, without
 * perf_event: they work in any container. Two system calls at most, and only those whose numbers
 * are asked for.
 */
#include <sys/resource.h>

#include "perf/clock.h"
#include "perf/counter.h"

#define NEED_CLOCK  1u
#define NEED_RUSAGE 2u

static int soft_open(struct sm_counter_group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		g->soft_mask |= g->codes[i]->soft == SM_SOFT_TASK_CLOCK ? NEED_CLOCK : NEED_RUSAGE;
	g->n_open = g->n;
	g->mode = SM_READ_SOFT;
	return 0;
}

static uint64_t tv_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000000u + (uint64_t)tv->tv_usec * 1000u;
}

uint64_t sm_soft_value(enum sm_soft what, uint64_t clock, const struct rusage *r)
{
	switch (what) {
	case SM_SOFT_TASK_CLOCK: return clock;
	case SM_SOFT_USER_TIME: return tv_ns(&r->ru_utime);
	case SM_SOFT_SYSTEM_TIME: return tv_ns(&r->ru_stime);
	case SM_SOFT_FAULTS: return (uint64_t)r->ru_minflt + (uint64_t)r->ru_majflt;
	case SM_SOFT_MINOR_FAULTS: return (uint64_t)r->ru_minflt;
	case SM_SOFT_MAJOR_FAULTS: return (uint64_t)r->ru_majflt;
	case SM_SOFT_CONTEXT_SWITCHES: return (uint64_t)r->ru_nvcsw + (uint64_t)r->ru_nivcsw;
	case SM_SOFT_VOLUNTARY_SWITCHES: return (uint64_t)r->ru_nvcsw;
	case SM_SOFT_INVOLUNTARY_SWITCHES: return (uint64_t)r->ru_nivcsw;
	case SM_SOFT_COUNT: break;
	}
	return 0;
}

static int soft_read(struct sm_counter_group *g, struct sm_group_count *c)
{
	struct rusage r = {0};
	uint64_t clock = g->soft_mask & NEED_CLOCK ? sm_clock_thread_ns() : 0;

	if (g->soft_mask & NEED_RUSAGE)
		getrusage(RUSAGE_THREAD, &r);
	/* The kernel always counts these: enabled = running = 0 stands for "no scaling, ever". */
	c->enabled = 0;
	c->running = 0;
	for (unsigned i = 0; i < g->n; i++)
		c->values[i] = sm_soft_value(g->codes[i]->soft, clock, &r);
	return 0;
}

static void soft_close(struct sm_counter_group *g)
{
	g->n_open = 0;
	g->mode = SM_READ_NONE;
}

const struct sm_counter_ops sm_counter_soft = {
	.name = "soft",
	.open = soft_open,
	.read = soft_read,
	.close = soft_close,
};
