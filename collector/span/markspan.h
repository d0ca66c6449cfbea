/*
 * markspan.h: marking by span (gc.mark=spans): what waits to be scanned are units of memory, not
 * objects. markspan.c says how and why it is right.
 */
#ifndef SM_COLLECTOR_MARKSPAN_H
#define SM_COLLECTOR_MARKSPAN_H

#include "allocator/base/sizeclass.h"
#include "allocator/objects/markmap.h"
#include "collector/mark/mark.h"
#include "collector/span/scankernel.h"

/* Objects of at most so many bytes, whose pointers lie at their front, are marked by span. */
#define SM_BY_SPAN_BYTES    512u
#define SM_BY_SPAN_POINTERS (SM_BY_SPAN_BYTES / sizeof(uintptr_t))
/* Words of all objects that start in a unit, at most. */
#define SM_BY_SPAN_WORDS (SM_UNIT / sizeof(uintptr_t) + SM_BY_SPAN_POINTERS)
/* As many as start in a unit, and those that waited before; what is written in vain behind them. */
#define SM_SPAN_OBJECTS (SM_UNIT / 16 + 256)
#define SM_SPAN_SLACK	64u
/* Spans that are asked for before they are claimed (gc.span_ahead), at most. */
#define SM_SPAN_AHEAD_MAX 16

/* A unit's byte: nothing waits; or it waits, with one object marked, or perhaps with more. */
enum sm_owned { SM_UNOWNED, SM_OWNED_ONE, SM_OWNED_MANY = 3 };

/* Of a collector; fixed after creation but for `on`. */
struct sm_by_span {
	bool made;	       /* the tables are there: gc.mark is not objects */
	_Atomic(uint32_t) on;  /* this cycle marks by span; written while the door is shut */
	unsigned ahead, dense; /* gc.span_ahead; gc.dense, per cent of a unit's slots */
	const struct sm_scan_kernel *kernel;
	_Atomic(uint8_t) *owned; /* enum sm_owned, [unit] */
	size_t owned_bytes;
};

/* What waited in a unit at its turn. */
struct sm_claim {
	uintptr_t unit; /* its address */
	uint32_t kind;
	bool any;
	bool alone; /* it is the one that was known to be marked */
	unsigned n; /* objects in todo, when they have been counted */
	uint64_t todo[SM_UNIT_MARK_WORDS];
};

/* Of a marker. Spans wait in packets of their own, which are taken first in, first out. */
struct sm_span_marker {
	struct sm_packet *taking; /* from entry[taken]; NULL: none */
	uint32_t taken;
	struct sm_packet *kept, **kept_end; /* full ones while the marker keeps, oldest first */
	uintptr_t ring[SM_SPAN_AHEAD_MAX];  /* asked for, to be claimed next */
	unsigned head, tail;
	struct sm_span_counts n;
	/* claimed to be scanned one by one, oldest first: [first, last). The lines of those before
	 * `asked` were asked for, and before `looked` the mark words of their edges */
	uintptr_t object[SM_SPAN_OBJECTS + SM_SPAN_SLACK];
	unsigned first, last, asked, looked;
	uint32_t kind;	       /* of all of them; 0: they differ */
	struct sm_claim dense; /* claimed for the kernel, its lines asked for; n is 0: none */
	/* of objects that are scanned, until they are marked; of those that are not marked by span,
	 * so many at a time */
	uintptr_t edge[SM_BY_SPAN_WORDS + SM_KERNEL_SLACK];
	unsigned gathered;
	struct sm_packet *filling[]; /* [node] */
};

/* -ENOMEM, or -EINVAL, with the reason: no such kernel here. */
int sm__by_span_init(struct sm_gc *gc, char *err, size_t errlen);
void sm__by_span_fini(struct sm_gc *gc);
/* Adds what k counted to *to, and clears it; nothing with gc.mark=objects. */
void sm__span_counts_take(struct sm_span_counts *to, struct sm_marker *k);
void sm__span_counts_add(struct sm_span_counts *to, struct sm_span_counts *from);
/* A marker's part; NULL: no memory. */
struct sm_span_marker *sm__span_marker_new(unsigned nnodes);

/* Is an object of this kind (markmap.h) marked by span? */
SM_INLINE bool sm__kind_by_span(uint32_t kind)
{
	return (kind & SM_KIND_POINTERS) - 1 < SM_BY_SPAN_POINTERS &&
	       kind >> SM_KIND_BYTES_SHIFT <= SM_BY_SPAN_BYTES;
}

/* p, of such a kind, has just been marked by the caller: its unit will be scanned. */
void sm__span_post(struct sm_marker *k, uintptr_t p);
/* Nothing of p is to be scanned by span: it was marked, and goes another way. */
void sm__span_settled(struct sm_marker *k, uintptr_t p);
/* An entry to be claimed, from here or from the queues; 0: there is none. */
uintptr_t sm__span_next(struct sm_marker *k);
/* What waits in the entry's unit, some objects more than `most` perhaps; the rest waits on. Their
 * bytes are to be counted by the caller. False: others have it all. */
bool sm__span_claim(struct sm_marker *k, uintptr_t entry, unsigned most, struct sm_claim *c);
/* How many objects it has. */
unsigned sm__claim_count(const struct sm_claim *c);
/* Bits of todo that were not in scans; now they are. Plain: no other thread marks. */
SM_INLINE uint64_t sm__claim_word(_Atomic(uint64_t) *scans, uint64_t todo, bool plain)
{
	uint64_t old = sm_load_relaxed(scans);

	todo &= ~old;
	if (todo == 0)
		return 0;
	if (plain) {
		sm_store_relaxed(scans, old | todo);
		return todo;
	}
	return todo & ~sm_fetch_or_relaxed(scans, todo);
}

/* p, just marked by the caller, is to be scanned by it; false: another has claimed it. */
SM_INLINE bool sm__span_claim_one(const struct sm_range *r, uintptr_t p, bool plain)
{
	return sm__claim_word(sm_scan_word(r, p), sm_mark_mask(r, p), plain) != 0;
}

/* The address of an object of a unit: bit i of word w. */
SM_INLINE uintptr_t sm__span_object(uintptr_t unit, unsigned slot_bytes, unsigned w, unsigned i)
{
	uintptr_t p = unit + ((uintptr_t)w << SM_MARK_WORD_SHIFT) + ((uintptr_t)i << SM_MARK_SHIFT);

	return slot_bytes == SM_SHIFTED_SLOT ? p + (sm__shifted_starts(w) >> i & 1) * 8 : p;
}
/* All that waits here goes to the queues, empty packets go back. */
void sm__span_give(struct sm_marker *k);
/* Others have nothing to do: they get what was filled here. */
void sm__span_share(struct sm_marker *k);
/* As sm__marker_abandon. */
void sm__span_abandon(struct sm_marker *k);
/* Does the marker hold nothing? */
bool sm__span_idle(const struct sm_marker *k);

/* sm__mark_drain, by span. */
void sm__mark_drain_spans(struct sm_marker *k, uint64_t until);
/* .. and a unit's turn for sm__mark_trace: fn is told of each of its objects. False: none waits. */
bool sm__mark_trace_span(struct sm_marker *k,
			 void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx);
/* .. what it does about objects that wait as such. */
void sm__mark_drain_objects(struct sm_marker *k, uint64_t until);

/* Marking is over: units in which something waits, or is marked and was not scanned: 0, but by a
 * fault. */
size_t sm__by_span_left(struct sm_gc *gc);

#endif
