/*
 * moment_calls_gc.h: the table of moments' calls on threads, stacks, files and the collector
 * itself.
 */
#ifndef SM_TESTS_SUPPORT_MOMENT_CALLS_GC_H
#define SM_TESTS_SUPPORT_MOMENT_CALLS_GC_H

#include <errno.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/support/moment_caller.h"

static void call_safepoint(struct caller *c)
{
	sm_safepoint(c->m);
}

static void call_blocking(struct caller *c)
{
	sm_blocking_enter(c->own);
	usleep(5);
	sm_blocking_leave(c->own);
}

static void *yield(void *arg)
{
	usleep(1);
	return arg;
}

static void call_blocking_call(struct caller *c)
{
	ck_assert_ptr_eq(sm_blocking_call(c->own, yield, c), c);
}

static void call_attach_again(struct caller *c)
{
	ck_assert_ptr_eq(sm_mutator_attach(gc), c->m);
	sm_mutator_detach(c->m);
}

static void call_current(struct caller *c)
{
	struct sm_mutator *own = sm_mutator_current(gc);

	ck_assert(c->m == NULL || own == c->m);
}

/* ---- a stack that is left, with an object that it alone holds ----------------------------- */

static ucontext_t hop_back, hop_there;
static struct caller *hopper;

static void run_hop(void)
{
	void *volatile held = *hopper->mine;

	*hopper->mine = NULL;
	sm_stack_leave(hopper->m);
	swapcontext(&hop_there, &hop_back);
	*hopper->taken = held;
	sm_stack_leave(hopper->m);
}

static void call_stack_leave(struct caller *c)
{
	enum { BYTES = 256 * 1024 };
	static char *stack;

	if (stack == NULL)
		stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	ck_assert_int_eq(sm_thread_range_add(c->m, stack, BYTES), 0);
	hopper = c;
	getcontext(&hop_there);
	hop_there.uc_stack.ss_sp = stack;
	hop_there.uc_stack.ss_size = BYTES;
	hop_there.uc_link = &hop_back;
	makecontext(&hop_there, run_hop, 0);
	sm_stack_leave(c->m);
	swapcontext(&hop_back, &hop_there);
	ck_assert_ptr_null(*c->mine);
	for (int i = 0; i < 100; i++) {
		sm_safepoint(c->m);
		(void)sm_new(c->m, node);
	}
	sm_stack_leave(c->m);
	swapcontext(&hop_back, &hop_there);
	ck_assert_ptr_nonnull(*c->taken);
	ck_assert_int_eq(sm_thread_range_remove(c->m, stack), 0);
}

/* ---- files, figures, the collector itself ------------------------------------------------- */

static void call_map_file(struct caller *c)
{
	volatile char *p = sm_map_file(c->m, fd, 0, 2 * SM_UNIT, SM_MAP_PRIVATE);

	ck_assert(p != NULL && p[100] == 0);
	sm_unmap_file(c->m, (void *)p);
}

static void call_mutator_stalls(struct caller *c)
{
	struct sm_gc_stalls s;

	sm_mutator_stalls(c->m, &s);
}

static void call_collect(struct caller *c)
{
	ck_assert_int_eq(sm_collect(gc, c->own), 0);
}

/* Nothing moves here, where tests know objects by disguised addresses: test_compact.c. */
static void call_collect_compact(struct caller *c)
{
	ck_assert_int_eq(sm_collect_compact(gc, c->own), -ENOTSUP);
}

/* The pin alone keeps it, over whatever comes meanwhile. */
static void call_pin(struct caller *c)
{
	uintptr_t hidden = ~(uintptr_t)*c->mine;

	ck_assert_int_eq(sm_pin(c->m, *c->mine), 0);
	*c->mine = NULL;
	for (int i = 0; i < 100; i++) {
		sm_safepoint(c->m);
		(void)sm_new(c->m, node);
	}
	*c->taken = (void *)~hidden;
	ck_assert_int_eq(sm_unpin(c->m, *c->taken), 0);
}

static void call_finalizer_wait(struct caller *c)
{
	sm_finalizer_wait(gc, c->own);
}

static void call_unmap_file(struct caller *c)
{
	sm_store(c->m, &root[1], NULL);
	sm_unmap_file(c->m, file);
	file = NULL;
}

static void call_types(struct caller *c)
{
	(void)c;
	ck_assert_ptr_nonnull(sm_type_prefix(gc, 32, 2));
	ck_assert_ptr_nonnull(sm_type_bitmap(gc, 32, (const uint64_t[]){5}));
	ck_assert_ptr_nonnull(sm_type_flex(gc, 8, NULL, 24, (uint64_t[]){4}));
	ck_assert_ptr_nonnull(sm_type_pointers(gc, 3));
	ck_assert_ptr_nonnull(sm_type_conservative(gc, 48));
	ck_assert_ptr_nonnull(sm_type_unmovable(gc, sm_type_prefix(gc, 32, 2)));
}

static void call_stats(struct caller *c)
{
	struct sm_gc_stats s;
	struct sm_gc_compact_stats n;
	struct sm_gc_stalls t;

	(void)c;
	sm_gc_compact_stats(gc, &n);
	ck_assert_ptr_nonnull(sm_pin_cause_name(SM_PINNED_PROGRAM));
	sm_gc_stats(gc, &s);
	sm_gc_stalls(gc, &t);
	ck_assert_ptr_nonnull(sm_stall_name(SM_STALL_STOP));
}

static void call_stalls_reset(struct caller *c)
{
	(void)c;
	sm_gc_stalls_reset(gc);
}

static void call_heap_stats(struct caller *c)
{
	static struct sm_heap_stats s;
	static struct sm_core_stats core;
	struct sm_heap *h = sm_gc_heap(gc);
	FILE *f = fopen("/dev/null", "w");

	(void)c;
	sm_heap_stats(h, &s);
	ck_assert(s.in_use_bytes > 0);
	ck_assert_int_eq(sm_heap_core_stats(h, 0, &core), 0);
	sm_heap_stats_print(h, f);
	sm_heap_stats_json(h, f);
	fclose(f);
}

static void call_limits(struct caller *c)
{
	(void)c;
	ck_assert_int_eq(sm_gc_set_limit(gc, SM_GIB), 0);
	ck_assert_int_eq(sm_gc_set_percent(gc, 200), 0);
	ck_assert_int_eq(sm_gc_set_limit(gc, 0), 0);
	ck_assert_int_eq(sm_gc_set_percent(gc, 0), 0);
	ck_assert_int_eq(sm_gc_set_percent(gc, 10001), -EINVAL);
}

static void count_event(void *ctx, enum sm_cycle_event event)
{
	((_Atomic(int) *)ctx)[event]++;
}

/* It stays set: the end of this cycle must be told (check_events), unless the cycle was over when
 * it was set. The call is a blocking section, so a cycle goes on meanwhile; its end is told after
 * its last phase. */
static void call_on_cycle(struct caller *c)
{
	(void)c;
	events[SM_CYCLE_BEGINS] = events[SM_CYCLE_ENDS] = 0;
	ck_assert_int_eq(sm_gc_on_cycle(gc, count_event, events), 0);
	end_is_due = sm_load_acquire(&gc->phase) != SM_GC_OFF;
}

static void call_object_base(struct caller *c)
{
	char *p = root[0];

	ck_assert_ptr_eq(sm_object_base(gc, p + 9), p);
	ck_assert_uint_ge(sm_object_size(gc, p + 9), 32);
	ck_assert_ptr_null(sm_object_base(gc, c));
	ck_assert_uint_eq(sm_object_size(gc, c), 0);
	(void)sm_object_base(gc, (void *)~cell_dead());
}

/* Root 0 is among them, and each is an object. */
static bool visit(void *ctx, const struct sm_object *o)
{
	if (sm_object_base(gc, o->address) != o->address ||
	    sm_object_size(gc, o->address) != o->bytes)
		ck_abort_msg("%p is no object", o->address);
	*(bool *)ctx |= o->address == root[0];
	return true;
}

static void call_heap_foreach(struct caller *c)
{
	bool found = false;

	ck_assert_int_eq(sm_heap_foreach(gc, c->m, visit, &found), 0);
	ck_assert(found);
}

static void call_heap_dump(struct caller *c)
{
	ck_assert_int_eq(sm_heap_dump(gc, c->m, null_fd), 0);
}

static void call_other_collector(struct caller *c)
{
	struct sm_gc_config cfg;
	struct sm_mutator *own;
	struct sm_gc *other;

	(void)c;
	sm_gc_config_init(&cfg);
	ck_assert_ptr_nonnull(sm_gc_config_keys()->name);
	ck_assert_int_eq(sm_gc_config_set(&cfg, "gc.workers", "1", NULL, 0), 0);
	other = sm_gc_create(&cfg, NULL, 0);
	ck_assert_ptr_nonnull(other);
	own = sm_mutator_attach(other);
	ck_assert_ptr_nonnull(sm_new(own, sm_type_pointers(other, 2)));
	sm_mutator_detach(own);
	sm_gc_destroy(other);
}

static void call_collect_unattached(struct caller *c)
{
	(void)c;
	ck_assert_int_eq(sm_collect(gc, NULL), 0);
}

static void call_finalizer_wait_unattached(struct caller *c)
{
	(void)c;
	sm_finalizer_wait(gc, NULL);
}

static void call_attach(struct caller *c)
{
	struct sm_mutator *own = sm_mutator_attach(gc);

	(void)c;
	ck_assert_ptr_nonnull(own);
	sm_mutator_detach(own);
}

#endif
