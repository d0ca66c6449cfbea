/*
 * worker.c: the worker process: reads its job from descriptor 3, runs it, writes the sample to
 * descriptor 4. It says nothing about failures on its own: what went wrong travels in the sample,
 * and a status other than 0 means that there is none. runner.h has the other end.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/base/descriptor.h"
#include "harness/plan/job.h"
#include "harness/mallocs/library.h"
#include "harness/program/measure.h"
#include "harness/run/runner.h"
#include "perf/clock.h"
#include "workloads/bdwgc.h"
#include "workloads/trace/trace.h"
#include "harness/base/complain.h"

#define MAX_JOB (16u << 20)

static char *read_all(int fd, size_t *len)
{
	size_t cap = 64u << 10;
	char *buf = malloc(cap);

	*len = 0;
	errno = ENOMEM; /* a malloc that is measured may fail without saying so */
	while (buf != NULL && *len < MAX_JOB) {
		ssize_t n = read(fd, buf + *len, cap - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				return buf;
			break;
		}
		*len += (size_t)n;
		if (*len == cap) {
			char *bigger = realloc(buf, cap *= 2);

			if (bigger == NULL) {
				errno = ENOMEM;
				break;
			}
			buf = bigger;
		}
	}
	free(buf);
	return NULL;
}

/* What the sample is of: the library that serves malloc, and that it is the one that was asked
 * for. */
static int prove(const struct sm_job_parts *p, struct sm_library *out, char *err, size_t errlen)
{
	int rc;

	if (p->job.backend == SM_WL_LIBC)
		rc = sm_library_serves(p->library, out, err, errlen);
	else if ((rc = sm_bdwgc_load(p->library, err, errlen)) == 0)
		rc = sm_library_has(p->library, "GC_malloc",
				    (const void *)(uintptr_t)sm_bdwgc.malloc, out, err, errlen);

	if (rc == 0 && p->build_id != NULL && strcmp(p->build_id, out->build_id) != 0) {
		snprintf(err, errlen, "%.100s is another build than when the run was planned",
			 out->path);
		rc = -EINVAL;
	}
	return rc;
}

/* Which version a library is, only a process that runs with it can say: one of ours, with this. */
#define ASK "library"

static int answer_version(void)
{
	struct sm_library l;
	char err[256];

	if (sm_library_serves(NULL, &l, err, sizeof(err)) != 0)
		return SM_EXIT_FAILED;
	puts(l.version);
	return SM_EXIT_OK;
}

static void ask_version(struct sm_library *l)
{
	char *argv[] = {(char *)"/proc/self/exe", (char *)SM_WORKER_COMMAND, (char *)ASK, NULL};
	char preload[sizeof(l->path) + 16];
	const char *env[] = {preload, NULL};
	struct sm_runner r = {.argv = argv, .env = env, .timeout_s = 10};
	struct sm_worker_end end;

	sm_backend_preload(l->path, preload, sizeof(preload));
	sm_runner_run(&r, "", &end);
	if (end.how == SM_WORKER_EXITED && end.code == 0 && end.output.len > 0)
		snprintf(l->version, sizeof(l->version), "%.*s",
			 (int)strcspn(end.output.data, "\n"), end.output.data);
	sm_worker_end_free(&end);
}

/* A program, in processes of its own. Proved is what is preloaded into it. */
static int run_program(const struct sm_job_parts *p, struct sm_sample *sample,
		       struct sm_library *library, bool *has_library)
{
	unsigned n = sm_params_threads(p->params);
	int *cpus = calloc(n + 1, sizeof(*cpus)), rc = 0;
	struct sm_program_run run = {.program = p->program,
				     .library = p->library,
				     .cpus = cpus,
				     .ncpus = n,
				     .counters = p->job.counters,
				     .pass = p->job.pass,
				     .timeout_s = p->timeout_s};
	struct sm_preload_proof proof = {0};

	if (cpus == NULL)
		return -ENOMEM;
	fcntl(SM_WORKER_JOB_FD, F_SETFD, FD_CLOEXEC); /* not the program's business */
	fcntl(SM_WORKER_SAMPLE_FD, F_SETFD, FD_CLOEXEC);
	for (unsigned i = 0; i < n; i++)
		cpus[i] = p->mutators[i].cpu;
	if (cpus[0] < 0) /* --place none */
		run.cpus = NULL;
	if (p->library != NULL && p->build_id != NULL &&
	    (sm_library_of_file(p->library, library) != 0 ||
	     strcmp(library->build_id, p->build_id) != 0)) {
		snprintf(sample->error, sizeof(sample->error),
			 "%.100s is another build than when the run was planned", p->library);
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = sm_program_measure(&run, sample, &proof);
	*has_library = rc == 0 && sm_library_of_file(proof.object, library) == 0;
	if (*has_library && library->version[0] == '\0')
		ask_version(library);
	free(cpus);
	return rc;
}

/* A workload of ours, in this process. */
static int run_workload(const struct sm_job_parts *p, struct sm_sample *sample,
			struct sm_library *library, bool *has_library)
{
	int rc = 0;

	if (p->job.backend == SM_WL_LIBC || p->job.backend == SM_WL_BDWGC) {
		rc = prove(p, library, sample->error, sizeof(sample->error));
		*has_library = rc == 0;
	}
	return rc ? rc : sm_session_run(&p->job, sample);
}

static int run_job(const char *text, size_t len, const struct sm_trace_to *trace)
{
	struct sm_job_parts parts;
	struct sm_library library;
	struct sm_sample sample;
	bool has_library = false;
	char *answer;
	int rc;

	sm_sample_init(&sample);
	rc = sm_job_parse(text, len, &parts, sample.error, sizeof(sample.error));
	parts.job.trace = trace;
	if (rc == 0)
		rc = parts.program != NULL ? run_program(&parts, &sample, &library, &has_library)
					   : run_workload(&parts, &sample, &library, &has_library);
	if (rc == 0 && parts.beside)
		rc = sm_sample_keep_simulated(&sample);
	answer = sm_record_format(&sample, has_library ? &library : NULL, rc);
	sm_sample_free(&sample);
	sm_job_parts_free(&parts);
	rc = answer != NULL ? sm_descriptor_write(SM_WORKER_SAMPLE_FD, answer, strlen(answer))
			    : -ENOMEM;
	free(answer);
	if (rc)
		sm_complain("worker: cannot send the sample: %s", strerror(-rc));
	return rc ? SM_EXIT_FAILED : SM_EXIT_OK;
}

int sm_cmd_worker(int argc, char **argv)
{
	struct sm_trace_to trace = {.fd = SM_WORKER_TRACE_FD};
	size_t len;
	char *job;
	int status;

	if (argc > 1 && strcmp(argv[1], ASK) == 0)
		return answer_version();
	if (argc > 1) /* found once by the parent, not by each worker for 5 ms */
		sm_clock_take_ticks_per_ns(strtod(argv[1], NULL));
	unsetenv("SPANMARK_CONFIG");	/* settings of heap and collector are the job's alone */
	prctl(PR_SET_NAME, "spanmark"); /* not the "exe" of /proc/self/exe */
	if (fcntl(SM_WORKER_JOB_FD, F_GETFD) < 0 || fcntl(SM_WORKER_SAMPLE_FD, F_GETFD) < 0) {
		sm_complain("%s is started by `spanmark run` only", SM_WORKER_COMMAND);
		return SM_EXIT_USAGE;
	}
	job = read_all(SM_WORKER_JOB_FD, &len);
	if (job == NULL) {
		sm_complain("worker: cannot read the job: %s", strerror(errno));
		return SM_EXIT_FAILED;
	}
	if (argc > 3) { /* timeline.h */
		trace.format = sm_trace_format_find(argv[2]);
		trace.label = argv[3];
	}
	status = run_job(job, len, trace.format != NULL ? &trace : NULL);
	free(job);
	return status;
}
