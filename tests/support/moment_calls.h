/*
 * moment_calls.h: the table of moments' calls on objects: allocation, stores, roots, handles,
 * references, finalizers.
 */
#ifndef SM_TESTS_SUPPORT_MOMENT_CALLS_H
#define SM_TESTS_SUPPORT_MOMENT_CALLS_H

#include "tests/support/moment_caller.h"

/* The caller lets go of `mine`, which now only object's word `slot` leads to; what it took leads to
 * the object. */
static void kept_by(struct caller *c, void *object, void **slot)
{
	void *volatile kept = object;

	*c->mine = NULL;
	c->inner = (size_t)((char *)slot - (char *)object) + 1;
	*c->taken = (void *)~pair(c->m);
	sm_store(c->m, (void **)*c->taken + 1, kept);
}

static void call_new(struct caller *c)
{
	for (int i = 0; i < 100; i++)
		*c->taken = sm_new(c->m, node);
	*c->taken = (void *)~pair(c->m);
}

static void call_new_large(struct caller *c)
{
	void **large = sm_new_array(c->m, sm_type_pointers(gc, 1), 9000);

	sm_store(c->m, &large[8999], *c->mine);
	kept_by(c, large, &large[8999]);
}

static void call_new_bytes(struct caller *c)
{
	for (size_t i = 1; i < 40000; i = i * 3 / 2 + 1)
		memset(sm_new_bytes(c->m, i), 0x33, i);
}

static void call_new_bytes_zeroed(struct caller *c)
{
	for (size_t i = 1; i < 40000; i = i * 3 / 2 + 1)
		ck_assert_int_eq(*(char *)sm_new_bytes_zeroed(c->m, i), 0);
}

static void call_new_array(struct caller *c)
{
	void **array = sm_new_array(c->m, node, 3);

	sm_store(c->m, &array[4], *c->mine);
	kept_by(c, array, &array[4]);
}

/* 5000: a large one. */
static void call_new_flex(struct caller *c)
{
	static const size_t lengths[] = {0, 5, 5000};

	for (size_t i = 0; i < 3; i++) {
		const struct sm_type *t =
			sm_type_flex(gc, 16, (uint64_t[]){1}, 16, (uint64_t[]){1});
		void **flex = sm_new_flex(c->m, t, lengths[i]);

		sm_store(c->m, &flex[2 * lengths[i]], *c->mine);
		if (i < 2)
			*c->taken = flex;
		else
			kept_by(c, flex, &flex[2 * lengths[i]]);
	}
}

static void call_new_aligned(struct caller *c)
{
	void **p = NULL;

	for (size_t align = 8; align <= 4096; align *= 2) {
		p = sm_new_aligned(c->m, node, align);
		ck_assert_uint_eq((uintptr_t)p % align, 0);
		*c->taken = p;
	}
	sm_store(c->m, p, *c->mine);
	kept_by(c, p, p);
}

static void call_store(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_store(c->m, c->place, *c->mine);
	*c->mine = NULL;
}

/* Fills the buffer several times. */
static void call_store_many(struct caller *c)
{
	void *volatile two[2] = {sm_load(c->place), *c->mine};

	for (int i = 0; i < 50; i++)
		sm_store(c->m, c->place, two[i % 2]);
	*c->taken = two[0];
	*c->mine = NULL;
}

static void call_load(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_store(c->m, c->place, NULL);
}

static void call_cas(struct caller *c)
{
	void *expected = sm_load(c->place);

	*c->taken = expected;
	ck_assert(sm_cas(c->m, c->place, &expected, *c->mine));
	*c->mine = NULL;
}

static void call_exchange(struct caller *c)
{
	*c->taken = sm_exchange(c->m, c->place, *c->mine);
	*c->mine = NULL;
}

static void call_copy_slots(struct caller *c)
{
	void *const from[1] = {*c->mine};

	*c->taken = sm_load(c->place);
	sm_copy_slots(c->m, c->place, from, 1);
	*(void *volatile *)&from[0] = NULL;
	*c->mine = NULL;
}

static void call_clear_slots(struct caller *c)
{
	*c->taken = sm_load(c->place);
	sm_clear_slots(c->m, c->place, 1);
}

/* Interior pointers and integers in, and out again. */
static void call_conservative(struct caller *c)
{
	char **any = sm_new(c->m, sm_type_conservative(gc, 64 * sizeof(void *)));

	sm_store(c->m, (void **)*c->mine + 1, any);
	for (int i = 0; i < 64; i++) {
		*(volatile uintptr_t *)&any[i] =
			i % 2 ? ~cell_dead() + (unsigned)i : 12345u * (unsigned)i;
		sm_store(c->m, (void **)&any[i], (char *)sm_load(c->place) + i % 32);
	}
	sm_store(c->m, c->place, NULL);
	*c->taken = any[40] - 8;
	for (int i = 0; i < 64; i++)
		sm_store(c->m, (void **)&any[i], NULL);
}

static void call_handle_new(struct caller *c)
{
	c->made = sm_handle_new(c->m, *c->mine);
	*c->mine = NULL;
}

static void call_handle_get(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_set(c->m, c->handle, NULL);
}

static void call_handle_set(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_set(c->m, c->handle, *c->mine);
	*c->mine = NULL;
}

static void call_handle_free(struct caller *c)
{
	*c->taken = sm_handle_get(c->handle);
	sm_handle_free(c->m, c->handle);
	c->handle = NULL;
}

/* Any thread may, if another keeps the handle. */
static void call_handle_compare(struct caller *c)
{
	ck_assert(sm_handle_get(c->handle) != NULL);
}

static void call_thread_range_add(struct caller *c)
{
	own_range[1] = *c->mine;
	*c->mine = NULL;
	ck_assert_int_eq(sm_thread_range_add(c->m, own_range, sizeof(own_range)), 0);
	*c->taken = own_range[1];
	own_range[1] = NULL;
	ck_assert_int_eq(sm_thread_range_remove(c->m, own_range), 0);
}

static void call_thread_range_remove(struct caller *c)
{
	ck_assert_int_eq(sm_thread_range_add(c->m, old_own_range, sizeof(old_own_range)), 0);
	old_own_range[0] = *c->mine;
	*c->mine = NULL;
	sm_safepoint(c->m);
	sm_store(c->m, c->place, old_own_range[0]);
	old_own_range[0] = NULL;
	ck_assert_int_eq(sm_thread_range_remove(c->m, old_own_range), 0);
}

static void call_finalizer_set(struct caller *c)
{
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->mine, note, NULL, NULL), 0);
	*c->mine = NULL;
}

static void call_finalizer_clear(struct caller *c)
{
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->mine, note, NULL, NULL), 0);
	ck_assert_int_eq(sm_finalizer_clear(c->m, *c->mine), 0);
}

static void dispose(void *ctx)
{
	++*(_Atomic(int) *)ctx;
}

static void call_finalizer_set_owning(struct caller *c)
{
	_Atomic(int) cleared = 0;

	*c->taken = (void *)~pair(c->m);
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->taken, note, &cleared, dispose), 0);
	ck_assert_int_eq(sm_finalizer_clear(c->m, *c->taken), 0);
	ck_assert_int_eq(cleared, 1);
	owned++;
	ck_assert_int_eq(sm_finalizer_set(c->m, *c->mine, note, &disposed, dispose), 0);
	*c->mine = NULL;
}

static void call_weak_new(struct caller *c)
{
	struct sm_weak *w = sm_weak_new(c->m, *c->mine);

	*c->taken = sm_weak_get(c->m, w);
	ck_assert(*c->taken == *c->mine);
	*c->mine = NULL;
	sm_weak_free(c->m, w);
}

/* The object is kept by nothing else when `place` is empty. */
static void call_weak_get(struct caller *c)
{
	*c->taken = sm_weak_get(c->m, c->weak);
	sm_store(c->m, c->place, *c->taken);
}

/* One that is blocked may free it, too. */
static void call_weak_free(struct caller *c)
{
	if (c->m)
		*c->taken = sm_weak_get(c->m, c->weak);
	sm_weak_free(c->own, c->weak);
	c->weak = NULL;
}

/* The value is kept by it alone, as long as the caller has the key. */
static void call_ephemeron_new(struct caller *c)
{
	c->made_ephemeron = sm_ephemeron_new(c->m, *c->mine, (void *)~pair(c->m));
	ck_assert(whole(sm_ephemeron_get(c->m, c->made_ephemeron)));
}

/* The key dies, the value has been taken. */
static void call_ephemeron_get(struct caller *c)
{
	*c->taken = sm_ephemeron_get(c->m, c->ephemeron);
	ck_assert(*c->taken != NULL);
	sm_store(c->m, c->place, NULL);
}

static void call_ephemeron_free(struct caller *c)
{
	if (c->m)
		*c->taken = sm_ephemeron_get(c->m, c->ephemeron);
	sm_ephemeron_free(c->own, c->ephemeron);
	c->ephemeron = NULL;
}

static void call_root_add(struct caller *c)
{
	if (c->mine != NULL) {
		range[2] = *c->mine;
		*c->mine = NULL;
	}
	ck_assert_int_eq(sm_root_add(gc, range, 4), 0);
}

static void call_root_remove(struct caller *c)
{
	if (c->taken != NULL)
		*c->taken = old_range[1];
	ck_assert_int_eq(sm_root_remove(gc, old_range), 0);
	old_range[1] = NULL;
}

#endif
