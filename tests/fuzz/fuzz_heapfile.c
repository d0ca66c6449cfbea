/* fuzz_heapfile.c: heap dumps, and what is asked of them: `spanmark heap`. */
#include "harness/heap/heapfile.h"
#include "tests/fuzz/fuzz.h"

static void ask(const struct sm_heapfile *h)
{
	size_t *parent = sm_heapfile_paths(h), *idom;
	uint64_t *retained, total = 0;

	FUZZ_MUST(parent != NULL);
	FUZZ_MUST(sm_heapfile_dominators(h, &idom, &retained) == 0);
	for (size_t i = 1; i < h->n; i++) {
		FUZZ_MUST(sm_heapfile_find(h, h->nodes[i].address) == i);
		/* Reached by a path, dominated by something: the same. */
		FUZZ_MUST((parent[i] == SIZE_MAX) == (idom[i] == SIZE_MAX));
		FUZZ_MUST(idom[i] == SIZE_MAX || retained[i] >= h->nodes[i].bytes);
		total += idom[i] != SIZE_MAX ? h->nodes[i].bytes : 0;
	}
	FUZZ_MUST(retained[0] == total);
	free(parent);
	free(idom);
	free(retained);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sm_heapfile h;
	char err[300] = "";

	if (sm_heapfile_read(&h, fuzz_file(data, size), err, sizeof(err)) == 0)
		ask(&h);
	else
		fuzz_reason(err);
	sm_heapfile_free(&h);
	return 0;
}
