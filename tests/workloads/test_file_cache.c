/* file-cache: what is read is what was written, however it is read; buffers live while the kernel
 * has them; no file stays behind. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/deny.h"
#include "tests/support/run.h"
#include "tests/support/sample.h"
#include "tests/support/skip.h"

static const char often[] = "gc.verify=1 gc.min_heap=1m gc.room=1";

/* Blocks of one word, of a page, and larger than what a size class has; one at a time and many. */
START_TEST(blocks_arrive)
{
	static const char *const cases[] = {
		"file=8000 block=8 live=250 depth=3 ops=20000 threads=1",
		"file=1m block=4096 live=64 depth=32 ops=10000 threads=2",
		"file=4000000 block=40000 live=25 depth=100 ops=3000 threads=1",
		"file=1m block=4096 live=1 depth=1 ops=500 threads=1",
	};
	static const int64_t ops[] = {20000, 20000, 3000, 500};
	double hits[SM_WL_COUNT] = {0};

	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		if (!runs_on("file-cache", b))
			continue;
		ok("file-cache", (enum sm_wl_backend)b, cases[_i], b == SM_WL_GC ? often : "");
		ck_assert_int_eq(integer("ops"), ops[_i]);
		hits[b] = number("hit_share");
		/* As of lru-cache: a quarter of the blocks is kept. */
		if (_i < 3)
			ck_assert_msg(hits[b] > 40 && hits[b] < 63, "%.2f %%", hits[b]);
		ck_assert_msg(hits[b] == hits[0], "%.2f and %.2f %%", hits[b], hits[0]);
		if (b == SM_WL_GC && (_i == 1 || _i == 2))
			ck_assert_int_gt(integer("gc_cycles"), 0);
		if (sample.warnings == NULL) {
			ck_assert(number("in_flight") >= 1);
			ck_assert(number("in_flight") <= (_i == 3 ? 1 : _i == 0 ? 3 : 100));
		}
		sm_sample_free(&sample);
	}
}
END_TEST

/* By pread the same blocks are hit, and the report says so. */
START_TEST(without_io_uring_it_is_said)
{
	static const char with[] = "file=1m block=4096 live=64 depth=8 ops=3000";

	ok("file-cache", SM_WL_LIBC, with, "");
	double hits = number("hit_share");

	sm_sample_free(&sample);
	if (!deny_syscall(SYS_io_uring_setup, EPERM))
		SM_SKIP("no seccomp filters");
	for (unsigned b = 0; b < SM_WL_COUNT; b++) {
		const struct sm_result *r;

		if (!runs_on("file-cache", b))
			continue;
		ok("file-cache", (enum sm_wl_backend)b, with, b == SM_WL_GC ? often : "");
		ck_assert(number("hit_share") == hits);
		r = sm_sample_result(&sample, "in_flight");
		ck_assert(r != NULL && !r->has_value);
		ck_assert_ptr_nonnull(strstr(r->reason, "read by pread"));
		ck_assert_ptr_nonnull(sample.warnings);
		ck_assert_ptr_nonnull(strstr(sample.warnings, "io_uring: Operation not permitted"));
		sm_sample_free(&sample);
	}
}
END_TEST

START_TEST(the_file_is_in_tmpdir_and_gone)
{
	char folder[] = "/tmp/spanmark-test-XXXXXX";
	unsigned n = 0;
	DIR *d;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	setenv("TMPDIR", folder, 1);
	ok("file-cache", SM_WL_LIBC, "ops=100", "");
	sm_sample_free(&sample);
	d = opendir(folder);
	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	ck_assert_uint_eq(n, 2); /* itself and the one above */
	closedir(d);
	rmdir(folder);
	ck_assert_int_eq(run_with("file-cache", SM_WL_LIBC, "ops=100", ""), -ENOENT);
	ck_assert_msg(strstr(sample.error, "cannot make a file in /tmp/spanmark-test-") != NULL,
		      "%s", sample.error);
	sm_sample_free(&sample);
}
END_TEST

START_TEST(sizes_are_refused)
{
	ck_assert_int_eq(run_with("file-cache", SM_WL_LIBC, "block=12", ""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(sample.error, "block=12: must be a multiple of 8"));
	sm_sample_free(&sample);
	ck_assert_int_eq(run_with("file-cache", SM_WL_LIBC, "block=16 file=15", ""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(sample.error, "block=16: must be at most file, 15"));
	sm_sample_free(&sample);
	ck_assert_int_eq(run_with("file-cache", SM_WL_LIBC, "block=8 file=9g", ""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(sample.error, "block=8: must be at least 16"));
	sm_sample_free(&sample);
}
END_TEST

int main(void)
{
	return SM_SUITE("file-cache", 120, SM_LOOP(blocks_arrive, 0, 4),
			SM_T(without_io_uring_it_is_said), SM_T(the_file_is_in_tmpdir_and_gone),
			SM_T(sizes_are_refused));
}
