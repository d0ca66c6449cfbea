/*
 * test_moments_table: every public call, at every moment of a cycle, from each kind of caller, in
 * both modes.
 *
 * A table: calls x moments x callers. In each cell a cycle is held at the moment, the caller makes
 * the call there, the cycle goes on, and whatever the caller holds or has left anywhere must be
 * alive, with its canaries, and the verifier (and the check that nothing grey is left) must find no
 * fault. A cell that the header forbids is not run: ALLOWED says which.
 *
 * A new call is one line in CALLS and a function that makes it: with *c->mine, a pair that the
 * caller's stack alone holds, with the slot *c->place, which holds another, and with *c->taken,
 * where the stack may keep what it took out. The functions are in tests/support/moment_calls.h and
 * tests/support/moment_calls_gc.h; tests/cli/test_headers.sh compares them with what the public
 * headers declare.
 */
#include <fcntl.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/support/moment_calls.h"
#include "tests/support/moment_calls_gc.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

/* ---- the table's other sides -------------------------------------------------------------- */

/* The handshake that is pending; and what lies between two: marking not drained, and the sweep. */
#define MOMENTS(X)                             \
	X(before_none, SM_HS_NONE)             \
	X(before_barrier_on, SM_HS_BARRIER_ON) \
	X(before_black, SM_HS_BLACK)           \
	X(before_scan, SM_HS_SCAN)             \
	X(marking, MARKING)                    \
	X(terminating, SM_HS_FLUSH)            \
	X(marked, SM_HS_BARRIER_OFF)           \
	X(before_retire, SM_HS_RETIRE)         \
	X(sweeping, SWEEPING)

#define MARKING	 100
#define SWEEPING 101
static const struct {
	const char *name;
	int op;
} moments[] = {
#define X(name, op) {#name, op},
	MOMENTS(X)
#undef X
};

/* CALLS(name, from whom); WAITING: for the cycle itself, too. */
#define CALLS(X)                                                              \
	X(new, RUNNING)                                                       \
	X(new_large, RUNNING)                                                 \
	X(new_bytes, RUNNING)                                                 \
	X(new_bytes_zeroed, RUNNING)                                          \
	X(new_array, RUNNING)                                                 \
	X(new_flex, RUNNING)                                                  \
	X(new_aligned, RUNNING)                                               \
	X(store, RUNNING)                                                     \
	X(store_many, RUNNING)                                                \
	X(load, RUNNING)                                                      \
	X(cas, RUNNING)                                                       \
	X(exchange, RUNNING)                                                  \
	X(copy_slots, RUNNING)                                                \
	X(clear_slots, RUNNING)                                               \
	X(conservative, RUNNING)                                              \
	X(safepoint, RUNNING)                                                 \
	X(blocking_call, RUNNING | K(blocked))                                \
	X(attach_again, RUNNING)                                              \
	X(current, ANY)                                                       \
	X(blocking, RUNNING | K(blocked))                                     \
	X(stack_leave, RUNNING)                                               \
	X(handle_new, RUNNING)                                                \
	X(handle_get, RUNNING)                                                \
	X(handle_set, RUNNING)                                                \
	X(handle_free, RUNNING)                                               \
	X(handle_compare, ANY)                                                \
	X(thread_range_add, RUNNING)                                          \
	X(thread_range_remove, RUNNING)                                       \
	X(finalizer_set, RUNNING)                                             \
	X(finalizer_clear, RUNNING)                                           \
	X(finalizer_set_owning, RUNNING)                                      \
	X(weak_new, RUNNING)                                                  \
	X(weak_get, RUNNING)                                                  \
	X(weak_free, RUNNING | K(blocked))                                    \
	X(ephemeron_new, RUNNING)                                             \
	X(ephemeron_get, RUNNING)                                             \
	X(ephemeron_free, RUNNING | K(blocked))                               \
	X(map_file, RUNNING)                                                  \
	X(mutator_stalls, RUNNING)                                            \
	X(collect, WAITING | RUNNING | K(blocked))                            \
	X(collect_compact, ANY)                                               \
	X(pin, RUNNING)                                                       \
	X(finalizer_wait, WAITING | ((RUNNING | K(blocked)) & ~K(finalizer))) \
	X(root_add, ANY)                                                      \
	X(root_remove, ANY)                                                   \
	X(unmap_file, RUNNING)                                                \
	X(types, ANY)                                                         \
	X(stats, ANY)                                                         \
	X(stalls_reset, ANY)                                                  \
	X(heap_stats, ANY)                                                    \
	X(limits, ANY)                                                        \
	X(on_cycle, ANY)                                                      \
	X(object_base, ANY)                                                   \
	X(heap_foreach, WAITING | ANY)                                        \
	X(heap_dump, WAITING | ANY)                                           \
	X(other_collector, ANY & ~(K(finalizer) | K(coroutine)))              \
	X(collect_unattached, WAITING | NOT_RUN)                              \
	X(finalizer_wait_unattached, WAITING | NOT_RUN)                       \
	X(attach, K(outsider))

static const struct {
	const char *name;
	void (*make)(struct caller *c);
	unsigned allowed;
} calls[] = {
#define X(name, allowed) {#name, call_##name, allowed},
	CALLS(X)
#undef X
};
#define NCALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- one cell ----------------------------------------------------------------------------- */

static struct {
	char name[120];
	enum caller_kind kind;
	unsigned call;
	int op; /* the moment's */
	bool stw, waits;
	_Atomic(int) ready, go, made, over;
	uint64_t target; /* gc->cycles_completed when the cycle is over */
	uintptr_t dead;	 /* disguised */
	struct sm_weak *weak;
	struct sm_handle *handle;
	struct sm_ephemeron *ephemeron;
} cell;

static uintptr_t cell_dead(void)
{
	return cell.dead;
}

static void say_where(int sig)
{
	if (write(STDERR_FILENO, cell.name, strlen(cell.name)) < 0)
		_exit(3);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void must(bool holds, const char *what)
{
	if (!holds)
		ck_abort_msg("%s: %s", cell.name, what);
}

/* Until the moment. One that is late leaves the handshake of the moment unanswered; it looks at
 * what is asked when it knows that something is, for only then that stays what it is. */
static void await_go(struct sm_mutator *own)
{
	while (!cell.go) {
		bool asked = own != NULL && sm_load_acquire(sm__poll(own)) != 0;

		if (asked &&
		    (cell.kind != late || sm_load_relaxed(&gc->hs.op) != (uint32_t)cell.op))
			sm_safepoint(own);
		usleep(5);
	}
}

static ucontext_t main_context, coroutine_context;
static struct caller *in_coroutine;

static void run_in_coroutine(void)
{
	calls[cell.call].make(in_coroutine);
	sm_stack_leave(in_coroutine->m);
}

static __attribute__((noinline)) void make_in_coroutine(struct caller *c)
{
	enum { BYTES = 256 * 1024 };
	static char *stack;

	if (stack == NULL)
		stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	/* What ran there before has left its words. */
	ck_assert_int_eq(sm_thread_range_add(c->m, stack, BYTES), 0);
	in_coroutine = c;
	getcontext(&coroutine_context);
	coroutine_context.uc_stack.ss_sp = stack;
	coroutine_context.uc_stack.ss_size = BYTES;
	coroutine_context.uc_link = &main_context;
	makecontext(&coroutine_context, run_in_coroutine, 0);
	sm_stack_leave(c->m);
	swapcontext(&main_context, &coroutine_context);
	ck_assert_int_eq(sm_thread_range_remove(c->m, stack), 0);
}

static __attribute__((noinline)) void make_call(struct caller *c)
{
	c->place = (void **)root[0];
	c->weak = cell.weak;
	c->handle = cell.handle;
	c->ephemeron = cell.ephemeron;
	if (cell.kind == coroutine)
		make_in_coroutine(c);
	else
		calls[cell.call].make(c);
	cell.weak = c->weak;
	cell.handle = c->handle;
	cell.ephemeron = c->ephemeron;
}

static bool leads_to_pair(void **taken, size_t at)
{
	char *object = sm_load(taken + 1);
	void *p = object ? sm_load((void **)(object + at)) : NULL;

	return p != NULL && whole(p);
}

/* The caller with its mutator: from before the moment to the cycle's end, or as long as it lives.
 */
static __attribute__((noinline)) void live(struct sm_mutator *own)
{
	void *volatile mine = (void *)~pair(own), *volatile taken = NULL;
	struct caller c = {.m = own, .own = own, .mine = &mine, .taken = &taken};

	cell.ready = 1;
	await_go(own);
	make_call(&c);
	gctest_clear_stack();
	if (cell.kind == dying) {
		mine = taken = NULL;
	} else {
		cell.made = 1;
		while (!cell.over) {
			sm_safepoint(own);
			usleep(5);
		}
	}
	must(whole(mine), "what the caller held is damaged");
	must(whole(taken), "what the caller took is damaged");
	if (c.inner && taken)
		must(leads_to_pair((void **)taken, c.inner - 1),
		     "what a new object led to is damaged");
	if (c.made_ephemeron) {
		void *value = sm_ephemeron_get(own, c.made_ephemeron);

		must(whole(value) && (value || mine == NULL),
		     "what a new ephemeron gives is damaged");
		sm_ephemeron_free(own, c.made_ephemeron);
	}
	if (c.made) {
		must(whole(sm_handle_get(c.made)), "what a new handle holds is damaged");
		sm_handle_free(own, c.made);
	}
}

static __attribute__((noinline)) void live_blocked(struct sm_mutator *own)
{
	void *volatile mine = (void *)~pair(own), *volatile taken = NULL;
	struct caller c = {.own = own, .mine = &mine, .taken = &taken};

	sm_blocking_enter(own);
	cell.ready = 1;
	await_go(NULL);
	make_call(&c);
	cell.made = 1;
	while (!cell.over)
		usleep(5);
	sm_blocking_leave(own);
	must(whole(mine), "what the blocked caller held is damaged");
}

static void *call_from_thread(void *arg)
{
	/* What one that is born, or comes by again, has on its stack. */
	void *volatile stale[4] = {(void *)~cell.dead, (char *)~cell.dead + 8, (void *)~cell.dead,
				   NULL};
	struct sm_mutator *own = NULL;
	struct caller c = {0};

	if (cell.kind != born && cell.kind != outsider)
		own = sm_mutator_attach(gc);
	if (cell.kind == outsider || cell.kind == born) {
		cell.ready = 1;
		await_go(NULL);
	}
	if (cell.kind == outsider)
		make_call(&c);
	if (cell.kind == born)
		own = sm_mutator_attach(gc);
	if (cell.kind == blocked)
		live_blocked(own);
	else if (own != NULL)
		live(own);
	if (own != NULL)
		sm_mutator_detach(own);
	cell.made = 1;
	return stale[3] == NULL ? arg : NULL;
}

static void call_from_finalizer(void *ctx, struct sm_mutator *own, void *object)
{
	(void)ctx;
	must(whole(object), "a finalizer's object is damaged");
	live(own);
	cell.made = 2;
}

/* ---- the cycle, held ---------------------------------------------------------------------- */

/* The call is made in this moment; one that waits for the cycle has at least begun, as like as not.
 */
static void await_made(void)
{
	uint64_t since = sm__now_ns(), most = cell.waits ? 300000 : 200000000;

	while (!cell.made && sm__now_ns() - since < most)
		usleep(5);
}

static bool at_moment(void)
{
	uint32_t phase = sm_load_acquire(&gc->phase);

	if (cell.op == MARKING)
		return phase == SM_GC_TERMINATING;
	return cell.op == SWEEPING &&
	       (phase == SM_GC_SWEEPING || sm_load_seqcst(&gc->cycles_completed) >= cell.target);
}

/* m blocks, so it answers everything by proxy. */
static void go_when(bool (*there)(void))
{
	while (!there())
		usleep(5);
	cell.go = 1;
	await_made();
}

static bool caller_is_asked(void)
{
	struct sm_mutator_priv *p;
	bool asked = false;

	sm_lock_acquire(&gc->mutators_lock);
	for (p = gc->mutators; p; p = p->next)
		asked |= p->m != m && sm_load_relaxed(sm__poll(p->m)) != 0 &&
			 sm_load_relaxed(&gc->hs.op) == (uint32_t)cell.op;
	sm_lock_release(&gc->mutators_lock);
	return asked;
}

/* m is the one that does not acknowledge, or it blocks from before the cycle. */
static bool m_holds(void)
{
	return cell.op < MARKING && cell.kind != late;
}

static void hold_and_go(void)
{
	if (!m_holds()) {
		go_when(cell.op >= MARKING ? at_moment : caller_is_asked);
		return;
	}
	step_until(m, (enum sm_handshake_op)cell.op);
	/* The caller has acknowledged. */
	while (caller_is_asked())
		usleep(5);
	cell.go = 1;
	await_made();
	sm_blocking_enter(m);
}

static __attribute__((noinline)) void prepare(void)
{
	void **place = sm_new(m, node);

	cell.ready = cell.go = cell.made = cell.over = 0;
	cell.dead = pair(m);
	sm_store(m, &root[0], place);
	sm_store(m, &place[0], (void *)~pair(m));
	cell.weak = sm_weak_new(m, sm_load(&place[0]));
	cell.handle = sm_handle_new(m, (void *)~pair(m));
	cell.ephemeron = sm_ephemeron_new(m, sm_load(&place[0]), (void *)~pair(m));
	memset(old_range, 0, sizeof(old_range));
	memset(range, 0, sizeof(range));
	ck_assert_int_eq(sm_root_add(gc, old_range, 4), 0);
	sm_store(m, &old_range[1], (void *)~pair(m));
	file = sm_map_file(m, fd, 0, SM_UNIT, SM_MAP_PRIVATE);
	ck_assert_ptr_nonnull(file);
	sm_store(m, &root[1], file);
}

static __attribute__((noinline)) void queue_finalizer(void)
{
	ck_assert_int_eq(sm_finalizer_set(m, (void *)~pair(m), call_from_finalizer, NULL, NULL), 0);
}

/* The ephemeron's key is the weak reference's object. */
static void check_references(void)
{
	void *key = cell.weak ? sm_weak_get(m, cell.weak) : NULL;

	must(whole(key), "what the weak reference gives is damaged");
	if (cell.ephemeron) {
		void *value = sm_ephemeron_get(m, cell.ephemeron);

		must(whole(value) && (value || !key), "what the ephemeron gives is damaged");
	}
	sm_ephemeron_free(m, cell.ephemeron);
	sm_weak_free(m, cell.weak);
}

static unsigned ends_due;

/* What was set in this cycle has seen its end, and later cycles whole. */
static void check_events(void)
{
	ck_assert_int_eq(sm_gc_on_cycle(gc, NULL, NULL), 0);
	if (calls[cell.call].make != call_on_cycle)
		return;
	ends_due += end_is_due;
	must(!end_is_due || events[SM_CYCLE_ENDS] > 0, "the cycle's end was not told");
	must(events[SM_CYCLE_ENDS] - events[SM_CYCLE_BEGINS] <= 1, "an end without a beginning");
	must(events[SM_CYCLE_BEGINS] - events[SM_CYCLE_ENDS] <= 1, "a beginning without an end");
}

static __attribute__((noinline)) void check(void)
{
	void **place = sm_load(&root[0]);

	must(gctest_stats(gc).verify_errors == 0, "the verifier found differences");
	must(whole(sm_load(&place[0])), "what the place holds is damaged");
	must(whole(old_range[1]), "what the old range holds is damaged");
	must(whole(range[2]), "what the new range holds is damaged");
	if (cell.handle) {
		must(whole(sm_handle_get(cell.handle)), "what the handle holds is damaged");
		sm_handle_free(m, cell.handle);
	}
	check_references();
	check_events();
	/* New limits ask for a cycle, which must not come into the next cell. */
	if (calls[cell.call].make == call_limits)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	(void)sm_root_remove(gc, old_range);
	(void)sm_root_remove(gc, range);
	range[2] = NULL;
	sm_store(m, &root[1], NULL);
	if (file)
		sm_unmap_file(m, file);
	file = NULL;
}

static void start_caller(pthread_t *t)
{
	if (cell.kind == finalizer) {
		queue_finalizer();
		gctest_clear_stack();
		while (!cell.ready)
			ck_assert_int_eq(sm_collect(gc, m), 0);
		return;
	}
	ck_assert_int_eq(pthread_create(t, NULL, call_from_thread, NULL), 0);
	sm_blocking_enter(m);
	while (!cell.ready)
		usleep(5);
	sm_blocking_leave(m);
}

static void run_cell(void)
{
	pthread_t t;

	alarm(100);
	prepare();
	gctest_clear_stack();
	start_caller(&t);
	cell.target = sm_load_seqcst(&gc->cycles_started) + 1;
	if (!m_holds())
		sm_blocking_enter(m);
	/* One marker more than there are: the queues are not drained before it leaves. */
	if (cell.op == MARKING)
		sm__workq_enter(&gc->workq);
	sm__gc_ask(gc);
	hold_and_go();
	if (cell.op == MARKING)
		sm__workq_leave(&gc->workq, false);
	while (sm_load_seqcst(&gc->cycles_completed) < cell.target)
		usleep(5);
	cell.over = 1;
	if (cell.kind != finalizer)
		pthread_join(t, NULL);
	else
		sm_finalizer_wait(gc, NULL);
	sm_blocking_leave(m);
	check();
	gctest_clear_stack();
}

/* ---- all cells ---------------------------------------------------------------------------- */

static void start(bool stw)
{
	char name[] = "/tmp/spanmark-test-table-XXXXXX";

	gc = GCTEST(stw ? "gc.mode=stw" : "gc.mode=concurrent", "gc.percent=0", "gc.verify=1",
		    "gc.report_ms=0", "gc.barrier_buffer=16", "debug.fill=1", "cache.window=1k",
		    "gc.workers=1");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 32, 2);
	memset(root, 0, sizeof(root));
	ck_assert_int_eq(sm_root_add(gc, root, 64), 0);
	fd = mkstemp(name);
	unlink(name);
	null_fd = open("/dev/null", O_WRONLY);
	ck_assert_int_eq(ftruncate(fd, 2 * SM_UNIT), 0);
	signal(SIGABRT, say_where);
	signal(SIGSEGV, say_where);
	signal(SIGALRM, say_where);
}

/* Which cells there are in gc.mode=stw: no handshake but the stop, at which no mutator can be late.
 */
static bool exists(bool stw, int op, enum caller_kind kind)
{
	if (!stw)
		return true;
	if (op == SWEEPING)
		return kind != late;
	return op == MARKING && (kind == blocked || kind == outsider || kind == born);
}

/* One cell in so many, on a machine that is emulated, and after a while on one that is so busy that
 * each cell takes a hundred times as long; each call and kind of caller has its turn. */
static unsigned stride(void)
{
	static uint64_t since;
	unsigned long percent = sm_test_scaled(100);

	if (since == 0)
		since = sm__now_ns();
	if (sm__now_ns() - since > 10 * 1000000000ull && percent > 20)
		percent = 20;
	return percent < 100 ? (unsigned)(100 / percent) : 1;
}

static unsigned run_moment(bool stw, unsigned moment)
{
	unsigned n = 0;

	for (unsigned call = 0; call < NCALLS; call++) {
		for (unsigned kind = 0; kind < NCALLERS; kind++) {
			if (!(calls[call].allowed & K(kind)) ||
			    !exists(stw, moments[moment].op, kind) ||
			    (kind == late && moments[moment].op >= MARKING) ||
			    (call + kind + moment) % stride() != 0)
				continue;
			cell.call = call;
			cell.kind = kind;
			cell.op = moments[moment].op;
			cell.stw = stw;
			cell.waits = (calls[call].allowed & WAITING) ||
				     (stw && moments[moment].op == MARKING);
			snprintf(cell.name, sizeof(cell.name), "%s by one that is %s, %s, %s",
				 calls[call].name, caller_name[kind], moments[moment].name,
				 stw ? "stw" : "concurrent");
			run_cell();
			n++;
		}
	}
	return n;
}

START_TEST(table)
{
	unsigned moment = (unsigned)_i / 2, n;
	bool stw = _i % 2;

	start(stw);
	ends_due = 0;
	n = run_moment(stw, moment);
	ck_assert(ends_due > 0 || moments[moment].op == SWEEPING || stw || stride() > 1);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert(n > 0 || stw);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
	ck_assert_int_eq(owned, disposed);
	close(null_fd);
	close(fd);
}
END_TEST

int main(void)
{
	return SM_SUITE("moments_table", 300,
			SM_LOOP(table, 0, 2 * (int)(sizeof(moments) / sizeof(moments[0]))));
}
