/*
 * test_roots: registered ranges, handles, thread ranges, stacks with every kind of word, and a root
 * in one register only, for each callee-saved one, at a safepoint, in a refill and in a blocking
 * section.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"

static const char *const modes[] = {"gc.mode=stw", "gc.mode=concurrent"};
static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *leaf;
static struct sm_weak *witness; /* says whether an object is alive without keeping it */

static void setup(int mode)
{
	gc = GCTEST(modes[mode], "gc.verify=1");
	m = sm_mutator_attach(gc);
	leaf = sm_type_prefix(gc, 64, 1);
}

static void collect_beside(void)
{
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
}

/* The object's address disguised, so that the disguise keeps nothing alive. */
#define HIDE(p) (~(uintptr_t)(p))

static __attribute__((noinline)) uintptr_t hidden_object(void)
{
	uintptr_t *p = sm_new(m, leaf);

	p[1] = 0xc0ffee;
	witness = sm_weak_new(m, p);
	return HIDE(p);
}

static __attribute__((noinline)) bool alive(void)
{
	return sm_weak_get(m, witness) != NULL;
}

static void expect_alive(bool yes)
{
	gctest_clear_stack();
	/* Instrumented code leaves copies of everything in its frames: there nothing is sure to go.
	 */
	if (!yes && (SM_TSAN || SM_ASAN))
		return;
	ck_assert_int_eq(alive(), yes);
	gctest_clear_stack();
}

static __attribute__((noinline)) void store_hidden(void **slot, uintptr_t hidden)
{
	sm_store(m, slot, (void *)~hidden);
}

START_TEST(ranges_and_handles)
{
	static void *range[100000]; /* more than a piece */
	struct sm_handle *h;
	uintptr_t hidden;

	setup(_i);
	ck_assert_int_eq(sm_root_add(gc, range, 100000), 0);
	ck_assert_int_eq(sm_root_add(gc, (char *)range + 1, 1), -EINVAL);
	ck_assert_int_eq(sm_root_add(gc, NULL, 1), -EINVAL);
	hidden = hidden_object();
	store_hidden(&range[99999], hidden);
	collect_beside();
	expect_alive(true);
	sm_store(m, &range[99999], NULL);
	collect_beside();
	expect_alive(false);
	sm_weak_free(m, witness);

	hidden = hidden_object();
	store_hidden(&range[5], hidden);
	ck_assert_int_eq(sm_root_remove(gc, range), 0);
	ck_assert_int_eq(sm_root_remove(gc, range), -ENOENT);
	collect_beside();
	expect_alive(false);
	sm_weak_free(m, witness);

	h = sm_handle_new(m, NULL);
	hidden = hidden_object();
	sm_handle_set(m, h, (void *)~hidden);
	collect_beside();
	expect_alive(true);
	ck_assert_uint_eq(((uintptr_t *)sm_handle_get(h))[1], 0xc0ffee);
	sm_handle_free(m, h);
	collect_beside();
	expect_alive(false);
	sm_weak_free(m, witness);
	gctest_destroy(gc, m);
}
END_TEST

START_TEST(thread_ranges)
{
	static void *local[8]; /* stands for thread-local memory: plain stores, no barrier */
	uintptr_t hidden;

	setup(_i);
	ck_assert_int_eq(sm_thread_range_add(m, local, sizeof(local)), 0);
	ck_assert_int_eq(sm_thread_range_add(m, NULL, 8), -EINVAL);
	hidden = hidden_object();
	local[3] = (char *)~hidden + 17; /* interior, too */
	collect_beside();
	expect_alive(true);
	ck_assert_int_eq(sm_thread_range_remove(m, local), 0);
	ck_assert_int_eq(sm_thread_range_remove(m, local), -ENOENT);
	collect_beside();
	expect_alive(false);
	local[3] = NULL;
	sm_weak_free(m, witness);
	gctest_destroy(gc, m);
}
END_TEST

/* Those that a thread leaves behind go with its mutator. */
static void *leave_ranges(void *arg)
{
	struct sm_mutator *own = sm_mutator_attach(gc);
	static void *place[64];

	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(sm_thread_range_add(own, &place[i], sizeof(place[i])), 0);
	sm_mutator_detach(own);
	return arg;
}

static size_t malloced(void)
{
	return mallinfo2().uordblks;
}

START_TEST(ranges_of_threads_that_went)
{
	size_t before = 0, rounds = 200;
	pthread_t t;

	mallopt(M_ARENA_MAX, 1); /* or what threads ask for is not counted */
	setup(1);
	for (size_t i = 0; i <= rounds; i++) {
		if (i == 1)
			before = malloced();
		ck_assert_int_eq(pthread_create(&t, NULL, leave_ranges, NULL), 0);
		pthread_join(t, NULL);
	}
	/* 64 of them a time, if they stayed. */
	ck_assert(SM_ASAN || SM_TSAN ||
		  malloced() < before + rounds * 64 * sizeof(struct sm_thread_range) / 4);
	gctest_destroy(gc, m);
}
END_TEST

/* What a word on the stack may look like, and whether it keeps the object. */
static __attribute__((noinline)) void with_word(uintptr_t hidden, uintptr_t offset)
{
	volatile uintptr_t word = ~hidden + offset;

	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	word = 0;
	(void)word;
}

START_TEST(stack_words)
{
	static const struct {
		uintptr_t offset;
		bool keeps;
	} words[] = {{0, true},
		     {1, true},
		     {8, true},
		     {63, true},
		     {64, false}, /* one past the end is the next object */
		     {(uintptr_t)-1, false},
		     {SM_UNIT * 64, false},
		     {(uintptr_t)1 << 40, false},
		     {(uintptr_t)1 << 62, false}};

	setup(_i);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uintptr_t hidden;

		/* Neighbours that live on their own would hide nothing; the object is alone in its
		 * span. */
		hidden = hidden_object();
		gctest_clear_stack();
		with_word(hidden, words[i].offset);
		gctest_clear_stack();
		ck_assert_msg(alive() == words[i].keeps || (SM_TSAN || SM_ASAN),
			      "word at offset %#lx", (unsigned long)words[i].offset);
		gctest_clear_stack();
		sm_weak_free(m, witness);
	}
	gctest_destroy(gc, m);
}
END_TEST

/* Wild words of all sorts, among them addresses of free spans, of stacks and of tables: no crash,
 * no mark that is not allocated (sweeping checks). */
static __attribute__((noinline)) void with_wild_words(uint64_t seed)
{
	volatile uintptr_t w[512];

	for (unsigned i = 0; i < 512; i++) {
		uint64_t r = gctest_random(&seed);

		w[i] = i % 4 == 0   ? gc->range.base + r % gc->range.bytes
		       : i % 4 == 1 ? gc->range.base + r % (64 * SM_MIB)
		       : i % 4 == 2 ? (uintptr_t)gc->range.spans + r % (4 * SM_MIB)
				    : (uintptr_t)r;
	}
	sm_collect(gc, m);
	__asm__ volatile("" ::"r"(w) : "memory");
}

START_TEST(wild_words)
{
	static void *keep;

	setup(_i);
	ck_assert_int_eq(sm_root_add(gc, &keep, 1), 0);
	for (int round = 0; round < 20; round++) {
		sm_store(m, &keep, NULL);
		for (unsigned long i = 0; i < sm_test_scaled(3000); i++) {
			void **p = i % 50 ? sm_new(m, leaf) : sm_new_array(m, leaf, 700);

			if (p == NULL || p[0] != NULL) /* an assertion writes to a pipe each time */
				ck_abort_msg("round %d: no object, or not a clean one", round);
			if (i % 3 == 0) {
				sm_store(m, p, keep);
				sm_store(m, &keep, p);
			}
		}
		with_wild_words((uint64_t)round * 77 + 1);
	}
	sm_root_remove(gc, &keep);
	gctest_destroy(gc, m);
}
END_TEST

/* Many ranges: each is looked at once a cycle, adding and removing takes few steps, however many
 * there are. */
START_TEST(many_ranges)
{
	unsigned long n = sm_test_scaled(20000), steps;
	void **word = calloc(2 * n + 20000, sizeof(void *));
	uint64_t seen, cycles;

	setup(_i);
	for (unsigned long i = 0; i < n; i++) {
		void *o = sm_new(m, leaf);

		((uintptr_t *)o)[1] = i;
		if (sm_root_add(gc, &word[2 * i], 1) != 0)
			ck_abort_msg("range %lu", i);
		sm_store(m, &word[2 * i], o);
	}
	/* A large one among them, whose end counts. */
	ck_assert_int_eq(sm_root_add(gc, &word[2 * n], 20000), 0);
	sm_store(m, &word[2 * n + 19999], sm_new(m, leaf));
	((uintptr_t *)word[2 * n + 19999])[1] = n;
	for (unsigned long i = 1; i < n; i += 3)
		ck_assert_int_eq(sm_root_remove(gc, &word[2 * i]), 0);
	seen = gc->roots.cells_seen;
	cycles = sm_load_relaxed(&gc->cycles_started);
	collect_beside(); /* twice; a small heap may have begun a cycle of its own before them */
	cycles = sm_load_relaxed(&gc->cycles_started) - cycles;
	ck_assert_uint_ge(cycles, 2);
	ck_assert_uint_le(gc->roots.cells_seen - seen, (cycles + 1) * (n + 1));
	ck_assert_uint_ge(gc->roots.cells_seen - seen, 2 * (n + 1));
	for (unsigned long i = 0; i < n; i++) {
		if (i % 3 != 1 && ((uintptr_t *)word[2 * i])[1] != i)
			ck_abort_msg("object %lu is gone", i);
	}
	ck_assert_uint_eq(((uintptr_t *)word[2 * n + 19999])[1], n);
	for (unsigned long i = 0; i < n; i++) {
		if (i % 3 != 1)
			ck_assert_int_eq(sm_root_remove(gc, &word[2 * i]), 0);
		if (i % 1000 == 0)
			ck_assert_int_eq(sm_root_remove(gc, &word[2 * i]), -ENOENT);
	}
	ck_assert_int_eq(sm_root_remove(gc, &word[2 * n]), 0);
	steps = (unsigned long)gc->roots.index.steps;
	ck_assert_msg(steps <= 8 * n, "%lu steps for %lu ranges", steps, n);
	ck_assert_uint_eq(sm__roots_bytes(gc), 0);
	gctest_destroy(gc, m);
	free(word);
}
END_TEST

static _Atomic(int) stop;

/* Ranges come and go, from threads attached and not, and their memory with them, while cycles scan
 * them. */
static void *come_and_go(void *arg)
{
	struct sm_mutator *own = arg ? sm_mutator_attach(gc) : NULL;
	uint64_t rs = (uintptr_t)arg + 5;

	while (!stop) {
		size_t nwords = gctest_random(&rs) % 8 ? 1 + gctest_random(&rs) % 20 : 3000;
		void **range = mmap(NULL, nwords * 8, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		uintptr_t *o;

		if (range == MAP_FAILED || sm_root_add(gc, range, nwords) != 0)
			abort();
		if (own) {
			o = sm_new(own, leaf);
			o[1] = 0xc0ffee;
			sm_store(own, &range[nwords - 1], o);
			for (int i = 0; i < 200; i++)
				((uintptr_t *)sm_new(own, leaf))[1] = 0xbad;
			if (((uintptr_t *)range[nwords - 1])[1] != 0xc0ffee)
				abort();
		}
		if (sm_root_remove(gc, range) != 0)
			abort();
		munmap(range, nwords * 8);
	}
	if (own)
		sm_mutator_detach(own);
	return NULL;
}

START_TEST(ranges_come_and_go)
{
	pthread_t t[3];

	setup(_i);
	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go, (void *)i), 0);
	for (unsigned long i = 0; i < sm_test_scaled(40); i++)
		ck_assert_int_eq(sm_collect(gc, m), 0);
	stop = 1;
	sm_blocking_enter(m);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	sm_blocking_leave(m);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- registers ---------------------------------------------------------------------------- */

/*
 * in_REGISTER(hidden) calls roots_test_call() with ~hidden in that callee-saved register and
 * nowhere else. Whatever the callee does, a cycle runs meanwhile.
 */
void (*roots_test_call)(void);

#if defined(__x86_64__)
#define IN_REGISTER(reg)                                                                       \
	void in_##reg(uintptr_t hidden);                                                       \
	__asm__(".text\n.type in_" #reg ", @function\nin_" #reg ":\n\t"                        \
		"push %" #reg "\n\tmov %rdi, %" #reg "\n\tnot %" #reg "\n\txor %edi, %edi\n\t" \
		"call *roots_test_call(%rip)\n\tpop %" #reg "\n\tret\n");
IN_REGISTER(rbx)
IN_REGISTER(rbp)
IN_REGISTER(r12)
IN_REGISTER(r13)
IN_REGISTER(r14)
IN_REGISTER(r15)
static void (*const in_register[])(uintptr_t) = {in_rbx, in_rbp, in_r12, in_r13, in_r14, in_r15};
#elif defined(__aarch64__)
#define IN_REGISTER(reg, move)                                                                    \
	void in_##reg(uintptr_t hidden);                                                          \
	__asm__(".text\n.type in_" #reg ", %function\nin_" #reg ":\n\t"                           \
		"str " #reg ", [sp, #-32]!\n\tstr x30, [sp, #16]\n\tmvn x9, x0\n\t" move " " #reg \
		", x9\n\tmov x0, #0\n\tmov x9, #0\n\tadrp x10, roots_test_call\n\t"               \
		"ldr x10, [x10, #:lo12:roots_test_call]\n\tblr x10\n\tldr x30, [sp, #16]\n\t"     \
		"ldr " #reg ", [sp], #32\n\tret\n");
IN_REGISTER(x19, "mov")
IN_REGISTER(x20, "mov")
IN_REGISTER(x21, "mov")
IN_REGISTER(x22, "mov")
IN_REGISTER(x23, "mov")
IN_REGISTER(x24, "mov")
IN_REGISTER(x25, "mov")
IN_REGISTER(x26, "mov")
IN_REGISTER(x27, "mov")
IN_REGISTER(x28, "mov")
IN_REGISTER(d8, "fmov")
IN_REGISTER(d15, "fmov")
static void (*const in_register[])(uintptr_t) = {in_x19, in_x20, in_x21, in_x22, in_x23, in_x24,
						 in_x25, in_x26, in_x27, in_x28, in_d8,	 in_d15};
#endif

static void by_collect(void)
{
	sm_collect(gc, m);
	sm_collect(gc, m);
}

static _Atomic(int) cycles_asked;

static void *other_collects(void *arg)
{
	sm_collect(gc, NULL);
	sm_collect(gc, NULL);
	cycles_asked = 1;
	return arg;
}

/* Safepoints only. */
static void by_safepoint(void)
{
	pthread_t t;

	cycles_asked = 0;
	pthread_create(&t, NULL, other_collects, NULL);
	while (!cycles_asked)
		sm_safepoint(m);
	pthread_join(t, NULL);
}

/* Through the allocator's slow path. */
static void by_refill(void)
{
	pthread_t t;

	cycles_asked = 0;
	pthread_create(&t, NULL, other_collects, NULL);
	while (!cycles_asked)
		sm_new(m, leaf);
	pthread_join(t, NULL);
}

static void by_blocking(void)
{
	pthread_t t;

	sm_blocking_enter(m);
	pthread_create(&t, NULL, other_collects, NULL);
	pthread_join(t, NULL);
	sm_blocking_leave(m);
}

/* Saves every callee-saved register at the top of a frame of 12 KiB, blocks, and returns. */
static __attribute__((noinline)) void begin_blocking(void)
{
	volatile char line[12 * SM_KIB];

#if defined(__x86_64__)
	__asm__ volatile("xor %%ebx, %%ebx\n\txor %%r12d, %%r12d\n\txor %%r13d, %%r13d\n\txor "
			 "%%r14d, %%r14d\n\t"
			 "xor %%r15d, %%r15d" ::
				 : "rbx", "r12", "r13", "r14", "r15", "memory");
#elif defined(__aarch64__)
	__asm__ volatile("" ::
				 : "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
				   "x28", "d8", "d15", "memory");
#endif
	sm_blocking_enter(m);
	__asm__ volatile("" ::"r"(line) : "memory");
}

/* Whatever it calls saves the registers farther down than begin_blocking did. */
static __attribute__((noinline)) void wait_deep_down(void)
{
	volatile char frame[20 * SM_KIB];

	while (!cycles_asked)
		usleep(100);
	__asm__ volatile("" ::"r"(frame) : "memory");
}

/* The function that says that it blocks has returned when the proxy looks. */
static void by_blocking_helper(void)
{
	pthread_t t;

	cycles_asked = 0;
	begin_blocking();
	pthread_create(&t, NULL, other_collects, NULL);
	wait_deep_down();
	pthread_join(t, NULL);
	sm_blocking_leave(m);
}

static void *collect_and_join(void *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, other_collects, NULL);
	pthread_join(t, NULL);
	return arg;
}

static void by_blocking_call(void)
{
	ck_assert_ptr_eq(sm_blocking_call(m, collect_and_join, gc), gc);
}

#if defined(__x86_64__) || defined(__aarch64__)
START_TEST(registers)
{
	static void (*const ways[])(void) = {by_collect,  by_safepoint,	      by_refill,
					     by_blocking, by_blocking_helper, by_blocking_call};

	setup(_i % 2);
	roots_test_call = ways[_i / 2];
	for (size_t r = 0; r < sizeof(in_register) / sizeof(in_register[0]); r++) {
		uintptr_t hidden = hidden_object();

		gctest_clear_stack();
		in_register[r](hidden);
		gctest_clear_stack();
		ck_assert_msg(alive(), "register %zu, way %d", r, _i / 2);
		gctest_clear_stack();
		/* And without: gone, or the test would prove nothing. */
		collect_beside();
		ck_assert_msg(SM_TSAN || SM_ASAN || !alive(), "register %zu, way %d: still alive",
			      r, _i / 2);
		sm_weak_free(m, witness);
	}
	gctest_destroy(gc, m);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("roots");
	TCase *c = tcase_create("roots");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, ranges_and_handles, 0, 2);
	tcase_add_loop_test(c, thread_ranges, 0, 2);
	tcase_add_loop_test(c, many_ranges, 0, 2);
	tcase_add_test(c, ranges_of_threads_that_went);
	tcase_add_loop_test(c, ranges_come_and_go, 0, 2);
	tcase_add_loop_test(c, stack_words, 0, 2);
	tcase_add_loop_test(c, wild_words, 0, 2);
#if defined(__x86_64__) || defined(__aarch64__)
	tcase_add_loop_test(c, registers, 0, 12);
#endif
	suite_add_tcase(s, c);
	return sm_test_run(s);
}
