/*
 * remember_pages.c: gc.remember=none: stores do nothing, and the kernel tells which pages were
 * written (remember_dirty.h).
 *
 * A minor cycle takes from the kernel what was written since the last one, and looks at the old
 * objects' words in these pages. A page counts for two minor cycles, as a card does:
 *
 *     store        minor cycle        minor cycle
 *    written ---> STORED -> SEEN ------------> 0      a store meanwhile: written again
 *             taken    looked at   looked at
 *
 * By remember.h it is enough that no store is forgotten untold: taking a page tells of it and
 * protects it in one step, so each store is told of by this step or by a later one. (Where these
 * are two steps, mutators stand still for both.) A store before T(n) is in a page that n takes, and
 * its value in the words that are read after that; one after T(n) that n's taking covers had a Y
 * that existed before n's sweep, and the page is SEEN in n + 1, whether n read the value or not.
 * The states are the control thread's while it takes, then each its looker's (remember.h). A major
 * cycle takes nothing.
 *
 * A move is a write, to pages of which the kernel tells: what was remembered where the object was
 * counts anew where it is. While generations are off nothing is taken, so whatever was written then
 * is looked at when they are on again.
 *
 * The kernel tells of all writes: a new object's, an integer's, the zeroing of a slot. They cost
 * looks, and no more.
 */
#include "collector/generations/remember_internal.h"

#include <errno.h>

#include "allocator/os/os.h"

#define SEEN   1u
#define STORED 2u

static size_t states_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes / gc->remember.dirty.page;
}

static int check(char *err, size_t errlen)
{
	struct sm_dirty d;
	int e = sm__dirty_open(&d, err, errlen);

	if (e == 0)
		sm__dirty_close(&d);
	return e;
}

static int init(struct sm_gc *gc, char *err, size_t errlen)
{
	int e = sm__dirty_open(&gc->remember.dirty, err, errlen);

	if (e != 0)
		return e;
	gc->remember.pages = sm__os_map(states_bytes(gc));
	return gc->remember.pages != NULL ? 0 : -ENOMEM;
}

static void fini(struct sm_gc *gc)
{
	if (gc->remember.pages != NULL)
		sm__os_unmap(gc->remember.pages, states_bytes(gc));
	sm__dirty_close(&gc->remember.dirty);
}

static size_t page_of(const struct sm_gc *gc, uintptr_t addr)
{
	return (addr - gc->range.base) / gc->remember.dirty.page;
}

static bool has(const struct sm_gc *gc, uintptr_t slot)
{
	const struct sm_dirty *d = &gc->remember.dirty;

	return gc->remember.pages[page_of(gc, slot)] != 0 || d->source->is_dirty(d, slot);
}

/* ---- taking ------------------------------------------------------------------------------- */

static void note_written(void *ctx, uintptr_t from, uintptr_t end)
{
	struct sm_gc *gc = ctx;

	if (gc->remember.watched)
		gc->remember.faults += (end - from) / gc->remember.dirty.page;
	for (; from < end; from += gc->remember.dirty.page)
		gc->remember.pages[page_of(gc, from)] = STORED;
}

static void take_run(void *ctx, size_t from, size_t end)
{
	struct sm_gc *gc = ctx;
	struct sm_dirty *d = &gc->remember.dirty;

	d->source->take(d, gc->range.base + (from << SM_UNIT_SHIFT),
			gc->range.base + (end << SM_UNIT_SHIFT), note_written, gc);
}

static void take_written(struct sm_gc *gc)
{
	struct sm_dirty *d = &gc->remember.dirty;
	bool stop = d->source->stops && gc->config.mode == SM_GC_CONCURRENT;

	gc->remember.faults = 0;
	if (stop)
		sm__world_stop(gc, false);
	sm__gen_each_reached(gc, take_run, gc);
	if (d->source->forget != NULL)
		d->source->forget(d);
	if (stop)
		sm__world_resume(gc);
	gc->remember.watched = true;
}

/* What was written while generations were off is told when they are on again, and was no fault but
 * the first time. */
static void drop(struct sm_gc *gc)
{
	gc->remember.watched = false;
}

/* ---- looking ------------------------------------------------------------------------------ */

#define WORD_COVERS ((uintptr_t)1 << SM_MARK_WORD_SHIFT) /* of the maps */

static enum sm_held look_at_page(struct sm_look *l, uintptr_t page)
{
	uintptr_t end = page + l->gc->remember.dirty.page;
	enum sm_held most = SM_HELD_NOTHING;

	for (uintptr_t lo = page; lo < end; lo += WORD_COVERS) {
		enum sm_held held = SM_HELD_NOTHING;

		if (!sm__none_aged(l->gc, lo, 1))
			held = sm__look_at(l, lo, lo + WORD_COVERS);
		most = held > most ? held : most;
	}
	return most;
}

static void look(struct sm_look *l, const struct sm_part *p)
{
	size_t page = l->gc->remember.dirty.page;
	uintptr_t at = l->gc->range.base + (p->from << SM_UNIT_SHIFT),
		  last = l->gc->range.base + (p->end << SM_UNIT_SHIFT);

	l->bytes += (last - at) / page;
	for (; at < last; at += page) {
		uint8_t *state = &l->gc->remember.pages[page_of(l->gc, at)];
		enum sm_held held;

		if (*state == 0)
			continue;
		held = look_at_page(l, at);
		l->found += held == SM_HELD_OLD;
		l->bytes += held == SM_HELD_OLD ? page : 0;
		*state = *state == STORED && held != SM_HELD_NOTHING ? SEEN : 0;
	}
}

static void begin(struct sm_gc *gc, bool minor)
{
	if (minor)
		take_written(gc);
	sm__walk_begin(gc, minor);
}

const struct sm_remember_kind sm__remember_pages = {
	.name = "none",
	.what = "pages",
	.store = 0,
	.unit_bytes = SM_UNIT / 4096,
	.check = check,
	.init = init,
	.fini = fini,
	.drop = drop,
	.begin = begin,
	.take = sm__walk_take,
	.look = look,
	.has = has,
};
