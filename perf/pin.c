/* pin.c: binding and verification; see pin.h. */
#include "perf/pin.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CPUS (1 << 20)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static cpu_set_t *initial;
static size_t initial_size;

static int say(char *why, size_t len, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int say(char *why, size_t len, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why != NULL && len)
		vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return code;
}

/* The calling thread's mask in a set that the kernel finds large enough; free with CPU_FREE. */
static cpu_set_t *read_mask(size_t *size)
{
	for (int bits = 1024; bits <= MAX_CPUS; bits *= 2) {
		cpu_set_t *set = CPU_ALLOC(bits);

		*size = CPU_ALLOC_SIZE(bits);
		if (set == NULL)
			return NULL;
		if (!sched_getaffinity(0, *size, set))
			return set;
		CPU_FREE(set);
		if (errno != EINVAL)
			return NULL;
	}
	return NULL;
}

static void remember(void)
{
	initial = read_mask(&initial_size);
}

int sm_pin_current(int *node_os)
{
	unsigned cpu = 0, node = 0;

	if (syscall(SYS_getcpu, &cpu, &node, NULL))
		return -1;
	if (node_os != NULL)
		*node_os = (int)node;
	return (int)cpu;
}

int sm_pin_verify(int pu_os, char *why, size_t whylen)
{
	size_t size;
	cpu_set_t *set = read_mask(&size);
	int count, here;
	bool has;

	if (set == NULL)
		return say(why, whylen, -errno,
			   "CPU %d: cannot read the binding back: sched_getaffinity: %s", pu_os,
			   strerror(errno));
	count = CPU_COUNT_S(size, set);
	has = pu_os >= 0 && CPU_ISSET_S(pu_os, size, set);
	CPU_FREE(set);
	if (!has || count != 1)
		return say(why, whylen, -EIO,
			   "CPU %d: the binding did not take: the mask now holds %d CPUs%s", pu_os,
			   count, has ? "" : " and not this one");
	here = sm_pin_current(NULL);
	if (here >= 0 && here != pu_os)
		return say(why, whylen, -EIO,
			   "CPU %d: the thread is bound there but runs on CPU %d", pu_os, here);
	return 0;
}

int sm_pin_thread(int pu_os, char *why, size_t whylen)
{
	size_t size;
	cpu_set_t *set;
	int rc;

	pthread_once(&once, remember);
	if (pu_os < 0 || pu_os >= MAX_CPUS)
		return say(why, whylen, -EINVAL, "CPU %d: no such CPU", pu_os);
	set = CPU_ALLOC(pu_os + 1);
	size = CPU_ALLOC_SIZE(pu_os + 1);
	if (set == NULL)
		return say(why, whylen, -ENOMEM, "CPU %d: out of memory", pu_os);
	CPU_ZERO_S(size, set);
	CPU_SET_S(pu_os, size, set);
	rc = sched_setaffinity(0, size, set) ? -errno : 0;
	CPU_FREE(set);
	if (rc == -EINVAL)
		return say(why, whylen, rc,
			   "CPU %d: not available: offline, outside the cpuset, or no such CPU",
			   pu_os);
	if (rc)
		return say(why, whylen, rc, "CPU %d: sched_setaffinity: %s", pu_os, strerror(-rc));
	return sm_pin_verify(pu_os, why, whylen);
}

int sm_pin_release(void)
{
	pthread_once(&once, remember);
	if (initial == NULL)
		return -ENOMEM;
	return sched_setaffinity(0, initial_size, initial) ? -errno : 0;
}

long sm_pin_moves(void)
{
	char line[160];
	long moves = -1;
	FILE *f = fopen("/proc/thread-self/sched", "re");

	while (f != NULL && moves < 0 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "se.nr_migrations : %ld", &moves) != 1)
			moves = -1;
	if (f != NULL)
		fclose(f);
	return moves;
}

int sm_pin_avoid(const int *pus_os, unsigned n)
{
	cpu_set_t *left;
	int rc = sm_pin_release();

	if (rc != 0)
		return rc;
	left = malloc(initial_size);
	if (left == NULL)
		return -ENOMEM;
	memcpy(left, initial, initial_size);
	for (unsigned i = 0; i < n; i++)
		if (pus_os[i] >= 0)
			CPU_CLR_S(pus_os[i], initial_size, left);
	if (CPU_COUNT_S(initial_size, left) == 0)
		rc = -EBUSY;
	else if (sched_setaffinity(0, initial_size, left) != 0)
		rc = -errno;
	free(left);
	return rc;
}
