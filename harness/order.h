/*
 * order.h: seeds of jobs, and the order of running.
 */
#ifndef SM_HARNESS_ORDER_H
#define SM_HARNESS_ORDER_H

#include <stdint.h>

/* Seed of a repetition's job: the same for all cases and passes of a repetition, so that they do
 * the same. */
uint64_t sm_plan_job_seed(uint64_t seed, unsigned rep);

/* Shuffles n indexes (Fisher-Yates) by a generator of its own, seeded. */
void sm_plan_shuffle(unsigned *order, unsigned n, uint64_t seed);

#endif
