/* phase.c: the calling thread's hook, and the names that outputs use. */
#include "allocator/base/phase.h"

__thread const struct sm_phase_hook *sm__phase_hook;

void sm_phase_set_hook(const struct sm_phase_hook *hook)
{
	sm__phase_hook = hook;
}

const char *sm_phase_name(enum sm_phase phase)
{
	static const char *const names[SM_PHASE_COUNT] = {
		[SM_PHASE_APP] = "app",
		[SM_PHASE_REFILL] = "refill",
		[SM_PHASE_ASSIST] = "assist",
		[SM_PHASE_BARRIER] = "barrier",
		[SM_PHASE_STACK_SCAN] = "stack-scan",
		[SM_PHASE_WAIT] = "wait",
		[SM_PHASE_MARK] = "mark",
		[SM_PHASE_MARK_FRACTIONAL] = "mark-fractional",
		[SM_PHASE_MARK_IDLE] = "mark-idle",
		[SM_PHASE_SWEEP] = "sweep",
		[SM_PHASE_SCAVENGE] = "scavenge",
		[SM_PHASE_COMPACT] = "compact",
	};

	return (unsigned)phase < SM_PHASE_COUNT ? names[phase] : "?";
}
