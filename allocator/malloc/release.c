/*
 * release.c: when free memory of malloc's heap goes back to the operating system.
 *
 * There is no thread in the background of a program that only preloads us, so frees do the
 * scavenger's work. After RELEASE_BYTES have come back to the page heap a thread looks:
 *
 *     free <= retain % of what is in use + RELEASE_BYTES     nothing to do until as much has come
 *                                                            back again
 *     the last release was a second ago, or more             release down to that
 *     free > in use + RELEASE_BYTES: a burst is being freed  release as well, while all this takes
 *                                                            a tenth of the time
 *     otherwise                                              it is due: after the next STEP_BYTES
 *                                                            that come back, and now and then when
 *                                                            a span is made, a thread looks again
 *
 * So what a burst leaves behind is about what is in use then; and a program that frees and
 * allocates the same memory over and over pays for that once a second, or a tenth of its time.
 */
#include "allocator/base/clock.h"
#include "allocator/malloc/process_heap.h"
#include "allocator/pages/pageheap.h"
#include "allocator/pages/scavenge.h"

#define RELEASE_BYTES (64 * SM_MIB)
#define STEP_BYTES    (4 * SM_MIB)
#define LOOK_NS	      UINT64_C(10000000)
#define SECOND_NS     UINT64_C(1000000000)
#define GRACE_NS      UINT64_C(1000000000) /* that releases may take of a process's first moments */

/* relaxed: guesses, which order nothing */
static _Atomic(uint64_t) first, last_look, last_release, spent;
static _Atomic(bool) due;

static size_t retained_bytes(const struct sm_pageheap_stats *st)
{
	size_t percent = sm__process_heap.heap->config.scavenge_retain;

	return st->in_use_bytes / 100 * percent + RELEASE_BYTES;
}

static bool may_release(const struct sm_pageheap_stats *st, uint64_t now)
{
	if (now - sm_load_relaxed(&last_release) >= SECOND_NS)
		return true;
	return st->free_bytes > st->in_use_bytes + RELEASE_BYTES &&
	       sm_load_relaxed(&spent) <= (now - sm_load_relaxed(&first)) / 10 + GRACE_NS;
}

static SM_NOINLINE void look_at_free(void)
{
	uint64_t now = sm__clock_ns(CLOCK_MONOTONIC_COARSE), start;
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_pageheap_stats st;
	bool too_much;

	if (sm_load_relaxed(&first) == 0)
		sm_store_relaxed(&first, now);
	sm_store_relaxed(&last_look, now);
	sm__malloc_pageheap(&st);
	too_much = st.free_bytes > retained_bytes(&st);
	sm_store_relaxed(&due, too_much && !may_release(&st, now));
	sm_store_relaxed(&g->returned, sm_load_relaxed(&due) ? RELEASE_BYTES - STEP_BYTES : 0);
	if (!too_much || sm_load_relaxed(&due))
		return;
	sm_store_relaxed(&last_release, now);
	start = sm__now_ns();
	(void)sm__scavenge(&g->heap->pages, retained_bytes(&st));
	sm_fetch_add_relaxed(&spent, sm__now_ns() - start);
}

void sm__malloc_returned(size_t bytes)
{
	if (SM_UNLIKELY(sm_fetch_add_relaxed(&sm__process_heap.returned, bytes) + bytes >=
			RELEASE_BYTES) &&
	    sm__process_heap.heap->config.scavenge_ms != 0)
		look_at_free();
}

void sm__malloc_release_if_due(void)
{
	if (SM_UNLIKELY(sm_load_relaxed(&due)) &&
	    sm__clock_ns(CLOCK_MONOTONIC_COARSE) - sm_load_relaxed(&last_look) >= LOOK_NS)
		look_at_free();
}
