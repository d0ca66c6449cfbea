/*
 * test_moments_table: every public call, at every moment of a cycle, from each kind of caller, in both modes.
 *
 * A table: calls x moments x callers. In each cell a cycle is held at the moment, the caller makes the call there, the
 * cycle goes on, and whatever the caller holds or has left anywhere must be alive, with its canaries, and the verifier (and
 * the check that nothing grey is left) content. A cell that the header forbids is not run: ALLOWED says which.
 *
 * A new call is one line in CALLS and a function that makes it: with *c->mine, a pair that the caller's stack alone holds,
 * with the slot *c->place, which holds another, and with *c->taken, where the stack may keep what it took out.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "spanmark/mapfile.h"
#include "tests/support/moment.h"
#include "tests/support/run.h"

/* ---- the table's three sides ----------------------------------------------------------------------------------- */

/*
 * late: attached, and the one that has not acknowledged what the cycle waits for. acked: attached, and has; another holds
 * the cycle. born: attaches in this moment, dead words on its stack. dying: detaches right after. blocked, outsider:
 * without a mutator that runs. No kind for signal handlers: the header allows them nothing.
 */
#define CALLERS(X) X(late) X(acked) X(born) X(dying) X(coroutine) X(finalizer) X(blocked) X(outsider)
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

enum caller_kind {
#define X(name) name,
	CALLERS(X)
#undef X
		NCALLERS
};
static const char *const caller_name[] = {
#define X(name) #name,
	CALLERS(X)
#undef X
};

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

#define K(kind) (1u << (kind))
#define RUNNING (K(late) | K(acked) | K(born) | K(dying) | K(coroutine) | K(finalizer))
#define ANY	(RUNNING | K(blocked) | K(outsider))
#define NOT_RUN (K(blocked) | K(outsider))
#define WAITING (1u << 31) /* for the cycle itself */

struct caller {
	struct sm_mutator *m;			/* NULL: none that runs */
	void *volatile *mine, *volatile *taken; /* on the caller's stack */
	void **place;
	struct sm_weak *weak;
	struct sm_handle *handle, *made;
};

/* CALLS(name, from whom) */
#define CALLS(X)                                               \
	X(new, RUNNING)                                        \
	X(new_large, RUNNING)                                  \
	X(new_bytes, RUNNING)                                  \
	X(new_bytes_zeroed, RUNNING)                           \
	X(new_array, RUNNING)                                  \
	X(store, RUNNING)                                      \
	X(store_many, RUNNING)                                 \
	X(load, RUNNING)                                       \
	X(cas, RUNNING)                                        \
	X(exchange, RUNNING)                                   \
	X(copy_slots, RUNNING)                                 \
	X(clear_slots, RUNNING)                                \
	X(conservative, RUNNING)                               \
	X(safepoint, RUNNING)                                  \
	X(blocking_call, RUNNING)                              \
	X(attach_again, RUNNING)                               \
	X(current, ANY)                                        \
	X(blocking, RUNNING)                                   \
	X(handle_new, RUNNING)                                 \
	X(handle_get, RUNNING)                                 \
	X(handle_set, RUNNING)                                 \
	X(handle_free, RUNNING)                                \
	X(thread_range_add, RUNNING)                           \
	X(thread_range_remove, RUNNING)                        \
	X(finalizer_set, RUNNING)                              \
	X(finalizer_clear, RUNNING)                            \
	X(weak_new, RUNNING)                                   \
	X(weak_get, RUNNING)                                   \
	X(weak_free, RUNNING)                                  \
	X(map_file, RUNNING)                                   \
	X(mutator_stalls, RUNNING)                             \
	X(collect, WAITING | (RUNNING & ~K(finalizer)))        \
	X(finalizer_wait, WAITING | (RUNNING & ~K(finalizer))) \
	X(root_add, ANY)                                       \
	X(root_remove, ANY)                                    \
	X(unmap_file, RUNNING)                                 \
	X(types, ANY)                                          \
	X(stats, ANY)                                          \
	X(stalls_reset, ANY)                                   \
	X(collect_unattached, WAITING | NOT_RUN)               \
	X(finalizer_wait_unattached, WAITING | NOT_RUN)        \
	X(attach, K(outsider))

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

#define PARENT 0x1111feedu
#define CHILD  0x2222feedu

static int fd;

/* An object with a child that it alone leads to. Disguised. */
static __attribute__((noinline)) uintptr_t pair(struct sm_mutator *own)
{
	void *volatile child = sm_new(own, node);
	uintptr_t *p;

	((uintptr_t *)child)[2] = CHILD;
	p = sm_new(own, node);
	p[2] = PARENT;
	sm_store(own, (void **)p, child);
	return ~(uintptr_t)p;
}

static bool whole(const void *p)
{
	const uintptr_t *w = p;

	return w == NULL || (w[2] == PARENT && w[0] != 0 && ((const uintptr_t *)w[0])[2] == CHILD);
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

/* What each cell finds prepared. */
static void *range[4], *old_range[4], *own_range[4], *old_own_range[4];
static void *file;
static _Atomic(int) finalized;

static void note(void *ctx, struct sm_mutator *own, void *object)
{
	(void)ctx;
	(void)own;
	finalized += whole(object);
}

static uintptr_t cell_dead(void); /* disguised */

static void call_new(struct caller *c)
{
	for (int i = 0; i < 100; i++)
		*c->taken = sm_new(c->m, node);
	*c->taken = (void *)~pair(c->m);
}

static void call_new_large(struct caller *c)
{
	void **large = sm_new_array(c->m, sm_type_pointers(gc, 1), 9000);

	sm_store(c->m, &large[8999], *c->mine);
	*c->mine = NULL;
	*c->taken = (void *)~pair(c->m);
	sm_store(c->m, (void **)*c->taken + 1, large);
}

static void call_new_bytes(struct caller *c)
{
	for (size_t i = 1; i < 40000; i = i * 3 / 2 + 1)
		memset(sm_new_bytes(c->m, i), 0x33, i);
}

static void call_new_bytes_zeroed(struct caller *c)
{
	for (size_t i = 1; i < 40000; i = i * 3 / 2 + 1)
		ck_assert_int_eq(*(char *)sm_new_bytes_zeroed(c->m, i), 0);
}

static void call_new_array(struct caller *c)
{
	void **array = sm_new_array(c->m, node, 3);

	sm_store(c->m, &array[4], *c->mine);
	*c->mine = NULL;
	*c->taken = (void *)~pair(c->m);
	sm_store(c->m, (void **)*c->taken + 1, array);
}

static void call_store(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_store(c->m, c->place, *c->mine);
	*c->mine = NULL;
}

/* Fills the buffer several times. */
static void call_store_many(struct caller *c)
{
	void *volatile two[2] = {sm_load(c->place), *c->mine};

	for (int i = 0; i < 50; i++)
		sm_store(c->m, c->place, two[i % 2]);
	*c->taken = two[0];
	*c->mine = NULL;
}

static void call_load(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_store(c->m, c->place, NULL);
}

static void call_cas(struct caller *c)
{
	void *expected = sm_load(c->place);

	*c->taken = expected;
	ck_assert(sm_cas(c->m, c->place, &expected, *c->mine));
	*c->mine = NULL;
}

static void call_exchange(struct caller *c)
{
	*c->taken = sm_exchange(c->m, c->place, *c->mine);
	*c->mine = NULL;
}

static void call_copy_slots(struct caller *c)
{
	void *const from[1] = {*c->mine};

	*c->taken = sm_load(c->place);
	sm_copy_slots(c->m, c->place, from, 1);
	*(void *volatile *)&from[0] = NULL;
	*c->mine = NULL;
}

static void call_clear_slots(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_clear_slots(c->m, c->place, 1);
}

static void call_safepoint(struct caller *c)
{
	sm_safepoint(c->m);
}

static void call_blocking(struct caller *c)
{
	sm_blocking_enter(c->m);
	usleep(5);
	sm_blocking_leave(c->m);
}

static void *yield(void *arg)
{
	usleep(1);
	return arg;
}

static void call_blocking_call(struct caller *c)
{
	ck_assert_ptr_eq(sm_blocking_call(c->m, yield, c), c);
}

static void call_attach_again(struct caller *c)
{
	ck_assert_ptr_eq(sm_mutator_attach(gc), c->m);
	sm_mutator_detach(c->m);
}

static void call_current(struct caller *c)
{
	struct sm_mutator *own = sm_mutator_current(gc);

	ck_assert(c->m == NULL || own == c->m);
}

/* Interior pointers and integers in, and out again. */
static void call_conservative(struct caller *c)
{
	char **any = sm_new(c->m, sm_type_conservative(gc, 64 * sizeof(void *)));

	sm_store(c->m, (void **)*c->mine + 1, any);
	for (int i = 0; i < 64; i++) {
		*(volatile uintptr_t *)&any[i] = i % 2 ? ~cell_dead() + (unsigned)i : 12345u * (unsigned)i;
		sm_store(c->m, (void **)&any[i], (char *)sm_load(c->place) + i % 32);
	}
	sm_store(c->m, c->place, NULL);
	*c->taken = any[40] - 8;
	for (int i = 0; i < 64; i++)
		sm_store(c->m, (void **)&any[i], NULL);
}

static void call_handle_new(struct caller *c)
{
	c->made = sm_handle_new(c->m, *c->mine);
	*c->mine = NULL;
}

static void call_handle_get(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_set(c->m, c->handle, NULL);
}

static void call_handle_set(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_set(c->m, c->handle, *c->mine);
	*c->mine = NULL;
}

static void call_handle_free(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_free(c->m, c->handle);
	c->handle = NULL;
}

static void call_thread_range_add(struct caller *c)
{
	own_range[1] = *c->mine;
	*c->mine = NULL;
	ck_assert_int_eq(sm_thread_range_add(c->m, own_range, sizeof(own_range)), 0);
	*c->taken = own_range[1];
	own_range[1] = NULL;
	ck_assert_int_eq(sm_thread_range_remove(c->m, own_range), 0);
}

static void call_thread_range_remove(struct caller *c)
{
	ck_assert_int_eq(sm_thread_range_add(c->m, old_own_range, sizeof(old_own_range)), 0);
	old_own_range[0] = *c->mine;
	*c->mine = NULL;
	sm_safepoint(c->m);
	sm_store(c->m, c->place, old_own_range[0]);
	old_own_range[0] = NULL;
	ck_assert_int_eq(sm_thread_range_remove(c->m, old_own_range), 0);
}

static void call_finalizer_set(struct caller *c)
{
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->mine, note, NULL), 0);
	*c->mine = NULL;
}

static void call_finalizer_clear(struct caller *c)
{
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->mine, note, NULL), 0);
	ck_assert_int_eq(sm_finalizer_clear(c->m, *c->mine), 0);
}

static void call_weak_new(struct caller *c)
{
	struct sm_weak *w = sm_weak_new(c->m, *c->mine);

	*c->taken = sm_weak_get(c->m, w);
	ck_assert(*c->taken == *c->mine);
	*c->mine = NULL;
	sm_weak_free(c->m, w);
}

/* The object is kept by nothing else when `place` is empty. */
static void call_weak_get(struct caller *c)
{
	*c->taken = sm_weak_get(c->m, c->weak);
	sm_store(c->m, c->place, *c->taken);
}

static void call_weak_free(struct caller *c)
{
	*c->taken = sm_weak_get(c->m, c->weak);
	sm_weak_free(c->m, c->weak);
	c->weak = NULL;
}

static void call_map_file(struct caller *c)
{
	volatile char *p = sm_map_file(c->m, fd, 0, 2 * SM_UNIT, SM_MAP_PRIVATE);

	ck_assert(p != NULL && p[100] == 0);
	sm_unmap_file(c->m, (void *)p);
}

static void call_mutator_stalls(struct caller *c)
{
	struct sm_gc_stalls s;

	sm_mutator_stalls(c->m, &s);
}

static void call_collect(struct caller *c)
{
	ck_assert_int_eq(sm_collect(gc, c->m), 0);
}

static void call_finalizer_wait(struct caller *c)
{
	sm_finalizer_wait(gc, c->m);
}

static void call_root_add(struct caller *c)
{
	if (c->mine != NULL) {
		range[2] = *c->mine;
		*c->mine = NULL;
	}
	ck_assert_int_eq(sm_root_add(gc, range, 4), 0);
}

static void call_root_remove(struct caller *c)
{
	if (c->taken != NULL)
		*c->taken = old_range[1];
	ck_assert_int_eq(sm_root_remove(gc, old_range), 0);
	old_range[1] = NULL;
}

static void call_unmap_file(struct caller *c)
{
	sm_store(c->m, &root[1], NULL);
	sm_unmap_file(c->m, file);
	file = NULL;
}

static void call_types(struct caller *c)
{
	(void)c;
	ck_assert_ptr_nonnull(sm_type_prefix(gc, 32, 2));
	ck_assert_ptr_nonnull(sm_type_bitmap(gc, 32, (const uint64_t[]){5}));
	ck_assert_ptr_nonnull(sm_type_pointers(gc, 3));
	ck_assert_ptr_nonnull(sm_type_conservative(gc, 48));
}

static void call_stats(struct caller *c)
{
	struct sm_gc_stats s;
	struct sm_gc_stalls t;

	(void)c;
	sm_gc_stats(gc, &s);
	sm_gc_stalls(gc, &t);
	ck_assert_ptr_nonnull(sm_stall_name(SM_STALL_STOP));
}

static void call_stalls_reset(struct caller *c)
{
	(void)c;
	sm_gc_stalls_reset(gc);
}

static void call_collect_unattached(struct caller *c)
{
	(void)c;
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
}

static void call_finalizer_wait_unattached(struct caller *c)
{
	(void)c;
	sm_finalizer_wait(gc, NULL);
}

static void call_attach(struct caller *c)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	(void)c;
	ck_assert_ptr_nonnull(own);
	sm_mutator_detach(own);
}

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

/* ---- one cell ---------------------------------------------------------------------------------------------------- */

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

/* Until the moment. One that is late leaves the handshake of the moment unanswered; it looks at what is asked when it
 * knows that something is, for only then that stays what it is. */
static void await_go(struct sm_mutator *own)
{
	while (!cell.go) {
		bool asked = own != NULL && sm_load_acquire(sm__poll(own)) != 0;

		if (asked && (cell.kind != late || sm_load_relaxed(&gc->hs.op) != (uint32_t)cell.op))
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
		stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
	if (cell.kind == coroutine)
		make_in_coroutine(c);
	else
		calls[cell.call].make(c);
	cell.weak = c->weak;
	cell.handle = c->handle;
}

/* The caller with its mutator: from before the moment to the cycle's end, or as long as it lives. */
static __attribute__((noinline)) void live(struct sm_mutator *own)
{
	void *volatile mine = (void *)~pair(own), *volatile taken = NULL;
	struct caller c = {.m = own, .mine = &mine, .taken = &taken};

	cell.ready = 1;
	await_go(own);
	make_call(&c);
	gctest_clear_stack();
	if (cell.kind == dying) {
		mine = taken = NULL;
	} else {
		cell.made = 1;
		while (!cell.over)
			sm_safepoint(own);
	}
	must(whole(mine), "what the caller held is damaged");
	must(whole(taken), "what the caller took is damaged");
	if (c.made) {
		must(whole(sm_handle_get(c.made)), "what a new handle holds is damaged");
		sm_handle_free(own, c.made);
	}
}

static __attribute__((noinline)) void live_blocked(struct sm_mutator *own)
{
	void *volatile mine = (void *)~pair(own), *volatile taken = NULL;
	struct caller c = {.mine = &mine, .taken = &taken};

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
	void *volatile stale[4] = {(void *)~cell.dead, (char *)~cell.dead + 8, (void *)~cell.dead, NULL};
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

/* ---- the cycle, held ------------------------------------------------------------------------------------------------ */

/* The call is made in this moment; one that waits for the cycle has at least begun, as like as not. */
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
	ck_assert_int_eq(sm_finalizer_set(m, (void *)~pair(m), call_from_finalizer, NULL), 0);
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
	if (cell.weak) {
		must(whole(sm_weak_get(m, cell.weak)), "what the weak reference gives is damaged");
		sm_weak_free(m, cell.weak);
	}
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

/* ---- all cells ------------------------------------------------------------------------------------------------------- */

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
	ck_assert_int_eq(ftruncate(fd, 2 * SM_UNIT), 0);
	signal(SIGABRT, say_where);
	signal(SIGSEGV, say_where);
	signal(SIGALRM, say_where);
	alarm(100);
}

/* Which cells there are in gc.mode=stw: no handshake but the stop, at which nobody can be late. */
static bool exists(bool stw, int op, enum caller_kind kind)
{
	if (!stw)
		return true;
	if (op == SWEEPING)
		return kind != late;
	return op == MARKING && (kind == blocked || kind == outsider || kind == born);
}

static unsigned run_moment(bool stw, unsigned moment)
{
	unsigned n = 0;

	for (unsigned call = 0; call < NCALLS; call++) {
		for (unsigned kind = 0; kind < NCALLERS; kind++) {
			if (!(calls[call].allowed & K(kind)) || !exists(stw, moments[moment].op, kind) ||
			    (kind == late && moments[moment].op >= MARKING))
				continue;
			cell.call = call;
			cell.kind = kind;
			cell.op = moments[moment].op;
			cell.stw = stw;
			cell.waits =
				(calls[call].allowed & WAITING) || (stw && moments[moment].op == MARKING);
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
	n = run_moment(stw, moment);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert(n > 0 || stw);
	ck_assert_int_eq(sm_root_remove(gc, root), 0);
	gctest_destroy(gc, m);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("moments_table");
	TCase *c = tcase_create("table");

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, table, 0, 2 * (int)(sizeof(moments) / sizeof(moments[0])));
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
