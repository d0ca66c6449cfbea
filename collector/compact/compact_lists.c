/*
 * compact_lists.c: compaction's side of the central lists: spans that it takes, and spans that are
 * held: on a list of their own from which no cache takes them, while objects are about to leave
 * them.
 */
#include "collector/compact/compact_internal.h"

size_t sm__compact_swept(struct sm_heap *h, unsigned node, unsigned bin)
{
	struct sm_central *l = sm__central_of(h, node, bin);
	unsigned now = sm__central_parity(sm_load_acquire(&h->sweepgen));

	return (size_t)sm_load_relaxed(&l->partial[now].count) +
	       sm_load_relaxed(&l->full[now].count);
}

unsigned sm__compact_take_swept_some(struct sm_heap *h, unsigned node, unsigned bin,
				     struct sm_span **spans, unsigned n)
{
	struct sm_central *l = sm__central_of(h, node, bin);
	unsigned now = sm__central_parity(sm_load_acquire(&h->sweepgen)), i;

	sm_lock_acquire(&l->lock);
	for (i = 0; i < n; i++) {
		struct sm_span_list *from =
			l->full[now].last != 0 ? &l->full[now] : &l->partial[now];

		if (from->last == 0)
			break;
		spans[i] = &h->pages.range.spans[from->last];
		sm__list_remove(h, from, spans[i]);
	}
	sm_lock_release(&l->lock);
	return i;
}

/* Spans of a list that are looked at while its lock is held once. */
#define TURN 16

/* Once round: those that stay go to the front, one behind the other, so their order stays, too. */
static void hold_some(struct sm_heap *h, struct sm_central *l, struct sm_span_list *from,
		      bool (*fn)(void *ctx, struct sm_span *s), void *ctx)
{
	size_t left = sm_load_relaxed(&from->count);

	while (left != 0) {
		sm_lock_acquire(&l->lock);
		for (unsigned i = 0; i < TURN && left != 0; i++, left--) {
			struct sm_span *s = &h->pages.range.spans[from->last];

			if (from->last == 0) {
				left = 0;
				break;
			}
			sm__list_remove(h, from, s);
			sm__list_push(h, fn(ctx, s) ? &l->held : from, s);
		}
		sm_lock_release(&l->lock);
	}
}

void sm__compact_hold_some(struct sm_heap *h, unsigned node, unsigned bin,
			   bool (*fn)(void *ctx, struct sm_span *s), void *ctx)
{
	struct sm_central *l = sm__central_of(h, node, bin);
	unsigned now = sm__central_parity(sm_load_acquire(&h->sweepgen));

	hold_some(h, l, &l->full[now], fn, ctx);
	hold_some(h, l, &l->partial[now], fn, ctx);
}

void sm__compact_unhold(struct sm_heap *h, struct sm_span *s)
{
	struct sm_central *l = sm__central_of(h, s->node, s->bin);

	sm_lock_acquire(&l->lock);
	sm__list_remove(h, &l->held, s);
	sm_lock_release(&l->lock);
}

struct sm_span *sm__compact_take_room(struct sm_heap *h, unsigned node, unsigned bin)
{
	struct sm_central *l = sm__central_of(h, node, bin);
	struct sm_span_list *from = &l->partial[sm__central_parity(sm_load_acquire(&h->sweepgen))];
	struct sm_span *s = NULL;

	sm_lock_acquire(&l->lock);
	if (from->last != 0) {
		s = &h->pages.range.spans[from->last];
		sm__list_remove(h, from, s);
	}
	sm_lock_release(&l->lock);
	return s != NULL ? s : sm__central_make(h, bin, node, false);
}
