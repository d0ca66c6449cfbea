#include "collector/watch.h"

bool sm__watch_on;

void sm__watch_init(void)
{
	const char *why;

	/* Writes the same every time. */
	if (!sm__watch_on && sm__rseq_usable(&why))
		sm__watch_on = true;
}
