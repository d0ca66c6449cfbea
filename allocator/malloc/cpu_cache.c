/*
 * cpu_cache.c: freed objects wait in a cache of the CPU, not of the thread: with many threads on
 * few CPUs there is little in caches. Stacks of pointers: rseq.h. How many there may be (cap):
 * cpu_budget.c.
 *
 *     empty --refill: a batch from the depot or spans--> .. --push--> cap: full
 *     --after having been empty: grow
 *        ^---------------------pop------------------------'             |
 *                         cap / 2 stay <----overflow: the rest to the depot
 *
 * A CPU that has not been on a slow path for a while is emptied by one that is: CPUs that a program
 * no longer runs on must not keep memory.
 *
 * The table of slabs has an entry for every number that the kernel may say, -1 and -2 (a thread
 * that is not registered) included: `nothing`, where there is no slab, before the CPU's first slow
 * path, and while another thread drains it.
 */
#include <errno.h>

#include "allocator/objects/central.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/pages/meta.h"
#include "allocator/base/say.h"

#define IDLE_EVERY 512	/* slow paths of a CPU between two looks at another one */
#define CPUS_EVER  8192 /* the most that a kernel is built for */

/* Never written: sections find it empty and full. */
static struct sm_rseq_slab nothing = {.slots = {NULL}};

bool sm__mcpu_init(void)
{
	struct sm_process_heap *g = &sm__process_heap;
	const char *why = NULL;
	size_t entries;
	unsigned n;

	if (!sm__rseq_usable(&why)) {
		sm__say("cache.mode=cpu needs restartable sequences: %s; caches are per thread",
			why);
		return false;
	}
	sm_lock_init(&g->budget_lock, SM_RANK_BUDGET);
	n = sm__rseq_cpus();
	entries = 2 +
		  /* whatever the count of CPUs says: the kernel's numbers are what is looked up */
		  CPUS_EVER;
	g->cpu_slabs = sm__meta_pages(&g->heap->pages, entries * sizeof(void *));
	g->slabs = sm__meta_pages(&g->heap->pages, n * sizeof(*g->slabs));
	if (g->cpu_slabs == NULL || g->slabs == NULL) {
		sm__say("cache.mode=cpu: no memory for the CPUs' caches; caches are per thread");
		return false;
	}
	for (size_t i = 0; i < entries; i++)
		g->cpu_slabs[i] = &nothing;
	g->cpu_slabs += 2;
	g->nslabs = n;
	return true;
}

static _Atomic(void *) *entry_of(unsigned cpu)
{
	return (_Atomic(void *) *)&sm__process_heap.cpu_slabs[cpu];
}

void sm__mcpu_fork_child(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	for (unsigned i = 0; i < g->nslabs; i++)
		if (sm_load_relaxed(&g->slabs[i].ready))
			sm_store_relaxed(entry_of(i), sm_load_relaxed(&g->slabs[i].slab));
}

bool sm__mcpu_make_locked(unsigned cpu)
{
	struct sm_mcpu *m = &sm__process_heap.slabs[cpu];
	struct sm_rseq_slab *slab;
	uint32_t n = 0;

	for (unsigned cls = 0; cls < sm__nclasses; cls++) {
		m->cls[cls].begin = n;
		n += m->cls[cls].most + 1;
	}
	SM_CHECK(n <= SM_RSEQ_TOP_MASK);
	slab = sm__meta_pages(&sm__process_heap.heap->pages,
			      offsetof(struct sm_rseq_slab, slots) + n * sizeof(void *));
	if (slab == NULL)
		return false;
	for (unsigned cls = 0; cls < sm__nclasses; cls++) {
		sm_store_relaxed(&slab->word[cls], m->cls[cls].begin);
		sm_store_relaxed(&slab->end[cls], m->cls[cls].begin);
	}
	/* Release: sections that find the slab find its stacks, and so do readers of figures. */
	sm_store_release(&m->slab, slab);
	sm_store_release(entry_of(cpu), slab);
	return true;
}

/* Of a CPU without stacks those of `nothing`: for readers, who may come at any time. */
static const struct sm_rseq_slab *slab_of(const struct sm_mcpu *m)
{
	const struct sm_rseq_slab *slab = sm_load_acquire(&m->slab);

	return slab != NULL ? slab : &nothing;
}

static uint32_t length_of(const struct sm_mcpu *m, unsigned cls)
{
	const struct sm_rseq_slab *slab = slab_of(m);

	if (slab == &nothing)
		return 0;
	return (uint32_t)(sm_load_relaxed(&slab->word[cls]) & SM_RSEQ_TOP_MASK) - m->cls[cls].begin;
}

size_t sm__mcpu_held(unsigned cpu, unsigned cls)
{
	return (size_t)length_of(&sm__process_heap.slabs[cpu], cls) *
	       sm__sizeclasses[cls].slot_bytes;
}

uint64_t sm__mcpu_pops(unsigned cpu, unsigned cls)
{
	const struct sm_mcpu *m = &sm__process_heap.slabs[cpu];
	uint64_t pops = sm_load_relaxed(&slab_of(m)->word[cls]) >> SM_RSEQ_TOP_BITS;
	uint64_t moved = sm_load_relaxed(&m->cls[cls].moved);

	return pops > moved ? pops - moved : 0;
}

#if SM_HAVE_RSEQ

SM_INLINE bool push_object(size_t cls, void *p)
{
	sm__rseq_passed_on(p);
	return sm__rseq_push(sm__process_heap.cpu_slabs, cls, p);
}

SM_INLINE struct sm_freed *pop_object(size_t cls)
{
	struct sm_freed *p = sm__rseq_pop(sm__process_heap.cpu_slabs, cls);

	if (SM_TSAN && p != NULL)
		sm__rseq_taken(p);
	return p;
}

/* The slab of the CPU that we are on, roughly: the thread may move. */
static unsigned this_cpu(void)
{
	uint32_t cpu = sm__rseq_cpu();

	return cpu < sm__process_heap.nslabs ? cpu : 0;
}

/* n objects become this CPU's; those that have no room go to the depot. Returns how many of these
 * were another node's. */
static unsigned put_list(unsigned cls, struct sm_freed *list, unsigned n)
{
	while (n > 0) {
		/* Before it is pushed: another thread may have it then. */
		struct sm_freed *next = list->next;

		if (!push_object(cls, list))
			return sm__depot_give_list(cls, list, n);
		list = next;
		n--;
	}
	return 0;
}

/* The same for the slots of a window, the last ones first. They are not touched. */
static void put_window(unsigned cls, char *cur, char *end)
{
	size_t slot = sm__sizeclasses[cls].slot_bytes;

	while (cur != end && push_object(cls, end - slot))
		end -= slot;
	if (cur != end)
		sm__depot_give_window(cls, cur, end);
}

/* n objects of this CPU, or what it has, go to the depot. */
static void give_away(struct sm_mcpu *m, unsigned cls, unsigned n)
{
	struct sm_freed *list = NULL, *p;
	unsigned got = 0, remote;

	while (got < n && (p = pop_object(cls)) != NULL) {
		p->next = list;
		p->key = sm__malloc_key(p); /* slots of windows have none */
		list = p;
		got++;
	}
	if (got == 0)
		return;
	sm_fetch_add_relaxed(&m->cls[cls].moved, got);
	remote = sm__depot_give_list(cls, list, got);
	if (SM_UNLIKELY(remote != 0))
		sm__count_shared(&m->cls[cls].n.remote, remote);
}

/* ---- slow paths --------------------------------------------------------------------------- */

/* Has `cpu` been quiet since the last look? Then what it holds goes back. */
static void look_for_idle(unsigned cpu)
{
	struct sm_mcpu *m = &sm__process_heap.slabs[cpu];
	uint32_t slow = sm_load_relaxed(&m->slow);

	if (slow == sm_load_relaxed(&m->seen))
		sm__mcpu_drain(cpu);
	else
		sm_store_relaxed(&m->seen, slow);
}

/* Budget was taken away from this CPU: stacks that are longer than they may be now give the rest
 * away. */
static SM_COLD void trim_lists(struct sm_mcpu *m)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		uint32_t cap = sm_load_relaxed(&m->cap[cls]), n = length_of(m, cls);

		if (n > cap)
			give_away(m, cls, n - cap);
	}
}

static void trim_if_over(struct sm_mcpu *m)
{
	if (SM_UNLIKELY(sm_load_relaxed(&m->over)) && sm_exchange_acqrel(&m->over, false))
		trim_lists(m);
}

/* Counts a slow path on this CPU; every so often looks around. */
static struct sm_mcpu *enter_slow(unsigned cpu)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcpu *m = &g->slabs[cpu];
	uint32_t n = sm_fetch_add_relaxed(&m->slow, 1) + 1;

	if (SM_UNLIKELY(!sm_load_acquire(&m->ready)))
		sm__mbudget_prepare(cpu);
	if (SM_UNLIKELY(!sm_load_acquire(&m->ready)))
		return m; /* no memory for its stacks: it has no room for anything */
	trim_if_over(m);
	if (n % IDLE_EVERY == 0 && g->nslabs > 1) {
		/* Every other CPU in turn. */
		uint32_t other = (cpu + 1 + n / IDLE_EVERY % (g->nslabs - 1)) % g->nslabs;

		if (other != cpu && sm_load_relaxed(&g->slabs[other].slow) != 0)
			look_for_idle(other);
	}
	return m;
}

static unsigned grow_class(unsigned cpu, unsigned cls, unsigned want)
{
	int idle;
	unsigned got = sm__mbudget_grow(cpu, cls, want, &idle);

	if (SM_UNLIKELY(idle >= 0) && sm__mcpu_drain((unsigned)idle) == 0 && got == 0)
		got = sm__mbudget_grow(cpu, cls, want, &idle);
	/* Room that was taken from our own classes for it. */
	trim_if_over(&sm__process_heap.slabs[cpu]);
	return got;
}

/* What a list may have at least once it is used, as far as the budget goes: two batches. */
static unsigned grow_to_two_batches(struct sm_mcpu *m, unsigned cpu, unsigned cls)
{
	uint32_t cap = sm_load_relaxed(&m->cap[cls]), two = 2 * m->cls[cls].batch;

	return cap < two ? cap + grow_class(cpu, cls, two - cap) : cap;
}

static void *take_batch(unsigned cpu, unsigned cls)
{
	struct sm_mcpu *m = enter_slow(cpu);
	struct sm_mcpu_class *k = &m->cls[cls];
	unsigned cap = grow_to_two_batches(m, cpu, cls);
	unsigned most = cap ? cap : 1; /* without room the caller still takes one */
	unsigned n = k->batch < most ? k->batch : most, remote;
	struct sm_mwant want = {.window = n, .list = n, .spans = k->spans, .alone = n < k->batch};
	struct sm_mtake got;
	void *p;

	sm__count_shared(&k->n.refills, 1);
	sm_store_relaxed(&k->dry, true);
	if (!sm__depot_take(cls, &want, &got))
		return NULL;
	remote = got.remote ? got.n : 0;
	if (got.list != NULL) {
		p = got.list;
		remote += put_list(cls, got.list->next, got.n - 1);
	} else {
		p = got.cur;
		put_window(cls, got.cur + sm__sizeclasses[cls].slot_bytes, got.end);
	}
	if (SM_UNLIKELY(remote != 0))
		sm__count_shared(&k->n.remote, remote);
	if (SM_UNLIKELY(got.stolen))
		sm__count_shared(&k->n.steals, 1);
	return p;
}

static SM_NOINLINE void *refill_class(size_t size, size_t cls)
{
	unsigned cpu;
	struct sm_freed *p;

	if (cls == 0)
		return sm__malloc_slow(size);
	cpu = this_cpu();
	sm_phase_enter(SM_PHASE_REFILL);
	SM_PROBE1(refill, (unsigned)cls);
	if (SM_LIKELY(sm_load_acquire(&sm__process_heap.slabs[cpu].ready)) ||
	    enter_slow(cpu)->ready)
		p = take_batch(cpu, (unsigned)cls);
	else
		p = sm__depot_take_one((unsigned)cls);
	sm_phase_leave(SM_PHASE_REFILL);
	if (p == NULL)
		errno = ENOMEM;
	else
		p->key = 0;
	return p;
}

SM_INLINE void *malloc_of(size_t size, size_t cls)
{
	struct sm_freed *p = pop_object(cls);

	if (SM_UNLIKELY(p == NULL))
		return refill_class(size, cls);
	p->key = 0;
	return p;
}

void *sm__mcpu_malloc(size_t size, size_t cls)
{
	return malloc_of(size, cls);
}

void *sm__mcpu_malloc_any(size_t size)
{
	if (SM_UNLIKELY(size > SM_MAX_SMALL))
		return sm__malloc_slow(size);
	return malloc_of(size, sm_load_relaxed(&sm__malloc_class[(size + 15) >> 4]));
}

/* The stack is full (or the CPU's cache is away): it grows, or half of it makes room. */
static SM_NOINLINE void overflow_class(struct sm_freed *p, unsigned cls)
{
	int saved = errno; /* of free's caller */
	unsigned cpu = this_cpu(), more = 0, cap;
	struct sm_mcpu *m = enter_slow(cpu);
	struct sm_mcpu_class *k = &m->cls[cls];

	sm__count_shared(&k->n.overflows, 1);
	cap = grow_to_two_batches(m, cpu, cls);
	if (sm_load_relaxed(&k->dry) && sm_exchange_acqrel(&k->dry, false))
		more = grow_class(cpu, cls, k->batch);
	/* Did it only grow to begin with? Then there is room without more. */
	if (more == 0 && length_of(m, cls) >= cap)
		give_away(m, cls, cap - cap / 2);
	if (!push_object(cls, p)) {
		p->next = NULL;
		sm__depot_drain(cls, p);
	}
	errno = saved;
}

void sm__mcpu_free(void *ptr, size_t cls, uint64_t key)
{
	struct sm_freed *p = ptr;

	p->key = key;
	if (SM_UNLIKELY(!push_object(cls, p)))
		overflow_class(p, (unsigned)cls);
}

/* The caller alone works on it. The word first: what is lost in a fork amid this stays allocated in
 * the child. */
static void drain_stack(struct sm_mcpu *m, unsigned cls)
{
	struct sm_rseq_slab *slab = sm_load_relaxed(&m->slab);
	uint32_t n = length_of(m, cls), begin = m->cls[cls].begin;
	struct sm_freed *list = NULL;

	sm_store_relaxed(&slab->word[cls], sm_load_relaxed(&slab->word[cls]) - n);
	for (uint32_t i = begin + 1; i <= begin + n; i++) {
		struct sm_freed *p = slab->slots[i];

		sm__rseq_taken(p);
		p->next = list;
		list = p;
	}
	sm__depot_drain(cls, list);
}

int sm__mcpu_drain(unsigned cpu)
{
	struct sm_mcpu *m = &sm__process_heap.slabs[cpu];
	int err;

	if (!sm_load_acquire(&m->ready))
		return 0;
	if (sm_exchange_acqrel(entry_of(cpu), &nothing) == &nothing)
		return -EBUSY; /* another thread drains it */
	/* After it, every section on that CPU has seen `nothing` or has committed; both before what
	 * follows. */
	err = sm__rseq_fence(cpu);
	if (err == 0) {
		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			drain_stack(m, cls);
		sm__mbudget_drained(cpu);
		sm_fetch_add_relaxed(&m->drains, 1);
	}
	sm_store_release(entry_of(cpu), sm_load_relaxed(&m->slab));
	return err;
}

#else

void *sm__mcpu_malloc_any(size_t size)
{
	return sm__malloc_slow(size);
}

void *sm__mcpu_malloc(size_t size, size_t cls)
{
	return cls ? sm__depot_take_one((unsigned)cls) : sm__malloc_slow(size);
}

void sm__mcpu_free(void *p, size_t cls, uint64_t key)
{
	int saved = errno;

	(void)key;
	((struct sm_freed *)p)->next = NULL;
	sm__depot_drain((unsigned)cls, p);
	errno = saved;
}

int sm__mcpu_drain(unsigned cpu)
{
	(void)cpu;
	return -ENOSYS;
}

#endif

void sm__mcpu_drain_all(void)
{
	for (unsigned cpu = 0; cpu < sm__process_heap.nslabs; cpu++)
		(void)sm__mcpu_drain(cpu);
}
