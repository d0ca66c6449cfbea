/*
 * setfile.h: the file of settings that `spanmark tune` writes, as the libraries read it:
 * SPANMARK_CONFIG=FILE in the environment of any program.
 *
 *     [machine]
 *     identity = AMD EPYC 9R14, 2 CPUs
 *     [set]
 *     cache.window = 64k
 *
 *     [run]
 *     workers = 4
 *
 * A setting means what it means to `spanmark run --config FILE`, and is written the same way
 * (initext.h) on one line. Of the command's options, [run], workers alone is a setting of
 * collectors, gc.workers: a library places no thread. Other sections are the command's.
 *
 * Read in a process that may not allocate yet: a few system calls and a buffer of its own.
 */
#ifndef SM_ALLOCATOR_SETFILE_H
#define SM_ALLOCATOR_SETFILE_H

#include "allocator/base/base.h"

#define SM_SETFILE_VARIABLE "SPANMARK_CONFIG"
#define SM_MACHINE_MAX	    128

/*
 * "AMD EPYC 9R14, 2 CPUs": the model as /proc/cpuinfo names it (on ARM64 implementer and part),
 * and the CPUs that it lists. Machines of one kind have the same line. "unknown" where the kernel
 * does not say.
 */
void sm__machine(char *buf, size_t len);

/* Takes a setting. 0, or -errno and one line in err; -ENOENT: it is another part's. */
typedef int sm_setting_fn(void *ctx, const char *key, const char *value, char *err, size_t errlen);

/*
 * Hands each setting of the file that SPANMARK_CONFIG names to fn; without the variable, nothing.
 * What is wrong is one line on descriptor 2 (say.h) that names file and line, and is skipped; a
 * file from another kind of machine is one line, too, once a process.
 */
void sm__setfile_read(sm_setting_fn *fn, void *ctx);

#endif
