/* figures.c: what a program printed, and the figures in it. See figures.h. */
#include "harness/program/figures.h"
#include "harness/base/text.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was printed --------------------------------------------------------------------- */

static void take_tail(struct sm_kept *k, const char *data, size_t n)
{
	if (k->tail == NULL && (k->tail = malloc(2 * SM_KEPT_TAIL)) == NULL)
		return;
	if (n > SM_KEPT_TAIL) {
		data += n - SM_KEPT_TAIL;
		n = SM_KEPT_TAIL;
	}
	if (k->ntail + n > 2 * SM_KEPT_TAIL) {
		size_t stay = SM_KEPT_TAIL;

		memmove(k->tail, k->tail + k->ntail - stay, stay);
		k->ntail = stay;
	}
	memcpy(k->tail + k->ntail, data, n);
	k->ntail += n;
}

void sm_kept_take(struct sm_kept *k, const char *data, size_t n)
{
	size_t first = SM_KEPT_HEAD - k->nhead;

	k->total += n;
	if (first > n)
		first = n;
	if (first > 0 && (k->head != NULL || (k->head = malloc(SM_KEPT_HEAD)) != NULL)) {
		memcpy(k->head + k->nhead, data, first);
		k->nhead += first;
	}
	if (n > first)
		take_tail(k, data + first, n - first);
}

char *sm_kept_text(const struct sm_kept *k, size_t *len)
{
	size_t tail = k->ntail > SM_KEPT_TAIL ? SM_KEPT_TAIL : k->ntail;
	uint64_t lost = k->total - k->nhead - tail;
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		return NULL;
	fwrite(k->head != NULL ? k->head : "", 1, k->nhead, f);
	if (lost > 0)
		fprintf(f, "\n[%llu bytes left out]\n", (unsigned long long)lost);
	if (tail > 0)
		fwrite(k->tail + k->ntail - tail, 1, tail, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void sm_kept_free(struct sm_kept *k)
{
	free(k->head);
	free(k->tail);
	*k = (struct sm_kept){0};
}

/* ---- figures ------------------------------------------------------------------------------ */

static bool is_name(const char *text, size_t len)
{
	if (len == 0 || len >= SM_FIGURE_NAME)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
		      (i > 0 && strchr("_.-/", c) != NULL)))
			return false;
	}
	return true;
}

int sm_figure_check(const char *text, char *err, size_t errlen)
{
	const char *eq = strchr(text, '=');
	char why[120];
	regex_t re;
	int rc;

	if (eq == NULL || !is_name(text, (size_t)(eq - text))) {
		snprintf(err, errlen,
			 "--metric '%.80s': allowed: NAME=REGEX, a name of letters, digits and "
			 "_ . - / that begins with a letter or digit",
			 text);
		return -EINVAL;
	}
	rc = regcomp(&re, eq + 1, REG_EXTENDED);
	if (rc != 0) {
		regerror(rc, &re, why, sizeof(why));
		snprintf(err, errlen, "--metric '%.80s': the regular expression is wrong: %s", text,
			 why);
		return -EINVAL;
	}
	if (re.re_nsub == 0) {
		snprintf(err, errlen,
			 "--metric '%.80s': the expression has no group; put the number in ( ), as "
			 "in 'ops=([0-9.]+) requests per second'",
			 text);
		rc = -EINVAL;
	}
	regfree(&re);
	return rc;
}

/* The last match in a line; where its first group is in `out`. */
static bool match_line(const regex_t *re, const char *line, regmatch_t *out)
{
	bool found = false;

	for (size_t at = 0;;) {
		regmatch_t m[2];

		if (regexec(re, line + at, 2, m, at > 0 ? REG_NOTBOL : 0) != 0)
			return found;
		if (m[1].rm_so >= 0) {
			out->rm_so = (regoff_t)at + m[1].rm_so;
			out->rm_eo = (regoff_t)at + m[1].rm_eo;
			found = true;
		}
		at += m[0].rm_eo > 0 ? (size_t)m[0].rm_eo : 1;
		if (m[0].rm_eo == m[0].rm_so || line[at - 1] == 0 || line[at] == 0)
			return found;
	}
}

/* The last line of text that matches; NULL. Line ends become NULs. */
static const char *find_line(const regex_t *re, struct sm_text *t, regmatch_t *m)
{
	size_t end = t->len;

	while (end > 0) {
		size_t start = end;

		t->text[end] = 0;
		while (start > 0 && strchr("\r\n", t->text[start - 1]) == NULL)
			start--;
		if (end > start && match_line(re, t->text + start, m))
			return t->text + start;
		end = start > 0 ? start - 1 : 0;
	}
	return NULL;
}

bool sm_text_matches(const char *regex, struct sm_text *t)
{
	bool found = false;
	regex_t re;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	for (size_t at = 0; at < t->len && !found;) {
		size_t n = strcspn(t->text + at, "\r\n");

		t->text[at + n] = 0;
		found = regexec(&re, t->text + at, 0, NULL, 0) == 0;
		at += n + 1;
	}
	regfree(&re);
	return found;
}

static bool read_number(const char *from, size_t len, double *value, char *why, size_t whylen)
{
	char text[80], *end;

	snprintf(text, sizeof(text), "%.*s", (int)(len < 79 ? len : 79), from);
	*value = strtod(text, &end);
	if (end != text && *end == 0 && isfinite(*value))
		return true;
	snprintf(why, whylen, "'%.40s' is not a number", text);
	return false;
}

bool sm_figure_find(const char *regex, struct sm_text *texts, unsigned n, double *value, char *why,
		    size_t whylen)
{
	const char *line = NULL;
	regmatch_t m;
	regex_t re;
	bool ok;

	if (regcomp(&re, regex, REG_EXTENDED) != 0) {
		snprintf(why, whylen, "the regular expression is wrong");
		return false;
	}
	for (unsigned i = 0; i < n && line == NULL; i++)
		line = texts[i].text != NULL ? find_line(&re, &texts[i], &m) : NULL;
	ok = line != NULL &&
	     read_number(line + m.rm_so, (size_t)(m.rm_eo - m.rm_so), value, why, whylen);
	if (line == NULL)
		snprintf(why, whylen, "no line of the output matches");
	regfree(&re);
	return ok;
}
