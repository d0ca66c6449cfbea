/*
 * test_pagefail: the operating system says no. The nth request of each kind fails, by injection;
 * whole system calls are denied, by seccomp. Whatever happens: NULL with ENOMEM or an error, no
 * crash, and the page heap verifies afterwards and works again.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/pages/scavenge.h"
#include "spanmark/stack.h"
#include "allocator/pages/stackpool.h"
#include "tests/support/deny.h"
#include "tests/support/pagetest.h"
#include "tests/support/skip.h"

#define SPANS 64

static struct sm_heap *heap;
static int file = -1;
static time_t started; /* of the whole program; each test is a process of its own */

/* An emulated machine does not get through all of it in its time: the first of each kind, and what
 * fits. */
static bool machine_is_slow(void)
{
	return time(NULL) - started > 30;
}

static char *base_of(struct sm_span *s)
{
	return (char *)sm_span_base(&heap->pages.range, s);
}

/* A request may fail, but only so. */
static struct sm_span *touched(struct sm_span *s)
{
	if (s == NULL) {
		ck_assert_int_eq(errno, ENOMEM);
		return NULL;
	}
	if (s->flags & SM_SPANF_ZEROED)
		ck_assert(base_of(s)[0] == 0 && base_of(s)[sm_span_bytes(s) - 1] == 0);
	if (!(s->flags & SM_SPANF_FILE)) {
		base_of(s)[0] = 1;
		base_of(s)[sm_span_bytes(s) - 1] = 1;
	}
	return s;
}

/* A bit of everything that ever asks the system; ends with everything freed. Returns how much was
 * refused. */
static int some_of_everything(void)
{
	struct sm_span *s[SPANS];
	struct sm_stack st[4];
	int refused = 0;

	for (int i = 0; i < SPANS; i++) {
		size_t n = i % 8 == 0	? 5 * SM_MIB / SM_UNIT
			   : i % 8 == 1 ? SM_MIB / SM_UNIT
					: 1 + (size_t)i % 7;

		errno = 0;
		if (i == 5)
			s[i] = sm__pageheap_map_file(&heap->pages, 0, file, 0, 100000, false, true);
		else
			s[i] = touched(sm__pageheap_alloc(&heap->pages, (unsigned)i % 2, n));
		refused += s[i] == NULL;
		if (i % 3 == 0 && s[i] != NULL)
			(void)sm__pageheap_grow(&heap->pages, s[i],
						/* its neighbour may be in use */
						s[i]->nunits + 20);
		if (i % 5 == 0 && s[i] != NULL)
			sm__pageheap_shrink(&heap->pages, s[i], (s[i]->nunits + 1) / 2);
	}
	for (int i = 0; i < 4; i++) {
		int rc = sm_stack_alloc(heap, 0, 100000, &st[i]);

		ck_assert(rc == 0 || rc == -ENOMEM);
		refused += rc != 0;
		if (rc != 0)
			st[i].span = NULL;
	}
	for (int i = 0; i < SPANS; i += 2)
		if (s[i] != NULL)
			sm__pageheap_free(&heap->pages, s[i]);
	sm__scavenge(&heap->pages, 0);
	for (int i = 1; i < SPANS; i += 2)
		if (s[i] != NULL)
			sm__pageheap_free(&heap->pages, s[i]);
	for (int i = 0; i < 4; i++)
		if (st[i].span != NULL)
			sm_stack_free(heap, &st[i]);
	sm__scavenge(&heap->pages, SM_MIB);
	return refused;
}

static void verify_and_use(void)
{
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	some_of_everything();
	sm__stackpool_trim(&heap->pages, true);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	ck_assert_uint_eq(pagetest_stats(heap).in_use_bytes, 0);
}

static void make(enum sm_pageheap_kind kind, size_t limit)
{
	heap = pagetest_heap(kind);
	pagetest_nodes(heap, 2);
	heap->config.hugepages = SM_HUGE_OFF; /* said by madvise, too */
	heap->config.scavenge_uring = true;
	heap->config.limit = limit;
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	pagetest_create(heap);
}

static void drop(void)
{
	close(file);
	pagetest_destroy(heap);
}

/* ---- injection ---------------------------------------------------------------------------- */

static const enum sm_os_kind KINDS[] = {SM_OS_COMMIT, SM_OS_DECOMMIT, SM_OS_MADVISE, SM_OS_BIND,
					SM_OS_FILE,   SM_OS_PROTECT,  SM_OS_URING,   SM_OS_ANY};
#define NKINDS 8

static void fail_nth(enum sm_pageheap_kind kind, enum sm_os_kind what, long nth)
{
	make(kind, 0);
	sm__os_inject(what, nth, ENOMEM);
	some_of_everything();
	sm__os_inject(SM_OS_ANY, 0, 0);
	verify_and_use();
	drop();
}

START_TEST(the_nth_request_fails)
{
	enum sm_pageheap_kind kind = (enum sm_pageheap_kind)(_i % 2);
	enum sm_os_kind what = KINDS[_i / 2];
	unsigned long seen;

	/* How many such requests a run makes; then each of them fails, and each and all that
	 * follow. */
	make(kind, 0);
	sm__os_inject(what, 1000000, ENOMEM);
	ck_assert_int_eq(some_of_everything(), 0);
	seen = sm__os_inject(SM_OS_ANY, 0, 0);
	drop();
	ck_assert_uint_gt(seen, 0);
	for (long nth = 1;
	     nth <= (long)seen + 1 && !pagetest_late() && (nth == 1 || !machine_is_slow());
	     nth += 1 + nth / 4) {
		fail_nth(kind, what, nth);
		fail_nth(kind, what, -nth);
	}
}
END_TEST

START_TEST(at_every_limit)
{
	for (size_t limit = SM_MIB; limit < 80 * SM_MIB && !pagetest_late();
	     limit += 11 * SM_MIB / 2) {
		make((enum sm_pageheap_kind)_i, limit);
		some_of_everything();
		ck_assert_uint_le(sm_load_relaxed(&heap->pages.mapped_bytes), limit);
		verify_and_use();
		ck_assert_uint_le(sm_load_relaxed(&heap->pages.mapped_bytes), limit);
		drop();
	}
}
END_TEST

/* ---- denial ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	long nr;
} CALLS[] = {
	{"mbind", SYS_mbind},
	{"madvise", SYS_madvise},
	{"io_uring_setup", SYS_io_uring_setup},
	{"io_uring_enter", SYS_io_uring_enter},
	{"mprotect", SYS_mprotect},
	{"getrandom", SYS_getrandom},
};
#define NCALLS 6
static const int ERRORS[] = {EPERM, EACCES, ENOSYS, EMFILE, ENOMEM, EINVAL};
#define NERRORS 6

static bool seccomp_works(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(deny_syscall(SYS_mbind, EPERM) ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In this process: Check runs each test in one of its own. Status 1 of the whole when something is
 * wrong. */
START_TEST(a_denied_call)
{
	long nr = CALLS[_i / NERRORS].nr;
	int err = ERRORS[_i % NERRORS];
	char text[200];
	int refused;

	if (_i % NERRORS != 0 && machine_is_slow())
		SM_SKIP("a slow machine tries some");
	make(SM_PAGEHEAP_BUDDY, 0);
	ck_assert(deny_syscall(nr, err));
	refused = some_of_everything();
	/* What has a way around it must not be missed; memory that cannot be made accessible is. */
	if (nr == SYS_mprotect)
		ck_assert_int_gt(refused, 0);
	else if (nr != SYS_mbind || err != ENOMEM)
		ck_assert_msg(refused == 0, "%s with %s: %d requests refused",
			      CALLS[_i / NERRORS].name, strerror(err), refused);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	/* A heap that is made now: works, or says why not. */
	drop();
	heap = pagetest_heap(SM_PAGEHEAP_BITMAP);
	pagetest_nodes(heap, 2);
	text[0] = '\0';
	if (sm__range_create(&heap->pages, &heap->config, text, sizeof(text)) != 0)
		ck_assert_msg(nr == SYS_mprotect && text[0] != '\0', "%s: %s",
			      CALLS[_i / NERRORS].name, text);
	else
		some_of_everything();
	pagetest_destroy(heap);
}
END_TEST

START_TEST(no_mmap_at_all)
{
	char text[200] = "";

	heap = pagetest_heap(SM_PAGEHEAP_BUDDY);
	ck_assert(deny_syscall(SYS_mmap, ERRORS[_i]));
	ck_assert_int_eq(sm__range_create(&heap->pages, &heap->config, text, sizeof(text)),
			 -ENOMEM);
	ck_assert(text[0] != '\0' && strchr(text, '\n') == NULL);
}
END_TEST

START_TEST(an_address_limit_in_the_middle)
{
	struct rlimit rl;
	size_t pages = 0;
	FILE *statm;

	if (SM_ASAN || SM_TSAN)
		SM_SKIP("a sanitizer needs the address space");
	make(SM_PAGEHEAP_BUDDY, 0);
	/* What the process has now and next to nothing more. Commits, own mappings and files
	 * replace what is reserved, so nothing of ours needs more; the ring does. */
	ck_assert_ptr_nonnull(statm = fopen("/proc/self/statm", "r"));
	ck_assert_int_eq(fscanf(statm, "%zu", &pages), 1);
	fclose(statm);
	getrlimit(RLIMIT_AS, &rl);
	rl.rlim_cur = (pages + 4) * sm__os_page_size();
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	ck_assert_int_eq(some_of_everything(), 0);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	drop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pagefail");
	TCase *t = tcase_create("pagefail");
	SRunner *r;
	int failed;

	started = time(NULL);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_nth_request_fails, 0, 2 * NKINDS);
	tcase_add_loop_test(t, at_every_limit, 0, 2);
	tcase_add_test(t, an_address_limit_in_the_middle);
	if (!SM_ASAN && !SM_TSAN && seccomp_works()) {
		tcase_add_loop_test(t, a_denied_call, 0, NCALLS * NERRORS);
		tcase_add_loop_test(t, no_mmap_at_all, 0, NERRORS);
	} else {
		printf("denied system calls are not tested: no seccomp filters here, or a "
		       "sanitizer needs "
		       "the calls\n");
	}
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
