/*
 * runner.c: watches a worker process, ends it and says how it ended; catches the command's signals
 * meanwhile. runner_start.c starts it. See runner.h.
 */
#include "harness/run/runner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/text.h"
#include "harness/process/cgroup.h"
#include "harness/process/tree.h"
#include "perf/clock.h"
#include "workloads/series.h"

#define SAMPLE_LIMIT (256u << 20)
#define OUTPUT_LIMIT (64u << 10)
#define DIAG_LIMIT   (4u << 10)

/* Poll interval where the kernel has no pidfd, and after which everything is looked at again
 * anyway. */
#define TICK_MS 20
/* Between two looks at its memory, at first. */
#define WATCH_MS    4

#define END_LIMIT_S 10.0 /* for processes whose worker is gone */

/* ---- signals ------------------------------------------------------------------------------ */

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP};
#define NCAUGHT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t interrupted; /* the signal */
static volatile sig_atomic_t at_once;	  /* the worker in flight is not waited for */
static volatile sig_atomic_t stopped;	  /* TSTP came */
static int wake_fds[2] = {-1, -1};	  /* a signal writes, poll wakes */
static void (*tidy_up)(void);

static void on_signal(int sig)
{
	int saved = errno;
	ssize_t ignored;

	if (sig == SIGTSTP) {
		stopped = 1;
	} else {
		at_once = sig != SIGINT || interrupted;
		interrupted = sig;
	}
	ignored = write(wake_fds[1], "", 1); /* full pipe: poll wakes all the same */
	(void)ignored;
	errno = saved;
}

/* Where there is nothing left to lose but time. The signal arrives again when this returns. */
static void on_last_signal(int sig)
{
	tidy_up();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* What the caller ignores (nohup, a shell's background job) stays ignored. */
static void handle(int sig, void (*handler)(int))
{
	struct sigaction act = {.sa_handler = handler}, old;

	sigemptyset(&act.sa_mask);
	if (sigaction(sig, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(sig, &act, NULL);
}

int sm_runner_catch_signals(void)
{
	interrupted = at_once = stopped = 0;
	if (wake_fds[0] < 0 && pipe2(wake_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	for (size_t i = 0; i < NCAUGHT; i++)
		handle(caught[i], on_signal);
	return 0;
}

bool sm_runner_interrupted(void)
{
	return interrupted != 0;
}

void sm_runner_release_signals(void (*tidy)(void))
{
	tidy_up = tidy;
	for (size_t i = 0; i < NCAUGHT; i++)
		handle(caught[i], tidy != NULL && caught[i] != SIGTSTP ? on_last_signal : SIG_DFL);
}

void sm_runner_end_by_signal(void)
{
	sigset_t one;

	if (!interrupted)
		return;
	signal(interrupted, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, interrupted);
	raise(interrupted);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

/* What a signal wrote is only to end a wait. */
static void drain_wakes(void)
{
	char drop[64];

	while (read(wake_fds[0], drop, sizeof(drop)) > 0)
		;
}

/* We stand still where the user wanted it, and go on. */
static void stand_still(void)
{
	raise(SIGSTOP);
	stopped = 0;
}

/* ---- bytes -------------------------------------------------------------------------------- */

static void append(struct sm_bytes *b, const char *data, size_t len)
{
	if (len > b->limit - b->len) {
		len = b->limit - b->len;
		b->cut = true;
	}
	if (b->len + len + 1 > b->cap) {
		size_t cap = (b->len + len + 1) * 2;
		char *bigger = realloc(b->data, cap);

		if (bigger == NULL) {
			b->cut = true;
			return;
		}
		b->data = bigger;
		b->cap = cap;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

/* Keeps the end instead of the beginning. */
static void append_tail(struct sm_bytes *b, const char *data, size_t len)
{
	size_t drop;

	if (len > b->limit) {
		data += len - b->limit;
		len = b->limit;
	}
	drop = b->len + len > b->limit ? b->len + len - b->limit : 0;
	if (drop) {
		memmove(b->data, b->data + drop, b->len - drop);
		b->len -= drop;
	}
	append(b, data, len);
}

void sm_worker_end_free(struct sm_worker_end *end)
{
	free(end->sample.data);
	free(end->output.data);
	free(end->diag.data);
	*end = (struct sm_worker_end){0};
}

/* ---- watch -------------------------------------------------------------------------------- */

static double now_s(void)
{
	return (double)sm_clock_ns() * 1e-9;
}
/*
 * One read of what is there; closes the descriptor at its end. One alone: a worker that floods a
 * pipe must not hide its deadline.
 */
static void drain(struct sm__process *p, int which, const struct sm_runner *r,
		  struct sm_worker_end *end)
{
	char buf[64u << 10];

	ssize_t n;

	if (p->fd[which] < 0)
		return;
	n = read(p->fd[which], buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(p->fd[which]);
		p->fd[which] = -1;
	} else if (which == SM__PIPE_SAMPLE) {
		append(&end->sample, buf, (size_t)n);
	} else if (which == SM__PIPE_OUT) {
		append(&end->output, buf, (size_t)n);
	} else {
		append_tail(&end->diag, buf, (size_t)n);
		if (r->on_stderr != NULL)
			r->on_stderr(r->ctx, buf, (size_t)n);
	}
}

/* Has the worker ended? Not reaped yet, so its group's id cannot be used by others. */
static bool has_ended(const struct sm__process *p)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return errno == ECHILD; /* another thread has waited for it */
	return info.si_pid == p->pid;
}

/* Twice as long a wait where the trail has come to take twice as many moments for a point. */
static int watch_ms(const struct sm_trail *t)
{
	return t->each < 8 ? WATCH_MS << t->each : WATCH_MS << 8;
}

/* The worker's resident memory, as statm tells it: the kernel has that at hand, to within some
 * pages for each CPU, and keeps nobody waiting for it. */
static void watch_memory(const struct sm__process *p, struct sm_trail *t)
{
	uint64_t y[SM_TRAIL_LINES] = {0};
	unsigned long long pages;
	char path[40], text[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%*u %llu", &pages) != 1 || pages == 0)
		return; /* it has ended */
	y[0] = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	sm_trail_add(t, sm_clock_ns(), y);
}

/* One wait for news, at most until the deadline. */
static void wait_for_news(struct sm__process *p, const struct sm_runner *r,
			  struct sm_worker_end *end)
{
	struct pollfd fds[SM__NPIPES + 2];
	double left_ms = (p->deadline - now_s()) * 1e3 + 1;
	int timeout = p->pidfd < 0 ? TICK_MS : 1000;

	if (r->watch_memory && watch_ms(&end->resident) < timeout)
		timeout = watch_ms(&end->resident);
	if (left_ms < timeout)
		timeout = left_ms < 0 ? 0 : (int)left_ms;
	for (int i = 0; i < SM__NPIPES; i++)
		fds[i] = (struct pollfd){.fd = p->fd[i], .events = POLLIN};
	fds[SM__NPIPES] = (struct pollfd){.fd = p->pidfd, .events = POLLIN};
	fds[SM__NPIPES + 1] = (struct pollfd){.fd = wake_fds[0], .events = POLLIN};
	if (poll(fds, SM__NPIPES + 2, timeout) <= 0) {
		if (r->watch_memory)
			watch_memory(p, &end->resident);
		return;
	}
	if (fds[SM__NPIPES + 1].revents)
		drain_wakes();
	for (int i = 0; i < SM__NPIPES; i++) {
		if (fds[i].revents)
			drain(p, i, r, end);
	}
}

static void reap(struct sm__process *p, struct sm_worker_end *end, bool ours)
{
	int status = 0;

	kill(-p->pid, SIGKILL); /* whatever it left running */
	kill(p->pid, SIGKILL);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ours) /* we ended it: how is set */
		return;
	end->how = WIFSIGNALED(status) ? SM_WORKER_SIGNALLED : SM_WORKER_EXITED;
	end->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void ask_to_end(struct sm__process *p, const struct sm_runner *r, struct sm_worker_end *end)
{
	p->deadline = now_s() + r->grace_s;
	kill(p->pid, SIGTERM);
	while (!has_ended(p) && now_s() < p->deadline)
		wait_for_news(p, r, end);
}

/* Of a worker that died before its processes. */
static void clean_up_after(pid_t worker)
{
	sm_tree_end(NULL, END_LIMIT_S, NULL);
	sm_cgroup_remove_left(worker);
}

static void run_once(const struct sm_runner *r, const char *job, struct sm_worker_end *end)
{
	double started = now_s();
	struct sm__process p = {.pid = -1, .pidfd = -1, .deadline = started + r->timeout_s};
	bool ours = false, asked = false;
	int rc;

	*end = (struct sm_worker_end){.sample.limit = SAMPLE_LIMIT,
				      .output.limit = OUTPUT_LIMIT,
				      .diag.limit = DIAG_LIMIT};
	if (r->grace_s > 0)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	rc = interrupted ? -EINTR : sm__worker_start(&p, r, job);
	if (rc) {
		end->how = rc == -EINTR ? SM_WORKER_INTERRUPTED : SM_WORKER_NOT_STARTED;
		end->code = -rc;
		return;
	}
	while (!has_ended(&p)) {
		if (at_once || stopped || now_s() >= p.deadline) {
			end->how = at_once || stopped ? SM_WORKER_INTERRUPTED : SM_WORKER_TIMEOUT;
			ours = true;
			break;
		}
		if (interrupted && !asked && r->on_interrupt != NULL)
			r->on_interrupt(r->ctx);
		asked = interrupted;
		wait_for_news(&p, r, end);
	}
	if (ours && r->grace_s > 0)
		ask_to_end(&p, r, end);
	end->took_s = now_s() - started;
	reap(&p, end, ours);
	if (r->grace_s > 0)
		clean_up_after(p.pid);
	for (int i = 0; i < SM__NPIPES; i++) {
		/* It is dead: what it wrote is in the pipe. A process that kept the pipe open does
		 * not hold us up. */
		for (int more = 0; more < 64 && p.fd[i] >= 0; more++)
			drain(&p, i, r, end);
		if (p.fd[i] >= 0)
			close(p.fd[i]);
	}
	if (p.pidfd >= 0)
		close(p.pidfd);
}

void sm_runner_run(const struct sm_runner *r, const char *job, struct sm_worker_end *end)
{
	for (;;) {
		if (stopped)
			stand_still();
		run_once(r, job, end);
		if (!stopped || at_once || end->how != SM_WORKER_INTERRUPTED)
			return;
		sm_worker_end_free(end);
	}
}

/* ---- verdict ------------------------------------------------------------------------------ */

/* The last line that it said; "" when there is none. */
static void last_words(const struct sm_bytes *diag, char *buf, size_t len)
{
	char line[201];

	sm_text_last_line(diag->data, diag->len, line, sizeof(line));
	snprintf(buf, len, "%s%s", line[0] != '\0' ? "; it said: " : "", line);
}

static enum sm_outcome describe(const struct sm_runner *r, const struct sm_worker_end *end,
				char *buf, size_t len)
{
	char words[240];

	last_words(&end->diag, words, sizeof(words));
	switch (end->how) {
	case SM_WORKER_SIGNALLED:
		snprintf(buf, len, "ended by signal %d (%s)%s%s", end->code, strsignal(end->code),
			 end->code == SIGKILL ? ", out of memory perhaps" : "", words);
		return SM_OUTCOME_CRASHED;
	case SM_WORKER_TIMEOUT:
		snprintf(buf, len, "ran past its limit of %g s and was killed%s", r->timeout_s,
			 words);
		return SM_OUTCOME_TIMEOUT;
	case SM_WORKER_INTERRUPTED:
		snprintf(buf, len, "interrupted");
		return SM_OUTCOME_INTERRUPTED;
	case SM_WORKER_NOT_STARTED:
		snprintf(buf, len, "the worker could not be started: %s", strerror(end->code));
		return SM_OUTCOME_CRASHED;
	case SM_WORKER_EXITED: break;
	}
	if (end->code == 126 || end->code == 127)
		snprintf(buf, len, "the worker could not be started (%s)%s", r->argv[0], words);
	else
		snprintf(buf, len, "exited with status %d before its sample%s", end->code, words);
	return SM_OUTCOME_CRASHED;
}

void sm_runner_record(const struct sm_runner *r, const struct sm_worker_end *end,
		      struct sm_record *rec, struct sm_pool *pool)
{
	char message[600], why[120];
	bool exited = end->how == SM_WORKER_EXITED;

	rec->took_s = end->took_s;
	rec->output = rec->warnings = rec->library = sm_pool_str(pool, "");
	if (exited && end->code == 0) {
		if (end->sample.cut)
			snprintf(why, sizeof(why), "the worker sent more than %u MiB",
				 SAMPLE_LIMIT >> 20);
		else if (sm_record_parse(rec, pool,
					 end->sample.data != NULL ? end->sample.data : "",
					 end->sample.len, why, sizeof(why)) == 0) {
			/* What a workload printed by itself goes with what it reported as output.
			 */
			if (!rec->output[0] && end->output.len)
				rec->output = sm_pool_str(pool, end->output.data);
			if (rec->status == SM_OUTCOME_OK)
				sm_record_add_resident(rec, pool, &end->resident);
			return;
		}
		last_words(&end->diag, message, sizeof(message) - sizeof(why));
		strncat(why, message, sizeof(why) - strlen(why) - 1);
		rec->status = SM_OUTCOME_BAD_OUTPUT;
		rec->message = sm_pool_str(pool, why);
		rec->output = rec->warnings = rec->library = sm_pool_str(pool, "");
		return;
	}
	rec->status = describe(r, end, message, sizeof(message));
	rec->message = sm_pool_str(pool, message);
}
