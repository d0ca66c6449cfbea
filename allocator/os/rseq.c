/* rseq.c: whether restartable sequences can be used, and the fence that drains another CPU's slab.
 */
#include "allocator/os/rseq.h"

#include <linux/membarrier.h>

#include "allocator/base/atomic.h"
#include "allocator/base/config.h"
#include "allocator/base/syscall.h"

/* glibc 2.35 and newer; weak, so that an older one is found out at run time. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

ptrdiff_t sm__rseq_area_offset;

static int membarrier(int cmd, unsigned flags, int cpu)
{
	return (int)sm__syscall6(SYS_membarrier, cmd, flags, cpu, 0, 0, 0);
}

#if SM_HAVE_RSEQ
bool sm__rseq_usable(const char **why)
{
	if (&__rseq_size == NULL || &__rseq_offset == NULL) {
		*why = "this C library does not register them";
		return false;
	}
	if (__rseq_size == 0) {
		*why = "the C library or the kernel has them switched off";
		return false;
	}
	sm__rseq_area_offset = __rseq_offset;
	if ((int32_t)sm__rseq_area()->cpu_id < 0) {
		*why = "the kernel did not register this thread";
		return false;
	}
	/* Without it caches work, but another CPU's cannot be drained. */
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) != 0) {
		*why = "this kernel's membarrier does not know them (Linux 5.10 does)";
		return false;
	}
	return true;
}
#else
bool sm__rseq_usable(const char **why)
{
	*why = "not made for this architecture";
	return false;
}
#endif

/*
 * Not sysconf: that reads a directory, through malloc, which may be us. The text is like
 * "0-3,8-11". No caller may rely on it alone: where the file is a lie, the kernel still says any
 * number.
 */
unsigned sm__rseq_cpus(void)
{
	char text[256];
	long n = sm__sys_read_text("/sys/devices/system/cpu/possible", text, sizeof(text));
	unsigned last = 0, number = 0;

	for (long i = 0; i < n; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		number = digit ? number * 10 + (unsigned)(text[i] - '0') : 0;
		number = number < SM_MAX_CPUS ? number : SM_MAX_CPUS - 1;
		last = number > last ? number : last;
	}
	return n > 0 ? last + 1 : SM_MAX_CPUS;
}

int sm__rseq_fence(unsigned cpu)
{
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, (int)cpu);
}
