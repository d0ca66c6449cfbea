/*
 * compactions.c: what the compactions of a run did, and the heap's huge pages around the last one.
 */
#include "allocator/objects/heap.h"
#include "collector/compact/compact.h"
#include "workloads/compactions.h"
#include "workloads/resident.h"
#include "workloads/run_internal.h"

/* On the control thread. */
static void note(void *ctx, bool begins)
{
	struct sm_run *run = ctx;
	const struct sm_range *range = &sm_gc_heap(run->gc)->pages.range;
	struct sm_huge_pages now = {.known = true};

	now.err = sm_huge_read(range->base, range->bytes, &now.bytes);
	pthread_mutex_lock(&run->lock);
	run->huge[begins ? 0 : 1] = now;
	pthread_mutex_unlock(&run->lock);
}

void sm__compactions_begin(struct sm_run *run)
{
	sm__compactions_tell(run->gc, note, run);
}

/* What a kernel without huge pages, or one that does not use them, has is no figure. */
static void report_huge(struct sm_run *run)
{
	static const enum sm_result_id ids[] = {SM_RESULT_huge_before_kib,
						SM_RESULT_huge_after_kib};
	struct sm_huge_pages huge[2];

	pthread_mutex_lock(&run->lock);
	huge[0] = run->huge[0];
	huge[1] = run->huge[1];
	pthread_mutex_unlock(&run->lock);
	for (unsigned i = 0; i < 2; i++)
		if (!huge[i].known)
			sm_run_result_none(run, ids[i], "no compaction has ended");
		else if (huge[i].err != 0)
			sm_run_result_none(run, ids[i],
					   "/proc/self/smaps cannot be read, or lacks it");
		else if (huge[0].bytes == 0 && huge[1].bytes == 0)
			sm_run_result_none(run, ids[i], "the heap has no huge page");
		else
			sm_run_result(run, ids[i], (double)huge[i].bytes / 1024);
}

/* By cause, in the order of enum sm_pin_cause; of the last compaction, as what is pinned in each
 * may be the same. */
static void report_pinned(struct sm_run *run, const struct sm_compaction *last)
{
	static const enum sm_result_id objects[SM_PIN_CAUSES] = {
		[SM_PINNED_STACK] = SM_RESULT_pinned_stack_objects,
		[SM_PINNED_CONSERVATIVE] = SM_RESULT_pinned_conservative_objects,
		[SM_PINNED_PROGRAM] = SM_RESULT_pinned_program_objects,
		[SM_PINNED_TYPE] = SM_RESULT_pinned_type_objects};
	uint64_t n = 0, bytes = 0;

	for (unsigned i = 0; i < SM_PIN_CAUSES; i++) {
		n += last->pinned_objects[i];
		bytes += last->pinned_bytes[i];
		sm_run_result(run, objects[i], (double)last->pinned_objects[i]);
		sm_run_result(run, (enum sm_result_id)(objects[i] + 1),
			      (double)last->pinned_bytes[i]);
	}
	sm_run_result(run, SM_RESULT_pinned_objects, (double)n);
	sm_run_result(run, SM_RESULT_pinned_bytes, (double)bytes);
	if (last->objects != 0)
		sm_run_result(run, SM_RESULT_pinned_share, 100 * (double)n / (double)last->objects);
	else
		sm_run_result_none(run, SM_RESULT_pinned_share,
				   "no object is of a size that moves");
}

static void report_none(struct sm_run *run)
{
	for (unsigned i = SM_RESULT_compaction_slices; i <= SM_RESULT_huge_after_kib; i++)
		sm_run_result_none(run, (enum sm_result_id)i, "there was no compaction");
}

/* Where there was nothing to move the world did not stand still, and no stop has a length. */
static void report_slices(struct sm_run *run, const struct sm_gc_compact_stats *s)
{
	static const char *const why = "nothing was to be moved: the world did not stop for it";

	sm_run_result(run, SM_RESULT_compaction_slices, (double)s->total.slices);
	if (s->total.slices == 0) {
		sm_run_result_none(run, SM_RESULT_compaction_max_ms, why);
		sm_run_result_none(run, SM_RESULT_slice_p99_us, why);
		sm_run_result_none(run, SM_RESULT_slice_cpu_max_us, why);
		return;
	}
	sm_run_result(run, SM_RESULT_compaction_max_ms, (double)s->stopped_max_ns * 1e-6);
	sm_run_result(run, SM_RESULT_slice_p99_us, (double)s->slice_p99_ns * 1e-3);
	sm_run_result(run, SM_RESULT_slice_cpu_max_us, (double)s->slice_cpu_max_ns * 1e-3);
}

/* Of the whole run: workloads ask for compactions outside what they time. */
void sm__compactions_report(struct sm_run *run)
{
	struct sm_gc_compact_stats s;

	if (!run->compacts)
		return;
	sm_gc_compact_stats(run->gc, &s);
	sm_run_result(run, SM_RESULT_compactions, (double)s.compactions);
	if (s.compactions == 0) {
		report_none(run);
		return;
	}
	report_slices(run, &s);
	sm_run_result(run, SM_RESULT_candidate_spans, (double)s.total.candidates);
	sm_run_result(run, SM_RESULT_evacuated_spans, (double)s.total.evacuated);
	sm_run_result(run, SM_RESULT_evacuated_bytes, (double)s.total.freed_bytes);
	sm_run_result(run, SM_RESULT_released_bytes, (double)s.total.released_bytes);
	sm_run_result(run, SM_RESULT_moved_objects, (double)s.total.moved_objects);
	sm_run_result(run, SM_RESULT_moved_bytes, (double)s.total.moved_bytes);
	sm_run_result(run, SM_RESULT_noted_slots, (double)s.total.slots_noted);
	report_pinned(run, &s.last);
	report_huge(run);
}
