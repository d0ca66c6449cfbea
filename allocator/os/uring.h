/*
 * uring.h: many madvise calls in one trip to the kernel, through io_uring (IORING_OP_MADVISE, Linux
 * 5.6).
 *
 * The kernel hands such requests to worker threads of its own, so a batch also runs in parallel.
 * Where io_uring is denied (seccomp filters of containers, kernel.io_uring_disabled) or too old,
 * opening says so and the caller uses madvise.
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
 * Opens a ring for SM_URING_BATCH requests. 0, or -errno: -EPERM, -EACCES, -ENOSYS (denied),
 * -ENOMEM, -EMFILE, -EOPNOTSUPP (the kernel's io_uring cannot madvise). Not for use by two threads
 * at once.
 */
int sm__uring_open(struct sm_uring **out);
void sm__uring_close(struct sm_uring *u);

/*
 * Runs n <= SM_URING_BATCH requests and waits for all; each has its result. 0, or -errno when the
 * ring itself failed: then every request that was not made has -ECANCELED and the ring should be
 * closed.
 */
int sm__uring_madvise(struct sm_uring *u, struct sm_advice *a, unsigned n);

#endif
