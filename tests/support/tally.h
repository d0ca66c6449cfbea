/*
 * tally.h: what the stress programs did, counted for a soak: with SM_TEST_TALLY=FILE each collector
 * that ends adds a line "program seed cycles objects stores threads" to the file.
 *
 * Stores are those made while a barrier was on; the linker's --wrap puts the counters around the
 * collector's calls, so the product has none.
 */
#ifndef SM_TESTS_SUPPORT_TALLY_H
#define SM_TESTS_SUPPORT_TALLY_H

#include "spanmark/gc.h"

/* Adds the line of a collector that has come to its end, and starts to count anew. */
void tally_end(const char *program, unsigned long long seed, const struct sm_gc_stats *st);

#endif
