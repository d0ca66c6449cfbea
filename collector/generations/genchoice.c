/* genchoice.c: gc.generations=auto, see genchoice.h. */
#include "collector/generations/genchoice.h"

#define STORE_NS 2.0
/* Of the program's time, stores take at least. */
#define STORES_LEAST 0.02
/* Of what could be saved, they may take at most for a try. */
#define STORES_MOST  0.5
#define TRY_MINORS   6u
#define STALE_MINORS 64u
#define SHARE	     50.0
/* What two equal ones differ by is no reason. */
#define BETTER 0.98

static void learn_stores(struct sm_gen_choice *c, const struct sm_gen_cycle *g)
{
	double least = 0;

	c->counted = c->counted / 2 + (double)g->stores;
	c->born = c->born / 2 + (double)g->born;
	c->program_ns = c->program_ns / 2 + (g->program_ns > g->ns ? g->program_ns - g->ns : 0);
	c->grown = c->grown / 2 + (double)g->grown;
	c->stores = c->born > 0 ? c->counted / c->born * STORE_NS : 0;
	if (c->grown > 0)
		least = c->program_ns / c->grown * STORES_LEAST;
	if (c->stores < least)
		c->stores = least;
}

static void learn_cost(struct sm_gen_choice *c, const struct sm_gen_cycle *g)
{
	double room = g->room > 0 ? (double)g->room : 1;

	if (!g->minor) {
		c->without = c->without > 0 ? (c->without + g->ns / room) / 2 : g->ns / room;
		c->major_ns = g->ns;
		c->ns = c->room = 0;
		c->minors = 0;
	}
	c->ns += g->ns;
	c->room += room;
	c->minors += g->minor;
	c->with = c->ns / c->room + c->stores;
}

static void go_off(struct sm_gen_choice *c)
{
	double lost = (c->with - c->without) * c->room;

	c->on = false;
	if (c->paid)
		c->pause = SM_GEN_FIRST;
	c->wait = c->pause;
	if (c->major_ns > 0 && lost / c->major_ns * SHARE > c->wait) {
		lost = lost / c->major_ns * SHARE;
		c->wait = lost < SM_GEN_MOST ? (unsigned)lost : SM_GEN_MOST;
	}
	c->pause = c->pause * 2 < SM_GEN_MOST ? c->pause * 2 : SM_GEN_MOST;
}

bool sm__gen_is_stale(const struct sm_gen_choice *c)
{
	return c->minors >= STALE_MINORS;
}

static void look_whether_on_pays(struct sm_gen_choice *c, const struct sm_gen_cycle *g)
{
	bool pays = c->with < c->without * BETTER;

	if (!g->minor)
		return;
	c->paid |= pays;
	if (g->next_minor && !sm__gen_is_stale(c) && (pays || c->minors < TRY_MINORS))
		return;
	if (!pays) {
		go_off(c);
		c->live = g->live;
	}
}

static void look_whether_to_try(struct sm_gen_choice *c, const struct sm_gen_cycle *g)
{
	if (g->live / 2 > c->live || g->live < c->live / 2) {
		c->live = g->live;
		c->pause = SM_GEN_FIRST;
		if (c->wait > SM_GEN_FIRST)
			c->wait = SM_GEN_FIRST;
	}
	c->wait -= c->wait > 0;
	if (g->grows || c->wait > 0 || c->warmed < SM_GEN_WARM ||
	    c->stores > c->without * STORES_MOST)
		return;
	c->on = true;
	c->paid = false;
	c->live = g->live;
}

void sm__gen_learn(struct sm_gen_choice *c, const struct sm_gen_cycle *g)
{
	if (c->held)
		return;
	if (c->pause == 0)
		c->pause = SM_GEN_FIRST;
	c->warmed += c->warmed < SM_GEN_WARM;
	learn_stores(c, g);
	learn_cost(c, g);
	if (c->on)
		look_whether_on_pays(c, g);
	else
		look_whether_to_try(c, g);
}
