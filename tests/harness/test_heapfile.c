/* test_heapfile: heap dumps read back: a real one, random graphs against a search by removal, and
 * strangers' files. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/heap/heapfile.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "workloads/rng.h"

static struct sm_heapfile h;
static char err[400], path[64];
static int fd;

static void setup(void)
{
	fd = memfd_create("dump", 0);
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void teardown(void)
{
	sm_heapfile_free(&h);
	close(fd);
}

static void put(const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

struct node {
	struct node *next;
	long value;
};

START_TEST(a_real_dump)
{
	struct sm_gc *gc = GCTEST("gc.verify=1");
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *type = sm_type_prefix(gc, sizeof(struct node), 1);
	struct sm_handle *head = sm_handle_new(m, NULL);
	uint64_t *retained;
	size_t n, *idom;

	for (long i = 0; i < 1000; i++) {
		struct node *x = sm_new(m, type);

		sm_store(m, (void **)&x->next, sm_handle_get(head));
		sm_handle_set(m, head, x);
	}
	ck_assert_int_eq(sm_heap_dump(gc, m, fd), 0);
	ck_assert_msg(sm_heapfile_read(&h, path, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_ge(h.n, 1001);
	n = sm_heapfile_find(&h, (uintptr_t)sm_handle_get(head) + 3);
	ck_assert_uint_eq(h.nodes[n].address, (uintptr_t)sm_handle_get(head));
	ck_assert_uint_eq(h.first[n + 1] - h.first[n], 1);
	ck_assert_int_eq(sm_heapfile_dominators(&h, &idom, &retained), 0);
	ck_assert_uint_eq(idom[n], 0);
	ck_assert_uint_ge(retained[0], 1000 * sizeof(struct node));
	free(idom);
	free(retained);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
}
END_TEST

/* n objects of different sizes at 0x1000, 0x2000, ..; some roots; edges at random. */
static void random_dump(struct sm_rng *rng, size_t n)
{
	char line[200];

	put("{\"spanmark_heap\":1,\"pid\":1}\n");
	for (size_t i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "{\"root\":\"handle\",\"to\":\"0x%zx\"}\n",
			 (1 + sm_rng_below(rng, n)) << 12);
		put(line);
	}
	for (size_t i = 1; i <= n; i++) {
		size_t edges = sm_rng_below(rng, 3);

		snprintf(line, sizeof(line),
			 "{\"object\":\"0x%zx\",\"bytes\":%zu,\"type\":\"t%zu\",\"edges\":[",
			 i << 12, i * 16, i % 3);
		put(line);
		for (size_t e = 0; e < edges; e++) {
			snprintf(line, sizeof(line), "%s\"0x%zx\"", e ? "," : "",
				 (1 + sm_rng_below(rng, n)) << 12);
			put(line);
		}
		put("]}\n");
	}
	snprintf(line, sizeof(line), "{\"end\":true,\"objects\":%zu,\"bytes\":0}\n", n);
	put(line);
}

/* Marks what node 0 reaches when `without` is not there. */
static void reach(size_t n, size_t without, bool *seen)
{
	if (n == without || seen[n])
		return;
	seen[n] = true;
	for (size_t e = h.first[n]; e < h.first[n + 1]; e++)
		reach(h.to[e], without, seen);
}

START_TEST(retained_is_what_goes_with_an_object)
{
	struct sm_rng rng;
	bool *all, *left;
	size_t *idom, *parent;
	uint64_t *retained;

	sm_rng_seed(&rng, (uint64_t)_i + 1, 0);
	random_dump(&rng, 40);
	ck_assert_msg(sm_heapfile_read(&h, path, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(h.n, 41);
	ck_assert_int_eq(sm_heapfile_dominators(&h, &idom, &retained), 0);
	parent = sm_heapfile_paths(&h);
	all = calloc(h.n, 1);
	reach(0, SIZE_MAX, all);
	for (size_t v = 1; v < h.n; v++) {
		uint64_t goes = 0;

		left = calloc(h.n, 1);
		reach(0, v, left);
		for (size_t i = 1; i < h.n; i++) {
			if (all[i] && !left[i])
				goes += h.nodes[i].bytes;
		}
		ck_assert_uint_eq(retained[v], goes);
		ck_assert_int_eq(parent[v] != SIZE_MAX, all[v]);
		free(left);
	}
	free(all);
	free(idom);
	free(retained);
	free(parent);
}
END_TEST

/* Each name is found again, however many there are. */
START_TEST(many_types)
{
	const size_t n = 20000;
	char line[120], name[40];

	put("{\"spanmark_heap\":1,\"pid\":1}\n");
	for (size_t i = 1; i <= n; i++) {
		snprintf(line, sizeof(line),
			 "{\"object\":\"0x%zx\",\"bytes\":16,\"type\":\"t %zu\",\"edges\":[]}\n",
			 i << 12, i % (n / 2));
		put(line);
	}
	snprintf(line, sizeof(line), "{\"end\":true,\"objects\":%zu,\"bytes\":0}\n", n);
	put(line);
	ck_assert_msg(sm_heapfile_read(&h, path, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(h.ntypes, n / 2);
	for (size_t i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "t %zu", i % (n / 2));
		ck_assert_str_eq(h.types[h.nodes[i].type], name);
	}
}
END_TEST

#define FIRST "{\"spanmark_heap\":1,\"pid\":1}\n"
#define A     "{\"object\":\"0x1000\",\"bytes\":16,\"type\":\"t\",\"edges\":[]}\n"
#define END1  "{\"end\":true,\"objects\":1,\"bytes\":16}\n"

static const struct {
	const char *text, *why;
} strange[] = {
	{"", "empty"},
	{"hello\n", ":1: no heap dump"},
	{"{\"spanmark_heap\":2}\n", ":1: no heap dump of version 1"},
	{FIRST A, "cut off"},
	{FIRST "{\"object\":\"0x1000\",\"by", ":2: no JSON"},
	{FIRST "{}\n", ":2: neither"},
	{FIRST "[[[[1]]]]\n", ":2: neither"},
	{FIRST "{\"object\":\"1000\",\"bytes\":16,\"type\":\"t\",\"edges\":[]}\n",
	 ":2: an object wants"},
	{FIRST "{\"object\":\"0x1000\",\"bytes\":-16,\"type\":\"t\",\"edges\":[]}\n",
	 ":2: an object wants"},
	{FIRST "{\"object\":\"0x1000\",\"bytes\":16,\"type\":7,\"edges\":[]}\n",
	 ":2: an object wants"},
	{FIRST "{\"object\":\"0xffffffffffffffff\",\"bytes\":16,\"type\":\"t\",\"edges\":[]}\n",
	 "behind the last address"},
	{FIRST "{\"object\":\"0x1000\",\"bytes\":16,\"type\":\"t\",\"edges\":[5]}\n",
	 ":2: an edge"},
	{FIRST "{\"root\":5,\"to\":\"0x1000\"}\n", ":2: a root wants"},
	{FIRST A A "{\"end\":true,\"objects\":2}\n", "two objects at 0x1000"},
	{FIRST A "{\"object\":\"0x1008\",\"bytes\":16,\"type\":\"t\",\"edges\":[]}\n"
		 "{\"end\":true,\"objects\":2}\n",
	 "two objects at 0x1008"},
	{FIRST A "{\"root\":\"stack\",\"to\":\"0x5000\"}\n" END1, "0x5000, where no object is"},
	{FIRST A "{\"end\":true,\"objects\":7}\n", ":3: the dump had another number"},
	{FIRST A END1 A, ":4: something behind"},
};

START_TEST(strangers_files_are_refused)
{
	put(strange[_i].text);
	ck_assert_int_eq(sm_heapfile_read(&h, path, err, sizeof(err)), -1);
	ck_assert_msg(strstr(err, strange[_i].why) != NULL, "said: %s", err);
	ck_assert_ptr_null(strchr(err, '\n'));
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("heapfile", 60, setup, teardown, SM_T(a_real_dump),
			     SM_LOOP(retained_is_what_goes_with_an_object, 0, 50), SM_T(many_types),
			     SM_LOOP(strangers_files_are_refused, 0,
				     (int)(sizeof(strange) / sizeof(strange[0]))));
}
