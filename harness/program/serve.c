/*
 * serve.c: a server while a client loads it: ready, measured from the client's exec to its end,
 * stopped. See measure.h for the course, watch.h for what it holds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/program/watch.h"
#include "perf/clock.h"
#include "harness/base/text.h"

#define READY_LIMIT_S 60.0
#define STOP_LIMIT_S  5.0
#define STEP_NS	      10000000u

/* ---- ready ---------------------------------------------------------------------------------- */

/* Does something listen there, on loopback? */
static bool answers(int family, unsigned port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)port),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc, err = 0;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(err);

	if (fd < 0)
		return false;
	rc = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
			       : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (rc != 0 && errno == EINPROGRESS && poll(&p, 1, 100) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0)
		rc = 0;
	close(fd);
	return rc == 0;
}

/* 0: it is no port but an expression. */
static unsigned port_of(const char *ready)
{
	return ready[strspn(ready, "0123456789")] == 0 ? (unsigned)strtoul(ready, NULL, 10) : 0;
}

int sm__watch_port_is_free(struct sm_watch *w)
{
	unsigned port = port_of(w->run->program->ready);

	if (port == 0 || (!answers(AF_INET, port) && !answers(AF_INET6, port)))
		return 0;
	return sm_watch_fail(w, NULL, -EADDRINUSE,
			     "port %u answers before the server is started: another one runs",
			     port);
}

static bool printed(const struct sm_kept *k, const char *regex)
{
	struct sm_text t = {.text = NULL};
	bool found;

	if (k->total > 0)
		t.text = sm_kept_text(k, &t.len);
	found = t.text != NULL && sm_text_matches(regex, &t);
	free(t.text);
	return found;
}

static bool is_ready(struct sm_watch *w, uint64_t *seen)
{
	const char *ready = w->run->program->ready;
	unsigned port = port_of(ready);
	uint64_t total = w->main.out.total + w->main.err.total;

	if (port > 0)
		return answers(AF_INET, port) || answers(AF_INET6, port);
	if (total == *seen)
		return false;
	*seen = total;
	return printed(&w->main.out, ready) || printed(&w->main.err, ready);
}

static int wait_ready(struct sm_watch *w)
{
	double limit = w->run->timeout_s < READY_LIMIT_S ? w->run->timeout_s : READY_LIMIT_S;
	uint64_t until = w->main.from_ns + (uint64_t)(limit * 1e9), seen = 0;
	const char *line = w->run->program->line[SM_PART_SERVER];

	while (!w->main.ended && !w->stopped && sm_clock_ns() < until) {
		if (is_ready(w, &seen))
			return 0;
		sm_watch_pump(w, sm_clock_ns() + STEP_NS);
	}
	if (w->stopped)
		return sm_watch_fail(w, NULL, -EINTR, "interrupted");
	if (w->main.ended && sm_watch_judge(w, &w->main, SM_PART_SERVER) == 0)
		return sm_watch_fail(w, &w->main, -EIO,
				     "server '%.60s' ended before it was ready: it must stay in "
				     "the foreground",
				     line);
	if (w->main.ended)
		return -EIO;
	return sm_watch_fail(w, &w->main, -ETIMEDOUT,
			     "server '%.60s' was not ready (--ready '%.40s') within %g s", line,
			     w->run->program->ready, limit);
}

/* ---- the window ----------------------------------------------------------------------------- */

static int usage(struct sm_watch *w, struct rusage *sum)
{
	pid_t except[SM_WATCH_BEFORE + 3];
	struct sm_tree t;
	int rc;

	sm_watch_others(w, except);
	rc = sm_tree_read(&t, except);
	if (rc)
		return rc;
	sm_tree_usage(&t, sum);
	sm_tree_free(&t);
	sm_rusage_add(sum, &w->reaped);
	w->ticks = !sm_cgroup_times(&w->group, sum);
	return 0;
}

/* The CPUs that the server was not given, where there are such. */
static void rest_of_cpus(struct sm_watch *w)
{
	cpu_set_t set;

	if (w->run->cpus == NULL || sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned i = 0; i < w->run->ncpus; i++)
		if (w->run->cpus[i] >= 0 && w->run->cpus[i] < CPU_SETSIZE)
			CPU_CLR((size_t)w->run->cpus[i], &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			w->rest[w->nrest++] = cpu;
}

/* A client sees that its server's files are closed before we are told of the server's end. */
static void hear_its_end(struct sm_watch *w)
{
	uint64_t until = sm_clock_ns() + (uint64_t)(STOP_LIMIT_S * 1e9);

	if (!w->main.ended && sm_process_exits(w->main.s.pid))
		while (!w->main.ended && !w->stopped && sm_clock_ns() < until)
			sm_watch_pump(w, until);
}

static int load(struct sm_watch *w, struct rusage *used, double *wall_s)
{
	struct rusage before = {0};
	int rc = usage(w, &before);

	if (rc)
		return sm_watch_fail(w, NULL, rc, "cannot read /proc: %s", strerror(-rc));
	sm_count_begin(w->counters);
	rc = sm_watch_go(w, &w->other, SM_PART_CLIENT);
	if (rc == 0)
		rc = sm_watch_wait(w, &w->other, SM_PART_CLIENT, w->run->timeout_s);
	if (rc)
		return rc;
	hear_its_end(w);
	if (w->main.ended && sm_watch_judge(w, &w->main, SM_PART_SERVER) != 0)
		return -EIO;
	if (w->main.ended)
		return sm_watch_fail(w, &w->main, -EIO, "server '%.60s' ended while the client ran",
				     w->run->program->line[SM_PART_SERVER]);
	sm_count_end(w->counters);
	rc = usage(w, used);
	if (rc)
		return sm_watch_fail(w, NULL, rc, "cannot read /proc: %s", strerror(-rc));
	sm_rusage_subtract(used, &before);
	*wall_s = (double)(w->other.ended_ns - w->other.from_ns) * 1e-9;
	return sm_watch_judge(w, &w->other, SM_PART_CLIENT);
}

/* Asked to end, then made to. */
static void stop(struct sm_watch *w)
{
	uint64_t until = sm_clock_ns() + (uint64_t)(STOP_LIMIT_S * 1e9);

	if (!w->main.ended)
		kill(w->main.s.pid, SIGTERM); /* not reaped yet: the number is its own */
	while (!w->main.ended && !w->stopped && sm_clock_ns() < until)
		sm_watch_pump(w, until);
	if (!w->main.ended && !w->stopped)
		sm_watch_warn(w,
			      "the server did not end within %g s of SIGTERM: it was made to by "
			      "SIGKILL",
			      STOP_LIMIT_S);
}

int sm__watch_serve(struct sm_watch *w, struct rusage *used, double *wall_s)
{
	uint64_t peak;
	int rc;

	w->windowed = true;
	rc = wait_ready(w);
	if (rc)
		return rc;
	rest_of_cpus(w);
	rc = sm_watch_start(w, &w->other, SM_PART_CLIENT);
	if (rc)
		return rc;
	rc = load(w, used, wall_s);
	if (rc)
		return rc;
	if (sm_cgroup_peak_kib(&w->group, &peak))
		w->group_peak_kib = peak;
	stop(w);
	used->ru_maxrss = w->main.used.ru_maxrss;
	return 0;
}
