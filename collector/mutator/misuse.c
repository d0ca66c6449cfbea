/*
 * misuse.c: one line for a call that must not be made.
 */
#include "collector/mutator/misuse.h"
#include "allocator/base/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* One line in one write, without stdio's buffers or malloc: the process may be in any state. */
void sm__misuse(const char *call, const void *address, const char *fmt, ...)
{
	char text[400];
	va_list args;
	int n = snprintf(text, sizeof(text), "spanmark: %s: thread %ld: %p: ", call,
			 syscall(SYS_gettid), address);

	va_start(args, fmt);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	if (n > (int)sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n++] = '\n';
	sm__say_line(text, (size_t)n);
	abort();
}

void sm__check_call(const struct sm_mutator *m, const char *call)
{
	sm__check_caller(m, call);
}

void sm__misuse_mutator(const char *call, const struct sm_mutator *m)
{
	if (m == NULL)
		sm__misuse(call, m, "no mutator");
	if (m->priv->owner == NULL)
		sm__misuse(call, m, "the mutator is detached");
	if (m->priv->owner != &sm__self)
		sm__misuse(call, m, "the mutator belongs to thread %d", (int)m->priv->tid);
	sm__misuse(call, m, "the mutator is in a blocking section");
}
