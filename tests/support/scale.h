/*
 * How much of its random or repeated work a test does: SM_TEST_SCALE is a percentage, 100 when it
 * is not set. Emulated machines, which are ten times slower, set less; a long hunt for a rare
 * failure sets more.
 */
#ifndef SM_TESTS_SUPPORT_SCALE_H
#define SM_TESTS_SUPPORT_SCALE_H

#include <stdlib.h>

#include "allocator/base/base.h"

/* n scaled, at least 1. */
static inline unsigned long sm_test_scaled(unsigned long n)
{
	const char *text = getenv("SM_TEST_SCALE");
	unsigned long percent = text ? strtoul(text, NULL, 10) : 100;

	return n * percent / 100 > 0 ? n * percent / 100 : 1;
}

/* Beside heaps of units of 16 KiB: so many times the objects make one of larger units as sparse. */
#define SM_TEST_UNITS (SM_UNIT_SHIFT > 14 ? 1 << (SM_UNIT_SHIFT - 14) : 1)

#endif
