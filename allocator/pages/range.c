/* range.c: the address range of a heap, from being reserved to being committed piece by piece. */
#include "allocator/pages/range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator/base/clock.h"
#include "allocator/pages/pageheap_internal.h"

#define MIN_NODE_BYTES (16 * SM_MIB)
#define MIN_ARENA      (1 * SM_MIB)
#define READ_AGAIN_NS  UINT64_C(10000000)

/* ---- the limit ---------------------------------------------------------------------------- */

static const char *limit_root = "";

void sm__range_limit_root(const char *root)
{
	limit_root = root;
}

/*
 * Without heap.limit a control group's limit counts, less a sixteenth for what else the process
 * has: an allocation that fails can be dealt with, a process that the kernel kills cannot.
 */
static size_t limit_of_group(void)
{
	size_t n = sm__os_memory_limit(limit_root);

	return n != SIZE_MAX ? n - n / 16 : 0;
}

static bool has_group_limit(const struct sm_pages *pg)
{
	return pg->config->limit == 0 && !pg->config->sparse;
}

static void find_limit(struct sm_pages *pg)
{
	sm_store_relaxed(&pg->limit, has_group_limit(pg) ? limit_of_group() : pg->config->limit);
}

/* A group's limit may have been raised since: it is read again, but not for every refusal. */
static SM_COLD bool limit_rose(struct sm_pages *pg)
{
	size_t before = sm_load_relaxed(&pg->limit), now;
	uint64_t ns = sm__clock_ns(CLOCK_MONOTONIC_COARSE);

	if (!has_group_limit(pg) || ns - sm_load_relaxed(&pg->limit_read_ns) < READ_AGAIN_NS)
		return false;
	sm_store_relaxed(&pg->limit_read_ns, ns);
	now = limit_of_group();
	sm_store_relaxed(&pg->limit, now);
	return now == 0 || now > before;
}

static bool charge(struct sm_pages *pg, size_t bytes)
{
	size_t limit = sm_load_relaxed(&pg->limit);
	size_t old = sm_load_relaxed(&pg->mapped_bytes);

	/* Relaxed: a count, nothing is published by it. */
	do {
		if (limit != 0 && (bytes > limit || old > limit - bytes))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&pg->mapped_bytes, &old, old + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool sm__range_charge(struct sm_pages *pg, size_t bytes)
{
	return charge(pg, bytes) || (limit_rose(pg) && charge(pg, bytes));
}

void sm__range_uncharge(struct sm_pages *pg, size_t bytes)
{
	SM_CHECK(sm_fetch_sub_relaxed(&pg->mapped_bytes, bytes) >= bytes);
}

/* ---- reservation -------------------------------------------------------------------------- */

static size_t pow2_down(size_t n)
{
	return n == 0 ? 0 : (size_t)1 << (63 - __builtin_clzll(n));
}

static size_t pow2_up(size_t n)
{
	return n <= 1 ? 1 : (size_t)1 << (64 - __builtin_clzll(n - 1));
}

static int refuse_range(char *err, size_t errlen, int rc, const char *what)
{
	if (err != NULL && errlen > 0)
		snprintf(err, errlen, "%s", what);
	return rc;
}

static size_t table_bytes(const struct sm_range *r)
{
	return (r->bytes >> SM_UNIT_SHIFT) * sizeof(struct sm_span);
}

static size_t range_and_guard(const struct sm_range *r)
{
	return sm_align_up(r->bytes + SM_UNIT, sm__os_page_size());
}

/* Of a sparse range: ranges, guard, descriptors, a byte a unit. */
static size_t sparse_bytes(const struct sm_range *r)
{
	return range_and_guard(r) + sm_align_up(table_bytes(r), SM_UNIT) +
	       sm_align_up(r->bytes >> SM_UNIT_SHIFT, SM_UNIT);
}

#define STAKES 16

/* The one at the end is for good, in the guard: number 16. */
static void set_stakes(struct sm_pages *pg)
{
	struct sm_range *r = &pg->range;

	for (unsigned i = 1; i <= STAKES; i++)
		if (sm__os_stake((char *)r->base + r->bytes / STAKES * i) == 0)
			sm_fetch_or_relaxed(&pg->stakes, 1u << i);
}

void sm__range_clear(struct sm_pages *pg, void *p, size_t bytes)
{
	size_t step = pg->range.bytes / STAKES, from = (uintptr_t)p - pg->range.base;

	for (size_t i = (from + step - 1) / step; i * step < from + bytes; i++)
		/* Once: what is there later is not ours. */
		if (sm_fetch_and_relaxed(&pg->stakes, ~(1u << i)) & 1u << i)
			(void)sm__os_unmap_at((void *)(pg->range.base + i * step),
					      sm__os_page_size());
}

/* Instead of a reservation, a place for all of it. */
static bool find(struct sm_pages *pg, size_t align)
{
	struct sm_range *r = &pg->range;
	char *base = sm__os_find(sparse_bytes(r), align);

	if (base == NULL)
		return false;
	r->base = (uintptr_t)base;
	r->spans = (struct sm_span *)(void *)(base + range_and_guard(r));
	r->unit_bytes = (uint8_t *)r->spans + sm_align_up(table_bytes(r), SM_UNIT);
	pg->sparse = true;
	set_stakes(pg);
	return true;
}

/* The reservation proper: ranges, a unit of guard behind them, and the table between two guard
 * pages. */
static bool reserve_addresses(struct sm_pages *pg, unsigned nnodes, size_t node_bytes, size_t align)
{
	struct sm_range *r = &pg->range;
	size_t page = sm__os_page_size();
	void *base;
	char *table;

	r->bytes = node_bytes * nnodes;
	if (pg->config->sparse && find(pg, align)) {
		r->node_shift = (unsigned)__builtin_ctzll(node_bytes);
		return true;
	}
	base = sm__os_reserve(r->bytes + SM_UNIT, align);
	if (base == NULL)
		return false;
	table = sm__os_reserve_readable(sm_align_up(table_bytes(r), page) + 2 * page);
	if (table == NULL) {
		sm__os_unmap(base, r->bytes + SM_UNIT);
		return false;
	}
	/* Readable as all of it: made inaccessible, they catch what runs over the table's ends. */
	(void)sm__os_protect(table, page, false);
	(void)sm__os_protect(table + page + sm_align_up(table_bytes(r), page), page, false);
	r->base = (uintptr_t)base;
	r->spans = (struct sm_span *)(void *)(table + page);
	r->node_shift = (unsigned)__builtin_ctzll(node_bytes);
	return true;
}

static void unreserve(struct sm_pages *pg)
{
	struct sm_range *r = &pg->range;
	size_t page = sm__os_page_size();

	if (r->spans == NULL)
		return;
	if (pg->sparse) {
		/* What of it is mapped is ours. */
		sm__os_unmap((void *)r->base, sparse_bytes(r));
		memset(r, 0, sizeof(*r));
		return;
	}
	sm__os_unmap((char *)r->spans - page, sm_align_up(table_bytes(r), page) + 2 * page);
	sm__os_unmap((void *)r->base, r->bytes + SM_UNIT);
	memset(r, 0, sizeof(*r));
}

/*
 * How much to ask for first. Unit indexes are 32 bits wide; and where the address space is limited,
 * at most half of what is allowed, so that stacks and libraries of the program still find room.
 */
static size_t first_try(const struct sm_pages *pg, unsigned nnodes)
{
	size_t want = pg->config->reserve != 0 ? pg->config->reserve : SM_GIB;
	size_t most = (size_t)1 << (31 + SM_UNIT_SHIFT);
	size_t allowed = pg->config->sparse ? SIZE_MAX : sm__os_address_limit() / 2;

	want = want < most ? want : most;
	want = want < allowed ? want : allowed;
	return pow2_down(want / nnodes);
}

/* Arenas: a power of two, and several to a node's range. */
static size_t arena_bytes(const struct sm_pages *pg, size_t node_bytes)
{
	size_t arena = pow2_up(pg->config->arena != 0 ? pg->config->arena : 64 * SM_MIB);

	arena = arena < node_bytes / 4 ? arena : node_bytes / 4;
	return arena > MIN_ARENA ? arena : MIN_ARENA;
}

static bool reserve_some(struct sm_pages *pg, unsigned nnodes, size_t *arena)
{
	for (size_t n = first_try(pg, nnodes); n >= MIN_NODE_BYTES; n /= 2) {
		*arena = arena_bytes(pg, n);
		if (reserve_addresses(pg, nnodes, n, *arena))
			return true;
	}
	return false;
}

/* ---- page heaps --------------------------------------------------------------------------- */

static int node_init(struct sm_pageheap *ph, unsigned index, uint32_t units)
{
	struct sm_ph_node *nd = &ph->nodes[index];

	sm_lock_init(&nd->lock, SM_RANK_PAGEHEAP);
	nd->index = (uint8_t)index;
	nd->first = index * units;
	nd->units = nd->own_start = nd->own_lowest = units;
	nd->frontier = 1;
	return sm__ph_track(ph, nd, nd->frontier);
}

/* Nodes sorted by distance from each; unknown distances last, equal ones by how far away the index
 * is. */
static void order_nodes(const struct sm_pages *pg, struct sm_pageheap *ph)
{
	for (unsigned from = 0; from < ph->nnodes; from++) {
		uint8_t *order = ph->order[from];

		for (unsigned i = 0; i < ph->nnodes; i++) {
			unsigned node = (from + i) % ph->nnodes, at = i;
			unsigned d = pg->config->distance[from][node];

			/* Insertion by distance; the node itself stays first whatever the table
			 * says. */
			while (at > 1 && d != 0 &&
			       (pg->config->distance[from][order[at - 1]] > d ||
				pg->config->distance[from][order[at - 1]] == 0)) {
				order[at] = order[at - 1];
				at--;
			}
			order[at] = (uint8_t)node;
		}
	}
}

static uint32_t huge_units(size_t arena)
{
	size_t huge = sm__os_huge_size();

	return huge < SM_UNIT || huge > arena ? 1 : (uint32_t)(huge >> SM_UNIT_SHIFT);
}

static int pageheap_init(struct sm_pages *pg, size_t arena)
{
	size_t bytes = sizeof(struct sm_pageheap) + pg->nnodes * sizeof(struct sm_ph_node);
	struct sm_pageheap *ph = sm__os_map_guarded(bytes);
	uint32_t units = (uint32_t)(pg->range.bytes / pg->nnodes >> SM_UNIT_SHIFT);

	if (ph == NULL)
		return -ENOMEM;
	pg->pageheap = ph;
	sm_lock_init(&ph->stacks.lock, SM_RANK_STACKS);
	sm__scavenge_init(pg);
	ph->bytes = bytes;
	ph->kind = pg->config->pageheap;
	ph->nnodes = pg->nnodes;
	sm_store_relaxed(&ph->open, pg->nnodes);
	/* Under programs that filters watch, mbind may be what kills them: memory is its first
	 * toucher's, which is near enough, unless a policy was asked for. */
	sm_store_relaxed(&ph->bind_off, pg->sparse && pg->config->numa == SM_NUMA_LOCAL);
	ph->arena_units = (uint32_t)(arena >> SM_UNIT_SHIFT);
	ph->huge_units = huge_units(arena);
	ph->strict = pg->config->numa == SM_NUMA_BIND;
	order_nodes(pg, ph);
	for (unsigned i = 0; i < ph->nnodes; i++)
		if (node_init(ph, i, units) != 0)
			return -ENOMEM;
	return 0;
}

/* numa=bind:N must be possible: asked of the kernel with the guard unit, which is never touched. */
static bool bindable(struct sm_pages *pg)
{
	size_t node_bytes = (size_t)1 << pg->range.node_shift;
	void *guard = (char *)pg->range.base + pg->config->numa_bind * node_bytes;

	return pg->config->numa != SM_NUMA_BIND ||
	       sm__os_bind(guard, SM_UNIT, pg->config->node_os[pg->config->numa_bind], true) !=
		       -EINVAL;
}

int sm__range_create(struct sm_pages *pg, const struct sm_heap_config *config, char *err,
		     size_t errlen)
{
	unsigned nnodes = config->nnodes != 0 ? config->nnodes : 1;
	char text[160];
	size_t arena;

	pg->config = config;
	if (sm__os_page_size() > SM_UNIT) {
		snprintf(text, sizeof(text),
			 "this kernel's pages are %zu KiB, larger than the span unit of %zu KiB: "
			 "build with "
			 "UNIT_SHIFT=16",
			 sm__os_page_size() / SM_KIB, SM_UNIT / SM_KIB);
		return refuse_range(err, errlen, -EINVAL, text);
	}
	if (nnodes > SM_MAX_NODES ||
	    (pg->config->numa == SM_NUMA_BIND && pg->config->numa_bind >= nnodes)) {
		snprintf(text, sizeof(text), "numa=bind:%u: there are nodes 0 to %u",
			 pg->config->numa_bind, nnodes - 1);
		return refuse_range(err, errlen, -EINVAL, text);
	}
	pg->nnodes = nnodes;
	find_limit(pg);
	if (!reserve_some(pg, nnodes, &arena))
		return refuse_range(err, errlen, -ENOMEM,
				    "no address space for the heap (ulimit -v?)");
	if (!bindable(pg)) {
		sm__range_destroy(pg);
		snprintf(text, sizeof(text),
			 "numa=bind:%u: this process may take no memory of the system's node %d",
			 pg->config->numa_bind, pg->config->node_os[pg->config->numa_bind]);
		return refuse_range(err, errlen, -EINVAL, text);
	}
	if (pageheap_init(pg, arena) != 0) {
		sm__range_destroy(pg);
		return refuse_range(err, errlen, -ENOMEM, "no memory for the page heap's tables");
	}
	return 0;
}

void sm__range_destroy(struct sm_pages *pg)
{
	struct sm_pageheap *ph = sm__ph(pg);

	if (ph != NULL) {
		sm__scavenge_fini(pg);
		for (unsigned i = 0; i < ph->nnodes; i++)
			sm__os_unmap_guarded(ph->nodes[i].bits, ph->nodes[i].bits_bytes);
		sm__os_unmap_guarded(ph, ph->bytes);
		pg->pageheap = NULL;
	}
	unreserve(pg);
}
