/* Callgrind as a source of counts; see counter_sim.h. */
#include "perf/counter_sim.h"

#include <string.h>

static const char *const names[SM_SIM_COUNT] = {
	[SM_SIM_IR] = "Ir",	[SM_SIM_DR] = "Dr",	[SM_SIM_DW] = "Dw",	[SM_SIM_I1MR] = "I1mr",
	[SM_SIM_D1MR] = "D1mr", [SM_SIM_D1MW] = "D1mw", [SM_SIM_ILMR] = "ILmr", [SM_SIM_DLMR] = "DLmr",
	[SM_SIM_DLMW] = "DLmw", [SM_SIM_BC] = "Bc",	[SM_SIM_BCM] = "Bcm",	[SM_SIM_BI] = "Bi",
	[SM_SIM_BIM] = "Bim",	[SM_SIM_D1] = "D1",	[SM_SIM_DL] = "DL",	[SM_SIM_B] = "B",
	[SM_SIM_BM] = "Bm",
};

int sm_sim_event(const char *name)
{
	for (int i = 0; i < SM_SIM_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *sm_sim_event_name(enum sm_sim e)
{
	return e < SM_SIM_COUNT ? names[e] : "?";
}
