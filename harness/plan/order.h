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

/*
 * The order of n things in repetition `rep`: a row of a random cyclic Latin square. Over n
 * repetitions (from a multiple of n on) each thing stands once at each place, so a drift over the
 * run favours none; of two things ABBA or BAAB. spare: room for n more.
 */
void sm_plan_latin(unsigned *order, unsigned *spare, unsigned n, unsigned rep, uint64_t seed);

/*
 * The order of a repetition's jobs, case * passes + pass: blocks in random order, each the cases of
 * one family and one pass in the order of a Latin square. family: of each case, counted from 0 in
 * the order of first appearance. 0 or -ENOMEM.
 */
int sm_plan_blocks(unsigned *order, const unsigned *family, unsigned ncases, unsigned passes,
		   unsigned rep, uint64_t seed);

#endif
