/*
 * chrome.c: Chrome's JSON, for viewers and scripts that read no protobuf. A record is a line.
 *
 * Tracks are threads there, so those that are none (waits, collections) have a number that no
 * thread has. Source: "Trace Event Format", the Chromium project, 2016.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "workloads/trace/trace_internal.h"

#define SEPARATOR ",\n"

/* {"ph":"X","pid":1,"tid":2<rest>}, */
static void record(struct sm_trace_out *o, const char *ph, long tid, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void record(struct sm_trace_out *o, const char *ph, long tid, const char *fmt, ...)
{
	char *to = sm__sink_room(o);
	size_t room = SM_TRACE_RECORD, n;
	va_list ap;

	n = (size_t)snprintf(to, room, "{\"ph\":\"%s\",\"pid\":%ld,\"tid\":%ld", ph, (long)o->pid,
			     tid);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(to + n, room - n, fmt, ap);
	va_end(ap);
	n += (size_t)snprintf(to + n, room - n, "}" SEPARATOR);
	o->len += n;
}

/* Microseconds. */
#define TS	    "%" PRIu64 ".%03u"
#define TS_ARGS(ns) (ns) / 1000, (unsigned)((ns) % 1000)

/* Text of ours as it may stand between quotes. */
static const char *quoted(const char *s, char *buf, size_t len)
{
	size_t n = 0;

	for (; *s != '\0' && n + 3 < len; s++) {
		if (*s == '"' || *s == '\\')
			buf[n++] = '\\';
		buf[n++] = (unsigned char)*s < 0x20 || (unsigned char)*s >= 0x80 ? '?' : *s;
	}
	buf[n] = '\0';
	return buf;
}

static void name_it(struct sm_trace_out *o, const char *what, long tid, const char *name)
{
	char buf[1000];

	record(o, "M", tid, ",\"name\":\"%s\",\"args\":{\"name\":\"%s\"}", what,
	       quoted(name, buf, sizeof(buf)));
}

static void write_sample(struct sm_trace_out *o)
{
	name_it(o, "process_name", 0, o->label);
}

static void write_track(struct sm_trace_out *o, const struct sm_trace_track *track,
			const char *name, const struct sm_trace_track *parent)
{
	(void)parent;
	name_it(o, "thread_name", track->tid, name);
	record(o, "M", track->tid, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%u}",
	       track->id);
}

static void write_slice(struct sm_trace_out *o, const struct sm_trace_track *track, bool begins,
			unsigned code, uint64_t ns)
{
	if (begins)
		record(o, "B", track->tid, ",\"ts\":" TS ",\"cat\":\"%s\",\"name\":\"%s\"",
		       TS_ARGS(ns), sm__trace_category(code), sm__trace_name(code));
	else
		record(o, "E", track->tid, ",\"ts\":" TS, TS_ARGS(ns));
}

static void write_wait(struct sm_trace_out *o, const struct sm_trace_track *track, unsigned code,
		       uint64_t since, uint64_t until)
{
	record(o, "X", track->tid, ",\"ts\":" TS ",\"dur\":" TS ",\"cat\":\"%s\",\"name\":\"%s\"",
	       TS_ARGS(since), TS_ARGS(until - since), sm__trace_category(code),
	       sm__trace_name(code));
}

static void write_counter(struct sm_trace_out *o, enum sm_trace_counter which, uint64_t value,
			  uint64_t ns)
{
	record(o, "C", 0, ",\"ts\":" TS ",\"name\":\"%s\",\"args\":{\"%s\":%" PRIu64 "}",
	       TS_ARGS(ns), sm__trace_counters[which].name, sm__trace_counters[which].unit, value);
}

static void write_dropped(struct sm_trace_out *o, const struct sm_trace_track *track, uint64_t n,
			  uint64_t ns)
{
	record(o, "i", track->tid,
	       ",\"ts\":" TS
	       ",\"s\":\"t\",\"name\":\"dropped events\",\"args\":{\"events\":%" PRIu64 "}",
	       TS_ARGS(ns), n);
}

static size_t whole(const unsigned char *bytes, size_t len)
{
	while (len > 0 && bytes[len - 1] != '\n')
		len--;
	return len;
}

const struct sm_trace_format sm__trace_chrome = {
	.name = "chrome",
	.prologue = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n",
	.separator = SEPARATOR,
	.epilogue = "\n]}\n",
	.whole = whole,
	.sample = write_sample,
	.track = write_track,
	.slice = write_slice,
	.wait = write_wait,
	.counter = write_counter,
	.dropped = write_dropped,
};
