/* stack.c: stacks of a heap. */
#include "spanmark/stack.h"

#include <errno.h>

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
