/* generation.c: the map of aged objects: what the sweep makes of it, and of the marks. */
#include "collector/generations/generation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/objects/markmap.h"
#include "allocator/os/os.h"
#include "collector/generations/remember_internal.h"

/* ---- birth and end ------------------------------------------------------------------------ */

static size_t map_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes >> (SM_MARK_SHIFT + 3);
}

static int map_aged(struct sm_gc *gc)
{
	void *p = sm__os_map(map_bytes(gc));

	if (p == NULL)
		return -ENOMEM;
	if (gc->config.heap.hugepages != SM_HUGE_OFF)
		(void)sm__os_madvise(p, map_bytes(gc), MADV_HUGEPAGE);
	gc->gen.aged = gc->range;
	gc->gen.aged.marks = p;
	gc->gen.aged.scans = NULL;
	return 0;
}

int sm__gen_init(struct sm_gc *gc, char *err, size_t errlen)
{
	int e;

	if (gc->config.generations == SM_GC_GENERATIONS_OFF)
		return 0;
	e = map_aged(gc);
	if (e == 0)
		e = sm__remember_init(gc, err, errlen);
	if (e == -ENOMEM && err && errlen)
		snprintf(err, errlen,
			 "no address space for gc.generations (a 100th of heap.reserve, now %zu "
			 "MiB: try less)",
			 gc->range.bytes / SM_MIB);
	gc->gen.made = e == 0;
	if (e == 0 && gc->config.generations == SM_GC_GENERATIONS_ON) {
		gc->view.barrier = sm__remember_barrier(gc);
		sm_store_relaxed(&gc->gen.on, 1);
	}
	return e;
}

void sm__gen_fini(struct sm_gc *gc)
{
	sm__remember_fini(gc);
	if (gc->gen.aged.marks != NULL)
		sm__os_unmap((void *)gc->gen.aged.marks, map_bytes(gc));
}

size_t sm__gen_unit_bytes(const struct sm_gc *gc)
{
	return (SM_UNIT >> (SM_MARK_SHIFT + 3)) + sm__remember_unit_bytes(gc);
}

/* ---- all of the heap ---------------------------------------------------------------------- */

static void note_run(void *ctx, size_t from, size_t end)
{
	struct sm_gen_runs *runs = ctx;

	runs->run[runs->n].from = from;
	runs->run[runs->n++].end = end;
}

/* Mutators wait for the locks of nodes' pages: they are held no longer than it takes to read the
 * bounds. */
void sm__gen_reached(struct sm_gc *gc, struct sm_gen_runs *runs)
{
	runs->n = 0;
	sm__markmap_reached(gc->heap, note_run, runs);
}

void sm__gen_each_reached(struct sm_gc *gc, void (*fn)(void *ctx, size_t from, size_t end),
			  void *ctx)
{
	struct sm_gen_runs runs;

	sm__gen_reached(gc, &runs);
	for (unsigned i = 0; i < runs.n; i++)
		fn(ctx, runs.run[i].from, runs.run[i].end);
}

static void clear_words(_Atomic(uint64_t) *map, size_t from, size_t end)
{
	for (size_t w = from; w < end; w++) {
		if (sm_load_relaxed(&map[w]) != 0)
			sm_store_relaxed(&map[w], 0);
	}
}

static void clear_marks(void *ctx, size_t from, size_t end)
{
	const unsigned shift = SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT;
	struct sm_gc *gc = ctx;

	clear_words(gc->range.marks, from << shift, end << shift);
	if (gc->range.scans != NULL)
		clear_words(gc->range.scans, from << shift, end << shift);
}

void sm__gen_forget(struct sm_gc *gc)
{
	sm__gen_each_reached(gc, clear_marks, gc);
}

void sm__gen_begin(struct sm_gc *gc, struct sm_cycle *c)
{
	uint64_t number = sm_load_relaxed(&gc->cycles_started);

	c->generational = sm__gen_on(gc);
	if (!c->generational)
		return;
	c->minor = gc->pacer.minor && gc->gen.young == 0 && sm_load_relaxed(&gc->armed.on) == 0 &&
		   sm_load_seqcst(&gc->gen.full_wanted[number % 2]) != number;
	gc->gen.minors_in_a_row = c->minor ? gc->gen.minors_in_a_row + 1 : 0;
	c->old_bytes = sm_load_relaxed(&gc->gen.old_bytes);
	if (!c->minor)
		c->old_bytes = 0;
	sm_store_relaxed(&gc->gen.old_bytes, 0);
}

void sm__gen_next_is_major(struct sm_gc *gc)
{
	size_t now = sm_load_relaxed(&gc->heap->allocated_bytes);

	if (!gc->pacer.minor)
		return;
	sm__pacer_next_is_major(&gc->pacer);
	sm__throttle_set(gc, now, now + sm_load_relaxed(&gc->throttle.live));
}

/* ---- on and off --------------------------------------------------------------------------- */

static void clear_aged(void *ctx, size_t from, size_t end)
{
	const unsigned shift = SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT;
	struct sm_gc *gc = ctx;

	clear_words(gc->gen.aged.marks, from << shift, end << shift);
}

/* No mutator remembers a store any more. */
static void forget_ages(struct sm_gc *gc)
{
	sm__gen_forget(gc);
	/* Refused where all memory is locked. */
	if (sm__os_release((void *)gc->gen.aged.marks, map_bytes(gc)) != 0)
		sm__gen_each_reached(gc, clear_aged, gc);
	sm__remember_drop(gc);
}

/* ---- memory ------------------------------------------------------------------------------- */

static void give_back(struct sm_gc *gc, uintptr_t from, uintptr_t end)
{
	const unsigned shift = SM_MARK_SHIFT + 3;

	if (from == end)
		return;
	/* Refused where all memory is locked. */
	(void)sm__os_release((char *)gc->gen.aged.marks + ((from - gc->range.base) >> shift),
			     (end - from) >> shift);
	sm__remember_give_back(gc, from, end);
}

/* Page by page of the map, and many that follow each other at once. */
static void give_back_run(void *ctx, size_t from, size_t end)
{
	struct sm_gc *gc = ctx;
	size_t page = sm__os_page_size(), covers = page << (SM_MARK_SHIFT + 3);
	uintptr_t base = gc->range.base, run,
		  at = base + sm_align_down(from << SM_UNIT_SHIFT, covers),
		  last = base + sm_align_up(end << SM_UNIT_SHIFT, covers);

	for (run = at; at < last; at += covers) {
		if (sm__none_aged(gc, at, (unsigned)(page / sizeof(uint64_t))))
			continue;
		give_back(gc, run, at);
		run = at + covers;
	}
	give_back(gc, run, last);
}

void sm__gen_give_back(struct sm_gc *gc)
{
	if (sm__gen_on(gc))
		sm__gen_each_reached(gc, give_back_run, gc);
}

void sm__gen_switch(struct sm_gc *gc)
{
	struct sm_generations *g = &gc->gen;

	if (gc->config.generations != SM_GC_GENERATIONS_AUTO || g->choice.on == sm__gen_on(gc))
		return;
	/* A refill may still be sweeping: behind the round none is. */
	sm__handshake(gc, SM_HS_GENERATIONS);
	sm_store_relaxed(&g->on, g->choice.on);
	if (g->choice.on) {
		g->young = 2;
		sm__pacer_forget_minors(&gc->pacer);
	} else {
		forget_ages(gc);
		sm_store_relaxed(&g->old_bytes, 0);
	}
}

/* CPU time of all that marked. Assists are timed on the clock, which a busy machine falsifies: they
 * cost an object what workers need for it. */
static double marking_ns(const struct sm_gc *gc, const struct sm_cycle *c)
{
	/* With gc.sync what is decided depends on the heap alone. */
	if (gc->config.tuning.sync)
		return 20.0 * (double)c->n.objects;
	if (c->by_workers > c->n.objects / 8)
		return (double)c->worker_ns * (double)c->n.objects / (double)c->by_workers;
	return (double)(c->worker_ns + c->assist_ns);
}

static void learn(struct sm_gc *gc, struct sm_cycle *c)
{
	size_t heap = c->heap_before + c->allocated_during;
	uint64_t cpu = sm__process_ns();
	struct sm_generations *g = &gc->gen;
	struct sm_gen_cycle m = {
		.minor = c->minor,
		.next_minor = gc->pacer.minor,
		.grows = gc->pacer.grew,
		.ns = marking_ns(gc, c),
		.live = gc->pacer.base,
		.room = gc->pacer.goal > c->heap_marked ? gc->pacer.goal - c->heap_marked : 0,
		.grown = heap > g->lived ? heap - g->lived : 0,
		.stores = sm__remember_stores(gc, c->n.stores),
		.born = c->born,
	};

	if (!gc->config.tuning.sync) {
		m.ns += (double)c->cards_ns + (c->minor ? sm__remember_beside_ns(gc) : 0);
		m.program_ns = (double)(cpu - g->cpu_ns);
	} else {
		/* Mutators stand still while it marks, so no store is counted either. */
		m.program_ns = m.ns + (double)m.grown / 2;
	}
	g->cpu_ns = cpu;
	g->lived = c->heap_marked;
	sm__gen_learn(&g->choice, &m);
}

void sm__gen_judge(struct sm_gc *gc, struct sm_cycle *c)
{
	struct sm_generations *g = &gc->gen;

	if (gc->config.generations != SM_GC_GENERATIONS_AUTO)
		return;
	g->young -= g->young != 0;
	learn(gc, c);
	c->switches = g->choice.on != c->generational;
	if (!g->choice.on || c->switches || g->young != 0 || sm__gen_is_stale(&g->choice))
		sm__pacer_next_is_major(&gc->pacer);
}

/* ---- a span ------------------------------------------------------------------------------- */

/* Marks that windows left behind, on slots that are free. */
static SM_COLD void drop_returned(struct sm_gc *gc, const struct sm_span *s, const uint64_t *marks)
{
	sm__marks_clear(&gc->range, s);
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		for (uint64_t bits = marks[w]; bits; bits &= bits - 1)
			sm__marks_set_run(&gc->range, s, w * 64 + (unsigned)__builtin_ctzll(bits),
					  1);
}

static void count_old(struct sm_gc *gc, const struct sm_span *s, const uint64_t *marks)
{
	size_t bytes = s->slot_bytes ? s->slot_bytes : sm_span_bytes(s), n = 0;
	uint64_t aged[SM_MARK_SLOTS_WORDS];

	if (!sm__marks_gather(&gc->gen.aged, s, aged))
		return;
	for (unsigned w = 0; w < (s->nslots + 63u) / 64; w++)
		n += (size_t)__builtin_popcountll(aged[w] & marks[w]);
	sm_fetch_add_relaxed(&gc->gen.old_bytes, n * bytes);
}

/* Both maps' words, the marks' second map as the first. Bits between two slots' mean nothing in
 * any of them. */
static void turn_words(struct sm_gc *gc, const struct sm_span *s)
{
	size_t n = s->slot_bytes ? sm_span_bytes(s) >> SM_MARK_WORD_SHIFT : 1;
	_Atomic(uint64_t) *marks = sm__marks_of(&gc->range, s),
			  *aged = sm__marks_of(&gc->gen.aged, s),
			  *scans = gc->range.scans ? sm__scans_of(&gc->range, s) : NULL;

	for (size_t i = 0; i < n; i++) {
		uint64_t mark = sm_load_relaxed(&marks[i]), was = sm_load_relaxed(&aged[i]),
			 old = mark & was;

		if (mark != was)
			sm_store_relaxed(&aged[i], mark);
		/* Release: who sees the mark gone sees its object aged (remember_objects.c). */
		if (mark != old)
			sm_store_release(&marks[i], old);
		if (scans != NULL && sm_load_relaxed(&scans[i]) != old)
			sm_store_relaxed(&scans[i], old);
	}
}

/* It may go back to the page heap, whose units' words are clear. */
void sm__gen_left(struct sm_gc *gc, const struct sm_span *s)
{
	sm__marks_clear(&gc->range, s);
	sm__marks_clear(&gc->gen.aged, s);
}

void sm__gen_sweep_span(struct sm_gc *gc, const struct sm_span *s, const uint64_t *marks,
			unsigned live, bool returned)
{
	if (live == 0) {
		sm__gen_left(gc, s);
		return;
	}
	if (SM_UNLIKELY(returned))
		drop_returned(gc, s, marks);
	count_old(gc, s, marks);
	turn_words(gc, s);
}

/* ---- an object that moves ----------------------------------------------------------------- */

/* No thread reads or writes the map. The new slot was free, so its bit is clear. */
static void carry_bit(const struct sm_gc *gc, _Atomic(uint64_t) *map, uintptr_t from, uintptr_t to)
{
	size_t a = (from - gc->range.base) >> SM_MARK_SHIFT,
	       b = (to - gc->range.base) >> SM_MARK_SHIFT;
	uint64_t was = sm_load_relaxed(&map[a / 64]), bit = UINT64_C(1) << (a % 64);

	if ((was & bit) == 0)
		return;
	sm_store_relaxed(&map[a / 64], was & ~bit);
	sm_store_relaxed(&map[b / 64], sm_load_relaxed(&map[b / 64]) | UINT64_C(1) << (b % 64));
}

void sm__gen_moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes)
{
	carry_bit(gc, gc->range.marks, from, to);
	carry_bit(gc, gc->gen.aged.marks, from, to);
	if (gc->range.scans != NULL)
		carry_bit(gc, gc->range.scans, from, to);
	sm__remember_moved(gc, from, to, bytes);
}
