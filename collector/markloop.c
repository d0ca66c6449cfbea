/*
 * markloop.c: the mark loop.
 *
 *   pop an address -> prefetch its object -> [FIFO of gc.fifo entries] -> scan it: for every pointer word
 *     NULL and range compare -> descriptor -> slot -> mark bit set? -> set it -> pointer-free? -> push
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
#include "collector/mark_internal.h"

/* The loop looks up from its work this often, in objects: to share and to keep to its budget. */
#define LOOK_UP 128

/* ---- scanning one object ------------------------------------------------------------------------- */

SM_INLINE uintptr_t word_at(const uintptr_t *w)
{
	return sm_load_relaxed((const _Atomic(uintptr_t) *)w);
}

/*
 * A pointer found in an object. Its descriptor, which holds the mark bit, is asked for now and looked at
 * SM_EDGES edges later, when it is in the nearest cache. Whether the bit is set is a coin toss for the
 * branch predictor: without the delay each wrong guess would be found out only when the line arrives.
 */
SM_INLINE void edge(struct sm_marker *k, struct sm_lane *l, uintptr_t p, enum sm_how how)
{
	uintptr_t off = p - l->base, old;

	if (how == SM_HOW_CHECKED) {
		sm__mark_word_conservative(k, p, how);
		return;
	}
	/* NULL falls out here: the base is not 0. */
	if (off >= l->bytes)
		return;
	if (how == SM_HOW_DIRECT) {
		sm__mark_offset(k, l, off, how);
		return;
	}
	SM_PREFETCH_R(&l->spans[off >> SM_UNIT_SHIFT]);
	old = l->edge[l->edge_at];
	l->edge[l->edge_at] = off;
	l->edge_at = (l->edge_at + 1) % SM_EDGES;
	if (SM_LIKELY(old != 0))
		sm__mark_offset(k, l, old, how);
	else
		l->waiting++;
}

/* The edges that wait, oldest first: few where there is little to do, as in a list. */
SM_INLINE void flush_edges(struct sm_marker *k, struct sm_lane *l, enum sm_how how)
{
	unsigned at = l->edge_at - l->waiting;

	for (; l->waiting > 0; l->waiting--) {
		uintptr_t off = l->edge[at % SM_EDGES];

		l->edge[at++ % SM_EDGES] = 0;
		sm__mark_offset(k, l, off, how);
	}
}

SM_INLINE void scan_all(struct sm_marker *k, struct sm_lane *n, const uintptr_t *w, const uintptr_t *end,
			enum sm_how how)
{
	for (; w < end; w++)
		edge(k, n, word_at(w), how);
}

/* Bits of one mask, at most 64 words from w; stops at end. */
SM_INLINE void scan_bits(struct sm_marker *k, struct sm_lane *n, const uintptr_t *w, const uintptr_t *end,
			 uint64_t bits, enum sm_how how)
{
	for (; bits; bits &= bits - 1) {
		const uintptr_t *at = w + __builtin_ctzll(bits);

		if (at >= end)
			return;
		edge(k, n, word_at(at), how);
	}
}

/* Words [from, end) of an object whose pattern repeats every l->period words from `start`. */
SM_INLINE void scan_pattern(struct sm_marker *k, struct sm_lane *n, const struct sm_layout *l,
			    const uintptr_t *start, const uintptr_t *from, const uintptr_t *end,
			    enum sm_how how)
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
		scan_bits(k, n, from, end, bits, how);
		from += run;
		phase += run;
		if (phase == l->period)
			phase = 0;
	}
}

/* Words [from, end) of the object that starts at `start`. */
SM_INLINE void scan_range(struct sm_marker *k, struct sm_lane *n, const struct sm_layout *l,
			  const uintptr_t *start, const uintptr_t *from, const uintptr_t *end,
			  enum sm_how how)
{
	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE: break;
	case SM_SCAN_PREFIX:
		if (end > start + l->nptrs)
			end = start + l->nptrs;
		scan_all(k, n, from, end, how);
		break;
	case SM_SCAN_ALL: scan_all(k, n, from, end, how); break;
	case SM_SCAN_MASK:
	case SM_SCAN_BITMAP: scan_pattern(k, n, l, start, from, end, how); break;
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
	struct sm_lane n;

	if (s->layout->kind == SM_SCAN_PREFIX && end - start > s->layout->nptrs * sizeof(uintptr_t))
		end = start + s->layout->nptrs * sizeof(uintptr_t);
	if (piece >= end)
		return;
	if (end - piece > SM_LARGE_PIECE) {
		sm__mark_push(k, piece + SM_LARGE_PIECE);
		end = piece + SM_LARGE_PIECE;
	}
	k->n.scan_bytes += end - piece;
	sm__lane_init(&n, k);
	scan_range(k, &n, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece,
		   (const uintptr_t *)end, SM_HOW_DIRECT);
}

SM_INLINE void scan(struct sm_marker *k, struct sm_lane *n, uintptr_t entry, enum sm_how how)
{
	struct sm_span *s;
	const struct sm_layout *l;
	const uintptr_t *w = (const uintptr_t *)entry;

	k->n.scanned++;
	if (SM_UNLIKELY(entry & 1)) {
		sm__roots_scan_piece(k->gc, k, entry >> 1);
		return;
	}
	s = &n->spans[(entry - n->base) >> SM_UNIT_SHIFT];
	s -= s->back;
	l = s->layout;
	if (SM_UNLIKELY(s->slot_bytes == 0)) {
		scan_large(k, s, entry);
		return;
	}
	k->n.scan_bytes += s->slot_bytes;
	if (SM_LIKELY(l->kind == SM_SCAN_PREFIX))
		scan_all(k, n, w, w + l->nptrs, how);
	else
		scan_range(k, n, l, w, w, (const uintptr_t *)(entry + s->slot_bytes), how);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

SM_INLINE uintptr_t pop(struct sm_marker *k)
{
	if (SM_UNLIKELY(k->next == k->first) && !sm__mark_refill(k))
		return 0;
	return *--k->next;
}

/*
 * The FIFO is filled as far as there is something to pop, and its oldest entry scanned: in a graph it is
 * always full; in a list, where nothing else is in flight, an object waits for nobody.
 */
SM_INLINE void drain_ring(struct sm_marker *k, uint64_t until, enum sm_how how)
{
	uintptr_t fifo[SM_FIFO_MAX];
	unsigned head = 0, tail = 0, look_up = LOOK_UP, size = k->fifo;
	_Atomic(uint32_t) *parked = &k->gc->workq.parked;
	struct sm_lane n = {0};

	sm__lane_init(&n, k);
	for (;;) {
		while (tail - head < size) {
			uintptr_t in = pop(k);

			if (in == 0)
				break;
			SM_PREFETCH_R((const void *)in);
			fifo[tail++ % SM_FIFO_MAX] = in;
		}
		if (SM_UNLIKELY(tail == head)) {
			flush_edges(k, &n, how);
			if (k->next == k->first)
				return;
			continue;
		}
		scan(k, &n, fifo[head++ % SM_FIFO_MAX], how);
		if (SM_LIKELY(--look_up != 0))
			continue;
		look_up = LOOK_UP;
		if (k->donating && sm_load_relaxed(parked) != 0)
			sm__mark_share(k);
		if (k->n.scan_bytes >= until)
			break;
	}
	/* Out of budget: what is in the rings goes back. */
	flush_edges(k, &n, how);
	while (head != tail)
		sm__mark_push_entry(k, fifo[head++ % SM_FIFO_MAX]);
}

SM_INLINE void drain_direct(struct sm_marker *k, uint64_t until)
{
	struct sm_lane n;
	uintptr_t in;

	sm__lane_init(&n, k);
	while (k->n.scan_bytes < until && (in = pop(k)) != 0) {
		scan(k, &n, in, SM_HOW_DIRECT);
		if (k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0)
			sm__mark_share(k);
	}
}

uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget)
{
	uint64_t before = k->n.scan_bytes, until = budget ? before + budget : UINT64_MAX;

	if (k->fifo == 0)
		drain_direct(k, until);
	else if (k->plain)
		drain_ring(k, until, SM_HOW_PLAIN);
	else
		drain_ring(k, until, SM_HOW_ATOMIC);
	return k->n.scan_bytes - before;
}

/* ---- overflow ------------------------------------------------------------------------------------ */

static void rescan_span(struct sm_marker *k, struct sm_span *s)
{
	struct sm_lane n;

	sm__lane_init(&n, k);
	if (s->slot_bytes == 0) {
		if (sm_load_relaxed(&s->marks[0]) & 1)
			scan_large(k, s, sm_span_base(&k->gc->range, s));
		return;
	}
	for (uint32_t w = 0; w < (s->nslots + 63u) / 64; w++) {
		uint64_t bits = sm_load_relaxed(&s->marks[w]);

		for (; bits; bits &= bits - 1) {
			uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

			scan(k, &n, sm_span_base(&k->gc->range, s) + (uintptr_t)slot * s->slot_bytes,
			     SM_HOW_CHECKED);
		}
	}
}

bool sm__mark_rescan(struct sm_marker *k)
{
	struct sm_gc *gc = k->gc;
	size_t units = gc->range.bytes >> SM_UNIT_SHIFT;

	if (sm_load_acquire(&gc->overflowed) == 0)
		return false;
	sm_store_relaxed(&gc->overflowed, 0);
	/* The flags are bytes of a sparse table; eight at a time. */
	for (size_t i = 0; i < units; i += 8) {
		if (*(const volatile uint64_t *)&gc->unit_flags[i] == 0)
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
