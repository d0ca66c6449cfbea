/* better.h: which direction of a figure is better. Stated for results in workloads/results.def and
 * for counters in the sets (`better = less`); what states none is never called better or worse. */
#ifndef SM_PERF_BETTER_H
#define SM_PERF_BETTER_H

enum sm_better { SM_BETTER_NEITHER, SM_BETTER_LESS, SM_BETTER_MORE };

/* "none", "less", "more"; NULL after the last (perf/names.h). */
extern const char *const sm_better_names[];

#endif
