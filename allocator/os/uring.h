/*
 * uring.h: an io_uring (Linux 5.6): many madvise calls in one trip to the kernel, and reads and
 * writes that go on while their caller does something else.
 *
 * The kernel hands all requests to worker threads of its own, so a batch also runs in parallel.
 * Where io_uring is denied (seccomp filters of containers, kernel.io_uring_disabled) or too old,
 * opening says so and the caller uses madvise, pread or pwrite.
 */
#ifndef SM_ALLOCATOR_URING_H
#define SM_ALLOCATOR_URING_H

#include "allocator/base/base.h"

#define SM_URING_BATCH 64

struct sm_advice {
	void *addr; /* page-aligned, as is bytes */
	size_t bytes;
	int advice; /* MADV_* */
	int result; /* 0 or -errno */
};

struct sm_uring;

/*
 * Opens a ring for n requests at a time. 0, or -errno: -EPERM, -EACCES, -ENOSYS (denied), -ENOMEM,
 * -EMFILE, -EOPNOTSUPP (the kernel's io_uring cannot do them). Not for use by two threads at once.
 */
int sm__uring_open(struct sm_uring **out, unsigned n);
void sm__uring_close(struct sm_uring *u);

/*
 * Runs n <= SM_URING_BATCH requests, beside no others, and waits for all; each has its result. 0,
 * or -errno when the ring itself failed: then every request that was not made has -ECANCELED and
 * the ring should be closed.
 */
int sm__uring_madvise(struct sm_uring *u, struct sm_advice *a, unsigned n);

/*
 * Starts a read, of less than 4 GiB, that the kernel ends some time later: until it is taken the
 * memory is the kernel's. At most as many at a time as the ring was opened for. 0, or -errno: none
 * was started.
 */
int sm__uring_read(struct sm_uring *u, int fd, void *buf, size_t bytes, uint64_t offset,
		   uint64_t tag);
/* The same of a write; it may be done at once, by the caller, where the kernel can do that. */
int sm__uring_write(struct sm_uring *u, int fd, const void *buf, size_t bytes, uint64_t offset,
		    uint64_t tag);
/* Takes a read or write that has ended: its tag, and the bytes or -errno. With wait, waits until
 * there is one, or a signal comes. 1; 0: there is none; or -errno. */
int sm__uring_take(struct sm_uring *u, bool wait, uint64_t *tag, int *result);

#endif
