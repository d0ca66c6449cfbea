/* deny.h: makes the kernel refuse a system call in this process and its children, for good. */
#ifndef SM_TESTS_SUPPORT_DENY_H
#define SM_TESTS_SUPPORT_DENY_H

#include <stdbool.h>

/* From here on system call `nr` (SYS_*) fails with errno err, in the calling thread and what it
 * starts. False: this kernel has no seccomp filters. */
bool deny_syscall(long nr, int err);

#endif
