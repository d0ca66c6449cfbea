/*
 * Shapes and sizes: a list of 10^6 (10^7 with SM_TEST_LONG) and the marker's overflow path
 * (scenario 14); sizes around every class boundary, 0, overflow, large (15); memory that runs out:
 * the heap's limit is kept, allocation fails with ENOMEM, and afterwards everything works and
 * checks (18).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/scale.h"
#include "tests/support/stress.h"

struct cell {
	struct cell *next;
	uint64_t number;
};

/* ---- 14 ----------------------------------------------------------------------------------- */

static void list(struct sm_stress *s, const char *keys, uint64_t n)
{
	struct sm_gc *gc = sm_stress_gc(s, false, keys);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, sizeof(struct cell), 1);
	struct cell *head = NULL;
	struct sm_gc_stats st;
	uint64_t count = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct cell *c = sm_new(m, t);

		SM_MUST(c != NULL);
		c->number = i;
		sm_store(m, (void **)&c->next, head);
		head = c;
	}
	SM_MUST(sm_collect(gc, m) == 0);
	sm_gc_stats(gc, &st);
	SM_MUST(st.last_marked_objects >= n && st.last_marked_objects <= n + 100,
		"marked %llu of %llu", (unsigned long long)st.last_marked_objects,
		(unsigned long long)n);
	for (struct cell *c = head; c; c = sm_load((void **)&c->next), count++)
		SM_MUST(c->number == n - 1 - count);
	SM_MUST(count == n);
	printf("  list of %llu (%s)\n", (unsigned long long)n, keys);
	head = NULL;
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

/* Wide: one array of n, each element an array of its own: the grey set is as wide as the heap. With
 * a mark stack of a few KiB, nearly all of it goes through the overflow path. */
static void wide(struct sm_stress *s, const char *keys)
{
	struct sm_gc *gc = sm_stress_gc(s, false, keys);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const size_t n = 20000, each = 8;
	void **outer = sm_new_array(m, sm_type_pointers(gc, 1), n);
	struct sm_gc_stats st;

	SM_MUST(outer != NULL);
	for (size_t i = 0; i < n; i++) {
		void **inner = sm_new(m, sm_type_pointers(gc, each));

		SM_MUST(inner != NULL);
		sm_store(m, &outer[i], inner);
		for (size_t k = 0; k < each; k++) {
			uint64_t *leaf = sm_new_bytes(m, 16);

			SM_MUST(leaf != NULL);
			leaf[0] = i * each + k;
			sm_store(m, &inner[k], leaf);
		}
	}
	SM_MUST(sm_collect(gc, m) == 0);
	sm_gc_stats(gc, &st);
	SM_MUST(st.last_marked_objects >= 1 + n + n * each);
	for (size_t i = 0; i < n; i++) {
		void **inner = sm_load(&outer[i]);

		for (size_t k = 0; k < each; k++)
			SM_MUST(*(uint64_t *)sm_load(&inner[k]) == i * each + k);
	}
	printf("  wide (%s)\n", keys);
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

/* ---- 15 ----------------------------------------------------------------------------------- */

static void one_size(struct sm_mutator *m, size_t size)
{
	unsigned char *a = sm_new_bytes_zeroed(m, size), *b = sm_new_bytes(m, size);

	SM_MUST(a && b && a != b, "size %zu", size);
	for (size_t i = 0; i<size; i += size> 4096 ? 997 : 1)
		SM_MUST(a[i] == 0, "byte %zu of %zu is not zero", i, size);
	if (size) {
		memset(a, 0xaa, size);
		memset(b, 0xbb, size);
		SM_MUST(a[0] == 0xaa && a[size - 1] == 0xaa && b[0] == 0xbb && b[size - 1] == 0xbb,
			"size %zu overlaps", size);
	}
}

static SM_NOINLINE void one_giant(struct sm_mutator *m, struct sm_gc *gc)
{
	unsigned char *volatile inside, *p = sm_new_bytes(m, SM_GIB);

	SM_MUST(p != NULL, "1 GiB: %s", strerror(errno));
	p[0] = 1;
	p[SM_GIB / 2] = 2;
	p[SM_GIB - 1] = 3;
	/* An interior pointer far from the start is all that is left of it. */
	inside = p + SM_GIB / 2;
	p = NULL;
	sm_stress_scrub_stack();
	SM_MUST(sm_collect(gc, m) == 0);
	SM_MUST(inside[0] == 2 && inside[SM_GIB / 2 - 1] == 3 && *(inside - SM_GIB / 2) == 1);
}

/* One after the other, more than the address space would hold at once: each must go. */
static void giants(struct sm_stress *s)
{
	struct sm_gc *gc = sm_stress_gc(s, false, "heap.reserve=8g");
	struct sm_mutator *m = sm_mutator_attach(gc);

	for (int i = 0; i < 12; i++) {
		one_giant(m, gc);
		sm_stress_scrub_stack();
		SM_MUST(sm_collect(gc, m) == 0);
	}
	printf("  12 x 1 GiB\n");
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

static void sizes(struct sm_stress *s)
{
	struct sm_gc *gc = sm_stress_gc(s, true, NULL);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *pair = sm_type_prefix(gc, 16, 1);

	for (size_t size = 0; size <= 1100; size++)
		one_size(m, size);
	for (unsigned c = 1; c < sm__nclasses; c++) {
		size_t at = sm__sizeclasses[c].slot_bytes;

		one_size(m, at - 1);
		one_size(m, at);
		one_size(m, at + 1);
	}
	for (size_t size = 32 * SM_KIB - 8; size < 8 * SM_MIB; size = size * 5 / 3 + 1)
		one_size(m, size);
	errno = 0;
	SM_MUST(sm_new_array(m, pair, SIZE_MAX / 8) == NULL && errno == ENOMEM,
		"n * size overflows");
	errno = 0;
	SM_MUST(sm_new_array(m, pair, SIZE_MAX / 16 + 2) == NULL && errno == ENOMEM);
	errno = 0;
	SM_MUST(sm_new_bytes(m, SIZE_MAX) == NULL && errno == ENOMEM);
	errno = 0;
	SM_MUST(sm_new_bytes(m, SIZE_MAX - 4096) == NULL && errno == ENOMEM);
	errno = 0;
	SM_MUST(sm_new_bytes(m, (size_t)1 << 47) == NULL && errno == ENOMEM);
	one_size(m, 100);
	printf("  sizes\n");
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

/* ---- 18 ----------------------------------------------------------------------------------- */

/*
 * Makes a list until the heap says no, and walks it; its length. In a function of its own: a
 * compiler may leave the list's head in a register or a slot of the frame that it has no more use
 * for (ARM64 has registers enough), and where the caller then collects, a conservative scanner
 * finds it there and keeps the whole list.
 */
static SM_NOINLINE uint64_t fill(struct sm_mutator *m, const struct sm_type *t, struct sm_rng *r)
{
	struct cell *head = NULL;
	uint64_t n = 0, length;

	for (;;) {
		struct cell *c;

		errno = 0;
		if (sm_rng_below(r, 50) == 0 &&
		    sm_new_bytes(m, sm_rng_below(r, 200 * SM_KIB)) == NULL)
			SM_MUST(errno == ENOMEM);
		errno = 0;
		c = sm_new(m, t);
		if (c == NULL)
			break;
		c->number = n++;
		sm_store(m, (void **)&c->next, head);
		head = c;
		SM_MUST(n < 64 * SM_MIB / 256, "the limit is not kept");
	}
	SM_MUST(errno == ENOMEM);
	length = n;
	for (struct cell *c = head; c; c = sm_load((void **)&c->next))
		SM_MUST(c->number == --n);
	SM_MUST(n == 0);
	return length;
}

/* Fills the heap until it says no, lets go, and again; the list stays whole and the limit is kept.
 */
static void limit(struct sm_stress *s, const char *keys, size_t bytes)
{
	struct sm_gc *gc = sm_stress_gc(s, false, keys);
	struct sm_mutator *m = sm_mutator_attach(gc);
	const struct sm_type *t = sm_type_prefix(gc, 256, 1);
	struct sm_rng r;
	unsigned refused = 0;

	sm_rng_seed(&r, s->seed, 3);
	for (int round = 0; round < 3; round++) {
		uint64_t n = fill(m, t, &r);

		refused++;
		SM_MUST(n * 256 > bytes / 2, "only %llu KiB of %zu could be used",
			(unsigned long long)n / 4, bytes / SM_KIB);
		SM_MUST(sm_load_relaxed(&sm_gc_heap(gc)->pages.mapped_bytes) <= bytes + SM_MIB);
		sm_stress_scrub_stack();
		SM_MUST(sm_collect(gc, m) == 0);
		SM_MUST(sm_heap_check(sm_gc_heap(gc)) == 0);
	}
	printf("  limit of %zu MiB: refused %u times (%s)\n", bytes / SM_MIB, refused, keys);
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

int main(void)
{
	struct sm_stress s;
	uint64_t n;
	size_t most;
	char keys[120];

	sm_stress_begin(&s, "stress_memory", 15);
	n = sm_test_scaled(s.large ? 10000000 : 1000000);
	list(&s, "gc.mode=concurrent", n);
	list(&s, "gc.mode=stw", n / 4);
	list(&s, "gc.mark_stack=4k,gc.packet=2", n / 10);
	wide(&s, "gc.mark_stack=4k,gc.packet=2");
	wide(&s, "gc.mark_stack=4k,gc.packet=4,gc.workers=2,gc.mode=stw");
	/* Many times: what the verifier once took for a lost object came up in one of 150, on busy
	 * cores. */
	for (unsigned i = 0; i < 10 || (i < 100 && sm_stress_before(s.seconds / 3)); i++) {
		struct sm_stress turn = {
			.seed = s.seed + i, .seconds = s.seconds, .large = s.large};

		sizes(&turn);
	}
	giants(&s);
	/* The nearer to its limit, the more often a heap is collected: the work grows with the
	 * square. */
	most = sm_test_scaled(8) >= 4 ? sm_test_scaled(8) : 4;
	snprintf(keys, sizeof(keys), "heap.limit=%zum,heap.arena=1m,heap.reserve=1g", most);
	limit(&s, keys, most * SM_MIB);
	strcat(keys, ",gc.mode=stw,pageheap=bitmap");
	limit(&s, keys, most * SM_MIB);
	return 0;
}
