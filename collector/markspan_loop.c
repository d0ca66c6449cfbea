/*
 * markspan_loop.c: the mark loop, by span (markspan.c).
 *
 *   take a unit -> prefetch its words of the maps -> [gc.span_ahead units] -> claim what waits
 *     -> dense: the kernel reads all of it, upwards
 *     -> sparse, or one object alone: prefetch each -> [gc.fifo objects] -> read it
 *   -> pointers, side by side -> their mark bits -> what was newly marked -> post it to its unit
 *
 * Each arrow is a pass over an array of what came before, so that no branch of one waits for the
 * loads of another: a mark word is asked for EDGES_AHEAD pointers before it is needed.
 */
#include "collector/markspan.h"
#include "collector/scan_internal.h"

/* Spans, or batches of objects, between two looks at who is hungry. */
#define LOOK_UP 16
/* Mark words are asked for so many pointers ahead. */
#define EDGES_AHEAD 32
/* Objects that are read together, where they are read one by one. */
#define BATCH 32
/* So many objects that are not marked by span wait here before they are looked after: enough to
 * fill the prefetch ring of their loop. */
#define OBJECTS_WAIT 128

/* What the passes need of the marker, as in markloop.c. */
struct loop {
	struct sm_marker *k;
	struct sm_span_marker *y;
	uintptr_t base;
	size_t bytes;
	_Atomic(uint64_t) *marks; /* as if of address 0, as the next two */
	const uint8_t *unit_kind;
	_Atomic(uint8_t) *owned;
	const uint32_t *kinds;
	uint64_t until;
	/* gc.span_ahead, gc.dense; objects of a span at a time; how many wait for their lines */
	unsigned ahead, dense, most, fifo;
	bool routed; /* several nodes */
};

/* ---- edges -------------------------------------------------------------------------------- */

/* Marks n pointers to objects; those that were newly marked are left at the front. */
SM_INLINE size_t mark_edges(const struct loop *l, uintptr_t *edge, size_t n, bool plain)
{
	size_t fresh = 0;

	for (size_t i = 0; i < n; i++) {
		uintptr_t p = edge[i];
		_Atomic(uint64_t) *word = &l->marks[p >> SM_MARK_WORD_SHIFT];
		uint64_t at = p >> SM_MARK_SHIFT, old = sm_load_relaxed(word);

		/* Behind the end of the array stands what was there before: harmless to ask for. */
		SM_PREFETCH_R(&l->marks[edge[i + EDGES_AHEAD] >> SM_MARK_WORD_SHIFT]);
		if (plain) {
			bool was = sm_bit_test_set(&old, at);

			sm_store_relaxed(word, old);
			edge[fresh] = p;
			fresh += !was;
		} else if (!(old >> (at & 63) & 1)) {
			uint64_t bit = (uint64_t)1 << (at & 63);

			/* Release: what was read to find p, and so p's contents. */
			old = atomic_fetch_or_explicit(word, bit, memory_order_release);
			edge[fresh] = p;
			fresh += !(old & bit);
		}
	}
	return fresh;
}

/* Not marked by span, or there are several nodes: seldom, but in heaps of such. */
static SM_NOINLINE void post_other(struct sm_marker *k, uintptr_t p)
{
	sm__mark_push(k, p);
}

/* What has just been marked waits in its unit. */
SM_INLINE void post_all(const struct loop *l, const uintptr_t *fresh, size_t n)
{
	struct sm_marker *k = l->k;
	uint64_t leaf_bytes = 0;

	k->n.objects += n;
	for (size_t i = 0; i < n; i++) {
		uintptr_t p = fresh[i], unit = p >> SM_UNIT_SHIFT;
		uint32_t kind = l->kinds[l->unit_kind[unit]];

		if (SM_LIKELY(sm__kind_by_span(kind)) && !l->routed) {
			/* Sequentially consistent: see markspan.c, (b). */
			if (SM_UNLIKELY(sm_load_seqcst(&l->owned[unit]) != SM_OWNED_MANY))
				sm__span_post(k, p);
		} else if ((kind & SM_KIND_POINTERS) == SM_KIND_POINTER_FREE) {
			leaf_bytes += kind >> SM_KIND_BYTES_SHIFT;
		} else {
			post_other(k, p);
		}
	}
	k->n.bytes += leaf_bytes;
}

/* The pointers at edge, all of them into the heap. */
static SM_NOINLINE void take_edges(const struct loop *l, size_t n)
{
	uintptr_t *edge = l->y->edge;
	size_t fresh;

	for (size_t i = 0; i < EDGES_AHEAD && i < n; i++)
		SM_PREFETCH_R(&l->marks[edge[i] >> SM_MARK_WORD_SHIFT]);
	if (l->k->plain) {
		fresh = mark_edges(l, edge, n, true);
	} else {
		fresh = mark_edges(l, edge, n, false);
		sm_fence_seqcst(); /* between the mark bits and the units' bytes: likewise */
	}
	post_all(l, edge, fresh);
}

/* ---- objects ------------------------------------------------------------------------------ */

/* Does p lie on the marker's own node? */
SM_INLINE bool is_near(const struct sm_marker *k, uintptr_t p)
{
	return (p - k->base) >> k->gc->range.node_shift == k->node;
}

/* The oldest objects that were claimed one by one. */
static void scan_some(const struct loop *l)
{
	struct sm_span_marker *y = l->y;
	uintptr_t *out = y->edge;
	uint64_t bytes = 0;
	unsigned n = 0;

	while (n < BATCH && y->first != y->last &&
	       out < y->edge + SM_BY_SPAN_WORDS - SM_BY_SPAN_POINTERS) {
		const uintptr_t *w = (const uintptr_t *)y->object[y->first++ % SM_SPAN_OBJECTS];
		uint32_t kind = l->kinds[l->unit_kind[(uintptr_t)w >> SM_UNIT_SHIFT]];
		const uintptr_t *end = w + (kind & SM_KIND_POINTERS);

		bytes += kind >> SM_KIND_BYTES_SHIFT;
		n++;
		if (SM_UNLIKELY(l->routed) && !is_near(l->k, (uintptr_t)w))
			l->k->n.away++;
		for (; w < end; w++) {
			uintptr_t p = sm__word_at(w);

			*out = p;
			out += p - l->base < l->bytes;
		}
	}
	l->k->n.scanned += n;
	l->k->n.scan_bytes += bytes;
	take_edges(l, (size_t)(out - y->edge));
}

SM_INLINE void object_waits(struct sm_span_marker *y, uintptr_t p)
{
	SM_PREFETCH_R((const void *)p);
	y->object[y->last++ % SM_SPAN_OBJECTS] = p;
}

/* The span that was claimed for the kernel before this one. */
static void scan_dense(const struct loop *l)
{
	struct sm_claim *c = &l->y->dense;
	struct sm_scan_job job = {.unit = c->unit,
				  .todo = c->todo,
				  .words = SM_UNIT_MARK_WORDS,
				  .slot_bytes = c->kind >> SM_KIND_BYTES_SHIFT,
				  .nptrs = c->kind & SM_KIND_POINTERS,
				  .base = l->base,
				  .bytes = l->bytes};

	l->k->n.scanned += c->n;
	l->k->n.scan_bytes += (uint64_t)c->n * job.slot_bytes;
	if (SM_UNLIKELY(l->routed) && !is_near(l->k, c->unit))
		l->k->n.away += c->n;
	c->n = 0;
	take_edges(l, l->k->gc->by_span.kernel->fn(&job, l->y->edge));
}

/* Its lines are asked for, and it waits until the next one's have been. */
static void dense_waits(const struct loop *l, const struct sm_claim *c)
{
	unsigned slot_bytes = c->kind >> SM_KIND_BYTES_SHIFT;

	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++)
		for (uint64_t bits = c->todo[w]; bits; bits &= bits - 1)
			SM_PREFETCH_R((const void *)sm__span_object(
				c->unit, slot_bytes, w, (unsigned)__builtin_ctzll(bits)));
	if (l->y->dense.n != 0)
		scan_dense(l);
	l->y->dense = *c;
}

static void scan_sparse(const struct loop *l, const struct sm_claim *c)
{
	unsigned slot_bytes = c->kind >> SM_KIND_BYTES_SHIFT;

	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++)
		for (uint64_t bits = c->todo[w]; bits; bits &= bits - 1)
			object_waits(l->y, sm__span_object(c->unit, slot_bytes, w,
							   (unsigned)__builtin_ctzll(bits)));
}

/* ---- spans -------------------------------------------------------------------------------- */

static void ask_for(const struct loop *l, uintptr_t entry)
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

static void fill_ring(const struct loop *l)
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

static void count_claim(struct sm_span_marker *y, const struct sm_claim *c, enum sm_scanned_how how)
{
	y->n.spans[how]++;
	y->n.objects[how][sm_size_class(c->kind >> SM_KIND_BYTES_SHIFT)] += c->n;
}

/* What waits in the unit of the ring's oldest entry. */
static void take_span(const struct loop *l)
{
	struct sm_span_marker *y = l->y;
	uintptr_t entry = y->ring[y->head++ % SM_SPAN_AHEAD_MAX];
	unsigned slot_bytes;
	struct sm_claim c;

	if (!sm__span_claim(l->k, entry, l->most, &c))
		return;
	slot_bytes = c.kind >> SM_KIND_BYTES_SHIFT;
	if (c.alone) {
		count_claim(y, &c, SM_SCANNED_ALONE);
		object_waits(y, entry);
	} else if ((uint64_t)c.n * slot_bytes * 100 < (uint64_t)l->dense * SM_UNIT) {
		count_claim(y, &c, SM_SCANNED_SPARSE);
		scan_sparse(l, &c);
	} else {
		count_claim(y, &c, SM_SCANNED_DENSE);
		dense_waits(l, &c);
	}
}

static void trace_object(struct sm_marker *k, uintptr_t p, unsigned slot_bytes,
			 void (*fn)(void *ctx, struct sm_marker *k, uintptr_t object), void *ctx)
{
	fn(ctx, k, p);
	k->n.bytes -= slot_bytes; /* counted when it was claimed */
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
		trace_object(k, entry, bytes, fn, ctx);
		return true;
	}
	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++)
		for (uint64_t bits = c.todo[w]; bits; bits &= bits - 1)
			trace_object(
				k,
				sm__span_object(c.unit, bytes, w, (unsigned)__builtin_ctzll(bits)),
				bytes, fn, ctx);
	return true;
}

static bool look_up_from_work(const struct loop *l)
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

/* One step: false when nothing was left to do, here or in the queues. */
static bool step(const struct loop *l)
{
	struct sm_span_marker *y = l->y;
	uint64_t scanned;

	fill_ring(l);
	if (y->head != y->tail && objects_waiting(l->k) < OBJECTS_WAIT) {
		take_span(l);
		while (y->last - y->first > l->fifo)
			scan_some(l);
		return true;
	}
	if (y->dense.n != 0) {
		scan_dense(l);
		return true;
	}
	if (y->first != y->last) {
		scan_some(l);
		return true;
	}
	scanned = l->k->n.scanned;
	sm__mark_drain_objects(l->k, l->until);
	return l->k->n.scanned != scanned || y->head != y->tail;
}

void sm__mark_drain_spans(struct sm_marker *k, uint64_t until)
{
	const struct sm_by_span *b = &k->gc->by_span;
	struct loop l = {.k = k,
			 .y = k->by_span,
			 .base = k->base,
			 .bytes = k->bytes,
			 .marks = k->marks - (k->base >> SM_MARK_WORD_SHIFT),
			 .unit_kind = k->gc->range.unit_kind - (k->base >> SM_UNIT_SHIFT),
			 .owned = b->owned - (k->base >> SM_UNIT_SHIFT),
			 .kinds = k->gc->range.kinds,
			 .until = until,
			 .ahead = b->ahead ? b->ahead : 1,
			 .dense = b->dense,
			 .most = UINT_MAX,
			 .fifo = k->fifo,
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
			if (!look_up_from_work(&l))
				break;
		}
	}
	if (l.y->dense.n != 0)
		scan_dense(&l);
	while (l.y->first != l.y->last)
		scan_some(&l);
}
