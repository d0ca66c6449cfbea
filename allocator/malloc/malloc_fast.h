/*
 * malloc_fast.h: malloc and free as far as they are inlined: a pop and a push on the thread's list
 * of the class.
 */
#ifndef SM_ALLOCATOR_MALLOC_FAST_H
#define SM_ALLOCATOR_MALLOC_FAST_H

#include "allocator/malloc/process_heap.h"

void *sm__malloc_slow(size_t size);
void sm__free_slow(void *p);
/* The list of the class is empty (cls 0: there is no heap yet), or full and p is known to be good;
 * key: p's. */
void *sm__malloc_empty(size_t size, size_t cls);
void sm__free_full(void *p, size_t cls, uint64_t key);

SM_INLINE uint64_t sm__malloc_key(const void *p)
{
	return sm__process_heap.key ^ (uintptr_t)p;
}

/* Larger sizes are not of the thread's lists; with cache.mode=cpu none is. May change meanwhile,
 * when the heap is made: process_heap.h. */
SM_INLINE size_t sm__thread_most(void)
{
#if defined(__x86_64__) && !SM_TSAN
	return sm__process_heap.thread_most; /* compared where it lies: an instruction less */
#else
	return __atomic_load_n(&sm__process_heap.thread_most, __ATOMIC_RELAXED);
#endif
}

SM_INLINE void *sm__malloc_fast(size_t size)
{
	struct sm_mcache *c = sm__mcache;
	struct sm_freed *p, *next;
	size_t cls;

	if (SM_UNLIKELY(size > sm__thread_most()))
		return sm_load_acquire(&sm__process_heap.beyond)(size);
	cls = sm_load_relaxed(&sm__malloc_class[(size + 15) >> 4]);
	p = c->head[cls];
	if (SM_UNLIKELY(p == NULL))
		return sm_load_acquire(&sm__process_heap.empty)(size, cls);
	next = p->next;
	c->head[cls] = next;
	c->room[cls] += SM_ROOM_POP;
	/* The next object's line is read by the next malloc of the class and then written by the
	 * program. */
	SM_PREFETCH_W(next);
	p->key = 0;
	return p;
}

/*
 * Is ptr in the heap, and where? When it is, what is read of sm__process_heap behind this is there
 * (`bytes` was stored last): a thread may free NULL while another makes the heap, and finds a base
 * of 0. On x86-64 loads stay in order if the compiler leaves them so, and plain ones are
 * instructions less.
 */
SM_INLINE bool sm__malloc_find(const struct sm_process_heap *g, const void *ptr, uintptr_t *off)
{
#if defined(__x86_64__) && !SM_TSAN
	*off = (uintptr_t)ptr - g->base;
	if (SM_UNLIKELY(*off >= g->bytes))
		return false;
	atomic_signal_fence(memory_order_acquire);
	return true;
#else
	uintptr_t bytes = __atomic_load_n(&g->bytes, __ATOMIC_ACQUIRE);

	*off = (uintptr_t)ptr - __atomic_load_n(&g->base, __ATOMIC_RELAXED);
	return SM_LIKELY(*off < bytes);
#endif
}

/* The class of the slot that starts at ptr, in whichever unit of its span; 0: none does. The
 * descriptor is not looked at. What sm__free_fast says of plain reads holds here, too. */
SM_INLINE size_t sm__malloc_class_at(const struct sm_process_heap *g, const void *ptr)
{
	const struct sm_slot_test *k;
	uintptr_t off, unit;
	size_t cls;

	if (SM_UNLIKELY(!sm__malloc_find(g, ptr, &off)))
		return 0;
	unit = off >> SM_UNIT_SHIFT;
	cls = g->classes[unit];
	off &= SM_UNIT - 1;
	if (cls >= SM_UNIT_BEHIND) {
		off += (cls - SM_UNIT_BEHIND) << SM_UNIT_SHIFT;
		cls = g->classes[unit - (cls - SM_UNIT_BEHIND)];
	}
	k = &sm__slot_tests[cls];
	return (uint32_t)off * k->recip < k->start_max ? cls : 0;
}

/*
 * The class is read plainly: of an object that is in use it does not change, and what handed the
 * object from its allocating to this thread ordered the class's writing before this. An address
 * that is no such object may race with a span's end; it fails one of the tests, or is taken for an
 * object that the program freed twice anyway.
 */
SM_INLINE void sm__free_fast(void *ptr)
{
	const struct sm_process_heap *g = &sm__process_heap;
	struct sm_mcache *c = sm__mcache;
	const struct sm_slot_test *k;
	struct sm_freed *p = ptr;
	uintptr_t off;
	uint64_t key;
	uint32_t x;
	size_t cls;

	if (SM_UNLIKELY(!sm__malloc_find(g, ptr, &off))) {
		sm__free_slow(ptr);
		return;
	}
	cls = g->classes[off >> SM_UNIT_SHIFT];
	k = &sm__slot_tests[cls];
	/* One multiplication proves that this is the start of a slot, in the head unit of a malloc
	 * span: no offset in any other unit passes. */
	x = (uint32_t)(off & (SM_UNIT - 1)) * k->recip;
	key = g->key ^ (uintptr_t)ptr;
	if (SM_UNLIKELY(x >= k->start_max) || SM_UNLIKELY(p->key == key)) {
		sm__free_slow(ptr);
		return;
	}
	if (SM_UNLIKELY((c->room[cls] & SM_ROOM_MASK) == 0)) {
		sm_load_acquire (&g->full)(ptr, cls, key);
		return;
	}
	c->room[cls]--;
	p->key = key;
	p->next = c->head[cls];
	c->head[cls] = p;
}

#endif
