/*
 * test_young_walk: gc.generations: workers and the control thread share the look at the remembered
 * set. Each of its places is looked at, by one of them, and counts for two cycles; without packets
 * for the invitations the control thread looks alone; a marker with a budget looks at little more
 * than that.
 */
#include "collector/generations/remember_internal.h"
#include "tests/support/run.h"
#include "tests/support/shadow.h"
#include "tests/support/step.h"

enum { OLD = 16384, TRIES = 200, CARDS = 5, LOGS = 8, WAYS = 10 };

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *node, *large;
static void **table; /* of old objects, each of which fills a card */

static void setup(int way, const char *more)
{
	static const char *const set[WAYS][3] = {
		{"gc.mode=concurrent"},
		{"gc.mode=stw"},
		{"gc.mark=spans"},
		{"gc.mark=spans", "gc.mode=stw"},
		{"gc.fifo=0"},
		{"gc.remember=objects"},
		{"gc.remember=objects", "gc.mode=stw"},
		{"gc.remember=objects", "gc.mark=spans"},
		{"gc.remember=none"},
		{"gc.remember=none", "gc.mode=stw"},
	};
	const char *keys[10] = {"gc.generations=on", "gc.verify=1", "gc.percent=0", "gc.workers=2",
				more};
	unsigned n = 5;

	for (unsigned i = 0; set[way][i] != NULL; i++)
		keys[n++] = set[way][i];
	sm__dirty_instead = &shadow_source;
	gc = gctest_create(keys);
	m = sm_mutator_attach(gc);
	ck_assert_ptr_nonnull(m);
	node = sm_type_prefix(gc, 64, 1);
	large = sm_type_prefix(gc, SM_CARD_BYTES, 1);
	ck_assert_int_eq(sm_root_add(gc, (void *)&table, 1), 0);
}

static void teardown(void)
{
	table = NULL;
	ck_assert_int_eq(sm_root_remove(gc, (void *)&table), 0);
	gctest_destroy(gc, m);
}

/* Returns how many places held old objects. */
static uint64_t minor(void)
{
	struct sm_gc_stats before = gctest_stats(gc);

	gctest_clear_stack();
	gc->pacer.minor = true;
	ck_assert_int_eq(sm__gc_collect_and_wait(gc, m, false), 0);
	ck_assert_uint_eq(gctest_stats(gc).minors, before.minors + 1);
	ck_assert_uint_eq(gctest_stats(gc).verify_errors, 0);
	return gctest_stats(gc).total_remembered - before.total_remembered;
}

static SM_NOINLINE void make_old(void)
{
	const struct sm_type *t = sm_type_pointers(gc, OLD);

	sm_store(m, (void **)&table, sm_new(m, t));
	for (unsigned i = 0; i < OLD; i++)
		sm_store(m, &table[i], sm_new(m, large));
	for (unsigned i = 0; i < 4; i++)
		minor();
}

/* A young object on each. */
static SM_NOINLINE void hang(uintptr_t number)
{
	for (unsigned i = 0; i < OLD; i++) {
		uintptr_t *young = sm_new(m, node);

		young[1] = number + i;
		sm_store(m, (void **)table[i], young);
	}
}

static SM_NOINLINE void check(uintptr_t number)
{
	for (unsigned i = 0; i < OLD; i++) {
		const uintptr_t *young = *(uintptr_t **)table[i];

		if (young[1] != number + i)
			ck_abort_msg("the young of %u is damaged", i);
	}
}

static uint64_t helped(unsigned worker)
{
	return gc->workers[worker].marker.helped;
}

START_TEST(both_workers_look)
{
	unsigned tries = 0;

	setup(_i, "gc.delay_us=300");
	make_old();
	for (; (helped(0) == 0 || helped(1) == 0) && tries < TRIES; tries++) {
		hang(tries);
		minor();
		check(tries);
	}
	ck_assert_uint_gt(helped(0), 0);
	ck_assert_uint_gt(helped(1), 0);
	teardown();
}
END_TEST

/* What is stored into its old objects once. Pages are fewer. */
static void expect(uint64_t found, uint64_t places)
{
	uint64_t pages = (uint64_t)OLD * SM_CARD_BYTES / 4096;

	if (gc->config.remember == SM_GC_REMEMBER_NONE) {
		ck_assert_uint_ge(found, places ? pages : 0);
		ck_assert_uint_le(found, (places ? pages : 0) + 16);
	} else {
		ck_assert_uint_eq(found, places);
	}
}

START_TEST(each_place_counts_for_two_cycles)
{
	setup(_i, "gc.delay_us=100");
	make_old();
	for (uintptr_t round = 1; round < 4; round++) {
		hang(round * OLD);
		expect(minor(), OLD);
		expect(minor(), OLD);
		expect(minor(), 0);
		check(round * OLD);
	}
	teardown();
}
END_TEST

/* Nothing is left for an invitation. */
static void take_packets(struct sm_packet **all)
{
	struct sm_packet *p;

	*all = NULL;
	while ((p = sm__workq_empty(&gc->workq)) != NULL) {
		p->next = *all;
		*all = p;
	}
}

static void give_packets(struct sm_packet *all)
{
	struct sm_packet *next;

	for (; all != NULL; all = next) {
		next = all->next;
		sm__workq_recycle(&gc->workq, all);
	}
}

START_TEST(an_invitation_is_dropped_without_a_packet)
{
	struct sm_marker *k;
	struct sm_packet *all;

	setup(_i, "gc.mark_stack=1k");
	k = &gc->marker;
	take_packets(&all);
	ck_assert(!sm__mark_offer_entry(k, SM_ENTRY_REMEMBERED));
	ck_assert_ptr_null(k->packet);
	give_packets(all);
	ck_assert(sm__mark_offer_entry(k, SM_ENTRY_REMEMBERED));
	k->next = k->first;
	sm__marker_give(k);
	make_old();
	hang(1);
	take_packets(&all);
	expect(minor(), OLD);
	give_packets(all);
	expect(minor(), OLD);
	check(1);
	teardown();
}
END_TEST

/* All of the set waits for one marker: between two cycles, so nothing is old and the cards' parts
 * are empty. A mutator takes one unit, then looks up; pieces of roots are no other. */
START_TEST(a_budget_ends_behind_a_piece)
{
	static uintptr_t roots[64 * SM_ROOT_PIECE / sizeof(uintptr_t)];
	struct sm_marker *k;

	setup(_i, "gc.mark_stack=4m");
	k = &gc->marker;
	ck_assert_int_eq(sm_root_add(gc, roots, sizeof(roots) / sizeof(roots[0])), 0);
	sm__workq_enter(&gc->workq);
	sm__roots_begin(gc, k);
	sm__roots_end(gc);
	(void)sm__mark_drain(k, 1024);
	ck_assert_uint_ge(k->n.scan_bytes, SM_ROOT_PIECE);
	ck_assert_uint_le(k->n.scan_bytes, 3 * SM_ROOT_PIECE);
	(void)sm__mark_drain(k, 0);
	ck_assert_uint_ge(k->n.scan_bytes, sizeof(roots));
	sm__marker_give(k);
	sm__workq_leave(&gc->workq, true);
	ck_assert_int_eq(sm_root_remove(gc, roots), 0);
	teardown();
}
END_TEST

/* In a large heap most units have nothing that is set: a mutator that has come upon the set does
 * not go through all of them. */
START_TEST(a_mutator_takes_little)
{
	struct sm_marker *k;
	uint64_t few;

	setup(_i, "gc.mark_stack=4m");
	make_old();
	k = &gc->marker;
	sm__walk_begin(gc, true);
	sm__workq_enter(&gc->workq);
	k->quiet = true;
	ck_assert(sm__mark_offer_entry(k, SM_ENTRY_REMEMBERED));
	few = k->helped;
	(void)sm__mark_drain(k, 1024);
	few = k->helped - few;
	ck_assert_uint_ge(few, 1);
	ck_assert_uint_le(few, 2 + 1024 / (SM_UNIT >> SM_CARD_SHIFT));
	ck_assert_uint_le(sm_load_relaxed(&gc->remember.walk.next), few);
	(void)sm__mark_drain(k, 0);
	k->quiet = false;
	sm__marker_give(k);
	sm__workq_leave(&gc->workq, true);
	teardown();
}
END_TEST

/* Sixteen young objects on each old one: what waits to be marked is a MiB if all of it is found
 * first. With the world stopped and one worker that is certain: it begins behind the look. */
START_TEST(what_is_found_does_not_pile_up)
{
	static void *root;
	void **old;
	size_t before;

	gc = GCTEST("gc.generations=on", "gc.verify=1", "gc.percent=0", "gc.workers=1",
		    "gc.mode=stw");
	m = sm_mutator_attach(gc);
	node = sm_type_prefix(gc, 64, 1);
	ck_assert_int_eq(sm_root_add(gc, &root, 1), 0);
	sm_store(m, &root, sm_new_array(m, sm_type_pointers(gc, 1), 8 * OLD));
	old = root;
	minor();
	minor();
	before = gc->workq.bytes;
	for (unsigned i = 0; i < 8 * OLD; i++)
		sm_store(m, &old[i], sm_new(m, node));
	minor();
	ck_assert_uint_le(gc->workq.bytes, before + 256 * SM_KIB);
	ck_assert_uint_ge(gctest_stats(gc).last_marked_objects, 8 * OLD);
	root = NULL;
	ck_assert_int_eq(sm_root_remove(gc, &root), 0);
	gctest_destroy(gc, m);
}
END_TEST

int main(void)
{
	return SM_SUITE("young_walk", 120, SM_LOOP(both_workers_look, 0, WAYS),
			SM_LOOP(each_place_counts_for_two_cycles, 0, WAYS),
			SM_LOOP(an_invitation_is_dropped_without_a_packet, 0, WAYS),
			SM_LOOP(a_budget_ends_behind_a_piece, 0, CARDS),
			SM_LOOP(a_mutator_takes_little, 0, CARDS),
			SM_T(what_is_found_does_not_pile_up));
}
