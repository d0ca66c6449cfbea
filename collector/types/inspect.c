/*
 * inspect.c: walking what is reachable, with the world stopped.
 *
 * The control thread does it, between two cycles: all is swept then, and no barrier on. Mutators
 * stand still, with their windows given back, so that a slot with its alloc bit set is an object,
 * or was one when the last cycle ended. The walk starts from the roots and keeps a bit for each 16
 * bytes of the range and a stack of its own, both mapped outside the heap: dead objects that were
 * not found dead yet are not visited, and no mark bit is touched.
 */
#include "collector/types/inspect.h"

#include <errno.h>
#include <stdlib.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/os/os.h"
#include "collector/cycle/gc_internal.h"
#include "collector/mutator/misuse.h"
#include "collector/cycle/sweep.h"

struct sm_inspection {
	struct sm_inspection *next;
	const struct sm_walk_hooks *hooks;
	int err;
	_Atomic(uint64_t) done;
};

struct walk {
	struct sm_gc *gc;
	const struct sm_walk_hooks *hooks;
	uint64_t *seen;
	size_t seen_bytes;
	uintptr_t *stack;
	size_t n, capacity;
	struct sm_pairs pairs;
	const char *kind; /* of the roots at hand */
	int thread;
	int err; /* -ENOMEM; -ECANCELED: the hook has had enough */
};

/* ---- objects ------------------------------------------------------------------------------ */

/* The start of the object that addr lies in, and its span; 0: none. */
static uintptr_t object_at(const struct sm_range *r, uintptr_t addr, struct sm_span **out)
{
	struct sm_span *s;
	uintptr_t base;
	uint32_t slot;
	uint8_t state;

	if (!sm_range_contains(r, addr))
		return 0;
	/* As a conservative word is judged, see mark_internal.h: the units may be changing hands
	 * right now. */
	s = &r->spans[(addr - r->base) >> SM_UNIT_SHIFT];
	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	if (state != SM_SPAN_SMALL && state != SM_SPAN_LARGE)
		return 0;
	base = sm_span_base(r, s);
	slot = (uint32_t)(((addr - base) * (uint64_t)s->recip) >> 32);
	if (slot >= s->nslots || (sm_load_acquire(&s->alloc[slot / 64]) >> (slot % 64) & 1) == 0)
		return 0;
	*out = s;
	return base + (uintptr_t)slot * s->slot_bytes;
}

static size_t bytes_of(const struct sm_span *s)
{
	return s->slot_bytes ? s->slot_bytes : sm_span_bytes(s);
}

void *sm_object_base(struct sm_gc *gc, const void *p)
{
	struct sm_span *s;

	return (void *)object_at(&gc->range, (uintptr_t)p, &s);
}

size_t sm_object_size(struct sm_gc *gc, const void *p)
{
	struct sm_span *s;

	return object_at(&gc->range, (uintptr_t)p, &s) ? bytes_of(s) : 0;
}

/* ---- the walk ----------------------------------------------------------------------------- */

static bool first_visit(struct walk *w, uintptr_t object)
{
	size_t bit = (object - w->gc->range.base) / 16;
	uint64_t mask = (uint64_t)1 << (bit % 64);

	if (w->seen[bit / 64] & mask)
		return false;
	w->seen[bit / 64] |= mask;
	return true;
}

static void push_object(struct walk *w, uintptr_t object)
{
	if (!first_visit(w, object))
		return;
	if (w->n == w->capacity) {
		size_t bytes = w->capacity * sizeof(*w->stack);
		void *grown = sm__os_remap(w->stack, bytes, bytes * 2);

		if (grown == NULL) {
			w->err = -ENOMEM;
			return;
		}
		w->stack = grown;
		w->capacity *= 2;
	}
	w->stack[w->n++] = object;
}

/* Is word i of an object of this layout a pointer? Conservatively scanned words may be. */
static bool is_pointer(const struct sm_layout *l, size_t i)
{
	switch ((enum sm_scan_kind)l->kind) {
	case SM_SCAN_NONE:
	case SM_SCAN_MIXED: break;
	case SM_SCAN_ALL:
	case SM_SCAN_CONSERVATIVE: return true;
	case SM_SCAN_PREFIX: return i < l->nptrs;
	case SM_SCAN_MASK: return l->mask >> (i % l->period) & 1;
	case SM_SCAN_BITMAP: return l->bits[i % l->period / 64] >> (i % l->period % 64) & 1;
	case SM_SCAN_FLEX:
		return i < l->period ? is_pointer(l->head, i)
				     : is_pointer(l->element, i - l->period);
	}
	return false;
}

bool sm__is_pointer_word(const struct sm_range *r, const struct sm_span *s, uintptr_t object,
			 size_t i)
{
	size_t word;

	if (s->layout->kind != SM_SCAN_MIXED)
		return is_pointer(s->layout, i);
	word = (object - sm_span_base(r, s)) / sizeof(uintptr_t) + i;
	return s->pointers[word / 64] >> (word % 64) & 1;
}

static void edge(struct walk *w, uintptr_t from, uintptr_t word)
{
	struct sm_span *s;
	uintptr_t to = word ? object_at(&w->gc->range, word, &s) : 0;

	if (to == 0)
		return;
	if (w->hooks->edge)
		w->hooks->edge(w->hooks->ctx, from, to);
	push_object(w, to);
}

/* What lives because its key does. */
static void follow_pair(void *ctx, uintptr_t key, uintptr_t value)
{
	edge(ctx, key, value);
}

static void visit(struct walk *w, uintptr_t object)
{
	const struct sm_range *r = &w->gc->range;
	struct sm_span *s = sm_span_of(r, object);
	size_t bytes = bytes_of(s);
	const uintptr_t *word = (const uintptr_t *)object;

	if (!w->hooks->object(w->hooks->ctx, object, bytes, s->layout)) {
		w->err = -ECANCELED;
		return;
	}
	for (size_t i = 0; s->layout->kind != SM_SCAN_NONE && i < bytes / sizeof(uintptr_t); i++)
		if (sm__is_pointer_word(r, s, object, i))
			edge(w, object, word[i]);
	sm__pairs_of(&w->pairs, object, follow_pair, w);
}

/* ---- roots -------------------------------------------------------------------------------- */

static void root(struct walk *w, uintptr_t slot, uintptr_t word)
{
	struct sm_span *s;
	uintptr_t object = word ? object_at(&w->gc->range, word, &s) : 0;

	if (object == 0)
		return;
	if (w->hooks->root)
		w->hooks->root(w->hooks->ctx, w->kind, w->thread, slot, object);
	push_object(w, object);
}

__attribute__((no_sanitize("address", "thread"))) static void
stack_words(struct walk *w, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t a = sm_align_up(lo, sizeof(uintptr_t)); a + sizeof(uintptr_t) <= hi;
	     a += sizeof(uintptr_t))
		root(w, a, *(const volatile uintptr_t *)a);
}

static void range_words(void *ctx, const uintptr_t *start, size_t nwords)
{
	for (size_t i = 0; i < nwords; i++)
		root(ctx, (uintptr_t)&start[i], start[i]);
}

static void queued(void *ctx, uintptr_t object)
{
	root(ctx, 0, object);
}

/* A stack of the mutator's, or another range of its thread's: the words that a cycle would scan. */
static void thread_words(struct walk *w, const struct sm_mutator_priv *p,
			 const struct sm_thread_range *t)
{
	w->kind = t == &p->own ? "stack" : t->ran ? "coroutine" : "thread range";
	stack_words(w, t == p->on ? p->sp : sm__stack_low(p, t), t->end);
	if (t == p->on)
		stack_words(w, (uintptr_t)p->saved, (uintptr_t)(p->saved + p->nsaved));
	else if (t->left)
		stack_words(w, (uintptr_t)t->registers,
			    (uintptr_t)(t->registers + SM_REGISTER_WORDS));
}

static void roots(struct walk *w)
{
	struct sm_gc *gc = w->gc;

	for (struct sm_mutator_priv *p = gc->mutators; p; p = p->next) {
		w->thread = (int)p->tid;
		thread_words(w, p, &p->own);
		for (struct sm_thread_range *t = p->ranges; t; t = t->next)
			thread_words(w, p, t);
	}
	w->thread = 0;
	w->kind = "range";
	sm__roots_each(gc, range_words, w);
	w->kind = "handle";
	for (uint64_t n = 1; n <= sm__cells_made(&gc->handles); n++) {
		struct sm_handle *h = (struct sm_handle *)sm__cell_at(&gc->handles, n);

		root(w, (uintptr_t)&h->object, (uintptr_t)sm_load(&h->object));
	}
	w->kind = "finalizer";
	sm__finalizers_each_queued(gc, queued, w);
}

/* ---- a walk, from begin to end ------------------------------------------------------------ */

static int walk_stopped(struct sm_gc *gc, const struct sm_walk_hooks *hooks)
{
	struct walk w = {.gc = gc, .hooks = hooks, .capacity = 1 << 16};

	w.seen_bytes = gc->range.bytes / 128 + sizeof(uint64_t);
	w.seen = sm__os_map(w.seen_bytes);
	w.stack = sm__os_map(w.capacity * sizeof(*w.stack));
	if (w.seen && w.stack && sm__pairs_gather(gc, &w.pairs)) {
		roots(&w);
		while (w.n > 0 && w.err == 0)
			visit(&w, w.stack[--w.n]);
	} else {
		w.err = -ENOMEM;
	}
	sm__os_unmap(w.seen, w.seen_bytes);
	sm__os_unmap(w.stack, w.capacity * sizeof(*w.stack));
	sm__pairs_drop(&w.pairs);
	return w.err == -ECANCELED ? 0 : w.err;
}

void sm__inspect_all(struct sm_gc *gc)
{
	struct sm_inspection *i;

	sm_lock_acquire(&gc->control_lock);
	i = sm_load_relaxed(&gc->inspections);
	sm_store_relaxed(&gc->inspections, NULL);
	sm_lock_release(&gc->control_lock);
	while (i) {
		struct sm_inspection *next = i->next;

		sm__world_stop(gc, true);
		sm__cache_drop_cpu_windows(gc->heap);
		sm__sweep_all(gc, NULL);
		i->err = walk_stopped(gc, i->hooks);
		sm__world_resume(gc);
		/* It is the waiter's, and gone from here on. */
		sm_store_seqcst(&i->done, 1);
		sm__event_signal(&gc->done);
		i = next;
	}
}

void sm__not_in_callback(struct sm_gc *gc, const char *call)
{
	if (gc->have_control && pthread_equal(pthread_self(), gc->control))
		sm__misuse(call, gc, "not from a callback of the collector");
}

int sm__walk(struct sm_gc *gc, struct sm_mutator *m, const struct sm_walk_hooks *hooks)
{
	struct sm_inspection i = {.hooks = hooks};

	if (sm_load_relaxed(&gc->forked))
		return -ENOTSUP;
	sm_lock_acquire(&gc->control_lock);
	i.next = sm_load_relaxed(&gc->inspections);
	sm_store_seqcst(&gc->inspections, &i);
	sm_lock_release(&gc->control_lock);
	sm__gc_wait(gc, m, &i.done, 1);
	return i.err;
}

/* ---- public ------------------------------------------------------------------------------- */

struct foreach {
	sm_object_fn *fn;
	void *ctx;
};

static bool tell(void *ctx, uintptr_t object, size_t bytes, const struct sm_layout *l)
{
	const struct foreach *f = ctx;
	const struct sm_object o = {
		.address = (void *)object, .bytes = bytes, .pointers = l->kind != SM_SCAN_NONE};

	return f->fn(f->ctx, &o);
}

int sm_heap_foreach(struct sm_gc *gc, struct sm_mutator *m, sm_object_fn *fn, void *ctx)
{
	struct foreach f = {fn, ctx};
	const struct sm_walk_hooks hooks = {.object = tell, .ctx = &f};

	sm__not_in_callback(gc, "sm_heap_foreach");
	if (m)
		sm__check_caller(m, "sm_heap_foreach");
	if (fn == NULL)
		return -EINVAL;
	return sm__walk(gc, m, &hooks);
}
