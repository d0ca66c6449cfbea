/*
 * test_coroutine: mutators that switch stacks, with ucontext and by hand, told to the collector and
 * not: what each stack and its registers hold stays, what they have dropped goes.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node;
static bool tells; /* the program calls sm_stack_leave */

struct node {
	struct node *next;
	uintptr_t id, canary;
};

static __attribute__((noinline)) struct node *make(uintptr_t id, int len)
{
	struct node *head = NULL;

	while (len-- > 0) {
		struct node *n = sm_new(m, node);

		ck_assert_ptr_nonnull(n);
		n->id = id;
		n->canary = id * 77;
		sm_store(m, (void **)&n->next, head);
		head = n;
	}
	return head;
}

static __attribute__((noinline)) void check(const struct node *n, uintptr_t id, int len)
{
	int have = 0;

	for (; n; n = n->next, have++)
		ck_assert_msg(n->id == id && n->canary == id * 77, "list %lu: node %d is another's",
			      (unsigned long)id, have);
	ck_assert_int_eq(have, len);
}

/* ---- ways to switch ----------------------------------------------------------------------- */

#define COROUTINES  6
#define STACK_BYTES (256 * SM_KIB)

struct coroutine {
	char *stack;
	ucontext_t context;
	void *sp; /* by hand */
};
static struct coroutine co[COROUTINES], home;
static void (*body)(int);

/* Pushes the callee-saved registers, which lie nowhere else then, and swaps stack pointers. */
void coroutine_test_switch(void **from, void *to);
void coroutine_test_start(void);
#if defined(__x86_64__)
__asm__(".text\n.globl coroutine_test_switch\n.type coroutine_test_switch, "
	"@function\ncoroutine_test_switch:\n\t"
	"push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tmov %rsp, "
	"(%rdi)\n\t"
	"mov %rsi, %rsp\n\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop "
	"%rbp\n\tret\n"
	".globl coroutine_test_start\n.type coroutine_test_start, "
	"@function\ncoroutine_test_start:\n\t"
	"mov %r12, %rdi\n\tcall *%r13\n\tud2\n");
#define SWITCH_WORDS 7
#define ARGUMENT     3 /* r12, from the lowest word */
#define FUNCTION     2
#define RETURN	     6
#elif defined(__aarch64__)
__asm__(".text\n.globl coroutine_test_switch\n.type coroutine_test_switch, "
	"%function\ncoroutine_test_switch:\n\t"
	"stp x29, x30, [sp, #-160]!\n\tstp x19, x20, [sp, #16]\n\tstp x21, x22, [sp, #32]\n\tstp "
	"x23, x24, "
	"[sp, #48]\n\t"
	"stp x25, x26, [sp, #64]\n\tstp x27, x28, [sp, #80]\n\tstp d8, d9, [sp, #96]\n\tstp d10, "
	"d11, [sp, "
	"#112]\n\t"
	"stp d12, d13, [sp, #128]\n\tstp d14, d15, [sp, #144]\n\tmov x9, sp\n\tstr x9, [x0]\n\tmov "
	"sp, x1\n\t"
	"ldp x19, x20, [sp, #16]\n\tldp x21, x22, [sp, #32]\n\tldp x23, x24, [sp, #48]\n\tldp x25, "
	"x26, [sp, "
	"#64]\n\t"
	"ldp x27, x28, [sp, #80]\n\tldp d8, d9, [sp, #96]\n\tldp d10, d11, [sp, #112]\n\tldp d12, "
	"d13, [sp, "
	"#128]\n\t"
	"ldp d14, d15, [sp, #144]\n\tldp x29, x30, [sp], #160\n\tret\n"
	".globl coroutine_test_start\n.type coroutine_test_start, "
	"%function\ncoroutine_test_start:\n\t"
	"mov x0, x19\n\tblr x20\n\tbrk #1\n");
#define SWITCH_WORDS 20
#define ARGUMENT     2 /* x19 */
#define FUNCTION     3
#define RETURN	     1
#endif

static void prepare_by_hand(struct coroutine *c, int i)
{
	uintptr_t *sp = (uintptr_t *)(c->stack + STACK_BYTES - 64) - SWITCH_WORDS;

	memset(sp, 0, SWITCH_WORDS * sizeof(*sp));
	sp[ARGUMENT] = (uintptr_t)i;
	sp[FUNCTION] = (uintptr_t)body;
	sp[RETURN] = (uintptr_t)coroutine_test_start;
	c->sp = sp;
}

static bool by_hand;

static void switch_to(struct coroutine *from, struct coroutine *to)
{
	if (tells)
		sm_stack_leave(m);
	if (by_hand)
		coroutine_test_switch(&from->sp, to->sp);
	else
		swapcontext(&from->context, &to->context);
	/* No tail call: the frame that was told must still be there. */
	__asm__ volatile("" ::: "memory");
}

static void setup(int way, const char *verify)
{
	static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};

	gc = GCTEST(modes[way % 2], verify, "gc.min_heap=1m");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, sizeof(struct node), 1);
	by_hand = way / 2 % 2;
	tells = way / 4 % 2;
	/* The registers of who is suspended are in there, and nowhere else. */
	if (!tells && !by_hand) {
		ck_assert_int_eq(sm_thread_range_add(m, co, sizeof(co)), 0);
		ck_assert_int_eq(sm_thread_range_add(m, &home, sizeof(home)), 0);
	}
}

static void start(int i, void (*fn)(int))
{
	struct coroutine *c = &co[i];

	body = fn;
	c->stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(c->stack, MAP_FAILED);
	ck_assert_int_eq(sm_thread_range_add(m, c->stack, STACK_BYTES), 0);
	if (by_hand) {
		prepare_by_hand(c, i);
		return;
	}
	getcontext(&c->context);
	c->context.uc_stack.ss_sp = c->stack;
	c->context.uc_stack.ss_size = STACK_BYTES;
	c->context.uc_link = NULL;
	makecontext(&c->context, (void (*)(void))fn, 1, i);
}

static void end(int n)
{
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(sm_thread_range_remove(m, co[i].stack), 0);
		munmap(co[i].stack, STACK_BYTES);
	}
	gctest_destroy(gc, m);
}

#define WAYS 8

/* ---- all of them at once ------------------------------------------------------------------ */

#define ROUNDS 20

static void busy(int i)
{
	struct node *mine = make((uintptr_t)(100 + i), 500);

	for (int r = 0; r < ROUNDS; r++) {
		struct node *more;

		for (int k = 0; k < 100; k++)
			make(1, 20);
		switch (r % 5 == i % 5 ? r % 3 : 3) {
		case 0: sm_collect(gc, m); break;
		case 1: sm_safepoint(m); break;
		case 2:
			sm_blocking_enter(m);
			usleep(100);
			sm_blocking_leave(m);
			break;
		}
		more = make((uintptr_t)(200 + i), 10);
		switch_to(&co[i], &home);
		check(mine, (uintptr_t)(100 + i), 500);
		check(more, (uintptr_t)(200 + i), 10);
	}
	mine = NULL;
	switch_to(&co[i], &home);
	abort();
}

static _Atomic(int) stop;

static void *collect_all_the_time(void *arg)
{
	while (!stop)
		sm_collect(gc, NULL);
	return arg;
}

START_TEST(stacks_keep_what_they_hold)
{
	struct node *keep;
	pthread_t t;

	setup(_i % WAYS, _i / WAYS ? "gc.verify=1" : "gc.verify=0");
	keep = make(1, 500);
	for (int i = 0; i < COROUTINES; i++)
		start(i, busy);
	pthread_create(&t, NULL, collect_all_the_time, NULL);
	for (int r = 0; r <= ROUNDS; r++) {
		struct node *here = make((uintptr_t)(300 + r), 100);

		for (int i = 0; i < COROUTINES; i++)
			switch_to(&home, &co[i]);
		check(here, (uintptr_t)(300 + r), 100);
		check(keep, 1, 500);
	}
	stop = 1;
	sm_blocking_enter(m);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
	end(COROUTINES);
}
END_TEST

/* ---- told: what has been dropped goes ----------------------------------------------------- */

static struct sm_weak *witness;

/* Leaves the object's address below the end of the stack that is left afterwards. */
static __attribute__((noinline)) void litter(void)
{
	volatile uintptr_t junk[400];
	struct node *n = make(5, 1);

	witness = sm_weak_new(m, n);
	for (int i = 0; i < 400; i++)
		junk[i] = (uintptr_t)n;
	__asm__ volatile("" ::"r"(junk) : "memory");
}

static void litter_and_leave(int i)
{
	litter();
	for (;;)
		switch_to(&co[i], &home);
}

/* With sm_stack_leave the dead part of a suspended stack keeps nothing; without, all of it counts.
 */
START_TEST(a_stack_that_is_told_keeps_no_dead_words)
{
	setup(_i, "gc.verify=0");
	start(0, litter_and_leave);
	switch_to(&home, &co[0]);
	gctest_clear_stack();
	sm_collect(gc, m);
	sm_collect(gc, m);
	gctest_clear_stack();
	if (!SM_ASAN && !SM_TSAN)
		ck_assert_int_eq(sm_weak_get(m, witness) != NULL, !tells);
	sm_weak_free(m, witness);
	end(1);
}
END_TEST

/* ---- refusals ----------------------------------------------------------------------------- */

static int removed;

static void remove_own(int i)
{
	removed = sm_thread_range_remove(m, co[i].stack);
	for (;;)
		switch_to(&co[i], &home);
}

START_TEST(ranges_that_cannot_be)
{
	setup(0, "gc.verify=1");
	start(0, remove_own);
	switch_to(&home, &co[0]);
	ck_assert_int_eq(removed, -EBUSY);
	ck_assert_int_eq(sm_thread_range_add(m, co[0].stack + 100, 8), -EEXIST);
	ck_assert_int_eq(sm_thread_range_remove(m, co[0].stack + 100), -ENOENT);
	ck_assert_int_eq(sm_thread_range_add(m, co[0].stack + STACK_BYTES, 8), 0);
	ck_assert_int_eq(sm_thread_range_remove(m, co[0].stack + STACK_BYTES), 0);
	end(1);
}
END_TEST

/* A stack inside the thread's own: the frames below it are those of who is suspended. */
static __attribute__((noinline)) void deeper(char *stack)
{
	struct node *keep = make(9, 300);

	co[0].stack = stack;
	ck_assert_int_eq(sm_thread_range_add(m, stack, STACK_BYTES), 0);
	body = busy;
	prepare_by_hand(&co[0], 0);
	for (int r = 0; r <= ROUNDS; r++)
		switch_to(&home, &co[0]);
	check(keep, 9, 300);
	ck_assert_int_eq(sm_thread_range_remove(m, stack), 0);
}

START_TEST(a_stack_within_the_own_stack)
{
	char stack[STACK_BYTES] __attribute__((aligned(16)));

	setup(2 + _i, "gc.verify=1");
	deeper(stack);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	/* Whole stacks, with its shadow, take AddressSanitizer minutes. */
	return SM_SUITE(
		"coroutine", 100,
		SM_LOOP(stacks_keep_what_they_hold, SM_ASAN ? 4 : 0, SM_ASAN ? WAYS : 2 * WAYS),
		SM_LOOP(a_stack_that_is_told_keeps_no_dead_words, 0, WAYS),
		SM_T(ranges_that_cannot_be), SM_LOOP(a_stack_within_the_own_stack, 0, 2));
}
