/* The mock opener; see mockperf.h. */
#include "tests/support/mockperf.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FD_BASE 10000

static struct mock_event *event(struct mock_perf *m, int fd)
{
	return fd >= FD_BASE && fd < FD_BASE + MOCK_FDS && m->ev[fd - FD_BASE].used
		       ? &m->ev[fd - FD_BASE]
		       : NULL;
}

static bool is_hw(const struct mock_event *e)
{
	return e->attr.type != PERF_TYPE_SOFTWARE && e->attr.type != PERF_TYPE_TRACEPOINT;
}

static unsigned group_size(struct mock_perf *m, int leader, bool hw_only)
{
	unsigned n = 0;

	for (int i = 0; i < MOCK_FDS; i++)
		n += m->ev[i].used && m->ev[i].leader == leader && (!hw_only || is_hw(&m->ev[i]));
	return n;
}

static int mock_open(void *ctx, struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd,
		     unsigned long flags)
{
	struct mock_perf *m = ctx;
	int i;

	(void)pid;
	(void)cpu;
	(void)flags;
	if (m->fail_all)
		return -m->fail_all;
	if (m->fail_errno && attr->config == m->fail_config)
		return -m->fail_errno;
	/* as the kernel: no sums of groups over a tree */
	if (attr->inherit && (attr->read_format & PERF_FORMAT_GROUP))
		return -EINVAL;
	if (group_fd >= 0 && (!event(m, group_fd) || attr->pinned || attr->disabled))
		return -EINVAL;
	for (i = 0; i < MOCK_FDS && m->ev[i].used; i++)
		;
	if (i == MOCK_FDS)
		return -EMFILE;
	m->ev[i] = (struct mock_event){.used = true,
				       .attr = *attr,
				       .leader = group_fd < 0 ? FD_BASE + i : group_fd,
				       .on = !attr->disabled};
	if (group_size(m, m->ev[i].leader, true) > m->counters) {
		m->ev[i].used = false;
		return -EINVAL;
	}
	m->opens++;
	return FD_BASE + i;
}

static bool thrown_out(struct mock_perf *m, const struct mock_event *leader)
{
	if (!leader->attr.pinned)
		return false;
	return m->lose_all || group_size(m, leader->leader, true) > m->counters - m->stolen;
}

/* Of a tree: one event, whose leader is on once the program was executed. */
static ssize_t read_one(struct mock_perf *m, struct mock_event *e, void *buf, size_t len)
{
	struct mock_event *l = event(m, e->leader);
	uint64_t out[3];

	if (!l || thrown_out(m, l))
		return 0;
	if (m->executed && l->attr.enable_on_exec) {
		l->on = true;
		e->value += e->attr.config;
		e->enabled += 1000;
		e->running += l->attr.pinned ? 1000 : 10 * m->percent;
	}
	out[0] = e->value;
	out[1] = e->enabled;
	out[2] = e->running;
	if (len < sizeof(out))
		return -ENOSPC;
	memcpy(buf, out, sizeof(out));
	return (ssize_t)sizeof(out);
}

static ssize_t mock_read(void *ctx, int fd, void *buf, size_t len)
{
	struct mock_perf *m = ctx;
	struct mock_event *l = event(m, fd);
	uint64_t out[64], n = 0;

	m->reads++;
	if (!l)
		return -EBADF;
	if (l->attr.inherit)
		return read_one(m, l, buf, len);
	if (thrown_out(m, l))
		return 0;
	if (l->on) {
		l->enabled += 1000;
		l->running += m->away_type && l->attr.type == m->away_type ? 10 * m->away_percent
			      : l->attr.pinned				   ? 1000
									   : 10 * m->percent;
	}
	for (int i = 0; i < MOCK_FDS; i++) {
		if (!m->ev[i].used || m->ev[i].leader != fd)
			continue;
		if (l->on && (l->attr.pinned || m->percent) &&
		    m->ev[i].attr.config != m->dead_config)
			m->ev[i].value += m->ev[i].attr.config;
		out[3 + n++] = m->ev[i].value;
	}
	out[0] = n;
	out[1] = l->enabled;
	out[2] = l->running;
	if (len < (3 + n) * sizeof(uint64_t))
		return -ENOSPC;
	memcpy(buf, out, (3 + n) * sizeof(uint64_t));
	return (ssize_t)((3 + n) * sizeof(uint64_t));
}

static int mock_ioctl(void *ctx, int fd, unsigned long op, unsigned long arg)
{
	struct mock_event *l = event(ctx, fd);

	(void)arg;
	if (!l)
		return -EBADF;
	if (op == PERF_EVENT_IOC_ENABLE)
		l->on = true;
	return 0;
}

static struct perf_event_mmap_page *mock_map(void *ctx, int fd)
{
	struct mock_perf *m = ctx;
	struct mock_event *e = event(m, fd);

	if (!e)
		return NULL;
	m->maps++;
	e->page = aligned_alloc(64, 4096);
	if (!e->page)
		return NULL;
	memset(e->page, 0, 4096);
	e->page->cap_user_rdpmc = m->user_pages;
	return e->page;
}

static void mock_unmap(void *ctx, struct perf_event_mmap_page *page)
{
	struct mock_perf *m = ctx;

	m->maps--;
	free(page);
}

static void mock_close(void *ctx, int fd)
{
	struct mock_perf *m = ctx;
	struct mock_event *e = event(m, fd);

	if (!e)
		abort();
	for (int i = 0; i < MOCK_FDS; i++)
		m->orphans += &m->ev[i] != e && m->ev[i].used && m->ev[i].leader == fd;
	e->used = false;
	m->closes++;
}

/* Threads of a session share the mock: one at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int locked_open(void *ctx, struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd,
		       unsigned long flags)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = mock_open(ctx, attr, pid, cpu, group_fd, flags);
	pthread_mutex_unlock(&lock);
	return rc;
}

static ssize_t locked_read(void *ctx, int fd, void *buf, size_t len)
{
	ssize_t rc;

	pthread_mutex_lock(&lock);
	rc = mock_read(ctx, fd, buf, len);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int locked_ioctl(void *ctx, int fd, unsigned long op, unsigned long arg)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = mock_ioctl(ctx, fd, op, arg);
	pthread_mutex_unlock(&lock);
	return rc;
}

static struct perf_event_mmap_page *locked_map(void *ctx, int fd)
{
	struct perf_event_mmap_page *rc;

	pthread_mutex_lock(&lock);
	rc = mock_map(ctx, fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void locked_unmap(void *ctx, struct perf_event_mmap_page *page)
{
	pthread_mutex_lock(&lock);
	mock_unmap(ctx, page);
	pthread_mutex_unlock(&lock);
}

static void locked_close(void *ctx, int fd)
{
	pthread_mutex_lock(&lock);
	mock_close(ctx, fd);
	pthread_mutex_unlock(&lock);
}

void mock_perf_init(struct mock_perf *m, unsigned counters)
{
	memset(m, 0, sizeof(*m));
	m->counters = counters;
	m->percent = 100;
	m->ops = (struct sm_opener){.ctx = m,
				    .open = locked_open,
				    .read = locked_read,
				    .ioctl = locked_ioctl,
				    .map = locked_map,
				    .unmap = locked_unmap,
				    .close = locked_close};
}

unsigned mock_perf_leaks(const struct mock_perf *m)
{
	return m->opens - m->closes + m->maps;
}
