/* mixed.c: objects in spans of mixed layouts, and their bits. */
#include "allocator/objects/mixed.h"

#include <errno.h>

static const struct sm_layout mixed_layouts[2] = {
	{.kind = SM_SCAN_MIXED, .period = 1, .nptrs = 1},
	{.kind = SM_SCAN_MIXED, .period = 1, .nptrs = 1, .fixed = 1},
};

#define WORD_SHIFT 3

/* ---- the bitmap --------------------------------------------------------------------------- */

size_t sm__mixed_bytes(const struct sm_span *s)
{
	return sm_span_bytes(s) >> (WORD_SHIFT + 3);
}

void sm__mixed_write(const struct sm_range *r, struct sm_span *s, uintptr_t p,
		     const struct sm_layout *l)
{
	size_t first = (p - sm_span_base(r, s)) >> WORD_SHIFT,
	       end = first + (s->slot_bytes >> WORD_SHIFT);

	for (size_t at = first, next; at < end; at = next) {
		_Atomic(uint64_t) *word = &s->pointers[at / 64];
		uint64_t mask = ~(uint64_t)0 << (at % 64), differ;

		next = (at / 64 + 1) * 64;
		if (next > end) {
			mask &= ~(uint64_t)0 >> (next - end);
			next = end;
		}
		differ = ((sm__layout_bits(l, at - first, next - at) << (at % 64)) ^
			  sm_load_relaxed(word)) &
			 mask;
		if (differ != 0)
			sm_fetch_xor_relaxed(word, differ);
	}
}

/* ---- objects ------------------------------------------------------------------------------ */

/* The class's mixed bin. They are made on first use, and there are always bins left for them:
 * typedesc.c. */
static unsigned mixed_bin(struct sm_heap *h, unsigned cls, unsigned fixed)
{
	/* Acquire: a thread that sees the bin sees what it is, and that there are so many. */
	unsigned bin = sm_load_acquire(&h->mixed[fixed][cls]);
	int made;

	if (SM_LIKELY(bin != 0))
		return bin;
	made = sm__heap_bin(h, cls, &mixed_layouts[fixed], true);
	SM_CHECK(made > 0);
	sm_store_release(&h->mixed[fixed][cls], (uint16_t)made);
	return (unsigned)made;
}

void *sm__cache_mixed(struct sm_cache *c, struct sm_shape *shape, const struct sm_layout *l)
{
	struct sm_heap *h = c->heap;
	unsigned cls = sm_load_relaxed(&shape->cls), bin;
	void *p;

	if (SM_UNLIKELY(h->config.page_per_object))
		return sm__cache_large(c, sm__sizeclasses[cls].slot_bytes, l, true);
	bin = mixed_bin(h, cls, l->fixed);
	p = sm__cache_bump(c, bin);
	if (SM_LIKELY(p != NULL))
		p = (void *)sm__run_address(&h->pages.range, p);
	else if ((p = sm__cache_refill_slow(c, bin)) == NULL)
		return NULL;
	sm__mixed_write(&h->pages.range, sm_span_of(&h->pages.range, (uintptr_t)p), (uintptr_t)p,
			l);
	return p;
}

/* A hint: threads that count at the same time may lose some. */
size_t sm__shape_count(struct sm_heap *h, struct sm_shape *s, size_t bytes)
{
	uint32_t gen = sm_load_relaxed(&h->sweepgen), age = (gen - sm_load_relaxed(&s->since)) / 2;
	uint32_t n = sm_load_relaxed(&s->lately);

	if (age != 0) {
		n = age < 32 ? n >> age : 0;
		sm_store_relaxed(&s->since, gen);
	}
	n += (uint32_t)(bytes / 16);
	sm_store_relaxed(&s->lately, n);
	return (size_t)n * 16;
}
