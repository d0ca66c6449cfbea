/* suggest.c: the nearest name. See suggest.h. */
#include "harness/base/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance with neighbouring transpositions (optimal string alignment), letter case ignored.
 */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t row[3][MAX_WORD + 1];

	if (la > MAX_WORD || lb > MAX_WORD)
		return (size_t)-1;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = row[i % 3], *before = row[(i - 1) % 3], *two = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			int ca = tolower((unsigned char)a[i - 1]),
			    cb = tolower((unsigned char)b[j - 1]);

			now[j] = min3(now[j - 1] + 1, before[j] + 1, before[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    tolower((unsigned char)a[i - 2]) == cb && two[j - 2] + 1 < now[j])
				now[j] = two[j - 2] + 1;
		}
	}
	return row[la % 3][lb];
}

const char *sm_suggest(const char *typed, const char *const *names, size_t n)
{
	size_t len = strlen(typed), best = (size_t)-1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(typed, names[i]);

		/* A beginning of a name ("binary" for "binary-trees") is as good as one slip. */
		if (len >= 3 && strncasecmp(typed, names[i], len) == 0)
			d = 1;
		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return best <= (len + 1) / 3 && best < len ? found : NULL;
}

void sm_suggest_error(char *err, size_t errlen, const char *what, const char *typed,
		      const char *const *names, size_t n)
{
	const char *near = sm_suggest(typed, names, n);
	size_t used;
	int len;

	len = snprintf(err, errlen, "unknown %s '%.60s'%s%s%s allowed: ", what, typed,
		       near != NULL ? "; did you mean '" : ";", near != NULL ? near : "",
		       near != NULL ? "'?" : "");
	used = len < 0 ? 0 : (size_t)len;
	for (size_t i = 0; i < n && used < errlen; i++) {
		if (used + strlen(names[i]) + 24 > errlen) {
			snprintf(err + used, errlen - used, "and %zu more", n - i);
			return;
		}
		used += (size_t)snprintf(err + used, errlen - used, "%s%s", names[i],
					 i + 1 < n ? ", " : "");
	}
}
