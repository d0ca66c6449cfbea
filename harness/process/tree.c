/* tree.c: the processes below this one. See tree.h. */
#include "harness/process/tree.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/clock.h"

#define MAX_CPUS 8192

/* ---- reading ------------------------------------------------------------------------------ */

/* The whole of a small file of /proc below root; its length, -1. */
#define FLAG_EXITING 0x4u /* PF_EXITING of the kernel's sched.h, as proc(5) shows it */

static ssize_t read_below(const char *root, pid_t pid, const char *name, char *buf, size_t len)
{
	char path[160];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%.90s/proc/%d/%s", root, (int)pid, name);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	n = fread(buf, 1, len - 1, f);
	fclose(f);
	buf[n] = 0;
	return n > 0 ? (ssize_t)n : -1;
}

static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t len)
{
	return read_below("", pid, name, buf, len);
}

/* The name may hold anything, blanks and brackets too: it ends at the last bracket. */
static bool parse_stat(const char *text, struct sm_process *p)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long minor, cminor, major, cmajor, user, system, start;
	long long cuser, csystem;
	unsigned flags;
	long threads;
	char state;
	int parent;

	if (open == NULL || close == NULL || close < open)
		return false;
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %u %llu %llu %llu %llu %llu %llu %lld %lld %*d %*d "
		   "%ld %*d %llu",
		   &state, &parent, &flags, &minor, &cminor, &major, &cmajor, &user, &system,
		   &cuser, &csystem, &threads, &start) != 13)
		return false;
	p->exiting = (flags & FLAG_EXITING) != 0;
	p->ended = (state == 'Z' || state == 'X') && threads <= 1;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)(close - open - 1), open + 1);
	p->parent = parent;
	p->minor = minor + cminor;
	p->major = major + cmajor;
	p->user = user + (uint64_t)cuser;
	p->system = system + (uint64_t)csystem;
	p->start = start;
	return true;
}

static bool read_process(const char *root, pid_t pid, struct sm_process *p)
{
	char text[1024];

	*p = (struct sm_process){.pid = pid};
	return read_below(root, pid, "stat", text, sizeof(text)) > 0 && parse_stat(text, p);
}

bool sm_process_exits(pid_t pid)
{
	struct sm_process p;

	return read_process("", pid, &p) && (p.exiting || p.ended);
}

static int by_pid(const void *a, const void *b)
{
	const struct sm_process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int sm_tree_read_all(struct sm_tree *t, const char *root)
{
	struct dirent *e;
	char proc[128];
	size_t cap = 0;
	int rc = 0;
	DIR *d;

	*t = (struct sm_tree){0};
	snprintf(proc, sizeof(proc), "%.90s/proc", root);
	d = opendir(proc);
	if (d == NULL)
		return -errno;
	while (rc == 0 && (e = readdir(d)) != NULL) {
		long pid = strtol(e->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		if (t->n == cap) {
			size_t more = cap > 0 ? 2 * cap : 256;
			struct sm_process *v = realloc(t->v, more * sizeof(*v));

			if (v == NULL) {
				rc = -ENOMEM;
				break;
			}
			t->v = v;
			cap = more;
		}
		t->n += read_process(root, (pid_t)pid, &t->v[t->n]);
	}
	closedir(d);
	if (t->n > 0)
		qsort(t->v, t->n, sizeof(*t->v), by_pid);
	return rc;
}

const struct sm_process *sm_tree_find(const struct sm_tree *t, pid_t pid)
{
	struct sm_process key = {.pid = pid};

	return t->n > 0 ? bsearch(&key, t->v, t->n, sizeof(*t->v), by_pid) : NULL;
}

bool sm_tree_excepts(const pid_t *except, pid_t pid)
{
	for (; except != NULL && *except != 0; except++)
		if (*except == pid)
			return true;
	return false;
}

/* Up from p until the answer is known; a chain is short, and ends as its members die. */
bool sm_tree_descends(const struct sm_tree *t, const struct sm_process *p, pid_t from,
		      const pid_t *except)
{
	for (size_t step = 0; p != NULL && step <= t->n; step++) {
		if (sm_tree_excepts(except, p->pid))
			return false;
		if (p->parent == from)
			return true;
		p = p->parent > 0 ? sm_tree_find(t, p->parent) : NULL;
	}
	return false;
}

int sm_tree_read(struct sm_tree *t, const pid_t *except)
{
	pid_t self = getpid();
	bool *ours;
	size_t n = 0;
	int rc;

	rc = sm_tree_read_all(t, "");
	ours = rc == 0 ? calloc(t->n + 1, sizeof(*ours)) : NULL;
	if (ours == NULL) {
		sm_tree_free(t);
		return rc ? rc : -ENOMEM;
	}
	for (size_t i = 0; i < t->n; i++) /* before any is moved: looked up by pid */
		ours[i] = t->v[i].pid != self && sm_tree_descends(t, &t->v[i], self, except);
	for (size_t i = 0; i < t->n; i++)
		if (ours[i])
			t->v[n++] = t->v[i];
	t->n = n;
	free(ours);
	return 0;
}

void sm_tree_free(struct sm_tree *t)
{
	free(t->v);
	*t = (struct sm_tree){0};
}

size_t sm_tree_alive(const struct sm_tree *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += !t->v[i].ended;
	return n;
}

/* ---- sums --------------------------------------------------------------------------------- */

void sm_rusage_add(struct rusage *sum, const struct rusage *r)
{
	timeradd(&sum->ru_utime, &r->ru_utime, &sum->ru_utime);
	timeradd(&sum->ru_stime, &r->ru_stime, &sum->ru_stime);
	sum->ru_minflt += r->ru_minflt;
	sum->ru_majflt += r->ru_majflt;
	sum->ru_nvcsw += r->ru_nvcsw;
	sum->ru_nivcsw += r->ru_nivcsw;
	if (r->ru_maxrss > sum->ru_maxrss)
		sum->ru_maxrss = r->ru_maxrss;
}

static void time_subtract(struct timeval *sum, const struct timeval *t)
{
	if (timercmp(sum, t, <))
		timerclear(sum);
	else
		timersub(sum, t, sum);
}

void sm_rusage_subtract(struct rusage *sum, const struct rusage *r)
{
	time_subtract(&sum->ru_utime, &r->ru_utime);
	time_subtract(&sum->ru_stime, &r->ru_stime);
	sum->ru_minflt -= r->ru_minflt;
	sum->ru_majflt -= r->ru_majflt;
	sum->ru_nvcsw -= r->ru_nvcsw;
	sum->ru_nivcsw -= r->ru_nivcsw;
}

static struct timeval of_ticks(uint64_t ticks)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	return (struct timeval){(time_t)(ticks / hz), (suseconds_t)(ticks % hz * (1000000 / hz))};
}

void sm_tree_usage(const struct sm_tree *t, struct rusage *sum)
{
	uint64_t user = 0, system = 0;

	*sum = (struct rusage){0};
	for (size_t i = 0; i < t->n; i++) {
		user += t->v[i].user;
		system += t->v[i].system;
		sum->ru_minflt += (long)t->v[i].minor;
		sum->ru_majflt += (long)t->v[i].major;
	}
	sum->ru_utime = of_ticks(user);
	sum->ru_stime = of_ticks(system);
}

/* ---- the end ------------------------------------------------------------------------------ */

/* The process that was seen, not one that got its number since. */
static void end_one(const struct sm_process *p)
{
	struct sm_process now;
	int fd = pidfd_open(p->pid, 0);

	if (fd < 0) {
		if (errno == ENOSYS && read_process("", p->pid, &now) && now.start == p->start)
			kill(p->pid, SIGKILL);
		return;
	}
	if (read_process("", p->pid, &now) && now.start == p->start)
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
	close(fd);
}

static void reap(struct rusage *sum)
{
	struct rusage r;
	int status;

	while (wait4(-1, &status, WNOHANG, &r) > 0)
		if (sum != NULL)
			sm_rusage_add(sum, &r);
}

int sm_tree_end(const pid_t *except, double limit_s, struct rusage *sum)
{
	uint64_t until = sm_clock_ns() + (uint64_t)(limit_s * 1e9);

	for (;;) {
		struct sm_tree t;
		size_t left;
		int rc = sm_tree_read(&t, except);

		if (rc)
			return rc;
		left = t.n;
		for (size_t i = 0; i < t.n; i++)
			if (!t.v[i].ended)
				end_one(&t.v[i]);
		sm_tree_free(&t);
		reap(sum);
		if (left == 0)
			return 0;
		if (sm_clock_ns() >= until)
			return -ETIME;
		poll(NULL, 0, 1);
	}
}

/* ---- memory and place --------------------------------------------------------------------- */

/* A field of /proc/PID/NAME in KiB. */
static bool read_kib(pid_t pid, const char *name, const char *field, uint64_t *kib)
{
	char text[4096];
	const char *at;
	unsigned long long v;

	if (read_proc(pid, name, text, sizeof(text)) < 0)
		return false;
	at = strstr(text, field);
	if (at == NULL || sscanf(at + strlen(field), " %llu kB", &v) != 1)
		return false;
	*kib = v;
	return true;
}

void sm_tree_memory(const struct sm_tree *t, struct sm_tree_memory *out)
{
	*out = (struct sm_tree_memory){.processes = sm_tree_alive(t)};
	for (size_t i = 0; i < t->n; i++) {
		uint64_t kib = 0;
		pid_t pid = t->v[i].pid;

		if (t->v[i].ended)
			continue;
		if (out->processes == 1)
			read_kib(pid, "status", "VmHWM:", &kib);
		else if (!read_kib(pid, "smaps_rollup", "\nPss:", &kib))
			out->rss |= read_kib(pid, "status", "VmRSS:", &kib);
		out->kib += kib;
	}
}

static bool keeps_to(pid_t pid, const int *cpus, unsigned n)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
	bool keeps = true;

	if (set != NULL && sched_getaffinity(pid, size, set) == 0) {
		for (unsigned i = 0; i < n; i++)
			if (cpus[i] >= 0 && cpus[i] < MAX_CPUS)
				CPU_CLR_S((size_t)cpus[i], size, set);
		keeps = CPU_COUNT_S(size, set) == 0;
	}
	CPU_FREE(set);
	return keeps;
}

const struct sm_process *sm_tree_strays(const struct sm_tree *t, const int *cpus, unsigned n)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i].ended && !keeps_to(t->v[i].pid, cpus, n))
			return &t->v[i];
	return NULL;
}
