/* harness/program/figures.c: what is kept of a stream without end, and the figures in it. */
#include "harness/program/figures.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/run.h"

static bool find(const char *regex, const char *text, double *v, char *why)
{
	char *copy = strdup(text);
	struct sm_text t = {copy, strlen(copy)};
	bool ok = sm_figure_find(regex, &t, 1, v, why, 100);

	free(copy);
	return ok;
}

START_TEST(test_expressions)
{
	static const struct {
		const char *text, *says; /* NULL: good */
	} all[] = {
		{"ops=([0-9.]+) requests", NULL},
		{"a.b-c_d/s=x(y)", NULL},
		{"9=(.)", NULL},
		{"=(.)", "NAME=REGEX"},
		{"ops", "NAME=REGEX"},
		{"-x=(.)", "begins with a letter"},
		{"o ps=(.)", "NAME=REGEX"},
		{"ops=[0-9]+", "no group"},
		{"ops=([0-9]+", "expression is wrong"},
		{"ops=(a**", "expression is wrong"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char err[300] = "";
		int rc = sm_figure_check(all[i].text, err, sizeof(err));

		ck_assert_msg((rc == 0) == (all[i].says == NULL), "%s: %s", all[i].text, err);
		if (all[i].says != NULL)
			ck_assert_msg(strstr(err, all[i].says) != NULL, "%s", err);
	}
}
END_TEST

START_TEST(test_last_match_counts)
{
	static const struct {
		const char *regex, *text;
		double value;
	} all[] = {
		{"ops ([0-9.]+)", "ops 1\nops 2.5\nend\n", 2.5},
		{"ops ([0-9.]+)", "ops 1", 1},
		{"ops ([0-9.]+)", "ops 1 ops 2", 2},
		{"rps=([0-9.]+)", "GET: rps=1\rGET: rps=12.25\rdone",
		 12.25}, /* rewrites its line */
		{"^([0-9]+)$", "1\n22\nx3\n", 22},
		{"^([0-9])", "12 3\n", 1}, /* ^ is the line's begin alone */
		{"(-?[0-9.e+]+) s", "took -1.5e+2 s\n", -150},
		{"a|b([0-9])", "b7 a\n", 7}, /* the last match that has the group */
		{"([0-9]*)", "x 8 \n8", 8},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char why[100] = "";
		double v = 0;

		ck_assert_msg(find(all[i].regex, all[i].text, &v, why), "%zu: %s", i, why);
		ck_assert_msg(v == all[i].value, "%s in %s: %g", all[i].regex, all[i].text, v);
	}
}
END_TEST

START_TEST(test_no_figure)
{
	char why[100];
	double v = 7;

	ck_assert(!find("ops ([0-9]+)", "nothing\n", &v, why));
	ck_assert_str_eq(why, "no line of the output matches");
	ck_assert(!find("ops ([0-9]+)", "", &v, why));
	ck_assert(!find("ops (.*)", "ops many\n", &v, why));
	ck_assert_str_eq(why, "'many' is not a number");
	ck_assert(!find("ops (.*)", "ops nan\n", &v, why));
	ck_assert(!find("ops ([0-9]*)", "ops \n", &v, why)); /* an empty group */
}
END_TEST

/* The first text that has it, whatever the others say. */
START_TEST(test_texts_in_order)
{
	char a[] = "none\n", b[] = "x 2\n", c[] = "x 3\n", why[100];
	struct sm_text t[] = {{NULL, 0}, {a, 5}, {b, 4}, {c, 4}};
	double v;

	ck_assert(sm_figure_find("x ([0-9])", t, 4, &v, why, sizeof(why)));
	ck_assert(v == 2);
}
END_TEST

static char letter(uint64_t at)
{
	return (char)('a' + at * 31 % 127 % 26);
}

/* Of a long stream: its begin, its end, and what was left out between them. */
START_TEST(test_kept)
{
	static char piece[100000];
	struct sm_kept k = {0};
	size_t len;
	char *text;

	sm_kept_take(&k, "short\n", 6);
	text = sm_kept_text(&k, &len);
	ck_assert_str_eq(text, "short\n");
	free(text);
	for (int i = 0; i < 100; i++) { /* each byte tells where in the stream it stands */
		size_t n = i % 2 ? sizeof(piece) : 77;

		for (size_t b = 0; b < n; b++)
			piece[b] = letter(k.total + b);
		sm_kept_take(&k, piece, n);
	}
	sm_kept_take(&k, "end", 3);
	text = sm_kept_text(&k, &len);
	ck_assert(len == strlen(text));
	for (size_t b = 6; b < SM_KEPT_HEAD; b++)
		ck_assert(text[b] == letter(b));
	for (size_t b = 4; b < SM_KEPT_TAIL; b++)
		ck_assert(text[len - b] == letter(k.total - b));
	ck_assert_str_eq(text + len - 3, "end");
	ck_assert(len < SM_KEPT_HEAD + SM_KEPT_TAIL + 100);
	ck_assert(strstr(text, "bytes left out]") != NULL);
	ck_assert(k.total == 6 + 50 * (sizeof(piece) + 77) + 3);
	free(text);
	sm_kept_free(&k);
}
END_TEST

/* One byte more than fits is one byte left out. */
START_TEST(test_kept_edges)
{
	static char all[SM_KEPT_HEAD + SM_KEPT_TAIL];
	struct sm_kept k = {0};
	size_t len;
	char *text;

	memset(all, 'x', sizeof(all));
	sm_kept_take(&k, all, sizeof(all));
	text = sm_kept_text(&k, &len);
	ck_assert_uint_eq(len, sizeof(all));
	free(text);
	sm_kept_take(&k, "y", 1);
	text = sm_kept_text(&k, &len);
	ck_assert(strstr(text, "[1 bytes left out]") != NULL && text[len - 1] == 'y');
	free(text);
	sm_kept_free(&k);
}
END_TEST

int main(void)
{
	return SM_SUITE("figures", 30, SM_T(test_expressions), SM_T(test_last_match_counts),
			SM_T(test_no_figure), SM_T(test_texts_in_order), SM_T(test_kept),
			SM_T(test_kept_edges));
}
