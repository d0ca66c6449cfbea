/* object.c: the judgement of object.h. */
#include "collector/types/object.h"

#include "collector/cycle/gc_internal.h"

bool sm__is_object(struct sm_mutator *m, const void *p)
{
	const struct sm_range *r = &m->gc->range;
	const struct sm_window *w;
	struct sm_span *s;
	uintptr_t off;
	uint32_t slot;
	uint8_t state;

	if (!sm_range_contains(r, (uintptr_t)p))
		return false;
	/* As a conservative word is judged, see mark_internal.h: the units may be changing hands
	 * right now. */
	s = &r->spans[((uintptr_t)p - r->base) >> SM_UNIT_SHIFT];
	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return false;
	off = (uintptr_t)p - sm_span_base(r, s);
	slot = (uint32_t)((off * (uint64_t)s->recip) >> 32);
	if (slot >= s->nslots || (sm_load_acquire(&s->alloc[slot / 64]) >> (slot % 64) & 1) == 0)
		return false;
	if (state == SM_SPAN_LARGE)
		return off == 0;
	if (off != (uintptr_t)slot * s->slot_bytes &&
	    !(s->slot_bytes == 16 && s->layout->kind == SM_SCAN_NONE))
		return false;
	w = sm__window(m, s->bin);
	return (uintptr_t)p < (uintptr_t)w->cur || (uintptr_t)p >= (uintptr_t)w->end;
}
