/*
 * table.h: the parts of the table writer: writer_table.c prints the head, and what workloads said
 * and samples warned of, table_results.c a line for each case, table_counters.c counters,
 * table_cases.c what tells cases apart, waits and objects by size class, table_notes.c what one
 * must know to read them; table_text.c is what they share.
 *
 * There are two tables. That of --wide has everything. The other answers first: columns without
 * a value are named in a line, small phases are joined (summary.h), and where the counts of a case
 * fit beside its results they stand there, so that the rows by phase are those of the cases that
 * have more than one, and of them those whose counts say more: of the others the times are a line a
 * case, with the counts behind them where the collector alone has some.
 */
#ifndef SM_HARNESS_TABLE_H
#define SM_HARNESS_TABLE_H

#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "workloads/results.h"

#define SM_TABLE_NOTES 9 /* a digit behind n/a */

/* Columns that are not printed, for one reason. */
struct sm_left_out {
	const char *reason, *remedy;
	char names[120];
};

/* What tells cases apart, each line once made: [record] of the case, where it begins, from 1. */
struct sm_case_lines {
	FILE *file;
	char *text;
	size_t len, *at;
};

/* The row that has all mutators of a case (SIZE_MAX: none, or several kinds of cores have their
 * own), and how many phases are a part of it that counts. */
struct sm_whole {
	size_t row;
	unsigned phases;
};

/* What varies between the cases of each workload and backend, found once for a table. */
struct sm_families {
	struct sm_family *v;
	size_t n, *of; /* [record] of the case, where it begins */
};

struct sm_table {
	const struct sm_report *r;
	const struct sm_writer *w;
	FILE *out;
	size_t width;
	bool narrow; /* names of cases have lines of their own */
	int backend; /* width of the column */
	struct sm_summary summary;
	struct sm_whole *wholes; /* [record] of the case, where it begins */
	bool *shown; /* the summary's columns: some cell has a value, or the table is wide */
	bool beside; /* the counts of a case stand beside its results */
	bool told;   /* cases told results of their own, below theirs */
	bool few;    /* rows by phase that have counts: they stand among those of times */
	bool rows;   /* there are rows by phase */
	bool results[SM_RESULT_COUNT]; /* is a column */
	struct sm_left_out left_out[SM_TABLE_NOTES];
	size_t nleft_out;
	struct sm_families families;
	struct sm_case_lines lines;
	int passes;			   /* counter passes of the run */
	const char *notes[SM_TABLE_NOTES]; /* reasons, [0] is note 1 */
	size_t nnotes;
	bool scaled, outliers, doubted; /* a mark was printed: explain it */
	bool partly, parts, joined;	/* "2/3" was; totals of medians were; `other` was */
	bool intervals;
};
#define SM_TABLE_BACKEND 15 /* letters of a backend's name */

/* Colour is decoration only: "" where there is none. */
static inline const char *sm__table_sgr(const struct sm_table *t, const char *sgr)
{
	return t->w->color ? sgr : "";
}
#define SM_BOLD(t)  sm__table_sgr(t, "\033[1m")
#define SM_DIM(t)   sm__table_sgr(t, "\033[2m")
#define SM_RED(t)   sm__table_sgr(t, "\033[31m")
#define SM_PLAIN(t) sm__table_sgr(t, "\033[0m")

/* ---- table_text.c ------------------------------------------------------------------------- */

/* First record of each group: calls fn with its index. */
void sm__table_each_group(struct sm_table *t, void (*fn)(struct sm_table *t, size_t first));
size_t sm__table_group_end(const struct sm_report *r, size_t first);
/* The group's first record with results; NULL. */
const struct sm_record *sm__table_with_results(const struct sm_report *r, size_t first);

/* Words separated by two blanks, wrapped at the table's width under an indent. */
struct sm_wrap {
	FILE *out;
	size_t indent, col, width;
};
void sm__table_wrap_word(struct sm_wrap *w, const char *word);
/* Text wrapped at blanks, at SM_TABLE_WIDTH or the table's; `head` stands in front of the first
 * line, indent wide. */
void sm__table_wrap_text(FILE *out, const char *head, size_t indent, const char *text);
/* Each text of the list behind `head`, wrapped. */
void sm__table_list(FILE *out, const char *head, const struct sm_strings *list);
void sm__table_wrap(struct sm_table *t, const char *head, size_t indent, const char *text);

/* The first two columns of every table; blank unless shown. Where it is narrow they stand above the
 * row instead. */
#define SM_NAMES_WIDTH(t) ((t)->narrow ? 1 : 13 + (t)->backend)
void sm__table_put_heads(struct sm_table *t);
void sm__table_put_names(struct sm_table *t, const struct sm_record *rec, bool shown);
/* "n/a", with the number of the reason's note. */
void sm__table_put_na(struct sm_table *t, int width, const char *reason);
/* The median of a result of the group. */
void sm__table_put_result(struct sm_table *t, size_t first, const struct sm_result_desc *what,
			  int width);

/* The column is not printed: to be told with the others of that reason. */
void sm__table_leave_out(struct sm_table *t, const char *title, const char *reason,
			 const char *remedy);

/* ---- table_cases.c ------------------------------------------------------------------------ */

/* 0 or -ENOMEM; to be freed in every case. */
int sm__table_find_families(struct sm_table *t);
void sm__table_free_families(struct sm_families *f);
/* Another group of the same workload and backend: then a line of what differs tells them apart. */
bool sm__table_has_twin(const struct sm_table *t, size_t first);
void sm__table_case_line(struct sm_table *t, size_t first);
/* 0 or -ENOMEM; to be closed in every case. */
int sm__table_lines_open(struct sm_case_lines *l, size_t nrecords);
void sm__table_lines_close(struct sm_case_lines *l);

/* ---- the parts ---------------------------------------------------------------------------- */

/* Which columns there are; before anything is printed. */
void sm__table_choose(struct sm_table *t);
void sm__table_results(struct sm_table *t);
/* Which row of each case is its whole. 0 or -ENOMEM. */
int sm__table_find_wholes(struct sm_table *t);
int sm__table_cell_width(const struct sm_column *c);
void sm__table_put_cell(struct sm_table *t, const struct sm_cell *cell, const struct sm_column *c);
void sm__table_counters(struct sm_table *t);
void sm__table_stalls(struct sm_table *t);
/* What marking an object took mark workers, where that was counted. */
void sm__table_marked(struct sm_table *t);
/* With --wide, of cases that marked by span: by size class, how objects came to be scanned. */
void sm__table_spans(struct sm_table *t);
void sm__table_notes(struct sm_table *t);
/* writer_table.c: each once however often it was found. */
void sm__table_warnings(struct sm_table *t);
/* The line's words without their numbers: what makes two of them one. malloc'ed; NULL when out of
 * memory. */
char *sm__table_without_digits(const char *line, size_t len);

#endif
