/*
 * counter_perf.c: perf_event groups. Each thread opens its own, pinned to the PMU so that it counts
 * all the time or reports failure; it is read with user-space instructions where every event of the
 * group allows it, else by one read() of the leader.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "perf/counter.h"
#include "perf/counter_user.h"

/* ---- the kernel --------------------------------------------------------------------------- */

static int kernel_open(void *ctx, struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd,
		       unsigned long flags)
{
	long fd = syscall(SYS_perf_event_open, attr, pid, cpu, group_fd, flags);

	(void)ctx;
	return fd < 0 ? -errno : (int)fd;
}

static ssize_t kernel_read(void *ctx, int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	(void)ctx;
	return n < 0 ? -errno : n;
}

static int kernel_ioctl(void *ctx, int fd, unsigned long op, unsigned long arg)
{
	(void)ctx;
	return ioctl(fd, op, arg) < 0 ? -errno : 0;
}

static struct perf_event_mmap_page *kernel_map(void *ctx, int fd)
{
	void *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);

	(void)ctx;
	return p == MAP_FAILED ? NULL : p;
}

static void kernel_unmap(void *ctx, struct perf_event_mmap_page *page)
{
	(void)ctx;
	munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

static void kernel_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

const struct sm_opener sm_opener_kernel = {
	.open = kernel_open,
	.read = kernel_read,
	.ioctl = kernel_ioctl,
	.map = kernel_map,
	.unmap = kernel_unmap,
	.close = kernel_close,
};

/* ---- opening ------------------------------------------------------------------------------ */

static void fill_attr(const struct sm_counter_group *g, const struct sm_event_code *c,
		      struct perf_event_attr *a)
{
	bool leader = g->leader < 0;

	memset(a, 0, sizeof(*a));
	a->size = sizeof(*a);
	a->type = c->type;
	a->config = c->config;
	a->config1 = c->config1;
	a->config2 = c->config2;
	a->exclude_user = c->exclude_user;
	a->exclude_kernel = c->exclude_kernel;
	a->exclude_hv = 1;
	/* Siblings follow the leader: only it may be disabled or pinned. */
	a->disabled = leader;
	a->pinned = leader && !g->opt.multiplex && g->opt.pid >= 0;
	a->read_format =
		PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	if (g->opt.inherit) {
		a->inherit = 1;
		a->enable_on_exec = leader;
		a->read_format &= ~(uint64_t)PERF_FORMAT_GROUP; /* the kernel has no such sums */
	}
	if (g->opt.pid < 0) { /* cpu-wide uncore PMUs refuse every exclusion */
		a->exclude_user = a->exclude_kernel = a->exclude_hv = 0;
	}
}

static int open_attr(struct sm_counter_group *g, struct perf_event_attr *a)
{
	const struct sm_opener *o = g->opt.opener;

	return o->open(o->ctx, a, g->opt.pid, g->opt.cpu, g->leader, PERF_FLAG_FD_CLOEXEC);
}

/* With user reads where the architecture grants them to those that ask. */
static int open_with_user_access(struct sm_counter_group *g, struct perf_event_attr *a)
{
	uint64_t plain = a->config1;

	for (const uint64_t *ask = sm__user_read_asks; *ask; ask++) {
		a->config1 = plain | *ask;
		int fd = open_attr(g, a);

		if (fd >= 0)
			return fd;
	}
	a->config1 = plain;
	return open_attr(g, a);
}

static int open_event(struct sm_counter_group *g, const struct sm_event_code *c)
{
	struct perf_event_attr a;

	fill_attr(g, c, &a);
	if (c->source == SM_SOURCE_PMU && !g->opt.no_user_read && g->opt.pid == 0)
		return open_with_user_access(g, &a);
	return open_attr(g, &a);
}

static void map_pages(struct sm_counter_group *g)
{
	const struct sm_opener *o = g->opt.opener;

	g->mode = SM_READ_SYSCALL;
	if (g->opt.no_user_read || g->opt.pid != 0)
		return;
	for (unsigned i = 0; i < g->n; i++) {
		if (g->ev[i].fd < 0)
			continue;
		g->ev[i].page = o->map(o->ctx, g->ev[i].fd);
		if (!sm__user_readable(g->ev[i].page))
			return;
	}
	g->mode = SM_READ_USER;
}

static int perf_open(struct sm_counter_group *g)
{
	const struct sm_opener *o = g->opt.opener;

	for (unsigned i = 0; i < g->n; i++) {
		struct sm_group_event *e = &g->ev[i];
		int fd = open_event(g, g->codes[i]);

		if (fd < 0) {
			e->status = sm_counter_explain(-fd, g->codes[i]->source == SM_SOURCE_PMU,
						       e->reason, sizeof(e->reason));
			continue;
		}
		e->fd = fd;
		if (g->leader < 0)
			g->leader = fd;
		g->order[g->n_open++] = (uint8_t)i;
	}
	if (g->leader < 0)
		return 0;
	map_pages(g);
	if (!g->opt.inherit) /* there exec does it */
		o->ioctl(o->ctx, g->leader, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static int read_syscall(struct sm_counter_group *g, struct sm_group_count *c)
{
	uint64_t buf[3 + SM_GROUP_MAX];
	const struct sm_opener *o = g->opt.opener;
	ssize_t n = o->read(o->ctx, g->leader, buf, sizeof(buf));

	/* 0 bytes: a pinned group in error state, thrown off the PMU. A short group never happens
	 * otherwise. */
	if (n < (ssize_t)(3 * sizeof(uint64_t)) || buf[0] != g->n_open) {
		g->lost = true;
		return -EIO;
	}
	c->enabled = buf[1];
	c->running = buf[2];
	for (unsigned k = 0; k < g->n_open; k++)
		c->values[g->order[k]] = buf[3 + k];
	return 0;
}

static int read_user(struct sm_counter_group *g, struct sm_group_count *c)
{
	struct sm_user_count u = {0};

	sm__pmc_sync();
	for (unsigned k = 0; k < g->n_open; k++) {
		unsigned i = g->order[k];

		if (sm__user_read(g->ev[i].page, sm__pmc_read, &u))
			return -EAGAIN;
		c->values[i] = u.value;
		if (k == 0) {
			c->enabled = u.enabled;
			c->running = u.running;
		}
	}
	return 0;
}

/* Scheduled as a group, so all have the leader's times. */
static int read_each(struct sm_counter_group *g, struct sm_group_count *c)
{
	const struct sm_opener *o = g->opt.opener;

	for (unsigned k = 0; k < g->n_open; k++) {
		unsigned i = g->order[k];
		uint64_t buf[3]; /* value, enabled, running */

		if (o->read(o->ctx, g->ev[i].fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf)) {
			g->lost = true;
			return -EIO;
		}
		c->values[i] = buf[0];
		if (k == 0) {
			c->enabled = buf[1];
			c->running = buf[2];
		}
	}
	return 0;
}

static int perf_read(struct sm_counter_group *g, struct sm_group_count *c)
{
	if (g->leader < 0 || g->lost)
		return -EIO;
	if (g->opt.inherit)
		return read_each(g, c);
	if (g->mode == SM_READ_USER && !read_user(g, c))
		return 0;
	return read_syscall(g, c);
}

static void perf_close(struct sm_counter_group *g)
{
	const struct sm_opener *o = g->opt.opener;

	/* Members first: closing the leader would set the others free as groups of their own. */
	for (unsigned i = g->n; i-- > 0;) {
		if (g->ev[i].page != NULL)
			o->unmap(o->ctx, g->ev[i].page);
		if (g->ev[i].fd >= 0)
			o->close(o->ctx, g->ev[i].fd);
		g->ev[i].page = NULL;
		g->ev[i].fd = -1;
	}
	g->leader = -1;
	g->n_open = 0;
	g->mode = SM_READ_NONE;
}

const struct sm_counter_ops sm_counter_perf = {
	.name = "perf",
	.open = perf_open,
	.read = perf_read,
	.close = perf_close,
};

bool sm_group_fits(const struct sm_event_code *const *codes, unsigned n,
		   const struct sm_opener *opener)
{
	struct sm_group_options opt = {.opener = opener, .cpu = -1, .no_user_read = true};
	struct sm_counter_group g;
	struct sm_group_count c = {0};
	bool fits;

	if (sm_group_open(&g, codes, n, &opt))
		return false;
	fits = g.n_open == n;
	/*
	 * A pinned group that does not fit goes to error state as soon as it is enabled, and read()
	 * says 0 bytes. Should it be scheduled late, running shows it; a few reads give it time.
	 */
	for (int i = 0; fits && i < 100 && !c.running; i++)
		fits = !sm_group_read(&g, &c);
	fits = fits && c.running > 0;
	sm_group_close(&g);
	return fits;
}
