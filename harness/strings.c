/*
 * strings.c: lists of strings. See options.h.
 */
#include "harness/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sm_strings_add(struct sm_strings *s, const char *text, size_t len)
{
	char **v = realloc(s->v, (s->n + 1) * sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	s->v = v;
	v[s->n] = strndup(text, len);
	if (v[s->n] == NULL)
		return -ENOMEM;
	s->n++;
	return 0;
}

void sm_strings_free(struct sm_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct sm_strings){0};
}
