/*
 * table_counters.c: counts by role and phase, waits by cause, objects by size class. See table.h.
 */
#include "harness/report/table.h"

#include <stdlib.h>
#include <string.h>

#include "spanmark/gc.h"
#include "harness/base/text.h"
#include "workloads/series.h"

/* ---- counters ----------------------------------------------------------------------------- */

int sm__table_cell_width(const struct sm_column *c)
{
	int len = (int)strlen(c->title);

	if (strcmp(c->unit, "ns") == 0 && c->per_op)
		return 8;
	if (strcmp(c->title, "IPC") == 0)
		return c->doubted ? 7 : 5;
	return len > 7 ? len : c->doubted ? 8 : 7; /* room for the mark */
}

void sm__table_put_cell(struct sm_table *t, const struct sm_cell *cell, const struct sm_column *c)
{
	int width = sm__table_cell_width(c);
	char text[40];

	if (!cell->has_value) {
		sm__table_put_na(t, width, cell->reason);
		return;
	}
	if (strcmp(c->unit, "ns") == 0)
		sm_text_time(cell->stats.median, text, sizeof(text));
	else
		sm_text_count(cell->stats.median, text, sizeof(text));
	if (cell->scaled)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "~");
	if (cell->doubted)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "?");
	t->scaled |= cell->scaled;
	t->doubted |= cell->doubted;
	t->outliers |= cell->stats.outliers > 0;
	fprintf(t->out, " %*s", width, text);
}

/* Is the row told below the results? Not in the short table where it tells nothing that is not told
 * elsewhere: beside the results, or that a thread of the collector did next to nothing. */
static bool is_told(const struct sm_table *t, size_t i)
{
	const struct sm_summary *u = &t->summary;
	const struct sm_row *row = &u->rows[i];
	bool mutator = strncmp(row->who, "mut", 3) == 0;
	const struct sm_whole *whole = &t->wholes[row->first];

	if (t->w->wide)
		return true;
	if (row->small && !mutator && t->w->by <= SM_BY_THREAD)
		return false;
	if (!t->beside)
		return true;
	return i != whole->row && (row->who != u->rows[whole->row].who || whole->phases > 1);
}

/* The column of times; ncolumns: it is not shown. */
static size_t time_column(const struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	size_t c = 0;

	while (c < u->ncolumns && !(t->shown[c] && strcmp(u->columns[c].metric, "time") == 0))
		c++;
	return c;
}

/* Has it but its time to tell, where counts stand beside the results? The others are missing, 0, or
 * those of the whole, which stand there. */
static bool has_time_alone(const struct sm_table *t, size_t i)
{
	const struct sm_summary *u = &t->summary;
	size_t time = time_column(t), whole = t->wholes[u->rows[i].first].row;

	if (!t->beside || time == u->ncolumns || !u->cells[i * u->ncolumns + time].has_value)
		return false;
	for (size_t c = 0; c < u->ncolumns; c++) {
		const struct sm_cell *cell = &u->cells[i * u->ncolumns + c],
				     *all = &u->cells[whole * u->ncolumns + c];

		if (t->shown[c] && c != time && cell->has_value && cell->stats.median != 0 &&
		    !(u->rows[i].who == u->rows[whole].who && all->has_value &&
		      all->stats.median == cell->stats.median))
			return false;
	}
	return true;
}

/* Is it one of the rows by phase? */
static bool is_row(const struct sm_table *t, size_t i)
{
	return is_told(t, i) && !has_time_alone(t, i);
}

/* Of the names of rows: "mutator", "core 12", "mutator adl_p". */
static int who_width(const struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	size_t width = 8;

	for (size_t i = 0; i < u->nrows; i++)
		width = !is_row(t, i)			 ? width
			: strlen(u->rows[i].who) > width ? strlen(u->rows[i].who)
							 : width;
	return width > 20 ? 20 : (int)width;
}

/* "app", or where it did not occur in each repetition "assist 2/3". */
static const char *phase_text(const struct sm_row *row, char *buf, size_t len)
{
	if (row->occurred >= row->reps)
		return row->phase;
	snprintf(buf, len, "%.16s %u/%u", row->phase, row->occurred, row->reps);
	return buf;
}

/* Of the names of phases: "app", "mark-fractional". */
static int phase_width(const struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	size_t width = t->w->wide ? 10 : 5;
	char text[48];

	for (size_t i = 0; i < u->nrows; i++) {
		size_t len = strlen(phase_text(&u->rows[i], text, sizeof(text)));

		width = len > width && is_row(t, i) ? len : width;
	}
	return width > 20 ? 20 : (int)width;
}

/* What a block of the table is printed with. */
struct block {
	size_t from, to; /* columns [from, to) */
	int who, phase;	 /* widths */
};

static void write_title(struct sm_table *t, const char *what)
{
	fprintf(t->out, "\n%s%s for one operation of the workload, by %s and phase%s\n", SM_BOLD(t),
		what, sm_by_names[t->w->by], SM_PLAIN(t));
}

static void note_row(struct sm_table *t, const struct sm_row *row)
{
	t->partly |= row->occurred < row->reps;
	t->joined |= row->joined > 0;
	t->parts |= row->reps > 2 && strcmp(row->phase, "total") == 0;
}

static void write_block_head(struct sm_table *t, const struct block *b)
{
	const struct sm_summary *u = &t->summary;

	write_title(t, "Counts");
	fputs(SM_BOLD(t), t->out);
	sm__table_put_heads(t);
	fprintf(t->out, " %-*s %-*s", b->who, sm_by_names[t->w->by], b->phase, "phase");
	for (size_t c = b->from; c < b->to; c++)
		if (t->shown[c])
			fprintf(t->out, " %*s", sm__table_cell_width(&u->columns[c]),
				u->columns[c].title);
	fprintf(t->out, "%s\n", SM_PLAIN(t));
}

static void write_block(struct sm_table *t, const struct block *b)
{
	const struct sm_summary *u = &t->summary;
	unsigned last = 0;
	bool any = false;
	char text[48];

	write_block_head(t, b);
	for (size_t i = 0; i < u->nrows; i++) {
		const struct sm_row *row = &u->rows[i];
		const struct sm_record *rec = &t->r->records[row->first];
		bool repeats = any && row->group == last;

		if (!is_row(t, i))
			continue;
		any = true;
		if (!repeats && sm__table_has_twin(t, row->first))
			sm__table_case_line(t, row->first);
		sm__table_put_names(t, rec, !repeats);
		fputc(' ', t->out);
		sm_text_name(t->out, row->who, b->who);
		fputc(' ', t->out);
		sm_text_name(t->out, phase_text(row, text, sizeof(text)), b->phase);
		for (size_t c = b->from; c < b->to; c++)
			if (t->shown[c])
				sm__table_put_cell(t, &u->cells[i * u->ncolumns + c],
						   &u->columns[c]);
		fputc('\n', t->out);
		last = row->group;
		note_row(t, row);
	}
}

/* Rows that have their time alone, [i, *end) of one case: "mutator app 30.7 ns  wait 9.03 ns". */
static void write_times_of(struct sm_table *t, size_t i, size_t end, size_t column)
{
	const struct sm_summary *u = &t->summary;
	size_t indent = SM_NAMES_WIDTH(t) + 1, first = u->rows[i].first;
	struct sm_wrap w = {t->out, indent, indent, t->width};
	const char *who = NULL;

	for (; i < end; i++) {
		const struct sm_row *row = &u->rows[i];
		char buf[48], time[40], word[160];
		const char *phase = phase_text(row, buf, sizeof(buf));
		bool named = row->who != who && strcmp(row->who, phase) != 0;

		if (!is_told(t, i) || !has_time_alone(t, i))
			continue;
		if (who == NULL) {
			if (sm__table_has_twin(t, first))
				sm__table_case_line(t, first);
			sm__table_put_names(t, &t->r->records[first], true);
			fputc(' ', t->out);
		}
		sm_text_time(u->cells[i * u->ncolumns + column].stats.median, time, sizeof(time));
		snprintf(word, sizeof(word), "%.40s%s%s %s", named ? row->who : "",
			 named ? " " : "", phase, time);
		sm__table_wrap_word(&w, word);
		who = row->who;
		note_row(t, row);
	}
	if (who != NULL)
		fputc('\n', t->out);
}

static void write_times(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	size_t time = time_column(t);
	bool titled = t->rows;

	for (size_t i = 0, end; i < u->nrows; i = end) {
		for (end = i; end < u->nrows && u->rows[end].group == u->rows[i].group; end++) {
			if (titled || !is_told(t, end) || !has_time_alone(t, end))
				continue;
			write_title(t, "Time");
			titled = t->rows = true;
		}
		write_times_of(t, i, end, time);
	}
}

static int room_of(const struct sm_table *t, size_t c)
{
	return t->shown[c] ? 1 + sm__table_cell_width(&t->summary.columns[c]) : 0;
}

static void write_blocks(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	struct block b = {.who = who_width(t), .phase = phase_width(t)};
	int all = 0;

	for (size_t c = 0; c < u->ncolumns; c++)
		all += room_of(t, c);
	if (!t->w->wide) /* names in the row where one block has room for them */
		t->narrow = t->width < SM_TABLE_WIDTH &&
			    13 + t->backend + 2 + b.who + b.phase + all > (int)t->width;
	while (b.from < u->ncolumns) {
		int width = SM_NAMES_WIDTH(t) + 2 + b.who + b.phase;
		bool some = false;

		for (b.to = b.from; b.to < u->ncolumns; b.to++) {
			if (some && width + room_of(t, b.to) > (int)t->width)
				break;
			width += room_of(t, b.to);
			some |= t->shown[b.to];
		}
		if (some)
			write_block(t, &b);
		b.from = b.to;
	}
}

void sm__table_counters(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	bool shown = false;

	for (size_t c = 0; c < u->ncolumns; c++)
		shown |= t->shown[c];
	for (size_t i = 0; i < u->nrows && shown && !t->rows; i++)
		t->rows = is_row(t, i);
	if (t->rows)
		write_blocks(t);
	if (shown)
		write_times(t);
}

/* ---- stalls ------------------------------------------------------------------------------- */

/* Whose titles head the columns: the first cause's, as any other's. */
static const struct sm_result_desc *waits_head(void)
{
	return &sm_results[sm_wait_result(0, SM_WAIT_COUNT)];
}

/*
 * A cause that never struck is no row; one that struck in half of the samples or fewer (the median
 * is no wait) has no quantiles: they would be those of the few. cause SM_WAITS_ALL: all of them
 * together.
 */
static bool write_stall_row(struct sm_table *t, size_t first, int cause, bool named)
{
	const struct sm_result_desc *part = &sm_results[sm_wait_result(cause, SM_WAIT_COUNT)];
	const struct sm_result_desc *together = &sm_results[SM_RESULT_stall_total_ns];
	const struct sm_record *rec = &t->r->records[first];
	const char *unit = "", *reason;
	struct sm_stats s;
	char text[40];

	if (!sm_summary_result(t->r, rec->group, part->name, &s, &unit, &reason) || s.max == 0)
		return false;
	sm_text_value(s.median, unit, text, sizeof(text));
	sm__table_put_names(t, rec, named);
	fputc(' ', t->out);
	sm_text_name(t->out, cause < 0 ? "all" : sm_stall_name((enum sm_stall_cause)cause), 10);
	fprintf(t->out, " %8s", text);
	if (s.median == 0) {
		fprintf(t->out, " up to %g, in half of the samples or fewer\n", s.max);
		return true;
	}
	for (unsigned i = SM_WAIT_P50; i <= SM_WAIT_KEPT_MAX; i++)
		sm__table_put_result(t, first, &part[i], waits_head()[i].width);
	if (cause < 0)
		sm__table_put_result(t, first, together, together->width);
	fputc('\n', t->out);
	return true;
}

static void write_stall_group(struct sm_table *t, size_t first)
{
	const struct sm_record *rec = sm__table_with_results(t->r, first);
	const char *reason;
	struct sm_stats s;
	bool named;

	if (rec == NULL || sm_record_result(rec, "stalls") == NULL)
		return;
	if (sm_summary_result(t->r, rec->group, "stalls", &s, NULL, &reason) && s.max > 0 &&
	    sm__table_has_twin(t, first))
		sm__table_case_line(t, first);
	named = write_stall_row(t, first, SM_WAITS_ALL, true);
	for (int cause = 0; cause < SM_STALL_CAUSES; cause++)
		named |= write_stall_row(t, first, cause, !named);
}

/* Only where some sample counted a stall. */
void sm__table_stalls(struct sm_table *t)
{
	bool any = false;

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_result *res = sm_record_result(&t->r->records[i], "stalls");

		any |= res != NULL && res->has_value && res->value > 0;
	}
	if (!any)
		return;
	fprintf(t->out, "\n%sWaits that mutators suffered for the collector%s\n", SM_BOLD(t),
		SM_PLAIN(t));
	fputs(SM_BOLD(t), t->out);
	sm__table_put_heads(t);
	fprintf(t->out, " %-10s", "cause");
	for (unsigned i = SM_WAIT_COUNT; i <= SM_WAIT_KEPT_MAX; i++)
		fprintf(t->out, " %*s", waits_head()[i].width, waits_head()[i].title);
	fprintf(t->out, " %8s%s\n", sm_results[SM_RESULT_stall_total_ns].title, SM_PLAIN(t));
	sm__table_each_group(t, write_stall_group);
	sm__table_wrap(t, "", 0,
		       "kept max: the longest wait in which the thread kept its CPU "
		       "throughout; of a longer one, an unknown part went to other threads.");
}

/* ---- objects by size class ------------------------------------------------------------------ */

static const enum sm_result_id hows[] = {SM_RESULT_mark_span_alone, SM_RESULT_mark_span_sparse,
					 SM_RESULT_mark_span_dense};
static const char *const how_titles[] = {"alone", "one by one", "kernel"};
#define HOWS	(sizeof(hows) / sizeof(hows[0]))
#define CLASSES 96 /* more than there are */

/* Sums over samples. */
struct scanned {
	double bytes, objects[HOWS];
};

static void add_scanned(struct scanned *list, unsigned *n, double bytes, unsigned how,
			double objects)
{
	unsigned i = 0;

	while (i < *n && list[i].bytes != bytes)
		i++;
	if (i == CLASSES)
		return;
	if (i == *n)
		list[(*n)++] = (struct scanned){.bytes = bytes};
	list[i].objects[how] += objects;
}

/* How many samples of the group have them. */
static unsigned scanned_of(const struct sm_record *rec, struct scanned *list, unsigned *n)
{
	bool any = false;

	for (size_t k = 0; k < rec->nseries; k++)
		for (unsigned how = 0; how < HOWS; how++) {
			const struct sm_series *s = &rec->series[k];
			double(*points)[2];
			size_t npoints;

			if (strcmp(s->name, sm_results[hows[how]].name) != 0 ||
			    sm_series_read(s->points, &points, &npoints) != 0)
				continue;
			for (size_t i = 0; i < npoints; i++)
				add_scanned(list, n, points[i][0], how, points[i][1]);
			free(points);
			any = true;
		}
	return any;
}

static void write_scanned_group(struct sm_table *t, size_t first)
{
	struct scanned list[CLASSES];
	unsigned n = 0, samples = 0;
	char text[40];

	for (size_t i = first, end = sm__table_group_end(t->r, first); i < end; i++)
		samples += scanned_of(&t->r->records[i], list, &n);
	if (n > 0 && sm__table_has_twin(t, first))
		sm__table_case_line(t, first);
	for (unsigned i = 0; i < n; i++) {
		sm__table_put_names(t, &t->r->records[first], i == 0);
		fprintf(t->out, " %6g", list[i].bytes);
		for (unsigned how = 0; how < HOWS; how++) {
			sm_text_count(list[i].objects[how] / samples, text, sizeof(text));
			fprintf(t->out, " %10s", text);
		}
		fputc('\n', t->out);
	}
}

void sm__table_spans(struct sm_table *t)
{
	bool any = false;

	for (size_t i = 0; i < t->r->nrecords && !any; i++)
		for (size_t k = 0; k < t->r->records[i].nseries; k++)
			any |= strcmp(t->r->records[i].series[k].name, sm_results[hows[0]].name) ==
			       0;
	if (!any || !t->w->wide)
		return;
	fprintf(t->out,
		"\n%sObjects scanned by span in the mean sample, by the bytes of their slot%s\n",
		SM_BOLD(t), SM_PLAIN(t));
	fputs(SM_BOLD(t), t->out);
	sm__table_put_heads(t);
	fprintf(t->out, " %6s", "slot");
	for (unsigned how = 0; how < HOWS; how++)
		fprintf(t->out, " %10s", how_titles[how]);
	fprintf(t->out, "%s\n", SM_PLAIN(t));
	sm__table_each_group(t, write_scanned_group);
}
