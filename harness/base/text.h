/*
 * text.h: numbers and hostile strings for whatever the command prints. Numbers are those of the C
 * locale whatever the user's is.
 */
#ifndef SM_HARNESS_TEXT_H
#define SM_HARNESS_TEXT_H

#include <stdbool.h>
#include <stdio.h>

struct cJSON;

/* Shortest decimal that reads back as the same double. */
void sm_text_number(double v, char *buf, size_t len);
/* At most 6 characters: 3 significant digits, with k, M, G, .. from 10000 on. */
void sm_text_count(double v, char *buf, size_t len);
/* At most 8 characters: "12.3 ns", "1.23 s". */
void sm_text_time(double ns, char *buf, size_t len);
/* A value in its unit, for reading: "12.3 ns", "38.1 M/s", "1.50 MiB". */
void sm_text_value(double v, const char *unit, char *buf, size_t len);
/* Prints text with control characters, escape sequences and what is not valid UTF-8 made harmless
 * ('?'). */
void sm_text_print(FILE *out, const char *text);
/* Makes what is not valid UTF-8, or turns the direction of writing, '?' in place. */
void sm_text_clean(char *text);
/* The last line with anything on it, without the blanks at its end, cut to the buffer; "": there is
 * none. text may be NULL where len is 0. */
void sm_text_last_line(const char *text, size_t len, char *buf, size_t buflen);
/* A field of CSV in quotes, and one that begins with its comma: empty where there is no number. */
void sm_csv_quoted(FILE *out, const char *text);
void sm_csv_number(FILE *out, double v, bool is_there);
/* A member of a JSON object: null where there is no number. */
void sm_json_number(struct cJSON *obj, const char *name, double v, bool is_there);
/* Words of text from the column on, at which the cursor stands, broken at the width; further lines
 * begin `hang` columns later. Blanks and newlines are alike; ends its line. */
void sm_text_wrapped(FILE *out, const char *text, unsigned column, unsigned hang, unsigned width);
/* A name in a column: cut or padded to the width, everything but printable ASCII as '?'. */
void sm_text_name(FILE *out, const char *text, int width);

#endif
