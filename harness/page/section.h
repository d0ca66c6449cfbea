/*
 * section.h: what the sections of the page share. A section prints nothing at all, heading
 * included, where it has nothing to show. Each returns 0 or -ENOMEM.
 */
#ifndef SM_HARNESS_PAGE_SECTION_H
#define SM_HARNESS_PAGE_SECTION_H

#include <cjson/cJSON.h>

#include "harness/page/html.h"
#include "harness/page/page.h"
#include "harness/report/summary.h"
#include "workloads/results.h"

/* One run, as sections see it. */
struct sm_section {
	FILE *out;
	FILE *contents; /* a list entry for each section */
	const struct sm_page *page;
	const struct sm_side *side;
	const struct sm_report *r;
	size_t index; /* of the run on the page, from 0 */
	bool several; /* runs: then headings name this one */
	struct sm__cases cases;
	cJSON *environment;
};

/* "<section id=..><h2>title</h2>", with the run where there are several. */
void sm__section_begin(struct sm_section *s, const char *id, const char *title);
void sm__section_end(struct sm_section *s);
/* A paragraph. */
void sm__section_note(struct sm_section *s, const char *text);
/* "churn ops=1000 · gc gc.mode=stw" of a case. */
void sm__case_text(const struct sm__case *c, char *buf, size_t len);
/* The record that stands for the case: its first good one with results; NULL. */
const struct sm_record *sm__case_record(const struct sm_report *r, const struct sm__case *c);

/* answer.c; these two are of the page as a whole. */
void sm__page_head(const struct sm_page *page, struct sm_section *runs, FILE *out);
int sm__page_ratios(const struct sm_page *page, FILE *out, FILE *contents);
/* The headline of a case: time of an operation, else of the whole. NULL: it has neither. */
const char *sm__headline(const struct sm_report *r, const struct sm__case *c);

int sm__section_results(struct sm_section *s);
int sm__section_distributions(struct sm_section *s);
int sm__section_waits(struct sm_section *s);
int sm__section_memory(struct sm_section *s);
int sm__section_counters(struct sm_section *s);
int sm__section_tuning(struct sm_section *s);
int sm__section_machine(struct sm_section *s);
int sm__section_notes(struct sm_section *s);

/* ---- grid.c ------------------------------------------------------------------------------ */

/* A table in a frame that scrolls by itself; `name` is its caption. Columns: a head cell each,
 * numbers right. */
void sm__grid_begin(FILE *out, const char *id, const char *name);
void sm__grid_head(FILE *out, const char *title, bool number, const char *hint);
void sm__grid_body(FILE *out); /* behind the head cells */
void sm__grid_end(FILE *out);
/* A number in its unit, with the interval below where there is one. */
void sm__grid_value(FILE *out, const struct sm_stats *s, const char *unit, const char *marks);
void sm__grid_number(FILE *out, double v, const char *unit);
/* n/a, with the number of its reason. */
struct sm__reasons {
	const char *v[32];
	size_t n;
};
void sm__grid_na(FILE *out, struct sm__reasons *known, const char *reason);
void sm__grid_reasons(FILE *out, const struct sm__reasons *known);

#endif
