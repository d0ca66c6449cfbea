/* skip.h: a case that this machine cannot run says so; tests/run.sh lists these lines. */
#ifndef SM_TESTS_SUPPORT_SKIP_H
#define SM_TESTS_SUPPORT_SKIP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static inline void sm_case_skipped(const char *function,
									 const char *why, ...)
{
	size_t n = strlen(function);
	va_list ap;

	/* check calls the function of a case NAME_fn. */
	if (n > 3 && strcmp(function + n - 3, "_fn") == 0)
		n -= 3;
	va_start(ap, why);
	printf("SKIP %.*s: ", (int)n, function);
	vprintf(why, ap);
	putchar('\n');
	fflush(stdout);
	va_end(ap);
}

/* Ends the case. */
#define SM_SKIP(...)                                    \
	do {                                            \
		sm_case_skipped(__func__, __VA_ARGS__); \
		return;                                 \
	} while (0)

#endif
