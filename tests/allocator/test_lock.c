/* test_lock: mutual exclusion, waiting and waking, and the rank check. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "allocator/base/lock.h"
#include "tests/support/run.h"

#define THREADS 8
#define ROUNDS	20000

static struct sm_lock lock = SM_LOCK_INIT(SM_RANK_LEAF);
static volatile long shared[4]; /* kept equal under the lock */

static void *add(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		sm_lock_acquire(&lock);
		for (int j = 0; j < 4; j++)
			shared[j]++;
		/* Being switched out while holding makes the others sleep. */
		if (i % 512 == 0)
			sched_yield();
		if (shared[0] != shared[3])
			abort();
		sm_lock_release(&lock);
	}
	return arg;
}

START_TEST(one_holder_at_a_time)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, add, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(shared[0], (long)THREADS * ROUNDS);
	ck_assert(!sm_lock_is_held(&lock));
}
END_TEST

static _Atomic(int) came, passed;

static void *sleeper(void *arg)
{
	sm_fetch_add_acqrel(&came, 1);
	sm_lock_acquire(&lock);
	sm_fetch_add_acqrel(&passed, 1);
	sm_lock_release(&lock);
	return arg;
}

/* All waiters get through when the holder lets go after they have gone to sleep. */
START_TEST(sleepers_are_woken)
{
	pthread_t t[THREADS];

	sm_lock_acquire(&lock);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, sleeper, NULL), 0);
	while (sm_load_acquire(&came) < THREADS || sm_load_relaxed(&lock.word) != 2)
		usleep(1000);
	usleep(50000); /* the others sleep too, as like as not */
	ck_assert_int_eq(sm_load_acquire(&passed), 0);
	ck_assert(!sm_lock_try(&lock));
	sm_lock_release(&lock);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(sm_load_acquire(&passed), THREADS);
	ck_assert(sm_lock_try(&lock));
	ck_assert(sm_lock_is_held(&lock));
	sm_lock_release(&lock);
}
END_TEST

/* ---- ranks: the check is called by itself, so that it is tested in builds that do not call it ---
 */

static struct sm_lock outer = SM_LOCK_INIT(SM_RANK_CENTRAL),
		      inner[2] = {SM_LOCK_INIT(SM_RANK_PAGEHEAP), SM_LOCK_INIT(SM_RANK_PAGEHEAP)};
static struct sm_lock unranked = SM_LOCK_INIT(SM_RANK_NONE);

START_TEST(rising_ranks_pass)
{
	for (int i = 0; i < 3; i++) {
		sm__lock_check_acquire(&outer);
		sm__lock_check_acquire(&inner[0]);
		sm__lock_check_acquire(&inner[1]);
		sm__lock_check_acquire(&unranked);
		/* Out of order is fine on the way back. */
		sm__lock_check_release(&outer);
		sm__lock_check_release(&inner[1]);
		sm__lock_check_release(&unranked);
		sm__lock_check_acquire(&inner[1]);
		sm__lock_check_release(&inner[0]);
		sm__lock_check_release(&inner[1]);
	}
}
END_TEST

START_TEST(a_falling_rank_aborts)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_acquire(&outer);
}
END_TEST

START_TEST(equal_ranks_at_falling_addresses_abort)
{
	sm__lock_check_acquire(&inner[1]);
	sm__lock_check_acquire(&inner[0]);
}
END_TEST

START_TEST(taking_twice_aborts)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_acquire(&inner[0]);
}
END_TEST

START_TEST(releasing_what_is_not_held_aborts)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_release(&outer);
}
END_TEST

START_TEST(a_tried_lock_counts_as_held)
{
	sm__lock_note_try(&inner[0]);
	sm__lock_check_acquire(&outer);
}
END_TEST

/* Around fork one heap's locks come after another's of any rank; within a heap the order holds as
 * ever. */
START_TEST(a_sealed_record_begins_afresh)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_seal();
	sm__lock_check_acquire(&outer);
	sm__lock_check_seal();
	sm__lock_check_release(&outer);
	sm__lock_check_unseal();
	sm__lock_check_release(&inner[0]);
	sm__lock_check_unseal();
	sm__lock_check_acquire(&outer);
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_release(&inner[0]);
	sm__lock_check_release(&outer);
}
END_TEST

START_TEST(order_holds_after_a_seal)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_seal();
	sm__lock_check_acquire(&inner[1]);
	sm__lock_check_acquire(&outer);
}
END_TEST

START_TEST(unsealed_locks_must_be_held)
{
	sm__lock_check_acquire(&inner[0]);
	sm__lock_check_seal();
	sm__lock_check_unseal();
	sm__lock_check_release(&inner[0]);
}
END_TEST

int main(void)
{
	return SM_SUITE("lock", 30, SM_T(one_holder_at_a_time), SM_T(sleepers_are_woken),
			SM_T(rising_ranks_pass), SM_RAISES(a_falling_rank_aborts, SIGABRT),
			SM_RAISES(equal_ranks_at_falling_addresses_abort, SIGABRT),
			SM_RAISES(taking_twice_aborts, SIGABRT),
			SM_RAISES(releasing_what_is_not_held_aborts, SIGABRT),
			SM_RAISES(a_tried_lock_counts_as_held, SIGABRT),
			SM_T(a_sealed_record_begins_afresh),
			SM_RAISES(order_holds_after_a_seal, SIGABRT),
			SM_RAISES(unsealed_locks_must_be_held, SIGABRT));
}
