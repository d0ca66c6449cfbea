/*
 * Counter sets as text files.
 *
 *   [set]
 *   name = cache
 *   title = Where loads were served
 *
 *   [metric l1d_mpki]                     ; a column; without `formula` it is the event of that
 *                                         name
 *   formula = 1000 * l1d_miss / instructions
 *   unit = misses/kinsn
 *   better = less                         ; or more; without it: none, neither way is
 *   help = L1D misses per 1000 instructions
 *
 *   [pmu skx icx]                         ; the events behind the names, for these
 *                                         microarchitectures
 *   l1d_miss = MEM_LOAD_RETIRED:L1_MISS   ; "skx::" and "icx::" are put in front
 *   [pmu arm_ac72]
 *   l1d_miss = r003                       ; raw codes, pmu/.../ and sw:: strings stay as they are
 *   [pmu generic]                         ; microarchitectures without a section of their own
 *   [pmu any]                             ; all (software metrics); own sections win
 *   [pmu callgrind]                       ; source sim: sim::Ir and so on
 *
 * Formulas (expr.h) may use the events, `ops` (operations of the workload) and `seconds` (time in
 * the region). Built-in sets are compiled in; a file of the same set name in the user's folder
 * replaces one.
 */
#ifndef SM_PERF_SETFILE_H
#define SM_PERF_SETFILE_H

#include "perf/better.h"
#include "perf/events.h"
#include "perf/expr.h"

struct sm_set_metric {
	char name[SM_EXPR_NAME];
	char formula[160]; /* "" = the event of that name */
	char unit[24];
	char help[120];
	enum sm_better better;
	/* table.ini alone: */
	char title[16];
	bool per_op;
};

struct sm_set_mapping {
	char pmu[32];
	char event[SM_EXPR_NAME];
	char string[SM_EVENT_STRING]; /* qualified */
};

struct sm_setfile {
	char name[32];
	char title[96];
	char origin[256]; /* "built in" or the file's path */
	unsigned n_metrics, n_maps;
	struct sm_set_metric *metrics;
	struct sm_set_mapping *maps;
};

/*
 * Parses one file's text. 0 and *out (free with sm_setfile_free), -EINVAL with "origin:line: what"
 * in err, -ENOMEM.
 */
int sm_setfile_parse(const char *text, const char *origin, struct sm_setfile **out, char *err,
		     size_t errlen);
int sm_setfile_read(const char *path, struct sm_setfile **out, char *err, size_t errlen);
void sm_setfile_free(struct sm_setfile *s);

/*
 * A set by name: first <user_dir>/NAME.ini, then the built-in ones; a name with a slash or ending
 * in .ini is a path. -ENOENT with the list of what exists.
 */
int sm_setfile_find(const char *name, const char *user_dir, struct sm_setfile **out, char *err,
		    size_t errlen);

/* What the built-in sets and the table say of a metric; NEITHER where none of them has it. */
enum sm_better sm_setfile_better(const char *metric);

/* perf/sets/table.ini: the columns of the table. NULL when out of memory. */
struct sm_setfile *sm_setfile_table(void);

/* Names of the built-in sets, NULL after the last; and their texts. */
const char *sm_setfile_builtin_name(unsigned i);
const char *sm_setfile_builtin_text(unsigned i);

/*
 * The user's folder: $SPANMARK_SETS, else $XDG_CONFIG_HOME/spanmark/sets, else
 * ~/.config/spanmark/sets. "" when the process runs with raised privileges (privilege.h) or there
 * is no home.
 */
void sm_setfile_user_dir(char *buf, size_t len);

/* The mapping of an event for a microarchitecture: its own section, then `any`, then `generic`.
 * NULL: none. */
const struct sm_set_mapping *sm_setfile_map(const struct sm_setfile *s, const char *uarch,
					    const char *event);

#endif
