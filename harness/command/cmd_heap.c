/*
 * cmd_heap.c: `spanmark heap`: what a heap dump holds, what keeps an object alive, and which
 * objects keep most.
 */
#include "harness/options/option_value.h"
#include "harness/command/cmd.h"
#include "harness/heap/heapfile.h"
#include "harness/base/complain.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	uint64_t bytes;
	size_t count, index;
};

static int by_bytes(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int show_types(const struct sm_heapfile *h, size_t top)
{
	struct row *rows = calloc(h->ntypes + 1, sizeof(*rows)), all = {0};

	if (!rows)
		return -1;
	for (size_t i = 0; i < h->ntypes; i++)
		rows[i].index = i;
	for (size_t i = 1; i < h->n; i++) {
		rows[h->nodes[i].type].bytes += h->nodes[i].bytes;
		rows[h->nodes[i].type].count++;
		all.bytes += h->nodes[i].bytes;
	}
	qsort(rows, h->ntypes, sizeof(*rows), by_bytes);
	printf("%16s %12s  type\n", "bytes", "objects");
	for (size_t i = 0; i < h->ntypes && i < top; i++)
		printf("%16llu %12zu  %s\n", (unsigned long long)rows[i].bytes, rows[i].count,
		       h->types[rows[i].index]);
	printf("%16llu %12zu  all, from %zu roots\n", (unsigned long long)all.bytes, h->n - 1,
	       h->nroots);
	free(rows);
	return 0;
}

static void show_object(const struct sm_heapfile *h, size_t n)
{
	printf("0x%llx  %llu bytes  %s\n", (unsigned long long)h->nodes[n].address,
	       (unsigned long long)h->nodes[n].bytes, h->types[h->nodes[n].type]);
}

static void show_root(const struct sm_heapfile *h, size_t n)
{
	for (size_t i = 0; i < h->nroots; i++) {
		const struct sm_heapfile_root *r = &h->roots[i];

		if (sm_heapfile_find(h, r->to) != n)
			continue;
		printf("%s", r->kind);
		if (r->thread)
			printf(" of thread %d", r->thread);
		if (r->at)
			printf(" at 0x%llx", (unsigned long long)r->at);
		printf("\n");
		return;
	}
}

static int show_why(const struct sm_heapfile *h, size_t n)
{
	size_t *parent = sm_heapfile_paths(h), *next = malloc(h->n * sizeof(*next)), at;

	if (!parent || !next) {
		free(parent);
		free(next);
		return -1;
	}
	if (parent[n] == SIZE_MAX) {
		printf("nothing leads to it\n");
	} else {
		next[n] = 0;
		for (at = n; parent[at] != 0; at = parent[at])
			next[parent[at]] = at;
		show_root(h, at);
		for (; at != 0; at = next[at]) {
			printf("  -> ");
			show_object(h, at);
		}
	}
	free(parent);
	free(next);
	return 0;
}

static int show_dominators(const struct sm_heapfile *h, size_t top)
{
	struct row *rows = calloc(h->n, sizeof(*rows));
	uint64_t *retained;
	size_t *idom;

	if (!rows || sm_heapfile_dominators(h, &idom, &retained) != 0) {
		free(rows);
		return -1;
	}
	for (size_t i = 1; i < h->n; i++)
		rows[i - 1] = (struct row){.bytes = retained[i], .index = i};
	qsort(rows, h->n - 1, sizeof(*rows), by_bytes);
	printf("%16s  object\n", "keeps bytes");
	for (size_t i = 0; i < h->n - 1 && i < top; i++) {
		printf("%16llu  ", (unsigned long long)rows[i].bytes);
		show_object(h, rows[i].index);
	}
	free(idom);
	free(retained);
	free(rows);
	return 0;
}

struct heap_options {
	const char *file, *why;
	bool dominators;
	size_t top;
};

static bool number(const char *text, int base, unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, base);
	return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static int show(const struct sm_heapfile *h, const struct heap_options *o)
{
	unsigned long long address = 0;
	size_t n = 0;
	int err;

	if (o->why) {
		if (!number(o->why, 16, &address)) {
			sm_complain("--why %s: not an address (0x7f3000010040)", o->why);
			return SM_EXIT_USAGE;
		}
		n = sm_heapfile_find(h, address);
		if (n == 0) {
			sm_complain("--why %s: no object of the dump lies there", o->why);
			return SM_EXIT_USAGE;
		}
	}
	if (o->why)
		err = show_why(h, n);
	else
		err = o->dominators ? show_dominators(h, o->top) : show_types(h, o->top);
	if (err)
		sm_complain("no memory");
	return err ? SM_EXIT_FAILED : SM_EXIT_OK;
}

static int read_and_show(const char *path, const struct heap_options *o)
{
	struct sm_heapfile h;
	char err[400];
	int rc = SM_EXIT_USAGE;

	if (sm_heapfile_read(&h, path, err, sizeof(err)) != 0)
		sm_complain("%s", err);
	else
		rc = show(&h, o);
	sm_heapfile_free(&h);
	return rc;
}

static int take_top(const struct sm_option *opt, void *options, const char *value, char *err,
		    size_t errlen)
{
	struct heap_options *o = options;
	unsigned long long n;

	(void)opt;
	if (!number(value, 10, &n) || n == 0) {
		snprintf(err, errlen, "--top %.60s: not a number from 1", value);
		return -EINVAL;
	}
	o->top = (size_t)n;
	return 0;
}

static int run_heap(int argc, char **argv)
{
	struct heap_options o = {.top = 20};
	int status;

	return sm_options_parse(&sm_command_heap, &o, argc, argv, &status)
		       ? read_and_show(o.file, &o)
		       : status;
}

static const struct sm_option rows[] = {
	{"why", 0, "ADDRESS", "a shortest path from a root to the object at (or around) ADDRESS",
	 SM_INTO(sm__take_borrowed, struct heap_options, why)},
	{"dominators", 0, NULL,
	 "the objects that keep most: with each goes all that only it leads to",
	 SM_INTO(sm__take_flag, struct heap_options, dominators)},
	{"top", 0, "N", "rows of a table: 20", .take = take_top},
};
static const struct sm_option operand = {NULL, 0, "FILE", "the heap dump; - is standard input",
					 SM_INTO(sm__take_borrowed, struct heap_options, file)};
static const struct sm_option_table table = {"heap", rows, SM_COUNT_OF(rows), &operand, NULL};

const struct sm_command sm_command_heap = {
	.name = "heap",
	.summary = "a heap dump: totals by type, what keeps an object alive",
	.run = run_heap,
	.options = &table,
	.about = "Reads a heap dump that a program wrote with sm_heap_dump(gc, m, fd). Without an "
		 "option: objects and bytes by type.",
	.examples =
		(const char *const[]){
			"spanmark heap heap.jsonl",
			"objects and bytes by type",
			"spanmark heap --dominators --top 5 heap.jsonl",
			"the five objects that keep most",
			"spanmark heap --why 0x7f3000010040 heap.jsonl",
			"what keeps this object alive",
			NULL,
		},
	.statuses =
		(const char *const[]){
			"0",
			"Done.",
			"1",
			SM_STATUS_UNWRITTEN,
			"2",
			"The command line is wrong, or the file is no heap dump.",
			NULL,
		},
};
