/*
 * timed.c: the timed part of a run: what passes between its begin and its end, summed over parts.
 */
#include <string.h>
#include <sys/time.h>

#include "perf/clock.h"
#include "workloads/counting.h"
#include "workloads/requests.h"
#include "workloads/run_internal.h"
#include "workloads/trace/trace.h"

static void read_totals(const struct sm_run *run, struct sm_totals *t)
{
	memset(t, 0, sizeof(*t));
	if (run->gc != NULL) {
		sm_gc_stats(run->gc, &t->gc);
		sm__spans_scanned(run->gc, &t->scanned);
		t->by_workers = sm__marked_by_workers(run->gc);
	}
	if (run->job->backend == SM_WL_BDWGC)
		sm_bdwgc_totals(&t->bdwgc);
	getrusage(RUSAGE_SELF, &t->usage);
	t->ns = sm_clock_ns();
}

static void add_time(struct timeval *sum, const struct timeval *from, const struct timeval *to)
{
	struct timeval d;

	timersub(to, from, &d);
	timeradd(sum, &d, sum);
}

/* sum += to - from, for what grows; the rest is the latest. */
static void add_totals(struct sm_totals *sum, const struct sm_totals *from,
		       const struct sm_totals *to)
{
	struct sm_gc_stats gc = sum->gc;

	sum->gc = to->gc;
#define GROWS(f) sum->gc.f = gc.f + (to->gc.f - from->gc.f)
	GROWS(cycles);
	GROWS(total_mark_ns);
	GROWS(total_cycle_ns);
	GROWS(total_marked_objects);
	GROWS(allocated_bytes);
	GROWS(stall_total_ns);
	GROWS(total_scanned_local);
	GROWS(total_scanned_remote);
	GROWS(total_steals_l3);
	GROWS(total_steals_node);
	GROWS(total_steals_across);
	GROWS(total_delivered);
	GROWS(total_overflows);
	GROWS(minors);
	GROWS(generational_cycles);
	GROWS(generation_switches);
	GROWS(total_minor_objects);
	GROWS(total_minor_bytes);
	GROWS(total_remembered);
	GROWS(total_spans);
	GROWS(total_span_alone);
	GROWS(total_span_sparse);
	GROWS(total_span_dense);
	GROWS(stalls);
#undef GROWS
#define GROWS(f) sum->bdwgc.f += to->bdwgc.f - from->bdwgc.f
	GROWS(cycles);
	GROWS(allocated_bytes);
	GROWS(cycle_ns);
	GROWS(stopped_ns);
#undef GROWS
	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++)
		for (unsigned cls = 0; cls < SM_NCLASSES_MAX; cls++)
			sum->scanned.objects[how][cls] +=
				to->scanned.objects[how][cls] - from->scanned.objects[how][cls];
	sum->by_workers += to->by_workers - from->by_workers;
	sum->ns += sm_clock_delta(from->ns, to->ns);
	add_time(&sum->usage.ru_utime, &from->usage.ru_utime, &to->usage.ru_utime);
	add_time(&sum->usage.ru_stime, &from->usage.ru_stime, &to->usage.ru_stime);
	sum->usage.ru_minflt += to->usage.ru_minflt - from->usage.ru_minflt;
	sum->usage.ru_majflt += to->usage.ru_majflt - from->usage.ru_majflt;
	sum->usage.ru_nvcsw += to->usage.ru_nvcsw - from->usage.ru_nvcsw;
	sum->usage.ru_nivcsw += to->usage.ru_nivcsw - from->usage.ru_nivcsw;
}

void sm_run_timed_begin(struct sm_run *run)
{
	SM_CHECK(!run->timing);
	run->timing = true;
	if (run->gc != NULL && run->timed.ns == 0)
		sm_gc_stalls_reset(run->gc); /* set-up's stalls are not the workload's */
	if (run->timed.ns == 0)
		sm__history_begin(run);
	if (run->job->backend == SM_WL_BDWGC && run->timed.ns == 0)
		sm_bdwgc_reset_longest_stop();
	sm__counting_arm(run->counting, true);
	read_totals(run, &run->at_begin);
	sm__trace_span(run->trace, SM_TRACE_TIMED, true); /* right behind its clock */
	run->base_ticks = sm_clock_ticks() - run->ticks;
	if (run->job->backend == SM_WL_BDWGC && run->requests != NULL)
		sm_bdwgc_on_stop(sm__requests_stopped, run);
}

void sm_run_timed_end(struct sm_run *run)
{
	struct sm_totals now;

	SM_CHECK(run->timing);
	sm_bdwgc_on_stop(NULL, NULL);
	read_totals(run, &now);
	sm__trace_span(run->trace, SM_TRACE_TIMED, false);
	run->ticks = sm_clock_delta(run->base_ticks, sm_clock_ticks());
	sm__counting_arm(run->counting, false);
	add_totals(&run->timed, &run->at_begin, &now);
	run->sample->ended_ns = now.ns;
	run->timing = false;
}

void sm_run_timed_sync(struct sm_thread *t)
{
	sm__counting_sync(t->run->counting);
}
