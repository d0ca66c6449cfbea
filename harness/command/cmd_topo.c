/*
 * cmd_topo.c: spanmark topo: the machine as the planner sees it, and where a run's threads would
 * go.
 */
#include "harness/options/option_value.h"
#include "harness/command/cmd.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/writer.h"
#include "perf/placement.h"
#include "perf/topology.h"
#include "harness/base/text.h"
#include "harness/base/complain.h"

struct topo_options {
	struct sm_topology_source from;
	struct sm_place_request place;
	const char *kind;
	unsigned json; /* an index of the words of --format */
	bool plan, place_given;
};

static int usage(const char *message)
{
	sm_complain("%s", message);
	return SM_EXIT_USAGE;
}

/* ---- table -------------------------------------------------------------------------------- */

static void print_size(uint64_t bytes)
{
	if (!bytes)
		printf("n/a");
	else if (bytes >= 1ull << 30)
		printf("%.1f GiB", (double)bytes / (1u << 30));
	else if (bytes >= 1ull << 20)
		printf("%.4g MiB", (double)bytes / (1u << 20));
	else
		printf("%.4g KiB", (double)bytes / 1024);
}

static void print_cache(const char *name, const struct sm_topo_cache *c)
{
	printf("  %s ", name);
	print_size(c->size);
}

/* The allowed-or-not PUs for which pick says yes, as "0-3,8". */
static void print_pus(const struct sm_topology *t, int field_node, int field_package)
{
	int from = -1, last = -2, n = 0;

	for (int os = 0; os <= t->pu_os_limit; os++) {
		int i = os < t->pu_os_limit ? t->pu_of_os[os] : SM_NONE;
		bool in = i != SM_NONE && (field_node < 0 || t->pus[i].node == field_node) &&
			  (field_package < 0 || t->pus[i].package == field_package);

		if (in && os != last + 1)
			from = os;
		if (in)
			last = os;
		if (from >= 0 && (!in || os == t->pu_os_limit)) {
			printf(from == last ? "%s%d" : "%s%d-%d", n++ ? "," : "", from, last);
			from = -1;
			last = -2;
		}
	}
	if (!n)
		printf("none");
}

static void print_distances(const struct sm_topology *t)
{
	printf("\nnode distances%s\n     ",
	       t->has_distances ? "" : " (not stated by the machine: defaults)");
	for (int j = 0; j < t->n_nodes; j++)
		printf(" %4d", t->nodes[j].os);
	printf("\n");
	for (int i = 0; i < t->n_nodes; i++) {
		printf(" %4d", t->nodes[i].os);
		for (int j = 0; j < t->n_nodes; j++)
			printf(" %4u", sm_topology_distance(t, i, j));
		printf("\n");
	}
}

static void print_number(int v, int width)
{
	if (v == SM_NONE)
		printf(" %*s", width, "-");
	else
		printf(" %*d", width, v);
}

static void print_cores(const struct sm_topology *t)
{
	printf("\n%7s %4s %4s %5s  %s\n", "package", "node", "l3", "core",
	       t->n_kinds > 1 ? "PUs (kind)" : "PUs");
	for (int c = 0; c < t->n_cores; c++) {
		const struct sm_topo_core *k = &t->cores[c];

		if (k->first_pu == SM_NONE)
			continue;
		printf(" %6d", t->packages[k->package].os);
		print_number(t->nodes[k->node].os, 4);
		print_number(k->l3, 4);
		print_number(c, 5);
		printf(" ");
		for (int i = k->first_pu; i < k->first_pu + k->n_pus; i++)
			printf(" %d%s", t->pus[i].os, t->pus[i].allowed ? "" : "(not allowed)");
		if (t->n_kinds > 1)
			printf(" (%s)", sm_topology_kind_name(t, k->kind));
		printf("\n");
	}
}

static void print_machine(const struct sm_topology *t)
{
	printf("%s: %s\n", t->source, t->cpu_model);
	printf("%d packages, %d nodes (%d with CPUs), %d L3s, %d cores, %d PUs, %d allowed",
	       t->n_packages, t->n_nodes, t->n_cpu_nodes, t->n_l3s, t->n_cores, t->n_pus,
	       t->n_allowed);
	if (t->n_offline)
		printf(", %d offline", t->n_offline);
	printf("\ncaches:");
	print_cache("L1d", &t->l1d);
	print_cache("L1i", &t->l1i);
	print_cache("L2", &t->l2);
	print_cache("L3", &t->l3);
	printf("\n\nnode  memory      PUs\n");
	for (int i = 0; i < t->n_nodes; i++) {
		printf("%4d  ", t->nodes[i].os);
		print_size(t->nodes[i].memory);
		printf("   ");
		print_pus(t, i, -1);
		printf("%s\n", t->nodes[i].allowed ? "" : " (not allowed)");
	}
	if (t->n_nodes > 1)
		print_distances(t);
	print_cores(t);
}

static void print_plan(const struct sm_topology *t, const struct sm_placement *p)
{
	char text[SM_PLACED_TEXT];

	sm_placement_describe(t, p, text, sizeof(text));
	printf("\n%s\n", text);
	printf("\n%-12s %5s %5s %5s %4s %4s %7s%s\n", "role", "index", "pu", "core", "l3", "node",
	       "package", t->n_kinds > 1 ? " kind" : "");
	for (unsigned i = 0; i < p->n; i++) {
		const struct sm_place_thread *th = &p->threads[i];

		printf("%-12s %5u", sm_role_name(th->role), th->index);
		print_number(th->pu_os, 5);
		print_number(th->core, 5);
		print_number(th->l3, 4);
		print_number(th->node_os, 4);
		print_number(th->package == SM_NONE ? SM_NONE : t->packages[th->package].os, 7);
		if (t->n_kinds > 1)
			printf(" %4s",
			       th->kind == SM_NONE ? "-" : sm_topology_kind_name(t, th->kind));
		printf("\n");
	}
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_index(cJSON *o, const char *key, int v)
{
	if (v == SM_NONE)
		cJSON_AddNullToObject(o, key);
	else
		cJSON_AddNumberToObject(o, key, v);
}

static void add_size(cJSON *o, const char *key, uint64_t v)
{
	if (!v)
		cJSON_AddNullToObject(o, key);
	else
		cJSON_AddNumberToObject(o, key, (double)v);
}

static void json_nodes(const struct sm_topology *t, cJSON *root)
{
	cJSON *nodes = cJSON_AddArrayToObject(root, "nodes");
	cJSON *dist = cJSON_AddArrayToObject(root, "distances");

	for (int i = 0; i < t->n_nodes; i++) {
		cJSON *n = cJSON_CreateObject(), *row = cJSON_CreateArray();

		cJSON_AddNumberToObject(n, "os", t->nodes[i].os);
		add_size(n, "memory_bytes", t->nodes[i].memory);
		cJSON_AddBoolToObject(n, "has_cpu", t->nodes[i].has_cpu);
		cJSON_AddBoolToObject(n, "allowed", t->nodes[i].allowed);
		cJSON_AddNumberToObject(n, "pus", t->nodes[i].n_pus);
		cJSON_AddItemToArray(nodes, n);
		for (int j = 0; j < t->n_nodes; j++)
			cJSON_AddItemToArray(row,
					     cJSON_CreateNumber(sm_topology_distance(t, i, j)));
		cJSON_AddItemToArray(dist, row);
	}
}

static void json_machine(const struct sm_topology *t, cJSON *root)
{
	cJSON *pus, *caches;

	cJSON_AddStringToObject(root, "source", t->source);
	cJSON_AddBoolToObject(root, "is_thissystem", t->is_thissystem);
	cJSON_AddStringToObject(root, "cpu_model", t->cpu_model);
	cJSON_AddNumberToObject(root, "n_packages", t->n_packages);
	cJSON_AddNumberToObject(root, "n_nodes", t->n_nodes);
	cJSON_AddNumberToObject(root, "n_l3s", t->n_l3s);
	cJSON_AddNumberToObject(root, "n_cores", t->n_cores);
	cJSON_AddNumberToObject(root, "n_pus", t->n_pus);
	cJSON_AddNumberToObject(root, "n_allowed", t->n_allowed);
	cJSON_AddNumberToObject(root, "n_offline", t->n_offline);
	cJSON_AddNumberToObject(root, "n_kinds", t->n_kinds);
	cJSON_AddBoolToObject(root, "has_distances", t->has_distances);
	caches = cJSON_AddObjectToObject(root, "caches");
	add_size(caches, "l1d_bytes", t->l1d.size);
	add_size(caches, "l1i_bytes", t->l1i.size);
	add_size(caches, "l2_bytes", t->l2.size);
	add_size(caches, "l3_bytes", t->l3.size);
	json_nodes(t, root);
	pus = cJSON_AddArrayToObject(root, "pus");
	for (int i = 0; i < t->n_pus; i++) {
		cJSON *p = cJSON_CreateObject();

		cJSON_AddNumberToObject(p, "os", t->pus[i].os);
		cJSON_AddNumberToObject(p, "core", t->pus[i].core);
		cJSON_AddNumberToObject(p, "smt", t->pus[i].smt);
		add_index(p, "l3", t->pus[i].l3);
		cJSON_AddNumberToObject(p, "node", t->nodes[t->pus[i].node].os);
		cJSON_AddNumberToObject(p, "package", t->packages[t->pus[i].package].os);
		cJSON_AddStringToObject(p, "kind", sm_topology_kind_name(t, t->pus[i].kind));
		cJSON_AddBoolToObject(p, "allowed", t->pus[i].allowed);
		cJSON_AddItemToArray(pus, p);
	}
}

static void json_plan(const struct sm_topology *t, const struct sm_placement *p, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "placement");
	char text[SM_PLACED_TEXT];

	sm_placement_describe(t, p, text, sizeof(text));
	cJSON_AddStringToObject(root, "placed", text);

	for (unsigned i = 0; i < p->n; i++) {
		const struct sm_place_thread *th = &p->threads[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "role", sm_role_name(th->role));
		cJSON_AddNumberToObject(o, "index", th->index);
		add_index(o, "pu", th->pu_os);
		add_index(o, "core", th->core);
		add_index(o, "l3", th->l3);
		add_index(o, "node", th->node_os);
		add_index(o, "package",
			  th->package == SM_NONE ? SM_NONE : t->packages[th->package].os);
		if (th->kind == SM_NONE)
			cJSON_AddNullToObject(o, "kind");
		else
			cJSON_AddStringToObject(o, "kind", sm_topology_kind_name(t, th->kind));
		cJSON_AddItemToArray(list, o);
	}
}

static int print_json(const struct sm_topology *t, const struct sm_placement *p, bool plan)
{
	cJSON *root = cJSON_CreateObject();
	char *text;

	json_machine(t, root);
	if (plan)
		json_plan(t, p, root);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL) {
		sm_complain("out of memory");
		return SM_EXIT_FAILED;
	}
	sm_text_clean(text); /* a path may hold any bytes */
	puts(text);
	cJSON_free(text);
	return SM_EXIT_OK;
}

/* ---- the command -------------------------------------------------------------------------- */

/* As `spanmark run` places: what was not said takes one-per-core, and compact where that has no
 * room. */
static int make_plan(const struct sm_topology *t, const struct topo_options *o,
		     struct sm_placement *plan, char *err, size_t errlen)
{
	struct sm_place_request r = o->place;
	int rc = sm_placement_plan(t, &r, plan, err, errlen);

	if (rc != -EINVAL || o->place_given)
		return rc;
	r.place = SM_PLACE_COMPACT;
	return sm_placement_plan(t, &r, plan, err, errlen);
}

static int show(struct topo_options *o)
{
	struct sm_placement plan = {0};
	struct sm_topology *t;
	char err[400];
	int rc = SM_EXIT_OK;

	if (sm_topology_load(&o->from, &t, err, sizeof(err)))
		return usage(err);
	if ((o->kind != NULL &&
	     sm_place_kinds_parse(t, o->kind, &o->place.kinds, err, sizeof(err))) ||
	    (o->plan && make_plan(t, o, &plan, err, sizeof(err)))) {
		sm_topology_free(t);
		return usage(err);
	}
	if (o->json) {
		rc = print_json(t, &plan, o->plan);
	} else {
		print_machine(t);
		if (o->plan)
			print_plan(t, &plan);
	}
	sm_placement_free(&plan);
	sm_topology_free(t);
	return rc; /* what could not be printed is main's to tell */
}

static int take_place(const struct sm_option *opt, void *options, const char *value, char *err,
		      size_t errlen)
{
	struct topo_options *o = options;

	(void)opt;
	o->place_given = true;
	return sm_place_parse(value, &o->place.place, err, errlen) ? -EINVAL : 0;
}

static int take_mark_place(const struct sm_option *opt, void *options, const char *value, char *err,
			   size_t errlen)
{
	struct topo_options *o = options;

	(void)opt;
	return sm_mark_place_parse(value, &o->place.mark_place, err, errlen) ? -EINVAL : 0;
}

static int take_count(const struct sm_option *opt, void *options, const char *value, char *err,
		      size_t errlen)
{
	struct topo_options *o = options;
	char *end;
	unsigned long v;

	o->plan = true;
	errno = 0;
	v = strtoul(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-' || v > 4096) {
		snprintf(err, errlen, "--%s %.60s: not a number of threads; allowed: 0 to 4096",
			 opt->name, value);
		return -EINVAL;
	}
	*(unsigned *)((char *)options + opt->offset) = (unsigned)v;
	return 0;
}

static int run_topo(int argc, char **argv)
{
	struct topo_options o = {
		.place = {.place = SM_PLACE_ONE_PER_CORE, .mark_place = SM_MARK_AUTO}};
	int status;

	return sm_options_parse(&sm_command_topo, &o, argc, argv, &status) ? show(&o) : status;
}

#define INTO(take_fn, m) SM_INTO(take_fn, struct topo_options, m)

static const struct sm_option rows[] = {
	{"xml", 0, "FILE", "plan for another machine: hwloc XML (lstopo --of xml FILE)",
	 INTO(sm__take_borrowed, from.xml)},
	{"synthetic", 0, "STRING", "plan for an invented one, in hwloc's notation",
	 INTO(sm__take_borrowed, from.synthetic)},
	{"place", 0, "POLICY", "mutators: as run, one-per-core where they fit, else compact",
	 .take = take_place, .words = "compact|scatter|per-node|one-per-core|none"},
	{"mark-place", 0, "POLICY", "mark workers: auto", .take = take_mark_place,
	 .words = "auto|dedicated|shared|sibling|remote-node|none"},
	{"kind", 0, "KIND", "kind of cores that threads may use: all, p, e, or k0 and up",
	 INTO(sm__take_borrowed, kind), .topic = "kinds"},
	{"threads", 0, "N", "mutator threads to place", INTO(take_count, place.threads)},
	{"workers", 0, "N", "mark workers to place", INTO(take_count, place.workers)},
	{"format", 'f', "FORMAT", "how to print", INTO(sm__take_word, json), .words = "table|json"},
};
static const struct sm_option_table table = {"topo", rows, SM_COUNT_OF(rows), NULL, NULL};

const struct sm_command sm_command_topo = {
	.name = "topo",
	.summary = "the machine, and which thread a placement puts where",
	.run = run_topo,
	.options = &table,
	.about = "Shows packages, NUMA nodes, L3 caches, cores and processing units (PUs) with the "
		 "numbers of the operating system, and, with --threads or --workers, where each "
		 "thread would be pinned.",
	.examples =
		(const char *const[]){
			"spanmark topo",
			"this machine",
			"spanmark topo --threads 2 --workers 1 --mark-place shared",
			"where two mutators and a mark worker go",
			"spanmark topo --synthetic 'pack:2 [numa] l3:2 core:4 pu:2' --threads 8 "
			"--place "
			"scatter",
			"on a machine that need not exist",
			NULL,
		},
};
