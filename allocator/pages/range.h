/*
 * range.h: a heap's address space: one reservation, equal ranges for its nodes, one descriptor
 * table.
 *
 *   base           +1 node range        +2                          +bytes
 *    | g | arenas -> . . . <- own mappings | g | arenas -> . . . <- own | guard
 *
 * Nothing of it is memory at first. A node's range is committed from its lower end by arenas, which
 * the node's page heap cuts up, and from its upper end by mappings of their own for what is larger
 * than an arena or is a file: so every address of the heap, large objects and files included, is in
 * the one range, and a lookup is one compare. Unit 0 of each node range (g) is never committed.
 *
 * Descriptors. The whole table is readable from the start and reads as zero, a free span: any word
 * may be looked up, whatever it points at. A descriptor becomes writable with the memory it
 * describes.
 *
 * A sparse range (config.sparse) is not reserved: what is not committed is not mapped, the
 * descriptors' pages included, which come with the units and stay. Sixteen pages are, far from each
 * other, so that a program that asks for much address space at a place of its own choice does not
 * get it here; where a little of it is somebody else's all the same, spans become own mappings.
 *
 * Bytes committed (arenas, own mappings, their descriptors: 128 B a unit, and a collected heap's
 * mark bits) are counted in pages->mapped_bytes and held against pages->limit.
 */
#ifndef SM_ALLOCATOR_RANGE_H
#define SM_ALLOCATOR_RANGE_H

#include "allocator/pages/pages.h"

/*
 * Makes the range and the page heap as *config says, which must outlive them; sets nnodes (1 when
 * the configuration has none) and limit. *pg is zero before. The reservation is halved until the
 * kernel grants it. -ENOMEM, -EINVAL (a span unit smaller than this kernel's pages, a node out of
 * bounds); err (may be NULL) receives one line. sm__range_destroy gives everything back, also after
 * a failure.
 */
int sm__range_create(struct sm_pages *pg, const struct sm_heap_config *config, char *err,
		     size_t errlen);
void sm__range_destroy(struct sm_pages *pg);

/* Of a sparse range: [p, p + bytes) is about to be mapped, and holds nothing of ours then. */
void sm__range_clear(struct sm_pages *pg, void *p, size_t bytes);

/* Holds bytes against the limit. False: it would be passed, nothing is changed. */
bool sm__range_charge(struct sm_pages *pg, size_t bytes);
void sm__range_uncharge(struct sm_pages *pg, size_t bytes);
/* Tests: the folder that stands for / where a control group's limit is looked up. */
void sm__range_limit_root(const char *root);

#endif
