/*
 * manual_cpu.c: freed objects wait in a cache of the CPU, not of the thread: with many threads on few CPUs
 * there is little in caches. Lists and words: rseq.h. How long a list may be (cap): manual_budget.c.
 *
 *     empty --refill: a batch from the depot or spans--> .. --push--> cap: full --after having been empty: grow
 *        ^---------------------pop------------------------'             |
 *                         cap / 2 stay <----overflow: the rest to the depot
 *
 * A CPU that has not been on a slow path for a while is emptied by one that is: CPUs that a program no
 * longer runs on must not keep memory.
 */
#include <errno.h>

#include "allocator/central.h"
#include "allocator/manual_internal.h"
#include "allocator/meta.h"
#include "allocator/pageheap_internal.h"

#define IDLE_EVERY 512 /* slow paths of a CPU between two looks at another one */

bool sm__mcpu_init(void)
{
	struct sm_manual *g = &sm__manual;
	const char *why = NULL;

	if (!sm__rseq_usable(&why)) {
		sm__ph_say("cache.mode=cpu needs restartable sequences: %s; caches are per thread", why);
		return false;
	}
	sm_lock_init(&g->budget_lock, SM_RANK_BUDGET);
	g->cpus.ncpus = sm__rseq_cpus();
	g->cpus.slabs = sm__meta_alloc(g->heap, g->cpus.ncpus * sizeof(void *));
	g->slabs = sm__meta_pages(g->heap, g->cpus.ncpus * sizeof(*g->slabs));
	if (g->cpus.slabs == NULL || g->slabs == NULL)
		return false;
	sm__mcpu_fork_child();
	return true;
}

void sm__mcpu_fork_child(void)
{
	struct sm_manual *g = &sm__manual;

	for (unsigned i = 0; i < g->cpus.ncpus; i++)
		g->cpus.slabs[i] = &g->slabs[i];
}

#if SM_HAVE_RSEQ

static size_t word_at(unsigned cls)
{
	return offsetof(struct sm_mcpu, list) + cls * sizeof(uint64_t);
}

static struct sm_freed *first_of(uint64_t word)
{
	return (struct sm_freed *)(word & SM_RSEQ_PTR_MASK);
}

static unsigned length_of(uint64_t word)
{
	return (unsigned)(word >> SM_RSEQ_TAG_SHIFT);
}

static uint64_t word_of(const struct sm_freed *first, uint64_t length)
{
	return length ? (uintptr_t)first | length << SM_RSEQ_TAG_SHIFT : 0;
}

/* The slab of the CPU that we are on, roughly: the thread may move. */
static unsigned this_cpu(void)
{
	uint32_t cpu = ((volatile struct sm_rseq_area *)sm__rseq_area())->cpu_id;

	return cpu < sm__manual.cpus.ncpus ? cpu : 0;
}

/*
 * Writes the lengths into the links of the first n objects, so that they are a list of n; what follows
 * them is returned.
 */
static struct sm_freed *tag_list(struct sm_freed *first, unsigned n)
{
	struct sm_freed *p = first, *next = NULL;

	for (unsigned left = n; left > 0; left--) {
		next = first_of((uintptr_t)p->next);
		p->next = (struct sm_freed *)word_of(next, left - 1);
		p = next;
	}
	return next;
}

/* The first `keep` of n objects become the list of whatever CPU this is, if that has none; the rest, and else all,
 * go to the depot. Returns how many of them were another node's. */
static unsigned put_back(unsigned cls, struct sm_freed *first, unsigned n, unsigned keep)
{
	struct sm_freed *rest = first;

	if (keep > n)
		keep = n;
	if (keep != 0) {
		rest = tag_list(first, keep);
		if (!sm__rseq_put(&sm__manual.cpus, word_at(cls), word_of(first, keep), word_at(0), 0))
			sm__manual_drain(cls, first);
	}
	return n > keep ? sm__manual_give_list(cls, rest, n - keep) : 0;
}

/* ---- slow paths ------------------------------------------------------------------------------------ */

/* Has `cpu` been quiet since the last look? Then what it holds goes back. */
static void look_for_idle(unsigned cpu)
{
	struct sm_mcpu *m = &sm__manual.slabs[cpu];
	uint32_t slow = sm_load_relaxed(&m->slow);

	if (slow == sm_load_relaxed(&m->seen))
		sm__mcpu_drain(cpu);
	else
		sm_store_relaxed(&m->seen, slow);
}

/* Budget was taken away from this CPU: lists that are longer than they may be now give the rest away. */
static SM_COLD void trim_lists(struct sm_mcpu *m)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		uint32_t cap = sm_load_relaxed(&m->cap[cls]);
		uint64_t word;

		if (length_of(sm_load_relaxed(&m->list[cls])) <= cap)
			continue;
		word = sm__rseq_take(&sm__manual.cpus, word_at(cls));
		put_back(cls, first_of(word), length_of(word), cap);
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
	struct sm_manual *g = &sm__manual;
	struct sm_mcpu *m = &g->slabs[cpu];
	uint32_t n = sm_fetch_add_relaxed(&m->slow, 1) + 1;

	if (SM_UNLIKELY(!sm_load_acquire(&m->ready)))
		sm__mbudget_prepare(cpu);
	trim_if_over(m);
	if (n % IDLE_EVERY == 0 && g->cpus.ncpus > 1) {
		/* Every other CPU in turn. */
		uint32_t other = (cpu + 1 + n / IDLE_EVERY % (g->cpus.ncpus - 1)) % g->cpus.ncpus;

		if (other != cpu && sm_load_relaxed(&g->slabs[other].slow) != 0)
			look_for_idle(other);
	}
	return m;
}

static unsigned grow(unsigned cpu, unsigned cls, unsigned want)
{
	int idle;
	unsigned got = sm__mbudget_grow(cpu, cls, want, &idle);

	if (SM_UNLIKELY(idle >= 0) && sm__mcpu_drain((unsigned)idle) == 0 && got == 0)
		got = sm__mbudget_grow(cpu, cls, want, &idle);
	/* Room that was taken from our own classes for it. */
	trim_if_over(&sm__manual.slabs[cpu]);
	return got;
}

/* What a list may have at least once it is used, as far as the budget goes: two batches. */
static unsigned grow_to_two_batches(struct sm_mcpu *m, unsigned cpu, unsigned cls)
{
	uint32_t cap = sm_load_relaxed(&m->cap[cls]), two = 2 * m->cls[cls].batch;

	return cap < two ? cap + grow(cpu, cls, two - cap) : cap;
}

static void *take_batch(unsigned cpu, unsigned cls)
{
	struct sm_mcpu *m = enter_slow(cpu);
	struct sm_mcpu_class *k = &m->cls[cls];
	unsigned cap = grow_to_two_batches(m, cpu, cls);
	struct sm_mwant want = {.list = k->batch < cap ? k->batch : cap + !cap, .spans = k->spans};
	struct sm_mtake got;
	unsigned remote;

	want.alone = want.list < k->batch;
	sm_fetch_add_relaxed(&k->refills, 1);
	sm_store_relaxed(&k->dry, true);
	if (!sm__manual_take(cls, &want, &got))
		return NULL;
	remote = got.remote ? got.n : 0;
	if (got.n > 1)
		remote += put_back(cls, first_of((uintptr_t)got.list->next), got.n - 1, cap);
	if (SM_UNLIKELY(remote != 0))
		sm_fetch_add_relaxed(&k->remote, remote);
	if (SM_UNLIKELY(got.stolen))
		sm_fetch_add_relaxed(&k->steals, 1);
	return got.list;
}

static SM_NOINLINE void *refill(unsigned cls)
{
	void *p;

	sm_phase_enter(SM_PHASE_REFILL);
	p = take_batch(this_cpu(), cls);
	sm_phase_leave(SM_PHASE_REFILL);
	if (p == NULL)
		errno = ENOMEM;
	return p;
}

void *sm__mcpu_malloc(unsigned cls)
{
	struct sm_freed *p = sm__rseq_pop(&sm__manual.cpus, word_at(cls));

	if (SM_UNLIKELY(p == NULL))
		p = refill(cls);
	if (SM_LIKELY(p != NULL))
		p->key = 0;
	return p;
}

/* The list is full (or the CPU's cache is away): it grows, or half of it makes room. */
static SM_NOINLINE void overflow(unsigned cls, struct sm_freed *p)
{
	struct sm_manual *g = &sm__manual;
	int saved = errno; /* of free's caller */
	unsigned cpu = this_cpu(), more = 0, cap, remote;
	struct sm_mcpu *m = enter_slow(cpu);
	struct sm_mcpu_class *k = &m->cls[cls];
	uint64_t word;

	sm_fetch_add_relaxed(&k->overflows, 1);
	cap = grow_to_two_batches(m, cpu, cls);
	if (sm_load_relaxed(&k->dry) && sm_exchange_acqrel(&k->dry, false))
		more = grow(cpu, cls, k->batch);
	if (more == 0) {
		word = sm__rseq_take(&g->cpus, word_at(cls));
		remote = put_back(cls, first_of(word), length_of(word), cap / 2);
		if (SM_UNLIKELY(remote != 0))
			sm_fetch_add_relaxed(&k->remote, remote);
	}
	if (!sm__rseq_push(&g->cpus, word_at(cls), cap + more, p)) {
		p->next = NULL;
		sm__manual_drain(cls, p);
	}
	errno = saved;
}

void sm__mcpu_free(unsigned cls, void *ptr)
{
	struct sm_freed *p = ptr;
	uint32_t cap = sm_load_relaxed(&sm__manual.slabs[this_cpu()].cap[cls]);

	p->key = sm__manual_key(p);
	/* Should the thread move now, the other CPU's list gets this one's bound: once, by one object. */
	if (SM_UNLIKELY(!sm__rseq_push(&sm__manual.cpus, word_at(cls), cap, p)))
		overflow(cls, p);
}

int sm__mcpu_drain(unsigned cpu)
{
	struct sm_manual *g = &sm__manual;
	_Atomic(void *) *at = (_Atomic(void *) *)&g->cpus.slabs[cpu];
	struct sm_mcpu *m = sm_exchange_acqrel(at, NULL);
	int err;

	if (m == NULL)
		return -EBUSY; /* somebody else is at it */
	/* After it, every section on that CPU has seen NULL or has committed; both before what follows. */
	err = sm__rseq_fence(cpu);
	if (err == 0) {
		for (unsigned cls = 1; cls < sm__nclasses; cls++) {
			uint64_t word = sm_load_relaxed(&m->list[cls]);

			sm_store_relaxed(&m->list[cls], 0);
			sm__manual_drain(cls, first_of(word));
		}
		sm__mbudget_drained(cpu);
		sm_fetch_add_relaxed(&m->drains, 1);
	}
	sm_store_release(at, m);
	return err;
}

#else

void *sm__mcpu_malloc(unsigned cls)
{
	return sm__manual_take_one(cls);
}

void sm__mcpu_free(unsigned cls, void *p)
{
	int saved = errno;

	((struct sm_freed *)p)->next = NULL;
	sm__manual_drain(cls, p);
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
	for (unsigned cpu = 0; cpu < sm__manual.cpus.ncpus; cpu++)
		(void)sm__mcpu_drain(cpu);
}

size_t sm__mcpu_held(unsigned cpu, unsigned cls)
{
	uint64_t word = sm_load_relaxed(&sm__manual.slabs[cpu].list[cls]);

	return (size_t)(word >> SM_RSEQ_TAG_SHIFT) * sm__sizeclasses[cls].slot_bytes;
}
