/*
 * text.c: numbers and strings for the writers. See text.h.
 */
#include "harness/base/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void sm_text_number(double v, char *buf, size_t len)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, len, "%.*g", digits, v);
		if (strtod(buf, NULL) == v)
			return;
	}
}

void sm_text_last_line(const char *text, size_t len, char *buf, size_t buflen)
{
	size_t end = len, start;

	while (end > 0 && strchr(" \t\r\n", text[end - 1]) != NULL)
		end--;
	for (start = end; start > 0 && text[start - 1] != '\n' && text[start - 1] != '\r'; start--)
		;
	len = end - start < buflen ? end - start : buflen - 1;
	if (len > 0)
		memcpy(buf, text + start, len);
	buf[len] = '\0';
}

void sm_csv_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

void sm_csv_number(FILE *out, double v, bool is_there)
{
	char text[40] = "";

	if (is_there && isfinite(v))
		sm_text_number(v, text, sizeof(text));
	fprintf(out, ",%s", text);
}

void sm_json_number(cJSON *obj, const char *name, double v, bool is_there)
{
	if (is_there && isfinite(v))
		cJSON_AddNumberToObject(obj, name, v);
	else
		cJSON_AddNullToObject(obj, name);
}

/* Three significant digits without exponent: 1.23, 12.3, 123, 1234. */
static void digits3(double v, char *buf, size_t len)
{
	double a = fabs(v);

	if (v == 0)
		snprintf(buf, len, "0");
	else if (a < 0.00095)
		snprintf(buf, len, "%.0e", v);
	else if (a < 0.9995)
		snprintf(buf, len, "%.*f", a < 0.0995 ? 4 : 3, v);
	else
		snprintf(buf, len, "%.*f", a < 9.995 ? 2 : a < 99.95 ? 1 : 0, v);
}

void sm_text_count(double v, char *buf, size_t len)
{
	static const char suffixes[] = " kMGTPE";
	int i = 0;

	if (fabs(v) >= 9999.5) {
		while (fabs(v) >= 999.5 && suffixes[i + 1]) {
			v /= 1000;
			i++;
		}
	}
	digits3(v, buf, len);
	if (i > 0) {
		size_t n = strlen(buf);

		snprintf(buf + n, len - n, "%c", suffixes[i]);
	}
}

void sm_text_time(double ns, char *buf, size_t len)
{
	static const char *const units[] = {"ps", "ns", "us", "ms", "s"};
	int i = 1;
	size_t n;

	if (ns != 0 && fabs(ns) < 0.0995) {
		ns *= 1000;
		i = 0;
	}
	while (i > 0 && i < 4 && fabs(ns) >= 999.5) {
		ns /= 1000;
		i++;
	}
	digits3(ns, buf, len);
	n = strlen(buf);
	snprintf(buf + n, len - n, " %s", units[i]);
}

static void bytes_text(double v, char *buf, size_t len)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	int i = 0;
	size_t n;

	while (i < 4 && fabs(v) >= 1023.5) {
		v /= 1024;
		i++;
	}
	digits3(v, buf, len);
	n = strlen(buf);
	snprintf(buf + n, len - n, " %s", units[i]);
}

void sm_text_value(double v, const char *unit, char *buf, size_t len)
{
	size_t n = strlen(unit);

	if (strcmp(unit, "ns") == 0)
		sm_text_time(v, buf, len);
	else if (strcmp(unit, "us") == 0)
		sm_text_time(v * 1e3, buf, len);
	else if (strcmp(unit, "s") == 0)
		sm_text_time(v * 1e9, buf, len);
	else if (strcmp(unit, "bytes") == 0)
		bytes_text(v, buf, len);
	else if (strcmp(unit, "KiB") == 0)
		bytes_text(v * 1024, buf, len);
	else if (strcmp(unit, "%") == 0)
		snprintf(buf, len, "%.1f%%", v);
	else if (n > 2 && strcmp(unit + n - 2, "/s") == 0) {
		sm_text_count(v, buf, len);
		n = strlen(buf);
		snprintf(buf + n, len - n, "/s");
	} else if (v == floor(v) && fabs(v) < 1e15)
		snprintf(buf, len, "%.0f", v);
	else
		sm_text_count(v, buf, len);
}

/* Length of the valid UTF-8 sequence at p that prints one harmless character; 0 when there is none.
 */
static int utf8_len(const unsigned char *p)
{
	int n = p[0] < 0x80		      ? 1
		: p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		: (p[0] & 0xf0) == 0xe0	      ? 3
		: p[0] < 0xf5		      ? 4
					      : 0;

	if (p[0] >= 0x80 && p[0] < 0xc2)
		return 0;
	for (int i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls: 0x9b starts an escape sequence */
		return 0;
	if (n == 3 && p[0] == 0xe0 && p[1] < 0xa0)
		return 0;
	/* U+200B..200F, 202A..202E, 2066..2069: invisible, or turn the direction of writing */
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0x8b && p[2] <= 0x8f))
		return 0;
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0xaa && p[2] <= 0xae))
		return 0;
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x81 && (p[2] >= 0xa6 && p[2] <= 0xa9))
		return 0;
	return n;
}

void sm_text_print(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		int n = utf8_len(p);

		if (n == 0 || *p < 0x20 || *p == 0x7f) {
			fputc('?', out);
			p++;
			continue;
		}
		fwrite(p, 1, (size_t)n, out);
		p += n;
	}
}

void sm_text_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		int n = utf8_len(p);

		if (n == 0)
			*p = '?';
		p += n ? n : 1;
	}
}

void sm_text_name(FILE *out, const char *text, int width)
{
	int n = 0;

	for (; text[n] && n < width; n++)
		fputc((unsigned char)text[n] < 0x20 || (unsigned char)text[n] > 0x7e ? '?'
										     : text[n],
		      out);
	fprintf(out, "%*s", width - n, "");
}

void sm_text_wrapped(FILE *out, const char *text, unsigned column, unsigned hang, unsigned width)
{
	unsigned at = column;

	while (*text) {
		unsigned n = (unsigned)strcspn(text, " \n");

		if (at > column + hang && at + n + 1 > width) {
			fprintf(out, "\n%*s", (int)(column + hang), "");
			at = column + hang;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", (int)n, text);
		at += n;
		text += n + strspn(text + n, " \n");
	}
	fputc('\n', out);
}
