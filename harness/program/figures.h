/*
 * figures.h: figures out of what a program prints: --metric NAME=REGEX.
 *
 * The expression is an extended one of POSIX, matched a line at a time (\r ends one too); its first
 * group is the number. Of all lines the last that matches counts, and in it the last match.
 *
 * A program may print without end: of each stream the first 64 KiB and the last 512 KiB are kept.
 */
#ifndef SM_HARNESS_PROGRAM_FIGURES_H
#define SM_HARNESS_PROGRAM_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what was printed --------------------------------------------------------------------- */

#define SM_KEPT_HEAD ((size_t)64 << 10)
#define SM_KEPT_TAIL ((size_t)512 << 10)

/* Starts as {0}. What does not fit because memory is short is lost. */
struct sm_kept {
	char *head, *tail; /* tail: room for twice SM_KEPT_TAIL, its end is what counts */
	size_t nhead, ntail;
	uint64_t total; /* bytes printed */
};

void sm_kept_take(struct sm_kept *k, const char *data, size_t n);
/* Head and tail in one, NUL-terminated; a line between them says how much is left out. malloc'ed,
 * NULL when out of memory. */
char *sm_kept_text(const struct sm_kept *k, size_t *len);
void sm_kept_free(struct sm_kept *k);

/* ---- figures ------------------------------------------------------------------------------ */

#define SM_FIGURE_NAME 48

/* Splits and checks NAME=REGEX. 0, or -EINVAL and one line in err. */
int sm_figure_check(const char *text, char *err, size_t errlen);

/*
 * The figure from the first text that has it (each NUL-terminated; line ends in them become NULs).
 * false: why there is none.
 */
struct sm_text {
	char *text;
	size_t len;
};
/* Does a line of it match? No group is needed. */
bool sm_text_matches(const char *regex, struct sm_text *t);
bool sm_figure_find(const char *regex, struct sm_text *texts, unsigned n, double *value, char *why,
		    size_t whylen);

#endif
