/* cmd_report.c: spanmark report: runs of a store as one HTML page (harness/page/page.h). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/command/cmd.h"
#include "harness/command/stored.h"
#include "harness/page/page.h"
#include "harness/plan/variant.h"
#include "harness/report/writer.h"

#define MAX_RUNS  16
#define MAX_SIDES 16 /* that are compared with the baseline */

struct report {
	const char *store, *output, *baseline;
	struct sm_strings operands;
	struct sm_verdict_options judged;
	/* Runs, and behind them the baseline. */
	struct sm_side sides[MAX_RUNS + 1];
	struct sm_report reports[MAX_RUNS + 1];
	size_t nruns;
	struct sm_side others[MAX_SIDES];
	char names[MAX_SIDES][160];
	size_t nothers;
	bool more; /* others than there is room for */
	struct sm_comparison cmps[MAX_SIDES];
	struct sm_page_ratio ratios[MAX_SIDES];
	size_t nratios;
};

static int usage(const char *err)
{
	sm_complain("report: %s", err);
	return SM_EXIT_USAGE;
}

/* ---- options ------------------------------------------------------------------------------ */

static const struct sm_option rows[] = {
	{"output", 'o', "FILE", "where the page goes; without it standard output, if no terminal",
	 SM_INTO(sm__take_borrowed, struct report, output)},
	{"store", 0, "FILE", "the store of runs that name none: " SM_STORE_DEFAULT,
	 SM_INTO(sm__take_borrowed, struct report, store)},
	{"baseline", 0, "SIDE", "what everything is compared with, as a side of spanmark compare",
	 SM_INTO(sm__take_borrowed, struct report, baseline), .topic = "backends",
	 .more = "The first of several runs, else the first backend of the run, else the first "
		 "value of a setting that varies."},
	{"margin", 0, "P%", "differences up to this are the same: 1%",
	 SM_INTO(sm__take_percent, struct report, judged.margin)},
};
static const struct sm_option operand = {NULL,
					 0,
					 "[RUN ..]",
					 "runs, or STORE:RUN; the last one",
					 SM_INTO(sm__take_item, struct report, operands),
					 .topic = "runs"};
static const struct sm_option_table table = {"report", rows, SM_COUNT_OF(rows), &operand, NULL};

/* A side of compare that is a whole run. */
static int parse_run(struct report *r, const char *text, char *err, size_t errlen)
{
	struct sm_side *side = &r->sides[r->nruns++];
	int rc = sm_side_parse(side, text, err, errlen);

	if (rc == -ENOMEM || (rc == 0 && side->run != NULL && side->wants.n == 0))
		return rc;
	snprintf(err, errlen, "'%.80s' is no run; allowed: RUN, STORE:RUN", text);
	return -EINVAL;
}

static int parse_runs(struct report *r, char *err, size_t errlen)
{
	int rc = 0;

	if (r->operands.n > MAX_RUNS) {
		snprintf(err, errlen, "%zu runs; allowed: up to %d", r->operands.n, MAX_RUNS);
		return -EINVAL;
	}
	if (r->operands.n == 0)
		return parse_run(r, SM_STORE_LAST, err, errlen);
	for (size_t i = 0; i < r->operands.n && rc == 0; i++)
		rc = parse_run(r, r->operands.v[i], err, errlen);
	return rc;
}

/* ---- baseline ----------------------------------------------------------------------------- */

static struct sm_side *base_of(struct report *r)
{
	return &r->sides[r->nruns];
}

/* All settings of the record, or that it has none. false: memory is out. */
static bool add_settings(const struct sm_record *rec, struct sm_strings *out)
{
	cJSON *config = cJSON_Parse(rec->config);
	const cJSON *m;
	bool done = cJSON_GetArraySize(config) > 0 ||
		    sm_strings_add(out, SM_VARIANT_DEFAULT, strlen(SM_VARIANT_DEFAULT)) == 0;

	cJSON_ArrayForEach(m, config)
	{
		char text[256];

		snprintf(text, sizeof(text), "%s=%s", m->string,
			 cJSON_IsString(m) ? m->valuestring : "");
		done = done && sm_strings_add(out, text, strlen(text)) == 0;
	}
	cJSON_Delete(config);
	return done;
}

/* The record's own of what a side wants: its backend, its value of that setting, or all that it
 * has. false: it has others, or memory is out. */
static bool add_like(const struct sm_record *rec, const char *want, struct sm_strings *out)
{
	const char *equals = strchr(want, '='), *value;
	char text[256];
	cJSON *config;
	bool has, none;

	if (strcmp(want, SM_VARIANT_DEFAULT) == 0)
		return add_settings(rec, out);
	if (equals == NULL)
		return sm_strings_add(out, rec->backend, strlen(rec->backend)) == 0;
	snprintf(text, sizeof(text), "%.*s", (int)(equals - want), want);
	config = cJSON_Parse(rec->config);
	value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, text));
	has = value != NULL;
	none = cJSON_GetArraySize(config) == 0;
	if (has)
		snprintf(text, sizeof(text), "%.*s=%s", (int)(equals - want), want, value);
	cJSON_Delete(config);
	if (none && out->n == 0) /* beside one that has it, there is what has no setting at all */
		return add_settings(rec, out);
	return has && sm_strings_add(out, text, strlen(text)) == 0;
}

/* Only a page of several runs says of which one a side is. */
static void name_side(struct report *r, const struct sm_side *run, struct sm_side *side, char *buf,
		      size_t len)
{
	size_t n = r->nruns > 1 ? (size_t)snprintf(buf, len, "%.60s/", run->text) : 0;

	for (size_t i = 0; i < side->wants.n && n < len; i++)
		n += (size_t)snprintf(buf + n, len - n, "%s%s", i > 0 ? "," : "", side->wants.v[i]);
	side->text = buf;
}

/* The cases of the run that are as the record in everything that the baseline names. */
static void add_variant(struct report *r, const struct sm_side *run, const struct sm_record *rec)
{
	struct sm_side side = {.report = run->report}, *base = base_of(r);
	bool fits = true;

	for (size_t i = 0; i < base->wants.n && fits; i++)
		fits = add_like(rec, base->wants.v[i], &side.wants);
	fits = fits && !sm_sides_same(base, &side);
	for (size_t i = 0; i < r->nothers && fits; i++)
		fits = !sm_sides_same(&r->others[i], &side);
	r->more |= fits && r->nothers == MAX_SIDES;
	if (!fits || r->nothers == MAX_SIDES) {
		sm_side_free(&side);
		return;
	}
	name_side(r, run, &side, r->names[r->nothers], sizeof(r->names[0]));
	r->others[r->nothers++] = side;
}

static void find_others(struct report *r)
{
	const struct sm_side *base = base_of(r);

	for (size_t i = 0; i < r->nruns; i++) {
		const struct sm_report *report = r->sides[i].report;

		if (base->wants.n == 0 && report != base->report && r->nothers < MAX_SIDES)
			r->others[r->nothers++] =
				(struct sm_side){.text = r->sides[i].text, .report = report};
		for (size_t k = 0; base->wants.n > 0 && k < report->nrecords; k++)
			if (k == 0 || report->records[k].group != report->records[k - 1].group)
				add_variant(r, &r->sides[i], &report->records[k]);
	}
}

/* Settings that vary together, as of --variant, against none of them, where a case has none. */
static int choose_default(struct report *r)
{
	struct sm_side *base = base_of(r);
	bool any = false;

	for (size_t i = 0; i < base->report->nrecords && !any; i++)
		any = strcmp(base->report->records[i].config, "{}") == 0;
	if (!any)
		return 0;
	sm_strings_free(&base->wants);
	if (sm_strings_add(&base->wants, SM_VARIANT_DEFAULT, strlen(SM_VARIANT_DEFAULT)) != 0)
		return -ENOMEM;
	base->text = base->wants.v[0];
	find_others(r);
	return 0;
}

/* Nobody named one: the first run of several; of one its first backend where it has more, else what
 * has no setting, else its first value of a setting that varies. */
static int choose_base(struct report *r)
{
	struct sm_side *base = base_of(r);
	const struct sm_report *report = r->sides[0].report;
	const struct sm_record *first = report->records;
	cJSON *config;
	const cJSON *m;

	*base = (struct sm_side){.text = r->sides[0].text, .report = report};
	if (r->nruns > 1 || report->nrecords == 0)
		return 0;
	if (sm_strings_add(&base->wants, first->backend, strlen(first->backend)) != 0)
		return -ENOMEM;
	base->text = base->wants.v[0];
	find_others(r);
	if (r->nothers == 0 && choose_default(r) != 0)
		return -ENOMEM;
	config = r->nothers == 0 ? cJSON_Parse(first->config) : NULL;
	for (m = config != NULL ? config->child : NULL; m != NULL && r->nothers == 0; m = m->next) {
		char text[256];

		if (!cJSON_IsString(m))
			continue;
		snprintf(text, sizeof(text), "%s=%s", m->string, m->valuestring);
		sm_strings_free(&base->wants);
		if (sm_strings_add(&base->wants, text, strlen(text)) != 0)
			break;
		base->text = base->wants.v[0];
		find_others(r);
	}
	cJSON_Delete(config);
	return base->wants.n > 0 ? 0 : -ENOMEM;
}

static int parse_base(struct report *r, char *err, size_t errlen)
{
	struct sm_side *base = base_of(r);
	int rc = sm_side_parse(base, r->baseline, err, errlen);

	if (rc == 0 && base->run == NULL) { /* of the first run on the page */
		base->run = strdup(r->sides[0].run);
		base->store = r->sides[0].store != NULL ? strdup(r->sides[0].store) : NULL;
	}
	return rc;
}

/* What cannot be compared is left out, and said; where that is all, a baseline that was named is a
 * mistake. */
static int compare(struct report *r, char *err, size_t errlen)
{
	const struct sm_compare_what what = {.metrics = {.n = 0}};
	struct sm_strings failed = {.n = 0};
	int rc = 0;

	for (size_t i = 0; i < r->nothers && rc != -ENOMEM; i++) {
		struct sm_comparison *cmp = &r->cmps[r->nratios];

		rc = sm_compare_sides(base_of(r), &r->others[i], &what, cmp, err, errlen);
		if (rc == 0) {
			r->ratios[r->nratios++] = (struct sm_page_ratio){
				.base = base_of(r), .other = &r->others[i], .c = cmp};
			continue;
		}
		sm_comparison_free(cmp);
		*cmp = (struct sm_comparison){.nrows = 0};
		if (rc != -ENOMEM)
			rc = sm_strings_add(&failed, err, strlen(err));
	}
	if (rc == 0 && r->baseline != NULL && r->nratios == 0) {
		snprintf(err, errlen, "--baseline %.80s: %.300s", r->baseline,
			 failed.n > 0 ? failed.v[0] : "the page has nothing else to compare");
		rc = -EINVAL;
	}
	for (size_t i = 0; rc == 0 && i < failed.n; i++)
		sm_complain("report: not compared: %s", failed.v[i]);
	if (rc == 0 && r->more)
		sm_complain("report: not compared: more than %d sides; the page has the first %d",
			    MAX_SIDES, MAX_SIDES);
	sm_strings_free(&failed);
	return rc ? rc : sm_compare_judge(r->cmps, r->nratios, &r->judged);
}

/* ---- the command -------------------------------------------------------------------------- */

static int load(struct report *r, char *err, size_t errlen)
{
	int rc = parse_runs(r, err, errlen);

	if (rc == 0 && r->baseline != NULL)
		rc = parse_base(r, err, errlen);
	if (rc == 0)
		rc = sm_sides_load(r->sides, r->nruns + (r->baseline != NULL), r->store, r->reports,
				   err, errlen);
	if (rc == 0 && r->baseline == NULL)
		rc = choose_base(r);
	if (rc == 0 && r->nothers == 0)
		find_others(r);
	return rc ? rc : compare(r, err, errlen);
}

static bool hits_a_store(const struct report *r)
{
	for (size_t i = 0; i <= r->nruns; i++) {
		const char *store = r->sides[i].store;

		if (sm_output_hits_store(r->output, store != NULL ? store : r->store))
			return true;
	}
	return false;
}

static int write_page(struct report *r)
{
	struct sm_page page = {.runs = r->sides,
			       .nruns = r->nruns,
			       .ratios = r->ratios,
			       .nratios = r->nratios,
			       .margin = r->judged.margin};
	struct sm_output out = {.file = NULL};
	char err[512];
	int rc;

	if (r->output == NULL || strcmp(r->output, "-") == 0) {
		if (isatty(STDOUT_FILENO) == 1)
			return usage("wants -o FILE: a page is nothing for a terminal");
		return sm_page_write(&page, stdout) == 0 ? SM_EXIT_OK : SM_EXIT_FAILED;
	}
	if (hits_a_store(r))
		return usage("--output names a store; allowed: another file");
	if (sm_output_open(&out, r->output, err, sizeof(err)) != 0)
		return usage(err);
	rc = sm_page_write(&page, out.file);
	if (rc)
		sm_complain("report: out of memory");
	if (sm_output_close(&out, rc == 0, err, sizeof(err)) != 0) {
		sm_complain("report: %s", err);
		rc = -EIO;
	}
	return rc ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static void free_all(struct report *r)
{
	for (size_t i = 0; i <= MAX_RUNS; i++) {
		sm_side_free(&r->sides[i]);
		sm_report_free(&r->reports[i]);
	}
	for (size_t i = 0; i < r->nothers; i++)
		sm_side_free(&r->others[i]);
	for (size_t i = 0; i < r->nratios; i++)
		sm_comparison_free(&r->cmps[i]);
	sm_strings_free(&r->operands);
	free(r);
}

static int run_report(int argc, char **argv)
{
	struct report *r = calloc(1, sizeof(*r));
	char err[600] = "out of memory", id[24];
	int status;

	if (r == NULL)
		return usage(err);
	r->store = SM_STORE_DEFAULT;
	r->judged.margin = SM_VERDICT_MARGIN;
	if (sm_options_parse(&sm_command_report, r, argc, argv, &status)) {
		r->judged.target = r->judged.margin + 0.02;
		if (load(r, err, sizeof(err)) != 0) {
			status = usage(err);
		} else {
			if (r->operands.n == 0) { /* it has a number now */
				snprintf(id, sizeof(id), "%lld",
					 (long long)r->sides[0].report->run);
				r->sides[0].text = id;
			}
			status = write_page(r);
		}
	}
	free_all(r);
	return status;
}

const struct sm_command sm_command_report = {
	.name = "report",
	.summary = "runs of a store as one page of HTML",
	.run = run_report,
	.options = &table,
	.about = "Writes one HTML file that needs nothing else: ratios against a baseline with "
		 "their verdicts, results, distributions with intervals, histograms of waits, "
		 "heap and resident memory over time, counters, curves and Pareto front of a "
		 "tuning, and the machine with the threads that were pinned to its cores.\n"
		 "\n"
		 "The file loads nothing and runs nothing but a script of its own that sorts and "
		 "filters tables; without it the page says the same. Several runs, of several "
		 "stores, are one page.\n"
		 "\n" SM_STORED_NAMES,
	.examples =
		(const char *const[]){
			"spanmark run --store lab.db -w churn,graph --backend libc,gc --reps 12",
			"measures two backends",
			"spanmark report --store lab.db -o report.html",
			"the last run, its backends compared with the first",
			"spanmark report --store lab.db 3 4 --baseline 3 -o before-after.html",
			"two runs, compared",
			"spanmark report laptop.db:1 server.db:1 -o machines.html",
			"two machines",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Written.",
			"1",
			"The page could not be written; what stood there stays.",
			"2",
			"The command line is wrong, or there is no such run.",
			NULL,
		},
};
