/* pool.c: strings kept once. See pool.h. */
#include "workloads/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

static char **slot_of(char **slots, size_t cap, const char *text)
{
	size_t i = hash(text) & (cap - 1);

	while (slots[i] != NULL && strcmp(slots[i], text) != 0)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static int grow(struct sm_pool *p)
{
	size_t cap = p->cap ? p->cap * 2 : 64;
	char **slots = calloc(cap, sizeof(*slots));

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < p->cap; i++) {
		if (p->slots[i] != NULL)
			*slot_of(slots, cap, p->slots[i]) = p->slots[i];
	}
	free(p->slots);
	p->slots = slots;
	p->cap = cap;
	return 0;
}

const char *sm_pool_str(struct sm_pool *p, const char *text)
{
	char **slot;

	if (text == NULL)
		text = "";
	if (p->n * 2 >= p->cap && grow(p))
		return NULL;
	slot = slot_of(p->slots, p->cap, text);
	if (!*slot) {
		*slot = strdup(text);
		p->n += *slot != NULL;
	}
	return *slot;
}

const char *sm_pool_find(const struct sm_pool *p, const char *text)
{
	return p->cap ? *slot_of(p->slots, p->cap, text) : NULL;
}

/* ---- rows --------------------------------------------------------------------------------- */

#define BLOCK ((size_t)1 << 18)

struct sm_pool_block {
	struct sm_pool_block *next;
	size_t used, size; /* of bytes */
	char bytes[];
};

void *sm_pool_room(struct sm_pool *p, size_t size)
{
	struct sm_pool_block *b = p->blocks;

	size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (b == NULL || b->size - b->used < size) {
		size_t most = size > BLOCK ? size : BLOCK;

		b = malloc(sizeof(*b) + most);
		if (b == NULL)
			return NULL;
		*b = (struct sm_pool_block){.next = p->blocks, .size = most};
		p->blocks = b;
	}
	b->used += size;
	return b->bytes + b->used - size;
}

void sm_pool_free(struct sm_pool *p)
{
	while (p->blocks != NULL) {
		struct sm_pool_block *next = p->blocks->next;

		free(p->blocks);
		p->blocks = next;
	}
	for (size_t i = 0; i < p->cap; i++)
		free(p->slots[i]);
	free(p->slots);
	*p = (struct sm_pool){0};
}
