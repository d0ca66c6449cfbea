/* harness/page: names in HTML are text whatever they are, and scales put what they are given where
 * it belongs. The page as a whole: tests/cli/test_report.sh. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/chart.h"
#include "harness/page/html.h"
#include "harness/page/section.h"
#include "tests/support/run.h"

static char *text;
static size_t len;
static FILE *out;

static void begin(void)
{
	out = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(out);
}

static void is(const char *want)
{
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, want);
	free(text);
}

START_TEST(a_number_that_is_not_there)
{
	begin();
	sm__grid_number(out, NAN, "x");
	is("<td class=\"n na\">n/a</td>");
	begin();
	sm__grid_number(out, 0.5, "x");
	is("<td class=\"n\" data-v=\"0.5\">0.500</td>");
}
END_TEST

START_TEST(names_are_escaped)
{
	begin();
	sm_html(out, "<a title=\"%s\">%s</a>", "\" onclick='x'", "</a><script>&amp;");
	is("<a title=\"&quot; onclick=&#39;x&#39;\">&lt;/a&gt;&lt;script&gt;&amp;amp;</a>");
	begin();
	sm_html_text(out, "a\x01\x1b[31m\x7f\tb\nc");
	is("a??[31m?\tb\nc");
	/* no UTF-8; what turns the direction of writing; letters from right to left stay */
	begin();
	sm_html_text(out, "\xff\xc3\x28 \xe2\x80\xaetxt \xd7\x90\xd7\x91");
	is("?\?( ???txt \xd7\x90\xd7\x91");
	begin();
	sm_html_text(out, NULL);
	is("");
}
END_TEST

START_TEST(formats_are_printfs)
{
	begin();
	sm_html(out, "%d|%5u|%zu|%lld|%llu|%.2f|%g|100%%|%s|%%s", -3, 7u, (size_t)8, -9ll, 10ull,
		1.005, 0.25, "%d%s%n");
	is("-3|    7|8|-9|10|1.00|0.25|100%|%d%s%n|%s");
}
END_TEST

/* Cut between characters, never within one. */
START_TEST(short_names_are_whole)
{
	static const char *const want[] = {"\xe2\x80\xa6",	    "\xe2\x80\xa6",
					   "\xc3\xa4\xe2\x80\xa6",  "\xc3\xa4&lt;\xe2\x80\xa6",
					   "\xc3\xa4&lt;\xc3\xb6x", "\xc3\xa4&lt;\xc3\xb6x"};

	begin();
	sm_html_short(out, "\xc3\xa4<\xc3\xb6x", (unsigned)_i);
	is(want[_i]);
}
END_TEST

START_TEST(numbers_are_those_of_json)
{
	begin();
	sm_html_data(out, "v", 0.1);
	sm_html_data(out, "w", 8.915786139800865);
	sm_html_data(out, "none", NAN);
	is(" data-v=\"0.1\" data-w=\"8.915786139800865\"");
}
END_TEST

/* Whatever the range, ticks are few, in order, on the scale; and values keep their order. */
START_TEST(scales_hold_what_they_are_given)
{
	static const double from[] = {0, 1, 1e-6, 5, 999, 0.4}, to[] = {1, 1, 1e9, 5.001, 1e6, 4};
	static const char *const units[] = {"ns", "bytes", "x", "", "%", "KiB"};

	for (int log = 0; log < 2; log++) {
		struct sm_scale s = {.from = INFINITY,
				     .to = -INFINITY,
				     .begin = 10,
				     .end = 300,
				     .log = log,
				     .unit = units[_i]};
		double ticks[SM_CHART_TICKS], last = -INFINITY;
		size_t n;

		sm_scale_hold(&s, from[_i]);
		sm_scale_hold(&s, to[_i]);
		sm_scale_hold(&s, NAN);
		sm_scale_round(&s);
		ck_assert(s.from < s.to && s.to >= to[_i]);
		ck_assert(s.from <= from[_i] || (log && from[_i] == 0));
		for (size_t most = 2; most <= SM_CHART_TICKS; most++) {
			n = sm_scale_ticks(&s, most, ticks);
			ck_assert_uint_le(n, most);
			for (size_t i = 0; i < n; i++) {
				ck_assert(ticks[i] >= s.from * (1 - 1e-9) - 1e-12);
				ck_assert(ticks[i] <= s.to * (1 + 1e-9));
				ck_assert(i == 0 || ticks[i] > ticks[i - 1]);
			}
		}
		for (double v = s.from; v <= s.to; v += (s.to - s.from) / 50) {
			double at = sm_scale_at(&s, v);

			ck_assert(at >= 10 && at <= 300 && at >= last);
			last = at;
		}
		ck_assert_double_eq(sm_scale_at(&s, s.to * 2), 300);
	}
}
END_TEST

/* A chart of nothing, and of values that are all the same, is a chart. */
START_TEST(charts_of_little)
{
	double same[] = {7, 7};
	struct sm_strip row = {.label = "<a>", .value = "7", .kind = "", .middle = NAN};
	struct sm_strips s = {
		.title = "t", .text = "d", .rows = &row, .n = 1, .unit = "ns", .mark = NAN};
	struct sm_lines lines = {
		.title = "t", .text = "d", .x_unit = "ns", .y_unit = "bytes", .x_label = "x"};

	begin();
	sm_chart_strips(out, &s);
	row.dots = same;
	row.ndots = 2;
	row.middle = 7;
	s.log = true;
	sm_chart_strips(out, &s);
	sm_chart_lines(out, &lines);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_null(strstr(text, "nan"));
	ck_assert_ptr_null(strstr(text, "inf"));
	ck_assert_ptr_nonnull(strstr(text, "&lt;a&gt;"));
	ck_assert_ptr_nonnull(strstr(text, "<title>t</title>"));
	free(text);
}
END_TEST

/* The line at 1 stands between the words of a row and the next row's. */
START_TEST(a_mark_crosses_no_words)
{
	struct sm_strip rows[3];
	struct sm_strips s = {.title = "t",
			      .text = "d",
			      .rows = rows,
			      .n = 3,
			      .unit = "x",
			      .log = true,
			      .mark = 1};
	unsigned marks = 0, words = 0;
	double y[3], from, to;

	for (unsigned i = 0; i < 3; i++)
		rows[i] = (struct sm_strip){
			.label = "a", .value = "0.51 ? unclear", .kind = "", .middle = 0.51};
	begin();
	sm_chart_strips(out, &s);
	ck_assert_int_eq(fclose(out), 0);
	for (const char *p = text; (p = strstr(p, "class=\"value")) != NULL && words < 3; p++)
		ck_assert_int_eq(sscanf(strstr(p, " y="), " y=\"%lf\"", &y[words++]), 1);
	ck_assert_uint_eq(words, 3);
	for (const char *p = text; (p = strstr(p, "class=\"mark")) != NULL; p++, marks++) {
		ck_assert_int_eq(sscanf(strstr(p, " y1="), " y1=\"%lf\" y2=\"%lf\"", &from, &to),
				 2);
		for (unsigned i = 0; i < 3; i++) /* letters are 10 above their line and 3 below */
			ck_assert_msg(to <= y[i] - 10 || from >= y[i] + 3, "%g to %g at %g", from,
				      to, y[i]);
	}
	ck_assert_uint_ge(marks, 1);
	free(text);
}
END_TEST

int main(void)
{
	return SM_SUITE("page", 0, SM_T(a_number_that_is_not_there), SM_T(names_are_escaped),
			SM_T(formats_are_printfs), SM_LOOP(short_names_are_whole, 1, 6),
			SM_T(numbers_are_those_of_json),
			SM_LOOP(scales_hold_what_they_are_given, 0, 6), SM_T(charts_of_little),
			SM_T(a_mark_crosses_no_words));
}
