/*
 * thread_life.c: a thread's cache is made at its first call, and ends with it.
 */
#include <pthread.h>
#include <sched.h>

#include "allocator/base/list.h"
#include "allocator/malloc/depot.h"
#include "allocator/pages/meta.h"

static struct sm_mcache empty, ended; /* never written: no objects, no room */
__thread struct sm_mcache *sm__mcache = &empty;
static _Atomic(uint32_t) at_exit; /* the key + 1; 0: there is none yet */

/* ---- birth -------------------------------------------------------------------------------- */

/* Lists start with START_MOST bytes; where there are many threads with less, so that the lists of
 * all of them start with START_ALL together, but START_LEAST. */
#define START_LEAST 512
#define START_MOST  4096
#define START_ALL   (32 * SM_KIB)

static unsigned start_bytes(uint32_t threads)
{
	unsigned n = START_ALL / (threads ? threads : 1);

	return n < START_LEAST ? START_LEAST : n > START_MOST ? START_MOST : n;
}

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

/* ---- end ---------------------------------------------------------------------------------- */

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

/* ---- the calling thread's ----------------------------------------------------------------- */

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
