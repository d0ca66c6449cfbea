/*
 * table_notes.c: what one must know to read the table: events and sources, reasons, warnings,
 * failures. See table.h.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/calibration.h"
#include "harness/report/table.h"

/* ---- notes -------------------------------------------------------------------------------- */

/*
 * An event without the attributes that libpfm4 spells out at their defaults
 * ("X:UMASK:e=0:i=0:u=1:k=0" is "X:UMASK:u=1"): the samples keep the whole string.
 */
static void short_event(const char *event, char *buf, size_t len)
{
	size_t n = 0;

	while (*event && n + 1 < len) {
		size_t part = *event == ':' ? 1 + strcspn(event + 1, ":, ") : strcspn(event, ":");

		if (part > 3 && *event == ':' && strncmp(event + part - 2, "=0", 2) == 0) {
			event += part;
			continue;
		}
		for (size_t i = 0; i < part && n + 1 < len; i++)
			buf[n++] = event[i];
		event += part;
	}
	buf[n] = 0;
}

/* What stands behind the column: "instructions / cycles: t::INS, t::CYC". */
static void behind(const struct sm_column *c, char *buf, size_t len)
{
	char event[256];

	short_event(c->event, event, sizeof(event));
	snprintf(buf, len, "%s%s%s", c->formula[0] ? c->formula : "", c->formula[0] ? ": " : "",
		 event[0] ? event : c->metric);
}

static void add_mark(FILE *f, bool shown, const char *mark, const char *text)
{
	if (shown)
		fprintf(f, "%s%s: %s", ftello(f) > 0 ? "; " : "", mark, text);
}

/* What else stands beside numbers, in one paragraph. */
static void write_brief_marks(struct sm_table *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return;
	for (size_t i = 0; i < t->nnotes; i++) {
		char mark[32];

		snprintf(mark, sizeof(mark), "n/a %zu", i + 1);
		add_mark(f, true, mark, t->notes[i]);
	}
	add_mark(f, t->intervals, "±95%", "the median's 95% interval");
	add_mark(f, t->outliers, "!", "outliers, kept");
	add_mark(f, t->joined, "other", "phases below 1% of their thread's time");
	add_mark(f, t->partly, "2/3", "in 2 of 3 repetitions, else 0");
	add_mark(f, t->scaled, "~", "a counter that ran for a part of the time (multiplexed)");
	add_mark(f, t->doubted, "?", "an event behind it is off by calibration (see the warnings)");
	if (fclose(f) == 0 && text[0] != '\0')
		sm__table_wrap(t, "marks", 9, text);
	free(text);
}

/* What stands behind the column, in few words: events without the name of their source, which
 * stands beside them; of a sum the events alone. */
static void behind_briefly(const struct sm_column *c, char *buf, size_t len)
{
	struct sm_column brief = *c;
	size_t n = 0, source = strlen(c->source);

	if (strpbrk(c->formula, "*/-()") == NULL)
		brief.formula[0] = '\0';
	for (const char *p = c->event; *p && n + 4 < sizeof(brief.event);) {
		bool sum = c->formula[0] && !brief.formula[0];

		if (source > 0 && strncmp(p, c->source, source) == 0 &&
		    strncmp(p + source, "::", 2) == 0)
			p += source + 2;
		else if (sum && strncmp(p, ", ", 2) == 0) {
			n += (size_t)sprintf(brief.event + n, " + ");
			p += 2;
		} else
			brief.event[n++] = *p++;
	}
	brief.event[n] = '\0';
	behind(&brief, buf, len);
}

/* Of what is shown alone, by the source of the counts. */
static void write_brief_counts(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	char *text = NULL, what[512];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool *told = calloc(u->ncolumns + 1, sizeof(*told));

	for (size_t i = 0; f != NULL && told != NULL && i < u->ncolumns; i++) {
		const char *between = ftello(f) > 0 ? "; " : "";
		bool any = false;

		for (size_t k = i; k < u->ncolumns; k++) {
			const struct sm_column *c = &u->columns[k];

			if (told[k] || strcmp(c->source, u->columns[i].source) != 0 ||
			    !t->shown[k] || (!t->rows && strcmp(c->metric, "time") == 0))
				continue;
			told[k] = any = true;
			behind_briefly(c, what, sizeof(what));
			fprintf(f, "%s%s %s", between, c->title, what);
			between = ", ";
		}
		if (any)
			fprintf(f, " [%s]", u->columns[i].source[0] ? u->columns[i].source : "-");
	}
	free(told);
	if (f != NULL && fclose(f) == 0 && text[0] != '\0')
		sm__table_wrap(t, "counts", 9, text);
	free(text);
}

/* In the short table a paragraph each. */
static void write_brief_legend(struct sm_table *t)
{
	fputc('\n', t->out);
	write_brief_counts(t);
	write_brief_marks(t);
	for (size_t i = 0; i < t->nleft_out; i++) {
		const struct sm_left_out *l = &t->left_out[i];
		char line[700];

		snprintf(line, sizeof(line), "%s: %.400s%s%s", l->names, l->reason,
			 l->remedy[0] ? "; " : "", l->remedy);
		sm__table_wrap(t, "left out", 9, line);
	}
}

static void write_legend(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;

	fputc('\n', t->out);
	if (u->nrows == 0 || u->ncolumns == 0)
		return;
	for (size_t i = 0; i < u->ncolumns; i++) {
		const struct sm_column *c = &u->columns[i];
		char text[600], head[32], what[512], pass[24] = "";

		snprintf(head, sizeof(head), "%s", c->title);
		behind(c, what, sizeof(what));
		if (t->passes > 1 && c->pass)
			snprintf(pass, sizeof(pass), ", pass %u", c->pass);
		snprintf(text, sizeof(text), "%s%s [%s%s]", what,
			 c->per_op ? ", per operation" : "", c->source[0] ? c->source : "-", pass);
		sm__table_wrap(t, head, strlen(head) > 8 ? strlen(head) + 1 : 9, text);
	}
}

static void write_marks(struct sm_table *t)
{
	if (!t->w->wide) /* write_brief_marks has them */
		return;
	for (size_t i = 0; i < t->nnotes; i++) {
		char head[32];

		snprintf(head, sizeof(head), "n/a %zu", i + 1);
		sm__table_wrap(t, head, 9, t->notes[i]);
	}
	if (t->scaled)
		sm__table_wrap(t, "~", 9,
			       "scaled: the counter ran for a part of the time (multiplexed)");
	if (t->doubted)
		sm__table_wrap(t, "?", 9,
			       "calibration found an event behind it off: do not believe it (see "
			       "the warnings)");
	if (t->partly)
		sm__table_wrap(t, "2/3", 9,
			       "the phase occurred in 2 of 3 repetitions; the others count as 0");
	if (t->outliers)
		sm__table_wrap(t, "!", 9,
			       "some values lie far from the others; they are kept in all figures");
}

static bool stands_behind_a_metric(const struct sm_report *r, const struct sm_calibration_row *c)
{
	for (size_t i = 0; i < r->nrecords; i++) {
		for (size_t k = 0; k < r->records[i].nmetrics; k++) {
			if (sm_calibration_concerns(c, &r->records[i].metrics[k]))
				return true;
		}
	}
	return false;
}

/* Events that calibration found to count something else are not to be believed in this table
 * either. */
static void write_calibration(struct sm_table *t)
{
	for (size_t i = 0; i < t->r->ncalibrations; i++) {
		const struct sm_calibration_row *c = &t->r->calibrations[i];
		char text[400];

		if ((strcmp(c->verdict, "off") != 0 && strcmp(c->verdict, "reads 0") != 0) ||
		    !stands_behind_a_metric(t->r, c))
			continue;
		if (c->has_value)
			snprintf(text, sizeof(text),
				 "calibration: %s under '%s' counted %.6g where %.6g were expected",
				 c->event, c->kernel, c->counted, c->expected);
		else
			snprintf(text, sizeof(text), "calibration: %s under '%s': %s", c->event,
				 c->kernel, c->verdict);
		sm__table_wrap(t, "warning", 9, text);
	}
}

/* How what is not always measured alike was: of each workload, backend and result once. */
static void write_how(struct sm_table *t)
{
	struct sm_pool said = {0};

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_record *rec = &t->r->records[i];

		for (size_t k = 0; k < rec->nresults; k++) {
			const struct sm_result *res = &rec->results[k];
			char *line = NULL, *key = NULL;

			if (res->how[0] && sm_result_shown(res->name) != SM_SHOWN_MARKED &&
			    asprintf(&line, "%s (%s): %s %s", rec->workload, rec->backend,
				     res->name, res->how) > 0)
				key = sm__table_without_digits(line, strlen(line));
			if (key != NULL && sm_pool_find(&said, key) == NULL) {
				sm_pool_str(&said, key);
				sm__table_wrap(t, "note", 9, line);
			}
			free(key);
			free(line);
		}
	}
	sm_pool_free(&said);
}

static void write_failures(struct sm_table *t)
{
	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_record *rec = &t->r->records[i];
		char *line = NULL;

		if (rec->status == SM_OUTCOME_OK || rec->status == SM_OUTCOME_ABSENT)
			continue;
		fputs(SM_RED(t), t->out);
		if (asprintf(&line, "%s (%s) repetition %u: %s: %s", rec->workload, rec->backend,
			     rec->rep + 1, sm_outcome_names[rec->status], rec->message) > 0)
			sm__table_wrap(t, "FAILED", 9, line);
		free(line);
		fputs(SM_PLAIN(t), t->out);
	}
}

/* How far the repetitions of the largest count of each case are apart, at most; NAN: one each. */
static double simulated_spread(const struct sm_summary *u, size_t column)
{
	double spread = NAN, largest = 0;

	for (size_t i = 0; i < u->nrows; i++) {
		const struct sm_stats *s = &u->cells[i * u->ncolumns + column].stats;

		if (i == 0 || u->rows[i].group != u->rows[i - 1].group)
			largest = 0;
		if (s->n < 2 || s->median <= largest)
			continue;
		largest = s->median;
		spread = fmax(spread, (s->max - s->min) / s->median);
	}
	return spread;
}

/* "binary-trees depth=10; churn ops=200000": the size of each workload's simulated pass, malloc'ed;
 * NULL: there was none. */
static char *simulated_sizes(const struct sm_report *r)
{
	struct sm_pool said = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f = NULL;

	for (size_t i = 0, first = 0; i < r->nrecords; i++) {
		cJSON *own, *whole, *item;
		const char *between = "";

		first = r->records[i].group == r->records[first].group ? first : i;
		if (!sm_record_is_beside(&r->records[i]))
			continue;
		if (f == NULL && (f = open_memstream(&text, &len)) == NULL)
			break;
		if (sm_pool_find(&said, r->records[i].workload) != NULL)
			continue;
		own = cJSON_Parse(r->records[i].params);
		whole = cJSON_Parse(r->records[first].params);
		cJSON_ArrayForEach(item, own)
		{
			if (cJSON_Compare(item,
					  cJSON_GetObjectItemCaseSensitive(whole, item->string),
					  true) ||
			    !cJSON_IsNumber(item))
				continue;
			if (!between[0])
				fprintf(f, "%s%s", said.n > 0 ? "; " : "", r->records[i].workload);
			between = " ";
			fprintf(f, " %s=%.0f", item->string, item->valuedouble);
		}
		if (between[0])
			sm_pool_str(&said, r->records[i].workload);
		cJSON_Delete(own);
		cJSON_Delete(whole);
	}
	sm_pool_free(&said);
	if (f != NULL)
		fclose(f);
	return text;
}

/* One pass of each case, beside those that were measured. */
static bool write_beside(struct sm_table *t)
{
	char *sizes = simulated_sizes(t->r), *line = NULL;

	if (sizes == NULL)
		return false;
	if (asprintf(&line,
		     "[sim] counts are of a pass under Callgrind%s%s%s: exact "
		     "instructions, modelled caches",
		     sizes[0] ? " (" : "", sizes, sizes[0] ? ")" : "") > 0)
		sm__table_wrap(t, "note", 9, line);
	free(line);
	free(sizes);
	return true;
}

/* Callgrind runs a program some fifty times slower, one thread at a time. */
static void write_simulated(struct sm_table *t)
{
	const struct sm_summary *u = &t->summary;
	bool simulated = false;
	double spread = NAN;
	char text[400];
	size_t n;

	for (size_t i = 0; i < u->ncolumns; i++) {
		simulated |= strcmp(u->columns[i].source, "sim") == 0;
		if (strcmp(u->columns[i].source, "sim") == 0 &&
		    strcmp(u->columns[i].metric, "instructions") == 0)
			spread = simulated_spread(u, i);
	}
	if (!simulated || write_beside(t))
		return;
	n = (size_t)snprintf(
		text, sizeof(text),
		"counts marked [sim] come from Callgrind, one thread at a time, the "
		"collector's cycles at fixed points (gc.sync): caches are a model; times, "
		"waits and contention of such a run mean nothing");
	if (!isnan(spread))
		snprintf(text + n, sizeof(text) - n,
			 "; instructions of repetitions are up to %.2g%% apart", spread * 100);
	sm__table_wrap(t, "note", 9, text);
}

static void write_repetitions(struct sm_table *t)
{
	size_t most = 0;
	char text[160];

	if (t->parts && t->w->wide)
		sm__table_wrap(t, "note", 9,
			       "every cell is a median of its own over the same repetitions: "
			       "parts add up to their total in each sample, here only nearly");

	for (size_t i = 0; i < t->r->nrecords; i++) {
		if (t->r->records[i].rep + 1 > most)
			most = t->r->records[i].rep + 1;
	}
	if (most > 0 && most < SM_STATS_MIN_REPS) {
		snprintf(text, sizeof(text),
			 "%zu repetition%s: too few for an interval; a 95%% interval of the median "
			 "takes "
			 "--reps %d or more",
			 most, most == 1 ? "" : "s", SM_STATS_MIN_REPS);
		sm__table_wrap(t, "note", 9, text);
	}
	if (t->r->until.ntargets > 0) {
		unsigned looks = sm_until_looks(&t->r->until, t->r->reps);

		snprintf(text, sizeof(text),
			 "--until looked %u time%s: each interval is one of %.4g%%, so that those "
			 "of all looks hold together with 95%%",
			 looks, looks == 1 ? "" : "s", t->r->confidence * 100);
		sm__table_wrap(t, "note", 9, text);
	}
	if (t->r->nrecords < t->r->planned) {
		snprintf(text, sizeof(text), "%zu of %u planned samples were measured (%s)",
			 t->r->nrecords, t->r->planned, t->r->state);
		sm__table_wrap(t, "note", 9, text);
	}
}

/* How the planner seated mark workers (placement.h, sm_placement_describe); the same words once.
 * NULL: it did not. */
static char *placed(const struct sm_record *rec)
{
	cJSON *placement = cJSON_Parse(rec->placement);
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(placement, "placed");
	const cJSON *workers = cJSON_GetObjectItemCaseSensitive(placement, "workers");
	char *copy = cJSON_IsString(text) && cJSON_IsNumber(workers) && workers->valuedouble > 0
			     ? strdup(text->valuestring)
			     : NULL;

	cJSON_Delete(placement);
	return copy;
}

static void write_placed(struct sm_table *t)
{
	struct sm_pool said = {0};

	for (size_t i = 0; i < t->r->nrecords; i++) {
		char *text = NULL;

		if (i == 0 || t->r->records[i].group != t->r->records[i - 1].group)
			text = placed(&t->r->records[i]);
		if (text != NULL && sm_pool_find(&said, text) == NULL) {
			sm__table_wrap(t, "placed", 9, text);
			sm_pool_str(&said, text);
		}
		free(text);
	}
	sm_pool_free(&said);
}

/* Which library served malloc, of each backend: "jemalloc 5.3.0 (libjemalloc.so.2, build ..)". */
static void write_libraries(struct sm_table *t)
{
	struct sm_pool said = {0};

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_record *rec = &t->r->records[i];
		char library[400], line[500];

		sm_record_library(rec, library, sizeof(library));
		snprintf(line, sizeof(line), "%.80s %s", rec->backend, library);
		if (!t->w->wide && strcmp(rec->backend, "libc") == 0)
			continue; /* what everyone has */
		if (library[0] == '\0' || sm_pool_find(&said, line) != NULL)
			continue;
		sm_pool_str(&said, line);
		sm__table_wrap(t, "library", 9, line);
	}
	sm_pool_free(&said);
}

/* The cost of counting, where the workers measured it: the worst sample's. */
static void write_cost(struct sm_table *t)
{
	const struct sm_result *worst = NULL, *ns = NULL, *insn = NULL, *user = NULL;
	char text[256];
	size_t n;

	for (size_t i = 0; i < t->r->nrecords; i++) {
		const struct sm_record *rec = &t->r->records[i];
		const struct sm_result *res = sm_record_result(rec, "counting_share");

		if (res == NULL || !res->has_value || (worst != NULL && res->value <= worst->value))
			continue;
		worst = res;
		ns = sm_record_result(rec, "counting_ns_per_change");
		insn = sm_record_result(rec, "counting_insn_per_change");
		user = sm_record_result(rec, "counting_in_user_space");
	}
	if (worst == NULL)
		return;
	n = (size_t)snprintf(text, sizeof(text),
			     "reading counters took at most %.2g%% of a thread's time",
			     worst->value * 100);
	if (ns != NULL && ns->has_value)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ": %.0f ns a change of phase",
				      ns->value);
	if (insn != NULL && insn->has_value)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", %.0f instructions",
				      insn->value);
	if (user != NULL && user->has_value)
		snprintf(text + n, sizeof(text) - n,
			 user->value > 0 ? ", read in user space" : ", by system calls");
	sm__table_wrap(t, "cost", 9, text);
}

void sm__table_notes(struct sm_table *t)
{
	if (t->w->wide)
		write_legend(t);
	else
		write_brief_legend(t);
	write_marks(t);
	if (t->w->wide)
		write_placed(t);
	write_libraries(t);
	write_how(t);
	if (t->w->wide)
		write_cost(t);
	write_calibration(t);
	sm__table_warnings(t);
	write_simulated(t);
	write_repetitions(t);
	write_failures(t);
}
