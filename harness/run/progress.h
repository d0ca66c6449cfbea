/*
 * progress.h: what is going on, on stderr: one line that is rewritten, with samples and cases done,
 * the time left and the current case, when it is a terminal; otherwise a line for each tenth of the
 * plan. A sample that failed has a line of its own everywhere. Never on stdout.
 */
#ifndef SM_HARNESS_PROGRESS_H
#define SM_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "harness/plan/record.h"

struct sm_progress {
	FILE *out;
	bool terminal;
	unsigned total, done;
	double *group_s;   /* seconds of finished samples, summed by group */
	unsigned *group_n; /* how many of them */
	unsigned *planned; /* samples of each group that are not done */
	unsigned ngroups;
	unsigned tenths; /* of the plan, that a line was printed for */
	double most_s;	 /* left to the run, whatever is planned; 0: as long as it takes */
	bool shown;	 /* a line is on the terminal now */
	bool partial;	 /* the worker's stderr ended without a newline */
};

/* Can a line be taken back there? Not on a dumb terminal, whose TERM says so, or is not set. */
bool sm_progress_rewrites(bool is_terminal, const char *term);

/*
 * terminal: as sm_progress_rewrites says, or what a test wants. left: samples to run, by group.
 * 0 or -ENOMEM.
 */
int sm_progress_init(struct sm_progress *p, FILE *out, bool terminal, const unsigned *left,
		     unsigned ngroups);
void sm_progress_free(struct sm_progress *p);

/* Every group has so many samples more to run. */
void sm_progress_more(struct sm_progress *p, unsigned each);

void sm_progress_start(struct sm_progress *p, const char *label, unsigned rep, unsigned pass);
void sm_progress_end(struct sm_progress *p, unsigned group, const char *label, unsigned rep,
		     unsigned pass, enum sm_outcome status, const char *message, double took_s);

/* Seconds that the samples not yet done will take, going by those of their group, else by all, but
 * no more than are left; < 0: no idea. */
double sm_progress_left(const struct sm_progress *p);

/* Lets something else be written to stderr, whole pieces of text; the progress line comes back by
 * itself. */
void sm_progress_relay(struct sm_progress *p, const char *data, size_t len);
/* Takes the line off the terminal. */
void sm_progress_clear(struct sm_progress *p);

#endif
