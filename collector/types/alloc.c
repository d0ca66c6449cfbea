/*
 * alloc.c: allocation: what sm_new does when its window is used up, and what a refill asks of the
 * collector on its way.
 */
#include <errno.h>
#include <string.h>

#include "collector/types/alloc.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/cycle/sweep.h"
#include "collector/types/typedesc.h"

/* ---- hooks on the allocator's slow paths -------------------------------------------------- */

/* gc.sync: all of the cycle happens where it is due. Who comes meanwhile waits for the same one. */
static void cycle_here(struct sm_gc *gc, struct sm_mutator *m)
{
	struct sm_wait w = sm__wait_begin();
	uint64_t wanted = sm_load_seqcst(&gc->cycles_wanted);

	if (sm_load_relaxed(&gc->forked))
		return;
	if (wanted > sm_load_seqcst(&gc->cycles_completed))
		sm__gc_wait(gc, m, &gc->cycles_completed, wanted);
	else
		(void)sm__gc_collect_and_wait(gc, m, false);
	(void)sm__wait_over(&w);
	sm__stall(m, SM_STALL_PACE, w.since);
}

/* The heap has reached its trigger: asks for a cycle, once. Beyond the goal, growth has a price. */
static SM_NOINLINE void trigger(struct sm_gc *gc, struct sm_mutator *m, size_t bytes)
{
	if (gc->config.tuning.sync)
		cycle_here(gc, m);
	else if (sm_load_relaxed(&gc->throttle.trigger_asked) == 0) {
		if (sm_exchange_acqrel(&gc->throttle.trigger_asked, 1) == 0 &&
		    !sm_load_relaxed(&gc->forked))
			sm__gc_ask(gc);
	} else {
		sm__throttle(m, bytes);
	}
}

static void stress(struct sm_gc *gc, struct sm_mutator *m)
{
	if (++m->priv->refills < gc->config.stress)
		return;
	m->priv->refills = 0;
	sm__gc_collect_and_wait(gc, m, false);
}

void sm__before_refill(void *ctx, struct sm_cache *c, size_t bytes)
{
	struct sm_gc *gc = ctx;
	struct sm_mutator *m = c->owner;

	sm__check_caller(m, "allocation");
	sm_safepoint(m);
	if (SM_UNLIKELY(sm_load_relaxed(&gc->heap->allocated_bytes) + bytes >=
			sm_load_relaxed(&gc->throttle.trigger)))
		trigger(gc, m, bytes);
	if (SM_UNLIKELY(sm_load_relaxed(&gc->throttle.let_by) != 0))
		sm__throttle_let_by(m);
	if (sm__marking(m) && gc->config.tuning.assist)
		sm__assist(m, bytes);
	if (SM_UNLIKELY(sm_load_relaxed(&gc->throttle.sweep_ratio) != 0))
		sm__sweep_share(m);
	if (SM_UNLIKELY(gc->config.stress != 0))
		stress(gc, m);
	/* Whatever came over us above, the refill starts with no request pending that it has seen.
	 */
	sm_safepoint(m);
}

/* With one mutator, a cycle in which nothing was allocated says it all. Others may have got
 * something that they have not posted yet, less than SM_POST_BYTES each: not three times in a row.
 */
static unsigned cycles_in_vain(struct sm_gc *gc)
{
	unsigned n;

	sm_lock_acquire(&gc->mutators_lock);
	n = gc->nmutators;
	sm_lock_release(&gc->mutators_lock);
	return n > 1 ? 3 : 1;
}

/*
 * The system, or the limit, has no more memory: collects, and lets the caller try again. Other
 * mutators try as well, and may take what a cycle freed before the caller wakes; soon that is
 * garbage. So the caller gives up only when no mutator was given anything (allocated_bytes has not
 * moved) from before the cycle to the failed try after it. OOM_TRIES ends the case of a large
 * object whose memory many small ones take again and again.
 */
#define OOM_TRIES 100

bool sm__out_of_memory(void *ctx, struct sm_cache *c, size_t bytes)
{
	struct sm_gc *gc = ctx;
	struct sm_mutator *m = c->owner;
	struct sm_oom *o = &m->priv->oom;
	uint64_t taken = c->stats.refills + c->stats.large_objects;
	struct sm_wait w;
	size_t now;
	int err;

	(void)bytes;
	sm__cache_post(c);
	now = sm_load_relaxed(&gc->heap->allocated_bytes);
	/* The same request as the last time, or another? */
	if (o->tries == 0 || o->taken != taken)
		*o = (struct sm_oom){.taken = taken};
	else
		o->in_vain = now == o->allocated ? o->in_vain + 1 : 0;
	if (o->tries++ == OOM_TRIES || o->in_vain == cycles_in_vain(gc)) {
		o->tries = 0;
		return false;
	}
	o->allocated = now;
	w = sm__wait_begin();
	err = sm__gc_collect_and_wait(gc, m, true);
	(void)sm__wait_over(&w);
	if (err == 0)
		sm__stall(m, SM_STALL_MEMORY, w.since);
	return err == 0;
}

/* ---- allocation --------------------------------------------------------------------------- */

/* What the sweep hook took in a refill is a stall, page faults and locks are not. */
static void note_sweep(struct sm_mutator *m)
{
	uint64_t ns = m->priv->sweep_ns;

	if (ns) {
		m->priv->sweep_ns = 0;
		sm__stall_note(&m->priv->stalls, SM_STALL_SWEEP, ns, m->priv->sweep_kept);
	}
}

/* The next window. */
static void *refill_bin(struct sm_mutator *m, unsigned bin)
{
	void *p = sm__cache_refill_slow(sm__cache(m), bin);

	note_sweep(m);
	return p;
}

/* The next object of a bin, whose window may have been filled since it was found empty. */
static void *new_of_bin(struct sm_mutator *m, unsigned bin)
{
	void *p = sm__cache_bump(sm__cache(m), bin);

	return p ? p : refill_bin(m, bin);
}

/* An object of a shape without a bin that the caller knows of. *bin: what the shape has earned by
 * now, or 0. */
static void *new_of_shape(struct sm_mutator *m, struct sm_shape *s, const struct sm_layout *l,
			  unsigned *bin)
{
	void *p;

	*bin = sm__shape_bin(m->gc, s, l);
	if (*bin != 0)
		return new_of_bin(m, *bin);
	p = sm__cache_mixed(sm__cache(m), s, l);
	note_sweep(m);
	return p;
}

void *sm_new_slow(struct sm_mutator *m, const struct sm_type *type)
{
	struct sm_typedesc *t = (struct sm_typedesc *)type;
	unsigned bin = __atomic_load_n(&type->bin, __ATOMIC_ACQUIRE);
	void *p;

	if (SM_LIKELY(bin != 0))
		return refill_bin(m, bin);
	if (t->shape == NULL)
		return sm__cache_large(sm__cache(m), type->size, type->layout, false);
	p = new_of_shape(m, t->shape, type->layout, &bin);
	if (bin != 0)
		__atomic_store_n(&t->type.bin, bin, __ATOMIC_RELEASE);
	return p;
}

static const struct sm_layout pointer_free = {.kind = SM_SCAN_NONE, .period = 1};

/* The heap's own copy of the pointer-free layout: spans compare layouts by address. */
static const struct sm_layout *no_pointers(struct sm_mutator *m)
{
	return sm__heap_layout(m->gc->heap, &pointer_free);
}

/* What an object of the size may need: the largest power of two in it, at most 8. */
static size_t tiny_alignment(size_t size)
{
	if (size >= 8)
		return 8;
	if (size >= 4)
		return 4;
	return size >= 2 ? 2 : 1;
}

void *sm_new_bytes_slow(struct sm_mutator *m, size_t size)
{
	void *p;

	if (size < 16)
		return sm__cache_tiny(sm__cache(m), size ? size : 1, tiny_alignment(size));
	if (size > SM_MAX_SMALL)
		return sm__cache_large(sm__cache(m), size, no_pointers(m), false);
	p = sm__cache_bump(sm__cache(m), sm_size_class(size));
	return p ? p : refill_bin(m, sm_size_class(size));
}

void *sm_new_bytes_zeroed(struct sm_mutator *m, size_t size)
{
	void *p;

	if (size > SM_MAX_SMALL)
		return sm__cache_large(sm__cache(m), size, no_pointers(m), true);
	p = sm_new_bytes(m, size);
	if (p)
		memset(p, 0, size);
	return p;
}

/* An array of `bytes` bytes, header included, that has no bin in *bins. */
static SM_NOINLINE void *new_array_slow(struct sm_mutator *m, struct sm_typedesc *t,
					_Atomic(sm_type_bins *) *bins, size_t bytes)
{
	const struct sm_layout *l = sm__type_array(m->gc, t);
	struct sm_shape *s;
	unsigned cls, bin;
	void *p;

	if (l == NULL)
		return NULL;
	if (t->flex && bins == &t->bins) {
		errno = EINVAL;
		return NULL;
	}
	if (l->kind == SM_SCAN_NONE)
		return sm_new_bytes(m, bytes);
	if (bytes > SM_MAX_SMALL)
		return sm__cache_large(sm__cache(m), bytes, l, true);
	cls = sm__type_class(bytes);
	bin = sm_load_acquire(&(*sm_load_acquire(bins))[cls]);
	if (bin != 0)
		return refill_bin(m, bin);
	s = sm__heap_shape(m->gc->heap, l, cls);
	if (s == NULL)
		return NULL;
	p = new_of_shape(m, s, l, &bin);
	if (bin != 0)
		sm__type_note_bin(m->gc, bins, cls, bin);
	return p;
}

SM_INLINE void *new_array(struct sm_mutator *m, struct sm_typedesc *t,
			  _Atomic(sm_type_bins *) *bins, size_t bytes)
{
	if (SM_LIKELY(bytes <= SM_MAX_SMALL)) {
		/* Relaxed as in sm_new: for this thread's own window, which is empty where there is
		 * no bin. */
		unsigned bin = sm_load_relaxed(&(*sm_load_dependent(bins))[sm__type_class(bytes)]);
		void *p = sm__cache_bump(sm__cache(m), bin);

		if (SM_LIKELY(p != NULL))
			return p;
	}
	return new_array_slow(m, t, bins, bytes);
}

void *sm_new_array(struct sm_mutator *m, const struct sm_type *type, size_t n)
{
	struct sm_typedesc *t = (struct sm_typedesc *)type;
	size_t bytes;

	if (SM_UNLIKELY(__builtin_mul_overflow((size_t)t->stride, n, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	return new_array(m, t, &t->bins, bytes);
}

void *sm_new_flex(struct sm_mutator *m, const struct sm_type *type, size_t n)
{
	struct sm_flexdesc *t = (struct sm_flexdesc *)type;
	size_t bytes;

	if (SM_UNLIKELY(!t->base.flex)) {
		errno = EINVAL;
		return NULL;
	}
	if (SM_UNLIKELY(__builtin_mul_overflow((size_t)t->base.stride, n, &bytes) ||
			__builtin_add_overflow(bytes, (size_t)type->size, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	return new_array(m, &t->base, &t->bins, bytes);
}

/* Slots of a class begin at multiples of their size from a span's base, which is aligned to a unit.
 */
void *sm_new_aligned(struct sm_mutator *m, const struct sm_type *type, size_t align)
{
	struct sm_shape *s;
	unsigned cls, bin;

	if (align == 0 || (align & (align - 1)) != 0 || align > SM_UNIT) {
		errno = EINVAL;
		return NULL;
	}
	if (type->size > SM_MAX_SMALL)
		return sm_new(m, type);
	cls = sm__type_class(type->size);
	if (sm__sizeclasses[cls].slot_bytes % align == 0)
		return sm_new(m, type);
	while (cls < sm__nclasses && sm__sizeclasses[cls].slot_bytes % align != 0)
		cls++;
	if (cls == sm__nclasses)
		return sm__cache_large(sm__cache(m), type->size, type->layout, false);
	if (type->layout->kind == SM_SCAN_NONE)
		return new_of_bin(m, cls);
	s = sm__heap_shape(m->gc->heap, type->layout, cls);
	return s ? new_of_shape(m, s, type->layout, &bin) : NULL;
}

/* ---- files -------------------------------------------------------------------------------- */

void *sm_map_file(struct sm_mutator *m, int fd, int64_t offset, size_t bytes, unsigned flags)
{
	sm__check_caller(m, "sm_map_file");
	return sm__map_file(sm__cache(m), fd, offset, bytes, flags);
}

void sm_unmap_file(struct sm_mutator *m, void *p)
{
	sm__check_caller(m, "sm_unmap_file");
	sm__unmap_file(m->gc->heap, p);
}
