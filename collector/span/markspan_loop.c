/*
 * markspan_loop.c: the mark loop, by span (markspan.c).
 *
 *   take a unit -> prefetch its words of the maps -> [gc.span_ahead units] -> claim what waits
 *     -> its objects, upwards, at the end of an array -> markspan_scan.c
 *
 * With gc.dense=0..100 a unit with so much to scan is read by the kernel (scankernel.h) instead.
 *
 * While few objects are at hand, nothing is gained by waiting, and a heap that offers one at a time
 * (a list) would pay for the unit's turn: then what is newly marked is claimed at once
 * (sm__span_claim_one), and joins the array.
 */
#include "collector/span/markspan_internal.h"

/* Chunks of objects between two looks at who is hungry. */
#define LOOK_UP 8
/* So many objects that are not marked by span wait here before they are looked after: enough to
 * fill the prefetch ring of their loop. */
#define OBJECTS_WAIT 128

_Static_assert(SM_FIFO_MAX + SM_SPAN_CHUNK + SM_SPAN_AT_HAND + SM_UNIT / 16 + SM_SPAN_SLACK <=
		       SM_SPAN_OBJECTS,
	       "room for a unit's objects behind those that wait");

/* ---- claims ------------------------------------------------------------------------------- */

/* Its lines are asked for, and it waits until the next one's have been. */
static void dense_waits(const struct sm_span_loop *l, const struct sm_claim *c)
{
	unsigned slot_bytes = c->kind >> SM_KIND_BYTES_SHIFT;

	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++)
		for (uint64_t bits = c->todo[w]; bits; bits &= bits - 1)
			SM_PREFETCH_R((const void *)sm__span_object(
				c->unit, slot_bytes, w, (unsigned)__builtin_ctzll(bits)));
	if (l->y->dense.n != 0)
		sm__span_scan_dense(l);
	l->y->dense = *c;
}

/*
 * The objects of a claim join those that wait. How many a word has is no pattern that a branch
 * could be guessed by, so the first SPREAD places are always written, and kept by how far the end
 * moves.
 */
#define SPREAD 4u
#define TOP    ((uint64_t)1 << 63)
static unsigned sparse_waits(struct sm_span_marker *y, const struct sm_claim *c)
{
	unsigned slot_bytes = c->kind >> SM_KIND_BYTES_SHIFT, before = y->last;
	unsigned spread = slot_bytes == SM_SHIFTED_SLOT ? 0 : SPREAD;
	uintptr_t *out = &y->object[y->last];

	sm__span_add_kind(y, c->kind);
	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++) {
		uint64_t bits = c->todo[w];

		if (bits == 0)
			continue;
		for (unsigned i = 0; i < spread; i++) {
			/* Of no bits it is any number: not kept. */
			*out = sm__span_object(c->unit, 16, w,
					       (unsigned)__builtin_ctzll(bits | TOP));
			out += bits != 0;
			bits &= bits - 1;
		}
		for (; bits; bits &= bits - 1)
			*out++ = sm__span_object(c->unit, slot_bytes, w,
						 (unsigned)__builtin_ctzll(bits));
	}
	y->last = (unsigned)(out - y->object);
	return y->last - before;
}

/* ---- spans -------------------------------------------------------------------------------- */

static void ask_for(const struct sm_span_loop *l, uintptr_t entry)
{
	struct sm_marker *k = l->k;
	size_t word = ((entry - l->base) >> SM_UNIT_SHIFT) * SM_UNIT_MARK_WORDS;

	/* That of the representative is all that is needed of one that waits alone. */
	SM_PREFETCH_W(&k->gc->range.scans[(entry - l->base) >> SM_MARK_WORD_SHIFT]);
	if (sm_load_relaxed(&l->owned[entry >> SM_UNIT_SHIFT]) != SM_OWNED_MANY) {
		SM_PREFETCH_L2((const void *)entry);
		return;
	}
	for (size_t w = 0; w < SM_UNIT_MARK_WORDS; w += SM_CACHELINE / sizeof(uint64_t)) {
		SM_PREFETCH_R(&k->marks[word + w]);
		SM_PREFETCH_W(&k->gc->range.scans[word + w]);
	}
}

static void fill_ring(const struct sm_span_loop *l)
{
	struct sm_span_marker *y = l->y;

	while (y->tail - y->head < l->ahead) {
		uintptr_t entry = sm__span_next(l->k);

		if (entry == 0)
			return;
		ask_for(l, entry);
		y->ring[y->tail++ % SM_SPAN_AHEAD_MAX] = entry;
	}
}

/* Counts them. */
static bool is_dense(const struct sm_span_loop *l, struct sm_claim *c)
{
	c->n = sm__claim_count(c);
	return (uint64_t)c->n * (c->kind >> SM_KIND_BYTES_SHIFT) * 100 >=
	       (uint64_t)l->dense * SM_UNIT;
}

/* What waits in the unit of the ring's oldest entry. */
static void take_span(const struct sm_span_loop *l)
{
	struct sm_span_marker *y = l->y;
	uintptr_t entry = y->ring[y->head++ % SM_SPAN_AHEAD_MAX];
	enum sm_scanned_how how;
	struct sm_claim c;

	if (!sm__span_claim(l->k, entry, l->most, &c))
		return;
	how = SM_SCANNED_SPARSE;
	if (c.alone) {
		how = SM_SCANNED_ALONE;
		c.n = 1;
		sm__span_add_kind(y, c.kind);
		y->object[y->last++] = entry;
	} else if (l->dense <= 100 && is_dense(l, &c)) {
		how = SM_SCANNED_DENSE;
		dense_waits(l, &c);
	} else {
		c.n = sparse_waits(y, &c);
	}
	y->n.spans[how]++;
	y->n.objects[how][sm_size_class(c.kind >> SM_KIND_BYTES_SHIFT)] += c.n;
	l->k->n.bytes += (uint64_t)c.n * (c.kind >> SM_KIND_BYTES_SHIFT);
}

static void trace_object(struct sm_marker *k, uintptr_t p,
			 void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx)
{
	fn(ctx, k, p);
	sm__scan(k, p, SM_HOW_TRACED);
}

bool sm__mark_trace_span(struct sm_marker *k,
			 void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx)
{
	uintptr_t entry = sm__span_next(k);
	struct sm_claim c;
	unsigned bytes;

	if (entry == 0)
		return false;
	if (!sm__span_claim(k, entry, UINT_MAX, &c))
		return true;
	bytes = c.kind >> SM_KIND_BYTES_SHIFT;
	if (c.alone) {
		trace_object(k, entry, fn, ctx);
		return true;
	}
	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++)
		for (uint64_t bits = c.todo[w]; bits; bits &= bits - 1)
			trace_object(
				k,
				sm__span_object(c.unit, bytes, w, (unsigned)__builtin_ctzll(bits)),
				fn, ctx);
	return true;
}

bool sm__span_look_up(const struct sm_span_loop *l)
{
	struct sm_marker *k = l->k;

	if ((k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0) ||
	    sm_load_relaxed(&k->gc->workq.hungry) != 0) {
		sm__span_share(k);
		sm__mark_share(k);
	}
	sm__mark_publish(k);
	return k->n.scan_bytes < l->until;
}

/* Entries of the marker's own that are not marked by span. */
static size_t objects_waiting(const struct sm_marker *k)
{
	return (size_t)(k->next - k->first) + (size_t)(k->take - k->take_first);
}

/* Fills the array until a chunk and what is to be asked for beyond it is there. */
static void fill_objects(const struct sm_span_loop *l)
{
	struct sm_span_marker *y = l->y;

	sm__span_to_the_front(y);
	while (y->last < l->fifo + SM_SPAN_CHUNK && objects_waiting(l->k) < OBJECTS_WAIT) {
		fill_ring(l);
		if (y->head == y->tail)
			return;
		take_span(l);
	}
}

/* One step: false when nothing was left to do, here or in the queues. */
static bool step(const struct sm_span_loop *l)
{
	struct sm_span_marker *y = l->y;

	if (y->last - y->first < l->fifo + SM_SPAN_CHUNK)
		fill_objects(l);
	if (y->last - y->first < l->at_hand && y->first != y->last && y->head == y->tail &&
	    !l->routed) {
		sm__span_scan_few(l);
		return true;
	}
	if (y->first != y->last) {
		sm__span_scan_chunk(l);
		return true;
	}
	if (y->dense.n != 0) {
		sm__span_scan_dense(l);
		return true;
	}
	return sm__span_scan_others(l) || y->head != y->tail;
}

void sm__mark_drain_spans(struct sm_marker *k, uint64_t until)
{
	const struct sm_by_span *b = &k->gc->by_span;
	struct sm_span_loop l = {.k = k,
				 .y = k->by_span,
				 .base = k->base,
				 .bytes = k->bytes,
				 .marks = k->marks - (k->base >> SM_MARK_WORD_SHIFT),
				 .scans = k->gc->range.scans - (k->base >> SM_MARK_WORD_SHIFT),
				 .unit_kind = k->gc->range.unit_kind - (k->base >> SM_UNIT_SHIFT),
				 .owned = b->owned - (k->base >> SM_UNIT_SHIFT),
				 .kinds = k->gc->range.kinds,
				 .until = until,
				 .ahead = b->ahead ? b->ahead : 1,
				 .dense = b->dense,
				 .most = UINT_MAX,
				 .fifo = k->fifo,
				 .at_hand = SM_SPAN_AT_HAND,
				 .routed = k->out != NULL};
	unsigned left = LOOK_UP;

	/* A budget is kept to within a few objects, so a span is taken by pieces. */
	if (until != UINT64_MAX) {
		l.ahead = 1;
		l.most = 8;
		l.fifo = k->fifo < 8 ? k->fifo : 8;
	}
	while (k->n.scan_bytes < until && step(&l)) {
		if (--left == 0) {
			left = LOOK_UP;
			if (!sm__span_look_up(&l))
				break;
		}
	}
	l.at_hand = 0;
	if (l.y->dense.n != 0)
		sm__span_scan_dense(&l);
	while (l.y->first != l.y->last)
		sm__span_scan_chunk(&l);
}
