/*
 * wl_slices.c: a demonstration that one can read: arrays, before and after a collection.
 *
 * For each of `sizes` an array of that many squares is made; its address and contents are printed;
 * a collection runs; they are printed again. Contents must be intact; addresses are unchanged while
 * nothing moves, and with gc.compact as long as nothing is gained by it. So others are made
 * `around` each, of which few stay. Timed: making the arrays and the collection, not the printing.
 */
#include <errno.h>

#include "workloads/backend.h"

/* Arrays are reached by a table and nothing else: no word on the stack keeps one in its place. */
struct slices {
	struct sm_table made, others;
	const int64_t *sizes;
	unsigned n;
	uint64_t around, kept;
};

static const int64_t *slice_at(const struct slices *s, unsigned i)
{
	return sm_load(&s->made.slots[i]);
}

static SM_NOINLINE void print_all(struct sm_run *run, const char *when, const struct slices *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const int64_t *a = slice_at(s, i);

		sm_run_print(run, "%s slice %u %p [%lld]:", when, i, (const void *)a,
			     (long long)s->sizes[i]);
		for (int64_t k = 0; k < s->sizes[i]; k++)
			sm_run_print(run, " %lld", (long long)a[k]);
		sm_run_print(run, "\n");
	}
}

static SM_NOINLINE unsigned count_damaged(const struct slices *s)
{
	unsigned damaged = 0;

	for (unsigned i = 0; i < s->n; i++)
		for (int64_t k = 0; k < s->sizes[i]; k++)
			if (slice_at(s, i)[k] != k * k) {
				damaged++;
				break;
			}
	return damaged;
}

static void make_array(struct sm_thread *t, void **slot, int64_t n)
{
	int64_t *a = sm_backend_bytes(SM_WL_GC, t, (size_t)n * sizeof(int64_t));

	for (int64_t i = 0; i < n; i++)
		a[i] = i * i;
	if (slot)
		sm_store(t->m, slot, a);
}

/* One in a hundred stays. */
static void make_others(struct sm_thread *t, struct slices *s, int64_t n)
{
	for (uint64_t i = 0; i < s->around; i++)
		make_array(t, i % 100 == 0 ? &s->others.slots[s->kept++] : NULL, n);
}

static SM_NOINLINE void make_all(struct sm_thread *t, struct slices *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		make_others(t, s, s->sizes[i]);
		make_array(t, &s->made.slots[i], s->sizes[i]);
		make_others(t, s, s->sizes[i]);
	}
}

/* Inverted, so that they are no pointers. */
static SM_NOINLINE unsigned hide_or_compare(const struct slices *s, uintptr_t *before, bool compare)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < s->n; i++) {
		uintptr_t hidden = ~(uintptr_t)slice_at(s, i);

		moved += compare && hidden != before[i];
		before[i] = hidden;
	}
	return moved;
}

static int work(struct sm_run *run, struct slices *s)
{
	struct sm_thread *t = sm_run_thread(run);
	uintptr_t before[SM_PARAM_LIST_MAX];
	unsigned damaged;
	int err;

	sm_run_timed_begin(run);
	make_all(t, s);
	sm_run_timed_end(run);
	(void)hide_or_compare(s, before, false);
	print_all(run, "before", s);
	sm_run_timed_begin(run);
	err = sm_run_collect(t);
	sm_run_timed_end(run);
	if (err != 0)
		return sm_run_fail(run, err, "the collection failed: %s", strerror(-err));
	print_all(run, "after ", s);
	damaged = count_damaged(s);
	sm_run_result(run, SM_RESULT_slices, s->n);
	sm_run_result(run, SM_RESULT_intact, s->n - damaged);
	sm_run_result(run, SM_RESULT_moved, hide_or_compare(s, before, true));
	return damaged == 0 ? 0
			    : sm_run_fail(run, -EIO, "%u of %u slices were damaged", damaged, s->n);
}

static int run_slices(struct sm_run *run)
{
	struct sm_thread *t = sm_run_thread(run);
	struct slices s = {.around = (uint64_t)sm_params_int(sm_run_params(run), "around")};
	uint64_t numbers = 0;
	int err;

	s.sizes = sm_params_list(sm_run_params(run), "sizes", &s.n);
	for (unsigned i = 0; i < s.n; i++)
		numbers += (uint64_t)s.sizes[i];
	err = sm_table_new(t, &s.made, s.n);
	if (err == 0)
		err = sm_table_new(t, &s.others, s.n * 2 * (s.around / 100 + 1));
	if (err == 0)
		err = work(run, &s);
	sm_table_free(t, &s.others);
	sm_table_free(t, &s.made);
	sm_run_ops(run, numbers);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "sizes",
	 .kind = SM_PARAM_LIST,
	 .min = 1,
	 .max = 1000000,
	 .def_text = "10,20,30",
	 .quick_text = "10,20,30",
	 .unit = "numbers",
	 .help = "of each array"},
	{.name = "around",
	 .def = 1000,
	 .min = 0,
	 .max = 1000000,
	 .quick = 0,
	 .simulated = 1000,
	 .unit = "arrays",
	 .help = "made before each and behind it, of which 1 in 100 stays"},
	{0},
};

const struct sm_workload sm__wl_slices = {
	.name = "slices",
	.summary =
		"arrays of squares, printed before and after a collection: contents and addresses",
	.op = "number",
	.params = params,
	.backends = 1u << SM_WL_GC,
	.run = run_slices,
};
