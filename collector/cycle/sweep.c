/*
 * sweep.c: mark bits become allocation bits, and the windows' part in it.
 *
 * Order at the end of a cycle (cycle.c): every mutator has its barrier off; the sweep generation
 * advances, by which every list of swept spans is one of unswept spans; then each mutator gives its
 * windows back. Until a mutator has done that it goes on under its old view: windows that it takes
 * are black if their span is of the old generation (black_gen), because such a span is yet to be
 * swept; a span that it meets already swept for the new generation must stay without marks, or they
 * would be stale in the next cycle.
 *
 * No thread marks while one sweeps: a cycle starts only when all lists are swept, and the empty
 * handshake at its start waits for the mutators that were sweeping on their way.
 */
#include <string.h>

#include "collector/cycle/sweep.h"
#include "allocator/objects/markmap.h"
#include "collector/cycle/gc_internal.h"

/* ---- windows ------------------------------------------------------------------------------ */

/* Markers set bits of the same words at the same time, hence read-modify-writes. */
void sm__blacken(void *ctx, struct sm_span *s, unsigned first, unsigned count)
{
	struct sm_gc *gc = ctx;

	sm__marks_set_run(&gc->range, s, first, count);
}

void sm__window_taken(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
		      unsigned count)
{
	struct sm_mutator *m = c->owner;

	if (sm_load_relaxed(&s->sweepgen) == m->priv->black_gen)
		sm__blacken(ctx, s, first, count);
}

/*
 * While marking is on, the bits stay: a conservative scanner may have seen the slot in use and set
 * its bit any moment now, so whitening could not be relied on. The span remembers that marks need
 * not be a subset of alloc. That is so from before the first barrier is on, when windows are white
 * yet: others may flush doubtful words already. When marking is over no other thread touches the
 * bits.
 */
void sm__window_returned(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
			 unsigned count)
{
	struct sm_mutator *m = c->owner;
	struct sm_gc *gc = ctx;

	if (sm_load_acquire(&gc->heap->marking))
		sm_fetch_or_relaxed(&gc->unit_flags[sm_span_unit(&gc->range, s)], SM_UNIT_RETURNED);
	else if (c->black && sm_load_relaxed(&s->sweepgen) == m->priv->black_gen)
		sm__marks_clear_run(&gc->range, s, first, count);
}

void sm__large_new(void *ctx, struct sm_cache *c, struct sm_span *s)
{
	sm__window_taken(ctx, c, s, 0, 1);
}

/* ---- one span ----------------------------------------------------------------------------- */

static SM_COLD void gained(struct sm_gc *gc, struct sm_span *s, unsigned word, uint64_t extra)
{
	sm__fatal(__FILE__, __LINE__,
		  "span %u (slots of %u B): marks %#llx of word %u are not allocated: something "
		  "free was "
		  "marked",
		  sm_span_unit(&gc->range, s), s->slot_bytes, (unsigned long long)extra, word);
}

#define FREED_BYTE 0xdb

/* debug.fill: what has just become free is overwritten, so that a use of it shows. */
static SM_COLD void fill_freed(struct sm_gc *gc, struct sm_span *s, unsigned word, uint64_t freed)
{
	for (; freed; freed &= freed - 1) {
		unsigned slot = word * 64 + (unsigned)__builtin_ctzll(freed);

		if (s->slot_bytes)
			memset((char *)sm_span_base(&gc->range, s) + (size_t)slot * s->slot_bytes,
			       FREED_BYTE, s->slot_bytes);
	}
}

/*
 * s belongs to the caller alone. Plain-looking accesses (relaxed, no read-modify-write) suffice:
 * no thread marks, see above. The map's words are cleared: they are the next cycle's marks; with
 * gc.generations what is old stays marked (generation.h).
 */
unsigned sm__sweep_span(struct sm_gc *gc, struct sm_span *s)
{
	unsigned words = (s->nslots + 63u) / 64, live = 0;
	bool fill = gc->config.heap.debug_fill;
	_Atomic(uint8_t) *flags = &gc->unit_flags[sm_span_unit(&gc->range, s)];
	bool returned = sm_load_relaxed(flags) & SM_UNIT_RETURNED, aged = sm__gen_on(gc);
	uint64_t marks[SM_MARK_SLOTS_WORDS];

	if (SM_UNLIKELY(returned))
		sm_fetch_and_relaxed(flags, (uint8_t)~SM_UNIT_RETURNED);
	(void)sm__marks_gather(&gc->range, s, marks);
	if (!aged)
		sm__marks_clear(&gc->range, s);
	for (unsigned w = 0; w < words; w++) {
		uint64_t m = marks[w], a = sm_load_relaxed(&s->alloc[w]);

		if (SM_UNLIKELY(m & ~a)) {
			if (!returned)
				gained(gc, s, w, m & ~a);
			marks[w] = m &= a;
		}
		if (SM_UNLIKELY(fill) && (a & ~m))
			fill_freed(gc, s, w, a & ~m);
		live += (unsigned)__builtin_popcountll(m);
		sm_store_relaxed(&s->alloc[w], m);
	}
	if (aged)
		sm__gen_sweep_span(gc, s, marks, live, returned);
	sm_fetch_add_relaxed(&gc->swept, 1);
	return live;
}

unsigned sm__sweep_hook(void *ctx, struct sm_cache *c, struct sm_span *s)
{
	struct sm_mutator *m = c ? c->owner : NULL;
	struct sm_gc *gc = ctx;
	struct sm_wait w = sm__wait_begin();
	unsigned live = sm__sweep_span(gc, s);
	enum sm_kept kept = sm__wait_over(&w);

	if (m == NULL)
		return live;
	/* Of a refill that sweeps twice: lost if in either. */
	if (m->priv->sweep_ns == 0 || kept == SM_KEPT_LOST)
		m->priv->sweep_kept = kept;
	m->priv->sweep_ns += sm__now_ns() - w.since;
	return live;
}

/* ---- all spans ---------------------------------------------------------------------------- */

/*
 * Spans that the sweeper takes off a list, and puts back, at a time: each is a descriptor that no
 * cache holds, and a refill may wait for the list's lock. (With 16, such waits were nine tenths of
 * the refills of `ring` that took longer than 1.6 us while the sweeper ran, two to six times as
 * many as with 4.)
 */
#define BATCH 4

static void sweep_batch(struct sm_gc *gc, struct sm_span **spans, unsigned n)
{
	unsigned in_use[BATCH];

	for (unsigned i = 0; i < n; i++)
		in_use[i] = sm__sweep_span(gc, spans[i]);
	sm__central_put_swept_some(gc->heap, spans, in_use, n);
}

size_t sm__sweep_all(struct sm_gc *gc, bool (*stop)(struct sm_gc *gc))
{
	struct sm_span *spans[BATCH];
	size_t n = 0;

	sm_phase_enter(SM_PHASE_SWEEP);
	for (unsigned node = 0; node < gc->nnodes; node++) {
		uint32_t cursor = 0;
		unsigned taken;

		while ((taken = sm__central_take_unswept_some(gc->heap, node, &cursor, spans,
							      BATCH)) != 0) {
			sweep_batch(gc, spans, taken);
			n += taken;
			if (stop && stop(gc)) {
				sm_phase_leave(SM_PHASE_SWEEP);
				return n;
			}
		}
	}
	sm_phase_leave(SM_PHASE_SWEEP);
	return n;
}

/* ---- in proportion to allocation ---------------------------------------------------------- */

/* A mutator sweeps so many spans in a refill at most: each is a fraction of a microsecond. */
#define SHARE_MAX 8
#define SLACK	  64 /* spans that sweeping may lag behind before mutators help */

/*
 * The background sweeper alone is nearly always done long before the next cycle is due. When it
 * does not get a CPU, mutators sweep as they allocate, so that the last span is swept when the
 * trigger is reached with 1 MiB to spare. How many spans there are is known from the last cycle,
 * which swept them all; too low a guess leaves the rest to the control thread, which finishes
 * before it starts the next cycle.
 */
void sm__sweep_begin(struct sm_gc *gc)
{
	uint64_t spans = gc->spans_last;
	size_t now = sm_load_relaxed(&gc->heap->allocated_bytes),
	       trigger = sm_load_relaxed(&gc->throttle.trigger);
	size_t room = trigger > now + 2 * SM_MIB ? trigger - now - SM_MIB : SM_MIB;

	sm_store_relaxed(&gc->throttle.sweep_from, now);
	sm_store_relaxed(&gc->throttle.sweep_ratio, spans ? spans * SM_MIB / room + 1 : 0);
}

void sm__sweep_end(struct sm_gc *gc)
{
	gc->spans_last = sm_exchange_acqrel(&gc->swept, 0);
	sm_store_relaxed(&gc->throttle.sweep_ratio, 0);
}

void sm__sweep_share(struct sm_mutator *m)
{
	struct sm_gc *gc = m->gc;
	uint64_t ratio = sm_load_relaxed(&gc->throttle.sweep_ratio), due;
	size_t since = sm_load_relaxed(&gc->heap->allocated_bytes) -
		       sm_load_relaxed(&gc->throttle.sweep_from);
	struct sm_span *spans[SHARE_MAX];
	unsigned in_use[SHARE_MAX], n;
	struct sm_wait w;

	if (ratio == 0 || since > SIZE_MAX / 2)
		return;
	due = since / 1024 * ratio / 1024;
	if (due <= sm_load_relaxed(&gc->swept) + SLACK)
		return;
	w = sm__wait_begin();
	sm_phase_enter(SM_PHASE_SWEEP);
	n = sm__central_take_unswept_some(gc->heap, m->priv->marker.node, &m->priv->sweep_cursor,
					  spans, SHARE_MAX);
	for (unsigned i = 0; i < n; i++)
		in_use[i] = sm__sweep_span(gc, spans[i]);
	if (n)
		sm__central_put_swept_some(gc->heap, spans, in_use, n);
	sm_phase_leave(SM_PHASE_SWEEP);
	if (n)
		sm__wait_end(m, SM_STALL_SWEEP, &w);
	else
		(void)sm__wait_over(&w);
}
