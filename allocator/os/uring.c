#include "allocator/os/uring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "allocator/os/os.h"

struct sm_uring {
	struct io_uring ring;
};

/* "Refused" and "not supported" are told apart: a ring that opens may still not know the request. */
static int probe_madvise(struct io_uring *ring)
{
	/* io_uring_get_probe would call malloc, which may be us. */
	char memory[sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op)];
	struct io_uring_probe *p = (struct io_uring_probe *)(void *)memory;
	int err;

	memset(memory, 0, sizeof(memory));
	err = io_uring_register_probe(ring, p, 256);
	if (err != 0)
		return err == -EINVAL ? -EOPNOTSUPP : err;
	return io_uring_opcode_supported(p, IORING_OP_MADVISE) ? 0 : -EOPNOTSUPP;
}

int sm__uring_open(struct sm_uring **out)
{
	struct sm_uring *u;
	int err = sm__os_fault(SM_OS_URING);

	if (err != 0)
		return err;
	u = sm__os_map_guarded(sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	err = io_uring_queue_init(SM_URING_BATCH, &u->ring, 0);
	if (err == 0) {
		err = probe_madvise(&u->ring);
		if (err != 0)
			io_uring_queue_exit(&u->ring);
	}
	if (err != 0) {
		sm__os_unmap_guarded(u, sizeof(*u));
		return err;
	}
	*out = u;
	return 0;
}

void sm__uring_close(struct sm_uring *u)
{
	if (u == NULL)
		return;
	io_uring_queue_exit(&u->ring);
	sm__os_unmap_guarded(u, sizeof(*u));
}

/* Takes one completion; its request has its result then. */
static int reap(struct sm_uring *u, struct sm_advice *a)
{
	struct io_uring_cqe *cqe;
	int err;

	do
		err = io_uring_wait_cqe(&u->ring, &cqe);
	while (err == -EINTR);
	if (err != 0)
		return err;
	a[io_uring_cqe_get_data64(cqe)].result = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return 0;
}

int sm__uring_madvise(struct sm_uring *u, struct sm_advice *a, unsigned n)
{
	unsigned submitted = 0;
	int err = sm__os_fault(SM_OS_URING);

	for (unsigned i = 0; i < n; i++)
		a[i].result = -ECANCELED;
	if (err != 0)
		return err;
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		SM_CHECK(sqe != NULL); /* n fits, and every batch is waited for */
		/* The length is 32 bits wide in the request: callers stay below 4 GiB a piece. */
		SM_CHECK(a[i].bytes <= UINT32_MAX);
		io_uring_prep_madvise(sqe, a[i].addr, (off_t)a[i].bytes, a[i].advice);
		/* Straight to a worker: an attempt in place first is always refused with EAGAIN. */
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		io_uring_sqe_set_data64(sqe, i);
	}
	while (submitted < n) {
		int rc = io_uring_submit(&u->ring);

		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
			err = rc;
			break;
		}
		submitted += rc > 0 ? (unsigned)rc : 0;
	}
	/* What went in is waited for in any case: nobody may touch the pieces before. */
	for (unsigned i = 0; i < submitted; i++) {
		int rc = reap(u, a);

		if (rc != 0)
			return rc;
	}
	return err;
}
