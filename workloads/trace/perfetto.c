/*
 * perfetto.c: Perfetto's TrackEvent protobuf.
 *
 * A trace is a sequence of TracePacket (field 1 of Trace), so that of several samples one after the
 * other is one, too. Each sample is a process, with one packet sequence of its own, in which names
 * and categories are interned once. Times are those of CLOCK_BOOTTIME, the default.
 *
 * Source: protos/perfetto/trace/trace_packet.proto, track_event/track_event.proto,
 * track_descriptor.proto, counter_descriptor.proto and interned_data/interned_data.proto of
 * github.com/google/perfetto; protobuf.dev/programming-guides/encoding.
 */
#include <string.h>

#include "workloads/trace/trace_internal.h"

/* Numbers of fields. */
enum { TRACE_PACKET = 1 };
enum {
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_EVENT = 11,
	PACKET_INTERNED = 12,
	PACKET_FLAGS = 13,
	PACKET_TRACK = 60
};
enum { FLAG_CLEARED = 1, FLAG_NEEDED = 2 };
enum {
	EVENT_CATEGORY = 3,
	EVENT_ANNOTATION = 4,
	EVENT_TYPE = 9,
	EVENT_NAME = 10,
	EVENT_TRACK = 11,
	EVENT_NAME_TEXT = 23,
	EVENT_COUNTER = 30
};
enum { TYPE_BEGIN = 1, TYPE_END, TYPE_INSTANT, TYPE_COUNTER };
enum { ANNOTATION_UINT = 3, ANNOTATION_NAME = 10 };
enum { TRACK_UUID = 1, TRACK_NAME, TRACK_PROCESS, TRACK_THREAD, TRACK_PARENT, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID, THREAD_NAME = 5 };
enum { COUNTER_UNIT = 3, COUNTER_UNIT_NAME = 6, UNIT_BYTES = 3 };
enum { INTERNED_CATEGORY = 1, INTERNED_NAME, INTERNED_IID = 1, INTERNED_TEXT };

/* ---- protobuf ----------------------------------------------------------------------------- */

static void varint(unsigned char **at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*(*at)++ = (unsigned char)(v | 0x80);
	*(*at)++ = (unsigned char)v;
}

static void number(unsigned char **at, unsigned field, uint64_t v)
{
	varint(at, field << 3);
	varint(at, v);
}

/* Protobuf's texts are UTF-8, and what we are given may not be: ASCII stays. */
static void text(unsigned char **at, unsigned field, const char *s)
{
	size_t len = strnlen(s, 1000);

	varint(at, field << 3 | 2);
	varint(at, len);
	for (size_t i = 0; i < len; i++)
		*(*at)++ = (unsigned char)((unsigned char)s[i] < 0x80 ? s[i] : '?');
}

/* A message inside: its length, below 2^14, gets two bytes whatever it is. */
static unsigned char *open_message(unsigned char **at, unsigned field)
{
	varint(at, field << 3 | 2);
	*at += 2;
	return *at;
}

static void close_message(unsigned char *from, const unsigned char *at)
{
	size_t len = (size_t)(at - from);

	from[-2] = (unsigned char)(len | 0x80);
	from[-1] = (unsigned char)(len >> 7);
}

/* ---- packets ------------------------------------------------------------------------------ */

struct packet {
	struct sm_trace_out *o;
	unsigned char *begin, *at, *inner;
};

static struct packet open_packet(struct sm_trace_out *o, uint64_t ns, unsigned flags)
{
	struct packet p = {.o = o, .at = (unsigned char *)sm__sink_room(o)};

	p.begin = open_message(&p.at, TRACE_PACKET);
	if (ns != 0)
		number(&p.at, PACKET_TIMESTAMP, ns);
	number(&p.at, PACKET_SEQUENCE, o->sequence);
	number(&p.at, PACKET_FLAGS, flags);
	return p;
}

static void close_packet(struct packet *p)
{
	close_message(p->begin, p->at);
	p->o->len = (size_t)((char *)p->at - p->o->buffers[p->o->at]);
}

static struct packet open_event(struct sm_trace_out *o, unsigned type, unsigned track, uint64_t ns)
{
	struct packet p = open_packet(o, ns, FLAG_NEEDED);

	p.inner = open_message(&p.at, PACKET_EVENT);
	number(&p.at, EVENT_TYPE, type);
	number(&p.at, EVENT_TRACK, o->base + track);
	return p;
}

static void close_event(struct packet *p)
{
	close_message(p->inner, p->at);
	close_packet(p);
}

static unsigned category_of(unsigned code)
{
	return code < SM_PHASE_COUNT ? 1 : code >= SM_TRACE_CAUSE ? 2 : 3;
}

static void intern(struct packet *p, unsigned field, unsigned iid, const char *name)
{
	unsigned char *from = open_message(&p->at, field);

	number(&p->at, INTERNED_IID, iid);
	text(&p->at, INTERNED_TEXT, name);
	close_message(from, p->at);
}

/* The first packet of the sequence: names, by code + 1, for 0 is none. */
static void write_names(struct sm_trace_out *o)
{
	struct packet p = open_packet(o, 0, FLAG_CLEARED);

	p.inner = open_message(&p.at, PACKET_INTERNED);
	for (unsigned code = 0; code < SM_TRACE_CODES; code++)
		if (sm__trace_name(code) != NULL)
			intern(&p, INTERNED_NAME, code + 1, sm__trace_name(code));
	intern(&p, INTERNED_CATEGORY, category_of(SM_PHASE_APP), sm__trace_category(SM_PHASE_APP));
	intern(&p, INTERNED_CATEGORY, category_of(SM_TRACE_TIMED),
	       sm__trace_category(SM_TRACE_TIMED));
	intern(&p, INTERNED_CATEGORY, category_of(SM_TRACE_CAUSE),
	       sm__trace_category(SM_TRACE_CAUSE));
	close_event(&p);
}

static struct packet open_track(struct sm_trace_out *o, unsigned track)
{
	struct packet p = open_packet(o, 0, 0);

	p.inner = open_message(&p.at, PACKET_TRACK);
	number(&p.at, TRACK_UUID, o->base + track);
	return p;
}

static void write_process(struct sm_trace_out *o)
{
	struct packet p = open_track(o, SM_TRACK_SAMPLE);
	unsigned char *from = open_message(&p.at, TRACK_PROCESS);

	number(&p.at, PROCESS_PID, (uint64_t)o->pid);
	text(&p.at, PROCESS_NAME, o->label);
	close_message(from, p.at);
	close_event(&p);
}

static void write_counter_track(struct sm_trace_out *o, unsigned which)
{
	const struct sm_trace_counter_desc *d = &sm__trace_counters[which];
	struct packet p = open_track(o, SM_TRACK_COUNTERS + which);
	unsigned char *from;

	number(&p.at, TRACK_PARENT, o->base + SM_TRACK_SAMPLE);
	text(&p.at, TRACK_NAME, d->name);
	from = open_message(&p.at, TRACK_COUNTER);
	if (strcmp(d->unit, "bytes") == 0)
		number(&p.at, COUNTER_UNIT, UNIT_BYTES);
	else
		text(&p.at, COUNTER_UNIT_NAME, d->unit);
	close_message(from, p.at);
	close_event(&p);
}

static void write_sample(struct sm_trace_out *o)
{
	write_names(o);
	write_process(o);
	for (unsigned i = 0; i < SM_TRACE_NCOUNTERS; i++)
		write_counter_track(o, i);
}

static void write_track(struct sm_trace_out *o, const struct sm_trace_track *track,
			const char *name, const struct sm_trace_track *parent)
{
	struct packet p = open_track(o, track->id);

	if (parent != NULL) {
		number(&p.at, TRACK_PARENT, o->base + parent->id);
		text(&p.at, TRACK_NAME, name);
	} else {
		unsigned char *from = open_message(&p.at, TRACK_THREAD);

		number(&p.at, THREAD_PID, (uint64_t)o->pid);
		number(&p.at, THREAD_TID, (uint64_t)track->tid);
		text(&p.at, THREAD_NAME, name);
		close_message(from, p.at);
	}
	close_event(&p);
}

static void write_slice(struct sm_trace_out *o, const struct sm_trace_track *track, bool begins,
			unsigned code, uint64_t ns)
{
	struct packet p = open_event(o, begins ? TYPE_BEGIN : TYPE_END, track->id, ns);

	if (begins) {
		number(&p.at, EVENT_CATEGORY, category_of(code));
		number(&p.at, EVENT_NAME, code + 1);
	}
	close_event(&p);
}

static void write_wait(struct sm_trace_out *o, const struct sm_trace_track *track, unsigned code,
		       uint64_t since, uint64_t until)
{
	write_slice(o, track, true, code, since);
	write_slice(o, track, false, code, until);
}

static void write_counter(struct sm_trace_out *o, enum sm_trace_counter which, uint64_t value,
			  uint64_t ns)
{
	struct packet p = open_event(o, TYPE_COUNTER, SM_TRACK_COUNTERS + which, ns);

	number(&p.at, EVENT_COUNTER, value);
	close_event(&p);
}

static void write_dropped(struct sm_trace_out *o, const struct sm_trace_track *track, uint64_t n,
			  uint64_t ns)
{
	struct packet p = open_event(o, TYPE_INSTANT, track->id, ns);
	unsigned char *from;

	text(&p.at, EVENT_NAME_TEXT, "dropped events");
	from = open_message(&p.at, EVENT_ANNOTATION);
	text(&p.at, ANNOTATION_NAME, "events");
	number(&p.at, ANNOTATION_UINT, n);
	close_message(from, p.at);
	close_event(&p);
}

/* Packets of ours: a tag, two bytes of length, as many bytes. */
static size_t whole(const unsigned char *bytes, size_t len)
{
	size_t at = 0;

	while (len - at >= 3) {
		size_t n = 3 + (bytes[at + 1] & 0x7fu) + ((size_t)bytes[at + 2] << 7);

		if (n > len - at)
			break;
		at += n;
	}
	return at;
}

const struct sm_trace_format sm__trace_perfetto = {
	.name = "perfetto",
	.prologue = "",
	.separator = "",
	.epilogue = "",
	.whole = whole,
	.sample = write_sample,
	.track = write_track,
	.slice = write_slice,
	.wait = write_wait,
	.counter = write_counter,
	.dropped = write_dropped,
};
