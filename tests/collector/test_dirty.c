/*
 * test_dirty: collector/generations/remember_dirty.c: the kernel's ways to tell which pages were
 * written, each where it has it: what is written, by the program or the kernel, mapped or given
 * back is told once; what is not is not; beside threads that store no store is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "collector/generations/remember_dirty.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

enum { PAGES = 256 };

static const struct sm_dirty_source *const sources[] = {&sm__dirty_scan, &sm__dirty_soft};
static struct sm_dirty d;
static char *p;
static size_t page, told;
static bool is_told[PAGES];

/* False: this kernel has it not. */
static bool setup(int i, char *err, size_t errlen)
{
	sm__dirty_instead = sources[i];
	if (sm__dirty_open(&d, err, errlen) != 0)
		return false;
	page = d.page;
	p = mmap(NULL, PAGES * page + SM_UNIT, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	p = (char *)sm_align_up((uintptr_t)p, SM_UNIT);
	ck_assert_int_eq(mprotect(p, PAGES * page, PROT_READ | PROT_WRITE), 0);
	return true;
}

static void note(void *ctx, uintptr_t from, uintptr_t end)
{
	(void)ctx;
	for (; from < end; from += page) {
		size_t i = (from - (uintptr_t)p) / page;

		ck_assert_uint_lt(i, PAGES);
		told += !is_told[i];
		is_told[i] = true;
	}
}

static void take(void)
{
	told = 0;
	memset(is_told, 0, sizeof(is_told));
	d.source->take(&d, (uintptr_t)p, (uintptr_t)p + PAGES * page, note, NULL);
	if (d.source->forget != NULL)
		d.source->forget(&d);
}

START_TEST(what_is_written_is_told_once)
{
	char err[300];

	if (!setup(_i, err, sizeof(err)))
		SM_SKIP("%s", err);
	memset(p, 1, PAGES * page);
	ck_assert(d.source->is_dirty(&d, (uintptr_t)p));
	take();
	ck_assert_uint_eq(told, PAGES);
	ck_assert(!d.source->is_dirty(&d, (uintptr_t)p));
	take();
	ck_assert_uint_eq(told, 0);
	p[7 * page + 9] = 2;
	p[9 * page] = 2;
	ck_assert(d.source->is_dirty(&d, (uintptr_t)p + 7 * page));
	take();
	ck_assert_uint_eq(told, 2);
	ck_assert(is_told[7] && is_told[9]);
	take();
	ck_assert_uint_eq(told, 0);
	sm__dirty_close(&d);
}
END_TEST

/* By read(2); given back to the system and written; mapped anew. */
START_TEST(whoever_writes)
{
	char err[300];
	int zero = open("/dev/zero", O_RDONLY);

	if (!setup(_i, err, sizeof(err)))
		SM_SKIP("%s", err);
	memset(p, 1, PAGES * page);
	take();
	ck_assert_int_eq(read(zero, p + 3 * page, 8), 8);
	take();
	ck_assert(is_told[3]);
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(madvise(p + 4 * page, page, MADV_DONTNEED), 0);
	p[4 * page] = 1;
	take();
	ck_assert(is_told[4]);
	ck_assert_ptr_ne(mmap(p + 64 * page, 4 * page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 MAP_FAILED);
	p[65 * page] = 1;
	take();
	ck_assert(is_told[65]);
	p[66 * page] = 1;
	take();
	ck_assert(is_told[66]);
	sm__dirty_close(&d);
	close(zero);
}
END_TEST

/* A mapping that cannot be watched hides nothing beside it. */
START_TEST(beside_a_file)
{
	char err[300];
	int fd = open("/proc/self/exe", O_RDONLY);

	if (!setup(_i, err, sizeof(err)))
		SM_SKIP("%s", err);
	ck_assert_ptr_ne(mmap(p + 64 * page, 2 * page, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0),
			 MAP_FAILED);
	memset(p, 1, 64 * page);
	take();
	take();
	for (size_t i = 0; i < 60; i++)
		ck_assert(!is_told[i]);
	p[5 * page] = 1;
	p[66 * page] = 1; /* of the same unit */
	p[100 * page] = 1;
	take();
	ck_assert(is_told[5] && is_told[66] && is_told[100]);
	sm__dirty_close(&d);
	close(fd);
}
END_TEST

static _Atomic(uint32_t) stop;
static _Atomic(uint64_t) count[PAGES];

/* A page's number only grows. */
static void *store_on(void *arg)
{
	unsigned i = 0;

	(void)arg;
	while (sm_load_acquire(&stop) == 0) {
		sm_store_release((_Atomic(uint64_t) *)(void *)(p + i * page),
				 sm_fetch_add_relaxed(&count[i], 1) + 1);
		i = (i + 7) % PAGES;
	}
	return NULL;
}

/* Of a page that is not told nothing has changed since it was read last. Only where one step takes
 * and forgets. */
START_TEST(no_store_is_lost)
{
	char err[300];
	uint64_t seen[PAGES] = {0};
	pthread_t t;

	if (!setup(0, err, sizeof(err)))
		SM_SKIP("%s", err);
	ck_assert_int_eq(pthread_create(&t, NULL, store_on, NULL), 0);
	for (int round = 0; round < 300; round++) {
		take();
		for (size_t i = 0; i < PAGES; i++) {
			if (is_told[i])
				seen[i] = sm_load_acquire(
					(_Atomic(uint64_t) *)(void *)(p + i * page));
		}
	}
	sm_store_release(&stop, 1);
	pthread_join(t, NULL);
	take();
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t now = *(uint64_t *)(void *)(p + i * page);

		ck_assert(is_told[i] || seen[i] == now);
	}
	sm__dirty_close(&d);
}
END_TEST

/* A close in the child of a fork means nothing here: that of a collector that it destroys. */
static void open_in_child(void)
{
	struct sm_dirty mine;
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		bool had = sm__dirty_soft.open(&mine) == 0;

		if (had)
			sm__dirty_soft.close(&mine);
		_exit(had ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

/* Whoever forgets soft-dirty bits forgets all of the process's: the second one would take from the
 * first what it was not told of yet. That needs no kernel that has them. */
START_TEST(one_has_the_process_s_bits)
{
	struct sm_dirty a, b;
	char err[300];

	if (sm__dirty_soft.open(&a) != 0)
		SM_SKIP("/proc/self/clear_refs cannot be written");
	ck_assert_int_eq(sm__dirty_soft.open(&b), -EBUSY);
	sm__dirty_instead = &sm__dirty_soft;
	ck_assert_int_eq(sm__dirty_open(&b, err, sizeof(err)), -ENOTSUP);
	ck_assert_ptr_ne(strstr(err, "another collector of this process uses it"), NULL);
	open_in_child();
	ck_assert_int_eq(sm__dirty_soft.open(&b), -EBUSY);
	sm__dirty_soft.close(&a);
	ck_assert_int_eq(sm__dirty_soft.open(&b), 0);
	sm__dirty_soft.close(&b);
}
END_TEST

int main(void)
{
	return SM_SUITE("dirty", 60, SM_LOOP(what_is_written_is_told_once, 0, 2),
			SM_LOOP(whoever_writes, 0, 2), SM_LOOP(beside_a_file, 0, 2),
			SM_T(no_store_is_lost), SM_T(one_has_the_process_s_bits));
}
