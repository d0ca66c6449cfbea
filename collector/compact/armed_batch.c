/*
 * armed_batch.c: what is done for a slice outside of its stop: which candidates are next, a copy of
 * where their noted slots are, room for their objects.
 *
 * A slice has as many candidates as fit into gc.compact_slice_us by what the last ones took; one at
 * least.
 */
#include <string.h>

#include "allocator/objects/central.h"
#include "allocator/os/os.h"
#include "collector/compact/armed_internal.h"

/* Of notes that come between the copy and the stop; the table grows then, if it must. */
#define SLOTS_SPARE 16384
/* Units of work: an object is one, a slot one, and so are so many bytes. */
#define WORK_BYTES 128
/* A candidate to which more slots lead is too popular to move in one slice. */
#define SLOTS_MOST 16384

/* ---- room --------------------------------------------------------------------------------- */

struct sm_room *sm__slice_room(struct sm_slicer *z, const struct sm_span *s)
{
	return &z->rooms[(size_t)s->node * SM_BINS_MAX + s->bin];
}

/* For n more objects. */
static bool make_room(struct sm_slicer *z, const struct sm_span *s, size_t n)
{
	struct sm_gc *gc = z->v.gc;
	struct sm_room *room = sm__slice_room(z, s);

	while (room->free < room->wanted + n) {
		struct sm_span *more = sm__compact_take_room(gc->heap, s->node, s->bin);
		uint32_t *end = &room->first;

		if (more == NULL)
			return false;
		while (*end != 0)
			end = &gc->range.spans[*end].next;
		*end = sm_span_unit(&gc->range, more);
		more->next = 0;
		room->free += more->nslots - sm_load_relaxed(&more->nalloc);
	}
	room->wanted += n;
	return true;
}

struct sm_span *sm__slice_take_slot(struct sm_slicer *z, struct sm_room *room, uint32_t *slot)
{
	struct sm_gc *gc = z->v.gc;

	for (;;) {
		struct sm_span *s = &gc->range.spans[room->first];

		SM_CHECK(room->first != 0);
		if (sm__compact_take_slot(s, &room->word, slot)) {
			room->free--;
			return s;
		}
		room->first = s->next;
		room->word = 0;
		s->next = z->filled;
		z->filled = sm_span_unit(&gc->range, s);
	}
}

static void give_list(struct sm_gc *gc, uint32_t *first)
{
	while (*first != 0) {
		struct sm_span *s = &gc->range.spans[*first];
		unsigned in_use = sm_load_relaxed(&s->nalloc);

		*first = s->next;
		s->next = 0;
		sm__central_put_swept_some(gc->heap, &s, &in_use, 1);
	}
}

void sm__slice_give_rooms(struct sm_slicer *z)
{
	for (size_t i = 0; i < z->v.nbins; i++)
		give_list(z->v.gc, &z->rooms[i].first);
	give_list(z->v.gc, &z->filled);
}

/* ---- the batch ---------------------------------------------------------------------------- */

static double budget(const struct sm_slicer *z)
{
	double all = z->v.gc->config.compact_slice_us * 1000.0, left = all - z->fixed_ns;

	return all == 0 ? 1e18 : (left > all / 4 ? left : all / 4) / z->work_ns;
}

static size_t work_of(const struct sm_gc *gc, const struct sm_candidate *c)
{
	const struct sm_span *s = sm__candidate_span(gc, c);
	size_t n = sm_load_relaxed(&s->nalloc);

	return n + n * s->slot_bytes / WORK_BYTES + c->nslots;
}

bool sm__slice_reserve(struct sm_slicer *z, size_t n)
{
	size_t room = (z->nslots + n) * 2;
	uintptr_t *more;

	if (z->nslots + n <= z->slots_room)
		return true;
	more = sm__os_map(room * sizeof(*more));
	if (more == NULL)
		return false;
	if (z->nslots != 0)
		memcpy(more, z->slots, z->nslots * sizeof(*more));
	sm__os_unmap(z->slots, z->slots_room * sizeof(*more));
	z->slots = more;
	z->slots_room = room;
	return true;
}

/* False: there is no room for them. */
static bool copy_slots(struct sm_slicer *z, const struct sm_candidate *c)
{
	if (!sm__slice_reserve(z, c->nslots + SLOTS_SPARE))
		return false;
	for (const struct sm_slot *e = c->slots; e != NULL; e = (const struct sm_slot *)e->value)
		z->slots[z->nslots++] = e->slot;
	return true;
}

static bool is_popular(const struct sm_gc *gc, const struct sm_candidate *c)
{
	return gc->config.compact_slice_us != 0 && c->nslots > SLOTS_MOST;
}

bool sm__slice_take(struct sm_slicer *z)
{
	struct sm_gc *gc = z->v.gc;
	struct sm_armed *a = &gc->armed;
	double work = 0, most = budget(z);

	z->from = z->to;
	z->nslots = z->objects = 0;
	for (; z->to < a->ncandidates; z->to++) {
		struct sm_candidate *c = &a->candidate[z->to];
		struct sm_span *s = sm__candidate_span(gc, c);
		size_t n = sm_load_relaxed(&s->nalloc);

		if (c->unit == 0)
			continue;
		work += (double)work_of(gc, c);
		if (z->objects != 0 && work > most)
			break;
		if (is_popular(gc, c) || !copy_slots(z, c) || !make_room(z, s, n)) {
			sm__armed_drop(gc, c, (unsigned)n);
			continue;
		}
		z->objects += n;
	}
	return z->objects != 0;
}
