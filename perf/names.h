/* names.h: enums as words. A name table is indexed by the enum and ends in NULL. */
#ifndef SM_PERF_NAMES_H
#define SM_PERF_NAMES_H

#include <errno.h>
#include <string.h>

/* The enum's value that has this name; -EINVAL where none has. */
static inline int sm_names_find(const char *const *names, const char *text)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -EINVAL;
}

#endif
