/*
 * resident.c: reads the process's resident memory, and reports it.
 */
#include "workloads/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/base.h"

/* A line "Name:  123 kB" of the file, in bytes. */
static int field(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = strstr(text, name);

	if (at == NULL)
		return -ENODATA;
	*bytes = strtoull(at + strlen(name), NULL, 10) * 1024;
	return 0;
}

int sm_rss_read(struct sm_rss *rss)
{
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC), err;
	char text[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err != 0)
		return err;
	text[n] = '\0';
	err = field(text, "\nRss:", &rss->all);
	if (err == 0)
		err = field(text, "\nAnonHugePages:", &rss->huge);
	return err == 0 ? field(text, "\nLazyFree:", &rss->lazy) : err;
}

/* ---- huge pages of a range ---------------------------------------------------------------- */

struct lines {
	int fd;
	size_t at, n; /* read so far, up to where there is text */
	char text[8192];
};

/* The next line without its end; NULL: there is none, or it is longer than any of the kernel's. */
static char *next_line(struct lines *l)
{
	for (;;) {
		char *line = l->text + l->at, *end = memchr(line, '\n', l->n - l->at);
		ssize_t got;

		if (end != NULL) {
			*end = '\0';
			l->at = (size_t)(end + 1 - l->text);
			return line;
		}
		l->n -= l->at;
		memmove(l->text, line, l->n);
		l->at = 0;
		got = read(l->fd, l->text + l->n, sizeof(l->text) - l->n);
		if (got <= 0)
			return NULL;
		l->n += (size_t)got;
	}
}

int sm_huge_read(uintptr_t start, size_t bytes, uint64_t *huge)
{
	static const char name[] = "AnonHugePages:";
	struct lines l = {.fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC)};
	bool within = false, any = false;
	const char *line;

	*huge = 0;
	if (l.fd < 0)
		return -errno;
	while ((line = next_line(&l)) != NULL) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			within = lo < start + bytes && hi > start;
		if (!within || strncmp(line, name, sizeof(name) - 1) != 0)
			continue;
		*huge += strtoull(line + sizeof(name) - 1, NULL, 10) * 1024;
		any = true;
	}
	close(l.fd);
	return any ? 0 : -ENODATA;
}

/* ---- over a run --------------------------------------------------------------------------- */

void sm_resident_begin(struct sm_resident *r)
{
	*r = (struct sm_resident){0};
	r->err = sm_rss_read(&r->base);
	r->now = r->base;
}

uint64_t sm_resident_read(struct sm_resident *r)
{
	if (r->err == 0)
		r->err = sm_rss_read(&r->now);
	return r->now.all > r->base.all ? r->now.all - r->base.all : 0;
}

static void report(struct sm_run *run, const struct sm_resident *r, enum sm_result_id what,
		   double value)
{
	if (r->err == -ENODATA)
		sm_run_result_none(run, what, "/proc/self/smaps_rollup lacks it");
	else if (r->err != 0)
		sm_run_result_none(run, what, "/proc/self/smaps_rollup cannot be read");
	else if (isnan(value))
		sm_run_result_none(run, what, "the workload held nothing");
	else
		sm_run_result(run, what, value);
}

void sm_resident_step(struct sm_run *run, struct sm_resident *r, unsigned n, uint64_t live)
{
	uint64_t grown = sm_resident_read(r);
	double ratio = live > 0 ? (double)grown / (double)live : (double)NAN;

	report(run, r, SM_RESULT_rss_over_live, ratio);
	report(run, r, SM_RESULT_rss_huge_share,
	       r->now.all > 0 ? 100 * (double)r->now.huge / (double)r->now.all : 0);
	report(run, r, SM_RESULT_rss_lazy_kib, (double)r->now.lazy / 1024);
	if (n == 0)
		return;
	SM_CHECK(n <= SM_STEPS_MAX);
	r->worst = fmax(r->worst, ratio);
	report(run, r, SM_RESULT_rss_over_live_worst, r->worst);
	report(run, r, (enum sm_result_id)(SM_RESULT_rss_kib_1 + n - 1), (double)r->now.all / 1024);
	report(run, r, (enum sm_result_id)(SM_RESULT_rss_over_live_1 + n - 1), ratio);
}
