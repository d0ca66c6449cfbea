/*
 * markloop.c: the mark loop.
 *
 *   pop an address -> what lies in its unit? -> pointer-free: done
 *     -> prefetch its object -> [FIFO of gc.fifo entries] -> scan it: for every pointer word
 *          NULL and range compare -> mark bit, by the address alone: set? -> set it -> push
 *
 * Entries are popped from one packet and pushed to another, and the two change places when the
 * first is empty. Were there one, the address of each pop would wait for the mark bits of all edges
 * before it, since whether an edge was pushed decides where the top is; so the processor could not
 * look ahead from object to object.
 *
 * On its way through the FIFO, when the object's line is there, its edges' mark words are asked for
 * too; before that, of an object whose descriptor tells what is a pointer, its bits and the lines
 * that hold pointers (ring_put_other).
 *
 * What it touches per object: one line of the object itself, asked for a ring's length in advance,
 * for each edge a word of the map of mark bits (allocator/objects/markmap.h), and one byte of the
 * table of units. No descriptor, and of a pointer-free object nothing. The map is 1/128 of the
 * heap, so that for a heap of 512 MiB it is 4 MiB and stays in the last cache; the table is 32 KiB.
 *
 * An object's line is in no cache. A prefetch into the first cache would hold one of its few miss
 * buffers all the way from memory, and the map's words, which wait in the second and third cache,
 * need those too. So objects are asked for into the second cache, and from there into the first
 * shortly before. And they are asked for in bursts: a prefetch cannot retire before its address is
 * translated, and between two single ones lie a hundred instructions, so that translations, which a
 * virtual machine walks twice, would not overlap (docs/notes/2026-11-25-performance.md).
 *
 * The idea of a FIFO between the stack and the scan is Cher, Hosking and Vitek's ("Software
 * prefetching for mark-sweep garbage collection", 2004).
 *
 * Races. A mark bit is tested with a relaxed load and set with a relaxed read-modify-write: the bit
 * only elects the thread that pushes the object. What orders the contents of the object is the
 * pointer through which it was found, stored with release (sm_store), read here with a dependent
 * load. Object words are read with relaxed atomic loads while mutators store to them; whichever
 * value is seen, the barrier has recorded the other one.
 *
 * A window is black from its mutator's BLACK round on, so no stale word makes us scan memory that
 * its owner is still setting up. Before that the overflow path has such objects (cycle.c, "Doubtful
 * words").
 */
#include "allocator/base/cpu.h"
#include "collector/span/markspan.h"
#include "collector/mark/scan_internal.h"

/* The loop looks up from its work this often, in objects: to share and to keep to its budget. */
#define LOOK_UP 128
/* Taking a pointer-free object is work too, of so many scanned bytes: a marker with a budget must
 * come to its end. */
#define LEAF_WORK 16
/*
 * This many objects before an object is scanned its line is asked for once more, from the second
 * cache into the first, and then the mark words of its edges.
 */
#define NEAR	   10
#define LOOK_AHEAD 6
/* Objects enter the ring by so many. */
#define BURST 8
/* What is known of an object without a kind grows every so many objects. */
#define STEP 8

/*
 * What the loop needs for each edge, copied out of the marker: a push is a store that, for all the
 * compiler knows, could change any field of it. Most objects are small with their pointers at the
 * front, and most heaps have one node; those are scanned here, everything else by sm__scan().
 */
struct loop {
	uintptr_t base;
	size_t bytes;
	/* as if of address 0: indexed without subtracting the base */
	_Atomic(uint64_t) *marks;
	const uint8_t *unit_kind; /* likewise */
	const uint32_t *kinds;
	uintptr_t *next, *limit;      /* the packet being filled, as in the marker */
	uintptr_t *take, *take_first; /* the one being emptied */
	/* where `next` was at the last loop_load: what lies between was marked here */
	uintptr_t *from;
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
 * One pointer of an object, to the start of another. There is room for one more entry. A random
 * graph makes "already marked?" a coin toss, so with one marker nothing branches on it: the entry
 * is always written, and kept or not by how far `next` moves. With several, the read-modify-write
 * must be avoided, so there is the branch.
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

/* ---- small objects whose pointers a mask tells -------------------------------------------- */

/* The span of an entry without a kind; NULL: a piece of roots. */
SM_INLINE const struct sm_span *span_of_other(const struct sm_marker *k, uintptr_t entry)
{
	const struct sm_span *s = &k->spans[(entry - k->base) >> SM_UNIT_SHIFT];

	return entry - k->base < k->bytes ? s - s->back : NULL;
}

/* The word of a mixed span's bitmap that the object's first bit lies in. */
SM_INLINE const _Atomic(uint64_t) *bitmap_word(const struct sm_marker *k, const struct sm_span *s,
					       uintptr_t entry)
{
	return &s->pointers[(entry - sm_span_base(&k->gc->range, s)) / (64 * sizeof(uintptr_t))];
}

/* Bit i: word i of the object at entry is a pointer. 0: none is, or the object is of another sort,
 * or longer. */
SM_INLINE uint64_t pointers_of(const struct sm_marker *k, const struct sm_span *s, uintptr_t entry)
{
	unsigned words = s->slot_bytes / sizeof(uintptr_t), shift;
	const _Atomic(uint64_t) *word;
	uint64_t bits;

	if (s->layout == NULL || words - 1 >= 64)
		return 0;
	if (s->layout->kind == SM_SCAN_MASK) {
		bits = s->layout->mask;
		for (unsigned n = s->layout->period; n < words; n += s->layout->period)
			bits |= s->layout->mask << n;
	} else if (s->layout->kind == SM_SCAN_MIXED) {
		word = bitmap_word(k, s, entry);
		shift = entry / sizeof(uintptr_t) % 64;
		bits = sm_load_relaxed(word) >> shift; /* seen: mixed.h says why */
		if (shift + words > 64)
			bits |= sm_load_relaxed(word + 1) << (64 - shift);
	} else {
		return 0;
	}
	return bits & ~UINT64_C(0) >> (64 - words);
}

/* The descriptor of an entry in the ring has come: the bits of its words are asked for. */
static SM_NOINLINE void ask_for_bits(const struct sm_marker *k, uintptr_t entry)
{
	const struct sm_span *s = span_of_other(k, entry);

	if (s != NULL && s->layout != NULL && s->layout->kind == SM_SCAN_MIXED)
		SM_PREFETCH_R(bitmap_word(k, s, entry));
}

/* The bits have: so are the lines that its pointers lie in, behind the two that were asked for when
 * nothing was known of it. */
static SM_NOINLINE void ask_for_lines(const struct sm_marker *k, uintptr_t entry)
{
	const struct sm_span *s = span_of_other(k, entry);
	uint64_t bits = s != NULL ? pointers_of(k, s, entry) : 0;
	uintptr_t end = entry + (64 - (unsigned)__builtin_clzll(bits | 1)) * sizeof(uintptr_t);

	for (uintptr_t at = sm_align_down(entry, SM_CACHELINE) + 2 * SM_CACHELINE; at < end;
	     at += SM_CACHELINE)
		SM_PREFETCH_L2((const void *)at);
}

/* As look_ahead. What it reads has been asked for step by step, see ring_put_other. */
static SM_NOINLINE void look_ahead_other(const struct sm_marker *k, uintptr_t entry)
{
	const struct sm_span *s = span_of_other(k, entry);
	const uintptr_t *w = (const uintptr_t *)entry;
	uint64_t bits = s != NULL ? pointers_of(k, s, entry) : 0;

	for (; bits != 0; bits &= bits - 1) {
		uintptr_t off = sm__word_at(w + __builtin_ctzll(bits)) - k->base;

		if (off < k->bytes)
			SM_PREFETCH_R(&k->marks[off >> SM_MARK_WORD_SHIFT]);
	}
}

/* False: to be scanned by what its descriptor says. Edges as in loop_scan, of which the span is
 * asked when they are taken. */
SM_INLINE bool scan_masked(struct sm_marker *k, uintptr_t entry, enum sm_how how)
{
	const struct loop l = {.base = k->base,
			       .bytes = k->bytes,
			       .marks = k->marks - (k->base >> SM_MARK_WORD_SHIFT)};
	const struct sm_span *s = span_of_other(k, entry);
	const uintptr_t *w = (const uintptr_t *)entry;
	uint64_t bits = s != NULL ? pointers_of(k, s, entry) : 0;
	uintptr_t *next = k->next;

	if (bits == 0 || k->limit - next < __builtin_popcountll(bits))
		return false;
	for (; bits != 0; bits &= bits - 1)
		next = mark_edge(&l, next, sm__word_at(w + __builtin_ctzll(bits)), how);
	k->n.objects += (uint64_t)(next - k->next);
	k->n.bytes += s->slot_bytes;
	k->n.scanned++;
	k->n.scan_bytes += s->slot_bytes;
	k->next = next;
	return true;
}

static SM_NOINLINE void scan_other(struct sm_marker *k, uintptr_t entry)
{
	if (!scan_masked(k, entry, SM_HOW_ATOMIC))
		sm__scan(k, entry, SM_HOW_ATOMIC);
}

static SM_NOINLINE void scan_other_plain(struct sm_marker *k, uintptr_t entry)
{
	if (!scan_masked(k, entry, SM_HOW_PLAIN))
		sm__scan(k, entry, SM_HOW_ATOMIC);
}

/* Entries of several nodes go to their nodes' packets. */
static SM_NOINLINE void scan_routed(struct sm_marker *k, uintptr_t entry)
{
	sm__scan(k, entry, SM_HOW_ATOMIC);
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* kind: of the object's unit; 0 for everything that is not a small object with its pointers in
 * front. */
SM_INLINE void loop_scan(struct loop *l, struct sm_marker *k, uintptr_t entry, uint32_t kind,
			 enum sm_how how, bool routed)
{
	const uintptr_t *w = (const uintptr_t *)entry, *end = w + (kind & SM_KIND_POINTERS);
	uintptr_t *next = l->next;

	if (SM_LIKELY(kind != 0 && l->limit - next >= end - w)) {
		l->done += (UINT64_C(1) << DONE_SHIFT) + (kind >> SM_KIND_BYTES_SHIFT);
		do
			next = mark_edge(l, next, sm__word_at(w++), how);
		while (w < end);
		l->next = next;
		return;
	}
	loop_store(l, k);
	if (routed)
		scan_routed(k, entry);
	else if (how == SM_HOW_PLAIN)
		scan_other_plain(k, entry);
	else
		scan_other(k, entry);
	loop_load(l, k);
}

SM_NOINLINE bool sm__mark_look_up(struct sm_marker *k, uint64_t until)
{
	if ((k->donating && sm_load_relaxed(&k->gc->workq.parked) != 0) ||
	    sm_load_relaxed(&k->gc->workq.hungry) != 0)
		sm__mark_share(k);
	sm__mark_publish(k);
	return k->n.scan_bytes < until;
}

/*
 * An object half-way through the ring has arrived; its edges' mark words may not have. Reads what
 * pointers lie in the object's first line: asking for a word in vain is harmless, and the line is
 * the object's own, so it is mapped. False: the object has no kind.
 */
SM_INLINE bool look_ahead(const struct loop *l, uintptr_t entry, uint32_t kind)
{
	const uintptr_t *w = (const uintptr_t *)entry, *end = w + (kind & SM_KIND_POINTERS);
	const uintptr_t *line_end = (const uintptr_t *)((entry | (SM_CACHELINE - 1)) + 1);

	if (SM_UNLIKELY(w == end))
		return false;
	end = end < line_end ? end : line_end;
	do {
		uintptr_t p = sm__word_at(w++);

		if (p - l->base < l->bytes)
			SM_PREFETCH_R(&l->marks[p >> SM_MARK_WORD_SHIFT]);
	} while (w < end);
	return true;
}

/*
 * The next entry when the packet being emptied is empty; 0: there is none for now. A list is one
 * entry at a time: it is taken from where it was pushed, and while the ring holds it nothing is
 * looked for where nothing is queued. (The packets' changing places and the queues' being looked
 * at, each twice an object, were half of a list's time.)
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
 * A ring between the stack and the scan: an object is asked for when it enters, and read when it
 * leaves. A pointer-free one does not enter: its class is known from its unit, and its line stays
 * where it is.
 */
struct ring {
	uintptr_t entry[SM_FIFO_MAX];
	uint32_t kind[SM_FIFO_MAX]; /* of the entry's unit; 0: not a small object */
};

/* Where the loop is in its ring and in its time. Apart from the arrays, so that it stays in
 * registers. */
struct turn {
	unsigned head, tail, size; /* entries [head, tail) of the ring, at most size */
	unsigned left;		   /* objects until the loop looks up */
	uint64_t until;		   /* scanned bytes at which the budget is used up */
};

/* An entry without a kind: its descriptor, and its second line. */
SM_INLINE void ask_for_other(const struct sm_marker *k, uintptr_t in)
{
	SM_PREFETCH_L2((const char *)in + SM_CACHELINE);
	SM_PREFETCH_R(&k->spans[(in - k->base) >> SM_UNIT_SHIFT]);
}

SM_INLINE void ring_put(struct ring *r, struct turn *t, uintptr_t in, uint32_t kind)
{
	r->kind[t->tail % SM_FIFO_MAX] = kind;
	r->entry[t->tail++ % SM_FIFO_MAX] = in;
}

/*
 * An entry without a kind. Which words of it are pointers is two misses away, descriptor and bits,
 * and how many lines it is to be read from a third. Each is asked for when the one before has come,
 * while the entry is on its way through the ring: those that came STEP and two STEPs before this
 * one are looked at. Where such entries follow on each other that is each of them, and where they
 * are few the others do not pay for it.
 */
SM_INLINE void ring_put_other(struct ring *r, struct turn *t, const struct sm_marker *k,
			      uintptr_t in)
{
	unsigned one = (t->tail - STEP) % SM_FIFO_MAX, two = (t->tail - 2 * STEP) % SM_FIFO_MAX;

	ask_for_other(k, in);
	if (t->tail - t->head >= STEP && r->kind[one] == 0)
		ask_for_bits(k, r->entry[one]);
	if (t->tail - t->head >= 2 * STEP && r->kind[two] == 0)
		ask_for_lines(k, r->entry[two]);
	SM_PREFETCH_L2((const void *)in);
	ring_put(r, t, in, 0);
}

/* Fills the ring, until there is nothing more for now or it is time to look up: a piece of the
 * roots or of the remembered set takes as long as many objects. */
SM_INLINE void ring_fill(struct ring *r, struct turn *t, struct loop *l, struct sm_marker *k,
			 bool routed)
{
	while (t->tail - t->head < t->size) {
		uintptr_t in;
		uint32_t kind = 0;

		if (SM_LIKELY(l->take != l->take_first))
			in = *--l->take;
		else if ((in = take_more(l, k, t->tail != t->head)) == 0)
			return;
		/* Not a piece of roots. Routed entries are counted by the packet: sm__scan() takes
		 * them all. */
		if (SM_LIKELY(in - l->base < l->bytes) && !routed)
			kind = l->kinds[l->unit_kind[in >> SM_UNIT_SHIFT]];
		/* Pointer-free, or 0: one comparison for both. */
		if ((kind & SM_KIND_POINTERS) - 1 >= SM_KIND_POINTER_FREE - 1) {
			if (kind != 0) {
				l->leaf_bytes += kind >> SM_KIND_BYTES_SHIFT;
				t->until -= LEAF_WORK;
				if (SM_UNLIKELY(--t->left == 0))
					return;
				continue;
			}
			if (SM_UNLIKELY(in - l->base >= l->bytes)) {
				t->left = 1;
				ring_put(r, t, in, 0);
				return;
			}
			if (!routed) {
				ring_put_other(r, t, k, in);
				continue;
			}
		}
		SM_PREFETCH_L2((const void *)in);
		ring_put(r, t, in, kind);
	}
}

/* Scans the entry that has been in the ring longest. Precondition: there is one. */
SM_INLINE void ring_scan(struct ring *r, struct turn *t, struct loop *l, struct sm_marker *k,
			 enum sm_how how, bool routed)
{
	unsigned at = t->head++ % SM_FIFO_MAX, ahead = (at + LOOK_AHEAD) % SM_FIFO_MAX;

	if (SM_LIKELY(t->tail - t->head >= NEAR))
		SM_PREFETCH_R((const void *)r->entry[(at + NEAR) % SM_FIFO_MAX]);
	if (SM_LIKELY(t->tail - t->head >= LOOK_AHEAD) &&
	    SM_UNLIKELY(!look_ahead(l, r->entry[ahead], r->kind[ahead])) && !routed)
		look_ahead_other(k, r->entry[ahead]);
	loop_scan(l, k, r->entry[at], r->kind[at], how, routed);
}

SM_INLINE void drain_ring(struct sm_marker *k, uint64_t until, enum sm_how how, bool routed)
{
	struct loop l = {.base = k->base,
			 .bytes = k->bytes,
			 .marks = k->marks - (k->base >> SM_MARK_WORD_SHIFT),
			 .unit_kind = k->gc->range.unit_kind - (k->base >> SM_UNIT_SHIFT),
			 .kinds = k->gc->range.kinds};
	struct ring r;
	struct turn t = {.size = k->fifo, .left = LOOK_UP, .until = until};
	unsigned low = t.size > BURST ? t.size - BURST : t.size - 1;

	loop_load(&l, k);
	for (;;) {
		if (t.tail - t.head <= low)
			ring_fill(&r, &t, &l, k, routed);
		if (SM_LIKELY(t.tail != t.head)) {
			ring_scan(&r, &t, &l, k, how, routed);
			if (SM_LIKELY(t.left > 1)) {
				t.left--;
				continue;
			}
		} else if (t.left != 0) {
			return;
		}
		t.left = LOOK_UP;
		loop_store(&l, k);
		if (!sm__mark_look_up(k, t.until))
			break;
		loop_load(&l, k);
	}
	/* Out of budget: what is in the ring goes back. */
	while (t.head != t.tail)
		sm__mark_push_entry(k, r.entry[t.head++ % SM_FIFO_MAX]);
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

void sm__mark_drain_objects(struct sm_marker *k, uint64_t until)
{
	if (k->fifo == 0)
		sm__mark_drain_direct(k, until);
	else
		drain_routed(k, until);
}

uint64_t sm__mark_drain(struct sm_marker *k, uint64_t budget)
{
	uint64_t before = k->n.scan_bytes, until = budget ? before + budget : UINT64_MAX;

	if (SM_UNLIKELY(sm_load_relaxed(&k->gc->armed.on)))
		sm__mark_drain_armed(k, until);
	else if (k->by_span != NULL && sm_load_relaxed(&k->gc->by_span.on))
		sm__mark_drain_spans(k, until);
	else if (k->fifo == 0)
		sm__mark_drain_direct(k, until);
	else if (k->out != NULL)
		drain_routed(k, until);
	else if (k->plain)
		drain_plain(k, until);
	else
		drain_shared(k, until);
	return k->n.scan_bytes - before;
}
