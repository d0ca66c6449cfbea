#include "collector/finalizer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/list.h"
#include "allocator/os/osthread.h"
#include "collector/gc_priv.h"
#include "collector/misuse.h"
#include "collector/object.h"

struct sm_finalizer {
	struct sm_finalizer *next, *prev; /* in order of setting; next also links the queue */
	struct sm_finalizer *chain;	  /* hash chain */
	uintptr_t object;
	sm_finalizer_fn *fn;
	void *ctx;
};

struct sm_weak {
	struct sm_weak *next, *prev;
	uintptr_t object;
};

void sm__specials_init(struct sm_specials *s)
{
	memset(s, 0, sizeof(*s));
	sm_lock_init(&s->lock, SM_RANK_GC_SPECIALS);
}

/* ---- the finalizer table -------------------------------------------------------------------------- */

static size_t bucket_of(const struct sm_specials *s, uintptr_t object)
{
	return (size_t)((object >> 3) * 0x9e3779b97f4a7c15u >> 20) & (s->ntable - 1);
}

static bool grow_table_locked(struct sm_specials *s)
{
	size_t n = s->ntable ? s->ntable * 2 : 64;
	struct sm_finalizer **grown = calloc(n, sizeof(*grown));

	if (grown == NULL)
		return s->ntable != 0;
	free(s->table);
	s->table = grown;
	s->ntable = n;
	for (struct sm_finalizer *f = s->first; f; f = f->next) {
		size_t b = bucket_of(s, f->object);

		f->chain = s->table[b];
		s->table[b] = f;
	}
	return true;
}

static struct sm_finalizer *find_locked(struct sm_specials *s, uintptr_t object)
{
	struct sm_finalizer *f = s->ntable ? s->table[bucket_of(s, object)] : NULL;

	while (f && f->object != object)
		f = f->chain;
	return f;
}

static void remove_locked(struct sm_specials *s, struct sm_finalizer *f)
{
	struct sm_finalizer **at = &s->table[bucket_of(s, f->object)];

	while (*at != f)
		at = &(*at)->chain;
	*at = f->chain;
	if (f->prev)
		f->prev->next = f->next;
	else
		s->first = f->next;
	if (f->next)
		f->next->prev = f->prev;
	else
		s->last = f->prev;
	f->next = f->prev = f->chain = NULL;
	s->nset--;
}

/* ---- the finalizer thread ------------------------------------------------------------------------- */

static struct sm_finalizer *take_locked(struct sm_specials *s)
{
	struct sm_finalizer *f = s->queue;

	if (f == NULL)
		return NULL;
	s->queue = f->next;
	if (s->queue == NULL)
		s->queue_last = NULL;
	s->running = f;
	return f;
}

/*
 * While marking, an object that leaves the queue (a root) for this thread's stack must be recorded, as the
 * barrier would record a deletion: the queue may be scanned only after it left, and this stack before it
 * arrived.
 */
static void run_one(struct sm_gc *gc, struct sm_mutator *m, struct sm_finalizer *f)
{
	struct sm_specials *s = &gc->specials;

	sm__barrier_record(m, (void *)f->object);
	f->fn(f->ctx, m, (void *)f->object);
	sm_lock_acquire(&s->lock);
	s->running = NULL;
	s->ran++;
	sm_lock_release(&s->lock);
	sm__event_signal(&s->work);
	free(f);
}

/* Without memory finalizers have to wait until there is some. NULL: the collector ends. */
static struct sm_mutator *attach_in_the_end(struct sm_gc *gc)
{
	struct sm_specials *s = &gc->specials;
	struct sm_mutator *m;
	bool quit = false;

	while ((m = sm_mutator_attach(gc)) == NULL && !quit) {
		uint32_t seq = sm__event_prepare(&s->work);

		sm_lock_acquire(&s->lock);
		quit = s->quit;
		sm_lock_release(&s->lock);
		sm__event_wait(&s->work, seq, quit ? 1 : 10000000);
	}
	return m;
}

static void *finalizer_main(void *arg)
{
	struct sm_gc *gc = arg;
	struct sm_specials *s = &gc->specials;
	unsigned index = gc->nworkers + 1;
	struct sm_mutator *m;

	if (gc->config.worker_start)
		gc->config.worker_start(gc->config.worker_ctx, index, "finalizer");
	m = attach_in_the_end(gc);
	if (m)
		m->priv->collectors = true;
	sm_lock_acquire(&s->lock);
	while (m && !s->quit) {
		struct sm_finalizer *f = take_locked(s);
		uint32_t seq;

		if (f) {
			sm_lock_release(&s->lock);
			run_one(gc, m, f);
			sm_lock_acquire(&s->lock);
			continue;
		}
		seq = sm__event_prepare(&s->work);
		sm_lock_release(&s->lock);
		sm_blocking_enter(m);
		sm__event_wait(&s->work, seq, 0);
		sm_blocking_leave(m);
		sm_lock_acquire(&s->lock);
	}
	sm_lock_release(&s->lock);
	if (m) {
		m->priv->collectors = false;
		sm_mutator_detach(m);
	}
	if (gc->config.worker_stop)
		gc->config.worker_stop(gc->config.worker_ctx, index, "finalizer");
	return NULL;
}

void sm__specials_stop(struct sm_gc *gc)
{
	struct sm_specials *s = &gc->specials;

	sm_lock_acquire(&s->lock);
	s->quit = true;
	sm_lock_release(&s->lock);
	sm__event_signal(&s->work);
	if (s->have_thread && !sm_load_relaxed(&gc->forked))
		pthread_join(s->thread, NULL);
	s->have_thread = false;
}

static void free_list(struct sm_finalizer *f)
{
	while (f) {
		struct sm_finalizer *next = f->next;

		free(f);
		f = next;
	}
}

void sm__specials_fini(struct sm_gc *gc)
{
	struct sm_specials *s = &gc->specials;

	free_list(s->first);
	free_list(s->queue);
	free(s->table);
	while (s->weaks) {
		struct sm_weak *w = s->weaks;

		s->weaks = w->next;
		free(w);
	}
}

/* ---- the cycle's side ----------------------------------------------------------------------------- */

void sm__specials_roots(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_specials *s = &gc->specials;

	if (SM_IS_MUTANT(11))
		return;
	sm_lock_acquire(&s->lock);
	for (struct sm_finalizer *f = s->queue; f; f = f->next)
		sm__mark_exact(k, f->object);
	if (s->running)
		sm__mark_exact(k, s->running->object);
	sm_lock_release(&s->lock);
}

static void enqueue_locked(struct sm_specials *s, struct sm_finalizer *f)
{
	remove_locked(s, f);
	if (s->queue_last)
		s->queue_last->next = f;
	else
		s->queue = f;
	s->queue_last = f;
	s->queued++;
}

unsigned sm__specials_process(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_specials *s = &gc->specials;
	struct sm_finalizer *f, *next;
	uint64_t before = s->queued;
	unsigned resurrected;

	sm_lock_acquire(&s->lock);
	for (struct sm_weak *w = s->weaks; w; w = w->next) {
		if (w->object && !sm__is_marked(&gc->range, w->object))
			w->object = 0;
	}
	/* First decide, then mark: marking one must not hide another that only it refers to. */
	for (f = s->first; f; f = next) {
		next = f->next;
		if (!sm__is_marked(&gc->range, f->object))
			enqueue_locked(s, f);
	}
	resurrected = (unsigned)(s->queued - before);
	/* Marking goes on. This thread counts before the door opens: nobody takes the queues for drained. */
	if (resurrected) {
		sm__workq_enter(&gc->workq);
		sm__workq_open(&gc->workq);
		for (f = s->queue; f; f = f->next)
			sm__mark_exact(k, f->object);
		sm__marker_give(k);
		sm__workq_leave(&gc->workq, false);
	}
	sm_lock_release(&s->lock);
	if (resurrected)
		sm__event_signal(&s->work);
	return resurrected;
}

void sm__specials_each_queued(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx)
{
	struct sm_specials *s = &gc->specials;

	sm_lock_acquire(&s->lock);
	for (struct sm_finalizer *f = s->queue; f; f = f->next)
		fn(ctx, f->object);
	if (s->running)
		fn(ctx, s->running->object);
	sm_lock_release(&s->lock);
}

void sm__specials_each_weak(struct sm_gc *gc, void (*fn)(void *ctx, uintptr_t object), void *ctx)
{
	struct sm_specials *s = &gc->specials;

	sm_lock_acquire(&s->lock);
	for (struct sm_weak *w = s->weaks; w; w = w->next) {
		if (w->object)
			fn(ctx, w->object);
	}
	sm_lock_release(&s->lock);
}

/* ---- public --------------------------------------------------------------------------------------- */

/* The thread is made when the first finalizer is set: programs without any do not pay for it. */
static int ensure_thread_locked(struct sm_gc *gc)
{
	struct sm_specials *s = &gc->specials;
	int err;

	if (s->have_thread || sm_load_relaxed(&gc->forked))
		return 0;
	err = sm__os_thread(&s->thread, finalizer_main, gc);
	s->have_thread = err == 0;
	return err;
}

int sm_finalizer_set(struct sm_mutator *m, void *object, sm_finalizer_fn *fn, void *ctx)
{
	struct sm_finalizer *f;
	struct sm_specials *s;
	struct sm_gc *gc;
	size_t b;
	int err;

	if (!sm__may_use(m) || fn == NULL || !sm__is_object(m, object))
		return -EINVAL;
	gc = m->gc;
	s = &gc->specials;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	*f = (struct sm_finalizer){.object = (uintptr_t)object, .fn = fn, .ctx = ctx};
	sm_lock_acquire(&s->lock);
	err = find_locked(s, f->object) ? -EEXIST : 0;
	if (err == 0)
		err = ensure_thread_locked(gc);
	if (err == 0 && s->nset >= s->ntable && !grow_table_locked(s))
		err = -ENOMEM;
	if (err == 0) {
		b = bucket_of(s, f->object);
		f->chain = s->table[b];
		s->table[b] = f;
		f->prev = s->last;
		if (s->last)
			s->last->next = f;
		else
			s->first = f;
		s->last = f;
		s->nset++;
	}
	sm_lock_release(&s->lock);
	if (err)
		free(f);
	return err;
}

int sm_finalizer_clear(struct sm_mutator *m, void *object)
{
	struct sm_finalizer *f;
	struct sm_specials *s;

	if (!sm__may_use(m))
		return -EINVAL;
	s = &m->gc->specials;
	sm_lock_acquire(&s->lock);
	f = find_locked(s, (uintptr_t)object);
	if (f)
		remove_locked(s, f);
	sm_lock_release(&s->lock);
	free(f);
	return f ? 0 : -ENOENT;
}

void sm_finalizer_wait(struct sm_gc *gc, struct sm_mutator *m)
{
	struct sm_specials *s = &gc->specials;
	uint64_t target;

	if (m)
		sm__check_owner(m, "sm_finalizer_wait");
	else
		m = sm_mutator_current(gc);
	if (m && m->priv->collectors)
		sm__misuse("sm_finalizer_wait", m, "called by a finalizer, which would wait for itself");
	sm_lock_acquire(&s->lock);
	target = s->queued;
	while (s->ran < target && !s->quit && !sm_load_relaxed(&gc->forked)) {
		uint32_t seq = sm__event_prepare(&s->work);

		sm_lock_release(&s->lock);
		if (m)
			sm_blocking_enter(m);
		sm__event_wait(&s->work, seq, 0);
		if (m)
			sm_blocking_leave(m);
		sm_lock_acquire(&s->lock);
	}
	sm_lock_release(&s->lock);
}

struct sm_weak *sm_weak_new(struct sm_mutator *m, void *object)
{
	struct sm_specials *s;
	struct sm_weak *w;

	if (!sm__may_use(m) || !sm__is_object(m, object)) {
		errno = EINVAL;
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->object = (uintptr_t)object;
	s = &m->gc->specials;
	sm_lock_acquire(&s->lock);
	SM_LIST_PUSH(s->weaks, w);
	sm_lock_release(&s->lock);
	return w;
}

/*
 * While marking, the object that is handed out may be white, reachable from nowhere but here: it is marked, by the door.
 * When that is shut, what is white is dead: sm__specials_process has not come to this reference yet, is all. Under the
 * lock, so that it does not come in between.
 */
void *sm_weak_get(struct sm_mutator *m, struct sm_weak *w)
{
	struct sm_marking in;
	struct sm_gc *gc;
	void *object;

	sm__check_caller(m, "sm_weak_get");
	gc = m->gc;
	sm_lock_acquire(&gc->specials.lock);
	object = (void *)w->object;
	if (object && m->barrier) {
		if (sm__marking_enter(&in, &m->priv->marker)) {
			sm__mark_exact(&m->priv->marker, (uintptr_t)object);
			sm__marking_leave(&in);
		} else if (!sm__is_marked(&gc->range, (uintptr_t)object)) {
			object = NULL;
		}
	}
	sm_lock_release(&gc->specials.lock);
	return object;
}

void sm_weak_free(struct sm_mutator *m, struct sm_weak *w)
{
	struct sm_specials *s;

	if (w == NULL)
		return;
	sm__check_owner(m, "sm_weak_free");
	s = &m->gc->specials;
	sm_lock_acquire(&s->lock);
	SM_LIST_REMOVE(s->weaks, w);
	sm_lock_release(&s->lock);
	free(w);
}
