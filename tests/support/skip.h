/* skip.h: a case that this machine cannot run says so; tests/run.sh lists these lines. */
#ifndef SM_TESTS_SUPPORT_SKIP_H
#define SM_TESTS_SUPPORT_SKIP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* 1 where a sanitizer has a malloc of its own, 0 elsewhere. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SM_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SM_SANITIZED 1
#endif
#endif
#ifndef SM_SANITIZED
#define SM_SANITIZED 0
#endif

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
