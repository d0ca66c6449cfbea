/* workloads/params.c, registry.c: descriptors are sane, values are read back, bad ones are refused
 * in words. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/workload.h"
#include "tests/support/run.h"

static char err[512];

static const struct sm_param_desc descs[] = {
	{.name = "n",
	 .def = 5,
	 .min = -10,
	 .max = 3000000,
	 .quick = 2,
	 .unit = "objects",
	 .help = "count"},
	{.name = "bytes",
	 .def = 64,
	 .min = 1,
	 .max = 1 << 30,
	 .quick = 8,
	 .unit = "bytes",
	 .help = "size"},
	{.name = "list",
	 .kind = SM_PARAM_LIST,
	 .min = 1,
	 .max = 100,
	 .def_text = "1,2",
	 .quick_text = "3"},
	{.name = "how",
	 .kind = SM_PARAM_TEXT,
	 .def_text = "a",
	 .quick_text = "bb",
	 .choices = "a|bb|ccc"},
	{.name = "threads", .def = 1, .min = 1, .max = 64, .quick = 1, .unit = "threads"},
	{0},
};
static const struct sm_workload with = {.name = "with", .params = descs};
static const struct sm_param_desc none[] = {{0}};
static const struct sm_workload without = {.name = "without", .params = none};

static void refused(const char *assignment, int expected, const char *words)
{
	struct sm_params p, before;
	int rc;

	sm_params_init(&p, &with, false);
	before = p;
	memset(err, 0, sizeof(err));
	rc = sm_params_set(&p, assignment, err, sizeof(err));
	ck_assert_msg(rc == expected, "'%s' gave %d", assignment, rc);
	ck_assert_msg(strstr(err, words) != NULL, "'%s': '%s' lacks '%s'", assignment, err, words);
	ck_assert_msg(strchr(err, '\n') == NULL, "'%s': more than one line", assignment);
	ck_assert_mem_eq(&p, &before, sizeof(p));
}

START_TEST(defaults_and_quick)
{
	struct sm_params p;
	unsigned n;

	sm_params_init(&p, &with, false);
	ck_assert_int_eq(sm_params_int(&p, "n"), 5);
	ck_assert_str_eq(p.values[sm_workload_param(&with, "how")].text, "a");
	ck_assert_int_eq(sm_params_list(&p, "list", &n)[1], 2);
	ck_assert_uint_eq(n, 2);
	sm_params_init(&p, &with, true);
	ck_assert_int_eq(sm_params_int(&p, "n"), 2);
	ck_assert_str_eq(p.values[sm_workload_param(&with, "how")].text, "bb");
	ck_assert_int_eq(sm_params_list(&p, "list", &n)[0], 3);
	ck_assert_uint_eq(n, 1);
	ck_assert(!p.values[0].given);
}
END_TEST

START_TEST(values)
{
	struct sm_params p;
	unsigned n;
	const int64_t *list;

	sm_params_init(&p, &with, false);
	ck_assert_int_eq(sm_params_set(&p, "n=-10", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_int(&p, "n"), -10);
	ck_assert(p.values[0].given);
	ck_assert_int_eq(sm_params_set(&p, "n=3M", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_int(&p, "n"), 3000000);
	ck_assert_int_eq(sm_params_set(&p, "bytes=3k", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_int(&p, "bytes"), 3072);
	ck_assert_int_eq(sm_params_set(&p, "bytes=3KiB", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_int(&p, "bytes"), 3072);
	ck_assert_int_eq(sm_params_set(&p, "n=2e6", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_int(&p, "n"), 2000000);
	ck_assert_int_eq(sm_params_set(&p, "list=1e1,2", err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_set(&p, "list=100,1,50", err, sizeof(err)), 0);
	list = sm_params_list(&p, "list", &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(list[0], 100);
	ck_assert_int_eq(list[2], 50);
	ck_assert_int_eq(sm_params_set(&p, "how=ccc", err, sizeof(err)), 0);
	ck_assert_str_eq(p.values[sm_workload_param(&with, "how")].text, "ccc");
}
END_TEST

START_TEST(refusals)
{
	refused("depth=1", -ENOENT, "no parameter 'depth'; it has n, bytes, list, how, threads");
	refused("n", -EINVAL, "key=value");
	refused("=1", -EINVAL, "key=value");
	refused("n=", -EINVAL, "from -10 to 3000000 objects");
	refused("n=x", -EINVAL, "n=x");
	refused("n=1x", -EINVAL, "integer");
	refused("n=1kk", -EINVAL, "integer");
	refused("n=1KiB", -EINVAL, "integer");
	refused("n=1e", -EINVAL, "integer");
	refused("n=1e6k", -EINVAL, "integer");
	refused("n=1e99999999999", -ERANGE, "");
	refused("n=1,2", -EINVAL, "integer");
	refused("n= 1", -EINVAL, "integer");
	refused("n=+1", -EINVAL, "integer");
	refused("n=0x10", -EINVAL, "integer");
	refused("n=3000001", -ERANGE, "from -10 to 3000000");
	refused("n=-11", -ERANGE, "from -10 to 3000000");
	refused("n=99999999999999999999999", -ERANGE, "from -10");
	refused("n=9223372036854775807g", -ERANGE, "from -10");
	refused("bytes=2g", -ERANGE, "bytes");
	refused("list=", -EINVAL, "1 to 64 integers");
	refused("list=1,", -EINVAL, "separated by commas");
	refused("list=,1", -EINVAL, "separated by commas");
	refused("list=1,101", -ERANGE, "from 1 to 100");
	refused("how=b", -EINVAL, "one of a|bb|ccc");
	refused("how=", -EINVAL, "one of");
	refused("how=a|bb", -EINVAL, "one of");
}
END_TEST

START_TEST(list_too_long)
{
	char text[512] = "list=1";

	for (unsigned i = 1; i < SM_PARAM_LIST_MAX; i++)
		strcat(text, ",1");
	{
		struct sm_params p;

		sm_params_init(&p, &with, false);
		ck_assert_int_eq(sm_params_set(&p, text, err, sizeof(err)), 0);
	}
	strcat(text, ",1");
	refused(text, -EINVAL, "1 to 64 integers");
}
END_TEST

START_TEST(threads)
{
	struct sm_params p;

	sm_params_init(&p, &with, false);
	ck_assert_uint_eq(sm_params_threads(&p), 1);
	ck_assert_int_eq(sm_params_set_threads(&p, 7, err, sizeof(err)), 0);
	ck_assert_uint_eq(sm_params_threads(&p), 7);
	ck_assert_int_eq(sm_params_set_threads(&p, 65, err, sizeof(err)), -ERANGE);
	sm_params_init(&p, &without, false);
	ck_assert_uint_eq(sm_params_threads(&p), 1);
	ck_assert_int_eq(sm_params_set_threads(&p, 1, err, sizeof(err)), 0);
	ck_assert_int_eq(sm_params_set_threads(&p, 2, err, sizeof(err)), -ERANGE);
	ck_assert_ptr_nonnull(strstr(err, "one thread"));
	ck_assert_int_eq(sm_params_set(&p, "x=1", err, sizeof(err)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "it has none"));
}
END_TEST

/* What is printed is read back as the same value, for defaults and quick values of every real
 * workload. */
START_TEST(every_descriptor)
{
	unsigned n;
	const struct sm_workload *const *all = sm_workloads(&n);

	ck_assert_uint_ge(n, 5);
	for (unsigned i = 0; i < n; i++) {
		const struct sm_workload *w = all[i];

		ck_assert(i == 0 || strcmp(all[i - 1]->name, w->name) < 0);
		ck_assert_ptr_eq(sm_workload_find(w->name, err, sizeof(err)), w);
		ck_assert_uint_gt(strlen(w->summary), 10);
		ck_assert_uint_lt(strlen(w->summary), 90);
		ck_assert(w->backends != 0 && w->op != NULL && w->run != NULL);
		for (int quick = 0; quick < 2; quick++) {
			struct sm_params p, q;

			sm_params_init(&p, w, quick);
			sm_params_init(&q, w, !quick);
			for (unsigned k = 0; k < sm_workload_nparams(w); k++) {
				char value[600], text[700];

				ck_assert_ptr_nonnull(w->params[k].help);
				sm_params_format(&p, k, value, sizeof(value));
				snprintf(text, sizeof(text), "%s=%s", w->params[k].name, value);
				ck_assert_msg(sm_params_set(&q, text, err, sizeof(err)) == 0,
					      "%s: %s", text, err);
				ck_assert_int_eq(q.values[k].number, p.values[k].number);
				ck_assert_str_eq(q.values[k].text, p.values[k].text);
			}
		}
	}
}
END_TEST

START_TEST(unknown_names)
{
	enum sm_wl_backend b;

	ck_assert_ptr_null(sm_workload_find("tree", err, sizeof(err)));
	for (unsigned i = 0, n; i < (sm_workloads(&n), n); i++)
		ck_assert_msg(strstr(err, sm_workloads(&n)[i]->name) != NULL, "%s", err);
	ck_assert_int_eq(sm_wl_backend_parse("malloc", &b, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "gc, span, libc"));
	for (unsigned i = 0; i < SM_WL_COUNT; i++) {
		ck_assert_int_eq(sm_wl_backend_parse(sm_wl_backend_name((enum sm_wl_backend)i), &b,
						     err, sizeof(err)),
				 0);
		ck_assert_uint_eq(b, i);
	}
}
END_TEST

int main(void)
{
	return SM_SUITE("params", 0, SM_T(defaults_and_quick), SM_T(values), SM_T(refusals),
			SM_T(list_too_long), SM_T(threads), SM_T(every_descriptor),
			SM_T(unknown_names));
}
