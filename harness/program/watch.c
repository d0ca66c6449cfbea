/* watch.c: processes, their output, their memory and their end in one loop. See watch.h. */
#include "harness/program/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/text.h"
#include "perf/clock.h"

#define LOOK_NS	     10000000u /* between two looks at memory */
#define FIRST_LOOK   2000000u
#define LOOK_COST    50u /* a look may cost one in so many of the time between two */
#define END_LIMIT_S  10.0
#define WORDS_LENGTH 120

/* ---- words --------------------------------------------------------------------------------- */

/* In one line of ours. */
static void last_line(const struct sm_kept *k, char *buf, size_t len)
{
	size_t n = 0;
	char *text = k->total > 0 ? sm_kept_text(k, &n) : NULL;

	sm_text_last_line(text, text != NULL ? n : 0, buf, len);
	for (char *p = buf; *p; p++)
		*p = (unsigned char)*p < 0x20 ? '?' : *p;
	free(text);
}

int sm_watch_fail(struct sm_watch *w, const struct sm_watched *p, int rc, const char *fmt, ...)
{
	char words[WORDS_LENGTH] = "";
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->sample->error, sizeof(w->sample->error), fmt, ap);
	va_end(ap);
	if (p != NULL)
		last_line(&p->err, words, sizeof(words));
	if (p != NULL && words[0] == 0)
		last_line(&p->out, words, sizeof(words));
	n = strlen(w->sample->error);
	if (words[0])
		snprintf(w->sample->error + n, sizeof(w->sample->error) - n, "; it said: %s",
			 words);
	return rc;
}

void sm_watch_warn(struct sm_watch *w, const char *fmt, ...)
{
	char *line = NULL, *all = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) >= 0 &&
	    asprintf(&all, "%s%s\n", w->sample->warnings != NULL ? w->sample->warnings : "",
		     line) >= 0) {
		free(w->sample->warnings);
		w->sample->warnings = all;
	}
	va_end(ap);
	free(line);
}

/* ---- processes ------------------------------------------------------------------------------ */

int sm_watch_start(struct sm_watch *w, struct sm_watched *p, enum sm_part part)
{
	const struct sm_program_run *run = w->run;
	bool measured = p == &w->main;
	int rc;

	*p = (struct sm_watched){.s = {.argv = run->program->argv[part]}};
	if (measured) {
		p->s.env = w->preload.env;
		p->s.cpus = run->cpus;
		p->s.ncpus = run->ncpus;
	} else if (part == SM_PART_CLIENT && w->nrest > 0) {
		p->s.cpus = w->rest;
		p->s.ncpus = w->nrest;
	}
	rc = sm_spawn(&p->s);
	if (rc)
		return sm_watch_fail(w, NULL, rc, "%s '%.100s' could not be started: %s",
				     sm_part_names[part], run->program->line[part], strerror(-rc));
	p->started = true;
	return 0;
}

int sm_watch_go(struct sm_watch *w, struct sm_watched *p, enum sm_part part)
{
	int rc;

	p->from_ns = sm_clock_ns();
	rc = sm_spawn_go(&p->s);
	if (rc)
		return sm_watch_fail(w, NULL, rc, "%s '%.100s' could not be executed: %s",
				     sm_part_names[part], w->run->program->line[part],
				     strerror(-rc));
	return 0;
}

void sm_watch_forget(struct sm_watched *p)
{
	if (p->started)
		sm_spawn_close(&p->s);
	sm_kept_free(&p->out);
	sm_kept_free(&p->err);
	*p = (struct sm_watched){0};
}

static void take_end(struct sm_watched *p, int status, const struct rusage *used)
{
	p->ended = true;
	p->status = status;
	p->ended_ns = sm_clock_ns();
	p->used = *used;
	sm_rusage_subtract(&p->used, &p->s.before);
}

static void reap(struct sm_watch *w)
{
	struct rusage used;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
		if (w->main.started && pid == w->main.s.pid)
			take_end(&w->main, status, &used);
		else if (w->other.started && pid == w->other.s.pid)
			take_end(&w->other, status, &used);
		else if (w->main.from_ns > 0 && !sm_tree_excepts(w->before, pid))
			sm_rusage_add(&w->reaped, &used);
	}
}

/* One read: what floods us must not hide the rest. */
static void drain(int *fd, struct sm_kept *k)
{
	char buf[64u << 10];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0)
		sm_kept_take(k, buf, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(*fd);
		*fd = -1;
	}
}

/* ---- memory --------------------------------------------------------------------------------- */

void sm_watch_others(const struct sm_watch *w, pid_t except[SM_WATCH_BEFORE + 3])
{
	size_t n = 0;

	for (; w->before[n] != 0; n++)
		except[n] = w->before[n];
	if (w->other.started && !w->other.ended)
		except[n++] = w->other.s.pid;
	except[n] = 0;
}

static void look(struct sm_watch *w)
{
	pid_t except[SM_WATCH_BEFORE + 3];
	uint64_t from = sm_clock_thread_ns(); /* on a busy machine we wait most of the time */
	struct sm_tree_memory m;
	struct sm_tree t;

	sm_watch_others(w, except);
	if (sm_tree_read(&t, except) == 0) {
		const struct sm_process *stray =
			w->run->cpus != NULL && !w->strayed
				? sm_tree_strays(&t, w->run->cpus, w->run->ncpus)
				: NULL;

		sm_tree_memory(&t, &m);
		w->looks += m.kib > 0;
		w->peak.rss |= m.rss;
		w->peak.kib = m.kib > w->peak.kib ? m.kib : w->peak.kib;
		if (m.processes > w->peak.processes)
			w->peak.processes = m.processes;
		if (stray != NULL) {
			w->strayed = true;
			sm_watch_warn(w,
				      "the pins did not hold: %s (pid %d) has let itself run on "
				      "other CPUs",
				      stray->name, (int)stray->pid);
		}
		sm_tree_free(&t);
	}
	w->period = (sm_clock_thread_ns() - from) * LOOK_COST;
	w->period = w->period > LOOK_NS ? w->period : LOOK_NS;
	w->next_look = sm_clock_ns() + w->period;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void hear_signals(struct sm_watch *w)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(w->signals, info, sizeof(info));

	for (ssize_t i = 0; n > 0 && i < n / (ssize_t)sizeof(info[0]); i++)
		w->stopped |= info[i].ssi_signo != SIGCHLD;
	reap(w);
}

static bool is_running(const struct sm_watched *p)
{
	return p->from_ns > 0 && !p->ended;
}

void sm_watch_pump(struct sm_watch *w, uint64_t until)
{
	struct sm_watched *all[] = {&w->main, &w->other, &w->left};
	struct pollfd fds[1 + 2 * 3] = {{.fd = w->signals, .events = POLLIN}};
	uint64_t now = sm_clock_ns();
	bool looks = is_running(&w->main);

	if (looks && w->next_look < until)
		until = w->next_look;
	for (int i = 0; i < 3; i++) {
		bool open = all[i]->started;

		fds[1 + 2 * i] = (struct pollfd){open ? all[i]->s.out : -1, POLLIN, 0};
		fds[2 + 2 * i] = (struct pollfd){open ? all[i]->s.err : -1, POLLIN, 0};
	}
	if (poll(fds, 7, until > now ? (int)((until - now) / 1000000u) + 1 : 0) > 0) {
		if (fds[0].revents)
			hear_signals(w);
		for (int i = 0; i < 3; i++) {
			if (fds[1 + 2 * i].revents)
				drain(&all[i]->s.out, &all[i]->out);
			if (fds[2 + 2 * i].revents)
				drain(&all[i]->s.err, &all[i]->err);
		}
	}
	if (looks && is_running(&w->main) && sm_clock_ns() >= w->next_look)
		look(w);
}

/* What it has written before its end is in its pipes. */
static void drain_rest(struct sm_watched *p)
{
	for (int i = 0; i < 64 && p->s.out >= 0; i++)
		drain(&p->s.out, &p->out);
	for (int i = 0; i < 64 && p->s.err >= 0; i++)
		drain(&p->s.err, &p->err);
}

/* A client may wait for an answer of its server for ever. */
static bool is_over(const struct sm_watch *w, const struct sm_watched *p, enum sm_part part)
{
	return p->ended || (part == SM_PART_CLIENT && w->main.ended);
}

int sm_watch_wait(struct sm_watch *w, struct sm_watched *p, enum sm_part part, double limit_s)
{
	uint64_t until = p->from_ns + (uint64_t)(limit_s * 1e9);

	w->next_look = sm_clock_ns() + FIRST_LOOK;
	while (!is_over(w, p, part) && !w->stopped && sm_clock_ns() < until)
		sm_watch_pump(w, until);
	if (is_over(w, p, part)) {
		drain_rest(p->ended ? p : &w->main);
		return 0;
	}
	if (w->stopped)
		return sm_watch_fail(w, NULL, -EINTR, "interrupted");
	return sm_watch_fail(w, p, -ETIMEDOUT,
			     "%s '%.60s' ran past its limit of %g s and was ended",
			     sm_part_names[part], w->run->program->line[part], limit_s);
}

int sm_watch_judge(struct sm_watch *w, const struct sm_watched *p, enum sm_part part)
{
	const char *what = sm_part_names[part], *line = w->run->program->line[part];

	if (WIFSIGNALED(p->status))
		return sm_watch_fail(w, p, -EIO, "%s '%.60s' was ended by signal %d (%s)", what,
				     line, WTERMSIG(p->status), strsignal(WTERMSIG(p->status)));
	if (WEXITSTATUS(p->status) != 0)
		return sm_watch_fail(w, p, -EIO, "%s '%.60s' exited with status %d", what, line,
				     WEXITSTATUS(p->status));
	return 0;
}

/* ---- begin and end -------------------------------------------------------------------------- */

int sm_watch_begin(struct sm_watch *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->preload = (struct sm_preload){.library = -1, .lines = -1};
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* our end is not theirs yet */
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return sm_watch_fail(w, NULL, -errno, "cannot watch processes: %s",
				     strerror(errno));
	return 0;
}

void sm_watch_set_aside(struct sm_watch *w)
{
	struct sm_tree t;
	size_t n = 0;

	if (sm_tree_read(&t, NULL) != 0)
		return;
	for (size_t i = 0; i < t.n && n < SM_WATCH_BEFORE; i++)
		w->before[n++] = t.v[i].pid;
	w->before[n] = 0;
	sm_tree_free(&t);
}

void sm_watch_kill(struct sm_watch *w)
{
	sm_cgroup_kill(&w->group);
	if (sm_tree_end(w->before, END_LIMIT_S, &w->reaped) != 0)
		sm_watch_warn(w, "processes of the program could not be ended");
	w->main.ended = w->main.started;
	w->other.ended = w->other.started;
	sm_cgroup_remove(&w->group);
}

void sm_watch_end(struct sm_watch *w)
{
	sm_tree_end(NULL, END_LIMIT_S, NULL);
	sm_cgroup_remove(&w->group);
	sm_count_close(w->counters);
	sm_watch_forget(&w->main);
	sm_watch_forget(&w->other);
	sm_watch_forget(&w->left);
	sm_preload_free(&w->preload);
	if (w->signals >= 0)
		close(w->signals);
}
