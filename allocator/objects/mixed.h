/*
 * mixed.h: spans of mixed layouts, where the objects of rare types live, so that any number of
 * types costs no span each.
 *
 * A type whose layout has pointers begins here: with its first objects it shares the spans of its
 * size class with whatever else is rare. Each such span has a bitmap beside it, one bit for each
 * word: set, the word is a pointer. So the mark loop needs no layout for these objects, and a span
 * holds a layout per slot for 1/64 of its size (an index a slot would be a quarter of the size of
 * 16-byte slots, and a cache miss for the layout of a type that is rare). A shape (shape.h) that
 * proves common gets a bin, hence spans of its own: collector/types/typedesc.c decides. What lives
 * in mixed spans stays in such: compaction keeps an object's bin.
 *
 * How a request travels: sm_new finds window 0, which is always empty (a rare type's bin is 0) ->
 *   sm__cache_mixed -> bump the cache's window of the class's mixed bin -> (empty)
 *   sm__cache_refill_slow: a run of few slots, and the span goes back to the central list at once,
 *   where the next cache takes its run from it. So 64 threads that allocate one object of a class
 *   hold one span, not 64. What a cache has left of such a run when its windows are retired it
 *   forgets: the slots are like objects that no pointer leads to, and the next sweep frees them.
 *   The slot behind an object is soon another thread's, and its address left on a stack would keep
 *   that thread's object; so a run's bounds are offsets from the heap's base, which are no
 *   addresses. -> the object's bits are written, the last thing before the caller has the object.
 *
 * Who writes the bitmap, and when it may be read.
 *   Written by the thread that allocates the object, and by it alone, for the object's words alone;
 *   but a word of the bitmap covers 512 bytes, so the next slot's bits may be another thread's:
 *   hence one atomic exclusive or of what differs. (No other thread changes the slot's bits, so the
 *   difference that was read is the difference.) It needs no write at all where the slot held an
 *   object of the same pattern. Bits are not cleared when an object dies: those of a slot that is
 *   free, or lies in a run, mean nothing. Read by a marker that scans the object, relaxed. It has
 *   the object
 *   - from a word of another object, a root or a barrier's entry: the thread that put it there
 *     stored it with release (sm_store) after the bits were written, and the address of the
 *     bitmap's word depends on the pointer (through the span's descriptor, which is older): on
 *     ARM64 dependent loads are in order, so the bits are seen. The same argument as for unit_kind
 *     in markmap.h;
 *   - from its own thread's stack or from its thread's registers: scanned at a handshake, by its
 *     own thread or by a proxy that took the mutator over with acquire, and no safepoint lies
 *     between taking the slot and writing its bits;
 *   - from a stale word anywhere, conservatively: the slot is free (ignored), or has its mark bit
 *     already because it is in a run or was allocated while marking (both black): it is never
 *     scanned; or it is an older object.
 *   - by its mark bit, on the overflow path: that scans black slots too, also those whose owner is
 *     at this very moment writing words and bits. Whichever bits it sees, it takes the words for
 *     what a conservative scan would.
 *
 * Objects that never move (layout.fixed) have mixed spans of their own, whatever their type, so
 * that compaction need not look at them one by one; no shape of theirs is promoted.
 *
 * Conservative types are not mixed: "may be a pointer" is no bit. They have bins, one for each
 * class that they use.
 */
#ifndef SM_ALLOCATOR_MIXED_H
#define SM_ALLOCATOR_MIXED_H

#include "allocator/objects/shape.h"

/* Bytes of a run that a cache takes at a time; a slot at least. */
#ifdef SM_HOSTILE
#define SM_MIXED_RUN 64
#else
#define SM_MIXED_RUN SM_KIB
#endif

SM_INLINE uintptr_t sm__run_address(const struct sm_range *r, const char *offset)
{
	return r->base + (uintptr_t)offset;
}

/* A new object, zeroed, in a mixed span. shape: of the layout l. NULL with ENOMEM. May be a
 * safepoint. */
void *sm__cache_mixed(struct sm_cache *c, struct sm_shape *shape, const struct sm_layout *l);

/* Bytes of the shape allocated in mixed spans lately, `bytes` more included: each cycle halves what
 * was before it. */
size_t sm__shape_count(struct sm_heap *h, struct sm_shape *s, size_t bytes);

/* The bitmap of a span of this size class. */
size_t sm__mixed_bytes(const struct sm_span *s);

/* Writes the bits of the slot at p of s, all of them. */
void sm__mixed_write(const struct sm_range *r, struct sm_span *s, uintptr_t p,
		     const struct sm_layout *l);

#endif
