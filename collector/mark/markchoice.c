/* markchoice.c: gc.mark=auto, see markchoice.h. */
#include "collector/mark/markchoice.h"

/* The other is taken when it is so much better: what two equal ones differ by is no reason. */
#define BETTER 0.98

/* What a kind costs rises by so much a cycle at most: a disturbed cycle is no reason, a heap that
 * has changed is one soon. */
#define STEP 1.05
/* The first cycles meet cold tables: they are no measure. */
#define WARM 4u
/* Cycles of a try, of which the cheapest counts: the first meets tables that are cold again. */
#define TRY 2u
/* What a try lost is made up for by so many cycles: it is a hundredth of them. */
#define SHARE 100.0
/* So much more or less than at the last decision, and the heap is another: it is asked again. */
#define CHANGED 1.25

bool sm__mark_choose(struct sm_mark_choice *c)
{
	if (c->pause == 0) {
		c->wait = WARM;
		c->pause = SM_CHOICE_FIRST;
	}
	if (c->trying == 0 && c->cost[c->by_span] != 0 && c->wait == 0) {
		c->trying = TRY;
		c->cost[!c->by_span] = 0;
	}
	return (c->trying != 0) != c->by_span;
}

/* A cycle that was disturbed costs more, none costs less than it does: down at once, up slowly. */
static double follow(double cost, double now)
{
	return cost == 0 || now < cost * STEP ? now : cost * STEP;
}

/* A try is over. */
static void decide(struct sm_mark_choice *c)
{
	double best = c->cost[c->by_span], other = c->cost[!c->by_span];
	double lost = (other / best - 1) * TRY * SHARE;

	if (other < best * BETTER) {
		c->by_span = !c->by_span;
		c->wait = c->pause = SM_CHOICE_FIRST;
		c->decided = other;
		return;
	}
	c->decided = best;
	c->wait = c->pause;
	if (lost > c->wait)
		c->wait = lost < SM_CHOICE_MOST ? (unsigned)lost : SM_CHOICE_MOST;
	c->pause = c->pause * 2 < SM_CHOICE_MOST ? c->pause * 2 : SM_CHOICE_MOST;
}

static void look_for_change(struct sm_mark_choice *c)
{
	double now = c->cost[c->by_span];

	if (c->decided == 0 || (now < c->decided * CHANGED && now * CHANGED > c->decided))
		return;
	c->decided = now;
	c->pause = SM_CHOICE_FIRST;
	if (c->wait > SM_CHOICE_FIRST)
		c->wait = SM_CHOICE_FIRST;
}

void sm__mark_learn(struct sm_mark_choice *c, const struct sm_mark_cycle *m)
{
	bool kind = (c->trying != 0) != c->by_span;
	double cost;

	if (m->objects < SM_CHOICE_OBJECTS || m->ns <= 0)
		return;
	cost = m->ns / (double)m->objects;
	if (c->trying == 0) {
		c->cost[kind] = follow(c->cost[kind], cost);
		c->wait -= c->wait > 0;
		look_for_change(c);
		return;
	}
	if (c->cost[kind] == 0 || cost < c->cost[kind])
		c->cost[kind] = cost;
	if (--c->trying == 0)
		decide(c);
}
