/*
 * mapfile.h: a file as a large, pointer-free object.
 *
 * The mapping lies in the heap's range, so pointers to it, interior ones included, are found and
 * keep it alive like any other; when it dies (collected heap) or is freed, the file is unmapped.
 *
 * Example:
 *     #include <spanmark/mapfile.h>
 *     #include <spanmark/malloc.h>
 *     #include <fcntl.h>
 *     #include <unistd.h>
 *     int fd = open("/proc/self/exe", O_RDONLY);
 *     char *p = (char *)sm_malloc_map_file(fd, 0, 4096, SM_MAP_PRIVATE);
 *     close(fd);
 *     int elf = p != NULL && p[1] == 'E' && p[2] == 'L' && p[3] == 'F';
 *     sm_free(p);
 *     return !elf;
 */
#ifndef SPANMARK_MAPFILE_H
#define SPANMARK_MAPFILE_H

#include <stddef.h>
#include <stdint.h>

#include "spanmark/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sm_mutator;

#define SM_MAP_PRIVATE 0u /* writes stay in memory, as far as they are allowed */
#define SM_MAP_SHARED  1u /* writes go to the file */
#define SM_MAP_WRITE   2u /* may be written; else writing faults */

/*
 * Maps bytes of fd from offset, a multiple of the page size, as an object of m's heap. The
 * descriptor may be closed afterwards. What lies behind the file's end reads as zero up to the end
 * of its page; behind that, access raises SIGBUS or SIGSEGV. The heap's limit counts the mapping's
 * address space. The object is the collector's. The calling thread's own mutator, outside a
 * blocking section; a safepoint. NULL with errno: EINVAL (offset, no bytes), EBADF, EACCES (how the
 * file was opened), ENODEV (what cannot be mapped), ENOMEM (after a collection).
 */
SM_API void *sm_map_file(struct sm_mutator *m, int fd, int64_t offset, size_t bytes,
			 unsigned flags);
/*
 * Unmaps it now, rather than when it is collected: at any moment of a cycle. p is what sm_map_file
 * returned, and nobody uses it: anything else aborts. The calling thread's own mutator, of the same
 * collector.
 */
SM_API void sm_unmap_file(struct sm_mutator *m, void *p);
#ifdef __cplusplus
}
#endif

#endif
