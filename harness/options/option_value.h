/*
 * option_value.h: the take functions of the table of options: each writes a value to the member
 * that the option's offset names, or to the one member that its own name says.
 */
#ifndef SM_HARNESS_OPTION_VALUE_H
#define SM_HARNESS_OPTION_VALUE_H

#include "harness/options/options.h"

/* A bool; a text that is copied, or one that lives as long as argv; the index of a word; a list of
 * words or names, appended to; NAME=VALUE pairs; a whole value; a share, a double, as percentage.
 */
sm_take_fn sm__take_flag, sm__take_text, sm__take_borrowed, sm__take_word, sm__take_words,
	sm__take_list, sm__take_pair, sm__take_item, sm__take_percent;
/* Of run alone, but for the timeout: seconds, a double. */
sm_take_fn sm__take_counts, sm__take_until, sm__take_reps, sm__take_seed, sm__take_timeout,
	sm__take_resume, sm__take_no_store;

/* "90", "100ms", "90s", "10m", "2h": at most a week. */
bool sm__read_seconds(const char *value, double *out);

/* "--NAME: 'VALUE' is not allowed; allowed: ..", into err. -EINVAL. */
int sm__refuse_value(char *err, size_t errlen, const struct sm_option *opt, const char *value,
		     const char *allowed);

#endif
