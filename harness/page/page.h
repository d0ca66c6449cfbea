/*
 * page.h: runs of a store as one HTML file that needs nothing else: no server, no network, no
 * script for what it says.
 *
 * What a reader sees, in this order: what was measured and where; the answer (ratios against a
 * baseline, what a tuning found, or the figures themselves); results with their distributions;
 * waits; heap over time; counters; the machine with its threads; everything else that was noted.
 *
 *   page.c     the frame of the document, and its sections in order
 *   answer.c   the head, verdicts, ratios     results.c   tables of results, distributions
 *   waits.c    histograms, heap over time     counters.c  counts by role and phase
 *   machine.c  cores and who is on them       tuning.c    curves and Pareto front
 *   html.c, grid.c, chart.c, chart_lines.c   what the sections are made of
 *   page.css, page.js                         inside the file; their hashes are its policy
 *
 * The policy lets nothing load and nothing run but that script, which sorts and filters tables.
 */
#ifndef SM_HARNESS_PAGE_PAGE_H
#define SM_HARNESS_PAGE_PAGE_H

#include <stdio.h>

#include "harness/compare/compare.h"

/* One comparison with the baseline. */
struct sm_page_ratio {
	const struct sm_side *base, *other;
	const struct sm_comparison *c; /* judged */
};

struct sm_page {
	const struct sm_side *runs; /* each a whole run, with its report */
	size_t nruns;
	const struct sm_page_ratio *ratios; /* all to the same base */
	size_t nratios;
	double margin; /* with which they were judged */
};

/* 0, -ENOMEM; what could not be written, out tells. */
int sm_page_write(const struct sm_page *page, FILE *out);

#endif
