/* probe.h: may a byte be read, written? Asked of the kernel, so that the answer no is no crash. */
#ifndef SM_TESTS_SUPPORT_PROBE_H
#define SM_TESTS_SUPPORT_PROBE_H

#include <stdbool.h>

bool probe_readable(const void *p);
bool probe_writable(void *p); /* the byte keeps its value */

#endif
