/* lock.c: waiting for a lock, and the check of ranks. */
#include "allocator/base/lock.h"

#include "allocator/base/clock.h"
#include "allocator/base/futex.h"

#define SPINS 100
/* At a fork, every node's page heap and mark queue at once, and a few beside them. */
#define HELD_MAX 160

/* ---- waiting ------------------------------------------------------------------------------ */

static __thread unsigned sleeps;

unsigned sm__lock_sleeps(void)
{
	return sleeps;
}

static void sleep_on(struct sm_lock *l)
{
	sleeps++;
	sm__futex_wait(&l->word, 2, 0);
}

/* Sections under these locks are tens of instructions, so a holder that runs is gone in a moment.
 */
static bool spin_for_lock(struct sm_lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t free_word = 0;

		if (sm_load_relaxed(&l->word) == 0 &&
		    atomic_compare_exchange_weak_explicit(
			    &l->word, &free_word, 1, memory_order_acquire, memory_order_relaxed))
			return true;
		sm_cpu_relax();
	}
	return false;
}

static __thread const struct sm_lock_watch *watch;

const struct sm_lock_watch *sm__lock_watch(const struct sm_lock_watch *w)
{
	const struct sm_lock_watch *before = watch;

	watch = w;
	return before;
}

static void wait_for_lock(struct sm_lock *l)
{
	if (spin_for_lock(l))
		return;
	/* From here on the word stays 2 while we hold it: others may sleep behind us, and we cannot
	 * know. */
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		sleep_on(l);
}

SM_COLD void sm__lock_wait(struct sm_lock *l)
{
	uint64_t since;

	if (watch == NULL) {
		wait_for_lock(l);
		return;
	}
	since = sm__now_ns();
	wait_for_lock(l);
	watch->waited(watch->ctx, sm__now_ns() - since);
}

SM_COLD void sm__lock_wake(struct sm_lock *l)
{
	/* The lock may be taken or even be gone by now: a wake-up too many is harmless. */
	sm__futex_wake(&l->word, 1);
}

/* ---- ranks -------------------------------------------------------------------------------- */

static __thread const struct sm_lock *held[HELD_MAX];
static __thread unsigned nheld, sealed;

SM_COLD void sm__lock_note_try(const struct sm_lock *l)
{
	if (nheld == HELD_MAX)
		sm__fatal(__FILE__, __LINE__, "a thread holds more than %d locks", HELD_MAX);
	held[nheld++] = l;
}

SM_COLD void sm__lock_check_acquire(const struct sm_lock *l)
{
	for (unsigned i = 0; i < nheld; i++) {
		const struct sm_lock *h = held[i];

		if (h == l)
			sm__fatal(__FILE__, __LINE__, "lock of rank %u taken twice by one thread",
				  l->rank);
		if (l->rank == SM_RANK_NONE || h->rank < l->rank || (h->rank == l->rank && h < l))
			continue;
		sm__fatal(__FILE__, __LINE__, "lock order: rank %u wanted while rank %u is held",
			  l->rank, h->rank);
	}
	sm__lock_note_try(l);
}

SM_COLD void sm__lock_check_release(const struct sm_lock *l)
{
	unsigned i = nheld;

	while (i > 0 && held[i - 1] != l)
		i--;
	if (i == 0 && sealed)
		return;
	if (i == 0)
		sm__fatal(__FILE__, __LINE__,
			  "lock of rank %u released by a thread that does not hold it", l->rank);
	for (nheld--; i <= nheld; i++)
		held[i - 1] = held[i];
}

SM_COLD void sm__lock_check_seal(void)
{
	nheld = 0;
	sealed++;
}

SM_COLD void sm__lock_check_unseal(void)
{
	sealed--;
}
