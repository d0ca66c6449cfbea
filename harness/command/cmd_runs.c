/*
 * cmd_runs.c: spanmark runs and delete: what is in a store, and runs out of it; what the commands
 * on stored runs share (stored.h). The store does it: store.h.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/base/text.h"
#include "harness/command/cmd.h"
#include "harness/command/stored.h"

/* ---- what is shared ----------------------------------------------------------------------- */

bool sm_stored_open(const char *path, bool to_write, struct sm_store **s)
{
	char err[512];
	int rc = -ENOENT;

	*s = NULL;
	if (access(path, F_OK) != 0)
		snprintf(err, sizeof(err),
			 "there is no store '%.300s'; `spanmark run` makes one, --store names "
			 "another",
			 path);
	else
		rc = (to_write ? sm_store_open : sm_store_open_read)(path, s, err, sizeof(err));
	if (rc)
		sm_complain("%s", err);
	return rc == 0;
}

int64_t *sm_stored_find(struct sm_store *s, char **names, size_t n)
{
	int64_t *ids = calloc(n + 1, sizeof(*ids));

	for (size_t i = 0; ids != NULL && i < n; i++) {
		if (sm_store_find(s, names[i], &ids[i]) == 0)
			continue;
		sm_complain("%s", sm_store_error(s));
		free(ids);
		return NULL;
	}
	return ids;
}

int sm_stored_load(const char *command, const char *store, const char *text, struct sm_side *side,
		   struct sm_report *out, char *err, size_t errlen)
{
	struct sm_store *s;
	int rc = text != NULL ? sm_side_parse(side, text, err, errlen) : 0;

	if (rc == -EINVAL || side->wants.n > 0) {
		snprintf(err, errlen, "%s: '%.80s' is no run; allowed: RUN, STORE:RUN", command,
			 text);
		rc = -EINVAL;
	}
	if (rc == 0 && side->store == NULL && (side->store = strdup(store)) == NULL)
		rc = -ENOMEM;
	if (rc == -ENOMEM)
		snprintf(err, errlen, "out of memory");
	if (rc == 0)
		rc = sm_store_open_read(side->store, &s, err, errlen);
	if (rc)
		return rc;
	rc = sm_store_load_named(s, side->run, out);
	if (rc)
		snprintf(err, errlen, "%s", rc == -ENOMEM ? "out of memory" : sm_store_error(s));
	sm_store_close(s);
	return rc;
}

/* ---- runs --------------------------------------------------------------------------------- */

static void print_table(const struct sm_runs *runs)
{
	puts("  run identity  started              state        samples failed  machine");
	for (size_t i = 0; i < runs->n; i++) {
		const struct sm_run_row *r = &runs->v[i];
		char count[48];

		snprintf(count, sizeof(count), "%llu/%llu", (unsigned long long)r->samples,
			 (unsigned long long)r->planned);
		printf("%5lld %.8s  %.19s  ", (long long)r->id, r->identity, r->started);
		sm_text_name(stdout, r->state, 11);
		printf(" %8s %6llu  ", count, (unsigned long long)r->failed);
		sm_text_print(stdout, r->host);
		if (r->cpu_model[0] != '\0') {
			fputs(r->host[0] != '\0' ? ", " : "", stdout);
			sm_text_print(stdout, r->cpu_model);
		}
		fputs("\n      ", stdout);
		/* of a tuning, the command line has every configuration in it */
		sm_text_print(stdout, r->note[0] != '\0' ? r->note : r->command_line);
		putchar('\n');
	}
}

static void print_csv(const struct sm_runs *runs)
{
	puts("run,identity,host,cpu_model,started,finished,state,planned,samples,failed,"
	     "note,command_line");
	for (size_t i = 0; i < runs->n; i++) {
		const struct sm_run_row *r = &runs->v[i];

		printf("%lld,%s,", (long long)r->id, r->identity);
		sm_csv_quoted(stdout, r->host);
		putchar(',');
		sm_csv_quoted(stdout, r->cpu_model);
		printf(",%s,%s,%s,%llu,%llu,%llu,", r->started, r->finished, r->state,
		       (unsigned long long)r->planned, (unsigned long long)r->samples,
		       (unsigned long long)r->failed);
		sm_csv_quoted(stdout, r->note);
		putchar(',');
		sm_csv_quoted(stdout, r->command_line);
		putchar('\n');
	}
}

static void print_json(const struct sm_runs *runs)
{
	cJSON *list = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < runs->n; i++) {
		const struct sm_run_row *r = &runs->v[i];
		cJSON *o = cJSON_CreateObject();

		sm_json_number(o, "run", (double)r->id, true);
		cJSON_AddStringToObject(o, "identity", r->identity);
		cJSON_AddStringToObject(o, "host", r->host);
		cJSON_AddStringToObject(o, "cpu_model", r->cpu_model);
		cJSON_AddStringToObject(o, "started", r->started);
		cJSON_AddStringToObject(o, "finished", r->finished);
		cJSON_AddStringToObject(o, "state", r->state);
		sm_json_number(o, "planned", (double)r->planned, true);
		sm_json_number(o, "samples", (double)r->samples, true);
		sm_json_number(o, "failed", (double)r->failed, true);
		cJSON_AddStringToObject(o, "note", r->note);
		cJSON_AddStringToObject(o, "command_line", r->command_line);
		cJSON_AddItemToArray(list, o);
	}
	text = cJSON_Print(list);
	puts(text != NULL ? text : "null");
	cJSON_free(text);
	cJSON_Delete(list);
}

static int run_runs(int argc, char **argv)
{
	struct sm_stored o = {.store = SM_STORE_DEFAULT};
	struct sm_store *s;
	struct sm_runs runs;
	int status, rc;

	if (!sm_options_parse(&sm_command_runs, &o, argc, argv, &status))
		return status;
	if (!sm_stored_open(o.store, false, &s))
		return SM_EXIT_USAGE;
	rc = sm_store_runs(s, &runs);
	if (rc)
		sm_complain("%s", rc == -ENOMEM ? "out of memory" : sm_store_error(s));
	else if (o.format == SM_FORMAT_TABLE)
		print_table(&runs);
	else
		(o.format == SM_FORMAT_CSV ? print_csv : print_json)(&runs);
	sm_runs_free(&runs);
	sm_store_close(s);
	return rc ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static const struct sm_option runs_rows[] = {
	SM_STORED_OPTION,
	{"format", 'f', "FORMAT", "how to print", SM_INTO(sm__take_word, struct sm_stored, format),
	 .words = "table|csv|json"},
};
static const struct sm_option_table runs_table = {"runs", runs_rows, SM_COUNT_OF(runs_rows), NULL,
						  "spanmark show RUN prints one run"};

const struct sm_command sm_command_runs = {
	.name = "runs",
	.summary = "what is in a store",
	.run = run_runs,
	.options = &runs_table,
	.about = "Lists the runs of a store, the last one last: number and identity, when it "
		 "began, how it ended, its samples of those planned, the failed ones, the "
		 "machine, what was asked. An unfinished run is one whose process was killed: "
		 "spanmark run --resume goes on.",
	.examples =
		(const char *const[]){
			"spanmark runs",
			"those of " SM_STORE_DEFAULT " in this folder",
			"spanmark runs --store lab.db -f csv",
			"for a program to read",
			NULL,
		},
};

/* ---- delete ------------------------------------------------------------------------------- */

static int delete_runs(struct sm_store *s, const struct sm_stored *o)
{
	int64_t *ids = sm_stored_find(s, o->operands.v, o->operands.n);
	int rc = 0;

	if (ids == NULL)
		return SM_EXIT_USAGE;
	for (size_t i = 0; i < o->operands.n && rc == 0; i++)
		rc = sm_store_delete(s, ids[i]);
	if (rc == 0)
		rc = sm_store_shrink(s);
	if (rc)
		sm_complain("%s", sm_store_error(s));
	free(ids);
	return rc ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static int run_delete(int argc, char **argv)
{
	struct sm_stored o = {.store = SM_STORE_DEFAULT};
	struct sm_store *s = NULL;
	int status;

	if (sm_options_parse(&sm_command_delete, &o, argc, argv, &status))
		status = sm_stored_open(o.store, true, &s) ? delete_runs(s, &o) : SM_EXIT_USAGE;
	sm_store_close(s);
	sm_strings_free(&o.operands);
	return status;
}

static const struct sm_option delete_rows[] = {SM_STORED_OPTION};
static const struct sm_option delete_operand = {
	NULL,		0, "RUN ..", "the runs", SM_INTO(sm__take_item, struct sm_stored, operands),
	.topic = "runs"};
static const struct sm_option_table delete_table = {"delete", delete_rows, SM_COUNT_OF(delete_rows),
						    &delete_operand, NULL};

const struct sm_command sm_command_delete = {
	.name = "delete",
	.summary = "delete runs of a store",
	.run = run_delete,
	.options = &delete_table,
	.about = "Deletes runs with all their samples. No later run gets their numbers. The file "
		 "shrinks when a quarter of it is free; less is used by the runs to come.\n"
		 "\n" SM_STORED_NAMES,
	.examples =
		(const char *const[]){
			"spanmark delete 3 4",
			"two runs of " SM_STORE_DEFAULT,
			"spanmark delete --store lab.db a41c",
			"the run whose identity begins so",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done.",
			"1",
			"A run is in progress, or the store could not be written.",
			"2",
			"The command line is wrong.",
			NULL,
		},
};
