/*
 * configfile.c: the configuration file: INI text (inih) that names the same options as the command
 * line. See options.h.
 *
 * inih reads lines into a buffer of 200 bytes and would cut a longer one in two, so the file is
 * read and looked over first.
 */
#include "harness/options/configfile.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/suggest.h"

#define MAX_FILE (1u << 20)
#define MAX_LINE 190

struct reader {
	sm_config_take_fn *take;
	void *ctx;
	char *err;
	size_t errlen;
	int rc;
};

static int section_error(const char *section, char *err, size_t errlen)
{
	static const char *const sections[] = {"run", "params", "set"};

	sm_suggest_error(err, errlen, "section", section, sections, 3);
	return -EINVAL;
}

static int take_pair(const struct reader *r, const char *option, const char *name,
		     const char *value)
{
	char pair[512];

	snprintf(pair, sizeof(pair), "%s=%s", name, value);
	return r->take(r->ctx, option, pair, r->err, r->errlen);
}

/* inih's callback: 1 goes on. The first error stays. */
static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	if (r->rc)
		return 0;
	if (name == NULL || value == NULL)
		return 1;
	/* what spanmark tune says of its file */
	if (strcmp(section, "machine") == 0 || strcmp(section, "tune") == 0)
		return 1;
	if (strcmp(section, "params") == 0)
		r->rc = take_pair(r, "param", name, value);
	else if (strcmp(section, "set") == 0)
		r->rc = take_pair(r, "set", name, value);
	else if (strcmp(section, "run") != 0 && *section)
		r->rc = section_error(section, r->err, r->errlen);
	else if (strcmp(name, "config") == 0) {
		snprintf(r->err, r->errlen, "a configuration file names no further one");
		r->rc = -EINVAL;
	} else
		r->rc = r->take(r->ctx, name, value, r->err, r->errlen);
	return r->rc == 0;
}

static int slurp(const char *path, char **text, size_t *len, char *err, size_t errlen)
{
	FILE *f = fopen(path, "re");
	char *buf = f != NULL ? malloc(MAX_FILE + 1) : NULL;
	size_t n;
	int rc = 0;

	if (buf == NULL) {
		rc = f != NULL ? -ENOMEM : -errno;
		snprintf(err, errlen, "--config: cannot read '%.200s': %s", path, strerror(-rc));
		if (f != NULL)
			fclose(f);
		return rc;
	}
	n = fread(buf, 1, MAX_FILE + 1, f);
	if (ferror(f))
		rc = -errno;
	fclose(f);
	if (rc == 0 && n > MAX_FILE)
		rc = -EFBIG;
	if (rc) {
		snprintf(err, errlen, "--config: cannot read '%.200s': %s", path, strerror(-rc));
		free(buf);
		return rc;
	}
	buf[n] = 0;
	*text = buf;
	*len = n;
	return 0;
}

/* Line number of the first line that inih could not read as written, 0 when all is well. */
static unsigned bad_line(const char *text, size_t len)
{
	unsigned line = 1;
	size_t start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i == len || text[i] == '\n') {
			if (i - start > MAX_LINE)
				return line;
			start = i + 1;
			line++;
		}
	}
	return 0;
}

/*
 * An indented line without = goes on with the value above. inih would hand it over as a second
 * value of the same name, which replaces the first, and take an indented "name = value" for one
 * too: lines lose their indentation here, and a continuation its line break, which then follows the
 * whole value so that lines keep their numbers.
 */
static size_t join_lines(char *text, size_t len)
{
	size_t out = 0, owed = 0;
	bool value = false; /* the line above is one */

	for (size_t at = 0; at < len;) {
		size_t end = at + strcspn(text + at, "\n"), start = at + strspn(text + at, " \t");
		bool assigns = memchr(text + start, '=', end > start ? end - start : 0) != NULL;
		bool more = value && start > at && start < end && !assigns &&
			    strchr(";#[", text[start]) == NULL;

		if (more)
			owed++;
		else {
			for (; out > 0 && owed > 0; owed--)
				text[out++] = '\n';
			value = assigns && strchr(";#[", text[start]) == NULL;
		}
		/* the break before it */
		while (more && out > 0 && isspace((unsigned char)text[out - 1]))
			out--;
		memmove(text + out, text + start, end > start ? end - start : 0);
		out += end > start ? end - start : 0;
		if (end < len)
			text[out++] = '\n';
		at = end + 1;
	}
	text[out] = 0;
	return out;
}

int sm_config_file_read(const char *path, sm_config_take_fn *take, void *ctx, char *err,
			size_t errlen)
{
	char why[512] = "";
	struct reader r = {.take = take, .ctx = ctx, .err = why, .errlen = sizeof(why)};
	char *text = NULL;
	size_t len = 0;
	unsigned line;
	int at, rc = slurp(path, &text, &len, err, errlen);

	if (rc)
		return rc;
	line = memchr(text, 0, len) != NULL ? 1 : bad_line(text, join_lines(text, len));
	if (line) {
		snprintf(err, errlen,
			 "--config: '%.200s' line %u: not text, or longer than %d bytes", path,
			 line, MAX_LINE);
		free(text);
		return -EINVAL;
	}
	at = ini_parse_string(text, on_value, &r);
	free(text);
	if (r.rc == 0 && at == 0)
		return 0;
	if (r.rc == 0)
		snprintf(why, sizeof(why), "expected [section] or key = value");
	snprintf(err, errlen, "--config: '%.200s' line %d: %s", path, at, why);
	return r.rc == -ENOMEM ? r.rc : -EINVAL;
}
