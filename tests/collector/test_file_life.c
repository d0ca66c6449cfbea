/* test_file_life: a file as an object of a collected heap, from being mapped to being unmapped
 * because it died. tests/allocator/test_mapfile.c has the mapping itself. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/probe.h"
#include "tests/support/run.h"

#define FILE_BYTES (300 * 1000 + 17)
/* An address under it is no reference to a conservative scanner. */
#define MASK UINT64_C(0x5555555555555555)

static struct sm_gc *gc;
static struct sm_mutator *m;
static void *root[1];
static uint64_t hidden; /* where the file is, or was */
static char name[64];
static int fd;

static char content(size_t i)
{
	return (char)('a' + (int)(i / 1000 % 26));
}

static void write_file(void)
{
	char block[1000];

	snprintf(name, sizeof(name), "/tmp/spanmark-test-gcmap-XXXXXX");
	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < FILE_BYTES; i += sizeof(block)) {
		size_t n = FILE_BYTES - i < sizeof(block) ? FILE_BYTES - i : sizeof(block);

		memset(block, content(i), sizeof(block));
		ck_assert_int_eq(write(fd, block, n), (ssize_t)n);
	}
}

static void start(int mode)
{
	gc = GCTEST(mode ? "gc.mode=stw" : "gc.mode=concurrent", "gc.verify=1");
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, root, 1), 0);
	write_file();
}

static void finish(void)
{
	root[0] = NULL;
	sm_root_remove(gc, root);
	gctest_destroy(gc, m);
	close(fd);
	unlink(name);
}

/* Lines of /proc/self/maps that name the file. */
static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[600];
	unsigned n = 0;

	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, name) != NULL;
	fclose(f);
	return n;
}

/* The root points to it; nothing else does, once the stack is clear. */
static SM_NOINLINE void map(unsigned flags)
{
	char *p = sm_map_file(m, fd, 0, FILE_BYTES, flags);

	ck_assert_ptr_nonnull(p);
	hidden = (uintptr_t)p ^ MASK;
	root[0] = p;
	ck_assert_uint_eq(mappings(), 1);
}

static char *file(void)
{
	return (char *)(uintptr_t)(hidden ^ MASK);
}

/* Out of line, so that no address of it stays in the test's own frame. */
static SM_NOINLINE int get(size_t i)
{
	return file()[i];
}

static SM_NOINLINE void put(size_t i, char c)
{
	file()[i] = c;
}

static SM_NOINLINE void collect(void)
{
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect(gc, m), 0);
	gctest_clear_stack();
	/* What the first one left unswept is swept when the second one begins. */
	ck_assert_int_eq(sm_collect(gc, m), 0);
}

static SM_NOINLINE void check_content(void)
{
	for (size_t i = 0; i < FILE_BYTES; i += 501)
		ck_assert_int_eq(get(i), content(i));
}

/* Only a word of a stack points to it, and into its middle. */
static SM_NOINLINE void keep_from_the_stack(void)
{
	char *volatile inside = file() + 123456;

	root[0] = NULL;
	collect();
	ck_assert_uint_eq(mappings(), 1);
	ck_assert_int_eq(*inside, content(123456));
}

START_TEST(it_lives_while_something_points_into_it_and_is_unmapped_when_it_dies)
{
	size_t mapped;

	start(_i);
	mapped = sm_load_relaxed(&gc->heap->pages.mapped_bytes);
	map(SM_MAP_PRIVATE);
	ck_assert_uint_gt(sm_load_relaxed(&gc->heap->pages.mapped_bytes), mapped);
	collect();
	ck_assert_uint_eq(mappings(), 1);
	check_content();
	keep_from_the_stack();
	collect();
	ck_assert_uint_eq(mappings(), 0);
	ck_assert(!probe_readable(file()));
	ck_assert_uint_eq(sm_heap_check(gc->heap), 0);
	finish();
}
END_TEST

static SM_NOINLINE void keep_from_an_object(void)
{
	void **o = sm_new(m, sm_type_prefix(gc, 64, 2));

	sm_store(m, &o[1], root[0]);
	root[0] = o;
}

START_TEST(an_object_keeps_it_alive_and_takes_it_along)
{
	start(_i);
	map(SM_MAP_PRIVATE);
	keep_from_an_object();
	collect();
	check_content();
	root[0] = NULL;
	collect();
	ck_assert_uint_eq(mappings(), 0);
	finish();
}
END_TEST

START_TEST(shared_both_ways)
{
	char c = 0;

	start(_i);
	map(SM_MAP_SHARED | SM_MAP_WRITE);
	put(1000, '!');
	ck_assert_int_eq(pread(fd, &c, 1, 1000), 1);
	ck_assert_int_eq(c, '!');
	ck_assert_int_eq(pwrite(fd, "?", 1, 200000), 1);
	ck_assert_int_eq(get(200000), '?');
	collect();
	ck_assert_int_eq(get(1000), '!');
	put(2000, '#');
	root[0] = NULL;
	collect();
	ck_assert_uint_eq(mappings(), 0);
	/* What was written to it last is in the file. */
	ck_assert_int_eq(pread(fd, &c, 1, 2000), 1);
	ck_assert_int_eq(c, '#');
	finish();
}
END_TEST

/* A private page that was written is ours; the file's later changes do not reach it, nor ours the
 * file. */
START_TEST(private_pages_are_our_own)
{
	char c = 0;

	start(_i);
	map(SM_MAP_PRIVATE | SM_MAP_WRITE);
	put(5000, '!');
	ck_assert_int_eq(pwrite(fd, "?", 1, 5001), 1);
	collect();
	ck_assert_int_eq(get(5000), '!');
	ck_assert_int_eq(get(5001), content(5001));
	ck_assert_int_eq(pread(fd, &c, 1, 5000), 1);
	ck_assert_int_eq(c, content(5000));
	finish();
}
END_TEST

START_TEST(freed_by_hand)
{
	start(_i);
	map(SM_MAP_PRIVATE);
	root[0] = NULL;
	sm_unmap_file(m, file());
	ck_assert_uint_eq(mappings(), 0);
	ck_assert_uint_eq(sm_heap_check(gc->heap), 0);
	/* A stale pointer to it on a stack does no harm. */
	{
		char *volatile stale = file();

		collect();
		ck_assert_ptr_eq(stale, file());
	}
	/* Old enough to have been through cycles, and beside a sweeper. */
	for (unsigned i = 0; i < 30; i++) {
		map(SM_MAP_PRIVATE);
		for (unsigned k = 0; k < i % 3; k++)
			ck_assert_int_eq(sm_collect(gc, m), 0);
		root[0] = NULL;
		sm_unmap_file(m, file());
		ck_assert_uint_eq(mappings(), 0);
	}
	collect();
	ck_assert_uint_eq(sm_heap_check(gc->heap), 0);
	finish();
}
END_TEST

static void expected(int sig)
{
	_exit(sig == SIGBUS ? 0 : 1);
}

/* The collector never reads what lies in a file, so one that was cut short under us disturbs the
 * reader alone. */
START_TEST(a_truncated_file_is_collected_all_the_same)
{
	int status = 0;
	pid_t pid;

	start(_i);
	map(SM_MAP_SHARED);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	collect();
	ck_assert_int_eq(get(0), content(0));
	pid = fork();
	if (pid == 0) {
		signal(SIGBUS, expected);
		signal(SIGSEGV, expected);
		_exit(get(200000) + 100);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	root[0] = NULL;
	collect();
	ck_assert_uint_eq(mappings(), 0);
	finish();
}
END_TEST

/* 0: all well. The child collects nothing, but it can read, write and unmap. */
static int in_child(void)
{
	if (get(1000) != content(1000))
		return 1;
	put(1000, 'C');
	if (sm_collect(gc, m) != -ENOTSUP)
		return 2;
	sm_unmap_file(m, file());
	return mappings() == 0 ? 0 : 3;
}

START_TEST(after_fork)
{
	int status = 0;
	pid_t pid;

	start(_i % 2);
	map(_i / 2 ? SM_MAP_SHARED | SM_MAP_WRITE : SM_MAP_PRIVATE | SM_MAP_WRITE);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		_exit(in_child());
	}
	sm_blocking_enter(m);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	sm_blocking_leave(m);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(get(1000), _i / 2 ? 'C' : content(1000));
	root[0] = NULL;
	collect();
	ck_assert_uint_eq(mappings(), 0);
	finish();
}
END_TEST

/* Many files one after the other under a limit that holds a few: those that died make room. */
START_TEST(dead_files_make_room_under_a_limit)
{
	gc = GCTEST(_i ? "gc.mode=stw" : "gc.mode=concurrent", "heap.limit=24m", "heap.arena=1m");
	m = sm_mutator_attach(gc);
	ck_assert_int_eq(sm_root_add(gc, root, 1), 0);
	write_file();
	for (unsigned i = 0; i < 300; i++) {
		root[0] = sm_map_file(m, fd, 0, FILE_BYTES, SM_MAP_PRIVATE);
		ck_assert_msg(root[0] != NULL, "file %u: %s", i, strerror(errno));
		ck_assert_int_eq(((char *)root[0])[1000], content(1000));
	}
	ck_assert_uint_le(sm_load_relaxed(&gc->heap->pages.mapped_bytes), 24 * SM_MIB);
	finish();
}
END_TEST

int main(void)
{
	return SM_SUITE(
		"file_life", 60,
		SM_LOOP(it_lives_while_something_points_into_it_and_is_unmapped_when_it_dies, 0, 2),
		SM_LOOP(an_object_keeps_it_alive_and_takes_it_along, 0, 2),
		SM_LOOP(shared_both_ways, 0, 2), SM_LOOP(private_pages_are_our_own, 0, 2),
		SM_LOOP(freed_by_hand, 0, 2),
		SM_LOOP(a_truncated_file_is_collected_all_the_same, 0, 2),
		SM_LOOP(after_fork, 0, 4), SM_LOOP(dead_files_make_room_under_a_limit, 0, 2));
}
