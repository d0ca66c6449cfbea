/*
 * unit_class.c: the class of the malloc span at each unit, a byte: all that free() looks at beside
 * the object.
 *
 * A descriptor is two cache lines; of a program with some thousand objects alive, free() touches
 * all its spans' descriptors in turn, and they do not stay in the first level of cache. A byte
 * does: 64 spans to a line, and a few lines of what a class's spans look like.
 *
 *     class 1..127    the unit is the head of a span in state SM_SPAN_MALLOC, of that class
 *     128 + n         the head of such a span is n units before
 *     0               neither
 *
 * free() is at its fastest in a head: of an object that starts in a unit behind it, it looks at a
 * second byte (sm__malloc_class_at).
 *
 * A byte changes with the span's state, under the lock of the class's depot, while no object of the
 * span is in use; a thread that is handed one is ordered behind it.
 *
 * The table covers the range, reads as zero from the start, and lies between inaccessible pages. A
 * page of it, for 64 MiB of heap, becomes writable with the first span there. (Too little to count
 * towards heap.limit.) Of a sparse range it is range.unit_bytes: there where the heap has ever
 * been, so that free() of an address where it has not is a fault, as it is in other allocators.
 */
#include "allocator/base/bitset.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/pages/meta.h"
#include "allocator/os/os.h"

struct sm_slot_test sm__slot_tests[256];

_Static_assert(SM_NCLASSES_MAX <= SM_UNIT_BEHIND, "a byte is a class, or units back");

static _Atomic(uint64_t) *writable; /* a bit for each page of the table */

/*
 * offset * recip = q * (recip * slot - 2^32) + r * recip (mod 2^32), with slot q and r bytes into
 * it. At a start (r = 0) of one of the nslots slots that is at most (nslots - 1) * (recip * slot -
 * 2^32); anywhere else it is larger: test_sizeclass tries every offset of every class.
 */
static uint32_t start_max_of(const struct sm_sizeclass *k)
{
	return (uint32_t)((k->nslots - 1u) *
			  ((uint64_t)k->recip * k->slot_bytes - (UINT64_C(1) << 32))) +
	       1;
}

static bool reserve_table(struct sm_process_heap *g)
{
	size_t page = sm__os_page_size();
	size_t bytes = sm_align_up(g->heap->pages.range.bytes >> SM_UNIT_SHIFT, page);
	uint8_t *table = sm__os_reserve_readable(bytes + 2 * page);

	writable = sm__meta_alloc(&g->heap->pages, (bytes / page + 63) / 64 * sizeof(*writable));
	if (table == NULL || writable == NULL) {
		if (table != NULL)
			sm__os_unmap(table, bytes + 2 * page);
		return false;
	}
	(void)sm__os_protect(table, page, false);
	(void)sm__os_protect(table + page + bytes, page, false);
	g->classes = table + page;
	return true;
}

bool sm__munits_init(void)
{
	struct sm_process_heap *g = &sm__process_heap;

	g->classes = g->heap->pages.range.unit_bytes;
	if (g->classes == NULL && !reserve_table(g))
		return false;
	for (unsigned cls = 1; cls < sm__nclasses; cls++)
		sm__slot_tests[cls] = (struct sm_slot_test){
			.recip = sm__sizeclasses[cls].recip,
			.start_max = start_max_of(&sm__sizeclasses[cls]),
		};
	return true;
}

/* Page i of the table. */
static bool make_writable(struct sm_process_heap *g, size_t i, size_t page)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	if (SM_LIKELY(sm_load_acquire(&writable[i / 64]) & bit))
		return true;
	/* Two threads at once do the same twice. */
	if (sm__os_commit(g->classes + i * page, page) != 0)
		return false;
	sm_fetch_or_acqrel(&writable[i / 64], bit);
	return true;
}

bool sm__munits_prepare(const struct sm_span *s)
{
	struct sm_process_heap *g = &sm__process_heap;
	size_t page = sm__os_page_size(), unit = sm_span_unit(&g->heap->pages.range, s);

	return g->heap->pages.sparse || (make_writable(g, unit / page, page) &&
					 make_writable(g, (unit + s->nunits - 1) / page, page));
}

/* What the table has of unit i of a span of the class. */
static uint8_t entry_of(unsigned cls, uint32_t i)
{
	return (uint8_t)(i == 0 || cls == 0 ? cls : SM_UNIT_BEHIND + i);
}

void sm__munits_set_locked(const struct sm_span *s, unsigned cls)
{
	struct sm_process_heap *g = &sm__process_heap;
	uint8_t *entry = &g->classes[sm_span_unit(&g->heap->pages.range, s)];

	/* Atomic for the sake of frees of addresses that are no objects. */
	for (uint32_t i = 0; i < s->nunits; i++)
		__atomic_store_n(&entry[i], entry_of(cls, i), __ATOMIC_RELAXED);
}

const char *sm__munits_check(const struct sm_span *s)
{
	struct sm_process_heap *g = &sm__process_heap;
	unsigned cls = sm_load_relaxed(&s->state) == SM_SPAN_MALLOC ? s->cls : 0;
	const uint8_t *entry = &g->classes[sm_span_unit(&g->heap->pages.range, s)];

	for (uint32_t i = 0; i < s->nunits; i++)
		if (entry[i] != entry_of(cls, i))
			return "the class that free() would see is not the span's";
	return NULL;
}
