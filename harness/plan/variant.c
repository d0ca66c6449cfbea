/* variant.c: see variant.h. */
#include "harness/plan/variant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sm__variant_next(const char **text, const char **assignment, size_t *len)
{
	*text += strspn(*text, " \t");
	*assignment = *text;
	*len = strcspn(*text, " \t");
	*text += *len;
	return *len > 0;
}

enum sm_variant_word sm__variant_word(const char *assignment)
{
	static const char *const words[] = {[SM_WORD_WORKERS] = "workers",
					    [SM_WORD_PLACE] = "place",
					    [SM_WORD_MARK_PLACE] = "mark-place"};
	size_t len = strcspn(assignment, "=");

	for (int i = SM_WORD_WORKERS; i <= SM_WORD_MARK_PLACE; i++)
		if (strlen(words[i]) == len && strncmp(words[i], assignment, len) == 0)
			return (enum sm_variant_word)i;
	return SM_WORD_SETTING;
}

int sm__case_set(struct sm_case *c, const char *pair, size_t len)
{
	size_t key = (size_t)((const char *)memchr(pair, '=', len) + 1 - pair);

	for (size_t i = 0; i < c->settings.n; i++) {
		char *copy;

		if (strncmp(c->settings.v[i], pair, key) != 0)
			continue;
		copy = strndup(pair, len);
		if (copy == NULL)
			return -ENOMEM;
		free(c->settings.v[i]);
		c->settings.v[i] = copy;
		return 0;
	}
	return sm_strings_add(&c->settings, pair, len);
}

int sm__case_place(struct sm_case *c, const char *text, char *err, size_t errlen)
{
	c->placed = true;
	return sm_place_parse(text, &c->place, err, errlen);
}

int sm__case_mark_place(struct sm_case *c, const char *text, char *err, size_t errlen)
{
	c->mark_placed = true;
	return sm_mark_place_parse(text, &c->mark_place, err, errlen);
}

/* A word of a variant that is an option's, "place=compact"; 1: it is a setting. */
static int apply_word(struct sm_case *c, const char *pair, size_t len, char *err, size_t errlen)
{
	const char *value = (const char *)memchr(pair, '=', len) + 1;
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)(pair + len - value), value);
	switch (sm__variant_word(pair)) {
	case SM_WORD_WORKERS:
		c->workers = (unsigned)strtoul(text, NULL, 10);
		if (c->workers > 0 && c->workers <= 256 && /* as --workers */
		    strspn(text, "0123456789") == strlen(text))
			return 0;
		snprintf(err, errlen, "--variant: workers=%s: allowed: 1 to 256", text);
		return -EINVAL;
	case SM_WORD_PLACE: return sm__case_place(c, text, err, errlen);
	case SM_WORD_MARK_PLACE: return sm__case_mark_place(c, text, err, errlen);
	case SM_WORD_SETTING: break;
	}
	return 1;
}

int sm__variant_apply(struct sm_case *c, const char *text, char *err, size_t errlen)
{
	const char *pair;
	size_t len;
	int rc = 0;

	if (strcmp(text, SM_VARIANT_DEFAULT) == 0)
		return 0;
	while (rc == 0 && sm__variant_next(&text, &pair, &len)) {
		rc = apply_word(c, pair, len, err, errlen);
		if (rc > 0)
			rc = sm__case_set(c, pair, len);
	}
	return rc;
}
