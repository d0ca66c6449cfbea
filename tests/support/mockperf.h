/*
 * A PMU made of memory: an sm_opener whose counters, refusals and times the test decides.
 *
 * Every read() of a group advances its clock by 1000 ns and each event by its step (config, unless
 * said otherwise).
 */
#ifndef SM_TESTS_MOCKPERF_H
#define SM_TESTS_MOCKPERF_H

#include "perf/counter.h"

#include <linux/perf_event.h>

#define MOCK_FDS 256

struct mock_event {
	bool used;
	struct perf_event_attr attr;
	int leader; /* fd of its leader, its own when it leads */
	uint64_t value, enabled, running;
	bool on;
	struct perf_event_mmap_page *page;
};

struct mock_perf {
	struct sm_opener ops;
	unsigned
		/* hardware counters the kernel believes to have: larger groups are EINVAL at open
		 */
		counters;
	/* of them taken by another program: pinned groups that need them are thrown out */
	unsigned stolen;
	int fail_all; /* errno for every open, 0 = none */
	uint64_t fail_config;
	uint64_t dead_config; /* opens and runs, but never counts */
	int fail_errno;	      /* errno for events with this config */
	unsigned percent;     /* running as a part of enabled, for groups that are not pinned */
	/* groups of this type run for away_percent of the time: the thread is elsewhere */
	uint32_t away_type;
	unsigned away_percent;
	bool user_pages; /* map() gives pages that allow user reads */
	bool executed;	 /* what waits for an exec counts */
	bool lose_all;	 /* from now on pinned groups read 0 bytes */
	unsigned opens, closes, reads, maps;
	unsigned orphans; /* whose leader was closed first */
	struct mock_event ev[MOCK_FDS];
};

void mock_perf_init(struct mock_perf *m, unsigned counters);

/* Descriptors that were opened and not closed. */
unsigned mock_perf_leaks(const struct mock_perf *m);

#endif
