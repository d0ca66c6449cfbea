/*
 * Keeps every software event of the kernel open for as long as the machine lives.
 *
 * The kernel writes the branches into its code that lead to perf when the first such event is
 * opened, and takes them out again after the last was closed. Programs that count open and close
 * events all the time, and QEMU (seen with 7.2, x86-64, one thread a CPU) now and then goes on
 * running what it had translated of the kernel's code while that was half written: a breakpoint
 * that all CPUs then take for ever, with interrupts off. Rewritten once, before anything else runs,
 * the code stays as it is.
 */
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	for (unsigned event = 0; event < PERF_COUNT_SW_MAX; event++) {
		struct perf_event_attr attr;

		memset(&attr, 0, sizeof(attr));
		attr.size = sizeof(attr);
		attr.type = PERF_TYPE_SOFTWARE;
		attr.config = event;
		/* Refused here is an event that no program can open. */
		(void)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	}
	for (;;)
		pause();
}
