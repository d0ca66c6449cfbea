/* The table of `make run` fits a screen: 40 lines, on a machine without hardware counters that
 * others use meanwhile. */
#include "harness/report/writer.h"
#include "tests/support/fake_run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

enum { REPS = 7, LINES = 40 };

static const char environment[] =
	"{\"cpu_model\":\"Intel(R) Xeon(R) "
	"Processor\",\"kernel\":\"6.18.44-fc-v595\",\"virtual_machine\":true,"
	"\"repetitions\":7,\"quick\":true,\"topology\":{\"cores\":2,\"nodes\":1},"
	"\"counters\":{\"passes\":1,\"chosen\":false,\"metrics\":[]}}";

/* What a phase of a role took, of 1000 operations. */
struct phase {
	const char *role, *phase;
	double ns;
};

/* As `make run` measures them: the collector's with its phases. */
static const struct workload {
	const char *name, *told, *simulated;
	bool malloc; /* on span and libc too */
	struct phase phases[7];
} workloads[] = {
	{"binary-trees",
	 "",
	 "{\"depth\":10}",
	 true,
	 {{"mutator", "app", 30700},
	  {"mutator", "wait", 9030},
	  {"mutator", "refill", 3180},
	  {"mutator", "assist", 200},
	  {"mutator", "barrier", 120},
	  {"mark", "mark", 464}}},
	{"churn",
	 "",
	 "{\"ops\":200000}",
	 true,
	 {{"mutator", "app", 23800},
	  {"mutator", "wait", 12200},
	  {"mutator", "refill", 8540},
	  {"mutator", "barrier", 692},
	  {"mutator", "assist", 110},
	  {"mutator", "sweep", 100},
	  {"control", "sweep", 810}}},
	{"graph",
	 ",{\"name\":\"memory_bound_loads_per_s\",\"unit\":\"loads/s\",\"value\":6e7}",
	 "{\"objects\":4000}",
	 false,
	 {{"mutator", "app", 142000}, {"mark", "mark", 127000}}},
	{"ring",
	 ",{\"name\":\"p99_us\",\"unit\":\"us\",\"value\":0.582},{\"name\":\"max_us\","
	 "\"unit\":\"us\",\"value\":42700},{\"name\":\"metered_full_p99_us\",\"unit\":"
	 "\"us\",\"value\":230000},{\"name\":\"mmu_10ms\",\"unit\":\"%\",\"value\":0}",
	 "{\"live\":2000,\"ops\":20000}",
	 true,
	 {{"mutator", "app", 3400000},
	  {"mutator", "wait", 261000},
	  {"mutator", "refill", 70500},
	  {"mutator", "assist", 9000},
	  {"mutator", "barrier", 7000}}},
	{"slices",
	 "",
	 "{}",
	 false,
	 {{"mutator", "app", 115000000}, {"mutator", "refill", 1290000}}},
};

static char wire[16384];

static void metric(FILE *f, const struct phase *p, const char *name, const char *rest)
{
	fprintf(f, "%s{\"role\":\"%s\",\"phase\":\"%s\",\"metric\":\"%s\",%s}",
		wire[0] != '\0' ? "," : "", p->role, p->phase, name, rest);
	fflush(f);
}

static void missing(FILE *f, const struct phase *p)
{
	static const char *const none[] = {"cycles", "ipc", "dtlb_walk"}, *const sim[] = {
										  "instructions",
										  "l1d_miss",
										  "llc_miss"};

	for (unsigned i = 0; i < 3; i++)
		metric(f, p, none[i],
		       "\"event\":\"\",\"status\":\"unsupported\",\"reason\":\"no PMU offers this "
		       "event (usual in a VM)\",\"source\":\"pmu\"");
	for (unsigned i = 0; i < 3; i++)
		metric(f, p, sim[i],
		       "\"event\":\"sim\",\"status\":\"unsupported\",\"reason\":\"no PMU offers "
		       "this event (usual in a VM)\",\"source\":\"sim\"");
}

static void time_of(FILE *f, const struct phase *p, unsigned rep)
{
	char text[120];

	snprintf(text, sizeof(text),
		 "\"event\":\"wall clock\",\"value\":%g,\"unit\":\"ns\",\"source\":\"sw\"",
		 p->ns * (1 + 0.01 * rep));
	metric(f, p, "time", text);
	metric(f, p, "minor_faults",
	       "\"event\":\"sw::minor-faults\",\"value\":0,\"source\":\"sw\"");
	metric(f, p, "major_faults",
	       "\"event\":\"sw::major-faults\",\"value\":0,\"source\":\"sw\"");
	missing(f, p);
}

/* A sample of the heap, of which the collector alone has phases. */
static const char *measured(const struct workload *w, unsigned heap, unsigned rep, char *text)
{
	struct phase total = {"mutator", "total", 0};
	size_t n = (size_t)snprintf(
		text, sizeof(wire),
		"{\"error\":\"\",\"results\":[{\"name\":\"ops\",\"unit\":\"ops\",\"value\":1000},"
		"{\"name\":\"ns_per_op\",\"unit\":\"ns\",\"value\":%g},"
		"{\"name\":\"peak_rss_kib\",\"unit\":\"KiB\",\"value\":30000},"
		"{\"name\":\"gc_cycles\",\"unit\":\"cycles\",%s},"
		"{\"name\":\"stall_p99_us\",\"unit\":\"us\",%s},"
		"{\"name\":\"stall_max_us\",\"unit\":\"us\",%s}%s],\"metrics\":[",
		rep == 6 ? 900.0 : 48.0 + rep,
		heap == 0 ? "\"value\":3" : "\"reason\":\"no collector\"",
		heap == 0 ? "\"value\":5020" : "\"reason\":\"no collector\"",
		heap == 0 ? "\"value\":8840" : "\"reason\":\"no collector\"", w->told);
	FILE *f = fmemopen(wire, sizeof(wire), "w");

	memset(wire, 0, sizeof(wire));
	for (unsigned i = 0; i < 7 && w->phases[i].role != NULL; i++) {
		struct phase p = w->phases[i];

		if (heap > 0 && i > 0)
			break;
		time_of(f, &p, rep);
		total.ns += strcmp(p.role, "mutator") == 0 ? p.ns : 0;
	}
	time_of(f, &total, rep);
	fclose(f);
	n += (size_t)snprintf(
		text + n, 3 * sizeof(wire) - n, "%s],\"output\":\"\",\"warnings\":\"%s%s%s\"}",
		wire,
		rep < 5 ? "meanwhile: other processes, each with less or unseen, took 1.7 CPUs\\n"
			  "reading the counters took 4.6% of a thread's time (1278 ns a phase "
			  "change, software events alone)\\n"
			: "",
		rep == 1 && heap == 2 ? "meanwhile: 3.7% of the CPU time that was wanted went to "
					"other guests (steal)\\n"
				      : "",
		rep == 5 ? "meanwhile: process 29955 (m0) took 0.6 CPUs\\n" : "");
	return text;
}

/* Its simulated pass: counts of the phase that has them, and of the whole. */
static const char *simulated(const struct workload *w, char *text)
{
	static const char *const names[] = {"instructions", "l1d_miss", "llc_miss"};
	struct phase rows[3] = {
		{"mutator", "app", 0}, {"mutator", "total", 0}, {"mark", "mark", 0}};
	unsigned nrows = strcmp(w->name, "graph") == 0 ? 3 : 2;
	FILE *f = fmemopen(wire, sizeof(wire), "w");

	memset(wire, 0, sizeof(wire));
	for (unsigned i = 0; i < nrows; i++)
		for (unsigned k = 0; k < 3; k++)
			metric(f, &rows[i], names[k],
			       i < 2 ? "\"event\":\"sim::Ir\",\"value\":86,\"source\":\"sim\""
				     : "\"event\":\"sim::Ir\",\"value\":313,\"source\":\"sim\"");
	fclose(f);
	snprintf(text, 3 * sizeof(wire),
		 "{\"error\":\"\",\"results\":[{\"name\":\"simulated_ops\",\"unit\":\"ops\","
		 "\"value\":10}],\"metrics\":[%s],\"output\":\"\",\"warnings\":\"\"}",
		 wire);
	return text;
}

static void make_run(struct sm_store *s, int64_t run)
{
	static const char *const heaps[] = {"gc", "span", "libc"};
	static char text[3 * sizeof(wire)];
	struct fake_sample f = {.params = "{}"};

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		for (unsigned heap = 0; heap < (workloads[i].malloc ? 3 : 1); heap++, f.group++) {
			f.workload = workloads[i].name;
			f.backend = heaps[heap];
			f.pass = 0;
			f.params = "{}";
			for (f.rep = 0; f.rep < REPS; f.rep++, f.ordinal++) {
				f.wire = measured(&workloads[i], heap, f.rep, text);
				fake_run_add(s, run, &f);
			}
			f.rep = 0;
			f.pass = 1;
			f.params = workloads[i].simulated;
			f.wire = simulated(&workloads[i], text);
			fake_run_add(s, run, &f);
			f.ordinal++;
		}
}

static void has(const char *text, const char *fragment)
{
	ck_assert_msg(strstr(text, fragment) != NULL, "no '%s' in:\n%s", fragment, text);
}

START_TEST(the_table_of_make_run_fits_a_screen)
{
	struct sm_writer w = {.format = SM_FORMAT_TABLE, .by = SM_BY_ROLE, .width = 100};
	char err[300], *text = NULL;
	struct sm_store *s;
	struct sm_report r;
	unsigned lines = 0;
	size_t len = 0;
	int64_t run;
	FILE *f;

	ck_assert_int_eq(sm_store_open(NULL, &s, err, sizeof(err)), 0);
	run = fake_run(s, environment, NULL, 0, 1);
	make_run(s, run);
	ck_assert_int_eq(sm_store_load(s, run, &r), 0);
	f = open_memstream(&text, &len);
	ck_assert_int_eq(sm_report_write(&r, &w, f), 0);
	fclose(f);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	ck_assert_msg(lines <= LINES, "%u lines:\n%s", lines, text);
	/* and nothing that a person needs is gone: time by phase, counts that were counted, what is
	 * missing and why, what went on meanwhile, what the numbers are of */
	has(text, "binary-trees gc   mutator app 31.6 ns  wait 9.30 ns  refill 3.28 ns  other");
	has(text, "graph        gc   mark 131 ns (31.3 instr, 31.3 L1D, 31.3 LLC)");
	has(text, "counts   time wall clock, faults minor-faults + major-faults [sw]; instr Ir,");
	has(text, "memory_bound_loads_per_s");
	has(text, "left out cycles, IPC, dTLB: no PMU offers this event");
	has(text, "`spanmark doctor`");
	has(text, "warning  meanwhile: other processes");
	has(text, "guests (steal)");
	has(text, "(m0)");
	has(text, "depth=10");
	has(text, "n/a 1: no collector");
	free(text);
	sm_report_free(&r);
	sm_store_close(s);
}
END_TEST

int main(void)
{
	return SM_SUITE("screen", 0, SM_T(the_table_of_make_run_fits_a_screen));
}
