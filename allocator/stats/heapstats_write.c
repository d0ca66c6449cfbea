/* heapstats_write.c: a heap's figures as tables for people, and as JSON. */
#include <string.h>

#include "allocator/base/sizeclass.h"
#include "spanmark/heap.h"

/* ---- for people --------------------------------------------------------------------------- */

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

static void print_figure(FILE *out, const char *name, const char *unit, uint64_t value,
			 const char *help)
{
	char bytes[16];

	if (strcmp(unit, "bytes") == 0)
		fprintf(out, "%-22s %12s  %s\n", name, human(bytes, value), help);
	else
		fprintf(out, "%-22s %12lu  %s\n", name, (unsigned long)value, help);
}

static void print_class(FILE *out, const struct sm_class_stats *c)
{
	char a[16], b[16];
	uint64_t held = c->cached + c->depot;

	if (c->spans == 0)
		return;
	fprintf(out, "%6u %7lu %9lu %9lu %9lu %9lu %8s %8s %5.1f%%\n", c->slot_bytes,
		(unsigned long)c->spans, (unsigned long)c->slots,
		(unsigned long)(c->in_use > held ? c->in_use - held : 0), (unsigned long)c->cached,
		(unsigned long)c->depot, human(a, c->in_use * c->slot_bytes),
		human(b, (c->slots - c->in_use) * c->slot_bytes),
		c->slots ? 100.0 * (double)c->in_use / (double)c->slots : 0.0);
}

static bool was_used(const struct sm_core_class *k)
{
	return k->refills + k->overflows + k->held_bytes != 0;
}

static void print_core_class(FILE *out, const struct sm_core_class *k, unsigned cls,
			     const char *cpu)
{
	char held[16];

	fprintf(out, "%6s %6u %12lu %9lu %9lu %9lu %9lu %9s\n", cpu,
		sm__sizeclasses[cls].slot_bytes, (unsigned long)k->hits, (unsigned long)k->refills,
		(unsigned long)k->overflows, (unsigned long)k->steals, (unsigned long)k->remote,
		human(held, k->held_bytes));
}

static void print_core(FILE *out, const struct sm_core_stats *st)
{
	char held[16], budget[16], cpu[16];

	snprintf(cpu, sizeof(cpu), "%u", st->cpu);
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		if (was_used(&st->cls[cls]))
			print_core_class(out, &st->cls[cls], cls, cpu);
	fprintf(out, "%6s    all: %u cache%s, %s held, budget %s, drained %lu times\n", cpu,
		st->caches, st->caches == 1 ? "" : "s", human(held, st->held_bytes),
		st->budget_bytes ? human(budget, st->budget_bytes) : "none",
		(unsigned long)st->drains);
}

static bool core_was_used(const struct sm_core_stats *st)
{
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		if (was_used(&st->cls[cls]))
			return true;
	return st->caches != 0;
}

void sm_heap_stats_print(struct sm_heap *h, FILE *out)
{
	struct sm_heap_stats st;
	struct sm_core_stats core;

	sm_heap_stats(h, &st);
#define PRINT(name, unit, help) print_figure(out, #name, unit, st.name, help);
	SM_HEAP_FIGURES(PRINT)
#undef PRINT
	fprintf(out, "\n%6s %7s %9s %9s %9s %9s %8s %8s %6s\n", "slot", "spans", "slots", "objects",
		"cached", "depot", "in use", "free", "fill");
	for (unsigned cls = 1; cls < st.nclasses; cls++)
		print_class(out, &st.cls[cls]);
	fprintf(out, "\n%6s %6s %12s %9s %9s %9s %9s %9s\n", "cpu", "slot", "hits", "refills",
		"overflows", "steals", "remote", "held");
	for (unsigned cpu = 0; sm_heap_core_stats(h, cpu, &core) == 0; cpu++)
		if (core_was_used(&core))
			print_core(out, &core);
}

/* ---- for programs ------------------------------------------------------------------------- */

static void json_count(FILE *out, const char *name, uint64_t n)
{
	fprintf(out, ",\"%s\":%lu", name, (unsigned long)n);
}

static void json_core_class(FILE *out, const struct sm_core_class *k)
{
	json_count(out, "hits", k->hits);
	json_count(out, "refills", k->refills);
	json_count(out, "overflows", k->overflows);
	json_count(out, "steals", k->steals);
	json_count(out, "remote", k->remote);
	json_count(out, "held_bytes", k->held_bytes);
}

static void json_classes(FILE *out, const struct sm_heap_stats *st)
{
	const char *comma = "";

	fputs(",\"classes\":[", out);
	for (unsigned cls = 1; cls < st->nclasses; cls++) {
		const struct sm_class_stats *c = &st->cls[cls];

		fprintf(out, "%s{\"slot_bytes\":%u", comma, c->slot_bytes);
		json_count(out, "spans", c->spans);
		json_count(out, "slots", c->slots);
		json_count(out, "in_use", c->in_use);
		json_count(out, "cached", c->cached);
		json_count(out, "depot", c->depot);
		json_core_class(out, &c->cores);
		fputc('}', out);
		comma = ",";
	}
	fputc(']', out);
}

static void json_core(FILE *out, const struct sm_core_stats *st, const char *comma)
{
	fprintf(out, "%s{\"cpu\":%u,\"caches\":%u", comma, st->cpu, st->caches);
	json_count(out, "held_bytes", st->held_bytes);
	json_count(out, "budget_bytes", st->budget_bytes);
	json_count(out, "drains", st->drains);
	fputs(",\"classes\":[", out);
	comma = "";
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		if (!was_used(&st->cls[cls]))
			continue;
		fprintf(out, "%s{\"slot_bytes\":%u", comma, sm__sizeclasses[cls].slot_bytes);
		json_core_class(out, &st->cls[cls]);
		fputc('}', out);
		comma = ",";
	}
	fputs("]}", out);
}

void sm_heap_stats_json(struct sm_heap *h, FILE *out)
{
	struct sm_heap_stats st;
	struct sm_core_stats core;
	const char *comma = "";

	sm_heap_stats(h, &st);
	fprintf(out, "{\"schema_version\":%u", st.version);
#define PRINT(name, unit, help) json_count(out, #name, st.name);
	SM_HEAP_FIGURES(PRINT)
#undef PRINT
	json_classes(out, &st);
	fputs(",\"cpus\":[", out);
	for (unsigned cpu = 0; sm_heap_core_stats(h, cpu, &core) == 0; cpu++) {
		if (!core_was_used(&core))
			continue;
		json_core(out, &core, comma);
		comma = ",";
	}
	fputs("]}\n", out);
}
