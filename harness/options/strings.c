/*
 * strings.c: lists of strings, and the life of the options that consist of them. See options.h.
 */
#include "harness/options/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sm_strings_add(struct sm_strings *s, const char *text, size_t len)
{
	char **v = realloc(s->v, (s->n + 1) * sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	s->v = v;
	v[s->n] = strndup(text, len);
	if (v[s->n] == NULL)
		return -ENOMEM;
	s->n++;
	return 0;
}

int sm_strings_split(struct sm_strings *s, const char *text)
{
	int rc = 0;

	for (; rc == 0; text++) {
		size_t len = strcspn(text, ",");

		rc = sm_strings_add(s, text, len);
		text += len;
		if (!*text)
			break;
	}
	return rc;
}

void sm_strings_free(struct sm_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct sm_strings){0};
}

void sm_run_options_init(struct sm_run_options *o)
{
	*o = (struct sm_run_options){0};
}

void sm_run_options_free(struct sm_run_options *o)
{
	struct sm_strings *lists[] = {&o->workloads,  &o->params,  &o->events,	 &o->sets,
				      &o->backends,   &o->threads, &o->workers,	 &o->place,
				      &o->mark_place, &o->kinds,   &o->settings, &o->programs,
				      &o->metrics,    &o->better,  &o->variants};
	char *texts[] = {o->output, o->trace,	      o->store,	 o->topology,
			 o->config, o->programs_file, o->setup,	 o->teardown,
			 o->server, o->ready,	      o->client, o->until,
			 o->note,   o->resume_run,    o->title,	 o->from};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		sm_strings_free(lists[i]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	for (size_t i = 0; i < o->nparts; i++)
		sm_run_options_free(&o->parts[i]);
	free(o->parts);
	*o = (struct sm_run_options){0};
}

const char *sm_count_name(enum sm_count c)
{
	static const char *const names[] = {"auto", "pmu", "sw", "sim", "none"};

	return names[c];
}
