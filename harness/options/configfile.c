/*
 * configfile.c: INI text. See configfile.h.
 *
 * A reader of our own: values are command lines and regular expressions, of any length, with any
 * letter in them, and a plan that was printed must be read as what it was.
 */
#include "harness/options/configfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/os/initext.h"

#define MAX_FILE (1u << 20)

char *sm_config_load(const char *path, char *err, size_t errlen)
{
	FILE *f = strcmp(path, "-") == 0 ? fopen("/dev/stdin", "re") : fopen(path, "re");
	char *buf = f != NULL ? malloc(MAX_FILE + 1) : NULL;
	size_t n = 0;
	int rc = 0;

	if (buf == NULL)
		rc = f != NULL ? ENOMEM : errno;
	else {
		n = fread(buf, 1, MAX_FILE + 1, f);
		rc = ferror(f) ? errno : n > MAX_FILE ? EFBIG : 0;
	}
	if (f != NULL)
		fclose(f);
	if (rc) {
		snprintf(err, errlen, "cannot read '%.200s': %s", path, strerror(rc));
	} else if (memchr(buf, 0, n) != NULL) {
		snprintf(err, errlen, "'%.200s' line 1: not text", path);
		rc = EINVAL;
	}
	if (rc) {
		free(buf);
		return NULL;
	}
	buf[n] = 0;
	return buf;
}

/* ---- values ------------------------------------------------------------------------------- */

void sm_config_put(FILE *f, const char *value)
{
	size_t n = strlen(value);
	bool quote = n == 0 || value[0] == '"' || value[0] == ';' || value[0] == '#' ||
		     isspace((unsigned char)value[0]) || isspace((unsigned char)value[n - 1]) ||
		     strpbrk(value, "\n\r") != NULL || strstr(value, " ;") != NULL ||
		     strstr(value, " #") != NULL || strstr(value, "\t;") != NULL ||
		     strstr(value, "\t#") != NULL;

	if (!quote) {
		fputs(value, f);
		return;
	}
	fputc('"', f);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		if (*value == '\n')
			fputs("\\n", f);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

/* ---- lines -------------------------------------------------------------------------------- */

/* The reading of a text: a value is given on when it is known to be whole. */
struct reading {
	sm_config_fn *fn;
	void *ctx;
	struct sm_config_item item;
	char *section, *key, *value; /* key NULL: none is open */
	unsigned at;		     /* the line that an error is about */
	char *err;
	size_t errlen;
};

static int complain(struct reading *r, const char *what)
{
	snprintf(r->err, r->errlen, "%s", what);
	return -EINVAL;
}

static int give(struct reading *r)
{
	r->item.section = r->section != NULL ? r->section : "";
	r->item.key = r->key;
	r->item.value = r->value;
	return r->fn(r->ctx, &r->item, r->err, r->errlen);
}

/* The value that is open is whole. */
static int end_value(struct reading *r)
{
	int rc = 0;

	if (r->key != NULL) {
		r->at = r->item.line;
		sm__ini_unquote(r->value);
		rc = give(r);
	}
	free(r->key);
	free(r->value);
	r->key = r->value = NULL;
	return rc;
}

static int begin_section(struct reading *r, char *text, unsigned line)
{
	text = sm__ini_section(text);
	if (text == NULL)
		return complain(r, "expected [section]");
	free(r->section);
	r->section = strdup(text);
	r->item.section_line = r->item.line = line;
	return r->section != NULL ? give(r) : -ENOMEM;
}

static int begin_value(struct reading *r, char *text, unsigned line)
{
	char *equals = text + strcspn(text, "=:"), *key;

	if (*equals == 0 || equals == text)
		return complain(r, "expected [section] or key = value");
	*equals = 0;
	key = sm__ini_trim(text);
	r->key = strdup(key);
	r->value = strdup(sm__ini_strip(equals + 1));
	r->item.line = line;
	return r->key != NULL && r->value != NULL ? 0 : -ENOMEM;
}

/* An entry of a list follows its comma; any other word a blank. */
static int continue_value(struct reading *r, char *text)
{
	size_t n = strlen(r->value);
	char *longer;

	text = sm__ini_strip(text);
	if (asprintf(&longer, "%s%s%s", r->value, n == 0 || r->value[n - 1] == ',' ? "" : " ",
		     text) < 0)
		return -ENOMEM;
	free(r->value);
	r->value = longer;
	return 0;
}

static int take_line(struct reading *r, char *raw, unsigned line)
{
	bool indented = isblank((unsigned char)raw[0]);
	char *text = sm__ini_trim(raw);
	int rc;

	if (indented && r->key != NULL && *text && strchr(";#[", *text) == NULL &&
	    strchr(text, '=') == NULL)
		return continue_value(r, text);
	rc = end_value(r);
	if (rc)
		return rc;
	r->at = line;
	if (*text == 0 || *text == ';' || *text == '#')
		return 0;
	return *text == '[' ? begin_section(r, text, line) : begin_value(r, text, line);
}

int sm_config_each(const char *path, const char *text, sm_config_fn *fn, void *ctx, char *err,
		   size_t errlen)
{
	char why[512] = "out of memory";
	struct reading r = {.fn = fn, .ctx = ctx, .err = why, .errlen = sizeof(why)};
	char *copy = strdup(strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text), *rest = copy;
	unsigned line = 0;
	int rc = copy != NULL ? 0 : -ENOMEM;

	while (rc == 0 && rest != NULL)
		rc = take_line(&r, strsep(&rest, "\n"), ++line);
	if (rc == 0)
		rc = end_value(&r);
	if (rc)
		snprintf(err, errlen, "'%.200s' line %u: %s", path, r.at, why);
	free(copy);
	free(r.section);
	free(r.key);
	free(r.value);
	return rc;
}
