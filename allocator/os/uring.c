/*
 * uring.c: an io_uring for madvise, reads and writes alone, by the four system calls and the two
 * rings they share with the kernel.
 *
 *     we write:   sqes[i], sq.array[], sq.tail (release)         the kernel reads up to tail
 *     it writes:  cqes[], cq.tail (release)                      we read up to tail (acquire), then
 *                 move cq.head (release)
 *
 * Source: J. Axboe, "Efficient IO with io_uring" (2019); io_uring_setup(2), io_uring_enter(2).
 */
#include "allocator/os/uring.h"

#include <linux/io_uring.h>

#include "allocator/base/atomic.h"
#include "allocator/base/syscall.h"
#include "allocator/os/os.h"

struct sm_uring {
	int fd;
	char *sq, *cq; /* the rings; the same mapping where the kernel has one for both */
	size_t sq_bytes, cq_bytes, sqes_bytes;
	struct io_uring_sqe *sqes;
	struct io_uring_params p; /* offsets into the rings */
	unsigned put;		  /* requests in the ring that the kernel has not taken yet */
	/* What the kernel can do: a probe with 256 operations. Here, for this may run on a small
	 * stack, and beside another ring's opening. */
	struct io_uring_probe_op
		probe[256 + sizeof(struct io_uring_probe) / sizeof(struct io_uring_probe_op)];
};

static _Atomic(uint32_t) *at(char *ring, uint32_t offset)
{
	return (_Atomic(uint32_t) *)(void *)(ring + offset);
}

static char *map_ring(struct sm_uring *u, size_t bytes, off_t what)
{
	long p = sm__sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
			      what);

	return sm__sys_failed(p) ? NULL : (char *)p;
}

static int map_rings(struct sm_uring *u)
{
	const struct io_uring_params *p = &u->p;

	u->sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	u->cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	u->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
	if (p->features & IORING_FEAT_SINGLE_MMAP)
		u->sq_bytes = u->cq_bytes = u->sq_bytes > u->cq_bytes ? u->sq_bytes : u->cq_bytes;
	u->sq = map_ring(u, u->sq_bytes, IORING_OFF_SQ_RING);
	u->cq = p->features & IORING_FEAT_SINGLE_MMAP
			? u->sq
			: map_ring(u, u->cq_bytes, IORING_OFF_CQ_RING);
	u->sqes = (struct io_uring_sqe *)(void *)map_ring(u, u->sqes_bytes, IORING_OFF_SQES);
	return u->sq == NULL || u->cq == NULL || u->sqes == NULL ? -ENOMEM : 0;
}

/* "Refused" and "not supported" are told apart: a ring that opens may still not know the request.
 */
static int probe(struct sm_uring *u)
{
	struct io_uring_probe *p = (struct io_uring_probe *)(void *)u->probe;
	int err = (int)sm__syscall6(SYS_io_uring_register, u->fd, IORING_REGISTER_PROBE, (long)p,
				    256, 0, 0);
	if (err != 0)
		return err == -EINVAL ? -EOPNOTSUPP : err;
	return p->last_op >= IORING_OP_MADVISE &&
			       p->ops[IORING_OP_READ].flags & IO_URING_OP_SUPPORTED &&
			       p->ops[IORING_OP_WRITE].flags & IO_URING_OP_SUPPORTED &&
			       p->ops[IORING_OP_MADVISE].flags & IO_URING_OP_SUPPORTED
		       ? 0
		       : -EOPNOTSUPP;
}

int sm__uring_open(struct sm_uring **out, unsigned n)
{
	struct sm_uring *u;
	int err = sm__os_fault(SM_OS_URING);

	if (err != 0)
		return err;
	u = sm__os_map_guarded(sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	u->fd = (int)sm__syscall6(SYS_io_uring_setup, n, (long)&u->p, 0, 0, 0, 0);
	err = u->fd < 0 ? u->fd : map_rings(u);
	if (err == 0)
		err = probe(u);
	if (err != 0)
		sm__uring_close(u);
	else
		*out = u;
	return err;
}

void sm__uring_close(struct sm_uring *u)
{
	if (u == NULL)
		return;
	if (u->sqes != NULL)
		(void)sm__sys_munmap(u->sqes, u->sqes_bytes);
	if (u->cq != NULL && u->cq != u->sq)
		(void)sm__sys_munmap(u->cq, u->cq_bytes);
	if (u->sq != NULL)
		(void)sm__sys_munmap(u->sq, u->sq_bytes);
	if (u->fd >= 0)
		(void)sm__syscall6(SYS_close, u->fd, 0, 0, 0, 0, 0);
	sm__os_unmap_guarded(u, sizeof(*u));
}

/* A request into the submission ring, in which there is room. */
static void put(struct sm_uring *u, const struct io_uring_sqe *request)
{
	uint32_t mask = sm_load_relaxed(at(u->sq, u->p.sq_off.ring_mask));
	uint32_t tail = sm_load_relaxed(at(u->sq, u->p.sq_off.tail)), slot = tail & mask;

	u->sqes[slot] = *request;
	sm_store_relaxed(at(u->sq, u->p.sq_off.array + slot * (uint32_t)sizeof(uint32_t)), slot);
	/* The kernel that sees the tail sees the request. */
	sm_store_release(at(u->sq, u->p.sq_off.tail), tail + 1);
	u->put++;
}

/* Hands over what was put, or waits for a completion; the kernel may do less. 0 or -errno. */
static int enter(struct sm_uring *u, bool wait)
{
	long rc = sm__syscall6(SYS_io_uring_enter, u->fd, wait ? 0 : u->put, wait,
			       wait ? IORING_ENTER_GETEVENTS : 0, 0, 0);

	if (rc > 0 && !wait)
		u->put -= (unsigned)rc;
	return rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc >= 0 ? 0 : (int)rc;
}

/* Until all that was put is the kernel's. */
static int submit(struct sm_uring *u)
{
	int err = 0;

	while (u->put > 0 && err == 0)
		err = enter(u, false);
	return err;
}

/* Takes a completion, if one is there. */
static bool reap(struct sm_uring *u, uint64_t *tag, int *result)
{
	const struct io_uring_cqe *cqes =
		(const struct io_uring_cqe *)(void *)(u->cq + u->p.cq_off.cqes);
	uint32_t mask = sm_load_relaxed(at(u->cq, u->p.cq_off.ring_mask));
	uint32_t head = sm_load_relaxed(at(u->cq, u->p.cq_off.head));

	if (head == sm_load_acquire(at(u->cq, u->p.cq_off.tail)))
		return false;
	*tag = cqes[head & mask].user_data;
	*result = cqes[head & mask].res;
	/* The kernel may write there again. */
	sm_store_release(at(u->cq, u->p.cq_off.head), head + 1);
	return true;
}

int sm__uring_madvise(struct sm_uring *u, struct sm_advice *a, unsigned n)
{
	unsigned submitted, done = 0;
	int err = sm__os_fault(SM_OS_URING), waited = 0, result;
	uint64_t i;

	for (i = 0; i < n; i++)
		a[i].result = -ECANCELED;
	if (err != 0)
		return err;
	for (i = 0; i < n; i++) {
		/* The length is 32 bits wide in the request: callers stay below 4 GiB a piece. */
		SM_CHECK(a[i].bytes <= UINT32_MAX);
		put(u, &(struct io_uring_sqe){
			       .opcode = IORING_OP_MADVISE,
			       /* Straight to a worker: an attempt in place first is always refused
				* with EAGAIN. */
			       .flags = IOSQE_ASYNC,
			       .fd = -1,
			       .addr = (uintptr_t)a[i].addr,
			       .len = (uint32_t)a[i].bytes,
			       .fadvise_advice = (uint32_t)a[i].advice,
			       .user_data = i,
		       });
	}
	err = submit(u);
	submitted = n - u->put;
	/* What went in is waited for in any case: no thread may touch the pieces before. */
	while (done < submitted && waited == 0) {
		if (reap(u, &i, &result)) {
			a[i].result = result;
			done++;
		} else {
			waited = enter(u, true);
		}
	}
	return waited != 0 ? waited : err;
}

static int transfer(struct sm_uring *u, uint8_t opcode, uint8_t flags, int fd, const void *buf,
		    size_t bytes, uint64_t offset, uint64_t tag)
{
	SM_CHECK(bytes <= UINT32_MAX);
	put(u, &(struct io_uring_sqe){
		       .opcode = opcode,
		       .flags = flags,
		       .fd = fd,
		       .addr = (uintptr_t)buf,
		       .len = (uint32_t)bytes,
		       .off = offset,
		       .user_data = tag,
	       });
	return submit(u);
}

int sm__uring_read(struct sm_uring *u, int fd, void *buf, size_t bytes, uint64_t offset,
		   uint64_t tag)
{
	/* What is in memory already would be read by the caller, at once. */
	return transfer(u, IORING_OP_READ, IOSQE_ASYNC, fd, buf, bytes, offset, tag);
}

int sm__uring_write(struct sm_uring *u, int fd, const void *buf, size_t bytes, uint64_t offset,
		    uint64_t tag)
{
	/* A copy into the page cache by the caller is cheaper than a worker of the kernel's, which
	 * would run on any CPU. */
	return transfer(u, IORING_OP_WRITE, 0, fd, buf, bytes, offset, tag);
}

int sm__uring_take(struct sm_uring *u, bool wait, uint64_t *tag, int *result)
{
	int err = 0;

	if (reap(u, tag, result))
		return 1;
	if (wait)
		err = enter(u, true);
	return err != 0 ? err : reap(u, tag, result);
}
