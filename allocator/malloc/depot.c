/*
 * depot.c: what is central of the malloc heap: by node and class, lists of freed objects (the
 * depot), the spans with room, and the way back to them.
 *
 * Locks. The lock of a depot guards everything central of its class on its node: the lists, the
 * list of partial spans, and the alloc bits and counts of every span of the class there. A thread
 * takes it once for a list of objects or a window, never for an object. One at a time.
 *
 * Nodes. A refill looks at the node that the policy says (numa=local: where the thread runs), then
 * asks for fresh memory there, then at the other nodes' lists, the nearest first. A full list is
 * sorted by the nodes its objects lie on and each part goes home, so a depot holds memory of its
 * own node alone.
 */
#include <errno.h>
#include <sched.h>

#include "allocator/objects/central.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"

#define LONG_RUN 16 /* free slots in a row that are worth a window rather than a list */

/* ---- nodes -------------------------------------------------------------------------------- */

unsigned sm__malloc_here(void)
{
	const struct sm_process_heap *g = &sm__process_heap;
	int cpu = g->nnodes > 1 ? sched_getcpu() : -1;
	unsigned node = 0;

	/* Atomic for the sake of tests that move CPUs between nodes. */
	if (cpu >= 0 && cpu < SM_MAX_CPUS)
		node = __atomic_load_n(&g->heap->config.cpu_node[cpu], __ATOMIC_RELAXED);
	return node < g->nnodes ? node : 0;
}

static unsigned node_of(const void *p)
{
	const struct sm_range *r = &sm__process_heap.heap->pages.range;
	size_t node = ((uintptr_t)p - r->base) >> r->node_shift;

	if (SM_UNLIKELY(node >= sm__process_heap.nnodes))
		sm__fatal(__FILE__, __LINE__, "a free list is damaged at %p: written after free?",
			  p);
	return (unsigned)node;
}

static struct sm_span_list *partial_of(unsigned node, unsigned cls)
{
	return &sm__depot_of(node, cls)->partial;
}

static uint64_t word_of(const struct sm_freed *first, uint64_t length)
{
	return (uintptr_t)first | length << SM_RSEQ_TAG_SHIFT;
}

static struct sm_freed *first_of(uint64_t word)
{
	return (struct sm_freed *)(word & SM_RSEQ_PTR_MASK);
}

/* ---- spans of a class, under the depot's lock --------------------------------------------- */

static char *slot_address(const struct sm_span *s, unsigned slot)
{
	return sm_span_slot_address(&sm__process_heap.heap->pages.range, s, slot);
}

/* n slots of the class more are handed out, or (negative) less. */
static void count_out_locked(struct sm_depot *d, int64_t n)
{
	sm_store_relaxed(&d->out, sm_load_relaxed(&d->out) + (uint64_t)n);
}

/* The next run to hand out: one of whole lines, as long as there is one (sm_span_has_line). */
static unsigned next_run(const struct sm_span *s, unsigned most, unsigned *first)
{
	unsigned n = sm__span_find_line(s, s->scan_from, most, first);

	return n != 0 ? n : sm__span_find_run(s, s->scan_from, most, first);
}

/* A run of s is handed out. */
static void take_run_locked(struct sm_span *s, unsigned cls, unsigned first, unsigned n)
{
	unsigned lowest = first;

	(void)sm__span_find_run(s, s->scan_from, 1, &lowest);
	sm__span_set_run(s, first, n);
	count_out_locked(sm__depot_of(s->node, cls), n);
	if (first == lowest)
		s->scan_from = (uint16_t)(first + n);
	if (!sm_span_has_line(s))
		sm__list_remove(sm__process_heap.heap, partial_of(s->node, cls), s);
}

static struct sm_freed *link_objects(struct sm_span *s, unsigned first, unsigned n,
				     struct sm_freed **tail)
{
	struct sm_freed *head = NULL, **at = &head;

	for (unsigned i = first; i < first + n; i++) {
		struct sm_freed *p = (struct sm_freed *)slot_address(s, i);

		p->key = sm__malloc_key(p);
		*at = p;
		at = &p->next;
		*tail = p;
	}
	*at = NULL;
	return head;
}

static struct sm_span *first_partial(unsigned node, unsigned cls)
{
	struct sm_span_list *l = partial_of(node, cls);

	return l->first ? &sm__process_heap.spans[l->first] : NULL;
}

/* Free slots of partial spans, as a list in address order. Returns how many. */
static unsigned gather_locked(unsigned node, unsigned cls, const struct sm_mwant *want,
			      struct sm_freed **list)
{
	struct sm_freed **at = list;
	unsigned got = 0;

	for (unsigned spans = 0; spans < want->spans && got < want->list;) {
		struct sm_span *s = first_partial(node, cls);
		struct sm_freed *tail = NULL;
		unsigned first = 0, n;

		if (s == NULL)
			break;
		n = next_run(s, want->list - got, &first);
		SM_CHECK(n != 0);
		*at = link_objects(s, first, n, &tail);
		at = &tail->next;
		take_run_locked(s, cls, first, n);
		got += n;
		/* A span is used up before the next one is touched. */
		spans += !sm_span_has_line(s);
	}
	*at = NULL;
	return got;
}

static void set_window(struct sm_mtake *got, struct sm_span *s, unsigned first, unsigned n)
{
	got->cur = slot_address(s, first);
	got->end = got->cur + (size_t)n * s->slot_bytes;
	got->n = n;
}

/* The first partial span's next run becomes a window, if it is long. */
static bool long_run_locked(unsigned node, unsigned cls, unsigned want, struct sm_mtake *got)
{
	struct sm_span *s = want ? first_partial(node, cls) : NULL;
	unsigned first = 0, n;

	if (s == NULL)
		return false;
	n = next_run(s, want, &first);
	if (n < LONG_RUN && n < want && n + sm_load_relaxed(&s->nalloc) < s->nslots)
		return false;
	take_run_locked(s, cls, first, n);
	set_window(got, s, first, n);
	return true;
}

/* ---- taking ------------------------------------------------------------------------------- */

static bool take_word(uint64_t word, struct sm_mtake *got)
{
	got->list = first_of(word);
	got->n = (unsigned)(word >> SM_RSEQ_TAG_SHIFT);
	return got->n != 0;
}

/* When there is no memory: lists that other threads would have wanted back. */
static bool take_any(unsigned node, unsigned cls, const struct sm_mwant *want, struct sm_mtake *got)
{
	return !want->alone && take_word(sm__shard_steal(node, cls, true), got);
}

static bool take_listed(unsigned node, unsigned cls, const struct sm_mwant *want,
			struct sm_mtake *got)
{
	struct sm_depot *d = sm__depot_of(node, cls);

	if (!want->alone && (take_word(sm__shard_take(node, cls), got) ||
			     take_word(sm__shard_steal(node, cls, false), got)))
		return true;
	sm_lock_acquire(&d->lock);
	if (!long_run_locked(node, cls, want->window, got))
		got->n = gather_locked(node, cls, want, &got->list);
	sm_lock_release(&d->lock);
	return got->n != 0;
}

/*
 * A span from the page heap, its first n slots handed out (so that it is never on a list while it
 * is empty). NULL: no memory. It becomes one of malloc under the lock that puts it on its list: a
 * process forked before that has a span of another use, not one that is on no list.
 */
static struct sm_span *fresh_span(unsigned node, unsigned cls, unsigned n)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s =
		sm__pageheap_alloc_on(&g->heap->pages, node, sm__sizeclasses[cls].nunits);
	struct sm_depot *d;

	if (s == NULL)
		return NULL;
	if (!sm__munits_prepare(s) || sm__span_init_small(g->heap, s, cls) != 0) {
		sm__pageheap_free(&g->heap->pages, s);
		return NULL;
	}
	sm__span_set_run(s, 0, n);
	s->scan_from = (uint16_t)n;
	d = sm__depot_of(s->node, cls);
	sm_lock_acquire(&d->lock);
	sm_store_release(&s->state, SM_SPAN_MALLOC);
	sm__munits_set_locked(s, cls);
	sm_fetch_add_relaxed(&d->spans, 1);
	d->fresh++;
	count_out_locked(d, n);
	if (sm_span_has_line(s))
		sm__list_push(g->heap, partial_of(s->node, cls), s);
	sm_lock_release(&d->lock);
	return s;
}

static bool take_fresh(unsigned node, unsigned cls, const struct sm_mwant *want,
		       struct sm_mtake *got)
{
	unsigned n = want->window ? want->window : want->list, most = sm__sizeclasses[cls].nslots;
	struct sm_freed *tail;
	struct sm_span *s;

	sm__malloc_release_if_due();
	n = n < most ? n : most;
	s = fresh_span(node, cls, n);
	if (s == NULL)
		return false;
	if (want->window)
		set_window(got, s, 0, n);
	else
		got->list = link_objects(s, 0, n, &tail);
	got->n = n;
	return true;
}

bool sm__depot_take(unsigned cls, const struct sm_mwant *want, struct sm_mtake *got)
{
	struct sm_process_heap *g = &sm__process_heap;
	unsigned home, node;

	*got = (struct sm_mtake){.list = NULL};
	if (SM_LIKELY(g->nnodes == 1))
		return take_listed(0, cls, want, got) || take_fresh(0, cls, want, got) ||
		       take_any(0, cls, want, got);
	home = sm__malloc_here();
	node = sm__pageheap_prefer(&g->heap->pages, home);
	if (!take_listed(node, cls, want, got) && !take_fresh(node, cls, want, got))
		for (unsigned i = 1; i < g->nnodes && !got->stolen; i++)
			got->stolen = take_listed(sm__pageheap_nearest(&g->heap->pages, node, i),
						  cls, want, got);
	for (unsigned i = 0; i < g->nnodes && got->n == 0; i++)
		got->stolen =
			take_any(sm__pageheap_nearest(&g->heap->pages, node, i), cls, want, got) &&
			i > 0;
	if (got->n == 0)
		return false;
	got->remote = node_of(got->cur ? (void *)got->cur : (void *)got->list) != home;
	return true;
}

void *sm__depot_take_one(unsigned cls)
{
	const struct sm_mwant one = {.list = 1, .spans = 1, .alone = true};
	struct sm_mtake got;

	if (!sm__depot_take(cls, &one, &got))
		return NULL;
	got.list->key = 0;
	return got.list;
}

/* ---- the way back to spans ---------------------------------------------------------------- */

/* Slots of s have come back, before which it was listed or not. Is it empty now? Then it is on no
 * list and none of the depot's. */
static bool relist_locked(struct sm_depot *d, struct sm_span *s, bool listed)
{
	bool is_empty = sm_load_relaxed(&s->nalloc) == 0;

	if (is_empty)
		sm_fetch_sub_relaxed(&d->spans, 1);
	if (listed && is_empty)
		sm__list_remove(sm__process_heap.heap, &d->partial, s);
	else if (!listed && !is_empty && sm_span_has_line(s))
		sm__list_push(sm__process_heap.heap, &d->partial, s);
	return is_empty;
}

/*
 * Releases the lock. Empty spans on their way to the page heap are of no kind before it: a process
 * forked in between has them so, not as malloc's on no list.
 */
static void leave_depot(struct sm_depot *d, struct sm_span *dead)
{
	for (; dead != NULL; dead = dead->next ? &sm__process_heap.spans[dead->next] : NULL) {
		sm__munits_set_locked(dead, 0);
		sm_store_release(&dead->state, SM_SPAN_OTHER);
	}
	sm_lock_release(&d->lock);
}

static void clear_slot_locked(struct sm_span *s, unsigned slot, const void *p)
{
	uint64_t bit = UINT64_C(1) << (slot % 64), word = sm_load_relaxed(&s->alloc[slot / 64]);

	if (SM_UNLIKELY(!(word & bit)))
		sm__fatal(__FILE__, __LINE__, "free: %p (%u bytes) was freed twice", p,
			  s->slot_bytes);
	sm_store_relaxed(&s->alloc[slot / 64], word & ~bit);
}

#define AHEAD 32 /* objects whose descriptors are on their way at a time */

struct ahead {
	struct sm_freed *p[AHEAD];
	struct sm_span *unit[AHEAD]; /* descriptor of the unit that p starts in */
	unsigned n;
};

/* The span of the i-th object, which is one of the class. */
static struct sm_span *span_of_class(unsigned cls, const struct ahead *a, unsigned i)
{
	struct sm_span *s = a->unit[i] - a->unit[i]->back;

	if (SM_UNLIKELY(sm_load_relaxed(&s->state) != SM_SPAN_MALLOC || s->cls != cls))
		sm__fatal(__FILE__, __LINE__,
			  "free list of class %u is damaged at %p: written after free?", cls,
			  (void *)a->p[i]);
	return s;
}

/*
 * Clears the alloc bits of the i-th object and of those behind it that lie in the same span:
 * objects that were allocated one after the other are often freed so. Returns how many; the caller
 * counts them. An empty span leaves its list and goes on `dead`, linked by next.
 */
static unsigned give_slots_locked(struct sm_depot *d, unsigned cls, const struct ahead *a,
				  unsigned i, struct sm_span **dead)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s = span_of_class(cls, a, i);
	uintptr_t base = sm_span_base(&g->heap->pages.range, s);
	size_t bytes = sm_span_bytes(s);
	struct sm_freed *const *p = &a->p[i];
	unsigned got = 0, from = s->scan_from, slot;
	bool listed = sm_span_has_line(s);

	do {
		slot = (unsigned)(((uintptr_t)p[got] - base) * s->recip >> 32);
		clear_slot_locked(s, slot, p[got]);
		from = slot < from ? slot : from;
	} while (++got < a->n - i && (uintptr_t)p[got] - base < bytes);
	s->scan_from = (uint16_t)from;
	sm_store_relaxed(&s->nalloc, (uint16_t)(sm_load_relaxed(&s->nalloc) - got));
	if (relist_locked(d, s, listed)) {
		s->next = *dead ? sm_span_unit(&g->heap->pages.range, *dead) : 0;
		*dead = s;
	}
	return got;
}

static void release_dead(struct sm_span *dead)
{
	struct sm_process_heap *g = &sm__process_heap;

	while (dead != NULL) {
		struct sm_span *s = dead;
		size_t bytes = sm_span_bytes(s);

		dead = s->next ? &g->spans[s->next] : NULL;
		s->next = 0;
		sm__span_release(g->heap, s);
		sm__malloc_returned(bytes);
	}
}

/*
 * Objects that were freed in no order lie in as many spans, whose descriptors are in no cache: so
 * many of these are fetched at a time, before the lock is taken, not one after the other under it.
 * Stops where the next object is of another node. Returns the rest of the list.
 */
static struct sm_freed *look_ahead(struct sm_freed *list, struct ahead *a)
{
	const struct sm_range *r = &sm__process_heap.heap->pages.range;
	struct sm_freed *at = list;
	unsigned node = node_of(list), n;

	for (n = 0; n < AHEAD && at != NULL; n++) {
		uintptr_t off = (uintptr_t)at - r->base;

		/* What is no address of the heap is refused when the list begins with it. */
		if (SM_UNLIKELY(off >> r->node_shift != node))
			break;
		a->p[n] = at;
		a->unit[n] = &r->spans[off >> SM_UNIT_SHIFT];
		SM_PREFETCH_W(a->unit[n]);
		SM_PREFETCH_W(&a->unit[n]->alloc);
		at = at->next;
	}
	a->n = n;
	return at;
}

void sm__depot_drain(unsigned cls, struct sm_freed *list)
{
	struct ahead a;

	while (list != NULL) {
		struct sm_depot *d = sm__depot_of(node_of(list), cls);
		struct sm_span *dead = NULL;

		list = look_ahead(list, &a);
		sm_lock_acquire(&d->lock);
		for (unsigned i = 0; i < a.n;)
			i += give_slots_locked(d, cls, &a, i, &dead);
		count_out_locked(d, -(int64_t)a.n);
		d->drained += a.n;
		leave_depot(d, dead);
		release_dead(dead);
	}
}

void sm__depot_give_window(unsigned cls, char *cur, char *end)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s = sm_span_of(&g->heap->pages.range, (uintptr_t)cur), *dead = NULL;
	struct sm_depot *d = sm__depot_of(s->node, cls);
	unsigned first = sm_span_slot(&g->heap->pages.range, s, (uintptr_t)cur);
	unsigned n = (unsigned)((size_t)(end - cur) / s->slot_bytes);
	bool listed;

	sm_lock_acquire(&d->lock);
	listed = sm_span_has_line(s);
	sm__span_clear_run(s, first, n);
	count_out_locked(d, -(int64_t)n);
	if (relist_locked(d, s, listed))
		dead = s;
	leave_depot(d, dead);
	release_dead(dead);
}

/* ---- the depot ---------------------------------------------------------------------------- */

/* For a list that found no place. With it less is in use: one that has a place goes, too, if the
 * depot has too much. */
static void drain_refused(unsigned node, unsigned cls, struct sm_freed *list)
{
	uint64_t word;

	sm__depot_drain(cls, list);
	word = sm__shard_shed(node, cls);
	if (word != 0)
		sm__depot_drain(cls, first_of(word));
}

static void give_here(unsigned node, unsigned cls, struct sm_freed *list, unsigned n)
{
	if (SM_UNLIKELY(!sm__shard_give(node, cls, word_of(list, n))))
		drain_refused(node, cls, list);
}

/* Each part goes to its node, if it is long enough to be worth a place there. */
static unsigned give_sorted(unsigned cls, struct sm_freed *list)
{
	struct {
		struct sm_freed *first;
		unsigned n;
	} by[SM_MAX_NODES] = {{.n = 0}};
	unsigned home = sm__malloc_here(), remote = 0;
	struct sm_freed *next;

	for (; list != NULL; list = next) {
		unsigned node = node_of(list);

		next = list->next;
		list->next = by[node].first;
		by[node].first = list;
		by[node].n++;
		remote += node != home;
	}
	for (unsigned node = 0; node < sm__process_heap.nnodes; node++)
		if (by[node].n > sm__process_heap.list[cls] / 4)
			give_here(node, cls, by[node].first, by[node].n);
		else
			sm__depot_drain(cls, by[node].first);
	return remote;
}

unsigned sm__depot_give_list(unsigned cls, struct sm_freed *list, unsigned n)
{
	if (SM_UNLIKELY(sm__process_heap.nnodes > 1))
		return give_sorted(cls, list);
	give_here(0, cls, list, n);
	return 0;
}

bool sm__depot_exchange(unsigned cls, struct sm_freed *list, unsigned n, struct sm_freed *warm,
			unsigned *remote)
{
	*remote = 0;
	if (SM_UNLIKELY(sm__process_heap.nnodes > 1)) {
		*remote = give_sorted(cls, list);
		return true;
	}
	if (SM_LIKELY(sm__shard_give(0, cls, word_of(list, n))))
		return true;
	drain_refused(0, cls, warm);
	return false;
}

static void drain_depot(unsigned node, unsigned cls)
{
	uint64_t word;

	while ((word = sm__shard_steal(node, cls, true)) != 0)
		sm__depot_drain(cls, first_of(word));
}

void sm__depot_drain_all(void)
{
	for (unsigned node = 0; node < sm__process_heap.nnodes; node++)
		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			drain_depot(node, cls);
}
