/*
 * Screening: events that open, run, and never count.
 *
 * Some PMUs accept an event that they do not implement and read 0 for ever (emulators, hypervisors
 * that offer half a PMU). A column of such zeros would be a lie. Before a set is used, each
 * hardware event that cannot be 0 in a program that loops, mispredicts, misses caches and walks
 * page tables is counted over such a program; one that reads 0 becomes unsupported, with that
 * reason. Events that may honestly be 0 (remote accesses, hits of modified lines, -e events) are
 * not judged.
 */
#ifndef SM_PERF_SCREEN_H
#define SM_PERF_SCREEN_H

#include "perf/counterset.h"

/*
 * Screens cs (called by sm_counterset_new unless options say otherwise). Returns the number of
 * events that were found out. Costs some 100 ms where there are hardware events, nothing elsewhere.
 */
unsigned sm__screen(struct sm_counterset *cs);

/* Must an event of this name (in a set) count something in the screening program? */
bool sm__screen_applies(const char *event);

#endif
