/*
 * ownmap.c: mappings of their own, for what is larger than an arena, and for files.
 *
 * They lie at the upper end of the node's range, so that one compare still tells whether an address
 * is the heap's, and the descriptor table covers them. New ones are placed downwards:
 *
 *      frontier ..  untouched address space  .. own_start | mapping | hole | mapping | hole | end
 *
 * A hole is address space that was used before or left by alignment; holes are few, kept as a list
 * by address through the descriptors of their heads (nunits, next, prev), merge with neighbours,
 * and join the untouched space when they come to lie at its edge. While address space is plentiful,
 * a new mapping gets a hole of its own size behind it: room to grow in place.
 *
 * Every descriptor of [own_start, end) is writable.
 */
#include "allocator/pages/pageheap_internal.h"

#include <errno.h>

/* The list's links are units of the node's range. */
static void hole_link(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t prev, uint32_t unit,
		      uint32_t next, uint32_t n)
{
	struct sm_span *d = sm__ph_desc(pg, nd, unit);

	d->nunits = n;
	d->prev = prev;
	d->next = next;
	if (prev != 0)
		sm__ph_desc(pg, nd, prev)->next = unit;
	else
		nd->own_free = unit;
	if (next != 0)
		sm__ph_desc(pg, nd, next)->prev = unit;
	nd->nholes++;
}

static void hole_unlink(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit)
{
	struct sm_span *d = sm__ph_desc(pg, nd, unit);

	if (d->prev != 0)
		sm__ph_desc(pg, nd, d->prev)->next = d->next;
	else
		nd->own_free = d->next;
	if (d->next != 0)
		sm__ph_desc(pg, nd, d->next)->prev = d->prev;
	nd->nholes--;
}

static void hole_add(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	uint32_t prev = 0, next = nd->own_free;

	if (n == 0)
		return;
	while (next != 0 && next < unit) {
		prev = next;
		next = sm__ph_desc(pg, nd, next)->next;
	}
	if (next != 0 && unit + n == next) {
		uint32_t after = sm__ph_desc(pg, nd, next)->next;

		n += sm__ph_desc(pg, nd, next)->nunits;
		hole_unlink(pg, nd, next);
		next = after;
	}
	if (prev != 0 && prev + sm__ph_desc(pg, nd, prev)->nunits == unit) {
		uint32_t before = sm__ph_desc(pg, nd, prev)->prev;

		n += sm__ph_desc(pg, nd, prev)->nunits;
		hole_unlink(pg, nd, prev);
		unit = prev;
		prev = before;
	}
	if (unit == nd->own_start) {
		nd->own_start +=
			/* joins the untouched space; it is the first hole, so nothing links here */
			n;
		return;
	}
	hole_link(pg, nd, prev, unit, next, n);
}

/* The first unit at or behind `unit` whose address, not whose number, is a multiple of align units.
 */
static uint64_t align_unit(const struct sm_pages *pg, const struct sm_ph_node *nd, uint64_t unit,
			   uint32_t align)
{
	uint64_t base = (pg->range.base >> SM_UNIT_SHIFT) + nd->first;

	return sm_align_up(base + unit, align) - base;
}

/* First fit by address. On success the run is out of the list and what is left of its hole is back
 * in. */
static uint32_t hole_take(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n, uint32_t align,
			  bool commit)
{
	uint32_t steps = 0;

	for (uint32_t unit = nd->own_free; unit != 0; unit = sm__ph_desc(pg, nd, unit)->next) {
		uint32_t size = sm__ph_desc(pg, nd, unit)->nunits;
		uint64_t at = align_unit(pg, nd, unit, align);

		nd->counts.steps++;
		SM_CHECK(++steps <= nd->nholes);
		if (at + n > (uint64_t)unit + size)
			continue;
		if (commit && sm__arena_commit(pg, nd, (uint32_t)at, n) != 0)
			return 0;
		hole_unlink(pg, nd, unit);
		hole_add(pg, nd, unit, (uint32_t)at - unit);
		hole_add(pg, nd, (uint32_t)at + n, unit + size - (uint32_t)at - n);
		return (uint32_t)at;
	}
	return 0;
}

/* The same from the untouched space, n units with `room` units of hole behind them. */
static uint32_t carve(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n, uint32_t align,
		      uint32_t room, bool commit)
{
	uint64_t want = (uint64_t)n + room, aligned;
	uint32_t at, old = nd->own_start;

	if (want + nd->frontier >= old)
		return 0;
	aligned = align_unit(pg, nd, old - want, align);
	/* That may have been upwards. */
	aligned -= aligned > old - want ? align : 0;
	if ((int64_t)aligned <= (int64_t)nd->frontier)
		return 0;
	at = (uint32_t)aligned;
	if (sm__arena_commit_descriptors(pg, nd, at, old - at) != 0 ||
	    (commit && sm__arena_commit(pg, nd, at, n) != 0))
		return 0;
	nd->own_start = at;
	if (at < nd->own_lowest)
		nd->own_lowest = at;
	hole_add(pg, nd, at + n, old - at - n);
	return at;
}

static uint32_t take_units(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n, uint32_t align,
			   bool commit)
{
	uint32_t gap = nd->own_start - nd->frontier;
	uint32_t unit = 0;

	if (nd->closed)
		return 0;
	if (gap > nd->units / 2 && n < gap / 8)
		unit = carve(pg, nd, n, align, n, commit);
	if (unit == 0)
		unit = hole_take(pg, nd, n, align, commit);
	if (unit == 0)
		unit = carve(pg, nd, n, align, 0, commit);
	return unit;
}

struct sm_span *sm__own_alloc(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t n,
			      uint32_t align)
{
	uint32_t unit = take_units(pg, nd, n, align, true);

	if (unit == 0)
		return NULL;
	sm__ph_count(&nd->own_units, n);
	return sm__ph_describe(pg, nd, unit, n, SM_SPANF_OWNMAP | SM_SPANF_ZEROED);
}

/*
 * Unmaps a piece and makes it a hole. When the kernel will neither unmap nor empty it, the piece is
 * lost: it stays charged and out of use, which is better than handing out a file or old data.
 */
static void give_units(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t unit, uint32_t n,
		       bool file)
{
	char *p = sm__ph_addr(pg, nd, unit);
	size_t bytes = (size_t)n << SM_UNIT_SHIFT;
	bool gone;

	sm__ph_undescribe(pg, nd, unit, n);
	sm__ph_uncount(&nd->own_units, n);
	if (file) {
		gone = sm__arena_unmap(pg, p, bytes) == 0;
		if (gone)
			sm__range_uncharge(pg, sm__arena_cost(pg, n));
	} else {
		gone = sm__arena_decommit(pg, nd, unit, n);
	}
	if (gone)
		hole_add(pg, nd, unit, n);
	else
		nd->lost_units += n;
}

void sm__own_free(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s)
{
	give_units(pg, nd, sm_span_unit(&pg->range, s) - nd->first, s->nunits,
		   s->flags & SM_SPANF_FILE);
}

void sm__own_shrink(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s, uint32_t n)
{
	uint32_t unit = sm_span_unit(&pg->range, s) - nd->first;
	uint32_t old = s->nunits;

	sm__ph_set_nunits(s, n);
	give_units(pg, nd, unit + n, old - n, s->flags & SM_SPANF_FILE);
}

bool sm__own_grow(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_span *s, uint32_t n)
{
	uint32_t unit = sm_span_unit(&pg->range, s) - nd->first;
	uint32_t end = unit + s->nunits, more = n - s->nunits;
	uint32_t hole = nd->own_free, size;

	if (s->flags & SM_SPANF_FILE)
		return false;
	while (hole != 0 && hole < end)
		hole = sm__ph_desc(pg, nd, hole)->next;
	if (hole != end || (size = sm__ph_desc(pg, nd, hole)->nunits) < more)
		return false;
	if (sm__arena_commit(pg, nd, end, more) != 0)
		return false;
	hole_unlink(pg, nd, hole);
	hole_add(pg, nd, end + more, size - more);
	sm__ph_count(&nd->own_units, more);
	sm__ph_extend_description(pg, nd, unit, s->nunits, n);
	s->flags |= SM_SPANF_ZEROED;
	return true;
}

struct sm_span *sm__own_map_file(struct sm_pages *pg, struct sm_ph_node *nd,
				 const struct sm_ph_file *f)
{
	uint32_t n = (uint32_t)((f->bytes + SM_UNIT - 1) >> SM_UNIT_SHIFT);
	uint32_t unit;
	int err = -ENOMEM;

	if (!sm__range_charge(pg, sm__arena_cost(pg, n))) {
		errno = ENOMEM;
		return NULL;
	}
	unit = take_units(pg, nd, n, 1, false);
	if (unit != 0) {
		err = sm__os_map_file(sm__ph_addr(pg, nd, unit), f->bytes, f->fd, (off_t)f->offset,
				      f->shared, f->writable);
		if (err != 0)
			hole_add(pg, nd, unit, n);
	}
	if (err != 0) {
		sm__range_uncharge(pg, sm__arena_cost(pg, n));
		errno = -err;
		return NULL;
	}
	sm__ph_count(&nd->own_units, n);
	return sm__ph_describe(pg, nd, unit, n, SM_SPANF_OWNMAP | SM_SPANF_FILE);
}
