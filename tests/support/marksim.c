#include "tests/support/marksim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "allocator/objects/markmap.h"

static void die(const char *what)
{
	fprintf(stderr, "marksim: %s\n", what);
	abort();
}

/* ---- hooks -------------------------------------------------------------------------------- */

static void set_marks(struct marksim *m, struct sm_span *s, unsigned first, unsigned count, bool on)
{
	if (on)
		sm__marks_set_run(&m->heap->pages.range, s, first, count);
	else
		sm__marks_clear_run(&m->heap->pages.range, s, first, count);
}

static void on_refill(void *ctx, struct sm_cache *c, size_t bytes)
{
	struct marksim *m = ctx;

	(void)c;
	m->refills++;
	m->refill_bytes += bytes;
}

static void on_taken(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
		     unsigned count)
{
	struct marksim *m = ctx;

	if (!c->black)
		die("window_taken outside marking");
	m->taken++;
	set_marks(m, s, first, count, true);
}

static void on_returned(void *ctx, struct sm_cache *c, struct sm_span *s, unsigned first,
			unsigned count)
{
	struct marksim *m = ctx;

	(void)c;
	m->returned++;
	set_marks(m, s, first, count, false);
}

static void on_large(void *ctx, struct sm_cache *c, struct sm_span *s)
{
	struct marksim *m = ctx;

	(void)c;
	m->larges++;
	set_marks(m, s, 0, 1, true);
}

static unsigned sweep(struct marksim *m, struct sm_span *s)
{
	unsigned n = 0, words = (s->nslots + 63u) / 64;
	uint64_t marks[SM_MARK_SLOTS_WORDS];

	m->sweeps++;
	(void)sm__marks_gather(&m->heap->pages.range, s, marks);
	sm__marks_clear(&m->heap->pages.range, s);
	for (unsigned w = 0; w < words; w++) {
		uint64_t live = marks[w];

		if (live & ~sm_load_relaxed(&s->alloc[w]))
			die("a mark without an object");
		sm_store_relaxed(&s->alloc[w], live);
		n += (unsigned)__builtin_popcountl(live);
	}
	return n;
}

static unsigned on_sweep(void *ctx, struct sm_cache *c, struct sm_span *s)
{
	(void)c;
	return sweep(ctx, s);
}

static bool on_oom(void *ctx, struct sm_cache *c, size_t bytes)
{
	struct marksim *m = ctx;
	bool answer = m->oom_answer;

	(void)c;
	(void)bytes;
	m->ooms++;
	m->oom_answer = false;
	return answer;
}

/* ---- life --------------------------------------------------------------------------------- */

static void set_keys(struct sm_heap_config *cfg, const char *const *set)
{
	char key[64], err[256];

	for (; set != NULL && *set != NULL; set++) {
		const char *eq = strchr(*set, '=');

		snprintf(key, sizeof(key), "%.*s", (int)(eq - *set), *set);
		if (sm_heap_config_set(cfg, key, eq + 1, err, sizeof(err)) != 0)
			die(err);
	}
}

void marksim_init(struct marksim *m, const char *const *set)
{
	marksim_init_nodes(m, 1, set);
}

void marksim_init_nodes(struct marksim *m, unsigned nodes, const char *const *set)
{
	struct sm_heap_config cfg;
	struct sm_heap_hooks hooks = {
		.ctx = m,
		.before_refill = on_refill,
		.window_taken = on_taken,
		.window_returned = on_returned,
		.large_new = on_large,
		.sweep = on_sweep,
		.out_of_memory = on_oom,
	};
	char err[256] = "";

	memset(m, 0, sizeof(*m));
	sm_heap_config_init(&cfg);
	set_keys(&cfg, set);
	cfg.nnodes = nodes;
	for (unsigned i = 0; i < nodes; i++)
		for (unsigned j = 0; j < nodes; j++)
			cfg.distance[i][j] = i == j ? 10 : 20;
	m->heap = sm__heap_create(&cfg, err, sizeof(err));
	if (m->heap == NULL)
		die(err);
	if (sm__markmap_create(m->heap) != 0)
		die("no memory for mark bits");
	sm__heap_set_hooks(m->heap, &hooks);
}

void marksim_fini(struct marksim *m)
{
	if (sm_heap_check(m->heap) != 0)
		die("the heap does not verify");
	sm__heap_destroy(m->heap);
	m->heap = NULL;
}

struct sm_cache *marksim_cache_new(struct marksim *m)
{
	struct sm_cache *c =
		mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED || sm__cache_init(c, m->heap, NULL) != 0)
		die("no cache");
	return c;
}

void marksim_cache_free(struct sm_cache *c)
{
	sm__cache_fini(c);
	munmap(c, sizeof(*c));
}

/* ---- a cycle ------------------------------------------------------------------------------ */

void marksim_mark(struct marksim *m, const void *p)
{
	struct sm_span *s = sm_span_of(&m->heap->pages.range, (uintptr_t)p);

	set_marks(m, s, sm_span_slot(&m->heap->pages.range, s, (uintptr_t)p), 1, true);
}

bool marksim_is_marked(struct marksim *m, const void *p)
{
	return sm_mark_test(&m->heap->pages.range, (uintptr_t)p);
}

void marksim_advance(struct marksim *m)
{
	for (struct sm_cache *c = m->heap->caches; c != NULL; c = c->next)
		sm__cache_retire_all(c);
	sm_store_release(&m->heap->sweepgen, sm_load_relaxed(&m->heap->sweepgen) + 2);
}

unsigned marksim_sweep_all(struct marksim *m)
{
	unsigned n = 0;

	for (unsigned node = 0; node < m->heap->pages.nnodes; node++) {
		uint32_t cursor = 0;
		struct sm_span *s;

		while (sm__central_take_unswept_some(m->heap, node, &cursor, &s, 1) == 1) {
			unsigned left = sweep(m, s);

			sm__central_put_swept_some(m->heap, &s, &left, 1);
			n++;
		}
	}
	return n;
}

size_t marksim_cpu_held(const struct marksim *m)
{
	uint64_t slots[SM_NCLASSES_MAX] = {0};
	size_t bytes = 0;

	for (unsigned cpu = 0; m->heap->cpus != NULL && cpu < m->heap->cpus->table.ncpus; cpu++)
		sm__cache_cpu_slots(m->heap, cpu, slots);
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		bytes += slots[cls] * sm__sizeclasses[cls].slot_bytes;
	return bytes;
}
