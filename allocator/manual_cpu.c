/*
 * manual_cpu.c: freed objects wait in a cache of the CPU, not of the thread: with many threads on few CPUs
 * there is little in caches. Lists and words: rseq.h.
 *
 *     empty --refill: a list of n from the depot or spans--> n ... --push--> 2n: full
 *        ^------------------------pop------------------------'                 |
 *                                  n stay <----overflow: n go to the depot----'
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
	g->cpus.ncpus = sm__rseq_cpus();
	g->cpus.slabs = sm__meta_alloc(g->heap, g->cpus.ncpus * sizeof(void *));
	g->slabs = sm__meta_pages(g->heap, g->cpus.ncpus * sizeof(*g->slabs));
	if (g->cpus.slabs == NULL || g->slabs == NULL)
		return false;
	for (unsigned i = 0; i < g->cpus.ncpus; i++)
		g->cpus.slabs[i] = &g->slabs[i];
	return true;
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

static uint64_t word_of(const struct sm_freed *first, uint64_t length)
{
	return length ? (uintptr_t)first | length << SM_RSEQ_TAG_SHIFT : 0;
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

/* n objects become the list of whatever CPU this is, if that has none; else they go back to spans. */
static void put_or_drain(unsigned cls, struct sm_freed *first, unsigned n)
{
	if (n == 0)
		return;
	tag_list(first, n);
	if (!sm__rseq_put(&sm__manual.cpus, word_at(cls), word_of(first, n), word_at(0), 0))
		sm__manual_drain(cls, first);
}

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

/* Counts a slow path on this CPU (roughly: the thread may move meanwhile); every so often looks around. */
static struct sm_mcpu *count_slow(void)
{
	struct sm_manual *g = &sm__manual;
	uint32_t cpu = ((volatile struct sm_rseq_area *)sm__rseq_area())->cpu_id;
	struct sm_mcpu *m = &g->slabs[cpu < g->cpus.ncpus ? cpu : 0];
	uint32_t n = sm_fetch_add_relaxed(&m->slow, 1) + 1;

	if (n % IDLE_EVERY == 0 && g->cpus.ncpus > 1) {
		/* Every other CPU in turn. */
		uint32_t other = (cpu + 1 + n / IDLE_EVERY % (g->cpus.ncpus - 1)) % g->cpus.ncpus;

		if (&g->slabs[other] != m && sm_load_relaxed(&g->slabs[other].slow) != 0)
			look_for_idle(other);
	}
	return m;
}

static SM_NOINLINE void *refill(unsigned cls)
{
	struct sm_mcpu *m = count_slow();
	struct sm_freed *list = NULL, *p;
	unsigned n;

	sm_fetch_add_relaxed(&m->refills[cls], 1);
	sm_phase_enter(SM_PHASE_REFILL);
	n = sm__manual_fetch(cls, sm__manual.list[cls], &list);
	p = list;
	if (n > 0)
		put_or_drain(cls, first_of((uintptr_t)p->next), n - 1);
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

/* The list is full (or the CPU's cache is away): half of it makes room. */
static SM_NOINLINE void overflow(unsigned cls, struct sm_freed *p)
{
	struct sm_manual *g = &sm__manual;
	unsigned n = g->list[cls], have;
	struct sm_mcpu *m = count_slow();
	struct sm_freed *first, *rest;
	uint64_t word;

	sm_fetch_add_relaxed(&m->overflows[cls], 1);
	word = sm__rseq_take(&g->cpus, word_at(cls));
	first = first_of(word);
	have = (unsigned)(word >> SM_RSEQ_TAG_SHIFT);
	if (have == 2 * n) {
		rest = tag_list(first, n);
		sm__manual_give_list(cls, rest);
		if (!sm__rseq_put(&g->cpus, word_at(cls), word_of(first, n), word_at(0), 0))
			sm__manual_drain(cls, first);
	} else if (have != 0) {
		put_or_drain(cls, first, have);
	}
	if (!sm__rseq_push(&g->cpus, word_at(cls), 2 * n, p)) {
		p->next = NULL;
		sm__manual_drain(cls, p);
	}
}

void sm__mcpu_free(unsigned cls, void *ptr)
{
	struct sm_freed *p = ptr;

	p->key = sm__manual_key(p);
	if (SM_UNLIKELY(!sm__rseq_push(&sm__manual.cpus, word_at(cls), 2 * sm__manual.list[cls], p)))
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
	((struct sm_freed *)p)->next = NULL;
	sm__manual_drain(cls, p);
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
