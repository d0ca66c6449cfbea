/*
 * verify.c: the independent marker, which looks for reachable objects that the real one has not
 * marked.
 *
 * It shares nothing with mark.c, roots.c and workq.c but the data that describe the heap: it has a
 * visited set of its own (a bit for each 8 B of the address range, in memory that is mapped
 * lazily), finds the roots afresh (stacks and registers of all mutators, registered ranges,
 * handles, the finalizer queue), divides where mark.c multiplies, and reads layouts word by word.
 * It runs with the world stopped, after marking and before sweeping, and it must go on to the end
 * whatever it finds.
 *
 * Stacks in concurrent mode. A stack is scanned once; what the thread pushes afterwards is alive
 * and thus marked in the end, but a frame may also uncover words that were dead at the scan and
 * never written since. So that such a word is no false alarm, threads clear the dead part of their
 * stacks after each acknowledgement and, while gc.verify is on, farther and after blocking sections
 * too (sm__dead_stack).
 *
 * What remains are words that are no pointers and came up after the scan: the end of an array or a
 * window points to the neighbour's start (what lies before it is then marked: an array that is
 * being walked is alive, a window's rest turned black, and windows that were used up by then have
 * forgotten their ends, see sm__cache_foreach_window); a byte written into a register or a slot
 * that held a pointer ("sete %bl") points anywhere near, to a multiple of 256 if it was `false`. So
 * in concurrent mode a word on a stack that leads to an unmarked object proves a loss only if it is
 * the object's start, what lies before it is not marked either and, where the word's last byte may
 * be such a small number, nothing that differs in that byte alone is marked. On the stack of a
 * thread that attached when marking was over nothing proves a loss: it was not scanned, and a new
 * thread's frames show what the stack's last user left. In gc.mode=stw marker and verifier see the
 * same stacks, and every word counts.
 *
 * Behind a compaction, between two cycles, it looks for words that lead to nothing, or to where an
 * object has been; marks say nothing then of what lives, but of what is old.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/cycle/verify.h"
#include "allocator/base/say.h"
#include "allocator/objects/markmap.h"
#include "allocator/os/os.h"
#include "collector/compact/compact.h"
#include "collector/cycle/gc_internal.h"
#include "collector/types/inspect.h"

#define PRINT_MAX 8

struct item {
	uintptr_t object, parent;
};

struct verifier {
	struct sm_gc *gc;
	uint64_t *visited;
	size_t visited_bytes;
	struct item *stack;
	size_t n, capacity;
	size_t reached;
	unsigned errors;
	bool on_stack;	  /* the words at hand are a stack's */
	bool unscanned;	  /* .. which was not scanned in this cycle */
	bool settled;	  /* no cycle is on: marks say nothing of what lives */
	bool incomplete;  /* memory was refused: not everything was looked at */
	const char *root; /* where we came from, for the message */
	struct sm_pairs pairs;
};

/* ---- its own idea of objects -------------------------------------------------------------- */

/* Behind a compaction: was an object here that is elsewhere now? */
static bool has_left(struct verifier *v, uintptr_t addr)
{
	return v->settled && sm__compact_has_left(v->gc, addr);
}

/* The start of the object that addr lies in; 0: none. exact: only its start counts. */
static uintptr_t object_at(struct verifier *v, uintptr_t addr, bool exact, struct sm_span **out)
{
	const struct sm_range *r = &v->gc->range;
	struct sm_span *s;
	uintptr_t base;
	size_t slot;
	uint8_t state;

	if (addr < r->base || addr >= r->base + r->bytes)
		return 0;
	s = &r->spans[(addr - r->base) / SM_UNIT];
	s -= s->back;
	state = sm_load_acquire(&s->state);
	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return 0;
	base = r->base + (uintptr_t)(s - r->spans) * SM_UNIT;
	slot = state == SM_SPAN_LARGE ? 0 : (addr - base) / s->slot_bytes;
	if (slot >= s->nslots)
		return 0;
	if ((s->alloc[slot / 64] >> (slot % 64) & 1) == 0 || has_left(v, addr))
		return 0;
	base += slot * s->slot_bytes;
	*out = s;
	/* Several tiny objects may share a slot of 16 bytes; none has pointers. */
	if (exact && base != addr && (s->slot_bytes != 16 || s->layout->kind != SM_SCAN_NONE))
		return 0;
	return base;
}

static bool has_mark(struct verifier *v, uintptr_t object)
{
	size_t i = (object - v->gc->range.base) / 16;

	return v->settled || v->gc->range.marks[i / 64] >> (i % 64) & 1;
}

static void complain(struct verifier *v, uintptr_t object, struct sm_span *s, uintptr_t parent,
		     const char *what)
{
	if (v->errors++ < PRINT_MAX)
		sm__say("verify: %s: object %p (%u B, layout kind %u) from %s %p", what,
			(void *)object, s ? s->slot_bytes : 0, s ? s->layout->kind : 0, v->root,
			(void *)parent);
}

/* ---- reaching ----------------------------------------------------------------------------- */

static bool first_visit(struct verifier *v, uintptr_t object)
{
	size_t bit = (object - v->gc->range.base) / 8;
	uint64_t mask = (uint64_t)1 << (bit % 64);

	if (v->visited[bit / 64] & mask)
		return false;
	v->visited[bit / 64] |= mask;
	return true;
}

/* What is reached from an object that finds no room is not looked at: fewer differences are found,
 * none is made up. */
static void push_object(struct verifier *v, uintptr_t object, uintptr_t parent)
{
	if (v->n == v->capacity) {
		size_t bytes = v->capacity * sizeof(*v->stack);
		void *grown = sm__os_remap(v->stack, bytes, bytes * 2);

		if (grown == NULL) {
			v->incomplete = true;
			return;
		}
		v->stack = grown;
		v->capacity *= 2;
	}
	v->stack[v->n++] = (struct item){object, parent};
}

/* Does the word differ in its last byte alone from a pointer to something marked, and may that byte
 * be a truth value or the like? */
static bool byte_over_pointer(struct verifier *v, uintptr_t word)
{
	uintptr_t first = word & ~(uintptr_t)0xff;
	struct sm_span *s = NULL;

	if (word - first > 15)
		return false;
	for (uintptr_t at = first; at < first + 256; at += 8) {
		uintptr_t object = object_at(v, at, false, &s);

		if (object && has_mark(v, object))
			return true;
	}
	return false;
}

/* Could this stack word be something else than the pointer to an object that it looks like? See
 * above. */
static bool doubtful(struct verifier *v, uintptr_t word, uintptr_t object)
{
	struct sm_span *s = NULL;
	uintptr_t before;

	if (v->gc->config.mode == SM_GC_STW)
		return false;
	/* AddressSanitizer's frames are wide and mostly redzones that are not written: old words
	 * shine through. */
	if (SM_ASAN)
		return true;
	if (word != object || v->unscanned)
		return true;
	before = object_at(v, word - 1, false, &s);
	return before == 0 || has_mark(v, before) || byte_over_pointer(v, word);
}

static void reach(struct verifier *v, uintptr_t word, uintptr_t parent, bool exact)
{
	struct sm_span *s = NULL;
	uintptr_t object;

	if (word == 0)
		return;
	object = object_at(v, word, exact, &s);
	if (object == 0) {
		/* An exact pointer into the heap that is no object: something live was freed. */
		if (has_left(v, word))
			complain(v, word, NULL, parent, "pointer to where an object was");
		else if (exact && word >= v->gc->range.base &&
			 word < v->gc->range.base + v->gc->range.bytes)
			complain(v, word, NULL, parent, "pointer to nothing");
		return;
	}
	if (!exact && v->on_stack && !has_mark(v, object) && doubtful(v, word, object))
		return;
	if (!first_visit(v, object))
		return;
	v->reached++;
	if (!has_mark(v, object))
		complain(v, object, s, parent, "reachable but not marked");
	/* Any object may be an ephemeron's key. */
	if (s->layout->kind != SM_SCAN_NONE || v->pairs.n != 0)
		push_object(v, object, parent);
}

/* What lives because its key does. */
static void reach_value(void *ctx, uintptr_t key, uintptr_t value)
{
	reach(ctx, value, key, true);
}

/* One that was not cleared has a key that lives. Its value was reached with the key, if anything
 * leads there. */
static void check_pairs(struct verifier *v)
{
	for (const struct sm_pair *p = v->pairs.at; p < v->pairs.at + v->pairs.n; p++) {
		struct sm_span *s = NULL;

		if (object_at(v, p->key, true, &s) == 0)
			complain(v, p->key, NULL, 0, "ephemeron of nothing");
		else if (!has_mark(v, p->key))
			complain(v, p->key, s, 0, "ephemeron of a key that dies");
		else if (!has_mark(v, p->value))
			complain(v, p->value, s, p->key, "value of a key that lives");
	}
}

/* gc.generations: sweeps that the object has lived through, up to two; one more while a cycle is
 * on, if it is marked. */
static unsigned age(struct verifier *v, uintptr_t object)
{
	return (unsigned)sm_mark_test(&v->gc->gen.aged, object) +
	       (unsigned)sm_mark_test(&v->gc->range, object);
}

/*
 * gc.generations: word i of the object leads to one that is younger, and no card says so: a minor
 * cycle that finds the one old would free the other. Of a conservative object any word may look so.
 */
static bool is_forgotten(struct verifier *v, struct sm_span *s, uintptr_t object, size_t i)
{
	uintptr_t at = object + i * sizeof(uintptr_t), to = *(const uintptr_t *)at;
	struct sm_span *in = NULL;

	if (to == 0 || s->layout->kind == SM_SCAN_CONSERVATIVE ||
	    !sm__is_pointer_word(&v->gc->range, s, object, i) || object_at(v, to, true, &in) != to)
		return false;
	return age(v, to) < age(v, object) && !sm__remember_has(v->gc, at);
}

static void trace_all(struct verifier *v)
{
	v->root = "object";
	while (v->n > 0) {
		uintptr_t object = v->stack[--v->n].object;
		struct sm_span *s = sm_span_of(&v->gc->range, object);
		size_t bytes = s->slot_bytes ? s->slot_bytes : (size_t)s->nunits * SM_UNIT;
		const uintptr_t *w = (const uintptr_t *)object;

		sm__pairs_of(&v->pairs, object, reach_value, v);
		if (s->layout->kind == SM_SCAN_NONE)
			continue;
		for (size_t i = 0; i < bytes / sizeof(uintptr_t); i++) {
			if (w[i] && sm__is_pointer_word(&v->gc->range, s, object, i))
				reach(v, w[i], object, s->layout->kind != SM_SCAN_CONSERVATIVE);
			if (sm__gen_on(v->gc) && is_forgotten(v, s, object, i))
				complain(v, w[i], NULL, object, "young and not remembered");
		}
	}
}

/* ---- its own idea of roots ---------------------------------------------------------------- */

__attribute__((no_sanitize("address", "thread"))) static void
reach_words(struct verifier *v, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t a = sm_align_up(lo, sizeof(uintptr_t)); a + sizeof(uintptr_t) <= hi;
	     a += sizeof(uintptr_t))
		reach(v, *(const volatile uintptr_t *)a, a, false);
}

static void reach_queued(void *v, uintptr_t object)
{
	reach(v, object, 0, true);
}

/* A weak reference that still reads as something must read as something that lives. */
static void check_weak(void *arg, uintptr_t object)
{
	struct verifier *v = arg;
	struct sm_span *s = NULL;

	if (object_at(v, object, true, &s) == 0)
		complain(v, object, NULL, 0, "weak reference to nothing");
	else if (!has_mark(v, object))
		complain(v, object, s, 0, "weak reference to an object that dies");
}

/* Threads that are not attached add and remove ranges meanwhile, and free the memory: this one
 * stays so long. */
static void reach_range(void *v, const uintptr_t *start, size_t nwords)
{
	for (size_t w = 0; w < nwords; w++)
		reach(v, start[w], (uintptr_t)&start[w], true);
}

static void reach_roots(struct verifier *v)
{
	struct sm_gc *gc = v->gc;

	v->root = "stack";
	v->on_stack = true;
	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		v->unscanned = p->came_late;
		reach_words(v, p->sp, p->on->end);
		reach_words(v, (uintptr_t)p->saved, (uintptr_t)(p->saved + p->nsaved));
		if (p->on != &p->own)
			reach_words(v, sm__stack_low(p, &p->own), p->own.end);
		for (struct sm_thread_range *t = p->ranges; t; t = t->next) {
			if (t == p->on)
				continue;
			reach_words(v, t->start, t->end);
			if (t->left)
				reach_words(v, (uintptr_t)t->registers,
					    (uintptr_t)(t->registers + SM_REGISTER_WORDS));
		}
	}
	v->on_stack = false;
	v->root = "root";
	sm__roots_each(gc, reach_range, v);
	v->root = "handle";
	for (uint64_t n = 1; n <= sm__cells_made(&gc->handles); n++) {
		struct sm_handle *h = (struct sm_handle *)sm__cell_at(&gc->handles, n);

		reach(v, (uintptr_t)h->object, (uintptr_t)h, true);
	}
	v->root = "finalizer";
	sm__finalizers_each_queued(gc, reach_queued, v);
}

/* Marks that will not be swept: an object that comes to lie there would look scanned before it was
 * looked at. */
static void check_free_units(struct verifier *v)
{
	uintptr_t first = 0;
	size_t n = sm__marks_on_free_units(v->gc->heap, &first);

	v->root = "unit";
	if (n != 0)
		complain(v, first, NULL, n, "marks where nothing lies");
}

static bool begin(struct verifier *v)
{
	v->visited_bytes = v->gc->range.bytes / 64 + sizeof(uint64_t);
	v->visited = sm__os_map(v->visited_bytes);
	v->stack = sm__os_map(v->capacity * sizeof(*v->stack));
	return v->visited != NULL && v->stack != NULL;
}

static void look_at_all(struct verifier *v)
{
	v->incomplete |= !sm__pairs_gather(v->gc, &v->pairs);
	reach_roots(v);
	trace_all(v);
	v->root = "weak";
	sm__weaks_each(v->gc, check_weak, v);
	v->root = "ephemeron";
	check_pairs(v);
	check_free_units(v);
}

static unsigned verify(struct sm_gc *gc, bool settled)
{
	struct verifier v = {.gc = gc, .capacity = 1 << 16, .settled = settled};

	if (begin(&v))
		look_at_all(&v);
	else
		v.incomplete = true;
	if (v.incomplete)
		sm__say("verify: no memory to look at everything in this cycle");
	sm__os_unmap(v.visited, v.visited_bytes);
	sm__os_unmap(v.stack, v.capacity * sizeof(*v.stack));
	sm__pairs_drop(&v.pairs);
	gc->verify_reached = v.reached;
	return v.errors;
}

unsigned sm__verify_stw(struct sm_gc *gc)
{
	return verify(gc, false);
}

unsigned sm__verify_moved_stw(struct sm_gc *gc)
{
	return verify(gc, true);
}
