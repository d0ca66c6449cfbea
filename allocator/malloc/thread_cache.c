/*
 * thread_cache.c: where a thread keeps freed objects: lists and windows. What is behind them:
 * depot.c.
 *
 * How lists grow. A thread that uses a little of many classes must not keep 16 KiB of each, and one
 * that only frees what others allocate has no use for lists at all. So a list starts with `start`
 * bytes (thread_life.c). When it is full, it grows by as much if since it last grew
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
#include "allocator/malloc/depot.h"

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
