/*
 * markmap.h: the mark bits of a collected heap: one bitmap, by address alone.
 *
 *   bit of the object that starts at p:  marks[off >> 10] >> (off >> 4 & 63) & 1,   off = p - base
 *
 * One bit for every 16 bytes of the range, 1/128 of what is in use; an object's is that of its
 * first byte, and since no slot of a collected heap is smaller than 16 bytes, no two share one. So
 * an edge needs neither the descriptor of its target nor the target's class: a subtraction, a shift
 * and one word, whose line covers 8 KiB of heap. With bits in the descriptors an edge costs a line
 * that covers one unit, and five instructions and two loads more (tests/bench/bench_markbits: 58
 * against 47 million objects a second on a graph that no cache holds).
 *
 * What the loop must know of an object when it takes it from the stack it finds by unit: unit_kind,
 * a table of one byte a unit (the first cache holds that of 512 MiB), and a small table of kinds.
 * Kind 0: no small objects lie there, or such as need a look at the descriptor.
 *
 * Who writes. Markers and mutators set bits with read-modify-writes, since a word belongs to many
 * objects (one marker alone, with the world stopped, with plain stores). The sweeper of a span
 * reads and clears the span's words when no thread marks. A word covers 1 KiB and a unit is a
 * multiple of that: no two spans share one. Free units' words are zero: the sweep clears a span's
 * before it goes (no span goes back but by the sweep while a thread marks: cycle.c), and what a
 * wild pointer sets, the marker that finds out takes back (scan_internal.h).
 *
 * A heap that may be marked by span (gc.mark) has a second map of the same shape, scans: what is
 * marked and needs no scan, or has a thread that scans it (collector/span/markspan.c). It is
 * written beside the first: a run that is set is so in scans first, so that a marker that sees the
 * mark (acquire) sees that there is nothing to scan; and the two are cleared together.
 *
 * unit_kind is written by the thread that makes or frees the span, before the state is stored with
 * release, or after it has left its list; read, without order of their own, by those who have a
 * pointer to an object of the span, which was published after it (on ARM64 by the address
 * dependency through the pointer).
 */
#ifndef SM_ALLOCATOR_MARKMAP_H
#define SM_ALLOCATOR_MARKMAP_H

#include "allocator/objects/layout.h"
#include "allocator/pages/span.h"

struct sm_heap;

/*
 * A kind: the slot's bytes, and the number of pointers at the front of each object, if they are
 * there and nowhere else. Where every word is one, that is all of the slot.
 */
#define SM_KIND_POINTERS     0xffffu
#define SM_KIND_POINTER_FREE 0xffffu /* instead of a number */
#define SM_KIND_BYTES_SHIFT  16

#define SM_MARK_SHIFT	     4 /* a bit for 16 bytes */
#define SM_MARK_WORD_SHIFT   (SM_MARK_SHIFT + 6)
#define SM_UNIT_MARK_WORDS   (SM_UNIT >> SM_MARK_WORD_SHIFT)
/* Slots of a span at most, and their words. */
#define SM_MARK_SLOTS_WORDS (SM_UNIT / 8 / 64)

/* The kind of small objects of a class and layout, made on first use; 0: none. Under the heap's
 * bins_lock. */
unsigned sm__markmap_kind(struct sm_heap *h, size_t slot_bytes, const struct sm_layout *layout);

/* Makes the tables. Before the first span, and before h->pages.range is copied. -ENOMEM. */
int sm__markmap_create(struct sm_heap *h);
/* Then the second map, for marking by span. -ENOMEM. */
int sm__markmap_add_scans(struct sm_heap *h);
void sm__markmap_destroy(struct sm_heap *h);

/*
 * Touches the map's pages for all memory that the arenas have reached. The collector's control
 * thread calls it before each cycle, so that no mutator has to: a huge page of the map (256 MiB of
 * heap) takes 0.15 ms to come, in a handshake.
 */
void sm__markmap_touch(struct sm_heap *h);

SM_INLINE _Atomic(uint64_t) *sm_mark_word(const struct sm_range *r, uintptr_t p)
{
	return &r->marks[(p - r->base) >> SM_MARK_WORD_SHIFT];
}

SM_INLINE _Atomic(uint64_t) *sm_scan_word(const struct sm_range *r, uintptr_t p)
{
	return &r->scans[(p - r->base) >> SM_MARK_WORD_SHIFT];
}

SM_INLINE uint64_t sm_mark_mask(const struct sm_range *r, uintptr_t p)
{
	return UINT64_C(1) << ((p - r->base) >> SM_MARK_SHIFT & 63);
}

/* p: the start of an object. */
SM_INLINE bool sm_mark_test(const struct sm_range *r, uintptr_t p)
{
	return (sm_load_relaxed(sm_mark_word(r, p)) & sm_mark_mask(r, p)) != 0;
}

/* Sets or clears the bits of the slots [first, first + count) of s. Atomic; s is large: its one
 * bit. */
void sm__marks_set_run(const struct sm_range *r, const struct sm_span *s, unsigned first,
		       unsigned count);
void sm__marks_clear_run(const struct sm_range *r, const struct sm_span *s, unsigned first,
			 unsigned count);

/* The bits of all slots of s, slot i in bit i, into (nslots + 63) / 64 words. False: none is set.
 */
bool sm__marks_gather(const struct sm_range *r, const struct sm_span *s, uint64_t *out);
/* All bits in the span's memory, of slots or not. Precondition: no thread marks. */
void sm__marks_clear(const struct sm_range *r, const struct sm_span *s);

/* Tells fn of all runs of units [from, end) that the heap has reached, under the lock of each
 * node's pages. */
void sm__markmap_reached(struct sm_heap *h, void (*fn)(void *ctx, size_t from, size_t end),
			 void *ctx);
/* How many units that belong to no span have a bit set, and the first of them: none, but by a
 * fault. For the verifier. */
size_t sm__marks_on_free_units(struct sm_heap *h, uintptr_t *first);

/* The words of s's memory. By the unit, not by the address: left on a mutator's stack, that would
 * be a pointer to the span's first object. */
SM_INLINE _Atomic(uint64_t) *sm__marks_of(const struct sm_range *r, const struct sm_span *s)
{
	return &r->marks[(size_t)sm_span_unit(r, s) << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT)];
}

SM_INLINE _Atomic(uint64_t) *sm__scans_of(const struct sm_range *r, const struct sm_span *s)
{
	return &r->scans[(size_t)sm_span_unit(r, s) << (SM_UNIT_SHIFT - SM_MARK_WORD_SHIFT)];
}

/*
 * Asks for the words of a span's first unit, to write them: two lines that a marker wrote last, on
 * another core. Read first and then written they would be waited for twice. In a function of its
 * own that does nothing else, gcc drops the call.
 */
SM_INLINE void sm__marks_prefetch(const struct sm_range *r, const struct sm_span *s)
{
	const char *words = (const char *)sm__marks_of(r, s);

	for (size_t at = 0; at < SM_UNIT >> (SM_MARK_SHIFT + 3); at += SM_CACHELINE)
		SM_PREFETCH_W(words + at);
}

#endif
