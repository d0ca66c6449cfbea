/*
 * unitbits.c: what a node keeps of each unit of its arenas: free, dirty, collapsed. A bit or two
 * for each, in one piece of memory that is as large as the arenas have ever reached.
 */
#include <errno.h>
#include <string.h>

#include "allocator/pages/pageheap_internal.h"

#define FIRST_ARENAS 4
#define MORE	     4 /* times as much */

static size_t dirty_bytes(size_t units)
{
	return (units + 63) / 64 * sizeof(uint64_t) + sizeof(uint64_t);
}

/* Arenas are powers of two of units, and several to a node. */
static uint32_t units_for(const struct sm_pageheap *ph, const struct sm_ph_node *nd, uint32_t to)
{
	uint64_t n = nd->tracked != 0 ? nd->tracked : (uint64_t)FIRST_ARENAS * ph->arena_units;

	while (n < to)
		n *= MORE;
	return n < nd->units ? (uint32_t)n : nd->units;
}

static void move_bits(const struct sm_pageheap *ph, struct sm_ph_node *nd, char *p, uint32_t units)
{
	size_t nhuge = units / ph->huge_units;

	if (nd->tracked != 0)
		memcpy(p, nd->dirty, dirty_bytes(nd->tracked));
	nd->dirty = (uint64_t *)(void *)p;
	p += dirty_bytes(units);
	sm_bitset_move(&nd->collapsed, nhuge, p);
	p += sm_bitset_bytes(nhuge);
	SM_PH_CALL(ph, move, nd, p, units, (unsigned)__builtin_ctz(ph->arena_units));
}

int sm__ph_track(struct sm_pageheap *ph, struct sm_ph_node *nd, uint32_t to)
{
	uint32_t units = units_for(ph, nd, to);
	void *old = nd->bits, *bits;
	size_t old_bytes = nd->bits_bytes;

	if (units == nd->tracked)
		return 0;
	nd->bits_bytes = SM_PH_CALL(ph, bytes, units) + dirty_bytes(units) +
			 sm_bitset_bytes(units / ph->huge_units);
	bits = sm__os_map_guarded(nd->bits_bytes);
	if (bits == NULL) {
		nd->bits_bytes = old_bytes;
		return -ENOMEM;
	}
	move_bits(ph, nd, bits, units);
	nd->bits = bits;
	nd->tracked = units;
	sm__os_unmap_guarded(old, old_bytes);
	return 0;
}
