/*
 * mark.c: markers and their packets; marking of single words, stacks and roots. The loop is
 * markloop.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "collector/mark/mark_internal.h"
#include "collector/span/markspan.h"

int sm__marker_init(struct sm_marker *k, struct sm_gc *gc, unsigned node)
{
	memset(k, 0, sizeof(*k));
	k->gc = gc;
	k->base = gc->range.base;
	k->bytes = gc->range.bytes;
	k->spans = gc->range.spans;
	k->marks = gc->range.marks;
	k->node = node < gc->nnodes ? node : 0;
	k->fifo = gc->config.fifo < SM_FIFO_MAX ? gc->config.fifo : SM_FIFO_MAX;
	k->special = gc->nnodes > 1 || gc->by_span.made;
	if (gc->nnodes > 1) {
		k->out = calloc(gc->nnodes, sizeof(*k->out));
		if (k->out == NULL)
			return -ENOMEM;
	}
	if (gc->by_span.made && (k->by_span = sm__span_marker_new(gc->nnodes)) == NULL) {
		free(k->out);
		k->out = NULL;
		return -ENOMEM;
	}
	return 0;
}

void sm__marker_fini(struct sm_marker *k)
{
	SM_ASSERT(k->next == k->first && k->take == k->take_first);
	if (k->packet)
		sm__workq_recycle(&k->gc->workq, k->packet);
	if (k->taking)
		sm__workq_recycle(&k->gc->workq, k->taking);
	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++) {
		if (k->out[n])
			sm__workq_recycle(&k->gc->workq, k->out[n]);
	}
	free(k->out);
	if (k->by_span) {
		SM_ASSERT(sm__span_idle(k));
		sm__span_give(k);
		free(k->by_span);
	}
}

/*
 * A packet that the thread was handing over may lie in a queue or on the free list already: to give
 * it back would put it there twice. All packets go with the queues' chunks (sm__workq_fini), so
 * nothing is lost but room.
 */
void sm__marker_abandon(struct sm_marker *k)
{
	k->packet = k->taking = NULL;
	k->first = k->next = k->limit = NULL;
	k->take_first = k->take = NULL;
	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++)
		k->out[n] = NULL;
	if (k->by_span)
		sm__span_abandon(k);
}

void sm__marker_here(struct sm_marker *k)
{
	const struct sm_gc_config *c = &k->gc->config;
	int cpu = sched_getcpu();

	if (cpu < 0 || cpu >= SM_MAX_CPUS)
		cpu = 0;
	k->l3 = c->cpu_l3[cpu];
	if (c->heap.cpu_node[cpu] < k->gc->nnodes)
		k->node = c->heap.cpu_node[cpu];
}

/* ---- packets ------------------------------------------------------------------------------ */

static void use_packet(struct sm_marker *k, struct sm_packet *p)
{
	k->packet = p;
	k->first = p ? p->entry : NULL;
	k->next = p ? p->entry + p->n : NULL;
	k->limit = p ? p->entry + p->cap : NULL;
}

static void take_packet(struct sm_marker *k, struct sm_packet *p)
{
	k->taking = p;
	k->take_first = p ? p->entry : NULL;
	k->take = p ? p->entry + p->n : NULL;
}

/*
 * Locality is counted by the packet, not in the loop. What a marker finds on its own node it pushes
 * here, what it finds on another it sends there (push). So whatever it scans of another node came
 * in a packet that it took: these entries are counted when they come (+1), and again (-1) when they
 * leave unscanned.
 */
static void count_away(struct sm_marker *k, const uintptr_t *entry, size_t n, uint64_t sign)
{
	unsigned shift = k->gc->range.node_shift;
	uint64_t away = 0;

	if (k->out == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		away += !sm__entry_is_root(k, entry[i]) &
			((entry[i] - k->base) >> shift != k->node);
	k->n.away += sign * away;
}

static void queue_packet(struct sm_marker *k, unsigned node, struct sm_packet *p)
{
	if (SM_UNLIKELY(k->keeps)) {
		p->next = k->kept;
		k->kept = p;
		return;
	}
	p->giver = k;
	p->l3 = node == k->node ? k->l3 : SM_NO_L3;
	sm__workq_put(&k->gc->workq, node, p, k->quiet);
}

static void put_packet(struct sm_marker *k, struct sm_packet *p, size_t n)
{
	p->n = (uint32_t)n;
	count_away(k, p->entry, n, -(uint64_t)1);
	queue_packet(k, k->node, p);
}

/* The packet that is being filled goes to the queue, if it has entries. */
static void put_filled(struct sm_marker *k)
{
	if (k->next == k->first)
		return;
	put_packet(k, k->packet, (size_t)(k->next - k->first));
	use_packet(k, NULL);
}

void sm__mark_flag(struct sm_marker *k, struct sm_span *s)
{
	struct sm_gc *gc = k->gc;

	sm_fetch_or_relaxed(&gc->unit_flags[sm_span_unit(&gc->range, s)], SM_UNIT_OVERFLOW);
	/* Release: a thread that sees the flag (after the queues have drained) sees the span's bit.
	 */
	sm_store_release(&gc->overflowed, 1);
}

/*
 * No packet is to be had. The object stays marked and in no queue; its span remembers, and the
 * rescan that follows once the queues are empty scans all of the span's marked objects, without
 * queueing any of them: what it queues is newly marked. Termination: each overflow follows a newly
 * set mark bit, or a piece of a large object that came from a packet; of both there are finitely
 * many. It ends soon: a marker that gives what it holds keeps no packet, so at a rescan all of them
 * are free, and there are two for each worker whatever the limit (workq.c).
 */
static SM_COLD void overflow_entry(struct sm_marker *k, uintptr_t entry)
{
	struct sm_gc *gc = k->gc;
	struct sm_span *s;

	if (sm__entry_is_root(k, entry)) {
		k->n.scanned++;
		sm__roots_scan_piece(gc, k, entry >> 1);
		return;
	}
	s = sm_span_of(&gc->range, entry);
	if (s->layout == NULL) {
		sm__mark_wild(k, entry);
		return;
	}
	/* The rescan meets objects that were scanned before, so it does not count bytes. */
	if (s->slot_bytes != 0)
		k->n.bytes += s->slot_bytes;
	else if (entry == sm_span_base(&gc->range, s))
		k->n.bytes += sm_span_bytes(s);
	if (s->layout->kind == SM_SCAN_NONE)
		return;
	k->n.overflows++;
	sm__mark_flag(k, s);
}

/* An empty packet to fill, in place of the full one; false: none is to be had. */
static bool next_packet(struct sm_marker *k)
{
	struct sm_packet *p = sm__workq_empty(&k->gc->workq);

	if (p == NULL)
		return false;
	put_filled(k);
	if (k->packet)
		sm__workq_recycle(&k->gc->workq, k->packet);
	use_packet(k, p);
	return true;
}

void sm__mark_push_slow(struct sm_marker *k, uintptr_t entry)
{
	if (next_packet(k))
		*k->next++ = entry;
	else
		overflow_entry(k, entry);
}

bool sm__mark_offer_entry(struct sm_marker *k, uintptr_t entry)
{
	if (k->next == k->limit && !next_packet(k))
		return false;
	*k->next++ = entry;
	return true;
}

/* An object of another node: collected in a packet for that node's workers. */
static void push_remote(struct sm_marker *k, uintptr_t entry, unsigned node)
{
	struct sm_packet *p = k->out[node];

	k->n.remote++;
	if (p == NULL) {
		p = k->out[node] = sm__workq_empty(&k->gc->workq);
		if (p == NULL) {
			overflow_entry(k, entry);
			return;
		}
	}
	p->entry[p->n++] = entry;
	if (p->n == p->cap) {
		k->out[node] = NULL;
		queue_packet(k, node, p);
	}
}

void sm__mark_push_entry(struct sm_marker *k, uintptr_t entry)
{
	if (SM_UNLIKELY(k->next == k->limit))
		sm__mark_push_slow(k, entry);
	else
		*k->next++ = entry;
}

void sm__mark_push_special(struct sm_marker *k, uintptr_t entry)
{
	const struct sm_range *r = &k->gc->range;
	uintptr_t off = entry - k->base;
	unsigned node = k->out ? (unsigned)(off >> r->node_shift) : k->node;
	bool remote = node != k->node && node < k->gc->nnodes;

	if (sm_load_relaxed(&k->gc->by_span.on) &&
	    sm__kind_by_span(r->kinds[r->unit_kind[off >> SM_UNIT_SHIFT]])) {
		k->n.remote += remote;
		sm__span_post(k, entry);
	} else if (remote) {
		push_remote(k, entry, node);
	} else {
		sm__mark_push_entry(k, entry);
	}
}

static void give_remote(struct sm_marker *k)
{
	for (unsigned n = 0; k->out && n < k->gc->nnodes; n++) {
		if (k->out[n] && k->out[n]->n > 0) {
			queue_packet(k, n, k->out[n]);
			k->out[n] = NULL;
		}
	}
}

void sm__mark_publish(struct sm_marker *k)
{
	/* The counts start again with every cycle. */
	uint64_t before = k->published <= k->n.scan_bytes ? k->published : 0;

	sm_fetch_add_relaxed(&k->gc->scan_done, k->n.scan_bytes - before);
	k->published = k->n.scan_bytes;
}

/* Packets may be few, and others need them: a worker that is parked, or a mutator until its next
 * flush, does not. */
static void drop_empty(struct sm_marker *k)
{
	if (k->packet) {
		sm__workq_recycle(&k->gc->workq, k->packet);
		use_packet(k, NULL);
	}
	if (k->taking) {
		sm__workq_recycle(&k->gc->workq, k->taking);
		take_packet(k, NULL);
	}
}

void sm__marker_give(struct sm_marker *k)
{
	put_filled(k);
	if (k->take != k->take_first) {
		put_packet(k, k->taking, (size_t)(k->take - k->take_first));
		take_packet(k, NULL);
	}
	give_remote(k);
	drop_empty(k);
	if (k->by_span)
		sm__span_give(k);
}

/* A packet of one's own taken back is not stolen. */
void sm__mark_count_packet(struct sm_marker *k, const struct sm_packet *p, unsigned from)
{
	if (from != k->node)
		k->n.steals_across++;
	else if (p->l3 == SM_NO_L3)
		k->n.delivered++;
	else if (p->giver == k)
		return;
	else if (p->l3 == k->l3)
		k->n.steals_l3++;
	else
		k->n.steals_node++;
}

bool sm__mark_refill(struct sm_marker *k)
{
	struct sm_workq *q = &k->gc->workq;
	struct sm_packet *p;
	unsigned from;

	if (k->next != k->first) {
		sm__mark_turn(k);
		return true;
	}
	give_remote(k);
	if (k->kept) {
		p = k->kept;
		k->kept = p->next;
	} else {
		p = sm__workq_queued(q) == 0 ? NULL : sm__workq_get(q, k->node, k->l3, &from);
		if (p == NULL)
			return false;
		sm__mark_count_packet(k, p, from);
	}
	count_away(k, p->entry, p->n, 1);
	if (k->taking)
		sm__workq_recycle(q, k->taking);
	take_packet(k, p);
	return true;
}

/*
 * Others have nothing to do: they get the older half of whichever packet at hand holds more, where
 * the larger parts of the graph hang.
 */
void sm__mark_share(struct sm_marker *k)
{
	struct sm_workq *q = &k->gc->workq;
	bool filled = k->next - k->first > k->take - k->take_first;
	uintptr_t *first = filled ? k->first : k->take_first, **end = filled ? &k->next : &k->take;
	size_t have = (size_t)(*end - first), give = have / 2;
	struct sm_packet *p;

	if (have < 4 || sm__workq_queued(q) != 0)
		return;
	p = sm__workq_empty(q);
	if (p == NULL)
		return;
	memcpy(p->entry, first, give * sizeof(*first));
	memmove(first, first + give, (have - give) * sizeof(*first));
	*end -= give;
	put_packet(k, p, give);
	sm_store_relaxed(&q->hungry, 0);
}

/* ---- marking ------------------------------------------------------------------------------ */

/* The unit's words must be clear when the unit is used again, see markmap.h. */
SM_COLD void sm__mark_wild(struct sm_marker *k, uintptr_t entry)
{
	uint64_t mask = sm_mark_mask(&k->gc->range, entry);

	if (sm_fetch_and_relaxed(sm_mark_word(&k->gc->range, entry), ~mask) & mask)
		k->n.objects--;
	k->n.wild++;
}

void sm__mark_exact(struct sm_marker *k, uintptr_t p)
{
	sm__mark_word_exact(k, p, SM_HOW_ATOMIC);
}

void sm__mark_pushed(struct sm_marker *k, uintptr_t p)
{
	sm__mark_word_exact(k, p, SM_HOW_TRACED);
}

void sm__mark_conservative(struct sm_marker *k, uintptr_t word)
{
	sm__mark_word_conservative(k, word, SM_HOW_ATOMIC);
}

void sm__mark_early(struct sm_marker *k, uintptr_t word)
{
	struct sm_span *s;
	uintptr_t p = sm__mark_resolve(k, word, &s), off = p - k->base;

	if (p == 0 || !sm__mark_set(&k->marks[off >> SM_MARK_WORD_SHIFT], off >> SM_MARK_SHIFT,
				    SM_HOW_ATOMIC))
		return;
	k->n.objects++;
	sm__span_settled(k, p);
	overflow_entry(k, p);
}

bool sm__marking_enter(struct sm_marking *in, struct sm_marker *k)
{
	*in = (struct sm_marking){.k = k, .before = k->n.objects};
	return sm__workq_enter_open(&k->gc->workq);
}

void sm__marking_leave(struct sm_marking *in)
{
	sm__marker_give(in->k);
	sm__workq_leave_open(&in->k->gc->workq, in->k->n.objects != in->before);
}

bool sm__is_marked(const struct sm_range *r, uintptr_t p)
{
	return sm_mark_test(r, p);
}

/*
 * A stack is scanned while its thread waits, and it must be scanned at once: a frame that the
 * thread returns to may hand what it holds to any thread, and nothing tells of a return. So it is
 * made cheap: words that point into the heap are gathered without a branch, their descriptors and
 * mark words asked for, then they are marked. Of 300,000 frames with an object each, 7.8 ms instead
 * of 11.0.
 */
#define BATCH 64

static void mark_batch(struct sm_marker *k, const uintptr_t *word, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uintptr_t off = word[i] - k->base;

		SM_PREFETCH_R(&k->spans[off >> SM_UNIT_SHIFT]);
		SM_PREFETCH_R(&k->spans[off >> SM_UNIT_SHIFT].alloc);
		SM_PREFETCH_W(&k->marks[off >> SM_MARK_WORD_SHIFT]);
	}
	for (unsigned i = 0; i < n; i++)
		sm__mark_word_conservative(k, word[i], SM_HOW_ATOMIC);
}

/* Reads other frames' memory, red zones included, and words that their owner is changing. */
__attribute__((no_sanitize("address", "thread"))) void sm__mark_stack(struct sm_marker *k,
								      uintptr_t lo, uintptr_t hi)
{
	const volatile uintptr_t *w =
		(const volatile uintptr_t *)sm_align_up(lo, sizeof(uintptr_t));
	const volatile uintptr_t *end =
		(const volatile uintptr_t *)sm_align_down(hi, sizeof(uintptr_t));
	uintptr_t base = k->base, bytes = k->bytes, batch[BATCH];

	while (w < end) {
		unsigned n = 0;

		while (w < end && n < BATCH) {
			uintptr_t v = *w++;

			batch[n] = v;
			n += v - base < bytes;
		}
		mark_batch(k, batch, n);
	}
}

void sm__mark_words(struct sm_marker *k, const uintptr_t *start, size_t nwords)
{
	for (size_t i = 0; i < nwords; i++)
		sm__mark_exact(k, sm_load_dependent((const _Atomic(uintptr_t) *)&start[i]));
}

void sm__mark_counts_add(struct sm_mark_counts *to, struct sm_mark_counts *from)
{
	to->objects += from->objects;
	to->bytes += from->bytes;
	to->remote += from->remote;
	to->scanned += from->scanned;
	to->away += from->away;
	to->root_pieces += from->root_pieces;
	to->rescanned += from->rescanned;
	to->scan_bytes += from->scan_bytes;
	to->steals_l3 += from->steals_l3;
	to->steals_node += from->steals_node;
	to->steals_across += from->steals_across;
	to->delivered += from->delivered;
	to->overflows += from->overflows;
	to->wild += from->wild;
	to->stores += from->stores;
	to->remembered += from->remembered;
	memset(from, 0, sizeof(*from));
}
