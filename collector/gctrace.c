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
 * since the line before, and the longest of them.
 */
#include <stdio.h>

#include "collector/gctrace.h"
#include "allocator/base/say.h"
#include "collector/gc_internal.h"
#include "collector/gcstats.h"

#define MIB(x) ((double)(x) / 1048576.0)
#define MS(x)  ((double)(x) / 1e6)

void sm__trace_cycle(struct sm_gc *gc, const struct sm_cycle *c, unsigned long seq)
{
	uint64_t stalls, stall_max;
	char line[400];
	uint64_t scanned = c->n.scanned - c->n.rescanned - c->n.root_pieces;
	int n;

	sm__recent_stalls(gc, &stalls, &stall_max);
	n = snprintf(
		line, sizeof(line),
		"gc %lu (%s) %.3f+%.3f+%.3f+%.3f ms, %.1f->%.1f->%.1f MiB, goal %.1f, spans %.1f, "
		"marked %llu, "
		"worker %.3f ms, assist %.3f ms, rounds %u, steals %llu/%llu/%llu, local %.4g%%, "
		"stalls "
		"%llu max %.1f us\n",
		seq, c->why, MS(c->marking - c->start), MS(c->marked - c->marking),
		MS(c->off - c->marked), MS(c->swept - c->off), MIB(c->heap_before),
		MIB(c->heap_before + c->allocated_during), MIB(c->heap_marked), MIB(c->goal),
		MIB(c->spans), (unsigned long long)c->n.objects, MS(c->worker_ns),
		MS(c->assist_cpu_ns), c->rounds, (unsigned long long)c->n.steals_l3,
		(unsigned long long)c->n.steals_node, (unsigned long long)c->n.steals_across,
		scanned ? 100.0 * (double)(scanned - c->n.away) / (double)scanned : 100.0,
		(unsigned long long)stalls, (double)stall_max / 1e3);
	if (n > 0)
		sm__say_line(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
