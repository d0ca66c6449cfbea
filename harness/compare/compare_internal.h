/*
 * compare_internal.h: the cases of a side, for those who match them and those who list them, and
 * the metrics of a run's environment.
 */
#ifndef SM_HARNESS_COMPARE_INTERNAL_H
#define SM_HARNESS_COMPARE_INTERNAL_H

#include <cjson/cJSON.h>

#include "harness/compare/compare.h"

/* One group of samples; the texts are of its first record. */
struct sm__item {
	const struct sm_record *rec;
	size_t first;
	cJSON *params, *config, *placement;
	char *work; /* all of it that two cases must share to be compared */
	bool matched;
};

struct sm__items {
	struct sm__item *v;
	size_t n;
	/* {"graph":{"":index of its first case,"objects":true}}: what varies between its cases */
	cJSON *varying;
};

/* Of the side, as far as they are wanted. 0 or -ENOMEM; to be freed in every case. */
int sm__items_find(const struct sm_side *s, const struct sm_compare_what *what,
		   struct sm__items *out);
void sm__items_free(struct sm__items *l);
/* Takes those out that are marked as matched. */
void sm__items_drop_matched(struct sm__items *l);
/* "graph objects=1000", with all that tells the cases of the list apart; whole: with backend and
 * settings. malloc'ed; NULL when out of memory. */
char *sm__item_name(const struct sm__items *l, const struct sm__item *it, bool whole);
/* Have both objects the same member, or neither? */
bool sm__same_member(const cJSON *a, const cJSON *b, const char *name);

/* compare_environ.c: the one of that name in an environment's list of metrics; NULL: none. */
const cJSON *sm__environ_metric(const cJSON *list, const char *name);

#endif
