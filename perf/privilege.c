/* privilege.c: see privilege.h. */
#include "perf/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

extern char **environ;

struct caps {
	struct __user_cap_data_struct d[2];
};

static int get_caps(struct caps *c)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &h, c->d) ? -errno : 0;
}

static int set_caps(const struct caps *c)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &h, c->d) ? -errno : 0;
}

static bool has(uint32_t lo, uint32_t hi, unsigned cap)
{
	return cap < 32 ? lo >> cap & 1 : hi >> (cap - 32) & 1;
}

bool sm_privilege_elevated(void)
{
	return getauxval(AT_SECURE) != 0;
}

bool sm_privilege_has_perfmon(void)
{
	struct caps c;

	if (get_caps(&c))
		return false;
	return has(c.d[0].effective, c.d[1].effective, CAP_PERFMON) ||
	       has(c.d[0].effective, c.d[1].effective, CAP_SYS_ADMIN);
}

/* What the loader, libc, hwloc, libpfm4, SQLite and our own folders listen to. */
bool sm_privilege_hostile_variable(const char *name)
{
	static const char *const prefixes[] = {
		"HWLOC_",  "LIBPFM_", "LD_",	    "MALLOC_", "SPANMARK_",   "SM_",
		"SQLITE_", "XDG_",    "VALGRIND",   "GLIBC_",  "GCONV_",      "ASAN_",
		"UBSAN_",  "TSAN_",   "LSAN_",	    "PERF_",   "HOSTALIASES", "LOCPATH",
		"NLSPATH", "TMPDIR",  "RES_OPTIONS"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void clean_environment(void)
{
	char name[256];

	/* unsetenv moves the array up: look at the same place again. */
	for (char **e = environ; e != NULL && *e;) {
		size_t n = strcspn(*e, "=");

		if (!sm_privilege_hostile_variable(*e) || n >= sizeof(name)) {
			e++;
			continue;
		}
		memcpy(name, *e, n);
		name[n] = '\0';
		if (unsetenv(name))
			e++;
	}
}

/* File capabilities without the effective bit (cap_perfmon=p) arrive permitted but switched off. */
static void switch_on_perfmon(void)
{
	struct caps c;

	if (get_caps(&c) || !has(c.d[0].permitted, c.d[1].permitted, CAP_PERFMON))
		return;
	c.d[1].effective |= 1u << (CAP_PERFMON - 32);
	set_caps(&c);
}

int sm_privilege_init(char *err, size_t errlen)
{
	if (geteuid() != getuid() || getegid() != getgid()) {
		snprintf(err, errlen,
			 "refusing to run setuid or setgid; allowed: setcap cap_perfmon=p on the "
			 "file");
		return -EPERM;
	}
	if (!sm_privilege_elevated())
		return 0;
	clean_environment();
	switch_on_perfmon();
	return 0;
}

int sm_privilege_drop(void)
{
	struct caps none = {0}, now;
	int rc;

	if (!sm_privilege_elevated())
		return 0;
	rc = set_caps(&none);
	if (rc)
		return rc;
	rc = get_caps(&now);
	if (rc)
		return rc;
	return memcmp(&now, &none, sizeof(now)) != 0 ? -EIO : 0;
}
