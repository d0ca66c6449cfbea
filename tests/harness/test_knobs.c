/* harness/tune/knobs.c and choice.c: every knob of the collector's and the allocator's table is a
 * setting of this build; what needs another value is linked to it; what cannot matter goes. */
#include "collector/span/scankernel.h"
#include "harness/tune/counterfactual.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static const struct {
	const char *backend, *key;
} table[] = {
#define X(backend, key, values, why) {backend, key},
#include "harness/tune/knobs.def"
#undef X
};

static struct sm_space make(const char *backend)
{
	const struct sm_strings none = {.n = 0};
	struct sm_space s;
	char err[256] = "";

	ck_assert_msg(sm_space_make(&s, backend, &none, err, sizeof(err)) == 0, "%s", err);
	return s;
}

static int find(const struct sm_space *s, const char *key)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->knobs[i].key, key) == 0)
			return (int)i;
	return -1;
}

static unsigned char level_of(const struct sm_space *s, const char *key, const char *value)
{
	int at = find(s, key);

	ck_assert_int_ge(at, 0);
	for (unsigned v = 1; v < s->dials[at].levels; v++)
		if (strcmp(sm_space_value(s, (unsigned)at, v), value) == 0)
			return (unsigned char)v;
	ck_abort_msg("%s has no value %s", key, value);
	return 0;
}

/* A key that was misspelt would be left out in silence, as one of another build is. */
START_TEST(each_knob_is_a_setting_of_this_build)
{
	static const char *const ours[] = {"gc", "span"};

	for (unsigned b = 0; b < 2; b++) {
		struct sm_space s = make(ours[b]);

		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (strcmp(table[i].backend, ours[b]) == 0)
				ck_assert_msg(find(&s, table[i].key) >= 0, "%s is left out",
					      table[i].key);
		sm_space_free(&s);
	}
}
END_TEST

START_TEST(what_is_about_spans_needs_marking_by_span)
{
	struct sm_space s = make("gc");
	int mark = find(&s, "gc.mark"), dense = find(&s, "gc.dense");
	struct sm_tune_point p = {{0}}, lone = {{0}};
	char *text;

	ck_assert_uint_eq(s.dials[dense].of, (unsigned)mark + 1);
	ck_assert_uint_eq(s.dials[dense].at, level_of(&s, "gc.mark", "spans"));
	ck_assert_uint_eq(s.dials[find(&s, "gc.kernel")].of, (unsigned)mark + 1);
	ck_assert_uint_eq(s.dials[find(&s, "gc.fifo")].of, 0);
	p.level[mark] = level_of(&s, "gc.mark", "spans");
	p.level[dense] = lone.level[dense] = level_of(&s, "gc.dense", "25");
	text = sm_space_variant(&s, &p);
	ck_assert_str_eq(text, "gc.mark=spans gc.dense=25");
	free(text);
	sm_tune_settle(s.dials, s.n, &lone);
	text = sm_space_variant(&s, &lone);
	ck_assert_str_eq(text, "default");
	free(text);
	/* What stands before them goes: they still need the same. */
	sm_space_drop(&s, "cache.window");
	ck_assert_uint_eq(s.dials[dense - 1].of, (unsigned)mark);
	sm_space_drop(&s, "gc.mark");
	ck_assert_uint_eq(s.dials[find(&s, "gc.dense")].of, 0);
	sm_space_free(&s);
}
END_TEST

/* What is set for all classes is turned for none; what is set for one is turned for the others. */
START_TEST(what_stays_is_no_knob)
{
	struct sm_space s = make("gc");

	ck_assert_int_eq(sm_space_add(&s, "cache.window@64", "8192", ""), 0);
	sm_space_drop_all(&s, "cache.window@64=4k");
	ck_assert_int_lt(find(&s, "cache.window@64"), 0);
	ck_assert_int_ge(find(&s, "cache.window"), 0);
	ck_assert_int_eq(sm_space_add(&s, "cache.window@64", "8192", ""), 0);
	sm_space_drop_all(&s, "cache.window=4k");
	ck_assert_int_lt(find(&s, "cache.window@64"), 0);
	ck_assert_int_lt(find(&s, "cache.window"), 0);
	ck_assert_int_ge(find(&s, "cache.spans"), 0);
	sm_space_free(&s);
}
END_TEST

/* The kernel that this CPU takes by itself is the default. */
START_TEST(kernels_that_are_not_there_are_no_values)
{
	struct sm_space s = make("gc");
	int at = find(&s, "gc.kernel");

	for (unsigned v = 1; v < s.dials[at].levels; v++) {
		const char *name = sm_space_value(&s, (unsigned)at, v);

		ck_assert_ptr_nonnull(sm__scan_kernel(name));
		ck_assert_ptr_ne(sm__scan_kernel(name), sm__scan_kernel(NULL));
	}
	sm_space_free(&s);
}
END_TEST

START_TEST(what_marks_nothing_is_not_tuned)
{
	static const struct {
		double cycles, spans;
		bool mark, fifo; /* are left */
	} cases[] = {{NAN, NAN, true, true},
		     {3, 100, true, true},
		     {3, 0, false, true},
		     {0, 0, false, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sm_counterfactual c = {
			.windows = true, .cycles = cases[i].cycles, .spans = cases[i].spans};
		struct sm_space s = make("gc");

		ck_assert_int_eq(sm_choice_make(&s, &c), 0);
		ck_assert_int_eq(find(&s, "gc.mark") >= 0, cases[i].mark);
		ck_assert_int_eq(find(&s, "gc.dense") >= 0, cases[i].mark);
		ck_assert_int_eq(find(&s, "gc.kernel") >= 0, cases[i].mark);
		ck_assert_int_eq(find(&s, "gc.fifo") >= 0, cases[i].fifo);
		ck_assert_int_ge(find(&s, "gc.percent"), 0);
		sm_space_free(&s);
	}
}
END_TEST

/* 0, or -EINVAL with the text in `said`. */
static char said[256];
static int make_chosen(struct sm_space *s, const char *knob, const char *stays)
{
	char *chosen[] = {(char *)knob}, *words[] = {"--set", (char *)stays};
	const struct sm_strings knobs = {.v = chosen, .n = 1},
				args = {.v = words, .n = stays != NULL ? 2 : 0};
	int rc = sm_space_make(s, "gc", &knobs, said, sizeof(said));

	return rc ? rc : sm_space_drop_default(s, &args, said, sizeof(said));
}

/* The default is always tried: under a second name it would be measured, and recommended, too. */
START_TEST(the_default_is_no_value)
{
	const struct sm_strings nothing = {.n = 0};
	struct sm_space s = make("gc");
	unsigned levels[SM_TUNE_KNOBS];

	for (unsigned i = 0; i < s.n; i++)
		levels[i] = s.dials[i].levels;
	ck_assert_int_eq(sm_space_drop_default(&s, &nothing, said, sizeof(said)), 0);
	for (unsigned i = 0; i < s.n; i++)
		ck_assert_msg(s.dials[i].levels == levels[i], "%s: the table has the default",
			      s.knobs[i].key);
	sm_space_free(&s);
	ck_assert_int_eq(make_chosen(&s, "cache.window=8k,32768,64k", NULL), 0);
	ck_assert_uint_eq(s.dials[0].levels, 3);
	ck_assert_str_eq(sm_space_value(&s, 0, 1), "8k");
	ck_assert_str_eq(sm_space_value(&s, 0, 2), "64k");
	sm_space_free(&s);
	/* What stays is the default. */
	ck_assert_int_eq(make_chosen(&s, "cache.window=8k,32768,64k", "cache.window=64k"), 0);
	ck_assert_uint_eq(s.dials[0].levels, 3);
	ck_assert_str_eq(sm_space_value(&s, 0, 2), "32768");
	sm_space_free(&s);
	ck_assert_int_eq(make_chosen(&s, "gc.percent=100", NULL), -EINVAL);
	ck_assert_str_eq(said, "--knob gc.percent has no value but the default, which is always "
			       "tried; allowed: another one");
	sm_space_free(&s);
	ck_assert_int_eq(make_chosen(&s, "gc.min_heap=1m,4m,1024k", NULL), -EINVAL);
	ck_assert_str_eq(said, "--knob gc.min_heap: the value '1024k' is given twice");
	sm_space_free(&s);
	ck_assert_int_eq(make_chosen(&s, "workers=1,2", NULL), 0); /* not the library's to tell */
	ck_assert_uint_eq(s.dials[0].levels, 3);
	sm_space_free(&s);
}
END_TEST

int main(void)
{
	return SM_SUITE("knobs", 60, SM_T(each_knob_is_a_setting_of_this_build),
			SM_T(what_is_about_spans_needs_marking_by_span),
			SM_T(what_stays_is_no_knob), SM_T(kernels_that_are_not_there_are_no_values),
			SM_T(what_marks_nothing_is_not_tuned), SM_T(the_default_is_no_value));
}
