/* test_range: reservation, its halving, node ranges, descriptor table, guards, refusals with a
 * reason. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/pages/pageheap_internal.h"
#include "tests/support/pagetest.h"
#include "tests/support/probe.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_heap *heap;

static void setup(void)
{
	heap = pagetest_heap(SM_PAGEHEAP_BUDDY);
}

static void teardown(void)
{
	pagetest_destroy(heap);
}

static char *at(size_t offset)
{
	return (char *)heap->pages.range.base + offset;
}

START_TEST(a_range_is_laid_out)
{
	unsigned nnodes = (unsigned)_i;
	size_t node_bytes;

	pagetest_nodes(heap, nnodes);
	pagetest_create(heap);
	node_bytes = (size_t)1 << heap->pages.range.node_shift;
	ck_assert_uint_eq(heap->pages.nnodes, nnodes);
	ck_assert_uint_eq(heap->pages.range.bytes, node_bytes * nnodes);
	ck_assert_uint_le(heap->pages.range.bytes, SM_GIB);
	ck_assert_uint_gt(2 * heap->pages.range.bytes, SM_GIB / 2);
	ck_assert_uint_eq(heap->pages.range.base % (4 * SM_MIB), 0);
	ck_assert(!sm_range_contains(&heap->pages.range, heap->pages.range.base - 1));
	ck_assert(sm_range_contains(&heap->pages.range,
				    heap->pages.range.base + heap->pages.range.bytes - 1));
	ck_assert(!sm_range_contains(&heap->pages.range,
				     heap->pages.range.base + heap->pages.range.bytes));
	for (unsigned i = 0; i < nnodes; i++) {
		struct sm_span *s = sm__pageheap_alloc(&heap->pages, i, 1);
		struct sm_span *own = sm__pageheap_alloc(&heap->pages, i, 8 * SM_MIB / SM_UNIT);

		ck_assert_uint_eq((sm_span_base(&heap->pages.range, s) - heap->pages.range.base) >>
					  heap->pages.range.node_shift,
				  i);
		ck_assert_uint_eq(
			(sm_span_base(&heap->pages.range, own) - heap->pages.range.base) >>
				heap->pages.range.node_shift,
			i);
		/* The node's first unit is a guard. */
		ck_assert(!probe_readable(at(i * node_bytes)) &&
			  !probe_readable(at(i * node_bytes + SM_UNIT - 1)));
	}
	ck_assert(!probe_readable(at(heap->pages.range.bytes)));
}
END_TEST

START_TEST(any_word_can_be_looked_up)
{
	struct sm_span *s;
	uint64_t rng = pagetest_seed();

	pagetest_create(heap);
	s = sm__pageheap_alloc(&heap->pages, 0, 3);
	sm_store_release(&s->state, SM_SPAN_OTHER);
	for (int i = 0; i < 100000; i++) {
		uintptr_t addr =
			heap->pages.range.base + pagetest_random(&rng) % heap->pages.range.bytes;
		struct sm_span *found = sm_span_of(&heap->pages.range, addr);
		bool inside = addr - sm_span_base(&heap->pages.range, s) < 3 * SM_UNIT;

		ck_assert_uint_eq(found->state, inside ? SM_SPAN_OTHER : SM_SPAN_FREE);
	}
	/* Where no memory is, descriptors cannot be damaged. */
	ck_assert(!probe_writable(
		&heap->pages.range.spans[(heap->pages.range.bytes / 2) >> SM_UNIT_SHIFT]));
}
END_TEST

START_TEST(metadata_is_fenced)
{
	char *table;
	size_t bytes;

	pagetest_create(heap);
	table = (char *)heap->pages.range.spans;
	bytes = (heap->pages.range.bytes >> SM_UNIT_SHIFT) * sizeof(struct sm_span);
	ck_assert(!probe_readable(table - 1) && !probe_readable(table + bytes));
	ck_assert(!probe_readable((char *)heap->pages.pageheap - 1));
	ck_assert(!probe_readable((char *)sm__ph(&heap->pages)->nodes[0].bits - 1));
	/* No page of the range holds metadata. */
	ck_assert(!sm_range_contains(&heap->pages.range, (uintptr_t)table));
	ck_assert(!sm_range_contains(&heap->pages.range, (uintptr_t)heap->pages.pageheap));
}
END_TEST

START_TEST(halved_until_granted)
{
	struct rlimit rl;

	if (SM_ASAN || SM_TSAN)
		SM_SKIP("a sanitizer needs the address space");
	getrlimit(RLIMIT_AS, &rl);
	rl.rlim_cur = 300 * SM_MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	heap->config.reserve = (size_t)1 << 40;
	pagetest_create(heap);
	ck_assert_uint_eq(heap->pages.range.bytes, 128 * SM_MIB);
	/* Something is left for the rest of the program. */
	ck_assert_ptr_nonnull(malloc(64 * SM_MIB));
	ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 50 * SM_MIB / SM_UNIT));
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
}
END_TEST

START_TEST(a_tiny_limit_is_refused_with_a_reason)
{
	char err[200] = "";
	struct rlimit rl;

	if (SM_ASAN || SM_TSAN)
		SM_SKIP("a sanitizer needs the address space");
	getrlimit(RLIMIT_AS, &rl);
	rl.rlim_cur = 20 * SM_MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	ck_assert_int_eq(sm__range_create(&heap->pages, &heap->config, err, sizeof(err)), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err, "address space"));
}
END_TEST

START_TEST(the_kernel_refuses_at_first)
{
	/* The first two reservations fail: a quarter is what we get. */
	sm__os_inject(SM_OS_RESERVE, 1, ENOMEM);
	pagetest_create(heap);
	ck_assert_uint_eq(heap->pages.range.bytes, SM_GIB / 2);
	sm__os_inject(SM_OS_ANY, 0, 0);
}
END_TEST

/* Whatever fails while a heap is made: an error, nothing left behind, and the next attempt works.
 */
START_TEST(creation_fails_cleanly)
{
	char err[200];
	int failures = 0;

	for (long nth = 1; nth < 20; nth++) {
		sm__os_inject(SM_OS_ANY, -nth, ENOMEM);
		err[0] = '\0';
		if (sm__range_create(&heap->pages, &heap->config, err, sizeof(err)) != 0) {
			ck_assert(err[0] != '\0');
			ck_assert_ptr_null(heap->pages.pageheap);
			ck_assert_ptr_null(heap->pages.range.spans);
			failures++;
		}
		sm__os_inject(SM_OS_ANY, 0, 0);
		sm__range_destroy(&heap->pages);
	}
	ck_assert_int_gt(failures, 2);
	pagetest_create(heap);
}
END_TEST

START_TEST(pages_larger_than_a_unit_are_refused)
{
	char err[200] = "";

	sm__os_pretend_page_size(2 * SM_UNIT);
	ck_assert_int_eq(sm__range_create(&heap->pages, &heap->config, err, sizeof(err)), -EINVAL);
	sm__os_pretend_page_size(0);
	ck_assert_ptr_nonnull(strstr(err, "UNIT_SHIFT"));
	ck_assert_ptr_null(strchr(err, '\n'));
}
END_TEST

START_TEST(a_node_out_of_bounds_is_refused)
{
	char err[200] = "";

	heap->config.numa = SM_NUMA_BIND;
	heap->config.numa_bind = 1;
	ck_assert_int_eq(sm__range_create(&heap->pages, &heap->config, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "bind:1"));
}
END_TEST

START_TEST(binding_to_a_node_without_memory_is_refused)
{
	char err[200] = "";

	pagetest_nodes(heap, 2);
	heap->config.numa = SM_NUMA_BIND;
	heap->config.numa_bind = 1;
	sm__os_inject(SM_OS_BIND, 1, EINVAL);
	ck_assert_int_eq(sm__range_create(&heap->pages, &heap->config, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "bind:1"));
	/* Where mbind as such is refused, the heap works unbound. */
	sm__os_inject(SM_OS_BIND, -1, EPERM);
	pagetest_create(heap);
	ck_assert_uint_eq(sm__pageheap_alloc(&heap->pages, 0, 1)->node, 1);
	sm__os_inject(SM_OS_ANY, 0, 0);
}
END_TEST

/* ---- control groups: a folder stands for the system's root -------------------------------- */

static char root[64];

static void put_file(const char *name, const char *text)
{
	char path[300], *p;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		mkdir(path, 0700);
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/spanmark-test-range-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(control_groups_limit_memory)
{
	make_root();
	ck_assert_uint_eq(sm__os_memory_limit(root), SIZE_MAX);
	put_file("proc/self/cgroup", "0::/a/b\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), SIZE_MAX);
	put_file("sys/fs/cgroup/a/b/memory.max", "max\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), SIZE_MAX);
	put_file("sys/fs/cgroup/a/memory.max", "1073741824\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), SM_GIB);
	put_file("sys/fs/cgroup/a/b/memory.max", "1000000\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), 1000000);
	/* Inside of a container: the group is what is mounted. */
	put_file("proc/self/cgroup", "0::/\n");
	put_file("sys/fs/cgroup/memory.max", "7000000\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), 7000000);
	/* Version 1, beside others; its "no limit" is a number. */
	put_file("sys/fs/cgroup/memory.max", "max\n");
	put_file("proc/self/cgroup", "9:name=systemd:/\n4:memory:/x\n1:cpu:/\n0::/\n");
	put_file("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), SIZE_MAX);
	put_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "52428800\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), 50 * SM_MIB);
	put_file("proc/self/cgroup", "nonsense\n::\n4:memory\n");
	ck_assert_uint_eq(sm__os_memory_limit(root), SIZE_MAX);
	remove_root();
}
END_TEST

/* A group's limit is not a fact of the start. */
START_TEST(a_raised_limit_is_seen)
{
	make_root();
	put_file("proc/self/cgroup", "0::/group\n");
	put_file("sys/fs/cgroup/group/memory.max", "33554432\n");
	sm__range_limit_root(root);
	heap->config.limit = 0;
	pagetest_create(heap);
	while (sm__pageheap_alloc(&heap->pages, 0, 64) != NULL)
		ck_assert_uint_le(sm_load_relaxed(&heap->pages.mapped_bytes), 32 * SM_MIB);
	put_file("sys/fs/cgroup/group/memory.max", "268435456\n");
	/* It is not read for every refusal, but the first request after a while gets it. */
	usleep(30000);
	ck_assert(sm__range_charge(&heap->pages, 40 * SM_MIB));
	sm__range_uncharge(&heap->pages, 40 * SM_MIB);
	ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 64));
	ck_assert_uint_gt(sm_load_relaxed(&heap->pages.limit), 200 * SM_MIB);
	put_file("sys/fs/cgroup/group/memory.max", "max\n");
	while (sm_load_relaxed(&heap->pages.limit) != 0) {
		usleep(2000);
		(void)sm__pageheap_alloc(&heap->pages, 0, 256);
	}
	remove_root();
}
END_TEST

/* Near enough is what a thread touches first; who asks for a policy gets it. */
START_TEST(a_sparse_heap_binds_only_when_asked)
{
	pagetest_nodes(heap, 2);
	heap->config.sparse = true;
	for (int i = 0; i < 2; i++) {
		heap->config.numa = i == 0 ? SM_NUMA_LOCAL : SM_NUMA_INTERLEAVE;
		sm__os_inject(SM_OS_BIND, 1000, EPERM); /* counts, and fails none of them */
		pagetest_create(heap);
		if (!heap->pages.sparse)
			return; /* sanitizers place things themselves */
		ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 0, 1));
		ck_assert_ptr_nonnull(sm__pageheap_alloc(&heap->pages, 1, 1));
		ck_assert_uint_eq(sm__os_inject(SM_OS_ANY, 0, 0) > 0, i == 1);
		sm__range_destroy(&heap->pages);
	}
}
END_TEST

START_TEST(nodes_are_ordered_by_distance)
{
	/* 64 of them, with holes in the table: unknown ones come last, itself first. */
	pagetest_nodes(heap, 64);
	heap->config.distance[5][7] = 0;
	heap->config.distance[5][5] = 99;
	pagetest_create(heap);
	for (unsigned from = 0; from < 64; from++) {
		const uint8_t *order = sm__ph(&heap->pages)->order[from];
		uint64_t seen = 0;

		ck_assert_uint_eq(order[0], from);
		for (unsigned i = 0; i < 64; i++) {
			seen |= (uint64_t)1 << order[i];
			if (i > 1 && heap->config.distance[from][order[i]] != 0)
				ck_assert_uint_ge(heap->config.distance[from][order[i]],
						  heap->config.distance[from][order[i - 1]]);
		}
		ck_assert_uint_eq(seen, ~(uint64_t)0);
	}
	ck_assert_uint_eq(sm__ph(&heap->pages)->order[5][63], 7);
}
END_TEST

START_TEST(the_limit_is_exact)
{
	heap->config.limit = 1000;
	heap->pages.config = &heap->config;
	sm_store_relaxed(&heap->pages.limit, 1000);
	ck_assert(!sm__range_charge(&heap->pages, 1001));
	ck_assert(sm__range_charge(&heap->pages, 600));
	ck_assert(!sm__range_charge(&heap->pages, 401));
	ck_assert(!sm__range_charge(&heap->pages, SIZE_MAX));
	ck_assert(sm__range_charge(&heap->pages, 400));
	ck_assert(!sm__range_charge(&heap->pages, 1));
	sm__range_uncharge(&heap->pages, 1000);
	ck_assert_uint_eq(heap->pages.mapped_bytes, 0);
}
END_TEST

/* ---- huge pages --------------------------------------------------------------------------- */

/* Is "hg" (asked for) or "nh" (not wanted) among the flags of the mapping that p lies in? */
static bool advised(const void *p, const char *flag)
{
	unsigned long long from, to;
	char line[512];
	bool here = false, found = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		found = here && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, flag) != NULL;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static void *unit_at(size_t mib)
{
	struct sm_span *s;
	uintptr_t p;

	do {
		s = sm__pageheap_alloc(&heap->pages, 0, 1);
		ck_assert_ptr_nonnull(s);
		p = sm_span_base(&heap->pages.range, s);
	} while (p < heap->pages.range.base + mib * SM_MIB);
	return (void *)p;
}

START_TEST(the_first_pages_are_small)
{
	heap->config.hugepages = (enum sm_hugepages)_i;
	heap->config.small_pages = 6 * SM_MIB;
	pagetest_create(heap);
	(void)unit_at(12);
	if (!advised(at(12 * SM_MIB), " hg") && !advised(at(12 * SM_MIB), " nh"))
		SM_SKIP("no huge pages, or no flags of mappings, here");
	/* Within an arena of 4 MiB, too. */
	ck_assert(advised(at(5 * SM_MIB), " nh") && advised(at(6 * SM_MIB - SM_UNIT), " nh"));
	ck_assert(advised(at(6 * SM_MIB), _i == SM_HUGE_OFF ? " nh" : " hg"));
	ck_assert(advised(at(12 * SM_MIB), _i == SM_HUGE_OFF ? " nh" : " hg"));
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH(
		"range", 20, setup, teardown, SM_LOOP(a_range_is_laid_out, 1, 6),
		SM_T(any_word_can_be_looked_up), SM_T(metadata_is_fenced),
		SM_T(halved_until_granted), SM_T(a_tiny_limit_is_refused_with_a_reason),
		SM_T(the_kernel_refuses_at_first), SM_T(creation_fails_cleanly),
		SM_T(pages_larger_than_a_unit_are_refused), SM_T(a_node_out_of_bounds_is_refused),
		SM_T(binding_to_a_node_without_memory_is_refused),
		SM_T(control_groups_limit_memory), SM_T(a_raised_limit_is_seen),
		SM_T(a_sparse_heap_binds_only_when_asked), SM_T(nodes_are_ordered_by_distance),
		SM_T(the_limit_is_exact),
		SM_LOOP(the_first_pages_are_small, SM_HUGE_OFF, SM_HUGE_COLLAPSE));
}
