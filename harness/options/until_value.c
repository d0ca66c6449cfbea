/* until_value.c: what --until asks for. See until_value.h. */
#include "harness/options/until_value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_target(const char *text, size_t len, struct sm_until_target *t)
{
	const char *equals = memchr(text, '=', len);
	const char *number = equals != NULL ? equals + 1 : text;
	size_t name = equals != NULL ? (size_t)(equals - text) : 0;
	char *end;

	if ((equals != NULL && name == 0) || name >= sizeof(t->metric) || *number < '0' ||
	    *number > '9')
		return -EINVAL;
	memcpy(t->metric, text, name);
	t->metric[name] = 0;
	t->width = strtod(number, &end) / 100;
	return *end == '%' && end + 1 == text + len && t->width > 0 && t->width <= 1 ? 0 : -EINVAL;
}

/* Has the last target been said before? */
static bool is_twice(const struct sm_until_target *all, size_t n)
{
	for (unsigned i = 0; i + 1 < n; i++)
		if (strcmp(all[i].metric, all[n - 1].metric) == 0)
			return true;
	return false;
}

int sm_until_parse(const char *text, struct sm_until_target all[SM_UNTIL_TARGETS], size_t *n,
		   char *err, size_t errlen)
{
	const char *at = text;

	*n = 0;
	for (;; at++) {
		size_t len = strcspn(at, ",");

		if (*n == SM_UNTIL_TARGETS || parse_target(at, len, &all[(*n)++]) != 0) {
			snprintf(err, errlen,
				 "--until '%.60s'; allowed: a width such as 1%%, up to 100%%, or "
				 "RESULT=WIDTH, up to %d of them with commas between",
				 text, SM_UNTIL_TARGETS);
			return -EINVAL;
		}
		if (is_twice(all, *n)) {
			snprintf(err, errlen,
				 "--until '%.60s': one width is given twice; allowed: one for all, "
				 "and one for each RESULT",
				 text);
			return -EINVAL;
		}
		at += len;
		if (!*at)
			return 0;
	}
}
