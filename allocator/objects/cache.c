/*
 * cache.c: windows: taking the next one, giving the rest back, and a cache's birth and end.
 *
 * Everything here runs on the cache's owner, or on the proxy that holds the owner at a handshake.
 */
#include "allocator/objects/cache.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "allocator/base/list.h"
#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "allocator/objects/mixed.h"

void sm__cache_post(struct sm_cache *c)
{
	sm_fetch_add_relaxed(&c->heap->allocated_bytes, c->unposted);
	c->unposted = 0;
}

/* ---- taking a window ---------------------------------------------------------------------- */

/* Brings the line of the next free slot nearer: the window after this one will be written soon. */
static void prefetch_next(const struct sm_heap *h, const struct sm_span *s, unsigned end)
{
	uint64_t free;

	if (end >= s->nslots)
		return;
	free = ~sm_load_relaxed(&s->alloc[end / 64]) >> (end % 64);
	if (free != 0)
		SM_PREFETCH_W(sm_span_slot_address(&h->pages.range, s,
						   end + (unsigned)__builtin_ctzl(free)));
}

/*
 * Slots of so many bytes lie too far apart for the processor to see where the program writes next,
 * and it writes a line or two of each: all their first lines are asked for at once, or each waits
 * for its own, in front of the next atomic instruction. (`churn` with 1 KiB: 0.8 of the time.)
 */
#define FAR_APART 256

static void prefetch_slots(const struct sm_span *s, const char *p, unsigned count)
{
	if (s->slot_bytes < FAR_APART)
		return;
	for (unsigned i = 1; i < count; i++)
		SM_PREFETCH_W(p += s->slot_bytes);
}

/* Makes the run the bin's window. The slots are c's from here on. */
static void open_window(struct sm_cache *c, struct sm_window *w, struct sm_span *s, unsigned first,
			unsigned count)
{
	struct sm_heap *h = c->heap;
	struct sm_class_counts *k = &c->cls[s->cls];
	size_t bytes = (size_t)count * s->slot_bytes;
	char *p = sm_span_slot_address(&h->pages.range, s, first);

	/* Black before the alloc bits say that there is an object: a scanner that finds one of the
	 * slots in a stale word must not go on to read memory that is only now being set up. */
	if (SM_UNLIKELY(c->black) && h->hooks.window_taken != NULL) {
		h->hooks.window_taken(h->hooks.ctx, c, s, first, count);
		sm_fence_release();
	}
	if (!h->bins[s->bin].zero) /* those are written as a whole now */
		prefetch_slots(s, p, count);
	sm__span_set_run(s, first, count);
	s->scan_from = (uint16_t)(first + count);
	if (h->bins[s->bin].zero && !(s->flags & SM_SPANF_ZEROED))
		memset(p, 0, bytes);
	else if (SM_UNLIKELY(h->config.debug_fill) && !h->bins[s->bin].zero)
		memset(p, SM_FILL_FRESH, bytes);
	if (SM_LIKELY(!h->bins[s->bin].shared)) {
		prefetch_next(h, s, first + count);
		sm__window_set(w, p, p + bytes);
	} else {
		p -= h->pages.range.base;
		sm__window_set(w, p, p + bytes);
	}
	w->size = s->slot_bytes;
	c->debt += bytes;
	c->unposted += bytes;
	c->stats.refills++;
	c->stats.window_bytes += bytes;
	sm__count_own(&k->refills, 1);
	sm__count_own(&k->taken, count);
	sm__count_own(&k->remote, s->node != c->node ? count : 0);
}

/* A run of a span that others take runs from at the same time. A cache whose windows are the CPU's
 * holds nothing. */
static unsigned slots_of_run(const struct sm_cache *c, unsigned cls)
{
	unsigned n = SM_MIXED_RUN / sm__sizeclasses[cls].slot_bytes;

	n = n < c->limits[cls].slots ? n : c->limits[cls].slots;
	return n == 0 || c->heap->cpus != NULL ? 1 : n;
}

/* Slots that a window of the bin may have; with a budget no more than that. */
static unsigned slots_of_window(const struct sm_cache *c, unsigned bin)
{
	unsigned cls = c->heap->bins[bin].cls, n = c->limits[cls].slots;

	if (SM_UNLIKELY(c->heap->bins[bin].shared))
		return slots_of_run(c, cls);
	if (SM_UNLIKELY(c->budget != 0) && (size_t)n * sm__sizeclasses[cls].slot_bytes > c->budget)
		n = (unsigned)(c->budget / sm__sizeclasses[cls].slot_bytes);
	return n ? n : 1;
}

/* The next run of the span that bin's window lies in, while that is still of this generation. */
static bool next_window(struct sm_cache *c, unsigned bin)
{
	struct sm_window *w = &c->windows[bin];
	struct sm_span *s = w->span;
	unsigned first = 0, n;

	if (s == NULL || sm_load_relaxed(&s->sweepgen) != sm_load_relaxed(&c->heap->sweepgen))
		return false;
	n = sm__span_find_run(s, s->scan_from, slots_of_window(c, bin), &first);
	if (n == 0)
		return false;
	open_window(c, w, s, first, n);
	return true;
}

/* A span of the reserve (cache.spans) becomes bin's; what a new generation found there goes back.
 */
static bool next_of_reserve(struct sm_cache *c, unsigned bin)
{
	struct sm_heap *h = c->heap;
	struct sm_window *w = &c->windows[bin];

	while (c->reserve[bin] != 0) {
		struct sm_span *s = sm__cache_unreserve(c, bin), *old = w->span;

		if (sm_load_relaxed(&s->sweepgen) == sm_load_relaxed(&h->sweepgen)) {
			sm__window_set(w, NULL, NULL);
			w->span = s;
			s = old;
		}
		if (s != NULL)
			sm__central_put(h, c, s);
		if (s == old)
			return true;
	}
	return false;
}

/* Another span for bin's window; asks the collector when there is none. */
static bool next_span(struct sm_cache *c, unsigned bin)
{
	struct sm_heap *h = c->heap;
	struct sm_window *w = &c->windows[bin];
	struct sm_span *old, *s;

	if (SM_UNLIKELY(c->nreserve != 0) && next_of_reserve(c, bin))
		return true;
	do {
		/* The hook may have retired our windows: read w->span again each time. */
		old = w->span;
		w->span = NULL;
		sm__window_set(w, NULL, NULL);
		s = sm__central_exchange(h, c, bin, old);
	} while (s == NULL &&
		 sm__heap_out_of_memory(h, c, sm__sizeclasses[h->bins[bin].cls].slot_bytes));
	if (s == NULL) {
		errno = ENOMEM;
		return false;
	}
	w->span = s;
	return true;
}

/* ---- giving back -------------------------------------------------------------------------- */

/* The span that w, which is not empty, lies in. */
static struct sm_span *span_of_window(const struct sm_heap *h, const struct sm_window *w)
{
	return w->span != NULL
		       ? w->span
		       : sm_span_of(&h->pages.range, sm__run_address(&h->pages.range, w->cur));
}

static unsigned first_left(const struct sm_heap *h, const struct sm_window *w)
{
	uintptr_t cur =
		w->span != NULL ? (uintptr_t)w->cur : sm__run_address(&h->pages.range, w->cur);

	return sm_span_slot(&h->pages.range, span_of_window(h, w), cur);
}

static void retire_window(struct sm_cache *c, struct sm_window *w)
{
	struct sm_heap *h = c->heap;
	struct sm_span *s = w->span;
	size_t bytes = (size_t)(w->end - w->cur);

	if (bytes != 0) {
		unsigned first = first_left(h, w), count = (unsigned)(bytes / w->size);

		if (h->hooks.window_returned != NULL)
			h->hooks.window_returned(h->hooks.ctx, c, s, first, count);
		sm__span_clear_run(s, first, count);
		c->stats.returned_bytes += bytes;
		sm__count_own(&c->cls[s->cls].returned, count);
		/* Modulo 2^64: a cache may return what it posted before. */
		c->unposted -= bytes;
	}
	w->span = NULL;
	sm__window_set(w, NULL, NULL);
	sm__central_put(h, c, s);
}

/* The rest of a run, whose span any cache may have: the slots stay allocated, and no pointer leads
 * to them. */
static void forget_bin(struct sm_cache *c, unsigned bin)
{
	struct sm_window *w = &c->windows[bin];
	size_t bytes = (size_t)(w->end - w->cur);

	if (bytes != 0) {
		c->stats.returned_bytes += bytes;
		sm__count_own(&c->cls[c->heap->bins[bin].cls].returned, bytes / w->size);
	}
	sm__window_set(w, NULL, NULL);
}

/* cache.budget: windows of other bins go back, each in its turn, until a new one has room. */
static SM_COLD void keep_budget(struct sm_cache *c, unsigned bin)
{
	uint32_t nbins = sm_load_acquire(&c->heap->nbins);
	unsigned cls = c->heap->bins[bin].cls;
	size_t held = (size_t)slots_of_window(c, bin) * sm__sizeclasses[cls].slot_bytes;

	for (uint32_t i = 1; i < nbins; i++)
		held += (size_t)(c->windows[i].end - c->windows[i].cur);
	for (uint32_t i = 1; i < nbins && held > c->budget; i++) {
		struct sm_window *w;

		c->hand = c->hand + 1 < nbins ? c->hand + 1 : 1;
		w = &c->windows[c->hand];
		if (c->hand == bin || w->span == NULL)
			continue;
		held -= (size_t)(w->end - w->cur);
		retire_window(c, w);
	}
}

void sm__cache_before_refill(struct sm_cache *c, size_t more)
{
	struct sm_heap *h = c->heap;
	size_t bytes = c->debt + more;

	c->debt = 0;
	if (c->unposted >= SM_POST_BYTES)
		sm__cache_post(c);
	if (h->hooks.before_refill != NULL)
		h->hooks.before_refill(h->hooks.ctx, c, bytes);
}

/* The hook may have run a finalizer that allocated from this very bin: look again. */
static bool fill_window(struct sm_cache *c, unsigned bin)
{
	struct sm_window *w = &c->windows[bin];

	sm__cache_before_refill(c, 0);
	if (SM_UNLIKELY(c->budget != 0) && SM_LIKELY(!c->heap->bins[bin].shared))
		keep_budget(c, bin);
	while (w->cur == w->end && !next_window(c, bin))
		if (!next_span(c, bin))
			return false;
	return true;
}

/*
 * cache.mode=cpu: of a window that was carved with c's own means, the first slot; the rest is left
 * to the CPU. What the CPU does not take goes back. No span stays with c.
 */
static void *take_and_leave(struct sm_cache *c, unsigned bin)
{
	struct sm_window *w = &c->windows[bin];
	struct sm_class_counts *k = &c->cls[c->heap->bins[bin].cls];
	void *p = sm__window_bump(w);

	if (w->cur != w->end && sm__cache_cpu_leave(c->heap, bin, w->cur, w->end)) {
		sm__count_own(&k->taken, -((size_t)(w->end - w->cur) / w->size));
		sm__window_set(w, w->end, w->end);
	}
	retire_window(c, w);
	sm__cache_cpu_count(c->heap, k, c->heap->bins[bin].cls);
	return p;
}

/* A bin of mixed layouts: c has its run, and the span is at once there for the next cache. */
static void *take_shared(struct sm_cache *c, unsigned bin)
{
	struct sm_heap *h = c->heap;
	struct sm_window *w = &c->windows[bin];
	struct sm_span *s = w->span;
	void *p = (void *)sm__run_address(&h->pages.range, sm__window_bump(w));

	w->span = NULL;
	if (s != NULL)
		sm__central_put(h, c, s);
	if (h->cpus != NULL)
		sm__cache_cpu_count(h, &c->cls[h->bins[bin].cls], h->bins[bin].cls);
	return p;
}

void *sm__cache_refill_slow(struct sm_cache *c, unsigned bin)
{
	const struct sm_bin *b = &c->heap->bins[bin];
	bool by_cpu = c->heap->cpus != NULL && !b->shared;
	void *p = NULL;

	if (SM_UNLIKELY(c->heap->config.page_per_object))
		return sm__cache_large(c, sm__sizeclasses[b->cls].slot_bytes, b->layout, b->zero);
	if (by_cpu)
		p = sm__cache_cpu_bump(c->heap, bin);
	if (p != NULL)
		return p;
	sm_phase_enter(SM_PHASE_REFILL);
	SM_PROBE1(refill, b->cls);
	if (fill_window(c, bin))
		p = SM_UNLIKELY(b->shared) ? take_shared(c, bin)
		    : by_cpu		   ? take_and_leave(c, bin)
					   : sm__window_bump(&c->windows[bin]);
	sm_phase_leave(SM_PHASE_REFILL);
	return p;
}

/* ---- tiny objects ------------------------------------------------------------------------- */

/*
 * Pointer-free objects under 16 B share a block. It stays alive as long as any object in it is
 * reachable, and what is born in a block allocated before marking began needs that block to be
 * black: so the block counts as a window (sm__cache_foreach_window) and is dropped when windows are
 * retired.
 */
#define TINY_BLOCK 16

void *sm__cache_tiny(struct sm_cache *c, size_t size, size_t align)
{
	char *p = (char *)sm_align_up((uintptr_t)c->tiny_cur, align);
	unsigned bin = sm__class_small[TINY_BLOCK / 8];

	SM_ASSERT(size < TINY_BLOCK && align <= 8 && (align & (align - 1)) == 0);
	if (c->tiny_cur != NULL && (size_t)(c->tiny_end - c->tiny_cur) >= size &&
	    p + size <= c->tiny_end) {
		c->tiny_cur = p + size;
		return p;
	}
	p = sm__cache_bump(c, bin);
	if (p == NULL)
		p = sm__cache_refill_slow(c, bin);
	if (p == NULL)
		return NULL;
	/* Keep the block with more room. A full block is no window any more. */
	if (c->tiny_cur == NULL || TINY_BLOCK - size > (size_t)(c->tiny_end - c->tiny_cur)) {
		c->tiny_cur = p + size;
		c->tiny_end = p + TINY_BLOCK;
	}
	return p;
}

/* ---- all windows -------------------------------------------------------------------------- */

void sm__cache_retire_all(struct sm_cache *c)
{
	uint32_t n = sm_load_acquire(&c->heap->nbins), i;

	c->tiny_cur = c->tiny_end = NULL;
	for (i = 1; i < n; i++)
		if (c->windows[i].span != NULL)
			retire_window(c, &c->windows[i]);
		else if (c->windows[i].cur != NULL)
			forget_bin(c, i);
	for (i = 1; i < n && SM_UNLIKELY(c->nreserve != 0); i++)
		while (c->reserve[i] != 0)
			sm__central_put(c->heap, c, sm__cache_unreserve(c, i));
	sm__cache_post(c);
}

void sm__cache_foreach_window(struct sm_cache *c,
			      void (*fn)(void *ctx, struct sm_span *s, unsigned first,
					 unsigned count),
			      void *ctx)
{
	struct sm_heap *h = c->heap;
	uint32_t n = sm_load_acquire(&h->nbins), i;

	for (i = 1; i < n; i++) {
		struct sm_window *w = &c->windows[i];

		if (w->cur != w->end)
			fn(ctx, span_of_window(h, w), first_left(h, w),
			   (unsigned)((size_t)(w->end - w->cur) / w->size));
		else
			sm__window_set(w, NULL, NULL);
	}
	if (c->tiny_cur != c->tiny_end) {
		struct sm_span *s = sm_span_of(&h->pages.range, (uintptr_t)c->tiny_cur);

		fn(ctx, s, sm_span_slot(&h->pages.range, s, (uintptr_t)c->tiny_cur), 1);
	} else {
		c->tiny_cur = c->tiny_end = NULL;
	}
}

/* ---- birth and end ------------------------------------------------------------------------ */

/* The core that we are on, its node, and the tunables that hold there. */
static void read_core(struct sm_cache *c)
{
	const struct sm_heap_config *cfg = &c->heap->config;
	int cpu = sched_getcpu();

	c->cpu = cpu >= 0 && (unsigned)cpu < c->heap->ncpus ? cpu : 0;
	if (cpu >= 0 && cpu < SM_MAX_CPUS && cfg->cpu_node[cpu] < c->heap->pages.nnodes)
		c->node = cfg->cpu_node[cpu];
	/* Windows of CPUs: cache_cpu.c. */
	c->budget = c->heap->cpus ? 0 : sm__config_knob(cfg, SM_KNOB_BUDGET, 0, c->cpu);
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_knobs k = sm__knobs_of(cfg, cls, c->cpu);
		size_t n = k.window / sm__sizeclasses[cls].slot_bytes;

		n = cfg->cache_mode == SM_CACHE_NONE || n == 0 ? 1 : n;
		c->limits[cls].slots = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
		c->limits[cls].spans = k.spans == 0 || c->heap->cpus ? 1 : (uint8_t)k.spans;
	}
}

int sm__cache_init(struct sm_cache *c, struct sm_heap *h, void *owner)
{
	c->heap = h;
	c->owner = owner;
	read_core(c);
	sm_lock_acquire(&h->caches_lock);
	SM_LIST_PUSH(h->caches, c);
	sm_store_relaxed(&h->ncaches, sm_load_relaxed(&h->ncaches) + 1);
	sm_lock_release(&h->caches_lock);
	return 0;
}

static void add_stats(struct sm_cache_stats *sum, const struct sm_cache_stats *s)
{
	sum->refills += s->refills;
	sum->spans += s->spans;
	sum->window_bytes += s->window_bytes;
	sum->returned_bytes += s->returned_bytes;
	sum->large_objects += s->large_objects;
	sum->large_bytes += s->large_bytes;
	sum->fresh_spans += s->fresh_spans;
	sum->swept_spans += s->swept_spans;
	sum->remote_spans += s->remote_spans;
}

/* Adds what c counted to the figures of caches that are gone. caches_lock is held. */
static void hand_over_locked(struct sm_heap *h, struct sm_cache *c)
{
	struct sm_class_counts *dead = sm__dead_counts(h, h->dead_classes, (unsigned)c->cpu, true);

	add_stats(&h->dead_stats, &c->stats);
	for (unsigned cls = 1; dead != NULL && cls < sm__nclasses; cls++)
		sm__counts_add(&dead[cls], &c->cls[cls]);
}

void sm__cache_reuse(struct sm_cache *c)
{
	struct sm_heap *h = c->heap;

	c->debt = 0;
	if (c->cpu == sched_getcpu())
		return;
	sm_lock_acquire(&h->caches_lock);
	hand_over_locked(h, c);
	memset(&c->stats, 0, sizeof(c->stats));
	memset(c->cls, 0, sizeof(c->cls));
	read_core(c);
	sm_lock_release(&h->caches_lock);
}

void sm__cache_fini(struct sm_cache *c)
{
	struct sm_heap *h = c->heap;

	sm__cache_retire_all(c);
	sm_lock_acquire(&h->caches_lock);
	SM_LIST_REMOVE(h->caches, c);
	sm_store_relaxed(&h->ncaches, sm_load_relaxed(&h->ncaches) - 1);
	hand_over_locked(h, c);
	sm_lock_release(&h->caches_lock);
	c->next = c->prev = NULL;
}
