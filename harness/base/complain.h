/*
 * complain.h: what leaves the command for the user when something is wrong: one line, one status.
 */
#ifndef SM_HARNESS_COMPLAIN_H
#define SM_HARNESS_COMPLAIN_H

enum { SM_EXIT_OK = 0, SM_EXIT_FAILED = 1, SM_EXIT_USAGE = 2, SM_EXIT_BEYOND = 3 };

/* "spanmark: " and the message on stderr, one line, control characters made harmless. */
void sm_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
