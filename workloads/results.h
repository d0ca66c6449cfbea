/* results.h: the results that a run can report (results.def), by number and by name. */
#ifndef SM_WORKLOADS_RESULTS_H
#define SM_WORKLOADS_RESULTS_H

#include "perf/better.h"

#define X(name, ...) SM_RESULT_##name,
enum sm_result_id {
#include "workloads/results.def"
	SM_RESULT_COUNT
};
#undef X

enum sm_shown {
	SM_SHOWN_COLUMN,
	SM_SHOWN_BRIEF,
	SM_SHOWN_WIDE,
	SM_SHOWN_TOLD,
	SM_SHOWN_MORE,
	SM_SHOWN_SERIES,
	SM_SHOWN_WAITS,
	SM_SHOWN_MARKED,
	SM_SHOWN_COST,
	SM_SHOWN_FILES
};

struct sm_result_desc {
	const char *name, *unit;
	enum sm_shown shown;
	const char *title;
	int width;
	enum sm_better better;
};
extern const struct sm_result_desc sm_results[SM_RESULT_COUNT];

/* What a block of waits consists of, in the order of results.def. */
enum sm_wait_part {
	SM_WAIT_COUNT,
	SM_WAIT_P50,
	SM_WAIT_P99,
	SM_WAIT_P999,
	SM_WAIT_MAX,
	SM_WAIT_KEPT_MAX, /* the longest in which the thread kept its CPU */
	SM_WAIT_LOST,	  /* those in which it lost it */
	SM_WAIT_LOST_MAX,
	SM_WAIT_PARTS
};

/* Of a cause (enum sm_stall_cause), SM_WAITS_ALL: of all together. */
#define SM_WAITS_ALL -1
static inline enum sm_result_id sm_wait_result(int cause, enum sm_wait_part part)
{
	return (enum sm_result_id)(SM_RESULT_stalls + (cause + 1) * SM_WAIT_PARTS + (int)part);
}

/* NULL: the name is not on the list. */
const struct sm_result_desc *sm_result_desc_find(const char *name);
/* Where a result is shown. A name that is not on the list, of another version's store:
 * SM_SHOWN_MORE. */
enum sm_shown sm_result_shown(const char *name);

#endif
