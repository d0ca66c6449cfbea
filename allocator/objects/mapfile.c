/*
 * mapfile.c: a file as a large, pointer-free object: sm_map_file, sm_malloc_map_file.
 */
#include "spanmark/heap.h"

#include <errno.h>

#include "allocator/objects/central.h"
#include "allocator/os/os.h"

void *sm__map_file(struct sm_cache *c, int fd, int64_t offset, size_t bytes, unsigned flags)
{
	static const struct sm_layout pointer_free = {.kind = SM_SCAN_NONE};
	struct sm_heap *h = c->heap;
	const struct sm_layout *layout = sm__heap_layout(h, &pointer_free);
	struct sm_span *s;

	if (layout == NULL)
		return NULL;
	do
		s = sm__pageheap_map_file(&h->pages, c->node, fd, offset, bytes,
					  flags & SM_MAP_SHARED, flags & SM_MAP_WRITE);
	while (s == NULL && errno == ENOMEM && sm__heap_out_of_memory(h, c, bytes));
	if (s == NULL)
		return NULL;
	/* An allocation like others, for a reader that asks whether there was one; but a file's
	 * length makes no mutator assist. */
	sm__cache_publish_large(c, s, layout);
	return (void *)sm_span_base(&h->pages.range, s);
}

/*
 * In a collected heap the place stays an object, dead and without memory, and the sweep frees it
 * like any other: a thread that scans a stack may have found a stale word that leads here and be
 * reading the descriptor, or setting the mark bit, at this moment, and only the end of marking
 * tells that none does. (No marker reads what a file holds.)
 */
void sm__unmap_file(struct sm_heap *h, void *p)
{
	struct sm_span *s;

	SM_CHECK(sm_range_contains(&h->pages.range, (uintptr_t)p));
	s = sm_span_of(&h->pages.range, (uintptr_t)p);
	SM_CHECK(sm_span_base(&h->pages.range, s) == (uintptr_t)p);
	SM_CHECK(sm_load_acquire(&s->state) == SM_SPAN_LARGE);
	if (h->pages.range.marks == NULL) {
		SM_CHECK(s->flags & SM_SPANF_FILE);
		sm__central_remove(h, s);
		sm__span_release(h, s);
		return;
	}
	sm__central_file_gone(h, s);
	/* Refused, the file stays mapped until the place is swept. */
	(void)sm__os_decommit(p, sm_span_bytes(s));
}
