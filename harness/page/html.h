/*
 * html.h: text into HTML and SVG. Names in a store are whatever somebody typed, or wrote into the
 * file: every one goes through here.
 *
 * There are two contexts for a name: the text of an element, and an attribute's value in double
 * quotes. One way of escaping is right in both. No name goes anywhere else: not into a script, a
 * style, a comment, an attribute's name, or an address.
 */
#ifndef SM_HARNESS_PAGE_HTML_H
#define SM_HARNESS_PAGE_HTML_H

#include <stdbool.h>
#include <stdio.h>

/*
 * As fprintf, but every %s is escaped: & < > " ' as entities; control characters, what is no UTF-8
 * and what turns the direction of writing as '?'. Takes %s, %d, %u, %zu, %lld, %llu, %g and %f with
 * flags, width and precision (not *), and %%. The format itself is HTML, and a literal.
 */
void sm_html(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text alone, as %s; at most `most` characters of it, an ellipsis in place of the rest. */
void sm_html_text(FILE *out, const char *text);
void sm_html_short(FILE *out, const char *text, unsigned most);

/* Attribute data-NAME="..": the number as CSV and JSON print it, for what sorts, and for tests. */
void sm_html_data(FILE *out, const char *name, double v);

#endif
