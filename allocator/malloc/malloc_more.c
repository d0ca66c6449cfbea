/* malloc_more.c: the rest of the malloc family. */
#include <errno.h>
#include <string.h>

#include "allocator/objects/central.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/malloc_internal.h"

static size_t bytes_of(const struct sm_span *s)
{
	return s->slot_bytes ? s->slot_bytes : sm_span_bytes(s);
}

size_t sm_usable_size(const void *p)
{
	return p ? bytes_of(sm__manual_span(p, "usable_size")) : 0;
}

void sm_free_sized(void *p, size_t size)
{
	if (p != NULL) {
		size_t usable = sm_usable_size(p);

		if (size > usable)
			sm__fatal(__FILE__, __LINE__, "free_sized: %p has %zu bytes, not %zu", p, usable,
				  size);
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
	if (bytes > SM_MAX_SMALL && sm__manual_ready()) {
		struct sm_span *s;

		p = sm__manual_large(bytes, SM_UNIT);
		if (p == NULL)
			return NULL;
		s = sm_span_of(&sm__manual.heap->pages.range, (uintptr_t)p);
		if (!(s->flags & SM_SPANF_ZEROED))
			memset(p, 0, bytes);
		return p;
	}
	p = sm__malloc_fast(bytes);
	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

/* The class of slots that are multiples of align and hold size; 0: none. Spans start at multiples of a unit. */
static unsigned aligned_class(size_t align, size_t size)
{
	unsigned cls;

	if (align > SM_MAX_SMALL || align > SM_UNIT || size > SM_MAX_SMALL)
		return 0;
	for (cls = sm__manual_class_of(size); cls < sm__nclasses; cls++)
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
	if (!sm__manual_ready())
		return NULL;
	cls = aligned_class(align, size);
	return cls ? sm__malloc_fast(sm__sizeclasses[cls].slot_bytes) : sm__manual_large(size, align);
}

/* ---- realloc --------------------------------------------------------------------------------------- */

/* Large objects change in place where the page heap allows it. */
static bool resize_large(struct sm_span *s, size_t size)
{
	struct sm_manual *g = &sm__manual;
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
	s = sm__manual_span(p, "realloc");
	have = bytes_of(s);
	if (s->slot_bytes == 0) {
		if (resize_large(s, size))
			return p;
	} else if (size <= have && size >= have / 2) {
		return p;
	}
	return move(p, have, size);
}
