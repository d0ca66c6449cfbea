/*
 * large.c: objects above SM_MAX_SMALL: a span each.
 */
#include <errno.h>
#include <string.h>

#include "allocator/objects/cache.h"
#include "allocator/objects/central.h"

static struct sm_span *large_span(struct sm_cache *c, size_t nunits, size_t size)
{
	struct sm_heap *h = c->heap;
	struct sm_span *s;

	do
		s = sm__pageheap_alloc(&h->pages, c->node, nunits);
	while (s == NULL && sm__heap_out_of_memory(h, c, size));
	return s;
}

void sm__cache_publish_large(struct sm_cache *c, struct sm_span *s, const struct sm_layout *layout)
{
	struct sm_heap *h = c->heap;

	sm__span_init_large(h, s, layout);
	if (c->black && h->hooks.large_new != NULL)
		h->hooks.large_new(h->hooks.ctx, c, s);
	sm__central_put_large(h, s);
	c->stats.large_objects++;
	c->stats.large_bytes += sm_span_bytes(s);
	c->unposted += sm_span_bytes(s);
	sm__cache_post(c);
}

void *sm__cache_large(struct sm_cache *c, size_t size, const struct sm_layout *layout, bool zero)
{
	struct sm_heap *h = c->heap;
	struct sm_span *s;
	size_t bytes;
	char *p;

	if (size > h->pages.range.bytes) {
		errno = ENOMEM;
		return NULL;
	}
	bytes = sm_align_up(size ? size : 1, SM_UNIT);
	sm_phase_enter(SM_PHASE_REFILL);
	SM_PROBE1(refill_large, bytes);
	sm__cache_before_refill(c, bytes);
	s = large_span(c, bytes >> SM_UNIT_SHIFT, bytes);
	if (s == NULL) {
		sm_phase_leave(SM_PHASE_REFILL);
		errno = ENOMEM;
		return NULL;
	}
	p = (char *)sm_span_base(&h->pages.range, s);
	/* Before it is published: a scanner must not see pointers of the memory's former life. */
	if ((zero || layout->kind != SM_SCAN_NONE) && !(s->flags & SM_SPANF_ZEROED))
		memset(p, 0, bytes);
	s->flags &= (uint8_t)~SM_SPANF_ZEROED;
	sm__cache_publish_large(c, s, layout);
	sm_phase_leave(SM_PHASE_REFILL);
	return p;
}
