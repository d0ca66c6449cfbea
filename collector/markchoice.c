/* markchoice.c: gc.mark=auto, see markchoice.h. */
#include "collector/markchoice.h"

/* The other is taken when it is so much better: what two equal ones differ by is no reason. */
#define BETTER 0.98

/* What a kind costs rises by so much a cycle at most: a disturbed cycle is no reason, a heap that
 * has changed is one soon. */
#define STEP 1.05
/* The first cycles meet cold tables: they are no measure. */
#define WARM 4u

bool sm__mark_choose(struct sm_mark_choice *c)
{
	if (c->pause == 0) {
		c->wait = WARM;
		c->pause = SM_CHOICE_FIRST;
	}
	c->trying = c->cost[c->by_span] != 0 && c->wait == 0;
	return c->trying != c->by_span;
}

static void put_off(struct sm_mark_choice *c, const struct sm_mark_cycle *m)
{
	c->wait = c->pause;
	c->pause *= m->spans != 0 && m->alone > m->spans / 2 ? 8 : 2;
	if (c->pause > SM_CHOICE_MOST)
		c->pause = SM_CHOICE_MOST;
	/* The try that has just been is such a one: not soon again. */
	if (c->wait < c->pause / 4)
		c->wait = c->pause / 4;
}

/* A cycle that was disturbed costs more, none costs less than it does: down at once, up slowly. */
static double follow(double cost, double now)
{
	return cost == 0 || now < cost * STEP ? now : cost * STEP;
}

void sm__mark_learn(struct sm_mark_choice *c, const struct sm_mark_cycle *m)
{
	bool kind = c->trying != c->by_span;

	if (m->objects < SM_CHOICE_OBJECTS || m->ns <= 0)
		return;
	/* A try says what the other costs now, whatever it did when it was tried last. */
	c->cost[kind] = c->trying ? m->ns / (double)m->objects
				  : follow(c->cost[kind], m->ns / (double)m->objects);
	if (!c->trying)
		c->wait -= c->wait > 0;
	if (c->cost[!c->by_span] != 0 && c->cost[!c->by_span] < c->cost[c->by_span] * BETTER) {
		c->by_span = !c->by_span;
		c->wait = c->pause = SM_CHOICE_FIRST;
	} else if (c->trying) {
		put_off(c, m);
	}
}
