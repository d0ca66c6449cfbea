/* initext.c: see initext.h. */
#include "allocator/os/initext.h"

#include <stdbool.h>
#include <string.h>

/* Not ctype.h's: the same in every locale. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char *sm__ini_trim(char *text)
{
	char *end;

	while (is_space(*text))
		text++;
	end = text + strlen(text);
	while (end > text && is_space(end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* The quote that ends the text in quotes at p; NULL: there is none. */
static char *end_of_quotes(char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p && *p != '"'; p++)
		p += *p == '\\' && p[1];
	return *p ? p : NULL;
}

char *sm__ini_strip(char *text)
{
	char *quote;

	text = sm__ini_trim(text);
	quote = end_of_quotes(text);
	if (quote != NULL && strchr(";#", *(quote + 1 + strspn(quote + 1, " \t\r"))) != NULL) {
		quote[1] = '\0';
		return text;
	}
	for (char *p = text; *p; p++) {
		bool first = p == text || is_blank(p[-1]) || p[-1] == '=';

		if (first && (*p == '"' || *p == '\'') && (quote = strchr(p + 1, *p)) != NULL)
			p = quote; /* of a command in it */
		else if ((*p == ';' || *p == '#') && p > text && first) {
			*p = '\0';
			break;
		}
	}
	return sm__ini_trim(text);
}

void sm__ini_unquote(char *text)
{
	char *end = end_of_quotes(text), *to = text;

	if (end == NULL || end[1])
		return;
	for (char *p = text + 1; p < end; p++) {
		if (*p == '\\')
			*to++ = *++p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
		else
			*to++ = *p;
	}
	*to = '\0';
}

char *sm__ini_section(char *text)
{
	char *end = strchr(text, ']');

	if (end == NULL || strchr(";#", *sm__ini_trim(end + 1)) == NULL)
		return NULL;
	*end = '\0';
	text = sm__ini_trim(text + 1);
	return *text != '\0' ? text : NULL;
}
