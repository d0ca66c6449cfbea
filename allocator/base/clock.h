/* clock.h: the clocks of allocator and collector, in nanoseconds. */
#ifndef SM_ALLOCATOR_CLOCK_H
#define SM_ALLOCATOR_CLOCK_H

#include <time.h>

#include "allocator/base/base.h"

SM_INLINE uint64_t sm__clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Since some moment in the past; never back. */
SM_INLINE uint64_t sm__now_ns(void)
{
	return sm__clock_ns(CLOCK_MONOTONIC);
}

/* CPU time of the calling thread. */
SM_INLINE uint64_t sm__thread_ns(void)
{
	return sm__clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

SM_INLINE uint64_t sm__process_ns(void)
{
	return sm__clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
