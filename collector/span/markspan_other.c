/*
 * markspan_other.c: while marking by span, the objects that are not: pieces of large ones, those of
 * more than SM_BY_SPAN_BYTES, those whose pointers do not lie in front.
 *
 *   up to OTHERS entries -> prefetch their descriptors and lines -> gather their edges
 *     -> mark and post those side by side (markspan_scan.c)
 *
 * An edge of such an object costs what one of the others does: its mark word is asked for ahead,
 * its descriptor is not looked at. (One by one, each with the target's descriptor, its kind and its
 * unit, a wide array was marked at half the instructions again.)
 */
#include "collector/span/markspan_internal.h"

/* Entries that are asked for at once. */
#define OTHERS 32
/* .. with a budget, which may end at any of them. */
#define OTHERS_FEW  4

#define LARGE_WORDS (SM_LARGE_PIECE / sizeof(uintptr_t))
_Static_assert(LARGE_WORDS <= SM_BY_SPAN_WORDS, "room for a piece's edges");

static void take_gathered(const struct sm_span_loop *l)
{
	size_t n = l->y->gathered;

	l->y->gathered = 0;
	if (n != 0)
		sm__span_take_edges(l, n);
}

/* So many more edges find room. */
static void make_room(const struct sm_span_loop *l, size_t words)
{
	if (l->y->gathered + words > SM_BY_SPAN_WORDS)
		take_gathered(l);
}

static struct sm_span *span_of(const struct sm_span_loop *l, uintptr_t entry)
{
	struct sm_span *s = &l->k->spans[(entry - l->base) >> SM_UNIT_SHIFT];

	return s - s->back;
}

static void gather_piece(const struct sm_span_loop *l, struct sm_span *s, uintptr_t piece)
{
	uintptr_t end = sm__take_piece(l->k, s, piece);

	if (end == 0)
		return;
	make_room(l, LARGE_WORDS);
	sm__scan_range(l->k, s->layout, (const uintptr_t *)sm_span_base(&l->k->gc->range, s),
		       (const uintptr_t *)piece, (const uintptr_t *)end, SM_HOW_GATHERED);
}

static void gather_small(const struct sm_span_loop *l, const struct sm_span *s, uintptr_t entry)
{
	size_t words = s->slot_bytes / sizeof(uintptr_t);

	if (SM_UNLIKELY(words > SM_BY_SPAN_WORDS)) {
		sm__scan(l->k, entry, SM_HOW_ATOMIC);
		return;
	}
	make_room(l, words);
	sm__scan(l->k, entry, SM_HOW_GATHERED);
}

static void gather(const struct sm_span_loop *l, uintptr_t entry)
{
	struct sm_span *s;

	if (SM_UNLIKELY(sm__entry_is_root(l->k, entry))) {
		sm__scan(l->k, entry, SM_HOW_ATOMIC);
		return;
	}
	s = span_of(l, entry);
	if (SM_LIKELY(s->slot_bytes != 0 || s->layout == NULL))
		gather_small(l, s, entry);
	else
		gather_piece(l, s, entry);
}

static void ask_for(const struct sm_span_loop *l, uintptr_t entry)
{
	if (entry - l->base >= l->bytes)
		return;
	SM_PREFETCH_R(&l->k->spans[(entry - l->base) >> SM_UNIT_SHIFT]);
	SM_PREFETCH_R((const void *)entry);
	SM_PREFETCH_R((const char *)entry + SM_CACHELINE);
}

/* One by one, or with a node for each. False: there was nothing. */
static bool scan_singly(const struct sm_span_loop *l)
{
	uint64_t scanned = l->k->n.scanned;

	sm__mark_drain_objects(l->k, l->until);
	return l->k->n.scanned != scanned;
}

bool sm__span_scan_others(const struct sm_span_loop *l)
{
	unsigned most = l->until == UINT64_MAX ? OTHERS : OTHERS_FEW, n;
	struct sm_marker *k = l->k;
	uintptr_t entry[OTHERS];
	bool any = false;

	if (l->routed || k->fifo == 0)
		return scan_singly(l);
	do {
		for (n = 0; n < most; n++) {
			if (k->take == k->take_first && (n != 0 || !sm__mark_refill(k)))
				break;
			entry[n] = *--k->take;
			ask_for(l, entry[n]);
		}
		for (unsigned i = 0; i < n; i++)
			if (k->n.scan_bytes < l->until)
				gather(l, entry[i]);
			else
				sm__mark_push_entry(k, entry[i]);
		take_gathered(l);
		any |= n != 0;
	} while (n != 0 && sm__span_look_up(l));
	return any;
}
