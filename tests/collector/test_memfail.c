/*
 * test_memfail: memory runs out, above the page heap. The nth request to the kernel fails, for
 * every kind and n, under the malloc heap and under a collector that is at work; RLIMIT_AS and a
 * control group say no. Whatever happens: NULL with ENOMEM, every counting identity holds
 * afterwards, and with memory again all works.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spanmark/malloc.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/os/os.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

static const char *const modes[] = {"thread", "cpu", "none"};
static char err[256];
static time_t started;

/* Emulated machines do what fits. */
static bool late(void)
{
	return time(NULL) - started > (time_t)sm_test_scaled(40);
}

static void configure(const char *key, const char *value)
{
	ck_assert_msg(sm_malloc_configure(key, value, err, sizeof(err)) == 0, "%s", err);
}

static void *checked(void *p)
{
	if (p == NULL)
		ck_assert_int_eq(errno, ENOMEM);
	return p;
}

/* ---- the malloc heap ---------------------------------------------------------------------- */

#define OBJECTS 400

/* Sizes of every kind; grows, shrinks, frees, trims. Returns how much was refused. */
static unsigned some_of_everything(void)
{
	static void *p[OBJECTS];
	unsigned refused = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		size_t size = i % 40 == 0 ? 3 * SM_MIB : i % 7 == 0 ? 40000 : 16 + i * 37 % 9000;
		void *q;

		errno = 0;
		p[i] = checked(i % 3 == 0   ? sm_calloc(1, size)
			       : i % 3 == 1 ? sm_malloc(size)
					    : sm_aligned_alloc(4096, size));
		refused += p[i] == NULL;
		if (p[i] == NULL || i % 5 != 0)
			continue;
		q = checked(sm_realloc(p[i], size + size / 2));
		p[i] = q ? q : p[i];
		refused += q == NULL;
	}
	for (unsigned i = 0; i < OBJECTS; i += 2)
		sm_free(p[i]);
	sm_malloc_trim();
	for (unsigned i = 1; i < OBJECTS; i += 2)
		sm_free(p[i]);
	return refused;
}

static void malloc_works_again(void)
{
	struct sm_pageheap_stats st;

	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	ck_assert_uint_eq(some_of_everything(), 0);
	sm_malloc_trim();
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	sm__malloc_pageheap(&st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
}

/* _i: mode and kind. In one process, so that what one failure leaves behind meets the next. */
START_TEST(the_nth_request_of_the_malloc_heap_fails)
{
	enum sm_os_kind kind = (enum sm_os_kind)(_i / 3);
	unsigned long seen = 1;

	configure("cache.mode", modes[_i % 3]);
	configure("heap.arena", "1m");
	configure("hugepages", "madvise");
	for (long n = 1; seen != 0 && n < 60 && !late(); n++) {
		for (int on = 1; on >= -1; on -= 2) {
			sm__os_inject(kind, on * n, ENOMEM);
			some_of_everything();
			seen = sm__os_inject(SM_OS_ANY, 0, 0);
			seen = seen >= (unsigned long)n ? seen : 0;
			malloc_works_again();
		}
	}
}
END_TEST

/* Before there is a heap: NULL, and the next request tries again. */
START_TEST(the_nth_request_of_the_first_allocation_fails)
{
	void *p = NULL;
	long n;

	configure("cache.mode", modes[_i]);
	for (n = 1; p == NULL; n++) {
		sm__os_inject(SM_OS_ANY, n, ENOMEM);
		p = checked(sm_malloc(100));
		ck_assert_int_lt(n, 200);
	}
	sm__os_inject(SM_OS_ANY, 0, 0);
	ck_assert_int_gt(n, 3);
	sm_free(p);
	malloc_works_again();
}
END_TEST

/* ---- under a collector -------------------------------------------------------------------- */

struct node {
	struct node *left, *right;
	uint64_t value;
};

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node_type;
static struct node *keep[64];

/* A tree, as far as memory goes. */
static struct node *grow(unsigned depth)
{
	struct node *n = checked(sm_new(m, node_type));

	if (n == NULL)
		return NULL;
	n->value = depth;
	if (depth > 0) {
		sm_store(m, (void **)&n->left, grow(depth - 1));
		sm_store(m, (void **)&n->right, grow(depth - 1));
	}
	return n;
}

static unsigned whole(const struct node *n, unsigned depth)
{
	if (n == NULL)
		return 0;
	ck_assert_uint_eq(n->value, depth);
	return 1 + whole(n->left, depth - 1) + whole(n->right, depth - 1);
}

static void use_collector(void)
{
	for (unsigned i = 0; i < 64; i++) {
		char *large;

		sm_store(m, (void **)&keep[i % 8], grow(7));
		errno = 0;
		large = checked(sm_new_bytes(m, i % 8 == 0 ? 3 * SM_MIB : 50000));
		if (large != NULL)
			large[0] = large[49999] = 1;
		(void)checked(sm_new_bytes_zeroed(m, 5000));
		if (i % 16 == 0)
			(void)sm_collect(gc, m);
	}
}

static void collector_works_again(void)
{
	ck_assert_int_eq(sm_collect(gc, m), 0);
	use_collector();
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(whole(keep[i], 7), 255);
	ck_assert_int_eq(sm_collect(gc, m), 0);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
}

/* _i: mode and kind. Objects that lived before the failure live after it. */
START_TEST(the_nth_request_under_a_collector_fails)
{
	enum sm_os_kind kind = (enum sm_os_kind)(_i / 2);
	unsigned long seen = 1;

	gc = GCTEST(_i % 2 ? "gc.mode=stw" : "gc.mode=concurrent", "heap.arena=1m",
		    "gc.min_heap=1m", "gc.verify=1", "hugepages=madvise", "scavenge.interval=5");
	m = sm_mutator_attach(gc);
	node_type = sm_type_prefix(gc, sizeof(struct node), 2);
	ck_assert_int_eq(sm_root_add(gc, keep, 64), 0);
	keep[63] = grow(9);
	for (long n = 1; seen != 0 && n < 30 && !late(); n++) {
		for (int on = 1; on >= -1; on -= 2) {
			sm__os_inject(kind, on * n, ENOMEM);
			use_collector();
			seen = sm__os_inject(SM_OS_ANY, 0, 0);
			seen = seen >= (unsigned long)n ? seen : 0;
			collector_works_again();
			ck_assert_uint_eq(whole(keep[63], 9), 1023);
		}
	}
	memset(keep, 0, sizeof(keep));
	sm_root_remove(gc, keep);
	gctest_destroy(gc, m);
}
END_TEST

/* Making a collector, with the nth request failing: NULL and a reason, nothing left behind, or one
 * that works. */
START_TEST(the_nth_request_of_making_a_collector_fails)
{
	struct sm_gc_config cfg;

	sm_gc_config_init(&cfg);
	for (long n = 1;; n++) {
		err[0] = '\0';
		sm__os_inject(SM_OS_ANY, n, ENOMEM);
		gc = sm_gc_create(&cfg, err, sizeof(err));
		m = gc ? sm_mutator_attach(gc) : NULL;
		sm__os_inject(SM_OS_ANY, 0, 0);
		if (gc == NULL)
			ck_assert_int_gt((int)strlen(err), 0);
		if (gc != NULL && m == NULL)
			sm_gc_destroy(gc);
		if (m != NULL)
			break;
		ck_assert_int_lt(n, 400);
	}
	ck_assert_ptr_nonnull(sm_new_bytes(m, 100));
	gctest_destroy(gc, m);
}
END_TEST

/* ---- limits of the system ----------------------------------------------------------------- */

/* Allocates and touches until NULL or `most` bytes. Returns bytes. */
static size_t fill(size_t size, size_t most, void **list)
{
	size_t bytes = 0;
	void **p;

	while (bytes < most && (p = checked(sm_malloc(size))) != NULL) {
		memset(p, 1, size);
		*p = *list;
		*list = p;
		bytes += size;
	}
	return bytes;
}

static void empty(void **list)
{
	while (*list != NULL) {
		void **p = *list;

		*list = *p;
		sm_free(p);
	}
}

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	ck_assert_int_eq(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages * sm__os_page_size();
}

START_TEST(rlimit_as_over_the_malloc_heap)
{
	struct rlimit rl;
	void *list = NULL;
	size_t limit = address_space() + 256 * SM_MIB;

	rl.rlim_cur = rl.rlim_max = limit;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	configure("cache.mode", modes[_i % 3]);
	for (unsigned round = 0; round < 2 || round < sm_test_scaled(3); round++) {
		size_t bytes = fill(_i < 3 ? 1000 : 500000, SM_GIB, &list);

		ck_assert_uint_gt(bytes, 32 * SM_MIB);
		ck_assert_uint_lt(bytes, 256 * SM_MIB);
		ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
		empty(&list);
		sm_malloc_trim();
		ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	}
	malloc_works_again();
}
END_TEST

/* With less than a heap needs: NULL, no crash. */
START_TEST(rlimit_as_below_everything)
{
	struct rlimit rl = {.rlim_cur = address_space() + SM_MIB, .rlim_max = RLIM_INFINITY};

	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	errno = 0;
	ck_assert_ptr_null(sm_malloc(100));
	ck_assert_int_eq(errno, ENOMEM);
	rl.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	malloc_works_again();
}
END_TEST

START_TEST(rlimit_as_over_a_collector)
{
	struct rlimit rl = {.rlim_max = RLIM_INFINITY};
	unsigned n = 0;

	rl.rlim_cur = address_space() + 512 * SM_MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	gc = GCTEST(_i ? "gc.mode=stw" : "gc.mode=concurrent", "heap.arena=1m");
	m = sm_mutator_attach(gc);
	node_type = sm_type_prefix(gc, sizeof(struct node), 2);
	ck_assert_int_eq(sm_root_add(gc, keep, 64), 0);
	/* Reachable, so that nothing can be collected. */
	for (struct node *node; n < 100000; n++) {
		void **block = checked(sm_new_array(m, sm_type_pointers(gc, 1), 8192));

		node = (struct node *)(void *)block;
		if (node == NULL)
			break;
		sm_store(m, &block[0], keep[0]);
		sm_store(m, (void **)&keep[0], node);
	}
	ck_assert_uint_lt(n, 512 * 16);
	ck_assert_uint_gt(n, 100);
	keep[0] = NULL;
	gctest_clear_stack();
	collector_works_again();
	memset(keep, 0, sizeof(keep));
	sm_root_remove(gc, keep);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- a control group ---------------------------------------------------------------------- */

static char group[300];

static bool put(const char *dir, const char *file, const char *text)
{
	char path[400];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = write(fd, text, strlen(text));
		close(fd);
	}
	return n > 0;
}

/* A group of our own with this much memory, version 2 or 1. False: this system lets us make none.
 */
static bool make_group(const char *bytes)
{
	snprintf(group, sizeof(group), "/sys/fs/cgroup/spanmark-test-%d", (int)getpid());
	if (mkdir(group, 0755) == 0) {
		if (put(group, "memory.max", bytes))
			return true;
		rmdir(group);
	}
	snprintf(group, sizeof(group), "/sys/fs/cgroup/memory/spanmark-test-%d", (int)getpid());
	if (mkdir(group, 0755) == 0) {
		if (put(group, "memory.limit_in_bytes", bytes))
			return true;
		rmdir(group);
	}
	return false;
}

static int fill_in_group(void)
{
	void *list = NULL;
	size_t bytes;

	if (!put(group, "cgroup.procs", "0"))
		return 2;
	bytes = fill(1000, SM_GIB, &list);
	fprintf(stderr, "in a group of 64 MiB: %zu KiB, then NULL\n", bytes / 1024);
	if (bytes < 32 * SM_MIB || bytes > 64 * SM_MIB || sm_heap_check(sm_malloc_heap()) != 0)
		return 3;
	empty(&list);
	return sm_heap_check(sm_malloc_heap()) == 0 ? 0 : 4;
}

/* The kernel would kill who passes the limit: NULL comes before that. */
START_TEST(a_control_groups_limit)
{
	int status = 0;
	pid_t pid;

	if (!make_group("67108864")) {
		printf("no control group can be made here (version 1 or 2, writable): its limit is "
		       "not "
		       "tried\n");
		SM_SKIP("no control group of our own");
	}
	pid = fork();
	if (pid == 0)
		_exit(fill_in_group());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	for (int i = 0; rmdir(group) != 0 && i < 100; i++)
		usleep(10000);
	ck_assert_msg(status == 0, "status %#x", status);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memfail");
	TCase *t = tcase_create("memfail");

	started = time(NULL);
	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, the_nth_request_of_the_malloc_heap_fails, 0, 3 * SM_OS_KINDS);
	tcase_add_loop_test(t, the_nth_request_of_the_first_allocation_fails, 0, 3);
	tcase_add_loop_test(t, the_nth_request_under_a_collector_fails, 0, 2 * SM_OS_KINDS);
	tcase_add_test(t, the_nth_request_of_making_a_collector_fails);
	if (!SM_ASAN && !SM_TSAN) { /* their shadows are address space */
		tcase_add_loop_test(t, rlimit_as_over_the_malloc_heap, 0, 6);
		tcase_add_test(t, rlimit_as_below_everything);
		tcase_add_loop_test(t, rlimit_as_over_a_collector, 0, 2);
	}
	tcase_add_test(t, a_control_groups_limit);
	suite_add_tcase(s, t);
	return sm_test_run(s);
}
