/*
 * sink.c: bytes into the file: one buffer is filled while the other is on its way.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "workloads/trace/trace_internal.h"

static void write_plainly(struct sm_trace_out *o, const char *bytes, size_t len, uint64_t offset)
{
	while (len > 0 && o->err == 0) {
		ssize_t n = pwrite(o->fd, bytes, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			o->err = n < 0 ? -errno : -EIO;
			return;
		}
		bytes += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
}

/* Until the other buffer is ours again. */
static void land(struct sm_trace_out *o)
{
	const char *bytes = o->buffers[o->at ^ 1];
	size_t len = o->flying;
	uint64_t tag;
	int rc = 0, result = 0;

	if (len == 0)
		return;
	while (rc == 0) /* 0: a signal came */
		rc = sm__uring_take(o->uring, true, &tag, &result);
	o->flying = 0;
	if (rc < 0 || result < 0)
		o->err = o->err != 0 ? o->err : rc < 0 ? rc : result;
	else /* a disk that is nearly full, or a signal, cuts a write short */
		write_plainly(o, bytes + result, len - (size_t)result,
			      o->offset - len + (size_t)result);
}

void sm__sink_flush(struct sm_trace_out *o)
{
	land(o);
	if (o->len == 0 || o->err != 0) {
		o->len = 0;
		return;
	}
	if (o->uring != NULL &&
	    sm__uring_write(o->uring, o->fd, o->buffers[o->at], o->len, o->offset, 0) == 0) {
		o->flying = o->len;
	} else { /* a ring that refused one may still hold it */
		sm__uring_close(o->uring);
		o->uring = NULL;
		write_plainly(o, o->buffers[o->at], o->len, o->offset);
	}
	o->offset += o->len;
	o->len = 0;
	o->at ^= 1;
}

char *sm__sink_room(struct sm_trace_out *o)
{
	if (SM_TRACE_BUFFER - o->len < SM_TRACE_RECORD)
		sm__sink_flush(o);
	return o->buffers[o->at] + o->len;
}

int sm__sink_open(struct sm_trace_out *o, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	o->fd = fd;
	o->offset = (uint64_t)end;
	for (unsigned i = 0; i < 2; i++) {
		o->buffers[i] = sm__os_map_guarded(SM_TRACE_BUFFER);
		if (o->buffers[i] == NULL)
			return -ENOMEM;
	}
	if (sm__uring_open(&o->uring, 1) != 0) /* denied, or too old */
		o->uring = NULL;
	return 0;
}

void sm__sink_close(struct sm_trace_out *o)
{
	if (o->buffers[1] != NULL) {
		sm__sink_flush(o);
		land(o);
	}
	sm__uring_close(o->uring);
	for (unsigned i = 0; i < 2; i++)
		if (o->buffers[i] != NULL)
			sm__os_unmap_guarded(o->buffers[i], SM_TRACE_BUFFER);
}
