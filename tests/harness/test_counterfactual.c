/* harness/tune/counterfactual.c: records become curves, by numbers worked out by hand; what is
 * damaged is refused. */
#include "harness/tune/counterfactual.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static const struct sm_cache_sizes sizes = {32 * 1024, 1024 * 1024, 4096 * 1024};

static int read_text(const char *text, bool windows, struct sm_counterfactual *c)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int rc = sm_counterfactual_read(in, windows, &sizes, c);

	fclose(in);
	return rc;
}

/* Two processes; class 64 in both. */
static const char two[] =
	"{\"pid\":1,\"threads\":1,\"slots\":[2,4,8],\"classes\":[{\"bytes\":64,\"allocs\":1000,"
	"\"frees\":900,\"refills\":[100,10,1],\"overflows\":[9,8,7],\"held\":[1,2,3],"
	"\"reuse\":[0,0,800,100]}]}\n"
	"{\"pid\":2,\"threads\":3,\"slots\":[2,4,8],\"classes\":[{\"bytes\":64,\"allocs\":1000,"
	"\"frees\":900,\"refills\":[300,30,1],\"overflows\":[9,8,7],\"held\":[1,2,5],"
	"\"reuse\":[0,0,900,100]},{\"bytes\":1024,\"allocs\":6000,\"frees\":0,"
	"\"refills\":[3000,1500,750],\"overflows\":[0,0,0],\"held\":[1,2,4],\"reuse\":[]}]}\n";

START_TEST(lists_are_summed_over_processes)
{
	struct sm_counterfactual c;
	const struct sm_class_curve *v;

	ck_assert_int_eq(read_text(two, false, &c), 0);
	ck_assert_uint_eq(c.n, 2);
	ck_assert_uint_eq(c.threads, 4);
	v = &c.classes[1]; /* fewer allocations than the other */
	ck_assert_uint_eq(v->bytes, 64);
	ck_assert_double_eq_tol(v->share, 0.25, 1e-12);
	ck_assert_uint_eq(v->npoints, 3);
	ck_assert_double_eq_tol(v->points[0].predicted, 200, 1e-9);
	ck_assert_double_eq_tol(v->points[1].predicted, 20, 1e-9);
	ck_assert_double_eq_tol(v->points[2].predicted, 1, 1e-9);
	ck_assert_double_eq_tol(v->points[2].held, 8 * 64, 1e-9);
	ck_assert(isnan(v->points[0].measured));
	ck_assert_double_eq_tol(v->fresh, 0.05, 1e-12);
	ck_assert_double_eq_tol(v->reuse, 256, 1e-9);
	ck_assert_double_eq(sm_curve_enough(v), 8);
	ck_assert_str_eq(v->binds, "refill rate"); /* 20 in 1000 at the size in the middle */
	ck_assert_str_eq(c.classes[0].binds, "first touch");
	ck_assert(isnan(c.classes[0].reuse));
	/* lists of 256 bytes: 4 slots of 64, but none of 1024, whose smallest counts */
	ck_assert_double_eq_tol(sm_counterfactual_rate(&c, 256), 0.25 * 20 + 0.75 * 500, 1e-9);
	sm_counterfactual_free(&c);
}
END_TEST

START_TEST(windows_end_with_their_span)
{
	struct sm_counterfactual c;
	const struct sm_class_curve *v;

	ck_assert_int_eq(read_text(two, true, &c), 0);
	v = &c.classes[1];
	ck_assert_double_eq(v->points[0].size, 4096);
	ck_assert_double_eq_tol(v->points[0].predicted, 1000 * 64 / 4096.0, 1e-9);
	for (unsigned k = 1; k < v->npoints; k++)
		ck_assert_double_le(v->points[k].predicted, v->points[k - 1].predicted);
	/* a window larger than a span is a span */
	ck_assert_double_eq(v->points[v->npoints - 1].predicted,
			    v->points[v->npoints - 2].predicted);
	sm_counterfactual_free(&c);
}
END_TEST

/* Sizes have units that suit them. */
START_TEST(sizes_are_printed_for_reading)
{
	static const char far[] =
		"{\"threads\":1,\"slots\":[2,4],\"classes\":[{\"bytes\":1024,\"allocs\":1000,"
		"\"refills\":[10,1],\"held\":[9,4096],\"reuse\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
		"0,0,0,0,0,0,0,1000]}]}\n";
	struct sm_counterfactual c;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(read_text(far, false, &c), 0);
	sm_counterfactual_print(&c, out);
	fclose(out);
	ck_assert_msg(strstr(text, "reused after 256 MiB, waits for TLB and memory") != NULL, "%s",
		      text);
	ck_assert_msg(strstr(text, "         2         10          -   9.00 KiB\n") != NULL, "%s",
		      text);
	ck_assert_msg(strstr(text, "         4          1          -   4.00 MiB\n") != NULL, "%s",
		      text);
	free(text);
	sm_counterfactual_free(&c);
}
END_TEST

START_TEST(what_is_damaged_is_refused)
{
	static const char *const bad[] = {"x\n", "[]\n", "{\"classes\":3\n"};
	struct sm_counterfactual c;
	char many[8192];
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(read_text(bad[i], false, &c), -EINVAL);
		sm_counterfactual_free(&c);
	}
	/* nothing of what stands before the damage is taken for the whole */
	snprintf(many, sizeof(many), "%.*s{\"pid\":2", (int)(strchr(two, '\n') + 1 - two), two);
	ck_assert_int_eq(read_text(many, false, &c), -EINVAL);
	ck_assert_uint_eq(c.n, 0);
	/* more classes than there are */
	n = (size_t)snprintf(many, sizeof(many), "{\"classes\":[");
	for (unsigned i = 1; i <= 200; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "%s{\"bytes\":%u,\"allocs\":1}",
				      i > 1 ? "," : "", i);
	snprintf(many + n, sizeof(many) - n, "]}\n");
	ck_assert_int_eq(read_text(many, false, &c), -EINVAL);
	ck_assert_uint_eq(c.n, 0);
	ck_assert_int_eq(read_text("{\"classes\":[{\"bytes\":0,\"allocs\":1},{\"bytes\":1e9},"
				   "{\"bytes\":64,\"allocs\":-5,\"refills\":[\"x\",-1]}]}\n",
				   false, &c),
			 0);
	ck_assert_uint_eq(c.n, 0); /* of no allocation nothing can be said */
	sm_counterfactual_free(&c);
	ck_assert_int_eq(read_text("{}\n", false, &c), 0);
	ck_assert_uint_eq(c.n, 0);
	sm_counterfactual_free(&c);
}
END_TEST

int main(void)
{
	return SM_SUITE("counterfactual", 20, SM_T(lists_are_summed_over_processes),
			SM_T(windows_end_with_their_span), SM_T(what_is_damaged_is_refused),
			SM_T(sizes_are_printed_for_reading));
}
