/* cmd_compare.c: spanmark compare: which of two or more sides is better, and is it real? What a
 * side is and what is matched: compare.h; the judgement: verdict.h. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/option_value.h"
#include "harness/command/cmd.h"
#include "harness/compare/compare.h"
#include "perf/names.h"
#include "harness/base/complain.h"

#define MAX_SIDES 16
#define MAX_GATES 16

struct gate {
	char metric[96];
	bool above;
	double bound;
	const char *text;
};

struct compare {
	const char *store;
	unsigned last;
	struct sm_strings operands;
	struct sm_compare_what what;
	struct sm_verdict_options judged;
	double power; /* --require-power; below 0: not asked */
	enum sm_format format;
	struct gate gates[MAX_GATES];
	size_t ngates;
	struct sm_side sides[MAX_SIDES];
	struct sm_report reports[MAX_SIDES]; /* of the sides that were the first to name them */
	size_t nsides;
	cJSON *json;
	unsigned tripped, weak; /* rows beyond a gate; rows without --require-power's power */
	bool lost;		/* a case that neither could judge */
};

static int usage(const char *err)
{
	sm_complain("%s", err);
	return SM_EXIT_USAGE;
}

/* ---- options ------------------------------------------------------------------------------ */

static int take_gate(const struct sm_option *opt, void *options, const char *value, char *err,
		     size_t errlen)
{
	struct compare *c = options;
	struct gate g = {.text = value};
	size_t len = strcspn(value, " <>");
	const char *at = value + len + strspn(value + len, " ");
	char *end;

	(void)opt;
	if (len > 0 && len < sizeof(g.metric) && (*at == '<' || *at == '>')) {
		memcpy(g.metric, value, len);
		g.above = *at == '>';
		g.bound = strtod(at + 1, &end);
		end += strspn(end, " ");
		if (end > at + 1 && *end == 0 && g.bound > 0 && isfinite(g.bound)) {
			if (c->ngates == MAX_GATES) {
				snprintf(err, errlen, "--fail-if: %d are allowed", MAX_GATES);
				return -EINVAL;
			}
			c->gates[c->ngates++] = g;
			return sm_strings_add(&c->what.gated, g.metric, len);
		}
	}
	snprintf(err, errlen, "--fail-if '%.60s'; allowed: 'NAME > RATIO' or 'NAME < RATIO'",
		 value);
	return -EINVAL;
}

static int take_last(const struct sm_option *opt, void *options, const char *value, char *err,
		     size_t errlen)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	(void)opt;
	if (*value < '0' || *value > '9' || *end || n < 2 || n > MAX_SIDES) {
		snprintf(err, errlen, "--last '%.60s'; allowed: 2..%d", value, MAX_SIDES);
		return -EINVAL;
	}
	((struct compare *)options)->last = (unsigned)n;
	return 0;
}

#define INTO(take_fn, m) SM_INTO(take_fn, struct compare, m)

static const struct sm_option rows[] = {
	{"store", 0, "FILE", "the store of sides that name none: " SM_STORE_DEFAULT,
	 INTO(sm__take_borrowed, store)},
	{"last", 0, "N", "the last N runs of the store are the sides, the oldest is A",
	 .take = take_last},
	{"metric", 0, "NAME,..",
	 "results or counters to compare (wall or per-operation time, waits, marking, peak memory, "
	 "simulated instructions)",
	 INTO(sm__take_list, what.metrics)},
	{"workload", 'w', "NAME,..", "cases of these workloads alone",
	 INTO(sm__take_list, what.workloads), .topic = "workloads"},
	{"margin", 0, "P%", "differences up to this are the same: 1%",
	 INTO(sm__take_percent, judged.margin)},
	{"fail-if", 0, "'NAME > R'",
	 "exit status 3 where the interval of the ratio B / A lies beyond R; NAME < R likewise; "
	 "may be repeated",
	 .take = take_gate},
	{"require-power", 0, "P%",
	 "say how many repetitions it takes to find a difference of P%; exit status 1 where there "
	 "are fewer",
	 INTO(sm__take_percent, power)},
	{"format", 'f', "FORMAT", "how to print", INTO(sm__take_word, format),
	 .words = "table|csv|json"},
};
static const struct sm_option operand = {NULL,
					 0,
					 "[SIDE ..]",
					 "what is compared, two or more: a run, backend or setting",
					 INTO(sm__take_item, operands),
					 .topic = "backends"};
static const struct sm_option_table table = {"compare", rows, SM_COUNT_OF(rows), &operand, NULL};

/* False: the command ends, with *status. */
static bool parse(struct compare *c, int argc, char **argv, int *status)
{
	if (!sm_options_parse(&sm_command_compare, c, argc, argv, status))
		return false;
	if (c->power >= 0 && c->power <= c->judged.margin) {
		sm_complain("--require-power must be above --margin: what is within is the same");
		*status = SM_EXIT_USAGE;
		return false;
	}
	c->judged.target = c->power > 0 ? c->power : c->judged.margin + 0.02;
	return true;
}

/* ---- sides -------------------------------------------------------------------------------- */

static int parse_sides(struct compare *c, int argc, char **argv, char *err, size_t errlen)
{
	int rc = 0;

	if (argc > MAX_SIDES) {
		snprintf(err, errlen, "compare: %d sides; allowed: 2..%d", argc, MAX_SIDES);
		return -EINVAL;
	}
	for (int i = 0; i < argc && rc == 0; i++)
		rc = sm_side_parse(&c->sides[c->nsides++], argv[i], err, errlen);
	return rc;
}

/* The last runs as if they had been typed. */
static int find_last(struct compare *c, char ids[MAX_SIDES][24], char *err, size_t errlen)
{
	struct sm_store *s;
	int64_t runs[MAX_SIDES];
	int n, rc = sm_store_open_read(c->store, &s, err, errlen);
	char *argv[MAX_SIDES];

	if (rc)
		return rc;
	n = sm_store_last(s, runs, (int)c->last);
	if (n < 0)
		snprintf(err, errlen, "%s", sm_store_error(s));
	else if (n < (int)c->last)
		snprintf(err, errlen, "--last %u: store '%.200s' has %d run%s", c->last, c->store,
			 n, n == 1 ? "" : "s");
	sm_store_close(s);
	if (n < (int)c->last)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%lld", (long long)runs[n - 1 - i]);
		argv[i] = ids[i];
	}
	return parse_sides(c, n, argv, err, errlen);
}

/* Of a run with itself every ratio is 1. */
static void warn_same(const struct compare *c)
{
	for (size_t i = 1; i < c->nsides; i++)
		if (sm_sides_same(&c->sides[0], &c->sides[i]))
			sm_complain("compare: '%s' and '%s' are the same: each ratio is 1",
				    c->sides[0].text, c->sides[i].text);
}

/* ---- comparing ---------------------------------------------------------------------------- */

static void check_gates(struct compare *c, const struct sm_comparison *cmp)
{
	for (size_t g = 0; g < c->ngates; g++) {
		struct gate *gate = &c->gates[g];

		for (size_t i = 0; i < cmp->nrows; i++) {
			const struct sm_difference *d = &cmp->rows[i].d;

			if (strcmp(cmp->rows[i].metric, gate->metric) != 0)
				continue;
			if (d->nbase == 0 || d->nother == 0) {
				sm_complain("--fail-if '%s' cannot be judged: %s: not measured on "
					    "both sides",
					    gate->text, cmp->rows[i].name);
				c->lost = true;
				continue;
			}
			if (!d->has_interval)
				sm_complain("--fail-if '%s': %s: no interval, so not met",
					    gate->text, cmp->rows[i].name);
			if (!d->has_interval ||
			    (gate->above ? d->low <= gate->bound : d->high >= gate->bound))
				continue;
			c->tripped++;
			sm_complain("--fail-if '%s': %s: the ratio is %.4g (%.4g..%.4g)",
				    gate->text, cmp->rows[i].name, d->ratio, d->low, d->high);
		}
	}
}

static void check_power(struct compare *c, const struct sm_comparison *cmp)
{
	for (size_t i = 0; c->power > 0 && i < cmp->nrows; i++) {
		const struct sm_difference *d = &cmp->rows[i].d;
		size_t n = d->nbase < d->nother ? d->nbase : d->nother;

		c->weak += d->needed > n;
	}
}

static void check_lost(struct compare *c, const struct sm_comparison *cmp)
{
	const char *gate = c->ngates > 0 ? "--fail-if" : "--require-power";

	for (size_t i = 0; (c->ngates > 0 || c->power > 0) && i < cmp->lost.n; i++) {
		sm_complain("%s cannot be judged: %s: %s", gate, cmp->lost.v[i], cmp->why.v[i]);
		c->lost = true;
	}
}

static void print(struct compare *c, const struct sm_compare_text *t, bool first)
{
	switch (c->format) {
	case SM_FORMAT_TABLE:
		if (!first)
			putchar('\n');
		sm_compare_table(t, stdout);
		break;
	case SM_FORMAT_CSV: sm_compare_csv(t, first, stdout); break;
	case SM_FORMAT_JSON: cJSON_AddItemToArray(c->json, sm_compare_json(t)); break;
	default: break; /* not among its --format */
	}
}

static void print_all(struct compare *c, struct sm_comparison *cmps, size_t n)
{
	c->json = c->format == SM_FORMAT_JSON ? cJSON_CreateArray() : NULL;
	for (size_t i = 0; i < n; i++) {
		struct sm_compare_text t = {.base = &c->sides[0],
					    .other = &c->sides[i + 1],
					    .c = &cmps[i],
					    .judged = c->judged,
					    .power = c->power};

		print(c, &t, i == 0);
	}
	if (c->json != NULL) {
		char *text = cJSON_Print(c->json);

		puts(text != NULL ? text : "null");
		cJSON_free(text);
		cJSON_Delete(c->json);
	}
	fflush(stdout); /* before what is complained about */
}

static int compare_all(struct compare *c, char *err, size_t errlen)
{
	struct sm_comparison cmps[MAX_SIDES] = {0};
	size_t n = c->nsides - 1;
	int rc = sm_sides_load(c->sides, c->nsides, c->store, c->reports, err, errlen);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = sm_compare_sides(&c->sides[0], &c->sides[i + 1], &c->what, &cmps[i], err,
				      errlen);
	if (rc == 0)
		rc = sm_compare_judge(cmps, n, &c->judged);
	for (size_t g = 0; g < c->ngates && rc == 0; g++) {
		bool used = false;

		for (size_t i = 0; i < n; i++)
			used |= sm__compare_has(&cmps[i], c->gates[g].metric);
		if (used)
			continue;
		snprintf(err, errlen, "--fail-if '%.60s': no row is of it", c->gates[g].text);
		rc = -EINVAL;
	}
	if (rc == 0)
		print_all(c, cmps, n);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0) {
			check_gates(c, &cmps[i]);
			check_power(c, &cmps[i]);
			check_lost(c, &cmps[i]);
		}
		sm_comparison_free(&cmps[i]);
	}
	return rc;
}

static int compare_sides(struct compare *c, int argc, char **argv)
{
	char err[600] = "out of memory", ids[MAX_SIDES][24];
	int rc;

	if (c->last > 0 && argc > 0)
		return usage("compare: --last names the sides; allowed: --last N or A B [..]");
	rc = c->last > 0 ? find_last(c, ids, err, sizeof(err))
			 : parse_sides(c, argc, argv, err, sizeof(err));
	if (rc)
		return usage(err);
	if (c->nsides < 2)
		return usage("compare: wants two sides or more, A B [..]; see spanmark compare "
			     "--help");
	if (compare_all(c, err, sizeof(err)) != 0)
		return usage(err);
	warn_same(c);
	if (c->weak > 0)
		sm_complain("--require-power %g%%: %u row%s too few repetitions to find it",
			    c->power * 100, c->weak, c->weak == 1 ? " has" : "s have");
	return c->tripped > 0		? SM_EXIT_BEYOND
	       : c->weak > 0 || c->lost ? SM_EXIT_FAILED
					: SM_EXIT_OK;
}

static int run_compare(int argc, char **argv)
{
	struct compare c = {
		.store = SM_STORE_DEFAULT, .judged = {.margin = SM_VERDICT_MARGIN}, .power = -1};
	int status;

	if (parse(&c, argc, argv, &status))
		status = compare_sides(&c, (int)c.operands.n, c.operands.v);
	for (size_t i = 0; i < MAX_SIDES; i++) {
		sm_side_free(&c.sides[i]);
		sm_report_free(&c.reports[i]);
	}
	sm_strings_free(&c.operands);
	sm_strings_free(&c.what.metrics);
	sm_strings_free(&c.what.gated);
	sm_strings_free(&c.what.workloads);
	return status;
}

const struct sm_command sm_command_compare = {
	.name = "compare",
	.summary = "which of two runs, backends or settings is better, and is it real",
	.run = run_compare,
	.options = &table,
	.about = "Tells for each measured figure whether B is better than A, worse, the same, or "
		 "whether the samples are too few to know. Further sides are compared with A too.\n"
		 "\n"
		 "A side is a run of the store (4, last; spanmark runs lists them), of another "
		 "store (other.db:4), or the cases of "
		 "a run that have a backend or settings (libc, gc.mode=stw, 4/gc,gc.mode=stw; "
		 "default: no setting; without a run: the last). A case that both sides name is "
		 "the narrower side's. Sides of one run are compared in pairs, which drift "
		 "and noisy hours do not touch. The intervals of a table hold together with 95 %.",
	.examples =
		(const char *const[]){
			"spanmark run -w churn --backend span,libc --reps 12",
			"measures two backends side by side",
			"spanmark compare libc span",
			"compares them, in pairs",
			"spanmark run -w graph --set gc.mode=stw,concurrent --reps "
			"12",
			"measures two settings",
			"spanmark compare gc.mode=stw gc.mode=concurrent --metric "
			"stall_max_us",
			"compares their longest stalls",
			"spanmark compare --last 2 --fail-if 'ns_per_op > 1.03' "
			"--require-power 3%",
			"no build gets slower by 3 % unnoticed: status 3 when one has",
			"spanmark compare laptop.db:1 server.db:1 --format csv",
			"two machines",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Compared.",
			"1",
			"--require-power is not met, or it or --fail-if cannot be judged for a "
			"case "
			"that one side lacks or all of whose samples failed. " SM_STATUS_UNWRITTEN,
			"2",
			"The command line is wrong.",
			"3",
			"The condition of --fail-if is met.",
			NULL,
		},
};
