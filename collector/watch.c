#include "collector/watch.h"

_Atomic(bool) sm__watch_on;

void sm__watch_init(void)
{
	const char *why;

	if (!sm_load_relaxed(&sm__watch_on) && sm__rseq_usable(&why))
		sm_store_relaxed(&sm__watch_on, true);
}
