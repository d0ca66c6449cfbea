/*
 * cmd_merge.c: spanmark merge, import and export: runs of one store into another. See store.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/command/cmd.h"
#include "harness/command/stored.h"

static int64_t *every_run(struct sm_store *s, size_t *n)
{
	struct sm_runs runs;
	int64_t *ids = NULL;

	if (sm_store_runs(s, &runs) != 0)
		sm_complain("%s", sm_store_error(s));
	else
		ids = calloc(runs.n + 1, sizeof(*ids));
	*n = ids != NULL ? runs.n : 0;
	for (size_t i = 0; i < *n; i++)
		ids[i] = runs.v[i].id;
	sm_runs_free(&runs);
	return ids;
}

/* ---- export ------------------------------------------------------------------------------- */

/* The message names the file as it was typed, not what it is called until it is whole. */
static void complain_of(const char *part, const char *path, const char *err)
{
	const char *at = strstr(err, part);

	if (at == NULL)
		sm_complain("%s", err);
	else
		sm_complain("%.*s%s%s", (int)(at - err), err, path, at + strlen(part));
}

static int export_runs(struct sm_store *from, const int64_t *ids, size_t n, const char *part,
		       const char *path)
{
	struct sm_store *to;
	struct sm_merged m;
	char err[512];
	int rc = sm_store_open(part, &to, err, sizeof(err));

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = sm_store_merge(to, from, ids[i], &m);
		if (rc)
			snprintf(err, sizeof(err), "%s", sm_store_error(to));
	}
	sm_store_close(to);
	if (rc)
		complain_of(part, path, err);
	return rc;
}

/* Under another name until it is whole. */
static int export_beside(struct sm_store *from, const int64_t *ids, size_t n, const char *path)
{
	char *part = NULL;
	int rc;

	if (access(path, F_OK) == 0) {
		sm_complain("export: there is a file '%.300s'; spanmark merge --store takes runs "
			    "into a store",
			    path);
		return -EEXIST;
	}
	if (asprintf(&part, "%s.part-%ld", path, (long)getpid()) < 0)
		return -ENOMEM;
	rc = export_runs(from, ids, n, part, path);
	if (rc == 0 && rename(part, path) != 0) {
		rc = -errno;
		sm_complain("export: cannot write '%.300s': %s", path, strerror(-rc));
	}
	if (rc)
		unlink(part);
	free(part);
	return rc;
}

static int export_all(const struct sm_stored *o)
{
	size_t n = o->operands.n - 1;
	const char *path = o->operands.v[n];
	struct sm_store *s;
	int64_t *ids;
	int rc = 0;

	if (o->all ? n != 0 : n == 0) {
		sm_complain("export: wants RUN .. FILE, or --all FILE; see spanmark export --help");
		return SM_EXIT_USAGE;
	}
	if (!sm_stored_open(o->store, false, &s))
		return SM_EXIT_USAGE;
	ids = o->all ? every_run(s, &n) : sm_stored_find(s, o->operands.v, n);
	if (ids != NULL)
		rc = export_beside(s, ids, n, path);
	sm_store_close(s);
	free(ids);
	if (ids != NULL && rc == 0)
		return SM_EXIT_OK;
	return ids != NULL && sm_store_is_no_mistake(rc, path) ? SM_EXIT_FAILED : SM_EXIT_USAGE;
}

static int run_export(int argc, char **argv)
{
	struct sm_stored o = {.store = SM_STORE_DEFAULT};
	int status;

	if (sm_options_parse(&sm_command_export, &o, argc, argv, &status))
		status = export_all(&o);
	sm_strings_free(&o.operands);
	return status;
}

static const struct sm_option export_rows[] = {
	SM_STORED_OPTION,
	{"all", 0, NULL, "all runs", SM_INTO(sm__take_flag, struct sm_stored, all)},
};
static const struct sm_option export_operand = {NULL,
						0,
						"RUN .. FILE",
						"the runs, and the new store",
						SM_INTO(sm__take_item, struct sm_stored, operands),
						.topic = "runs"};
static const struct sm_option_table export_table = {"export", export_rows, SM_COUNT_OF(export_rows),
						    &export_operand, NULL};

const struct sm_command sm_command_export = {
	.name = "export",
	.summary = "runs of a store into a new one, to hand on",
	.run = run_export,
	.options = &export_table,
	.about = "Writes runs to a new store, FILE, for another machine or person: all that was "
		 "measured, to the bit. Every command reads it by --store FILE; spanmark import "
		 "takes it in.\n"
		 "\n" SM_STORED_NAMES,
	.examples =
		(const char *const[]){
			"spanmark export last result.db",
			"the last run",
			"spanmark export --store lab.db --all copy.db",
			"all of them, while others measure",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done.",
			"1",
			"FILE could not be written.",
			"2",
			"The command line is wrong, or there is a FILE, or no folder for it.",
			NULL,
		},
};

/* ---- import, merge ------------------------------------------------------------------------ */

/* Exit status. */
static int merge_store(struct sm_store *to, const char *path)
{
	struct sm_store *from;
	struct sm_merged m;
	int64_t *ids;
	size_t n;
	int rc = 0, status = SM_EXIT_OK;

	if (!sm_stored_open(path, false, &from))
		return SM_EXIT_FAILED;
	ids = every_run(from, &n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = sm_store_merge(to, from, ids[i], &m);
		if (rc) {
			sm_complain("%s:%lld: %s", path, (long long)ids[i], sm_store_error(to));
			break;
		}
		printf("%lld %s %s:%lld\n", (long long)m.id, sm_merged_names[m.how], path,
		       (long long)ids[i]);
		if (m.how == SM_MERGED_DIFFERS)
			status = SM_EXIT_FAILED;
	}
	sm_store_close(from);
	status = ids == NULL || rc ? SM_EXIT_FAILED : status;
	free(ids);
	return status;
}

static int merge_all(const struct sm_stored *o)
{
	int rc, status = SM_EXIT_OK;
	struct sm_store *s;
	char err[512];

	/* Nothing is changed where one of them is none. */
	for (size_t i = 0; i < o->operands.n; i++) {
		if (!sm_stored_open(o->operands.v[i], false, &s))
			return SM_EXIT_USAGE;
		sm_store_close(s);
	}
	rc = sm_store_open(o->store, &s, err, sizeof(err));
	if (rc) {
		sm_complain("%s", err);
		return sm_store_is_no_mistake(rc, o->store) ? SM_EXIT_FAILED : SM_EXIT_USAGE;
	}
	for (size_t i = 0; i < o->operands.n; i++) {
		int one = merge_store(s, o->operands.v[i]);

		status = one != SM_EXIT_OK ? one : status;
	}
	sm_store_close(s);
	return status;
}

static int merge_as(const struct sm_command *c, int argc, char **argv)
{
	struct sm_stored o = {.store = SM_STORE_DEFAULT};
	int status;

	if (sm_options_parse(c, &o, argc, argv, &status))
		status = merge_all(&o);
	sm_strings_free(&o.operands);
	return status;
}

static int run_merge(int argc, char **argv)
{
	return merge_as(&sm_command_merge, argc, argv);
}

static int run_import(int argc, char **argv)
{
	return merge_as(&sm_command_import, argc, argv);
}

static const struct sm_option merge_rows[] = {SM_STORED_OPTION};
static const struct sm_option merge_operand = {NULL, 0, "FILE ..",
					       "the stores whose runs are taken",
					       SM_INTO(sm__take_item, struct sm_stored, operands)};
static const struct sm_option_table merge_table = {"merge", merge_rows, SM_COUNT_OF(merge_rows),
						   &merge_operand, NULL},
				    import_table = {"import", merge_rows, SM_COUNT_OF(merge_rows),
						    &merge_operand, NULL};

#define ABOUT                                                                                     \
	"Takes the runs of other stores into the store, which is made where there is none. Each " \
	"gets a number of its own. A run that is there already is not taken twice; one that is "  \
	"there with fewer samples gets the rest. Nothing is changed in the other stores, those "  \
	"of older versions and on read-only disks among them.\n"                                  \
	"\n"                                                                                      \
	"Prints a line for each run: its number here, new, more (samples than here), known, or "  \
	"differs: both have samples that the other lacks, and the run here stays as it is.\n"     \
	"\n"                                                                                      \
	"merge and import are one command."

static const char *const merge_examples[] = {
	"spanmark merge --store fleet.db node1.db node2.db",
	"the runs of two machines in one store",
	"spanmark import result.db",
	"what spanmark export wrote",
	NULL,
};
static const char *const merge_statuses[] = {
	"0",  "Done.",
	"1",  "A run differs, or could not be taken. " SM_STATUS_UNWRITTEN,
	"2",  "The command line is wrong, or a file is no store; nothing was changed.",
	NULL,
};

const struct sm_command sm_command_merge = {
	.name = "merge",
	.summary = "take the runs of other stores in, of other machines too",
	.run = run_merge,
	.options = &merge_table,
	.about = ABOUT,
	.examples = merge_examples,
	.statuses = merge_statuses,
};

const struct sm_command sm_command_import = {
	.name = "import",
	.summary = "take in what export wrote: merge by another name",
	.run = run_import,
	.options = &import_table,
	.about = ABOUT,
	.examples = merge_examples,
	.statuses = merge_statuses,
};
