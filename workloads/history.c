/*
 * history.c: series of a run on a heap of spanmark's: what its caches did for each size class; with
 * the collector, the heap before and after each cycle beside its goal, how many waits of each cause
 * were how long, and how the objects of each size class came to be scanned by span.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/cycle/gcstats.h"
#include "perf/clock.h"
#include "spanmark/malloc.h"
#include "workloads/run_internal.h"

static const char *const lines[SM_TRAIL_LINES] = {"heap_before", "heap_live", "heap_goal"};

/* A goal without a bound (gc.percent=0) is none, and so is a size below 0: of a heap in which
 * nothing is alive, windows may have given back more than was born. */
static uint64_t known(size_t bytes)
{
	return bytes < SIZE_MAX / 2 ? bytes : UINT64_MAX;
}

/* On the control thread, once a cycle. One that ended as the timed part began, but is counted in
 * it, has its point at the beginning. */
static void note_cycle(void *ctx, const struct sm_cycle *c)
{
	struct sm_run *run = ctx;
	uint64_t began = run->sample->began_ns, x = c->off > began ? c->off : began;
	uint64_t y[SM_TRAIL_LINES] = {known(c->heap_before), known(c->heap_marked), known(c->goal)};

	sm_trail_add(&run->heap, x, y);
}

void sm__history_begin(struct sm_run *run)
{
	run->sample->began_ns = sm_clock_ns();
	if (run->gc != NULL)
		sm__cycles_tell(run->gc, note_cycle, run);
}

static void add(struct sm_run *run, const char *name, const char *x_unit, const char *y_unit,
		char *points)
{
	struct sm_series s = {.name = name, .x_unit = x_unit, .y_unit = y_unit, .points = points};

	if (points != NULL && sm_sample_add_series(run->sample, &s) != 0)
		sm_run_fail(run, -ENOMEM, "out of memory for series");
	free(points);
}

static void report_waits(struct sm_run *run, enum sm_stall_cause cause)
{
	struct sm_stall_hist *waits = &run->waits[cause];
	struct sm_series_text text;
	char name[40];

	sm_series_begin(&text);
	for (unsigned i = 0; i < SM_STALL_BUCKETS; i++) {
		uint32_t n = sm_load_relaxed(&waits->bucket[i]);

		if (n > 0)
			sm_series_point(&text, sm__stall_bucket_top(i), n);
	}
	snprintf(name, sizeof(name), "stall_%s", sm_stall_name(cause));
	add(run, name, "ns", "stalls", sm_series_end(&text));
}

/* Figures of a heap that is not at rest need not add up. */
static double beyond(uint64_t all, uint64_t part)
{
	return all > part ? (double)(all - part) : 0;
}

/*
 * What is held beside objects, at this moment: slots that windows and lists hold; free slots of
 * spans in use, and what their ends leave; free units that were not given back; descriptors and
 * maps. A slot whose object is dead but not swept counts as an object.
 */
static void report_held(struct sm_run *run, const struct sm_heap_stats *st)
{
	uint64_t kept = st->cached_bytes + st->depot_bytes;
	/* A large object is its span, which has no slots. */
	uint64_t taken = st->slot_bytes + st->large_bytes;

	sm_run_result(run, SM_RESULT_heap_object_bytes, beyond(taken, kept));
	sm_run_result(run, SM_RESULT_heap_window_bytes, (double)kept);
	sm_run_result(run, SM_RESULT_heap_hole_bytes, beyond(st->in_use_bytes, taken));
	sm_run_result(run, SM_RESULT_heap_free_bytes, (double)st->free_bytes);
	sm_run_result(run, SM_RESULT_heap_meta_bytes,
		      beyond(st->mapped_bytes, st->committed_bytes));
}

/* What the caches did, by the bytes of the class: of the whole process so far. */
static void report_caches(struct sm_run *run, struct sm_heap *heap)
{
	static const char *const names[] = {"cache_hits", "cache_refills", "cache_held"};
	static const char *const units[] = {"objects", "refills", "bytes"};
	struct sm_series_text text[3];
	struct sm_heap_stats *st = malloc(sizeof(*st));

	if (st == NULL) {
		sm_run_fail(run, -ENOMEM, "out of memory for series");
		return;
	}
	sm_heap_stats(heap, st);
	if (run->gc != NULL)
		report_held(run, st);
	for (unsigned k = 0; k < 3; k++)
		sm_series_begin(&text[k]);
	for (unsigned cls = 1; cls < st->nclasses; cls++) {
		const struct sm_class_stats *c = &st->cls[cls];
		uint64_t y[3] = {c->cores.hits, c->cores.refills, c->cores.held_bytes};

		for (unsigned k = 0; k < 3 && c->cores.refills > 0; k++)
			sm_series_point(&text[k], c->slot_bytes, y[k]);
	}
	for (unsigned k = 0; k < 3; k++)
		add(run, names[k], "bytes", units[k], sm_series_end(&text[k]));
	free(st);
}

void sm__history_caches(struct sm_run *run)
{
	if (run->gc != NULL)
		report_caches(run, sm_gc_heap(run->gc));
	else if (run->job->backend == SM_WL_SPAN && sm_malloc_heap() != NULL)
		report_caches(run, sm_malloc_heap());
}

static uint64_t scanned(const struct sm_span_counts *n, unsigned cls)
{
	uint64_t all = 0;

	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++)
		all += n->objects[how][cls];
	return all;
}

/* By the bytes of the class, of the timed part: what the results of these names are sums of. */
static void report_scanned(struct sm_run *run)
{
	static const enum sm_result_id ids[] = {[SM_SCANNED_ALONE] = SM_RESULT_mark_span_alone,
						[SM_SCANNED_SPARSE] = SM_RESULT_mark_span_sparse,
						[SM_SCANNED_DENSE] = SM_RESULT_mark_span_dense};
	const struct sm_span_counts *n = &run->timed.scanned;

	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++) {
		struct sm_series_text text;

		sm_series_begin(&text);
		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			if (scanned(n, cls) > 0)
				sm_series_point(&text, sm__sizeclasses[cls].slot_bytes,
						n->objects[how][cls]);
		add(run, sm_results[ids[how]].name, "bytes", "objects", sm_series_end(&text));
	}
}

void sm__history_report(struct sm_run *run)
{
	sm__cycles_tell(run->gc, NULL, NULL);
	for (unsigned k = 0; k < SM_TRAIL_LINES; k++)
		add(run, lines[k], "ns", "bytes",
		    sm_trail_text(&run->heap, k, run->sample->began_ns, run->sample->ended_ns));
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		report_waits(run, (enum sm_stall_cause)c);
	report_scanned(run);
}
