/*
 * mark.c: the mark loop.
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
#include "collector/mark.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/gc_priv.h"

/* The mark loop looks up from its work this often, in objects: to share and to keep to its budget. */
#define LOOK_UP 128

int sm__marker_init(struct sm_marker *k, struct sm_gc *gc, unsigned node)
{
	memset(k, 0, sizeof(*k));
	k->gc = gc;
	k->base = gc->range.base;
	k->bytes = gc->range.bytes;
	k->spans = gc->range.spans;
	k->node = node < gc->nnodes ? node : 0;
	k->fifo = gc->config.fifo < SM_FIFO_MAX ? gc->config.fifo : SM_FIFO_MAX;
	if (gc->nnodes > 1) {
		k->out = calloc(gc->nnodes, sizeof(*k->out));
		if (k->out == NULL)
			return -ENOMEM;
	}
	return 0;
}

void sm__marker_fini(struct sm_marker *k)
{
	SM_ASSERT(k->next == k->first);
	if (k->packet)
		sm__workq_recycle(&k->gc->workq, k->packet);
	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++) {
		if (k->out[n])
			sm__workq_recycle(&k->gc->workq, k->out[n]);
	}
	free(k->out);
}

/* ---- packets ------------------------------------------------------------------------------------- */

static void use_packet(struct sm_marker *k, struct sm_packet *p)
{
	k->packet = p;
	k->first = p ? p->entry : NULL;
	k->next = p ? p->entry + p->n : NULL;
	k->limit = p ? p->entry + p->cap : NULL;
}

/* The packet at hand goes to the queue, if it has entries. */
static void put_packet(struct sm_marker *k)
{
	if (k->next == k->first)
		return;
	k->packet->n = (uint32_t)(k->next - k->first);
	sm__workq_put(&k->gc->workq, k->node, k->packet);
	use_packet(k, NULL);
}

/*
 * No packet is to be had. The object stays marked and in no queue; its span remembers, and the rescan
 * that follows once the queues are empty scans all of the span's marked objects. Termination: each
 * overflow follows a newly set mark bit, of which there are finitely many.
 */
static SM_COLD void overflow(struct sm_marker *k, uintptr_t entry)
{
	struct sm_gc *gc = k->gc;

	if (entry & 1) {
		sm__roots_scan_piece(gc, k, entry >> 1);
		return;
	}
	sm_fetch_or_relaxed(&gc->unit_flags[sm_span_unit(&gc->range, sm_span_of(&gc->range, entry))],
			    SM_UNIT_OVERFLOW);
	k->n.overflows++;
	/* Release: who sees the flag (after the queues have drained) sees the span's bit. */
	sm_store_release(&gc->overflowed, 1);
}

static SM_NOINLINE void push_slow(struct sm_marker *k, uintptr_t entry)
{
	struct sm_packet *p = sm__workq_empty(&k->gc->workq);

	if (p == NULL) {
		overflow(k, entry);
		return;
	}
	put_packet(k);
	use_packet(k, p);
	*k->next++ = entry;
}

/* An object of another node: collected in a packet for that node's workers. */
static SM_NOINLINE void push_remote(struct sm_marker *k, uintptr_t entry, unsigned node)
{
	struct sm_packet *p = k->out[node];

	k->n.remote++;
	if (p == NULL) {
		p = k->out[node] = sm__workq_empty(&k->gc->workq);
		if (p == NULL) {
			overflow(k, entry);
			return;
		}
	}
	p->entry[p->n++] = entry;
	if (p->n == p->cap) {
		k->out[node] = NULL;
		sm__workq_put(&k->gc->workq, node, p);
	}
}

SM_INLINE void push(struct sm_marker *k, uintptr_t entry)
{
	if (SM_UNLIKELY(k->out != NULL)) {
		unsigned node = (unsigned)((entry - k->base) >> k->gc->range.node_shift);

		if (node != k->node && node < k->gc->nnodes) {
			push_remote(k, entry, node);
			return;
		}
	}
	if (SM_UNLIKELY(k->next == k->limit)) {
		push_slow(k, entry);
		return;
	}
	*k->next++ = entry;
}

void sm__mark_push_entry(struct sm_marker *k, uintptr_t entry)
{
	if (SM_UNLIKELY(k->next == k->limit))
		push_slow(k, entry);
	else
		*k->next++ = entry;
}

static void give_remote(struct sm_marker *k)
{
	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++) {
		if (k->out[n] && k->out[n]->n > 0) {
			sm__workq_put(&k->gc->workq, n, k->out[n]);
			k->out[n] = NULL;
		}
	}
}

void sm__marker_give(struct sm_marker *k)
{
	put_packet(k);
	give_remote(k);
}

static void count_steal(struct sm_marker *k, unsigned from, bool l3)
{
	if (from != k->node)
		k->n.steals_across++;
	else if (l3)
		k->n.steals_l3++;
	else
		k->n.steals_node++;
}

/* The packet at hand is empty: another from the queues. False: there is none. */
static SM_NOINLINE bool refill_packet(struct sm_marker *k)
{
	struct sm_workq *q = &k->gc->workq;
	struct sm_packet *p;
	unsigned from;

	give_remote(k);
	if (sm__workq_queued(q) == 0)
		return false;
	p = sm__workq_get(q, k->node, &from);
	if (p == NULL)
		return false;
	count_steal(k, from, true);
	if (k->packet)
		sm__workq_recycle(q, k->packet);
	use_packet(k, p);
	return true;
}

/* Others have nothing to do: they get the older half of the packet at hand, where the larger parts of
 * the graph hang. */
static SM_NOINLINE void share(struct sm_marker *k)
{
	struct sm_workq *q = &k->gc->workq;
	size_t have = (size_t)(k->next - k->first), give = have / 2;
	struct sm_packet *p;

	if (have < 4 || sm__workq_queued(q) != 0)
		return;
	p = sm__workq_empty(q);
	if (p == NULL)
		return;
	memcpy(p->entry, k->first, give * sizeof(*k->first));
	p->n = (uint32_t)give;
	memmove(k->first, k->first + give, (have - give) * sizeof(*k->first));
	k->next -= give;
	sm__workq_put(q, k->node, p);
}

/* ---- marking one object -------------------------------------------------------------------------- */

/*
 * How a word found in an object is taken; always a constant, so that each loop is compiled for its own.
 * PLAIN: this is the only marker there is, so setting a bit needs no read-modify-write. CHECKED: the
 * overflow path, which meets window slots whose owner is still zeroing them: words are validated like
 * conservative ones.
 */
enum how { ATOMIC, PLAIN, CHECKED };

/* True when the caller is the one that set the bit. */
SM_INLINE bool set_mark(struct sm_span *s, uint32_t slot, enum how how)
{
	_Atomic(uint64_t) *word = &s->marks[slot / 64];
	uint64_t bit = (uint64_t)1 << (slot % 64), old = sm_load_relaxed(word);

	if (old & bit)
		return false;
	if (how == PLAIN || SM_IS_MUTANT(19)) {
		sm_store_relaxed(word, old | bit);
		return true;
	}
	return (sm_fetch_or_relaxed(word, bit) & bit) == 0;
}

/* s holds objects, p is the start of slot. */
SM_INLINE void shade(struct sm_marker *k, struct sm_span *s, uint32_t slot, uintptr_t p, enum how how)
{
	if (!set_mark(s, slot, how))
		return;
	k->n.objects++;
	k->n.bytes += s->slot_bytes;
	if (SM_UNLIKELY(s->slot_bytes == 0))
		k->n.bytes += sm_span_bytes(s);
	if (s->layout->kind != SM_SCAN_NONE)
		push(k, p);
}

/*
 * A word of a stack, a register, or a conservative object: it may be anything. state is read with
 * acquire, so that an object span's fields are seen as they were filled in; no span leaves the page heap's
 * SMALL or LARGE state while marking is on (sweeping is over, and windows go back to lists, not to the
 * page heap). A slot whose alloc bit is clear is free: ignored. A slot in a window has its mark bit set
 * already. So whatever gets pushed here is an object.
 */
SM_INLINE void mark_conservative(struct sm_marker *k, uintptr_t word, enum how how)
{
	uintptr_t off = word - k->base;
	struct sm_span *s;
	uint32_t slot;
	uint8_t state;

	if (off >= k->bytes)
		return;
	s = &k->spans[off >> SM_UNIT_SHIFT];
	s -= s->back;
	state = sm_load_acquire(&s->state);
	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return;
	off -= (uintptr_t)(s - k->spans) << SM_UNIT_SHIFT;
	slot = (uint32_t)((off * (uint64_t)s->recip) >> 32);
	if (slot >= s->nslots)
		return; /* the tail of the span, behind the last slot */
	/* Acquire: a window's slots are marked before they are allocated (open_window). */
	if ((sm_load_acquire(&s->alloc[slot / 64]) >> (slot % 64) & 1) == 0)
		return;
	if (SM_IS_MUTANT(10) && off != (uintptr_t)slot * s->slot_bytes)
		return;
	shade(k, s, slot, sm_span_base(&k->gc->range, s) + (uintptr_t)slot * s->slot_bytes, how);
}

SM_INLINE void mark_exact(struct sm_marker *k, uintptr_t p, enum how how)
{
	uintptr_t off = p - k->base;
	struct sm_span *s;
	uint8_t state;

	if (how == CHECKED) {
		mark_conservative(k, p, how);
		return;
	}
	/* NULL falls out here too: the base is not 0. */
	if (off >= k->bytes)
		return;
	s = &k->spans[off >> SM_UNIT_SHIFT];
	s -= s->back;
	/* Relaxed: p was published by a release store after the span was. Anything but SMALL and LARGE is a
	 * caller's mistake (a pointer to manual memory or to nothing), counted and otherwise ignored. */
	state = (uint8_t)(sm_load_relaxed(&s->state) - SM_SPAN_SMALL);
	if (SM_UNLIKELY(state > SM_SPAN_LARGE - SM_SPAN_SMALL)) {
		k->n.wild++;
		return;
	}
	off -= (uintptr_t)(s - k->spans) << SM_UNIT_SHIFT;
	shade(k, s, (uint32_t)((off * (uint64_t)s->recip) >> 32), p, how);
}

void sm__mark_exact(struct sm_marker *k, uintptr_t p)
{
	mark_exact(k, p, ATOMIC);
}

void sm__mark_conservative(struct sm_marker *k, uintptr_t word)
{
	mark_conservative(k, word, ATOMIC);
}

bool sm__is_marked(const struct sm_range *r, uintptr_t p)
{
	struct sm_span *s = sm_span_of(r, p);
	uint32_t slot = sm_span_slot(r, s, p);

	return sm_load_relaxed(&s->marks[slot / 64]) >> (slot % 64) & 1;
}

/* Reads other frames' memory, red zones included, and words that their owner is changing. */
__attribute__((no_sanitize("address", "thread"))) void sm__mark_stack(struct sm_marker *k, uintptr_t lo,
								      uintptr_t hi)
{
	const volatile uintptr_t *w = (const volatile uintptr_t *)sm_align_up(lo, sizeof(uintptr_t));
	const volatile uintptr_t *end = (const volatile uintptr_t *)sm_align_down(hi, sizeof(uintptr_t));

	for (; w < end; w++) {
		uintptr_t v = *w;

		if (v - k->base < k->bytes)
			sm__mark_conservative(k, v);
	}
}

void sm__mark_words(struct sm_marker *k, const uintptr_t *start, size_t nwords)
{
	for (size_t i = 0; i < nwords; i++)
		mark_exact(k, sm_load_relaxed((const _Atomic(uintptr_t) *)&start[i]), ATOMIC);
}

/* ---- scanning one object ------------------------------------------------------------------------- */

SM_INLINE uintptr_t word_at(const uintptr_t *w)
{
	return sm_load_relaxed((const _Atomic(uintptr_t) *)w);
}

SM_INLINE void scan_all(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end, enum how how)
{
	for (; w < end; w++)
		mark_exact(k, word_at(w), how);
}

/* Bits of one mask, at most 64 words from w; stops at end. */
SM_INLINE void scan_bits(struct sm_marker *k, const uintptr_t *w, const uintptr_t *end, uint64_t bits,
			 enum how how)
{
	for (; bits; bits &= bits - 1) {
		const uintptr_t *at = w + __builtin_ctzll(bits);

		if (at >= end)
			return;
		mark_exact(k, word_at(at), how);
	}
}

/* Words [from, end) of an object whose pattern repeats every l->period words from `start`. */
SM_INLINE void scan_pattern(struct sm_marker *k, const struct sm_layout *l, const uintptr_t *start,
			    const uintptr_t *from, const uintptr_t *end, enum how how)
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
			  const uintptr_t *from, const uintptr_t *end, enum how how)
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
			mark_conservative(k, word_at(from), how);
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
		push(k, piece + SM_LARGE_PIECE);
		end = piece + SM_LARGE_PIECE;
	}
	k->n.scan_bytes += end - piece;
	scan_range(k, s->layout, (const uintptr_t *)start, (const uintptr_t *)piece, (const uintptr_t *)end,
		   ATOMIC);
}

SM_INLINE void scan(struct sm_marker *k, uintptr_t entry, enum how how)
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
	if (SM_LIKELY(l->kind == SM_SCAN_PREFIX))
		scan_all(k, w, w + l->nptrs, how);
	else
		scan_range(k, l, w, w, (const uintptr_t *)(entry + s->slot_bytes), how);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

SM_INLINE uintptr_t pop(struct sm_marker *k)
{
	if (SM_UNLIKELY(k->next == k->first) && !refill_packet(k))
		return 0;
	return *--k->next;
}

/* Entry 0 in the ring is an empty place; in_ring counts the others. */
SM_INLINE void drain_ring(struct sm_marker *k, uint64_t until, enum how how)
{
	uintptr_t ring[SM_FIFO_MAX] = {0};
	unsigned at = 0, in_ring = 0, look_up = LOOK_UP, size = k->fifo;
	_Atomic(uint32_t) *parked = &k->gc->workq.parked;

	for (;;) {
		uintptr_t in = pop(k), out;

		if (in == 0 && in_ring == 0)
			return;
		if (in) {
			SM_PREFETCH_R((const void *)in);
			in_ring++;
		}
		do {
			out = ring[at];
			ring[at] = in;
			in = 0;
			at = at + 1 == size ? 0 : at + 1;
			/* With nothing more to pop, go round to the oldest entry. */
		} while (out == 0 && k->next == k->first && in_ring > 0);
		if (out == 0)
			continue;
		in_ring--;
		scan(k, out, how);
		if (SM_LIKELY(--look_up != 0))
			continue;
		look_up = LOOK_UP;
		if (k->donating && sm_load_relaxed(parked) != 0)
			share(k);
		if (k->n.scan_bytes >= until)
			break;
	}
	/* Out of budget: what is in the ring goes back. */
	for (unsigned i = 0; i < size; i++) {
		if (ring[i])
			sm__mark_push_entry(k, ring[i]);
	}
}

SM_INLINE void drain_direct(struct sm_marker *k, uint64_t until)
{
	uintptr_t in;

	while (k->n.scan_bytes < until && (in = pop(k)) != 0) {
		scan(k, in, ATOMIC);
		if (k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0)
			share(k);
	}
}

uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget)
{
	uint64_t before = k->n.scan_bytes, until = budget ? before + budget : UINT64_MAX;

	if (k->fifo == 0)
		drain_direct(k, until);
	else if (k->plain)
		drain_ring(k, until, PLAIN);
	else
		drain_ring(k, until, ATOMIC);
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

			scan(k, sm_span_base(&k->gc->range, s) + (uintptr_t)slot * s->slot_bytes, CHECKED);
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
