/* marking.c: whether anything of what is tuned for is marked by span: one sample of each case, with
 * gc.mark=spans, tells. See counterfactual.h. */
#include <errno.h>
#include <string.h>

#include "harness/process/child.h"
#include "harness/store/store.h"
#include "harness/tune/counterfactual.h"

/* Behind the options of the trials; of an option that is given twice, the last holds. */
static int run_marked(struct sm_trials *t, const char *note)
{
	const char *const last[] = {"--set",	  "gc.mark=spans", "--note",   note,
				    "--counters", "none",	   "--reps",   "1",
				    "--store",	  t->store,	   "--format", "csv",
				    "--output",	  "/dev/null",	   NULL};
	struct sm_strings words = {0};
	char err[512];
	int rc = sm_strings_add(&words, "run", 3);

	for (size_t i = 0; i < t->args->n && rc == 0; i++)
		rc = sm_strings_add(&words, t->args->v[i], strlen(t->args->v[i]));
	for (size_t i = 0; last[i] != NULL && rc == 0; i++)
		rc = sm_strings_add(&words, last[i], strlen(last[i]));
	if (rc == 0)
		rc = sm_child_run(&words, err, sizeof(err));
	sm_strings_free(&words);
	return rc;
}

static void add_up(const struct sm_report *r, struct sm_counterfactual *out)
{
	for (size_t i = 0; i < r->nrecords; i++) {
		const struct sm_result *cycles = sm_record_result(&r->records[i], "gc_cycles");
		const struct sm_result *spans = sm_record_result(&r->records[i], "mark_spans");

		if (r->records[i].status != SM_OUTCOME_OK || cycles == NULL || !cycles->has_value)
			continue;
		out->cycles = (out->cycles > 0 ? out->cycles : 0) + cycles->value;
		/* It is there where there were some. */
		out->spans = (out->spans > 0 ? out->spans : 0) + (spans != NULL ? spans->value : 0);
	}
}

static int read_marked(const struct sm_trials *t, const char *note, struct sm_counterfactual *out)
{
	struct sm_store *s = NULL;
	struct sm_runs runs = {.n = 0};
	struct sm_report r;
	char err[512];
	int rc = sm_store_open_read(t->store, &s, err, sizeof(err));

	rc = rc ? rc : sm_store_runs(s, &runs);
	for (size_t i = 0; i < runs.n && rc == 0; i++) {
		if (strcmp(runs.v[i].note, note) != 0)
			continue;
		rc = sm_store_load(s, runs.v[i].id, &r);
		if (rc == 0) {
			add_up(&r, out);
			sm_report_free(&r);
		}
	}
	sm_runs_free(&runs);
	sm_store_close(s);
	return rc;
}

int sm_marking_record(struct sm_trials *t, struct sm_counterfactual *out)
{
	char note[SM_TRIALS_NOTE];
	int rc;

	sm_trials_note(t, "marking", note, sizeof(note));
	rc = run_marked(t, note);
	if (rc == 0 || rc == -EIO)
		rc = read_marked(t, note, out);
	/* What fails is told by the pilot, in its own words: nothing is known, no more. */
	return rc == -ECANCELED || rc == -ENOMEM ? rc : 0;
}
