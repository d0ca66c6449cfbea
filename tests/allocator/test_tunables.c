/* Settings for one class, for one core, for one class on one core: how they are read, and that
 * caches obey them. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/os/os.h"
#include "tests/support/marksim.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_heap_config cfg;
static char err[256];

static int set(const char *key, const char *value)
{
	return sm_heap_config_set(&cfg, key, value, err, sizeof(err));
}

static size_t window(unsigned size, int cpu)
{
	return sm__config_knob(&cfg, SM_KNOB_WINDOW, size ? sm_size_class(size) : 0, cpu);
}

/* ---- reading ------------------------------------------------------------------------------ */

START_TEST(the_most_particular_setting_counts)
{
	char text[32];

	sm_heap_config_init(&cfg);
	ck_assert_int_eq(set("cache.window@64", "4k"), 0);
	ck_assert_int_eq(set("cache.window@cpu3", "8k"), 0);
	ck_assert_int_eq(set("cache.window@64@cpu3", "1k"), 0);
	ck_assert_int_eq(set("cache.window@cpu5@64", "2k"), 0); /* in either order */
	ck_assert_uint_eq(window(128, 0), 32 * SM_KIB);
	ck_assert_uint_eq(window(64, 0), 4 * SM_KIB);
	ck_assert_uint_eq(window(60, 0), 4 * SM_KIB); /* the class that serves it */
	ck_assert_uint_eq(window(128, 3), 8 * SM_KIB);
	ck_assert_uint_eq(window(64, 3), 1 * SM_KIB);
	ck_assert_uint_eq(window(64, 5), 2 * SM_KIB);
	/* The default may follow, and a second setting of the same place replaces the first. */
	ck_assert_int_eq(set("cache.window", "16k"), 0);
	ck_assert_int_eq(set("cache.window@64", "3k"), 0);
	ck_assert_uint_eq(window(128, 0), 16 * SM_KIB);
	ck_assert_uint_eq(window(64, 0), 3 * SM_KIB);
	ck_assert_uint_eq(cfg.noverrides, 4);
	ck_assert_int_eq(sm_heap_config_get(&cfg, "cache.window@64@cpu3", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "1k");
	ck_assert_int_eq(sm_heap_config_get(&cfg, "cache.window@cpu9", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "16k");
	ck_assert_int_eq(sm_heap_config_get(&cfg, "heap.limit@64", text, sizeof(text)), -ENOENT);
}
END_TEST

static const struct {
	const char *key, *value;
	int rc;
	const char *says;
} bad[] = {
	{"cache.window@", "4k", -EINVAL, "@SIZE"},
	{"cache.window@0", "4k", -EINVAL, "1..32k"},
	{"cache.window@33k", "4k", -EINVAL, "1..32k"},
	{"cache.window@64@128", "4k", -EINVAL, "@SIZE"},
	{"cache.window@cpu1@cpu2", "4k", -EINVAL, "@cpuN"},
	{"cache.window@cpu4096", "4k", -EINVAL, "0..4095"},
	{"cache.window@cpux", "4k", -EINVAL, "@cpuN"},
	{"cache.window@core1", "4k", -EINVAL, "@cpuN"},
	{"cache.window@64@", "4k", -EINVAL, "@SIZE"},
	{"cache.window@64", "63", -EINVAL, "64..16m"},
	{"cache.slots@64", "0", -EINVAL, "allowed: 1..8192"},
	{"cache.slots@64", "8193", -EINVAL, "allowed: 1..8192"},
	{"cache.slots", "8193", -EINVAL, "0 | 1..8192"},
	{"cache.batch@64", "many", -EINVAL, "1..8192"},
	{"cache.spans@64", "65", -EINVAL, "1..64"},
	{"cache.budget@64", "1m", -EINVAL, "allowed: @cpuN"},
	{"cache.budget@cpu1", "15k", -EINVAL, "16k..1g"},
	{"cache.budget", "2g", -EINVAL, "16k..1g"},
	{"pageheap@64", "buddy", -EINVAL, "cache.window"},
	{"cache.windows@64", "4k", -ENOENT, "cache.windows"},
};

START_TEST(what_cannot_be_is_refused_with_one_line_and_changes_nothing)
{
	struct sm_heap_config before;

	sm_heap_config_init(&cfg);
	before = cfg;
	ck_assert_int_eq(set(bad[_i].key, bad[_i].value), bad[_i].rc);
	ck_assert_msg(strstr(err, bad[_i].says) != NULL, "%s=%s says: %s", bad[_i].key,
		      bad[_i].value, err);
	ck_assert_ptr_null(strchr(err, '\n'));
	ck_assert_int_eq(memcmp(&before, &cfg, sizeof(cfg)), 0);
}
END_TEST

START_TEST(there_is_room_for_so_many)
{
	char key[40];

	sm_heap_config_init(&cfg);
	for (unsigned i = 0; i < SM_OVERRIDES_MAX; i++) {
		snprintf(key, sizeof(key), "cache.window@cpu%u", i);
		ck_assert_int_eq(set(key, "4k"), 0);
	}
	ck_assert_int_eq(set("cache.window@cpu4000", "4k"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "512"));
	ck_assert_int_eq(set("cache.window@cpu7", "8k"), 0);
	ck_assert_uint_eq(window(0, 7), 8 * SM_KIB);
}
END_TEST

/* ---- a collected heap --------------------------------------------------------------------- */

static struct marksim m;

static int stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	return cpu;
}

static size_t refill(struct sm_cache *c, size_t size)
{
	unsigned bin = sm_size_class(size);

	ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
	return (size_t)(c->windows[bin].end - c->windows[bin].cur) + size;
}

START_TEST(windows_by_class_and_core)
{
	char here[40], elsewhere[40];
	int cpu = stay_here();
	struct sm_cache *c;

	snprintf(here, sizeof(here), "cache.window@128@cpu%d=2k", cpu);
	snprintf(elsewhere, sizeof(elsewhere), "cache.window@256@cpu%d=1k", cpu + 1);
	marksim_init(&m, (const char *const[]){"cache.window=8k", "cache.window@64=512", here,
					       elsewhere, NULL});
	c = marksim_cache_new(&m);
	ck_assert_uint_eq(refill(c, 64), 512);
	ck_assert_uint_eq(refill(c, 128), 2048);
	ck_assert_uint_eq(refill(c, 256), 8192);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

/* Two spans with room on the central list: a cache that may own two takes both at once. */
START_TEST(a_cache_owns_as_many_spans_as_it_may)
{
	unsigned bin = sm_size_class(4096);
	struct sm_cache *a, *b, *c;
	char *p[2];

	marksim_init(&m, (const char *const[]){"cache.spans@4k=3", "cache.window=4k", NULL});
	a = marksim_cache_new(&m);
	b = marksim_cache_new(&m);
	c = marksim_cache_new(&m);
	p[0] = sm__cache_refill_slow(a, bin);
	p[1] = sm__cache_refill_slow(b, bin);
	sm__cache_retire_all(a);
	sm__cache_retire_all(b);
	ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
	ck_assert_uint_eq(c->nreserve, 1);
	ck_assert_uint_eq(c->stats.spans, 2);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	/* A new generation: what waits is given back to be swept, not used. */
	marksim_mark(&m, p[0]);
	marksim_mark(&m, p[1]);
	m.heap->sweepgen += 2;
	ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	sm__cache_retire_all(c);
	ck_assert_uint_eq(c->nreserve, 0);
	marksim_sweep_all(&m);
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	marksim_cache_free(a);
	marksim_cache_free(b);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

static size_t windows_held(const struct sm_cache *c)
{
	size_t bytes = 0;

	for (unsigned bin = 1; bin < sm__nclasses; bin++)
		bytes += (size_t)(c->windows[bin].end - c->windows[bin].cur);
	return bytes;
}

START_TEST(windows_stay_within_the_budget)
{
	struct sm_cache *c;

	marksim_init(&m, (const char *const[]){"cache.budget=64k", "cache.window=16k", NULL});
	c = marksim_cache_new(&m);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned bin = 1; bin < sm__nclasses; bin++) {
			ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
			ck_assert_uint_le(windows_held(c), 64 * SM_KIB);
		}
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

/* What a CPU's windows may not hold goes back to the spans. */
START_TEST(windows_of_cpus_stay_within_their_budget)
{
	struct sm_cache *c;
	char here[40];

	snprintf(here, sizeof(here), "cache.budget@cpu%d=48k", stay_here());
	marksim_init(&m, (const char *const[]){"cache.mode=cpu", "cache.budget=1m", here, NULL});
	c = marksim_cache_new(&m);
	for (unsigned round = 0; round < 3 && m.heap->cpus != NULL; round++)
		for (unsigned bin = 1; bin < sm__nclasses; bin++) {
			ck_assert_ptr_nonnull(sm__cache_refill_slow(c, bin));
			ck_assert_uint_le(marksim_cpu_held(&m), 48 * SM_KIB);
		}
	ck_assert_uint_eq(sm_heap_check(m.heap), 0);
	marksim_cache_free(c);
	marksim_fini(&m);
}
END_TEST

/* ---- the malloc heap, a cache per thread -------------------------------------------------- */

static void configure(const char *key, const char *value)
{
	ck_assert_msg(sm_malloc_configure(key, value, err, sizeof(err)) == 0, "%s", err);
}

static void *objects[20000];

static void take(unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_ptr_nonnull(objects[i] = sm_malloc(size));
}

static void give(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sm_free(objects[i]);
}

static size_t held(size_t size)
{
	return sm__mcache_objects(sm__mcache_get(), sm__malloc_class_of(size));
}

/* However much is freed, a list and a spare one stay. */
START_TEST(a_thread_keeps_as_many_freed_objects_as_it_may)
{
	char here[40];

	snprintf(here, sizeof(here), "cache.slots@128@cpu%d", stay_here());
	configure("cache.slots@64", "10");
	configure("cache.slots@128", "20");
	configure(here, "5");
	configure("cache.slots", "100");
	configure("cache.window", "1k");
	take(3000, 64);
	give(3000);
	ck_assert_uint_le(held(64), 20 + 1024 / 64);
	ck_assert_uint_gt(held(64), 10);
	take(3000, 128);
	give(3000);
	ck_assert_uint_le(held(128), 10 + 1024 / 128);
	take(3000, 256);
	give(3000);
	ck_assert_uint_gt(held(256), 100);
	ck_assert_uint_le(held(256), 200 + 1024 / 256);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

static pthread_barrier_t all_there;

static void *use_and_wait(void *arg)
{
	sm_free(sm_malloc(64));
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_there);
	return arg;
}

/* Lists and windows start small, or 1000 threads would hold 100 MiB of what they do not need; those
 * of a few threads are together no more. */
START_TEST(a_thread_that_uses_little_keeps_little)
{
	enum { OTHERS = 63 };
	unsigned others = _i ? OTHERS : 0;
	pthread_t t[OTHERS];

	pthread_barrier_init(&all_there, NULL, others + 1);
	for (unsigned i = 0; i < others; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, use_and_wait, NULL), 0);
	pthread_barrier_wait(&all_there);
	for (size_t size = 16; size <= 1024; size += 16) {
		take(8, size);
		give(8);
	}
	ck_assert_uint_le(sm__mcache_held(sm__mcache_get()), (others ? 64 : 256) * SM_KIB);
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < others; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* A list becomes as long as it may when refills have brought its length a few times over; of a
 * thread that frees much and takes nothing since it does not. */
START_TEST(lists_grow_with_what_refills_bring)
{
	const unsigned most = 16 * SM_KIB / 64;
	uint32_t before;

	take(100, 64);
	give(100);
	ck_assert_uint_lt(held(64), 100 + most / 4);
	take(20000, 64);
	before = sm__mcache_get()->cold[sm__malloc_class_of(64)].limit;
	ck_assert_uint_lt(before, most);
	give(20000);
	ck_assert_uint_eq(sm__mcache_get()->cold[sm__malloc_class_of(64)].limit, most);
	ck_assert_uint_le(held(64), 2 * most + 20000 / 4);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

START_TEST(a_refill_fetches_a_batch)
{
	configure("cache.batch@64", "7");
	configure("cache.batch", "3");
	take(1, 64);
	ck_assert_uint_eq(held(64), 6);
	take(1, 512);
	ck_assert_uint_eq(held(512), 2);
}
END_TEST

START_TEST(a_thread_stays_within_its_budget)
{
	configure("cache.budget", "64k");
	for (size_t size = 16; size <= 1024; size += 16) {
		take(2000, size);
		ck_assert_uint_le(sm__mcache_held(sm__mcache_get()), 64 * SM_KIB);
		give(2000);
		ck_assert_uint_le(sm__mcache_held(sm__mcache_get()), 64 * SM_KIB + 16 * SM_KIB);
	}
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

static unsigned length_of(const struct sm_freed *list)
{
	unsigned n = 0;

	for (; list != NULL; list = list->next)
		n++;
	return n;
}

/* What a cache counts is what its lists hold. */
static void lists_are_as_long_as_counted(const struct sm_mcache *c)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		const struct sm_mclass *k = &c->cold[cls];

		ck_assert_uint_eq(length_of(c->head[cls]),
				  k->limit - (c->room[cls] & SM_ROOM_MASK));
		if (k->spare != NULL)
			ck_assert_uint_eq(length_of(k->spare), k->spare_n);
	}
}

/* One class alone may not hold more than the budget either. */
START_TEST(a_class_stays_within_the_budget)
{
	configure("cache.budget", "16k");
	configure("cache.window", "64k");
	for (size_t size = 64; size <= 8192; size *= 2) {
		for (unsigned i = 0; i < 500; i++) {
			ck_assert_ptr_nonnull(objects[i] = sm_malloc(size));
			ck_assert_uint_le(sm__mcache_held(sm__mcache_get()), 16 * SM_KIB);
		}
		give(500);
	}
}
END_TEST

/* A spare list that became so a moment ago comes back in two pieces. */
START_TEST(a_list_that_is_split_is_counted_in_parts)
{
	configure("cache.slots", "64");
	take(300, 64);
	for (unsigned n = 0; n < 300; n++) {
		give(n);
		lists_are_as_long_as_counted(sm__mcache_get());
		for (unsigned i = 0; i < n; i++) {
			ck_assert_ptr_nonnull(objects[i] = sm_malloc(64));
			if (i % 8 == 0)
				lists_are_as_long_as_counted(sm__mcache_get());
		}
	}
	give(300);
}
END_TEST

/* Lists of different lengths meet in the depot: threads with settings of two cores. */
static void *churn_on(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	void *p[500] = {NULL};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)(uintptr_t)arg % 2, &one);
	(void)sched_setaffinity(0, sizeof(one), &one); /* with one CPU, all are there */
	for (unsigned i = 0; i < 100000; i++) {
		unsigned k = (unsigned)rand_r(&seed) % 500;

		sm_free(p[k]);
		p[k] = sm_malloc((size_t)rand_r(&seed) % 300);
		if (i % 1000 == 0 && sm__mcache_get() != NULL)
			lists_are_as_long_as_counted(sm__mcache_get());
	}
	for (unsigned k = 0; k < 500; k++)
		sm_free(p[k]);
	return NULL;
}

static void threads_of_two_cores(void)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, churn_on, (void *)i), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
	sm_malloc_trim();
	sm_malloc_trim();
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}

START_TEST(cores_with_lists_of_different_lengths)
{
	struct sm_pageheap_stats st;

	configure("cache.mode", _i ? "cpu" : "thread");
	configure("cache.slots@cpu0", "3");
	configure("cache.slots@cpu1", "40");
	configure("cache.batch@cpu1", "11");
	/* Whether one takes a list that is too long for it is up to the scheduler, each time. */
	for (int i = 0; i < 8; i++)
		threads_of_two_cores();
	sm__malloc_pageheap(&st);
	ck_assert_uint_eq(st.in_use_bytes, 0);
}
END_TEST

/* ---- the malloc heap, a cache per CPU ----------------------------------------------------- */

#if SM_HAVE_RSEQ
static bool per_cpu(void)
{
	const char *why;

	configure("cache.mode", "cpu");
	return sm__rseq_usable(&why);
}

static size_t cpu_held(int cpu)
{
	size_t bytes = 0;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		bytes += sm__mcpu_held((unsigned)cpu, cls);
	return bytes;
}

START_TEST(a_cpu_stays_within_its_budget)
{
	char here[40];
	int cpu = stay_here();

	if (!per_cpu())
		SM_SKIP("no caches of CPUs here");
	configure("cache.budget", "1m");
	snprintf(here, sizeof(here), "cache.budget@cpu%d", cpu);
	configure(here, "48k");
	for (unsigned round = 0; round < 3; round++)
		for (size_t size = 16; size <= 20000; size += 16 + size / 8) {
			take(300, size);
			give(300);
			/* One object may be on its way; no other thread gives anything, for no
			 * other is there. */
			ck_assert_uint_le(cpu_held(cpu), 48 * SM_KIB + size);
			ck_assert_ptr_null(sm__mbudget_check());
		}
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* Long lists only for who needs them: an overflow after an underflow lets a list grow beyond two
 * batches. */
START_TEST(a_list_grows_by_need_and_no_further_than_it_may)
{
	unsigned cls = sm__malloc_class_of(64), cpu = (unsigned)stay_here();

	if (!per_cpu())
		SM_SKIP("no caches of CPUs here");
	configure("cache.batch@64", "10");
	configure("cache.slots@64", "45");
	take(15, 64);
	ck_assert_uint_eq(sm__process_heap.slabs[cpu].cap[cls], 20);
	for (unsigned round = 0; round < 20; round++) {
		take(200, 64);
		give(200);
	}
	ck_assert_uint_eq(sm__process_heap.slabs[cpu].cap[cls], 45);
	ck_assert_uint_le(sm__mcpu_held(cpu, cls), 45 * 64);
	ck_assert_ptr_null(sm__mbudget_check());
}
END_TEST

/* All of them in turn, so that none is idle. */
static void use_all_classes(void)
{
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 20000; i++)
			ck_assert_ptr_nonnull(objects[i] = sm_malloc(16 * (1 + i % 64)));
		give(20000);
	}
}

/* Caches of CPUs with this budget, more than one of them, and this one's in use. False: not here.
 */
static bool beside_another_cpu(const char *budget)
{
	if (!per_cpu())
		return false;
	configure("cache.budget", budget);
	take(1, 16);
	return sm__process_heap.nslabs >= 2;
}

/* Other CPUs that are not really there: their budgets are for who needs them, down to a quarter of
 * their share. */
START_TEST(a_busy_cpu_takes_the_budget_of_idle_ones)
{
	unsigned cpu = (unsigned)stay_here(), other = cpu == 0 ? 1 : 0;
	struct sm_mcpu *mine, *theirs;

	if (!beside_another_cpu("256k"))
		SM_SKIP("no second CPU");
	mine = &sm__process_heap.slabs[cpu];
	theirs = &sm__process_heap.slabs[other];
	sm__mbudget_prepare(other);
	use_all_classes();
	ck_assert_uint_eq(theirs->budget, 64 * SM_KIB);
	ck_assert_uint_gt(mine->budget, 256 * SM_KIB);
	ck_assert_ptr_null(sm__mbudget_check());
	/* The other one wakes up, and gets what is its own back from who has more than a share. */
	for (unsigned i = 0; i < 50; i++) {
		int idle;

		sm__mbudget_grow(other, sm__malloc_class_of(16 * (1 + i % 40)), 200, &idle);
	}
	ck_assert_uint_ge(theirs->budget, 128 * SM_KIB);
	ck_assert_ptr_null(sm__mbudget_check());
	take(2000, 2048);
	give(2000);
	/* What was taken away from this one's lists is given away at the next slow path. */
	ck_assert_uint_le(cpu_held((int)cpu), mine->budget + 2048);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* A CPU whose stacks find no memory takes no budget from others: it would be lost when the stacks
 * are made after all. */
START_TEST(a_cpu_without_memory_takes_no_budget)
{
	unsigned cpu = (unsigned)stay_here(), other = cpu == 0 ? 1 : 0;
	int idle;

	if (!beside_another_cpu("256k"))
		SM_SKIP("no second CPU");
	sm__os_inject(SM_OS_ANY, -1, ENOMEM);
	sm__mbudget_prepare(other);
	sm__os_inject(SM_OS_ANY, 0, 0);
	ck_assert(!sm_load_acquire(&sm__process_heap.slabs[other].ready));
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(sm__mbudget_grow(other, sm__malloc_class_of(1024), 400, &idle),
				  0);
	ck_assert_ptr_null(sm__mbudget_check());
	sm__mbudget_prepare(other);
	ck_assert(sm_load_acquire(&sm__process_heap.slabs[other].ready));
	ck_assert_ptr_null(sm__mbudget_check());
	ck_assert_uint_gt(sm__mbudget_grow(other, sm__malloc_class_of(1024), 8, &idle), 0);
	ck_assert_uint_eq(sm_heap_check(sm_malloc_heap()), 0);
}
END_TEST

/* An idle CPU that holds its whole budget is emptied for one that needs more. */
START_TEST(an_idle_cpu_is_drained_for_a_busy_one)
{
	unsigned cpu = (unsigned)stay_here(), other = cpu == 0 ? 1 : 0;
	int idle;

	if (!beside_another_cpu("64k"))
		SM_SKIP("no second CPU");
	sm__mbudget_prepare(other);
	while (sm__mbudget_grow(other, sm__malloc_class_of(1024), 8, &idle) != 0) {
	}
	ck_assert_uint_gt(sm__process_heap.slabs[other].used, 48 * SM_KIB);
	use_all_classes();
	ck_assert_uint_eq(sm__process_heap.slabs[other].used, 0);
	ck_assert_uint_ge(sm__process_heap.slabs[other].drains, 1);
	ck_assert_ptr_null(sm__mbudget_check());
}
END_TEST

START_TEST(budgets_add_up_with_threads_on_all_cpus)
{
	if (!per_cpu())
		SM_SKIP("no caches of CPUs here");
	configure("cache.budget", "32k");
	threads_of_two_cores();
	ck_assert_ptr_null(sm__mbudget_check());
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("tunables");
	TCase *t = tcase_create("tunables");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_most_particular_setting_counts);
	tcase_add_loop_test(t, what_cannot_be_is_refused_with_one_line_and_changes_nothing, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, there_is_room_for_so_many);
	tcase_add_test(t, windows_by_class_and_core);
	tcase_add_test(t, a_cache_owns_as_many_spans_as_it_may);
	tcase_add_test(t, windows_stay_within_the_budget);
	tcase_add_test(t, windows_of_cpus_stay_within_their_budget);
	tcase_add_test(t, a_thread_keeps_as_many_freed_objects_as_it_may);
	tcase_add_loop_test(t, a_thread_that_uses_little_keeps_little, 0, 2);
	tcase_add_test(t, lists_grow_with_what_refills_bring);
	tcase_add_test(t, a_refill_fetches_a_batch);
	tcase_add_test(t, a_thread_stays_within_its_budget);
	tcase_add_test(t, a_class_stays_within_the_budget);
	tcase_add_test(t, a_list_that_is_split_is_counted_in_parts);
	tcase_add_loop_test(t, cores_with_lists_of_different_lengths, 0, 2);
#if SM_HAVE_RSEQ
	tcase_add_test(t, a_cpu_stays_within_its_budget);
	tcase_add_test(t, a_list_grows_by_need_and_no_further_than_it_may);
	tcase_add_test(t, a_busy_cpu_takes_the_budget_of_idle_ones);
	tcase_add_test(t, a_cpu_without_memory_takes_no_budget);
	tcase_add_test(t, an_idle_cpu_is_drained_for_a_busy_one);
	tcase_add_test(t, budgets_add_up_with_threads_on_all_cpus);
#endif
	suite_add_tcase(s, t);
	return sm_test_run(s);
}
