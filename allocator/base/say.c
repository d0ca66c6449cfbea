/* say.c: lines for people; the last one of a process too. */
#include "allocator/base/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "allocator/base/base.h"

void sm__say_line(const char *text, size_t len)
{
	int saved = errno;
	ssize_t n = write(STDERR_FILENO, text, len);

	(void)n; /* nobody listens: nothing better to do */
	errno = saved;
}

/* Formats behind the first `at` bytes; cuts what is too long, ends with a newline. */
static void say(char *text, size_t len, int at, const char *fmt, va_list args)
{
	int n = vsnprintf(text + at, len - (size_t)at - 1, fmt, args);

	at += n < 0 ? 0 : n;
	at = at > (int)len - 2 ? (int)len - 2 : at;
	text[at++] = '\n';
	sm__say_line(text, (size_t)at);
}

void sm__say(const char *fmt, ...)
{
	char text[512] = "spanmark: ";
	va_list args;

	va_start(args, fmt);
	say(text, sizeof(text), 10, fmt, args);
	va_end(args);
}

void sm__fatal(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n = snprintf(text, sizeof(text), "spanmark: %s:%d: ", file, line);

	va_start(args, fmt);
	say(text, sizeof(text), n, fmt, args);
	va_end(args);
	abort();
}
