/*
 * markspan_scan.c: the work of the loop by span (markspan_loop.c) on objects and their edges.
 *
 *   an object -> prefetch it into the second cache -> [until it is NEAR from the front]
 *     -> into the first -> [SM_SPAN_LOOK from the front] -> prefetch the mark words of its edges
 *     -> [until it is in front] -> mark its edges
 *     -> what was newly marked, side by side -> post it to its unit
 *
 * What is done to an object goes on at once, to four objects of the array, so that the line of one,
 * the mark words of another and the work on the last overlap. (Passes of their own over arrays of
 * pointers, one behind the other, took half as much time again: when one waits, the others have
 * nothing to do.) The second cache comes first for the reason that markloop.c has: a line that is
 * on its way from memory would hold a miss buffer of the first one, and the mark words need those.
 * Where several mark, only the marking itself is a pass of its own, over those edges that were not
 * marked.
 */
#include "collector/span/markspan_internal.h"

/* So many objects before its turn an object's line, which was asked for into the second cache, is
 * asked for into the first, and then (SM_SPAN_LOOK) the mark words of its edges. */
#define NEAR 20
/* Mark words are asked for so many pointers ahead, of what the kernel gave. */
#define EDGES_AHEAD 32
/* Few objects are scanned so often between two looks at the queues. */
#define FEW 256

_Static_assert(SM_SPAN_AT_HAND + SM_BY_SPAN_POINTERS < SM_SPAN_OBJECTS / 2, "room for a few");
_Static_assert(SM_SPAN_CHUNK *SM_BY_SPAN_POINTERS <= SM_BY_SPAN_WORDS,
	       "room for a chunk's pointers");

/* ---- edges -------------------------------------------------------------------------------- */

/*
 * Marks the object at p. If that is news, p is what *fresh gets; returns behind it. Plain: nothing
 * branches on it (a coin toss, in a graph), as in markloop.c.
 */
SM_INLINE uintptr_t *mark_edge(const struct sm_span_loop *l, uintptr_t *fresh, uintptr_t p,
			       bool plain)
{
	_Atomic(uint64_t) *word = &l->marks[p >> SM_MARK_WORD_SHIFT];
	uint64_t at = p >> SM_MARK_SHIFT, old = sm_load_relaxed(word);

	if (plain) {
		bool was = sm_bit_test_set(&old, at);

		sm_store_relaxed(word, old);
		*fresh = p;
		return fresh + !was;
	}
	if (!(old >> (at & 63) & 1)) {
		uint64_t bit = (uint64_t)1 << (at & 63);

		/* Release: what was read to find p, and so p's contents. */
		old = atomic_fetch_or_explicit(word, bit, memory_order_release);
		*fresh = p;
		return fresh + !(old & bit);
	}
	return fresh;
}

/* An edge that is yet to be marked, if it seems to be news: no branch either. */
SM_INLINE uintptr_t *keep_edge(const struct sm_span_loop *l, uintptr_t *kept, uintptr_t p)
{
	uint64_t word = sm_load_relaxed(&l->marks[p >> SM_MARK_WORD_SHIFT]);

	*kept = p;
	return kept + !(word >> (p >> SM_MARK_SHIFT & 63) & 1);
}

/* Behind the end of the array stands what was there before: harmless to ask for. */
SM_INLINE void ask_ahead(const struct sm_span_loop *l, const uintptr_t *edge)
{
	SM_PREFETCH_R(&l->marks[edge[EDGES_AHEAD] >> SM_MARK_WORD_SHIFT]);
}

/*
 * Marks the n edges, and leaves those that are news. A read-modify-write lets nothing behind it
 * begin, so between the loads of objects it costs more than its 20 cycles: the edges of a chunk are
 * marked one behind the other, when its objects have been read. And those of one word that follow
 * each other, as an array's to what was allocated after it, are marked by one: one each was 54
 * cycles an edge of such an array, where a plain store was 7.
 */
SM_INLINE uintptr_t *mark_runs(const struct sm_span_loop *l, uintptr_t *edge, size_t n, bool ask)
{
	uintptr_t *fresh = edge;

	for (const uintptr_t *end = edge + n; edge < end;) {
		uintptr_t *first = edge, at = *edge >> SM_MARK_WORD_SHIFT;
		uint64_t news = 0;

		do {
			if (ask)
				ask_ahead(l, edge);
			news |= (uint64_t)1 << (*edge >> SM_MARK_SHIFT & 63);
		} while (++edge < end && *edge >> SM_MARK_WORD_SHIFT == at);
		news &= ~sm_load_relaxed(&l->marks[at]);
		/* Release: as in mark_edge. */
		if (news != 0)
			news &= ~atomic_fetch_or_explicit(&l->marks[at], news,
							  memory_order_release);
		for (; first < edge; first++) { /* one that comes twice is news once */
			uintptr_t p = *first;

			*fresh = p;
			fresh += news >> (p >> SM_MARK_SHIFT & 63) & 1;
			news &= ~((uint64_t)1 << (p >> SM_MARK_SHIFT & 63));
		}
	}
	return fresh;
}

/* Its unit does not wait with many. The bytes of what needs no scan. */
static SM_NOINLINE unsigned post_one(const struct sm_span_loop *l, uintptr_t p)
{
	uint32_t kind = sm__loop_kind(l, p);

	if (sm__kind_by_span(kind) && !l->routed)
		sm__span_post(l->k, p);
	else if ((kind & SM_KIND_POINTERS) == SM_KIND_POINTER_FREE)
		return kind >> SM_KIND_BYTES_SHIFT;
	else if (l->routed)
		sm__mark_push(l->k, p);
	else
		sm__mark_push_entry(l->k, p);
	return 0;
}

static void count_alone(struct sm_span_marker *y, uint32_t kind)
{
	y->n.spans[SM_SCANNED_ALONE]++;
	y->n.objects[SM_SCANNED_ALONE][sm_size_class(kind >> SM_KIND_BYTES_SHIFT)]++;
}

/* While few objects are at hand: how many of the n it took. */
static SM_NOINLINE size_t claim_at_once(const struct sm_span_loop *l, const uintptr_t *fresh,
					size_t n)
{
	struct sm_span_marker *y = l->y;
	struct sm_marker *k = l->k;
	size_t i;

	for (i = 0; i < n && y->last - y->first < l->at_hand && y->last < SM_SPAN_OBJECTS; i++) {
		uint32_t kind = sm__loop_kind(l, fresh[i]);

		if (!sm__kind_by_span(kind))
			break;
		if (!sm__span_claim_one(&k->gc->range, fresh[i], k->plain))
			continue;
		k->n.bytes += kind >> SM_KIND_BYTES_SHIFT;
		count_alone(y, kind);
		sm__span_add_kind(y, kind);
		y->object[y->last++] = fresh[i];
	}
	return i;
}

/* What has just been marked waits in its unit. */
SM_INLINE void post_all(const struct sm_span_loop *l, const uintptr_t *fresh, size_t n)
{
	struct sm_span_marker *y = l->y;
	struct sm_marker *k = l->k;
	uint64_t leaf_bytes = 0;
	size_t i = 0;

	k->n.objects += n;
	if (y->last - y->first < l->at_hand && y->head == y->tail && !l->routed)
		i = claim_at_once(l, fresh, n);
	for (; i < n; i++) {
		uintptr_t p = fresh[i];

		/* Only units of objects that are marked by span are owned. Sequentially consistent:
		 * see markspan.c, (b). */
		if (SM_LIKELY(sm_load_seqcst(&l->owned[p >> SM_UNIT_SHIFT]) == SM_OWNED_MANY))
			continue;
		leaf_bytes += post_one(l, p);
	}
	k->n.bytes += leaf_bytes;
}

/* What mark_edge left in y->edge. */
SM_INLINE void post_fresh(const struct sm_span_loop *l, const uintptr_t *end, bool plain)
{
	if (!plain)
		sm_fence_seqcst(); /* between the mark bits and the units' bytes: likewise */
	post_all(l, l->y->edge, (size_t)(end - l->y->edge));
}

/* ---- objects ------------------------------------------------------------------------------ */

/*
 * What the loop over objects is compiled for: kinds of ONE, TWO or FOUR pointers that no line's end
 * divides, whose loops over pointers are gone (each of their edges then has branches and loads of
 * its own to be predicted); any one kind; objects of several.
 */
enum shape { MIXED = -1, ANY, ONE, TWO, FOUR = 4 };

static enum shape shape_of(uint32_t kind)
{
	uint32_t pointers = kind & SM_KIND_POINTERS, bytes = kind >> SM_KIND_BYTES_SHIFT;

	if (kind == 0)
		return MIXED;
	if ((pointers != ONE && pointers != TWO && pointers != FOUR) ||
	    bytes % (pointers * sizeof(uintptr_t)) != 0)
		return ANY;
	return (enum shape)pointers;
}

SM_INLINE void ask_mark(const struct sm_span_loop *l, const uintptr_t *w)
{
	uintptr_t q = sm__word_at(w);

	if (q - l->base < l->bytes)
		SM_PREFETCH_R(&l->marks[q >> SM_MARK_WORD_SHIFT]);
}

/* Asks for the mark words of the edges in the first line of the object at p, which has arrived. */
SM_INLINE void look_at(const struct sm_span_loop *l, uintptr_t p, uint32_t kind, enum shape shape)
{
	const uintptr_t *w = (const uintptr_t *)p, *end = w + (kind & SM_KIND_POINTERS);
	const uintptr_t *line_end = (const uintptr_t *)((p | (SM_CACHELINE - 1)) + 1);

	if (shape > ANY) {
		ask_mark(l, w);
		if (shape > ONE)
			ask_mark(l, w + 1);
		if (shape > TWO) {
			ask_mark(l, w + 2);
			ask_mark(l, w + 3);
		}
		return;
	}
	end = end < line_end ? end : line_end;
	for (; w < end; w++)
		ask_mark(l, w);
}

SM_INLINE uintptr_t *scan_edge(const struct sm_span_loop *l, uintptr_t *fresh, const uintptr_t *w,
			       bool plain)
{
	uintptr_t p = sm__word_at(w);

	if (p - l->base >= l->bytes)
		return fresh;
	return plain ? mark_edge(l, fresh, p, true) : keep_edge(l, fresh, p);
}

SM_INLINE uintptr_t *scan_object(const struct sm_span_loop *l, uintptr_t *fresh, uintptr_t p,
				 uint32_t kind, enum shape shape, bool plain)
{
	const uintptr_t *w = (const uintptr_t *)p, *end = w + (kind & SM_KIND_POINTERS);

	if (shape > ANY) {
		fresh = scan_edge(l, fresh, w, plain);
		if (shape > ONE)
			fresh = scan_edge(l, fresh, w + 1, plain);
		if (shape > TWO) {
			fresh = scan_edge(l, fresh, w + 2, plain);
			fresh = scan_edge(l, fresh, w + 3, plain);
		}
		return fresh;
	}
	do
		fresh = scan_edge(l, fresh, w, plain);
	while (++w < end);
	return fresh;
}

SM_INLINE unsigned near(const struct sm_span_loop *l)
{
	return l->fifo < NEAR ? l->fifo : NEAR;
}

/* Scans the n objects at x. Behind the first `look` of them there is one SM_SPAN_LOOK further on.
 * kind: of all that wait, unless they are MIXED. Returns where the fresh ones end. */
SM_INLINE uintptr_t *scan_objects(const struct sm_span_loop *l, const uintptr_t *x, unsigned n,
				  unsigned look, uint32_t kind, enum shape shape, bool plain)
{
	/* In registers: nothing is called that takes its address. */
	const struct sm_span_loop in = *l;
	unsigned soon = near(l);
	uintptr_t *fresh = l->y->edge;
	uint64_t bytes = 0;

	for (const uintptr_t *end = x + n, *ahead = x + look; x < end; x++) {
		uint32_t own = shape == MIXED ? sm__loop_kind(&in, *x) : kind;

		/* Behind the last stands what was there before: harmless to ask for. */
		SM_PREFETCH_L2((const void *)x[in.fifo]);
		SM_PREFETCH_R((const void *)x[soon]);
		if (SM_LIKELY(x < ahead))
			look_at(&in, x[SM_SPAN_LOOK],
				shape == MIXED ? sm__loop_kind(&in, x[SM_SPAN_LOOK]) : kind, shape);
		bytes += own >> SM_KIND_BYTES_SHIFT;
		fresh = scan_object(&in, fresh, *x, own, shape, plain);
	}
	l->k->n.scan_bytes += bytes;
	return plain ? fresh : mark_runs(l, l->y->edge, (size_t)(fresh - l->y->edge), false);
}

SM_INLINE uintptr_t *scan_shape(const struct sm_span_loop *l, const uintptr_t *x, unsigned n,
				unsigned look, uint32_t kind, bool plain)
{
	switch (shape_of(kind)) {
	case ONE: return scan_objects(l, x, n, look, kind, ONE, plain);
	case TWO: return scan_objects(l, x, n, look, kind, TWO, plain);
	case FOUR: return scan_objects(l, x, n, look, kind, FOUR, plain);
	case ANY: return scan_objects(l, x, n, look, kind, ANY, plain);
	default: return scan_objects(l, x, n, look, kind, MIXED, plain);
	}
}

/* Those that came since, as far as they should have been by now. */
SM_INLINE void catch_up(const struct sm_span_loop *l)
{
	struct sm_span_marker *y = l->y;

	for (; y->asked < y->last && y->asked - y->first < near(l); y->asked++)
		SM_PREFETCH_R((const void *)y->object[y->asked]);
	for (; y->asked < y->last && y->asked - y->first < l->fifo; y->asked++)
		SM_PREFETCH_L2((const void *)y->object[y->asked]);
	for (; y->looked < y->last && y->looked - y->first < SM_SPAN_LOOK; y->looked++)
		look_at(l, y->object[y->looked], sm__loop_kind(l, y->object[y->looked]), ANY);
}

SM_INLINE void scan_chunk(const struct sm_span_loop *l, bool plain)
{
	struct sm_span_marker *y = l->y;
	unsigned have = y->last - y->first, n = have < SM_SPAN_CHUNK ? have : SM_SPAN_CHUNK;
	unsigned look = have > SM_SPAN_LOOK ? have - SM_SPAN_LOOK : 0;
	const uintptr_t *x = &y->object[y->first];
	uintptr_t *end;

	catch_up(l);
	for (unsigned i = 0; SM_UNLIKELY(l->routed) && i < n; i++)
		l->k->n.away += !sm__span_is_near(l->k, x[i]);
	look = look < n ? look : n;
	end = scan_shape(l, x, n, look, y->kind, plain);
	l->k->n.scanned += n;
	y->first += n;
	y->asked = y->first + l->fifo < y->last ? y->first + l->fifo : y->last;
	y->looked = y->first + SM_SPAN_LOOK < y->last ? y->first + SM_SPAN_LOOK : y->last;
	post_fresh(l, end, plain);
}

/* Each a function of its own, as in markloop.c. */
static SM_NOINLINE void scan_plain(const struct sm_span_loop *l)
{
	struct sm_span_loop own = *l; /* which no store can change, for all the compiler knows */

	scan_chunk(&own, true);
}

static SM_NOINLINE void scan_shared(const struct sm_span_loop *l)
{
	struct sm_span_loop own = *l;

	scan_chunk(&own, false);
}

void sm__span_scan_chunk(const struct sm_span_loop *l)
{
	if (l->k->plain)
		scan_plain(l);
	else
		scan_shared(l);
}

/* Of a word of the map, objects that are scanned at once: they are to get their scans bits. */
struct at_once {
	_Atomic(uint64_t) *scans;
	uint64_t bits;
	uint32_t kind; /* of all of them: they lie in one unit */
};

/* They are counted by who sets the bit: another may have claimed them meanwhile. */
SM_INLINE void settle(const struct sm_span_loop *l, struct at_once *a, bool plain)
{
	struct sm_span_marker *y = l->y;
	unsigned n = (unsigned)__builtin_popcountll(sm__claim_word(a->scans, a->bits, plain));

	l->k->n.bytes += (uint64_t)n * (a->kind >> SM_KIND_BYTES_SHIFT);
	y->n.spans[SM_SCANNED_ALONE] += n;
	y->n.objects[SM_SCANNED_ALONE][sm_size_class(a->kind >> SM_KIND_BYTES_SHIFT)] += n;
	a->bits = 0;
}

/* What scanning one of few objects found: it joins them. */
SM_INLINE void take_fresh(const struct sm_span_loop *l, struct at_once *a, uintptr_t p, bool plain)
{
	struct sm_span_marker *y = l->y;
	_Atomic(uint64_t) *scans = &l->scans[p >> SM_MARK_WORD_SHIFT];
	uint32_t kind;

	if (scans != a->scans || a->bits == 0) {
		kind = sm__loop_kind(l, p);
		if (SM_UNLIKELY(!sm__kind_by_span(kind))) {
			l->k->n.bytes += post_one(l, p);
			return;
		}
		if (a->bits != 0)
			settle(l, a, plain);
		a->scans = scans;
		a->kind = kind;
	}
	SM_PREFETCH_R((const void *)p);
	a->bits |= (uint64_t)1 << (p >> SM_MARK_SHIFT & 63);
	y->object[y->last++] = p;
}

SM_INLINE void scan_few(const struct sm_span_loop *l, bool plain)
{
	struct sm_span_marker *y = l->y;
	struct at_once a = {.bits = 0};
	uint64_t bytes = 0;
	unsigned n = 0;

	while (y->first != y->last && y->last - y->first < l->at_hand && n++ < FEW) {
		uintptr_t p = y->object[y->first++], *fresh = y->edge;
		uint32_t kind = sm__loop_kind(l, p);
		const uintptr_t *w = (const uintptr_t *)p, *end = w + (kind & SM_KIND_POINTERS);

		bytes += kind >> SM_KIND_BYTES_SHIFT;
		l->k->n.scanned++;
		do {
			uintptr_t q = sm__word_at(w);

			if (q - l->base < l->bytes)
				fresh = mark_edge(l, fresh, q, plain);
		} while (++w < end);
		l->k->n.objects += (uint64_t)(fresh - y->edge);
		for (const uintptr_t *f = y->edge; f < fresh; f++)
			take_fresh(l, &a, *f, plain);
		if (y->last > SM_SPAN_OBJECTS - SM_BY_SPAN_POINTERS)
			sm__span_to_the_front(y);
	}
	if (a.bits != 0)
		settle(l, &a, plain);
	l->k->n.scan_bytes += bytes;
	y->kind = 0;
	y->asked = y->last;
	y->looked = y->first;
}

static SM_NOINLINE void few_plain(const struct sm_span_loop *l)
{
	struct sm_span_loop own = *l;

	scan_few(&own, true);
}

static SM_NOINLINE void few_shared(const struct sm_span_loop *l)
{
	struct sm_span_loop own = *l;

	scan_few(&own, false);
}

void sm__span_scan_few(const struct sm_span_loop *l)
{
	if (l->k->plain)
		few_plain(l);
	else
		few_shared(l);
}

/* ---- gathered edges, the kernel ----------------------------------------------------------- */

static SM_NOINLINE uintptr_t *edges_plain(const struct sm_span_loop *l, uintptr_t *edge, size_t n)
{
	uintptr_t *fresh = edge;

	for (const uintptr_t *end = edge + n; edge < end; edge++) {
		ask_ahead(l, edge);
		fresh = mark_edge(l, fresh, *edge, true);
	}
	return fresh;
}

static SM_NOINLINE uintptr_t *edges_shared(const struct sm_span_loop *l, uintptr_t *edge, size_t n)
{
	return mark_runs(l, edge, n, true);
}

void sm__span_take_edges(const struct sm_span_loop *l, size_t n)
{
	uintptr_t *edge = l->y->edge;

	for (size_t i = 0; i < EDGES_AHEAD && i < n; i++)
		SM_PREFETCH_R(&l->marks[edge[i] >> SM_MARK_WORD_SHIFT]);
	if (l->k->plain)
		post_fresh(l, edges_plain(l, edge, n), true);
	else
		post_fresh(l, edges_shared(l, edge, n), false);
}

void sm__span_scan_dense(const struct sm_span_loop *l)
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
	if (SM_UNLIKELY(l->routed) && !sm__span_is_near(l->k, c->unit))
		l->k->n.away += c->n;
	c->n = 0;
	sm__span_take_edges(l, l->k->gc->by_span.kernel->fn(&job, l->y->edge));
}
