/* html.c: text into HTML and SVG. See html.h. */
#include "harness/page/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"

/* ---- names -------------------------------------------------------------------------------- */

static void put_character(FILE *out, unsigned char c)
{
	switch (c) {
	case '&': fputs("&amp;", out); break;
	case '<': fputs("&lt;", out); break;
	case '>': fputs("&gt;", out); break;
	case '"': fputs("&quot;", out); break;
	case '\'': fputs("&#39;", out); break;
	case '\n':
	case '\t': fputc(c, out); break;
	default: fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
	}
}

/* The first byte of a character? */
static bool begins(unsigned char c)
{
	return (c & 0xc0) != 0x80;
}

void sm_html_short(FILE *out, const char *text, unsigned most)
{
	char *clean = strdup(text != NULL ? text : "");
	unsigned n = 0, all = 0;

	if (clean == NULL) {
		fputc('?', out);
		return;
	}
	sm_text_clean(clean);
	for (const char *p = clean; *p; p++)
		all += begins((unsigned char)*p);
	for (const char *p = clean; *p; p++) {
		n += begins((unsigned char)*p);
		if (all > most && n >= most) {
			fputs("\xe2\x80\xa6", out);
			break;
		}
		put_character(out, (unsigned char)*p);
	}
	free(clean);
}

void sm_html_text(FILE *out, const char *text)
{
	sm_html_short(out, text, ~0u);
}

/* ---- formats ------------------------------------------------------------------------------ */

/* The argument of one conversion: `spec` is "%.1f" and the like, `kind` what it ends in. */
static void put_argument(FILE *out, const char *spec, const char *kind, va_list *ap)
{
	char text[64];

#define PRINT(type) snprintf(text, sizeof(text), spec, va_arg(*ap, type))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	if (strcmp(kind, "zu") == 0)
		PRINT(size_t);
	else if (strcmp(kind, "lld") == 0)
		PRINT(long long);
	else if (strcmp(kind, "llu") == 0)
		PRINT(unsigned long long);
	else if (strcmp(kind, "d") == 0)
		PRINT(int);
	else if (strcmp(kind, "u") == 0)
		PRINT(unsigned);
	else if (strcmp(kind, "f") == 0 || strcmp(kind, "g") == 0)
		PRINT(double);
	else
		abort(); /* a format that html.h does not list */
#pragma GCC diagnostic pop
#undef PRINT
	fputs(text, out);
}

void sm_html(FILE *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	while (*fmt) {
		size_t plain = strcspn(fmt, "%"), flags, len;
		char spec[24], kind[4] = "";

		fwrite(fmt, 1, plain, out);
		fmt += plain;
		if (!*fmt)
			break;
		flags = 1 + strspn(fmt + 1, "-+ #0123456789.");
		len = strspn(fmt + flags, "zl");
		len += flags + 1;
		if (fmt[len - 1] == '%')
			fputc('%', out);
		else if (fmt[len - 1] == 's')
			sm_html_text(out, va_arg(ap, const char *));
		else {
			snprintf(spec, sizeof(spec), "%.*s", (int)len, fmt);
			snprintf(kind, sizeof(kind), "%.*s", (int)(len - flags), fmt + flags);
			put_argument(out, spec, kind, &ap);
		}
		fmt += len;
	}
	va_end(ap);
}

void sm_html_data(FILE *out, const char *name, double v)
{
	char text[40];

	if (!isfinite(v))
		return;
	sm_text_number(v, text, sizeof(text));
	fprintf(out, " data-%s=\"%s\"", name, text);
}
