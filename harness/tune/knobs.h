/*
 * knobs.h: the space that spanmark tune searches: knobs.def for a backend, or what --knob names;
 * and a point of it as the words of a --variant.
 */
#ifndef SM_HARNESS_KNOBS_H
#define SM_HARNESS_KNOBS_H

#include "harness/options/options.h"
#include "harness/search/search.h"

struct sm_knob {
	char *key;		  /* as in knobs.def */
	const char *why;	  /* "" of a --knob that is in no table */
	struct sm_strings values; /* value i is level i + 1 */
};

struct sm_space {
	struct sm_knob knobs[SM_TUNE_KNOBS];
	struct sm_tune_dial dials[SM_TUNE_KNOBS];
	unsigned n;
};

/*
 * chosen: KEY=V1,V2 of --knob, each a knob of its own, or KEY alone with the values of the table;
 * none: the backend's table. 0; -EINVAL and one line in err; -ENOMEM. Free in every case.
 */
int sm_space_make(struct sm_space *s, const char *backend, const struct sm_strings *chosen,
		  char *err, size_t errlen);
/* Takes a knob out, or puts one in, KEY and its only value. */
void sm_space_drop(struct sm_space *s, const char *key);
/* All that would turn what KEY=VALUE sets, for classes (KEY@64) as well. */
void sm_space_drop_all(struct sm_space *s, const char *pair);
/* Takes out the values that change nothing, with backend gc and the --set of args, which stays: the
 * default is always tried. -EINVAL and one line in err where a knob has no value left. */
int sm_space_drop_default(struct sm_space *s, const struct sm_strings *args, char *err,
			  size_t errlen);
int sm_space_add(struct sm_space *s, const char *key, const char *value, const char *why);
void sm_space_free(struct sm_space *s);

/* "cache.window=64k env.MALLOC_CONF=narenas:1,thp:always", or "default"; malloc'ed, or NULL. */
char *sm_space_variant(const struct sm_space *s, const struct sm_tune_point *p);

/* The value of a knob at a level: "64k"; "default". */
const char *sm_space_value(const struct sm_space *s, unsigned knob, unsigned level);

#endif
