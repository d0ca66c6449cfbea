/* Restartable sections and the caches per CPU that are made of them. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"
#include "tests/support/deny.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

#if SM_HAVE_RSEQ

/* ---- the sections themselves -------------------------------------------------------------- */

struct node {
	_Atomic(uint32_t) owners;
} __attribute__((aligned(16)));

#define NODES	4000
#define THREADS 8
#define ROUNDS	200000

#define STACK	(SM_RSEQ_STACKS - 1)
#define FIRST	7 /* index of a stack's lowest element */
/* Behind the slots: a window. */
#define WINDOW (offsetof(struct sm_rseq_slab, slots) + (FIRST + NODES) * sizeof(void *))

static struct sm_rseq_slab *slabs[SM_MAX_CPUS];
static struct sm_rseq_slab nothing = {.slots = {NULL}};
static void *table_slabs[SM_MAX_CPUS];
static struct sm_rseq_table table = {.slabs = table_slabs};
static struct node nodes[NODES];

static void make_table(void)
{
	table.ncpus = sm__rseq_cpus();
	for (unsigned i = 0; i < table.ncpus; i++) {
		slabs[i] = calloc(1, WINDOW + 2 * sizeof(uint64_t));
		ck_assert_ptr_nonnull(slabs[i]);
		sm_store_relaxed(&slabs[i]->word[STACK], FIRST - 1);
		sm_store_relaxed(&slabs[i]->end[STACK], FIRST - 1 + NODES);
		table_slabs[i] = slabs[i];
	}
}

static uint64_t *window_of(unsigned cpu)
{
	return (uint64_t *)&slabs[cpu]->slots[FIRST + NODES];
}

/* Pops nodes and pushes them back, on whatever CPU it runs: each node is in one place at a time. */
static void *juggle(void *arg)
{
	struct node *mine[16] = {NULL};
	unsigned seed = (unsigned)(uintptr_t)arg;
	unsigned long rounds = sm_test_scaled(ROUNDS);

	for (unsigned long i = 0; i < rounds; i++) {
		unsigned k = (unsigned)rand_r(&seed) % 16;

		if (mine[k] == NULL) {
			mine[k] = sm__rseq_pop(table_slabs, STACK);
			if (mine[k] != NULL && sm_fetch_add_relaxed(&mine[k]->owners, 1) != 0)
				ck_abort_msg("a node was popped twice");
		} else {
			sm_fetch_sub_relaxed(&mine[k]->owners, 1);
			if (sm__rseq_push(table_slabs, STACK, mine[k]))
				mine[k] = NULL;
			else
				sm_fetch_add_relaxed(&mine[k]->owners, 1);
		}
		if (i % 1000 == 0)
			sched_yield();
	}
	for (unsigned k = 0; k < 16; k++)
		if (mine[k] != NULL) {
			sm_fetch_sub_relaxed(&mine[k]->owners, 1);
			while (!sm__rseq_push(table_slabs, STACK, mine[k]))
				sched_yield();
		}
	return NULL;
}

static unsigned top_of(const struct sm_rseq_slab *s)
{
	return (unsigned)(sm_load_relaxed(&s->word[STACK]) & SM_RSEQ_TOP_MASK);
}

/* The slab of each CPU, taken away and given back, while others work on it. */
static void *take_away(void *arg)
{
	_Atomic(bool) *stop = arg;

	while (!sm_load_relaxed(stop))
		for (unsigned cpu = 0; cpu < table.ncpus; cpu++) {
			_Atomic(void *) *at = (_Atomic(void *) *)&table_slabs[cpu];
			struct sm_rseq_slab *s = sm_exchange_acqrel(at, &nothing);
			uint64_t before;

			ck_assert_int_eq(sm__rseq_fence(cpu), 0);
			before = sm_load_relaxed(&s->word[STACK]);
			usleep(50);
			/* No section may have touched it. */
			ck_assert(sm_load_relaxed(&s->word[STACK]) == before);
			sm_store_release(at, s);
		}
	return NULL;
}

static unsigned count_nodes(void)
{
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < table.ncpus; cpu++) {
		unsigned top = top_of(slabs[cpu]);

		ck_assert_uint_ge(top, FIRST - 1);
		for (unsigned i = FIRST; i <= top; i++) {
			struct node *p = slabs[cpu]->slots[i];

			ck_assert_uint_eq(sm_fetch_add_relaxed(&p->owners, 1), 0);
			n++;
		}
		ck_assert_ptr_null(slabs[cpu]->slots[FIRST - 1]);
	}
	for (unsigned k = 0; k < SM_RSEQ_STACKS; k++)
		ck_assert_uint_eq(nothing.word[k] + nothing.end[k], 0);
	ck_assert_ptr_null(nothing.slots[0]);
	return n;
}

START_TEST(nodes_are_neither_lost_nor_doubled)
{
	_Atomic(bool) stop = false;
	pthread_t t[THREADS], thief;

	make_table();
	for (unsigned i = 0; i < NODES; i++)
		ck_assert(sm__rseq_push(table_slabs, STACK, &nodes[i]));
	ck_assert_int_eq(pthread_create(&thief, NULL, take_away, &stop), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, juggle, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	sm_store_relaxed(&stop, true);
	pthread_join(thief, NULL);
	ck_assert_uint_eq(count_nodes(), NODES);
}
END_TEST

START_TEST(stacks_have_limits_and_count)
{
	struct sm_rseq_slab *mine;
	size_t at = WINDOW;
	int cpu = sched_getcpu();
	cpu_set_t one;

	make_table();
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	mine = slabs[cpu];
	mine->end[STACK] = FIRST + 1;
	ck_assert_ptr_null(sm__rseq_pop(table_slabs, STACK));
	ck_assert(sm__rseq_push(table_slabs, STACK, &nodes[0]));
	ck_assert(sm__rseq_push(table_slabs, STACK, &nodes[1]));
	ck_assert(!sm__rseq_push(table_slabs, STACK, &nodes[2]));
	ck_assert_uint_eq(top_of(mine), FIRST + 1);
	/* Cut: no push, but what is there comes out. */
	mine->end[STACK] = FIRST;
	ck_assert(!sm__rseq_push(table_slabs, STACK, &nodes[2]));
	ck_assert_ptr_eq(sm__rseq_pop(table_slabs, STACK), &nodes[1]);
	ck_assert(!sm__rseq_push(table_slabs, STACK, &nodes[2]));
	ck_assert_ptr_eq(sm__rseq_pop(table_slabs, STACK), &nodes[0]);
	ck_assert_ptr_null(sm__rseq_pop(table_slabs, STACK));
	ck_assert_uint_eq(mine->word[STACK] >> SM_RSEQ_TOP_BITS, 2);
	/* Neighbours are left alone. */
	ck_assert_uint_eq(mine->word[STACK - 1] + mine->end[STACK - 1], 0);
	/* One that is away. */
	table_slabs[cpu] = &nothing;
	ck_assert_ptr_null(sm__rseq_pop(table_slabs, STACK));
	ck_assert(!sm__rseq_push(table_slabs, STACK, &nodes[2]));
	table_slabs[cpu] = mine;
	/* Windows. */
	ck_assert(sm__rseq_put(&table, at, 5, at + 8, 6));
	ck_assert(!sm__rseq_put(&table, at, 7, at + 8, 8));
	ck_assert_uint_eq(window_of((unsigned)cpu)[0], 5);
	ck_assert_uint_eq(window_of((unsigned)cpu)[1], 6);
}
END_TEST

#define WINDOW_SLOTS 1000

static char area[64][WINDOW_SLOTS * 16];
static _Atomic(uint32_t) area_next, handed;
static _Atomic(uint8_t) taken[64][WINDOW_SLOTS];

static void *bumper(void *arg)
{
	size_t at = WINDOW;

	for (;;) {
		char *p = sm__rseq_bump(&table, at, 16);

		if (p == NULL) {
			uint32_t k = sm_fetch_add_relaxed(&area_next, 1);

			if (k >= 64)
				return arg;
			while (!sm__rseq_put(&table, at, (uintptr_t)area[k], at + 8,
					     (uintptr_t)area[k + 1])) {
				/* Another thread's window is there: use that up first. */
				p = sm__rseq_bump(&table, at, 16);
				if (p != NULL) {
					size_t off = (size_t)(p - area[0]);

					ck_assert_uint_eq(
						sm_fetch_add_relaxed(
							&taken[off / sizeof(area[0])]
							      [off % sizeof(area[0]) / 16],
							1),
						0);
					sm_fetch_add_relaxed(&handed, 1);
				}
			}
			continue;
		}
		size_t off = (size_t)(p - area[0]);

		ck_assert_uint_eq(
			sm_fetch_add_relaxed(
				&taken[off / sizeof(area[0])][off % sizeof(area[0]) / 16], 1),
			0);
		sm_fetch_add_relaxed(&handed, 1);
	}
}

START_TEST(windows_hand_each_slot_out_once)
{
	pthread_t t[THREADS];
	char *p;

	make_table();
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, bumper, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	/* What is left lies in windows of CPUs. */
	for (unsigned cpu = 0; cpu < table.ncpus; cpu++) {
		uint64_t cur = window_of(cpu)[0], end = window_of(cpu)[1];

		if (cur != 0)
			handed += (uint32_t)((end - cur) / 16);
	}
	(void)p;
	ck_assert_uint_eq(handed, 64 * WINDOW_SLOTS);
}
END_TEST

/* ---- caches per CPU ----------------------------------------------------------------------- */

static void cpu_mode(void)
{
	char err[256];

	ck_assert_int_eq(sm_malloc_configure("cache.mode", "cpu", err, sizeof(err)), 0);
	sm_free(sm_malloc(1));
	ck_assert((sm__process_heap.nslabs != 0));
}

static size_t in_use(void)
{
	struct sm_pageheap_stats st;

	sm__pageheap_stats(&sm_malloc_heap()->pages, 0, &st);
	return st.in_use_bytes;
}

static void *mixed(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	unsigned char *p[300] = {NULL};
	size_t size[300];
	unsigned long rounds = sm_test_scaled(100000);

	for (unsigned long i = 0; i < rounds; i++) {
		unsigned k = (unsigned)rand_r(&seed) % 300;

		if (p[k] != NULL) {
			ck_assert_uint_eq(p[k][0], k & 0xff);
			ck_assert_uint_eq(p[k][size[k] - 1], k & 0xff);
			sm_free(p[k]);
		}
		size[k] = 1 + (size_t)rand_r(&seed) % (i % 20 ? 400 : 20000);
		p[k] = sm_malloc(size[k]);
		memset(p[k], (int)k, size[k]);
	}
	for (unsigned k = 0; k < 300; k++)
		sm_free(p[k]);
	return NULL;
}

static void *drainer(void *arg)
{
	_Atomic(bool) *stop = arg;

	while (!sm_load_relaxed(stop)) {
		sm_malloc_trim();
		usleep(500);
	}
	return NULL;
}

START_TEST(threads_on_all_cpus_with_somebody_draining)
{
	_Atomic(bool) stop = false;
	pthread_t t[THREADS], d;

	cpu_mode();
	ck_assert_int_eq(pthread_create(&d, NULL, drainer, &stop), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, mixed, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	sm_store_relaxed(&stop, true);
	pthread_join(d, NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	sm_malloc_trim();
	ck_assert_uint_eq(in_use(), 0);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

START_TEST(another_cpus_cache_can_be_drained)
{
	struct sm_malloc_stats st;
	void *p[100];

	cpu_mode();
	for (unsigned i = 0; i < 100; i++)
		p[i] = sm_malloc(64);
	for (unsigned i = 0; i < 100; i++)
		sm_free(p[i]);
	sm_malloc_stats(&st);
	ck_assert_uint_gt(st.cached_bytes, 0);
	for (unsigned cpu = 0; cpu < sm__process_heap.nslabs; cpu++)
		ck_assert_int_eq(sm__mcpu_drain(cpu), 0);
	sm_malloc_stats(&st);
	ck_assert_uint_eq(st.cached_bytes, 0);
	ck_assert_uint_eq(st.caches, 0);
}
END_TEST

static uint64_t pops_of(size_t size)
{
	unsigned cls = sm__malloc_class_of(size);
	uint64_t n = 0;

	for (unsigned cpu = 0; cpu < sm__process_heap.nslabs; cpu++)
		n += sm__mcpu_pops(cpu, cls);
	return n;
}

/* No size goes by the thread's lists, and those that no list has are not taken for others. */
START_TEST(every_size_goes_by_the_cpu)
{
	static const size_t sizes[] = {0,
				       1,
				       16,
				       17,
				       1024,
				       1025,
				       SM_MAX_SMALL - 1,
				       SM_MAX_SMALL,
				       SM_MAX_SMALL + 1,
				       SM_MIB,
				       3 * SM_MIB};

	cpu_mode();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		bool small = size <= SM_MAX_SMALL;
		uint64_t before = small ? pops_of(size) : 0;

		for (unsigned again = 0; again < 10; again++) {
			char *p = sm_malloc(size);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_ge(sm_usable_size(p), size);
			memset(p, 0x5a, size);
			sm_free(p);
		}
		if (small)
			ck_assert_uint_ge(pops_of(size), before + 8);
		ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	}
	/* Too much is refused as ever. */
	ck_assert_ptr_null(sm_malloc(SIZE_MAX / 2));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

static void run_on(unsigned cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

static size_t cpu_held(unsigned cpu)
{
	size_t bytes = 0;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		bytes += sm__mcpu_held(cpu, cls);
	return bytes;
}

static void burst(void)
{
	static void *p[3000];

	for (unsigned i = 0; i < 3000; i++)
		p[i] = sm_malloc(64);
	for (unsigned i = 0; i < 3000; i++)
		sm_free(p[i]);
}

/* The program has left a CPU: those it runs on give back what lies there. */
START_TEST(an_idle_cpus_cache_is_emptied_by_a_busy_one)
{
	unsigned cpus[2], n = 0;
	cpu_set_t allowed;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (unsigned i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &allowed))
			cpus[n++] = i;
	if (n < 2)
		SM_SKIP("one CPU");
	cpu_mode();
	run_on(cpus[0]);
	burst();
	ck_assert_uint_gt(cpu_held(cpus[0]), 0);
	run_on(cpus[1]);
	for (unsigned i = 0; i < 100000 && cpu_held(cpus[0]) != 0; i++) {
		burst();
		/* Lists stay short enough that bursts take slow paths. */
		sm__mcpu_drain(cpus[1]);
	}
	ck_assert_uint_eq(cpu_held(cpus[0]), 0);
	ck_assert_uint_ge(sm__process_heap.slabs[cpus[0]].drains, 1);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* A kernel before 5.10 knows no membarrier for these sections: caches are per thread, after one
 * line. */
START_TEST(an_old_kernel_is_told_in_one_line)
{
	char text[1000] = "", err[256];
	ssize_t n, len = 0;
	int fd[2], status = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 2);
		if (!deny_syscall(SYS_membarrier, EINVAL))
			_exit(77);
		sm_malloc_configure("cache.mode", "cpu", err, sizeof(err));
		burst();
		_exit((sm__process_heap.nslabs != 0) || sm_heap_check(sm_malloc_heap()) != 0);
	}
	close(fd[1]);
	while ((n = read(fd[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SM_SKIP("no seccomp filters");
	ck_assert_int_eq(status, 0);
	ck_assert_msg(strstr(text, "membarrier") && strstr(text, "caches are per thread"), "%s",
		      text);
	ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
}
END_TEST

static pthread_barrier_t all_there;

/* Uses a little of many classes, then waits with its cache as it is. */
static void *guest(void *arg)
{
	void *p[8];

	for (size_t size = 16; size <= 1024; size += 16) {
		for (unsigned i = 0; i < 8; i++)
			p[i] = sm_malloc(size);
		for (unsigned i = 0; i < 8; i++)
			sm_free(p[i]);
	}
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	return arg;
}

static size_t held_with_threads(const char *mode, unsigned n)
{
	struct sm_malloc_stats st;
	char err[256];
	pthread_t t[1000];

	ck_assert_int_eq(sm_malloc_configure("cache.mode", mode, err, sizeof(err)), 0);
	pthread_barrier_init(&all_there, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, guest, NULL), 0);
	pthread_barrier_wait(&all_there);
	sm_malloc_stats(&st);
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	printf("%u threads, cache.mode=%s: caches hold %zu KiB\n", n, mode, st.cached_bytes / 1024);
	fflush(stdout);
	return st.cached_bytes;
}

/* Each mode in a process of its own; the figure comes back through the exit of a pipe. */
static size_t in_child(const char *mode, unsigned n)
{
	size_t held = 0;
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	if (fork() == 0) {
		held = held_with_threads(mode, n);
		_exit(write(fd[1], &held, sizeof(held)) == sizeof(held) ? 0 : 1);
	}
	ck_assert_int_eq(read(fd[0], &held, sizeof(held)), sizeof(held));
	return held;
}

START_TEST(many_threads_on_few_cpus_hold_little)
{
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), n = cpus <= 16 ? 1000 : 0;
	size_t per_thread, per_cpu;

	if (n == 0)
		SM_SKIP("60 threads a CPU are wanted");
	per_thread = in_child("thread", n);
	per_cpu = in_child("cpu", n);
	ck_assert_uint_gt(per_cpu, 0);
	ck_assert_uint_le(per_cpu * 10, per_thread);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rseq");
	TCase *t = tcase_create("rseq");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, stacks_have_limits_and_count);
	tcase_add_test(t, nodes_are_neither_lost_nor_doubled);
	tcase_add_test(t, windows_hand_each_slot_out_once);
	tcase_add_test(t, every_size_goes_by_the_cpu);
	tcase_add_test(t, another_cpus_cache_can_be_drained);
	tcase_add_test(t, an_idle_cpus_cache_is_emptied_by_a_busy_one);
	tcase_add_test(t, an_old_kernel_is_told_in_one_line);
	tcase_add_test(t, threads_on_all_cpus_with_somebody_draining);
	tcase_add_test(t, many_threads_on_few_cpus_hold_little);
	suite_add_tcase(s, t);
	return s;
}
#endif

int main(void)
{
	const char *why = "";

	if (!sm__rseq_usable(&why)) {
		printf("restartable sequences cannot be used here: %s\n", why);
		return 77;
	}
#if SM_HAVE_RSEQ
	return sm_test_run(suite());
#else
	return 77;
#endif
}
