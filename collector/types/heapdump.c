/*
 * heapdump.c: a heap as JSON lines; the format is in docs/COLLECTOR.md.
 *
 * Written as the walk goes (inspect.c), through one buffer on the control thread's stack: no memory
 * is asked for by an object. The edges of an object end its line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "collector/cycle/gc_internal.h"
#include "collector/types/inspect.h"
#include "collector/mutator/misuse.h"

struct dump {
	const struct sm_gc *gc;
	int fd, err;
	bool open; /* an object's line waits for more edges */
	uint64_t objects, bytes, edges;
	size_t used;
	char buffer[16384];
};

static void flush(struct dump *d)
{
	for (size_t at = 0; at < d->used && d->err == 0;) {
		ssize_t n = write(d->fd, d->buffer + at, d->used - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			d->err = -errno;
	}
	d->used = 0;
}

__attribute__((format(printf, 2, 3))) static void put(struct dump *d, const char *fmt, ...)
{
	va_list ap;

	if (d->used > sizeof(d->buffer) - 256)
		flush(d);
	va_start(ap, fmt);
	d->used += (size_t)vsnprintf(d->buffer + d->used, sizeof(d->buffer) - d->used, fmt, ap);
	va_end(ap);
}

static void end_line(struct dump *d)
{
	if (d->open)
		put(d, "]}\n");
	d->open = false;
}

static void put_root(void *ctx, const char *kind, int thread, uintptr_t slot, uintptr_t object)
{
	struct dump *d = ctx;

	put(d, "{\"root\":\"%s\"", kind);
	if (thread)
		put(d, ",\"thread\":%d", thread);
	if (slot)
		put(d, ",\"at\":\"0x%lx\"", (unsigned long)slot);
	put(d, ",\"to\":\"0x%lx\"}\n", (unsigned long)object);
}

/*
 * Spans of rare types do not keep their layouts, but which words are pointers: bit i set, word i of
 * the object is one. Larger objects are told apart by how many they are.
 */
static void put_mixed(struct dump *d, uintptr_t object, size_t bytes)
{
	const struct sm_span *s = sm_span_of(&d->gc->range, object);
	size_t first = (object - sm_span_base(&d->gc->range, s)) / sizeof(uintptr_t);
	size_t n = 0, words = bytes / sizeof(uintptr_t);
	uint64_t shape = 0;

	for (size_t i = 0; i < words; i++) {
		if ((s->pointers[(first + i) / 64] >> ((first + i) % 64) & 1) == 0)
			continue;
		shape |= (uint64_t)1 << (i % 64);
		n++;
	}
	if (words <= 64)
		put(d, " 0x%lx", (unsigned long)shape);
	else
		put(d, ", %zu pointers", n);
}

static bool put_object(void *ctx, uintptr_t object, size_t bytes, const struct sm_layout *l)
{
	static const char *const kinds[] = {
		[SM_SCAN_NONE] = "bytes",    [SM_SCAN_ALL] = "pointers",
		[SM_SCAN_PREFIX] = "prefix", [SM_SCAN_MASK] = "mask",
		[SM_SCAN_BITMAP] = "bitmap", [SM_SCAN_CONSERVATIVE] = "conservative",
		[SM_SCAN_FLEX] = "flexible", [SM_SCAN_MIXED] = "mixed",
	};
	struct dump *d = ctx;

	end_line(d);
	put(d, "{\"object\":\"0x%lx\",\"bytes\":%zu,\"type\":\"%s", (unsigned long)object, bytes,
	    kinds[l->kind]);
	/* Layouts are numbered in order of creation. */
	if (l->kind == SM_SCAN_MIXED)
		put_mixed(d, object, bytes);
	else if (l->kind != SM_SCAN_NONE)
		put(d, " %u", l->id);
	put(d, "\",\"edges\":[");
	d->open = true;
	d->objects++;
	d->bytes += bytes;
	d->edges = 0;
	return d->err == 0;
}

static void put_edge(void *ctx, uintptr_t object, uintptr_t to)
{
	struct dump *d = ctx;

	(void)object;
	put(d, "%s\"0x%lx\"", d->edges++ ? "," : "", (unsigned long)to);
}

int sm_heap_dump(struct sm_gc *gc, struct sm_mutator *m, int fd)
{
	struct dump d = {.gc = gc, .fd = fd};
	const struct sm_walk_hooks hooks = {put_root, put_object, put_edge, &d};
	int err;

	sm__not_in_callback(gc, "sm_heap_dump");
	if (m)
		sm__check_caller(m, "sm_heap_dump");
	put(&d, "{\"spanmark_heap\":1,\"pid\":%d}\n", (int)getpid());
	err = sm__walk(gc, m, &hooks);
	end_line(&d);
	if (err == 0)
		put(&d, "{\"end\":true,\"objects\":%lu,\"bytes\":%lu}\n", (unsigned long)d.objects,
		    (unsigned long)d.bytes);
	flush(&d);
	return err ? err : d.err;
}
