/*
 * typedesc.c: from a description of an object to its type and its layout, and which types get spans
 * of their own.
 *
 * Descriptions that mean the same give the same type, found by a hash table that grows. A type's
 * slot may be longer than its objects; what lies behind an object is zero (windows with pointers
 * are zeroed), so a pattern may run on to the end of the slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"
#include "collector/types/typedesc.h"

#define WORD sizeof(uintptr_t)

/* A size and a stride are 32 bits, rounded up to a word. */
#define SIZE_LIMIT    (UINT32_MAX - WORD)

#define FIRST_BUCKETS 64

/* Every cache keeps a span of a bin that it uses. With many caches that is much for little, so: the
 * spans of all promoted bins in all caches may be this part of what is alive; beyond it a shape
 * must have filled that many spans for every cache. */
#define PROMISED_PART 8

static sm_type_bins no_bins;

/* Bit i of a pattern of 64-word masks. */
static bool bit(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* The cheapest layout for a pattern of `words` words, repeated or not. */
static const struct sm_layout *layout_of(struct sm_gc *gc, const uint64_t *bits, size_t words,
					 bool repeats)
{
	struct sm_layout l = {.kind = SM_SCAN_NONE, .period = (uint32_t)words};
	size_t prefix = 0, last = 0, n = 0;

	for (size_t i = 0; i < words; i++) {
		if (!bit(bits, i))
			continue;
		n++;
		last = i + 1;
		if (prefix == i)
			prefix = i + 1;
	}
	l.nptrs = (uint32_t)n;
	if (n == 0) {
		l.period = 1;
	} else if (n == words && repeats) {
		l.kind = SM_SCAN_ALL;
		l.period = l.nptrs = 1;
	} else if (prefix == last && !repeats) {
		l.kind = SM_SCAN_PREFIX;
		l.period = 1;
	} else if (words <= 64) {
		l.kind = SM_SCAN_MASK;
		l.mask = bits[0];
	} else {
		l.kind = SM_SCAN_BITMAP;
		l.bits = bits;
	}
	return sm__heap_layout(gc->heap, &l);
}

/* The same of objects that never move. Of those without pointers not the common one: their place is
 * a shape, which that has none of. */
static const struct sm_layout *fixed_of(struct sm_gc *gc, const struct sm_layout *l)
{
	struct sm_layout fixed = {.kind = SM_SCAN_MASK, .period = 1};

	if (l == NULL)
		return NULL;
	if (l->kind != SM_SCAN_NONE)
		fixed = *l;
	fixed.fixed = 1;
	return sm__heap_layout(gc->heap, &fixed);
}

/* ---- the table of types ------------------------------------------------------------------- */

static uint32_t hash_type(size_t size, const struct sm_layout *l, size_t stride, bool flex)
{
	uint64_t x = (uintptr_t)l / SM_CACHELINE * 0x9e3779b97f4a7c15u + size * 2 + flex;

	return (uint32_t)((x ^ x >> 31 ^ stride << 7) * 0x9e3779b97f4a7c15u >> 32);
}

static struct sm_typedesc **bucket_of(struct sm_type_table *t, uint32_t hash)
{
	return &t->buckets[hash & (t->nbuckets - 1)];
}

/* Twice the buckets. False: no memory, and there is no table yet; with one, chains just get longer.
 */
static bool grow_table_locked(struct sm_type_table *t)
{
	struct sm_type_table old = *t;

	t->nbuckets = old.nbuckets ? old.nbuckets * 2 : FIRST_BUCKETS;
	t->buckets = calloc(t->nbuckets, sizeof(struct sm_typedesc *));
	if (t->buckets == NULL) {
		*t = old;
		return old.buckets != NULL;
	}
	for (uint32_t i = 0; i < old.nbuckets; i++) {
		struct sm_typedesc *d = old.buckets[i], *next, **at;

		for (; d != NULL; d = next) {
			next = d->next;
			at = bucket_of(t,
				       hash_type(d->type.size, d->type.layout, d->stride, d->flex));
			d->next = *at;
			*at = d;
		}
	}
	free(old.buckets);
	return true;
}

static struct sm_typedesc *find_locked(struct sm_type_table *t, const struct sm_typedesc *like,
				       uint32_t hash)
{
	struct sm_typedesc *d = t->nbuckets ? *bucket_of(t, hash) : NULL;

	while (d != NULL &&
	       (d->type.size != like->type.size || d->type.layout != like->type.layout ||
		d->stride != like->stride || d->flex != like->flex))
		d = d->next;
	return d;
}

static struct sm_typedesc *add_locked(struct sm_type_table *t, const struct sm_typedesc *like,
				      uint32_t hash)
{
	struct sm_typedesc *d, **at;

	if (t->n >= t->nbuckets && !grow_table_locked(t))
		return NULL;
	d = calloc(1, like->flex ? sizeof(struct sm_flexdesc) : sizeof(*d));
	if (d == NULL)
		return NULL;
	memcpy(d, like, sizeof(*d));
	if (d->flex)
		sm_store_relaxed(&((struct sm_flexdesc *)d)->bins, &no_bins);
	at = bucket_of(t, hash);
	d->next = *at;
	*at = d;
	t->n++;
	return d;
}

/* Where single objects of it go: a bin for good, or a shape that may earn one. False: no memory. */
static bool find_place(struct sm_gc *gc, struct sm_typedesc *d)
{
	unsigned cls;

	if (d->type.size > SM_MAX_SMALL)
		return true;
	cls = sm__type_class(d->type.size);
	if (d->type.layout->kind == SM_SCAN_NONE) {
		d->type.bin = cls;
		return true;
	}
	d->shape = sm__heap_shape(gc->heap, d->type.layout, cls);
	return d->shape != NULL;
}

static const struct sm_type *intern(struct sm_gc *gc, size_t size, const struct sm_layout *layout,
				    size_t stride, bool flex)
{
	struct sm_typedesc like = {.type = {.size = (uint32_t)size, .layout = layout},
				   .stride = (uint32_t)stride,
				   .flex = flex};
	uint32_t hash = hash_type(size, layout, stride, flex);
	struct sm_typedesc *d;

	if (layout == NULL || !find_place(gc, &like))
		return NULL;
	if (flex)
		sm_store_relaxed(&like.array, layout);
	sm_store_relaxed(&like.bins, &no_bins);
	sm_lock_acquire(&gc->types_lock);
	d = find_locked(&gc->types, &like, hash);
	if (d == NULL)
		d = add_locked(&gc->types, &like, hash);
	sm_lock_release(&gc->types_lock);
	if (d == NULL)
		errno = ENOMEM;
	return d ? &d->type : NULL;
}

void sm__types_fini(struct sm_gc *gc)
{
	struct sm_type_table *t = &gc->types;

	for (uint32_t i = 0; i < t->nbuckets; i++) {
		struct sm_typedesc *d = t->buckets[i], *next;

		for (; d != NULL; d = next) {
			sm_type_bins *bins = sm_load_relaxed(&d->bins);

			if (d->flex)
				bins = sm_load_relaxed(&((struct sm_flexdesc *)d)->bins);
			if (bins != &no_bins)
				free(bins);
			next = d->next;
			free(d);
		}
	}
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

/* ---- descriptions ------------------------------------------------------------------------- */

static bool too_long(size_t size)
{
	if (size <= SIZE_LIMIT)
		return false;
	errno = EOVERFLOW;
	return true;
}

/* A copy of a bitmap of `words` bits, nothing set behind them; of none: all clear. *small is used
 * where it is enough. */
static uint64_t *copy_bits(const uint64_t *bitmap, size_t words, uint64_t *small)
{
	size_t entries = (words + 63) / 64;
	uint64_t *bits = small;

	*small = 0;
	if (entries > 1 && (bits = calloc(entries, sizeof(*bits))) == NULL)
		return NULL;
	if (entries && bitmap)
		memcpy(bits, bitmap, entries * sizeof(*bits));
	if (words % 64)
		bits[entries - 1] &= ((uint64_t)1 << words % 64) - 1;
	return bits;
}

static void drop_bits(uint64_t *bits, const uint64_t *small)
{
	if (bits != small)
		free(bits);
}

const struct sm_type *sm_type_bitmap(struct sm_gc *gc, size_t size, const uint64_t *bitmap)
{
	size_t words = size / WORD;
	const struct sm_layout *l;
	uint64_t small, *bits;

	if (too_long(size) || (bits = copy_bits(bitmap, words, &small)) == NULL)
		return NULL;
	l = layout_of(gc, bits, words ? words : 1, false);
	drop_bits(bits, &small);
	return intern(gc, size, l, l && l->kind == SM_SCAN_NONE ? size : sm_align_up(size, WORD),
		      false);
}

const struct sm_type *sm_type_prefix(struct sm_gc *gc, size_t size, size_t nptrs)
{
	const struct sm_layout prefix = {.kind = nptrs ? SM_SCAN_PREFIX : SM_SCAN_NONE,
					 .period = 1,
					 .nptrs = (uint32_t)nptrs};

	if (nptrs > size / WORD) {
		errno = EINVAL;
		return NULL;
	}
	if (too_long(size))
		return NULL;
	return intern(gc, size, sm__heap_layout(gc->heap, &prefix),
		      nptrs ? sm_align_up(size, WORD) : size, false);
}

const struct sm_type *sm_type_pointers(struct sm_gc *gc, size_t nwords)
{
	const struct sm_layout all = {.kind = SM_SCAN_ALL, .period = 1, .nptrs = 1};

	if (nwords > SIZE_LIMIT / WORD) {
		errno = EOVERFLOW;
		return NULL;
	}
	return intern(gc, nwords * WORD, sm__heap_layout(gc->heap, &all), nwords * WORD, false);
}

const struct sm_type *sm_type_conservative(struct sm_gc *gc, size_t size)
{
	const struct sm_layout any = {.kind = SM_SCAN_CONSERVATIVE, .period = 1, .nptrs = 1};

	if (too_long(size))
		return NULL;
	/* Before there is an object of it: a thread that gets hold of one sees this, too. */
	sm_store_release(&gc->doubtful, 1);
	return intern(gc, size, sm__heap_layout(gc->heap, &any), sm_align_up(size, WORD), false);
}

const struct sm_type *sm_type_unmovable(struct sm_gc *gc, const struct sm_type *type)
{
	const struct sm_typedesc *t = (const struct sm_typedesc *)type;
	const struct sm_layout *l = type ? fixed_of(gc, type->layout) : NULL;

	return l ? intern(gc, type->size, l, t->stride, t->flex) : NULL;
}

/* A pattern as a half of a FLEX layout has it: NONE, MASK or BITMAP. */
static const struct sm_layout *half_of(struct sm_gc *gc, const uint64_t *bits, size_t words)
{
	struct sm_layout l = {.kind = words <= 64 ? SM_SCAN_MASK : SM_SCAN_BITMAP,
			      .period = (uint32_t)words};

	for (size_t i = 0; i < (words + 63) / 64; i++)
		l.nptrs += (uint32_t)__builtin_popcountll(bits[i]);
	if (l.nptrs == 0)
		l = (struct sm_layout){.kind = SM_SCAN_NONE, .period = 1};
	else if (l.kind == SM_SCAN_MASK)
		l.mask = bits[0];
	else
		l.bits = bits;
	return sm__heap_layout(gc->heap, &l);
}

/* The cheapest layout for a header and elements. The one or the other alone, where that says it
 * all. */
static const struct sm_layout *flex_layout(struct sm_gc *gc, const uint64_t *head,
					   size_t head_words, const uint64_t *element,
					   size_t element_words)
{
	struct sm_layout l = {.kind = SM_SCAN_FLEX, .period = (uint32_t)head_words, .nptrs = 1};
	const struct sm_layout *alone = layout_of(gc, head, head_words ? head_words : 1, false);

	l.head = half_of(gc, head, head_words);
	l.element = half_of(gc, element, element_words);
	if (alone == NULL || l.head == NULL || l.element == NULL)
		return NULL;
	if (l.element->kind == SM_SCAN_NONE &&
	    (alone->kind == SM_SCAN_NONE || alone->kind == SM_SCAN_PREFIX))
		return alone;
	if (head_words == 0)
		return layout_of(gc, element, element_words, true);
	return sm__heap_layout(gc->heap, &l);
}

const struct sm_type *sm_type_flex(struct sm_gc *gc, size_t header, const uint64_t *header_bits,
				   size_t element, const uint64_t *element_bits)
{
	const struct sm_layout *l = NULL;
	uint64_t head_small, element_small, *head, *elements;
	bool pointers = false;

	if (too_long(header) || too_long(element))
		return NULL;
	head = copy_bits(header_bits, header / WORD, &head_small);
	elements = copy_bits(element_bits, element / WORD, &element_small);
	for (size_t i = 0; elements && i < (element / WORD + 63) / 64; i++)
		pointers = pointers || elements[i] != 0;
	if (element == 0 || (pointers && (header % WORD != 0 || element % WORD != 0)))
		errno = EINVAL;
	else if (head != NULL && elements != NULL)
		l = flex_layout(gc, head, header / WORD, elements, element / WORD);
	drop_bits(head, &head_small);
	drop_bits(elements, &element_small);
	return l ? intern(gc, header, l, element, true) : NULL;
}

/* ---- arrays ------------------------------------------------------------------------------- */

/* The pattern of t's single objects, one after the other. A tail that is no whole word has no
 * pointer. */
static const struct sm_layout *make_array(struct sm_gc *gc, const struct sm_typedesc *t)
{
	const struct sm_layout *single = t->type.layout, *l;
	size_t words = t->type.size / WORD, all = t->stride / WORD;
	uint64_t *bits;

	if (single->kind != SM_SCAN_PREFIX && single->kind != SM_SCAN_MASK &&
	    single->kind != SM_SCAN_BITMAP)
		return single;
	bits = calloc((all + 63) / 64, sizeof(*bits));
	if (bits == NULL)
		return NULL;
	for (size_t i = 0; i < words; i += 64)
		bits[i / 64] = sm__layout_bits(single, i, words - i < 64 ? words - i : 64);
	l = layout_of(gc, bits, all, true);
	if (single->fixed)
		l = fixed_of(gc, l);
	free(bits);
	return l;
}

const struct sm_layout *sm__type_array(struct sm_gc *gc, struct sm_typedesc *t)
{
	const struct sm_layout *l = sm_load_acquire(&t->array);

	if (SM_UNLIKELY(l == NULL)) {
		/* Another thread that makes it now makes the same. */
		l = make_array(gc, t);
		sm_store_release(&t->array, l);
	}
	return l;
}

void sm__type_note_bin(struct sm_gc *gc, _Atomic(sm_type_bins *) *bins, unsigned cls, unsigned bin)
{
	sm_type_bins *table;

	sm_lock_acquire(&gc->types_lock);
	table = sm_load_relaxed(bins);
	if (table == &no_bins && (table = calloc(1, sizeof(*table))) == NULL)
		table = &no_bins;
	if (table != &no_bins) {
		/* Release: as type->bin, see typedesc.h. */
		sm_store_release(&(*table)[cls], (uint16_t)bin);
		sm_store_release(bins, table);
	}
	sm_lock_release(&gc->types_lock);
}

/* ---- rare and common ---------------------------------------------------------------------- */

static size_t span_bytes(unsigned cls)
{
	return (size_t)sm__sizeclasses[cls].nunits << SM_UNIT_SHIFT;
}

static bool is_common(struct sm_gc *gc, struct sm_shape *s, unsigned cls)
{
	size_t n = sm__shape_count(gc->heap, s, sm__sizeclasses[cls].slot_bytes),
	       span = span_bytes(cls), live, caches;

	if (SM_LIKELY(n < SM_COMMON_SPANS * span))
		return false;
	caches = sm_load_relaxed(&gc->heap->ncaches);
	live = sm_load_relaxed(&gc->heap->allocated_bytes) + sm_load_relaxed(&gc->throttle.live);
	return n >= SM_COMMON_SPANS * span * caches ||
	       (sm_load_relaxed(&gc->promised) + span) * caches <= live / PROMISED_PART;
}

/* Mixed and conservative spans, and those of each that hold what never moves. */
#define BINS_KEPT 4

/* A bin for the shape. 0: there are none left but those kept for what cannot do without, mixed and
 * conservative spans. */
static SM_COLD unsigned promote(struct sm_gc *gc, struct sm_shape *s, const struct sm_layout *l,
				unsigned cls)
{
	struct sm_heap *h = gc->heap;
	int bin;

	sm_lock_acquire(&gc->types_lock);
	bin = sm_load_relaxed(&s->bin);
	if (bin == 0 && (l->kind == SM_SCAN_CONSERVATIVE ||
			 sm_load_relaxed(&h->nbins) + BINS_KEPT * sm__nclasses < SM_BINS_MAX)) {
		bin = sm__heap_bin(h, cls, l, true);
		SM_CHECK(bin > 0);
		sm_store_relaxed(&gc->promised, sm_load_relaxed(&gc->promised) + span_bytes(cls));
		sm_store_release(&s->bin, (uint16_t)bin);
	}
	sm_lock_release(&gc->types_lock);
	return (unsigned)bin;
}

unsigned sm__shape_bin(struct sm_gc *gc, struct sm_shape *s, const struct sm_layout *l)
{
	unsigned bin = sm_load_acquire(&s->bin), cls = sm_load_relaxed(&s->cls);

	if (bin != 0)
		return bin;
	if (SM_LIKELY(l->kind != SM_SCAN_CONSERVATIVE && (l->fixed || !is_common(gc, s, cls))))
		return 0;
	return promote(gc, s, l, cls);
}
