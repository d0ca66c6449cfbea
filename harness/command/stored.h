/*
 * stored.h: what the commands share that take runs of a store: which store, which runs.
 */
#ifndef SM_HARNESS_STORED_H
#define SM_HARNESS_STORED_H

#include <stdint.h>

#include "harness/compare/compare.h"
#include "harness/options/option_value.h"
#include "harness/store/store.h"

struct sm_stored {
	const char *store;
	enum sm_format format;
	bool all;
	struct sm_strings operands;
};

#define SM_STORED_OPTION                                                    \
	{                                                                   \
		"store", 0, "FILE", "the store: " SM_STORE_DEFAULT,         \
			SM_INTO(sm__take_borrowed, struct sm_stored, store) \
	}
/* Of the texts of --help. */
#define SM_STORED_NAMES                                                                     \
	"A run is called by its number in the store, by 4 digits or more of its identity, " \
	"which is the same in every store that it was copied to, or last."

/* Opens what is there already, to read or to change it. False: it said why not. */
bool sm_stored_open(const char *path, bool to_write, struct sm_store **s);
/* The numbers of the runs that were named, malloc'ed. NULL: it said what is wrong. */
int64_t *sm_stored_find(struct sm_store *s, char **names, size_t n);

/* RUN, STORE:RUN, or NULL: the last run of the store. 0 or -errno and one line in err. side->store
 * is where it was; to be freed in every case, as *out. */
int sm_stored_load(const char *command, const char *store, const char *text, struct sm_side *side,
		   struct sm_report *out, char *err, size_t errlen);

#endif
