/*
 * test_stalls: what mutators waited is counted under its cause, theirs alone and all together, and
 * not forgotten when they go. A wait for a lock, whichever, is counted once: by itself, or within
 * the wait that it is a part of.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "collector/cycle/gcstats.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static void *root[4];

static void setup(void)
{
	gc = GCTEST("gc.verify=1", "gc.percent=0");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 64, 2);
}

static uint64_t count(struct sm_mutator *of, enum sm_stall_cause cause)
{
	struct sm_gc_stalls s;

	if (of)
		sm_mutator_stalls(of, &s);
	else
		sm_gc_stalls(gc, &s);
	ck_assert_uint_eq(s.version, SM_GC_STALLS_VERSION);
	return s.cause[cause].count;
}

/* ---- locks -------------------------------------------------------------------------------- */

static struct sm_lock *held;
static _Atomic(int) holding;

/* Until a thread sleeps for it. */
static void *hold(void *arg)
{
	sm_lock_acquire(held);
	holding = 1;
	while (sm_load_relaxed(&held->word) != 2)
		usleep(100);
	sm_lock_release(held);
	return arg;
}

static void add_and_remove(void)
{
	ck_assert_int_eq(sm_root_add(gc, root, 4), 0);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
}

static void never(void *ctx, struct sm_mutator *fm, void *object)
{
	(void)ctx;
	(void)fm;
	(void)object;
}

static void set_and_clear(void)
{
	void *o = sm_new(m, node);

	ck_assert_int_eq(sm_finalizer_set(m, o, never, NULL, NULL), 0);
	ck_assert_int_eq(sm_finalizer_clear(m, o), 0);
}

static void clear(void)
{
	ck_assert_int_eq(sm_finalizer_clear(m, root), -ENOENT);
}

static void make_a_type(void)
{
	ck_assert_ptr_nonnull(sm_type_prefix(gc, 72, 3));
}

static void look_at_figures(void)
{
	struct sm_gc_stats s;

	sm_gc_stats(gc, &s);
}

static const struct way {
	size_t lock; /* offset in struct sm_gc */
	void (*wait)(void);
} ways[] = {
	{offsetof(struct sm_gc, roots.lock), add_and_remove},
	{offsetof(struct sm_gc, finalizers.lock), set_and_clear},
	{offsetof(struct sm_gc, finalizers.lock), clear},
	{offsetof(struct sm_gc, types_lock), make_a_type},
	{offsetof(struct sm_gc, stats_lock), look_at_figures},
};

START_TEST(locks)
{
	uint64_t before, all;
	pthread_t t;

	setup();
	held = (struct sm_lock *)((char *)gc + ways[_i].lock);
	before = count(m, SM_STALL_LOCK);
	all = count(NULL, SM_STALL_LOCK);
	ck_assert_int_eq(pthread_create(&t, NULL, hold, NULL), 0);
	while (!holding)
		usleep(100);
	ways[_i].wait();
	pthread_join(t, NULL);
	ck_assert_uint_eq(count(m, SM_STALL_LOCK), before + 1);
	ck_assert_uint_ge(count(NULL, SM_STALL_LOCK), all + 1);
	gctest_destroy(gc, m);
}
END_TEST

/* Part of a longer wait, the wait for a lock is not counted a second time; afterwards the next one
 * is. */
START_TEST(locks_within)
{
	struct sm_wait w;
	uint64_t before;
	pthread_t t;

	setup();
	held = &gc->roots.lock;
	for (int within = 1; within >= 0; within--) {
		holding = 0;
		before = count(m, SM_STALL_LOCK);
		ck_assert_int_eq(pthread_create(&t, NULL, hold, NULL), 0);
		while (!holding)
			usleep(100);
		if (within)
			w = sm__wait_begin();
		add_and_remove();
		if (within)
			sm__wait_end(m, SM_STALL_SWEEP, &w);
		pthread_join(t, NULL);
		ck_assert_uint_eq(count(m, SM_STALL_LOCK), before + !within);
	}
	gctest_destroy(gc, m);
}
END_TEST

/* Whatever a mutator goes through, it is told of waits for locks afterwards. */
START_TEST(still_told)
{
	const struct sm_lock_watch *w;

	setup();
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < 20000; j++)
			sm_store(m, (void **)sm_new(m, node), NULL);
		sm_collect(gc, m);
		w = sm__lock_watch(NULL);
		ck_assert_ptr_eq(w, &m->priv->lock_watch);
		(void)sm__lock_watch(w);
	}
	gctest_destroy(gc, m);
	ck_assert_ptr_null(sm__lock_watch(NULL));
}
END_TEST

/* ---- compactions -------------------------------------------------------------------------- */

static _Atomic(int) done;

/* Stands still at a safepoint, and comes out of blocking sections while others stand still. */
static void *go_in_and_out(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	holding = 1;
	while (!done) {
		sm_blocking_enter(own);
		sched_yield();
		sm_blocking_leave(own);
		sm_safepoint(own);
	}
	sm_mutator_detach(own);
	return arg;
}

/* Until the thread was caught by stops of both kinds: gc.mode=stw stops in each cycle, and the
 * compaction behind it does. Each is told by its own name. */
START_TEST(stops_have_their_causes)
{
	bool stw = _i == 1;
	pthread_t t;

	gc = GCTEST("gc.percent=0", stw ? "gc.mode=stw" : "gc.mode=concurrent", "gc.compact=full");
	m = sm_mutator_attach(gc);
	holding = done = 0;
	ck_assert_int_eq(pthread_create(&t, NULL, go_in_and_out, NULL), 0);
	while (!holding)
		usleep(100);
	ck_assert_uint_eq(count(NULL, SM_STALL_COMPACT), 0);
	while (count(NULL, SM_STALL_COMPACT) == 0 || (stw && count(NULL, SM_STALL_STOP) == 0))
		ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	if (!stw)
		ck_assert_uint_eq(count(NULL, SM_STALL_STOP), 0);
	done = 1;
	pthread_join(t, NULL);
	gctest_destroy(gc, m);
}
END_TEST

/* A thread that forks while objects move waits because of that, and for no lock. */
START_TEST(a_fork_waits_for_a_compaction)
{
	uint64_t others, moves;
	pthread_t t;
	int status;
	pid_t pid;

	setup();
	held = &gc->compact.lock;
	others = count(m, SM_STALL_LOCK);
	moves = count(m, SM_STALL_COMPACT);
	holding = 0;
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			ck_assert_int_eq(pthread_create(&t, NULL, hold, NULL), 0);
		while (i == 1 && !holding)
			usleep(100);
		pid = fork();
		if (pid == 0)
			_exit(0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		ck_assert_uint_eq(count(m, SM_STALL_COMPACT), moves + (uint64_t)i);
	}
	pthread_join(t, NULL);
	ck_assert_uint_eq(count(m, SM_STALL_LOCK), others);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- theirs, and all ---------------------------------------------------------------------- */

START_TEST(one_mutators_own)
{
	struct sm_gc_stalls own, all;
	struct sm_wait w;

	setup();
	sm_gc_stalls_reset(gc);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		for (unsigned i = 0; i <= c; i++) {
			w = sm__wait_begin();
			sm__wait_end(m, (enum sm_stall_cause)c, &w);
		}
	}
	sm_mutator_stalls(m, &own);
	sm_gc_stalls(gc, &all);
	ck_assert_uint_eq(own.version, SM_GC_STALLS_VERSION);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		ck_assert_uint_eq(own.cause[c].count, c + 1);
		ck_assert_uint_eq(all.cause[c].count, c + 1);
		ck_assert_uint_eq(own.cause[c].kept + own.cause[c].lost <= c + 1, 1);
	}
	ck_assert_uint_eq(own.all.count, SM_STALL_CAUSES * (SM_STALL_CAUSES + 1) / 2);
	ck_assert_uint_eq(own.all.total_ns, all.all.total_ns);
	ck_assert_uint_eq(own.all.max_ns, all.all.max_ns);
	ck_assert_uint_eq(own.handshake_round.count, 0);
	sm_gc_stalls_reset(gc);
	sm_mutator_stalls(m, &own);
	ck_assert_uint_eq(own.all.count, 0);
	gctest_destroy(gc, m);
}
END_TEST

static void *wait_and_go(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		sm__stall_note(&own->priv->stalls, (enum sm_stall_cause)c, 1000000 + c,
			       SM_KEPT_LOST);
	sm_mutator_detach(own);
	return arg;
}

/* Of threads that are gone: still in the sums, by cause, and in the trace's "stalls" once. */
START_TEST(of_those_who_went)
{
	uint64_t n, max;
	struct sm_gc_stalls s;
	pthread_t t;

	setup();
	sm__recent_stalls(gc, &n, &max);
	sm_gc_stalls_reset(gc);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_and_go, NULL), 0);
	pthread_join(t, NULL);
	sm_gc_stalls(gc, &s);
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		ck_assert_uint_ge(s.cause[c].count, 1);
		ck_assert_uint_ge(s.cause[c].max_ns, 1000000 + c);
		ck_assert_uint_ge(s.cause[c].lost, 1);
	}
	sm__recent_stalls(gc, &n, &max);
	ck_assert_uint_ge(n, SM_STALL_CAUSES);
	ck_assert_uint_ge(max, 1000000);
	sm__recent_stalls(gc, &n, &max);
	ck_assert_uint_lt(n, SM_STALL_CAUSES);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(names)
{
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++) {
		const char *name = sm_stall_name((enum sm_stall_cause)c);

		ck_assert_ptr_nonnull(name);
		for (unsigned d = 0; d < c; d++)
			ck_assert_str_ne(name, sm_stall_name((enum sm_stall_cause)d));
	}
	ck_assert_str_eq(sm_stall_name(SM_STALL_LOCK), "lock");
	ck_assert_str_eq(sm_stall_name(SM_STALL_COMPACT), "compact");
	ck_assert_str_eq(sm_stall_name(SM_STALL_CAUSES), "?");
}
END_TEST

/* ---- told --------------------------------------------------------------------------------- */

static struct {
	unsigned n;
	uint64_t since, until;
} told;

static void tell(void *ctx, uint64_t since, uint64_t until)
{
	ck_assert_ptr_eq(ctx, &told);
	told.n++;
	told.since = since;
	told.until = until;
}

/* Each wait once, to whom it may concern, with its end now and its length as counted; not when
 * nobody asks, and not of the thread that has the mutator next. */
START_TEST(told_of_each_wait)
{
	uint64_t before;

	setup();
	sm__stalls_tell(m, tell, &told);
	before = sm__now_ns();
	sm__stall_note(&m->priv->stalls, SM_STALL_LOCK, 1234, SM_KEPT);
	ck_assert_uint_eq(told.n, 1);
	ck_assert_uint_eq(told.until - told.since, 1234);
	ck_assert(told.until >= before && told.until <= sm__now_ns());
	sm_gc_stalls_reset(gc);
	sm__stall(m, SM_STALL_MEMORY, before);
	ck_assert_uint_eq(told.n, 2);
	ck_assert(told.since >= before && told.until > told.since);
	sm__stalls_tell(m, NULL, NULL);
	sm__stall(m, SM_STALL_MEMORY, before);
	ck_assert_uint_eq(told.n, 2);
	sm__stalls_tell(m, tell, &told);
	sm_mutator_detach(m);
	m = sm_mutator_attach(gc);
	told.n = 0;
	sm__stall(m, SM_STALL_MEMORY, before);
	ck_assert_uint_eq(told.n, 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("stalls", 60, SM_LOOP(locks, 0, sizeof(ways) / sizeof(ways[0])),
			SM_T(locks_within), SM_T(still_told),
			SM_LOOP(stops_have_their_causes, 0, 2), SM_T(a_fork_waits_for_a_compaction),
			SM_T(one_mutators_own), SM_T(of_those_who_went), SM_T(names),
			SM_T(told_of_each_wait));
}
