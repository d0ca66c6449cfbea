/* malloc.c: the malloc family, the paths behind its fast ones, large objects, and what a bad
 * address is. */
#include "spanmark/malloc.h"

#include <errno.h>
#include <string.h>

#include "allocator/objects/central.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"

/* ---- what is it? -------------------------------------------------------------------------- */

static SM_COLD _Noreturn void refuse_pointer(const void *p, const char *verb)
{
	struct sm_process_heap *g = &sm__process_heap;
	uintptr_t off = (uintptr_t)p - g->base, start;
	const struct sm_span *s;
	unsigned slot;

	if (g->heap == NULL || off >= g->bytes)
		sm__fatal(__FILE__, __LINE__, "%s: %p is not from this heap", verb, p);
	if (!sm__pageheap_covers(&g->heap->pages, (uintptr_t)p))
		sm__fatal(__FILE__, __LINE__,
			  "%s: %p lies in free memory: freed already, or never allocated", verb, p);
	s = sm_span_of(&g->heap->pages.range, (uintptr_t)p);
	start = sm_span_base(&g->heap->pages.range, s);
	switch (sm_load_acquire(&s->state)) {
	case SM_SPAN_FREE:
		sm__fatal(__FILE__, __LINE__,
			  "%s: %p lies in free memory: freed already, or never allocated", verb, p);
	case SM_SPAN_MALLOC_LARGE:
		sm__fatal(__FILE__, __LINE__,
			  "%s: %p is %zu bytes inside the %zu-byte object at %p", verb, p,
			  (size_t)((uintptr_t)p - start), sm_span_bytes(s), (void *)start);
	case SM_SPAN_MALLOC: break;
	default:
		if (s->flags & SM_SPANF_BURIED)
			sm__fatal(__FILE__, __LINE__,
				  "%s: %p is in the object at %p, which was freed already", verb, p,
				  (void *)start);
		sm__fatal(__FILE__, __LINE__, "%s: %p lies in memory of another use (state %d)",
			  verb, p, sm_load_relaxed(&s->state));
	}
	slot = sm_span_slot(&g->heap->pages.range, s, (uintptr_t)p);
	start += (size_t)slot * s->slot_bytes;
	if (slot >= s->nslots)
		sm__fatal(__FILE__, __LINE__, "%s: %p lies behind the last object of its span",
			  verb, p);
	if ((uintptr_t)p != start)
		sm__fatal(__FILE__, __LINE__, "%s: %p is %zu bytes inside the %u-byte object at %p",
			  verb, p, (size_t)((uintptr_t)p - start), s->slot_bytes, (void *)start);
	sm__fatal(__FILE__, __LINE__, "%s: %p (%u bytes) is %s", verb, p, s->slot_bytes,
		  strncmp(verb, "free", 4) == 0 ? "free already: freed twice"
						: "free: used after free");
}

static bool is_slot_start(const struct sm_span *s, uintptr_t p)
{
	const struct sm_range *r = &sm__process_heap.heap->pages.range;
	unsigned slot = sm_span_slot(r, s, p);

	return slot < s->nslots && p - sm_span_base(r, s) == (uintptr_t)slot * s->slot_bytes;
}

struct sm_span *sm__malloc_span(const void *p, const char *verb)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s;
	uint8_t state;

	if ((uintptr_t)p - g->base >= g->bytes ||
	    !sm__pageheap_covers(&g->heap->pages, (uintptr_t)p))
		refuse_pointer(p, verb);
	s = sm_span_of(&g->heap->pages.range, (uintptr_t)p);
	state = sm_load_acquire(&s->state);
	if (state == SM_SPAN_MALLOC_LARGE && (uintptr_t)p == sm_span_base(&g->heap->pages.range, s))
		return s;
	if (state != SM_SPAN_MALLOC || !is_slot_start(s, (uintptr_t)p) ||
	    ((const struct sm_freed *)p)->key == sm__malloc_key(p))
		refuse_pointer(p, verb);
	return s;
}

/* ---- large -------------------------------------------------------------------------------- */

/* A span of its own becomes an object. */
static void *publish_large(struct sm_span *s)
{
	struct sm_process_heap *g = &sm__process_heap;

	s->nslots = 1;
	sm_store_relaxed(&s->nalloc, 1);
	sm_fetch_add_relaxed(&g->large_objects, 1);
	sm_fetch_add_relaxed(&g->large_bytes, sm_span_bytes(s));
	sm_store_release(&s->state, SM_SPAN_MALLOC_LARGE);
	return (void *)sm_span_base(&g->heap->pages.range, s);
}

void *sm__malloc_large(size_t size, size_t align)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s;
	size_t nunits;

	if (size > g->bytes || align > g->bytes / 2) {
		errno = ENOMEM;
		return NULL;
	}
	nunits = sm_align_up(size ? size : 1, SM_UNIT) >> SM_UNIT_SHIFT;
	if (align > SM_UNIT)
		s = sm__pageheap_alloc_aligned(&g->heap->pages, sm__malloc_here(), nunits,
					       align >> SM_UNIT_SHIFT);
	else
		s = sm__pageheap_alloc(&g->heap->pages, sm__malloc_here(), nunits);
	if (s == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	return publish_large(s);
}

void *sm_malloc_map_file(int fd, int64_t offset, size_t bytes, unsigned flags)
{
	struct sm_heap *h = sm_malloc_heap();
	struct sm_span *s;

	if (h == NULL)
		return NULL;
	s = sm__pageheap_map_file(&h->pages, sm__malloc_here(), fd, offset, bytes,
				  flags & SM_MAP_SHARED, flags & SM_MAP_WRITE);
	return s != NULL ? publish_large(s) : NULL;
}

static void free_large(struct sm_span *s, const void *p)
{
	struct sm_process_heap *g = &sm__process_heap;
	uint8_t state = SM_SPAN_MALLOC_LARGE;
	size_t bytes;

	/* When two threads free it, one is reported. */
	if (!sm_cas_acqrel(&s->state, &state, SM_SPAN_OTHER))
		refuse_pointer(p, "free");
	sm_fetch_sub_relaxed(&g->large_objects, 1);
	sm_fetch_sub_relaxed(&g->large_bytes, sm_span_bytes(s));
	if (SM_UNLIKELY(g->heap->config.page_per_object) && sm__span_bury(g->heap, s))
		return;
	bytes = sm_span_bytes(s);
	sm__pageheap_free(&g->heap->pages, s);
	sm__malloc_returned(bytes);
}

/* ---- behind the fast paths ---------------------------------------------------------------- */

/* An object of the class from the thread's cache, or without one. */
static void *from_cache(unsigned cls)
{
	struct sm_mcache *c;
	void *p;

	c = sm__mcache_get();
	if (SM_LIKELY(c != NULL))
		p = sm__mcache_refill(c, cls);
	else if (sm__process_heap.heap->config.page_per_object)
		p = sm__malloc_large(sm__sizeclasses[cls].slot_bytes, SM_UNIT);
	else
		p = sm__depot_take_one(cls);
	if (SM_UNLIKELY(sm__process_heap.heap->config.debug_fill) && p != NULL)
		memset(p, SM_FILL_FRESH, sm__sizeclasses[cls].slot_bytes);
	if (SM_UNLIKELY(p == NULL))
		errno = ENOMEM;
	return p;
}

static SM_NOINLINE void *malloc_refill(size_t size, size_t cls)
{
	/* The class alone does not prove it: another thread may be making the heap right now. */
	if (SM_LIKELY(cls != 0) && SM_LIKELY(sm_load_acquire(&sm__process_heap.made)))
		return from_cache((unsigned)cls);
	return sm__malloc_slow(size);
}

/* A heap that grows comes here for each object: nothing is saved on the stack for what follows. */
void *sm__malloc_empty(size_t size, size_t cls)
{
	void *p = sm__mcache_bump(sm__mcache, cls);

	return SM_LIKELY(p != NULL) ? p : malloc_refill(size, cls);
}

void *sm__malloc_slow(size_t size)
{
	if (SM_UNLIKELY(!sm__malloc_ready()))
		return NULL;
	if (size > SM_MAX_SMALL)
		return sm__malloc_large(size, SM_UNIT);
	return sm_load_acquire(&sm__process_heap.empty)(size, sm__malloc_class_of(size));
}

/* The list has room. */
static void push_object(struct sm_mcache *c, size_t cls, struct sm_freed *p, uint64_t key)
{
	c->room[cls]--;
	p->key = key;
	p->next = c->head[cls];
	c->head[cls] = p;
}

void sm__free_full(void *ptr, size_t class, uint64_t key)
{
	unsigned cls = (unsigned)class;
	struct sm_freed *p = ptr;
	struct sm_mcache *c;
	int saved;

	saved = errno;
	c = sm__mcache_for_free();
	if (SM_UNLIKELY(c == NULL)) {
		if (sm__process_heap.heap->config.debug_fill)
			memset(p + 1, SM_FILL_FREED, sm__sizeclasses[cls].slot_bytes - sizeof(*p));
		p->key = key;
		p->next = NULL;
		sm__depot_drain(cls, p);
	} else {
		if ((c->room[cls] & SM_ROOM_MASK) == 0)
			sm__mcache_overflow(c, cls);
		push_object(c, cls, p, key);
	}
	errno = saved;
}

void sm__free_slow(void *p)
{
	struct sm_process_heap *g = &sm__process_heap;
	struct sm_span *s;
	uint64_t key;
	int saved;
	size_t cls;

	if (p == NULL)
		return;
	cls = sm__malloc_class_at(g, p);
	key = sm__malloc_key(p);
	if (SM_LIKELY(cls != 0 && ((struct sm_freed *)p)->key != key)) {
		if (SM_LIKELY((sm__mcache->room[cls] & SM_ROOM_MASK) != 0))
			push_object(sm__mcache, cls, p, key);
		else
			sm_load_acquire (&g->full)(p, cls, key);
		return;
	}
	/* A large object, or none. */
	saved = errno;
	s = sm__malloc_span(p, "free");
	SM_CHECK(sm_load_relaxed(&s->state) == SM_SPAN_MALLOC_LARGE);
	free_large(s, p);
	errno = saved;
}

void *sm_malloc(size_t size)
{
	return sm__malloc_fast(size);
}

void sm_free(void *p)
{
	sm__free_fast(p);
}

/* ---- the rest of the family --------------------------------------------------------------- */

/* Of the object that starts at p, which is none of the freed ones. *large: its span, if it has one
 * to itself, else NULL. */
static size_t bytes_of(const void *p, const char *verb, struct sm_span **large)
{
	size_t cls = sm__malloc_class_at(&sm__process_heap, p);

	*large = NULL;
	if (SM_LIKELY(cls != 0 && ((const struct sm_freed *)p)->key != sm__malloc_key(p)))
		return sm__sizeclasses[cls].slot_bytes;
	*large = sm__malloc_span(p, verb);
	return sm_span_bytes(*large);
}

size_t sm_usable_size(const void *p)
{
	struct sm_span *large;

	return p ? bytes_of(p, "usable_size", &large) : 0;
}

void sm_free_sized(void *p, size_t size)
{
	if (p != NULL) {
		struct sm_span *large;
		size_t usable = bytes_of(p, "free_sized", &large);

		if (size > usable)
			sm__fatal(__FILE__, __LINE__, "free_sized: %p has %zu bytes, not %zu", p,
				  usable, size);
	}
	sm__free_fast(p);
}

void *sm_calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (bytes > SM_MAX_SMALL && sm__malloc_ready()) {
		struct sm_span *s;

		p = sm__malloc_large(bytes, SM_UNIT);
		if (p == NULL)
			return NULL;
		s = sm_span_of(&sm__process_heap.heap->pages.range, (uintptr_t)p);
		if (!(s->flags & SM_SPANF_ZEROED))
			memset(p, 0, bytes);
		return p;
	}
	p = sm__malloc_fast(bytes);
	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

/* The class of slots that are multiples of align and hold size; 0: none. Spans start at multiples
 * of a unit. */
static unsigned aligned_class(size_t align, size_t size)
{
	unsigned cls;

	if (align > SM_MAX_SMALL || align > SM_UNIT || size > SM_MAX_SMALL)
		return 0;
	for (cls = sm__malloc_class_of(size); cls < sm__nclasses; cls++)
		if (sm__sizeclasses[cls].slot_bytes % align == 0)
			return cls;
	return 0;
}

void *sm_aligned_alloc(size_t align, size_t size)
{
	unsigned cls;

	if (align == 0 || (align & (align - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (align <= 16)
		return sm__malloc_fast(size);
	if (!sm__malloc_ready())
		return NULL;
	cls = aligned_class(align, size);
	return cls ? sm__malloc_fast(sm__sizeclasses[cls].slot_bytes)
		   : sm__malloc_large(size, align);
}

/* ---- realloc ------------------------------------------------------------------------------ */

/* Large objects change in place where the page heap allows it. */
static bool resize_large(struct sm_span *s, size_t size)
{
	struct sm_process_heap *g = &sm__process_heap;
	size_t nunits, before = sm_span_bytes(s);

	if (size <= SM_MAX_SMALL || size > g->bytes)
		return false;
	nunits = sm_align_up(size, SM_UNIT) >> SM_UNIT_SHIFT;
	if (nunits > s->nunits && !sm__pageheap_grow(&g->heap->pages, s, nunits))
		return false;
	/* A tail of an eighth or more is worth giving back. */
	if (nunits < s->nunits && (s->nunits - nunits) * 8 >= s->nunits)
		sm__pageheap_shrink(&g->heap->pages, s, nunits);
	sm_fetch_add_relaxed(&g->large_bytes, sm_span_bytes(s) - before);
	return true;
}

static void *move(void *p, size_t have, size_t size)
{
	void *q = sm__malloc_fast(size);

	if (q == NULL)
		return NULL;
	memcpy(q, p, have < size ? have : size);
	sm__free_fast(p);
	return q;
}

void *sm_realloc(void *p, size_t size)
{
	struct sm_span *s;
	size_t have;

	if (p == NULL)
		return sm__malloc_fast(size);
	if (size == 0) {
		sm__free_fast(p);
		return NULL;
	}
	have = bytes_of(p, "realloc", &s);
	if (s != NULL) {
		if (resize_large(s, size))
			return p;
	} else if (size <= have && size >= have / 2) {
		return p;
	}
	return move(p, have, size);
}
