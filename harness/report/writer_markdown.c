/*
 * writer_markdown.c: what the table says as Markdown, for an issue or a page: GitHub's tables.
 * Results by case, the further ones below, counters by case, row and phase; then why a cell is n/a,
 * what stands behind a column, and which samples failed. A column without any number is not shown:
 * a line says why. Cells are written as in the table.
 *
 * Names come from anywhere. One that has more than letters, digits and what no Markdown knows goes
 * into <code>, with everything else as numbers of characters: nothing in it makes a link, a mention
 * or a cell.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"
#include "harness/report/summary.h"
#include "harness/report/writer.h"
#include "perf/names.h"
#include "workloads/results.h"

struct md {
	const struct sm_report *r;
	FILE *out;
	enum sm_by by;
	bool cases; /* some need more than workload and backend to be told apart */
	struct sm_summary summary;
	struct sm_figures figures;
	struct sm_strings notes; /* reasons, [0] is note 1 */
};

/* ---- cells -------------------------------------------------------------------------------- */

/* Nothing in it means anything to Markdown: no link, no emphasis, no :word: */
static bool is_plain(const char *text)
{
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && strchr(" ./=,;-()%", *p) == NULL &&
		    !(*p == ':' && p[1] == ' ') &&
		    !(*p == '_' && p > text && isalnum((unsigned char)p[1])))
			return false;
	return strstr(text, "www.") == NULL;
}

static void put_text(FILE *out, const char *text)
{
	char *clean = strdup(text);

	if (clean != NULL)
		sm_text_clean(clean);
	if (clean == NULL || is_plain(clean)) {
		fputs(clean != NULL ? clean : "", out);
		free(clean);
		return;
	}
	fputs("<code>", out);
	for (const char *p = clean; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80 || isalnum(c) || c == ' ')
			fputc(c, out);
		else if (c < 0x20 || c == 0x7f)
			fputc(c == '\n' ? ' ' : '?', out);
		else
			fprintf(out, "&#%u;", c);
	}
	fputs("</code>", out);
	free(clean);
}

static void put_cell(const struct md *m, const char *text)
{
	fputs("| ", m->out);
	put_text(m->out, text);
	fputc(' ', m->out);
}

/* The reason's note, from 1; 0: out of memory. */
static size_t note(struct md *m, const char *reason)
{
	for (size_t i = 0; i < m->notes.n; i++)
		if (strcmp(m->notes.v[i], reason) == 0)
			return i + 1;
	return sm_strings_add(&m->notes, reason, strlen(reason)) == 0 ? m->notes.n : 0;
}

static void put_na(struct md *m, const char *reason)
{
	size_t n = reason != NULL && reason[0] ? note(m, reason) : 0;

	if (n > 0)
		fprintf(m->out, "| n/a %zu ", n);
	else
		fputs("| n/a ", m->out);
}

/* The columns that say which case it is. */
static void put_case(const struct md *m, const struct sm_record *rec)
{
	char *name;

	put_cell(m, rec->workload);
	put_cell(m, rec->backend);
	if (!m->cases)
		return;
	name = sm__writer_case(rec, NULL);
	put_cell(m, name != NULL && strlen(name) > strlen(rec->workload)
			    ? name + strlen(rec->workload) + 1
			    : "");
	free(name);
}

static void put_case_heads(const struct md *m)
{
	fputs(m->cases ? "\n| workload | heap | case " : "\n| workload | heap ", m->out);
}

/* The line below the heads: `left` columns of text behind the case's, then `right` of numbers. */
static void put_rule(const struct md *m, unsigned left, unsigned right)
{
	fputs("|\n", m->out);
	for (unsigned i = 0; i < 2u + m->cases + left; i++)
		fputs("|---", m->out);
	for (unsigned i = 0; i < right; i++)
		fputs("|--:", m->out);
	fputs("|\n", m->out);
}

/* ---- cases -------------------------------------------------------------------------------- */

static size_t next_case(const struct sm_report *r, size_t i)
{
	unsigned group = r->records[i].group;

	while (i < r->nrecords && r->records[i].group == group)
		i++;
	return i;
}

static bool have_twins(const struct sm_report *r)
{
	for (size_t i = 0; i < r->nrecords; i = next_case(r, i))
		for (size_t k = next_case(r, i); k < r->nrecords; k = next_case(r, k))
			if (strcmp(r->records[i].workload, r->records[k].workload) == 0 &&
			    strcmp(r->records[i].backend, r->records[k].backend) == 0)
				return true;
	return false;
}

/* ---- results ------------------------------------------------------------------------------ */

static bool has_result(const struct md *m, const char *name)
{
	const char *reason;
	struct sm_stats s;

	for (size_t i = 0; i < m->r->nrecords; i = next_case(m->r, i))
		if (sm_summary_result(m->r, m->r->records[i].group, name, &s, NULL, &reason))
			return true;
	return false;
}

static void put_result(struct md *m, const struct sm_record *rec, const char *name, bool interval)
{
	const char *unit = "", *reason;
	struct sm_stats s;
	char text[40], low[40], high[40];

	if (!sm_summary_result(m->r, rec->group, name, &s, &unit, &reason)) {
		if (reason[0])
			put_na(m, reason);
		else
			fputs("| - ", m->out);
		if (interval)
			fputs("| - ", m->out);
		return;
	}
	sm_text_value(s.median, unit, text, sizeof(text));
	fprintf(m->out, "| %s ", text);
	if (!interval)
		return;
	sm_text_value(s.low, unit, low, sizeof(low));
	sm_text_value(s.high, unit, high, sizeof(high));
	if (s.has_interval)
		fprintf(m->out, "| %s..%s%s ", low, high, s.outliers ? "!" : "");
	else
		fputs("| - ", m->out);
}

/* The same columns as the table's; the interval is that of the time for an operation, else of all
 * of it. */
static void put_results(struct md *m)
{
	const struct sm_result_desc *shown[SM_RESULT_COUNT];
	const char *timed = has_result(m, "ns_per_op") ? "ns_per_op" : "wall_s";
	unsigned n = 0, intervals = 0;

	for (unsigned i = 0; i < SM_RESULT_COUNT; i++)
		if ((sm_results[i].shown == SM_SHOWN_COLUMN ||
		     sm_results[i].shown == SM_SHOWN_WIDE) &&
		    has_result(m, sm_results[i].name))
			shown[n++] = &sm_results[i];
	put_case_heads(m);
	for (unsigned i = 0; i < n; i++) {
		fprintf(m->out, "| %s ", shown[i]->title);
		if (strcmp(shown[i]->name, timed) != 0)
			continue;
		fputs("| 95% interval ", m->out);
		intervals++;
	}
	put_rule(m, 0, n + intervals);
	for (size_t k = 0; k < m->r->nrecords; k = next_case(m->r, k)) {
		put_case(m, &m->r->records[k]);
		for (unsigned i = 0; i < n; i++)
			put_result(m, &m->r->records[k], shown[i]->name,
				   strcmp(shown[i]->name, timed) == 0);
		fputs("|\n", m->out);
	}
}

/* Those that the table has in lines below, and what one asked for by --metric. */
static bool is_more(const struct md *m, const char *name)
{
	enum sm_shown shown = sm_result_shown(name);
	const struct sm_result *res = NULL;

	for (size_t i = 0; i < m->r->nrecords && res == NULL; i++)
		res = sm_record_result(&m->r->records[i], name);
	return shown == SM_SHOWN_TOLD || shown == SM_SHOWN_MORE || shown == SM_SHOWN_SERIES ||
	       shown == SM_SHOWN_MARKED || (res != NULL && res->better[0]);
}

static void put_more(struct md *m)
{
	bool any = false;

	for (size_t k = 0; k < m->r->nrecords; k = next_case(m->r, k)) {
		for (size_t i = 0; i < m->figures.n; i++) {
			const struct sm_figure *f = &m->figures.v[i];
			struct sm_stats s;
			const char *reason;

			if (f->counter || !is_more(m, f->name) ||
			    !sm_summary_result(m->r, m->r->records[k].group, f->name, &s, NULL,
					       &reason))
				continue;
			if (!any) {
				put_case_heads(m);
				fputs("| result | median | 95% interval ", m->out);
				put_rule(m, 1, 2);
			}
			any = true;
			put_case(m, &m->r->records[k]);
			put_cell(m, f->name);
			put_result(m, &m->r->records[k], f->name, true);
			fputs("|\n", m->out);
		}
	}
}

/* ---- counters ----------------------------------------------------------------------------- */

static bool has_column(const struct sm_summary *u, size_t c)
{
	for (size_t i = 0; i < u->nrows; i++)
		if (u->cells[i * u->ncolumns + c].has_value)
			return true;
	return false;
}

static void put_count(struct md *m, const struct sm_column *c, const struct sm_cell *cell)
{
	char text[40];

	if (!cell->has_value) {
		put_na(m, cell->reason);
		return;
	}
	if (strcmp(c->unit, "ns") == 0)
		sm_text_time(cell->stats.median, text, sizeof(text));
	else
		sm_text_count(cell->stats.median, text, sizeof(text));
	fprintf(m->out, "| %s%s%s ", text, cell->scaled ? "\\*" : "", cell->doubted ? "?" : "");
}

static void put_counters(struct md *m)
{
	const struct sm_summary *u = &m->summary;
	unsigned n = 0;

	if (u->nrows == 0)
		return;
	fprintf(m->out, "\nCounts for one operation of the workload, by %s and phase:\n",
		sm_by_names[m->by]);
	put_case_heads(m);
	fprintf(m->out, "| %s | phase ", sm_by_names[m->by]);
	for (size_t c = 0; c < u->ncolumns; c++) {
		if (!has_column(u, c))
			continue;
		put_cell(m, u->columns[c].title);
		n++;
	}
	put_rule(m, 2, n);
	for (size_t i = 0; i < u->nrows; i++) {
		const struct sm_row *row = &u->rows[i];

		put_case(m, &m->r->records[row->first]);
		put_cell(m, row->who);
		put_cell(m, row->phase);
		for (size_t c = 0; c < u->ncolumns; c++)
			if (has_column(u, c))
				put_count(m, &u->columns[c], &u->cells[i * u->ncolumns + c]);
		fputs("|\n", m->out);
	}
}

/* ---- notes -------------------------------------------------------------------------------- */

static void put_note(const struct md *m, const char *what, const char *text)
{
	fputs("- ", m->out);
	put_text(m->out, what);
	fputs(": ", m->out);
	put_text(m->out, text);
}

static void put_columns(struct md *m)
{
	const struct sm_summary *u = &m->summary;
	bool scaled = false, doubted = false;

	for (size_t c = 0; c < u->ncolumns; c++) {
		const struct sm_cell *first = u->nrows > 0 ? &u->cells[c] : NULL;

		if (has_column(u, c)) {
			put_note(m, u->columns[c].title, u->columns[c].event);
			fprintf(m->out, "%s (%s)\n",
				u->columns[c].per_op ? " for an operation" : "",
				u->columns[c].source);
		} else if (first != NULL) {
			put_note(m, u->columns[c].title, "n/a");
			fputs(": ", m->out);
			put_text(m->out, first->reason != NULL ? first->reason : "not counted");
			fputc('\n', m->out);
		}
	}
	for (size_t i = 0; i < u->nrows * u->ncolumns; i++) {
		scaled |= u->cells[i].has_value && u->cells[i].scaled;
		doubted |= u->cells[i].has_value && u->cells[i].doubted;
	}
	if (scaled)
		fputs("- \\*: multiplexed, scaled to the whole time\n", m->out);
	if (doubted)
		fputs("- ?: calibration found the event off\n", m->out);
}

static void put_failures(struct md *m)
{
	for (size_t i = 0; i < m->r->nrecords; i++) {
		const struct sm_record *rec = &m->r->records[i];

		if (rec->status == SM_OUTCOME_OK)
			continue;
		put_note(m, rec->workload, rec->backend);
		fprintf(m->out, ", repetition %u: %s: ", rec->rep + 1,
			sm_outcome_names[rec->status]);
		put_text(m->out, rec->message);
		fputc('\n', m->out);
	}
}

static void put_notes(struct md *m)
{
	fputc('\n', m->out);
	for (size_t i = 0; i < m->notes.n; i++) {
		fprintf(m->out, "- n/a %zu: ", i + 1);
		put_text(m->out, m->notes.v[i]);
		fputc('\n', m->out);
	}
	put_columns(m);
	put_failures(m);
}

static const char *text_of(const cJSON *env, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(env, name));

	return text != NULL ? text : "unknown";
}

static void put_head(const struct md *m)
{
	cJSON *env = cJSON_Parse(m->r->environment);

	fputs("Measured by spanmark ", m->out);
	put_text(m->out, text_of(cJSON_GetObjectItemCaseSensitive(env, "versions"), "spanmark"));
	fputs(" on ", m->out);
	put_text(m->out, text_of(env, "cpu_model"));
	fputs(", Linux ", m->out);
	put_text(m->out, text_of(env, "kernel"));
	fprintf(m->out, "; %u repetition%s, seed %llu%s\n", m->r->reps, m->r->reps == 1 ? "" : "s",
		(unsigned long long)m->r->seed,
		cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(env, "quick")) ? ", quick parameters"
									     : "");
	cJSON_Delete(env);
}

int sm_write_markdown(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	struct md m = {.r = r, .out = out, .by = w->by, .cases = have_twins(r)};
	int rc = sm_summary_build(r, w->by, &m.summary);

	if (rc == 0)
		rc = sm__writer_figures(r, &m.figures);
	if (rc == 0) {
		put_head(&m);
		put_results(&m);
		put_more(&m);
		put_counters(&m);
		put_notes(&m);
	}
	sm__writer_figures_free(&m.figures);
	sm_summary_free(&m.summary);
	sm_strings_free(&m.notes);
	return rc;
}
