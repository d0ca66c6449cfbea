/* armed_slice.c: the slices of gc.compact=auto|force; armed.h tells why they are right. */
#include <time.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "allocator/os/os.h"
#include "allocator/pages/scavenge.h"
#include "collector/compact/armed_internal.h"
#include "collector/cycle/verify.h"

/* Calls fn for each candidate of the slice. */
static void each_of_batch(struct sm_slicer *z,
			  void (*fn)(struct sm_slicer *z, struct sm_candidate *c,
				     struct sm_span *s))
{
	struct sm_armed *a = &z->v.gc->armed;

	for (size_t i = z->from; i < z->to; i++)
		if (a->candidate[i].unit != 0)
			fn(z, &a->candidate[i], sm__candidate_span(z->v.gc, &a->candidate[i]));
}

/* ---- stopped ------------------------------------------------------------------------------ */

static void flag(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	sm__compact_flag(z->v.gc, c->unit, s->nunits, SM_UNIT_EVACUATED, true);
}

/* What was noted since the last slice is in no list yet. False: there is no memory. */
static bool look_at_chunks(struct sm_slicer *z, const struct sm_slot_chunk *c)
{
	for (; c != NULL; c = c->next) {
		if (!sm__slice_reserve(z, c->n))
			return false;
		for (size_t i = 0; i < c->n; i++)
			if (sm__unit_has(z->v.gc, c->at[i].value, SM_UNIT_EVACUATED))
				z->slots[z->nslots++] = sm__armed_word(z->v.gc, &c->at[i]);
	}
	return true;
}

/* A chunk that is being filled goes to the list, too: what is in it is indexed behind the slice. */
static void gather_chunks(struct sm_gc *gc)
{
	sm__armed_give(gc, &gc->armed.own);
	sm__armed_give_roots(gc);
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next)
		sm__armed_give(gc, &p->marker.slots);
	sm_lock_release(&gc->mutators_lock);
}

/* Slots that are patched stay in the table; what doubtful words lead to is pinned, and what is to
 * stay. */
static void sort_slots(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	size_t n = 0;

	for (size_t i = 0; i < z->nslots; i++) {
		if (sm__armed_pin_word(&z->v, z->slots[i]))
			continue;
		if (!sm_range_contains(&gc->range, z->slots[i])) {
			z->slots[n++] = z->slots[i];
			continue;
		}
		z->v.cause = SM_PINNED_CONSERVATIVE;
		switch (sm__armed_slot_kind(gc, z->slots[i])) {
		case SM_SLOT_NONE: break;
		case SM_SLOT_EXACT: z->slots[n++] = z->slots[i]; break;
		case SM_SLOT_DOUBTFUL:
			sm__compact_pin_at(&z->v, *(const uintptr_t *)z->slots[i]);
			break;
		}
	}
	z->nslots = n;
}

static void pin(struct sm_slicer *z)
{
	z->v.only = SM_UNIT_EVACUATED;
	sort_slots(z);
	sm__compact_pin_threads(&z->v);
}

/* Calls fn for each object that leaves. */
static void each_leaving(struct sm_slicer *z, const struct sm_span *s,
			 void (*fn)(struct sm_slicer *z, const struct sm_span *s, uint32_t slot))
{
	uint64_t pinned[SM_MARK_SLOTS_WORDS] = {0};

	(void)sm__marks_gather(&z->v.gc->compact.pinned, s, pinned);
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		for (uint64_t bits = sm_load_relaxed(&s->alloc[w]) & ~pinned[w]; bits;
		     bits &= bits - 1)
			fn(z, s, w * 64 + (uint32_t)__builtin_ctzll(bits));
}

static void copy_one(struct sm_slicer *z, const struct sm_span *s, uint32_t slot)
{
	uint32_t to;
	struct sm_span *into = sm__slice_take_slot(z, sm__slice_room(z, s), &to);

	(void)sm__compact_copy_to(&z->v, s, slot, into, to);
}

static void copy(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	(void)c;
	each_leaving(z, s, copy_one);
}

/* Its words lead to where others are now, or have still to go: then its new slot is noted. */
static void patch_one(struct sm_slicer *z, const struct sm_span *s, uint32_t slot)
{
	struct sm_gc *gc = z->v.gc;
	uintptr_t old = sm_span_base(&gc->range, s) + (uintptr_t)slot * s->slot_bytes,
		  *w = *(uintptr_t **)old;
	size_t words = s->slot_bytes / sizeof(uintptr_t);
	const struct sm_span *in = sm_span_of(&gc->range, (uintptr_t)w);
	bool exact = s->layout->kind != SM_SCAN_CONSERVATIVE;

	for (size_t at = 0; at < words; at += 64) {
		uint64_t bits = sm__pointer_bits(gc, in, (uintptr_t)w, at,
						 words - at < 64 ? words - at : 64);

		for (; bits; bits &= bits - 1) {
			uintptr_t *word = &w[at + (unsigned)__builtin_ctzll(bits)];

			if (exact)
				sm__compact_patch_word(gc, word);
			if (sm__unit_has(gc, *word, SM_UNIT_CANDIDATE) &&
			    !sm__unit_has(gc, *word, SM_UNIT_EVACUATED))
				sm__armed_note(gc, &gc->armed.own, (uintptr_t)word, *word);
		}
	}
}

static void patch_moved(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	(void)c;
	if (s->layout->kind != SM_SCAN_NONE)
		each_leaving(z, s, patch_one);
}

static void patch(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	bool all_there = true;

	for (size_t i = 0; i < z->nslots; i++) {
		if (sm_range_contains(&gc->range, z->slots[i]))
			sm__compact_patch_word(gc, (uintptr_t *)z->slots[i]);
		else
			all_there &= sm__armed_patch_beside(gc, z->slots[i]);
	}
	if (!all_there)
		sm__armed_patch_ranges(gc);
	each_of_batch(z, patch_moved);
}

/* What has left is free, what stays is no more marked. */
static void settle(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	struct sm_gc *gc = z->v.gc;
	uint64_t pinned[SM_MARK_SLOTS_WORDS] = {0};
	unsigned n = 0;

	(void)c;
	(void)sm__marks_gather(&gc->compact.pinned, s, pinned);
	sm__marks_clear(&gc->compact.pinned, s);
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++) {
		sm_store_relaxed(&s->alloc[w], pinned[w]);
		n += (unsigned)__builtin_popcountll(pinned[w]);
	}
	if (n == 0 && sm__gen_on(gc))
		sm__gen_left(gc, s);
	sm_store_relaxed(&s->nalloc, (uint16_t)n);
	s->flags &= (uint8_t)~SM_SPANF_ZEROED;
	sm__compact_flag(gc, sm_span_unit(&gc->range, s), s->nunits, SM_UNIT_EVACUATED, false);
	sm__slice_room(z, s)->wanted = 0;
}

static void unflag(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	sm__compact_flag(z->v.gc, c->unit, s->nunits, SM_UNIT_EVACUATED, false);
	sm__slice_room(z, s)->wanted = 0;
}

/* A quarter of what is new counts. */
static double blend(double old, double new)
{
	return old + (new - old) / 4;
}

static void learn(struct sm_slicer *z, uint64_t fixed_ns, uint64_t batch_ns)
{
	double work = (double)(z->objects + z->nslots) + 1;

	z->fixed_ns = blend(z->fixed_ns, (double)fixed_ns);
	z->work_ns = blend(z->work_ns, (double)batch_ns / work);
}

/* False: a note was lost, so nothing moves. */
static bool move_stopped(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	uint64_t t0 = sm__now_ns(), t1;
	size_t before = 0;

	sm__cache_drop_cpu_windows(gc->heap);
	gather_chunks(gc);
	if (gc->config.verify) {
		z->errors += sm__verify_moved_stw(gc);
		before = gc->verify_reached;
	}
	each_of_batch(z, flag);
	if (!look_at_chunks(z, gc->armed.full))
		sm_store_relaxed(&gc->armed.lost, 1);
	if (sm_load_acquire(&gc->armed.lost)) {
		each_of_batch(z, unflag);
		return false;
	}
	pin(z);
	t1 = sm__now_ns();
	each_of_batch(z, copy);
	patch(z);
	learn(z, t1 - t0, sm__now_ns() - t1);
	if (gc->config.verify)
		z->errors += sm__compact_verify(gc, before);
	each_of_batch(z, settle);
	return true;
}

/* ---- slices ------------------------------------------------------------------------------- */

/* A slice begins and ends here. The lock: see compact.h, "Fork". */
static uint64_t begin_slice(struct sm_gc *gc)
{
	uint64_t from = sm__compact_stop(gc, false);

	sm_lock_acquire(&gc->compact.lock);
	return from;
}

static uint64_t end_slice(struct sm_gc *gc, uint64_t from)
{
	sm_lock_release(&gc->compact.lock);
	return sm__compact_go_on(gc, from);
}

static void give_span(struct sm_slicer *z, struct sm_candidate *c, struct sm_span *s)
{
	unsigned in_use = sm_load_relaxed(&s->nalloc);

	if (in_use == 0) {
		z->v.n.freed_bytes += sm_span_bytes(s);
		z->v.n.evacuated++;
	}
	sm__armed_drop(z->v.gc, c, in_use);
}

/* Mutators run at least so many times as long as they stood still; not if a cycle is due. */
#define PAUSE 3

static void pause_after(struct sm_gc *gc, uint64_t ns)
{
	if (ns > 1000000)
		ns = 1000000;
	if (gc->config.compact_slice_us == 0 || sm_load_seqcst(&gc->quit) ||
	    sm_load_seqcst(&gc->cycles_wanted) > sm_load_relaxed(&gc->cycles_started))
		return;
	nanosleep(&(struct timespec){0, (long)ns * PAUSE}, NULL);
}

static void slice(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	uint64_t from = begin_slice(gc), ns;
	bool done = move_stopped(z);

	ns = end_slice(gc, from);
	z->v.n.slices++;
	z->v.n.stopped_ns += ns;
	z->longest_ns = ns > z->longest_ns ? ns : z->longest_ns;
	if (done)
		each_of_batch(z, give_span);
	pause_after(gc, ns);
}

static void run_slices(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;

	for (;;) {
		sm__armed_index(gc);
		if (sm_load_seqcst(&gc->quit) || sm_load_acquire(&gc->armed.lost) ||
		    !sm__slice_take(z))
			return;
		slice(z);
	}
}

static void let_go(struct sm_gc *gc)
{
	struct sm_armed *a = &gc->armed;

	for (size_t i = 0; i < a->ncandidates; i++)
		if (a->candidate[i].unit != 0)
			sm__armed_drop(
				gc, &a->candidate[i],
				sm_load_relaxed(&sm__candidate_span(gc, &a->candidate[i])->nalloc));
	sm__handshake(gc, SM_HS_SLOTS_OFF);
	sm_store_release(&a->on, 0);
	/* Who adds a root sees `on` under the same lock. */
	sm__armed_give_roots(gc);
	sm__armed_forget(gc);
}

/* What workers and the control thread noted while they marked. */
static void gather_markers(struct sm_gc *gc)
{
	for (unsigned i = 0; i < gc->nall_workers; i++)
		sm__armed_give(gc, &gc->workers[i].marker.slots);
	sm__armed_give(gc, &gc->marker.slots);
}

static void finish(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	struct sm_compaction n = gc->armed.n;

	sm__compact_add(&n, &z->v.n); /* what was chosen, and what came of it */
	n.regions_after = n.regions_before - n.freed_bytes / ((uint64_t)1 << SM_REGION_SHIFT);
	if (gc->armed.release)
		n.released_bytes = sm__scavenge(&gc->heap->pages, 0);
	sm__gen_give_back(gc);
	sm__compact_tell(gc, false);
	sm__compact_publish(gc, &n, z->longest_ns, z->errors);
}

void sm__armed_evacuate(struct sm_gc *gc)
{
	struct sm_slicer z = {.v = {.gc = gc}, .fixed_ns = 10000, .work_ns = 100};

	if (!sm_load_relaxed(&gc->armed.on))
		return;
	sm__compact_tell(gc, true);
	z.v.nbins = (size_t)gc->heap->pages.nnodes * SM_BINS_MAX;
	z.rooms = sm__os_map(z.v.nbins * sizeof(*z.rooms));
	gather_markers(gc);
	sm__armed_note_beside(gc);
	if (z.rooms != NULL)
		run_slices(&z);
	if (z.rooms == NULL || sm_load_relaxed(&gc->armed.lost))
		sm_store_relaxed(&gc->compact.failed, 1);
	if (z.rooms != NULL)
		sm__slice_give_rooms(&z);
	let_go(gc);
	sm__os_unmap(z.rooms, z.v.nbins * sizeof(*z.rooms));
	sm__os_unmap(z.slots, z.slots_room * sizeof(*z.slots));
	finish(&z);
}
