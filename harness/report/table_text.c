/*
 * table_text.c: what the parts of the table share: groups, wrapped text, cells. See table.h.
 */
#include "harness/report/table.h"
#include "harness/base/text.h"

#include <stdlib.h>
#include <string.h>

/* First record of each group: calls fn with its index. */
void sm__table_each_group(struct sm_table *t, void (*fn)(struct sm_table *t, size_t first))
{
	for (size_t i = 0; i < t->r->nrecords; i++) {
		if (i == 0 || t->r->records[i].group != t->r->records[i - 1].group)
			fn(t, i);
	}
}

size_t sm__table_group_end(const struct sm_report *r, size_t first)
{
	size_t i = first;

	while (i < r->nrecords && r->records[i].group == r->records[first].group)
		i++;
	return i;
}

/* The group's first record with results; NULL. */
const struct sm_record *sm__table_with_results(const struct sm_report *r, size_t first)
{
	for (size_t i = first, end = sm__table_group_end(r, first); i < end; i++) {
		if (r->records[i].nresults)
			return &r->records[i];
	}
	return NULL;
}

/* ---- words that wrap ---------------------------------------------------------------------- */

void sm__table_wrap_word(struct sm_wrap *w, const char *word)
{
	size_t len = strlen(word);

	if (w->col > w->indent && w->col + 2 + len > w->width) {
		fprintf(w->out, "\n%*s", (int)w->indent, "");
		w->col = w->indent;
	} else if (w->col > w->indent) {
		fputs("  ", w->out);
		w->col += 2;
	}
	sm_text_print(w->out, word);
	w->col += len;
}

/* Text wrapped at blanks; `head` stands in front of the first line, indent wide. */
static void wrap(FILE *out, size_t width, const char *head, size_t indent, const char *text)
{
	size_t col = indent;

	fprintf(out, "%-*s", (int)indent, head);
	while (*text) {
		size_t len = strcspn(text, " \n");
		char *word = strndup(text, len);

		if (col > indent && col + 1 + len > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			col = indent;
		} else if (col > indent) {
			fputc(' ', out);
			col++;
		}
		/* One word wider than the table (a path, an event) is cut into lines. */
		for (const char *p = word; p != NULL && *p;) {
			char piece[SM_TABLE_WIDTH + 1];
			size_t room = width - col, n = strlen(p) < room ? strlen(p) : room;

			memcpy(piece, p, n);
			piece[n] = 0;
			sm_text_print(out, piece);
			col += n;
			p += n;
			if (*p) {
				fprintf(out, "\n%*s", (int)indent, "");
				col = indent;
			}
		}
		free(word);
		text += len;
		text += strspn(text, " \n");
	}
	fputc('\n', out);
}

void sm__table_wrap_text(FILE *out, const char *head, size_t indent, const char *text)
{
	wrap(out, SM_TABLE_WIDTH, head, indent, text);
}

void sm__table_list(FILE *out, const char *head, const struct sm_strings *list)
{
	for (size_t i = 0; i < list->n; i++) {
		char line[600];

		snprintf(line, sizeof(line), "%s%s", head, list->v[i]);
		sm_text_clean(line);
		sm__table_wrap_text(out, "", 2, line);
	}
}

void sm__table_wrap(struct sm_table *t, const char *head, size_t indent, const char *text)
{
	wrap(t->out, t->width, head, indent, text);
}

/* ---- cells -------------------------------------------------------------------------------- */

/* A reason's note: 1.., 0 when there are too many. */
static size_t note(struct sm_table *t, const char *reason)
{
	for (size_t i = 0; i < t->nnotes; i++) {
		if (strcmp(t->notes[i], reason) == 0)
			return i + 1;
	}
	if (t->nnotes == SM_TABLE_NOTES)
		return 0;
	t->notes[t->nnotes++] = reason;
	return t->nnotes;
}

/* Of a path, its end. */
static const char *short_name(const char *backend)
{
	const char *slash = strrchr(backend, '/');

	return slash != NULL ? slash + 1 : backend;
}

/* The first two columns of every table. */
void sm__table_put_names(struct sm_table *t, const struct sm_record *rec, bool shown)
{
	if (t->narrow) {
		if (shown) {
			sm_text_print(t->out, rec->workload);
			fputc(' ', t->out);
			sm_text_print(t->out, rec->backend);
			fputc('\n', t->out);
		}
		fputc(' ', t->out);
		return;
	}
	sm_text_name(t->out, shown ? rec->workload : "", 12);
	fputc(' ', t->out);
	sm_text_name(t->out, shown ? short_name(rec->backend) : "", t->backend);
}

void sm__table_put_heads(struct sm_table *t)
{
	if (t->narrow)
		fputc(' ', t->out);
	else
		fprintf(t->out, "%-12s %-*s", "workload", t->backend, "heap");
}

void sm__table_put_na(struct sm_table *t, int width, const char *reason)
{
	char text[32] = "n/a";
	size_t n = reason != NULL && reason[0] ? note(t, reason) : 0;

	if (n)
		snprintf(text, sizeof(text), "n/a %zu", n);
	fprintf(t->out, " %s%*s%s", SM_DIM(t), width, text, SM_PLAIN(t));
}

void sm__table_put_result(struct sm_table *t, size_t first, const struct sm_result_desc *what,
			  int width)
{
	unsigned group = t->r->records[first].group;
	const char *unit = "", *reason;
	struct sm_stats s;
	char text[40];

	if (!sm_summary_result(t->r, group, what->name, &s, &unit, &reason)) {
		if (reason[0])
			sm__table_put_na(t, width, reason);
		else
			fprintf(t->out, " %*s", width, "-");
		return;
	}
	sm_text_value(s.median, unit, text, sizeof(text));
	fprintf(t->out, " %*s", width, text);
}
