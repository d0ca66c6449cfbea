/*
 * malloc/fork.c: the malloc heap around fork. Every lock is held while the process is copied, in
 * order of rank, so that the child finds nothing half done. The child has one thread: what the
 * other threads' caches held stays allocated there (at most two lists and a window a class and
 * thread); such a thread may have been in the middle of a push, so it is not taken apart.
 */
#include <pthread.h>

#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/pages/meta.h"

/*
 * Registered with the first allocation, or by a constructor where that comes earlier
 * (libspanmark-malloc.so's runs before all others, by -z initfirst): handlers that the program's
 * libraries register are younger then, so that theirs run before ours take the locks, and after
 * ours have released them. So it may be before there is a heap, and `making` is held over the fork:
 * a child forked while another thread is making the heap would wait for ever for a lock whose
 * holder it does not have. `made` cannot change meanwhile.
 */
static bool made(void)
{
	return sm_load_relaxed(&sm__process_heap.made);
}

static void prepare_locks(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	sm_lock_acquire(&g->lock);
	sm_lock_acquire(&g->heap->bins_lock);
	if (g->nslabs != 0)
		sm_lock_acquire(&g->budget_lock);
	sm__shard_fork_prepare();
	sm_lock_fork_seal();
	/* All depots of all nodes are thousands: the record of held locks begins afresh with each
	 * node. */
	for (unsigned node = 0; node < g->nnodes; node++) {
		for (unsigned cls = 0; cls < sm__nclasses; cls++)
			sm_lock_acquire(&sm__depot_of(node, cls)->lock);
		sm_lock_fork_seal();
	}
	sm__pageheap_fork_prepare(&g->heap->pages);
	sm__meta_fork_prepare(&g->heap->pages);
}

static void prepare_malloc(void)
{
	sm__malloc_making_lock();
	if (made())
		prepare_locks();
	sm_lock_fork_seal();
}

/* What prepare_malloc() sealed: the shards, each node's depots, the whole. */
static void unseal(void)
{
	unsigned n = made() ? sm__process_heap.nnodes + 2 : 1;

	while (n-- > 0)
		sm_lock_fork_unseal();
}

static void parent_locks(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	sm__meta_fork_parent(&g->heap->pages);
	sm__pageheap_fork_parent(&g->heap->pages);
	for (unsigned i = g->nnodes * sm__nclasses; i-- > 0;)
		sm_lock_release(&g->depots[i].lock);
	sm__shard_fork_parent();
	if (g->nslabs != 0)
		sm_lock_release(&g->budget_lock);
	sm_lock_release(&g->heap->bins_lock);
	sm_lock_release(&g->lock);
}

static void release_malloc(void)
{
	if (made())
		parent_locks();
	sm__malloc_making_unlock();
	unseal();
}

static void child_locks(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	/* Released before they are reset, for the sake of the record of held locks in debug builds.
	 */
	sm__meta_fork_parent(&g->heap->pages);
	sm__meta_fork_child(&g->heap->pages);
	sm__pageheap_fork_child(&g->heap->pages);
	for (unsigned i = g->nnodes * sm__nclasses; i-- > 0;) {
		sm_lock_release(&g->depots[i].lock);
		sm_lock_init(&g->depots[i].lock, SM_RANK_CENTRAL);
	}
	sm__shard_fork_child();
	if (g->nslabs != 0) {
		sm_lock_release(&g->budget_lock);
		sm_lock_init(&g->budget_lock, SM_RANK_BUDGET);
		/* What another thread had taken away to drain has no owner now: the lists that it
		 * had not reached stay, the one that it held is lost with it. */
		sm__mcpu_fork_child();
	}
	sm_lock_release(&g->heap->bins_lock);
	sm_lock_init(&g->heap->bins_lock, SM_RANK_BINS);
	sm__mcache_fork_child();
	sm_lock_release(&g->lock);
	sm_lock_init(&g->lock, SM_RANK_CACHES);
}

static void renew_malloc(void)
{
	if (made())
		child_locks();
	sm__malloc_making_unlock();
	unseal();
}

void sm__malloc_fork_init(void)
{
	static _Atomic(bool) registered;

	if (sm_load_relaxed(&registered) || sm_exchange_acqrel(&registered, true))
		return;
	/* -ENOMEM leaves forked children of threaded programs without this care: nothing worse. */
	(void)pthread_atfork(prepare_malloc, release_malloc, renew_malloc);
}
