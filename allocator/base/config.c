/*
 * config.c: the heap's keys.
 * A new key is a member of struct sm_heap_config, a line here and a default in sm_heap_config_init.
 */
#include "allocator/base/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator/base/sizeclass.h"

#define SM_SLOTS_MAX 8192
#define SM_SPANS_MAX 64

static const char *const pageheap_words[] = {"buddy", "bitmap", NULL};
static const char *const mode_words[] = {"thread", "cpu", "none", NULL};
static const char *const huge_words[] = {"off", "madvise", "collapse", NULL};

#define AT(member) SM_KEY_AT(struct sm_heap_config, member)

static const struct sm_key keys[] = {
	{"heap.reserve", "0 | 1g..32t",
	 "address range to reserve, halved until the system grants it; 0: by the memory of the "
	 "machine",
	 AT(reserve), SM_KEY_SIZE, .zero = true, .min = SM_GIB, .max = (size_t)1 << 45},
	{"heap.arena", "1m..16g", "bytes that are committed at a time; a power of two", AT(arena),
	 SM_KEY_POW2, .min = SM_MIB, .max = 16 * SM_GIB},
	{"heap.limit", "0 | 4m..64t", "bytes that may be mapped, metadata included; 0: none",
	 AT(limit), SM_KEY_SIZE, .zero = true, .min = 4 * SM_MIB, .max = (size_t)1 << 46},
	{"pageheap", "buddy|bitmap", "binary buddy, or address-ordered first fit over a bitmap",
	 AT(pageheap), SM_KEY_WORD, .words = pageheap_words},
	{"cache.mode", "thread|cpu|none",
	 "a cache for each thread, for each CPU (restartable sequences), none", AT(cache_mode),
	 SM_KEY_WORD, .words = mode_words},
	{"cache.window", "64..16m",
	 "bytes of a window: what a cache takes from a span at a time [@SIZE][@cpuN]", AT(window),
	 SM_KEY_SIZE, .min = 64, .max = 16 * SM_MIB},
	{"cache.slots", "0 | 1..8192",
	 "freed objects that a list keeps (span backend); 0: by malloc.list [@SIZE][@cpuN]",
	 AT(slots), SM_KEY_NUMBER, .zero = true, .min = 1, .max = SM_SLOTS_MAX},
	{"cache.batch", "0 | 1..8192",
	 "slots that a refill fetches (span backend); 0: a window, or a list [@SIZE][@cpuN]",
	 AT(batch), SM_KEY_NUMBER, .zero = true, .min = 1, .max = SM_SLOTS_MAX},
	{"cache.spans", "0 | 1..64",
	 "spans of a class that a cache owns (gc), or looks through (span); 0: 1, or 8 "
	 "[@SIZE][@cpuN]",
	 AT(spans), SM_KEY_NUMBER, .zero = true, .min = 1, .max = SM_SPANS_MAX},
	{"cache.budget", "0 | 16k..1g",
	 "bytes that a core's cache may hold; 0: 2m for cache.mode=cpu, else no bound [@cpuN]",
	 AT(budget), SM_KEY_SIZE, .zero = true, .min = 16 * SM_KIB, .max = SM_GIB},
	{"hugepages", "off|madvise|collapse",
	 "transparent huge pages: not asked for, advised, made at once", AT(hugepages), SM_KEY_WORD,
	 .words = huge_words},
	{"numa", "local|interleave|bind:N",
	 "node that memory comes from; N: 0..63, as this machine counts", AT(numa), SM_KEY_OWN,
	 .max = SM_MAX_NODES - 1},
	{"scavenge.interval", "0 | 1..3600000",
	 "ms between rounds that give free memory back; 0: never", AT(scavenge_ms), SM_KEY_NUMBER,
	 .zero = true, .min = 1, .max = 3600 * 1000},
	{"scavenge.retain", "0..1000", "percent of the bytes in use that is kept free",
	 AT(scavenge_retain), SM_KEY_NUMBER, .max = 1000},
	{"scavenge.pace", "1..100", "percent of one CPU that the scavenger may use",
	 AT(scavenge_pace), SM_KEY_NUMBER, .min = 1, .max = 100},
	{"scavenge.io_uring", "0|1",
	 "give memory back in batches by io_uring where the system allows it", AT(scavenge_uring),
	 SM_KEY_BOOL},
	{"debug.fill", "0|1", "patterns in fresh, freed and padding bytes", AT(debug_fill),
	 SM_KEY_BOOL},
	{"debug.page_per_object", "0|1",
	 "every object on pages of its own, made inaccessible when freed", AT(page_per_object),
	 SM_KEY_BOOL},
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(NKEYS <= SM_KEYS_MAX, "the list has room");

void sm_heap_config_init(struct sm_heap_config *cfg)
{
	*cfg = (struct sm_heap_config){
		.reserve = 0,
		.arena = 64 * SM_MIB,
		.limit = 0,
		.pageheap = SM_PAGEHEAP_BUDDY,
		.cache_mode = SM_CACHE_THREAD,
		.window = 32 * SM_KIB,
		.hugepages = SM_HUGE_OFF,
		.numa = SM_NUMA_LOCAL,
		.scavenge_ms = 100,
		.scavenge_retain = 10,
		.scavenge_pace = 3,
		.scavenge_uring = true,
	};
}

const struct sm_config_key *sm_heap_config_keys(void)
{
	static struct sm_key_list list;

	return sm__keys_list(&list, keys, NKEYS);
}

/* ---- numa --------------------------------------------------------------------------------- */

static const char *const policy_words[] = {"local", "interleave", NULL};

/* "local", "interleave", "bind:N"; N lands in numa_bind. */
static int set_numa(const struct sm_key *k, struct sm_heap_config *cfg, const char *text)
{
	size_t n;

	for (unsigned i = 0; policy_words[i] != NULL; i++)
		if (strcmp(text, policy_words[i]) == 0) {
			cfg->numa = (enum sm_numa_policy)i;
			return 0;
		}
	if (strncmp(text, "bind:", 5) != 0 || sm_parse_size(text + 5, &n) != 0 || n > k->max)
		return -EINVAL;
	cfg->numa = SM_NUMA_BIND;
	cfg->numa_bind = (unsigned)n;
	return 0;
}

static void get_numa(const struct sm_heap_config *cfg, char *buf, size_t len)
{
	if (cfg->numa == SM_NUMA_BIND)
		snprintf(buf, len, "bind:%u", cfg->numa_bind);
	else
		snprintf(buf, len, "%s", policy_words[cfg->numa]);
}

/* ---- for one class, for one core ---------------------------------------------------------- */

static const char *const knob_names[SM_KNOBS] = {"cache.window", "cache.slots", "cache.batch",
						 "cache.spans", "cache.budget"};

static int no_key(const char *name, char *err, size_t errlen)
{
	snprintf(err, errlen, "no heap key is called '%s'", name);
	return -ENOENT;
}

/* "@SIZE", "@cpuN" or both behind a key's name, in either order. False: it is something else. */
static bool parse_where(const char *text, struct sm_override *o)
{
	char part[16];
	size_t n, len;

	while (*text == '@') {
		len = strcspn(++text, "@");
		if (len == 0 || len >= sizeof(part))
			return false;
		snprintf(part, sizeof(part), "%.*s", (int)len, text);
		text += len;
		if (strncmp(part, "cpu", 3) == 0) {
			if (o->cpu >= 0 || sm_parse_size(part + 3, &n) != 0 || n >= SM_MAX_CPUS)
				return false;
			o->cpu = (int16_t)n;
		} else {
			if (o->cls != 0 || sm_parse_size(part, &n) != 0 || n == 0 ||
			    n > SM_MAX_SMALL)
				return false;
			o->cls = (uint8_t)sm_size_class(n);
		}
	}
	return true;
}

/*
 * A key with an @. Finds its row and fills *o but for the value. 0, -ENOENT: no such key, -EINVAL:
 * not there, or not so; err says which.
 */
static int find_override(const char *key, const struct sm_key **row, struct sm_override *o,
			 char *err, size_t errlen)
{
	const char *at = strchr(key, '@');
	char name[64];
	int knob;

	snprintf(name, sizeof(name), "%.*s", (int)(at - key), key);
	*row = sm__key_find(keys, NKEYS, name);
	if (*row == NULL)
		return no_key(name, err, errlen);
	for (knob = 0; knob < SM_KNOBS && strcmp(knob_names[knob], name) != 0; knob++) {
	}
	*o = (struct sm_override){.knob = (uint8_t)knob, .cpu = -1};
	if (knob == SM_KNOBS) {
		snprintf(err, errlen,
			 "%s: %s cannot be set for one class or core; allowed: cache.window, "
			 "cache.slots, "
			 "cache.batch, cache.spans, cache.budget",
			 key, name);
		return -EINVAL;
	}
	if (!parse_where(at, o) || (knob == SM_KNOB_BUDGET && o->cls != 0)) {
		snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s@cpuN, N: 0..%d", key,
			 at, knob == SM_KNOB_BUDGET ? "" : "@SIZE, SIZE: 1..32k; ",
			 SM_MAX_CPUS - 1);
		return -EINVAL;
	}
	return 0;
}

static struct sm_override *same_place(struct sm_heap_config *cfg, const struct sm_override *o)
{
	for (unsigned i = 0; i < cfg->noverrides; i++) {
		struct sm_override *have = &cfg->overrides[i];

		if (have->knob == o->knob && have->cls == o->cls && have->cpu == o->cpu)
			return have;
	}
	return NULL;
}

static int set_override(struct sm_heap_config *cfg, const char *key, const char *value, char *err,
			size_t errlen)
{
	struct sm_override o, *have;
	const struct sm_key *k;
	int e = find_override(key, &k, &o, err, errlen);
	size_t n;

	if (e != 0)
		return e;
	/* 0, "automatic", is a value for all caches together only: it would not say what it
	 * replaces. */
	if (sm_parse_size(value, &n) != 0 || n < k->min || n > k->max) {
		snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s", key, value,
			 k->zero ? k->values + strlen("0 | ") : k->values);
		return -EINVAL;
	}
	o.value = (uint32_t)n;
	have = same_place(cfg, &o);
	if (have == NULL && cfg->noverrides == SM_OVERRIDES_MAX) {
		snprintf(err, errlen, "%s: too many settings for one class or core; allowed: %d",
			 key, SM_OVERRIDES_MAX);
		return -EINVAL;
	}
	*(have ? have : &cfg->overrides[cfg->noverrides++]) = o;
	return 0;
}

size_t sm__config_knob(const struct sm_heap_config *cfg, enum sm_knob knob, unsigned cls, int cpu)
{
	size_t value = knob == SM_KNOB_WINDOW  ? cfg->window
		       : knob == SM_KNOB_SLOTS ? cfg->slots
		       : knob == SM_KNOB_BATCH ? cfg->batch
		       : knob == SM_KNOB_SPANS ? cfg->spans
					       : cfg->budget;
	int best = 0;

	for (unsigned i = 0; i < cfg->noverrides; i++) {
		const struct sm_override *o = &cfg->overrides[i];
		int rank = (o->cls != 0 ? 2 : 0) + (o->cpu >= 0 ? 1 : 0);

		if (o->knob == knob && (o->cls == 0 || o->cls == cls) &&
		    (o->cpu < 0 || o->cpu == cpu) && rank > best) {
			best = rank;
			value = o->value;
		}
	}
	return value;
}

/* ---- text --------------------------------------------------------------------------------- */

int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value, char *err,
		       size_t errlen)
{
	const struct sm_key *k;

	if (strchr(key, '@') != NULL)
		return set_override(cfg, key, value, err, errlen);
	k = sm__key_find(keys, NKEYS, key);
	if (k == NULL)
		return no_key(key, err, errlen);
	if ((k->kind == SM_KEY_OWN ? set_numa(k, cfg, value) : sm__key_set(k, cfg, value)) != 0)
		return sm__key_refuse(k, value, err, errlen);
	return 0;
}

int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf, size_t len)
{
	const struct sm_key *k;
	struct sm_override o;
	char why[256];

	if (strchr(key, '@') != NULL) {
		if (find_override(key, &k, &o, why, sizeof(why)) != 0)
			return -ENOENT;
		sm__print_size(buf, len, sm__config_knob(cfg, (enum sm_knob)o.knob, o.cls, o.cpu));
		return 0;
	}
	k = sm__key_find(keys, NKEYS, key);
	if (k == NULL)
		return -ENOENT;
	if (k->kind == SM_KEY_OWN)
		get_numa(cfg, buf, len);
	else
		sm__key_get(k, cfg, buf, len);
	return 0;
}

int sm__config_check(const struct sm_heap_config *cfg, char *err, size_t errlen)
{
	if (cfg->numa > SM_NUMA_BIND || cfg->nnodes > SM_MAX_NODES ||
	    cfg->noverrides > SM_OVERRIDES_MAX) {
		snprintf(err, errlen,
			 "numa %d, nnodes %u, noverrides %u: allowed: 0 to %d, %d and %d",
			 (int)cfg->numa, cfg->nnodes, cfg->noverrides, SM_NUMA_BIND, SM_MAX_NODES,
			 SM_OVERRIDES_MAX);
		return -EINVAL;
	}
	return sm__keys_check(keys, NKEYS, cfg, err, errlen);
}
