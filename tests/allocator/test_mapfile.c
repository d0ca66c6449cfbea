/* test_mapfile: files as large objects: contents, lookups, how they end, what is refused. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/objects/heap.h"
#include "allocator/os/os.h"
#include "spanmark/malloc.h"
#include "tests/support/probe.h"
#include "tests/support/run.h"

static struct sm_heap *heap;
static struct sm_cache *cache;
static size_t page, before;
static int fd;

#define FILE_BYTES (3 * 1000 * 1000 + 17)

static void setup(void)
{
	char name[] = "/tmp/spanmark-test-mapfile-XXXXXX", err[200] = "";
	struct sm_heap_config cfg;
	char block[1000];

	sm_heap_config_init(&cfg);
	heap = sm__heap_create(&cfg, err, sizeof(err));
	ck_assert_msg(heap != NULL, "%s", err);
	cache = calloc(1, sizeof(*cache));
	ck_assert_int_eq(sm__cache_init(cache, heap, NULL), 0);
	page = sm__os_page_size();
	before = sm_load_relaxed(&heap->pages.mapped_bytes);
	fd = mkstemp(name);
	unlink(name);
	for (size_t i = 0; i < FILE_BYTES; i += sizeof(block)) {
		memset(block, 'a' + (int)(i / sizeof(block) % 26), sizeof(block));
		ck_assert_int_gt(
			write(fd, block,
			      FILE_BYTES - i < sizeof(block) ? FILE_BYTES - i : sizeof(block)),
			0);
	}
}

static void teardown(void)
{
	close(fd);
	sm__cache_fini(cache);
	free(cache);
	ck_assert_uint_eq(sm_heap_check(heap), 0);
	ck_assert_uint_eq(sm_load_relaxed(&heap->pages.mapped_bytes), before);
	sm__heap_destroy(heap);
}

static char content(size_t i)
{
	return (char)('a' + (int)(i / 1000 % 26));
}

START_TEST(a_private_file_is_an_object)
{
	char *p = sm__map_file(cache, fd, 0, FILE_BYTES, SM_MAP_PRIVATE | SM_MAP_WRITE);
	char c = 0;

	ck_assert_ptr_nonnull(p);
	ck_assert(sm_range_contains(&heap->pages.range, (uintptr_t)p + FILE_BYTES - 1));
	for (size_t i = 0; i < FILE_BYTES; i += 777) {
		ck_assert_int_eq(p[i], content(i));
		ck_assert_ptr_eq(
			(char *)sm_span_base(&heap->pages.range,
					     sm_span_of(&heap->pages.range, (uintptr_t)&p[i])),
			p);
	}
	ck_assert_int_eq(p[FILE_BYTES], 0);
	ck_assert(!probe_readable(p + sm_align_up(FILE_BYTES, page)) || page == SM_UNIT);
	p[5] = '!';
	ck_assert_int_eq(pread(fd, &c, 1, 5), 1);
	ck_assert_int_eq(c, 'a');
	ck_assert_uint_eq(sm_heap_check(heap), 0);
	ck_assert_uint_gt(sm_load_relaxed(&heap->pages.mapped_bytes), before + FILE_BYTES);
	sm__unmap_file(heap, p);
	ck_assert(!probe_readable(p));
}
END_TEST

START_TEST(a_shared_file_is_written)
{
	char *p = sm__map_file(cache, fd, (int64_t)page * 2, 10000, SM_MAP_SHARED | SM_MAP_WRITE);
	char c = 0;

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(p[0], content(page * 2));
	p[0] = '!';
	ck_assert_int_eq(pread(fd, &c, 1, (off_t)page * 2), 1);
	ck_assert_int_eq(c, '!');
	sm__unmap_file(heap, p);
	p = sm__map_file(cache, fd, 0, 10000, SM_MAP_SHARED);
	ck_assert_ptr_nonnull(p);
	ck_assert(!probe_writable(p));
	sm__unmap_file(heap, p);
}
END_TEST

/* A page behind a mapped file's is memory again later, and zero. */
START_TEST(the_place_is_used_again)
{
	char *p, *q;

	for (int i = 0; i < 200; i++) {
		p = sm__map_file(cache, fd, 0, FILE_BYTES, SM_MAP_PRIVATE);
		q = sm__map_file(cache, fd, 0, 100, SM_MAP_PRIVATE);
		ck_assert(p[0] == 'a' && q[99] == 'a');
		sm__unmap_file(heap, p);
		sm__unmap_file(heap, q);
	}
	ck_assert_uint_eq(sm_heap_check(heap), 0);
}
END_TEST

START_TEST(what_cannot_be_mapped_is_refused)
{
	int dir = open("/", O_RDONLY | O_DIRECTORY), ro = open("/proc/self/exe", O_RDONLY);
	int fds[2];

	ck_assert_ptr_null(sm__map_file(cache, fd, 0, 0, 0));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(sm__map_file(cache, fd, 1, 100, 0));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(sm__map_file(cache, -1, 0, 100, 0));
	ck_assert_int_eq(errno, EBADF);
	ck_assert_ptr_null(sm__map_file(cache, dir, 0, 100, 0));
	ck_assert_int_eq(errno, ENODEV);
	ck_assert_ptr_null(sm__map_file(cache, ro, 0, 100, SM_MAP_SHARED | SM_MAP_WRITE));
	ck_assert_int_eq(errno, EACCES);
	ck_assert_ptr_null(sm__map_file(cache, fd, 0, SIZE_MAX, 0));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_ptr_null(sm__map_file(cache, fds[0], 0, 100, 0));
	ck_assert_int_eq(errno, ENODEV);
	close(dir);
	close(ro);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* A kernel that will not unmap: the file stays where it is, out of use, and no caller is handed its
 * place. */
START_TEST(a_file_that_stays_mapped_is_not_handed_out)
{
	char *p = sm__map_file(cache, fd, 0, FILE_BYTES, SM_MAP_PRIVATE | SM_MAP_WRITE), *q;

	sm__os_inject(SM_OS_DECOMMIT, 1, ENOMEM);
	sm__unmap_file(heap, p);
	sm__os_inject(SM_OS_ANY, 0, 0);
	for (int i = 0; i < 8; i++) {
		q = sm__map_file(cache, fd, 0, FILE_BYTES, SM_MAP_PRIVATE);
		ck_assert(q + FILE_BYTES <= p || q >= p + FILE_BYTES);
	}
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	/* Not what teardown expects; what is lost stays counted. */
	ck_assert_uint_gt(sm_load_relaxed(&heap->pages.mapped_bytes), before);
	before = sm_load_relaxed(&heap->pages.mapped_bytes);
}
END_TEST

START_TEST(in_the_malloc_heap_free_unmaps)
{
	struct sm_malloc_stats st;
	char *p = sm_malloc_map_file(fd, 0, FILE_BYTES, SM_MAP_PRIVATE), *q;
	size_t large;

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < FILE_BYTES; i += 777)
		ck_assert_int_eq(p[i], content(i));
	ck_assert_uint_ge(sm_usable_size(p), FILE_BYTES);
	sm_malloc_stats(&st);
	large = st.large_bytes;
	ck_assert_uint_ge(large, FILE_BYTES);
	sm_free(p);
	ck_assert(!probe_readable(p));
	sm_malloc_stats(&st);
	ck_assert_uint_lt(st.large_bytes, large);
	/* Its place holds memory again, not the file. */
	q = sm_malloc(FILE_BYTES + 30 * SM_MIB);
	memset(q, 1, FILE_BYTES);
	sm_free(q);
	ck_assert_ptr_null(sm_malloc_map_file(-1, 0, 100, 0));
	ck_assert_int_eq(errno, EBADF);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("mapfile", 0, setup, teardown, SM_T(a_private_file_is_an_object),
			     SM_T(a_shared_file_is_written), SM_T(the_place_is_used_again),
			     SM_T(what_cannot_be_mapped_is_refused),
			     SM_T(in_the_malloc_heap_free_unmaps),
			     SM_T(a_file_that_stays_mapped_is_not_handed_out));
}
