/* User-space reads against a page that the test writes: the kernel's protocol in all its corners.
 */
#include "perf/counter_user.h"
#include "tests/support/run.h"

#include <check.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct perf_event_mmap_page *page;
static uint64_t pmc_value;
static unsigned pmc_index;
static unsigned changes_left;

static uint64_t fake_pmc(unsigned index)
{
	pmc_index = index;
	return pmc_value;
}

/* An update by the kernel lands between the two looks at the sequence number. */
static uint64_t changing_pmc(unsigned index)
{
	if (changes_left) {
		changes_left--;
		page->lock++;
		page->offset += 1000;
	}
	return fake_pmc(index);
}

static void setup(void)
{
	page = aligned_alloc(64, 4096);
	memset(page, 0, 4096);
	page->cap_user_rdpmc = 1;
	page->index = 3;
	page->pmc_width = 48;
	page->time_enabled = 500;
	page->time_running = 500;
}

static void teardown(void)
{
	free(page);
}

START_TEST(test_offset_is_added)
{
	struct sm_user_count u;

	page->offset = 1000;
	pmc_value = 42;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), 0);
	ck_assert_uint_eq(u.value, 1042);
	ck_assert_uint_eq(pmc_index, 2); /* index - 1 */
	ck_assert_uint_eq(u.enabled, 500);
	ck_assert_uint_eq(u.running, 500);
}
END_TEST

/* The kernel starts counters at -period: 48 bits with the top one set are a negative number. */
START_TEST(test_sign_extension)
{
	struct sm_user_count u;

	page->offset = 0x7fffffff0000;
	pmc_value = 0x800000010005;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), 0);
	ck_assert_uint_eq(u.value, 5);
}
END_TEST

START_TEST(test_wrap_at_48_bits)
{
	struct sm_user_count before, after;

	/* Just below the wrap; then the counter has wrapped and the kernel has moved the offset on
	 * by 2^48. */
	page->offset = 0;
	pmc_value = 0x7ffffffffff0;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &before), 0);
	pmc_value = 0x800000000010; /* 0x20 later: now negative in 48 bits */
	page->offset = (int64_t)1 << 48;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &after), 0);
	ck_assert_uint_eq(after.value - before.value, 0x20);
}
END_TEST

START_TEST(test_other_widths)
{
	struct sm_user_count u;

	page->pmc_width = 64;
	pmc_value = 0xfffffffffffffff0;
	page->offset = 0x20;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), 0);
	ck_assert_uint_eq(u.value, 0x10);
	page->pmc_width = 32; /* ARM64 without long events */
	pmc_value = 0xfffffffe;
	page->offset = 7;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), 0);
	ck_assert_uint_eq(u.value, 5);
}
END_TEST

START_TEST(test_index_zero_is_not_read)
{
	struct sm_user_count u = {.value = 77};

	page->index = 0;
	pmc_index = 99;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), -EAGAIN);
	ck_assert_uint_eq(u.value, 77);
	ck_assert_uint_eq(pmc_index, 99);
}
END_TEST

START_TEST(test_not_allowed_is_not_read)
{
	struct sm_user_count u;

	page->cap_user_rdpmc = 0;
	pmc_index = 99;
	ck_assert(!sm__user_readable(page));
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &u), -EAGAIN);
	ck_assert_uint_eq(pmc_index, 99);
	ck_assert(!sm__user_readable(NULL));
}
END_TEST

START_TEST(test_changed_under_our_eyes)
{
	struct sm_user_count u;

	page->offset = 0;
	pmc_value = 5;
	changes_left = 3;
	ck_assert_int_eq(sm__user_read(page, changing_pmc, &u), 0);
	ck_assert_uint_eq(u.value, 3005); /* the value after the last change, not a mixture */
	changes_left = 1u << 30;
	ck_assert_int_eq(sm__user_read(page, changing_pmc, &u), -EAGAIN);
}
END_TEST

/* A multiplexed event: enabled runs on in user space, by the page's clock; running only while it is
 * scheduled. */
START_TEST(test_times_of_multiplexed)
{
	struct sm_user_count a, b;

	page->cap_user_time = 1;
	page->time_enabled = 10000;
	page->time_running = 4000;
	page->time_shift = 0;
	page->time_mult = 1;
	page->time_offset = 0;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &a), 0);
	ck_assert_uint_gt(a.enabled, 10000);
	ck_assert_uint_eq(a.enabled - 10000, a.running - 4000);
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &b), 0);
	ck_assert_uint_ge(b.enabled, a.enabled);
	/* Never multiplexed: the times need no correction, their difference is 0. */
	page->time_running = 10000;
	ck_assert_int_eq(sm__user_read(page, fake_pmc, &a), 0);
	ck_assert_uint_eq(a.enabled, 10000);
	ck_assert_uint_eq(a.running, 10000);
}
END_TEST

/* ---- a writer that keeps the protocol on another thread ----------------------------------- */

static _Atomic bool stop;

static void *kernel(void *arg)
{
	uint64_t n = 0;

	(void)arg;
	/* Invariant offered to readers: offset == 1000000 * time_enabled. */
	while (!stop) {
		__atomic_store_n(&page->lock, page->lock + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(&page->time_enabled, ++n, __ATOMIC_RELAXED);
		__atomic_store_n(&page->time_running, n, __ATOMIC_RELAXED);
		__atomic_store_n(&page->offset, (int64_t)(n * 1000000), __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		/* The real page is only changed on the reader's own CPU; here both writes of the
		 * lock must be seen. */
		__atomic_store_n(&page->lock, page->lock + 1, __ATOMIC_RELEASE);
		for (volatile int i = 0; i < 50; i++)
			;
	}
	return NULL;
}

START_TEST(test_never_a_mixture)
{
	pthread_t t;
	unsigned good = 0;

	page->offset = 0;
	page->time_enabled = page->time_running = 0;
	pmc_value = 0;
	stop = false;
	ck_assert_int_eq(pthread_create(&t, NULL, kernel, NULL), 0);
	/* Until one was good, too: the other thread may be off its CPU in the middle of a change
	 * for as long as that takes. */
	for (int i = 0; i < 200000 || (good == 0 && i < 1000000000); i++) {
		struct sm_user_count u;
		uint32_t before = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE);

		/* An odd number cannot be seen by a reader on the writer's own CPU, as in the
		 * kernel; skip it here. */
		if (sm__user_read(page, fake_pmc, &u))
			continue;
		if (before & 1 || __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE) != before)
			continue;
		good++;
		ck_assert_uint_eq(u.value, u.enabled * 1000000);
	}
	stop = true;
	pthread_join(t, NULL);
	ck_assert_uint_gt(good, 0);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__) && !defined(__aarch64__)
	puts("no user-space counter reads on this architecture");
	return 77;
#endif
	return SM_SUITE_EACH("counter_user", 60, setup, teardown, SM_T(test_offset_is_added),
			     SM_T(test_sign_extension), SM_T(test_wrap_at_48_bits),
			     SM_T(test_other_widths), SM_T(test_index_zero_is_not_read),
			     SM_T(test_not_allowed_is_not_read), SM_T(test_changed_under_our_eyes),
			     SM_T(test_times_of_multiplexed), SM_T(test_never_a_mixture));
}
