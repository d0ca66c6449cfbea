/* io_uring: batches of madvise, reads, and rings beside each other. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/os/os.h"
#include "allocator/os/uring.h"
#include "tests/support/pagetest.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static void open_or_skip(struct sm_uring **u, unsigned n)
{
	int err = sm__uring_open(u, n);

	if (err != 0) {
		printf("skipped: io_uring: %s\n", strerror(-err));
		SM_SKIP("no io_uring");
	}
}

START_TEST(a_ring_runs_a_batch)
{
	struct sm_advice a[SM_URING_BATCH];
	struct sm_uring *u;
	size_t page = sm__os_page_size();
	char *p = sm__os_map_guarded(SM_URING_BATCH * page);

	open_or_skip(&u, SM_URING_BATCH);
	for (int round = 0; round < 50 && !pagetest_late(); round++) {
		memset(p, 1, SM_URING_BATCH * page);
		for (size_t i = 0; i < SM_URING_BATCH; i++)
			a[i] = (struct sm_advice){p + i * page, page, MADV_DONTNEED, 1};
		/* One that the kernel must refuse. */
		a[7].addr = p - page - page * 1000;
		a[7].advice = 4711;
		ck_assert_int_eq(sm__uring_madvise(u, a, SM_URING_BATCH), 0);
		for (size_t i = 0; i < SM_URING_BATCH; i++) {
			ck_assert_int_eq(a[i].result, i == 7 ? -EINVAL : 0);
			ck_assert_int_eq(p[i * page], i == 7 ? 1 : 0);
		}
	}
	sm__uring_close(u);
	sm__os_unmap_guarded(p, SM_URING_BATCH * page);
}
END_TEST

/* Each asks the kernel what it can do. */
static void *open_rings(void *failed)
{
	for (unsigned i = 0; i < 500; i++) {
		struct sm_uring *u = NULL;
		int err = sm__uring_open(&u, 4);

		/* A plain user may not have so many at a time (locked memory). */
		if (err == 0)
			sm__uring_close(u);
		else if (err != -ENOMEM)
			sm_store_relaxed((_Atomic(int) *)failed, err);
	}
	return NULL;
}

START_TEST(rings_open_side_by_side)
{
	struct sm_uring *u;
	_Atomic(int) failed = 0;
	pthread_t others[16];
	int err;

	open_or_skip(&u, 4);
	sm__uring_close(u);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_int_eq(pthread_create(&others[i], NULL, open_rings, (void *)&failed), 0);
	for (unsigned i = 0; i < 16; i++)
		pthread_join(others[i], NULL);
	err = sm_load_relaxed(&failed);
	ck_assert_msg(err == 0, "%s", strerror(-err));
}
END_TEST

/* Four at a time, each with its own part of the file; behind the file's end there is less, and
 * nothing. */
START_TEST(reads_end_with_their_tags)
{
	static char in[4096], out[4][1024];
	struct sm_uring *u;
	int fd = memfd_create("reads", MFD_CLOEXEC), result;
	unsigned seen = 0;
	uint64_t tag;

	open_or_skip(&u, 4);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7 + i / 251);
	ck_assert_int_eq(write(fd, in, sizeof(in)), sizeof(in));
	ck_assert_int_eq(sm__uring_take(u, false, &tag, &result), 0);
	for (unsigned round = 0; round < 100; round++) {
		memset(out, 0, sizeof(out));
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(sm__uring_read(u, fd, out[i], sizeof(out[i]),
							(round + i) % 5 * 900, i + 100),
					 0);
		for (unsigned n = 0; n < 4;) {
			int got = sm__uring_take(u, true, &tag, &result);
			size_t at, i = tag - 100;

			ck_assert_int_ge(got, 0);
			if (got == 0)
				continue;
			ck_assert_uint_lt(i, 4);
			at = (round + i) % 5 * 900;
			ck_assert_int_eq(result, at == 3600 ? 496 : 1024);
			ck_assert_int_eq(memcmp(out[i], in + at, (size_t)result), 0);
			seen |= 1u << i;
			n++;
		}
		ck_assert_uint_eq(seen, 15);
		seen = 0;
	}
	ck_assert_int_eq(sm__uring_read(u, -1, out[0], 1, 0, 7), 0);
	while ((result = 0, sm__uring_take(u, true, &tag, &result)) == 0)
		continue;
	ck_assert_uint_eq(tag, 7);
	ck_assert_int_eq(result, -EBADF);
	sm__uring_close(u);
	close(fd);
}
END_TEST

int main(void)
{
	return SM_SUITE("uring", 60, SM_T(a_ring_runs_a_batch), SM_T(rings_open_side_by_side),
			SM_T(reads_end_with_their_tags));
}
