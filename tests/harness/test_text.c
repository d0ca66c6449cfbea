/* harness/base/text.c, and durations: one rule for each, whoever asks. */
#include "harness/base/text.h"
#include "harness/options/option_value.h"

#include <check.h>
#include <string.h>

#include "tests/support/run.h"

START_TEST(the_last_line_with_anything_on_it)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"\n\n", ""},
		{"one", "one"},
		{"one\ntwo\n", "two"},
		{"one\n \t\r\n", "one"},
		{"10%\r50%\r100%\r\n", "100%"},
		{"a\n  b \n", "  b"},
		{"longer than it", "longer "},
	};
	char buf[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sm_text_last_line(cases[i][0], strlen(cases[i][0]), buf, sizeof(buf));
		ck_assert_str_eq(buf, cases[i][1]);
	}
	sm_text_last_line(NULL, 0, buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
}
END_TEST

START_TEST(a_duration_in_any_unit)
{
	static const struct {
		const char *text;
		double s;
	} good[] = {{"90", 90},	 {"1.5", 1.5}, {"100ms", 0.1},
		    {"90s", 90}, {"10m", 600}, {"2h", 7200}};
	static const char *const bad[] = {"",	  "s",	 "soon", "1d", "1 s",
					  "10mm", "inf", "169h", "nan"};
	double s;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert(sm__read_seconds(good[i].text, &s));
		ck_assert_double_eq_tol(s, good[i].s, 1e-12);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!sm__read_seconds(bad[i], &s), "%s", bad[i]);
}
END_TEST

int main(void)
{
	return SM_SUITE("text", 0, SM_T(the_last_line_with_anything_on_it),
			SM_T(a_duration_in_any_unit));
}
