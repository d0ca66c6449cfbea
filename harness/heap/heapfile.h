/*
 * heapfile.h: a heap dump (sm_heap_dump) read back as a graph, and what can be asked of it.
 *
 * Node 0 stands for all roots together; objects are the nodes from 1 on, in order of address. The
 * edges of node n are to[first[n]] .. to[first[n + 1] - 1].
 */
#ifndef SM_HARNESS_HEAPFILE_H
#define SM_HARNESS_HEAPFILE_H

#include <stddef.h>
#include <stdint.h>

struct sm_heapfile_node {
	uint64_t address, bytes;
	uint32_t type; /* index into types */
};

struct sm_heapfile_root {
	uint64_t at, to; /* at 0: unknown */
	char kind[16];
	int thread; /* 0: none */
};

struct sm_heapfile {
	struct sm_heapfile_node *nodes;
	size_t n; /* node 0 included */
	size_t *first, *to;
	struct sm_heapfile_root *roots;
	size_t nroots;
	char **types;
	size_t ntypes;
};

/* 0; -1 with one line in err: the file cannot be read, or is no dump. Free it in either case. */
int sm_heapfile_read(struct sm_heapfile *h, const char *path, char *err, size_t errlen);
void sm_heapfile_free(struct sm_heapfile *h);
/* The node of the object that an address lies in; 0: none. */
size_t sm_heapfile_find(const struct sm_heapfile *h, uint64_t address);
/*
 * parent[n]: the node before n on a shortest path from node 0; SIZE_MAX for node 0 and what cannot
 * be reached (Dijkstra's order is that of a queue, for all edges weigh the same). The caller frees
 * it; NULL: no memory.
 */
size_t *sm_heapfile_paths(const struct sm_heapfile *h);
/*
 * idom[n]: the last node that every path from node 0 to n goes through; by Cooper, Harvey and
 * Kennedy, "A simple, fast dominance algorithm" (2001). retained[n]: the bytes of all that n
 * dominates, itself included: what would go with it. SIZE_MAX and 0 where nothing leads. Both the
 * caller's to free; -1: no memory.
 */
int sm_heapfile_dominators(const struct sm_heapfile *h, size_t **idom, uint64_t **retained);

#endif
