/* preempted.c: was the calling thread taken off its CPU since it asked last? */
#include "collector/mutator/preempted.h"

_Atomic(bool) sm__preempted_on;

void sm__preempted_init(void)
{
	const char *why;

	if (!sm_load_relaxed(&sm__preempted_on) && sm__rseq_usable(&why))
		sm_store_relaxed(&sm__preempted_on, true);
}
