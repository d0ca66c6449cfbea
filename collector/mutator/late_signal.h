/*
 * late_signal.h: the signal for mutators that are late at a safepoint.
 *
 * It is SIGURG, which is ignored by default, as Go's runtime uses it. It breaks into system calls,
 * and its handler notes where the thread was, for the report. It does nothing else: a mutator
 * between recording and storing must not be treated as being at a safepoint. It is not used when
 * the program has a handler for it.
 */
#ifndef SM_COLLECTOR_LATE_SIGNAL_H
#define SM_COLLECTOR_LATE_SIGNAL_H

#include <stdbool.h>

#define SM_LATE_SIGNAL SIGURG
void sm__signal_install(void);
bool sm__signal_usable(void);

#endif
