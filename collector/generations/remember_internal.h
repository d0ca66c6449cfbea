/*
 * remember_internal.h: what the kinds of remembered sets are made of.
 */
#ifndef SM_COLLECTOR_REMEMBER_INTERNAL_H
#define SM_COLLECTOR_REMEMBER_INTERNAL_H

#include "collector/cycle/gc_internal.h"

struct sm_look;

/* What one thread looks at at a time. */
struct sm_part {
	size_t from, end;	    /* cards, none: units */
	struct sm_log_chunk *chunk; /* objects */
	bool second;		    /* .. is looked at for the second time */
};

/* One kind; what it does not need is NULL. */
struct sm_remember_kind {
	const char *name;  /* as in gc.remember */
	const char *what;  /* what it counts */
	uint8_t barrier;   /* SM__BARRIER_* of its stores */
	size_t unit_bytes; /* its map, for a unit of the heap */
	double store;	   /* what it adds to one, of what cards add (make bench-remember) */
	/* -ENOTSUP: not here, and why. */
	int (*check)(char *err, size_t errlen);
	int (*init)(struct sm_gc *gc, char *err, size_t errlen);
	void (*fini)(struct sm_gc *gc);
	/* A mutator's log goes to the common ones. */
	void (*give)(struct sm_gc *gc, struct sm_log_chunk **log);
	/* See sm__remember_moved. */
	void (*moved)(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes);
	/* See sm__remember_give_back. */
	void (*give_back)(struct sm_gc *gc, uintptr_t from, uintptr_t end);
	/* See sm__remember_drop; all logs have been given. */
	void (*drop)(struct sm_gc *gc);
	/* A look begins, of a minor cycle or a major one: what the set has by now is to be handed
	 * out. Control thread. */
	void (*begin)(struct sm_gc *gc, bool minor);
	/* A part that nobody has, few: a small one. False: there is none. Any marker, as look. */
	bool (*take)(struct sm_gc *gc, bool few, struct sm_part *p);
	void (*look)(struct sm_look *l, const struct sm_part *p);
	/* No part is left, though others may still be looking. Control thread. */
	void (*end)(struct sm_look *l);
	bool (*has)(const struct sm_gc *gc, uintptr_t slot);
};

extern const struct sm_remember_kind sm__remember_cards, sm__remember_objects, sm__remember_pages;

/* ---- looking at places of the heap: remember_look.c ---------------------------------------- */

struct sm_look {
	struct sm_gc *gc;
	struct sm_marker *k; /* NULL: nothing is marked */
	uint64_t found;	     /* places with old objects */
	uint64_t bytes;	     /* looked at, of the heap and the set: what the pacer counts */
};

/* What a place holds: nothing that has lived through a sweep, or such objects, old ones among them.
 */
enum sm_held { SM_HELD_NOTHING, SM_HELD_AGED, SM_HELD_OLD };

/* The object's words within [lo, hi). */
enum sm_held sm__look_at_object(struct sm_look *l, struct sm_span *s, uintptr_t object,
				uintptr_t end, uintptr_t lo, uintptr_t hi);
/* The words within [lo, hi) of all objects: at most what a word of the maps covers. */
enum sm_held sm__look_at(struct sm_look *l, uintptr_t lo, uintptr_t hi);
/* What so many words of the maps cover, from lo on: does nothing aged lie there? */
bool sm__none_aged(const struct sm_gc *gc, uintptr_t lo, unsigned words);

/* All units, or none, are to be handed out. */
void sm__walk_begin(struct sm_gc *gc, bool all);
/* The next ones, of one run. False: there are none. */
bool sm__walk_take(struct sm_gc *gc, bool few, struct sm_part *p);

/* Entries of a mutator's log since it was handed over last; for tests. */
size_t sm__remember_log_entries(const struct sm_log_chunk *log);

#endif
