/*
 * thread_cache.c: where a thread keeps freed objects: lists and windows. What is behind them:
 * depot.c.
 *
 * How lists grow. A thread that uses a little of many classes must not keep 16 KiB of each, and one
 * that only frees what others allocate has no use for lists at all. So a list starts with
 * START_MOST bytes; where there are many threads with less, so that the lists of all of them start
 * with START_ALL together, but START_LEAST. When it is full, it grows by as much if since it last
 * grew
 *
 *     refills brought half of its most (malloc.list)          more would have helped,
 *     or it sent as much back to spans                        locks are for too little,
 *
 * until it has a quarter of its most; from there on it doubles, for the first reason only. Below
 * that quarter a list is short: what it has when it is full and does not grow goes back to spans,
 * not to a spare list or the depot, where others would take a lock for a handful of objects.
 * cache.slots sets a list's length for good.
 *
 * A class is set up at its first slow path, so that threads touch what they use of their cache, and
 * no more: until then it has no object, no room, and a `most` of 0.
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

/* ---- how lists grow ----------------------------------------------------------------------- */

#define START_LEAST 512
#define START_MOST  4096
#define START_ALL   (32 * SM_KIB)

static unsigned start_bytes(uint32_t threads)
{
	unsigned n = START_ALL / (threads ? threads : 1);

	return n < START_LEAST ? START_LEAST : n > START_MOST ? START_MOST : n;
}

static uint32_t start_slots(const struct sm_mcache *c, unsigned cls)
{
	uint32_t n = c->start / sm__sizeclasses[cls].slot_bytes;

	return n ? n : 1;
}

static void set_up_class(const struct sm_mcache *c, struct sm_mclass *m, unsigned cls)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_knobs k = sm__knobs_of(&g->heap->config, cls, c->cpu);

	m->slot = sm__sizeclasses[cls].slot_bytes;
	m->most = k.slots ? k.slots : g->list[cls];
	m->fixed = k.slots != 0;
	m->window = k.window;
	m->batch = k.batch;
	m->spans = k.spans ? k.spans : SM_MALLOC_SPANS;
}

/* Too short for the depot. */
static bool is_short(const struct sm_mclass *m, uint32_t n)
{
	return n < m->most / 4;
}

static void set_limit(struct sm_mcache *c, unsigned cls, uint32_t limit)
{
	struct sm_mclass *m = &c->cold[cls];

	set_room(c, cls, room_of(c, cls) + limit - m->limit);
	m->limit = limit;
}

static SM_COLD void first_of_class(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];

	set_up_class(c, m, cls);
	set_limit(c, cls,
		  m->fixed || m->most < start_slots(c, cls) ? m->most : start_slots(c, cls));
}

/* The class as the slow paths see it. */
static struct sm_mclass *class_of(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];

	if (SM_UNLIKELY(m->most == 0))
		first_of_class(c, cls);
	return m;
}

/* Pays for the list to grow once more, if there is enough. */
static bool pay_for_growth(const struct sm_mclass *m, uint32_t *slots)
{
	uint32_t price = m->most / 2 > 2 ? m->most / 2 : 2;

	if (*slots < price)
		return false;
	*slots -= price;
	return true;
}

/* The list is full. True: it may be longer from here on. */
static bool grow_list(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	bool shorter = is_short(m, m->limit);
	uint32_t limit = shorter ? m->limit + start_slots(c, cls) : 2 * m->limit;

	if (SM_LIKELY(m->limit >= m->most))
		return false;
	if (!pay_for_growth(m, &m->brought) && !(shorter && pay_for_growth(m, &m->sent)))
		return false;
	set_limit(c, cls, limit < m->most ? limit : m->most);
	return true;
}

#define SHORTEST 32

/* The list was full and went back to spans, for nobody has a place for it. */
static void shrink_list(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = &c->cold[cls];
	uint32_t half = m->limit / 2;

	if (!m->fixed && half >= SHORTEST && !is_short(m, half))
		set_limit(c, cls, half);
}

/* The list is full and short: back to spans with it. */
static void send_back(struct sm_mclass *m, unsigned cls, struct sm_freed *list)
{
	m->sent += m->limit;
	m->had -= m->limit < m->had ? m->limit : m->had;
	sm__depot_drain(cls, list);
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

	if (c->cold[cls].most == 0)
		return;
	c->head[cls] = NULL;
	set_room(c, cls, c->cold[cls].limit);
	give_spare(&c->cold[cls], cls);
	/* What is worth a place in the depot is there for the next thread. */
	if (n != 0 && !is_short(&c->cold[cls], n))
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

/* c's list is empty: `n` objects become it. Of a depot's list the thread has a use for all. */
static void *adopt(struct sm_mcache *c, unsigned cls, struct sm_freed *list, unsigned n)
{
	struct sm_mclass *m = &c->cold[cls];

	if (SM_UNLIKELY(n > m->limit))
		set_limit(c, cls, n < m->most ? n : m->most);
	if (SM_UNLIKELY(n > m->limit)) {
		cut_list(list, cls, m->limit);
		n = m->limit;
	}
	c->head[cls] = list;
	set_room(c, cls, m->limit - n);
	return pop_object(c, cls);
}

/*
 * Slots that a refill takes: a quarter of those that came so far (less what went back to spans), so
 * that no more than a fifth of what a thread has taken waits in its window; `start` at least,
 * cache.window at most.
 */
static unsigned window_slots(const struct sm_mcache *c, unsigned cls)
{
	const struct sm_mclass *m = &c->cold[cls];
	uint32_t slot = sm__sizeclasses[cls].slot_bytes, n = m->had / 4;

	if (m->batch != 0)
		return m->batch;
	n = n < start_slots(c, cls) ? start_slots(c, cls) : n;
	n = n < m->window / slot ? n : m->window / slot;
	return n ? n : 1;
}

static void *refill_central(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = class_of(c, cls);
	unsigned n = window_slots(c, cls);
	struct sm_mwant want = {
		.window = n, .list = n < m->limit ? n : m->limit, .spans = m->spans};
	struct sm_mtake got;

	m->n.refills++;
	if (!sm__depot_take(cls, &want, &got))
		return NULL;
	if (m->had <= m->window) /* in slots that is enough, and it does not wrap */
		m->had += got.n;
	if (m->brought <= 8 * m->most) /* all that it can ever grow costs less */
		m->brought += got.n;
	m->n.steals += got.stolen;
	m->n.remote += got.remote ? got.n : 0;
	if (got.list != NULL)
		return adopt(c, cls, got.list, got.n);
	m->cur = got.cur;
	m->end = got.end;
	m->n.taken += got.n;
	return sm__mcache_bump(c, cls);
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
		return sm__mcache_bump(c, cls);
	sm_phase_enter(SM_PHASE_REFILL);
	SM_PROBE1(refill, cls);
	p = refill_central(c, cls);
	if (SM_UNLIKELY(c->budget != 0))
		keep_budget(c, cls);
	sm_phase_leave(SM_PHASE_REFILL);
	return p;
}

/* A full list becomes the spare one, and the one that was goes to the depot; or, where that has no
 * place, the full one to its spans. */
static void put_aside(struct sm_mcache *c, unsigned cls, struct sm_freed *list)
{
	struct sm_mclass *m = &c->cold[cls];
	unsigned remote = 0;

	if (m->spare != NULL && !sm__depot_exchange(cls, m->spare, m->spare_n, list, &remote)) {
		shrink_list(c, cls);
		return;
	}
	m->n.remote += remote;
	m->spare = list;
	m->spare_n = m->limit;
	m->just_full = true;
}

void sm__mcache_overflow(struct sm_mcache *c, unsigned cls)
{
	struct sm_mclass *m = class_of(c, cls);
	struct sm_freed *list;

	m->n.overflows++;
	if (SM_UNLIKELY(room_of(c, cls) != 0)) /* it was set up just now */
		return;
	if (SM_UNLIKELY(grow_list(c, cls)))
		return;
	list = c->head[cls];
	c->head[cls] = NULL;
	set_room(c, cls, m->limit);
	if (SM_UNLIKELY(is_short(m, m->limit))) {
		send_back(m, cls, list);
		return;
	}
	put_aside(c, cls, list);
	if (SM_UNLIKELY(c->budget != 0))
		keep_budget(c, cls);
}

/* ---- birth and end ------------------------------------------------------------------------ */

static void read_tunables(struct sm_mcache *c)
{
	struct sm_process_heap *g = &sm__process_heap;
	int cpu = sched_getcpu();

	c->cpu = cpu >= 0 && (unsigned)cpu < g->ncpus ? cpu : 0;
	c->budget = sm__config_knob(&g->heap->config, SM_KNOB_BUDGET, 0, c->cpu);
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
	c->start = start_bytes(g->ncaches);
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

		if (c->cold[cls].most == 0)
			continue;
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
