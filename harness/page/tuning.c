/*
 * tuning.c: curves and Pareto front of a tuning, where the run's environment has one:
 *
 *   "tuning":{"curves":[{"title","x","y","why","points":[{"x","y","low","high"}]}],
 *             "pareto":[{"label","time_ratio","rss_ratio","front":true,"chosen":true}],
 *             "advice", "why", "settings", "objective"}
 *
 * x is a number or a name. What is not of this form is left out (tune/tuning_json.c writes it).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/chart.h"
#include "harness/page/section.h"

static double number(const cJSON *obj, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *obj, const char *name)
{
	const char *t = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));

	return t != NULL ? t : "";
}

/* ---- curves ------------------------------------------------------------------------------- */

/* "window bytes (bytes)": the unit in the brackets at its end; "". */
static void unit_of(const char *label, char *unit, size_t len)
{
	const char *open = strrchr(label, '('), *close = strrchr(label, ')');

	unit[0] = '\0';
	if (open != NULL && close != NULL && close > open && close[1] == '\0')
		snprintf(unit, len, "%.*s", (int)(close - open - 1), open + 1);
}

struct curve {
	struct sm_point *points;
	const char **names; /* of x, where it is no number: "off", "32k" */
	size_t n;
	double least, most; /* x */
};

/* 0 or -ENOMEM. */
static int read_curve(const cJSON *json, struct curve *c)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "points"), *p;
	size_t n = (size_t)cJSON_GetArraySize(list), named = 0;

	*c = (struct curve){.points = calloc(n + 1, sizeof(*c->points)),
			    .names = calloc(n + 1, sizeof(*c->names)),
			    .least = INFINITY,
			    .most = -INFINITY};
	if (c->points == NULL || c->names == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(p, list)
	{
		const cJSON *x = cJSON_GetObjectItemCaseSensitive(p, "x");
		struct sm_point at = {cJSON_IsString(x) ? (double)c->n : number(p, "x"),
				      number(p, "y"), number(p, "low"), number(p, "high")};

		if (!isfinite(at.x) || !isfinite(at.y))
			continue;
		c->names[c->n] = cJSON_IsString(x) ? x->valuestring : "";
		named += cJSON_IsString(x);
		c->least = fmin(c->least, at.x);
		c->most = fmax(c->most, at.x);
		c->points[c->n++] = at;
	}
	if (named == 0 || named < c->n) {
		free(c->names);
		c->names = NULL;
		c->n = named == 0 ? c->n : 0; /* a mixture is no curve */
	}
	return 0;
}

static int put_curve(struct sm_section *s, const cJSON *json)
{
	struct curve c;
	int rc = read_curve(json, &c);
	struct sm_line line = {.label = "", .kind = 1, .points = c.points, .n = c.n, .dots = true};
	char x_unit[24], y_unit[24];

	unit_of(text(json, "x"), x_unit, sizeof(x_unit));
	unit_of(text(json, "y"), y_unit, sizeof(y_unit));
	if (rc == 0 && c.n > 0) {
		struct sm_lines chart = {.title = text(json, "title"),
					 .text = text(json, "y"),
					 .lines = &line,
					 .n = 1,
					 .x_unit = x_unit,
					 .y_unit = y_unit,
					 .x_label = text(json, "x"),
					 .x_names = c.names,
					 .n_names = c.n,
					 .x_log = c.names == NULL && c.least > 0 &&
						  c.most > 20 * c.least};

		sm_html(s->out,
			"<figure><figcaption><bdi>%s</bdi> <span><bdi>%s</bdi></span></figcaption>",
			text(json, "title"), text(json, "y"));
		sm_chart_lines(s->out, &chart);
		sm_html(s->out, "<p class=\"why\"><bdi>%s</bdi></p></figure>\n", text(json, "why"));
	}
	free(c.points);
	free(c.names);
	return rc;
}

/* ---- the front ---------------------------------------------------------------------------- */

#define HEIGHT 250

static void put_point(FILE *out, const cJSON *p, const struct sm_scale *x, const struct sm_scale *y)
{
	bool front = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "front"));
	bool chosen = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "chosen"));
	double cx = sm_scale_at(x, number(p, "time_ratio")),
	       cy = sm_scale_at(y, number(p, "rss_ratio"));

	if (!isfinite(number(p, "time_ratio")) || !isfinite(number(p, "rss_ratio")))
		return;
	sm_html(out,
		"<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"><title>%s</title></circle>",
		chosen	? "chosen"
		: front ? "front"
			: "behind",
		cx, cy, chosen ? 6 : 4, text(p, "label"));
	if (!chosen)
		return;
	sm_html(out, "<text class=\"%s label\" x=\"%.1f\" y=\"%.1f\">",
		cx > SM_CHART_WIDTH / 2.0 ? "end" : "",
		cx > SM_CHART_WIDTH / 2.0 ? cx - 10 : cx + 10, cy - 8);
	sm_html_short(out, text(p, "label"), 30);
	fputs("</text>\n", out);
}

/* What time_ratio is a ratio of: the objective, which is time unless another was asked for. */
static const char *goal_of(const cJSON *tuning)
{
	const char *objective = text(tuning, "objective");

	return objective[0] == '\0' || strcmp(objective, "time") == 0 ? "time" : "objective";
}

static void put_scatter(FILE *out, const cJSON *pareto, const char *goal)
{
	char title[60];
	struct sm_scale x = {
		.from = 1, .to = 1, .begin = 48, .end = SM_CHART_WIDTH - 12, .unit = "x"};
	struct sm_scale y = {.from = 1, .to = 1, .begin = HEIGHT - 32, .end = 10, .unit = "x"};
	const cJSON *p;

	cJSON_ArrayForEach(p, pareto)
	{
		sm_scale_hold(&x, number(p, "time_ratio"));
		sm_scale_hold(&y, number(p, "rss_ratio"));
	}
	sm_scale_round(&x);
	sm_scale_round(&y);
	snprintf(title, sizeof(title), "The %s against memory, of each trial", goal);
	sm_chart_begin(
		out, HEIGHT, title,
		"Ratios to the settings that are default; the front are trials that no other "
		"beats in both.");
	sm_chart_y(out, &y, 48, SM_CHART_WIDTH - 12);
	sm_chart_x(out, &x, 10, HEIGHT - 32);
	cJSON_ArrayForEach(p, pareto) put_point(out, p, &x, &y);
	sm_html(out, "<text class=\"middle axis-name\" x=\"%d\" y=\"%d\">%s, ratio</text>",
		SM_CHART_WIDTH / 2, HEIGHT - 4, goal);
	sm_html(out, "<text class=\"axis-name\" x=\"0\" y=\"9\">memory</text>");
	sm_chart_end(out);
}

static void put_pareto(struct sm_section *s, const cJSON *pareto, const char *goal)
{
	const cJSON *p;
	char id[32];

	snprintf(id, sizeof(id), "pareto-%zu", s->index);
	sm_html(s->out,
		"<figure><figcaption>%s against memory <span>filled: on the front; ringed: looked "
		"best"
		"</span></figcaption>",
		strcmp(goal, "time") == 0 ? "Time" : "Objective");
	put_scatter(s->out, pareto, goal);
	fputs("</figure>\n</div>\n", s->out);
	sm__grid_begin(s->out, id, "Trials, as ratios to the default settings");
	sm__grid_head(s->out, "settings", false, NULL);
	sm__grid_head(s->out, goal, true, NULL);
	sm__grid_head(s->out, "memory", true, NULL);
	sm__grid_head(s->out, "front", false, NULL);
	sm__grid_body(s->out);
	cJSON_ArrayForEach(p, pareto)
	{
		sm_html(s->out, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", text(p, "label"));
		sm__grid_number(s->out, number(p, "time_ratio"), "x");
		sm__grid_number(s->out, number(p, "rss_ratio"), "x");
		sm_html(s->out, "<td>%s</td></tr>\n",
			cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "chosen"))  ? "looked best"
			: cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "front")) ? "on it"
										     : "behind");
	}
	sm__grid_end(s->out);
}

static void put_advice(struct sm_section *s, const cJSON *tuning)
{
	static const char *const words[][2] = {
		{"take", "Take"}, {"default", "Keep the defaults, not"}, {"unclear", "Unclear:"}};
	const char *advice = text(tuning, "advice"), *said = "";

	for (size_t i = 0; i < 3; i++)
		said = strcmp(advice, words[i][0]) == 0 ? words[i][1] : said;
	if (strcmp(text(tuning, "settings"), "default") == 0)
		fputs("<p class=\"verdict\">Keep the defaults</p>\n", s->out);
	else
		sm_html(s->out, "<p class=\"verdict\">%s <b><bdi>%s</bdi></b></p>\n", said,
			text(tuning, "settings"));
	sm__section_note(s, text(tuning, "why"));
	if (text(tuning, "objective")[0])
		sm_html(s->out, "<p class=\"note\">objective: %s</p>\n", text(tuning, "objective"));
}

int sm__section_tuning(struct sm_section *s)
{
	const cJSON *tuning = cJSON_GetObjectItemCaseSensitive(s->environment, "tuning"), *item;
	const cJSON *pareto = cJSON_GetObjectItemCaseSensitive(tuning, "pareto");
	int rc = 0;

	if (!cJSON_IsObject(tuning))
		return 0;
	sm__section_begin(s, "tuning", "Tuning");
	put_advice(s, tuning);
	fputs("<div class=\"charts\">\n", s->out);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(tuning, "curves"))
	{
		if (rc == 0)
			rc = put_curve(s, item);
	}
	if (cJSON_GetArraySize(pareto) > 0)
		put_pareto(s, pareto, goal_of(tuning));
	else
		fputs("</div>\n", s->out);
	sm__section_end(s);
	return rc;
}
