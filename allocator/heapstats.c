/* heapstats.c: gathers a heap's figures and writes them. */
#include "allocator/heapstats.h"

#include <string.h>

#include "allocator/cache_cpu.h"
#include "allocator/central.h"
#include "allocator/manual_internal.h"
#include "allocator/meta.h"
#include "allocator/pageheap_internal.h"

/* ---- gathering ------------------------------------------------------------------------------------- */

static void add_pageheaps(struct sm_heap *h, struct sm_heap_stats *out)
{
	for (unsigned i = 0; i < h->nnodes; i++) {
		struct sm_pageheap_stats st;

		sm__pageheap_stats(h, i, &st);
		out->committed_bytes += st.committed_bytes;
		out->in_use_bytes += st.in_use_bytes;
		out->free_bytes += st.free_bytes;
		out->released_bytes += st.released_bytes;
		out->free_runs += st.free_runs;
		out->pageheap_allocs += st.allocs;
		out->pageheap_search_steps += st.search_steps;
		out->remote_allocs += st.remote;
		if (st.largest_free_bytes > out->largest_free_bytes)
			out->largest_free_bytes = st.largest_free_bytes;
	}
}

static void add_span(struct sm_heap_stats *out, const struct sm_span *s)
{
	struct sm_class_stats *c;

	switch (sm_load_acquire(&s->state)) {
	case SM_SPAN_LARGE:
	case SM_SPAN_MANUAL_LARGE:
		out->large_objects++;
		out->large_bytes += sm_span_bytes(s);
		out->cls[0].spans++;
		return;
	case SM_SPAN_SMALL:
	case SM_SPAN_MANUAL: break;
	default: return;
	}
	c = &out->cls[s->cls < SM_NCLASSES_MAX ? s->cls : 0];
	c->spans++;
	c->slots += s->nslots;
	c->in_use += s->nalloc;
	out->slot_bytes += (uint64_t)s->nalloc * s->slot_bytes;
}

/* Unit by unit, since a span's length may change while we look: only heads that are in use count. */
static void add_units(struct sm_heap *h, struct sm_ph_node *nd, uint32_t from, uint32_t to,
		      struct sm_heap_stats *out)
{
	for (uint32_t unit = from; unit < to; unit++) {
		const struct sm_span *s = sm__ph_desc(h, nd, unit);

		if (s->back == 0)
			add_span(out, s);
	}
}

static void add_spans(struct sm_heap *h, struct sm_heap_stats *out)
{
	struct sm_pageheap *ph = sm__ph(h);

	for (unsigned i = 0; i < h->nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];

		add_units(h, nd, 1, nd->frontier, out);
		add_units(h, nd, nd->own_start, nd->units, out);
	}
}

static void add_cache_stats(struct sm_heap_stats *out, const struct sm_cache_stats *s)
{
	out->refills += s->refills;
	out->swept_spans += s->swept_spans;
	out->remote_spans += s->remote_spans;
}

/* Windows of threads. Owners go on: a window is read as two words, and counted only if they make sense. */
static void add_caches(struct sm_heap *h, struct sm_heap_stats *out)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);

	sm_lock_acquire(&h->caches_lock);
	add_cache_stats(out, &h->dead_stats);
	for (const struct sm_cache *c = h->caches; c != NULL; c = c->next) {
		out->caches++;
		add_cache_stats(out, &c->stats);
		for (uint32_t bin = 1; bin < nbins; bin++) {
			const struct sm_window *w = &c->windows[bin];
			const char *cur = w->cur, *end = w->end;

			if (cur == NULL || end < cur)
				continue;
			out->cached_bytes += (uint64_t)(end - cur);
			out->cls[h->bins[bin].cls].cached +=
				(uint64_t)(end - cur) / sm__sizeclasses[h->bins[bin].cls].slot_bytes;
		}
	}
	sm_lock_release(&h->caches_lock);
}

static void add_mcache(struct sm_heap_stats *out, const struct sm_mcache *c)
{
	const struct sm_manual *g = &sm__manual;

	out->caches++;
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		const struct sm_mclass *m = &c->cold[cls];
		uint32_t slot = sm__sizeclasses[cls].slot_bytes;
		uint64_t n = g->list[cls] - c->room[cls] + (m->spare ? g->list[cls] : 0);

		if (m->end > m->cur)
			n += (uint64_t)(m->end - m->cur) / slot;
		out->cls[cls].cached += n;
		out->cls[cls].refills += m->refills;
		out->cls[cls].overflows += m->overflows;
	}
}

static void add_cpu(struct sm_heap_stats *out, unsigned cpu)
{
	const struct sm_mcpu *m = &sm__manual.slabs[cpu];
	bool holds = false;

	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		uint64_t n = sm_load_relaxed(&m->list[cls]) >> SM_RSEQ_TAG_SHIFT;

		holds |= n != 0;
		out->cls[cls].cached += n;
		out->cls[cls].refills += sm_load_relaxed(&m->refills[cls]);
		out->cls[cls].overflows += sm_load_relaxed(&m->overflows[cls]);
	}
	out->caches += holds;
}

static void add_manual(struct sm_heap_stats *out)
{
	struct sm_manual *g = &sm__manual;

	sm_lock_acquire(&g->lock);
	for (const struct sm_mcache *c = g->caches; c != NULL; c = c->next)
		add_mcache(out, c);
	out->refills += g->dead_refills;
	out->overflows += g->dead_overflows;
	sm_lock_release(&g->lock);
	for (unsigned cpu = 0; g->percpu && cpu < g->cpus.ncpus; cpu++)
		add_cpu(out, cpu);
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		struct sm_class_stats *c = &out->cls[cls];
		uint32_t slot = sm__sizeclasses[cls].slot_bytes;

		sm_lock_acquire(&g->depots[cls].lock);
		c->depot = (uint64_t)g->depots[cls].count * g->list[cls];
		sm_lock_release(&g->depots[cls].lock);
		out->depot_bytes += c->depot * slot;
		out->cached_bytes += c->cached * slot;
		out->refills += c->refills;
		out->overflows += c->overflows;
	}
}

void sm_heap_stats(struct sm_heap *h, struct sm_heap_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->version = SM_HEAP_STATS_VERSION;
	out->nclasses = sm__nclasses;
	for (unsigned cls = 0; cls < sm__nclasses; cls++)
		out->cls[cls].slot_bytes = sm__sizeclasses[cls].slot_bytes;
	out->reserved_bytes = h->range.bytes;
	out->mapped_bytes = sm_load_relaxed(&h->mapped_bytes);
	out->meta_bytes = sm__meta_bytes(h);
	out->allocated_bytes = sm_load_relaxed(&h->allocated_bytes);
	add_pageheaps(h, out);
	add_spans(h, out);
	add_caches(h, out);
	out->cached_bytes += sm__cache_cpu_held(h);
	if (h == sm__manual.heap)
		add_manual(out);
}

/* ---- writing --------------------------------------------------------------------------------------- */

static const char *human(char buf[16], uint64_t bytes)
{
	static const char units[] = "BKMGT";
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(buf, 16, u ? "%.1f%c" : "%.0f%c", v, units[u]);
	return buf;
}

static void print_figure(FILE *out, const char *name, const char *unit, uint64_t value, const char *help)
{
	char buf[16];

	if (strcmp(unit, "bytes") == 0)
		fprintf(out, "%-22s %12s  %s\n", name, human(buf, value), help);
	else
		fprintf(out, "%-22s %12lu  %s\n", name, (unsigned long)value, help);
}

static void print_class(FILE *out, const struct sm_class_stats *c)
{
	char a[16], b[16];
	uint64_t held = c->cached + c->depot;

	if (c->spans == 0)
		return;
	fprintf(out, "%6u %7lu %9lu %9lu %9lu %9lu %8s %8s %5.1f%%\n", c->slot_bytes, (unsigned long)c->spans,
		(unsigned long)c->slots, (unsigned long)(c->in_use > held ? c->in_use - held : 0),
		(unsigned long)c->cached, (unsigned long)c->depot, human(a, c->in_use * c->slot_bytes),
		human(b, (c->slots - c->in_use) * c->slot_bytes),
		c->slots ? 100.0 * (double)c->in_use / (double)c->slots : 0.0);
}

void sm_heap_stats_print(struct sm_heap *h, FILE *out)
{
	struct sm_heap_stats st;
	char buf[16];

	sm_heap_stats(h, &st);
#define X(name, unit, help) print_figure(out, #name, unit, st.name, help);
#include "allocator/heapstats.def"
#undef X
	fprintf(out, "\n%6s %7s %9s %9s %9s %9s %8s %8s %6s\n", "slot", "spans", "slots", "objects", "cached",
		"depot", "in use", "free", "fill");
	for (unsigned cls = 1; cls < st.nclasses; cls++)
		print_class(out, &st.cls[cls]);
	if (h != sm__manual.heap || !sm__manual.percpu)
		return;
	fprintf(out, "\n%6s %9s %9s %9s\n", "cpu", "held", "slow", "drains");
	for (unsigned cpu = 0; cpu < sm__manual.cpus.ncpus; cpu++) {
		const struct sm_mcpu *m = &sm__manual.slabs[cpu];
		size_t held = 0;

		for (unsigned cls = 1; cls < sm__nclasses; cls++)
			held += sm__mcpu_held(cpu, cls);
		if (held != 0 || sm_load_relaxed(&m->slow) != 0)
			fprintf(out, "%6u %9s %9u %9lu\n", cpu, human(buf, held), sm_load_relaxed(&m->slow),
				(unsigned long)sm_load_relaxed(&m->drains));
	}
}

static void json_classes(FILE *out, const struct sm_heap_stats *st)
{
	const char *comma = "";

	fputs(",\"classes\":[", out);
	for (unsigned cls = 1; cls < st->nclasses; cls++) {
		const struct sm_class_stats *c = &st->cls[cls];

		fprintf(out,
			"%s{\"slot_bytes\":%u,\"spans\":%lu,\"slots\":%lu,\"in_use\":%lu,\"cached\":%lu,"
			"\"depot\":%lu,\"refills\":%lu,\"overflows\":%lu}",
			comma, c->slot_bytes, (unsigned long)c->spans, (unsigned long)c->slots,
			(unsigned long)c->in_use, (unsigned long)c->cached, (unsigned long)c->depot,
			(unsigned long)c->refills, (unsigned long)c->overflows);
		comma = ",";
	}
	fputc(']', out);
}

/* Per core and class: bytes held, refills, overflows; classes that were never used are left out. */
static void json_cpu(FILE *out, unsigned cpu)
{
	const struct sm_mcpu *m = &sm__manual.slabs[cpu];
	const char *comma = "";

	fprintf(out, "{\"cpu\":%u,\"slow\":%u,\"drains\":%lu,\"classes\":[", cpu, sm_load_relaxed(&m->slow),
		(unsigned long)sm_load_relaxed(&m->drains));
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		uint32_t refills = sm_load_relaxed(&m->refills[cls]),
			 over = sm_load_relaxed(&m->overflows[cls]);
		size_t held = sm__mcpu_held(cpu, cls);

		if (refills == 0 && over == 0 && held == 0)
			continue;
		fprintf(out, "%s{\"slot_bytes\":%u,\"held_bytes\":%zu,\"refills\":%u,\"overflows\":%u}",
			comma, sm__sizeclasses[cls].slot_bytes, held, refills, over);
		comma = ",";
	}
	fputs("]}", out);
}

void sm_heap_stats_json(struct sm_heap *h, FILE *out)
{
	struct sm_heap_stats st;

	sm_heap_stats(h, &st);
	fputs("{\"schema_version\":1", out);
#define X(name, unit, help) fprintf(out, ",\"" #name "\":%lu", (unsigned long)st.name);
#include "allocator/heapstats.def"
#undef X
	json_classes(out, &st);
	if (h == sm__manual.heap && sm__manual.percpu) {
		fputs(",\"cpus\":[", out);
		for (unsigned cpu = 0; cpu < sm__manual.cpus.ncpus; cpu++) {
			if (cpu > 0)
				fputc(',', out);
			json_cpu(out, cpu);
		}
		fputc(']', out);
	}
	fputs("}\n", out);
}
