/*
 * heapgraph.c: shortest paths and dominators of a heap dump's graph.
 */
#include "harness/heap/heapfile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t *sm_heapfile_paths(const struct sm_heapfile *h)
{
	size_t *parent = malloc(h->n * sizeof(*parent)), *queue = malloc(h->n * sizeof(*queue));
	size_t head = 0, tail = 0;

	if (!parent || !queue) {
		free(parent);
		free(queue);
		return NULL;
	}
	memset(parent, 0xff, h->n * sizeof(*parent));
	queue[tail++] = 0;
	while (head < tail) {
		size_t n = queue[head++];

		for (size_t e = h->first[n]; e < h->first[n + 1]; e++) {
			size_t to = h->to[e];

			if (to == 0 || parent[to] != SIZE_MAX)
				continue;
			parent[to] = n;
			queue[tail++] = to;
		}
	}
	free(queue);
	return parent;
}

/* order: nodes as a depth-first walk leaves them; number[n]: n's place in it, SIZE_MAX: not
 * reached. */
static size_t postorder(const struct sm_heapfile *h, size_t *order, size_t *number, size_t *stack,
			size_t *edge)
{
	size_t depth = 1, n = 0;

	memset(number, 0xff, h->n * sizeof(*number));
	memcpy(edge, h->first, h->n * sizeof(*edge));
	stack[0] = 0;
	number[0] = 0; /* seen; the place comes when it is left */
	while (depth > 0) {
		size_t at = stack[depth - 1];

		if (edge[at] < h->first[at + 1]) {
			size_t to = h->to[edge[at]++];

			if (number[to] == SIZE_MAX) {
				number[to] = 0;
				stack[depth++] = to;
			}
			continue;
		}
		number[at] = n;
		order[n++] = at;
		depth--;
	}
	return n;
}

static size_t common(const size_t *idom, const size_t *number, size_t a, size_t b)
{
	while (a != b) {
		while (number[a] < number[b])
			a = idom[a];
		while (number[b] < number[a])
			b = idom[b];
	}
	return a;
}

/* Edges forward, in reverse postorder: each node meets the dominators of its predecessors. */
static void find_dominators(const struct sm_heapfile *h, size_t *idom, const size_t *order,
			    const size_t *number, size_t n)
{
	bool changed = true;

	memset(idom, 0xff, h->n * sizeof(*idom));
	idom[0] = 0;
	while (changed) {
		changed = false;
		for (size_t i = n; i-- > 0;) {
			size_t from = order[i];

			for (size_t e = h->first[from]; e < h->first[from + 1]; e++) {
				size_t to = h->to[e], d;

				if (to == 0)
					continue;
				d = idom[to] == SIZE_MAX ? from
							 : common(idom, number, idom[to], from);
				if (d != idom[to]) {
					idom[to] = d;
					changed = true;
				}
			}
		}
	}
}

int sm_heapfile_dominators(const struct sm_heapfile *h, size_t **idom_out, uint64_t **retained_out)
{
	size_t *work = malloc(4 * h->n * sizeof(*work)), *idom = malloc(h->n * sizeof(*idom));
	uint64_t *retained = calloc(h->n, sizeof(*retained));
	size_t *order = work, *number, n;

	*idom_out = idom;
	*retained_out = retained;
	if (!work || !idom || !retained) {
		free(work);
		free(idom);
		free(retained);
		return -1;
	}
	number = work + h->n;
	n = postorder(h, order, number, work + 2 * h->n, work + 3 * h->n);
	find_dominators(h, idom, order, number, n);
	/* What a node dominates is left before it is. */
	for (size_t i = 0; i < n; i++) {
		size_t at = order[i];

		retained[at] += h->nodes[at].bytes;
		if (at != 0)
			retained[idom[at]] += retained[at];
	}
	idom[0] = SIZE_MAX;
	free(work);
	return 0;
}
