/*
 * test_compact_beside: slices and what leads to objects from beside the heap: a slice looks at what
 * leads to its candidates, whatever else there is; what is made between two slices is followed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/compact/armed_internal.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *type;

static const char *const kinds[][2] = {
	{"gc.compact=force", "gc.compact_slice_us=1"},
	{"gc.compact=force", "gc.compact_slice_us=0"},
	{"gc.compact=auto", "gc.compact_slice_us=50"},
};
#define NKINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static void begin(int kind, const char *verify)
{
	gc = GCTEST(kinds[kind][0], kinds[kind][1], verify);
	m = sm_mutator_attach(gc);
	type = sm_type_prefix(gc, 32, 1);
}

static struct sm_compaction in_all(void)
{
	struct sm_gc_compact_stats s;

	sm_gc_compact_stats(gc, &s);
	return s.total;
}

/* ---- a sparse heap ------------------------------------------------------------------------ */

enum { SLOTS = 40000, EACH = 40, KEPT = SLOTS / EACH };
static struct sm_handle *table;

static void **kept_slot(size_t i)
{
	return &((void **)sm_handle_get(table))[i * EACH];
}

static SM_NOINLINE void fill_sparsely(void)
{
	table = sm_handle_new(m, sm_new_array(m, sm_type_pointers(gc, 1), SLOTS));
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t *x = sm_new(m, type);

		x[1] = i;
		sm_store(m, &((void **)sm_handle_get(table))[i], x);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (i % EACH != 0)
			sm_store(m, &((void **)sm_handle_get(table))[i], NULL);
}

static SM_NOINLINE bool all_are_there(void)
{
	for (size_t i = 0; i < KEPT; i++)
		if (((uint64_t *)sm_load(kept_slot(i)))[1] != i * EACH)
			return false;
	return true;
}

/* ---- how much a slice looks at ------------------------------------------------------------ */

enum { MANY = 100000, RANGES = 20000 };
static void *words[MANY], *ranges[2 * RANGES];

/* Of large objects, which never move: so nothing that is made here leads to a candidate. */
static SM_NOINLINE void refer_to_others(void)
{
	const struct sm_type *large = sm_type_pointers(gc, 1);

	for (size_t i = 0; i < MANY; i++) {
		static struct sm_handle *first;
		void *x = i == 0 ? sm_new_array(m, large, 100000) : sm_handle_get(first);

		if (i == 0)
			first = sm_handle_new(m, x);
		ck_assert_ptr_nonnull(sm_handle_new(m, x));
		ck_assert_ptr_nonnull(sm_weak_new(m, x));
		ck_assert_ptr_nonnull(sm_ephemeron_new(m, x, x));
		sm_store(m, &words[i], x);
		if (i < RANGES)
			sm_store(m, &ranges[2 * i], x);
	}
	ck_assert_int_eq(sm_root_add(gc, words, MANY), 0);
	for (size_t i = 0; i < RANGES; i++)
		ck_assert_int_eq(sm_root_add(gc, &ranges[2 * i], 1), 0);
}

/* One of each, of those that move: at most so many looks are right. */
static SM_NOINLINE void refer_to_some(struct sm_weak **weak, struct sm_handle **handle)
{
	for (size_t i = 0; i < KEPT; i++) {
		void *x = sm_load(kept_slot(i));

		weak[i] = sm_weak_new(m, x);
		handle[i] = sm_handle_new(m, x);
		sm_store(m, &words[i * (MANY / KEPT)], x);
		ck_assert_ptr_nonnull(sm_ephemeron_new(m, x, x));
	}
}

static SM_NOINLINE void check_some(struct sm_weak **weak, struct sm_handle **handle)
{
	for (size_t i = 0; i < KEPT; i++) {
		void *x = sm_load(kept_slot(i));

		ck_assert_ptr_eq(sm_weak_get(m, weak[i]), x);
		ck_assert_ptr_eq(sm_handle_get(handle[i]), x);
		ck_assert_ptr_eq(sm_load(&words[i * (MANY / KEPT)]), x);
	}
}

START_TEST(a_slice_looks_at_what_leads_to_its_candidates)
{
	static struct sm_weak *weak[KEPT];
	static struct sm_handle *handle[KEPT];
	struct sm_compaction c;

	begin(_i, "gc.verify=0");
	memset(words, 0, sizeof(words));
	refer_to_others();
	fill_sparsely();
	refer_to_some(weak, handle);
	gctest_clear_stack();
	ck_assert_int_eq(sm_collect_compact(gc, m), 0);
	c = in_all();
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	ck_assert_uint_gt(c.moved_objects, KEPT / 2);
	check_some(weak, handle);
	ck_assert(all_are_there());
	/* Five words lead to each, and one may be noted twice. */
	ck_assert_uint_ge(gc->armed.beside, c.moved_objects);
	ck_assert_uint_le(gc->armed.beside, 10 * (c.moved_objects + KEPT));
	ck_assert_int_eq(sm_root_remove(gc, words), 0);
	for (size_t i = 0; i < RANGES; i++)
		ck_assert_int_eq(sm_root_remove(gc, &ranges[2 * i]), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- what is made meanwhile --------------------------------------------------------------- */

enum { HELD = 48, WEAK = 0, HANDLE, PAIR, ROOT, OVERLAP, PIN, FINALIZER, HOWS };

struct held {
	size_t i; /* of the object */
	union {
		struct sm_weak *weak;
		struct sm_handle *handle;
		struct sm_ephemeron *pair;
		uintptr_t hidden;
	};
	void *word[4];
};

static struct {
	struct held held[HOWS][HELD];
	uint64_t made;
	_Atomic(int) stop, wrong;
} meanwhile;

static void finalize(void *ctx, struct sm_mutator *mine, void *object)
{
	(void)ctx;
	(void)mine;
	(void)object;
}

static SM_NOINLINE void make(struct sm_mutator *mine, int how, struct held *h, size_t i)
{
	void *x = sm_load(kept_slot(i));

	h->i = i;
	switch (how) {
	case WEAK: h->weak = sm_weak_new(mine, x); break;
	case HANDLE: h->handle = sm_handle_new(mine, x); break;
	case PAIR: h->pair = sm_ephemeron_new(mine, x, sm_load(kept_slot((i + 1) % KEPT))); break;
	case ROOT:
	case OVERLAP:
		/* Plain stores, for it is no root yet. */
		h->word[0] = h->word[2] = x;
		ck_assert_int_eq(sm_root_add(gc, h->word, how == ROOT ? 2 : 3), 0);
		break;
	case PIN:
		ck_assert_int_eq(sm_pin(mine, x), 0);
		h->hidden = ~(uintptr_t)x;
		break;
	default: ck_assert_int_eq(sm_finalizer_set(mine, x, finalize, NULL, NULL), 0); break;
	}
}

/* The second range has words of the first, which goes. */
static void overlap(struct sm_mutator *mine, struct held *h)
{
	sm_store(mine, &h->word[1], sm_load(kept_slot(h->i)));
	ck_assert_int_eq(sm_root_add(gc, &h->word[1], 2), 0);
	ck_assert_int_eq(sm_root_remove(gc, h->word), 0);
	h->word[0] = NULL;
}

/* What it leads to is where the object is. */
static SM_NOINLINE bool leads_there(struct sm_mutator *mine, int how, struct held *h)
{
	void *x = sm_load(kept_slot(h->i));

	switch (how) {
	case WEAK: return sm_weak_get(mine, h->weak) == x;
	case HANDLE: return sm_handle_get(h->handle) == x;
	case PAIR: return sm_ephemeron_get(mine, h->pair) == sm_load(kept_slot((h->i + 1) % KEPT));
	case ROOT: return sm_load(&h->word[0]) == x;
	case OVERLAP: return sm_load(&h->word[2]) == x && (h->word[0] != NULL || h->word[1] == x);
	case PIN: return h->hidden == ~(uintptr_t)x;
	default: return sm_finalizer_set(mine, x, finalize, NULL, NULL) == -EEXIST;
	}
}

static SM_NOINLINE void let_go(struct sm_mutator *mine, int how, struct held *h)
{
	switch (how) {
	case WEAK: sm_weak_free(mine, h->weak); break;
	case HANDLE: sm_handle_free(mine, h->handle); break;
	case PAIR: sm_ephemeron_free(mine, h->pair); break;
	case ROOT: ck_assert_int_eq(sm_root_remove(gc, h->word), 0); break;
	case OVERLAP:
		ck_assert_int_eq(sm_root_remove(gc, h->word[0] != NULL ? h->word : &h->word[1]), 0);
		break;
	case PIN: ck_assert_int_eq(sm_unpin(mine, sm_load(kept_slot(h->i))), 0); break;
	default: ck_assert_int_eq(sm_finalizer_clear(mine, sm_load(kept_slot(h->i))), 0); break;
	}
	memset(h, 0, sizeof(*h));
}

/* Others than the last ones, so that a finalizer is set once. What is pinned or becomes a root may
 * not move before the slices are over: each of some of its own. */
static size_t which(uint64_t n, int how)
{
	size_t i = (n * HOWS + (unsigned)how) * 7 % KEPT;

	return how == ROOT || how == OVERLAP || how == PIN
		       ? i % (KEPT / 8) + (size_t)(how - ROOT) * (KEPT / 8)
		       : i;
}

/* The ring of each way holds some. */
static void step(struct sm_mutator *mine, uint64_t n, bool full)
{
	for (int how = 0; how < HOWS; how++) {
		struct held *h = &meanwhile.held[how][n % HELD];

		if (full) {
			if (!leads_there(mine, how, h))
				meanwhile.wrong++;
			let_go(mine, how, h);
			sm_safepoint(mine);
		}
		make(mine, how, h, which(n, how));
		sm_safepoint(mine);
		h = &meanwhile.held[how][(n + HELD / 2) % HELD];
		if (full && how == OVERLAP)
			overlap(mine, h);
		if (full && how == ROOT)
			sm_store(mine, &h->word[1], sm_load(kept_slot(h->i)));
		meanwhile.made++;
	}
}

static void *make_on(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);
	uint64_t n = 0;

	for (; !meanwhile.stop || n < 2 * HELD; n++)
		step(mine, n, n >= HELD);
	for (int how = 0; how < HOWS; how++)
		for (size_t i = 0; i < HELD; i++) {
			struct held *h = &meanwhile.held[how][i];

			meanwhile.wrong += !leads_there(mine, how, h);
			let_go(mine, how, h);
		}
	sm_mutator_detach(mine);
	return arg;
}

/* On a machine that is busy elsewhere more may be noted than there is room for. */
START_TEST(what_is_made_meanwhile_is_followed)
{
	begin(_i, "gc.verify=1");
	for (int round = 0; round < 5; round++) {
		pthread_t thread;

		fill_sparsely();
		memset(&meanwhile, 0, sizeof(meanwhile));
		ck_assert_int_eq(pthread_create(&thread, NULL, make_on, NULL), 0);
		for (int i = 0; i < 3; i++) {
			int err = sm_collect_compact(gc, m);

			ck_assert(err == 0 || err == -ENOMEM);
			ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
		}
		meanwhile.stop = 1;
		sm_blocking_enter(m);
		pthread_join(thread, NULL);
		sm_blocking_leave(m);
		ck_assert_int_eq(meanwhile.wrong, 0);
		ck_assert(all_are_there());
		sm_handle_free(m, table);
	}
	ck_assert_uint_gt(in_all().moved_objects, KEPT);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- ranges that take turns --------------------------------------------------------------- */

/* The same words but the first, whose range goes while the other's comes. */
enum { GROUPS = 100, WIDE = KEPT / GROUPS };
static void *turns[GROUPS][1 + WIDE];
static _Atomic(int) over;

static void wait_some(struct sm_mutator *mine)
{
	sm_blocking_enter(mine);
	usleep(2000);
	sm_blocking_leave(mine);
}

/* All of the others come, and then all go. */
static void *take_turns(void *arg)
{
	struct sm_mutator *mine = sm_mutator_attach(gc);
	bool first = false;

	for (; !over || first; first = !first) {
		for (size_t g = 0; g < GROUPS; g++)
			ck_assert_int_eq(sm_root_add(gc, &turns[g][!first], (size_t)WIDE + first),
					 0);
		wait_some(mine);
		for (size_t g = 0; g < GROUPS; g++)
			ck_assert_int_eq(sm_root_remove(gc, &turns[g][first]), 0);
		wait_some(mine);
	}
	sm_mutator_detach(mine);
	return arg;
}

static SM_NOINLINE unsigned lead_there(bool store)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < KEPT; i++) {
		void **word = &turns[i / WIDE][1 + i % WIDE], *x = sm_load(kept_slot(i));

		if (store)
			sm_store(m, word, x);
		wrong += sm_load(word) != x;
	}
	return wrong;
}

START_TEST(a_range_that_went_leaves_its_words_to_another)
{
	begin(_i, "gc.verify=0"); /* which would let many turns pass in a slice */
	memset(turns, 0, sizeof(turns));
	for (size_t g = 0; g < GROUPS; g++)
		ck_assert_int_eq(sm_root_add(gc, turns[g], 1 + WIDE), 0);
	for (int round = 0; round < 10; round++) {
		pthread_t thread;

		fill_sparsely();
		ck_assert_uint_eq(lead_there(true), 0);
		over = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, take_turns, NULL), 0);
		for (int i = 0; i < 2; i++) {
			int err = sm_collect_compact(gc, m);

			ck_assert(err == 0 || err == -ENOMEM);
		}
		over = 1;
		sm_blocking_enter(m);
		pthread_join(thread, NULL);
		sm_blocking_leave(m);
		ck_assert_uint_eq(lead_there(false), 0);
		ck_assert(all_are_there());
		sm_handle_free(m, table);
	}
	for (size_t g = 0; g < GROUPS; g++)
		ck_assert_int_eq(sm_root_remove(gc, turns[g]), 0);
	gctest_destroy(gc, m);
}
END_TEST

/* ---- threads that come and go ------------------------------------------------------------- */

/* What each of many notes is one entry: room is taken for entries, not for threads. */
START_TEST(few_notes_of_many_threads_take_little)
{
	enum { THREADS = 10 * SM_SLOT_CHUNK };
	size_t n = 0;

	begin(_i, "gc.verify=0");
	gc->armed.most = 1;
	for (uintptr_t i = 1; i <= THREADS; i++) {
		struct sm_slot_chunk *mine = NULL;

		sm__armed_note(gc, &mine, i * sizeof(void *), i);
		sm__armed_give(gc, &mine);
	}
	ck_assert_uint_eq(sm_load_relaxed(&gc->armed.lost), 0);
	for (struct sm_slot_chunk *c = gc->armed.full; c != NULL; c = c->next)
		for (size_t i = 0; i < c->n; i++)
			n += c->at[i].slot == c->at[i].value * sizeof(void *);
	ck_assert_uint_eq(n, THREADS);
	sm__armed_forget_slots(gc);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("compact_beside", 300,
			SM_LOOP(a_slice_looks_at_what_leads_to_its_candidates, 0, NKINDS),
			SM_LOOP(what_is_made_meanwhile_is_followed, 0, NKINDS),
			SM_LOOP(a_range_that_went_leaves_its_words_to_another, 0, NKINDS),
			SM_LOOP(few_notes_of_many_threads_take_little, 0, NKINDS));
}
