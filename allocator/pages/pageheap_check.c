/*
 * pageheap_check.c: what the page heaps say about themselves: statistics, the full check, fork.
 */
#include <string.h>

#include "allocator/pages/pageheap_internal.h"

/* ---- statistics --------------------------------------------------------------------------- */

static size_t bytes_of(uint64_t units)
{
	return (size_t)units << SM_UNIT_SHIFT;
}

void sm__pageheap_stats(struct sm_pages *pg, unsigned node, struct sm_pageheap_stats *out)
{
	struct sm_pageheap *ph = sm__ph(pg);
	struct sm_ph_node *nd = &ph->nodes[node];

	memset(out, 0, sizeof(*out));
	sm_lock_acquire(&nd->lock);
	out->own_bytes = bytes_of(sm_load_relaxed(&nd->own_units));
	out->committed_bytes = bytes_of((uint64_t)nd->frontier - 1 +
					sm_load_relaxed(&nd->own_units) + nd->lost_units);
	out->in_use_bytes = bytes_of((uint64_t)sm_load_relaxed(&nd->used_units) +
				     sm_load_relaxed(&nd->own_units));
	out->free_bytes = bytes_of(sm_load_relaxed(&nd->dirty_units));
	out->released_bytes = bytes_of(nd->free_units - sm_load_relaxed(&nd->dirty_units));
	out->largest_free_bytes = bytes_of(SM_PH_CALL(ph, largest, nd));
	out->free_runs = SM_PH_CALL(ph, nruns, nd);
	out->allocs = nd->counts.allocs;
	out->frees = nd->counts.frees;
	out->search_steps = nd->counts.steps;
	out->grown = nd->counts.grown;
	out->failed = nd->counts.failed;
	out->remote = nd->counts.remote;
	sm_lock_release(&nd->lock);
}

void sm__pageheap_resident(struct sm_pages *pg, size_t *in_use, size_t *dirty)
{
	struct sm_pageheap *ph = sm__ph(pg);

	*in_use = *dirty = 0;
	for (unsigned i = 0; i < ph->nnodes; i++) {
		*in_use += bytes_of((uint64_t)sm_load_relaxed(&ph->nodes[i].used_units) +
				    sm_load_relaxed(&ph->nodes[i].own_units));
		*dirty += bytes_of(sm_load_relaxed(&ph->nodes[i].dirty_units));
	}
}

/* What is handed out changes under the lock; what a span is (state) its holder writes. */
size_t sm__pageheap_used_at(struct sm_pages *pg, uintptr_t at, size_t n)
{
	const struct sm_range *r = &pg->range;
	uintptr_t lo = at > r->base ? at : r->base, hi = at + (n << SM_UNIT_SHIFT);
	size_t used = 0, first = (lo - r->base) >> SM_UNIT_SHIFT, end;
	struct sm_lock *lock;

	hi = hi < r->base + r->bytes ? hi : r->base + r->bytes;
	if (lo >= hi)
		return 0;
	end = (hi - r->base) >> SM_UNIT_SHIFT;
	lock = &sm__ph(pg)->nodes[(first << SM_UNIT_SHIFT) >> r->node_shift].lock;
	sm_lock_acquire(lock);
	for (size_t u = first; u < end; u++) {
		const struct sm_span *s = &r->spans[u];

		s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
		used += sm_load_acquire(&s->state) != SM_SPAN_FREE;
	}
	sm_lock_release(lock);
	return used;
}

/* ---- the check ---------------------------------------------------------------------------- */

struct check {
	struct sm_pages *pg;
	struct sm_ph_node *nd;
	unsigned bad;
	uint64_t used, free, dirty, own;
};

#define COMPLAIN(c, fmt, ...)                                                       \
	do {                                                                        \
		if ((c)->bad++ < 20) /* the first ones tell the story */            \
			sm__say("page heap %u: " fmt, (c)->nd->index, __VA_ARGS__); \
	} while (0)

/* Units that are not in use read as free ones. */
static void check_free(struct check *c, uint32_t unit, uint32_t n)
{
	for (uint32_t i = unit; i < unit + n; i++) {
		struct sm_span *d = sm__ph_desc(c->pg, c->nd, i);

		if (d->back != 0 || sm_load_relaxed(&d->state) != SM_SPAN_FREE)
			COMPLAIN(c, "free unit %u has back %u, state %u", i, d->back,
				 sm_load_relaxed(&d->state));
	}
}

/* [unit, end) is in use: spans, end to end. Returns their units. */
static uint64_t check_used(struct check *c, uint32_t unit, uint32_t end, bool own)
{
	uint32_t start = unit;

	while (unit < end) {
		struct sm_span *s = sm__ph_desc(c->pg, c->nd, unit);

		if (s->back != 0 || s->nunits == 0 || s->nunits > end - unit) {
			COMPLAIN(c,
				 "unit %u should head a span: back %u, %u units, %u to the next "
				 "free one",
				 unit, s->back, s->nunits, end - unit);
			return end - start;
		}
		if (s->node != c->nd->index || !(s->flags & SM_SPANF_OWNMAP) == own)
			COMPLAIN(c, "span at %u: node %u, flags %u", unit, s->node, s->flags);
		for (uint32_t i = 1; i < s->nunits; i++)
			if (s[i].back != i || sm_load_relaxed(&s[i].state) != SM_SPAN_FREE)
				COMPLAIN(c, "unit %u of the span at %u has back %u, state %u", i,
					 unit, s[i].back, sm_load_relaxed(&s[i].state));
		unit += s->nunits;
	}
	return end - start;
}

static void check_arenas(struct check *c)
{
	struct sm_pageheap *ph = sm__ph(c->pg);
	struct sm_ph_node *nd = c->nd;
	uint32_t at = 1, n = 0;

	for (uint32_t unit = 1; (unit = sm__ph_next_run(ph, nd, unit, &n)) != 0; unit += n) {
		if (unit < at || unit + n > nd->frontier) {
			COMPLAIN(c, "free run [%u, %u) overlaps, or passes the frontier %u", unit,
				 unit + n, nd->frontier);
			return;
		}
		c->used += check_used(c, at, unit, false);
		check_free(c, unit, n);
		c->free += n;
		c->dirty += sm__ph_dirty_count(nd, unit, n);
		at = unit + n;
	}
	c->used += check_used(c, at, nd->frontier, false);
	check_free(c, 0, 1);
	if (sm__ph_dirty_count(nd, nd->frontier, nd->tracked - nd->frontier) != 0)
		COMPLAIN(c, "dirty bits behind the frontier %u", nd->frontier);
}

/* Lost pieces lie between spans and look free: then only the sum tells, and gaps are passed over.
 */
static void check_own(struct check *c)
{
	struct sm_ph_node *nd = c->nd;
	uint32_t at = nd->own_start, holes = 0, prev = 0;

	for (uint32_t hole = nd->own_free;; hole = sm__ph_desc(c->pg, nd, hole)->next) {
		uint32_t end = hole == 0 ? nd->units : hole;
		struct sm_span *d = sm__ph_desc(c->pg, nd, hole);

		if (end < at || (hole != 0 && (d->prev != prev || d->nunits == 0 ||
					       hole + d->nunits > nd->units))) {
			COMPLAIN(c, "hole at %u: %u units, prev %u, behind %u", hole, d->nunits,
				 d->prev, at);
			return;
		}
		if (nd->lost_units == 0)
			c->own += check_used(c, at, end, true);
		if (hole == 0)
			break;
		check_free(c, hole, d->nunits);
		at = hole + d->nunits;
		prev = hole;
		if (++holes > nd->nholes)
			break;
	}
	if (holes != nd->nholes)
		COMPLAIN(c, "%u holes on the list, %u counted", holes, nd->nholes);
}

static unsigned check_node(struct sm_pages *pg, struct sm_ph_node *nd)
{
	struct check c = {.pg = pg, .nd = nd};

	c.bad += SM_PH_CALL(sm__ph(pg), check, nd);
	check_arenas(&c);
	check_own(&c);
	/* What the scavenger holds is neither free for a walk nor a span; between batches it holds
	 * nothing. */
	if (nd->busy_units != 0)
		COMPLAIN(&c, "%u units are in the scavenger's hands", nd->busy_units);
	if (c.used != sm_load_relaxed(&nd->used_units) || c.free != nd->free_units ||
	    c.dirty != sm_load_relaxed(&nd->dirty_units))
		COMPLAIN(&c, "used %lu free %lu dirty %lu, counted %u %u %u", c.used, c.free,
			 c.dirty, sm_load_relaxed(&nd->used_units), nd->free_units,
			 sm_load_relaxed(&nd->dirty_units));
	if (nd->frontier - 1 != sm_load_relaxed(&nd->used_units) + nd->free_units)
		COMPLAIN(&c, "frontier %u, used %u, free %u", nd->frontier,
			 sm_load_relaxed(&nd->used_units), nd->free_units);
	if (nd->lost_units == 0 && c.own != sm_load_relaxed(&nd->own_units))
		COMPLAIN(&c, "own mappings of %lu units, counted %u", c.own,
			 sm_load_relaxed(&nd->own_units));
	return c.bad;
}

unsigned sm__pageheap_check(struct sm_pages *pg)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint64_t committed = 0;
	size_t mapped = sm_load_relaxed(&pg->mapped_bytes);
	unsigned bad = 0;

	/* The scavenger may run: no batch is away while we look. */
	sm_lock_acquire(&ph->scavenger.lock);
	for (unsigned i = 0; i < ph->nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];

		sm_lock_acquire(&nd->lock);
		bad += check_node(pg, nd);
		committed += (uint64_t)nd->frontier - 1 + sm_load_relaxed(&nd->own_units) +
			     nd->lost_units;
		sm_lock_release(&nd->lock);
	}
	sm_lock_release(&ph->scavenger.lock);
	/* At least: others (metadata pools) are charged to the same count. */
	if (mapped < committed * (SM_UNIT + sizeof(struct sm_span))) {
		sm__say("page heap: %zu bytes are held against the limit, %lu units are committed",
			mapped, committed);
		bad++;
	}
	return bad;
}

/* ---- fork --------------------------------------------------------------------------------- */

/* First the scavenger's batch ends; then all locks in address order: the child's copy is
 * consistent. */
void sm__pageheap_fork_prepare(struct sm_pages *pg)
{
	sm_lock_acquire(&sm__ph(pg)->stacks.lock);
	sm_lock_acquire(&sm__ph(pg)->scavenger.lock);
	for (unsigned i = 0; i < sm__ph(pg)->nnodes; i++)
		sm_lock_acquire(&sm__ph(pg)->nodes[i].lock);
}

void sm__pageheap_fork_parent(struct sm_pages *pg)
{
	for (unsigned i = sm__ph(pg)->nnodes; i-- > 0;)
		sm_lock_release(&sm__ph(pg)->nodes[i].lock);
	sm_lock_release(&sm__ph(pg)->scavenger.lock);
	sm_lock_release(&sm__ph(pg)->stacks.lock);
}

void sm__pageheap_fork_child(struct sm_pages *pg)
{
	/* The holder is this thread's copy, so releasing is right; sleepers stayed in the parent.
	 */
	sm__pageheap_fork_parent(pg);
	sm__scavenge_fork_child(pg);
}
