/*
 * scavenge.h: free memory goes back to the operating system, and dense memory onto huge pages.
 *
 *   every scavenge.interval ms:
 *     how much may go?   free and dirty, less what is retained
 *     take a batch of dirty free pieces out of the page heap   (its lock, briefly)
 *     madvise all of them                                      (no lock of the page heap)
 *     put them back, clean                                     (its lock, briefly)
 *     sleep in proportion to the CPU time that the batch took  (scavenge.pace)
 *
 * Retained: scavenge.retain percent of the bytes in use, and what was in use not long ago and will
 * probably be again: the peak of a collector's sawtooth, which decays by an eighth a round.
 * Allocation takes the lowest addresses, so the lowest free units are the ones that stay.
 *
 * A piece that is on its way is neither free nor in use: an allocation that finds no memory waits
 * for the batch to end before it fails.
 *
 * Huge pages (policy `hugepages`): `off` asks the kernel for none; `madvise` asks for them when
 * memory is committed; `collapse` starts with small pages and lets this thread collapse what has
 * become dense. With either of the latter two, memory goes back in whole huge pages, and in parts
 * of those that are at least half free: where what is dropped lies between what stays, hardly a
 * whole one becomes free.
 */
#ifndef SM_ALLOCATOR_SCAVENGE_H
#define SM_ALLOCATOR_SCAVENGE_H

#include "allocator/pages/pages.h"

struct sm_scavenge_stats {
	uint64_t rounds, batches;
	uint64_t released_bytes;
	uint64_t collapsed_bytes;
	uint64_t uring_calls, sync_calls; /* madvise requests by way */
	uint64_t failed_calls;
	int uring_error; /* 0: in use or not tried; else why io_uring is not used, as -errno */
};

/* Called on the thread when it starts and before it ends: to pin it, to attach counters. NULL:
 * no-op. */
struct sm_scavenge_hooks {
	void (*start)(void *ctx);
	void (*stop)(void *ctx);
	void *ctx;
};

/*
 * Starts the thread; 0 and nothing done when scavenge.interval is 0, else 0 or -errno of
 * pthread_create. Before it, and without it, sm__scavenge works in the calling thread.
 */
int sm__scavenger_start(struct sm_pages *pg, const struct sm_scavenge_hooks *hooks);
/* Stops the thread and waits for it. Before sm__range_destroy. No-op when there is none. */
void sm__scavenger_stop(struct sm_pages *pg);

/*
 * Now, in this thread, unpaced: until at most `retain` bytes are free and resident, or nothing more
 * can go. Returns the bytes released. malloc_trim, and tests.
 */
size_t sm__scavenge(struct sm_pages *pg, size_t retain);
/* Collapses the dense huge pages of every node onto huge pages; returns bytes. Needs
 * hugepages=collapse. */
size_t sm__scavenge_collapse(struct sm_pages *pg);

void sm__scavenge_stats(struct sm_pages *pg, struct sm_scavenge_stats *out);

#endif
