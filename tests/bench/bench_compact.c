/*
 * What looping over a live set costs before objects move together, and after: time, and what
 * memory the loop touches.
 *
 *   bench_compact [-n OBJECTS] [-e EACH] [-p PASSES] [-o] [KEY=VALUE ..]
 *
 * OBJECTS objects of 64 B are made, of which every EACHth stays, in a table and in a list through
 * all of them in a random order. Each is read in both orders, PASSES times before a compaction and
 * PASSES times after; -o: a plain collection in its place, which shows what time alone does.
 * KEY=VALUE: settings of the collector. Prints "name value unit" lines; times are CPU time of the
 * fastest pass. dtlb_*: misses of a model for each object in list order: 64 entries in sets of 4,
 * behind them 1536 in sets of 12, least recently used, pages of 4 KiB.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/clock.h"
#include "allocator/objects/heap.h"
#include "spanmark/gc.h"
#include "workloads/resident.h"
#include "workloads/rng.h"

struct object {
	struct object *next;
	uint64_t number, rest[6];
};

static struct sm_gc *gc;
static struct sm_mutator *m;
static struct sm_handle *table;
static size_t n, each = 10, passes = 21, objects = 4000000;

static void die(const char *what)
{
	fprintf(stderr, "bench_compact: %s\n", what);
	exit(2);
}

static struct object **slots(void)
{
	return sm_handle_get(table);
}

/* ---- the set ------------------------------------------------------------------------------ */

static SM_NOINLINE void build(void)
{
	const struct sm_type *type = sm_type_prefix(gc, sizeof(struct object), 1);

	n = objects / each;
	table = sm_handle_new(m, sm_new(m, sm_type_pointers(gc, n)));
	for (size_t i = 0; i < n * each; i++) {
		struct object *o = sm_new(m, type);

		if (o == NULL)
			die("out of memory");
		o->number = i / each;
		if (i % each == 0)
			sm_store(m, (void **)&slots()[i / each], o);
	}
}

/* A random cycle through all (Sattolo, 1986). */
static SM_NOINLINE void link_all(void)
{
	uint32_t *order = malloc(n * sizeof(*order));
	struct sm_rng rng;

	if (order == NULL)
		die("out of memory");
	sm_rng_seed(&rng, 1, 0);
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = sm_rng_below(&rng, i);
		uint32_t at = order[i];

		order[i] = order[j];
		order[j] = at;
	}
	for (size_t i = 0; i < n; i++)
		sm_store(m, (void **)&slots()[order[i]]->next, slots()[order[(i + 1) % n]]);
	free(order);
}

/* ---- the loops ---------------------------------------------------------------------------- */

static SM_NOINLINE uint64_t in_table_order(void)
{
	struct object **t = slots();
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += t[i]->number;
	return sum;
}

static SM_NOINLINE uint64_t in_list_order(void)
{
	const struct object *o = slots()[0];
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++, o = o->next)
		sum += o->number;
	return sum;
}

static double least_ns(uint64_t (*loop)(void))
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < passes; i++) {
		uint64_t begin = sm__thread_ns(), ns;

		if (loop() != n * (n - 1) / 2)
			die("an object is lost or damaged");
		ns = sm__thread_ns() - begin;
		least = ns < least ? ns : least;
	}
	return (double)least / (double)n;
}

/* ---- what it touches ---------------------------------------------------------------------- */

struct tlb {
	unsigned sets, ways;
	uint64_t page[1536]; /* the most recently used of a set first */
};

static bool hits(struct tlb *t, uint64_t page)
{
	uint64_t *set = &t->page[page % t->sets * t->ways];
	unsigned at = 0;
	bool found;

	while (at < t->ways - 1 && set[at] != page)
		at++;
	found = set[at] == page;
	memmove(set + 1, set, at * sizeof(*set));
	set[0] = page;
	return found;
}

static void model(const char *when)
{
	static struct tlb first, second;
	uint64_t missed = 0, walks = 0;
	const struct object *o = slots()[0];

	first = (struct tlb){.sets = 16, .ways = 4};
	second = (struct tlb){.sets = 128, .ways = 12};
	for (size_t i = 0; i < n; i++, o = o->next)
		if (!hits(&first, (uintptr_t)o >> 12)) {
			missed++;
			walks += !hits(&second, (uintptr_t)o >> 12);
		}
	printf("%s_dtlb_miss %.4f misses\n%s_dtlb_walk %.4f walks\n", when,
	       (double)missed / (double)n, when, (double)walks / (double)n);
}

static int by_address(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Different ones among the objects' addresses, in units of 1 << shift bytes. */
static size_t count(const uintptr_t *sorted, unsigned shift)
{
	size_t different = 0;

	for (size_t i = 0; i < n; i++)
		different += i == 0 || sorted[i] >> shift != sorted[i - 1] >> shift;
	return different;
}

static SM_NOINLINE void touched(const char *when)
{
	const struct sm_range *range = &sm_gc_heap(gc)->pages.range;
	uintptr_t *at = malloc(n * sizeof(*at));
	struct sm_rss rss;
	uint64_t huge;

	if (at == NULL)
		die("out of memory");
	for (size_t i = 0; i < n; i++)
		at[i] = (uintptr_t)slots()[i];
	qsort(at, n, sizeof(*at), by_address);
	printf("%s_pages %zu pages\n%s_2mib %zu pages\n", when, count(at, 12), when, count(at, 21));
	free(at);
	if (sm_rss_read(&rss) == 0)
		printf("%s_rss %" PRIu64 " KiB\n", when, rss.all / 1024);
	if (sm_huge_read(range->base, range->bytes, &huge) == 0)
		printf("%s_huge %" PRIu64 " KiB\n", when, huge / 1024);
}

static void look(const char *when)
{
	printf("%s_table %.3f ns\n", when, least_ns(in_table_order));
	printf("%s_list %.3f ns\n", when, least_ns(in_list_order));
	touched(when);
	model(when);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void set(struct sm_gc_config *cfg, char *text)
{
	char *equals = strchr(text, '='), err[200] = "settings are KEY=VALUE";

	if (equals != NULL)
		*equals = '\0';
	if (equals == NULL || sm_gc_config_set(cfg, text, equals + 1, err, sizeof(err)) != 0)
		die(err);
}

int main(int argc, char **argv)
{
	struct sm_gc_compact_stats s;
	struct sm_gc_config cfg;
	bool only_collect = false;
	char err[200];
	int c;

	while ((c = getopt(argc, argv, "n:e:p:o")) != -1) {
		size_t value = c == 'o' || c == '?' ? 1 : strtoul(optarg, NULL, 0);

		switch (value != 0 ? c : '?') {
		case 'n': objects = value; break;
		case 'e': each = value; break;
		case 'p': passes = value; break;
		case 'o': only_collect = true; break;
		default: die("usage: see the head of the source");
		}
	}
	sm_gc_config_init(&cfg);
	cfg.compact = SM_GC_COMPACT_FULL;
	for (; optind < argc; optind++)
		set(&cfg, argv[optind]);
	gc = sm_gc_create(&cfg, err, sizeof(err));
	if (gc == NULL || (m = sm_mutator_attach(gc)) == NULL)
		die(err);
	build();
	link_all();
	sm_collect(gc, m);
	look("before");
	if ((only_collect ? sm_collect(gc, m) : sm_collect_compact(gc, m)) != 0)
		die("the collection failed");
	look("after");
	sm_gc_compact_stats(gc, &s);
	printf("moved %" PRIu64 " objects\n", s.total.moved_objects);
	sm_handle_free(m, table);
	sm_mutator_detach(m);
	sm_gc_destroy(gc);
	return 0;
}
