/* page.c: the document around the sections. See page.h. */
#include "harness/page/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/section.h"

#ifndef SM_PAGE_POLICY
#error "SM_PAGE_POLICY: where the Makefile has put the hashes of page.js and page.css"
#endif

/* The linker puts the files into the program, as perf/setfile.c has it. */
#define EMBED(id, file)                      \
	__asm__(".pushsection .rodata\n"     \
		".globl sm__page_" #id "\n"  \
		".hidden sm__page_" #id "\n" \
		"sm__page_" #id ":\n"        \
		".incbin \"" file "\"\n"     \
		".byte 0\n"                  \
		".popsection\n");            \
	extern const char sm__page_##id[] __attribute__((visibility("hidden")))

EMBED(style, "harness/page/page.css");
EMBED(script, "harness/page/page.js");
EMBED(policy, SM_PAGE_POLICY); /* "script-src 'sha256-..'; style-src 'sha256-..'" */

/* ---- what sections share ------------------------------------------------------------------ */

void sm__section_begin(struct sm_section *s, const char *id, const char *title)
{
	sm_html(s->out,
		"<section id=\"%s-%zu-s\" aria-labelledby=\"%s-%zu-h\"><h2 id=\"%s-%zu-h\">%s", id,
		s->index, id, s->index, id, s->index, title);
	sm_html(s->contents, "<li><a href=\"#%s-%zu-s\">%s", id, s->index, title);
	if (s->several) {
		sm_html(s->out, " <span>run <bdi>%s</bdi></span>", s->side->text);
		sm_html(s->contents, " <bdi>%s</bdi>", s->side->text);
	}
	fputs("</h2>\n", s->out);
	fputs("</a></li>\n", s->contents);
}

void sm__section_end(struct sm_section *s)
{
	fputs("</section>\n", s->out);
}

void sm__section_note(struct sm_section *s, const char *text)
{
	sm_html(s->out, "<p class=\"note\">%s</p>\n", text);
}

const struct sm_record *sm__case_record(const struct sm_report *r, const struct sm__case *c)
{
	size_t first, end;

	sm_summary_group(r, r->records[c->first].group, &first, &end);
	for (size_t i = first; i < end; i++)
		if (r->records[i].nresults > 0)
			return &r->records[i];
	return NULL;
}

/* ---- the document ------------------------------------------------------------------------- */

static void put_begin(const struct sm_page *page, FILE *out)
{
	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
	      out);
	fputs(sm__page_policy, out);
	fputs("; base-uri 'none'; form-action 'none'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>",
	      out);
	sm_html(out, "spanmark report: run");
	for (size_t i = 0; i < page->nruns; i++)
		sm_html(out, "%s %s", i > 0 ? "," : "", page->runs[i].text);
	fputs("</title>\n<style>", out);
	fputs(sm__page_style, out);
	fputs("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the results</a>\n",
	      out);
}

static void put_end(FILE *out)
{
	fputs("</main>\n<footer><p>Made by spanmark " SM_VERSION
	      ". This file loads nothing and sends nothing.</p></footer>\n<script>",
	      out);
	fputs(sm__page_script, out);
	fputs("</script>\n</body>\n</html>\n", out);
}

typedef int section_fn(struct sm_section *s);
static section_fn *const sections[] = {
	sm__section_tuning, sm__section_results,  sm__section_distributions, sm__section_waits,
	sm__section_memory, sm__section_counters, sm__section_machine,	     sm__section_notes};

static int put_sections(const struct sm_page *page, struct sm_section *runs, FILE *out,
			FILE *contents)
{
	int rc = sm__page_ratios(page, out, contents);

	for (size_t i = 0; i < page->nruns; i++)
		for (size_t k = 0; k < sizeof(sections) / sizeof(sections[0]) && rc == 0; k++)
			rc = sections[k](&runs[i]);
	return rc;
}

/* Cases and environment of each run. */
static int open_runs(const struct sm_page *page, struct sm_section *runs, FILE *out, FILE *contents)
{
	const struct sm_strings every = {.n = 0};
	int rc = 0;

	for (size_t i = 0; i < page->nruns && rc == 0; i++) {
		runs[i] = (struct sm_section){.out = out,
					      .contents = contents,
					      .page = page,
					      .side = &page->runs[i],
					      .r = page->runs[i].report,
					      .index = i,
					      .several = page->nruns > 1};
		runs[i].environment = cJSON_Parse(runs[i].r->environment);
		rc = sm__compare_cases(runs[i].r, &every, &runs[i].cases);
	}
	return rc;
}

/* The sections first: the contents stand above them and name those that there are. */
static int write_parts(const struct sm_page *page, struct sm_section *runs, FILE *out)
{
	char *body = NULL, *list = NULL;
	size_t body_len, list_len;
	FILE *main_part = open_memstream(&body, &body_len);
	FILE *contents = open_memstream(&list, &list_len);
	int rc = main_part != NULL && contents != NULL ? open_runs(page, runs, main_part, contents)
						       : -ENOMEM;

	if (rc == 0)
		rc = put_sections(page, runs, main_part, contents);
	if (main_part != NULL && fclose(main_part) != 0)
		rc = -ENOMEM;
	if (contents != NULL && fclose(contents) != 0)
		rc = -ENOMEM;
	if (rc == 0) {
		put_begin(page, out);
		sm__page_head(page, runs, out);
		fputs("<nav aria-label=\"Contents\"><ul>\n", out);
		fwrite(list, 1, list_len, out);
		fputs("</ul></nav>\n<main id=\"main\">\n", out);
		fwrite(body, 1, body_len, out);
		put_end(out);
	}
	free(body);
	free(list);
	return rc;
}

int sm_page_write(const struct sm_page *page, FILE *out)
{
	struct sm_section *runs = calloc(page->nruns + 1, sizeof(*runs));
	int rc = runs != NULL ? write_parts(page, runs, out) : -ENOMEM;

	for (size_t i = 0; runs != NULL && i < page->nruns; i++) {
		sm__cases_free(&runs[i].cases);
		cJSON_Delete(runs[i].environment);
	}
	free(runs);
	return rc;
}
