/* topology.c: loading a topology through hwloc and flattening it; the terms are explained in
 * topology.h. */
#include "perf/topology_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct loader {
	hwloc_topology_t hw;
	struct sm_topology *t;
	int n_core_objects;
	bool twins; /* two units have one number */
	char *err;
	size_t errlen;
};

static int fail_load(struct loader *l, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail_load(struct loader *l, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (l->err != NULL && l->errlen)
		vsnprintf(l->err, l->errlen, fmt, ap);
	va_end(ap);
	return code;
}

static int set_source(struct loader *l, const struct sm_topology_source *from)
{
	/* Disallowed PUs stay in the picture (allowed = false): `topo` shows the machine, not the
	 * cgroup. */
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;

	if (hwloc_topology_init(&l->hw))
		return fail_load(l, -ENOMEM, "hwloc: out of memory");
	if (from->xml != NULL) {
		if (access(from->xml, R_OK))
			return fail_load(l, -errno, "--xml %s: %s", from->xml, strerror(errno));
		if (hwloc_topology_set_xml(l->hw, from->xml))
			return fail_load(l, -EINVAL, "--xml %s: not an hwloc XML topology",
					 from->xml);
	} else if (from->synthetic != NULL) {
		if (hwloc_topology_set_synthetic(l->hw, from->synthetic))
			return fail_load(
				l, -EINVAL,
				"--synthetic \"%s\": not an hwloc synthetic topology (example: "
				"\"pack:2 [numa] l3:2 core:4 pu:2\")",
				from->synthetic);
	}
	hwloc_topology_set_flags(l->hw, flags);
	hwloc_topology_set_icache_types_filter(l->hw, HWLOC_TYPE_FILTER_KEEP_ALL);
	return 0;
}

/* hwloc 2.9 crashes on XML whose objects lack sets, or hang together in other ways than it writes
 * them: so a child tries first. Without a child, no process has tried. */
#define TRIAL_SECONDS 60

static bool survives(struct loader *l)
{
	static const int ends[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			signal(ends[i], SIG_DFL);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		alarm(TRIAL_SECONDS);
		(void)hwloc_topology_load(l->hw);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int open_hwloc(struct loader *l, const struct sm_topology_source *from)
{
	int rc = set_source(l, from);

	if (rc)
		return rc;
	if (from->xml != NULL && !survives(l))
		return fail_load(l, -EINVAL, "--xml %s: a damaged topology, on which hwloc crashes",
				 from->xml);
	if (hwloc_topology_load(l->hw))
		return fail_load(l, -EINVAL, "%s: hwloc cannot load this topology",
				 from->xml != NULL	   ? from->xml
				 : from->synthetic != NULL ? from->synthetic
							   : "this machine");
	return 0;
}

static void *grid(int n, size_t size)
{
	return calloc(n > 0 ? (size_t)n : 1, size);
}

#define MAX_OS_INDEX (1 << 20)

/* The highest number of the system's + 1; -1: one is missing (a damaged file) or absurd. */
static int os_limit(const struct loader *l, hwloc_obj_type_t type)
{
	hwloc_obj_t o = NULL;
	int limit = 0;

	while ((o = hwloc_get_next_obj_by_type(l->hw, type, o)) != NULL) {
		if (o->os_index > MAX_OS_INDEX) /* HWLOC_UNKNOWN_INDEX is the largest of all */
			return -1;
		if ((int)o->os_index >= limit)
			limit = (int)o->os_index + 1;
	}
	return limit;
}

static int ancestor(struct loader *l, hwloc_obj_type_t type, hwloc_obj_t o)
{
	hwloc_obj_t a = hwloc_get_ancestor_obj_by_type(l->hw, type, o);

	return a != NULL ? (int)a->logical_index : SM_NONE;
}

static int pus_without_core(struct loader *l)
{
	hwloc_obj_t o = NULL;
	int n = 0;

	while ((o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_PU, o)) != NULL)
		n += ancestor(l, HWLOC_OBJ_CORE, o) == SM_NONE;
	return n;
}

static int allocate(struct loader *l)
{
	struct sm_topology *t = l->t;

	t->n_pus = hwloc_get_nbobjs_by_type(l->hw, HWLOC_OBJ_PU);
	t->n_nodes = hwloc_get_nbobjs_by_type(l->hw, HWLOC_OBJ_NUMANODE);
	t->n_packages = hwloc_get_nbobjs_by_type(l->hw, HWLOC_OBJ_PACKAGE);
	l->n_core_objects = hwloc_get_nbobjs_by_type(l->hw, HWLOC_OBJ_CORE);
	t->n_l3s = hwloc_get_nbobjs_by_type(l->hw, HWLOC_OBJ_L3CACHE);
	if (t->n_pus <= 0)
		return fail_load(l, -ENODEV, "the topology has no processing unit");
	if (t->n_nodes <= 0)
		return fail_load(l, -ENODEV, "the topology has no NUMA node");
	/* PUs without a core object (an odd XML, a sysfs that is read in part) are cores of their
	 * own, behind the others; without package objects the machine is the package. */
	if (l->n_core_objects < 0)
		l->n_core_objects = 0;
	t->n_cores = l->n_core_objects + pus_without_core(l);
	if (t->n_packages <= 0)
		t->n_packages = 1;
	if (t->n_l3s < 0)
		t->n_l3s = 0;
	t->pu_os_limit = os_limit(l, HWLOC_OBJ_PU);
	t->node_os_limit = os_limit(l, HWLOC_OBJ_NUMANODE);
	if (t->pu_os_limit < 0 || t->node_os_limit < 0)
		return fail_load(l, -EINVAL,
				 "a processing unit or NUMA node of the topology has no number, or "
				 "one beyond %d",
				 MAX_OS_INDEX);
	t->pus = grid(t->n_pus, sizeof(*t->pus));
	t->cores = grid(t->n_cores, sizeof(*t->cores));
	t->l3s = grid(t->n_l3s, sizeof(*t->l3s));
	t->nodes = grid(t->n_nodes, sizeof(*t->nodes));
	t->packages = grid(t->n_packages, sizeof(*t->packages));
	t->pu_of_os = grid(t->pu_os_limit, sizeof(int));
	t->node_of_os = grid(t->node_os_limit, sizeof(int));
	t->distance = grid(t->n_nodes * t->n_nodes, sizeof(unsigned));
	if (t->pus == NULL || t->cores == NULL || t->l3s == NULL || t->nodes == NULL ||
	    t->packages == NULL || t->pu_of_os == NULL || t->node_of_os == NULL ||
	    t->distance == NULL)
		return fail_load(l, -ENOMEM, "out of memory");
	for (int i = 0; i < t->pu_os_limit; i++)
		t->pu_of_os[i] = SM_NONE;
	for (int i = 0; i < t->node_os_limit; i++)
		t->node_of_os[i] = SM_NONE;
	return 0;
}

static void read_nodes(struct loader *l)
{
	struct sm_topology *t = l->t;
	hwloc_const_nodeset_t allowed = hwloc_topology_get_allowed_nodeset(l->hw);
	hwloc_obj_t o = NULL;

	for (int i = 0;
	     (o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_NUMANODE, o)) && i < t->n_nodes;
	     i++) {
		struct sm_topo_node *n = &t->nodes[i];

		n->os = (int)o->os_index;
		n->memory = o->attr != NULL ? o->attr->numanode.local_memory : 0;
		n->allowed = hwloc_bitmap_isset(allowed, o->os_index) > 0;
		n->package = ancestor(l, HWLOC_OBJ_PACKAGE, o);
		l->twins |= t->node_of_os[n->os] != SM_NONE;
		t->node_of_os[n->os] = i;
	}
}

/* On this machine the kernel itself says which node is a CPU's own: hwloc widens the cpuset of
 * CPU-less nodes. */
static int kernel_node_of(struct loader *l, unsigned pu)
{
	char path[96];

	for (int i = 0; i < l->t->n_nodes; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/node%d", pu,
			 l->t->nodes[i].os);
		if (!access(path, F_OK))
			return i;
	}
	return SM_NONE;
}

/* The smallest node of those that hwloc calls local to the PU, the lowest number among equals. */
static int node_of_pu(struct loader *l, hwloc_obj_t pu)
{
	hwloc_obj_t o = NULL;
	int best = SM_NONE, best_weight = 0;

	if (l->t->is_thissystem) {
		best = kernel_node_of(l, pu->os_index);
		if (best != SM_NONE)
			return best;
	}
	for (int i = 0; (o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_NUMANODE, o)); i++) {
		int weight = o->cpuset != NULL ? hwloc_bitmap_weight(o->cpuset) : 0;

		if (weight <= 0 || !hwloc_bitmap_isset(o->cpuset, pu->os_index) ||
		    (pu->nodeset != NULL && !hwloc_bitmap_isset(pu->nodeset, o->os_index)))
			continue;
		if (best == SM_NONE || weight < best_weight ||
		    (weight == best_weight && l->t->nodes[i].os < l->t->nodes[best].os)) {
			best = i;
			best_weight = weight;
		}
	}
	return best == SM_NONE ? 0 : best;
}

/* The affinity mask of the calling thread, of whatever size the kernel wants. */
static hwloc_bitmap_t own_affinity(void)
{
	for (int bits = 1024; bits <= 1 << 20; bits *= 4) {
		cpu_set_t *set = CPU_ALLOC(bits);
		size_t size = CPU_ALLOC_SIZE(bits);
		hwloc_bitmap_t map;

		if (set == NULL)
			return NULL;
		if (sched_getaffinity(0, size, set)) {
			CPU_FREE(set);
			if (errno == EINVAL)
				continue;
			return NULL;
		}
		map = hwloc_bitmap_alloc();
		for (int i = 0; map != NULL && i < bits; i++)
			if (CPU_ISSET_S(i, size, set))
				hwloc_bitmap_set(map, (unsigned)i);
		CPU_FREE(set);
		return map;
	}
	return NULL;
}

static void read_pus(struct loader *l, hwloc_const_bitmap_t allowed, hwloc_const_bitmap_t binding)
{
	struct sm_topology *t = l->t;
	hwloc_obj_t o = NULL;
	int own = l->n_core_objects;

	for (int i = 0; i < t->n_pus && (o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_PU, o));
	     i++) {
		struct sm_topo_pu *p = &t->pus[i];
		int kind = hwloc_cpukinds_get_by_cpuset(l->hw, o->cpuset, 0);

		p->os = (int)o->os_index;
		p->core = ancestor(l, HWLOC_OBJ_CORE, o);
		if (p->core == SM_NONE)
			p->core = own++;
		p->l3 = ancestor(l, HWLOC_OBJ_L3CACHE, o);
		p->package = ancestor(l, HWLOC_OBJ_PACKAGE, o);
		if (p->package == SM_NONE)
			p->package = 0;
		p->kind = kind < 0 ? 0 : kind;
		p->node = node_of_pu(l, o);
		p->allowed = hwloc_bitmap_isset(allowed, o->os_index) > 0 &&
			     (binding == NULL || hwloc_bitmap_isset(binding, o->os_index) > 0);
		t->n_allowed += p->allowed;
		l->twins |= t->pu_of_os[p->os] != SM_NONE;
		t->pu_of_os[p->os] = i;
	}
}

static void derive(struct loader *l)
{
	struct sm_topology *t = l->t;
	int map[SM__TOPOLOGY_KINDS] = {0};

	t->n_kinds = sm__topology_kinds(l->hw, t, map);
	for (int c = 0; c < t->n_cores; c++)
		t->cores[c].first_pu = SM_NONE;
	for (int i = 0; i < t->n_pus; i++) {
		struct sm_topo_pu *p = &t->pus[i];
		struct sm_topo_core *c = &t->cores[p->core];

		p->kind = p->kind < SM__TOPOLOGY_KINDS ? map[p->kind] : 0;
		if (c->first_pu == SM_NONE)
			*c = (struct sm_topo_core){.first_pu = i,
						   .l3 = p->l3,
						   .node = p->node,
						   .package = p->package,
						   .kind = p->kind};
		p->smt = c->n_pus++;
		if (c->n_pus > t->max_smt)
			t->max_smt = c->n_pus;
		if (p->l3 != SM_NONE) {
			t->l3s[p->l3].package = p->package;
			t->l3s[p->l3].node = p->node;
			t->l3s[p->l3].n_pus++;
		}
		t->nodes[p->node].n_pus++;
		t->nodes[p->node].has_cpu = true;
		t->packages[p->package].n_pus++;
	}
	for (int i = 0; i < t->n_nodes; i++)
		t->n_cpu_nodes += t->nodes[i].has_cpu;
}

static void read_packages(struct loader *l)
{
	hwloc_obj_t o = NULL;

	for (int i = 0;
	     i < l->t->n_packages && (o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_PACKAGE, o));
	     i++)
		l->t->packages[i].os = (int)o->os_index;
}

static struct sm_topo_cache cache_of(struct loader *l, hwloc_obj_type_t type)
{
	hwloc_obj_t pu = hwloc_get_obj_by_type(l->hw, HWLOC_OBJ_PU, 0);
	hwloc_obj_t o = pu != NULL ? hwloc_get_ancestor_obj_by_type(l->hw, type, pu) : NULL;
	struct sm_topo_cache c = {0};

	if (o != NULL && o->attr != NULL) {
		c.size = o->attr->cache.size;
		c.line = o->attr->cache.linesize;
		c.ways = (unsigned)o->attr->cache.associativity;
	}
	return c;
}

static void read_caches(struct loader *l)
{
	hwloc_obj_t o = NULL;

	for (int i = 0;
	     i < l->t->n_l3s && (o = hwloc_get_next_obj_by_type(l->hw, HWLOC_OBJ_L3CACHE, o)); i++)
		l->t->l3s[i].size = o->attr != NULL ? o->attr->cache.size : 0;
	l->t->l1d = cache_of(l, HWLOC_OBJ_L1CACHE);
	l->t->l1i = cache_of(l, HWLOC_OBJ_L1ICACHE);
	l->t->l2 = cache_of(l, HWLOC_OBJ_L2CACHE);
	l->t->l3 = cache_of(l, HWLOC_OBJ_L3CACHE);
}

static void read_distances(struct loader *l)
{
	struct sm_topology *t = l->t;
	struct hwloc_distances_s *d = NULL;
	unsigned nr = 1;

	for (int i = 0; i < t->n_nodes; i++)
		for (int j = 0; j < t->n_nodes; j++)
			t->distance[i * t->n_nodes + j] =
				i == j ? SM_TOPO_LOCAL_DISTANCE : SM_TOPO_REMOTE_DISTANCE;
	if (hwloc_distances_get_by_type(l->hw, HWLOC_OBJ_NUMANODE, &nr, &d,
					HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) ||
	    nr == 0 || d == NULL)
		return;
	t->has_distances = true;
	for (unsigned i = 0; i < d->nbobjs; i++) {
		for (unsigned j = 0; j < d->nbobjs; j++) {
			int a = sm_topology_node(t, (int)d->objs[i]->os_index);
			int b = sm_topology_node(t, (int)d->objs[j]->os_index);

			if (a != SM_NONE && b != SM_NONE)
				t->distance[a * t->n_nodes + b] =
					(unsigned)d->values[i * d->nbobjs + j];
		}
	}
	hwloc_distances_release(l->hw, d);
}

static void read_model(struct loader *l, const struct sm_topology_source *from)
{
	hwloc_obj_t pack = hwloc_get_obj_by_type(l->hw, HWLOC_OBJ_PACKAGE, 0);
	const char *m = pack != NULL ? hwloc_obj_get_info_by_name(pack, "CPUModel") : NULL;

	snprintf(l->t->cpu_model, sizeof(l->t->cpu_model), "%s", m != NULL ? m : "unknown");
	if (from->xml != NULL)
		snprintf(l->t->source, sizeof(l->t->source), "xml:%s", from->xml);
	else if (from->synthetic != NULL)
		snprintf(l->t->source, sizeof(l->t->source), "synthetic:%s", from->synthetic);
	else
		snprintf(l->t->source, sizeof(l->t->source), "this machine");
}

static int count_offline(struct loader *l)
{
	int all = hwloc_bitmap_weight(hwloc_topology_get_complete_cpuset(l->hw));
	int here = hwloc_bitmap_weight(hwloc_topology_get_topology_cpuset(l->hw));

	return all > here && here > 0 ? all - here : 0;
}

static int flatten(struct loader *l, const struct sm_topology_source *from)
{
	hwloc_bitmap_t binding = NULL;
	int rc;

	l->t->is_thissystem =
		hwloc_topology_is_thissystem(l->hw) && from->xml == NULL && from->synthetic == NULL;
	rc = allocate(l);
	if (rc)
		return rc;
	read_model(l, from);
	read_packages(l);
	read_nodes(l);
	if (l->t->is_thissystem && !from->ignore_binding)
		binding = own_affinity();
	read_pus(l, hwloc_topology_get_allowed_cpuset(l->hw), binding);
	hwloc_bitmap_free(binding);
	if (l->twins)
		return fail_load(
			l, -EINVAL,
			"two processing units or NUMA nodes of the topology have one number");
	derive(l);
	read_caches(l);
	read_distances(l);
	l->t->n_offline = count_offline(l);
	if (!l->t->n_allowed)
		return fail_load(
			l, -ENODEV,
			"the cpuset allows no processing unit; allowed: a cgroup cpuset and an "
			"affinity "
			"mask (taskset) "
			"with at least one CPU that is online");
	return 0;
}

int sm_topology_load(const struct sm_topology_source *from, struct sm_topology **out, char *err,
		     size_t errlen)
{
	static const struct sm_topology_source here;
	struct loader l = {.err = err, .errlen = errlen};
	int rc;

	*out = NULL;
	if (from == NULL)
		from = &here;
	if (from->xml != NULL && from->synthetic != NULL)
		return fail_load(&l, -EINVAL, "--xml and --synthetic exclude each other");
	l.t = calloc(1, sizeof(*l.t));
	if (l.t == NULL)
		return fail_load(&l, -ENOMEM, "out of memory");
	rc = open_hwloc(&l, from);
	if (!rc)
		rc = flatten(&l, from);
	if (l.hw != NULL)
		hwloc_topology_destroy(l.hw);
	if (rc) {
		sm_topology_free(l.t);
		return rc;
	}
	*out = l.t;
	return 0;
}

void sm_topology_free(struct sm_topology *t)
{
	if (t == NULL)
		return;
	free(t->pus);
	free(t->cores);
	free(t->l3s);
	free(t->nodes);
	free(t->packages);
	free(t->pu_of_os);
	free(t->node_of_os);
	free(t->distance);
	free(t);
}

int sm_topology_pu(const struct sm_topology *t, int os)
{
	return os >= 0 && os < t->pu_os_limit ? t->pu_of_os[os] : SM_NONE;
}

int sm_topology_node(const struct sm_topology *t, int os)
{
	return os >= 0 && os < t->node_os_limit ? t->node_of_os[os] : SM_NONE;
}

unsigned sm_topology_distance(const struct sm_topology *t, int from, int to)
{
	return t->distance[from * t->n_nodes + to];
}

char *sm_topology_xml(const struct sm_topology_source *from)
{
	static const struct sm_topology_source here;
	struct sm_topology dummy = {0};
	struct loader l = {.t = &dummy};
	char *xml = NULL, *copy = NULL;
	int len = 0;

	if (!open_hwloc(&l, from != NULL ? from : &here) &&
	    !hwloc_topology_export_xmlbuffer(l.hw, &xml, &len, 0)) {
		copy = strdup(xml);
		hwloc_free_xmlbuffer(l.hw, xml);
	}
	if (l.hw != NULL)
		hwloc_topology_destroy(l.hw);
	return copy;
}
