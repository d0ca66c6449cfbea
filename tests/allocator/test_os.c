/* test_os: what os.h promises, each request by itself and each made to fail. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include "allocator/base/syscall.h"
#include "allocator/os/os.h"
#include "tests/support/probe.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static size_t page;

static void setup(void)
{
	page = sm__os_page_size();
}

START_TEST(page_sizes_are_what_the_kernel_says)
{
	ck_assert_uint_eq(page, (size_t)sysconf(_SC_PAGESIZE));
	/* 0 where there are no transparent huge pages. */
	ck_assert(sm__os_huge_size() == 0 || sm__os_huge_size() % page == 0);
}
END_TEST

START_TEST(reserved_is_inaccessible_and_aligned)
{
	for (size_t align = page; align <= SM_GIB; align *= 4) {
		char *p = sm__os_reserve(SM_GIB, align);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % align, 0);
		ck_assert(!probe_readable(p) && !probe_readable(p + SM_GIB - 1));
		sm__os_unmap(p, SM_GIB);
	}
}
END_TEST

START_TEST(bases_are_random)
{
	void *p[8];
	int differ = 0;

	if (SM_ASAN || SM_TSAN || personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		SM_SKIP("no randomization here");
	for (int i = 0; i < 8; i++) {
		p[i] = sm__os_reserve(64 * SM_MIB, 64 * SM_MIB);
		sm__os_unmap(p[i], 64 * SM_MIB);
		differ += i > 0 && p[i] != p[i - 1];
	}
	ck_assert_int_ge(differ, 6);
}
END_TEST

START_TEST(a_piece_goes_through_its_life)
{
	char *p = sm__os_reserve(16 * SM_MIB, page), *q = p + 4 * SM_MIB;

	ck_assert_int_eq(sm__os_commit(q, SM_MIB), 0);
	ck_assert(!probe_readable(q - 1) && !probe_readable(q + SM_MIB));
	ck_assert(q[0] == 0 && q[SM_MIB - 1] == 0);
	memset(q, 5, SM_MIB);
	ck_assert_int_eq(sm__os_commit(q, SM_MIB), 0);
	ck_assert_int_eq(q[77], 5);
	ck_assert_int_eq(sm__os_release(q, SM_MIB), 0);
	ck_assert(q[0] == 0 && q[SM_MIB - 1] == 0);
	memset(q, 6, SM_MIB);
	ck_assert_int_eq(sm__os_protect(q, page, false), 0);
	ck_assert(!probe_readable(q) && probe_writable(q + page));
	ck_assert_int_eq(sm__os_protect(q, page, true), 0);
	ck_assert_int_eq(q[0], 6);
	ck_assert_int_eq(sm__os_decommit(q, SM_MIB), 0);
	ck_assert(!probe_readable(q) && !probe_readable(q + SM_MIB - 1));
	ck_assert_int_eq(sm__os_commit(q, SM_MIB), 0);
	ck_assert(q[0] == 0 && q[SM_MIB - 1] == 0);
	sm__os_unmap(p, 16 * SM_MIB);
	ck_assert(!probe_readable(q));
}
END_TEST

START_TEST(a_readable_reservation_is_zero_and_cannot_be_written)
{
	char *p = sm__os_reserve_readable(64 * SM_MIB);

	for (size_t i = 0; i < 64 * SM_MIB; i += 4095)
		ck_assert_int_eq(p[i], 0);
	ck_assert(!probe_writable(p + 12345));
	ck_assert_int_eq(sm__os_commit(p + page, page), 0);
	ck_assert(probe_writable(p + page) && !probe_writable(p) && !probe_writable(p + 2 * page));
	sm__os_unmap(p, 64 * SM_MIB);
}
END_TEST

START_TEST(metadata_lies_between_guards)
{
	size_t sizes[] = {1, page, page + 1, 10 * page};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sm_align_up(sizes[i], page);
		char *p = sm__os_map_guarded(sizes[i]);

		ck_assert(p[0] == 0 && p[n - 1] == 0);
		ck_assert(probe_writable(p) && probe_writable(p + n - 1));
		ck_assert(!probe_readable(p - 1) && !probe_readable(p + n));
		sm__os_unmap_guarded(p, sizes[i]);
		ck_assert(!probe_readable(p));
	}
	ck_assert_ptr_null(sm__os_map_guarded(SIZE_MAX - 10));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(a_file_replaces_reserved_pages)
{
	char name[] = "/tmp/spanmark-test-os-XXXXXX", c = 0;
	int fd = mkstemp(name);
	char *p = sm__os_reserve(SM_MIB, page);

	unlink(name);
	ck_assert_int_eq(ftruncate(fd, (off_t)(2 * page)), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)page), 1);
	ck_assert_int_eq(sm__os_map_file(p, page, fd, (off_t)page, true, true), 0);
	ck_assert_int_eq(p[0], 'x');
	ck_assert(!probe_readable(p + page));
	p[1] = 'y';
	ck_assert_int_eq(pread(fd, &c, 1, (off_t)page + 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(sm__os_map_file(p, page, fd, (off_t)page, false, true), 0);
	p[1] = 'z';
	ck_assert_int_eq(pread(fd, &c, 1, (off_t)page + 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(sm__os_decommit(p, page), 0);
	ck_assert(!probe_readable(p));
	close(fd);
	ck_assert_int_eq(sm__os_map_file(p, page, fd, 0, true, true), -EBADF);
	sm__os_unmap(p, SM_MIB);
}
END_TEST

START_TEST(binding_answers)
{
	char *p = sm__os_reserve(SM_MIB, page);
	int rc;

	ck_assert_int_eq(sm__os_commit(p, SM_MIB), 0);
	rc = sm__os_bind(p, SM_MIB, 0, false);
	/* Node 0 exists everywhere; a kernel without NUMA or a container may refuse. */
	ck_assert(rc == 0 || rc == -ENOSYS || rc == -EPERM);
	if (rc == 0) {
		ck_assert_int_eq(sm__os_bind(p, SM_MIB, 0, true), 0);
		ck_assert_int_eq(sm__os_bind(p, SM_MIB, 1000, true), -EINVAL);
	}
	ck_assert_int_eq(sm__os_bind(p, SM_MIB, -1, true), -EINVAL);
	ck_assert_int_eq(sm__os_bind(p, SM_MIB, 1 << 20, true), -EINVAL);
	memset(p, 1, SM_MIB);
	sm__os_unmap(p, SM_MIB);
}
END_TEST

START_TEST(the_address_limit_is_seen)
{
	struct rlimit rl = {.rlim_cur = 256 * SM_MIB, .rlim_max = RLIM_INFINITY};

	if (SM_ASAN || SM_TSAN)
		SM_SKIP("a sanitizer needs the address space");
	getrlimit(RLIMIT_AS, &rl);
	rl.rlim_cur = 256 * SM_MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	ck_assert_uint_eq(sm__os_address_limit(), 256 * SM_MIB);
	ck_assert_ptr_null(sm__os_reserve(SM_GIB, page));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

/* Every kind: the nth fails with what was asked for, the others go through, -n fails from there on.
 */
/* What lies there stays what it is. Under valgrind, too, which takes the place for a hint, as Linux
 * before 4.17 does (test_fallback.sh). */
START_TEST(a_place_that_is_taken_is_refused)
{
	char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(munmap(p + 2 * page, 2 * page), 0);
	p[page] = 1;
	ck_assert_int_eq(sm__os_map_at(p + page, 2 * page), -EEXIST);
	ck_assert_int_eq(p[page], 1);
	ck_assert_int_eq(sm__os_map_at(p + 2 * page, 2 * page), 0);
	p[2 * page] = p[4 * page - 1] = 1;
	ck_assert_int_eq(munmap(p, 4 * page), 0);
}
END_TEST

START_TEST(the_nth_request_fails)
{
	static const enum sm_os_kind KINDS[] = {SM_OS_COMMIT, SM_OS_MADVISE, SM_OS_PROTECT,
						SM_OS_DECOMMIT, SM_OS_ANY};
	enum sm_os_kind kind = KINDS[_i];
	char *p = sm__os_reserve(SM_MIB, page);

	for (long nth = -3; nth <= 3; nth++) {
		sm__os_inject(kind, nth, EPERM);
		for (long i = 1; i <= 5; i++) {
			bool fails = nth > 0 ? i == nth : nth < 0 && i >= -nth;
			int rc = kind == SM_OS_MADVISE	  ? sm__os_release(p, page)
				 : kind == SM_OS_PROTECT  ? sm__os_protect(p, page, false)
				 : kind == SM_OS_DECOMMIT ? sm__os_decommit(p, page)
							  : sm__os_commit(p, page);

			ck_assert_int_eq(rc, fails ? -EPERM : 0);
		}
		ck_assert_uint_eq(sm__os_inject(kind, 0, 0), nth == 0 ? 0 : 5);
	}
	sm__os_inject(SM_OS_RESERVE, 1, ENFILE);
	ck_assert_ptr_null(sm__os_reserve(SM_MIB, page));
	ck_assert_int_eq(errno, ENFILE);
	sm__os_inject(SM_OS_BIND, 1, EACCES);
	ck_assert_int_eq(sm__os_bind(p, page, 0, false), -EACCES);
	sm__os_inject(SM_OS_FILE, 1, ENODEV);
	ck_assert_int_eq(sm__os_map_file(p, page, 0, 0, false, false), -ENODEV);
	sm__os_inject(SM_OS_ANY, 0, 0);
	sm__os_unmap(p, SM_MIB);
}
END_TEST

START_TEST(numbers_of_the_kernels_are_read)
{
	static const struct {
		const char *text;
		unsigned long n;
		size_t read;
	} t[] = {{"2097152\n", 2097152, 7},
		 {"0-3,8", 0, 1},
		 {"  10 20", 10, 4},
		 {"\t7", 7, 2},
		 {"", 0, 0},
		 {"  \n", 0, 0},
		 {"-1", 0, 0},
		 {"18446744073709551614 ", ULONG_MAX - 1, 20},
		 {"18446744073709551616", ULONG_MAX, 20},
		 {"99999999999999999999999", ULONG_MAX, 23}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *at = t[i].text;

		ck_assert_uint_eq(sm__read_digits(&at), t[i].n);
		ck_assert_int_eq(at - t[i].text, (ptrdiff_t)t[i].read);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"os", 0, setup, NULL, SM_T(page_sizes_are_what_the_kernel_says),
		SM_T(reserved_is_inaccessible_and_aligned), SM_T(bases_are_random),
		SM_T(a_piece_goes_through_its_life),
		SM_T(a_readable_reservation_is_zero_and_cannot_be_written),
		SM_T(metadata_lies_between_guards), SM_T(a_file_replaces_reserved_pages),
		SM_T(binding_answers), SM_T(the_address_limit_is_seen),
		SM_T(a_place_that_is_taken_is_refused), SM_LOOP(the_nth_request_fails, 0, 5),
		SM_T(numbers_of_the_kernels_are_read));
}
