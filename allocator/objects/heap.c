/* heap.c: a heap's birth and end, and its bins. */
#include "allocator/objects/heap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "allocator/objects/cache_cpu.h"
#include "allocator/objects/central.h"
#include "allocator/objects/shape.h"
#include "allocator/objects/markmap.h"
#include "allocator/base/syscall.h"
#include "allocator/pages/meta.h"
#include "allocator/os/os.h"
#include "allocator/pages/range.h"

/* ---- birth and end ------------------------------------------------------------------------ */

static void explain(char *err, size_t errlen, const char *what)
{
	if (err != NULL && errlen > 0)
		snprintf(err, errlen, "%s", what);
}

/* Address space is free: take so much that the heap never has to ask for a second range. */
static size_t default_reserve(void)
{
	struct sysinfo si;
	size_t memory;

	/* Not sysconf: in some libraries that reads a file, through malloc, which may be us. */
	if (sm__syscall6(SYS_sysinfo, (long)&si, 0, 0, 0, 0, 0) != 0)
		return 256 * SM_GIB;
	memory = (size_t)si.totalram * si.mem_unit;
	return memory * 8 > 256 * SM_GIB ? sm_align_up(memory * 8, SM_GIB) : 256 * SM_GIB;
}

/* The pointer-free bins: class c is bin c, so that sm_new_bytes needs no type. */
static int make_first_bins(struct sm_heap *h)
{
	const struct sm_layout pointer_free = {.kind = SM_SCAN_NONE};

	for (unsigned c = 1; c < sm__nclasses; c++) {
		int bin = sm__heap_bin(h, c, sm__heap_layout(h, &pointer_free), false);

		if (bin < 0)
			return bin;
		SM_ASSERT(bin == (int)c);
	}
	return 0;
}

static int create_parts(struct sm_heap *h, char *err, size_t errlen)
{
	unsigned i;
	int e;

	e = sm__range_create(&h->pages, &h->config, err, errlen);
	if (e != 0)
		return e;
	e = sm__meta_init(&h->pages);
	if (e == 0) {
		h->central = sm__meta_alloc(&h->pages, (size_t)h->pages.nnodes * SM_BINS_MAX *
							       sizeof(*h->central));
		h->large = sm__meta_alloc(&h->pages, h->pages.nnodes * sizeof(*h->large));
		h->layouts = sm__layouts_create(h);
		h->ncpus = sm__rseq_cpus();
		h->dead_classes = sm__meta_alloc(&h->pages, h->ncpus * sizeof(*h->dead_classes));
	}
	if (e != 0 || h->dead_classes == NULL || h->central == NULL || h->large == NULL ||
	    h->layouts == NULL) {
		explain(err, errlen,
			"no memory for the heap's own tables (heap.limit, RLIMIT_AS?)");
		return -ENOMEM;
	}
	for (i = 0; i < h->pages.nnodes; i++)
		sm_lock_init(&h->large[i].lock, SM_RANK_CENTRAL);
	sm_store_relaxed(&h->nbins, 1);
	h->nkinds = 1;
	e = make_first_bins(h);
	if (e != 0)
		explain(err, errlen, "no room for the bins of pointer-free objects");
	return e;
}

struct sm_class_counts *sm__dead_counts(struct sm_heap *h, struct sm_class_counts **rows,
					unsigned cpu, bool make)
{
	if (rows[cpu] == NULL && make)
		rows[cpu] = sm__meta_alloc(&h->pages, sm__nclasses * sizeof(**rows));
	return rows[cpu];
}

struct sm_heap *sm__heap_create(const struct sm_heap_config *cfg, char *err, size_t errlen)
{
	struct sm_heap *h = sm__os_map_guarded(sizeof(*h));
	int e;

	if (h == NULL) {
		explain(err, errlen, "no memory for the heap itself");
		errno = ENOMEM;
		return NULL;
	}
	h->config = *cfg;
	if (h->config.reserve == 0)
		h->config.reserve = default_reserve();
	sm_lock_init(&h->bins_lock, SM_RANK_BINS);
	sm_lock_init(&h->caches_lock, SM_RANK_CACHES);
	e = create_parts(h, err, errlen);
	if (e != 0) {
		sm__heap_destroy(h);
		errno = -e;
		return NULL;
	}
	return h;
}

void sm__heap_destroy(struct sm_heap *h)
{
	if (h == NULL)
		return;
	sm__markmap_destroy(h);
	sm__meta_fini(&h->pages);
	sm__range_destroy(&h->pages);
	sm__os_unmap_guarded(h, sizeof(*h));
}

void sm__heap_set_hooks(struct sm_heap *h, const struct sm_heap_hooks *hooks)
{
	h->hooks = *hooks;
	/* Here, since the malloc heap, which sets no hooks, has caches per CPU of its own kind. */
	if (h->config.cache_mode == SM_CACHE_CPU && h->cpus == NULL)
		(void)sm__cache_cpu_init(h);
}

/* ---- bins --------------------------------------------------------------------------------- */

static int find_bin(const struct sm_heap *h, const struct sm_bin *b)
{
	uint32_t n = sm_load_acquire(&h->nbins), i;

	for (i = 1; i < n; i++)
		if (h->bins[i].layout == b->layout && h->bins[i].cls == b->cls &&
		    h->bins[i].zero == b->zero)
			return (int)i;
	return -ENOENT;
}

static int add_bin_locked(struct sm_heap *h, const struct sm_bin *b)
{
	uint32_t n = sm_load_relaxed(&h->nbins);
	unsigned node;

	if (n == SM_BINS_MAX)
		return -ENOSPC;
	h->bins[n] = *b;
	h->bins[n].kind =
		(uint8_t)sm__markmap_kind(h, sm__sizeclasses[b->cls].slot_bytes, b->layout);
	for (node = 0; node < h->pages.nnodes; node++)
		sm_lock_init(&sm__central_of(h, node, n)->lock, SM_RANK_CENTRAL);
	/* A thread that sees the new count sees the bin and its locks. */
	sm_store_release(&h->nbins, n + 1);
	return (int)n;
}

int sm__heap_bin(struct sm_heap *h, unsigned cls, const struct sm_layout *layout, bool zero)
{
	struct sm_bin b = {.layout = layout,
			   .cls = (uint8_t)cls,
			   .zero = zero,
			   .shared = layout->kind == SM_SCAN_MIXED};
	int bin = find_bin(h, &b);

	SM_CHECK(cls > 0 && cls < sm__nclasses);
	if (bin >= 0)
		return bin;
	sm_lock_acquire(&h->bins_lock);
	bin = find_bin(h, &b);
	if (bin < 0)
		bin = add_bin_locked(h, &b);
	sm_lock_release(&h->bins_lock);
	return bin;
}
