/* cache_cpu.c: windows of CPUs. */
#include "allocator/objects/cache_cpu.h"

#include "allocator/objects/central.h"
#include "allocator/pages/meta.h"
#include "allocator/base/say.h"

bool sm__cache_cpu_init(struct sm_heap *h)
{
	struct sm_cpu_caches *c;
	const char *why = NULL;

	if (!sm__rseq_usable(&why)) {
		sm__say("cache.mode=cpu needs restartable sequences: %s; caches are per thread",
			why);
		return false;
	}
	c = sm__meta_alloc(&h->pages, sizeof(*c));
	if (c == NULL)
		return false;
	c->table.ncpus = sm__rseq_cpus();
	c->table.slabs = sm__meta_alloc(&h->pages, c->table.ncpus * sizeof(void *));
	c->caches = sm__meta_pages(&h->pages, c->table.ncpus * sizeof(*c->caches));
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
	void *p = sm__rseq_bump(&h->cpus->table, window_at(bin),
				sm__sizeclasses[h->bins[bin].cls].slot_bytes);

	sm__rseq_taken(&h->bins[bin]);
	return p;
}

/* The cache of the CPU that we are on, roughly: the thread may move. */
static struct sm_cpu_cache *this_cpu(struct sm_heap *h)
{
	uint32_t cpu = ((volatile struct sm_rseq_area *)sm__rseq_area())->cpu_id;

	return &h->cpus->caches[cpu < h->cpus->table.ncpus ? cpu : 0];
}

static size_t held_by(struct sm_heap *h, const struct sm_cpu_cache *k)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);
	size_t bytes = 0;

	for (uint32_t bin = 1; bin < nbins; bin++) {
		uintptr_t cur = sm_load_relaxed(&k->windows[bin].cur);
		uintptr_t end = sm_load_relaxed(&k->windows[bin].end);

		bytes += cur != 0 && end > cur ? end - cur : 0;
	}
	return bytes;
}

static bool within_budget(struct sm_heap *h, struct sm_cpu_cache *k, size_t more)
{
	size_t budget = sm_load_relaxed(&k->budget);

	if (SM_UNLIKELY(budget == 0)) {
		budget = sm__config_knob(&h->config, SM_KNOB_BUDGET, 0, (int)(k - h->cpus->caches));
		budget = budget ? budget : SIZE_MAX;
		sm_store_relaxed(&k->budget, budget);
	}
	return budget == SIZE_MAX || (more <= budget && held_by(h, k) <= budget - more);
}

bool sm__cache_cpu_leave(struct sm_heap *h, unsigned bin, char *cur, char *end)
{
	struct sm_cpu_cache *k = this_cpu(h);
	unsigned cls = h->bins[bin].cls;

	sm__rseq_passed_on(&h->bins[bin]);
	if (!within_budget(h, k, (size_t)(end - cur)) ||
	    !sm__rseq_put(&h->cpus->table, window_at(bin), (uintptr_t)cur,
			  window_at(bin) + sizeof(uintptr_t), (uintptr_t)end)) {
		sm_fetch_add_relaxed(&k->lost, 1);
		return false;
	}
	sm__count_shared(&k->cls[cls].taken, (size_t)(end - cur) / sm__sizeclasses[cls].slot_bytes);
	return true;
}

static void clear_counts(struct sm_class_counts *k)
{
	sm__count_own(&k->refills, -k->refills);
	sm__count_own(&k->taken, -k->taken);
	sm__count_own(&k->returned, -k->returned);
	sm__count_own(&k->steals, -k->steals);
	sm__count_own(&k->remote, -k->remote);
}

/* k is a cache's, whose owner this is. */
void sm__cache_cpu_count(struct sm_heap *h, struct sm_class_counts *k, unsigned cls)
{
	struct sm_class_counts *to = &this_cpu(h)->cls[cls];

	sm__count_shared(&to->refills, k->refills);
	sm__count_shared(&to->taken, k->taken - k->returned);
	if (SM_UNLIKELY(k->steals + k->remote != 0)) {
		sm__count_shared(&to->steals, k->steals);
		sm__count_shared(&to->remote, k->remote);
	}
	clear_counts(k);
}

/* The slab of a CPU, out of its sections' reach; NULL: that cannot be done. */
static struct sm_cpu_cache *seize_cpu(struct sm_cpu_caches *c, unsigned cpu)
{
	struct sm_cpu_cache *k = sm_exchange_acqrel((_Atomic(void *) *)&c->table.slabs[cpu], NULL);

	/* After it, every section on that CPU has committed or will see NULL. The command was
	 * registered and tried when the caches were made; a CPU that went offline runs no section.
	 */
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

static void clear_counts(struct sm_class_counts *k)
{
	sm__count_own(&k->refills, -k->refills);
	sm__count_own(&k->taken, -k->taken);
	sm__count_own(&k->returned, -k->returned);
	sm__count_own(&k->steals, -k->steals);
	sm__count_own(&k->remote, -k->remote);
}

/* k is a cache's, whose owner this is. */
void sm__cache_cpu_count(struct sm_heap *h, struct sm_class_counts *k, unsigned cls)
{
	(void)h;
	(void)k;
	(void)cls;
}

static struct sm_cpu_cache *seize_cpu(struct sm_cpu_caches *c, unsigned cpu)
{
	(void)c;
	(void)cpu;
	return NULL;
}

#endif

/* What changes with everything that a CPU hands out or gets: where its windows stand, and how often
 * they came. */
static uint64_t look_of(struct sm_heap *h, const struct sm_cpu_cache *k)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);
	uint64_t look = 0;

	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		look = look * 31 + sm__count_read(&k->cls[cls].taken) +
		       sm__count_read(&k->cls[cls].refills);
	for (uint32_t bin = 1; bin < nbins; bin++)
		look = look * 31 + sm_load_relaxed(&k->windows[bin].cur);
	return look;
}

/* The CPU cannot use k now, or no thread allocates. Returns whether there was anything. */
static bool forget_cpu(struct sm_heap *h, struct sm_cpu_cache *k)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);
	bool any = false;

	for (uint32_t bin = 1; bin < nbins; bin++) {
		uintptr_t cur = sm_load_relaxed(&k->windows[bin].cur);
		uintptr_t end = sm_load_relaxed(&k->windows[bin].end);
		unsigned cls = h->bins[bin].cls;

		if (cur == 0)
			continue;
		any = true;
		sm__count_shared(&k->cls[cls].returned,
				 (end - cur) / sm__sizeclasses[cls].slot_bytes);
		sm_store_relaxed(&k->windows[bin].cur, 0);
	}
	return any;
}

static void foreach_window(struct sm_heap *h, struct sm_cpu_cache *k,
			   void (*fn)(void *ctx, struct sm_span *s, unsigned first, unsigned count),
			   void *ctx)
{
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (uint32_t bin = 1; bin < nbins; bin++) {
		uintptr_t cur = sm_load_relaxed(&k->windows[bin].cur);
		uintptr_t end = sm_load_relaxed(&k->windows[bin].end);
		struct sm_span *s;

		if (cur == 0)
			continue;
		sm__rseq_taken(&h->bins[bin]);
		s = sm_span_of(&h->pages.range, cur);
		fn(ctx, s, sm_span_slot(&h->pages.range, s, cur),
		   (unsigned)((end - cur) / s->slot_bytes));
	}
}

void sm__cache_foreach_cpu_window(struct sm_heap *h,
				  void (*fn)(void *ctx, struct sm_span *s, unsigned first,
					     unsigned count),
				  void *ctx)
{
	struct sm_cpu_caches *c = h->cpus;

	for (unsigned cpu = 0; c != NULL && cpu < c->table.ncpus; cpu++) {
		struct sm_cpu_cache *k = seize_cpu(c, cpu);
		uint64_t look = k != NULL ? look_of(h, k) : 0;

		if (k == NULL)
			continue;
		/* Not written where nothing changed: the pages of unused CPUs stay untouched. */
		if (look != k->seen) {
			foreach_window(h, k, fn, ctx);
			k->seen = look;
		} else if (forget_cpu(h, k)) {
			sm_fetch_add_relaxed(&k->drains, 1);
		}
		/* What fn did is seen by the next thread that bumps. */
		sm_store_release((_Atomic(void *) *)&c->table.slabs[cpu], k);
	}
}

void sm__cache_drop_cpu_windows(struct sm_heap *h)
{
	struct sm_cpu_caches *c = h->cpus;

	for (unsigned cpu = 0; c != NULL && cpu < c->table.ncpus; cpu++)
		(void)forget_cpu(h, &c->caches[cpu]);
}

void sm__cache_cpu_slots(struct sm_heap *h, unsigned cpu, uint64_t slots[SM_NCLASSES_MAX])
{
	const struct sm_cpu_cache *k = &h->cpus->caches[cpu];
	uint32_t nbins = sm_load_acquire(&h->nbins);

	for (uint32_t bin = 1; bin < nbins; bin++) {
		uintptr_t cur = sm_load_relaxed(&k->windows[bin].cur);
		uintptr_t end = sm_load_relaxed(&k->windows[bin].end);

		if (cur != 0 && end > cur)
			slots[h->bins[bin].cls] +=
				(end - cur) / sm__sizeclasses[h->bins[bin].cls].slot_bytes;
	}
}
