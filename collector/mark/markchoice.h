/*
 * markchoice.h: gc.mark=auto: is the next cycle marked by object or by span? Pure arithmetic.
 *
 * By what marking took, per object, in the last cycles of each kind. The other kind is tried now
 * and then, for two cycles; each try in vain doubles the time to the next, and makes it long enough
 * that what the try lost is a hundredth of it. A heap that has changed is tried soon. Cycles of few
 * objects tell nothing, and are marked by object.
 */
#ifndef SM_COLLECTOR_MARKCHOICE_H
#define SM_COLLECTOR_MARKCHOICE_H

#include "allocator/base/base.h"

/* A cycle of fewer objects is not measured. */
#define SM_CHOICE_OBJECTS 65536u
/* Cycles between two tries, at first and at most. */
#define SM_CHOICE_FIRST 16u
#define SM_CHOICE_MOST	4096u

struct sm_mark_choice {
	double cost[2];	 /* [by span] nanoseconds an object of late; 0: not yet known */
	double decided;	 /* what the better cost when it was last found so; 0: not yet */
	bool by_span;	 /* the better of the two */
	unsigned trying; /* so many cycles, this one included, are of the other */
	unsigned wait;	 /* cycles until the next try */
	unsigned pause;	 /* .. and how many it will be after the one to come */
};

struct sm_mark_cycle {
	uint64_t objects; /* marked */
	double ns;	  /* CPU time of all that marked */
};

/* Before a cycle: is it marked by span? */
bool sm__mark_choose(struct sm_mark_choice *c);
/* After it. */
void sm__mark_learn(struct sm_mark_choice *c, const struct sm_mark_cycle *m);

#endif
