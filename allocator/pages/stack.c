#include "spanmark/stack.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "allocator/pages/pageheap_internal.h"

/* ---- the pool ---------------------------------------------------------------------------------------------- */

static unsigned order_of(size_t bytes)
{
	size_t units = (bytes + SM_UNIT - 1) / SM_UNIT + 1; /* and the guard */

	return units <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(units - 1);
}

static void describe(struct sm_heap *h, struct sm_span *s, struct sm_stack *out)
{
	out->span = s;
	out->low = (char *)sm_span_base(&h->range, s) + SM_UNIT;
	out->bytes = sm_span_bytes(s) - SM_UNIT;
}

/* From this node's list, or NULL. */
static struct sm_span *pool_take(struct sm_heap *h, unsigned node, unsigned order)
{
	struct sm_stack_pool *pool = &sm__ph(h)->stacks;
	struct sm_stack_list *list = &pool->list[order];
	uint32_t *link = &list->first;
	struct sm_span *s = NULL;

	sm_lock_acquire(&pool->lock);
	/* Lists are short: what a node has in excess goes back after a round. */
	while (*link != 0 && h->range.spans[*link].node != node)
		link = &h->range.spans[*link].next;
	if (*link != 0) {
		s = &h->range.spans[*link];
		*link = s->next;
		s->next = 0;
		if (--list->count < list->low)
			list->low = list->count;
	}
	sm_lock_release(&pool->lock);
	return s;
}

static struct sm_span *fresh(struct sm_heap *h, unsigned node, unsigned order)
{
	struct sm_span *s = sm__pageheap_alloc(h, node, (size_t)1 << order);

	if (s == NULL)
		return NULL;
	if (sm__os_protect((void *)sm_span_base(&h->range, s), SM_UNIT, false) != 0) {
		sm__pageheap_free(h, s);
		return NULL;
	}
	sm_store_release(&s->state, SM_SPAN_STACK);
	return s;
}

int sm_stack_alloc(struct sm_heap *h, unsigned node, size_t bytes, struct sm_stack *out)
{
	size_t want = bytes < SM_STACK_MIN ? SM_STACK_MIN : bytes;
	unsigned order = want > h->range.bytes ? SM_STACK_ORDERS : order_of(want);
	struct sm_span *s;

	if (order >= SM_STACK_ORDERS || (size_t)1 << order >= sm__ph(h)->nodes[0].units)
		return -EINVAL;
	s = pool_take(h, node, order);
	if (s == NULL)
		s = fresh(h, node, order);
	if (s == NULL)
		return -ENOMEM;
	describe(h, s, out);
	return 0;
}

void sm_stack_free(struct sm_heap *h, struct sm_stack *st)
{
	struct sm_stack_pool *pool = &sm__ph(h)->stacks;
	struct sm_span *s = st->span;
	struct sm_stack_list *list = &pool->list[__builtin_ctz(s->nunits)];

	SM_ASSERT(sm_load_relaxed(&s->state) == SM_SPAN_STACK);
	sm_lock_acquire(&pool->lock);
	s->next = list->first;
	list->first = sm_span_unit(&h->range, s);
	list->count++;
	sm_lock_release(&pool->lock);
	st->span = NULL;
}

/* Back to the page heap. When the guard cannot be lifted the stack stays what it is, in the pool. */
static bool dissolve(struct sm_heap *h, struct sm_span *s)
{
	if (sm__os_protect((void *)sm_span_base(&h->range, s), SM_UNIT, true) != 0)
		return false;
	sm__pageheap_free(h, s);
	return true;
}

static void trim_list(struct sm_heap *h, struct sm_stack_pool *pool, struct sm_stack_list *list, bool all)
{
	uint32_t surplus;

	sm_lock_acquire(&pool->lock);
	/* The low-water mark: so many lay here all the time. */
	for (surplus = all ? list->count : list->low; surplus > 0 && list->first != 0; surplus--) {
		struct sm_span *s = &h->range.spans[list->first];

		list->first = s->next;
		list->count--;
		s->next = 0;
		if (!dissolve(h, s)) {
			s->next = list->first;
			list->first = sm_span_unit(&h->range, s);
			list->count++;
			break;
		}
	}
	list->low = list->count;
	sm_lock_release(&pool->lock);
}

void sm__stack_trim(struct sm_heap *h, bool all)
{
	struct sm_stack_pool *pool = &sm__ph(h)->stacks;

	for (unsigned i = 0; i < SM_STACK_ORDERS; i++)
		trim_list(h, pool, &pool->list[i], all);
}

/* ---- threads ----------------------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	struct sm_stack_thread *t = arg;
	void *value;

	(void)pthread_setname_np(pthread_self(), t->name);
	/* Without a signal stack (no memory) an overflow is a bare SIGSEGV; the thread runs all the same. */
	(void)sm_stack_watch(t->name);
	value = t->run(t->arg);
	sm_stack_unwatch();
	return value;
}

int sm_stack_thread_start(struct sm_stack_thread *t, struct sm_heap *h, unsigned node, size_t stack_bytes,
			  const char *name, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int err;

	memset(t, 0, sizeof(*t));
	t->heap = h;
	t->run = run;
	t->arg = arg;
	/* 15 bytes are what the kernel keeps of a thread's name. */
	snprintf(t->name, 16, "%s", name);
	err = sm_stack_alloc(h, node, stack_bytes, &t->stack);
	if (err != 0)
		return err;
	pthread_attr_init(&attr);
	err = pthread_attr_setstack(&attr, t->stack.low, t->stack.bytes);
	if (err == 0)
		err = pthread_create(&t->id, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	if (err != 0)
		sm_stack_free(h, &t->stack);
	return -err;
}

void *sm_stack_thread_join(struct sm_stack_thread *t)
{
	void *value = NULL;

	SM_CHECK(pthread_join(t->id, &value) == 0);
	sm_stack_free(t->heap, &t->stack);
	return value;
}
