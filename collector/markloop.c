/*
 * markloop.c: the mark loop.
 *
 *   pop an address -> prefetch its object -> [FIFO of gc.fifo entries] -> scan it: for every pointer word
 *     NULL and range compare -> descriptor -> slot -> mark bit set? -> set it -> pointer-free? -> push
 *
 * Entries are popped from one packet and pushed to another, and the two change places when the first is empty. Were
 * there one, the address of each pop would wait for the mark bits of all edges before it, since whether an edge was
 * pushed decides where the top is; so the processor could not look ahead from object to object.
 *
 * Half-way through the FIFO, when the object's line is there, its edges' descriptors are asked for too.
 *
 * What it touches per object: one line of the object itself, asked for a ring's length in advance, and for
 * each edge one line of the target's descriptor, which holds the mark bits too (spans of up to 256 slots).
 * The target's own line is not touched before it is popped. Descriptors are 1/128 of the heap's size
 * (64 B of every 16 KiB used), so that for a heap of 512 MiB they are 2 MiB and stay in the caches.
 *
 * The idea of a FIFO between the stack and the scan is Cher, Hosking and Vitek's ("Software prefetching
 * for mark-sweep garbage collection", 2004).
 *
 * Races. A mark bit is tested with a relaxed load and set with a relaxed read-modify-write: the bit only
 * elects who pushes the object. What orders the contents of the object is the pointer through which it was
 * found, stored with release (sm_store), read here with a dependent load. Object words are read with
 * relaxed atomic loads while mutators store to them; whichever value is seen, the barrier has recorded
 * the other one.
 *
 * An object in a window is black from the moment its mutator turned its barrier on, so no stale word can
 * make us scan memory that its owner is still setting up.
 */
#include "allocator/bitops.h"
#include "collector/mark_internal.h"

/* The loop looks up from its work this often, in objects: to share and to keep to its budget. */
#define LOOK_UP 128
/* This many objects before an object is scanned, its edges' descriptors are asked for. */
#define LOOK_AHEAD 8

/* ---- scanning one object ------------------------------------------------------------------------- */

SM_INLINE uintptr_t word_at(const uintptr_t *w)
{
	return sm_load_dependent((const _Atomic(uintptr_t) *)w);
}

SM_INLINE void edge(struct sm_marker *k, uintptr_t p, enum sm_how how)
{
	if (how == SM_HOW_CHECKED)
		sm__mark_word_conservative(k, p, how);
	else
		sm__mark_word_exact(k, p, how);
}

SM_INLINE void scan_all(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end, enum sm_how how)
{
	for (; w < end; w++)
		edge(k, word_at(w), how);
}

/* Bits of one mask, at most 64 words from w; stops at end. */
SM_INLINE void scan_bits(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end, uint64_t bits,
			 enum sm_how how)
{
	for (; bits; bits &= bits - 1) {
		const uintptr_t *at = w + __builtin_ctzll(bits);

		if (at >= end)
			return;
		edge(k, word_at(at), how);
	}
}

/* Words [from, end) of an object whose pattern repeats every l->period words from `start`. */
SM_INLINE void scan_pattern(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *start,
			    const uintptr_t *from, const uintptr_t *end, enum sm_how how)
{
	size_t phase = (size_t)(from - start) % l->period; /* word of the pattern at `from` */

	while (from < end) {
		size_t run = 64 - phase % 64; /* words to the end of this mask, then to the period's end */
		uint64_t bits = l->kind == SM_SCAN_MASK ? l->mask : l->bits[phase / 64];

		if (run > l->period - phase)
			run = l->period - phase;
		bits >>= phase % 64;
		if (run < 64)
			bits &= ((uint64_t)1 << run) - 1;
		scan_bits(k, from, end, bits, how);
		from += run;
		phase += run;
		if (phase == l->period)
			phase = 0;
	}
}

/* Words [from, end) of the object that starts at `start`. */
SM_INLINE void scan_range(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *start,
			  const uintptr_t *from, const uintptr_t *end, enum sm_how how)
{
	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE: break;
	case SM_SCAN_PREFIX:
		if (end > start + l->nptrs)
			end = start + l->nptrs;
		scan_all(k, from, end, how);
		break;
	case SM_SCAN_ALL: scan_all(k, from, end, how); break;
	case SM_SCAN_MASK:
	case SM_SCAN_BITMAP: scan_pattern(k, l, start, from, end, how); break;
	case SM_SCAN_CONSERVATIVE:
		for (; from < end; from++)
			sm__mark_word_conservative(k, word_at(from), how);
		break;
	}
}

/* A piece of a large object; the next piece is queued first, so that another marker may take it. */
static SM_NOINLINE void scan_large(struct sm_marker *k, struct sm_span *s, uintptr_t piece)
{
	uintptr_t start = sm_span_base(&k->gc->range, s);
	uintptr_t end = start + sm_span_bytes(s);

	if (s->layout->kind == SM_SCAN_PREFIX && end - start > s->layout->nptrs * sizeof(uintptr_t))
		end = start + s->layout->nptrs * sizeof(uintptr_t);
	if (piece >= end)
		return;
	if (end - piece > SM_LARGE_PIECE) {
		sm__mark_push(k, piece + SM_LARGE_PIECE);
		end = piece + SM_LARGE_PIECE;
	}
	k->n.scan_bytes += end - piece;
	scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece, (const uintptr_t *)end,
		   SM_HOW_ATOMIC);
}

SM_INLINE void scan(struct sm_marker *k, uintptr_t entry, enum sm_how how)
{
	struct sm_span *s;
	const struct sm_layout *l;
	const uintptr_t *w = (const uintptr_t *)entry;

	k->n.scanned++;
	if (SM_UNLIKELY(entry & 1)) {
		sm__roots_scan_piece(k->gc, k, entry >> 1);
		return;
	}
	s = &k->spans[(entry - k->base) >> SM_UNIT_SHIFT];
	s -= s->back;
	l = s->layout;
	if (SM_UNLIKELY(s->slot_bytes == 0)) {
		scan_large(k, s, entry);
		return;
	}
	k->n.scan_bytes += s->slot_bytes;
	if (how != SM_HOW_CHECKED)
		k->n.bytes += s->slot_bytes;
	if (SM_LIKELY(l->kind == SM_SCAN_PREFIX))
		scan_all(k, w, w + l->nptrs, how);
	else
		scan_range(k, l, w, w, (const uintptr_t *)(entry + s->slot_bytes), how);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/*
 * What the loop needs for each edge, copied out of the marker: a push is a store that, for all the compiler
 * knows, could change any field of it. Most objects are small with their pointers at the front, and most
 * heaps have one node; those are scanned here, everything else by scan().
 */
struct loop {
	uintptr_t base;
	size_t bytes;
	struct sm_span *spans;
	const struct sm_layout *pointer_free;
	uintptr_t *next, *limit;	     /* the packet being filled, as in the marker */
	uintptr_t *take, *take_first;	     /* the one being emptied */
	uint64_t pushed, leaves, leaf_bytes; /* marked here: objects with pointers, and without */
	uint64_t scanned, scan_bytes;
};

SM_INLINE void loop_load(struct loop *l, const struct sm_marker *k)
{
	l->next = k->next;
	l->limit = k->limit;
	l->take = k->take;
	l->take_first = k->take_first;
}

/* Hands back what the marker must know before anything else of it is called. */
SM_INLINE void loop_store(struct loop *l, struct sm_marker *k)
{
	k->next = l->next;
	k->take = l->take;
	k->n.objects += l->pushed + l->leaves;
	k->n.bytes += l->scan_bytes + l->leaf_bytes;
	k->n.scanned += l->scanned;
	k->n.scan_bytes += l->scan_bytes;
	l->pushed = l->leaves = l->leaf_bytes = l->scanned = l->scan_bytes = 0;
}

static SM_COLD void mark_edge_slow(struct sm_marker *k, uintptr_t p)
{
	sm__mark_word_exact(k, p, SM_HOW_ATOMIC);
}

/* An edge to anything but the head of a quick span (span.h): pointer-free most of the time. */
SM_INLINE bool mark_leaf(struct loop *l, struct sm_span *s, uintptr_t off, enum sm_how how)
{
	uint32_t slot;

	if (s->back != 0 || s->layout != l->pointer_free || s->slot_bytes == 0)
		return false;
	slot = (uint32_t)(((off & (SM_UNIT - 1)) * (uint64_t)s->recip) >> 32);
	if (sm__mark_set(&s->marks[slot / 64], slot, how)) {
		l->leaves++;
		l->leaf_bytes += s->slot_bytes;
	}
	return true;
}

/*
 * One pointer of an object. There is room for one more entry. A random graph makes "already marked?" a
 * coin toss, so with one marker nothing branches on it: the entry is always written, and kept or not by
 * how far `next` moves. With several, the read-modify-write must be avoided, so there is the branch. The caller
 * counts as marked what lies between *before and `next`.
 *
 * Plain reads: quick, back, recip, marks, layout and slot_bytes are fixed while the span is in use (span.h), which it
 * has been since before the pointer was published. A wild pointer finds a descriptor without any of them: a
 * free span's are cleared.
 */
SM_INLINE void mark_edge(struct loop *l, struct sm_marker *k, uintptr_t p, uintptr_t **before,
			 enum sm_how how)
{
	uintptr_t off = p - l->base;
	struct sm_span *s;
	_Atomic(uint64_t) *word;
	uint64_t old;
	uint32_t slot;

	if (off >= l->bytes)
		return;
	s = &l->spans[off >> SM_UNIT_SHIFT];
	if (SM_UNLIKELY(s->quick == 0)) {
		if (SM_LIKELY(mark_leaf(l, s, off, how)))
			return;
		/* Large, a later unit, a layout that is no prefix, wild. What it pushes, it counts. */
		uintptr_t *next = l->next;

		loop_store(l, k);
		mark_edge_slow(k, p);
		loop_load(l, k);
		*before += l->next - next;
		return;
	}
	slot = (uint32_t)(((off & (SM_UNIT - 1)) * (uint64_t)s->recip) >> 32);
	word = &s->marks[slot / 64];
	old = sm_load_relaxed(word);
	if (how == SM_HOW_PLAIN) {
		bool was = sm_bit_test_set(&old, slot);

		sm_store_relaxed(word, old);
		*l->next = p;
		l->next += !was;
	} else if (!(old >> (slot % 64) & 1) && sm__mark_set(word, slot, how)) {
		*l->next++ = p;
	}
}

static SM_NOINLINE void scan_other(struct sm_marker *k, uintptr_t entry)
{
	scan(k, entry, SM_HOW_ATOMIC);
}

SM_INLINE void loop_scan(struct loop *l, struct sm_marker *k, uintptr_t entry, enum sm_how how, bool routed)
{
	const uintptr_t *w = (const uintptr_t *)entry;
	uintptr_t *before = l->next;

	/* A piece of roots is odd; a piece of a large object lies in a span that is not quick. */
	if (SM_LIKELY((entry & 1) == 0) && !routed) {
		const struct sm_span *s = &l->spans[(entry - l->base) >> SM_UNIT_SHIFT];
		const uintptr_t *end = w + s->quick;

		if (SM_LIKELY(s->quick != 0 && l->limit - l->next >= end - w)) {
			l->scanned++;
			l->scan_bytes += s->slot_bytes;
			do
				mark_edge(l, k, word_at(w++), &before, how);
			while (w < end);
			l->pushed += (uint64_t)(l->next - before);
			return;
		}
	}
	loop_store(l, k);
	scan_other(k, entry);
	loop_load(l, k);
}

/* Every LOOK_UP objects: false when the budget is used up. */
static SM_NOINLINE bool look_up_from_work(struct sm_marker *k, uint64_t until)
{
	if ((k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0) ||
	    sm_load_relaxed(&k->gc->workq.hungry) != 0)
		sm__mark_share(k);
	sm__mark_publish(k);
	return k->n.scan_bytes < until;
}

/*
 * An object half-way through the ring has arrived; its edges' descriptors may not have. Reads what lies in
 * the object's first line, at most four words, pointers or not: asking for a line in vain is harmless, and
 * the line is the object's own, so it is mapped.
 */
SM_INLINE void look_ahead(const struct loop *l, uintptr_t entry)
{
	const uintptr_t *w = (const uintptr_t *)(entry & ~(uintptr_t)7);
	const uintptr_t *line_end = (const uintptr_t *)sm_align_down(entry + SM_CACHELINE, SM_CACHELINE);
	const uintptr_t *end = w + 4 < line_end ? w + 4 : line_end;

	if (SM_UNLIKELY(entry & 1))
		return;
	for (; w < end; w++) {
		uintptr_t off = word_at(w) - l->base;

		if (off < l->bytes)
			SM_PREFETCH_R(&l->spans[off >> SM_UNIT_SHIFT]);
	}
}

/* A ring between the stack and the scan: an object is asked for when it enters, and read when it leaves. */
SM_INLINE void drain_ring(struct sm_marker *k, uint64_t until, enum sm_how how, bool routed)
{
	struct loop l = {.base = k->base,
			 .bytes = k->bytes,
			 .spans = k->spans,
			 .pointer_free = k->gc->heap->bins[1].layout};
	uintptr_t ring[SM_FIFO_MAX];
	unsigned head = 0, tail = 0, look_up = LOOK_UP, size = k->fifo;

	loop_load(&l, k);
	for (;;) {
		while (tail - head < size) {
			uintptr_t in;

			if (SM_UNLIKELY(l.take == l.take_first)) {
				loop_store(&l, k);
				if (!sm__mark_refill(k))
					break;
				loop_load(&l, k);
			}
			in = *--l.take;
			SM_PREFETCH_R((const void *)in);
			ring[tail++ % SM_FIFO_MAX] = in;
		}
		if (SM_UNLIKELY(tail == head))
			return;
		if (SM_LIKELY(tail - head > LOOK_AHEAD))
			look_ahead(&l, ring[(head + LOOK_AHEAD) % SM_FIFO_MAX]);
		loop_scan(&l, k, ring[head++ % SM_FIFO_MAX], how, routed);
		if (SM_LIKELY(--look_up != 0))
			continue;
		look_up = LOOK_UP;
		loop_store(&l, k);
		if (!look_up_from_work(k, until))
			break;
		loop_load(&l, k);
	}
	/* Out of budget: what is in the ring goes back. */
	while (head != tail)
		sm__mark_push_entry(k, ring[head++ % SM_FIFO_MAX]);
}

/* gc.fifo=0: without the ring, to measure what it is worth. */
SM_INLINE uintptr_t pop(struct sm_marker *k)
{
	if (SM_UNLIKELY(k->take == k->take_first) && !sm__mark_refill(k))
		return 0;
	return *--k->take;
}

static SM_NOINLINE void drain_direct(struct sm_marker *k, uint64_t until)
{
	uintptr_t in;

	while (k->n.scan_bytes < until && (in = pop(k)) != 0) {
		scan(k, in, SM_HOW_ATOMIC);
		if (k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0)
			sm__mark_share(k);
	}
}

uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget)
{
	uint64_t before = k->n.scan_bytes, until = budget ? before + budget : UINT64_MAX;

	if (k->fifo == 0)
		drain_direct(k, until);
	else if (k->out != NULL)
		drain_ring(k, until, SM_HOW_ATOMIC, true);
	else if (k->plain)
		drain_ring(k, until, SM_HOW_PLAIN, false);
	else
		drain_ring(k, until, SM_HOW_ATOMIC, false);
	return k->n.scan_bytes - before;
}

/* ---- overflow ------------------------------------------------------------------------------------ */

static void rescan_span(struct sm_marker *k, struct sm_span *s)
{

	if (s->slot_bytes == 0) {
		if (sm_load_relaxed(&s->marks[0]) & 1)
			scan_large(k, s, sm_span_base(&k->gc->range, s));
		return;
	}
	for (uint32_t w = 0; w < (s->nslots + 63u) / 64; w++) {
		uint64_t bits = sm_load_relaxed(&s->marks[w]);

		for (; bits; bits &= bits - 1) {
			uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

			scan(k, sm_span_base(&k->gc->range, s) + (uintptr_t)slot * s->slot_bytes,
			     SM_HOW_CHECKED);
		}
	}
}

bool sm__mark_rescan(struct sm_marker *k)
{
	struct sm_gc *gc = k->gc;
	size_t units = gc->range.bytes >> SM_UNIT_SHIFT;

	/* An exchange: the flags are read after it. With a plain store of 0 they could be read before, and a
	 * mutator that flags a span and raises `overflowed` in between would be forgotten. */
	if (sm_load_acquire(&gc->overflowed) == 0 || sm_exchange_acqrel(&gc->overflowed, 0) == 0)
		return false;
	/* The flags are bytes of a sparse table; eight at a time. */
	for (size_t i = 0; i < units; i += 8) {
		if (sm_load_relaxed((_Atomic(uint64_t) *)&gc->unit_flags[i]) == 0)
			continue;
		for (size_t u = i; u < i + 8; u++) {
			if ((sm_load_relaxed(&gc->unit_flags[u]) & SM_UNIT_OVERFLOW) == 0)
				continue;
			sm_fetch_and_relaxed(&gc->unit_flags[u], (uint8_t)~SM_UNIT_OVERFLOW);
			rescan_span(k, &gc->range.spans[u]);
			sm__marker_give(k);
		}
	}
	return true;
}
