/*
 * The machine as the placement planner and the reports see it.
 *
 * hwloc reads the topology of this machine, of an XML file (lstopo --of xml) or of a synthetic
 * string; it is flattened here, once, into arrays of PUs, cores, L3s, nodes and packages that refer
 * to each other by index. Everything above works on these arrays alone: placement.h is a pure
 * function of them, tests build machines that do not exist, and hwloc is not asked again.
 *
 * Units: sizes in bytes. "os" is the operating system's number (sparse, may have holes); everything
 * called an index counts from 0 without holes, in topology order (siblings of a core are
 * neighbours). SM_NONE is "there is none".
 *
 * A PU's node is the NUMA node that the kernel allocates from when a thread runs there: the
 * smallest one that contains the PU, the lowest os number among equals (DRAM before HBM or CXL). A
 * node that is no PU's node has has_cpu = false: CPU-less (CXL, HBM, persistent memory).
 *
 * A topology that is not this system's (is_thissystem false) is for planning only: pinning refuses
 * it.
 */
#ifndef SM_PERF_TOPOLOGY_H
#define SM_PERF_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SM_NONE (-1)

/* Distance reported where the machine states none: 10 on the diagonal, 20 elsewhere, as Linux does.
 */
#define SM_TOPO_LOCAL_DISTANCE	10
#define SM_TOPO_REMOTE_DISTANCE 20

struct sm_topo_pu {
	int os;	     /* CPU number of the operating system */
	int core;    /* index into cores */
	int smt;     /* 0 for the first PU of its core, 1 for its sibling, ... */
	int l3;	     /* index into l3s, SM_NONE where the machine shows no L3 */
	int node;    /* index into nodes */
	int package; /* index into packages */
	/* core kind, the fastest is the last where kinds_ranked; 0 on uniform machines */
	int kind;
	bool allowed; /* by cgroup and by the affinity mask the process started with */
};

struct sm_topo_core {
	/* index of the PU with smt 0; the core's PUs are first_pu .. first_pu + n_pus - 1 */
	int first_pu;
	int n_pus;
	int l3, node, package, kind;
};

struct sm_topo_l3 {
	int package, node;
	int n_pus;
	uint64_t size;
};

struct sm_topo_node {
	int os;
	uint64_t memory; /* bytes, 0 where unknown */
	bool has_cpu;	 /* some PU's own node */
	bool allowed;	 /* the cgroup lets us allocate there */
	int package;	 /* SM_NONE when it spans packages */
	int n_pus;	 /* PUs whose own node this is */
};

struct sm_topo_package {
	int os;
	int n_pus;
};

/* One level of data cache as the first PU sees it; size 0 = not reported. */
struct sm_topo_cache {
	uint64_t size;
	unsigned line;
	unsigned ways; /* 0 = not reported, -1u = fully associative */
};

struct sm_topology {
	char source[128]; /* "this machine", "xml:FILE", "synthetic:STRING" */
	char cpu_model[96];
	bool is_thissystem;
	bool has_distances; /* false: `distance` holds the default values */
	bool kinds_ranked;  /* it is known which kind of core is faster */

	int n_pus, n_cores, n_l3s, n_nodes, n_packages, n_kinds;
	int n_allowed;	   /* PUs that may be used */
	int n_offline;	   /* PUs the machine has but the kernel does not run */
	int max_smt;	   /* PUs of the largest core */
	int n_cpu_nodes;   /* nodes with has_cpu */
	int pu_os_limit;   /* highest PU os number + 1 */
	int node_os_limit; /* highest node os number + 1 */

	struct sm_topo_pu *pus;
	struct sm_topo_core *cores;
	struct sm_topo_l3 *l3s;
	struct sm_topo_node *nodes;
	struct sm_topo_package *packages;
	int *pu_of_os;	    /* [pu_os_limit]: PU index or SM_NONE */
	int *node_of_os;    /* [node_os_limit]: node index or SM_NONE */
	unsigned *distance; /* [n_nodes * n_nodes], row = from */

	struct sm_topo_cache l1d, l1i, l2, l3;
};

/*
 * Where the topology comes from; both null: this machine. PUs outside the calling thread's affinity
 * mask (taskset, a parent's cpuset) are marked not allowed unless ignore_binding.
 */
struct sm_topology_source {
	const char *xml;
	const char *synthetic;
	bool ignore_binding;
};

/*
 * Loads a topology. Returns 0 and the topology in *out, freed by sm_topology_free(); or -errno with
 * a message in err: -ENOENT (XML file missing), -EINVAL (not a topology), -ENODEV (no PU left),
 * -ENOMEM. Not to be called by two threads at once: hwloc reads the environment.
 */
int sm_topology_load(const struct sm_topology_source *from, struct sm_topology **out, char *err,
		     size_t errlen);
void sm_topology_free(struct sm_topology *t);

/* Index of the PU / node with this os number, SM_NONE when there is none. */
int sm_topology_pu(const struct sm_topology *t, int os);
int sm_topology_node(const struct sm_topology *t, int os);

/* Distance between two node indexes. */
unsigned sm_topology_distance(const struct sm_topology *t, int from, int to);

/*
 * Name of a core kind: "p"/"e" on machines of two kinds of which the faster is known ("p"), "kN"
 * otherwise, "-" on uniform ones. Static strings.
 */
const char *sm_topology_kind_name(const struct sm_topology *t, int kind);

/* The whole hwloc XML of the machine, malloc'ed (the store keeps it with a run); NULL when it
 * cannot be had. */
char *sm_topology_xml(const struct sm_topology_source *from);

#endif
