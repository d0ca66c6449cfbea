/*
 * option_value.h: the take functions of the table of options: each writes a value to the member
 * that the option's offset names, or to the one member that its own name says.
 */
#ifndef SM_HARNESS_OPTION_VALUE_H
#define SM_HARNESS_OPTION_VALUE_H

#include "harness/options/options.h"

/* Texts, words, numbers and NAME=VALUE pairs; a list's entries are appended. */
sm_take_fn sm__take_flag, sm__take_text, sm__take_word, sm__take_words, sm__take_list,
	sm__take_counts, sm__take_pair, sm__take_item;
sm_take_fn sm__take_until, sm__take_reps, sm__take_seed, sm__take_timeout, sm__take_resume;

#endif
