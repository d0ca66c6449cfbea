/*
 * pacer.h: when to begin a cycle, how far the heap may grow meanwhile, and what allocation must
 * pay. Pure arithmetic: no clock, no atomics, nothing of the collector;
 * tests/collector/test_pacer.c runs it as a simulation.
 *
 * The shape is that of Go's pacer (Knyszek, "GC pacer redesign", proposal 44167, 2021):
 *
 *   goal     = base + (base + stacks + globals) * percent / 100, at least min_heap, and at least
 *            live + the
 *              larger of a quarter of base * percent / 100 and room less half of that; with a limit
 *              at most limit - overhead - max(1 MiB, 3% of the limit), but never below live + an
 *              eighth
 *   overhead = mapped - heap, at the end of marking; the least seen while what is mapped does not
 *   grow
 *   room     = min_heap, unless marking takes more than a tenth of the CPU time: then so much, up
 *            to max_room
 *              and 8 * base, that it takes a twentieth; halved, down to min_heap, while it takes
 *              less than a fiftieth
 *   runway   = per_scan * expected scan work
 *   trigger  = goal - runway, held within [live + 0.3 d, max(live + 0.95 d, goal - 4 MiB)], d =
 *            goal - live
 *   per_scan = growth / scan work * max(1, (a / (1 - a)) / (u / (1 - u))), the largest of this and
 *   the last
 *              four cycles
 *   ratio    = max(expected scan work, 1000) / max(goal - heap now, 1)
 *
 * where base is what the last cycle marked, live that and what was born while it marked (all of it
 * is kept for now, but most of it has replaced something that was marked, so it does not raise the
 * goal), growth what was allocated from the moment the cycle was due until it had marked (and would
 * have been, had no mutator held still beyond the goal), u the share of the CPU time that
 * marking is meant to get, a what it got (at most 0.95). If the trigger is right, marking ends when
 * the heap reaches the goal.
 *
 * Growth begins at the trigger, not at "barrier on everywhere": nothing slows mutators in between,
 * but what they allocate there is paid for by the next runway, up to the slowest start among five.
 * Nor does a cycle whose workers got less than u (the mutators had the CPUs) count for less than it
 * grew: the next one will fare no better. Where assists did part of the work, a > u, the mutators
 * were held back, and the runway is what they would have allocated had they not been: else the
 * assists of one cycle would shorten the runway of the next, and mutators would pay for it for
 * ever.
 *
 * The lower bound of the trigger leaves d * 0.3 without marking; past that, assists hold the heap.
 * Where allocation is fast beside a list that one worker must follow alone (`ring`: 60 MiB in 4
 * ms), nothing but an early start keeps the goal, for there is nothing to assist with.
 *
 * With gc.mode=stw nothing is allocated while marking: runway 0, trigger = goal.
 *
 * Generations (gc.generations). Goal and trigger are as above, with base of the last major cycle:
 * minor cycles give the room to the goal back, as long as there is some, so where most of what is
 * new dies the heap grows no larger than without. The next cycle is a minor one unless
 *
 *   kept > grown / 2              the last one was minor, and most of what was new stayed: to look
 *                                 for what is dead among it does not pay. Then one major cycle
 *                                 comes before the next minor one, two if that does not pay either,
 *                                 and so on, up to 16; a heap that has grown, from one major one
 *                                 to the next, by half of what was allocated, and grows no more,
 *                                 is asked at once
 *   goal - live < first room / 2  what minor cycles have let pass, old objects that died among it,
 *                                 takes half of the room that the last major one left
 *
 * where grown is the heap at the end of marking less what was live at the last, and kept what is
 * live now less that; what was born while it marked counts in neither. Scan work and per_scan are
 * known of each of the two kinds by itself. A cycle that is to note what leads to objects that will
 * move is made a major one when that is decided (sm__pacer_next_is_major).
 */
#ifndef SM_COLLECTOR_PACER_H
#define SM_COLLECTOR_PACER_H

#include "allocator/base/base.h"

#define SM_PACER_HISTORY 5

struct sm_pacer_config {
	unsigned percent; /* 0: no goal but the limit's */
	size_t min_heap;
	size_t max_room; /* how far room may go beyond min_heap; 0: not at all */
	size_t limit;	 /* 0: none */
	bool concurrent;
	bool generations; /* cycles may be minor */
	/* share of the CPUs that dedicated workers are meant to get, in (0, 1) */
	double utilization;
};

struct sm_pacer {
	struct sm_pacer_config config;
	/* of the last cycle, bytes */
	size_t live;  /* marked, with what was born meanwhile */
	size_t base;  /* marked; of the last major one */
	size_t roots; /* stacks and globals */
	/* [minor]: scan work; bytes allocated for each byte scanned, newest first */
	size_t scans[2];
	double per_scan[2][SM_PACER_HISTORY];
	size_t first_room; /* from live to goal when the last major one had ended */
	/* major cycles that come before the next minor one, and after the last that did not pay */
	unsigned wait, patience;
	size_t last_base;
	bool grew;     /* most of what was new at the last major one stayed */
	size_t mapped; /* memory that the heap took at its end */
	/* of that, what no object can have: see limit_goal in pacer.c */
	size_t overhead;
	/* for the next */
	bool minor;
	size_t scan; /* scan work */
	/* .. bytes of heap */
	size_t room;
	size_t goal, trigger;
	size_t most; /* what the limit leaves for the heap; 0: there is none */
};

/* What a cycle turned out to be. */
struct sm_pacer_cycle {
	bool minor;
	size_t live, scan, roots;
	size_t born;   /* of live, what was not marked but born meanwhile */
	size_t growth; /* allocated between the trigger and the end of marking */
	/* At the end of marking, nothing swept yet: the heap, live and dead, and the memory that it
	 * takes, with metadata. */
	size_t heap, mapped;
	/* share of all CPU time that marking got during the cycle; 0: unknown */
	double utilization;
	/* share of the program's CPU time since the last cycle that marking took; 0: unknown */
	double cost;
};

void sm__pacer_init(struct sm_pacer *p, const struct sm_pacer_config *c);
/* A cycle has ended: sets goal and trigger for the next. */
void sm__pacer_end_cycle(struct sm_pacer *p, const struct sm_pacer_cycle *c);
/* .. which is a major one, whatever was decided: it begins earlier, as there is more to scan. */
void sm__pacer_next_is_major(struct sm_pacer *p);
/* What minor cycles were like does not count any more. */
void sm__pacer_forget_minors(struct sm_pacer *p);
/*
 * Bytes of marking owed for each KiB allocated from now on, at the start of marking and with the
 * heap as it is now. It holds for the whole cycle: should there be more to mark than last time, the
 * throttle keeps the heap.
 */
uint64_t sm__pacer_assist_ratio(const struct sm_pacer *p, size_t heap_now);

/*
 * Workers for `cpus` CPUs at a quarter of them: dedicated ones, and one that works only part of its
 * time when rounding errs by more than 30% (its share is returned, 0: none).
 */
unsigned sm__pacer_workers(unsigned cpus, double *fractional);

#endif
