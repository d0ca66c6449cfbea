/*
 * say.h: how anything in allocator and collector writes for people: a line in one write to
 * descriptor 2, without stdio or malloc, whatever state the process is in. errno is kept.
 */
#ifndef SM_ALLOCATOR_SAY_H
#define SM_ALLOCATOR_SAY_H

#include <stdbool.h>
#include <stddef.h>

/* "spanmark: ", the text, and a newline; cut at 511 bytes. Not for signal handlers: it formats. */
void sm__say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * From here on sm__say says nothing: in a program that only preloads us, descriptor 2 may be its
 * data file. What ends the process (sm__fatal) is said all the same.
 */
void sm__say_nothing(bool on);
/* A whole line as it is, newline included. Safe in signal handlers. */
void sm__say_line(const char *text, size_t len);

#endif
