/*
 * Source `sim`: counts from a run under Callgrind.
 */
#ifndef SM_PERF_COUNTER_SIM_H
#define SM_PERF_COUNTER_SIM_H

#include <stdint.h>

/*
 * Callgrind's event types (--cache-sim=yes --branch-sim=yes), and sums of two of them.
 */
enum sm_sim {
	SM_SIM_IR,   /* instructions */
	SM_SIM_DR,   /* data reads */
	SM_SIM_DW,   /* data writes */
	SM_SIM_I1MR, /* L1I misses */
	SM_SIM_D1MR, /* L1D read misses */
	SM_SIM_D1MW, /* L1D write misses */
	SM_SIM_ILMR, /* last-level misses of instruction fetches */
	SM_SIM_DLMR, /* last-level read misses */
	SM_SIM_DLMW, /* last-level write misses */
	SM_SIM_BC,   /* conditional branches */
	SM_SIM_BCM,  /* ... mispredicted */
	SM_SIM_BI,   /* indirect branches */
	SM_SIM_BIM,  /* ... mispredicted */
	SM_SIM_BASIC,
	SM_SIM_D1 = SM_SIM_BASIC, /* D1mr + D1mw */
	SM_SIM_DL,		  /* DLmr + DLmw */
	SM_SIM_B,		  /* Bc + Bi */
	SM_SIM_BM,		  /* Bcm + Bim */
	SM_SIM_COUNT
};

/* Name (as in callgrind.out: "Ir", "D1mr"; and "D1", "DL", "B", "Bm") -> event, -1 when there is none. */
int sm_sim_event(const char *name);
const char *sm_sim_event_name(enum sm_sim e);

#endif
