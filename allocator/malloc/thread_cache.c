/*
 * thread_cache.c: where a thread keeps freed objects: lists and windows. What is behind them:
 * depot.c.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "allocator/base/list.h"
#include "allocator/malloc/depot.h"
#include "allocator/pages/meta.h"

static struct sm_mcache empty, ended; /* never written: no objects, no room */
__thread struct sm_mcache *sm__mcache = &empty;
static _Atomic(uint32_t) at_exit; /* the key + 1; 0: there is none yet */

/* ---- what it holds ------------------------------------------------------------------------ */

static uint32_t room_of(const struct sm_mcache *c, unsigned cls)
{
	return (uint32_t)(c->room[cls] & SM_ROOM_MASK);
}

static void set_room(struct sm_mcache *c, unsigned cls, uint32_t room)
{
	c->room[cls] = (c->room[cls] & ~SM_ROOM_MASK) | room;
}

static size_t window_left(const struct sm_mclass *m, unsigned cls)
{
	return m->end > m->cur ? (size_t)(m->end - m->cur) / sm__sizeclasses[cls].slot_bytes : 0;
}

size_t sm__mcache_objects(const struct sm_mcache *c, unsigned cls)
{
	const struct sm_mclass *m = &c->cold[cls];

	return m->limit - room_of(c, cls) + (m->spare ? m->spare_n : 0) + window_left(m, cls);
}

size_t sm__mcache_held(const struct sm_mcache *c)
{
	size_t bytes = 0;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		bytes += sm__mcache_objects(c, cls) * sm__sizeclasses[cls].slot_bytes;
	return bytes;
}

struct sm_class_counts sm__mcache_count(const struct sm_mcache *c, unsigned cls)
{
	struct sm_class_counts n = c->cold[cls].n;

	n.taken += c->room[cls] >> SM_ROOM_BITS;
	n.returned += window_left(&c->cold[cls], cls);
	return n;
}

/* ---- keeping to a budget ------------------------------------------------------------------ */

static void give_spare(struct sm_mclass *m, unsigned cls)
{
	struct sm_freed *spare = m->spare;

	m->spare = NULL;
	if (spare != NULL)
		m->n.remote += sm__depot_give_list(cls, spare, m->spare_n);
}

static void close_window(struct sm_mclass *m, unsigned cls)
{
	char *cur = m->cur, *end = m->end;

	if (cur == end)
		return;
	m->n.returned += window_left(m, cls);
	m->cur = m->end = NULL;
	sm__depot_give_window(cls, cur, end);
}

static void flush_class(struct sm_mcache *c, unsigned cls)
{
	struct sm_freed *list = c->head[cls];
	uint32_t n = c->cold[cls].limit - room_of(c, cls);

	c->head[cls] = NULL;
	set_room(c, cls, c->cold[cls].limit);
	give_spare(&c->cold[cls], cls);
	/* What is worth a place in the depot is there for the next thread. */
	if (n != 0 && n >= c->cold[cls].limit / 4)
		c->cold[cls].n.remote += sm__depot_give_list(cls, list, n);
	else
		sm__depot_drain(cls, list);
	close_window(&c->cold[cls], cls);
}

void sm__mcache_flush(struct sm_mcache *c)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		flush_class(c, cls);
}

/* cache.budget: other classes yield, each in its turn; if nothing else is left, this one does.
 */
static SM_COLD void keep_budget(struct sm_mcache *c, unsigned cls)
{
	for (unsigned tries = 1; tries < sm__nclasses && sm__mcache_held(c) > c->budget; tries++) {
		c->hand = c->hand + 1 < sm__nclasses ? c->hand + 1 : 1;
		if (c->hand != cls)
			flush_class(c, c->hand);
	}
	if (sm__mcache_held(c) > c->budget)
		flush_class(c, cls);
}

/* ---- refill ------------------------------------------------------------------------------- */

static void *pop_object(struct sm_mcache *c, unsigned cls)
{
	struct sm_freed *p = c->head[cls];

	c->head[cls] = p->next;
	c->room[cls] += SM_ROOM_POP;
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

/* From a CPU's cache with other settings, a list may be longer than ours: what is too much goes on.
 */
static SM_COLD void cut_list(struct sm_freed *list, unsigned cls, unsigned keep)
{
	struct sm_freed *rest;

	while (--keep > 0)
		list = list->next;
	rest = list->next;
	list->next = NULL;
	sm__depot_drain(cls, rest);
}

/* c's list is empty: `n` objects become it. */
static void *adopt(struct sm_mcache *c, unsigned cls, struct sm_freed *list, unsigned n)
{
	uint32_t limit = c->cold[cls].limit;

	if (SM_UNLIKELY(n > limit)) {
		cut_list(list, cls, limit);
		n = limit;
	}
	c->head[cls] = list;
	set_room(c, cls, limit - n);
	return pop_object(c, cls);
}

/* Slots that a refill takes: from 1 KiB on, twice as much each time, up to cache.window. */
static unsigned window_slots(struct sm_mclass *m, unsigned cls)
{
	size_t bytes = SM_KIB << m->start, n;

	if (m->batch != 0)
		return m->batch;
	if (bytes < m->window)
		m->start++;
	else
		bytes = m->window;
	n = bytes / sm__sizeclasses[cls].slot_bytes;
	return n ? (unsigned)n : 1;
}

static void *refill_central(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	unsigned n = window_slots(m, cls);
	struct sm_mwant want = {
		.window = n, .list = n < m->limit ? n : m->limit, .spans = m->spans};
	struct sm_mtake got;

	m->n.refills++;
	if (!sm__depot_take(cls, &want, &got))
		return NULL;
	m->n.steals += got.stolen;
	m->n.remote += got.remote ? got.n : 0;
	if (got.list != NULL)
		return adopt(c, cls, got.list, got.n);
	m->cur = got.cur;
	m->end = got.end;
	m->n.taken += got.n;
	return bump(m, cls);
}

/* The list is empty: n objects of the spare one, which has more, become it. */
static void *adopt_some(struct sm_mcache *c, unsigned cls, unsigned n)
{
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *first = m->spare, *last = first;

	for (unsigned i = 1; i < n; i++)
		last = last->next;
	m->spare = last->next;
	m->spare_n -= n;
	last->next = NULL;
	return adopt(c, cls, first, n);
}

#define SOME 16 /* walked through: few lines, and those that are popped next */

/*
 * A list that has just become the spare one comes back in two pieces: were it taken as a whole, it
 * would be full again two frees later, and a program that allocates and frees by turns would be
 * here at every other call.
 */
static void *take_spare(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	struct sm_freed *spare = m->spare;
	unsigned some = m->limit / 8 < SOME ? m->limit / 8 : SOME;

	if (m->just_full && some != 0 && some < m->spare_n) {
		m->just_full = false;
		return adopt_some(c, cls, some);
	}
	m->spare = NULL;
	return adopt(c, cls, spare, m->spare_n);
}

void *sm__mcache_refill(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	void *p;

	if (m->spare != NULL)
		return take_spare(c, cls);
	if (m->cur != m->end)
		return bump(m, cls);
	sm_phase_enter(SM_PHASE_REFILL);
	SM_PROBE1(refill, cls);
	p = refill_central(c, cls);
	if (SM_UNLIKELY(c->budget != 0))
		keep_budget(c, cls);
	sm_phase_leave(SM_PHASE_REFILL);
	return p;
}

void sm__mcache_overflow(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];

	m->n.overflows++;
	give_spare(m, cls);
	m->spare = c->head[cls];
	m->spare_n = m->limit;
	m->just_full = true;
	c->head[cls] = NULL;
	set_room(c, cls, m->limit);
	if (SM_UNLIKELY(c->budget != 0))
		keep_budget(c, cls);
}

/* ---- birth and end ------------------------------------------------------------------------ */

static void read_tunables(struct sm_mcache *c)
{
	struct sm_process_heap *g = &sm__process_heap;
	const struct sm_heap_config *cfg = &g->heap->config;
	int cpu = sched_getcpu();

	c->cpu = cpu >= 0 && (unsigned)cpu < g->ncpus ? cpu : 0;
	c->budget = sm__config_knob(cfg, SM_KNOB_BUDGET, 0, c->cpu);
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_mclass *m = &c->cold[cls];
		struct sm_knobs k = sm__knobs_of(cfg, cls, c->cpu);

		m->limit = k.slots ? k.slots : g->list[cls];
		m->window = k.window;
		m->batch = k.batch;
		m->spans = k.spans ? k.spans : SM_MALLOC_SPANS;
		set_room(c, cls, m->limit);
	}
}

/*
 * Homes. The last round of a thread's destructors may be the first time that it allocates: nobody
 * tells us when it ends. But another thread that finds its own variable to be the home of a cache
 * knows that the cache's thread is gone, for its memory is in use again. So there are never more
 * such caches than threads at a time.
 */
static struct sm_mcache **bucket_of(const void *home)
{
	/* Stacks lie at multiples of pages. */
	return &sm__process_heap.homes[((uintptr_t)home >> 12) % SM_HOMES];
}

static void leave_home_locked(struct sm_mcache *c)
{
	struct sm_mcache **at = bucket_of(c->home);

	if (c->home == NULL)
		return;
	while (*at != c)
		at = &(*at)->next_home;
	*at = c->next_home;
	c->home = NULL;
}

static struct sm_mcache *predecessor(void)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcache *c;

	sm_lock_acquire(&g->lock);
	c = *bucket_of(&sm__mcache);
	while (c != NULL && c->home != &sm__mcache)
		c = c->next_home;
	sm_lock_release(&g->lock);
	return c;
}

void sm__mcache_fork_child(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (struct sm_mcache *c = g->caches; c != NULL; c = c->next)
		if (c != sm__mcache)
			leave_home_locked(c);
}

static void link_cache(struct sm_mcache *c)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcache **bucket = bucket_of(&sm__mcache);

	read_tunables(c);
	sm_lock_acquire(&g->lock);
	c->home = &sm__mcache;
	c->next_home = *bucket;
	*bucket = c;
	SM_LIST_PUSH(g->caches, c);
	c->shard = g->next_shard++;
	g->ncaches++;
	sm_lock_release(&g->lock);
}

static struct sm_mcache *new_cache(void)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcache *c = predecessor();

	if (SM_UNLIKELY(c != NULL))
		sm__mcache_end(c);
	sm_lock_acquire(&g->lock);
	c = g->pool;
	if (c != NULL)
		g->pool = c->next;
	sm_lock_release(&g->lock);
	if (c == NULL)
		c = sm__meta_alloc(&g->heap->pages, sizeof(*c));
	if (c != NULL)
		link_cache(c);
	return c;
}

/* What it counted stays with its core. Under g->lock. */
static void bequeath_locked(struct sm_mcache *c)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_class_counts *dead = sm__dead_counts(g->heap, g->dead, (unsigned)c->cpu, true);

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_class_counts n = sm__mcache_count(c, cls);

		if (dead != NULL)
			sm__counts_add(&dead[cls], &n);
		c->cold[cls] = (struct sm_mclass){.spare = NULL};
		c->room[cls] = 0;
	}
	c->hand = 0;
}

void sm__mcache_end(struct sm_mcache *c)
{
	struct sm_process_heap *g = &sm__process_heap;

	sm__mcache_flush(c);
	sm_lock_acquire(&g->lock);
	SM_LIST_REMOVE(g->caches, c);
	leave_home_locked(c);
	g->ncaches--;
	bequeath_locked(c);
	c->next = g->pool;
	g->pool = c;
	sm_lock_release(&g->lock);
}

/* Destructors of other keys may still free and allocate: without a cache from here on. */
static void thread_ends(void *arg)
{
	/* While it is still the thread's own: lists go to its shard. Nothing in there allocates. */
	sm__mcache_flush(arg);
	sm__mcache = &ended;
	sm__mcache_end(arg);
}

void sm__mcache_key_init(void)
{
	uint32_t none = 0;
	pthread_key_t key;

	if (SM_LIKELY(sm_load_relaxed(&at_exit) != 0))
		return;
	/* Made before anybody else's, so that the key is one of the few that need no memory to be
	 * set. */
	if (pthread_key_create(&key, thread_ends) != 0)
		sm__fatal(__FILE__, __LINE__, "no thread-specific key is left for thread exit");
	if (!sm_cas_acqrel(&at_exit, &none, (uint32_t)key + 1))
		pthread_key_delete(key);
}

/*
 * Frees of a thread without a cache that go straight to spans. A thread that ends frees in libc,
 * behind the last destructor: a cache that it made then would never be given back.
 */
#define FREES_WITHOUT 64

struct sm_mcache *sm__mcache_for_free(void)
{
	static __thread unsigned char frees;

	if (sm__mcache == &empty && frees < FREES_WITHOUT) {
		frees++;
		return NULL;
	}
	return sm__mcache_get();
}

struct sm_mcache *sm__mcache_get(void)
{
	struct sm_mcache *c = sm__mcache;

	if (c != &empty)
		return c != &ended ? c : NULL;
	if (sm__process_heap.direct || sm__process_heap.nslabs != 0)
		return NULL;
	c = new_cache();
	if (c == NULL)
		return NULL;
	sm__mcache = c;
	/* Not before: it may allocate, through us. */
	pthread_setspecific(sm_load_relaxed(&at_exit) - 1, c);
	return c;
}
