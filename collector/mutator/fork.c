/*
 * fork.c: collectors around fork, with the policy that gc.h states: the child may go on using the
 * heap, and nothing is collected there any more.
 *
 * While the process is copied the forking thread holds every lock of the collector and of its heap,
 * in order of rank, so that the child finds no list half changed. No cycle has to end for that, and
 * no mutator is waited for: a cycle may be in any phase. In the child
 *
 *   - no thread but the forking one exists: its mutator, if it has one, is the only one left; the
 *     others' windows and the spans that were being swept are on no list and stay as they are;
 *   - no lock is held that will never be released: the order below is that of the ranks, in
 *     which every thread takes them, so the forking thread waits only for sections that end; and
 *     what is changed without a lock is whole after each step (a mark bit, a counter, a
 *     published span state, an rseq section's commit). The page heap's locks (pool of stacks, the
 *     scavenger's batch, every node's) come after the central lists and before the metadata's: no
 *     free block, bitmap or large object's span is half carved in the copy. What another thread had
 *     taken out and not yet published has no owner in the child: lost, not broken;
 *   - no object is on its way: a thread that forks waits until a compaction is over (compact.h);
 *   - the markers of the control thread and of the workers were copied in the middle of whatever
 *     those did, without a lock: what they hold means nothing, and their packets may be in a list
 *     as well. The forking thread's own marker is at rest: a proxy that acts for a blocked mutator
 *     does so under mutators_lock;
 *   - the cycle is abandoned. Before the sweep generation advanced, no thread will ever sweep, so
 *     mark bits do not matter any more. After, all marks are final, and refills may go on sweeping;
 *     the mutator gives its windows back as the RETIRE handshake would have had it do.
 */
#include <pthread.h>
#include <unistd.h>

#include "collector/mutator/fork.h"
#include "allocator/pages/meta.h"
#include "allocator/pages/pageheap.h"
#include "collector/mutator/barrier.h"
#include "collector/cycle/gc_internal.h"

static struct sm_lock list_lock = SM_LOCK_INIT(SM_RANK_NONE);
static struct sm_gc *list;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* There are more central lists than a debug build keeps record of; these leave no record. */
static void take_unrecorded(struct sm_lock *l)
{
	uint32_t zero = 0;

	if (!sm_cas_acqrel(&l->word, &zero, 1))
		sm__lock_wait(l);
}

static void drop_unrecorded(struct sm_lock *l)
{
	if (sm_exchange_acqrel(&l->word, 0) == 2)
		sm__lock_wake(l);
}

static void each_central(struct sm_heap *h, void (*fn)(struct sm_lock *l))
{
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (unsigned node = 0; node < h->pages.nnodes; node++) {
		for (uint32_t b = 1; b < nbins; b++)
			fn(&h->central[(size_t)node * SM_BINS_MAX + b].lock);
		fn(&h->large[node].lock);
	}
}

/* Objects are on their way: what the thread waits here is a compaction's doing, not a lock's. */
static void wait_until_moved(struct sm_gc *gc)
{
	struct sm_mutator *m = sm_mutator_current(gc);
	struct sm_wait w;

	if (m == NULL) {
		sm_lock_acquire(&gc->compact.lock);
	} else if (!sm_lock_try(&gc->compact.lock)) {
		w = sm__wait_begin();
		sm_lock_acquire(&gc->compact.lock);
		(void)sm__wait_over(&w);
		sm__stall(m, SM_STALL_COMPACT, w.since);
	}
}

static void take_all(struct sm_gc *gc)
{
	struct sm_heap *h = gc->heap;

	wait_until_moved(gc);
	sm_lock_acquire(&gc->control_lock);
	sm_lock_acquire(&gc->mutators_lock);
	sm_lock_acquire(&gc->finalizers.lock);
	sm_lock_acquire(&gc->roots.lock);
	sm_lock_acquire(&gc->roots.marker_lock);
	sm_lock_acquire(&gc->pins.lock);
	sm_lock_acquire(&gc->types_lock);
	for (unsigned n = 0; n < gc->nnodes; n++)
		sm_lock_acquire(&gc->workq.node[n].lock);
	sm_lock_acquire(&gc->workq.free_lock);
	sm_lock_acquire(&gc->stats_lock);
	sm_lock_acquire(&gc->armed.lock);
	sm_lock_acquire(&gc->remember.lock);
	sm_lock_acquire(&h->caches_lock);
	sm_lock_acquire(&h->bins_lock);
	each_central(h, take_unrecorded);
	sm__pageheap_fork_prepare(&h->pages);
	sm__meta_fork_prepare(&h->pages);
	sm_lock_fork_seal();
}

/* The child's page heap releases its locks in sm__pageheap_fork_child. */
static void drop_all(struct sm_gc *gc, bool in_child)
{
	struct sm_heap *h = gc->heap;

	sm__meta_fork_parent(&h->pages);
	if (!in_child)
		sm__pageheap_fork_parent(&h->pages);
	each_central(h, drop_unrecorded);
	sm_lock_release(&h->bins_lock);
	sm_lock_release(&h->caches_lock);
	sm_lock_release(&gc->remember.lock);
	sm_lock_release(&gc->armed.lock);
	sm_lock_release(&gc->stats_lock);
	sm_lock_release(&gc->workq.free_lock);
	for (unsigned n = gc->nnodes; n-- > 0;)
		sm_lock_release(&gc->workq.node[n].lock);
	sm_lock_release(&gc->types_lock);
	sm_lock_release(&gc->pins.lock);
	sm_lock_release(&gc->roots.marker_lock);
	sm_lock_release(&gc->roots.lock);
	sm_lock_release(&gc->finalizers.lock);
	sm_lock_release(&gc->mutators_lock);
	sm_lock_release(&gc->control_lock);
	sm_lock_release(&gc->compact.lock);
}

/* Waiters of the parent are not in the child: a word of 2 means nothing there. */
static void forget_waiters(struct sm_lock *l)
{
	sm_store_relaxed(&l->word, 0);
}

static void reset_locks(struct sm_gc *gc)
{
	forget_waiters(&gc->compact.lock);
	forget_waiters(&gc->control_lock);
	forget_waiters(&gc->mutators_lock);
	forget_waiters(&gc->finalizers.lock);
	forget_waiters(&gc->roots.lock);
	forget_waiters(&gc->roots.marker_lock);
	forget_waiters(&gc->pins.lock);
	forget_waiters(&gc->types_lock);
	forget_waiters(&gc->workq.free_lock);
	forget_waiters(&gc->stats_lock);
	forget_waiters(&gc->armed.lock);
	forget_waiters(&gc->remember.lock);
	forget_waiters(&gc->heap->caches_lock);
	forget_waiters(&gc->heap->bins_lock);
	each_central(gc->heap, forget_waiters);
	sm__meta_fork_child(&gc->heap->pages);
	sm__pageheap_fork_child(&gc->heap->pages);
}

/* The forking thread's mutator, alone and with no cycle on. */
static void settle_mutator(struct sm_gc *gc, struct sm_mutator_priv *p)
{
	struct sm_mutator *m = p->m;

	p->next = p->prev = NULL;
	gc->mutators = p;
	gc->nmutators = 1;
	p->tid = sm__self.tid = (pid_t)getpid();
	sm_store_relaxed(sm__poll(m), 0);
	sm_store_relaxed(&p->state, p->blocking ? SM_M_BLOCKED : SM_M_RUNNING);
	m->barrier = 0;
	sm__barrier_discard(m);
	if (sm__cache(m)->black && sm_load_relaxed(&gc->heap->sweepgen) != p->black_gen)
		sm__cache_retire_all(sm__cache(m));
	sm__cache(m)->black = false;
}

static void settle(struct sm_gc *gc)
{
	struct sm_mutator_priv *p, *own = NULL;

	sm_store_relaxed(&gc->forked, 1);
	for (p = gc->mutators; p; p = p->next) {
		if (p->owner == &sm__self)
			own = p;
	}
	gc->mutators = NULL;
	gc->nmutators = 0;
	sm__marker_abandon(&gc->marker);
	sm__marker_abandon(&gc->root_marker);
	for (unsigned i = 0; gc->workers && i < gc->nall_workers; i++) {
		if (gc->workers[i].started)
			sm__marker_abandon(&gc->workers[i].marker);
	}
	gc->view = (struct sm_view){0};
	sm_store_relaxed(&gc->armed.on, 0);
	gc->hs.stopping = false;
	sm__roots_fork_child(&gc->roots);
	sm_store_relaxed(&gc->workq.load, SM_WORKQ_SHUT);
	sm_store_relaxed(&gc->heap->marking, 0);
	sm_store_relaxed(&gc->hs.pending, 0);
	sm_store_relaxed(&gc->throttle.assist_ratio, 0);
	sm_store_relaxed(&gc->throttle.let_by, 0);
	sm_store_relaxed(&gc->throttle.trigger, SIZE_MAX);
	if (own)
		settle_mutator(gc, own);
}

static void prepare_collectors(void)
{
	take_unrecorded(&list_lock);
	for (struct sm_gc *gc = list; gc; gc = gc->next)
		take_all(gc);
}

static void release_collectors(void)
{
	for (struct sm_gc *gc = list; gc; gc = gc->next) {
		drop_all(gc, false);
		sm_lock_fork_unseal();
	}
	drop_unrecorded(&list_lock);
}

static void renew_collectors(void)
{
	sm__self.tid = 0;
	for (struct sm_gc *gc = list; gc; gc = gc->next) {
		/* Dropped before they are reset, for the record that debug builds keep. */
		drop_all(gc, true);
		reset_locks(gc);
		sm_lock_fork_unseal();
		settle(gc);
	}
	sm_store_relaxed(&list_lock.word, 0);
}

static void install_fork_handlers(void)
{
	/* -ENOMEM: a forked child of this program then must not touch the heap; nothing worse. */
	(void)pthread_atfork(prepare_collectors, release_collectors, renew_collectors);
}

void sm__fork_register(struct sm_gc *gc)
{
	pthread_once(&once, install_fork_handlers);
	take_unrecorded(&list_lock);
	gc->next = list;
	list = gc;
	drop_unrecorded(&list_lock);
}

bool sm__gc_lives(const struct sm_gc *gc)
{
	struct sm_gc *at;

	take_unrecorded(&list_lock);
	at = list;
	while (at && at != gc)
		at = at->next;
	drop_unrecorded(&list_lock);
	return at != NULL;
}

void sm__fork_unregister(struct sm_gc *gc)
{
	struct sm_gc **at;

	take_unrecorded(&list_lock);
	for (at = &list; *at; at = &(*at)->next) {
		if (*at == gc) {
			*at = gc->next;
			break;
		}
	}
	drop_unrecorded(&list_lock);
}
