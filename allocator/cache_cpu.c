/* cache_cpu.c: windows of CPUs. */
#include "allocator/cache_cpu.h"

#include "allocator/central.h"
#include "allocator/meta.h"
#include "allocator/pageheap_internal.h"

bool sm__cache_cpu_init(struct sm_heap *h)
{
	struct sm_cpu_caches *c;
	const char *why = NULL;

	if (!sm__rseq_usable(&why)) {
		sm__ph_say("cache.mode=cpu needs restartable sequences: %s; caches are per thread", why);
		return false;
	}
	c = sm__meta_alloc(h, sizeof(*c));
	if (c == NULL)
		return false;
	c->table.ncpus = sm__rseq_cpus();
	c->table.slabs = sm__meta_alloc(h, c->table.ncpus * sizeof(void *));
	c->caches = sm__meta_pages(h, c->table.ncpus * sizeof(*c->caches));
	if (c->table.slabs == NULL || c->caches == NULL)
		return false;
	for (unsigned i = 0; i < c->table.ncpus; i++)
		c->table.slabs[i] = &c->caches[i];
	h->cpus = c;
	return true;
}

#if SM_HAVE_RSEQ

static size_t window_at(unsigned bin)
{
	return offsetof(struct sm_cpu_cache, windows) + bin * sizeof(struct sm_cpu_window);
}

void *sm__cache_cpu_bump(struct sm_heap *h, unsigned bin)
{
	return sm__rseq_bump(&h->cpus->table, window_at(bin), sm__sizeclasses[h->bins[bin].cls].slot_bytes);
}

bool sm__cache_cpu_leave(struct sm_heap *h, unsigned bin, char *cur, char *end)
{
	struct sm_cpu_caches *c = h->cpus;
	uint32_t cpu = ((volatile struct sm_rseq_area *)sm__rseq_area())->cpu_id;
	bool left = sm__rseq_put(&c->table, window_at(bin), (uintptr_t)cur,
				 window_at(bin) + sizeof(uintptr_t), (uintptr_t)end);

	if (cpu < c->table.ncpus)
		sm_fetch_add_relaxed(left ? &c->caches[cpu].refills[bin] : &c->caches[cpu].lost, 1);
	return left;
}

/* The slab of a CPU, out of its sections' reach; NULL: that cannot be done. */
static struct sm_cpu_cache *seize(struct sm_cpu_caches *c, unsigned cpu)
{
	struct sm_cpu_cache *k = sm_exchange_acqrel((_Atomic(void *) *)&c->table.slabs[cpu], NULL);

	/* After it, every section on that CPU has committed or will see NULL. The command was registered
	 * and tried when the caches were made; a CPU that went offline runs no section. */
	if (k != NULL)
		(void)sm__rseq_fence(cpu);
	return k;
}

#else

void *sm__cache_cpu_bump(struct sm_heap *h, unsigned bin)
{
	(void)h;
	(void)bin;
	return NULL;
}

bool sm__cache_cpu_leave(struct sm_heap *h, unsigned bin, char *cur, char *end)
{
	(void)h;
	(void)bin;
	(void)cur;
	(void)end;
	return false;
}

static struct sm_cpu_cache *seize(struct sm_cpu_caches *c, unsigned cpu)
{
	(void)c;
	(void)cpu;
	return NULL;
}

#endif

void sm__cache_foreach_cpu_window(struct sm_heap *h,
				  void (*fn)(void *ctx, struct sm_span *s, unsigned first, unsigned count),
				  void *ctx)
{
	struct sm_cpu_caches *c = h->cpus;
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (unsigned cpu = 0; c != NULL && cpu < c->table.ncpus; cpu++) {
		struct sm_cpu_cache *k = seize(c, cpu);

		for (uint32_t bin = 1; k != NULL && bin < nbins; bin++) {
			uintptr_t cur = sm_load_relaxed(&k->windows[bin].cur);
			uintptr_t end = sm_load_relaxed(&k->windows[bin].end);
			struct sm_span *s;

			if (cur == 0)
				continue;
			s = sm_span_of(&h->range, cur);
			fn(ctx, s, sm_span_slot(&h->range, s, cur), (unsigned)((end - cur) / s->slot_bytes));
		}
		/* What fn did is seen by whoever bumps next. */
		if (k != NULL)
			sm_store_release((_Atomic(void *) *)&c->table.slabs[cpu], k);
	}
}

void sm__cache_drop_cpu_windows(struct sm_heap *h)
{
	struct sm_cpu_caches *c = h->cpus;
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (unsigned cpu = 0; c != NULL && cpu < c->table.ncpus; cpu++)
		for (uint32_t bin = 1; bin < nbins; bin++)
			sm_store_relaxed(&c->caches[cpu].windows[bin].cur, 0);
}

size_t sm__cache_cpu_held(struct sm_heap *h)
{
	struct sm_cpu_caches *c = h->cpus;
	uint32_t nbins = sm_load_acquire(&h->nbins);
	size_t bytes = 0;

	for (unsigned cpu = 0; c != NULL && cpu < c->table.ncpus; cpu++)
		for (uint32_t bin = 1; bin < nbins; bin++) {
			uintptr_t cur = sm_load_relaxed(&c->caches[cpu].windows[bin].cur);
			uintptr_t end = sm_load_relaxed(&c->caches[cpu].windows[bin].end);

			bytes += cur != 0 && end > cur ? end - cur : 0;
		}
	return bytes;
}
