/* notes.c: what went wrong, what was warned of, and the circumstances of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/section.h"
#include "workloads/pool.h"

/* Was the same line of the case not said before, whatever numbers are in it? From now on it was.
 */
static bool is_new(struct sm_pool *said, unsigned group, const char *line)
{
	char *key = NULL, *to;
	bool fresh;

	if (asprintf(&key, "%u %s", group, line) < 0)
		return true;
	to = key + strcspn(key, " ");
	for (const char *p = to; *p; p++)
		if (!(*p >= '0' && *p <= '9'))
			*to++ = *p;
	*to = '\0';
	fresh = sm_pool_find(said, key) == NULL;
	sm_pool_str(said, key);
	free(key);
	return fresh;
}

static void put_failures(struct sm_section *s, struct sm_pool *said)
{
	for (size_t i = 0; i < s->r->nrecords; i++) {
		const struct sm_record *rec = &s->r->records[i];

		if (rec->status != SM_OUTCOME_OK && is_new(said, rec->group, rec->message))
			sm_html(s->out,
				"<li><b class=\"worse\">%s</b> <bdi>%s</bdi> <bdi>%s</bdi>, "
				"repetition %u: <bdi>%s</bdi></li>\n",
				sm_outcome_names[rec->status], rec->workload, rec->backend,
				rec->rep + 1, rec->message);
	}
}

static void put_warnings(struct sm_section *s, struct sm_pool *said)
{
	for (size_t i = 0; i < s->r->nrecords; i++) {
		const struct sm_record *rec = &s->r->records[i];

		for (const char *at = rec->warnings; *at;) {
			size_t len = strcspn(at, "\n");
			char *line = strndup(at, len);

			at += len + (at[len] != '\0');
			if (line != NULL && *line && is_new(said, rec->group, line))
				sm_html(s->out, "<li><bdi>%s %s</bdi>: <bdi>%s</bdi></li>\n",
					rec->workload, rec->backend, line);
			free(line);
		}
	}
}

static void put_calibration(struct sm_section *s)
{
	for (size_t i = 0; i < s->r->ncalibrations; i++) {
		const struct sm_calibration_row *c = &s->r->calibrations[i];

		if (strcmp(c->verdict, "off") == 0 || strcmp(c->verdict, "reads 0") == 0)
			sm_html(s->out,
				"<li>calibration: %s under \xe2\x80\x9c%s\xe2\x80\x9d is %s: "
				"marked ? "
				"above</li>\n",
				c->event, c->kernel, c->verdict);
	}
}

/* One member a line; what is inside a member as a JSON text. */
static void put_members(FILE *out, const cJSON *obj)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, obj)
	{
		char *value = cJSON_IsString(m) ? NULL : cJSON_PrintUnformatted(m);

		if (strcmp(m->string, "counters") == 0 || strcmp(m->string, "tuning") == 0 ||
		    cJSON_IsNull(m) || (cJSON_IsString(m) && !m->valuestring[0])) {
			cJSON_free(value);
			continue;
		}
		sm_html(out, "<dt>%s</dt><dd><bdi>", m->string);
		sm_html_short(out, value != NULL ? value : m->valuestring, 400);
		fputs("</bdi></dd>\n", out);
		cJSON_free(value);
	}
}

int sm__section_notes(struct sm_section *s)
{
	struct sm_pool said = {0};

	sm__section_begin(s, "notes", "Notes and circumstances");
	fputs("<ul class=\"notes\">\n", s->out);
	put_failures(s, &said);
	put_warnings(s, &said);
	put_calibration(s);
	if (s->r->reps < SM_STATS_MIN_REPS && s->r->nrecords > 0)
		sm_html(s->out,
			"<li>%u repetition%s: too few for a 95 %% interval of the median, which "
			"takes "
			"%d</li>\n",
			s->r->reps, s->r->reps == 1 ? "" : "s", SM_STATS_MIN_REPS);
	fputs("</ul>\n<p class=\"command\"><code>", s->out);
	sm_html_text(s->out, s->r->command_line);
	fputs("</code></p>\n<details><summary>Circumstances of the run</summary><dl "
	      "class=\"legend\">\n",
	      s->out);
	put_members(s->out, s->environment);
	fputs("</dl></details>\n", s->out);
	sm__section_end(s);
	sm_pool_free(&said);
	return 0;
}
