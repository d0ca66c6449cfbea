/*
 * writes.c: reports what stores of pointers take.
 */
#include "workloads/writes.h"

static void report_ns(struct sm_run *run, enum sm_result_id what, uint64_t ns, uint64_t stores,
		      const char *none)
{
	if (stores > 0)
		sm_run_result(run, what, (double)ns / (double)stores);
	else
		sm_run_result_none(run, what, none);
}

void sm_writes_sum(struct sm_writes *sum, const struct sm_writes *w)
{
	sum->calm_stores += w->calm_stores;
	sum->calm_ns += w->calm_ns;
	sum->marking_stores += w->marking_stores;
	sum->marking_ns += w->marking_ns;
}

void sm_writes_report(struct sm_run *run, const struct sm_writes *sum)
{
	static const char none_marking[] = "no store while marking",
			  none_calm[] = "no store while nothing was marked";

	report_ns(run, SM_RESULT_writer_store_ns_calm, sum->calm_ns, sum->calm_stores, none_calm);
	report_ns(run, SM_RESULT_writer_store_ns_marking, sum->marking_ns, sum->marking_stores,
		  none_marking);
	if (sum->marking_stores > 0 && sum->calm_ns > 0)
		sm_run_result(run, SM_RESULT_writer_slowdown,
			      (double)sum->marking_ns / (double)sum->marking_stores *
				      (double)sum->calm_stores / (double)sum->calm_ns);
	else
		sm_run_result_none(run, SM_RESULT_writer_slowdown,
				   sum->marking_stores > 0 ? none_calm : none_marking);
}
