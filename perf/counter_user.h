/*
 * Reading a counter without a system call, by the protocol of struct perf_event_mmap_page: the
 * kernel changes `lock`, a sequence number, around every update of the page; the reader keeps what
 * it read only when the number is the same before and after. The kernel updates the page of a
 * running task's event on that task's CPU with interrupts off, so the reader never sees one half
 * way: a change under its eyes means that it was interrupted.
 *
 * The hardware access is a function pointer so that tests can play the kernel and the PMU on a page
 * of their own.
 */
#ifndef SM_PERF_COUNTER_USER_H
#define SM_PERF_COUNTER_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/arch/cpu.h"

struct perf_event_mmap_page;

struct sm_user_count {
	uint64_t value; /* sign-extended counter + offset, modulo 2^64 */
	uint64_t enabled, running;
};

/* How a hardware counter is read: sm__pmc_read() of perf/arch/cpu.h, or a test's. */
typedef uint64_t (*sm_pmc_fn)(unsigned index);

/* Would a user read be allowed on this page? */
bool sm__user_readable(const struct perf_event_mmap_page *page);

/*
 * Reads. 0; -EAGAIN when the event is on no counter at the moment (index 0: not scheduled, or
 * stolen): the value is then only what read() says. Bounded: after 100 changes under our eyes it
 * gives up with -EAGAIN too.
 */
int sm__user_read(const struct perf_event_mmap_page *page, sm_pmc_fn pmc,
		  struct sm_user_count *out);

#endif
