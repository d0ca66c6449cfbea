/* process_heap.c: the heap of malloc: made on first use, configured, trimmed, counted. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/objects/central.h"
#include "spanmark/malloc.h"
#include "allocator/malloc/cpu_cache.h"
#include "allocator/malloc/depot.h"
#include "allocator/malloc/malloc_fast.h"
#include "allocator/pages/meta.h"
#include "allocator/os/os.h"
#include "allocator/os/setfile.h"
#include "allocator/base/say.h"
#include "allocator/pages/pageheap.h"
#include "allocator/pages/scavenge.h"

struct sm_process_heap sm__process_heap = {
	.lock = SM_LOCK_INIT(SM_RANK_CACHES),
	.empty = sm__malloc_empty,
	.full = sm__free_full,
	.thread_most = SM_MAX_SMALL,
	.beyond = sm__malloc_slow,
};
_Atomic(uint8_t) sm__malloc_class[SM_MAX_SMALL / 16 + 1];

/* Written by sm_malloc_configure before the heap exists, under `making`. */
static struct settings {
	struct sm_heap_config heap;
	size_t list, depot;
	bool verbose;
	bool ready, nodes; /* defaults are in; the program has said which nodes there are */
} config;
static struct sm_lock making = SM_LOCK_INIT(SM_RANK_HEAP);

/* ---- configuration ------------------------------------------------------------------------ */

static void config_defaults(void)
{
	if (config.ready)
		return;
	sm_heap_config_init(&config.heap);
	/* The ring is a descriptor: a program that only preloads us closes it, or gets its number
	 * for a file of its own. */
	config.heap.scavenge_uring = false;
	config.heap.hugepages = SM_HUGE_MADVISE;
	config.heap.small_pages = 32 * SM_MIB;
	config.list = 16 * SM_KIB;
	config.depot = 16 * SM_MIB;
	config.ready = true;
}

#define ROW(member) SM_KEY_AT(struct settings, member)

static const struct sm_key keys[] = {
	{"verbose", "0|1", "say what is wrong", ROW(verbose), SM_KEY_NUMBER, .max = 1},
	{"malloc.list", "1k..1024k", "bytes that a list of freed objects keeps", ROW(list),
	 SM_KEY_SIZE, .min = SM_KIB, .max = SM_MIB},
	{"malloc.depot", "0k..1048576k", "bytes of a class that threads leave to each other",
	 ROW(depot), SM_KEY_SIZE, .max = SM_GIB},
};

static int set_key(const char *key, const char *value, char *err, size_t errlen)
{
	const struct sm_key *k = sm__key_find(keys, sizeof(keys) / sizeof(keys[0]), key);

	config_defaults();
	if (k == NULL)
		return sm_heap_config_set(&config.heap, key, value, err, errlen);
	if (sm__key_set(k, &config, value) != 0)
		return sm__key_refuse(k, value, err, errlen);
	if (k->offset == offsetof(struct settings, verbose))
		sm__say_nothing(!config.verbose);
	return 0;
}

int sm_malloc_configure(const char *key, const char *value, char *err, size_t errlen)
{
	int e;

	sm_lock_acquire(&making);
	if (sm_load_relaxed(&sm__process_heap.made)) {
		snprintf(err, errlen, "%s: the malloc heap is in use already", key);
		e = -EBUSY;
	} else {
		e = set_key(key, value, err, errlen);
	}
	sm_lock_release(&making);
	return e;
}

int sm_malloc_configure_nodes(const struct sm_heap_config *map)
{
	struct sm_heap_config *h = &config.heap;
	int e = -EBUSY;

	sm_lock_acquire(&making);
	if (!sm_load_relaxed(&sm__process_heap.made)) {
		config_defaults();
		h->nnodes = map->nnodes;
		memcpy(h->node_os, map->node_os, sizeof(h->node_os));
		memcpy(h->distance, map->distance, sizeof(h->distance));
		memcpy(h->cpu_node, map->cpu_node, sizeof(h->cpu_node));
		config.nodes = true;
		e = 0;
	}
	sm_lock_release(&making);
	return e;
}

/* "key=value,key=value". An entry that is wrong is reported and skipped. */
static void read_settings(const char *text)
{
	char item[128], err[256];

	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, ",");
		char *eq;

		snprintf(item, sizeof(item), "%.*s", (int)n, text);
		text += n + (text[n] == ',');
		eq = strchr(item, '=');
		if (eq != NULL)
			*eq++ = '\0';
		if (set_key(item, eq ? eq : "", err, sizeof(err)) != 0)
			sm__say("SPANMARK_MALLOC: %s", err);
	}
}

/* Nothing is said in a program that only preloads us, unless it is asked for. */
SM_NOINLINE __attribute__((weak)) bool sm__malloc_preloaded(void)
{
	return false;
}

/* Not getenv: a shell has one of its own, which allocates. */
static const char *variable(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

/* Of the file of a tuning: the heap's settings, and ours as they stand in SPANMARK_MALLOC. */
static int take_setting(void *ctx, const char *key, const char *value, char *err, size_t errlen)
{
	int e;

	(void)ctx;
	if (strcmp(key, "env.SPANMARK_MALLOC") == 0) {
		read_settings(value);
		return 0;
	}
	if (strncmp(key, "env.", 4) == 0 || strncmp(key, "gc.", 3) == 0)
		return -ENOENT;
	e = set_key(key, value, err, errlen);
	return e == -ENOENT ? -EINVAL : e;
}

static void read_environment(void)
{
	const char *text = variable("SPANMARK_MALLOC");

	sm__setfile_read(take_setting, NULL); /* whoever names a file may read what is wrong */
	if (sm__malloc_preloaded())
		sm__say_nothing(text == NULL || strstr(text, "verbose=1") == NULL);
	read_settings(text);
}

/* ---- creation ----------------------------------------------------------------------------- */

unsigned sm__malloc_class_of(size_t size)
{
	if (size <= SM_MALLOC_MIN)
		return sm_size_class(SM_MALLOC_MIN);
	/* Slots of 24 bytes are not aligned to 16. */
	return sm_size_class(sm_align_up(size, 16));
}

static void fill_class_table(void)
{
	for (size_t i = 0; i <= SM_MAX_SMALL / 16; i++)
		sm_store_relaxed(&sm__malloc_class[i], (uint8_t)sm__malloc_class_of(i * 16));
}

#define FEW 8 /* objects of KiB: fewer would not be worth a lock */

/* malloc.list; of large objects up to four times that. */
static uint32_t list_length(const struct sm_process_heap *g, unsigned cls)
{
	size_t slots = sm__config_knob(&g->heap->config, SM_KNOB_SLOTS, cls, -1);
	size_t slot = sm__sizeclasses[cls].slot_bytes, n = config.list / slot;

	if (slots != 0)
		return (uint32_t)slots;
	if (n < FEW)
		n = 4 * config.list / slot < FEW ? 4 * config.list / slot : FEW;
	return n < 2 ? 2 : n > 1024 ? 1024 : (uint32_t)n;
}

static void init_depot(struct sm_process_heap *g, struct sm_depot *d, unsigned cls)
{
	size_t slot = sm__sizeclasses[cls].slot_bytes;

	sm_lock_init(&d->lock, SM_RANK_CENTRAL);
	d->most = (uint32_t)(config.depot / slot);
	/* Lists may be as short as a quarter of their most. */
	d->cap = d->most / (g->list[cls] > 4 ? g->list[cls] / 4 : 1);
}

static bool init_classes(struct sm_process_heap *g)
{
	g->nnodes = g->heap->pages.nnodes;
	g->ncpus = sm__rseq_cpus();
	g->depots = sm__meta_alloc(&g->heap->pages,
				   (size_t)g->nnodes * sm__nclasses * sizeof(*g->depots));
	g->dead = sm__meta_alloc(&g->heap->pages, g->ncpus * sizeof(*g->dead));
	if (g->depots == NULL || g->dead == NULL || !sm__shard_init() || !sm__munits_init())
		return false;
	for (unsigned cls = 1; cls < sm__nclasses; cls++) {
		g->list[cls] = list_length(g, cls);
		for (unsigned node = 0; node < g->nnodes; node++)
			init_depot(g, sm__depot_of(node, cls), cls);
	}
	return true;
}

static bool make_heap(struct sm_process_heap *g)
{
	static bool tried; /* under `making` */
	char err[256] = "";

	config_defaults();
	if (!tried)
		read_environment();
	config.heap.sparse = sm__malloc_preloaded();
	if (!config.nodes)
		sm__os_nodes("", &config.heap);
	g->heap = sm__heap_create(&config.heap, err, sizeof(err));
	if (g->heap == NULL) {
		/* Memory may be there the next time; once said is enough. */
		if (!tried)
			sm__say("no heap: %s", err);
		tried = true;
		return false;
	}
	tried = true;
	g->heap->owner = &sm__malloc_owner;
	if (!init_classes(g)) {
		sm__heap_destroy(g->heap);
		g->heap = NULL;
		return false;
	}
	/* Not before: a class of 0 tells malloc that there is no heap yet. */
	fill_class_table();
	g->key = sm__os_random();
	__atomic_store_n(&g->base, g->heap->pages.range.base, __ATOMIC_RELAXED);
	g->spans = g->heap->pages.range.spans;
	/* Last: the fast path of free believes the rest once an address lies within bytes. An
	 * address of this heap reaches a thread only after `made`. */
	__atomic_store_n(&g->bytes, g->heap->pages.range.bytes, __ATOMIC_RELEASE);
	/* Debugging aids look at every request, so every request takes the slow path. */
	g->direct = config.heap.cache_mode == SM_CACHE_NONE || config.heap.debug_fill ||
		    config.heap.page_per_object;
	if (config.heap.cache_mode == SM_CACHE_CPU && !g->direct && sm__mcpu_init()) {
		/* Release: a thread that goes there finds what it needs. */
		sm_store_release(&g->full, sm__mcpu_free);
		sm_store_release(&g->empty, sm__mcpu_malloc);
		sm_store_release(&g->beyond, sm__mcpu_malloc_any);
		__atomic_store_n(&g->thread_most, 0, __ATOMIC_RELAXED);
	}
	return true;
}

static SM_COLD bool make_heap_once(void)
{
	int saved = errno;
	bool ready;

	/* What libc is asked for, without the lock: who wraps it may allocate. */
	(void)sm__os_page_size();
	sm__mcache_key_init();
	sm_lock_acquire(&making);
	ready = sm_load_relaxed(&sm__process_heap.made);
	ready = ready || make_heap(&sm__process_heap);
	sm_store_release(&sm__process_heap.made, ready);
	sm_lock_release(&making);
	/* As early as can be, so that handlers of the program's libraries run outside of ours; and
	 * without the lock, for libc may allocate for it. */
	sm__malloc_fork_init();
	if (ready)
		errno = saved;
	return ready;
}

/* Here and not beside the handlers: an archive's member that is not called is not linked. */
static __attribute__((constructor)) void register_fork_handlers(void)
{
	sm__malloc_fork_init();
}

void sm__malloc_making_lock(void)
{
	sm_lock_acquire(&making);
}

void sm__malloc_making_unlock(void)
{
	sm_lock_release(&making);
}

bool sm__malloc_ready(void)
{
	if (SM_LIKELY(sm_load_acquire(&sm__process_heap.made)) || make_heap_once())
		return true;
	errno = ENOMEM;
	return false;
}

struct sm_heap *sm_malloc_heap(void)
{
	return sm__malloc_ready() ? sm__process_heap.heap : NULL;
}

/* ---- trim --------------------------------------------------------------------------------- */

size_t sm_malloc_trim(void)
{
	struct sm_mcache *c;

	if (!sm__malloc_ready())
		return 0;
	c = sm__mcache_get();
	if (c != NULL)
		sm__mcache_flush(c);
	if (sm__process_heap.nslabs != 0)
		sm__mcpu_drain_all();
	sm__depot_drain_all();
	return sm__scavenge(&sm__process_heap.heap->pages, 0);
}

void sm__malloc_pageheap(struct sm_pageheap_stats *sum)
{
	struct sm_heap *h = sm__process_heap.heap;

	*sum = (struct sm_pageheap_stats){.committed_bytes = 0};
	for (unsigned node = 0; node < h->pages.nnodes; node++) {
		struct sm_pageheap_stats st;

		sm__pageheap_stats(&h->pages, node, &st);
		sum->committed_bytes += st.committed_bytes;
		sum->in_use_bytes += st.in_use_bytes;
		sum->free_bytes += st.free_bytes;
		sum->released_bytes += st.released_bytes;
	}
}
