/*
 * table_cases.c: what tells the cases of one workload and backend apart: the line above a row. And
 * the tables that some cases have besides: waits by cause, objects by size class. See table.h.
 *
 * Only what differs between them is worth the room: a key whose value some case has and another has
 * not.
 */
#include "harness/report/table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spanmark/gc.h"
#include "harness/base/text.h"
#include "workloads/series.h"

/* What the planner made of the case: it differs where something else does. */
static bool is_consequence(const char *key)
{
	return strcmp(key, "placed") == 0 || strcmp(key, "mutator_cpus") == 0 ||
	       strcmp(key, "worker_cpus") == 0;
}

/* What a case was made of: parameters, configuration, placement. Most cases share two of the three,
 * which then are not parsed again. */
enum { PARTS = 3 };
struct parts {
	const char *text[PARTS];
	cJSON *obj[PARTS];
};

static void read_parts(struct parts *p, const struct sm_record *rec)
{
	const char *const texts[PARTS] = {rec->params, rec->config, rec->placement};

	for (size_t i = 0; i < PARTS; i++) {
		if (p->text[i] != NULL && strcmp(p->text[i], texts[i]) == 0)
			continue;
		cJSON_Delete(p->obj[i]);
		p->text[i] = texts[i];
		p->obj[i] = cJSON_Parse(texts[i]);
	}
}

static void free_parts(struct parts *p)
{
	for (size_t i = 0; i < PARTS; i++)
		cJSON_Delete(p->obj[i]);
}

/* The key in the first of the n parts that has it; NULL. */
static const cJSON *find_part(const struct parts *p, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(p->obj[i], key);

		if (item != NULL)
			return item;
	}
	return NULL;
}

static bool is_part(const struct parts *p, size_t i, const cJSON *item)
{
	return !is_consequence(item->string) && find_part(p, i, item->string) == NULL;
}

/* Keys of a that b lacks or has another value for. */
static void add_differences(cJSON *keys, const struct parts *a, const struct parts *b)
{
	const cJSON *item;

	for (size_t i = 0; i < PARTS; i++)
		cJSON_ArrayForEach(item, a->obj[i])
		{
			if (is_part(a, i, item) &&
			    cJSON_GetObjectItemCaseSensitive(keys, item->string) == NULL &&
			    !cJSON_Compare(item, find_part(b, PARTS, item->string), true))
				cJSON_AddTrueToObject(keys, item->string);
		}
}

/* Cases of one workload and backend. */
struct sm_family {
	const struct sm_record *first;
	cJSON *keys;	    /* what differs between some of them */
	bool twins;	    /* there are several */
	struct parts parts; /* of the first; of the case whose line was made last */
};

static struct sm_family *family_of(struct sm_families *f, const struct sm_record *rec)
{
	for (size_t i = f->n; i-- > 0;) /* most often the last */
		if (strcmp(f->v[i].first->workload, rec->workload) == 0 &&
		    strcmp(f->v[i].first->backend, rec->backend) == 0)
			return &f->v[i];
	return NULL;
}

static struct sm_family *add_family(struct sm_families *f, const struct sm_record *rec)
{
	struct sm_family *v = realloc(f->v, (f->n + 1) * sizeof(*v));

	if (v == NULL)
		return NULL;
	f->v = v;
	v += f->n++;
	*v = (struct sm_family){.first = rec, .keys = cJSON_CreateObject()};
	read_parts(&v->parts, rec);
	return v;
}

int sm__table_find_families(struct sm_table *t)
{
	const struct sm_report *r = t->r;
	struct sm_families *f = &t->families;
	struct parts parts = {0};
	int rc = 0;

	f->of = calloc(r->nrecords + 1, sizeof(*f->of));
	if (f->of == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->nrecords && rc == 0; i = sm__table_group_end(r, i)) {
		struct sm_family *family = family_of(f, &r->records[i]);

		if (family != NULL) {
			read_parts(&parts, &r->records[i]);
			add_differences(family->keys, &family->parts, &parts);
			add_differences(family->keys, &parts, &family->parts);
			family->twins = true;
		} else
			family = add_family(f, &r->records[i]);
		if (family == NULL)
			rc = -ENOMEM;
		else
			f->of[i] = (size_t)(family - f->v);
	}
	free_parts(&parts);
	return rc;
}

void sm__table_free_families(struct sm_families *f)
{
	for (size_t i = 0; i < f->n; i++) {
		cJSON_Delete(f->v[i].keys);
		free_parts(&f->v[i].parts);
	}
	free(f->v);
	free(f->of);
}

bool sm__table_has_twin(const struct sm_table *t, size_t first)
{
	return t->families.v[t->families.of[first]].twins;
}

static bool make_word(struct sm_wrap *w, const cJSON *item)
{
	char *value = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item), word[256];

	snprintf(word, sizeof(word), "%s=%s", item->string,
		 value != NULL ? value : item->valuestring);
	sm__table_wrap_word(w, word);
	free(value);
	return true;
}

static void make_line(struct sm_table *t, size_t first, FILE *out)
{
	struct sm_family *family = &t->families.v[t->families.of[first]];
	const cJSON *keys = family->keys, *item;
	struct parts *parts = &family->parts;
	struct sm_wrap w = {out, 2, 2, t->width};
	bool said = false;

	read_parts(parts, &t->r->records[first]);
	fprintf(out, "%s  ", SM_DIM(t));
	for (size_t i = 0; i < PARTS; i++)
		cJSON_ArrayForEach(item,
				   parts->obj[i]) if (is_part(parts, i, item) &&
						      (keys == NULL || keys->child == NULL ||
						       cJSON_HasObjectItem(keys, item->string)))
			said = make_word(&w, item);
	if (!said) /* without a setting, among others that have some */
		sm__table_wrap_word(&w, "default");
	fprintf(out, "%s\n", SM_PLAIN(t));
}

void sm__table_case_line(struct sm_table *t, size_t first)
{
	struct sm_case_lines *l = &t->lines;

	if (l->at[first] == 0) { /* each table of the report shows it */
		l->at[first] = 1 + (size_t)ftello(l->file);
		make_line(t, first, l->file);
		fputc(0, l->file);
		fflush(l->file);
	}
	fputs(l->text + l->at[first] - 1, t->out);
}

int sm__table_lines_open(struct sm_case_lines *l, size_t nrecords)
{
	l->at = calloc(nrecords + 1, sizeof(*l->at));
	l->file = l->at != NULL ? open_memstream(&l->text, &l->len) : NULL;
	return l->file != NULL ? 0 : -ENOMEM;
}

void sm__table_lines_close(struct sm_case_lines *l)
{
	if (l->file != NULL)
		fclose(l->file);
	free(l->text);
	free(l->at);
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
