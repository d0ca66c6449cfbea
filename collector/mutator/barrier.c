/*
 * barrier.c: the write barrier's slow path, and the bulk operations on pointer slots.
 *
 * While marking, a store *slot = value records
 *
 *   deletion (Yuasa 1990)     the old contents of the slot, always;
 *   insertion (Dijkstra 1978) the value, while the storing mutator's own stack is not scanned yet.
 *
 * This is the hybrid barrier of Go's proposal 17503 ("Eliminate STW stack re-scanning", 2016) in
 * its exact form: stacks need to be scanned once only. Why it suffices: let T be the end of the
 * BLACK round. Every store that is under way at T began with every barrier on, because every
 * mutator has passed a safepoint since the last barrier went on; and until T no stack has been
 * scanned, so until T every store recorded both. An object that is reachable after T is one of
 *
 *   (a) reachable from the heap or the roots at T. The first store to a slot after T either finds
 *       the contents of T and records them, or had read the slot before they were stored there, in
 *       which case they were recorded by the store that put them there (it ended before T). So
 *       every path of T is marked to its end whatever happens to it: snapshot at the beginning.
 *       Black objects that were born before T are never scanned, but what was stored into them by
 *       then was recorded.
 *   (b) born after its mutator acknowledged BLACK: black.
 *   (c) at T, reachable from some mutator's unscanned stack only. It becomes visible to others by
 *       that mutator storing it, which records it, or is found by the scan of that stack.
 *
 * So what a mutator with a scanned stack stores is of a kind that is marked in the end without
 * its help, and racing stores to one slot need no more than this: a value that a race overwrites
 * unrecorded was stored by a mutator, so it is of kind (a), (b), or recorded as (c).
 *
 * Recording means: into the mutator's own buffer. Marking happens when the buffer is full, and when
 * a termination round asks for it. Between recording and storing there is no safepoint, so at an
 * acknowledgement no store is half done.
 */
#include <string.h>

#include "collector/mutator/barrier.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"

void sm__barrier_discard(struct sm_mutator *m)
{
	m->buf_next = m->priv->buffer;
}

/*
 * An entry that came from a slot of a conservative object is any word: interior, tagged, an
 * integer. So where there are such objects each is taken as a doubtful word. (The fence: an entry's
 * loader has the object from a thread that saw `doubtful` set; from here on so do we.) When marking
 * is over all that was stored or deleted since is black, and integers are not followed: the buffer
 * is forgotten.
 */
static void mark_entries(struct sm_mutator *m, struct sm_marker *k)
{
	void **e = m->priv->buffer, **end = m->buf_next;
	struct sm_gc *gc = m->gc;

	sm_fence_acquire();
	if (SM_LIKELY(!sm_load_relaxed(&gc->doubtful))) {
		for (; e < end; e++)
			sm__mark_exact(k, (uintptr_t)*e);
	} else if (sm_load_acquire(&gc->windows_black)) {
		for (; e < end; e++)
			sm__mark_conservative(k, (uintptr_t)*e);
	} else {
		for (; e < end; e++)
			sm__mark_early(k, (uintptr_t)*e);
	}
}

void sm__barrier_flush(struct sm_mutator *m)
{
	struct sm_mutator_priv *p = m->priv;
	struct sm_marking in;

	if (sm__marking_enter(&in, &p->marker)) {
		mark_entries(m, &p->marker);
		sm__marking_leave(&in);
	}
	m->buf_next = p->buffer;
}

static size_t flush_timed(void *arg, uintptr_t *sp)
{
	struct sm_mutator *m = arg;
	struct sm_wait w = sm__wait_begin();

	sm__check_caller(m, "sm_store");
	sm_phase_enter(SM_PHASE_BARRIER);
	sm__barrier_flush(m);
	sm_phase_leave(SM_PHASE_BARRIER);
	sm__wait_end(m, SM_STALL_BARRIER, &w);
	return sm__own_frames(m->priv, sp);
}

static SM_NOINLINE void flush_full(struct sm_mutator *m)
{
	sm__with_registers(flush_timed, m);
}

SM_INLINE void record(struct sm_mutator *m, void *p)
{
	if (p == NULL)
		return;
	*m->buf_next++ = p;
	if (SM_UNLIKELY(m->buf_next == m->buf_end))
		flush_full(m);
}

SM_INLINE _Atomic(void *) *atomic_slot(void **slot)
{
	return (_Atomic(void *) *)slot;
}

/* gc.generations: *slot is to lead to value. No safepoint lies between this and the store. */
SM_INLINE void remember(struct sm_mutator *m, void **slot, void *value)
{
	struct sm_gc *gc = m->gc;

	if (value == NULL)
		return;
	if ((m->barrier & SM__BARRIER_REMEMBER) != 0)
		sm__set_card(m, slot);
	else if ((m->barrier & SM__BARRIER_LOG) != 0 &&
		 !sm__remember_logged(&gc->range, &gc->remember, slot))
		sm__remember_log(m, slot);
}

void sm__barrier_record(struct sm_mutator *m, void *p)
{
	if (sm__marking(m))
		record(m, p);
}

/* Before the value is stored: armed.h. */
SM_INLINE void note_slot(struct sm_mutator *m, void **slot, void *value)
{
	if ((m->barrier & SM__BARRIER_SLOTS) != 0 &&
	    sm__unit_has(m->gc, (uintptr_t)value, SM_UNIT_CANDIDATE))
		sm__armed_note(m->gc, &m->priv->marker.slots, (uintptr_t)slot, (uintptr_t)value);
}

void sm__barrier_note(struct sm_mutator *m, void *slot, void *value)
{
	note_slot(m, slot, value);
}

/* What a cycle needs of a store. */
static SM_NOINLINE void store_noted(struct sm_mutator *m, void **slot, void *value)
{
	if (sm__marking(m)) {
		record(m, sm_load_dependent(atomic_slot(slot)));
		if (!m->priv->stack_black)
			record(m, value);
		m->priv->marker.n.stores += value != NULL;
	}
	note_slot(m, slot, value);
	sm__delay(m->gc);
	remember(m, slot, value);
	/* Release: as below. */
	sm_store_release(atomic_slot(slot), value);
}

/* Apart, for the registers that it takes. */
static SM_NOINLINE void store_and_log(struct sm_mutator *m, void **slot, void *value)
{
	sm__remember_log(m, slot);
	/* Release: as below. */
	sm_store_release(atomic_slot(slot), value);
}

/* gc.remember=objects. While no cycle marks, most stores find their object logged. */
static SM_NOINLINE void store_logged(struct sm_mutator *m, void **slot, void *value)
{
	struct sm_gc *gc = m->gc;

	if (SM_UNLIKELY(m->barrier != SM__BARRIER_LOG))
		store_noted(m, slot, value);
	else if (value != NULL && !sm__remember_logged(&gc->range, &gc->remember, slot))
		store_and_log(m, slot, value);
	else
		sm_store_release(atomic_slot(slot), value);
}

/* With gc.generations, stores that were compiled with a header which sets no card come here even
 * when no cycle marks: what a cycle needs of a store is apart, for the registers that it takes. */
void sm_store_slow(struct sm_mutator *m, void **slot, void *value)
{
	if (SM_UNLIKELY(m->barrier & ~SM__BARRIER_REMEMBER)) {
		store_logged(m, slot, value);
		return;
	}
	if (value != NULL)
		sm__set_card(m, slot);
	/* Release: a thread that finds value here finds its contents. */
	sm_store_release(atomic_slot(slot), value);
}

bool sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value)
{
	SM__CHECK_CALL(m, "sm_cas");
	/* What a successful exchange deletes is *expected; recording it in vain keeps garbage for a
	 * cycle. */
	if (SM_UNLIKELY(m->barrier)) {
		sm__barrier_record(m, *expected);
		if (!m->priv->stack_black)
			sm__barrier_record(m, value);
		note_slot(m, slot, value);
		remember(m, slot, value);
	}
	return atomic_compare_exchange_strong_explicit(atomic_slot(slot), expected, value,
						       memory_order_seq_cst, memory_order_seq_cst);
}

void *sm_exchange(struct sm_mutator *m, void **slot, void *value)
{
	void *old;

	SM__CHECK_CALL(m, "sm_exchange");
	if (SM_LIKELY(!m->barrier))
		return atomic_exchange_explicit(atomic_slot(slot), value, memory_order_seq_cst);
	if (!m->priv->stack_black)
		sm__barrier_record(m, value);
	note_slot(m, slot, value);
	remember(m, slot, value);
	old = atomic_exchange_explicit(atomic_slot(slot), value, memory_order_seq_cst);
	/* After the fact, but before the next safepoint: no acknowledgement can lie in between. */
	sm__barrier_record(m, old);
	return old;
}

/* Slots between two safepoints of a long copy. */
#define COPY_RUN 4096

static void copy_up(struct sm_mutator *m, void **dst, void *const *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sm_store(m, &dst[i], sm_load(&src[i]));
}

/* By pointers that end where the arrays begin. Of an index clang makes one that ends as far in
 * front of them: the safepoint behind the loop would keep, or a verifier miss, the object there. */
static void copy_down(struct sm_mutator *m, void **dst, void *const *src, size_t n)
{
	void **to = dst + n;

	for (void *const *from = src + n; to != dst;)
		sm_store(m, --to, sm_load(--from));
}

void sm_copy_slots(struct sm_mutator *m, void **dst, void *const *src, size_t n)
{
	if (dst == src || n == 0)
		return;
	/* A run at a time, with a safepoint after each, so that a long copy holds up no phase
	 * change. The caller's frame holds dst and src, which keeps the objects they point into
	 * alive. */
	if ((uintptr_t)dst < (uintptr_t)src) {
		for (size_t at = 0; at < n; at += COPY_RUN) {
			copy_up(m, dst + at, src + at, n - at < COPY_RUN ? n - at : COPY_RUN);
			sm_safepoint(m);
		}
		return;
	}
	for (size_t left = n; left > 0;) {
		size_t run = left < COPY_RUN ? left : COPY_RUN;

		left -= run;
		copy_down(m, dst + left, src + left, run);
		sm_safepoint(m);
	}
}

void sm_clear_slots(struct sm_mutator *m, void **dst, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t end = n - at < COPY_RUN ? n : at + COPY_RUN;

		for (; at < end; at++)
			sm_store(m, &dst[at], NULL);
		sm_safepoint(m);
	}
}
