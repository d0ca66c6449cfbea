/*
 * Running with a little more than the user's rights.
 *
 * The command never is setuid and never writes a sysctl. Where an administrator wants users to
 * count kernel mode or whole packages, the file gets one capability: `setcap cap_perfmon=p
 * spanmark`. Then
 *
 *   1. sm_privilege_init(), first thing in main(): the loader says that this process has more
 *   rights than its user
 *      (AT_SECURE). The environment is stripped of everything that libraries below us would obey
 *      (HWLOC_*, LIBPFM_*, LD_*, GLIBC_TUNABLES, ...), and CAP_PERFMON is switched on if the file
 *      grants it.
 *   2. counters are opened: by each thread for itself (sm_region_thread_open, which then drops the
 *   capability of any
 *      thread but the main one), packages by the main thread (sm_uncore_open)
 *   3. sm_privilege_drop() by the main thread once its threads are started: the capability is gone
 *   for good, the descriptors
 *      stay. Threads that are started later never had it.
 *
 * Capabilities are per thread; starting the worker process anew (exec) gives it the file's
 * capability again.
 */
#ifndef SM_PERF_PRIVILEGE_H
#define SM_PERF_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * 0; -EPERM with a message when the program is setuid or setgid, which it refuses to be. Not
 * thread-safe: it changes the environment.
 */
int sm_privilege_init(char *err, size_t errlen);

/* More rights than the user's own (AT_SECURE)? */
bool sm_privilege_elevated(void);

/* May the calling thread use CAP_PERFMON (or CAP_SYS_ADMIN, which older kernels ask for)? */
bool sm_privilege_has_perfmon(void);

/*
 * Drops every capability of the calling thread if the process is elevated, and checks that they are
 * gone. 0 (also when there was nothing to drop) or -errno.
 */
int sm_privilege_drop(void);

/* Would this variable be removed from an elevated process's environment? For tests and the curious.
 */
bool sm_privilege_hostile_variable(const char *name);

#endif
