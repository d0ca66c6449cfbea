/* meta.c: power-of-two blocks cut from guarded chunks, one free list for each size. */
#include "allocator/pages/meta.h"

#include <errno.h>
#include <string.h>

#include "allocator/base/lock.h"
#include "allocator/os/os.h"
#include "allocator/pages/range.h"

#define MIN_SHIFT   6  /* a cache line */
#define MAX_SHIFT   40 /* far above anything asked for */
#define CHUNK_BYTES (256 * SM_KIB)

struct free_block {
	struct free_block *next;
};

/* One guarded mapping; the header is its first line. */
struct chunk {
	struct chunk *next;
	size_t bytes;
};

struct sm_meta {
	struct sm_lock lock; /* guards all below */
	struct chunk *chunks;
	char *bump, *bump_end;
	struct free_block *free[MAX_SHIFT + 1];
	size_t bytes;
};

static unsigned shift_of(size_t bytes)
{
	if (bytes <= (size_t)1 << MIN_SHIFT)
		return MIN_SHIFT;
	return 64 - (unsigned)__builtin_clzl(bytes - 1);
}

/* A chunk with at least `usable` bytes behind its header line. The kernel's zeros. */
static struct chunk *chunk_map(struct sm_pages *pg, size_t usable)
{
	size_t bytes = sm_align_up(usable + SM_CACHELINE, sm__os_page_size());
	struct chunk *c;

	if (!sm__range_charge(pg, bytes))
		return NULL;
	c = sm__os_map_guarded(bytes);
	if (c == NULL) {
		sm__range_uncharge(pg, bytes);
		return NULL;
	}
	c->bytes = bytes;
	return c;
}

static void chunk_unmap(struct sm_pages *pg, struct chunk *c)
{
	sm__range_uncharge(pg, c->bytes);
	sm__os_unmap_guarded(c, c->bytes);
}

static char *chunk_end(struct chunk *c)
{
	return (char *)c + c->bytes;
}

int sm__meta_init(struct sm_pages *pg)
{
	struct chunk *c = chunk_map(pg, CHUNK_BYTES - SM_CACHELINE);
	struct sm_meta *m;

	if (c == NULL)
		return -ENOMEM;
	m = (struct sm_meta *)((char *)c + SM_CACHELINE);
	sm_lock_init(&m->lock, SM_RANK_META);
	m->chunks = c;
	m->bump = (char *)m + sm_align_up(sizeof(*m), SM_CACHELINE);
	m->bump_end = chunk_end(c);
	pg->meta = m;
	return 0;
}

void sm__meta_fini(struct sm_pages *pg)
{
	struct sm_meta *m = pg->meta;
	struct chunk *c, *next;

	if (m == NULL)
		return;
	pg->meta = NULL;
	/* The last chunk in the list is the one that m itself lies in. */
	for (c = m->chunks; c != NULL; c = next) {
		next = c->next;
		chunk_unmap(pg, c);
	}
}

/* A block never handed out before: the rest of the current chunk, or a new chunk. */
static void *bump_locked(struct sm_pages *pg, struct sm_meta *m, size_t size)
{
	struct chunk *c;
	char *p;

	if ((size_t)(m->bump_end - m->bump) < size) {
		c = chunk_map(pg, size > CHUNK_BYTES / 2 ? size : CHUNK_BYTES - SM_CACHELINE);
		if (c == NULL)
			return NULL;
		/* In front: the first chunk, where m lies, stays the last in the list. */
		c->next = m->chunks;
		m->chunks = c;
		p = (char *)c + SM_CACHELINE;
		if (size > CHUNK_BYTES / 2)
			return p;
		m->bump = p;
		m->bump_end = chunk_end(c);
	}
	p = m->bump;
	m->bump += size;
	return p;
}

void *sm__meta_alloc(struct sm_pages *pg, size_t bytes)
{
	struct sm_meta *m = pg->meta;
	unsigned shift = shift_of(bytes);
	struct free_block *b;
	void *p;

	if (shift > MAX_SHIFT)
		return NULL;
	sm_lock_acquire(&m->lock);
	b = m->free[shift];
	if (b != NULL) {
		m->free[shift] = b->next;
		p = b;
	} else {
		p = bump_locked(pg, m, (size_t)1 << shift);
	}
	if (p != NULL)
		m->bytes += (size_t)1 << shift;
	sm_lock_release(&m->lock);
	if (b != NULL)
		memset(p, 0, bytes);
	return p;
}

void *sm__meta_pages(struct sm_pages *pg, size_t bytes)
{
	struct sm_meta *m = pg->meta;
	/* The header has the first page. */
	struct chunk *c =
		chunk_map(pg, sm_align_up(bytes, sm__os_page_size()) + sm__os_page_size());

	if (c == NULL)
		return NULL;
	sm_lock_acquire(&m->lock);
	c->next = m->chunks;
	m->chunks = c;
	m->bytes += bytes;
	sm_lock_release(&m->lock);
	return (char *)c + sm__os_page_size();
}

void sm__meta_free(struct sm_pages *pg, void *p, size_t bytes)
{
	struct sm_meta *m = pg->meta;
	struct free_block *b = p;
	unsigned shift = shift_of(bytes);

	if (p == NULL)
		return;
	sm_lock_acquire(&m->lock);
	b->next = m->free[shift];
	m->free[shift] = b;
	m->bytes -= (size_t)1 << shift;
	sm_lock_release(&m->lock);
}

size_t sm__meta_bytes(struct sm_pages *pg)
{
	struct sm_meta *m = pg->meta;
	size_t n;

	sm_lock_acquire(&m->lock);
	n = m->bytes;
	sm_lock_release(&m->lock);
	return n;
}

static struct sm_lock *lock_of(struct sm_pages *pg)
{
	return &((struct sm_meta *)pg->meta)->lock;
}

void sm__meta_fork_prepare(struct sm_pages *pg)
{
	sm_lock_acquire(lock_of(pg));
}

void sm__meta_fork_parent(struct sm_pages *pg)
{
	sm_lock_release(lock_of(pg));
}

void sm__meta_fork_child(struct sm_pages *pg)
{
	sm_lock_init(lock_of(pg), SM_RANK_META);
}
