#include "allocator/base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One line in one write, without stdio's buffers or malloc: the process may be in any state. */
void sm__fatal(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n = snprintf(text, sizeof(text), "spanmark: %s:%d: ", file, line);

	va_start(args, fmt);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	if (n > (int)sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(134);
	abort();
}
