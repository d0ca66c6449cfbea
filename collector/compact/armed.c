/* armed.c: an armed compaction's life, from the choice of candidates to the cycle behind it. */
#include "allocator/os/os.h"
#include "collector/compact/armed_internal.h"
#include "collector/cycle/sweep.h"

void sm__armed_init(struct sm_gc *gc)
{
	sm_lock_init(&gc->armed.lock, SM_RANK_GC_SLOTS);
}

void sm__armed_forget(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;

	sm__armed_forget_slots(gc);
	sm__armed_forget_beside(gc);
	sm__os_unmap(a->candidate, a->room * sizeof(*a->candidate));
	sm__os_unmap(a->seen, SM_SLOTS_SEEN * sizeof(*a->seen));
	a->candidate = NULL;
	a->seen = NULL;
	a->ncandidates = a->room = 0;
}

void sm__armed_fini(struct sm_gc *gc)
{
	sm__armed_forget(gc);
	sm__os_unmap(gc->armed.index,
		     (gc->range.bytes >> SM_UNIT_SHIFT) * sizeof(*gc->armed.index));
}

void sm__armed_begin(struct sm_gc *gc)
{
	if (gc->armed.ncandidates != 0)
		sm_store_release(&gc->armed.on, 1);
}

/* Where all have died nothing has to move. */
void sm__armed_sweep(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;

	for (size_t i = 0; i < a->ncandidates; i++) {
		struct sm_candidate *c = &a->candidate[i];
		struct sm_span *s = sm__candidate_span(gc, c);
		unsigned in_use = sm__sweep_span(gc, s);

		sm__central_note_swept(gc->heap, s, in_use);
		if (in_use == 0)
			sm__armed_drop(gc, c, 0);
	}
}
