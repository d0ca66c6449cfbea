/*
 * Did you mean? The name in a list that is most like the one that was typed.
 */
#ifndef SM_HARNESS_SUGGEST_H
#define SM_HARNESS_SUGGEST_H

#include <stddef.h>

/* The nearest of `names` within a distance that a typing slip explains (a third of the word), or
 * NULL. */
const char *sm_suggest(const char *typed, const char *const *names, size_t n);

/*
 * One line into err: `unknown WHAT 'typed'; did you mean 'x'? allowed: a, b, c`. A long list is cut
 * after the line's length, with its number of further names.
 */
void sm_suggest_error(char *err, size_t errlen, const char *what, const char *typed,
		      const char *const *names, size_t n);

#endif
