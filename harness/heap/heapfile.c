/*
 * heapfile.c: reading a dump, line by line, believing nothing.
 */
#include "harness/heap/heapfile.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct sm_heapfile *h;
	const char *path;
	char *err;
	size_t errlen, line;
	size_t nodes_room, roots_room, types_room, edges_room, nedges;
	uint32_t *buckets; /* of types by name, open addressing: index + 1, 0: free */
	size_t nbuckets;   /* a power of two, more than twice the types; 0 before the first */
	struct edge {
		uint64_t from, to;
	} * edges;
	bool ended;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct reader *r, const char *fmt, ...)
{
	int n = r->line ? snprintf(r->err, r->errlen, "%s:%zu: ", r->path, r->line)
			: snprintf(r->err, r->errlen, "%s: ", r->path);
	va_list ap;

	if (n >= 0 && (size_t)n < r->errlen) {
		va_start(ap, fmt);
		vsnprintf(r->err + n, r->errlen - (size_t)n, fmt, ap);
		va_end(ap);
	}
	return -1;
}

/* Room for one more; false: no memory. */
static bool room(void **array, size_t n, size_t *capacity, size_t bytes)
{
	size_t more = *capacity ? *capacity * 2 : 256;
	void *grown;

	if (n < *capacity)
		return true;
	grown = realloc(*array, more * bytes);
	if (!grown)
		return false;
	*array = grown;
	*capacity = more;
	return true;
}

static bool address_of(const cJSON *item, uint64_t *out)
{
	char *end;

	if (!cJSON_IsString(item) || strncmp(item->valuestring, "0x", 2) ||
	    item->valuestring[2] == '\0')
		return false;
	errno = 0;
	*out = strtoull(item->valuestring + 2, &end, 16);
	return errno == 0 && *end == '\0';
}

/* Where the type stands, or will. By FNV-1a. */
static uint32_t *bucket_of(const struct reader *r, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
	for (size_t at = (size_t)(hash ^ hash >> 32);; at++) {
		uint32_t *b = &r->buckets[at & (r->nbuckets - 1)];

		if (*b == 0 || !strcmp(r->h->types[*b - 1], name))
			return b;
	}
}

static bool more_buckets(struct reader *r)
{
	size_t n = r->nbuckets ? r->nbuckets * 2 : 64;
	uint32_t *buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return false;
	free(r->buckets);
	r->buckets = buckets;
	r->nbuckets = n;
	for (size_t i = 0; i < r->h->ntypes; i++)
		*bucket_of(r, r->h->types[i]) = (uint32_t)i + 1;
	return true;
}

static int type_of(struct reader *r, const char *name, uint32_t *out)
{
	struct sm_heapfile *h = r->h;
	uint32_t *at;

	if (2 * (h->ntypes + 1) > r->nbuckets && !more_buckets(r))
		return wrong(r, "no memory");
	at = bucket_of(r, name);
	if (*at == 0) {
		if (!room((void **)&h->types, h->ntypes, &r->types_room, sizeof(*h->types)) ||
		    !(h->types[h->ntypes] = strdup(name)))
			return wrong(r, "no memory");
		*at = (uint32_t)++h->ntypes;
	}
	*out = *at - 1;
	return 0;
}

static int read_object(struct reader *r, const cJSON *line, const cJSON *object)
{
	const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(line, "bytes"), *edge;
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(line, "type");
	const cJSON *edges = cJSON_GetObjectItemCaseSensitive(line, "edges");
	struct sm_heapfile *h = r->h;
	struct sm_heapfile_node node;

	if (!address_of(object, &node.address) || !cJSON_IsNumber(bytes) ||
	    !(bytes->valuedouble >= 1) || !(bytes->valuedouble < 9e15) || !cJSON_IsString(type) ||
	    !cJSON_IsArray(edges))
		return wrong(r, "an object wants an address, \"bytes\", \"type\" and \"edges\"");
	node.bytes = (uint64_t)bytes->valuedouble;
	if (node.address > UINT64_MAX - node.bytes)
		return wrong(r, "an object that ends behind the last address");
	if (type_of(r, type->valuestring, &node.type) != 0)
		return -1;
	if (!room((void **)&h->nodes, h->n, &r->nodes_room, sizeof(*h->nodes)))
		return wrong(r, "no memory");
	h->nodes[h->n++] = node;
	cJSON_ArrayForEach(edge, edges)
	{
		uint64_t to;

		if (!address_of(edge, &to))
			return wrong(r, "an edge that is no address");
		if (!room((void **)&r->edges, r->nedges, &r->edges_room, sizeof(*r->edges)))
			return wrong(r, "no memory");
		r->edges[r->nedges++] = (struct edge){node.address, to};
	}
	return 0;
}

static int read_root(struct reader *r, const cJSON *line, const cJSON *kind)
{
	const cJSON *thread = cJSON_GetObjectItemCaseSensitive(line, "thread");
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(line, "at");
	struct sm_heapfile *h = r->h;
	struct sm_heapfile_root root = {.thread = thread ? thread->valueint : 0};

	if (!cJSON_IsString(kind) ||
	    !address_of(cJSON_GetObjectItemCaseSensitive(line, "to"), &root.to) ||
	    (at && !address_of(at, &root.at)))
		return wrong(r, "a root wants a kind and \"to\"");
	snprintf(root.kind, sizeof(root.kind), "%s", kind->valuestring);
	if (!room((void **)&h->roots, h->nroots, &r->roots_room, sizeof(*h->roots)))
		return wrong(r, "no memory");
	h->roots[h->nroots++] = root;
	return 0;
}

static int read_end(struct reader *r, const cJSON *line)
{
	const cJSON *objects = cJSON_GetObjectItemCaseSensitive(line, "objects");

	if (!cJSON_IsNumber(objects) || objects->valuedouble != (double)(r->h->n - 1))
		return wrong(r, "the dump had another number of objects than the %zu that are here",
			     r->h->n - 1);
	r->ended = true;
	return 0;
}

static int read_line(struct reader *r, const char *text)
{
	cJSON *line = cJSON_Parse(text);
	const cJSON *what;
	int err;

	if (r->line == 1) {
		what = cJSON_GetObjectItemCaseSensitive(line, "spanmark_heap");
		err = cJSON_IsNumber(what) && what->valueint == 1
			      ? 0
			      : wrong(r, "no heap dump of version 1 (sm_heap_dump writes them)");
	} else if (r->ended) {
		err = wrong(r, "something behind the last line");
	} else if ((what = cJSON_GetObjectItemCaseSensitive(line, "object"))) {
		err = read_object(r, line, what);
	} else if ((what = cJSON_GetObjectItemCaseSensitive(line, "root"))) {
		err = read_root(r, line, what);
	} else if (cJSON_GetObjectItemCaseSensitive(line, "end")) {
		err = read_end(r, line);
	} else {
		err = wrong(r, line ? "neither an object nor a root" : "no JSON");
	}
	cJSON_Delete(line);
	return err;
}

static int read_lines(struct reader *r, FILE *f)
{
	char *text = NULL;
	size_t len = 0;
	int err = 0;

	while (err == 0 && getline(&text, &len, f) >= 0) {
		r->line++;
		err = read_line(r, text);
	}
	free(text);
	if (err)
		return err;
	if (ferror(f))
		return wrong(r, "%s", strerror(errno));
	if (r->line == 0)
		return wrong(r, "empty");
	r->line = 0;
	return r->ended ? 0 : wrong(r, "cut off: the last line is missing");
}

/* ---- from addresses to a graph ------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const struct sm_heapfile_node *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

size_t sm_heapfile_find(const struct sm_heapfile *h, uint64_t address)
{
	size_t lo = 1, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (h->nodes[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	lo--;
	return lo > 0 && address - h->nodes[lo].address < h->nodes[lo].bytes ? lo : 0;
}

static int link_nodes(struct reader *r)
{
	struct sm_heapfile *h = r->h;
	size_t n = r->nedges + h->nroots, *next;

	qsort(h->nodes + 1, h->n - 1, sizeof(*h->nodes), by_address);
	for (size_t i = 2; i < h->n; i++) {
		if (h->nodes[i].address - h->nodes[i - 1].address < h->nodes[i - 1].bytes)
			return wrong(r, "two objects at 0x%llx",
				     (unsigned long long)h->nodes[i].address);
	}
	h->first = calloc(h->n + 2, sizeof(*h->first));
	h->to = malloc((n + 1) * sizeof(*h->to));
	if (!h->first || !h->to)
		return wrong(r, "no memory");
	/* Counted two places ahead, so that filling moves each to where it belongs. */
	next = h->first + 1;
	h->first[2] = h->nroots;
	for (size_t i = 0; i < r->nedges; i++)
		h->first[sm_heapfile_find(h, r->edges[i].from) + 2]++;
	for (size_t i = 2; i < h->n + 2; i++)
		h->first[i] += h->first[i - 1];
	for (size_t i = 0; i < n; i++) {
		bool root = i < h->nroots;
		size_t from = root ? 0 : sm_heapfile_find(h, r->edges[i - h->nroots].from);
		uint64_t address = root ? h->roots[i].to : r->edges[i - h->nroots].to;
		size_t to = sm_heapfile_find(h, address);

		if (to == 0)
			return wrong(r, "a pointer to 0x%llx, where no object is",
				     (unsigned long long)address);
		h->to[next[from]++] = to;
	}
	return 0;
}

int sm_heapfile_read(struct sm_heapfile *h, const char *path, char *err, size_t errlen)
{
	struct reader r = {.h = h, .path = path, .err = err, .errlen = errlen};
	FILE *f = !strcmp(path, "-") ? stdin : fopen(path, "r");
	int rc;

	memset(h, 0, sizeof(*h));
	if (!f)
		return wrong(&r, "%s", strerror(errno));
	if (!room((void **)&h->nodes, 0, &r.nodes_room, sizeof(*h->nodes)))
		rc = wrong(&r, "no memory");
	else {
		h->nodes[0] = (struct sm_heapfile_node){0};
		h->n = 1;
		rc = read_lines(&r, f);
	}
	if (rc == 0)
		rc = link_nodes(&r);
	free(r.edges);
	free(r.buckets);
	if (f != stdin)
		fclose(f);
	return rc;
}

void sm_heapfile_free(struct sm_heapfile *h)
{
	for (size_t i = 0; i < h->ntypes; i++)
		free(h->types[i]);
	free(h->types);
	free(h->nodes);
	free(h->first);
	free(h->to);
	free(h->roots);
}
