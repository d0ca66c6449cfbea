/*
 * meta.h: memory for what describes objects and must not lie beside them: external bitmaps,
 * layouts, tables. It never shares a page with objects, each chunk has a guard page on either side,
 * and it is never unmapped before the heap is, so a late reader of a dead span's bitmap reads stale
 * bits, not a hole. Blocks are a power of two, a cache line or more, zeroed when handed out.
 *
 * Counted in pages->mapped_bytes. Thread-safe; takes its own lock (rank SM_RANK_META, the
 * innermost).
 */
#ifndef SM_ALLOCATOR_META_H
#define SM_ALLOCATOR_META_H

#include "allocator/pages/pages.h"

int sm__meta_init(struct sm_pages *pg); /* 0, -ENOMEM */
void sm__meta_fini(struct sm_pages *pg);
/* Zeroed, aligned to a cache line. NULL: no memory, or heap.limit. */
void *sm__meta_alloc(struct sm_pages *pg, size_t bytes);
/* The same on pages of its own: for tables that are mostly never touched. Never freed. */
void *sm__meta_pages(struct sm_pages *pg, size_t bytes);
/* `bytes` as it was asked for. p may be NULL. */
void sm__meta_free(struct sm_pages *pg, void *p, size_t bytes);
size_t sm__meta_bytes(struct sm_pages *pg);

/* Around fork: takes and releases the pool's lock; the child resets it. */
void sm__meta_fork_prepare(struct sm_pages *pg);
void sm__meta_fork_parent(struct sm_pages *pg);
void sm__meta_fork_child(struct sm_pages *pg);

#endif
