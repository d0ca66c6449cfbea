/* compact_pin.c: which objects may not move. */
#include <errno.h>
#include <stdio.h>

#include "allocator/os/os.h"
#include "collector/compact/compact_internal.h"

/* ---- the map ------------------------------------------------------------------------------ */

static size_t map_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes >> (SM_MARK_SHIFT + 3);
}

int sm__compact_map_pins(struct sm_gc *gc, char *err, size_t errlen)
{
	struct sm_range *pinned = &gc->compact.pinned;

	*pinned = gc->range;
	if (!gc->gen.made || gc->config.compact == SM_GC_COMPACT_OFF)
		return 0;
	pinned->scans = NULL;
	pinned->marks = sm__os_map(map_bytes(gc));
	if (pinned->marks != NULL)
		return 0;
	if (err && errlen)
		snprintf(err, errlen,
			 "no address space for gc.compact with gc.generations (a 128th of "
			 "heap.reserve, now %zu MiB: try less)",
			 gc->range.bytes / SM_MIB);
	return -ENOMEM;
}

void sm__compact_unmap_pins(struct sm_gc *gc)
{
	if (gc->compact.pinned.marks != gc->range.marks)
		sm__os_unmap((void *)gc->compact.pinned.marks, map_bytes(gc));
}

/* ---- one object --------------------------------------------------------------------------- */

/* The first cause counts. */
static void pin_slot(struct sm_move *v, struct sm_span *s, uint32_t slot)
{
	const struct sm_range *r = &v->gc->compact.pinned;
	uintptr_t p = sm_span_base(r, s) + (uintptr_t)slot * s->slot_bytes;

	if (sm_mark_test(r, p))
		return;
	sm_fetch_or_relaxed(sm_mark_word(r, p), sm_mark_mask(r, p));
	v->n.pinned_objects[v->cause]++;
	v->n.pinned_bytes[v->cause] += s->slot_bytes;
}

void sm__compact_pin_at(struct sm_move *v, uintptr_t addr)
{
	struct sm_span *s;
	uint32_t slot;

	if (v->only != 0 && !sm__unit_has(v->gc, addr, v->only))
		return;
	if (sm__slot_at(&v->gc->range, addr, &s, &slot))
		pin_slot(v, s, slot);
}

/*
 * What a thread has of an object may be where a loop over it ends, or the address that the compiler
 * counts from, in front of it. No slot has less than SM_PIN_BEFORE bytes: three looks find all that
 * lies there.
 */
static void pin_word(struct sm_move *v, uintptr_t word)
{
	if (word - v->gc->range.base >= v->gc->range.bytes)
		return;
	sm__compact_pin_at(v, word);
	sm__compact_pin_at(v, word - 1);
	sm__compact_pin_at(v, word + SM_PIN_BEFORE);
}

/* ---- threads ------------------------------------------------------------------------------ */

/* Reads other frames' memory, red zones included, and words that a blocked owner is changing. */
__attribute__((no_sanitize("address", "thread"))) static void pin_words(struct sm_move *v,
									uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t a = sm_align_up(lo, sizeof(uintptr_t)); a + sizeof(uintptr_t) <= hi;
	     a += sizeof(uintptr_t))
		pin_word(v, *(const volatile uintptr_t *)a);
}

/* A stack of the thread's, or another range: all that a cycle would scan. */
static void pin_range(struct sm_move *v, const struct sm_mutator_priv *p,
		      const struct sm_thread_range *t)
{
	pin_words(v, t == p->on ? p->sp : sm__stack_low(p, t), t->end);
	if (t == p->on)
		pin_words(v, (uintptr_t)p->saved, (uintptr_t)(p->saved + p->nsaved));
	else if (t->left)
		pin_words(v, (uintptr_t)t->registers,
			  (uintptr_t)(t->registers + SM_REGISTER_WORDS));
}

void sm__compact_pin_threads(struct sm_move *v)
{
	struct sm_gc *gc = v->gc;

	v->cause = SM_PINNED_STACK;
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		pin_range(v, p, &p->own);
		for (struct sm_thread_range *t = p->ranges; t; t = t->next)
			pin_range(v, p, t);
	}
	sm_lock_release(&gc->mutators_lock);
}

/* ---- objects ------------------------------------------------------------------------------ */

static void pin_from_words(struct sm_move *v, uintptr_t start, size_t bytes)
{
	const uintptr_t *w = (const uintptr_t *)start;

	for (size_t i = 0; i < bytes / sizeof(uintptr_t); i++)
		sm__compact_pin_at(v, w[i]);
}

/* Calls fn for each object of s. */
static void each_slot(struct sm_move *v, struct sm_span *s,
		      void (*fn)(struct sm_move *v, struct sm_span *s, uint32_t slot))
{
	for (uint32_t w = 0; w < (s->nslots + 63u) / 64; w++)
		for (uint64_t bits = sm_load_relaxed(&s->alloc[w]); bits; bits &= bits - 1)
			fn(v, s, w * 64 + (uint32_t)__builtin_ctzll(bits));
}

static void pin_from_slot(struct sm_move *v, struct sm_span *s, uint32_t slot)
{
	uintptr_t p = sm_span_base(&v->gc->range, s) + (uintptr_t)slot * s->slot_bytes;

	pin_from_words(v, p, s->slot_bytes ? s->slot_bytes : sm_span_bytes(s));
}

/* Conservative objects, dead ones among them, point where they will; they themselves may move. */
static void look_at_span(void *arg, struct sm_span *s)
{
	enum sm_span_state state = (enum sm_span_state)sm_load_relaxed(&s->state);
	struct sm_move *v = arg;

	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return;
	if (s->layout->kind == SM_SCAN_CONSERVATIVE) {
		v->cause = SM_PINNED_CONSERVATIVE;
		each_slot(v, s, pin_from_slot);
	}
	if (s->layout->fixed && state == SM_SPAN_SMALL) {
		v->cause = SM_PINNED_TYPE;
		each_slot(v, s, pin_slot);
	}
}

static void pin_asked(void *arg, uintptr_t object)
{
	sm__compact_pin_at(arg, object);
}

void sm__compact_pin_asked(struct sm_move *v)
{
	v->cause = SM_PINNED_PROGRAM;
	sm__pins_each(v->gc, pin_asked, v);
}

void sm__compact_pin(struct sm_move *v)
{
	sm__compact_pin_asked(v);
	sm__heap_foreach_span(v->gc->heap, look_at_span, v);
	sm__compact_pin_threads(v);
}
