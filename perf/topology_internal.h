/* What topology.c (loading) asks of topology_kinds.c. */
#ifndef SM_PERF_TOPOLOGY_INTERNAL_H
#define SM_PERF_TOPOLOGY_INTERNAL_H

#include <hwloc.h>

#include "perf/topology.h"

#define SM__TOPOLOGY_KINDS 64 /* of hwloc's that are looked at */

/* map[hwloc's kind] = ours; says in t whether they are ranked. Returns how many there are. */
int sm__topology_kinds(hwloc_topology_t hw, struct sm_topology *t, int *map);

#endif
