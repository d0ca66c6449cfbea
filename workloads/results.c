/*
 * results.c: the list of results as a table.
 */
#include "workloads/results.h"

#include <string.h>

#define X(name, unit, shown, title, width, better) \
	{#name, unit, SM_SHOWN_##shown, title, width, SM_BETTER_##better},
const struct sm_result_desc sm_results[SM_RESULT_COUNT] = {
#include "workloads/results.def"
};
#undef X

const struct sm_result_desc *sm_result_desc_find(const char *name)
{
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++)
		if (sm_results[i].name[0] == name[0] && strcmp(sm_results[i].name, name) == 0)
			return &sm_results[i];
	return NULL;
}

enum sm_shown sm_result_shown(const char *name)
{
	const struct sm_result_desc *d = sm_result_desc_find(name);

	return d != NULL ? d->shown : SM_SHOWN_MORE;
}
