/*
 * fuzz_topology.c: machines from XML, and from a synthetic description when the input does not look
 * like XML; then every placement of some threads on what came out.
 */
#include <string.h>

#include "perf/placement.h"
#include "perf/topology.h"
#include "tests/fuzz/fuzz.h"

static char err[768];

static void check_numbers(const struct sm_topology *t)
{
	FUZZ_MUST(t->n_pus > 0 && t->n_cores > 0 && t->n_nodes > 0 && t->n_packages > 0);
	for (int i = 0; i < t->n_pus; i++) {
		const struct sm_topo_pu *p = &t->pus[i];

		FUZZ_MUST(p->core >= 0 && p->core < t->n_cores);
		FUZZ_MUST(p->node >= 0 && p->node < t->n_nodes);
		FUZZ_MUST(p->package >= 0 && p->package < t->n_packages);
		FUZZ_MUST(p->l3 >= SM_NONE && p->l3 < t->n_l3s);
		FUZZ_MUST(sm_topology_pu(t, p->os) == i);
	}
	for (int i = 0; i < t->n_nodes; i++)
		FUZZ_MUST(sm_topology_node(t, t->nodes[i].os) == i);
	for (int i = 0; i < t->n_nodes; i++)
		for (int j = 0; j < t->n_nodes; j++)
			(void)sm_topology_distance(t, i, j);
}

static void place(const struct sm_topology *t)
{
	static const unsigned threads[] = {1, 3, 8};
	char text[SM_PLACED_TEXT];

	for (int p = 0; p < SM_PLACE_NONE + 1; p++) {
		for (int m = 0; m < SM_MARK_NONE + 1; m++) {
			struct sm_place_request r = {.place = (enum sm_place)p,
						     .mark_place = (enum sm_mark_place)m,
						     .threads = threads[(p + m) % 3],
						     .workers = (unsigned)m % 3};
			struct sm_placement placed = {0};

			err[0] = '\0';
			if (sm_placement_plan(t, &r, &placed, err, sizeof(err)) == 0)
				sm_placement_describe(t, &placed, text, sizeof(text));
			else
				fuzz_reason(err);
			sm_placement_free(&placed);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sm_topology_source from = {0};
	char *text = fuzz_text(data, size);
	struct sm_topology *t;

	if (memchr(text, '<', size) != NULL)
		from.xml = fuzz_file(data, size);
	else
		from.synthetic = text;
	err[0] = '\0';
	if (sm_topology_load(&from, &t, err, sizeof(err)) == 0) {
		check_numbers(t);
		place(t);
	} else {
		FUZZ_MUST(err[0] != '\0');
	}
	sm_topology_free(t);
	free(text);
	return 0;
}
