/*
 * remember_objects.c: gc.remember=objects: objects that were written to are logged, once.
 *
 * A map has a bit for each word of the heap's range. A store looks at the bit of its slot. Set: the
 * object is in a log since cycles looked last, and the store has nothing to do. Clear: the slow way
 * sets the bits of all the object's words and appends it to the mutator's log. An object is logged
 * by pieces: its words within 512 bytes, that is within one word of the map, so that one
 * read-modify-write sets them and one thread appends it, and a store into a large array has 64
 * slots looked at, not all. Most objects are one piece or two.
 *
 * Objects that are young for sure are not logged, however often they are stored into: see below.
 *
 *      store, bit clear           any cycle, after T(n)        the next cycle
 *   mutator's log ---> `fresh` ------------------------> `seen` ------------> dropped
 *          full, detach, stack scan   bits cleared, then looked at    looked at again
 *
 * Why a piece counts for two cycles, by remember.h. The bit is cleared by one atomic step before
 * n looks, and the entry stays for n + 1 as `seen`.
 *   - A store that found the bit clear appends, before its mutator's next safepoint: if it came
 *     before T(n), it is in what the mutator hands over with its stack, which n waits for; if
 *     after, in n or n + 1, and two cycles from there look at it.
 *   - A store that found the bit set, found it before it was cleared in some cycle n, or (the read
 *     is relaxed) before its mutator's next safepoint after that, which comes before n's sweep. The
 *     entry that the bit stands for is `fresh` in n and `seen` in n + 1: if the store came before
 *     T(n), that is two cycles; if after, its Y existed before n's sweep, and n + 1 is enough.
 *   - The thread that set the bit may not have appended when another finds it set. It does so
 *     before its next safepoint: if that is n's scan or one before, the entry is looked at in n. If
 *     not, the bit was set after T(n), and so were the stores that found it.
 * A major cycle does all this but marks nothing. So a bit is never left behind: what is stored into
 * after n looked is in reach then, so n does not free it, and n + 1 looks before it sweeps: the
 * object stands where the bits do until they are cleared. What `seen` leads to may be another's by
 * n + 1: then an old object's words are looked at in vain.
 *
 * Why what is young for sure need not be logged: an X that has neither bit, mark nor aged. Let c be
 * the first cycle whose sweep ages X. Y, which the mutator holds when it looks at X's bits, lives
 * through c's sweep, too: if it was born before c's marking was over, it was reachable, or black.
 * If later, it lay in a span that was swept by c; so the mutator, which has Y from there, sees
 * what was marked in c, X's mark, or, where that is gone, what the sweep of X's span did before it
 * took the mark away: it set aged (generation.c; release there, acquire here). So X would not have
 * been young for sure. And in c + 1 X is still young, hence marked and its words scanned, if it is
 * in reach: Y is old no later than X. This holds as well where the mark that is read is an old
 * value, from before the mutator's latest safepoint: Y is then older than the end of c's marking.
 *
 * No memory for the log: `lost` is set, and the bits are what tells. A cycle that finds `lost`
 * looks at all set bits of the map, and clears those for which it finds room in `seen`; if there
 * are others, `lost` stays, and the next cycle finds them set: they are looked at again, by then
 * for what was stored later, too. The words that such a bit stands for may be another object's by
 * then; the bit stands for them all the same.
 */
#include "collector/generations/remember_log.h"

#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"
#include "collector/mark/scan_internal.h"

#define AHEAD 8 /* entries from one that is looked at to that whose object is asked for */

/* An object's words within one word of the map. */
struct piece {
	struct sm_span *span;
	uintptr_t object, object_end, start, end;
	uint64_t mask;
};

static size_t map_bytes(const struct sm_gc *gc)
{
	return gc->range.bytes >> (SM_LOG_SHIFT + 3);
}

static int init(struct sm_gc *gc, char *err, size_t errlen)
{
	(void)err;
	(void)errlen;
	gc->remember.blocks_left = SIZE_MAX;
	gc->remember.logged = sm__os_map(map_bytes(gc));
	return gc->remember.logged != NULL ? 0 : -ENOMEM;
}

static void fini(struct sm_gc *gc)
{
	sm__log_fini(&gc->remember);
	if (gc->remember.logged != NULL)
		sm__os_unmap((void *)gc->remember.logged, map_bytes(gc));
}

/* ---- pieces ------------------------------------------------------------------------------- */

static uint64_t mask_of(uintptr_t start, uintptr_t end)
{
	unsigned n = (unsigned)((end - start) >> SM_LOG_SHIFT);

	return (n < 64 ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0)) << (start >> SM_LOG_SHIFT & 63);
}

/* The piece that addr, in the range, lies in. False: that of no object. */
static bool find_piece(const struct sm_gc *gc, uintptr_t addr, struct piece *p)
{
	struct sm_span *s = &gc->range.spans[(addr - gc->range.base) >> SM_UNIT_SHIFT];
	uintptr_t base, lo = sm_align_down(addr, SM_LOG_BYTES);
	uint8_t state;

	s -= __atomic_load_n(&s->back, __ATOMIC_RELAXED);
	state = sm_load_acquire(&s->state);
	base = sm_span_base(&gc->range, s);
	if (state == SM_SPAN_SMALL) {
		p->object = base + sm_span_slot(&gc->range, s, addr) * (uintptr_t)s->slot_bytes;
		p->object_end = p->object + s->slot_bytes;
	} else if (state == SM_SPAN_LARGE && addr - base < sm_span_bytes(s) && s->layout != NULL) {
		p->object = base;
		p->object_end = sm__pointers_end(s, base);
	} else {
		return false;
	}
	p->span = s;
	p->start = p->object > lo ? p->object : lo;
	p->end = p->object_end < lo + SM_LOG_BYTES ? p->object_end : lo + SM_LOG_BYTES;
	if (p->start >= p->end)
		return false;
	p->mask = mask_of(p->start, p->end);
	return true;
}

static _Atomic(uint64_t) *word_of(const struct sm_gc *gc, uintptr_t addr)
{
	return &gc->remember.logged[(addr - gc->range.base) >> SM_LOG_WORD_SHIFT];
}

/* ---- the store ---------------------------------------------------------------------------- */

/* Neither bit. In this order: above. */
static bool is_young_for_sure(const struct sm_gc *gc, uintptr_t object)
{
	unsigned bit = (unsigned)((object - gc->range.base) >> SM_MARK_SHIFT) & 63;

	return (sm_load_acquire(sm_mark_word(&gc->range, object)) >> bit & 1) == 0 &&
	       !sm_mark_test(&gc->gen.aged, object);
}

void sm__remember_log(struct sm_mutator *m, void *slot)
{
	struct sm_gc *gc = m->gc;
	struct piece p;

	if (!sm_range_contains(&gc->range, (uintptr_t)slot) ||
	    !find_piece(gc, (uintptr_t)slot, &p) || is_young_for_sure(gc, p.object))
		return;
	/* Relaxed: handshakes order it. */
	if ((sm_fetch_or_relaxed(word_of(gc, p.start), p.mask) & p.mask) == p.mask)
		return;
	if (!sm__log_append(&gc->remember, &m->priv->log, &gc->remember.fresh, p.start))
		sm_store_relaxed(&gc->remember.lost, 1);
}

/* Few entries go to the last one's chunk: of threads that come and go each would leave one. */
static void give(struct sm_gc *gc, struct sm_log_chunk **log)
{
	struct sm_remember *r = &gc->remember;
	struct sm_log_chunk *c = *log, *last;
	bool fits;

	sm_lock_acquire(&r->lock);
	last = r->fresh;
	fits = last != NULL && last->n + c->n <= SM_LOG_ENTRIES;
	if (fits) {
		memcpy(&last->entry[last->n], c->entry, c->n * sizeof(c->entry[0]));
		last->n += c->n;
	}
	sm_lock_release(&r->lock);
	sm__log_push(r, fits ? &r->free : &r->fresh, c);
	*log = NULL;
}

/* ---- the look ----------------------------------------------------------------------------- */

static struct sm_log_chunk *take_list(struct sm_remember *r, struct sm_log_chunk **list)
{
	struct sm_log_chunk *all;

	sm_lock_acquire(&r->lock);
	all = *list;
	*list = NULL;
	sm_lock_release(&r->lock);
	return all;
}

static enum sm_held look_at_piece(struct sm_look *l, const struct piece *p)
{
	enum sm_held held =
		sm__look_at_object(l, p->span, p->object, p->object_end, p->start, p->end);

	l->found += held == SM_HELD_OLD;
	l->bytes += sizeof(uintptr_t) + (held == SM_HELD_OLD ? p->end - p->start : 0);
	return held;
}

static void ask_for(const struct sm_look *l, const struct sm_log_chunk *c, size_t i)
{
	if (i < c->n && l->k != NULL)
		SM_PREFETCH_R((const char *)c->entry[i]);
}

/* Looked at once already, by the cycle before. */
static void look_again(struct sm_look *l, struct sm_log_chunk *c)
{
	struct piece p;

	for (size_t i = 0; i < c->n; i++) {
		ask_for(l, c, i + AHEAD);
		if (l->k != NULL && find_piece(l->gc, c->entry[i], &p))
			(void)look_at_piece(l, &p);
	}
	sm__log_push(&l->gc->remember, &l->gc->remember.free, c);
}

/* What the next cycle needs not look at again is dropped. */
static void look_first(struct sm_look *l, struct sm_log_chunk *c)
{
	struct sm_remember *r = &l->gc->remember;
	struct piece p;
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		ask_for(l, c, i + AHEAD);
		if (!find_piece(l->gc, c->entry[i], &p))
			continue;
		(void)sm_fetch_and_relaxed(word_of(l->gc, p.start), ~p.mask);
		if (look_at_piece(l, &p) != SM_HELD_NOTHING)
			c->entry[kept++] = p.start;
	}
	c->n = kept;
	sm__log_push(r, kept != 0 ? &r->seen : &r->free, c);
}

/*
 * An object that has lived through a sweep counts as stored into: whether one of the lists has it
 * is not to be known from here, for the bits of `seen` are clear. Bits left behind would keep
 * another from the log. No thread stores or looks.
 */
static void moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes)
{
	struct sm_remember *r = &gc->remember;
	uintptr_t end = from + bytes, next;
	struct piece p;

	for (uintptr_t at = from; at < end; at = next) {
		next = sm_align_up(at + 1, SM_LOG_BYTES);
		next = next < end ? next : end;
		(void)sm_fetch_and_relaxed(word_of(gc, at), ~mask_of(at, next));
	}
	if (is_young_for_sure(gc, to))
		return;
	for (uintptr_t at = to; at < to + bytes && find_piece(gc, at, &p); at = p.end) {
		(void)sm_fetch_or_relaxed(word_of(gc, p.start), p.mask);
		if (!sm__log_append(r, &r->own, &r->fresh, p.start))
			sm_store_relaxed(&r->lost, 1);
	}
}

/* What moved() or a look has filled is handed over. */
static void give_own(struct sm_remember *r, struct sm_log_chunk **list)
{
	if (r->own != NULL)
		sm__log_push(r, list, r->own);
	r->own = NULL;
}

/* A bit that stays set would keep its object from the next log. */
static void clear_bits(void *ctx, size_t from, size_t end)
{
	const unsigned shift = SM_UNIT_SHIFT - SM_LOG_WORD_SHIFT;
	struct sm_gc *gc = ctx;

	for (size_t w = from << shift; w < end << shift; w++)
		sm_store_relaxed(&gc->remember.logged[w], 0);
}

/* An object whose bit is cleared so is logged once more, if it is stored into. */
static void give_back(struct sm_gc *gc, uintptr_t from, uintptr_t end)
{
	(void)sm__os_release((void *)word_of(gc, from), (end - from) >> (SM_LOG_SHIFT + 3));
}

static void drop(struct sm_gc *gc)
{
	struct sm_remember *r = &gc->remember;
	struct sm_log_chunk *lists[2], *next;

	give_own(r, &r->fresh);
	lists[0] = take_list(r, &r->seen);
	lists[1] = take_list(r, &r->fresh);
	for (unsigned i = 0; i < 2; i++) {
		for (; lists[i] != NULL; lists[i] = next) {
			next = lists[i]->next;
			sm__log_push(r, &r->free, lists[i]);
		}
	}
	sm_store_relaxed(&r->lost, 0);
	sm__log_trim(r);
	/* Refused where all memory is locked. */
	if (sm__os_release((void *)r->logged, map_bytes(gc)) != 0)
		sm__gen_each_reached(gc, clear_bits, gc);
}

/* lost: a set bit of the map. Returns the bits that need no more of this look. */
static uint64_t look_at_bit(struct sm_look *l, uintptr_t addr)
{
	struct sm_remember *r = &l->gc->remember;
	struct piece p;

	if (!find_piece(l->gc, addr, &p)) {
		(void)sm_fetch_and_relaxed(word_of(l->gc, addr), ~mask_of(addr, addr + 8));
		return 0;
	}
	if (look_at_piece(l, &p) == SM_HELD_NOTHING ||
	    sm__log_append(r, &r->own, &r->seen, p.start))
		(void)sm_fetch_and_relaxed(word_of(l->gc, p.start), ~p.mask);
	else
		sm_store_relaxed(&r->lost, 1);
	return p.mask;
}

static void look_at_bits(void *ctx, size_t from, size_t end)
{
	const unsigned shift = SM_UNIT_SHIFT - SM_LOG_WORD_SHIFT;
	struct sm_look *l = ctx;

	for (size_t w = from << shift; w < end << shift; w++) {
		uintptr_t lo = l->gc->range.base + (w << SM_LOG_WORD_SHIFT);
		uint64_t left = sm_load_relaxed(&l->gc->remember.logged[w]);

		while (left != 0) {
			uint64_t first = left & -left;

			left &= ~(first |
				  look_at_bit(l, lo + (uintptr_t)__builtin_ctzll(left) * 8));
		}
	}
}

static void begin(struct sm_gc *gc, bool minor)
{
	struct sm_remember *r = &gc->remember;

	(void)minor;
	give_own(r, &r->fresh);
	sm_lock_acquire(&r->lock);
	r->second = r->seen;
	r->first = r->fresh;
	r->seen = r->fresh = NULL;
	sm_lock_release(&r->lock);
}

static bool take(struct sm_gc *gc, bool few, struct sm_part *p)
{
	struct sm_remember *r = &gc->remember;
	struct sm_log_chunk **list;

	(void)few;
	sm_lock_acquire(&r->lock);
	p->second = r->second != NULL;
	list = p->second ? &r->second : &r->first;
	p->chunk = *list;
	if (p->chunk != NULL)
		*list = p->chunk->next;
	sm_lock_release(&r->lock);
	return p->chunk != NULL;
}

static void look(struct sm_look *l, const struct sm_part *p)
{
	if (p->second)
		look_again(l, p->chunk);
	else
		look_first(l, p->chunk);
}

/* Others may be looking at chunks: a piece that has an entry there may be found here by its bit as
 * well, and is looked at once more, or twice. `own` is the control thread's. */
static void end(struct sm_look *l)
{
	struct sm_remember *r = &l->gc->remember;

	if (sm_load_relaxed(&r->lost) != 0) {
		sm_store_relaxed(&r->lost, 0);
		sm__gen_each_reached(l->gc, look_at_bits, l);
	}
	give_own(r, &r->seen);
	sm__log_trim(r);
}

/* ---- for the verifier --------------------------------------------------------------------- */

size_t sm__remember_log_entries(const struct sm_log_chunk *log)
{
	return log != NULL ? log->n : 0;
}

static bool in_chunks(const struct sm_log_chunk *c, uintptr_t start, bool one)
{
	for (; c != NULL; c = one ? NULL : c->next) {
		for (size_t i = 0; i < c->n; i++) {
			if (c->entry[i] == start)
				return true;
		}
	}
	return false;
}

/* In a log, or where none had room, by its bit. A bit alone is not enough otherwise. */
static bool has(const struct sm_gc *gc, uintptr_t slot)
{
	const struct sm_remember *r = &gc->remember;
	struct piece p;

	if (!find_piece(gc, slot, &p))
		return false;
	if (sm_load_relaxed(&r->lost) != 0 &&
	    (sm_load_relaxed(word_of(gc, slot)) & mask_of(slot, slot + 8)) != 0)
		return true;
	if (in_chunks(r->seen, p.start, false) || in_chunks(r->fresh, p.start, false) ||
	    in_chunks(r->own, p.start, true))
		return true;
	for (const struct sm_mutator_priv *m = gc->mutators; m != NULL; m = m->next) {
		if (in_chunks(m->log, p.start, true))
			return true;
	}
	return false;
}

const struct sm_remember_kind sm__remember_objects = {
	.name = "objects",
	.what = "logged objects",
	.store = 2.6,
	.barrier = SM__BARRIER_LOG,
	.unit_bytes = SM_UNIT >> (SM_LOG_SHIFT + 3),
	.init = init,
	.fini = fini,
	.give = give,
	.moved = moved,
	.give_back = give_back,
	.drop = drop,
	.begin = begin,
	.take = take,
	.look = look,
	.end = end,
	.has = has,
};
