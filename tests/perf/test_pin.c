/* Pinning takes, is verified, and fails loudly. */
#include "perf/pin.h"
#include "perf/topology.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

static struct sm_topology *here(void)
{
	struct sm_topology *t;
	char err[300];

	ck_assert_int_eq(sm_topology_load(NULL, &t, err, sizeof(err)), 0);
	return t;
}

START_TEST(test_each_allowed_pu)
{
	struct sm_topology *t = here();
	char why[200] = "";
	int node;

	for (int i = 0; i < t->n_pus; i++) {
		if (!t->pus[i].allowed)
			continue;
		ck_assert_msg(!sm_pin_thread(t->pus[i].os, why, sizeof(why)), "%s", why);
		ck_assert_int_eq(sm_pin_current(&node), t->pus[i].os);
		ck_assert_int_eq(node, t->nodes[t->pus[i].node].os);
		ck_assert_int_eq(sm_pin_verify(t->pus[i].os, why, sizeof(why)), 0);
	}
	ck_assert_int_eq(sm_pin_release(), 0);
	sm_topology_free(t);
}
END_TEST

START_TEST(test_no_such_cpu)
{
	char why[200] = "";

	ck_assert_int_eq(sm_pin_thread(1000000, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "1000000"));
	ck_assert_int_eq(sm_pin_thread(-1, why, sizeof(why)), -EINVAL);
}
END_TEST

/* The thread is moved from outside: the check at the end of a sample sees it. */
START_TEST(test_lost_binding_is_seen)
{
	struct sm_topology *t = here();
	cpu_set_t all;
	char why[200] = "";

	sched_getaffinity(0, sizeof(all), &all);
	if (CPU_COUNT(&all) < 2) {
		sm_topology_free(t);
		SM_SKIP("one CPU");
	}
	ck_assert_int_eq(sm_pin_thread(t->pus[0].os, why, sizeof(why)), 0);
	sched_setaffinity(0, sizeof(all), &all);
	ck_assert_int_eq(sm_pin_verify(t->pus[0].os, why, sizeof(why)), -EIO);
	ck_assert_ptr_nonnull(strstr(why, "did not take"));
	sm_topology_free(t);
}
END_TEST

int main(void)
{
	return SM_SUITE("pin", 0, SM_T(test_each_allowed_pu), SM_T(test_no_such_cpu),
			SM_T(test_lost_binding_is_seen));
}
