/*
 * wl_slices.c: a demonstration that one can read: arrays, before and after a collection.
 *
 * For each of `sizes` an array of that many squares is made; its address and contents are printed;
 * a collection runs; they are printed again. Contents must be intact; addresses are unchanged while
 * nothing moves. Timed: making the arrays and the collection, not the printing.
 */
#include <errno.h>

#include "workloads/backend.h"

static void print_array(struct sm_run *run, const char *when, unsigned number, const int64_t *a,
			int64_t n)
{
	sm_run_print(run, "%s slice %u %p [%lld]:", when, number, (const void *)a, (long long)n);
	for (int64_t i = 0; i < n; i++)
		sm_run_print(run, " %lld", (long long)a[i]);
	sm_run_print(run, "\n");
}

static void print_all(struct sm_run *run, const char *when, int64_t **slices, const int64_t *sizes,
		      unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		print_array(run, when, i, slices[i], sizes[i]);
}

static unsigned count_damaged(int64_t **slices, const int64_t *sizes, unsigned n)
{
	unsigned damaged = 0;

	for (unsigned s = 0; s < n; s++)
		for (int64_t i = 0; i < sizes[s]; i++)
			if (slices[s][i] != i * i) {
				damaged++;
				break;
			}
	return damaged;
}

static int run_slices(struct sm_run *run)
{
	struct sm_thread *t = sm_run_thread(run);
	unsigned n, moved = 0, damaged;
	const int64_t *sizes = sm_params_list(sm_run_params(run), "sizes", &n);
	int64_t *slices[SM_PARAM_LIST_MAX]; /* on this stack: roots */
	uintptr_t before[SM_PARAM_LIST_MAX];
	uint64_t numbers = 0;
	int err;

	sm_run_timed_begin(run);
	for (unsigned s = 0; s < n; s++) {
		slices[s] = sm_backend_bytes(SM_WL_GC, t, (size_t)sizes[s] * sizeof(int64_t));
		for (int64_t i = 0; i < sizes[s]; i++)
			slices[s][i] = i * i;
		before[s] = ~(uintptr_t)slices[s]; /* inverted, so that it is no root */
		numbers += (uint64_t)sizes[s];
	}
	sm_run_timed_end(run);
	print_all(run, "before", slices, sizes, n);
	sm_run_timed_begin(run);
	err = sm_collect(sm_run_gc(run), t->m);
	sm_run_timed_end(run);
	if (err != 0)
		return sm_run_fail(run, err, "the collection failed: %s", strerror(-err));
	print_all(run, "after ", slices, sizes, n);
	for (unsigned s = 0; s < n; s++)
		moved += ~(uintptr_t)slices[s] != before[s];
	damaged = count_damaged(slices, sizes, n);
	sm_run_ops(run, numbers);
	sm_run_result(run, SM_RESULT_slices, n);
	sm_run_result(run, SM_RESULT_intact, n - damaged);
	sm_run_result(run, SM_RESULT_moved, moved);
	return damaged == 0 ? 0
			    : sm_run_fail(run, -EIO, "%u of %u slices were damaged", damaged, n);
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
