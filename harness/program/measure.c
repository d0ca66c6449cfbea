/* measure.c: one sample of a program, from setup to teardown. See measure.h. */
#include "harness/program/measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "harness/program/watch.h"
#include "perf/clock.h"
#include "perf/privilege.h"
#include "workloads/results.h"

#define STRAGGLERS_NS	 100000000u /* that long children may outlive the program */
#define TEARDOWN_AT_LAST 5.0	    /* where we were told to end */
#define ENOUGH_LOOKS	 10u
#define KEPT_OUTPUT	 4096 /* of each stream, in the record */

double sm_program_longest(double timeout_s)
{
	return 3 * timeout_s + 60;
}

/* ---- before and after ----------------------------------------------------------------------- */

static int run_beside(struct sm_watch *w, enum sm_part part, double limit_s)
{
	int rc = sm_watch_start(w, &w->other, part);

	if (rc == 0)
		rc = sm_watch_go(w, &w->other, part);
	if (rc == 0)
		rc = sm_watch_wait(w, &w->other, part, limit_s);
	if (rc == 0)
		rc = sm_watch_judge(w, &w->other, part);
	return rc;
}

static int set_up(struct sm_watch *w)
{
	int rc = w->run->program->argv[SM_PART_SETUP] != NULL
			 ? run_beside(w, SM_PART_SETUP, w->run->timeout_s)
			 : 0;

	w->left = w->other;
	w->other = (struct sm_watched){0};
	sm_watch_set_aside(w); /* what it left running is not measured, and ended last */
	return rc;
}

/* The sample is what it was: a teardown that fails is told, no more. */
static void tear_down(struct sm_watch *w)
{
	char error[sizeof(w->sample->error)];
	bool stopped = w->stopped;
	double limit = stopped && w->run->timeout_s > TEARDOWN_AT_LAST ? TEARDOWN_AT_LAST
								       : w->run->timeout_s;

	if (w->run->program->argv[SM_PART_TEARDOWN] == NULL)
		return;
	memcpy(error, w->sample->error, sizeof(error));
	w->stopped = false;
	if (run_beside(w, SM_PART_TEARDOWN, limit) != 0)
		sm_watch_warn(w, "%s", w->sample->error);
	sm_watch_forget(&w->other);
	w->stopped |= stopped;
	memcpy(w->sample->error, error, sizeof(error));
}

/* ---- the program ---------------------------------------------------------------------------- */

/* Ready to run: in its group, with its counters. */
static int prepare(struct sm_watch *w, enum sm_part part)
{
	const struct sm_program_run *run = w->run;
	const char *lib = run->library != NULL ? run->library : SM_PRELOAD_LIBC;
	char why[300];
	int rc = 0;

	if (sm_program_takes_preload(run->program, why, sizeof(why)))
		rc = sm_preload_make(&w->preload, lib);
	else if (run->library != NULL)
		return sm_watch_fail(w, NULL, -EINVAL, "%.100s cannot be preloaded: %.120s", lib,
				     why);
	else
		sm_watch_warn(w, "what serves its malloc is not proved: %s", why);
	if (rc)
		return sm_watch_fail(w, NULL, rc, "cannot make the preload: %s", strerror(-rc));
	rc = sm_watch_start(w, &w->main, part);
	if (rc)
		return rc;
	sm_cgroup_make(&w->group, "", w->main.s.pid);
	rc = sm_count_open(run->counters, run->pass, w->main.s.pid, &w->counters);
	if (rc)
		return sm_watch_fail(w, NULL, rc, "out of memory");
	/* counters are open: no more rights are needed, and with them the program could not read
	 * the witness in our memory */
	sm_privilege_drop();
	prctl(PR_SET_DUMPABLE, 1);
	return sm_watch_go(w, &w->main, part);
}

/* Children that outlive it by a moment are given that moment; the others are ended, and told of. */
static void end_stragglers(struct sm_watch *w)
{
	uint64_t until = sm_clock_ns() + STRAGGLERS_NS;
	char name[16] = "";
	size_t left = 0;

	do {
		struct sm_tree t;

		sm_watch_pump(w, sm_clock_ns());
		left = 0;
		if (sm_tree_read(&t, w->before) != 0)
			break;
		left = sm_tree_alive(&t);
		if (left > 0) {
			snprintf(name, sizeof(name), "%s", t.v[0].name);
			sm_watch_pump(w, sm_clock_ns() + 2000000u);
		}
		sm_tree_free(&t);
	} while (left > 0 && sm_clock_ns() < until && !w->stopped);
	if (left > 0)
		sm_watch_warn(w,
			      "%zu process%s (%s) lived on after the program's end, as a daemon "
			      "does: ended, and what they did after it is not in the wall time",
			      left, left == 1 ? "" : "es", name);
	sm_watch_kill(w);
}

static int run_program(struct sm_watch *w, struct rusage *used, double *wall_s)
{
	struct rusage group = {0};
	uint64_t peak;
	int rc = sm_watch_wait(w, &w->main, SM_PART_PROGRAM, w->run->timeout_s);

	if (rc) {
		sm_watch_kill(w);
		return rc;
	}
	*wall_s = (double)(w->main.ended_ns - w->main.from_ns) * 1e-9;
	rc = sm_watch_judge(w, &w->main, SM_PART_PROGRAM);
	(void)sm_cgroup_times(&w->group, &group);
	if (sm_cgroup_peak_kib(&w->group, &peak))
		w->group_peak_kib = peak;
	end_stragglers(w);
	sm_count_end(w->counters);
	*used = w->main.used;
	sm_rusage_add(used, &w->reaped);
	if (timerisset(&group.ru_utime) || timerisset(&group.ru_stime)) {
		used->ru_utime = group.ru_utime;
		used->ru_stime = group.ru_stime;
	}
	return rc;
}

/* ---- the report ----------------------------------------------------------------------------- */

static void add(struct sm_watch *w, enum sm_result_id what, double value, const char *how)
{
	struct sm_result r = {.name = sm_results[what].name,
			      .unit = sm_results[what].unit,
			      .has_value = true,
			      .value = value,
			      .how = how};

	sm_sample_add_result(w->sample, &r);
}

static void add_none(struct sm_watch *w, enum sm_result_id what, const char *reason)
{
	struct sm_result r = {
		.name = sm_results[what].name, .unit = sm_results[what].unit, .reason = reason};

	sm_sample_add_result(w->sample, &r);
}

/*
 * The largest process tells its peak at its end, unless the one that it was forked from had more;
 * the looks tell of several together. Few looks at small ones tell nothing, not even a bound: many
 * small ones are large.
 */
static void add_memory(struct sm_watch *w, const struct rusage *used)
{
	long least = w->main.s.before.ru_maxrss;
	uint64_t largest = used->ru_maxrss > least ? (uint64_t)used->ru_maxrss : 0;

	/* The words are the same in each sample of a case: the table has each once. */
	if (largest > 0 && largest >= w->peak.kib)
		add(w, SM_RESULT_peak_rss_kib, (double)largest,
		    "of the largest process, from the kernel");
	else if (w->peak.kib > (uint64_t)least || w->looks >= ENOUGH_LOOKS)
		add(w, SM_RESULT_peak_rss_kib, (double)w->peak.kib,
		    w->peak.processes < 2 ? "sampled: the process's peak until then"
		    : w->peak.rss	  ? "sampled: sum of Rss, shared pages for each process"
					  : "sampled: sum of Pss of all processes");
	else
		add_none(w, SM_RESULT_peak_rss_kib,
			 "no process had more than what started it, and too few looks were taken "
			 "while it ran");
	if (w->group_peak_kib > 0)
		add(w, SM_RESULT_peak_charged_kib, (double)w->group_peak_kib,
		    "memory.peak of its control group");
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

/* In the order in which they are looked at: what the load says before what the server says. */
static void add_figures(struct sm_watch *w)
{
	struct sm_text texts[4];
	const struct sm_kept *kept[] = {&w->other.out, &w->other.err, &w->main.out, &w->main.err};

	for (int i = 0; i < 4; i++)
		texts[i].text = kept[i]->total > 0 ? sm_kept_text(kept[i], &texts[i].len) : NULL;
	for (unsigned i = 0; i < w->run->program->nmetrics; i++) {
		const struct sm_program_metric *m = &w->run->program->metrics[i];
		const struct sm_result_desc *d = sm_result_desc_find(m->name);
		enum sm_better better =
			m->better == SM_BETTER_NEITHER && d != NULL ? d->better : m->better;
		char why[160];
		struct sm_result r = {.name = m->name,
				      .unit = d != NULL ? d->unit : "",
				      .reason = why,
				      .better = sm_better_names[better]};

		r.has_value = sm_figure_find(m->regex, texts, 4, &r.value, why, sizeof(why));
		if (r.has_value)
			r.reason = "";
		else
			sm_watch_warn(w, "no figure '%s': %s", m->name, why);
		sm_sample_add_result(w->sample, &r);
	}
	for (int i = 0; i < 4; i++)
		free(texts[i].text);
}

static double value_of(const struct sm_sample *s, const char *name)
{
	const struct sm_result *r = sm_sample_result(s, name);

	return r != NULL && r->has_value ? r->value : 0;
}

static int report(struct sm_watch *w, const struct rusage *used, double wall_s)
{
	struct sm_count_total total = {.used = used, .switches = !w->windowed, .wall_s = wall_s};
	const char *times = w->ticks ? "in the kernel's ticks of 10 ms" : "";

	add(w, SM_RESULT_wall_s, wall_s, "");
	add_figures(w);
	if (sm_sample_result(w->sample, "ops") == NULL) /* then it is done once */
		add(w, SM_RESULT_ops, 1, "");
	total.ops = value_of(w->sample, "ops");
	if (total.ops > 0) {
		add(w, SM_RESULT_ns_per_op, wall_s * 1e9 / total.ops, "");
		if (sm_sample_result(w->sample, "ops_per_s") == NULL)
			add(w, SM_RESULT_ops_per_s, total.ops / wall_s, "");
	}
	add_memory(w, used);
	add(w, SM_RESULT_user_s, seconds(&used->ru_utime), times);
	add(w, SM_RESULT_system_s, seconds(&used->ru_stime), times);
	add(w, SM_RESULT_minor_faults, (double)used->ru_minflt, "");
	add(w, SM_RESULT_major_faults, (double)used->ru_majflt, "");
	if (total.switches)
		add(w, SM_RESULT_context_switches, (double)(used->ru_nvcsw + used->ru_nivcsw), "");
	else
		add_none(w, SM_RESULT_context_switches,
			 "the kernel keeps it for whole processes, not for a part of their time");
	return sm_count_report(w->counters, &total, w->sample);
}

/* The end of what each stream said. */
static void keep_output(struct sm_watch *w)
{
	const struct sm_kept *kept[] = {&w->main.out, &w->main.err, &w->other.out, &w->other.err};
	size_t len = 0;
	FILE *f = open_memstream(&w->sample->output, &len);

	for (int i = 0; i < 4 && f != NULL; i++) {
		size_t n = 0;
		char *text = kept[i]->total > 0 ? sm_kept_text(kept[i], &n) : NULL;
		size_t from = n > KEPT_OUTPUT ? n - KEPT_OUTPUT : 0;

		for (size_t k = from; k < n; k++) /* a record is text */
			fputc(text[k] == '\n' || text[k] == '\t' ||
					      ((unsigned char)text[k] >= 0x20 && text[k] < 0x7f)
				      ? text[k]
			      : text[k] == '\r' ? '\n'
						: '?',
			      f);
		if (n > 0 && text[n - 1] != '\n')
			fputc('\n', f);
		free(text);
	}
	if (f != NULL)
		fclose(f);
}

/* The library that was asked for serves malloc in the program, or the sample is of something else.
 */
static int prove(struct sm_watch *w, struct sm_preload_proof *proof)
{
	const char *lib = w->run->library != NULL ? w->run->library : SM_PRELOAD_LIBC;

	if (w->preload.env == NULL)
		return 0;
	sm_preload_prove(&w->preload, lib, w->main.s.pid, proof);
	if (proof->proved && proof->others > 0)
		sm_watch_warn(w,
			      "in %u of the %u programs that it executed malloc was not that of "
			      "%s, but %s",
			      proof->others, proof->programs, lib, proof->other);
	if (proof->proved)
		return 0;
	if (w->run->library == NULL && proof->object[0]) {
		sm_watch_warn(w, "its malloc is not libc's, but %s", proof->object);
		return 0;
	}
	return sm_watch_fail(w, NULL, -EIO, "the preload of %.100s did not take: malloc is %.120s",
			     lib, proof->object[0] ? proof->object : "not known");
}

int sm_program_measure(const struct sm_program_run *r, struct sm_sample *out,
		       struct sm_preload_proof *proof)
{
	struct sm_watch w = {.run = r, .sample = out, .signals = -1};
	enum sm_part part = sm_program_main(r->program);
	struct rusage used = {0};
	double wall_s = 0;
	int rc = sm_watch_begin(&w);

	*proof = (struct sm_preload_proof){0};
	if (rc == 0) {
		rc = set_up(&w);
		if (rc == 0 && part == SM_PART_SERVER)
			rc = sm__watch_port_is_free(&w);
		if (rc == 0)
			rc = prepare(&w, part);
		if (rc == 0)
			rc = part == SM_PART_SERVER ? sm__watch_serve(&w, &used, &wall_s)
						    : run_program(&w, &used, &wall_s);
		sm_watch_kill(&w);
		keep_output(&w);
		if (rc == 0)
			rc = prove(&w, proof);
		if (rc == 0)
			rc = report(&w, &used, wall_s);
		sm_watch_forget(&w.other); /* the client's output has been read */
		tear_down(&w);
	}
	sm_watch_end(&w);
	if (rc)
		sm_sample_forget(out);
	return rc;
}
