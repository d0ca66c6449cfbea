/* remember.c: which kind of remembered set there is, and how markers share the look at it. */
#include "collector/generations/remember_internal.h"

#include "collector/mark/mark_internal.h"

static const struct sm_remember_kind *const kinds[] = {
	[SM_GC_REMEMBER_CARDS] = &sm__remember_cards,
	[SM_GC_REMEMBER_OBJECTS] = &sm__remember_objects,
	[SM_GC_REMEMBER_NONE] = &sm__remember_pages,
};

int sm__remember_check(const struct sm_gc_config *cfg, char *err, size_t errlen)
{
	const struct sm_remember_kind *kind = kinds[cfg->remember];

	if (cfg->generations == SM_GC_GENERATIONS_OFF || kind->check == NULL)
		return 0;
	return kind->check(err, errlen);
}

int sm__remember_init(struct sm_gc *gc, char *err, size_t errlen)
{
	gc->remember.kind = kinds[gc->config.remember];
	return gc->remember.kind->init(gc, err, errlen);
}

void sm__remember_fini(struct sm_gc *gc)
{
	if (gc->remember.kind != NULL)
		gc->remember.kind->fini(gc);
}

size_t sm__remember_unit_bytes(const struct sm_gc *gc)
{
	return gc->remember.kind->unit_bytes;
}

uint8_t sm__remember_barrier(const struct sm_gc *gc)
{
	return gc->remember.kind->barrier;
}

void sm__remember_give(struct sm_gc *gc, struct sm_log_chunk **log)
{
	if (*log != NULL)
		gc->remember.kind->give(gc, log);
}

uint64_t sm__remember_stores(const struct sm_gc *gc, uint64_t stores)
{
	return (uint64_t)((double)stores * gc->remember.kind->store);
}

/* 1.4 us of system time each, in a virtual machine. */
#define FAULT_NS 1500.0

double sm__remember_beside_ns(const struct sm_gc *gc)
{
	return FAULT_NS * (double)gc->remember.faults;
}

const char *sm__remember_what(const struct sm_gc *gc)
{
	return gc->remember.kind->what;
}

void sm__remember_drop(struct sm_gc *gc)
{
	if (gc->remember.kind->drop != NULL)
		gc->remember.kind->drop(gc);
}

void sm__remember_give_back(struct sm_gc *gc, uintptr_t from, uintptr_t end)
{
	if (gc->remember.kind->give_back != NULL)
		gc->remember.kind->give_back(gc, from, end);
}

bool sm__remember_has(const struct sm_gc *gc, uintptr_t slot)
{
	return gc->remember.kind->has(gc, slot);
}

void sm__remember_moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes)
{
	if (gc->remember.kind->moved != NULL)
		gc->remember.kind->moved(gc, from, to, bytes);
}

/* ---- the look ----------------------------------------------------------------------------- */

/* Units at a time: with all of a unit's cards set 20 us, with none 0.05. */
#define MANY 8
#define FEW  1

void sm__walk_begin(struct sm_gc *gc, bool all)
{
	struct sm_walk *w = &gc->remember.walk;

	w->runs.n = 0;
	if (all)
		sm__gen_reached(gc, &w->runs);
	sm_store_relaxed(&w->next, 0);
}

/* Unit number `at` of all runs, and up to most - 1 that follow it in its own. */
static bool find_units(const struct sm_gen_runs *runs, size_t at, size_t most, struct sm_part *p)
{
	for (unsigned i = 0; i < runs->n; i++) {
		size_t n = runs->run[i].end - runs->run[i].from;

		if (at < n) {
			p->from = runs->run[i].from + at;
			p->end = p->from + (n - at < most ? n - at : most);
			return true;
		}
		at -= n;
	}
	return false;
}

/* Relaxed: the cursor says whose a unit is; what is in it came with the entry (remember.h). */
bool sm__walk_take(struct sm_gc *gc, bool few, struct sm_part *p)
{
	struct sm_walk *w = &gc->remember.walk;
	size_t at = sm_load_relaxed(&w->next);

	do {
		if (!find_units(&w->runs, at, few ? FEW : MANY, p))
			return false;
	} while (!sm_cas_relaxed(&w->next, &at, at + (p->end - p->from)));
	return true;
}

static void look_at_part(struct sm_gc *gc, struct sm_marker *k, const struct sm_part *p)
{
	struct sm_look l = {.gc = gc, .k = k};

	sm__delay(gc);
	gc->remember.kind->look(&l, p);
	if (k == NULL)
		return;
	k->n.remembered += l.found;
	k->n.scan_bytes += l.bytes;
}

void sm__remember_help(struct sm_gc *gc, struct sm_marker *k)
{
	struct sm_part p;

	if (!gc->remember.kind->take(gc, k->quiet, &p))
		return;
	k->helped++;
	(void)sm__mark_offer_entry(k, SM_ENTRY_REMEMBERED);
	look_at_part(gc, k, &p);
}

/* An entry for each worker, in packets of their own. */
static void invite(struct sm_gc *gc, struct sm_marker *k)
{
	for (unsigned i = 0; i < gc->nall_workers; i++) {
		if (!sm__mark_offer_entry(k, SM_ENTRY_REMEMBERED))
			return;
		sm__marker_give(k);
	}
}

/*
 * What is found waits for the workers, and a set leads to as much as is young: where it comes
 * faster than they mark, it would be megabytes of packets, which stay. So beyond those that are
 * there in any case the control thread marks, too. cards_ns has the look alone.
 */
#define MARK_BYTES (64 * SM_KIB)

static void mark_what_waits(struct sm_gc *gc, struct sm_marker *k)
{
	size_t each = gc->workq.cap * sizeof(uintptr_t);
	uint64_t t0;

	if (sm__workq_queued(&gc->workq) * each <= SM_WORKQ_SPARE / 2)
		return;
	t0 = sm__thread_ns();
	do
		(void)sm__mark_drain(k, MARK_BYTES);
	while (sm__workq_queued(&gc->workq) * each > SM_WORKQ_SPARE / 4);
	gc->cycle.cards_ns -= sm__thread_ns() - t0;
}

void sm__remember_look(struct sm_gc *gc, struct sm_marker *k)
{
	const struct sm_remember_kind *kind = gc->remember.kind;
	struct sm_look l = {.gc = gc, .k = k};
	struct sm_part p;

	kind->begin(gc, k != NULL);
	if (k != NULL)
		invite(gc, k);
	while (kind->take(gc, false, &p)) {
		look_at_part(gc, k, &p);
		if (k == NULL)
			continue;
		sm__mark_publish(k);
		mark_what_waits(gc, k);
	}
	if (kind->end != NULL)
		kind->end(&l);
	if (k != NULL)
		k->n.remembered += l.found;
}
