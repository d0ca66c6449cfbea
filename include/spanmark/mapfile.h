/*
 * mapfile.h: a file as a large, pointer-free object.
 *
 * The mapping lies in the heap's range, so pointers to it, interior ones included, are found and kept
 * alive like any other; when it dies (collected heap) or is freed, the file is unmapped.
 */
#ifndef SM_ALLOCATOR_MAPFILE_H
#define SM_ALLOCATOR_MAPFILE_H

#include "allocator/objects/heap.h"

#define SM_MAP_PRIVATE 0u /* writes stay in memory, as far as they are allowed */
#define SM_MAP_SHARED  1u /* writes go to the file */
#define SM_MAP_WRITE   2u /* may be written; else writing faults */

/*
 * Maps bytes of fd from offset, a multiple of the page size, as an object of c's heap. The descriptor may
 * be closed afterwards. What lies behind the file's end reads as zero up to the end of its page; behind
 * that, access raises SIGBUS or SIGSEGV. The heap's limit counts the mapping's address space.
 * NULL with errno: EINVAL (offset, no bytes), EBADF, EACCES (how the file was opened), ENODEV (what cannot
 * be mapped), ENOMEM.
 */
SM_API void *sm_map_file(struct sm_cache *c, int fd, int64_t offset, size_t bytes, unsigned flags);
/* Unmaps it now, rather than when it is collected. p is what sm_map_file returned, and nobody uses it. From any thread, at
 * any moment of a cycle. In a collected heap the address space is counted until the next cycle has been swept. */
SM_API void sm_unmap_file(struct sm_heap *h, void *p);
#endif
