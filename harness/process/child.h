/* child.h: this command once more, as a child. */
#ifndef SM_HARNESS_CHILD_H
#define SM_HARNESS_CHILD_H

#include "harness/options/options.h"

/* INT, TERM and HUP are the child's from here on, and between children end the next one. */
void sm_child_catch_signals(void);

/*
 * Runs this program with the words, and waits for it. What it says on stderr is seen on a terminal
 * (its progress); elsewhere the last line is kept for err when it fails. Samples that failed are no
 * failure (status 1). 0; -ECANCELED: INT, TERM or HUP, which the child had too; -EINVAL: it refused
 * the command line; another -errno.
 */
int sm_child_run(const struct sm_strings *words, char *err, size_t errlen);
/* The signal of the last -ECANCELED. */
int sm_child_signal(void);

#endif
