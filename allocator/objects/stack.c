/* stack.c: stacks of a heap, and threads that run on them. */
#include "spanmark/stack.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "allocator/objects/heap.h"
#include "allocator/pages/stackpool.h"

int sm_stack_alloc(struct sm_heap *h, unsigned node, size_t bytes, struct sm_stack *out)
{
	unsigned order =
		sm__stackpool_order(&h->pages, bytes < SM_STACK_MIN ? SM_STACK_MIN : bytes);
	struct sm_span *s;

	if (order >= SM_STACK_ORDERS)
		return -EINVAL;
	s = sm__stackpool_take(&h->pages, node, order);
	if (s == NULL)
		return -ENOMEM;
	out->span = s;
	out->low = (char *)sm_span_base(&h->pages.range, s) + SM_UNIT;
	out->bytes = sm_span_bytes(s) - SM_UNIT;
	return 0;
}

void sm_stack_free(struct sm_heap *h, struct sm_stack *st)
{
	sm__stackpool_give(&h->pages, st->span);
	st->span = NULL;
}

/* ---- threads ------------------------------------------------------------------------------ */

static void *stack_thread_main(void *arg)
{
	struct sm_stack_thread *t = arg;
	void *value;

	(void)pthread_setname_np(pthread_self(), t->name);
	/* Without a signal stack (no memory) an overflow is a bare SIGSEGV; the thread runs all the
	 * same. */
	(void)sm_stack_watch(t->name);
	value = t->run(t->arg);
	sm_stack_unwatch();
	return value;
}

int sm_stack_thread_start(struct sm_stack_thread *t, struct sm_heap *h, unsigned node,
			  size_t stack_bytes, const char *name, void *(*run)(void *arg), void *arg)
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
		err = pthread_create(&t->id, &attr, stack_thread_main, t);
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
