/*
 * Small programs whose counts are known beforehand, for calibration (calibrate.h) and screening
 * (screen.h).
 *
 * Each takes an amount of work and does it in a loop of known instructions, so that the difference
 * between two amounts is exact: whatever surrounds the loop cancels out.
 */
#ifndef SM_PERF_KERNELS_H
#define SM_PERF_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2 instructions and 1 taken branch a round. */
void sm__kernel_loop(uint64_t rounds);
/* A chain of `rounds` x 16 dependent single-cycle operations. */
void sm__kernel_chain(uint64_t rounds);

/* Branches that no predictor can know: one for each byte of bits[n], taken or not by its lowest
 * bit. */
void sm__kernel_branches(const uint8_t *bits, size_t n);
void sm__random_bytes(uint8_t *bits, size_t n, uint64_t seed);

/*
 * A pointer chase: lines of 64 bytes in one random cycle over `bytes` of memory, each access
 * needing the one before.
 */
struct sm_chase {
	void **start;
	size_t lines, bytes, mapped;
};

int sm__chase_make(struct sm_chase *c, size_t bytes, uint64_t seed); /* 0 or -ENOMEM */
void sm__chase_free(struct sm_chase *c);
void sm__kernel_chase(const struct sm_chase *c, uint64_t accesses);

/*
 * The same over pages: one access to each of `pages` pages in a random cycle. Physical memory is
 * one small file mapped again and again, so that caches hit while the TLB misses.
 */
struct sm_pages {
	void **start;
	char *base;
	size_t pages, mapped;
};

int sm__pages_make(struct sm_pages *p, size_t pages, uint64_t seed);
void sm__pages_free(struct sm_pages *p);
void sm__kernel_pages(const struct sm_pages *p, uint64_t accesses);

/*
 * The same for instructions: calls of a function that returns at once, a copy of it on each page,
 * in a random cycle. -EPERM or -EACCES where nothing may be made executable.
 */
int sm__code_make(struct sm_pages *p, size_t pages, uint64_t seed);
void sm__kernel_code(const struct sm_pages *p, uint64_t calls);

/* Touches n fresh pages (huge pages off): n minor faults. 0 or -ENOMEM. */
int sm__kernel_faults(size_t n);

#endif
