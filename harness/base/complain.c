/*
 * complain.c: the one way a message for the user leaves the command.
 */
#include "harness/base/complain.h"

#include <stdarg.h>
#include <stdio.h>

void sm_complain(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* The message may quote foreign text: no escape sequences, no second line. */
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	fprintf(stderr, "spanmark: %s\n", line);
}
