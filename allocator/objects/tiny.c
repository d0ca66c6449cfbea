/*
 * tiny.c: pointer-free objects under 16 B share a 16 B block.
 *
 * A block stays alive as long as any object in it is reachable, and what is born in a block that was
 * allocated before marking began needs that block to be black: so the block counts as a window
 * (sm__cache_foreach_window) and is dropped when windows are retired.
 */
#include "allocator/objects/cache.h"

#define TINY_BLOCK 16

void *sm__cache_tiny(struct sm_cache *c, size_t size, size_t align)
{
	char *p = (char *)sm_align_up((uintptr_t)c->tiny_cur, align);
	unsigned bin = sm__class_small[TINY_BLOCK / 8];

	SM_ASSERT(size < TINY_BLOCK && align <= 8 && (align & (align - 1)) == 0);
	if (c->tiny_cur != NULL && (size_t)(c->tiny_end - c->tiny_cur) >= size && p + size <= c->tiny_end) {
		c->tiny_cur = p + size;
		return p;
	}
	p = sm__cache_bump(c, bin);
	if (p == NULL)
		p = sm__cache_refill_slow(c, bin);
	if (p == NULL)
		return NULL;
	/* Keep the block with more room. A full block is no window any more. */
	if (c->tiny_cur == NULL || TINY_BLOCK - size > (size_t)(c->tiny_end - c->tiny_cur)) {
		c->tiny_cur = p + size;
		c->tiny_end = p + TINY_BLOCK;
	}
	return p;
}
