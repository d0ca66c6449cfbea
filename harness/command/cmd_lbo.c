/* cmd_lbo.c: spanmark lbo: options, the run, the report. See lbo.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/options/arguments.h"
#include "harness/command/cmd.h"
#include "harness/compare/compare.h"
#include "harness/compare/lbo.h"
#include "perf/names.h"
#include "harness/base/complain.h"

static const char help[] =
	"usage: spanmark lbo [OPTION ..] [RUN | STORE:RUN]\n"
	"\n"
	"Tells what collection costs at least, by the lower-bound overhead of Cai et al. (2022):\n"
	"what is visibly the collector's is taken off each configuration, the least that is left\n"
	"bounds the ideal, and each total is divided by it, in pairs of one repetition: the bound\n"
	"may differ from the quotient of the printed medians. Beside it stands the truth that\n"
	"the method lacks: the same work with explicit free, on the same heap.\n"
	"\n"
	"The run (the last one of the store) needs two configurations of the collector or more,\n"
	"and a backend that frees explicitly for the truth.\n"
	"\n"
	"  --store FILE         where the run is\n"
	"  --metric NAME[,..]   wall, cpu, cycles, instructions (all that were measured)\n"
	"  -w, --workload NAME[,..]  these workloads alone (all)\n"
	"  -f, --format F       table, csv, json\n"
	"\n"
	"examples:\n"
	"  spanmark run --store lab.db -w binary-trees --backend gc,span \\\n"
	"        --set gc.percent=50,100,200,400 --reps 15\n"
	"  spanmark lbo --store lab.db\n"
	"      what each heap size costs of an ideal collector, at least, and of explicit free\n"
	"  spanmark run --store lab.db -w churn,graph --backend gc,span \\\n"
	"        --set gc.mode=stw,concurrent -C cycles,soft --until 2%\n"
	"  spanmark lbo --store lab.db --metric cpu,cycles -f csv\n"
	"      the CPU time and the cycles of both modes, mark workers included\n"
	"  spanmark run --store sim.db -w binary-trees -p depth=12 --backend gc,span \\\n"
	"        --set gc.percent=50,200 --counters sim -C cycles --reps 1\n"
	"  spanmark lbo sim.db:1 --metric instructions\n"
	"      simulated: on any machine, however busy\n"
	"\n"
	"Exit status: 0 done, 2 the command line is wrong or the run lacks what it takes.\n";

struct lbo {
	const char *store;
	enum sm_format format;
	struct sm_strings metrics, workloads;
	struct sm_side side;
	struct sm_report report;
	struct sm_lbo l;
};

static int take(struct lbo *c, int option, char *err, size_t errlen)
{
	static const char *const formats[] = {"table", "csv", "json", NULL};
	int found, rc;

	switch (option) {
	case 's': c->store = optarg; return 0;
	case 'w': return sm_strings_split(&c->workloads, optarg);
	case 'm':
		rc = sm_strings_split(&c->metrics, optarg);
		for (size_t i = 0; i < c->metrics.n && rc == 0; i++) {
			if (sm_names_find(sm_lbo_metrics, c->metrics.v[i]) >= 0)
				continue;
			snprintf(err, errlen,
				 "--metric '%.60s'; allowed: wall, cpu, cycles, instructions",
				 c->metrics.v[i]);
			rc = -EINVAL;
		}
		return rc;
	default:
		found = sm_names_find(formats, optarg);
		c->format = (enum sm_format)found;
		if (found >= 0)
			return 0;
		snprintf(err, errlen, "--format '%.60s'; allowed: table, csv, json", optarg);
		return -EINVAL;
	}
}

/* False: the command ends, with *status. */
static bool parse(struct lbo *c, int argc, char **argv, int *status)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, 's'},
		{"metric", required_argument, NULL, 'm'},
		{"workload", required_argument, NULL, 'w'},
		{"format", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct sm_arguments args = {
		.argc = argc, .argv = argv, .shorts = ":f:w:", .options = options, .help = help};
	char err[300] = "out of memory";
	int o;

	*status = SM_EXIT_USAGE;
	while ((o = sm_arguments_next(&args)) != -1)
		if (take(c, o, err, sizeof(err)) != 0) {
			sm_complain("%s", err);
			return false;
		}
	if (!args.over && argc - optind > 1) {
		sm_complain("lbo: '%.80s': one run is allowed", argv[optind + 1]);
		return false;
	}
	*status = args.status;
	return !args.over;
}

/* RUN, STORE:RUN, or nothing: the last run of --store. */
static int load(struct lbo *c, const char *text, char *err, size_t errlen)
{
	struct sm_store *s;
	int rc = text != NULL ? sm_side_parse(&c->side, text, err, errlen) : 0;

	if (rc == -EINVAL || c->side.wants.n > 0) {
		snprintf(err, errlen, "lbo: '%.80s' is no run; allowed: RUN, STORE:RUN", text);
		rc = -EINVAL;
	}
	if (rc)
		return rc;
	if (c->side.store != NULL)
		c->store = c->side.store;
	if (c->store == NULL) {
		snprintf(err, errlen, "lbo: wants --store FILE, or a run such as STORE:RUN");
		return -EINVAL;
	}
	rc = sm_store_open_read(c->store, &s, err, errlen);
	if (rc)
		return rc;
	rc = sm_store_load(s, c->side.run, &c->report);
	if (rc)
		snprintf(err, errlen, "%s", sm_store_error(s));
	sm_store_close(s);
	return rc;
}

static void print(const struct lbo *c)
{
	switch (c->format) {
	case SM_FORMAT_TABLE: sm_lbo_table(&c->l, &c->report, stdout); break;
	case SM_FORMAT_CSV: sm_lbo_csv(&c->l, stdout); break;
	case SM_FORMAT_JSON: sm_lbo_json(&c->l, &c->report, stdout); break;
	}
}

int sm_cmd_lbo(int argc, char **argv)
{
	struct lbo c = {0};
	char err[800] = "out of memory";
	int status, rc;

	if (parse(&c, argc, argv, &status)) {
		rc = load(&c, argc > optind ? argv[optind] : NULL, err, sizeof(err));
		if (rc == 0)
			rc = sm_lbo_compute(&c.report, c.store, &c.metrics, &c.workloads, &c.l, err,
					    sizeof(err));
		if (rc == 0)
			print(&c);
		else
			sm_complain("%s", err);
		status = rc == 0 ? SM_EXIT_OK : SM_EXIT_USAGE;
	}
	sm_lbo_free(&c.l);
	sm_report_free(&c.report);
	sm_side_free(&c.side);
	sm_strings_free(&c.metrics);
	sm_strings_free(&c.workloads);
	return status;
}
