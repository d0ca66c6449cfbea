/* Manual mode: sizes, alignment, contents, every way to free wrongly, threads that exchange
 * objects. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator/objects/heap.h"
#include "allocator/malloc/process_heap.h"
#include "spanmark/malloc.h"
#include "allocator/os/os.h"
#include "allocator/os/rseq.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static void sound(void)
{
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}

START_TEST(every_size_is_usable_and_aligned)
{
	static char *p[4200];
	unsigned n = 0;

	for (size_t size = 0; size < 70000; size += 1 + size / 64) {
		p[n] = sm_malloc(size);
		ck_assert_ptr_nonnull(p[n]);
		ck_assert_uint_eq((uintptr_t)p[n] % 16, 0);
		ck_assert_uint_ge(sm_usable_size(p[n]), size);
		memset(p[n], (int)n, sm_usable_size(p[n]));
		n++;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t last = sm_usable_size(p[i]) - 1;

		ck_assert(p[i][0] == (char)i && p[i][last] == (char)i && p[i][last / 2] == (char)i);
		sm_free(p[i]);
	}
	sound();
}
END_TEST

START_TEST(null_zero_and_overflow)
{
	volatile size_t huge = SIZE_MAX; /* or the compiler refuses */
	void *p;

	sm_free(NULL);
	p = sm_malloc(0);
	ck_assert_ptr_nonnull(p);
	sm_free(p);
	ck_assert_uint_eq(sm_usable_size(NULL), 0);
	errno = 0;
	ck_assert_ptr_null(sm_calloc(huge / 2, 3));
	ck_assert_int_eq(errno, ENOMEM);
	/* Products that wrap to 2 and to 64: what is left of them would be granted. */
	for (size_t n = 2; n <= 64; n *= 32) {
		errno = 0;
		ck_assert_ptr_null(sm_calloc(huge / n + 2, n));
		ck_assert_int_eq(errno, ENOMEM);
	}
	errno = 0;
	ck_assert_ptr_null(sm_malloc(huge - 100));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(sm_malloc((size_t)1 << 46));
	ck_assert_int_eq(errno, ENOMEM);
	p = sm_malloc(100);
	errno = 0;
	ck_assert_ptr_null(sm_realloc(p, huge - 4096));
	ck_assert_int_eq(errno, ENOMEM);
	memset(p, 1, 100);
	sm_free(p);
	errno = EILSEQ;
	sm_free(sm_malloc(3 * SM_MIB));
	ck_assert_int_eq(errno, EILSEQ);
	sound();
}
END_TEST

START_TEST(calloc_is_zero_in_used_memory)
{
	for (unsigned round = 0; round < 3; round++)
		for (size_t size = 1; size < 300000; size = size * 3 / 2 + 1) {
			unsigned char *p = sm_calloc(size, 1);

			ck_assert_ptr_nonnull(p);
			for (size_t i = 0; i < size; i++)
				if (p[i] != 0)
					ck_abort_msg("byte %zu of %zu is %d", i, size, p[i]);
			memset(p, 0xee, size);
			sm_free(p);
		}
}
END_TEST

START_TEST(alignments_up_to_megabytes)
{
	for (size_t align = 1; align <= 4 * SM_MIB; align *= 2)
		for (size_t size = 0; size < 100000; size = size * 5 / 2 + 7) {
			char *p[3]; /* a span's first slot is aligned whatever its class */

			for (unsigned i = 0; i < 3; i++) {
				p[i] = sm_aligned_alloc(align, size);
				ck_assert_ptr_nonnull(p[i]);
				ck_assert_uint_eq((uintptr_t)p[i] % align, 0);
				ck_assert_uint_ge(sm_usable_size(p[i]), size);
				memset(p[i], 1, size);
			}
			for (unsigned i = 0; i < 3; i++)
				sm_free(p[i]);
		}
	errno = 0;
	ck_assert_ptr_null(sm_aligned_alloc(24, 100));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(sm_aligned_alloc(0, 100));
	sound();
}
END_TEST

START_TEST(realloc_keeps_contents_whichever_way_it_goes)
{
	static const size_t steps[] = {1,      24,	16,	 100,	 1000,	1025,
				       5000,   40000,	33000,	 100000, 90000, 16,
				       500000, 3000000, 9000000, 1200,	 80};
	unsigned char *p = NULL;
	size_t have = 0;

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		size_t keep = have < steps[i] ? have : steps[i];

		p = sm_realloc(p, steps[i]);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_ge(sm_usable_size(p), steps[i]);
		for (size_t k = 0; k < keep; k++)
			if (p[k] != (unsigned char)(k * 7))
				ck_abort_msg("byte %zu of %zu is %d", k, keep, p[k]);
		have = steps[i];
		for (size_t k = 0; k < have; k++)
			p[k] = (unsigned char)(k * 7);
	}
	ck_assert_ptr_null(sm_realloc(p, 0));
	sound();
}
END_TEST

/* What shrinks to less than half does not keep the slot; what shrinks by less stays. */
START_TEST(realloc_gives_memory_back)
{
	char *p = sm_malloc(1000), *q;
	size_t have = sm_usable_size(p);

	q = sm_realloc(p, have / 2);
	ck_assert_ptr_eq(p, q);
	q = sm_realloc(q, 100);
	ck_assert_uint_lt(sm_usable_size(q), have / 2);
	sm_free(q);
	sound();
}
END_TEST

START_TEST(large_objects_grow_in_place_when_there_is_room)
{
	char *p = sm_malloc(200000), *q = p;

	/* Nothing was allocated behind it, so the units there are free. */
	q = sm_realloc(p, 400000);
	ck_assert_ptr_eq(p, q);
	q = sm_realloc(q, 100000);
	ck_assert_ptr_eq(p, q);
	ck_assert_uint_lt(sm_usable_size(q), 200000);
	ck_assert_uint_eq(sm_load_relaxed(&sm__process_heap.large_bytes), sm_usable_size(q));
	sm_free(q);
	ck_assert_uint_eq(sm_load_relaxed(&sm__process_heap.large_bytes), 0);
	sound();
}
END_TEST

START_TEST(everything_freed_and_trimmed_leaves_no_span)
{
	enum { N = 50000 };
	static void *p[N];
	struct sm_pageheap_stats st;

	srand(3);
	for (unsigned i = 0; i < N; i++)
		p[i] = sm_malloc((size_t)rand() % (i % 100 ? 300 : 40000));
	for (unsigned i = 0; i < N; i++)
		sm_free(p[(i * 7919u) % N]);
	sound();
	sm_malloc_trim();
	sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
	sound();
}
END_TEST

/* ---- wrong frees -------------------------------------------------------------------------- */

static void double_free(void)
{
	void *p = sm_malloc(64);

	sm_free(p);
	sm_free(p);
}

static void double_free_with_others_between(void)
{
	void *p = sm_malloc(64), *q[100];

	for (unsigned i = 0; i < 100; i++)
		q[i] = sm_malloc(64);
	sm_free(p);
	for (unsigned i = 0; i < 100; i++)
		sm_free(q[i]);
	sm_free(p);
}

/* The key is gone, because the program wrote to what it had freed: found when the slot goes home.
 */
static void double_free_after_a_write(void)
{
	char *p = sm_malloc(64);

	sm_free(p);
	memset(p + 8, 1, 56);
	sm_free(p);
	sm_malloc_trim();
	sm_malloc_trim();
}

static void *free_it(void *p)
{
	sm_free(p);
	return NULL;
}

static void double_free_by_another_thread(void)
{
	void *p = sm_malloc(64);
	pthread_t t;

	sm_free(p);
	pthread_create(&t, NULL, free_it, p);
	pthread_join(t, NULL);
}

static void double_free_after_the_span_went(void)
{
	void *p = sm_malloc(20000);

	sm_free(p);
	sm_malloc_trim();
	sm_free(p);
}

static void double_free_large(void)
{
	void *p = sm_malloc(SM_MIB);

	sm_free(p);
	sm_free(p);
}

static void interior(void)
{
	sm_free((char *)sm_malloc(200) + 16);
}

static void interior_in_a_later_unit(void)
{
	char *p = NULL;

	/* Slots of 1280 B in spans of two units: some start in the second one. */
	for (unsigned i = 0; i < 20; i++)
		p = sm_malloc(1280);
	sm_free(p + 640);
}

/* The last of the 25 slots of 1280 B of a span starts in its second unit. */
static char *in_a_later_unit(void)
{
	const struct sm_range *r = &sm_malloc_heap()->pages.range;
	uintptr_t p;

	do
		p = (uintptr_t)sm_malloc(1280);
	while (p - sm_span_base(r, sm_span_of(r, p)) < SM_UNIT);
	return (char *)p;
}

static void double_free_in_a_later_unit(void)
{
	void *p = in_a_later_unit();

	sm_free(p);
	sm_free(p);
}

static void start_of_a_later_unit(void)
{
	uintptr_t p = (uintptr_t)in_a_later_unit();

	sm_free((void *)(p & ~(uintptr_t)(SM_UNIT - 1)));
}

static void realloc_in_a_later_unit(void)
{
	void *p = in_a_later_unit();

	sm_free(p);
	sm_free(sm_realloc(p, 3000));
}

static void interior_large(void)
{
	sm_free((char *)sm_malloc(SM_MIB) + 4096);
}

static void foreign_stack(void)
{
	char x[64] __attribute__((aligned(16)));
	char *volatile p = x;

	sm_free(sm_malloc(1));
	sm_free(p);
}

static void foreign_first(void)
{
	char x[64] __attribute__((aligned(16)));
	char *volatile p = x;

	sm_free(p);
}

static void behind_the_last_slot(void)
{
	char *p = sm_malloc(48);
	char *span = (char *)((uintptr_t)p & ~(SM_UNIT - 1));

	sm_free(span + SM_UNIT / 48 * 48);
}

static void realloc_of_freed(void)
{
	void *p = sm_malloc(64);

	sm_free(p);
	p = sm_realloc(p, 100);
	sm_free(p);
}

static void usable_size_of_freed(void)
{
	void *p = sm_malloc(64);

	sm_free(p);
	(void)sm_usable_size(p);
}

static void sized_of_freed(void)
{
	void *p = sm_malloc(64);

	sm_free(p);
	sm_free_sized(p, 64);
}

static void sized_too_large(void)
{
	sm_free_sized(sm_malloc(64), 65);
}

static void set_debug(const char *key)
{
	char err[256];

	ck_assert_int_eq(sm_malloc_configure(key, "1", err, sizeof(err)), 0);
}

static void page_per_object_double(void)
{
	void *p;

	set_debug("debug.page_per_object");
	p = sm_malloc(64);
	sm_free(p);
	sm_free(p);
}

static const struct {
	void (*run)(void);
	const char *says;
} wrong[] = {
	{double_free, "freed twice"},
	{double_free_with_others_between, "freed twice"},
	{double_free_after_a_write, "freed twice"},
	{double_free_by_another_thread, "freed twice"},
	{double_free_after_the_span_went, "free memory"},
	{double_free_large, "free memory"},
	{interior, "16 bytes inside the 208-byte object"},
	{interior_in_a_later_unit, "640 bytes inside the 1280-byte object"},
	{double_free_in_a_later_unit, "freed twice"},
	{start_of_a_later_unit, "bytes inside the 1280-byte object"},
	{realloc_in_a_later_unit, "is free: used after free"},
	{interior_large, "4096 bytes inside the 1048576-byte object"},
	{foreign_stack, "not from this heap"},
	{foreign_first, "not from this heap"},
	{behind_the_last_slot, "behind the last object"},
	{realloc_of_freed, "is free: used after free"},
	{usable_size_of_freed, "is free: used after free"},
	{sized_of_freed, "free_sized: 0x"},
	{sized_of_freed, "freed twice"},
	{sized_too_large, "not 65"},
	{page_per_object_double, "freed already"},
};

/* In a child whose stderr we read: it must abort, with one line that names the address and what it
 * is. */
START_TEST(a_wrong_free_aborts_and_says_what_it_is)
{
	char text[1024] = "";
	int fd[2], status = 0;
	ssize_t n, len = 0;
	pid_t pid;

	if (SM_UNIT_SHIFT != 14)
		SM_SKIP("the messages are those of 16 KiB units");
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fd[1], 2);
		wrong[_i].run();
		_exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	close(fd[0]);
	waitpid(pid, &status, 0);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x: %s", status,
		      text);
	ck_assert_msg(strstr(text, wrong[_i].says) != NULL, "it says: %s", text);
	ck_assert_ptr_nonnull(strstr(text, "0x"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
}
END_TEST

START_TEST(much_free_memory_goes_back_without_being_asked)
{
	enum { N = 40 };
	struct sm_pageheap_stats st = {.free_bytes = SIZE_MAX};
	char *p[N];

	for (unsigned round = 0; round < 3 && st.free_bytes >= 100 * SM_MIB; round++) {
		for (unsigned i = 0; i < N; i++) {
			p[i] = sm_malloc(5 * SM_MIB);
			memset(p[i], 1, 5 * SM_MIB);
		}
		for (unsigned i = 0; i < N; i++)
			sm_free(p[i]);
		usleep(1100000); /* not twice in a second */
		sm_free(sm_malloc(SM_MIB));
		sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	}
	ck_assert_uint_lt(st.free_bytes, 100 * SM_MIB);
}
END_TEST

/* ---- debugging aids ----------------------------------------------------------------------- */

START_TEST(fill_patterns_show_fresh_and_freed_memory)
{
	unsigned char *p;

	set_debug("debug.fill");
	p = sm_malloc(200);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(p[i], 0xa5);
	memset(p, 1, 200);
	sm_free(p);
	/* The first two words are the allocator's. */
	for (unsigned i = 16; i < 200; i++)
		ck_assert_uint_eq(p[i], 0xdb);
	p = sm_calloc(1, 200);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(p[i], 0);
	sm_free(p);
	sound();
}
END_TEST

START_TEST(a_freed_object_on_its_own_pages_faults)
{
	volatile char *p, *q;

	set_debug("debug.page_per_object");
	q = sm_malloc(10);
	p = sm_malloc(10);
	*p = *q = 1;
	ck_assert_uint_ge((uintptr_t)(p > q ? p - q : q - p), SM_UNIT);
	sm_free((void *)p);
	*q = 2;
	sound();
	*p = 2; /* SIGSEGV, which the runner expects */
}
END_TEST

/* ---- failure ------------------------------------------------------------------------------ */

START_TEST(the_nth_request_to_the_kernel_fails)
{
	/* The heap itself: refused, then made. */
	sm__os_inject(SM_OS_ANY, -1, ENOMEM);
	ck_assert_ptr_null(sm_malloc(1));
	sm__os_inject(SM_OS_ANY, 0, 0);
	sm_free(sm_malloc(1));
	for (long n = 1; n < 12; n++) {
		void *p[64];
		unsigned failed = 0;

		sm__os_inject(SM_OS_COMMIT, -n, ENOMEM);
		for (unsigned i = 0; i < 64; i++) {
			errno = 0;
			p[i] = sm_malloc(i % 2 ? 7 * SM_MIB : 30000);
			if (p[i] == NULL) {
				ck_assert_int_eq(errno, ENOMEM);
				failed++;
			}
		}
		sm__os_inject(SM_OS_COMMIT, 0, 0);
		sound();
		for (unsigned i = 0; i < 64; i++)
			sm_free(p[i]);
		sound();
		sm_malloc_trim();
		if (n == 1)
			ck_assert_uint_gt(failed, 0);
	}
}
END_TEST

enum birth { UNTOUCHED, REFUSED, BORN };

/* A child's first malloc, of whose mappings the nth is refused; what it said is in said. */
static enum birth born_without(long nth, char *said, size_t bytes)
{
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		unsigned long seen;
		void *p;

		dup2(fd[1], STDERR_FILENO);
		sm__os_inject(SM_OS_RESERVE, nth, ENOMEM);
		p = sm_malloc(1);
		seen = sm__os_inject(SM_OS_ANY, 0, 0);
		if (p == NULL && (errno != ENOMEM || sm_malloc(1) == NULL))
			_exit(99);
		sound();
		_exit(p == NULL ? REFUSED : (long)seen < nth ? UNTOUCHED : BORN);
	}
	close(fd[1]);
	n = read(fd[0], said, bytes - 1);
	said[n > 0 ? n : 0] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= BORN,
		      "mapping %ld: status %x, %s", nth, status, said);
	return (enum birth)WEXITSTATUS(status);
}

/* Its tables too: NULL with ENOMEM and made the next time, or, without memory for the caches of
 * CPUs, caches of threads and a line that says why. */
START_TEST(the_nth_mapping_of_a_heap_that_is_made_is_refused)
{
	unsigned refused = 0, threads = 0;
	char said[512];
	enum birth b;
	const char *why;

	ck_assert_int_eq(sm_malloc_configure("cache.mode", "cpu", said, sizeof(said)), 0);
	for (long nth = 1; (b = born_without(nth, said, sizeof(said))) != UNTOUCHED; nth++) {
		refused += b == REFUSED;
		threads += strstr(said, "caches are per thread") != NULL;
	}
	printf("refused %u times, caches of threads %u times\n", refused, threads);
	ck_assert_uint_ge(refused, 4);
	ck_assert(threads > 0 || !sm__rseq_usable(&why));
}
END_TEST

START_TEST(configuration_is_refused_once_the_heap_is_made)
{
	char err[256] = "";

	ck_assert_int_eq(sm_malloc_configure("malloc.list", "1", err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "malloc.list"));
	ck_assert_int_eq(sm_malloc_configure("no.such", "1", err, sizeof(err)), -ENOENT);
	ck_assert_int_eq(sm_malloc_configure("malloc.list", "4k", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_malloc_configure("heap.limit", "64m", err, sizeof(err)), 0);
	sm_free(sm_malloc(1));
	ck_assert_int_eq(sm_malloc_configure("malloc.list", "4k", err, sizeof(err)), -EBUSY);
	errno = 0;
	ck_assert_ptr_null(sm_malloc(80 * SM_MIB));
	ck_assert_int_eq(errno, ENOMEM);
	sound();
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

#define RING   4096
#define PASSED 100000

static _Atomic(void *) ring[RING];

static void *produce(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PASSED; i++) {
		unsigned *p = sm_malloc(16 + i % 200);

		*p = i;
		while (sm_load_acquire(&ring[i % RING]) != NULL)
			sched_yield();
		sm_store_release(&ring[i % RING], p);
	}
	return NULL;
}

static void *consume(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PASSED; i++) {
		unsigned *p;

		while ((p = sm_load_acquire(&ring[i % RING])) == NULL)
			sched_yield();
		ck_assert_uint_eq(*p, i);
		sm_store_release(&ring[i % RING], NULL);
		sm_free(p);
	}
	return NULL;
}

START_TEST(objects_freed_elsewhere_come_back_and_memory_stays_bounded)
{
	struct sm_pageheap_stats st;
	pthread_t a, b;

	ck_assert_int_eq(pthread_create(&a, NULL, produce, NULL), 0);
	ck_assert_int_eq(pthread_create(&b, NULL, consume, NULL), 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	sound();
	sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	/* 4096 objects of 120 B on average live at a time; 12 MB passed through. */
	ck_assert_uint_lt(st.in_use_bytes, 4 * SM_MIB);
	sm_malloc_trim();
	sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
}
END_TEST

static pthread_key_t late;

static void free_late(void *p)
{
	/* Runs after our own destructor in some round: still allowed. */
	sm_free(p);
	sm_free(sm_malloc(100));
}

static void *short_life(void *arg)
{
	void *p[50];

	pthread_setspecific(late, sm_malloc(40));
	for (unsigned i = 0; i < 50; i++)
		p[i] = sm_malloc(8 + i * 20);
	for (unsigned i = 0; i < 50; i++)
		sm_free(p[i]);
	return arg;
}

START_TEST(threads_come_and_go_without_leaving_anything)
{
	struct sm_malloc_stats ms;
	struct sm_pageheap_stats st;

	sm_free(sm_malloc(1));
	ck_assert_int_eq(pthread_key_create(&late, free_late), 0);
	for (unsigned i = 0; i < 150; i++) {
		pthread_t t[4];

		for (unsigned k = 0; k < 4; k++)
			ck_assert_int_eq(pthread_create(&t[k], NULL, short_life, NULL), 0);
		for (unsigned k = 0; k < 4; k++)
			pthread_join(t[k], NULL);
	}
	sm_malloc_stats(&ms);
	ck_assert_uint_eq(ms.caches, 1);
	sm_malloc_trim();
	sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
	sound();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("malloc");
	TCase *t = tcase_create("malloc"), *w = tcase_create("wrong");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_size_is_usable_and_aligned);
	tcase_add_test(t, null_zero_and_overflow);
	tcase_add_test(t, calloc_is_zero_in_used_memory);
	tcase_add_test(t, alignments_up_to_megabytes);
	tcase_add_test(t, realloc_keeps_contents_whichever_way_it_goes);
	tcase_add_test(t, realloc_gives_memory_back);
	tcase_add_test(t, large_objects_grow_in_place_when_there_is_room);
	tcase_add_test(t, everything_freed_and_trimmed_leaves_no_span);
	tcase_add_test(t, much_free_memory_goes_back_without_being_asked);
	tcase_add_test(t, fill_patterns_show_fresh_and_freed_memory);
	if (!SM_ASAN)
		tcase_add_test_raise_signal(t, a_freed_object_on_its_own_pages_faults, SIGSEGV);
	tcase_add_test(t, the_nth_request_to_the_kernel_fails);
	tcase_add_test(t, the_nth_mapping_of_a_heap_that_is_made_is_refused);
	tcase_add_test(t, configuration_is_refused_once_the_heap_is_made);
	tcase_add_test(t, objects_freed_elsewhere_come_back_and_memory_stays_bounded);
	tcase_add_test(t, threads_come_and_go_without_leaving_anything);
	suite_add_tcase(s, t);
	tcase_add_loop_test(w, a_wrong_free_aborts_and_says_what_it_is, 0,
			    sizeof(wrong) / sizeof(wrong[0]));
	suite_add_tcase(s, w);
	return sm_test_run(s);
}
