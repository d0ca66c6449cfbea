/*
 * gctrace.c: gc.trace=1, one line a cycle:
 *
 *   gc 12 (heap) 0.021+3.114+0.045+0.310 ms, 64->70->33 MiB, goal 66, spans 72, marked 512000,
 *   worker 3.0 ms, assist 0.1 ms, rounds 2, steals 5/0/0, local 100%, stalls 14 max 35.0 us
 *
 * Times: to barrier on everywhere; marking; to barrier off and windows retired; sweeping. Heap: at
 * the start, at the end, marked. Spans: what the heap takes of memory at the end, before it is
 * swept. Steals: packets taken from others, of the same L3, the node, another node. Local: of the
 * objects scanned, those in memory of the marker's own node. Stalls: waits of mutators that ended
 * since the line before, and the longest of them. With gc.mark=spans:
 *
 *   .., spans 10/20/300 objects 10/90/9000 (64 B 10/90/9000)
 *
 * Spans taken from the queue in which one object waited, or some, or many, and the objects scanned
 * there: alone, one by one, by the kernel; then of each class in which there were any.
 *
 * With gc.generations, of a minor cycle:
 *
 *   .., minor: old 31.9 MiB, cards 120
 *
 * What is old and was not marked again, and the cards with old objects that were looked at. And of
 * a cycle behind which gc.generations=auto turns them on or off (genchoice.h):
 *
 *   .., generations off: 0.620 ns a byte, 0.030 of it for stores, against 0.350
 */
#include <stdio.h>

#include "collector/cycle/gctrace.h"
#include "allocator/base/say.h"
#include "collector/cycle/gc_internal.h"
#include "collector/cycle/gcstats.h"

#define MIB(x) ((double)(x) / 1048576.0)
#define MS(x)  ((double)(x) / 1e6)

static size_t add(char *line, size_t at, size_t room, const uint64_t n[SM_SCANNED_HOWS],
		  const char *what)
{
	int len = snprintf(line + at, room - at, "%s%llu/%llu/%llu", what,
			   (unsigned long long)n[SM_SCANNED_ALONE],
			   (unsigned long long)n[SM_SCANNED_SPARSE],
			   (unsigned long long)n[SM_SCANNED_DENSE]);

	return len > 0 && (size_t)len < room - at ? at + (size_t)len : at;
}

/* What stands behind the line's other figures: it has no line of its own. */
static size_t add_spans(char *line, size_t at, size_t room, const struct sm_span_counts *n)
{
	uint64_t all[SM_SCANNED_HOWS] = {0}, of[SM_SCANNED_HOWS];
	bool first = true;
	char what[32];

	for (unsigned how = 0; how < SM_SCANNED_HOWS; how++)
		for (unsigned cls = 0; cls < SM_NCLASSES_MAX; cls++)
			all[how] += n->objects[how][cls];
	at = add(line, at, room, n->spans, ", spans ");
	at = add(line, at, room, all, " objects ");
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		for (unsigned how = 0; how < SM_SCANNED_HOWS; how++)
			of[how] = n->objects[how][cls];
		if (of[0] + of[1] + of[2] == 0)
			continue;
		snprintf(what, sizeof(what), "%s%u B ", first ? " (" : ", ",
			 sm__sizeclasses[cls].slot_bytes);
		at = add(line, at, room, of, what);
		first = false;
	}
	return first ? at : at + (size_t)(snprintf(line + at, room - at, ")") > 0);
}

static size_t add_minor(char *line, size_t at, size_t room, const struct sm_gc *gc,
			const struct sm_cycle *c)
{
	int len = 0;

	if (c->minor)
		len = snprintf(line + at, room - at, ", minor: old %.1f MiB, %s %llu",
			       MIB(c->old_bytes), sm__remember_what(gc),
			       (unsigned long long)c->n.remembered);
	return len > 0 && (size_t)len < room - at ? at + (size_t)len : at;
}

static size_t add_switch(char *line, size_t at, size_t room, const struct sm_gc *gc,
			 const struct sm_cycle *c)
{
	const struct sm_gen_choice *g = &gc->gen.choice;
	int len = 0;

	if (c->switches && c->generational)
		len = snprintf(line + at, room - at,
			       ", generations off: %.3f ns a byte, %.3f of it for stores, against "
			       "%.3f",
			       g->with, g->stores, g->without);
	else if (c->switches)
		len = snprintf(line + at, room - at,
			       ", generations on: a byte costs %.3f ns, stores would %.3f",
			       g->without, g->stores);
	return len > 0 && (size_t)len < room - at ? at + (size_t)len : at;
}

void sm__trace_cycle(struct sm_gc *gc, const struct sm_cycle *c, unsigned long seq)
{
	uint64_t stalls, stall_max;
	char line[2000];
	uint64_t scanned = c->n.scanned - c->n.rescanned - c->n.root_pieces;
	size_t at;
	int n;

	sm__recent_stalls(gc, &stalls, &stall_max);
	n = snprintf(
		line, sizeof(line),
		"gc %lu (%s) %.3f+%.3f+%.3f+%.3f ms, %.1f->%.1f->%.1f MiB, goal %.1f, spans %.1f, "
		"marked %llu, "
		"worker %.3f ms, assist %.3f ms, rounds %u, steals %llu/%llu/%llu, local %.4g%%, "
		"stalls "
		"%llu max %.1f us",
		seq, c->why, MS(c->marking - c->start), MS(c->marked - c->marking),
		MS(c->off - c->marked), MS(c->swept - c->off), MIB(c->heap_before),
		MIB(c->heap_before + c->allocated_during), MIB(c->heap_marked), MIB(c->goal),
		MIB(c->spans), (unsigned long long)c->n.objects, MS(c->worker_ns),
		MS(c->assist_cpu_ns), c->rounds, (unsigned long long)c->n.steals_l3,
		(unsigned long long)c->n.steals_node, (unsigned long long)c->n.steals_across,
		scanned ? 100.0 * (double)(scanned - c->n.away) / (double)scanned : 100.0,
		(unsigned long long)stalls, (double)stall_max / 1e3);
	if (n <= 0)
		return;
	at = (size_t)n;
	if (gc->by_span.made && sm_load_relaxed(&gc->by_span.on))
		at = add_spans(line, at, sizeof(line) - 2, &c->spans_n);
	at = add_minor(line, at, sizeof(line) - 2, gc, c);
	at = add_switch(line, at, sizeof(line) - 2, gc, c);
	line[at++] = '\n';
	sm__say_line(line, at);
}
