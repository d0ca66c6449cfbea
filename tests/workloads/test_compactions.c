/* workloads/compactions.h: what compactions did is reported, and what there is no figure of is not
 * called 0; huge pages are those of the range. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/sample.h"
#include "tests/support/skip.h"
#include "workloads/resident.h"
#include "workloads/results.h"

#define HUGE ((size_t)2 << 20)

static const struct sm_result *find(enum sm_result_id id)
{
	return sm_sample_result(&sample, sm_results[id].name);
}

/* Without gc.compact there is no row of it; with it, of a run that never asked, no figure. */
START_TEST(no_compaction_no_figure)
{
	ok("slices", SM_WL_GC, "", "");
	for (unsigned i = SM_RESULT_compactions; i <= SM_RESULT_huge_after_kib; i++)
		ck_assert_ptr_null(find((enum sm_result_id)i));
	sm_sample_free(&sample);
	ok("churn", SM_WL_GC, "ops=1000", "gc.compact=full");
	ck_assert_int_eq(integer("compactions"), 0);
	for (unsigned i = SM_RESULT_compactions + 1; i <= SM_RESULT_huge_after_kib; i++) {
		ck_assert_ptr_nonnull(find((enum sm_result_id)i));
		ck_assert(!find((enum sm_result_id)i)->has_value);
		ck_assert_str_ne(find((enum sm_result_id)i)->reason, "");
	}
	sm_sample_free(&sample);
}
END_TEST

/* A compaction that found nothing to move stopped nobody: its stops have no length, not 0. */
START_TEST(no_stop_no_length)
{
	static const enum sm_result_id lengths[] = {
		SM_RESULT_compaction_max_ms, SM_RESULT_slice_p99_us, SM_RESULT_slice_cpu_max_us};

	ok("slices", SM_WL_GC, "around=0", "gc.compact=force");
	ck_assert_int_gt(integer("compactions"), 0);
	ck_assert_int_eq(integer("compaction_slices"), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!find(lengths[i])->has_value);
		ck_assert_str_ne(find(lengths[i])->reason, "");
	}
	ck_assert_int_eq(integer("moved_objects"), 0);
	sm_sample_free(&sample);
}
END_TEST

/* All in one stop, by slices when asked, behind each cycle. */
static const char *const kinds[] = {"gc.compact=full", "gc.compact=auto", "gc.compact=force"};

START_TEST(figures_agree)
{
	static const char *const causes[] = {"stack", "conservative", "program", "type"};
	int64_t objects = 0, bytes = 0;

	ok("fragment", SM_WL_GC, "live=2m steps=4", kinds[_i]);
	ck_assert_int_ge(integer("compactions"), 4);
	if (_i == 0) {
		ck_assert_int_eq(integer("compactions"), 4);
		ck_assert_int_eq(integer("compaction_slices"), 4);
		ck_assert_int_eq(integer("noted_slots"), 0);
	} else {
		ck_assert_int_gt(integer("compaction_slices"), 0);
		ck_assert_int_gt(integer("noted_slots"), 0);
	}
	ck_assert_double_gt(number("compaction_max_ms"), 0);
	ck_assert_double_gt(number("slice_p99_us"), 0);
	ck_assert_double_le(number("slice_p99_us"), number("compaction_max_ms") * 1e3 + 0.001);
	ck_assert_double_gt(number("slice_cpu_max_us"), 0);
	ck_assert_int_gt(integer("candidate_spans"), 0);
	ck_assert_int_le(integer("evacuated_spans"), integer("candidate_spans"));
	ck_assert_int_ge(integer("evacuated_bytes"), integer("evacuated_spans") * 8192);
	ck_assert_int_gt(integer("released_bytes"), 0);
	ck_assert_int_gt(integer("moved_objects"), 0);
	ck_assert_int_ge(integer("moved_bytes"), integer("moved_objects") * 16);
	for (unsigned i = 0; i < SM_PIN_CAUSES; i++) {
		char name[48];

		ck_assert_str_eq(sm_pin_cause_name((enum sm_pin_cause)i), causes[i]);
		snprintf(name, sizeof(name), "pinned_%s_objects", causes[i]);
		objects += integer(name);
		snprintf(name, sizeof(name), "pinned_%s_bytes", causes[i]);
		bytes += integer(name);
	}
	ck_assert_int_eq(integer("pinned_objects"), objects);
	ck_assert_int_eq(integer("pinned_bytes"), bytes);
	ck_assert_double_le(number("pinned_share"), 100);
	ck_assert_int_eq(objects > 0, number("pinned_share") > 0);
	/* The kernel gives some, or it does not. */
	if (find(SM_RESULT_huge_before_kib)->has_value)
		ck_assert_double_gt(number("huge_before_kib") + number("huge_after_kib"), 0);
	else
		ck_assert_str_ne(find(SM_RESULT_huge_before_kib)->reason, "");
	sm_sample_free(&sample);
}
END_TEST

/* Of the mappings in a range, and no other's. */
START_TEST(huge_pages_of_a_range)
{
	char *p = mmap(NULL, 6 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t at;
	uint64_t huge;
	int err;

	ck_assert_ptr_ne(p, MAP_FAILED);
	at = ((uintptr_t)p + HUGE - 1) / HUGE * HUGE;
	if (madvise((void *)at, 4 * HUGE, MADV_HUGEPAGE) != 0)
		SM_SKIP("no huge pages here");
	/* Not merged with what lies behind, which has none. */
	ck_assert_int_eq(madvise((void *)(at + 4 * HUGE), HUGE, MADV_NOHUGEPAGE), 0);
	memset((void *)at, 1, 5 * HUGE);
	err = sm_huge_read(at, 4 * HUGE, &huge);
	if (err == -ENODATA || err == -ENOENT || (err == 0 && huge == 0))
		SM_SKIP("the kernel gave, or tells of, no huge page");
	ck_assert_int_eq(err, 0);
	ck_assert_uint_le(huge, 4 * HUGE);
	ck_assert_uint_eq(huge % HUGE, 0);
	ck_assert_int_eq(sm_huge_read(at + 4 * HUGE, HUGE, &huge), 0);
	ck_assert_uint_eq(huge, 0);
	munmap(p, 6 * HUGE);
	ck_assert_int_eq(sm_huge_read(at + HUGE, HUGE, &huge), -ENODATA);
	ck_assert_uint_eq(huge, 0);
}
END_TEST

/* A heap that asks for huge pages gives some back, and tells of it. */
START_TEST(huge_pages_around_a_compaction)
{
	ok("fragment", SM_WL_GC, "live=32m steps=2", "gc.compact=full");
	if (!find(SM_RESULT_huge_before_kib)->has_value)
		SM_SKIP("the kernel gave the heap no huge page");
	ck_assert_double_gt(number("huge_before_kib"), number("huge_after_kib"));
	ck_assert_double_ge(number("huge_after_kib"), 0);
	sm_sample_free(&sample);
}
END_TEST

/* ---- beside ------------------------------------------------------------------------------- */

static struct sm_gc *compacted;
static pthread_t compactor;
static _Atomic(int) over;
static int in_slices;

static void *compact_on(void *arg)
{
	while (!over) {
		/* By slices it may find no room for what is noted: then less moves. */
		int err = sm_collect_compact(compacted, NULL);

		ck_assert(err == 0 || (*(const int *)arg != 0 && err == -ENOMEM));
		usleep(1000);
	}
	return NULL;
}

static void beside(struct sm_gc *gc)
{
	struct sm_mutator *m;

	if (gc != NULL) {
		compacted = gc;
		ck_assert_int_eq(pthread_create(&compactor, NULL, compact_on, &in_slices), 0);
		return;
	}
	over = 1;
	m = sm_mutator_current(compacted);
	sm_blocking_enter(m);
	pthread_join(compactor, NULL);
	sm_blocking_leave(m);
}

/* Each workload checks what it holds: no address of it is kept where no collector looks. */
START_TEST(workloads_stand_compactions)
{
	const struct sm_setting kind = {"gc.compact", strchr(kinds[_i], '=') + 1};
	struct sm_params params;
	struct sm_job job;
	unsigned n;
	const struct sm_workload *const *all = sm_workloads(&n);

	in_slices = _i;
	for (unsigned i = 0; i < n; i++) {
		over = 0;
		sm_params_init(&params, all[i], true);
		sm_job_init(&job, &params);
		job.settings = &kind;
		job.nsettings = 1;
		job.beside = beside;
		ck_assert_msg(sm_session_run(&job, &sample) == 0, "%s: %s", all[i]->name,
			      sample.error);
		sm_sample_free(&sample);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("compactions", 60, SM_T(no_compaction_no_figure), SM_T(no_stop_no_length),
			SM_LOOP(figures_agree, 0, 3), SM_T(huge_pages_of_a_range),
			SM_T(huge_pages_around_a_compaction),
			SM_LOOP(workloads_stand_compactions, 0, 3));
}
