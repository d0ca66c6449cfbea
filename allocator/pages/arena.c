/*
 * arena.c: a node's memory, committed from the lower end of its range by arenas and given back
 * there.
 */
#include "allocator/pages/pageheap_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* ---- binding ------------------------------------------------------------------------------ */

/*
 * Closes a node, unless it is the last one: then memory is taken wherever the kernel gives it. By
 * the count, for two nodes may come here at once, each under its own lock.
 */
static bool close_node(struct sm_pageheap *ph, struct sm_ph_node *nd)
{
	if (sm_fetch_sub_acqrel(&ph->open, 1) == 1) {
		sm_fetch_add_acqrel(&ph->open, 1);
		return false;
	}
	/* Read without the lock by sm__pageheap_prefer; it never changes back. */
	__atomic_store_n(&nd->closed, true, __ATOMIC_RELAXED);
	return true;
}

static void bind_gave_up(struct sm_pageheap *ph, int err)
{
	if (!sm_exchange_acqrel(&ph->bind_off, true))
		sm__say("memory is not bound to NUMA nodes: mbind: %s", strerrordesc_np(-err));
}

/*
 * Binds a piece before its first touch. -EINVAL means that this process may use no memory of that
 * node (its cpuset, or the node has none): the node closes and others serve. Any other refusal
 * switches binding off for the heap, with one line. Only a kernel out of memory makes the commit
 * fail.
 */
static int bind_piece(struct sm_pages *pg, struct sm_ph_node *nd, char *p, size_t bytes)
{
	struct sm_pageheap *ph = sm__ph(pg);
	int os = pg->config->node_os[nd->index];
	int err;

	if ((ph->nnodes == 1 && !ph->strict) || sm_load_relaxed(&ph->bind_off))
		return 0;
	err = sm__os_bind(p, bytes, os, ph->strict);
	if (err == 0 || err == -ENOMEM)
		return err;
	if (err == -EINVAL && !ph->strict && close_node(ph, nd)) {
		sm__say("no memory may be taken from NUMA node %d: other nodes serve it", os);
		return -ENOMEM;
	}
	bind_gave_up(ph, err);
	return 0;
}

/*
 * A kernel without transparent huge pages answers EINVAL: then there is nothing to advise. A
 * mapping of its own is one object, as dense as can be: there is nothing to wait for. Elsewhere a
 * huge page may have a unit in use and 2 MiB that count, which is nothing to a large heap but most
 * of a small one: config.small_pages.
 */
static void advise_piece(struct sm_pages *pg, const struct sm_ph_node *nd, uint32_t unit,
			 uint32_t n)
{
	enum sm_hugepages policy = pg->config->hugepages;
	bool own = unit >= nd->own_start || n > sm__ph(pg)->arena_units;
	size_t bytes = (size_t)n << SM_UNIT_SHIFT, at = (size_t)unit << SM_UNIT_SHIFT, small = 0;
	char *p = sm__ph_addr(pg, nd, unit);

	if (policy == SM_HUGE_OFF)
		small = bytes;
	else if (policy == SM_HUGE_MADVISE && !own && at < pg->config->small_pages)
		small = pg->config->small_pages - at;
	if (small > bytes)
		small = bytes;
	if (small != 0)
		(void)sm__os_madvise(p, small, MADV_NOHUGEPAGE);
	if (small != bytes && (own || policy == SM_HUGE_MADVISE))
		(void)sm__os_madvise(p + small, bytes - small, MADV_HUGEPAGE);
}

/* ---- commit ------------------------------------------------------------------------------- */

size_t sm__arena_cost(const struct sm_pages *pg, uint32_t n)
{
	size_t maps = (pg->range.marks != NULL) + (pg->range.scans != NULL);

	return n * (SM_UNIT + sizeof(struct sm_span) + maps * (SM_UNIT / 128));
}

static int map_piece(struct sm_pages *pg, void *p, size_t bytes)
{
	if (!pg->sparse)
		return sm__os_commit(p, bytes);
	sm__range_clear(pg, p, bytes);
	return sm__os_map_at(p, bytes);
}

int sm__arena_unmap(struct sm_pages *pg, void *p, size_t bytes)
{
	return pg->sparse ? sm__os_unmap_at(p, bytes) : sm__os_decommit(p, bytes);
}

/* Pages of a table, some of which may be there already: they describe a neighbour, too. */
static int map_table(uintptr_t from, uintptr_t to)
{
	size_t page = sm__os_page_size();
	int err;

	from = sm_align_down(from, page);
	to = sm_align_up(to, page);
	err = sm__os_map_at((void *)from, to - from);
	for (; err == -EEXIST && from < to; from += page) {
		int e = sm__os_map_at((void *)from, page);

		if (e != 0 && e != -EEXIST)
			return e;
	}
	return err == -EEXIST ? 0 : err;
}

int sm__arena_commit_descriptors(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
				 uint32_t n)
{
	uintptr_t from = (uintptr_t)sm__ph_desc(pg, nd, unit);
	uintptr_t to = (uintptr_t)sm__ph_desc(pg, nd, unit + n);
	uintptr_t bytes = (uintptr_t)pg->range.unit_bytes + nd->first + unit;
	int err;

	if (!pg->sparse) {
		from = sm_align_down(from, sm__os_page_size());
		return sm__os_commit((void *)from, sm_align_up(to, sm__os_page_size()) - from);
	}
	err = map_table(from, to);
	return err != 0 ? err : map_table(bytes, bytes + n);
}

int sm__arena_commit(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	char *p = sm__ph_addr(pg, nd, unit);
	size_t bytes = (size_t)n << SM_UNIT_SHIFT;
	bool mapped;
	int err;

	if (!sm__range_charge(pg, sm__arena_cost(pg, n)))
		return -ENOMEM;
	err = map_piece(pg, p, bytes);
	mapped = err == 0;
	if (err == 0)
		err = bind_piece(pg, nd, p, bytes);
	if (err == 0)
		err = sm__arena_commit_descriptors(pg, nd, unit, n);
	if (err != 0) {
		/* Untouched so far: that it may stay accessible when this fails too does no harm.
		 */
		if (mapped || !pg->sparse)
			(void)sm__arena_unmap(pg, p, bytes);
		sm__range_uncharge(pg, sm__arena_cost(pg, n));
		return err;
	}
	advise_piece(pg, nd, unit, n);
	return 0;
}

bool sm__arena_decommit(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	char *p = sm__ph_addr(pg, nd, unit);
	size_t bytes = (size_t)n << SM_UNIT_SHIFT;

	/* Cutting a mapping may be refused (too many of them); dropping the contents is as good:
	 * the address space stays ours, and a later commit of it finds zeros. */
	if (sm__arena_unmap(pg, p, bytes) != 0 && (pg->sparse || sm__os_release(p, bytes) != 0))
		return false;
	sm__range_uncharge(pg, sm__arena_cost(pg, n));
	return true;
}

/* ---- the frontier ------------------------------------------------------------------------- */

#define FIRST_STEP (256 * SM_KIB)

static bool advance(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t to)
{
	uint32_t from = nd->frontier;

	/* One unit stays free below the own mappings, as a guard. */
	if (nd->closed || to >= nd->own_start || sm__ph_track(sm__ph(pg), nd, to) != 0 ||
	    sm__arena_commit(pg, nd, from, to - from) != 0)
		return false;
	nd->frontier = to;
	nd->free_units += to - from;
	SM_PH_CALL(sm__ph(pg), give, nd, from, to - from);
	return true;
}

/* Commits [frontier, end), and rather up to the end of an arena when limit and kernel grant it. */
static bool advance_whole(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t end)
{
	uint32_t step = sm__ph(pg)->arena_units;

	/* Where what is mapped counts, small processes take little. */
	if (pg->sparse) {
		while (step > FIRST_STEP >> SM_UNIT_SHIFT && step > nd->frontier / 8)
			step /= 2;
	}
	return advance(pg, nd, (uint32_t)sm_align_up(end, step));
}

/* When they do not, steps get small: a heap near its limit should fail late rather than early. */
static bool advance_little(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t end)
{
	return advance(pg, nd, end + (uint32_t)(SM_MIB >> SM_UNIT_SHIFT)) || advance(pg, nd, end);
}

uint32_t sm__arena_grow(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n, uint32_t align)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint64_t unit = sm_align_up(nd->frontier, align);

	/* First fit may find it from in front of the old frontier on; a buddy stays aligned. */
	if (ph->kind == SM_PAGEHEAP_BITMAP)
		unit = sm_align_up(SM_PH_CALL(ph, before, nd, nd->frontier), align);
	if (unit + n >= nd->own_start || !advance_whole(pg, nd, (uint32_t)unit + n)) {
		/* Too much: join what is free in front of the frontier. */
		unit = sm_align_up(SM_PH_CALL(ph, before, nd, nd->frontier), align);
		if (unit + n >= nd->own_start ||
		    (unit + n > nd->frontier && !advance_little(pg, nd, (uint32_t)unit + n)))
			return 0;
	}
	/* Exactly here, rather than what a search would find: no rounding up to a block. */
	SM_CHECK(SM_PH_CALL(ph, take_at, nd, (uint32_t)unit, n));
	return (uint32_t)unit;
}

bool sm__arena_extend(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t end)
{
	return end < nd->own_start && (advance_whole(pg, nd, end) || advance_little(pg, nd, end));
}

/* The free run [start, frontier) goes. */
static bool retreat_to(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t start)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint32_t n = nd->frontier - start;

	SM_CHECK(SM_PH_CALL(ph, take_at, nd, start, n));
	if (!sm__arena_decommit(pg, nd, start, n)) {
		SM_PH_CALL(ph, give, nd, start, n);
		return false;
	}
	sm__ph_uncount(&nd->dirty_units, sm__ph_dirty_count(nd, start, n));
	sm__ph_dirty_clear(nd, start, n);
	sm__ph_uncollapse(nd, start, n);
	nd->free_units -= n;
	nd->frontier = start;
	return true;
}

bool sm__arena_retreat(struct sm_pages *pg, struct sm_ph_node *nd)
{
	uint32_t start = SM_PH_CALL(sm__ph(pg), before, nd, nd->frontier);

	return start < nd->frontier && retreat_to(pg, nd, start);
}

void sm__arena_retreat_clean(struct sm_pages *pg, struct sm_ph_node *nd)
{
	uint32_t start = SM_PH_CALL(sm__ph(pg), before, nd, nd->frontier), dirty;

	while ((dirty = sm__ph_dirty_next(nd, start, nd->frontier)) < nd->frontier)
		start = dirty + 1;
	if (nd->frontier - start >= FIRST_STEP >> SM_UNIT_SHIFT)
		(void)retreat_to(pg, nd, start);
}
