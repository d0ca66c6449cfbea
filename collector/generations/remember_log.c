/* remember_log.c: chunks of logs, and the blocks that they are mapped in. */
#include "collector/generations/remember_log.h"

#include "allocator/os/os.h"

static struct sm_log_block *map_block(void)
{
	struct sm_log_block *b = sm__os_map(sizeof(*b));

	for (size_t i = 0; b != NULL && i < SM_LOG_CHUNKS; i++) {
		b->chunk[i].block = b;
		b->chunk[i].next = i + 1 < SM_LOG_CHUNKS ? &b->chunk[i + 1] : NULL;
	}
	return b;
}

static void add_block_locked(struct sm_remember *r)
{
	struct sm_log_block *b = r->blocks_left != 0 ? map_block() : NULL;

	if (b == NULL)
		return;
	r->blocks_left--;
	sm_fetch_add_relaxed(&r->log_bytes, sizeof(*b));
	b->next = r->blocks;
	r->blocks = b;
	b->chunk[SM_LOG_CHUNKS - 1].next = r->free;
	r->free = &b->chunk[0];
}

/* NULL: no memory. */
static struct sm_log_chunk *take_chunk(struct sm_remember *r)
{
	struct sm_log_chunk *c;

	sm_lock_acquire(&r->lock);
	if (r->free == NULL)
		add_block_locked(r);
	c = r->free;
	if (c != NULL) {
		r->free = c->next;
		r->taken[0]++;
	}
	sm_lock_release(&r->lock);
	if (c != NULL)
		c->n = 0;
	return c;
}

void sm__log_push(struct sm_remember *r, struct sm_log_chunk **list, struct sm_log_chunk *c)
{
	sm_lock_acquire(&r->lock);
	c->next = *list;
	*list = c;
	sm_lock_release(&r->lock);
}

bool sm__log_append(struct sm_remember *r, struct sm_log_chunk **at, struct sm_log_chunk **full,
		    uintptr_t entry)
{
	struct sm_log_chunk *c = *at;

	if (c == NULL || c->n == SM_LOG_ENTRIES) {
		if (c != NULL)
			sm__log_push(r, full, c);
		*at = c = take_chunk(r);
		if (c == NULL)
			return false;
	}
	c->entry[c->n++] = entry;
	return true;
}

void sm__log_fini(struct sm_remember *r)
{
	while (r->blocks != NULL) {
		struct sm_log_block *b = r->blocks;

		r->blocks = b->next;
		sm__os_unmap(b, sizeof(*b));
	}
}

/* ---- giving back -------------------------------------------------------------------------- */

/* What trim has in its hands: mutators wait for the lock, so it is not held while lists are gone
 * through. */
struct trim {
	struct sm_log_chunk *chunks, *kept, **kept_end;
	struct sm_log_block *blocks, *left, **left_end;
	size_t have, keep;
};

/* A block's worth stays on the free list: a mutator that takes one meanwhile maps nothing. */
static void begin_locked(struct sm_remember *r, struct trim *t)
{
	struct sm_log_chunk **at = &r->free;

	t->keep = r->taken[0] > r->taken[1] ? r->taken[0] : r->taken[1];
	r->taken[1] = r->taken[0];
	r->taken[0] = 0;
	for (unsigned i = 0; i < SM_LOG_CHUNKS && *at != NULL; i++)
		at = &(*at)->next;
	t->chunks = *at;
	*at = NULL;
	t->blocks = r->blocks;
	r->blocks = NULL;
}

static void end_locked(struct sm_remember *r, struct trim *t)
{
	*t->kept_end = r->free;
	r->free = t->kept;
	*t->left_end = r->blocks;
	r->blocks = t->left;
}

/* Which of its chunks it has, and how many. */
static void count(struct trim *t)
{
	t->have = 0;
	for (struct sm_log_block *b = t->blocks; b != NULL; b = b->next) {
		b->idle = 0;
		b->going = false;
	}
	for (struct sm_log_chunk *c = t->chunks; c != NULL; c = c->next) {
		c->block->idle++;
		t->have++;
	}
}

static void choose(struct trim *t)
{
	for (struct sm_log_chunk *c = t->chunks, *next; c != NULL; c = next) {
		next = c->next;
		if (!c->block->going && c->block->idle == SM_LOG_CHUNKS &&
		    t->have >= t->keep + SM_LOG_CHUNKS) {
			c->block->going = true;
			t->have -= SM_LOG_CHUNKS;
		}
		if (c->block->going)
			continue;
		*t->kept_end = c;
		t->kept_end = &c->next;
	}
}

static size_t unmap(struct sm_remember *r, struct trim *t)
{
	size_t n = 0;

	for (struct sm_log_block *b = t->blocks, *next; b != NULL; b = next) {
		next = b->next;
		if (b->going) {
			sm__os_unmap(b, sizeof(*b));
			sm_fetch_sub_relaxed(&r->log_bytes, sizeof(*b));
			n++;
		} else {
			*t->left_end = b;
			t->left_end = &b->next;
		}
	}
	return n;
}

void sm__log_trim(struct sm_remember *r)
{
	struct trim t = {.kept_end = &t.kept, .left_end = &t.left};
	size_t unmapped;

	sm_lock_acquire(&r->lock);
	begin_locked(r, &t);
	sm_lock_release(&r->lock);
	count(&t);
	choose(&t);
	unmapped = unmap(r, &t);
	sm_lock_acquire(&r->lock);
	end_locked(r, &t);
	r->blocks_left += unmapped;
	sm_lock_release(&r->lock);
}
