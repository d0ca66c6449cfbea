/*
 * pageheap.c: the calls of pageheap.h: which node, which part of its range, and the descriptors.
 *
 * Locks: one node's at a time, never two, except around fork.
 */
#include "allocator/pages/pageheap.h"

#include <errno.h>
#include <string.h>

#include "allocator/pages/pageheap_internal.h"

/* ---- dirty bits --------------------------------------------------------------------------- */

/* The bits of the word that unit lies in, from unit up to end. */
SM_INLINE uint64_t word_mask(uint32_t unit, uint32_t end)
{
	uint64_t mask = ~(uint64_t)0 << (unit & 63);
	uint32_t last = unit | 63;

	return end > last ? mask : mask & ~(~(uint64_t)0 << (end & 63));
}

uint32_t sm__ph_dirty_count(const struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	uint32_t end = unit + n, count = 0;

	if (n == 1)
		return nd->dirty[unit >> 6] >> (unit & 63) & 1;
	for (; unit < end; unit = (unit | 63) + 1) {
		uint64_t mask = word_mask(unit, end), w = nd->dirty[unit >> 6] & mask;

		/* Mostly none or all; counting bits is a call on a plain x86-64. */
		if (w != 0 && w != mask)
			count += (uint32_t)__builtin_popcountll(w);
		else if (w != 0)
			count += (end > (unit | 63) ? (unit | 63) + 1 : end) - unit;
	}
	return count;
}

void sm__ph_dirty_set(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	uint32_t end = unit + n;

	for (; unit < end; unit = (unit | 63) + 1)
		nd->dirty[unit >> 6] |= word_mask(unit, end);
}

void sm__ph_dirty_clear(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	uint32_t end = unit + n;

	for (; unit < end; unit = (unit | 63) + 1)
		nd->dirty[unit >> 6] &= ~word_mask(unit, end);
}

uint32_t sm__ph_dirty_next(const struct sm_ph_node *nd, uint32_t unit, uint32_t end)
{
	for (; unit < end; unit = (unit | 63) + 1) {
		uint64_t w = nd->dirty[unit >> 6] & word_mask(unit, end);

		if (w != 0)
			return (unit & ~63u) + (uint32_t)__builtin_ctzll(w);
	}
	return end;
}

void sm__ph_uncollapse(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	size_t huge = nd->tracked / nd->collapsed.nbits;
	size_t i = unit / huge, last = (unit + n - 1) / huge;

	for (; (i = sm_bitset_next(&nd->collapsed, i)) <= last; i++)
		sm_bitset_clear(&nd->collapsed, i);
}

/* ---- descriptors -------------------------------------------------------------------------- */

/* A conservative scanner may look at a free unit's descriptor while we fill it: it finds state
 * SM_SPAN_FREE or SM_SPAN_OTHER at any moment, and may read `back` old or new, which both lead to
 * such a descriptor. */
SM_INLINE void set_back(struct sm_span *d, uint32_t back)
{
	__atomic_store_n(&d->back, back, __ATOMIC_RELAXED);
}

struct sm_span *sm__ph_describe(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
				uint32_t n, unsigned flags)
{
	struct sm_span *s = sm__ph_desc(pg, nd, unit);
	uint64_t *words = (uint64_t *)(void *)s;

	/* Everything to zero, which `state` and `back` are already. */
#pragma GCC unroll 16
	for (unsigned i = 0; i < sizeof(*s) / sizeof(*words); i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
	sm__ph_set_nunits(s, n);
	s->node = nd->index;
	s->flags = (uint8_t)flags;
	for (uint32_t i = 1; i < n; i++)
		set_back(&s[i], i);
	/* Counted as used from here on, also if a fork copies the process before its user has
	 * stored a state. */
	sm_store_release(&s->state, SM_SPAN_OTHER);
	return s;
}

void sm__ph_extend_description(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
			       uint32_t old, uint32_t n)
{
	struct sm_span *s = sm__ph_desc(pg, nd, unit);

	for (uint32_t i = old; i < n; i++)
		set_back(&s[i], i);
	sm__ph_set_nunits(s, n);
}

/*
 * For a very large run the whole pages of its descriptors are dropped rather than written: they
 * read as zero then, which is what free units look like, and cost no memory while unused.
 */
#define DROP_FROM 4096

void sm__ph_undescribe(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_span *s = sm__ph_desc(pg, nd, unit);

	if (n >= DROP_FROM) {
		size_t page = sm__os_page_size();
		uintptr_t from = sm_align_up((uintptr_t)s, page);
		uintptr_t to = sm_align_down((uintptr_t)(s + n), page);

		if (sm__os_release((void *)from, to - from) == 0) {
			for (struct sm_span *d = s; (uintptr_t)d < from; d++)
				set_back(d, 0);
			for (struct sm_span *d = (struct sm_span *)to; d < s + n; d++)
				set_back(d, 0);
			return;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		set_back(&s[i], 0);
}

/* ---- allocation --------------------------------------------------------------------------- */

/* Out of the arenas: [unit, unit + n) was free and is handed out. */
static struct sm_span *hand_out(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit,
				uint32_t n)
{
	uint32_t dirty = sm__ph_dirty_count(nd, unit, n);

	sm__ph_uncount(&nd->dirty_units, dirty);
	nd->free_units -= n;
	sm__ph_count(&nd->used_units, n);
	if (sm_load_relaxed(&nd->used_units) > nd->peak_units)
		nd->peak_units = sm_load_relaxed(&nd->used_units);
	return sm__ph_describe(pg, nd, unit, n, dirty == 0 ? SM_SPANF_ZEROED : 0);
}

uint32_t sm__ph_next_run(const struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t unit,
			 uint32_t *n)
{
	uint32_t start = SM_PH_CALL(ph, next, nd, unit, n), more;

	if (start == 0 || ph->kind == SM_PAGEHEAP_BITMAP)
		return start;
	while (SM_PH_CALL(ph, next, nd, start + *n, &more) == start + *n)
		*n += more;
	return start;
}

uint32_t sm__ph_run_from(const struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t unit,
			 uint32_t *end)
{
	uint32_t n = 0, start = sm__ph_next_run(ph, nd, SM_PH_CALL(ph, before, nd, unit), &n);

	/* One that ends where the walk is lies behind it. */
	if (start != 0 && start + n <= unit)
		start = sm__ph_next_run(ph, nd, unit, &n);
	*end = start + n;
	return start != 0 && start < unit ? unit : start;
}

/* The first run that is long enough, block bounds or not, of so many. */
static uint32_t take_anywhere(struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t n,
			      uint32_t align, uint32_t runs)
{
	uint32_t size = 0;

	for (uint32_t unit = 1; runs-- > 0 && (unit = sm__ph_next_run(ph, nd, unit, &size)) != 0;
	     unit += size) {
		uint32_t at = (uint32_t)sm_align_up(unit, align);

		nd->counts.steps++;
		if (at < unit + size && unit + size - at >= n) {
			SM_CHECK(SM_PH_CALL(ph, take_at, nd, at, n));
			return at;
		}
	}
	return 0;
}

/*
 * Buddies find a run of n units in a free block of the next power of two, and cut it up. With them
 * a long run goes where it fits first, across blocks too, among as many free runs as it has units:
 * what they cost to look at is little by what the pages of a new one would. A bitmap always does.
 */
#define LONG_UNITS (256 * SM_KIB >> SM_UNIT_SHIFT)

static struct sm_span *alloc_locked(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n,
				    uint32_t align)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint32_t unit = 0;

	if (SM_UNLIKELY(n > ph->arena_units || align > ph->arena_units))
		return sm__own_alloc(pg, nd, n, align);
	if (n >= LONG_UNITS && ph->kind == SM_PAGEHEAP_BUDDY)
		unit = take_anywhere(ph, nd, n, align, n);
	if (SM_LIKELY(unit == 0))
		unit = SM_PH_CALL(ph, take, nd, n, align);
	if (SM_UNLIKELY(unit == 0))
		unit = sm__arena_grow(pg, nd, n, align);
	/* Nothing can be committed any more. */
	if (SM_UNLIKELY(unit == 0))
		unit = take_anywhere(ph, nd, n, align, UINT32_MAX);
	/* Somebody else's memory may lie in front of the frontier. */
	if (SM_UNLIKELY(unit == 0 && pg->sparse))
		return sm__own_alloc(pg, nd, n, align);
	return unit == 0 ? NULL : hand_out(pg, nd, unit, n);
}

/* touched: only while so many units of what is free were in use before. */
static struct sm_span *alloc_on(struct sm_pages *pg, unsigned node, uint32_t n, uint32_t align,
				uint32_t touched, bool remote)
{
	struct sm_ph_node *nd = &sm__ph(pg)->nodes[node];
	struct sm_span *s = NULL;

	sm_lock_acquire(&nd->lock);
	if (sm_load_relaxed(&nd->dirty_units) >= touched)
		s = alloc_locked(pg, nd, n, align);
	if (SM_LIKELY(s != NULL)) {
		nd->counts.allocs++;
		nd->counts.remote += remote;
	}
	sm_lock_release(&nd->lock);
	return s;
}

static unsigned preferred(struct sm_pages *pg, struct sm_pageheap *ph, unsigned node)
{
	if (pg->config->numa == SM_NUMA_INTERLEAVE)
		return sm_fetch_add_relaxed(&ph->turn, 1) % ph->nnodes;
	if (pg->config->numa == SM_NUMA_BIND)
		return pg->config->numa_bind;
	return node < ph->nnodes ? node : 0;
}

static struct sm_span *alloc_somewhere(struct sm_pages *pg, unsigned node, uint32_t n,
				       uint32_t align)
{
	struct sm_pageheap *ph = sm__ph(pg);
	unsigned last = ph->strict ? 1 : ph->nnodes;

	for (unsigned i = 0; i < last; i++) {
		struct sm_span *s = alloc_on(pg, ph->order[node][i], n, align, 0, i > 0);

		if (s != NULL)
			return s;
	}
	return NULL;
}

/* Memory is out. What every node has free at its frontier is worth more in one piece elsewhere. */
static SM_COLD struct sm_span *alloc_last_resort(struct sm_pages *pg, unsigned node, uint32_t n,
						 uint32_t align)
{
	struct sm_pageheap *ph = sm__ph(pg);
	bool some = sm__scavenge_quiesce(pg);
	struct sm_span *s = NULL;

	for (unsigned i = 0; i < ph->nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];

		sm_lock_acquire(&nd->lock);
		some |= sm__arena_retreat(pg, nd);
		sm_lock_release(&nd->lock);
	}
	if (some)
		s = alloc_somewhere(pg, node, n, align);
	if (s == NULL) {
		struct sm_ph_node *nd = &ph->nodes[node];

		sm_lock_acquire(&nd->lock);
		nd->counts.failed++;
		sm_lock_release(&nd->lock);
		errno = ENOMEM;
	}
	return s;
}

unsigned sm__pageheap_nearest(struct sm_pages *pg, unsigned node, unsigned i)
{
	return sm__ph(pg)->order[node][i];
}

unsigned sm__pageheap_prefer(struct sm_pages *pg, unsigned node)
{
	struct sm_pageheap *ph = sm__ph(pg);

	if (ph->nnodes == 1)
		return 0;
	node = preferred(pg, ph, node);
	for (unsigned i = 0; i < ph->nnodes; i++) {
		unsigned near = ph->order[node][i];

		/* A stale answer costs a look at an empty list. */
		if (!__atomic_load_n(&ph->nodes[near].closed, __ATOMIC_RELAXED))
			return near;
	}
	return node;
}

static struct sm_span *alloc_from(struct sm_pages *pg, unsigned node, size_t nunits,
				  size_t align_units)
{
	struct sm_pageheap *ph = sm__ph(pg);
	struct sm_span *s;

	SM_ASSERT(nunits > 0 && align_units > 0 && (align_units & (align_units - 1)) == 0);
	if (SM_UNLIKELY(nunits >= ph->nodes[node].units || align_units >= ph->nodes[node].units)) {
		errno = ENOMEM;
		return NULL;
	}
	s = alloc_somewhere(pg, node, (uint32_t)nunits, (uint32_t)align_units);
	return SM_LIKELY(s != NULL)
		       ? s
		       : alloc_last_resort(pg, node, (uint32_t)nunits, (uint32_t)align_units);
}

struct sm_span *sm__pageheap_alloc_aligned(struct sm_pages *pg, unsigned node, size_t nunits,
					   size_t align_units)
{
	return alloc_from(pg, preferred(pg, sm__ph(pg), node), nunits, align_units);
}

struct sm_span *sm__pageheap_alloc(struct sm_pages *pg, unsigned node, size_t nunits)
{
	return alloc_from(pg, preferred(pg, sm__ph(pg), node), nunits, 1);
}

struct sm_span *sm__pageheap_alloc_on(struct sm_pages *pg, unsigned node, size_t nunits)
{
	return alloc_from(pg, node, nunits, 1);
}

struct sm_span *sm__pageheap_alloc_touched(struct sm_pages *pg, unsigned node, size_t nunits)
{
	return alloc_on(pg, node, (uint32_t)nunits, 1, (uint32_t)nunits, false);
}

struct sm_span *sm__pageheap_map_file(struct sm_pages *pg, unsigned node, int fd, int64_t offset,
				      size_t bytes, bool shared, bool writable)
{
	struct sm_pageheap *ph = sm__ph(pg);
	struct sm_ph_file f = {
		.fd = fd, .offset = offset, .bytes = bytes, .shared = shared, .writable = writable};
	unsigned last = ph->strict ? 1 : ph->nnodes;
	struct sm_span *s = NULL;

	if (bytes == 0 || bytes >> SM_UNIT_SHIFT >= ph->nodes[0].units) {
		errno = bytes == 0 ? EINVAL : ENOMEM;
		return NULL;
	}
	node = preferred(pg, ph, node);
	errno = ENOMEM;
	/* Another node only when this one has no room; what the kernel says of the file, it says
	 * everywhere. */
	for (unsigned i = 0; i < last && s == NULL && errno == ENOMEM; i++) {
		struct sm_ph_node *nd = &ph->nodes[ph->order[node][i]];

		sm_lock_acquire(&nd->lock);
		s = sm__own_map_file(pg, nd, &f);
		nd->counts.allocs += s != NULL;
		nd->counts.remote += s != NULL && i > 0;
		nd->counts.failed += s == NULL && i + 1 == last;
		sm_lock_release(&nd->lock);
	}
	return s;
}

bool sm__pageheap_covers(const struct sm_pages *pg, uintptr_t addr)
{
	const struct sm_ph_node *nd =
		&sm__ph(pg)->nodes[(addr - pg->range.base) >> pg->range.node_shift];
	uint32_t unit = (uint32_t)((addr - pg->range.base) >> SM_UNIT_SHIFT) - nd->first;

	return !pg->sparse ||
	       (unit > 0 && unit < __atomic_load_n(&nd->frontier, __ATOMIC_RELAXED)) ||
	       unit >= __atomic_load_n(&nd->own_start, __ATOMIC_RELAXED);
}

/* ---- the way back ------------------------------------------------------------------------- */

/* Into the arenas: [unit, unit + n) was handed out and is free from here on. */
static void take_back(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	sm__ph_undescribe(pg, nd, unit, n);
	sm__ph_dirty_set(nd, unit, n);
	sm__ph_count(&nd->dirty_units, n);
	nd->free_units += n;
	sm__ph_uncount(&nd->used_units, n);
	SM_PH_CALL(sm__ph(pg), give, nd, unit, n);
}

SM_INLINE struct sm_ph_node *node_of(struct sm_pages *pg, const struct sm_span *s)
{
	return &sm__ph(pg)->nodes[s->node];
}

void sm__pageheap_free(struct sm_pages *pg, struct sm_span *s)
{
	struct sm_ph_node *nd = node_of(pg, s);

	SM_ASSERT(s->back == 0 && s->nunits > 0);
	/* Release: a thread that still reads the old state sees the span as it was. Free only under
	 * the lock, where it stops to count as used: a fork waits for the lock. */
	sm_store_release(&s->state, SM_SPAN_OTHER);
	sm_lock_acquire(&nd->lock);
	sm_store_release(&s->state, SM_SPAN_FREE);
	if (SM_UNLIKELY(s->flags & SM_SPANF_OWNMAP))
		sm__own_free(pg, nd, s);
	else
		take_back(pg, nd, sm_span_unit(&pg->range, s) - nd->first, s->nunits);
	nd->counts.frees++;
	sm_lock_release(&nd->lock);
}

static bool grow_locked(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s, uint32_t n)
{
	uint32_t unit = sm_span_unit(&pg->range, s) - nd->first;
	uint32_t end = unit + s->nunits, more = n - s->nunits, dirty;

	if (s->flags & SM_SPANF_OWNMAP)
		return sm__own_grow(pg, nd, s, n);
	/* What is free up to the frontier, and the untouched space behind it. */
	if (unit + n > nd->frontier) {
		uint32_t rest = nd->frontier - end;

		if (rest > 0) {
			if (!SM_PH_CALL(sm__ph(pg), take_at, nd, end, rest))
				return false;
			SM_PH_CALL(sm__ph(pg), give, nd, end, rest);
		}
		if (!sm__arena_extend(pg, nd, unit + n))
			return false;
	}
	if (!SM_PH_CALL(sm__ph(pg), take_at, nd, end, more))
		return false;
	dirty = sm__ph_dirty_count(nd, end, more);
	sm__ph_uncount(&nd->dirty_units, dirty);
	nd->free_units -= more;
	sm__ph_count(&nd->used_units, more);
	sm__ph_extend_description(pg, nd, unit, s->nunits, n);
	s->flags = (uint8_t)(dirty == 0 ? s->flags | SM_SPANF_ZEROED : s->flags & ~SM_SPANF_ZEROED);
	return true;
}

bool sm__pageheap_grow(struct sm_pages *pg, struct sm_span *s, size_t nunits)
{
	struct sm_ph_node *nd = node_of(pg, s);
	bool done;

	if (nunits <= s->nunits)
		return true;
	if (nunits >= nd->units)
		return false;
	sm_lock_acquire(&nd->lock);
	done = grow_locked(pg, nd, s, (uint32_t)nunits);
	nd->counts.grown += done;
	sm_lock_release(&nd->lock);
	return done;
}

void sm__pageheap_shrink(struct sm_pages *pg, struct sm_span *s, size_t nunits)
{
	struct sm_ph_node *nd = node_of(pg, s);
	uint32_t old = s->nunits, n = (uint32_t)nunits;

	SM_ASSERT(nunits >= 1 && nunits <= old);
	if (n == old)
		return;
	sm_lock_acquire(&nd->lock);
	if (s->flags & SM_SPANF_OWNMAP) {
		sm__own_shrink(pg, nd, s, n);
	} else {
		sm__ph_set_nunits(s, n);
		take_back(pg, nd, sm_span_unit(&pg->range, s) - nd->first + n, old - n);
	}
	sm_lock_release(&nd->lock);
}
