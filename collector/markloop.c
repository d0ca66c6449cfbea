/*
 * markloop.c: the mark loop.
 *
 *   pop an address -> what lies in its unit? -> pointer-free: done
 *     -> prefetch its object -> [FIFO of gc.fifo entries] -> scan it: for every pointer word
 *          NULL and range compare -> mark bit, by the address alone: set? -> set it -> push
 *
 * Entries are popped from one packet and pushed to another, and the two change places when the first is empty. Were
 * there one, the address of each pop would wait for the mark bits of all edges before it, since whether an edge was
 * pushed decides where the top is; so the processor could not look ahead from object to object.
 *
 * On its way through the FIFO, when the object's line is there, its edges' mark words are asked for too.
 *
 * What it touches per object: one line of the object itself, asked for a ring's length in advance, for each edge a word
 * of the map of mark bits (allocator/objects/markmap.h), and one byte of the table of units. No descriptor, and of a pointer-free
 * object nothing. The map is 1/128 of the heap, so that for a heap of 512 MiB it is 4 MiB and stays in the last cache; the
 * table is 32 KiB.
 *
 * An object's line is in no cache. A prefetch into the first cache would hold one of its few miss buffers all the way
 * from memory, and the map's words, which wait in the second and third cache, need those too. So objects are asked for into the
 * second cache, and from there into the first shortly before. And they are asked for in bursts: a prefetch cannot retire
 * before its address is translated, and between two single ones lie a hundred instructions, so that translations, which a
 * virtual machine walks twice, would not overlap (docs/PERFORMANCE.md).
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
#include "allocator/base/bitops.h"
#include "collector/mark_internal.h"

/* The loop looks up from its work this often, in objects: to share and to keep to its budget. */
#define LOOK_UP 128
/* Taking a pointer-free object is work too, of so many scanned bytes: whoever has a budget must come to its end. */
#define LEAF_WORK 16
/*
 * This many objects before an object is scanned its line is asked for once more, from the second cache into the first,
 * and then the mark words of its edges.
 */
#define NEAR	   10
#define LOOK_AHEAD 6
/* Objects enter the ring by so many. */
#define BURST 8

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

/* All of an object whose pattern is one mask, repeated. No division, which scan_pattern needs to begin anywhere. */
SM_INLINE void scan_mask(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *w,
			 const uintptr_t *end, enum sm_how how)
{
	for (; w < end; w += l->period)
		scan_bits(k, w, end, l->mask, how);
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

/* The same of a layout with a header, which knows two patterns. */
static SM_NOINLINE void scan_flex(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *start,
				  const uintptr_t *from, const uintptr_t *end, enum sm_how how)
{
	const uintptr_t *body = start + l->period;

	if (from < body && l->head->kind != SM_SCAN_NONE)
		scan_pattern(k, l->head, start, from, end < body ? end : body, how);
	if (end > body && l->element->kind != SM_SCAN_NONE)
		scan_pattern(k, l->element, body, from > body ? from : body, end, how);
}

/* A small object of a span of mixed layouts: by the span's bitmap. mixed.h says why its bits are seen. */
static SM_NOINLINE void scan_mixed(struct sm_marker *k, const uintptr_t *object, enum sm_how how)
{
	const struct sm_span *s = sm_span_of(&k->gc->range, (uintptr_t)object);
	const uintptr_t *base = (const uintptr_t *)sm_span_base(&k->gc->range, s);
	size_t at = (size_t)(object - base), last = at + s->slot_bytes / sizeof(uintptr_t) - 1;
	const uintptr_t *end = base + last + 1;
	uint64_t above = ~(uint64_t)0 << (at % 64);

	for (size_t w = at / 64; w <= last / 64; w++, above = ~(uint64_t)0)
		scan_bits(k, base + w * 64, end, sm_load_relaxed(&s->pointers[w]) & above, how);
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
	case SM_SCAN_FLEX: scan_flex(k, l, start, from, end, how); break;
	case SM_SCAN_MIXED: scan_mixed(k, start, how); break;
	}
}

/* Behind the last word of a large object that may be a pointer. */
SM_INLINE uintptr_t pointers_end(const struct sm_span *s, uintptr_t start)
{
	size_t bytes = sm_span_bytes(s);

	if (s->layout->kind == SM_SCAN_PREFIX && bytes > s->layout->nptrs * sizeof(uintptr_t))
		bytes = s->layout->nptrs * sizeof(uintptr_t);
	return start + bytes;
}

/*
 * A piece of a large object; the next piece is queued first, so that another marker may take it. The first stands for the
 * object, and counts it.
 */
static SM_NOINLINE void scan_large(struct sm_marker *k, struct sm_span *s, uintptr_t piece)
{
	uintptr_t start = sm_span_base(&k->gc->range, s), end;

	if (piece == start)
		k->n.bytes += sm_span_bytes(s);
	/* No edge leads to a later piece, so no bit is set there but by a pointer to no object's start, which then was
	 * pushed as well: the bit must not be there when the units hold other objects. To scan the piece twice is harmless. */
	if (SM_UNLIKELY(piece != start && sm_mark_test(&k->gc->range, piece)))
		sm__mark_wild(k, piece);
	if (s->layout->kind == SM_SCAN_NONE)
		return;
	k->n.scanned++;
	end = pointers_end(s, start);
	if (piece >= end)
		return;
	if (end - piece > SM_LARGE_PIECE) {
		sm__mark_push(k, piece + SM_LARGE_PIECE);
		end = piece + SM_LARGE_PIECE;
	}
	k->n.scan_bytes += end - piece;
	if (SM_UNLIKELY(k->keeps))
		scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece,
			   (const uintptr_t *)end, SM_HOW_TRACED);
	else
		scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece,
			   (const uintptr_t *)end, SM_HOW_ATOMIC);
}

static SM_NOINLINE void scan_root_piece(struct sm_marker *k, uintptr_t entry)
{
	k->n.scanned++;
	sm__roots_scan_piece(k->gc, k, entry >> 1);
}

/* Any entry, by its span's descriptor. */
SM_INLINE void scan(struct sm_marker *k, uintptr_t entry, enum sm_how how)
{
	struct sm_span *s;
	const struct sm_layout *l;
	const uintptr_t *w = (const uintptr_t *)entry;

	if (SM_UNLIKELY(sm__entry_is_root(k, entry))) {
		scan_root_piece(k, entry);
		return;
	}
	s = &k->spans[(entry - k->base) >> SM_UNIT_SHIFT];
	s -= s->back;
	l = s->layout;
	if (SM_UNLIKELY(l == NULL)) {
		sm__mark_wild(k, entry);
		return;
	}
	if (SM_UNLIKELY(s->slot_bytes == 0)) {
		scan_large(k, s, entry);
		return;
	}
	if (how != SM_HOW_CHECKED)
		k->n.bytes += s->slot_bytes;
	if (l->kind == SM_SCAN_NONE)
		return;
	k->n.scanned++;
	k->n.scan_bytes += s->slot_bytes;
	if (SM_LIKELY(l->kind == SM_SCAN_PREFIX))
		scan_all(k, w, w + l->nptrs, how);
	else if (l->kind == SM_SCAN_MASK)
		scan_mask(k, l, w, (const uintptr_t *)(entry + s->slot_bytes), how);
	else if (l->kind == SM_SCAN_ALL)
		scan_all(k, w, (const uintptr_t *)(entry + s->slot_bytes), how);
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
	_Atomic(uint64_t) *marks; /* of address 0, so to speak: indexed without subtracting the base */
	const uint8_t *unit_kind; /* likewise */
	const uint32_t *kinds;
	uintptr_t *next, *limit;      /* the packet being filled, as in the marker */
	uintptr_t *take, *take_first; /* the one being emptied */
	uintptr_t *from;     /* where `next` was at the last loop_load: what lies between was marked here */
	uint64_t done;	     /* objects scanned here << DONE_SHIFT, and their bytes */
	uint64_t leaf_bytes; /* of pointer-free objects taken */
};

/* Few objects are done between two calls of loop_store, so the two sums fit into a word. */
#define DONE_SHIFT 48
_Static_assert(LOOK_UP < (1 << (64 - DONE_SHIFT)), "the count of objects fits");

SM_INLINE void loop_load(struct loop *l, const struct sm_marker *k)
{
	l->next = l->from = k->next;
	l->limit = k->limit;
	l->take = k->take;
	l->take_first = k->take_first;
}

/* Hands back what the marker must know before anything else of it is called. */
SM_INLINE void loop_store(struct loop *l, struct sm_marker *k)
{
	uint64_t bytes = l->done & ((UINT64_C(1) << DONE_SHIFT) - 1);

	k->n.objects += (uint64_t)(l->next - l->from);
	k->n.bytes += bytes + l->leaf_bytes;
	k->n.scanned += l->done >> DONE_SHIFT;
	k->n.scan_bytes += bytes;
	k->next = l->from = l->next;
	k->take = l->take;
	l->done = l->leaf_bytes = 0;
}

/*
 * One pointer of an object, to the start of another. There is room for one more entry. A random graph makes "already
 * marked?" a coin toss, so with one marker nothing branches on it: the entry is always written, and kept or not by
 * how far `next` moves. With several, the read-modify-write must be avoided, so there is the branch.
 */
SM_INLINE uintptr_t *mark_edge(const struct loop *l, uintptr_t *next, uintptr_t p, enum sm_how how)
{
	_Atomic(uint64_t) *word = &l->marks[p >> SM_MARK_WORD_SHIFT];
	uint64_t i = p >> SM_MARK_SHIFT, old;

	if (p - l->base >= l->bytes)
		return next;
	old = sm_load_relaxed(word);
	if (how == SM_HOW_PLAIN) {
		bool was = sm_bit_test_set(&old, i);

		sm_store_relaxed(word, old);
		*next = p;
		return next + !was;
	}
	if (!(old >> (i & 63) & 1) && sm__mark_claim(word, i)) {
		*next = p;
		return next + 1;
	}
	return next;
}

static SM_NOINLINE void scan_other(struct sm_marker *k, uintptr_t entry)
{
	scan(k, entry, SM_HOW_ATOMIC);
}

/* kind: of the object's unit; 0 for everything that is not a small object. */
SM_INLINE void loop_scan(struct loop *l, struct sm_marker *k, uintptr_t entry, uint32_t kind, enum sm_how how)
{
	const uintptr_t *w = (const uintptr_t *)entry, *end = w + (kind & SM_KIND_POINTERS);
	uintptr_t *next = l->next;

	if (SM_LIKELY(kind != 0 && l->limit - next >= end - w)) {
		l->done += (UINT64_C(1) << DONE_SHIFT) + (kind >> SM_KIND_BYTES_SHIFT);
		do
			next = mark_edge(l, next, word_at(w++), how);
		while (w < end);
		l->next = next;
		return;
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
 * An object half-way through the ring has arrived; its edges' mark words may not have. Reads what pointers lie in
 * the object's first line: asking for a word in vain is harmless, and the line is the object's own, so it is mapped.
 */
SM_INLINE void look_ahead(const struct loop *l, uintptr_t entry, uint32_t kind)
{
	const uintptr_t *w = (const uintptr_t *)entry, *end = w + (kind & SM_KIND_POINTERS);
	const uintptr_t *line_end = (const uintptr_t *)((entry | (SM_CACHELINE - 1)) + 1);

	end = end < line_end ? end : line_end;
	for (; w < end; w++) {
		uintptr_t p = word_at(w);

		if (p - l->base < l->bytes)
			SM_PREFETCH_R(&l->marks[p >> SM_MARK_WORD_SHIFT]);
	}
}

/*
 * The next entry when the packet being emptied is empty; 0: there is none for now. A list is one entry at a time: it is taken
 * from where it was pushed, and while the ring holds it nothing is looked for where nothing is queued. (The packets'
 * changing places and the queues' being looked at, each twice an object, were half of a list's time.)
 */
SM_INLINE uintptr_t take_more(struct loop *l, struct sm_marker *k, bool busy)
{
	size_t filled = (size_t)(l->next - k->first);

	/* With several nodes, looking is what hands the others' objects over. */
	if (filled == 1 && k->out == NULL) {
		l->from--; /* counted as marked, as when it stays */
		return *--l->next;
	}
	if (filled == 0 && busy && k->out == NULL && sm__workq_queued(&k->gc->workq) == 0)
		return 0;
	loop_store(l, k);
	if (!sm__mark_refill(k))
		return 0;
	loop_load(l, k);
	return *--l->take;
}

/*
 * A ring between the stack and the scan: an object is asked for when it enters, and read when it leaves. A pointer-free
 * one does not enter: its class is known from its unit, and its line stays where it is.
 */
SM_INLINE void drain_ring(struct sm_marker *k, uint64_t until, enum sm_how how, bool routed)
{
	struct loop l = {.base = k->base,
			 .bytes = k->bytes,
			 .marks = k->marks - (k->base >> SM_MARK_WORD_SHIFT),
			 .unit_kind = k->gc->range.unit_kind - (k->base >> SM_UNIT_SHIFT),
			 .kinds = k->gc->range.kinds};
	uintptr_t ring[SM_FIFO_MAX];
	uint32_t kinds[SM_FIFO_MAX];
	unsigned head = 0, tail = 0, look_up = LOOK_UP, size = k->fifo,
		 low = size > BURST ? size - BURST : size - 1;

	loop_load(&l, k);
	for (;;) {
		if (tail - head <= low) {
			while (tail - head < size) {
				uintptr_t in;
				uint32_t kind = 0;

				if (SM_LIKELY(l.take != l.take_first))
					in = *--l.take;
				else if ((in = take_more(&l, k, tail != head)) == 0)
					break;
				/* Not a piece of roots. Routed entries are counted by the packet: scan() takes them all. */
				if (SM_LIKELY(in - l.base < l.bytes) && !routed)
					kind = l.kinds[l.unit_kind[in >> SM_UNIT_SHIFT]];
				if ((kind & SM_KIND_POINTERS) == SM_KIND_POINTER_FREE) {
					l.leaf_bytes += kind >> SM_KIND_BYTES_SHIFT;
					until -= LEAF_WORK;
					if (SM_UNLIKELY(--look_up == 0))
						break;
					continue;
				}
				SM_PREFETCH_L2((const void *)in);
				kinds[tail % SM_FIFO_MAX] = kind;
				ring[tail++ % SM_FIFO_MAX] = in;
			}
		}
		if (SM_LIKELY(tail != head)) {
			unsigned at = head++ % SM_FIFO_MAX, ahead = (at + LOOK_AHEAD) % SM_FIFO_MAX;

			if (SM_LIKELY(tail - head >= NEAR))
				SM_PREFETCH_R((const void *)ring[(at + NEAR) % SM_FIFO_MAX]);
			if (SM_LIKELY(tail - head >= LOOK_AHEAD))
				look_ahead(&l, ring[ahead], kinds[ahead]);
			loop_scan(&l, k, ring[at], kinds[at], how);
			if (SM_LIKELY(look_up > 1)) {
				look_up--;
				continue;
			}
		} else if (look_up != 0) {
			return;
		}
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

/* Each a function of its own: the three together would share the registers of one. */
static SM_NOINLINE void drain_routed(struct sm_marker *k, uint64_t until)
{
	drain_ring(k, until, SM_HOW_ATOMIC, true);
}

static SM_NOINLINE void drain_plain(struct sm_marker *k, uint64_t until)
{
	drain_ring(k, until, SM_HOW_PLAIN, false);
}

static SM_NOINLINE void drain_shared(struct sm_marker *k, uint64_t until)
{
	drain_ring(k, until, SM_HOW_ATOMIC, false);
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

void sm__mark_trace(struct sm_marker *k, void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object),
		    void *ctx)
{
	uintptr_t in;

	k->keeps = true;
	while ((in = pop(k)) != 0) {
		fn(ctx, k, in);
		scan(k, in, SM_HOW_TRACED);
	}
	k->keeps = false;
}

uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget)
{
	uint64_t before = k->n.scan_bytes, until = budget ? before + budget : UINT64_MAX;

	if (k->fifo == 0)
		drain_direct(k, until);
	else if (k->out != NULL)
		drain_routed(k, until);
	else if (k->plain)
		drain_plain(k, until);
	else
		drain_shared(k, until);
	return k->n.scan_bytes - before;
}

/* ---- overflow ------------------------------------------------------------------------------------ */

/* All of it: a piece that had to be queued would find as little room as the one that brought us here, for ever. */
static void rescan_large(struct sm_marker *k, struct sm_span *s)
{
	uintptr_t start = sm_span_base(&k->gc->range, s), end = pointers_end(s, start);

	if (!sm_mark_test(&k->gc->range, start))
		return;
	k->n.scanned++;
	k->n.scan_bytes += end - start;
	scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)start, (const uintptr_t *)end,
		   SM_HOW_ATOMIC);
}

static void rescan_span(struct sm_marker *k, struct sm_span *s)
{
	uint64_t marks[SM_MARK_SLOTS_WORDS];

	if (s->slot_bytes == 0) {
		rescan_large(k, s);
		return;
	}
	(void)sm__marks_gather(&k->gc->range, s, marks);
	for (uint32_t w = 0; w < (s->nslots + 63u) / 64; w++) {
		for (uint64_t bits = marks[w]; bits; bits &= bits - 1) {
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
			/* What that led to, and all behind it, before the next one is looked at: else one span after
			 * another would find no room and be flagged again. */
			sm__mark_drain(k, 0);
			sm__marker_give(k);
		}
	}
	return true;
}
