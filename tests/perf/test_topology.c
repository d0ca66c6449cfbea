/* Topologies: this machine, synthetic and XML ones, and those that do not fit a simple picture. */
#include "perf/topology.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/run.h"

static struct sm_topology *synthetic(const char *s)
{
	struct sm_topology_source from = {.synthetic = s};
	struct sm_topology *t = NULL;
	char err[300] = "";

	ck_assert_msg(!sm_topology_load(&from, &t, err, sizeof(err)), "%s: %s", s, err);
	return t;
}

/* What must hold in any topology. */
static void check_valid(const struct sm_topology *t)
{
	int pus = 0, node_pus = 0, package_pus = 0, l3_pus = 0, with_l3 = 0, allowed = 0;

	ck_assert_int_gt(t->n_pus, 0);
	ck_assert_int_gt(t->n_nodes, 0);
	for (int i = 0; i < t->n_pus; i++) {
		const struct sm_topo_pu *p = &t->pus[i];

		ck_assert_int_eq(sm_topology_pu(t, p->os), i);
		ck_assert(p->core >= 0 && p->core < t->n_cores);
		ck_assert(p->node >= 0 && p->node < t->n_nodes);
		ck_assert(p->package >= 0 && p->package < t->n_packages);
		ck_assert(p->l3 == SM_NONE || (p->l3 >= 0 && p->l3 < t->n_l3s));
		ck_assert_int_eq(t->cores[p->core].first_pu + p->smt, i);
		ck_assert(t->nodes[p->node].has_cpu);
		ck_assert(p->kind >= 0 && p->kind < t->n_kinds);
		with_l3 += p->l3 != SM_NONE;
		allowed += p->allowed;
	}
	for (int c = 0; c < t->n_cores; c++)
		pus += t->cores[c].n_pus;
	for (int n = 0; n < t->n_nodes; n++) {
		node_pus += t->nodes[n].n_pus;
		ck_assert_int_eq(sm_topology_node(t, t->nodes[n].os), n);
		ck_assert_int_eq(t->nodes[n].has_cpu, t->nodes[n].n_pus > 0);
	}
	for (int p = 0; p < t->n_packages; p++)
		package_pus += t->packages[p].n_pus;
	for (int l = 0; l < t->n_l3s; l++)
		l3_pus += t->l3s[l].n_pus;
	ck_assert_int_eq(pus, t->n_pus);
	ck_assert_int_eq(node_pus, t->n_pus);
	ck_assert_int_eq(package_pus, t->n_pus);
	ck_assert_int_eq(l3_pus, with_l3);
	ck_assert_int_eq(allowed, t->n_allowed);
	ck_assert_int_eq(sm_topology_pu(t, -1), SM_NONE);
	ck_assert_int_eq(sm_topology_pu(t, t->pu_os_limit), SM_NONE);
}

START_TEST(test_this_machine)
{
	struct sm_topology *t;
	char err[300];

	ck_assert_int_eq(sm_topology_load(NULL, &t, err, sizeof(err)), 0);
	check_valid(t);
	ck_assert(t->is_thissystem);
	ck_assert_int_eq(t->n_pus + 0, (int)sysconf(_SC_NPROCESSORS_ONLN));
	ck_assert_uint_gt(t->nodes[0].memory, 0);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_two_sockets)
{
	struct sm_topology *t = synthetic("pack:2 [numa] l3:2 core:4 pu:2");

	check_valid(t);
	ck_assert(!t->is_thissystem);
	ck_assert_int_eq(t->n_packages, 2);
	ck_assert_int_eq(t->n_nodes, 2);
	ck_assert_int_eq(t->n_l3s, 4);
	ck_assert_int_eq(t->n_cores, 16);
	ck_assert_int_eq(t->n_pus, 32);
	ck_assert_int_eq(t->max_smt, 2);
	ck_assert_int_eq(t->n_allowed, 32);
	ck_assert_uint_eq(sm_topology_distance(t, 0, 0), SM_TOPO_LOCAL_DISTANCE);
	ck_assert_uint_gt(sm_topology_distance(t, 0, 1), SM_TOPO_LOCAL_DISTANCE);
	sm_topology_free(t);
}
END_TEST

/* A node beside the packages' own: local to no CPU. */
START_TEST(test_memory_only_node)
{
	struct sm_topology *t =
		synthetic("[numa(memory=64GB)] pack:2 [numa(memory=16GB)] core:8 pu:1");
	int without = 0;

	check_valid(t);
	ck_assert_int_eq(t->n_nodes, 3);
	ck_assert_int_eq(t->n_cpu_nodes, 2);
	for (int i = 0; i < 3; i++)
		if (!t->nodes[i].has_cpu) {
			without++;
			ck_assert_uint_ge(t->nodes[i].memory, 60000000000ull);
		}
	ck_assert_int_eq(without, 1);
	ck_assert_int_ne(t->pus[0].node, t->pus[15].node);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_1024_cpus_64_nodes)
{
	struct sm_topology *t = synthetic("pack:16 numa:4 l3:2 core:4 pu:2");

	check_valid(t);
	ck_assert_int_eq(t->n_pus, 1024);
	ck_assert_int_eq(t->n_nodes, 64);
	ck_assert_int_eq(t->pus[1023].os, 1023);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_no_l3)
{
	struct sm_topology *t = synthetic("numa:1 core:4 pu:1");

	check_valid(t);
	ck_assert_int_eq(t->n_l3s, 0);
	ck_assert_int_eq(t->pus[2].l3, SM_NONE);
	ck_assert_int_eq(t->n_packages, 1);
	sm_topology_free(t);
}
END_TEST

/* PU numbers with holes: as after hot-unplug, or as some firmware deals them. */
START_TEST(test_sparse_indexes)
{
	struct sm_topology *t =
		synthetic("pack:2 [numa(indexes=0,4)] core:2 pu:2(indexes=0,16,1,17,64,80,65,81)");

	check_valid(t);
	ck_assert_int_eq(t->n_pus, 8);
	ck_assert_int_eq(t->pu_os_limit, 82);
	ck_assert_int_eq(sm_topology_pu(t, 16), 1);
	ck_assert_int_eq(sm_topology_pu(t, 2), SM_NONE);
	ck_assert_int_eq(sm_topology_node(t, 4), 1);
	ck_assert_int_eq(sm_topology_node(t, 1), SM_NONE);
	sm_topology_free(t);
}
END_TEST

static const char odd_xml[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM "
	"\"hwloc2.dtd\">\n<topology "
	"version=\"2.0\">\n"
	"<object type=\"Machine\" os_index=\"0\" cpuset=\"0xf\" complete_cpuset=\"0x1f\" "
	"allowed_cpuset=\"0xd\" nodeset=\"0x25\" complete_nodeset=\"0x25\" allowed_nodeset=\"0x5\" "
	"gp_index=\"1\">\n"
	"<object type=\"Package\" os_index=\"3\" cpuset=\"0xf\" complete_cpuset=\"0x1f\" "
	"nodeset=\"0x25\" "
	"complete_nodeset=\"0x25\" gp_index=\"2\">\n"
	"<object type=\"NUMANode\" os_index=\"5\" cpuset=\"0xf\" complete_cpuset=\"0x1f\" "
	"nodeset=\"0x20\" "
	"complete_nodeset=\"0x20\" gp_index=\"9\" local_memory=\"3000000\"/>\n"
	"<object type=\"Group\" cpuset=\"0x3\" complete_cpuset=\"0x3\" nodeset=\"0x21\" "
	"complete_nodeset=\"0x21\" gp_index=\"3\" kind=\"1001\" subkind=\"0\">\n"
	"<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" "
	"nodeset=\"0x1\" "
	"complete_nodeset=\"0x1\" gp_index=\"4\" local_memory=\"1000000\"/>\n"
	"<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" "
	"nodeset=\"0x21\" "
	"complete_nodeset=\"0x21\" gp_index=\"10\"/>\n"
	"<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" "
	"nodeset=\"0x21\" "
	"complete_nodeset=\"0x21\" gp_index=\"11\"/>\n"
	"</object>\n"
	"<object type=\"Group\" cpuset=\"0xc\" complete_cpuset=\"0x1c\" nodeset=\"0x24\" "
	"complete_nodeset=\"0x24\" gp_index=\"5\" kind=\"1001\" subkind=\"0\">\n"
	"<object type=\"NUMANode\" os_index=\"2\" cpuset=\"0xc\" complete_cpuset=\"0x1c\" "
	"nodeset=\"0x4\" "
	"complete_nodeset=\"0x4\" gp_index=\"6\" local_memory=\"2000000\"/>\n"
	"<object type=\"PU\" os_index=\"2\" cpuset=\"0x4\" complete_cpuset=\"0x4\" "
	"nodeset=\"0x24\" "
	"complete_nodeset=\"0x24\" gp_index=\"12\"/>\n"
	"<object type=\"PU\" os_index=\"3\" cpuset=\"0x8\" complete_cpuset=\"0x8\" "
	"nodeset=\"0x24\" "
	"complete_nodeset=\"0x24\" gp_index=\"13\"/>\n"
	"</object>\n"
	"</object>\n"
	"</object>\n"
	"</topology>\n";

/* Cores missing, a CPU-less node between two others, a disallowed PU, an offline one. */
START_TEST(test_odd_xml)
{
	char path[] = "/tmp/sm_topoXXXXXX", err[300] = "";
	struct sm_topology_source from = {.xml = path};
	struct sm_topology *t;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, odd_xml, strlen(odd_xml)), (int)strlen(odd_xml));
	close(fd);
	ck_assert_msg(!sm_topology_load(&from, &t, err, sizeof(err)), "%s", err);
	unlink(path);
	check_valid(t);
	ck_assert_int_eq(t->n_pus, 4);
	ck_assert_int_eq(t->n_cores, 4);
	ck_assert_int_eq(t->n_allowed, 3);
	ck_assert_int_eq(t->n_offline, 1);
	ck_assert_int_eq(t->n_nodes, 3);
	ck_assert_int_eq(t->n_cpu_nodes, 2);
	ck_assert(!t->pus[sm_topology_pu(t, 1)].allowed);
	ck_assert(!t->nodes[sm_topology_node(t, 5)].has_cpu);
	ck_assert(!t->nodes[sm_topology_node(t, 5)].allowed);
	ck_assert_int_eq(t->nodes[t->pus[sm_topology_pu(t, 3)].node].os, 2);
	sm_topology_free(t);
}
END_TEST

/* A cpuset without any CPU is refused in one line that says what is needed. */
START_TEST(test_empty_cpuset)
{
	char path[] = "/tmp/sm_topoXXXXXX", err[300] = "", *xml = strdup(odd_xml), *allowed;
	struct sm_topology_source from = {.xml = path};
	struct sm_topology *t;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	allowed = strstr(xml, "allowed_cpuset=\"0xd\"");
	ck_assert_ptr_nonnull(allowed);
	allowed[strlen("allowed_cpuset=\"0x")] = '0';
	ck_assert_int_eq((int)write(fd, xml, strlen(xml)), (int)strlen(xml));
	close(fd);
	ck_assert_int_eq(sm_topology_load(&from, &t, err, sizeof(err)), -ENODEV);
	unlink(path);
	free(xml);
	ck_assert_msg(strstr(err, "at least one CPU") != NULL && !strchr(err, '\n'), "%s", err);
}
END_TEST

START_TEST(test_xml_round_trip)
{
	struct sm_topology_source from = {.synthetic = "pack:2 [numa] core:2 pu:2"};
	char path[] = "/tmp/sm_topoXXXXXX", err[300], *xml = sm_topology_xml(&from);
	struct sm_topology_source back = {.xml = path};
	struct sm_topology *t;
	int fd = mkstemp(path);

	ck_assert_ptr_nonnull(xml);
	ck_assert_int_eq((int)write(fd, xml, strlen(xml)), (int)strlen(xml));
	close(fd);
	ck_assert_int_eq(sm_topology_load(&back, &t, err, sizeof(err)), 0);
	unlink(path);
	free(xml);
	check_valid(t);
	ck_assert_int_eq(t->n_pus, 8);
	ck_assert(!t->is_thissystem);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_bad_input)
{
	struct sm_topology *t;
	char err[300] = "";

	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){.synthetic = "pack:zwei"},
					  &t, err, sizeof(err)),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "pack:zwei"));
	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){.xml = "/nonexistent.xml"},
					  &t, err, sizeof(err)),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "/nonexistent.xml"));
	ck_assert_int_eq(sm_topology_load(&(struct sm_topology_source){.xml = "/etc/passwd"}, &t,
					  err, sizeof(err)),
			 -EINVAL);
	ck_assert_int_eq(
		sm_topology_load(&(struct sm_topology_source){.xml = "a", .synthetic = "pu:1"}, &t,
				 err, sizeof(err)),
		-EINVAL);
	ck_assert_ptr_null(t);
}
END_TEST

int main(void)
{
	return SM_SUITE("topology", 60, SM_T(test_this_machine), SM_T(test_two_sockets),
			SM_T(test_memory_only_node), SM_T(test_1024_cpus_64_nodes),
			SM_T(test_no_l3), SM_T(test_sparse_indexes), SM_T(test_odd_xml),
			SM_T(test_empty_cpuset), SM_T(test_xml_round_trip), SM_T(test_bad_input));
}
