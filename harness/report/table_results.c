/*
 * table_results.c: a line for each case: its results, in the short table what its mutators counted
 * beside them, and below what else it has to tell. See table.h.
 */
#include "harness/report/table.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"

/* ---- which columns ------------------------------------------------------------------------ */

void sm__table_leave_out(struct sm_table *t, const char *title, const char *reason,
			 const char *remedy)
{
	struct sm_left_out *l = t->left_out;
	size_t i = 0, n;

	while (i < t->nleft_out && strcmp(l[i].reason, reason) != 0)
		i++;
	if (i == SM_TABLE_NOTES)
		i--; /* better under another's reason than not named */
	if (i == t->nleft_out)
		l[t->nleft_out++] = (struct sm_left_out){.reason = reason, .remedy = remedy};
	n = strlen(l[i].names);
	snprintf(l[i].names + n, sizeof(l[i].names) - n, "%s%s", n > 0 ? ", " : "", title);
}

/* Has some case a value? *all, where it is asked for: each that was measured has one. *reason: of
 * the first without, where none has. */
static bool some_have(const struct sm_table *t, const char *name, bool *all, const char **reason)
{
	const struct sm_report *r = t->r;
	bool some = false;

	*reason = "";
	if (all != NULL)
		*all = true;
	for (size_t i = 0; i < r->nrecords; i = sm__table_group_end(r, i)) {
		const char *why;
		struct sm_stats s;

		if (sm__table_with_results(r, i) == NULL)
			continue;
		if (sm_summary_result(r, r->records[i].group, name, &s, NULL, &why)) {
			some = true;
			if (all == NULL)
				break;
			continue;
		}
		if (all != NULL)
			*all = false;
		*reason = **reason ? *reason : why;
	}
	return some;
}

static void choose_results(struct sm_table *t)
{
	bool per_op;
	const char *reason;

	some_have(t, "ns_per_op", &per_op, &reason);
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++) {
		const struct sm_result_desc *d = &sm_results[i];

		if (t->w->wide) {
			t->results[i] = d->shown == SM_SHOWN_COLUMN || d->shown == SM_SHOWN_WIDE;
			continue;
		}
		/* Where each case tells the time of an operation, the whole time says how long the
		 * case was made, and no more. */
		if (d->shown != SM_SHOWN_COLUMN && d->shown != SM_SHOWN_BRIEF &&
		    (i != SM_RESULT_wall_s || per_op))
			continue;
		t->results[i] = some_have(t, d->name, NULL, &reason);
		if (!t->results[i] && reason[0])
			sm__table_leave_out(t, d->title, reason, "");
	}
}

static const char *remedy(const struct sm_cell *cell)
{
	return cell->status == SM_STATUS_UNSUPPORTED || cell->status == SM_STATUS_DENIED
		       ? "see `spanmark doctor`"
		       : "";
}

/* The cell that says why the column has no value: the first total's, for a phase may have a reason
 * of its own, and which phase is the first is a matter of time; else the first. NULL: it has one,
 * or nobody says why. */
static const struct sm_cell *says_why(const struct sm_summary *u, size_t column, bool *has_value)
{
	const struct sm_cell *why = NULL;
	bool of_total = false;

	for (size_t i = 0; i < u->nrows; i++) {
		const struct sm_cell *cell = &u->cells[i * u->ncolumns + column];
		bool total = strcmp(u->rows[i].phase, "total") == 0;

		*has_value = cell->has_value;
		if (*has_value)
			return NULL;
		if (cell->reason != NULL && (why == NULL || (total && !of_total))) {
			why = cell;
			of_total = total;
		}
	}
	return why;
}

static void choose_counts(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;

	for (size_t c = 0; c < u->ncolumns; c++) {
		bool has_value = false;
		const struct sm_cell *without = says_why(u, c, &has_value);

		t->shown[c] = t->w->wide || has_value;
		if (!t->shown[c] && without != NULL)
			sm__table_leave_out(t, u->columns[c].title, without->reason,
					    remedy(without));
	}
}

/* Room for the interval, as far as it reaches from the median: "±12%!". */
#define REACH_WIDTH 6

static bool is_time(const struct sm_column *c)
{
	return strcmp(c->metric, "time") == 0;
}

static int results_width(const struct sm_table *t)
{
	int width = SM_NAMES_WIDTH(t) + 1 + REACH_WIDTH;

	for (unsigned i = 0; i < SM_RESULT_COUNT; i++)
		width += t->results[i] ? 1 + sm_results[i].width : 0;
	return width;
}

/* All counts of all cases, in the room that results leave. */
static bool fit_beside(const struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	int width = results_width(t);

	if (t->w->wide || t->w->by != SM_BY_ROLE || u->nrows == 0)
		return false;
	for (size_t c = 0; c < u->ncolumns; c++)
		if (t->shown[c] && !is_time(&u->columns[c]))
			width += 1 + sm__table_cell_width(&u->columns[c]);
	for (size_t i = 0; i < u->nrows; i++)
		if (t->wholes[u->rows[i].first].row == SIZE_MAX)
			return false;
	return width <= (int)t->width;
}

void sm__table_choose(struct sm_table *t)
{
	choose_results(t);
	choose_counts(t);
	t->narrow = t->width < SM_TABLE_WIDTH && (t->w->wide || results_width(t) > (int)t->width);
	t->beside = fit_beside(t);
}

/* Of the rows [first, end) of a case. */
static struct sm_whole whole_of(const struct sm_row *rows, size_t first, size_t end)
{
	struct sm_whole w = {.row = first};

	for (size_t i = first; i < end; i++) {
		bool total = strcmp(rows[i].phase, "total") == 0;

		if (rows[i].who != rows[first].who) {
			if (strncmp(rows[i].who, "mutator", 7) == 0)
				return (struct sm_whole){.row = SIZE_MAX};
			continue;
		}
		w.phases += !total && !rows[i].small;
		w.row = i; /* a total is the last */
	}
	return w;
}

int sm__table_find_wholes(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;

	t->wholes = malloc((t->r->nrecords + 1) * sizeof(*t->wholes));
	if (t->wholes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->r->nrecords; i++)
		t->wholes[i] = (struct sm_whole){.row = SIZE_MAX};
	for (size_t i = 0, end; i < u->nrows; i = end) {
		for (end = i; end < u->nrows && u->rows[end].group == u->rows[i].group; end++)
			;
		t->wholes[u->rows[i].first] = whole_of(u->rows, i, end);
	}
	return 0;
}

/* ---- a case's line ------------------------------------------------------------------------ */

/* Long names of backends have their room of this column, which has some to spare. */
#define INTERVAL_WIDTH(t) ((t)->backend > 13 ? 32 - (t)->backend : 19)

static bool interval_of(struct sm_table *t, size_t first, struct sm_stats *s, const char **unit)
{
	unsigned group = t->r->records[first].group;
	const char *reason;
	bool any = sm_summary_result(t->r, group, "ns_per_op", s, unit, &reason) ||
		   sm_summary_result(t->r, group, "wall_s", s, unit, &reason);

	t->outliers |= any && s->outliers > 0;
	return any && s->has_interval;
}

static void put_interval(struct sm_table *t, size_t first)
{
	const char *unit = "";
	struct sm_stats s;
	char text[64] = "-", low[24], high[24];

	if (interval_of(t, first, &s, &unit)) {
		sm_text_value(s.low, unit, low, sizeof(low));
		sm_text_value(s.high, unit, high, sizeof(high));
		snprintf(text, sizeof(text), "%s..%s%s", low, high, s.outliers ? "!" : "");
	}
	fprintf(t->out, " %*s", INTERVAL_WIDTH(t), text);
}

/* How far the interval reaches from the median, at most. */
static void put_reach(struct sm_table *t, size_t first)
{
	const char *unit = "";
	struct sm_stats s;
	char text[40] = "-";
	int width = REACH_WIDTH;

	if (interval_of(t, first, &s, &unit) && s.median > 0) {
		double reach = fmax(s.high - s.median, s.median - s.low) / s.median * 100;

		snprintf(text, sizeof(text), "±%.*f%%%s",
			 reach < 0.95  ? 2
			 : reach < 9.5 ? 1
				       : 0,
			 reach, s.outliers ? "!" : "");
		t->intervals = true;
		width++; /* ± has two bytes */
	}
	fprintf(t->out, " %*s", width, text);
}

static void put_counts(struct sm_table *t, size_t first)
{
	const struct sm_summary *u = &t->summary;
	size_t row = t->wholes[first].row;

	for (size_t c = 0; c < u->ncolumns; c++) {
		if (!t->shown[c] || is_time(&u->columns[c]))
			continue;
		if (row == SIZE_MAX)
			fprintf(t->out, " %*s", sm__table_cell_width(&u->columns[c]), "-");
		else
			sm__table_put_cell(t, &u->cells[row * u->ncolumns + c], &u->columns[c]);
	}
}

/* No sample of the group is good. */
static bool all_failed(const struct sm_report *r, size_t first)
{
	for (size_t i = first, end = sm__table_group_end(r, first); i < end; i++) {
		if (r->records[i].status == SM_OUTCOME_OK)
			return false;
	}
	return true;
}

/* The interval is that of the time of an operation, or of the whole where no case has that. */
static bool interval_follows(const struct sm_table *t, unsigned result)
{
	return result == (t->results[SM_RESULT_ns_per_op] ? SM_RESULT_ns_per_op : SM_RESULT_wall_s);
}

static void write_result_row(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = &t->r->records[first];

	if (sm__table_has_twin(t, first))
		sm__table_case_line(t, first);
	sm__table_put_names(t, rec, true);
	if (rec->status == SM_OUTCOME_ABSENT) {
		sm__table_put_na(t, 8, rec->message);
		fputc('\n', t->out);
		return;
	}
	if (all_failed(t->r, first)) {
		fprintf(t->out, " %sno sample (see below)%s\n", SM_RED(t), SM_PLAIN(t));
		return;
	}
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++) {
		if (t->results[i])
			sm__table_put_result(t, first, &sm_results[i], sm_results[i].width);
		if (interval_follows(t, i))
			(t->w->wide ? put_interval : put_reach)(t, first);
	}
	if (t->beside)
		put_counts(t, first);
	fputc('\n', t->out);
}

static bool is_told(const struct sm_table *t, const struct sm_result *res)
{
	enum sm_shown shown = sm_result_shown(res->name);

	return shown == SM_SHOWN_TOLD || res->better[0] || /* with it: a --metric */
	       (t->w->wide && (shown == SM_SHOWN_MORE || shown == SM_SHOWN_SERIES));
}

static void write_more(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = sm__table_with_results(t->r, first);
	size_t indent = SM_NAMES_WIDTH(t) + 1;
	struct sm_wrap w = {t->out, indent, indent, t->width};
	bool any = false;

	if (rec == NULL)
		return;
	for (size_t i = 0; i < rec->nresults; i++) {
		const char *unit = "", *reason;
		struct sm_stats s;
		char value[40], word[128];

		if (!is_told(t, &rec->results[i]) ||
		    !sm_summary_result(t->r, rec->group, rec->results[i].name, &s, &unit, &reason))
			continue;
		if (!any) {
			if (sm__table_has_twin(t, first))
				sm__table_case_line(t, first);
			sm__table_put_names(t, rec, true);
			fputc(' ', t->out);
		}
		any = true;
		sm_text_value(s.median, unit, value, sizeof(value));
		snprintf(word, sizeof(word), "%s %s", rec->results[i].name, value);
		sm__table_wrap_word(&w, word);
	}
	if (any)
		fputc('\n', t->out);
}

static bool something_to_tell(const struct sm_table *t)
{
	for (size_t i = 0; i < t->r->nrecords; i++)
		for (size_t k = 0; k < t->r->records[i].nresults; k++)
			if (is_told(t, &t->r->records[i].results[k]))
				return true;
	return false;
}

void sm__table_results(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;

	fprintf(t->out, "%s%s", t->w->wide ? "\n" : "", SM_BOLD(t));
	sm__table_put_heads(t);
	for (unsigned i = 0; i < SM_RESULT_COUNT; i++) {
		if (t->results[i])
			fprintf(t->out, " %*s", sm_results[i].width, sm_results[i].title);
		if (interval_follows(t, i) && t->w->wide)
			fprintf(t->out, " %*s", INTERVAL_WIDTH(t), "95% interval");
		else if (interval_follows(t, i))
			fprintf(t->out, " %*s", REACH_WIDTH + 1, "±95%");
	}
	for (size_t c = 0; c < u->ncolumns && t->beside; c++)
		if (t->shown[c] && !is_time(&u->columns[c]))
			fprintf(t->out, " %*s", sm__table_cell_width(&u->columns[c]),
				u->columns[c].title);
	fprintf(t->out, "%s\n", SM_PLAIN(t));
	sm__table_each_group(t, write_result_row);
	t->told = something_to_tell(t);
	if (t->w->wide || t->told)
		fputc('\n', t->out);
	sm__table_each_group(t, write_more);
}

/* ---- marking, for an object --------------------------------------------------------------- */

static const struct sm_result *marked_result(const struct sm_record *rec, unsigned id)
{
	return sm_results[id].shown == SM_SHOWN_MARKED ? sm_record_result(rec, sm_results[id].name)
						       : NULL;
}

/* The first one with a value, else without; NULL: no sample has it. */
static const struct sm_result *marked_column(const struct sm_table *t, unsigned id)
{
	const struct sm_result *without = NULL;

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_result *res = marked_result(&t->r->records[i], id);

		if (res != NULL && res->has_value)
			return res;
		without = res != NULL ? res : without;
	}
	return without;
}

static bool has_marked(const struct sm_table *t, size_t first)
{
	for (size_t i = first, end = sm__table_group_end(t->r, first); i < end; i++)
		for (unsigned id = 0; id < SM_RESULT_COUNT; id++)
			if (marked_result(&t->r->records[i], id) != NULL)
				return true;
	return false;
}

static void write_marked_group(struct sm_table *t, size_t first)
{
	if (!has_marked(t, first))
		return;
	if (sm__table_has_twin(t, first))
		sm__table_case_line(t, first);
	sm__table_put_names(t, &t->r->records[first], true);
	for (unsigned id = 0; id < SM_RESULT_COUNT; id++)
		if (marked_column(t, id) != NULL)
			sm__table_put_result(t, first, &sm_results[id], sm_results[id].width);
	fputc('\n', t->out);
}

void sm__table_marked(struct sm_table *t)
{
	char line[600] = "";
	bool any = false;

	for (unsigned id = 0; t->w->wide && id < SM_RESULT_COUNT; id++) {
		const struct sm_result *res = marked_column(t, id);
		size_t at = strlen(line);

		if (res == NULL)
			continue;
		if (!any) {
			fprintf(t->out,
				"\n%sCounts of mark workers for one object that they marked%s\n%s",
				SM_BOLD(t), SM_PLAIN(t), SM_BOLD(t));
			sm__table_put_heads(t);
		}
		any = true;
		fprintf(t->out, " %*s", sm_results[id].width, sm_results[id].title);
		if (res->has_value)
			snprintf(line + at, sizeof(line) - at, "%s%s %s", at > 0 ? "; " : "",
				 sm_results[id].title, res->how);
	}
	if (!any)
		return;
	fprintf(t->out, "%s\n", SM_PLAIN(t));
	sm__table_each_group(t, write_marked_group);
	sm__table_wrap(t, "", 0, line);
}
