/*
 * manual_cache.c: where freed objects wait: a thread's lists, the depots, and the way back to spans.
 *
 * Locks. A depot's lock guards everything central of its class: lists in the depot, the list of partial
 * spans, and the alloc bits and counts of every span of the class. A thread takes it once for a list
 * of objects or a window, never for an object.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "allocator/central.h"
#include "allocator/manual_internal.h"
#include "allocator/meta.h"

#define LONG_RUN     16 /* free slots in a row that are worth a window rather than a list */
#define GATHER_SPANS 8	/* partial spans looked at for one list */

static struct sm_mcache empty, ended; /* never written: no objects, no room */
__thread struct sm_mcache *sm__mcache = &empty;
static pthread_key_t at_exit;

/* ---- spans of a class, under the depot's lock ------------------------------------------------------ */

static struct sm_span_list *partial_of(unsigned cls)
{
	struct sm_manual *g = &sm__manual;

	return &sm__central_of(g->heap, 0, g->bin[cls])->partial[0];
}

static char *slot_address(const struct sm_span *s, unsigned slot)
{
	return (char *)sm_span_base(&sm__manual.heap->range, s) + (size_t)slot * s->slot_bytes;
}

/* A run of s is handed out. */
static void take_run_locked(struct sm_span *s, unsigned cls, unsigned first, unsigned n)
{
	sm__span_set_run(s, first, n);
	s->scan_from = (uint16_t)(first + n);
	if (s->nalloc == s->nslots)
		sm__list_remove(sm__manual.heap, partial_of(cls), s);
}

static struct sm_freed *link_objects(struct sm_span *s, unsigned first, unsigned n, struct sm_freed **tail)
{
	struct sm_freed *head = NULL, **at = &head;

	for (unsigned i = first; i < first + n; i++) {
		struct sm_freed *p = (struct sm_freed *)slot_address(s, i);

		p->key = sm__manual_key(p);
		*at = p;
		at = &p->next;
		*tail = p;
	}
	*at = NULL;
	return head;
}

/* Up to `want` free slots of partial spans, as a list in address order. Returns how many. */
static unsigned gather_locked(unsigned cls, unsigned want, struct sm_freed **list)
{
	struct sm_freed **at = list;
	unsigned got = 0;

	for (unsigned spans = 0; spans < GATHER_SPANS && got < want;) {
		struct sm_span_list *l = partial_of(cls);
		struct sm_span *s = l->first ? &sm__manual.spans[l->first] : NULL;
		struct sm_freed *tail = NULL;
		unsigned first = 0, n;

		if (s == NULL)
			break;
		n = sm__span_find_run(s, s->scan_from, want - got, &first);
		SM_CHECK(n != 0);
		*at = link_objects(s, first, n, &tail);
		at = &tail->next;
		take_run_locked(s, cls, first, n);
		got += n;
		/* A span is used up before the next one is touched. */
		spans += s->nalloc == s->nslots;
	}
	*at = NULL;
	return got;
}

/* Slots that a refill takes: from 1 KiB on, twice as much each time, up to cache.window. */
static unsigned window_slots(struct sm_mclass *m, unsigned cls)
{
	size_t bytes = SM_KIB << m->start, n;

	if (bytes < sm__manual.heap->config.window)
		m->start++;
	else
		bytes = sm__manual.heap->config.window;
	n = bytes / sm__sizeclasses[cls].slot_bytes;
	return n ? (unsigned)n : 1;
}

/* The first partial span's next run becomes the window, if it is long. */
static bool long_run_locked(struct sm_mclass *m, unsigned cls, unsigned want)
{
	struct sm_span_list *l = partial_of(cls);
	struct sm_span *s = l->first ? &sm__manual.spans[l->first] : NULL;
	unsigned first = 0, n;

	if (s == NULL)
		return false;
	n = sm__span_find_run(s, s->scan_from, want, &first);
	if (n < LONG_RUN && n < want && n + s->nalloc < s->nslots)
		return false;
	take_run_locked(s, cls, first, n);
	m->cur = slot_address(s, first);
	m->end = m->cur + (size_t)n * s->slot_bytes;
	return true;
}

/*
 * A span from the page heap, its first n slots handed out (so that it is never on a list while it is
 * empty). NULL: no memory.
 */
static struct sm_span *fresh_span(unsigned cls, unsigned n)
{
	struct sm_manual *g = &sm__manual;
	struct sm_span *s = sm__pageheap_alloc(g->heap, 0, sm__sizeclasses[cls].nunits);

	if (s == NULL)
		return NULL;
	if (sm__span_init_small(g->heap, s, g->bin[cls]) != 0) {
		sm__pageheap_free(g->heap, s);
		return NULL;
	}
	sm__span_set_run(s, 0, n);
	s->scan_from = (uint16_t)n;
	sm_store_release(&s->state, SM_SPAN_MANUAL);
	sm_lock_acquire(&g->depots[cls].lock);
	g->depots[cls].spans++;
	if (s->nalloc < s->nslots)
		sm__list_push(g->heap, partial_of(cls), s);
	sm_lock_release(&g->depots[cls].lock);
	return s;
}

/* ---- refill ---------------------------------------------------------------------------------------- */

static void *pop(struct sm_mcache *c, unsigned cls)
{
	struct sm_freed *p = c->head[cls];

	c->head[cls] = p->next;
	c->room[cls]++;
	p->key = 0;
	return p;
}

static void *bump(struct sm_mclass *m, unsigned cls)
{
	struct sm_freed *p = (struct sm_freed *)m->cur;

	m->cur += sm__sizeclasses[cls].slot_bytes;
	/* A former life may have left its key here. */
	p->key = 0;
	return p;
}

/* c's list is empty: `n` objects become it. */
static void *adopt(struct sm_mcache *c, unsigned cls, struct sm_freed *list, unsigned n)
{
	c->head[cls] = list;
	c->room[cls] = sm__manual.list[cls] - n;
	return pop(c, cls);
}

/* From the depot or from spans; NULL: they have none. */
static void *refill_central(struct sm_mcache *c, unsigned cls, unsigned want)
{
	struct sm_manual *g = &sm__manual;
	struct sm_depot *d = &g->depots[cls];
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *list = NULL;
	unsigned n = 0;
	bool window = false;

	sm_lock_acquire(&d->lock);
	if (d->count != 0) {
		list = d->lists[--d->count];
		n = g->list[cls];
	} else {
		window = long_run_locked(m, cls, want);
		if (!window)
			n = gather_locked(cls, want < g->list[cls] ? want : g->list[cls], &list);
	}
	sm_lock_release(&d->lock);
	if (window)
		return bump(m, cls);
	return n ? adopt(c, cls, list, n) : NULL;
}

static void *refill_fresh(struct sm_mclass *m, unsigned cls, unsigned n)
{
	struct sm_span *s;

	if (n > sm__sizeclasses[cls].nslots)
		n = sm__sizeclasses[cls].nslots;
	s = fresh_span(cls, n);
	if (s == NULL)
		return NULL;
	m->cur = slot_address(s, 0);
	m->end = m->cur + (size_t)n * s->slot_bytes;
	return bump(m, cls);
}

void *sm__mcache_refill(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *spare = m->spare;
	unsigned want;
	void *p;

	if (spare != NULL) {
		m->spare = NULL;
		return adopt(c, cls, spare, sm__manual.list[cls]);
	}
	if (m->cur != m->end)
		return bump(m, cls);
	m->refills++;
	sm_phase_enter(SM_PHASE_REFILL);
	want = window_slots(m, cls);
	p = refill_central(c, cls, want);
	if (p == NULL)
		p = refill_fresh(m, cls, want);
	sm_phase_leave(SM_PHASE_REFILL);
	return p;
}

unsigned sm__manual_fetch(unsigned cls, unsigned want, struct sm_freed **list)
{
	struct sm_manual *g = &sm__manual;
	struct sm_depot *d = &g->depots[cls];
	struct sm_freed *tail;
	struct sm_span *s;
	unsigned n;

	sm_lock_acquire(&d->lock);
	if (d->count != 0) {
		*list = d->lists[--d->count];
		n = g->list[cls];
	} else {
		n = gather_locked(cls, want, list);
	}
	sm_lock_release(&d->lock);
	if (n != 0)
		return n;
	n = want < sm__sizeclasses[cls].nslots ? want : sm__sizeclasses[cls].nslots;
	s = fresh_span(cls, n);
	if (s == NULL)
		return 0;
	*list = link_objects(s, 0, n, &tail);
	return n;
}

void *sm__manual_take_one(unsigned cls)
{
	struct sm_depot *d = &sm__manual.depots[cls];
	struct sm_freed *p = NULL;
	unsigned n;

	sm_lock_acquire(&d->lock);
	n = gather_locked(cls, 1, &p);
	sm_lock_release(&d->lock);
	if (n == 0) {
		struct sm_span *s = fresh_span(cls, 1);

		if (s == NULL)
			return NULL;
		p = (struct sm_freed *)slot_address(s, 0);
	}
	p->key = 0;
	return p;
}

/* ---- overflow -------------------------------------------------------------------------------------- */

/*
 * Clears p's alloc bit. An empty span leaves its list and goes on `dead`, linked by next.
 */
static void give_slot_locked(unsigned cls, const void *p, struct sm_span **dead)
{
	struct sm_manual *g = &sm__manual;
	struct sm_span *s = sm_span_of(&g->heap->range, (uintptr_t)p);
	unsigned slot = sm_span_slot(&g->heap->range, s, (uintptr_t)p);
	uint64_t bit = UINT64_C(1) << (slot % 64), word;

	if (sm_load_relaxed(&s->state) != SM_SPAN_MANUAL || s->cls != cls)
		sm__fatal(__FILE__, __LINE__, "free list of class %u is damaged at %p: written after free?",
			  cls, p);
	word = sm_load_relaxed(&s->alloc[slot / 64]);
	if (!(word & bit))
		sm__fatal(__FILE__, __LINE__, "free: %p (%u bytes) was freed twice", p, s->slot_bytes);
	sm_store_relaxed(&s->alloc[slot / 64], word & ~bit);
	if (slot < s->scan_from)
		s->scan_from = (uint16_t)slot;
	if (s->nalloc == s->nslots)
		sm__list_push(g->heap, partial_of(cls), s);
	if (--s->nalloc == 0) {
		sm__list_remove(g->heap, partial_of(cls), s);
		g->depots[cls].spans--;
		s->next = *dead ? sm_span_unit(&g->heap->range, *dead) : 0;
		*dead = s;
	}
}

void sm__manual_drain(unsigned cls, struct sm_freed *list)
{
	struct sm_manual *g = &sm__manual;
	struct sm_depot *d = &g->depots[cls];
	struct sm_span *dead = NULL;
	struct sm_freed *next;

	sm_lock_acquire(&d->lock);
	for (; list != NULL; list = next) {
		/* A list of a CPU's cache carries lengths in its links. */
		next = (struct sm_freed *)((uintptr_t)list->next & SM_RSEQ_PTR_MASK);
		give_slot_locked(cls, list, &dead);
		d->drained++;
	}
	sm_lock_release(&d->lock);
	while (dead != NULL) {
		struct sm_span *s = dead;

		size_t bytes = sm_span_bytes(s);

		dead = s->next ? &g->spans[s->next] : NULL;
		s->next = 0;
		sm__span_release(g->heap, s);
		sm__manual_returned(bytes);
	}
}

/* Lists that the depot may keep: a quarter of the class's memory, within bounds. */
static uint32_t depot_cap(const struct sm_depot *d, unsigned cls)
{
	const struct sm_sizeclass *k = &sm__sizeclasses[cls];
	size_t list = (size_t)sm__manual.list[cls] * k->slot_bytes;
	size_t lists = ((size_t)d->spans * k->nunits << SM_UNIT_SHIFT) / 4 / list + 4;

	return lists < d->cap ? (uint32_t)lists : d->cap;
}

void sm__manual_give_list(unsigned cls, struct sm_freed *list)
{
	struct sm_depot *d = &sm__manual.depots[cls];
	bool kept;

	sm_lock_acquire(&d->lock);
	kept = d->count < depot_cap(d, cls);
	if (kept)
		d->lists[d->count++] = list;
	sm_lock_release(&d->lock);
	if (!kept)
		sm__manual_drain(cls, list);
}

void sm__mcache_overflow(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *spare = m->spare;

	m->overflows++;
	m->spare = c->head[cls];
	c->head[cls] = NULL;
	c->room[cls] = sm__manual.list[cls];
	if (spare != NULL)
		sm__manual_give_list(cls, spare);
}

void sm__manual_drain_depots(void)
{
	struct sm_manual *g = &sm__manual;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_depot *d = &g->depots[cls];
		struct sm_freed *list;

		do {
			sm_lock_acquire(&d->lock);
			list = d->count ? d->lists[--d->count] : NULL;
			sm_lock_release(&d->lock);
			sm__manual_drain(cls, list);
		} while (list != NULL);
	}
}

/* ---- a thread's cache ------------------------------------------------------------------------------ */

static void close_window(struct sm_mclass *m, unsigned cls)
{
	struct sm_manual *g = &sm__manual;
	struct sm_span *s;
	unsigned first, n;
	bool was_full;

	if (m->cur == m->end)
		return;
	s = sm_span_of(&g->heap->range, (uintptr_t)m->cur);
	first = sm_span_slot(&g->heap->range, s, (uintptr_t)m->cur);
	n = (unsigned)((size_t)(m->end - m->cur) / s->slot_bytes);
	m->cur = m->end = NULL;
	sm_lock_acquire(&g->depots[cls].lock);
	was_full = s->nalloc == s->nslots;
	sm__span_clear_run(s, first, n);
	if (was_full)
		sm__list_push(g->heap, partial_of(cls), s);
	if (s->nalloc == 0) {
		sm__list_remove(g->heap, partial_of(cls), s);
		g->depots[cls].spans--;
	} else {
		s = NULL;
	}
	sm_lock_release(&g->depots[cls].lock);
	if (s != NULL)
		sm__span_release(g->heap, s);
}

void sm__mcache_flush(struct sm_mcache *c)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_mclass *m = &c->cold[cls];
		struct sm_freed *list = c->head[cls], *spare = m->spare;

		c->head[cls] = NULL;
		c->room[cls] = sm__manual.list[cls];
		m->spare = NULL;
		if (spare != NULL)
			sm__manual_give_list(cls, spare);
		if (list != NULL)
			sm__manual_drain(cls, list);
		close_window(m, cls);
	}
}

static size_t list_length(const struct sm_mcache *c, unsigned cls)
{
	return sm__manual.list[cls] - c->room[cls] + (c->cold[cls].spare ? sm__manual.list[cls] : 0);
}

size_t sm__mcache_held(const struct sm_mcache *c)
{
	size_t bytes = 0;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		bytes += list_length(c, cls) * sm__sizeclasses[cls].slot_bytes +
			 (size_t)(c->cold[cls].end - c->cold[cls].cur);
	return bytes;
}

static void link_cache(struct sm_mcache *c)
{
	struct sm_manual *g = &sm__manual;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		c->room[cls] = g->list[cls];
	sm_lock_acquire(&g->lock);
	c->prev = NULL;
	c->next = g->caches;
	if (c->next != NULL)
		c->next->prev = c;
	g->caches = c;
	g->ncaches++;
	sm_lock_release(&g->lock);
}

static struct sm_mcache *new_cache(void)
{
	struct sm_manual *g = &sm__manual;
	struct sm_mcache *c;

	sm_lock_acquire(&g->lock);
	c = g->pool;
	if (c != NULL)
		g->pool = c->next;
	sm_lock_release(&g->lock);
	if (c == NULL)
		c = sm__meta_alloc(g->heap, sizeof(*c));
	if (c != NULL)
		link_cache(c);
	return c;
}

void sm__mcache_end(struct sm_mcache *c)
{
	struct sm_manual *g = &sm__manual;

	sm__mcache_flush(c);
	sm_lock_acquire(&g->lock);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		g->caches = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	g->ncaches--;
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		g->dead_refills += c->cold[cls].refills;
		g->dead_overflows += c->cold[cls].overflows;
		c->cold[cls].refills = c->cold[cls].overflows = c->cold[cls].start = 0;
	}
	c->next = g->pool;
	g->pool = c;
	sm_lock_release(&g->lock);
}

/* Destructors of other keys may still free and allocate: without a cache from here on. */
static void thread_ends(void *arg)
{
	sm__mcache = &ended;
	sm__mcache_end(arg);
}

void sm__mcache_key_init(void)
{
	/* Made before anybody else's, so that the key is one of the few that need no memory to be set. */
	if (pthread_key_create(&at_exit, thread_ends) != 0)
		sm__fatal(__FILE__, __LINE__, "no thread-specific key is left for thread exit");
}

struct sm_mcache *sm__mcache_get(void)
{
	struct sm_mcache *c = sm__mcache;

	if (c != &empty)
		return c != &ended ? c : NULL;
	if (sm__manual.direct || sm__manual.percpu)
		return NULL;
	c = new_cache();
	if (c == NULL)
		return NULL;
	sm__mcache = c;
	/* Not before: it may allocate, through us. */
	pthread_setspecific(at_exit, c);
	return c;
}
