/* stackpool.c: lists of stacks by size. */
#include "allocator/pages/stackpool.h"

#include "allocator/pages/pageheap_internal.h"

unsigned sm__stackpool_order(const struct sm_pages *pg, size_t bytes)
{
	size_t units = (bytes + SM_UNIT - 1) / SM_UNIT + 1; /* and the guard */
	unsigned order = units <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(units - 1);

	if (bytes > pg->range.bytes || order >= SM_STACK_ORDERS ||
	    (size_t)1 << order >= sm__ph(pg)->nodes[0].units)
		return SM_STACK_ORDERS;
	return order;
}

/* From this node's list, or NULL. */
static struct sm_span *pool_take(struct sm_pages *pg, unsigned node, unsigned order)
{
	struct sm_stack_pool *pool = &sm__ph(pg)->stacks;
	struct sm_stack_list *list = &pool->list[order];
	uint32_t *link = &list->first;
	struct sm_span *s = NULL;

	sm_lock_acquire(&pool->lock);
	/* Lists are short: what a node has in excess goes back after a round. */
	while (*link != 0 && pg->range.spans[*link].node != node)
		link = &pg->range.spans[*link].next;
	if (*link != 0) {
		s = &pg->range.spans[*link];
		*link = s->next;
		s->next = 0;
		if (--list->count < list->low)
			list->low = list->count;
	}
	sm_lock_release(&pool->lock);
	return s;
}

static struct sm_span *fresh(struct sm_pages *pg, unsigned node, unsigned order)
{
	struct sm_span *s = sm__pageheap_alloc(pg, node, (size_t)1 << order);

	if (s == NULL)
		return NULL;
	if (sm__os_protect((void *)sm_span_base(&pg->range, s), SM_UNIT, false) != 0) {
		sm__pageheap_free(pg, s);
		return NULL;
	}
	sm_store_release(&s->state, SM_SPAN_STACK);
	return s;
}

struct sm_span *sm__stackpool_take(struct sm_pages *pg, unsigned node, unsigned order)
{
	struct sm_span *s = pool_take(pg, node, order);

	return s != NULL ? s : fresh(pg, node, order);
}

void sm__stackpool_give(struct sm_pages *pg, struct sm_span *s)
{
	struct sm_stack_pool *pool = &sm__ph(pg)->stacks;
	struct sm_stack_list *list = &pool->list[__builtin_ctz(s->nunits)];

	SM_ASSERT(sm_load_relaxed(&s->state) == SM_SPAN_STACK);
	sm_lock_acquire(&pool->lock);
	s->next = list->first;
	list->first = sm_span_unit(&pg->range, s);
	list->count++;
	sm_lock_release(&pool->lock);
}

/* Back to the page heap. When the guard cannot be lifted the stack stays what it is, in the pool.
 */
static bool dissolve(struct sm_pages *pg, struct sm_span *s)
{
	if (sm__os_protect((void *)sm_span_base(&pg->range, s), SM_UNIT, true) != 0)
		return false;
	sm__pageheap_free(pg, s);
	return true;
}

static void trim_list(struct sm_pages *pg, struct sm_stack_pool *pool, struct sm_stack_list *list,
		      bool all)
{
	uint32_t surplus;

	sm_lock_acquire(&pool->lock);
	/* The low-water mark: so many lay here all the time. */
	for (surplus = all ? list->count : list->low; surplus > 0 && list->first != 0; surplus--) {
		struct sm_span *s = &pg->range.spans[list->first];

		list->first = s->next;
		list->count--;
		s->next = 0;
		if (!dissolve(pg, s)) {
			s->next = list->first;
			list->first = sm_span_unit(&pg->range, s);
			list->count++;
			break;
		}
	}
	list->low = list->count;
	sm_lock_release(&pool->lock);
}

void sm__stackpool_trim(struct sm_pages *pg, bool all)
{
	struct sm_stack_pool *pool = &sm__ph(pg)->stacks;

	for (unsigned i = 0; i < SM_STACK_ORDERS; i++)
		trim_list(pg, pool, &pool->list[i], all);
}
