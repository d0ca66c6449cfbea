/* shape.c: layouts and shapes of a heap, each once; and what a layout says of a run of words. */
#include "allocator/objects/shape.h"

#include <errno.h>
#include <string.h>

#include "allocator/pages/meta.h"

#define FIRST_BUCKETS 256

struct sm_layout_node {
	struct sm_layout layout; /* first: what callers hold */
	struct sm_layout_node *next;
	struct sm_shape shape; /* the first one */
};

/* What a layout costs, with its first shape: a block of the metadata pool. */
_Static_assert(sizeof(struct sm_layout_node) <= SM_CACHELINE, "a layout's record is a cache line");

static const struct sm_layout pointer_free = {.kind = SM_SCAN_NONE, .period = 1};

/* ---- layouts ------------------------------------------------------------------------------ */

static size_t bits_words(const struct sm_layout *l)
{
	return l->kind == SM_SCAN_BITMAP ? (l->period + 63) / 64 : 0;
}

static bool same_layout(const struct sm_layout *a, const struct sm_layout *b)
{
	if (a->kind != b->kind || a->fixed != b->fixed || a->period != b->period ||
	    a->nptrs != b->nptrs || a->mask != b->mask)
		return false;
	if (a->kind == SM_SCAN_FLEX)
		return a->element == b->element;
	return bits_words(a) == 0 || memcmp(a->bits, b->bits, bits_words(a) * 8) == 0;
}

static uint32_t hash_layout(const struct sm_layout *l)
{
	uint64_t x = l->kind + 7 * (uint64_t)l->fixed + 31 * (uint64_t)l->period +
		     1009 * (uint64_t)l->nptrs;
	size_t i;

	x = (x ^ l->mask) * 0x9e3779b97f4a7c15u;
	if (l->kind == SM_SCAN_FLEX)
		x = (x ^ (uintptr_t)l->element) * 0x9e3779b97f4a7c15u;
	for (i = 0; i < bits_words(l); i++)
		x = ((x ^ x >> 29) ^ l->bits[i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(x * 0x9e3779b97f4a7c15u >> 32);
}

struct sm_layout_node **sm__layouts_create(struct sm_heap *h)
{
	h->nbuckets = FIRST_BUCKETS;
	return sm__meta_alloc(&h->pages, FIRST_BUCKETS * sizeof(*h->layouts));
}

/* Twice the buckets. Without memory for them the chains get longer, that is all. */
static void grow_table_locked(struct sm_heap *h)
{
	uint32_t n = h->nbuckets * 2;
	struct sm_layout_node **table = sm__meta_alloc(&h->pages, n * sizeof(*table));

	if (table == NULL)
		return;
	for (uint32_t i = 0; i < h->nbuckets; i++) {
		struct sm_layout_node *node = h->layouts[i], *next;

		for (; node != NULL; node = next) {
			struct sm_layout_node **at = &table[hash_layout(&node->layout) & (n - 1)];

			next = node->next;
			node->next = *at;
			*at = node;
		}
	}
	sm__meta_free(&h->pages, h->layouts, h->nbuckets * sizeof(*h->layouts));
	h->layouts = table;
	h->nbuckets = n;
}

static struct sm_layout_node *copy_layout(struct sm_heap *h, const struct sm_layout *l)
{
	struct sm_layout_node *n = sm__meta_alloc(&h->pages, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->layout = *l;
	n->layout.id = h->nlayouts + 1;
	if (bits_words(l) != 0) {
		uint64_t *bits = sm__meta_alloc(&h->pages, bits_words(l) * 8);

		if (bits == NULL) {
			sm__meta_free(&h->pages, n, sizeof(*n));
			return NULL;
		}
		memcpy(bits, l->bits, bits_words(l) * 8);
		n->layout.bits = bits;
	}
	h->nlayouts++;
	return n;
}

const struct sm_layout *sm__heap_layout(struct sm_heap *h, const struct sm_layout *l)
{
	uint32_t hash = hash_layout(l);
	struct sm_layout_node *n, **at;

	/* One pointer-free layout for all types, so that bins of pointer-free objects are shared.
	 */
	if (l->kind == SM_SCAN_NONE)
		return &pointer_free;
	sm_lock_acquire(&h->bins_lock);
	for (n = h->layouts[hash & (h->nbuckets - 1)]; n != NULL; n = n->next)
		if (same_layout(&n->layout, l))
			break;
	if (n == NULL) {
		n = copy_layout(h, l);
		if (n != NULL) {
			if (h->nlayouts > h->nbuckets)
				grow_table_locked(h);
			at = &h->layouts[hash & (h->nbuckets - 1)];
			n->next = *at;
			*at = n;
		}
	}
	sm_lock_release(&h->bins_lock);
	if (n == NULL)
		errno = ENOMEM;
	return n ? &n->layout : NULL;
}

/* ---- shapes ------------------------------------------------------------------------------- */

static void init_shape(struct sm_heap *h, struct sm_shape *s, unsigned cls)
{
	sm_store_relaxed(&s->since, sm_load_relaxed(&h->sweepgen));
	sm_store_release(&s->cls, (uint8_t)cls);
}

/* The shape of this class, or the last one. Chains are short (classes that a layout is used in) and
 * only grow. */
static struct sm_shape *find_shape(struct sm_layout_node *n, unsigned cls)
{
	struct sm_shape *s = &n->shape, *next;

	while (sm_load_acquire(&s->cls) != cls && (next = sm_load_acquire(&s->next)) != NULL)
		s = next;
	return s;
}

static struct sm_shape *add_shape_locked(struct sm_heap *h, struct sm_layout_node *n, unsigned cls)
{
	struct sm_shape *last = find_shape(n, cls), *s;

	if (sm_load_relaxed(&last->cls) == cls)
		return last;
	if (sm_load_relaxed(&last->cls) == 0) {
		init_shape(h, last, cls);
		return last;
	}
	s = sm__meta_alloc(&h->pages, sizeof(*s));
	if (s == NULL)
		return NULL;
	init_shape(h, s, cls);
	sm_store_release(&last->next, s);
	return s;
}

struct sm_shape *sm__heap_shape(struct sm_heap *h, const struct sm_layout *l, unsigned cls)
{
	struct sm_layout_node *n = (struct sm_layout_node *)l;
	struct sm_shape *s = find_shape(n, cls);

	if (SM_LIKELY(sm_load_relaxed(&s->cls) == cls))
		return s;
	sm_lock_acquire(&h->bins_lock);
	s = add_shape_locked(h, n, cls);
	sm_lock_release(&h->bins_lock);
	if (s == NULL)
		errno = ENOMEM;
	return s;
}

/* ---- what a layout says ------------------------------------------------------------------- */

static uint64_t ones(size_t n)
{
	return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
}

/* A pattern that repeats. */
static uint64_t repeated_bits(const struct sm_layout *l, size_t from, size_t n)
{
	size_t phase = from % l->period, got = 0;
	uint64_t out = 0;

	while (got < n) {
		uint64_t bits = l->kind == SM_SCAN_MASK ? l->mask : l->bits[phase / 64];
		size_t run = 64 - phase % 64;

		run = run < l->period - phase ? run : l->period - phase;
		run = run < n - got ? run : n - got;
		out |= (bits >> (phase % 64) & ones(run)) << got;
		got += run;
		phase = phase + run == l->period ? 0 : phase + run;
	}
	return out;
}

static uint64_t flex_bits(const struct sm_layout *l, size_t from, size_t n)
{
	size_t head = from < l->period ? l->period - from : 0;
	uint64_t out = 0;

	head = head < n ? head : n;
	if (head != 0)
		out = sm__layout_bits(l->head, from, head);
	if (head < n)
		out |= sm__layout_bits(l->element, from + head - l->period, n - head) << head;
	return out;
}

uint64_t sm__layout_bits(const struct sm_layout *l, size_t from, size_t n)
{
	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE:
	case SM_SCAN_MIXED: return 0;
	case SM_SCAN_ALL:
	case SM_SCAN_CONSERVATIVE: return ones(n);
	case SM_SCAN_PREFIX:
		if (from >= l->nptrs)
			return 0;
		return ones(l->nptrs - from < n ? l->nptrs - from : n);
	case SM_SCAN_MASK:
	case SM_SCAN_BITMAP: return repeated_bits(l, from, n);
	case SM_SCAN_FLEX: return flex_bits(l, from, n);
	}
	return 0;
}
