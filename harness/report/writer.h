/*
 * writer.h: a report in the forms that people and programs read. Each writer reads a struct
 * sm_report (store.h) and nothing else; all print the C locale's numbers whatever the user's locale
 * is.
 *
 *   table  rows by workload, role and phase; fits 100 columns; n/a with its reason in a footnote
 *   csv    tidy: one row for each metric of each thread of each sample, and for each result
 *   json   everything: environment, samples, metrics, null with a status and a reason
 *   go     Go's benchmark format, for benchstat: a line for each repetition
 *   markdown     what the table says, as GitHub's tables
 *   openmetrics  what the table says, for Prometheus and its kin
 */
#ifndef SM_HARNESS_WRITER_H
#define SM_HARNESS_WRITER_H

#include <stdio.h>

#include "harness/options/options.h"
#include "harness/store/store.h"
#include "perf/better.h"

#define SM_TABLE_WIDTH 100

struct sm_writer {
	enum sm_format format;
	enum sm_by by;
	bool color;
	unsigned width;	  /* of a table: SM_TABLE_WIDTH, or 80; 0: the former */
	bool wide, waits; /* a table with everything; with the waits by cause */
};

/* Colour and width as --color and the terminal want them, if `out` is one. */
void sm_writer_fit(struct sm_writer *w, enum sm_color color, FILE *out);

/* 0, -ENOMEM, or -EIO with errno when `out` could not be written. */
int sm_report_write(const struct sm_report *r, const struct sm_writer *w, FILE *out);

int sm_write_table(const struct sm_report *r, const struct sm_writer *w, FILE *out);
int sm_write_csv(const struct sm_report *r, FILE *out);
int sm_write_json(const struct sm_report *r, const struct sm_writer *w, FILE *out);
int sm_write_go(const struct sm_report *r, const struct sm_writer *w, FILE *out);
int sm_write_markdown(const struct sm_report *r, const struct sm_writer *w, FILE *out);
int sm_write_openmetrics(const struct sm_report *r, const struct sm_writer *w, FILE *out);

/* The metric as CSV and JSON show it: of a sum over all roles the role is "by-core", "by-node", ..
 */
struct sm_metric sm__writer_metric(const struct sm_metric *m);

/* ---- writer_names.c ----------------------------------------------------------------------- */

typedef void sm_put_fn(FILE *out, const char *text);

/* "graph/objects=200000/edges=4/gc.mode=stw/place=compact/mark_place=shared/workers=1": the case
 * without its backend, malloc'ed; NULL when out of memory. Names and values go through put, NULL:
 * as they are. */
char *sm__writer_case(const struct sm_record *rec, sm_put_fn *put);

struct sm_column; /* summary.h */
/* "cycles_per_op", "time_ns_per_op", "ipc": what a column of counters is called. */
void sm__writer_column(const struct sm_column *c, char *buf, size_t len);

/* What some sample of a report has: a result, or a counter of rows. */
struct sm_figure {
	const char *name, *unit;
	bool counter;
	enum sm_better better;
	/* without noise: decided by the options, or simulated, and the same in all repetitions of
	 * each case, of which one has several */
	bool exact;
	/* in the making: its last value in the results of a case */
	bool known, again, varies;
	unsigned group;
	double value;
};

/* In the order of appearance. */
struct sm_figures {
	struct sm_figure *v;
	size_t n, last;
};

/* 0 or -ENOMEM; to be freed in every case. */
int sm__writer_figures(const struct sm_report *r, struct sm_figures *f);
void sm__writer_figures_free(struct sm_figures *f);

/* ---- output.c: where the report goes ------------------------------------------------------ */

/*
 * A file that appears under its name only when it is complete: written beside it, then renamed.
 * Opened before anything is measured, so that an unwritable place is found out then.
 */
struct sm_output {
	FILE *file; /* stdout when path is NULL */
	/* as given; symbolic links are followed, the file they lead to is replaced */
	char *path;
	char *temporary;    /* NULL: written in place (a device, a pipe) */
	const char *option; /* that names it, for messages */
};

/* path NULL or "-": standard output. 0 or -errno and one line in err. */
int sm_output_open(struct sm_output *o, const char *path, char *err, size_t errlen);
/* The same for another option than --output. */
int sm_output_open_as(struct sm_output *o, const char *option, const char *path, char *err,
		      size_t errlen);
/* commit false: the temporary file goes, what was there stays. 0 or -errno and one line in err. */
int sm_output_close(struct sm_output *o, bool commit, char *err, size_t errlen);

/* Would the output replace the store, or a file that SQLite keeps beside it? Neither need exist. */
bool sm_output_hits_store(const char *path, const char *store);
/* Writes a report that could not be written where it should to a new file among the temporary ones,
 * whose name goes to path, 512 bytes at least. 0, or -EIO where no folder takes it. */
int sm_report_rescue(const struct sm_report *r, const struct sm_writer *w, char *path, size_t len);

/* Removes the temporary files of outputs that are open, two at most: for a signal's handler. */
void sm_output_abandon(void);

#endif
