/* finalizer.c: the table of finalizers, the queue, and the thread that runs them. */
#include "collector/roots/finalizer.h"

#include <errno.h>
#include <string.h>

#include "allocator/os/osthread.h"
#include "collector/mutator/barrier.h"
#include "collector/compact/compact_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/types/object.h"

enum state { NEW, SET, TAKEN, QUEUED, RUNNING };

struct sm_finalizer {
	struct sm_keyed_cell keyed; /* the key: the object */
	/* Under the lock; read without it by the control thread, which looks again. */
	_Atomic(uint32_t) state;
	/* fixed from NEW on */
	sm_finalizer_fn *fn;
	sm_dispose_fn *dispose; /* NULL: none */
	void *ctx;
	uint64_t order;
	/* its holder's: the control thread's, then the queue's */
	struct sm_finalizer *next;
};

static struct sm_finalizer *finalizer_at(struct sm_finalizers *fs, uint64_t number)
{
	return (struct sm_finalizer *)sm__cell_at(&fs->cells, number);
}

static uint64_t number_of(struct sm_finalizers *fs, struct sm_finalizer *f)
{
	return sm__cell_number(&fs->cells, f);
}

static bool is(struct sm_finalizer *f, enum state state)
{
	return sm__cell_is_used(&f->keyed.cell) && sm_load_acquire(&f->state) == (uint32_t)state;
}

static uintptr_t object_of(struct sm_finalizer *f)
{
	return sm_load_relaxed((_Atomic(uintptr_t) *)&f->keyed.key);
}

/* It is over: its context is disposed of, its cell free. Without the lock, for dispose is the
 * program's. */
static void end(struct sm_finalizers *fs, struct sm_finalizer *f)
{
	sm_dispose_fn *dispose = f->dispose;
	void *ctx = f->ctx;

	sm__cell_give(&fs->cells, &f->keyed.cell, "sm_finalizer");
	if (dispose)
		dispose(ctx);
}

void sm__finalizers_init(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;

	memset(fs, 0, sizeof(*fs));
	sm__cells_init(&fs->cells, sizeof(struct sm_finalizer), "a finalizer");
	sm__cell_index_init(&fs->index, &fs->cells);
	sm_lock_init(&fs->lock, SM_RANK_GC_FINALIZERS);
}

void sm__finalizers_fini(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t made = sm__cells_made(&fs->cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_finalizer *f = finalizer_at(fs, n);

		if (sm__cell_is_used(&f->keyed.cell))
			end(fs, f);
	}
	sm__cell_index_fini(&fs->index);
	sm__cells_fini(&fs->cells);
}

/* ---- the finalizer thread ----------------------------------------------------------------- */

static struct sm_finalizer *next_locked(struct sm_finalizers *fs)
{
	struct sm_finalizer *f = fs->queue;

	if (f == NULL)
		return NULL;
	fs->queue = f->next;
	if (fs->queue == NULL)
		fs->queue_last = NULL;
	sm_store_release(&f->state, RUNNING);
	return f;
}

static void run_one(struct sm_gc *gc, struct sm_mutator *m, struct sm_finalizer *f)
{
	struct sm_finalizers *fs = &gc->finalizers;

	f->fn(f->ctx, m, (void *)f->keyed.key);
	end(fs, f);
	sm_lock_acquire(&fs->lock);
	fs->ran++;
	sm_lock_release(&fs->lock);
	sm__event_signal(&fs->work);
}

/* Without memory finalizers have to wait until there is some. NULL: the collector ends. */
static struct sm_mutator *attach_in_the_end(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;
	struct sm_mutator *m;
	bool quit = false;

	while ((m = sm_mutator_attach(gc)) == NULL && !quit) {
		uint32_t seq = sm__event_prepare(&fs->work);

		sm_lock_acquire(&fs->lock);
		quit = fs->quit;
		sm_lock_release(&fs->lock);
		sm__event_wait(&fs->work, seq, quit ? 1 : 10000000);
	}
	return m;
}

static void *finalizer_main(void *arg)
{
	struct sm_gc *gc = arg;
	struct sm_finalizers *fs = &gc->finalizers;
	unsigned index = gc->nworkers + 1;
	struct sm_mutator *m;

	if (gc->config.worker_start)
		gc->config.worker_start(gc->config.worker_ctx, index, "finalizer");
	m = attach_in_the_end(gc);
	if (m)
		m->priv->collectors = true;
	sm_lock_acquire(&fs->lock);
	while (m && !fs->quit) {
		struct sm_finalizer *f = next_locked(fs);
		uint32_t seq;

		if (f) {
			sm_lock_release(&fs->lock);
			run_one(gc, m, f);
			sm_lock_acquire(&fs->lock);
			continue;
		}
		seq = sm__event_prepare(&fs->work);
		sm_lock_release(&fs->lock);
		sm_blocking_enter(m);
		sm__event_wait(&fs->work, seq, 0);
		sm_blocking_leave(m);
		sm_lock_acquire(&fs->lock);
	}
	sm_lock_release(&fs->lock);
	if (m) {
		m->priv->collectors = false;
		sm_mutator_detach(m);
	}
	if (gc->config.worker_stop)
		gc->config.worker_stop(gc->config.worker_ctx, index, "finalizer");
	return NULL;
}

void sm__finalizers_stop(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;

	sm_lock_acquire(&fs->lock);
	fs->quit = true;
	sm_lock_release(&fs->lock);
	sm__event_signal(&fs->work);
	if (fs->have_thread && !sm_load_relaxed(&gc->forked))
		pthread_join(fs->thread, NULL);
	fs->have_thread = false;
}

/* ---- the cycle's side --------------------------------------------------------------------- */

/* A cell that changes hands meanwhile shows an object that is, or was in this cycle, in use: to
 * mark it is harmless. */
void sm__finalizers_roots(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t made = sm__cells_made(&fs->cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_finalizer *f = finalizer_at(fs, n);

		if (is(f, QUEUED) || is(f, RUNNING))
			sm__mark_exact(k, object_of(f));
	}
}

void sm__finalizers_each_queued(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object),
				void *ctx)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t made = sm__cells_made(&fs->cells);

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_finalizer *f = finalizer_at(fs, n);

		if (is(f, QUEUED) || is(f, RUNNING))
			fn(ctx, object_of(f));
	}
}

static bool white(struct sm_gc *gc, struct sm_finalizer *f)
{
	return is(f, SET) && !sm__is_marked(&gc->range, object_of(f));
}

static struct sm_finalizer *merge(struct sm_finalizer *a, struct sm_finalizer *b)
{
	struct sm_finalizer *first = NULL, **end_at = &first;

	while (a && b) {
		struct sm_finalizer **less = a->order < b->order ? &a : &b;

		*end_at = *less;
		end_at = &(*less)->next;
		*less = (*less)->next;
	}
	*end_at = a ? a : b;
	return first;
}

/* By order, without memory: run[i] is NULL or a sorted list of 2^i (mergesort from the bottom up).
 */
static struct sm_finalizer *sorted(struct sm_finalizer *list)
{
	struct sm_finalizer *run[32] = {NULL}, *all = NULL;

	while (list) {
		struct sm_finalizer *one = list;
		unsigned i = 0;

		list = list->next;
		one->next = NULL;
		for (; run[i]; i++) {
			one = merge(run[i], one);
			run[i] = NULL;
		}
		run[i] = one;
	}
	for (unsigned i = 0; i < 32; i++)
		all = run[i] ? merge(run[i], all) : all;
	return all;
}

bool sm__finalizers_take(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t made = sm__cells_made(&fs->cells);
	struct sm_finalizer *taken = NULL;

	for (uint64_t n = 1; n <= made; n++) {
		struct sm_finalizer *f = finalizer_at(fs, n);

		if (!white(gc, f))
			continue;
		sm_lock_acquire(&fs->lock);
		if (white(gc, f)) {
			sm__cell_index_remove(&fs->index, n);
			sm_store_release(&f->state, TAKEN);
			f->next = taken;
			taken = f;
		}
		sm_lock_release(&fs->lock);
	}
	fs->taken = sorted(taken);
	return taken != NULL;
}

void sm__finalizers_resurrect(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_finalizers *fs = &gc->finalizers;
	struct sm_finalizer *last = NULL;
	uint64_t n = 0;

	for (struct sm_finalizer *f = fs->taken; f; f = f->next) {
		sm__mark_exact(k, f->keyed.key);
		sm_store_release(&f->state, QUEUED);
		last = f;
		n++;
	}
	sm_lock_acquire(&fs->lock);
	if (fs->queue_last)
		fs->queue_last->next = fs->taken;
	else
		fs->queue = fs->taken;
	fs->queue_last = last;
	fs->queued += n;
	sm_lock_release(&fs->lock);
	fs->taken = NULL;
	sm__event_signal(&fs->work);
}

/* ---- compaction's side -------------------------------------------------------------------- */

/* The SET ones are found by their object: where that has a new address the index must know. */
static void patch_locked(struct sm_gc *gc, uint64_t n)
{
	struct sm_finalizers *fs = &gc->finalizers;
	struct sm_finalizer *f = finalizer_at(fs, n);
	uintptr_t now;

	if (!sm__cell_is_used(&f->keyed.cell))
		return;
	now = sm__compact_forward(gc, f->keyed.key);
	if (now == f->keyed.key)
		return;
	if (is(f, SET))
		sm__cell_index_remove(&fs->index, n);
	f->keyed.key = now;
	/* It cannot fail: the index has buckets. */
	if (is(f, SET))
		(void)sm__cell_index_add(&fs->index, n);
}

void sm__finalizer_patch(struct sm_gc *gc, uint64_t number)
{
	sm_lock_acquire(&gc->finalizers.lock);
	patch_locked(gc, number);
	sm_lock_release(&gc->finalizers.lock);
}

void sm__finalizers_patch(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t made = sm__cells_made(&fs->cells);

	sm_lock_acquire(&fs->lock);
	for (uint64_t n = 1; n <= made; n++)
		patch_locked(gc, n);
	sm_lock_release(&fs->lock);
}

/* ---- public ------------------------------------------------------------------------------- */

/* The thread is made when the first finalizer is set: programs without any do not pay for it. */
static int ensure_thread_locked(struct sm_gc *gc)
{
	struct sm_finalizers *fs = &gc->finalizers;
	int err;

	if (fs->have_thread || sm_load_relaxed(&gc->forked))
		return 0;
	err = sm__os_thread(&fs->thread, finalizer_main, gc);
	fs->have_thread = err == 0;
	return err;
}

static int set_locked(struct sm_gc *gc, struct sm_finalizer *f)
{
	struct sm_finalizers *fs = &gc->finalizers;
	int err = sm__cell_index_find(&fs->index, f->keyed.key) ? -EEXIST : 0;

	if (err == 0)
		err = ensure_thread_locked(gc);
	if (err == 0)
		err = sm__cell_index_add(&fs->index, number_of(fs, f));
	if (err == 0) {
		f->order = ++fs->order;
		sm_store_release(&f->state, SET);
	}
	return err;
}

int sm_finalizer_set(struct sm_mutator *m, void *object, sm_finalizer_fn *fn, void *ctx,
		     sm_dispose_fn *dispose)
{
	struct sm_finalizers *fs;
	struct sm_finalizer *f;
	int err;

	if (!sm__may_use(m) || fn == NULL || !sm__is_object(m, object))
		return -EINVAL;
	fs = &m->gc->finalizers;
	f = (struct sm_finalizer *)sm__cell_take(&fs->cells);
	if (f == NULL)
		return -ENOMEM;
	sm_store_relaxed(&f->state, NEW);
	sm__barrier_note(m, &f->keyed.key, object);
	sm_store_relaxed((_Atomic(uintptr_t) *)&f->keyed.key, (uintptr_t)object);
	f->fn = fn;
	f->ctx = ctx;
	f->dispose = dispose;
	sm__cell_use(&f->keyed.cell);
	sm_lock_acquire(&fs->lock);
	err = set_locked(m->gc, f);
	sm_lock_release(&fs->lock);
	/* The context stays the caller's. */
	if (err)
		sm__cell_give(&fs->cells, &f->keyed.cell, "sm_finalizer_set");
	return err;
}

int sm_finalizer_clear(struct sm_mutator *m, void *object)
{
	struct sm_finalizers *fs;
	struct sm_finalizer *f = NULL;
	uint64_t number;

	if (!sm__may_use(m))
		return -EINVAL;
	fs = &m->gc->finalizers;
	sm_lock_acquire(&fs->lock);
	number = sm__cell_index_find(&fs->index, (uintptr_t)object);
	if (number) {
		f = finalizer_at(fs, number);
		sm__cell_index_remove(&fs->index, number);
		sm_store_release(&f->state, NEW);
	}
	sm_lock_release(&fs->lock);
	if (f)
		end(fs, f);
	return f ? 0 : -ENOENT;
}

void sm_finalizer_wait(struct sm_gc *gc, struct sm_mutator *m)
{
	struct sm_finalizers *fs = &gc->finalizers;
	uint64_t target;

	if (m)
		sm__check_owner(m, "sm_finalizer_wait");
	else
		m = sm_mutator_current(gc);
	if (m && m->priv->collectors)
		sm__misuse("sm_finalizer_wait", m,
			   "called by a finalizer, which would wait for itself");
	sm_lock_acquire(&fs->lock);
	target = fs->queued;
	while (fs->ran < target && !fs->quit && !sm_load_relaxed(&gc->forked)) {
		uint32_t seq = sm__event_prepare(&fs->work);

		sm_lock_release(&fs->lock);
		if (m)
			sm_blocking_enter(m);
		sm__event_wait(&fs->work, seq, 0);
		if (m)
			sm_blocking_leave(m);
		sm_lock_acquire(&fs->lock);
	}
	sm_lock_release(&fs->lock);
}
