/*
 * typedesc.c: from a description of an object to its layout and its window index.
 *
 * Descriptions that mean the same give the same type. A type's slot may be longer than its objects; what
 * lies behind an object is zero (windows with pointers are zeroed), so a pattern may run on to the end of
 * the slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/gc_priv.h"
#include "collector/typedesc.h"

/* Words of the longest single object whose pattern a layout can hold: it is a bitmap of a bit a word. */
#define WORD sizeof(uintptr_t)

/* Bit i of a pattern of 64-word masks. */
static bool bit(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* The cheapest layout for a pattern of `words` words, repeated or not. */
static const struct sm_layout *layout_of(struct sm_gc *gc, const uint64_t *bits, size_t words, bool repeats)
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

static bool zeroed(const struct sm_layout *l)
{
	return l->kind != SM_SCAN_NONE;
}

/* No slot is smaller than what a mark bit stands for. */
static unsigned class_of(size_t size)
{
	return sm_size_class(size < 16 ? 16 : size);
}

/* Window index of objects of `size` bytes; 0: large; -ENOSPC. */
static int bin_of(struct sm_gc *gc, size_t size, const struct sm_layout *l)
{
	if (size > SM_MAX_SMALL)
		return 0;
	return sm__heap_bin(gc->heap, class_of(size), l, zeroed(l));
}

static const struct sm_type *intern(struct sm_gc *gc, size_t size, const struct sm_layout *single,
				    const struct sm_layout *array, size_t stride)
{
	struct sm_typedesc *t;
	int bin;

	if (single == NULL || array == NULL)
		return NULL;
	bin = bin_of(gc, size, single);
	if (bin < 0 || size > UINT32_MAX) {
		errno = bin < 0 ? -bin : EOVERFLOW;
		return NULL;
	}
	sm_lock_acquire(&gc->types_lock);
	for (t = gc->types; t; t = t->next) {
		if (t->type.size == size && t->type.layout == single && t->array == array)
			break;
	}
	if (t == NULL && (t = calloc(1, sizeof(*t))) != NULL) {
		t->type = (struct sm_type){.bin = (uint32_t)bin, .size = (uint32_t)size, .layout = single};
		t->gc = gc;
		t->array = array;
		t->stride = stride;
		t->next = gc->types;
		gc->types = t;
	}
	sm_lock_release(&gc->types_lock);
	if (t == NULL)
		errno = ENOMEM;
	return t ? &t->type : NULL;
}

const struct sm_type *sm_type_bitmap(struct sm_gc *gc, size_t size, const uint64_t *bitmap)
{
	size_t words = size / WORD, entries = (words + 63) / 64, stride = sm_align_up(size, WORD);
	const struct sm_layout *single, *array;
	uint64_t small = 0, *bits = &small;

	if (entries > 1 && (bits = calloc(entries, sizeof(*bits))) == NULL)
		return NULL;
	/* A copy without the bits behind the last whole word. */
	if (entries)
		memcpy(bits, bitmap, entries * sizeof(*bits));
	if (words % 64)
		bits[entries - 1] &= ((uint64_t)1 << words % 64) - 1;
	single = layout_of(gc, bits, words ? words : 1, false);
	/* In an array the tail of an element that is no whole word is a word without a pointer. */
	array = stride / WORD == words ? layout_of(gc, bits, words, true) : NULL;
	if (array == NULL && single && single->kind == SM_SCAN_NONE) {
		array = single;
		stride = size;
	} else if (array == NULL && stride / WORD != words) {
		uint64_t *longer = calloc(stride / WORD / 64 + 1, sizeof(*longer));

		if (longer) {
			memcpy(longer, bits, entries * sizeof(*bits));
			array = layout_of(gc, longer, stride / WORD, true);
			free(longer);
		}
	}
	if (bits != &small)
		free(bits);
	return intern(gc, size, single, array, stride);
}

const struct sm_type *sm_type_prefix(struct sm_gc *gc, size_t size, size_t nptrs)
{
	size_t entries = (size / WORD + 63) / 64;
	uint64_t small = 0, *bits = &small;
	const struct sm_type *t;

	if (nptrs > size / WORD) {
		errno = EINVAL;
		return NULL;
	}
	if (entries > 1 && (bits = calloc(entries, sizeof(*bits))) == NULL)
		return NULL;
	for (size_t i = 0; i < nptrs; i++)
		bits[i / 64] |= (uint64_t)1 << (i % 64);
	t = sm_type_bitmap(gc, size, bits);
	if (bits != &small)
		free(bits);
	return t;
}

const struct sm_type *sm_type_pointers(struct sm_gc *gc, size_t nwords)
{
	const struct sm_layout all = {.kind = SM_SCAN_ALL, .period = 1, .nptrs = 1};
	const struct sm_layout *l;

	if (nwords > UINT32_MAX / WORD) {
		errno = EOVERFLOW;
		return NULL;
	}
	l = sm__heap_layout(gc->heap, &all);
	return intern(gc, nwords * WORD, l, l, nwords * WORD);
}

const struct sm_type *sm_type_conservative(struct sm_gc *gc, size_t size)
{
	const struct sm_layout any = {.kind = SM_SCAN_CONSERVATIVE, .period = 1, .nptrs = 1};
	const struct sm_layout *l = sm__heap_layout(gc->heap, &any);

	return intern(gc, size, l, l, sm_align_up(size, WORD));
}

void sm__types_fini(struct sm_gc *gc)
{
	while (gc->types) {
		struct sm_typedesc *t = gc->types;

		gc->types = t->next;
		free(t);
	}
}

int sm__type_array_bin(struct sm_typedesc *t, size_t bytes)
{
	unsigned cls = class_of(bytes);
	int bin = sm_load_relaxed(&t->bin[cls]);

	if (bin)
		return bin;
	bin = bin_of(t->gc, bytes, t->array);
	if (bin > 0)
		sm_store_relaxed(&t->bin[cls], (uint16_t)bin);
	return bin;
}
