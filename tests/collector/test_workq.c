/* test_workq: packets, the limit, distance order, draining under many threads. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/mark/workq.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_heap_config cfg;
static struct sm_workq q;

START_TEST(packets_come_and_go)
{
	struct sm_packet *p, *other;
	unsigned from = 9;

	sm__workq_init(&q, &cfg, 1, 8, SM_MIB, 1);
	sm__workq_enter(&q);
	ck_assert_ptr_null(sm__workq_get(&q, 0, 0, &from));
	p = sm__workq_empty(&q);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->cap, 8);
	p->entry[p->n++] = 16;
	sm__workq_put(&q, 0, p, false);
	ck_assert_uint_eq(sm__workq_queued(&q), 1);
	ck_assert(!sm__workq_is_drained(&q));
	other = sm__workq_get(&q, 0, 0, &from);
	ck_assert_ptr_eq(other, p);
	ck_assert_uint_eq(from, 0);
	ck_assert(!sm__workq_is_drained(&q)); /* we are active */
	sm__workq_recycle(&q, p);
	sm__workq_leave(&q, false);
	ck_assert(sm__workq_is_drained(&q));
	sm__workq_wait_drained(&q);
	sm__workq_fini(&q);
}
END_TEST

START_TEST(the_limit_holds)
{
	struct sm_packet *all[64];
	unsigned n = 0;

	sm__workq_init(&q, &cfg, 1, 8, 4096, 1);
	while (n < 64 && (all[n] = sm__workq_empty(&q)) != NULL)
		n++;
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, 64);
	ck_assert_uint_le(q.bytes, 4096);
	/* What comes back can be had again. */
	sm__workq_recycle(&q, all[0]);
	ck_assert_ptr_eq(sm__workq_empty(&q), all[0]);
	ck_assert_ptr_null(sm__workq_empty(&q));
	sm__workq_fini(&q);
}
END_TEST

/* Is every page of the packet in memory? */
static bool resident(const struct sm_packet *p)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = sm_align_down((uintptr_t)p, page), end = (uintptr_t)(p->entry + p->cap);
	unsigned char in[64];
	size_t n = (end - from + page - 1) / page;

	ck_assert_uint_le(n, sizeof(in));
	ck_assert_int_eq(mincore((void *)from, n * page, in), 0);
	for (size_t i = 0; i < n; i++)
		if ((in[i] & 1) == 0)
			return false;
	return true;
}

/* What was reserved is there, page by page, and no chunk is mapped for its taker; the limit
 * holds all the same. */
START_TEST(reserved)
{
	struct sm_packet *p;
	size_t bytes;

	sm__workq_init(&q, &cfg, 1, 512, SM_MIB, 1);
	sm__workq_reserve(&q, 256 * SM_KIB);
	bytes = q.bytes;
	ck_assert_uint_ge(q.nfree * (sizeof(*p) + 512 * sizeof(uintptr_t)), 240 * SM_KIB);
	for (int i = 0; i < 55; i++) {
		p = sm__workq_empty(&q);
		ck_assert_ptr_nonnull(p);
		ck_assert(resident(p));
	}
	ck_assert_uint_eq(q.bytes, bytes);
	sm__workq_reserve(&q, 256 * SM_KIB);
	ck_assert_uint_gt(q.bytes, bytes);
	sm__workq_reserve(&q, SIZE_MAX);
	ck_assert_uint_le(q.bytes, SM_MIB);
	/* Packets of half a MiB: not even one fits into what is to be reserved. */
	sm__workq_fini(&q);
	sm__workq_init(&q, &cfg, 1, 65536, 256 * SM_MIB, 1);
	bytes = q.bytes;
	sm__workq_reserve(&q, 256 * SM_KIB);
	ck_assert_uint_eq(q.bytes, bytes);
	sm__workq_fini(&q);
}
END_TEST

START_TEST(nearest_node_first)
{
	static const uint16_t d[4][4] = {
		{10, 40, 20, 30}, {40, 10, 30, 20}, {20, 30, 10, 40}, {30, 20, 40, 10}};
	static const unsigned expect[4] = {0, 2, 3, 1}; /* from node 0 */
	unsigned from;

	for (unsigned i = 0; i < 4; i++)
		memcpy(cfg.distance[i], d[i], sizeof(d[i]));
	sm__workq_init(&q, &cfg, 4, 8, SM_MIB, 1);
	sm__workq_enter(&q);
	for (unsigned i = 0; i < 4; i++) {
		struct sm_packet *p = sm__workq_empty(&q);

		p->entry[p->n++] = 8 * (i + 1);
		sm__workq_put(&q, i, p, false);
	}
	for (unsigned i = 0; i < 4; i++) {
		struct sm_packet *p = sm__workq_get(&q, 0, 0, &from);

		ck_assert_uint_eq(from, expect[i]);
		ck_assert_uint_eq(p->entry[0], 8 * (expect[i] + 1));
		sm__workq_recycle(&q, p);
	}
	sm__workq_leave(&q, false);
	sm__workq_fini(&q);
	memset(&cfg, 0, sizeof(cfg));
}
END_TEST

static void put_from(uint32_t l3, uintptr_t entry)
{
	struct sm_packet *p = sm__workq_empty(&q);

	p->entry[p->n++] = entry;
	p->l3 = l3;
	sm__workq_put(&q, 0, p, false);
}

/* The latest packet of the own L3, else the latest of all. */
START_TEST(own_l3_first)
{
	static const struct {
		uint32_t l3;
		uintptr_t expect;
	} gets[] = {{2, 24}, {1, 32}, {SM_NO_L3 - 1, 40}, {1, 16}, {1, 8}};
	unsigned from;

	sm__workq_init(&q, &cfg, 1, 8, SM_MIB, 1);
	sm__workq_enter(&q);
	put_from(1, 16);
	put_from(3, 8);
	put_from(2, 24);
	put_from(1, 32);
	put_from(SM_NO_L3, 40);
	for (unsigned i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
		struct sm_packet *p = sm__workq_get(&q, 0, gets[i].l3, &from);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(p->entry[0], gets[i].expect);
		sm__workq_recycle(&q, p);
	}
	ck_assert_ptr_null(sm__workq_get(&q, 0, 1, &from));
	ck_assert_uint_eq(sm__workq_queued(&q), 0);
	sm__workq_leave(&q, false);
	sm__workq_fini(&q);
}
END_TEST

/* Entry n breeds entries n-1 twice; all threads together must process 2^(N+1)-1 and then see
 * "drained". */
#define BREED 16
static _Atomic(uint64_t) processed;

static void *breed(void *arg)
{
	unsigned from;

	for (;;) {
		struct sm_packet *p;

		sm__workq_enter(&q);
		p = sm__workq_get(&q, (unsigned)(uintptr_t)arg % 2, 0, &from);
		if (p == NULL) {
			sm__workq_leave(&q, false);
			if (sm__workq_is_drained(&q))
				return NULL;
			continue;
		}
		for (uint32_t i = 0; i < p->n; i++) {
			uintptr_t n = p->entry[i];
			struct sm_packet *kids;

			processed++;
			if (n == 1)
				continue;
			kids = sm__workq_empty(&q);
			if (kids == NULL)
				abort();
			kids->entry[kids->n++] = n - 1;
			kids->entry[kids->n++] = n - 1;
			sm__workq_put(&q, (unsigned)n % 2, kids, false);
		}
		sm__workq_recycle(&q, p);
		sm__workq_leave(&q, false);
	}
}

START_TEST(drained_means_drained)
{
	pthread_t t[4];
	struct sm_packet *p;

	sm__workq_init(&q, &cfg, 2, 2, 256 * SM_MIB, 1);
	processed = 0;
	p = sm__workq_empty(&q);
	p->entry[p->n++] = BREED;
	sm__workq_put(&q, 0, p, false);
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, breed, (void *)i);
	sm__workq_wait_drained(&q);
	ck_assert_uint_eq(processed, (1u << BREED) - 1);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	sm__workq_fini(&q);
}
END_TEST

/* A worker that finds nothing more wakes the control thread although a mutator is still inside: the
 * mutator will not. With packets queued there is nothing to be told. */
START_TEST(a_worker_that_leaves_tells)
{
	struct sm_packet *p;
	uint32_t seq;

	sm__workq_init(&q, &cfg, 1, 1, 256 * SM_MIB, 1);
	sm__workq_enter(&q);
	sm__workq_enter(&q);
	seq = sm__event_prepare(&q.drained);
	sm__workq_leave(&q, false);
	ck_assert_uint_ne(sm_load_seqcst(&q.drained.seq), seq);
	seq = sm_load_seqcst(&q.drained.seq);
	sm__workq_leave(&q, true);
	ck_assert_uint_eq(sm_load_seqcst(&q.drained.seq), seq);
	ck_assert(sm__workq_is_drained(&q));

	p = sm__workq_empty(&q);
	p->entry[p->n++] = 16;
	sm__workq_put(&q, 0, p, true);
	sm__workq_enter(&q);
	sm__workq_leave(&q, false);
	ck_assert_uint_eq(sm_load_seqcst(&q.drained.seq), seq);
	sm__event_cancel(&q.drained);
	sm__workq_fini(&q);
}
END_TEST

int main(void)
{
	return SM_SUITE("workq", 60, SM_T(packets_come_and_go), SM_T(the_limit_holds),
			SM_T(reserved), SM_T(nearest_node_first), SM_T(own_l3_first),
			SM_T(a_worker_that_leaves_tells), SM_LOOP(drained_means_drained, 0, 5));
}
