/*
 * os.h: the contract with the operating system: address space, memory, nodes.
 *
 * Everything the allocator and the collector ask of the kernel about memory goes through here, one
 * small function a request, so that a port is one file and a test can make any request fail:
 *
 *   reserve   address space without memory        (PROT_NONE, no accounting)
 *   commit    make a reserved piece usable        (zero-filled at first touch, bound before it)
 *   release   drop the contents, stay usable      (reads as zero afterwards)
 *   decommit  back to reserved                    (memory, page tables and accounting are gone)
 *   unmap     give the address space itself back
 *
 * Units are bytes; pointers and lengths are multiples of the page size unless said otherwise. Every
 * call returns 0 or -errno (pointers: NULL with errno set) and leaves errno alone otherwise.
 * Errors that callers must expect:
 *
 *   -ENOMEM  the kernel refuses: RLIMIT_AS, overcommit limit, too many mappings (vm.max_map_count)
 *   -EPERM, -EACCES, -ENOSYS  the call itself is denied (seccomp, container, kernel without it)
 *   -EINVAL  the kernel does not know the request (an madvise of a newer kernel), or for bind: the
 *            node has no memory that this process may use
 *   -EAGAIN  try again later (madvise, collapse)
 */
#ifndef SM_ALLOCATOR_OS_H
#define SM_ALLOCATOR_OS_H

#include <sys/types.h>

#include "allocator/base/base.h"

/* What a request is, for fault injection and for counting. */
enum sm_os_kind {
	SM_OS_RESERVE,
	SM_OS_COMMIT,
	SM_OS_DECOMMIT,
	SM_OS_MADVISE, /* release included */
	SM_OS_UNMAP,   /* cannot be refused; counted only */
	SM_OS_BIND,
	SM_OS_FILE,
	SM_OS_PROTECT,
	SM_OS_URING, /* setting an io_uring up, or submitting to it */
	SM_OS_KINDS,
	SM_OS_ANY = SM_OS_KINDS /* for injection: whichever comes nth */
};

/* Page size of this kernel; and of a huge page that transparent huge pages use, 0 when there are
 * none. */
size_t sm__os_page_size(void);
size_t sm__os_huge_size(void);

/*
 * Reserves address space, aligned to `align` (a power of two). The base is random, unless the
 * process was started without address randomisation (setarch -R), which asks for equal runs.
 */
void *sm__os_reserve(size_t bytes, size_t align);
/* As reserve, but readable: reads as zero, writing faults. For tables that any address may be
 * looked up in. */
void *sm__os_reserve_readable(size_t bytes);
/* Makes a reserved piece readable and writable. Idempotent. -ENOMEM. */
int sm__os_commit(void *p, size_t bytes);
/* Drops contents and turns the piece back into reserved address space. Also undoes a file mapping.
 */
int sm__os_decommit(void *p, size_t bytes);
/* Drops the contents; the next touch reads zero. */
int sm__os_release(void *p, size_t bytes);
int sm__os_madvise(void *p, size_t bytes, int advice);
/*
 * The same without a reservation, of address space that seems unused: a place is found,
 * pieces of it are mapped (zero, usable, accounted by the kernel) and unmapped. find: NULL where
 * such a place cannot be told from the address alone. map_at: -EEXIST: something is mapped there.
 */
void *sm__os_find(size_t bytes, size_t align);
int sm__os_map_at(void *p, size_t bytes);
int sm__os_unmap_at(void *p, size_t bytes);
/* An inaccessible page, so that nobody is given large address space that holds it. */
int sm__os_stake(void *p);
/* No access (a guard page) and back. Contents are kept. */
int sm__os_protect(void *p, size_t bytes, bool accessible);
/* NULL: nothing. */
void sm__os_unmap(void *p, size_t bytes);

/*
 * Binds pages that will be touched later to a node, by the kernel's number. strict: memory of no
 * other node, ever (the kernel may kill for it); else the node is preferred.
 */
int sm__os_bind(void *p, size_t bytes, int node_os, bool strict);

/*
 * Replaces reserved pages at p by bytes of a file from offset (a multiple of the page size; bytes
 * need not be). Errors are mmap's: -EACCES (the file is not open for that), -ENODEV, -EINVAL,
 * -ENOMEM.
 */
int sm__os_map_file(void *p, size_t bytes, int fd, off_t offset, bool shared, bool writable);

/*
 * Tables of the collector's and the allocator's own: readable, writable, zero, memory page by page
 * as it is touched, or (populated) when this returns. NULL with errno. bytes need not be a multiple
 * of the page size, here and where sm__os_unmap gives it back.
 */
void *sm__os_map(size_t bytes);
void *sm__os_map_populated(size_t bytes);
/* Makes one larger, maybe at another place; what is there is kept. NULL with errno: as it was. */
void *sm__os_remap(void *p, size_t bytes, size_t wanted);
/* Metadata: readable, writable, zero, between two inaccessible pages. NULL with errno. */
void *sm__os_map_guarded(size_t bytes);
void sm__os_unmap_guarded(void *p, size_t bytes);

/* The size that mappings of this process are limited to (RLIMIT_AS), SIZE_MAX: unlimited. */
size_t sm__os_address_limit(void);
/* What this process's control group may have (cgroup versions 1 and 2, the groups above it
 * included); SIZE_MAX: unlimited. root: "", or in tests the folder that stands for /. */
size_t sm__os_memory_limit(const char *root);
/*
 * The nodes that have memory for this process into cfg: nnodes (0: there is one, or the kernel does
 * not say), node_os, distance, cpu_node. root as above. One thread at a time.
 */
struct sm_heap_config;
void sm__os_nodes(const char *root, struct sm_heap_config *cfg);
/* 64 random bits; from the kernel, or from clock and address where that is denied. */
uint64_t sm__os_random(void);

/*
 * Tests: the nth next request of this kind fails with errno err and is not made; nth < 0: the -nth
 * and every later one; 0: none. One injection at a time. Returns how many requests of that kind the
 * injection before has seen.
 */
unsigned long sm__os_inject(enum sm_os_kind kind, long nth, int err);
/* The injection point, for requests made elsewhere (io_uring): 0 go on, -errno fail. */
int sm__os_fault(enum sm_os_kind kind);
/* Tests: what sm__os_page_size answers from here on; 0: the kernel's again. */
void sm__os_pretend_page_size(size_t bytes);

#endif
