/* say.c: lines for people; the last one of a process too. */
#include "allocator/base/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/base/syscall.h"

void sm__say_line(const char *text, size_t len)
{
	/* A message that cannot be written is dropped. */
	(void)sm__syscall6(SYS_write, STDERR_FILENO, (long)text, (long)len, 0, 0, 0);
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

static _Atomic(bool) silent;

void sm__say_nothing(bool on)
{
	sm_store_relaxed(&silent, on);
}

void sm__say(const char *fmt, ...)
{
	char text[512] = "spanmark: ";
	va_list args;

	if (sm_load_relaxed(&silent))
		return;
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
