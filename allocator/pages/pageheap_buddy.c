/*
 * pageheap_buddy.c: binary buddy over units, with bitmaps out of line (Knowlton, "A fast storage
 * allocator", 1965; Knuth, TAOCP 1, 2.5).
 *
 * For each order k a bit set holds which aligned blocks of 2^k units are free. A block is free in
 * one order only, and two buddies are never both free: they would be one block of the next order.
 * A request takes the lowest block of the smallest order that has one, and gives back what it does
 * not need, tail first in address order: nothing is rounded up, and because a run that comes back
 * is cut into aligned blocks again, it need not be one that went out.
 *
 * The lowest block: address order keeps what is in use together at the low end and lets the high
 * end become free, which is what the frontier's retreat and the scavenger live on.
 */
#include "allocator/pages/pageheap_internal.h"

size_t sm__buddy_bytes(size_t units)
{
	size_t n = 0;

	for (unsigned k = 0; k < SM_BUDDY_ORDERS && units >> k != 0; k++)
		n += sm_bitset_bytes(units >> k);
	return n;
}

void sm__buddy_move(struct sm_ph_node *nd, void *memory, size_t units, unsigned max_order)
{
	struct sm_buddy *b = &nd->buddy;
	char *p = memory;

	SM_CHECK(max_order < SM_BUDDY_ORDERS && units >> max_order != 0);
	b->max_order = max_order;
	for (unsigned k = 0; k <= max_order; k++) {
		sm_bitset_move(&b->free[k], units >> k, p);
		p += sm_bitset_bytes(units >> k);
	}
}

SM_INLINE void insert_block(struct sm_buddy *b, uint32_t unit, unsigned k)
{
	sm_bitset_set(&b->free[k], unit >> k);
	b->count[k]++;
	b->nonempty |= 1u << k;
}

SM_INLINE void extract(struct sm_buddy *b, uint32_t unit, unsigned k)
{
	sm_bitset_clear(&b->free[k], unit >> k);
	if (--b->count[k] == 0)
		b->nonempty &= ~(1u << k);
}

/* The largest order of an aligned block that starts at unit and ends at or before end. */
SM_INLINE unsigned order_at(const struct sm_buddy *b, uint32_t unit, uint32_t end)
{
	unsigned aligned = (unsigned)__builtin_ctz(unit | 1u << b->max_order);
	unsigned fits = 31 - (unsigned)__builtin_clz(end - unit);

	return aligned < fits ? aligned : fits;
}

/* What is left of a block that was cut: its buddies are in use, so nothing merges. */
SM_INLINE void insert_rest(struct sm_buddy *b, uint32_t unit, uint32_t end)
{
	while (unit < end) {
		unsigned k = order_at(b, unit, end);

		insert_block(b, unit, k);
		unit += 1u << k;
	}
}

uint32_t sm__buddy_take(struct sm_ph_node *nd, uint32_t n, uint32_t align)
{
	struct sm_buddy *b = &nd->buddy;
	uint32_t want = n > align ? n : align;
	unsigned k = want == 1 ? 0 : 32 - (unsigned)__builtin_clz(want - 1);
	uint32_t unit;

	if (SM_UNLIKELY(k > b->max_order || b->nonempty >> k == 0))
		return 0;
	k += (unsigned)__builtin_ctz(b->nonempty >> k);
	unit = (uint32_t)sm_bitset_first(&b->free[k]) << k;
	nd->counts.steps += b->free[k].nlevels;
	extract(b, unit, k);
	insert_rest(b, unit + n, unit + (1u << k));
	return unit;
}

/* The order of the free block that unit lies in; -1: it is not free. */
static int order_of(const struct sm_buddy *b, uint32_t unit)
{
	for (unsigned left = b->nonempty; left != 0; left &= left - 1) {
		unsigned k = (unsigned)__builtin_ctz(left);

		if (sm_bitset_test(&b->free[k], unit >> k))
			return (int)k;
	}
	return -1;
}

bool sm__buddy_take_at(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_buddy *b = &nd->buddy;
	uint32_t end = unit + n, at;
	int k;

	for (at = unit; at < end; at = ((at >> k) + 1) << k) {
		k = order_of(b, at);
		nd->counts.steps++;
		if (k < 0)
			return false;
	}
	for (at = unit; at < end;) {
		uint32_t block, block_end;

		k = order_of(b, at);
		block = at >> k << k;
		block_end = block + (1u << k);
		extract(b, block, (unsigned)k);
		if (block < unit)
			insert_rest(b, block, unit);
		if (block_end > end)
			insert_rest(b, end, block_end);
		at = block_end;
	}
	return true;
}

SM_INLINE void give_block(struct sm_buddy *b, uint32_t unit, unsigned k)
{
	while (k < b->max_order && sm_bitset_test(&b->free[k], (unit >> k) ^ 1)) {
		extract(b, unit ^ 1u << k, k);
		unit &= ~(1u << k);
		k++;
	}
	insert_block(b, unit, k);
}

void sm__buddy_give(struct sm_ph_node *nd, uint32_t unit, uint32_t n)
{
	struct sm_buddy *b = &nd->buddy;
	uint32_t end = unit + n;

	while (unit < end) {
		unsigned k = order_at(b, unit, end);

		give_block(b, unit, k);
		unit += 1u << k;
	}
}

uint32_t sm__buddy_next(struct sm_ph_node *nd, uint32_t unit, uint32_t *n)
{
	struct sm_buddy *b = &nd->buddy;
	uint32_t best = 0;

	for (unsigned left = b->nonempty; left != 0; left &= left - 1) {
		unsigned k = (unsigned)__builtin_ctz(left);
		size_t i = sm_bitset_next(&b->free[k], ((size_t)unit + (1u << k) - 1) >> k);

		if (i != SM_BITSET_NONE && (best == 0 || i << k < best)) {
			best = (uint32_t)(i << k);
			*n = 1u << k;
		}
	}
	return best;
}

uint32_t sm__buddy_before(const struct sm_ph_node *nd, uint32_t end)
{
	int k;

	/* Unit 0 is never free. */
	while ((k = order_of(&nd->buddy, end - 1)) >= 0)
		end = (end - 1) >> k << k;
	return end;
}

uint32_t sm__buddy_largest(const struct sm_ph_node *nd)
{
	uint32_t m = nd->buddy.nonempty;

	return m == 0 ? 0 : 1u << (31 - (unsigned)__builtin_clz(m));
}

size_t sm__buddy_nruns(const struct sm_ph_node *nd)
{
	size_t n = 0;

	for (unsigned k = 0; k <= nd->buddy.max_order; k++)
		n += nd->buddy.count[k];
	return n;
}

/* Every order counts what its set holds, no block overlaps another's order, no two buddies are both
 * free. */
unsigned sm__buddy_check(struct sm_ph_node *nd)
{
	struct sm_buddy *b = &nd->buddy;
	unsigned bad = 0;

	for (unsigned k = 0; k <= b->max_order; k++) {
		uint32_t n = 0;

		for (size_t i = sm_bitset_next(&b->free[k], 0); i != SM_BITSET_NONE;
		     i = sm_bitset_next(&b->free[k], i + 1)) {
			n++;
			if (k < b->max_order && (i & 1) == 0 &&
			    sm_bitset_test(&b->free[k], i + 1)) {
				sm__say("page heap %u: order %u: blocks %zu and %zu are buddies, "
					"both free",
					nd->index, k, i, i + 1);
				bad++;
			}
			for (unsigned up = k + 1; up <= b->max_order; up++)
				if (sm_bitset_test(&b->free[up], i >> (up - k))) {
					sm__say("page heap %u: block %zu of order %u lies in a "
						"free one "
						"of %u",
						nd->index, i, k, up);
					bad++;
				}
		}
		if (n != b->count[k] || (n != 0) != (b->nonempty >> k & 1)) {
			sm__say("page heap %u: order %u counts %u blocks and has %u", nd->index, k,
				b->count[k], n);
			bad++;
		}
	}
	return bad;
}
