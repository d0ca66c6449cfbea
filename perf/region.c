/* region.c: attribution of time and counts to regions: changing them. See region.h. */
#include <stdlib.h>

#include "perf/counter_sim.h"
#include "perf/region_internal.h"

static void account_group(struct sm_region_thread *t, unsigned g, unsigned region)
{
	struct sm_counter_group *grp = &t->groups[g];
	uint64_t *last = t->last + t->base[g], *final = t->final + t->base[g];
	uint64_t *row = t->counts + (size_t)region * t->n_slots + t->base[g];
	struct sm_group_count c;

	if (sm_group_read(grp, &c)) {
		if (!(t->lost >> g & 1))
			__atomic_store_n(&t->lost, t->lost | 1u << g, __ATOMIC_RELAXED);
		return;
	}
	/* Differences modulo 2^64: a counter may be at any value, also a wrapped one. */
	sm__add(&row[0], c.enabled - last[0]);
	sm__add(&row[1], c.running - last[1]);
	last[0] = c.enabled;
	last[1] = c.running;
	sm__put(&final[0], c.enabled);
	sm__put(&final[1], c.running);
	for (unsigned i = 0; i < grp->n; i++) {
		if (grp->ev[i].status != SM_STATUS_OK)
			continue;
		sm__add(&row[SM__REGION_HEAD + i], c.values[i] - last[SM__REGION_HEAD + i]);
		last[SM__REGION_HEAD + i] = c.values[i];
		sm__put(&final[SM__REGION_HEAD + i], c.values[i]);
	}
}

/* Gives what passed since the last change to the regions that were current. */
void sm__region_account(struct sm_region_thread *t, bool everything)
{
	uint64_t at = sm__region_now(t);

	sm__add(&t->ticks[t->cur], sm_clock_delta(t->last_ticks, at));
	if (at > t->last_ticks)
		t->last_ticks = at;
	sm__put(&t->end_ticks, t->last_ticks);
	for (unsigned g = 0; g < t->n_groups; g++) {
		if (t->user[g])
			account_group(t, g, t->cur);
		else if (everything)
			account_group(t, g, t->owner);
	}
	sm__add(everything ? &t->changes : &t->light_changes, 1);
}

/* The innermost region on the stack (with `top` on it) that is not light. */
static unsigned owner_of(const struct sm_region_thread *t, unsigned top)
{
	if (!sm__is_light(t, top))
		return top;
	for (unsigned d = t->depth; d-- > 0;)
		if (!sm__is_light(t, t->stack[d]))
			return t->stack[d];
	return t->opt.first;
}

/* enters: 1 where `to` is entered, 0 where it is come back to. It changes with the time, under the
 * same odd number. */
static void change(struct sm_region_thread *t, unsigned to, unsigned owner, unsigned enters)
{
	sm__write_begin(t);
	sm__region_account(t, owner != t->owner);
	if (t->sim >= 0 && owner != t->owner)
		sm__sim_change(t->sim, t->owner, owner);
	sm__add(&t->enters[to], enters);
	t->cur = (uint8_t)to;
	t->owner = (uint8_t)owner;
	sm__write_end(t);
}

/* A signal handler that lands between these two finds busy set. */
static inline bool grab(struct sm_region_thread *t)
{
	if (t->busy || !t->open) {
		sm__add(&t->dropped, 1);
		return false;
	}
	t->busy = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static inline void let_go(struct sm_region_thread *t)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->busy = 0;
}

void sm_region_enter(struct sm_region_thread *t, unsigned region)
{
	if (t == NULL || !grab(t))
		return;
	if (region >= t->opt.n_regions)
		region = t->opt.first;
	if (t->depth == SM_REGION_DEPTH) {
		t->over++;
		let_go(t);
		return;
	}
	t->stack[t->depth++] = t->cur;
	change(t, region, owner_of(t, region), 1);
	let_go(t);
}

void sm_region_leave(struct sm_region_thread *t)
{
	unsigned to;

	if (t == NULL || !grab(t))
		return;
	if (t->over) {
		t->over--;
	} else if (!t->depth) {
		sm__add(&t->dropped, 1);
	} else {
		to = t->stack[--t->depth];
		change(t, to, owner_of(t, to), 0);
	}
	let_go(t);
}

void sm_region_reset(struct sm_region_thread *t)
{
	if (t == NULL || !grab(t))
		return;
	sm__write_begin(t);
	sm__region_account(t, true);
	for (unsigned r = 0; r < SM_REGION_MAX; r++) {
		sm__put(&t->ticks[r], 0);
		sm__put(&t->enters[r], 0);
	}
	for (size_t i = 0; i < (size_t)t->opt.n_regions * t->n_slots; i++)
		sm__put(&t->counts[i], 0);
	for (unsigned i = 0; i < t->n_slots; i++)
		sm__put(&t->first[i], t->last[i]);
	sm__put(&t->changes, 0);
	sm__put(&t->light_changes, 0);
	sm__put(&t->dropped, 0);
	sm__put(&t->start_ticks, t->last_ticks);
	sm__write_end(t);
	if (t->sim >= 0)
		sm__sim_reset(t->sim, t->owner);
	let_go(t);
}

void sm_region_thread_stop(struct sm_region_thread *t)
{
	if (t == NULL || !t->open)
		return;
	if (t->counts != NULL && grab(t)) {
		sm__write_begin(t);
		sm__region_account(t, true);
		sm__write_end(t);
		let_go(t);
	}
	t->open = false;
	if (t->sim >= 0)
		sm__sim_stop(t->sim, t->owner);
	for (unsigned g = 0; g < t->n_groups; g++) {
		/* What readers ask about the events (status, reason) stays; only the kernel's part
		 * goes. */
		t->groups[g].ops->close(&t->groups[g]);
	}
}

void sm_region_thread_free(struct sm_region_thread *t)
{
	if (t == NULL)
		return;
	sm_region_thread_stop(t);
	free(t->slots);
	free(t->last);
	free(t->first);
	free(t->final);
	free(t->counts);
	free(t);
}
