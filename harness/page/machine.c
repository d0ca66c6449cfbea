/* machine.c: packages, nodes, caches and cores as boxes in boxes, with the threads that were pinned
 * there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/base/descriptor.h"
#include "harness/page/section.h"
#include "harness/base/text.h"
#include "perf/topology.h"

/* ---- the topology of the store ------------------------------------------------------------ */

/* hwloc reads files: the store's text becomes one without a name. NULL: there is none. */
static struct sm_topology *load(const char *xml)
{
	struct sm_topology_source from = {.ignore_binding = true};
	int fd = *xml ? memfd_create("spanmark-topology", MFD_CLOEXEC) : -1;
	struct sm_topology *t = NULL;
	char path[64], err[300];

	if (fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	from.xml = path;
	if (sm_descriptor_write(fd, xml, strlen(xml)) != 0 ||
	    sm_topology_load(&from, &t, err, sizeof(err)) != 0)
		t = NULL;
	close(fd);
	return t;
}

/* ---- who is on a processing unit ---------------------------------------------------------- */

static void put_threads(FILE *out, const cJSON *placement, const char *member, const char *role,
			char letter, int cpu)
{
	const cJSON *cpus = cJSON_GetObjectItemCaseSensitive(placement, member), *item;
	unsigned i = 0;

	cJSON_ArrayForEach(item, cpus)
	{
		if (cJSON_IsNumber(item) && item->valueint == cpu)
			sm_html(out, "<b class=\"%s\" title=\"%s %u\">%s%u</b>", role, role, i,
				letter == 'M' ? "M" : "W", i);
		i++;
	}
}

static void put_pu(FILE *out, const struct sm_topo_pu *pu, const cJSON *placement)
{
	sm_html(out, "<li class=\"pu\"><span>%d</span>", pu->os);
	put_threads(out, placement, "mutator_cpus", "mutator", 'M', pu->os);
	put_threads(out, placement, "worker_cpus", "worker", 'W', pu->os);
	fputs("</li>", out);
}

static void put_core(FILE *out, const struct sm_topology *t, const struct sm_topo_core *core,
		     const cJSON *placement)
{
	const char *kind = sm_topology_kind_name(t, core->kind);

	if (core->first_pu == SM_NONE)
		return;
	sm_html(out, "<li class=\"core\"><span>core %d%s%s</span><ul>", (int)(core - t->cores),
		strcmp(kind, "-") != 0 ? " " : "", strcmp(kind, "-") != 0 ? kind : "");
	for (int i = core->first_pu; i < core->first_pu + core->n_pus; i++)
		put_pu(out, &t->pus[i], placement);
	fputs("</ul></li>", out);
}

/* ---- boxes -------------------------------------------------------------------------------- */

static void put_l3(FILE *out, const struct sm_topology *t, int node, int l3, const cJSON *placement)
{
	char size[40];

	if (l3 != SM_NONE) {
		sm_text_value((double)t->l3s[l3].size, "bytes", size, sizeof(size));
		sm_html(out, "<div class=\"l3\"><span>L3 %d%s%s</span>", l3,
			t->l3s[l3].size ? ", " : "", t->l3s[l3].size ? size : "");
	} else
		fputs("<div class=\"l3\">", out);
	fputs("<ul class=\"cores\">", out);
	for (int c = 0; c < t->n_cores; c++)
		if (t->cores[c].node == node && t->cores[c].l3 == l3)
			put_core(out, t, &t->cores[c], placement);
	fputs("</ul></div>", out);
}

static bool has_core(const struct sm_topology *t, int node, int l3)
{
	for (int c = 0; c < t->n_cores; c++)
		if (t->cores[c].node == node && t->cores[c].l3 == l3)
			return true;
	return false;
}

static void put_node(FILE *out, const struct sm_topology *t, int node, const cJSON *placement)
{
	char size[40];

	sm_text_value((double)t->nodes[node].memory, "bytes", size, sizeof(size));
	sm_html(out, "<div class=\"node\"><span>node %d%s%s%s</span>", t->nodes[node].os,
		t->nodes[node].memory ? ", " : "", t->nodes[node].memory ? size : "",
		t->nodes[node].has_cpu ? "" : ", memory alone");
	for (int l3 = SM_NONE; l3 < t->n_l3s; l3++)
		if (has_core(t, node, l3))
			put_l3(out, t, node, l3, placement);
	fputs("</div>", out);
}

static void put_machine(FILE *out, const struct sm_topology *t, const cJSON *placement)
{
	for (int p = 0; p < t->n_packages; p++) {
		sm_html(out, "<div class=\"package\"><span>package %d</span>", t->packages[p].os);
		for (int n = 0; n < t->n_nodes; n++)
			if (t->nodes[n].package == p)
				put_node(out, t, n, placement);
		fputs("</div>", out);
	}
	for (int n = 0; n < t->n_nodes; n++)
		if (t->nodes[n].package == SM_NONE)
			put_node(out, t, n, placement);
}

/* ---- placements --------------------------------------------------------------------------- */

#define MAX_MAPS 6

static bool same_place(const struct sm_report *r, const struct sm__case *a,
		       const struct sm__case *b)
{
	return strcmp(r->records[a->first].placement, r->records[b->first].placement) == 0;
}

/* "churn gc, churn span": whose threads stood there. */
static void put_whose(struct sm_section *s, size_t k, const cJSON *placement)
{
	const cJSON *placed = cJSON_GetObjectItemCaseSensitive(placement, "placed");
	unsigned n = 0;

	fputs("<figcaption>", s->out);
	if (cJSON_IsString(placed))
		sm_html(s->out, "%s <span>", placed->valuestring);
	else
		fputs("Threads <span>", s->out);
	for (size_t i = k; i < s->cases.n; i++) {
		if (!same_place(s->r, &s->cases.v[i], &s->cases.v[k]))
			continue;
		if (++n <= 8)
			sm_html(s->out, "%s<bdi>%s %s</bdi>", n > 1 ? ", " : "", s->cases.v[i].name,
				s->cases.v[i].config);
	}
	if (n > 8)
		sm_html(s->out, " and %u more", n - 8);
	fputs("</span></figcaption>", s->out);
}

static void put_maps(struct sm_section *s, const struct sm_topology *t)
{
	unsigned maps = 0;

	for (size_t k = 0; k < s->cases.n && maps < MAX_MAPS; k++) {
		cJSON *placement;
		bool first = true;

		for (size_t i = 0; i < k; i++)
			first &= !same_place(s->r, &s->cases.v[i], &s->cases.v[k]);
		if (!first)
			continue;
		maps++;
		placement = cJSON_Parse(s->r->records[s->cases.v[k].first].placement);
		fputs("<figure class=\"map\">", s->out);
		put_whose(s, k, placement);
		fputs("<div class=\"machine\">", s->out);
		put_machine(s->out, t, placement);
		fputs("</div></figure>\n", s->out);
		cJSON_Delete(placement);
	}
}

int sm__section_machine(struct sm_section *s)
{
	struct sm_topology *t = load(s->r->topology);

	if (t == NULL || s->cases.n == 0) {
		sm_topology_free(t);
		return 0;
	}
	sm__section_begin(s, "machine", "Machine and threads");
	fputs("<p class=\"keys\"><b class=\"mutator\">M</b> mutator <b class=\"worker\">W</b> mark "
	      "worker; numbers in the boxes are the operating system's CPUs</p>\n<div "
	      "class=\"maps\">\n",
	      s->out);
	put_maps(s, t);
	fputs("</div>\n", s->out);
	sm__section_end(s);
	sm_topology_free(t);
	return 0;
}
