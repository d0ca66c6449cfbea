/* cell_index.c: from an object to its cells, by a hash table. */
#include "collector/roots/cell_index.h"

#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"

/* ---- buckets ------------------------------------------------------------------------------ */

static size_t segment_bytes(unsigned segment)
{
	return sm__cells_of_segment(segment) * sizeof(uint32_t);
}

static bool have_segment(struct sm_cell_index *x, unsigned segment)
{
	void *made;

	if (segment >= SM_CELLS_SEGMENTS)
		return false;
	if (x->segment[segment])
		return true;
	made = sm__os_map(segment_bytes(segment));
	if (made == NULL)
		return false;
	x->segment[segment] = made;
	return true;
}

static uint32_t *index_bucket(struct sm_cell_index *x, uint64_t index)
{
	unsigned s = sm__cells_segment(index);

	return &x->segment[s][index - sm__cells_before_segment(s)];
}

static uint64_t hash(uintptr_t key)
{
	uint64_t h = (uint64_t)(key >> 3) * 0x9e3779b97f4a7c15u;

	return h ^ h >> 32;
}

/* Ones up to the highest bit of n - 1: the bits that number n buckets. */
static uint64_t mask_of(uint64_t n)
{
	return n < 2 ? 0 : UINT64_MAX >> __builtin_clzll(n - 1);
}

/* Of the low bits of a hash those that say which bucket: one more in the part that was split
 * already. */
static uint64_t bucket_of(const struct sm_cell_index *x, uintptr_t key)
{
	uint64_t mask = mask_of(x->nbuckets), b = hash(key) & mask;

	return b < x->nbuckets ? b : b & mask >> 1;
}

static struct sm_keyed_cell *cell_at(struct sm_cell_index *x, uint64_t number)
{
	return (struct sm_keyed_cell *)sm__cell_at(x->cells, number);
}

/* One more bucket, with those of the cells of the bucket it splits that belong there now. */
static void split(struct sm_cell_index *x)
{
	uint64_t made = x->nbuckets, mask = mask_of(made + 1);
	uint32_t *from, *to;

	if (!have_segment(x, sm__cells_segment(made)))
		return;
	from = index_bucket(x, made & mask >> 1);
	to = index_bucket(x, made);
	x->nbuckets++;
	while (*from) {
		struct sm_keyed_cell *c = cell_at(x, *from);
		uint32_t number = *from;

		x->steps++;
		if ((hash(c->key) & mask) != made) {
			from = &c->chain;
			continue;
		}
		*from = c->chain;
		c->chain = *to;
		*to = number;
	}
}

/* ---- the interface ------------------------------------------------------------------------ */

void sm__cell_index_init(struct sm_cell_index *x, struct sm_cells *cells)
{
	memset(x, 0, sizeof(*x));
	x->cells = cells;
}

void sm__cell_index_fini(struct sm_cell_index *x)
{
	for (unsigned s = 0; s < SM_CELLS_SEGMENTS; s++) {
		if (x->segment[s])
			sm__os_unmap(x->segment[s], segment_bytes(s));
	}
}

int sm__cell_index_add(struct sm_cell_index *x, uint64_t number)
{
	struct sm_keyed_cell *c = cell_at(x, number);
	uint32_t *b;

	if (x->nbuckets == 0) {
		if (!have_segment(x, 0))
			return -ENOMEM;
		x->nbuckets = 1;
	} else if (x->ncells >= x->nbuckets) {
		split(x);
	}
	b = index_bucket(x, bucket_of(x, c->key));
	c->chain = *b;
	*b = (uint32_t)number;
	x->ncells++;
	return 0;
}

uint64_t sm__cell_index_find(struct sm_cell_index *x, uintptr_t key)
{
	uint32_t number = x->nbuckets ? *index_bucket(x, bucket_of(x, key)) : 0;

	while (number) {
		struct sm_keyed_cell *c = cell_at(x, number);

		x->steps++;
		if (c->key == key)
			return number;
		number = c->chain;
	}
	return 0;
}

void sm__cell_index_remove(struct sm_cell_index *x, uint64_t number)
{
	struct sm_keyed_cell *c = cell_at(x, number);
	uint32_t *at = index_bucket(x, bucket_of(x, c->key));

	while (*at != number) {
		SM_CHECK(*at != 0);
		x->steps++;
		at = &cell_at(x, *at)->chain;
	}
	*at = c->chain;
	c->chain = 0;
	x->ncells--;
}
