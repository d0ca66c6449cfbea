/* grid.c: tables that a script may sort, with every number in full beside what is shown. */
#include <math.h>
#include <string.h>

#include "harness/page/section.h"
#include "harness/base/text.h"

void sm__grid_begin(FILE *out, const char *id, const char *name)
{
	sm_html(out,
		"<div class=\"frame\" role=\"region\" tabindex=\"0\" aria-labelledby=\"%s-name\">"
		"<table id=\"%s\"><caption id=\"%s-name\">%s</caption>\n<thead><tr>",
		id, id, id, name);
}

void sm__grid_head(FILE *out, const char *title, bool number, const char *hint)
{
	sm_html(out, "<th scope=\"col\" class=\"%s\"", number ? "n" : "");
	if (hint != NULL && *hint)
		sm_html(out, " title=\"%s\"", hint);
	sm_html(out, ">%s</th>", title);
}

void sm__grid_body(FILE *out)
{
	fputs("</tr></thead>\n<tbody>\n", out);
}

void sm__grid_end(FILE *out)
{
	fputs("</tbody></table></div>\n", out);
}

void sm__grid_number(FILE *out, double v, const char *unit)
{
	char text[40];

	if (!isfinite(v)) {
		fputs("<td class=\"n na\">n/a</td>", out);
		return;
	}
	sm_text_value(v, unit, text, sizeof(text));
	fputs("<td class=\"n\"", out);
	sm_html_data(out, "v", v);
	sm_html(out, ">%s</td>", text);
}

void sm__grid_value(FILE *out, const struct sm_stats *s, const char *unit, const char *marks)
{
	char text[40], low[40], high[40];

	sm_text_value(s->median, unit, text, sizeof(text));
	fputs("<td class=\"n\"", out);
	sm_html_data(out, "v", s->median);
	if (s->has_interval) {
		sm_html_data(out, "low", s->low);
		sm_html_data(out, "high", s->high);
	}
	sm_html(out, ">%s%s", text, marks);
	if (s->has_interval) {
		sm_text_value(s->low, unit, low, sizeof(low));
		sm_text_value(s->high, unit, high, sizeof(high));
		if (strcmp(low, high) != 0)
			sm_html(out, "<small>%s \xe2\x80\x93 %s</small>", low, high);
	}
	fputs("</td>", out);
}

void sm__grid_na(FILE *out, struct sm__reasons *known, const char *reason)
{
	size_t i = 0;

	if (reason == NULL || !*reason) {
		fputs("<td class=\"n na\">\xe2\x80\x93</td>", out);
		return;
	}
	while (i < known->n && strcmp(known->v[i], reason) != 0)
		i++;
	if (i == known->n && known->n < sizeof(known->v) / sizeof(known->v[0]))
		known->v[known->n++] = reason;
	if (i < known->n)
		sm_html(out, "<td class=\"n na\">n/a<sup>%zu</sup></td>", i + 1);
	else
		sm_html(out, "<td class=\"n na\" title=\"%s\">n/a</td>", reason);
}

void sm__grid_reasons(FILE *out, const struct sm__reasons *known)
{
	if (known->n == 0)
		return;
	fputs("<ol class=\"reasons\">", out);
	for (size_t i = 0; i < known->n; i++)
		sm_html(out, "<li>%s</li>", known->v[i]);
	fputs("</ol>\n", out);
}
