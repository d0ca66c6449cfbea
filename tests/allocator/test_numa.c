/*
 * test_numa: where pages really are, asked of the kernel (move_pages), for every node with memory:
 * small runs, large objects, stacks; by policy; and what happens when nodes are missing, full or
 * forbidden. Skipped (77) on a machine with one node.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/pages/scavenge.h"
#include "spanmark/stack.h"
#include "allocator/pages/stackpool.h"
#include "tests/support/pagetest.h"
#include "tests/support/skip.h"
#include "tests/support/run.h"

static struct sm_heap *heap;
static int nodes[SM_MAX_NODES];
static unsigned nnodes;

/* ---- the machine, from sysfs -------------------------------------------------------------- */

/* "0-2,5" into numbers; returns how many. */
static unsigned read_list(const char *path, int *out, unsigned max)
{
	FILE *f = fopen(path, "re");
	unsigned n = 0;
	int from, to, c = ',';

	if (f == NULL)
		return 0;
	while (c == ',' && fscanf(f, "%d", &from) == 1) {
		to = from;
		c = fgetc(f);
		if (c == '-' && fscanf(f, "%d", &to) == 1)
			c = fgetc(f);
		for (; from <= to && n < max; from++)
			out[n++] = from;
	}
	fclose(f);
	return n;
}

/* Row of the SLIT: one number for each online node, in order. */
static void read_distances(struct sm_heap *h)
{
	int online[SM_MAX_NODES];
	unsigned nonline = read_list("/sys/devices/system/node/online", online, SM_MAX_NODES);

	for (unsigned i = 0; i < nnodes; i++) {
		char path[80];
		unsigned d;
		FILE *f;

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", nodes[i]);
		f = fopen(path, "re");
		for (unsigned k = 0; f != NULL && k < nonline && fscanf(f, "%u", &d) == 1; k++)
			for (unsigned j = 0; j < nnodes; j++)
				if (nodes[j] == online[k])
					h->config.distance[i][j] = (uint16_t)d;
		if (f != NULL)
			fclose(f);
	}
}

static void make(enum sm_pageheap_kind kind)
{
	heap = pagetest_heap(kind);
	heap->config.nnodes = nnodes;
	for (unsigned i = 0; i < nnodes; i++)
		heap->config.node_os[i] = nodes[i];
	read_distances(heap);
}

static void finish(void)
{
	sm__stackpool_trim(&heap->pages, true);
	ck_assert_uint_eq(sm__pageheap_check(&heap->pages), 0);
	pagetest_destroy(heap);
}

/* ---- where pages are ---------------------------------------------------------------------- */

/* Touches every page and counts those that are not on the kernel's node `want`. */
static size_t misplaced(char *p, size_t bytes, int want)
{
	size_t page = sm__os_page_size(), bad = 0;

	for (size_t i = 0; i < bytes; i += page) {
		void *at = p + i;
		int status = -1;

		p[i] = 1;
		ck_assert_int_eq(syscall(SYS_move_pages, 0, 1, &at, NULL, &status, 0), 0);
		ck_assert_msg(status >= 0, "page %p: %s", at, strerror(-status));
		bad += status != want;
	}
	return bad;
}

static size_t misplaced_span(struct sm_span *s, int want)
{
	return misplaced((char *)sm_span_base(&heap->pages.range, s), sm_span_bytes(s), want);
}

START_TEST(memory_is_on_the_node_that_was_asked_for)
{
	make((enum sm_pageheap_kind)_i);
	pagetest_create(heap);
	for (unsigned i = 0; i < nnodes; i++) {
		struct sm_stack st;

		for (size_t n = 1; n < 200; n = n * 3) {
			struct sm_span *s = sm__pageheap_alloc(&heap->pages, i, n);

			ck_assert_uint_eq(s->node, i);
			ck_assert_uint_eq(misplaced_span(s, nodes[i]), 0);
		}
		ck_assert_uint_eq(
			misplaced_span(sm__pageheap_alloc(&heap->pages, i, 5 * SM_MIB / SM_UNIT),
				       nodes[i]),
			0);
		ck_assert_int_eq(sm_stack_alloc(heap, i, 100000, &st), 0);
		ck_assert_uint_eq(misplaced(st.low, st.bytes, nodes[i]), 0);
		sm_stack_free(heap, &st);
	}
	ck_assert_uint_eq(pagetest_stats(heap).remote, 0);
	finish();
}
END_TEST

/* Given back and touched again, memory is where it was bound. */
START_TEST(released_memory_comes_back_to_its_node)
{
	make((enum sm_pageheap_kind)_i);
	pagetest_create(heap);
	for (unsigned i = 0; i < nnodes; i++) {
		struct sm_span *s = sm__pageheap_alloc(&heap->pages, i, 100);

		ck_assert_uint_eq(misplaced_span(s, nodes[i]), 0);
		sm__pageheap_free(&heap->pages, s);
	}
	ck_assert_uint_gt(sm__scavenge(&heap->pages, 0), 0);
	for (unsigned i = 0; i < nnodes; i++)
		ck_assert_uint_eq(
			misplaced_span(sm__pageheap_alloc(&heap->pages, i, 100), nodes[i]), 0);
	finish();
}
END_TEST

START_TEST(interleaved_spans_are_on_all_nodes)
{
	unsigned count[SM_MAX_NODES] = {0};

	make(SM_PAGEHEAP_BUDDY);
	heap->config.numa = SM_NUMA_INTERLEAVE;
	pagetest_create(heap);
	for (unsigned i = 0; i < nnodes * 20; i++) {
		struct sm_span *s = sm__pageheap_alloc(&heap->pages, 0, 1 + i % 3);

		count[s->node]++;
		ck_assert_uint_eq(misplaced_span(s, nodes[s->node]), 0);
	}
	for (unsigned i = 0; i < nnodes; i++)
		ck_assert_uint_eq(count[i], 20);
	finish();
}
END_TEST

START_TEST(bound_memory_is_on_that_node_alone)
{
	for (unsigned i = 0; i < nnodes; i++) {
		make(SM_PAGEHEAP_BITMAP);
		heap->config.numa = SM_NUMA_BIND;
		heap->config.numa_bind = i;
		pagetest_create(heap);
		for (unsigned node = 0; node < nnodes; node++) {
			struct sm_span *s = sm__pageheap_alloc(&heap->pages, node, 20);

			ck_assert_uint_eq(s->node, i);
			ck_assert_uint_eq(misplaced_span(s, nodes[i]), 0);
		}
		finish();
	}
}
END_TEST

/* A node that is not there: others serve it, after one line; the page heap says which. */
START_TEST(a_node_without_memory_is_served_by_others)
{
	struct sm_span *s;

	make(SM_PAGEHEAP_BUDDY);
	heap->config.node_os[0] = 1001;
	pagetest_create(heap);
	for (int i = 0; i < 10; i++) {
		s = sm__pageheap_alloc(&heap->pages, 0, 10);
		ck_assert_ptr_nonnull(s);
		ck_assert_uint_ne(s->node, 0);
		ck_assert_uint_eq(misplaced_span(s, nodes[s->node]), 0);
	}
	/* The nearest of the others. */
	for (unsigned i = 1; i < nnodes; i++)
		ck_assert_uint_le(heap->config.distance[0][s->node], heap->config.distance[0][i]);
	ck_assert_uint_ge(pagetest_stats(heap).remote, 10);
	finish();
}
END_TEST

START_TEST(a_refused_mbind_is_lived_with)
{
	make(SM_PAGEHEAP_BUDDY);
	pagetest_create(heap);
	sm__os_inject(SM_OS_BIND, -1, EPERM);
	for (unsigned i = 0; i < nnodes; i++)
		ck_assert_uint_eq(sm__pageheap_alloc(&heap->pages, i, 10)->node, i);
	sm__os_inject(SM_OS_ANY, 0, 0);
	finish();
}
END_TEST

/* The policy is on the mapping itself, so pages that the kernel moves or swaps return to it. */
START_TEST(the_kernel_knows_the_policy)
{
	char line[4096], want[32], at[32];
	struct sm_span *s;
	bool found = false;
	FILE *f;

	make(SM_PAGEHEAP_BUDDY);
	pagetest_create(heap);
	s = sm__pageheap_alloc(&heap->pages, nnodes - 1, 4);
	ck_assert_uint_eq(misplaced_span(s, nodes[nnodes - 1]), 0);
	/* Unit 0 of the range is the guard; the mapping starts behind it. */
	snprintf(at, sizeof(at), "%lx ",
		 (unsigned long)(heap->pages.range.base +
				 ((uintptr_t)(nnodes - 1) << heap->pages.range.node_shift) +
				 SM_UNIT));
	f = fopen("/proc/self/numa_maps", "re");
	if (f == NULL) {
		finish();
		SM_SKIP("no /proc/self/numa_maps");
	}
	snprintf(want, sizeof(want), "prefer");
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, at, strlen(at)) == 0) {
			found = true;
			ck_assert_msg(strstr(line, want) != NULL, "%s", line);
			snprintf(want, sizeof(want), "N%d=", nodes[nnodes - 1]);
			ck_assert_msg(strstr(line, want) != NULL, "%s", line);
		}
	fclose(f);
	ck_assert(found);
	finish();
}
END_TEST

int main(void)
{
	nnodes = read_list("/sys/devices/system/node/has_memory", nodes, SM_MAX_NODES);
	if (nnodes < 2) {
		printf("skipped: this machine has %u NUMA node%s with memory\n", nnodes,
		       nnodes == 1 ? "" : "s");
		return 77;
	}
	if (sm__os_page_size() > SM_UNIT) {
		printf("skipped: this kernel's pages are larger than the span unit\n");
		return 77;
	}
	return SM_SUITE("numa", 120, SM_LOOP(memory_is_on_the_node_that_was_asked_for, 0, 2),
			SM_LOOP(released_memory_comes_back_to_its_node, 0, 2),
			SM_T(interleaved_spans_are_on_all_nodes),
			SM_T(bound_memory_is_on_that_node_alone),
			SM_T(a_node_without_memory_is_served_by_others),
			SM_T(a_refused_mbind_is_lived_with), SM_T(the_kernel_knows_the_policy));
}
