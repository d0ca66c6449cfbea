/*
 * report.c: what every run reports when it is over: time, memory, and what its collector did.
 */
#include <errno.h>
#include <stdio.h>

#include "allocator/objects/heap.h"
#include "perf/clock.h"
#include "workloads/compactions.h"
#include "workloads/requests.h"
#include "workloads/run_internal.h"

/* Peak resident memory in KiB, of this program only (getrusage's figure survives exec). -1:
 * unknown. */
static int64_t peak_rss_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[160];
	long long kib = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
}

static void report_time(struct sm_run *run)
{
	double wall = (double)run->timed.ns * 1e-9;

	sm_run_result(run, SM_RESULT_wall_s, wall);
	sm_run_result(run, SM_RESULT_setup_s,
		      (double)sm_clock_delta(run->start_ns, sm_clock_ns()) * 1e-9 - wall);
	sm_run_result(run, SM_RESULT_user_s, seconds(run->timed.usage.ru_utime));
	sm_run_result(run, SM_RESULT_system_s, seconds(run->timed.usage.ru_stime));
	if (!run->have_ops || run->ops == 0 || wall <= 0)
		return;
	sm_run_result(run, SM_RESULT_ops, (double)run->ops);
	sm_run_result(run, SM_RESULT_ns_per_op, wall * 1e9 * run->nthreads / (double)run->ops);
	sm_run_result(run, SM_RESULT_ops_per_s, (double)run->ops / wall);
}

static void report_memory(struct sm_run *run)
{
	const struct rusage *u = &run->timed.usage;
	int64_t peak = peak_rss_kib();

	if (peak >= 0)
		sm_run_result(run, SM_RESULT_peak_rss_kib, peak);
	else
		sm_run_result_none(run, SM_RESULT_peak_rss_kib, "/proc/self/status has no VmHWM");
	sm_run_result(run, SM_RESULT_minor_faults, u->ru_minflt);
	sm_run_result(run, SM_RESULT_major_faults, u->ru_majflt);
	sm_run_result(run, SM_RESULT_context_switches, u->ru_nvcsw + u->ru_nivcsw);
}

static void report_generations(struct sm_run *run)
{
	static const enum sm_result_id remembered[] = {
		[SM_GC_REMEMBER_CARDS] = SM_RESULT_remembered_cards,
		[SM_GC_REMEMBER_OBJECTS] = SM_RESULT_remembered_objects,
		[SM_GC_REMEMBER_NONE] = SM_RESULT_remembered_pages,
	};
	const struct sm_gc_stats *g = &run->timed.gc;

	if (g->generational_cycles == 0)
		return;
	sm_run_result(run, SM_RESULT_generational_share,
		      100.0 * (double)g->generational_cycles / (double)g->cycles);
	sm_run_result(run, SM_RESULT_generation_switches, (double)g->generation_switches);
	if (g->minors == 0)
		return;
	sm_run_result(run, SM_RESULT_minor_cycles, (double)g->minors);
	sm_run_result(run, SM_RESULT_minor_marked, (double)g->total_minor_objects);
	sm_run_result(run, SM_RESULT_minor_marked_bytes, (double)g->total_minor_bytes);
	sm_run_result(run, remembered[g->remember], (double)g->total_remembered);
	sm_run_result(run, SM_RESULT_old_bytes, (double)g->old_bytes);
}

/* Who marked what: near its memory or not, and how work moved between markers. */
static void report_locality(struct sm_run *run)
{
	const struct sm_gc_stats *g = &run->timed.gc;
	uint64_t scanned = g->total_scanned_local + g->total_scanned_remote;

	sm_run_result(run, SM_RESULT_mark_local_objects, (double)g->total_scanned_local);
	sm_run_result(run, SM_RESULT_mark_remote_objects, (double)g->total_scanned_remote);
	if (sm_gc_heap(run->gc)->pages.nnodes < 2)
		sm_run_result_none(run, SM_RESULT_mark_local_share, "the heap has one node");
	else if (scanned == 0)
		sm_run_result_none(run, SM_RESULT_mark_local_share,
				   "nothing was scanned in the timed part");
	else
		sm_run_result(run, SM_RESULT_mark_local_share,
			      100.0 * (double)g->total_scanned_local / (double)scanned);
	sm_run_result(run, SM_RESULT_steals_l3, (double)g->total_steals_l3);
	sm_run_result(run, SM_RESULT_steals_node, (double)g->total_steals_node);
	sm_run_result(run, SM_RESULT_steals_across, (double)g->total_steals_across);
	sm_run_result(run, SM_RESULT_delivered, (double)g->total_delivered);
	sm_run_result(run, SM_RESULT_mark_overflows, (double)g->total_overflows);
	if (g->total_spans == 0)
		return;
	sm_run_result(run, SM_RESULT_mark_spans, (double)g->total_spans);
	sm_run_result(run, SM_RESULT_mark_span_alone, (double)g->total_span_alone);
	sm_run_result(run, SM_RESULT_mark_span_sparse, (double)g->total_span_sparse);
	sm_run_result(run, SM_RESULT_mark_span_dense, (double)g->total_span_dense);
}

static void report_collector(struct sm_run *run)
{
	const struct sm_gc_stats *g = &run->timed.gc;

	sm_run_result(run, SM_RESULT_gc_cycles, g->cycles);
	sm_run_result(run, SM_RESULT_alloc_bytes, (double)g->allocated_bytes);
	if (sm_sample_result(run->sample, "mark_objects_per_s") == NULL) {
		if (g->total_mark_ns > 0)
			sm_run_result(run, SM_RESULT_mark_objects_per_s,
				      (double)g->total_marked_objects * 1e9 /
					      (double)g->total_mark_ns);
		else
			sm_run_result_none(run, SM_RESULT_mark_objects_per_s,
					   "no collection in the timed part");
	}
	sm_run_result(run, SM_RESULT_mark_ns, (double)g->total_mark_ns);
	sm_run_result(run, SM_RESULT_cycle_ns, (double)g->total_cycle_ns);
	sm_run_result(run, SM_RESULT_heap_live_bytes, (double)g->live_bytes);
	sm_run_result(run, SM_RESULT_stalls, (double)g->stalls);
	sm_run_result(run, SM_RESULT_stall_total_ns, (double)g->stall_total_ns);
	sm_run_result(run, SM_RESULT_verify_errors, (double)g->verify_errors);
}

/*
 * Of these waits, those in which the thread kept its CPU, all of which is the collector's doing,
 * and those in which the scheduler took it away; the longest of each.
 */
static void report_kept(struct sm_run *run, int cause, const struct sm_gc_stall *s)
{
	static const char why[] =
		"no wait in which the kernel tells whether the thread kept its CPU";

	if (s->kept)
		sm_run_result(run, sm_wait_result(cause, SM_WAIT_KEPT_MAX),
			      (double)s->kept_max_ns * 1e-3);
	else
		sm_run_result_none(run, sm_wait_result(cause, SM_WAIT_KEPT_MAX), why);
	if (s->kept + s->lost)
		sm_run_result(run, sm_wait_result(cause, SM_WAIT_LOST), (double)s->lost);
	else
		sm_run_result_none(run, sm_wait_result(cause, SM_WAIT_LOST), why);
	if (s->lost)
		sm_run_result(run, sm_wait_result(cause, SM_WAIT_LOST_MAX),
			      (double)s->lost_max_ns * 1e-3);
	else
		sm_run_result_none(run, sm_wait_result(cause, SM_WAIT_LOST_MAX),
				   s->kept ? "no wait lost its CPU" : why);
}

static void report_waits(struct sm_run *run, int cause, const struct sm_gc_stall *s)
{
	sm_run_result(run, sm_wait_result(cause, SM_WAIT_P50), (double)s->p50_ns * 1e-3);
	sm_run_result(run, sm_wait_result(cause, SM_WAIT_P99), (double)s->p99_ns * 1e-3);
	sm_run_result(run, sm_wait_result(cause, SM_WAIT_P999), (double)s->p999_ns * 1e-3);
	sm_run_result(run, sm_wait_result(cause, SM_WAIT_MAX), (double)s->max_ns * 1e-3);
}

_Static_assert(SM_RESULT_stall_total_ns == SM_RESULT_stalls + (SM_STALL_CAUSES + 1) * SM_WAIT_PARTS,
	       "results.def has a block of waits for each cause");

/* The waits that mutators suffered for the collector since the timed part began, by cause. */
static void report_stalls(struct sm_run *run)
{
	struct sm_stall_hist all = {.count = 0};
	struct sm_gc_stalls s;

	sm_gc_stalls(run->gc, &s);
	for (int c = 0; c < SM_STALL_CAUSES; c++) {
		sm__stalls_sum(run->gc, (enum sm_stall_cause)c, &run->waits[c]);
		sm__stall_summary(&run->waits[c], &s.cause[c]);
		sm__stall_add(&all, &run->waits[c]);
	}
	sm__stall_summary(&all, &s.all);
	report_kept(run, SM_WAITS_ALL, &s.all);
	report_waits(run, SM_WAITS_ALL, &s.all);
	for (int c = 0; c < SM_STALL_CAUSES; c++) {
		sm_run_result(run, sm_wait_result(c, SM_WAIT_COUNT), (double)s.cause[c].count);
		if (s.cause[c].count == 0)
			continue;
		report_waits(run, c, &s.cause[c]);
		if (s.cause[c].kept + s.cause[c].lost > 0)
			report_kept(run, c, &s.cause[c]);
	}
	sm_run_result(run, SM_RESULT_handshake_max_us, (double)s.handshake_round.max_ns * 1e-3);
}

static void report_bdwgc(struct sm_run *run)
{
	const struct sm_bdwgc_totals *g = &run->timed.bdwgc;
	static const char silent[] = "this bdwgc does not tell of its collections";

	sm_run_result(run, SM_RESULT_gc_cycles, (double)g->cycles);
	sm_run_result(run, SM_RESULT_alloc_bytes, (double)g->allocated_bytes);
	sm_run_result_none(run, SM_RESULT_mark_objects_per_s, "bdwgc does not count objects");
	if (!sm_bdwgc_tells_times()) {
		sm_run_result_none(run, SM_RESULT_cycle_ns, silent);
		sm_run_result_none(run, SM_RESULT_stall_max_us, silent);
		return;
	}
	sm_run_result(run, SM_RESULT_cycle_ns, (double)g->cycle_ns);
	/* Each of its stops is a wait of every mutator. */
	sm_run_result(run, SM_RESULT_stall_max_us, (double)sm_bdwgc_longest_stop_ns() * 1e-3);
	sm_run_result(run, SM_RESULT_stall_total_ns, (double)g->stopped_ns * run->nthreads);
}

void sm__run_report(struct sm_run *run)
{
	if (run->timed.ns == 0)
		sm_run_fail(run, -EIO, "the workload timed nothing");
	report_time(run);
	report_memory(run);
	sm__requests_report(run);
	sm__history_caches(run);
	if (run->gc != NULL) {
		report_collector(run);
		report_locality(run);
		sm__compactions_report(run);
		report_generations(run);
		report_stalls(run);
		sm__history_report(run);
	} else if (run->job->backend == SM_WL_BDWGC) {
		report_bdwgc(run);
	} else {
		sm_run_result_none(run, SM_RESULT_gc_cycles, "no collector");
		sm_run_result_none(run, SM_RESULT_stall_p99_us, "no collector");
		sm_run_result_none(run, SM_RESULT_stall_max_us, "no collector");
	}
	if (run->gc != NULL && run->timed.gc.verify_errors != 0)
		sm_run_fail(run, -EIO, "the verifier found %llu differences",
			    (unsigned long long)run->timed.gc.verify_errors);
}
