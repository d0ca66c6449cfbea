/*
 * table_counters.c: counts by role and phase. See table.h.
 */
#include "harness/report/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/text.h"

/* ---- counters ----------------------------------------------------------------------------- */

int sm__table_cell_width(const struct sm_column *c)
{
	int len = (int)strlen(c->title);

	if (strcmp(c->unit, "ns") == 0 && c->per_op)
		return len > 8 ? len : 8;
	if (strcmp(c->title, "IPC") == 0)
		return c->doubted ? 7 : 5;
	return len > 7 ? len : c->doubted ? 8 : 7; /* room for the mark */
}

/* As it is printed. */
static const char *cell_text(const struct sm_cell *cell, const struct sm_column *c, char *text,
			     size_t len)
{
	if (strcmp(c->unit, "ns") == 0)
		sm_text_time(cell->stats.median, text, len);
	else
		sm_text_count(cell->stats.median, text, len);
	if (cell->scaled)
		snprintf(text + strlen(text), len - strlen(text), "~");
	if (cell->doubted)
		snprintf(text + strlen(text), len - strlen(text), "?");
	return text;
}

static void note_cell(struct sm_table *t, const struct sm_cell *cell)
{
	t->scaled |= cell->scaled;
	t->doubted |= cell->doubted;
	t->outliers |= cell->stats.outliers > 0;
}

void sm__table_put_cell(struct sm_table *t, const struct sm_cell *cell, const struct sm_column *c)
{
	int width = sm__table_cell_width(c);
	char text[40];

	if (!cell->has_value) {
		sm__table_put_na(t, width, cell->reason);
		return;
	}
	note_cell(t, cell);
	fprintf(t->out, " %*s", width, cell_text(cell, c, text, sizeof(text)));
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

static bool is_mutators(const struct sm_table *t, size_t i)
{
	return strncmp(t->summary.rows[i].who, "mut", 3) == 0;
}

/* Beside the time of the mutators. */
static bool takes_next_to_nothing(const struct sm_table *t, size_t i, size_t whole)
{
	const struct sm_summary *u = &t->summary;
	size_t c = time_column(t);
	const struct sm_cell *mine = &u->cells[i * u->ncolumns + c],
			     *all = &u->cells[whole * u->ncolumns + c];

	return c < u->ncolumns && mine->has_value && all->has_value &&
	       mine->stats.median < SM_SUMMARY_SMALL * all->stats.median;
}

/* Is the row told below the results? Not in the short table where it tells nothing that is not told
 * elsewhere: beside the results, or that a thread of the collector did next to nothing. */
static bool is_told(const struct sm_table *t, size_t i)
{
	const struct sm_summary *u = &t->summary;
	const struct sm_row *row = &u->rows[i];
	bool mutator = is_mutators(t, i);
	const struct sm_whole *whole = &t->wholes[row->first];

	if (t->w->wide)
		return true;
	if (row->small && !mutator && t->w->by <= SM_BY_THREAD)
		return false;
	if (!t->beside)
		return true;
	if (!mutator && takes_next_to_nothing(t, i, whole->row))
		return false;
	return i != whole->row && (row->who != u->rows[whole->row].who || whole->phases > 1);
}

/* Has the row a count that is worth a place where counts stand beside the results? Not one that is
 * missing, next to none of the whole's, or, of the same threads, all of it but the last digit. */
static bool has_count(const struct sm_table *t, size_t i, size_t c)
{
	const struct sm_summary *u = &t->summary;
	size_t whole = t->wholes[u->rows[i].first].row;
	const struct sm_cell *cell = &u->cells[i * u->ncolumns + c],
			     *all = &u->cells[whole * u->ncolumns + c];
	double mine = cell->stats.median, theirs = all->stats.median;

	if (!t->shown[c] || !cell->has_value || mine == 0)
		return false;
	if (!all->has_value)
		return true;
	return fabs(mine) >= SM_SUMMARY_SMALL * fabs(theirs) &&
	       (u->rows[i].who != u->rows[whole].who ||
		fabs(mine - theirs) > SM_SUMMARY_SMALL / 2 * fabs(theirs));
}

static bool has_time(const struct sm_table *t, size_t i)
{
	const struct sm_summary *u = &t->summary;
	size_t time = time_column(t);

	return time < u->ncolumns && u->cells[i * u->ncolumns + time].has_value;
}

/* Has it but its time to tell, where counts stand beside the results? */
static bool has_time_alone(const struct sm_table *t, size_t i)
{
	size_t time = time_column(t);

	if (!t->beside || !has_time(t, i))
		return false;
	for (size_t c = 0; c < t->summary.ncolumns; c++)
		if (c != time && has_count(t, i, c))
			return false;
	return true;
}

/* Is it one of the rows by phase? A few that have counts stand among those of their times. */
static bool is_row(const struct sm_table *t, size_t i)
{
	return is_told(t, i) && !t->few && !has_time_alone(t, i);
}

/* Where what the mutators do is counted phase by phase, a table says it better. */
#define FEW 6

static bool are_few(const struct sm_table *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->summary.nrows && t->beside; i++) {
		if (!is_told(t, i) || has_time_alone(t, i))
			continue;
		if (!has_time(t, i) || is_mutators(t, i) || ++n > FEW)
			return false;
	}
	return t->beside;
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

/* In the short table there is no line between it and what cases tell. */
static void write_title(struct sm_table *t, const char *what)
{
	if (t->w->wide || !t->told || t->rows)
		fputc('\n', t->out);
	fprintf(t->out, "%s%s for one operation of the workload, by %s and phase%s\n", SM_BOLD(t),
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

/* " (337 instr, 1.17 L1D)": the counts of a row. */
static void add_counts(struct sm_table *t, size_t i, char *text, size_t len)
{
	const struct sm_summary *u = &t->summary;
	size_t time = time_column(t), n = strlen(text);
	const char *before = " (";

	for (size_t c = 0; c < u->ncolumns && n < len; c++) {
		const struct sm_cell *cell = &u->cells[i * u->ncolumns + c];
		char value[40];

		if (c == time || !has_count(t, i, c))
			continue;
		note_cell(t, cell);
		n += (size_t)snprintf(text + n, len - n, "%s%s %s", before,
				      cell_text(cell, &u->columns[c], value, sizeof(value)),
				      u->columns[c].title);
		before = ", ";
	}
	if (before[0] == ',' && n < len)
		snprintf(text + n, len - n, ")");
}

/* Rows that have their time alone, or few counts beside it, [i, end) of one case:
 * "mutator app 30.7 ns  wait 9.03 ns". */
static void write_times_of(struct sm_table *t, size_t i, size_t end, size_t column)
{
	const struct sm_summary *u = &t->summary;
	size_t indent = SM_NAMES_WIDTH(t) + 1, first = u->rows[i].first;
	struct sm_wrap w = {t->out, indent, indent, t->width};
	const char *who = NULL;

	for (; i < end; i++) {
		const struct sm_row *row = &u->rows[i];
		char buf[48], time[40], word[400];
		const char *phase = phase_text(row, buf, sizeof(buf));
		bool named = row->who != who && strcmp(row->who, phase) != 0;

		if (!is_told(t, i) || !(t->few || has_time_alone(t, i)))
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
		if (!has_time_alone(t, i))
			add_counts(t, i, word, sizeof(word));
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
			if (titled || !is_told(t, end) || !(t->few || has_time_alone(t, end)))
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
	t->few = are_few(t);
	for (size_t i = 0; i < u->nrows && shown && !t->rows; i++)
		t->rows = is_row(t, i);
	if (t->rows)
		write_blocks(t);
	if (shown)
		write_times(t);
}
