/*
 * mark_internal.h: what mark.c (packets, single words, stacks), scan_internal.h and markloop.c (the
 * loop) share: setting a mark bit and pushing, inline.
 */
#ifndef SM_COLLECTOR_MARK_INTERNAL_H
#define SM_COLLECTOR_MARK_INTERNAL_H

#include "allocator/objects/markmap.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mark/mark.h"

/*
 * How a word found in an object is taken; always a constant, so that each loop is compiled for its
 * own. PLAIN: this is the only marker there is, so setting a bit needs no read-modify-write.
 * CHECKED: the overflow path, which meets window slots whose owner is still zeroing them: words are
 * validated like conservative ones. TRACED: each object that gets its mark is queued, pointer-free
 * ones too: sm__mark_trace hands each to its caller. ARMED: slots are noted that point where
 * objects are about to leave (armed.h); CHECKED and TRACED do so, too. GATHERED: exact pointers
 * are not marked, but kept, to be marked many at a time (markspan_other.c); doubtful ones as with
 * ATOMIC.
 */
enum sm_how {
	SM_HOW_ATOMIC,
	SM_HOW_PLAIN,
	SM_HOW_GATHERED,
	SM_HOW_CHECKED,
	SM_HOW_TRACED,
	SM_HOW_ARMED
};

/* Every so many objects: others that have nothing to do get some. False: the budget is used up. */
bool sm__mark_look_up(struct sm_marker *k, uint64_t until);
/* Tells the assists how far marking is. */
void sm__mark_publish(struct sm_marker *k);
/* The slow ends of push: another packet, another node's packet or a span's. */
void sm__mark_push_slow(struct sm_marker *k, uintptr_t entry);
void sm__mark_push_special(struct sm_marker *k, uintptr_t entry);
/* Its span's marked objects will be scanned by the overflow path. */
void sm__mark_flag(struct sm_marker *k, struct sm_span *s);
/* A packet that was taken from a queue, that of node `from`. */
void sm__mark_count_packet(struct sm_marker *k, const struct sm_packet *p, unsigned from);
/* The packet being emptied is empty: what was filled is next, or another from the queues. False:
 * there is none. */
bool sm__mark_refill(struct sm_marker *k);
/* Others have nothing to do: they get half of what is here. */
void sm__mark_share(struct sm_marker *k);
/* entry, marked and counted, is nowhere in an object: its mark bit is taken back. */
void sm__mark_wild(struct sm_marker *k, uintptr_t entry);

/* sm__mark_drain without the ring; and of an armed cycle. */
void sm__mark_drain_direct(struct sm_marker *k, uint64_t until);
void sm__mark_drain_armed(struct sm_marker *k, uint64_t until);

/* What has been filled is emptied from here on, and the other way round. Precondition: nothing is
 * left to take. */
SM_INLINE void sm__mark_turn(struct sm_marker *k)
{
	struct sm_packet *empty = k->taking;

	k->taking = k->packet;
	k->take_first = k->first;
	k->take = k->next;
	k->packet = empty;
	k->first = k->next = empty ? empty->entry : NULL;
	k->limit = empty ? empty->entry + empty->cap : NULL;
}

SM_INLINE void sm__mark_push(struct sm_marker *k, uintptr_t entry)
{
	if (SM_UNLIKELY(k->special)) {
		sm__mark_push_special(k, entry);
		return;
	}
	if (SM_UNLIKELY(k->next == k->limit)) {
		sm__mark_push_slow(k, entry);
		return;
	}
	*k->next++ = entry;
}

/* The bit was clear a moment ago. True when the caller is the one that set it. */
SM_INLINE bool sm__mark_claim(_Atomic(uint64_t) *word, uint64_t i)
{
	uint64_t bit = (uint64_t)1 << (i % 64);

	return (sm_fetch_or_relaxed(word, bit) & bit) == 0;
}

/* The same, bit clear or not. */
SM_INLINE bool sm__mark_set(_Atomic(uint64_t) *word, uint64_t i, enum sm_how how)
{
	uint64_t bit = (uint64_t)1 << (i % 64), old = sm_load_relaxed(word);

	if (old & bit)
		return false;
	if (how == SM_HOW_PLAIN) {
		sm_store_relaxed(word, old | bit);
		return true;
	}
	return sm__mark_claim(word, i);
}

SM_INLINE bool sm__mark_is_set(const struct sm_marker *k, uintptr_t p)
{
	uintptr_t off = p - k->base;

	return sm_load_relaxed(&k->marks[off >> SM_MARK_WORD_SHIFT]) >>
		       (off >> SM_MARK_SHIFT & 63) &
	       1;
}

/* s holds objects, one of which starts at p. */
SM_INLINE void sm__mark_shade(struct sm_marker *k, struct sm_span *s, uintptr_t p, enum sm_how how)
{
	uintptr_t off = p - k->base;

	if (!sm__mark_set(&k->marks[off >> SM_MARK_WORD_SHIFT], off >> SM_MARK_SHIFT, how))
		return;
	k->n.objects++;
	/* What is queued counts its bytes when it is taken. */
	if (how == SM_HOW_TRACED || s->layout->kind != SM_SCAN_NONE)
		sm__mark_push(k, p);
	else
		k->n.bytes += s->slot_bytes ? s->slot_bytes : sm_span_bytes(s);
}

/*
 * A word of a stack, a register, or a conservative object: it may be anything. The start of the
 * object that it leads to, if that is not marked yet; otherwise 0. state is read with
 * acquire, so that an object span's fields are seen as they were filled in; no span leaves the
 * states SMALL and LARGE while marking is on (sweeping is over, and windows go back to lists, not
 * to the page heap). A slot whose alloc bit is clear is free: ignored. A slot in a window has its
 * mark bit set already (once all windows are black: gc->windows_black). So whatever is found is an
 * object.
 */
SM_INLINE uintptr_t sm__mark_resolve(const struct sm_marker *k, uintptr_t word, struct sm_span **in)
{
	uintptr_t off = word - k->base;
	struct sm_span *s;
	uint32_t slot;
	uint8_t state;

	if (off >= k->bytes)
		return 0;
	s = &k->spans[off >> SM_UNIT_SHIFT];
	/* Atomic, because the page heap may be handing these units out right now: what is found
	 * then is a span that is not in use, or one that does not reach so far (slot >= nslots
	 * below). */
	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return 0;
	off -= (uintptr_t)(s - k->spans) << SM_UNIT_SHIFT;
	slot = (uint32_t)((off * (uint64_t)s->recip) >> 32);
	if (slot >= s->nslots)
		return 0; /* the tail of the span, behind the last slot */
	word += (uintptr_t)slot * s->slot_bytes - off;
	/* Most are marked, and the alloc bits lie on a line of their own. */
	if (sm__mark_is_set(k, word))
		return 0;
	/* Acquire: a window's slots are marked before they are allocated (open_window). */
	if ((sm_load_acquire(&s->alloc[slot / 64]) >> (slot % 64) & 1) == 0)
		return 0;
	*in = s;
	return word;
}

SM_INLINE void sm__mark_word_conservative(struct sm_marker *k, uintptr_t word, enum sm_how how)
{
	struct sm_span *s;
	uintptr_t p = sm__mark_resolve(k, word, &s);

	if (p != 0)
		sm__mark_shade(k, s, p, how);
}

/*
 * The exact pointer p: NULL and addresses outside the heap are ignored (the base is not 0). No
 * state needs to be read: the pointer was published after the span was. A span without a layout is
 * not one of objects: a caller's mistake (a pointer to a stack, or to nothing), counted and
 * otherwise ignored.
 */
SM_INLINE void sm__mark_word_exact(struct sm_marker *k, uintptr_t p, enum sm_how how)
{
	uintptr_t off = p - k->base;
	struct sm_span *s;

	if (off >= k->bytes)
		return;
	s = &k->spans[off >> SM_UNIT_SHIFT];
	s -= s->back;
	if (SM_UNLIKELY(s->layout == NULL)) {
		k->n.wild++;
		return;
	}
	sm__mark_shade(k, s, p, how);
}

#endif
