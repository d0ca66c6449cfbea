/*
 * central.c: the lists of spans that no cache owns.
 *
 * Sweep generations. h->sweepgen advances by 2 at the end of marking, while every mutator that
 * allocates still allocates black (c->black). A thread may therefore read the old value just before
 * and act on it just after; each such case is harmless:
 *   - a span taken as swept is unswept a moment later: its windows are black, so the slots taken
 *     from it survive the sweep that it meets when it is given back, by parity, to the unswept
 *     list;
 *   - a fresh or large span born with the old value goes to the unswept list, black: kept by the
 *     sweep.
 * A refill that sees the new value gives a span of the old generation back and takes another, which
 * is swept on the way.
 *
 * Order. Spans are pushed at the front, so a list runs from young to old. Allocation sweeps one of
 * each end: young objects die soon (and their memory is warm), old ones are what a queue drops. The
 * background sweeper goes from the old end and pushes what it keeps at the front of the other list,
 * which keeps the order.
 */
#include "allocator/objects/central.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "allocator/objects/markmap.h"

/*
 * Where everything survives, sweeping on the way finds full spans only, at up to half a microsecond
 * each. So after SWEEP_MAX spans in vain a fresh one is taken, and the next SWEEP_REST refills do
 * not try: what the search looked for is being freed by the sweeper, into the page heap. (Eight
 * tries each time made up four fifths of the steps of `ring` that took longer than 2 us.)
 */
#define SWEEP_MAX  2
#define SWEEP_REST 16
/*
 * Where the page heap has nothing left but memory that was never touched, or was given back, the
 * search goes on for so many: touching a span's memory costs more than sweeping it, they must be
 * swept all the same, and a sweeper that is late would let the heap grow by what lies there dead.
 * In vain, it rests likewise.
 */
#define SWEEP_LONG 14

/* ---- lists, under the lock ---------------------------------------------------------------- */

static struct sm_span *list_pop(struct sm_heap *h, struct sm_span_list *l)
{
	struct sm_span *s;

	if (l->first == 0)
		return NULL;
	s = &h->pages.range.spans[l->first];
	sm__list_remove(h, l, s);
	return s;
}

/* The list that s belongs on, by its own generation. A hint to a thread that does not hold s: a
 * sweeper may be counting. */
static struct sm_span_list *home_of(struct sm_central *c, const struct sm_span *s)
{
	unsigned i = sm__central_parity(sm_load_relaxed(&s->sweepgen));

	return sm_span_is_full(s) ? &c->full[i] : &c->partial[i];
}

/* Is s on this list? It is on none but its own. */
static bool is_on(const struct sm_heap *h, const struct sm_span_list *l, const struct sm_span *s)
{
	return s->prev != 0 || l->first == sm_span_unit(&h->pages.range, s);
}

/* A hint without the lock: any spans of that parity, swept or not. */
static bool holds_any(const struct sm_central *l, unsigned parity)
{
	return sm_load_relaxed(&l->partial[parity].count) +
		       sm_load_relaxed(&l->full[parity].count) !=
	       0;
}

/* ---- sweeping on the way ------------------------------------------------------------------ */

enum end { YOUNG, OLD };

/* What sweeping the span will touch first. Unit 0 has no span. */
SM_INLINE void ask_for(struct sm_heap *h, uint32_t unit)
{
	SM_PREFETCH_W(&h->pages.range.spans[unit]);
	sm__marks_prefetch(&h->pages.range, &h->pages.range.spans[unit]);
}

/*
 * Takes an unswept span off an end of l for sweeping. The lock is what makes the claim exclusive.
 * The generation may have advanced since the caller chose l, and l may hold swept spans of the new
 * one by now: so the span's own generation decides. The next span there is asked for: a thread that
 * sweeps one sweeps another soon.
 */
static struct sm_span *claim_unswept_locked(struct sm_heap *h, struct sm_span_list *l, enum end end)
{
	uint32_t unit = end == YOUNG ? l->first : l->last;
	struct sm_span *s = unit ? &h->pages.range.spans[unit] : NULL;
	uint32_t stale = sm_load_acquire(&h->sweepgen) - 2;

	if (s == NULL || sm_load_relaxed(&s->sweepgen) != stale)
		return NULL;
	sm__list_remove(h, l, s);
	sm_store_relaxed(&s->sweepgen, stale + 1);
	ask_for(h, unit);
	ask_for(h, end == YOUNG ? l->first : l->last);
	return s;
}

/* debug.fill: what is free looks like nothing that a program wrote. */
static void fill_free_slots(struct sm_heap *h, struct sm_span *s)
{
	char *p = (char *)sm_span_base(&h->pages.range, s);

	for (unsigned i = 0; s->slot_bytes != 0 && i < s->nslots; i++)
		if (!(sm_load_relaxed(&s->alloc[i / 64]) >> (i % 64) & 1))
			memset(p + (size_t)i * s->slot_bytes, SM_FILL_FREED, s->slot_bytes);
	s->flags &= (uint8_t)~SM_SPANF_ZEROED;
}

/* What sweeping leaves behind: `in_use` slots, the rest free, dirty unless nothing was freed. */
void sm__central_note_swept(struct sm_heap *h, struct sm_span *s, unsigned in_use)
{
	SM_CHECK(in_use <= sm_load_relaxed(&s->nalloc));
	if (in_use != sm_load_relaxed(&s->nalloc))
		s->flags &= (uint8_t)~SM_SPANF_ZEROED;
	sm_store_relaxed(&s->nalloc, (uint16_t)in_use);
	if (SM_UNLIKELY(h->config.debug_fill))
		fill_free_slots(h, s);
	s->scan_from = 0;
	/* A thread that sees the new generation must also see the new alloc bits. */
	sm_store_release(&s->sweepgen, sm_load_relaxed(&h->sweepgen));
}

static void sweep_claimed(struct sm_heap *h, struct sm_cache *c, struct sm_span *s)
{
	unsigned in_use = sm_load_relaxed(&s->nalloc);

	sm_phase_enter(SM_PHASE_SWEEP);
	if (h->hooks.sweep != NULL)
		in_use = h->hooks.sweep(h->hooks.ctx, c, s);
	sm__central_note_swept(h, s, in_use);
	sm_phase_leave(SM_PHASE_SWEEP);
	sm__count_own(&c->stats.swept_spans, 1);
}

/* ---- taking ------------------------------------------------------------------------------- */

/*
 * A span of this list with room: swept and partial, else one of the next `most`, swept now. Called
 * and returns with the lock held; it is dropped while sweeping.
 */
static struct sm_span *take_listed(struct sm_heap *h, struct sm_cache *c, struct sm_central *l,
				   unsigned most)
{
	unsigned tries;

	for (tries = 0; tries < most; tries++) {
		unsigned now = sm__central_parity(sm_load_acquire(&h->sweepgen));
		struct sm_span *s = list_pop(h, &l->partial[now]);

		if (s != NULL)
			return s;
		if (l->rest != 0) {
			l->rest--;
			return NULL;
		}
		s = claim_unswept_locked(h, &l->partial[!now], YOUNG);
		if (s == NULL)
			s = claim_unswept_locked(h, &l->full[!now], tries % 2 ? OLD : YOUNG);
		if (s == NULL)
			return NULL;
		sm_lock_release(&l->lock);
		sweep_claimed(h, c, s);
		sm_lock_acquire(&l->lock);
		if (!sm_span_is_full(s))
			return s;
		sm__list_push(h, home_of(l, s), s);
	}
	l->rest = SWEEP_REST;
	return NULL;
}

/* A new span, of whatever memory there is or only of such as was touched before. */
struct sm_span *sm__central_make(struct sm_heap *h, unsigned bin, unsigned node, bool touched)
{
	size_t n = sm__sizeclasses[h->bins[bin].cls].nunits;
	struct sm_span *s = touched ? sm__pageheap_alloc_touched(&h->pages, node, n)
				    : sm__pageheap_alloc_on(&h->pages, node, n);

	if (s == NULL)
		return NULL;
	if (sm__span_init_small(h, s, bin) != 0) {
		sm__pageheap_free(&h->pages, s);
		errno = ENOMEM;
		return NULL;
	}
	/* Publication: a thread that reads this state (acquire) through a stale or conservative
	 * word sees the geometry, empty alloc bits and empty mark bits. Slots come to life by the
	 * alloc bits. */
	sm_store_release(&s->state, SM_SPAN_SMALL);
	return s;
}

static struct sm_span *take_fresh(struct sm_heap *h, struct sm_cache *c, unsigned bin,
				  unsigned node, bool touched)
{
	struct sm_span *s = sm__central_make(h, bin, node, touched);

	if (s == NULL)
		return NULL;
	if (s->node != c->node)
		sm__count_own(&c->stats.remote_spans, 1);
	sm__count_own(&c->stats.fresh_spans, 1);
	return s;
}

/* all: even if the last such search was in vain and the rest that it earned is not over. */
static struct sm_span *look_long(struct sm_heap *h, struct sm_cache *c, struct sm_central *l,
				 bool all)
{
	struct sm_span *s = NULL;

	sm_lock_acquire(&l->lock);
	if (l->rest_long != 0 && !all) {
		l->rest_long--;
	} else {
		l->rest = 0;
		s = take_listed(h, c, l, SWEEP_LONG);
		l->rest_long = s == NULL ? SWEEP_REST : 0;
	}
	sm_lock_release(&l->lock);
	return s;
}

static bool worth_a_look(struct sm_central *l)
{
	return holds_any(l, 0) || holds_any(l, 1);
}

/* The other nodes' lists, nearest first: the last resort, counted. */
static struct sm_span *take_remote(struct sm_heap *h, struct sm_cache *c, unsigned bin,
				   unsigned node)
{
	struct sm_span *s = NULL;
	unsigned i;

	for (i = 1; i < h->pages.nnodes && s == NULL; i++) {
		struct sm_central *l =
			sm__central_of(h, sm__pageheap_nearest(&h->pages, node, i), bin);

		if (!worth_a_look(l))
			continue;
		sm_lock_acquire(&l->lock);
		s = take_listed(h, c, l, SWEEP_MAX);
		sm_lock_release(&l->lock);
	}
	if (s != NULL) {
		sm__count_own(&c->stats.remote_spans, 1);
		sm__count_own(&c->cls[s->cls].steals, 1);
	}
	return s;
}

/* cache.spans: more of them while the lock is held, as long as nothing must be swept for it. */
static void take_more_locked(struct sm_heap *h, struct sm_cache *c, unsigned bin,
			     struct sm_central *l)
{
	struct sm_span *s;

	for (unsigned n = c->limits[h->bins[bin].cls].spans; n > 1; n--) {
		s = list_pop(h, &l->partial[sm__central_parity(sm_load_acquire(&h->sweepgen))]);
		if (s == NULL)
			return;
		sm__cache_reserve(c, bin, s);
		c->stats.spans++;
	}
}

struct sm_span *sm__central_exchange(struct sm_heap *h, struct sm_cache *c, unsigned bin,
				     struct sm_span *old)
{
	/* By policy, and never a node without memory: where the spans are that this cache's like
	 * gave back. */
	unsigned node = sm__pageheap_prefer(&h->pages, c->node);
	struct sm_central *l = sm__central_of(h, node, bin);
	struct sm_span *s = NULL;

	if (old != NULL && old->node != node) {
		sm__central_put(h, c, old);
		old = NULL;
	}
	if (old != NULL || worth_a_look(l)) {
		sm_lock_acquire(&l->lock);
		if (old != NULL)
			sm__list_push(h, home_of(l, old), old);
		s = take_listed(h, c, l, SWEEP_MAX);
		if (s != NULL && SM_UNLIKELY(c->limits[s->cls].spans > 1) && !h->bins[bin].shared)
			take_more_locked(h, c, bin, l);
		sm_lock_release(&l->lock);
	}
	if (s == NULL && holds_any(l, !sm__central_parity(sm_load_acquire(&h->sweepgen)))) {
		s = take_fresh(h, c, bin, node, true);
		if (s == NULL)
			s = look_long(h, c, l, false);
	}
	if (s == NULL)
		s = take_fresh(h, c, bin, node, false);
	/* No memory: now a search is worth its time. */
	if (s == NULL && worth_a_look(l))
		s = look_long(h, c, l, true);
	if (s == NULL)
		s = take_remote(h, c, bin, node);
	if (s == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	c->stats.spans++;
	return s;
}

/* ---- giving back -------------------------------------------------------------------------- */

void sm__central_put(struct sm_heap *h, struct sm_cache *c, struct sm_span *s)
{
	struct sm_central *l = sm__central_of(h, s->node, s->bin);

	/* While marking, a conservative scanner may be between reading this span's state and its
	 * bits, so its bitmaps and units stay what they are; a later sweep finds it empty. */
	if (sm_load_relaxed(&s->nalloc) == 0 && !c->black && !sm_load_acquire(&h->marking) &&
	    sm_load_relaxed(&s->sweepgen) == sm_load_relaxed(&h->sweepgen)) {
		sm__span_release(h, s);
		return;
	}
	sm_lock_acquire(&l->lock);
	sm__list_push(h, home_of(l, s), s);
	sm_lock_release(&l->lock);
}

void sm__central_put_large(struct sm_heap *h, struct sm_span *s)
{
	struct sm_central *l = sm__central_of(h, s->node, 0);

	sm_lock_acquire(&l->lock);
	sm__list_push(h, home_of(l, s), s);
	/* Under the lock, so that a sweeper that takes it off the list finds it published. */
	sm_store_release(&s->state, SM_SPAN_LARGE);
	sm_lock_release(&l->lock);
}

/* s's list, locked, with s on it. Off the lists while it is being swept: soon it is on one again.
 */
static struct sm_central *lock_listed(struct sm_heap *h, struct sm_span *s)
{
	struct sm_central *l = sm__central_of(h, s->node, s->bin);

	for (sm_lock_acquire(&l->lock); !is_on(h, home_of(l, s), s); sm_lock_acquire(&l->lock)) {
		sm_lock_release(&l->lock);
		sched_yield();
	}
	return l;
}

void sm__central_remove(struct sm_heap *h, struct sm_span *s)
{
	struct sm_central *l = lock_listed(h, s);

	sm__list_remove(h, home_of(l, s), s);
	sm_lock_release(&l->lock);
}

void sm__central_file_gone(struct sm_heap *h, struct sm_span *s)
{
	struct sm_central *l = lock_listed(h, s);

	SM_CHECK((s->flags & (SM_SPANF_FILE | SM_SPANF_GONE)) == SM_SPANF_FILE);
	s->flags |= SM_SPANF_GONE;
	sm_lock_release(&l->lock);
}

/* ---- the sweeper's side ------------------------------------------------------------------- */

static unsigned take_unswept_of(struct sm_heap *h, struct sm_central *l, struct sm_span **spans,
				unsigned n)
{
	unsigned stale = !sm__central_parity(sm_load_acquire(&h->sweepgen)), i;

	if (!holds_any(l, stale))
		return 0;
	sm_lock_acquire(&l->lock);
	for (i = 0; i < n; i++) {
		spans[i] = claim_unswept_locked(h, &l->full[stale], OLD);
		if (spans[i] == NULL)
			spans[i] = claim_unswept_locked(h, &l->partial[stale], OLD);
		if (spans[i] == NULL)
			break;
	}
	sm_lock_release(&l->lock);
	return i;
}

/*
 * The counts are read without the lock: a span is put on an unswept list only at the end of marking
 * and by caches that give back what they owned then, so a sweeper that comes round after those sees
 * all.
 */
unsigned sm__central_take_unswept_some(struct sm_heap *h, unsigned node, uint32_t *cursor,
				       struct sm_span **spans, unsigned n)
{
	uint32_t nbins = sm_load_acquire(&h->nbins), i;

	if (*cursor >= nbins)
		*cursor = 0;
	for (i = 0; i < nbins; i++) {
		unsigned taken = take_unswept_of(h, sm__central_of(h, node, *cursor), spans, n);

		if (taken != 0)
			return taken;
		*cursor = *cursor + 1 == nbins ? 0 : *cursor + 1;
	}
	return 0;
}

void sm__central_put_swept_some(struct sm_heap *h, struct sm_span **spans, const unsigned *in_use,
				unsigned n)
{
	struct sm_central *l = n != 0 ? sm__central_of(h, spans[0]->node, spans[0]->bin) : NULL;
	unsigned i, kept = 0;

	for (i = 0; i < n; i++) {
		sm__central_note_swept(h, spans[i], in_use[i]);
		if (in_use[i] == 0)
			sm__span_release(h, spans[i]);
		else
			spans[kept++] = spans[i];
	}
	if (kept == 0)
		return;
	sm_lock_acquire(&l->lock);
	for (i = 0; i < kept; i++)
		sm__list_push(h, home_of(l, spans[i]), spans[i]);
	sm_lock_release(&l->lock);
}
