/*
 * markspan.c: marking by span: who owns a unit, what is claimed of it.
 *
 * With gc.mark=objects each grey object waits by itself, and a graph in no order is a cache miss
 * each, in no order. By span, grey objects wait in their unit: the queue holds the unit, first in,
 * first out, with one of its objects as the representative. While it waits more of its objects are
 * marked; what is claimed at its turn lies in one place, is read upwards, and its page is looked
 * up once. (Go 1.26's "Green Tea" does this with spans of 8 KiB and bits of its own for each; here
 * the bits are those of the map, so an edge costs what it did.)
 *
 *   an edge: its mark bit set? -> set it -> what lies in the target's unit?
 *       pointer-free          done
 *       not marked by span    push the object (mark.h)
 *       marked by span        owned?  no: own it, push the unit      yes: done, it waits there
 *   a unit's turn: disown it -> claim: todo = marks &~ scans, scans |= todo -> scan todo
 *
 * Three things say it all: a bit in marks (reached), a bit in scans (claimed, or not to be
 * scanned), and a byte for the unit: UNOWNED, ONE (only the representative has been marked since),
 * MANY. What is claimed alone needs no look at the unit's bits. And who has little to do owns
 * nothing: it claims at once what it has marked, and scans it. These are the cases of heaps that
 * offer one object at a time, lists and trees.
 *
 * Only objects of kinds (markmap.h) are marked by span, those whose pointers lie at the front, of
 * at most SM_BY_SPAN_BYTES. All others wait as such.
 *
 * Why nothing is lost. Say that object x of unit U has just got its mark bit from marker A, and
 * let D(1), D(2), .. be the exchanges that set U's byte to UNOWNED, in their order. A does one of
 * these three:
 *   (a) a read-modify-write of U's byte (sm__span_post). It lies before some D(i) or behind all so
 *       far. If it finds UNOWNED, A owns U and pushes it, so there will be a next D. Otherwise the
 *       owner has pushed U or is about to, and the next D has not been. In both cases there is a
 *       first D(i) behind it, which reads what it released: x's mark bit.
 *   (b) it sets the bit with a read-modify-write, a full fence, and a load of the byte that finds
 *       MANY (the loop). If the load finds the value that D(i) replaced, or an older one, it comes
 *       behind it; the marker of D(i) reads U's mark bits behind its exchange, sequentially
 *       consistent both. By the fence, it reads x's.
 *   (c) it sets x's scans bit, as if it claimed x alone (sm__span_claim_one): if that is news it
 *       scans x, and if not, who set it does. Or it scans x whatever the bit is, and sets it
 *       behind, of some objects at a time (markspan_scan.c, settle).
 * After (a) and (b) a D(i) follows from which x's mark is seen, and it claims x: if D(i) found
 * MANY it goes through all of U's bits. If it found ONE, nobody but the owner had done (a), and
 * nobody (b): then x is the representative, or its marker has yet to do one of the three and will
 * find another state. A scans bit is set with a read-modify-write, and who set it scans and counts
 * it: so each object is counted once, and scanned once but for what is claimed between the two of
 * (c), which is scanned twice. The byte is cleared before marks are read, never after: what is
 * marked between the two would be seen by neither side. (tests/model/span.pml has that, and the
 * others that do not work.)
 *
 * What is black without a scan has its scans bit before its mark bit (markmap.c: windows, objects
 * born large), so that no claim finds memory that its owner is still setting up: the claim's loads
 * of marks are acquire, and the read-modify-writes that follow a release continue it. A mark that
 * is set before windows are black (sm__mark_early), or finds no packet, goes by the overflow path,
 * and gets its scans bit there (sm__span_settled).
 *
 * What an object held when it was published is seen by who scans it: through the packet, through
 * the byte, or through its mark bit, which the loop sets with release behind the load that found
 * it.
 *
 * Termination is the door's (workq.h): a unit that is owned is in a packet that is queued, or in
 * the hands of a thread that is inside; so is what was claimed and is yet to be scanned. So when
 * the queues are drained no unit is owned. gc.verify looks.
 *
 * Alone (gc.mode=stw with one worker: `plain`) nothing of this is atomic.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/span/markspan.h"
#include "allocator/os/os.h"
#include "collector/mark/scan_internal.h"

/* ---- birth and end ------------------------------------------------------------------------ */

/* NULL: this CPU, or this build, has no such kernel. */
static const struct sm_scan_kernel *kernel_of(enum sm_gc_kernel kernel)
{
	static const char *const names[] = {NULL, "portable", "avx2", "avx512", "neon", "sve"};

	return sm__scan_kernel(names[kernel]);
}

int sm__by_span_init(struct sm_gc *gc, char *err, size_t errlen)
{
	struct sm_by_span *b = &gc->by_span;

	if (gc->config.mark == SM_GC_MARK_OBJECTS)
		return 0;
	b->kernel = kernel_of(gc->config.tuning.kernel);
	if (b->kernel == NULL) {
		if (err && errlen)
			snprintf(err, errlen, "gc.kernel: this CPU has no such instructions");
		return -EINVAL;
	}
	b->owned_bytes = sm_align_up(gc->range.bytes >> SM_UNIT_SHIFT, 8);
	b->owned = sm__os_map(b->owned_bytes);
	if (b->owned == NULL)
		return -ENOMEM;
	b->ahead = gc->config.tuning.span_ahead;
	b->dense = gc->config.tuning.dense;
	b->made = true;
	sm_store_relaxed(&b->on, gc->config.mark == SM_GC_MARK_SPANS);
	return 0;
}

void sm__by_span_fini(struct sm_gc *gc)
{
	if (gc->by_span.owned)
		sm__os_unmap((void *)gc->by_span.owned, gc->by_span.owned_bytes);
}

struct sm_span_marker *sm__span_marker_new(unsigned nnodes)
{
	struct sm_span_marker *y = calloc(1, sizeof(*y) + nnodes * sizeof(y->filling[0]));

	if (y != NULL)
		y->kept_end = &y->kept;
	return y;
}

void sm__span_counts_add(struct sm_span_counts *to, struct sm_span_counts *from)
{
	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++) {
		to->spans[how] += from->spans[how];
		for (unsigned cls = 0; cls < SM_NCLASSES_MAX; cls++)
			to->objects[how][cls] += from->objects[how][cls];
	}
	memset(from, 0, sizeof(*from));
}

void sm__span_counts_take(struct sm_span_counts *to, struct sm_marker *k)
{
	if (k->by_span != NULL)
		sm__span_counts_add(to, &k->by_span->n);
}

/* ---- owning ------------------------------------------------------------------------------- */

static unsigned node_of(const struct sm_marker *k, uintptr_t entry)
{
	unsigned node = k->node;

	if (k->out != NULL)
		node = (unsigned)((entry - k->base) >> k->gc->range.node_shift);
	return node < k->gc->nnodes ? node : k->node;
}

/* A full packet, or one that others are to have. */
static void put_spans(struct sm_marker *k, unsigned node, struct sm_packet *p)
{
	struct sm_span_marker *y = k->by_span;

	p->by_span = true;
	if (k->keeps) {
		p->next = NULL;
		*y->kept_end = p;
		y->kept_end = &p->next;
		return;
	}
	p->giver = k;
	p->l3 = node == k->node ? k->l3 : SM_NO_L3;
	sm__workq_put(&k->gc->workq, node, p, k->quiet);
}

static void put_filled_spans(struct sm_marker *k, unsigned node)
{
	struct sm_packet *p = k->by_span->filling[node];

	if (p == NULL || p->n == 0)
		return;
	k->by_span->filling[node] = NULL;
	put_spans(k, node, p);
}

/* No packet is to be had: what waits in the unit is claimed, and left to the overflow path. */
static SM_COLD void overflow_unit(struct sm_marker *k, uintptr_t entry)
{
	struct sm_claim c;

	if (!sm__span_claim(k, entry, UINT_MAX, &c))
		return;
	c.n = sm__claim_count(&c);
	k->n.overflows += c.n;
	k->n.bytes += (uint64_t)c.n * (c.kind >> SM_KIND_BYTES_SHIFT);
	sm__mark_flag(k, sm_span_of(&k->gc->range, entry));
}

static void push_unit(struct sm_marker *k, uintptr_t entry)
{
	unsigned node = node_of(k, entry);
	struct sm_packet **filling = &k->by_span->filling[node];

	if (SM_UNLIKELY(*filling == NULL)) {
		*filling = sm__workq_empty(&k->gc->workq);
		if (*filling == NULL) {
			overflow_unit(k, entry);
			return;
		}
	}
	(*filling)->entry[(*filling)->n++] = entry;
	if ((*filling)->n == (*filling)->cap)
		put_filled_spans(k, node);
}

void sm__span_post(struct sm_marker *k, uintptr_t p)
{
	_Atomic(uint8_t) *owned = &k->gc->by_span.owned[(p - k->base) >> SM_UNIT_SHIFT];
	uint8_t was = SM_UNOWNED;

	if (k->plain) {
		was = sm_load_relaxed(owned);
		sm_store_relaxed(owned, was == SM_UNOWNED ? SM_OWNED_ONE : SM_OWNED_MANY);
	} else if (!sm_cas_acqrel(owned, &was, SM_OWNED_ONE)) {
		was = sm_fetch_or_acqrel(owned, SM_OWNED_MANY);
	}
	if (was == SM_UNOWNED)
		push_unit(k, p);
}

void sm__span_settled(struct sm_marker *k, uintptr_t p)
{
	if (k->gc->by_span.made)
		sm_fetch_or_relaxed(sm_scan_word(&k->gc->range, p), sm_mark_mask(&k->gc->range, p));
}

/* ---- claiming ----------------------------------------------------------------------------- */

unsigned sm__claim_count(const struct sm_claim *c)
{
	unsigned n = 0;

	for (unsigned w = 0; !c->alone && w < SM_UNIT_MARK_WORDS; w++)
		n += c->todo[w] ? (unsigned)__builtin_popcountll(c->todo[w]) : 0;
	return c->alone ? 1 : n;
}

/* The bits of the whole unit. Plain: as sm__claim_word. */
SM_INLINE uint64_t claim_words(struct sm_marker *k, size_t word, struct sm_claim *c, bool plain)
{
	_Atomic(uint64_t) *marks = &k->marks[word], *scans = &k->gc->range.scans[word];
	uint64_t any = 0;

	for (unsigned w = 0; w < SM_UNIT_MARK_WORDS; w++) {
		/* Behind the exchange of the unit's byte: see above. */
		c->todo[w] = sm__claim_word(&scans[w], sm_load_seqcst(&marks[w]), plain);
		any |= c->todo[w];
	}
	return any;
}

/* The same, until there are so many; false: there may be more, and it was left. */
static bool claim_some(struct sm_marker *k, size_t word, unsigned most, struct sm_claim *c)
{
	_Atomic(uint64_t) *marks = &k->marks[word], *scans = &k->gc->range.scans[word];
	unsigned n = 0, w;

	for (w = 0; w < SM_UNIT_MARK_WORDS && n < most; w++) {
		c->todo[w] = sm__claim_word(&scans[w], sm_load_seqcst(&marks[w]), k->plain);
		n += (unsigned)__builtin_popcountll(c->todo[w]);
	}
	c->any = n != 0;
	memset(&c->todo[w], 0, (SM_UNIT_MARK_WORDS - w) * sizeof(c->todo[0]));
	return w == SM_UNIT_MARK_WORDS;
}

static bool claim_unit(struct sm_marker *k, size_t word, unsigned most, struct sm_claim *c)
{
	if (most != UINT_MAX)
		return claim_some(k, word, most, c);
	c->any = (k->plain ? claim_words(k, word, c, true) : claim_words(k, word, c, false)) != 0;
	return true;
}

static uint8_t disown(struct sm_marker *k, _Atomic(uint8_t) *owned)
{
	uint8_t was;

	if (!k->plain)
		return atomic_exchange_explicit(owned, SM_UNOWNED, memory_order_seq_cst);
	was = sm_load_relaxed(owned);
	sm_store_relaxed(owned, SM_UNOWNED);
	return was;
}

bool sm__span_claim(struct sm_marker *k, uintptr_t entry, unsigned most, struct sm_claim *c)
{
	const struct sm_range *r = &k->gc->range;
	size_t unit = (entry - k->base) >> SM_UNIT_SHIFT;
	_Atomic(uint8_t) *owned = &k->gc->by_span.owned[unit];
	uint8_t was = disown(k, owned);

	c->unit = k->base + (unit << SM_UNIT_SHIFT);
	c->kind = r->kinds[r->unit_kind[unit]];
	c->n = 0;
	c->alone = was == SM_OWNED_ONE;
	if (c->alone) {
		c->any = sm__span_claim_one(r, entry, k->plain);
	} else if (!claim_unit(k, unit * SM_UNIT_MARK_WORDS, most, c)) {
		/* As if another had been marked meanwhile. */
		was = k->plain ? sm_load_relaxed(owned) : sm_fetch_or_acqrel(owned, SM_OWNED_MANY);
		if (k->plain)
			sm_store_relaxed(owned, SM_OWNED_MANY);
		if (was == SM_UNOWNED)
			push_unit(k, entry);
	}
	return c->any;
}

/* ---- packets ------------------------------------------------------------------------------ */

static bool refill_spans(struct sm_marker *k)
{
	struct sm_span_marker *y = k->by_span;
	struct sm_workq *q = &k->gc->workq;
	struct sm_packet *p = y->kept, **own = &y->filling[k->node];
	unsigned from;

	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++) {
		if (n != k->node)
			put_filled_spans(k, n);
	}
	if (p != NULL) {
		y->kept = p->next;
		if (y->kept == NULL)
			y->kept_end = &y->kept;
	} else if (sm__workq_queued(q) != 0 &&
		   (p = sm__workq_get_spans(q, k->node, &from)) != NULL) {
		sm__mark_count_packet(k, p, from);
	} else if (*own != NULL && (*own)->n > 0) {
		p = *own;
		*own = NULL;
	} else {
		return false;
	}
	/* The empty one is filled next, so that a marker that lives from hand to mouth (a list)
	 * needs no lock. */
	if (y->taking != NULL && *own == NULL) {
		*own = y->taking;
		(*own)->n = 0;
	} else if (y->taking != NULL) {
		sm__workq_recycle(q, y->taking);
	}
	y->taking = p;
	y->taken = 0;
	return true;
}

uintptr_t sm__span_next(struct sm_marker *k)
{
	struct sm_span_marker *y = k->by_span;

	if ((y->taking == NULL || y->taken == y->taking->n) && !refill_spans(k))
		return 0;
	return y->taking->entry[y->taken++];
}

/* What is left of the packet being emptied. */
static void put_taking(struct sm_marker *k)
{
	struct sm_span_marker *y = k->by_span;
	struct sm_packet *p = y->taking;

	if (p == NULL)
		return;
	y->taking = NULL;
	p->n -= y->taken;
	if (p->n == 0) {
		sm__workq_recycle(&k->gc->workq, p);
		return;
	}
	memmove(p->entry, p->entry + y->taken, p->n * sizeof(p->entry[0]));
	put_spans(k, k->node, p);
}

void sm__span_give(struct sm_marker *k)
{
	struct sm_span_marker *y = k->by_span;

	while (y->head != y->tail)
		push_unit(k, y->ring[y->head++ % SM_SPAN_AHEAD_MAX]);
	put_taking(k);
	for (unsigned n = 0; n < k->gc->nnodes; n++) {
		put_filled_spans(k, n);
		if (y->filling[n])
			sm__workq_recycle(&k->gc->workq, y->filling[n]);
		y->filling[n] = NULL;
	}
}

void sm__span_share(struct sm_marker *k)
{
	if (sm__workq_queued(&k->gc->workq) != 0 || k->by_span->filling[k->node] == NULL)
		return;
	put_filled_spans(k, k->node);
	sm_store_relaxed(&k->gc->workq.hungry, 0);
}

void sm__span_abandon(struct sm_marker *k)
{
	struct sm_span_marker *y = k->by_span;

	y->taking = y->kept = NULL;
	y->kept_end = &y->kept;
	y->head = y->tail = y->first = y->last = y->asked = y->looked = y->dense.n = 0;
	for (unsigned n = 0; n < k->gc->nnodes; n++)
		y->filling[n] = NULL;
}

bool sm__span_idle(const struct sm_marker *k)
{
	const struct sm_span_marker *y = k->by_span;

	for (unsigned n = 0; n < k->gc->nnodes; n++) {
		if (y->filling[n] && y->filling[n]->n > 0)
			return false;
	}
	return y->head == y->tail && y->first == y->last && y->dense.n == 0 && y->kept == NULL &&
	       (y->taking == NULL || y->taken == y->taking->n);
}

/* ---- the check ---------------------------------------------------------------------------- */

static bool unit_left(const struct sm_gc *gc, size_t unit)
{
	const struct sm_range *r = &gc->range;

	if (sm_load_relaxed(&gc->by_span.owned[unit]) != SM_UNOWNED)
		return true;
	if (!sm__kind_by_span(r->kinds[r->unit_kind[unit]]))
		return false;
	for (size_t w = unit * SM_UNIT_MARK_WORDS; w < (unit + 1) * SM_UNIT_MARK_WORDS; w++) {
		if (sm_load_relaxed(&r->marks[w]) & ~sm_load_relaxed(&r->scans[w]))
			return true;
	}
	return false;
}

struct left {
	const struct sm_gc *gc;
	size_t n;
};

static void count_left(void *ctx, size_t from, size_t end)
{
	struct left *l = ctx;

	for (size_t u = from; u < end; u++)
		l->n += l->gc->range.unit_kind[u] != 0 && unit_left(l->gc, u);
}

size_t sm__by_span_left(struct sm_gc *gc)
{
	struct left l = {.gc = gc};

	if (gc->by_span.made && sm_load_relaxed(&gc->by_span.on))
		sm__markmap_reached(gc->heap, count_left, &l);
	return l.n;
}
