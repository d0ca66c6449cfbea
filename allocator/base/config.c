/*
 * config.c: the heap's keys, as one table: name, how the text is read, where it goes, bounds, help.
 * A new key is a member of struct sm_heap_config, a line here and a default in sm_heap_config_init.
 */
#include "allocator/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/base/sizeclass.h"

#define SM_SLOTS_MAX 8192
#define SM_SPANS_MAX 64

enum key_kind { KEY_SIZE, KEY_POW2, KEY_UINT, KEY_BOOL, KEY_WORD, KEY_NUMA };

struct key {
	enum key_kind kind;
	size_t offset; /* of the member in struct sm_heap_config */
	size_t min, max;
	bool zero;		  /* 0 is allowed below min: "none", "automatic" */
	const char *const *words; /* KEY_WORD: the values, in the order of the enum */
};

#define AT(member) offsetof(struct sm_heap_config, member)

static const char *const pageheap_words[] = {"buddy", "bitmap", NULL};
static const char *const mode_words[] = {"thread", "cpu", "none", NULL};
static const char *const huge_words[] = {"off", "madvise", "collapse", NULL};

/* `keys` and `names` run in parallel; names is what sm_heap_config_keys hands out. */
static const struct key keys[] = {
	{KEY_SIZE, AT(reserve), SM_GIB, (size_t)1 << 45, true, NULL},
	{KEY_POW2, AT(arena), SM_MIB, 16 * SM_GIB, false, NULL},
	{KEY_SIZE, AT(limit), 4 * SM_MIB, (size_t)1 << 46, true, NULL},
	{KEY_WORD, AT(pageheap), 0, 0, false, pageheap_words},
	{KEY_WORD, AT(cache_mode), 0, 0, false, mode_words},
	{KEY_SIZE, AT(window), 64, 16 * SM_MIB, false, NULL},
	{KEY_UINT, AT(slots), 1, SM_SLOTS_MAX, true, NULL},
	{KEY_UINT, AT(batch), 1, SM_SLOTS_MAX, true, NULL},
	{KEY_UINT, AT(spans), 1, SM_SPANS_MAX, true, NULL},
	{KEY_SIZE, AT(budget), 16 * SM_KIB, SM_GIB, true, NULL},
	{KEY_WORD, AT(hugepages), 0, 0, false, huge_words},
	{KEY_NUMA, AT(numa), 0, SM_MAX_NODES - 1, false, NULL},
	{KEY_UINT, AT(scavenge_ms), 1, 3600 * 1000, true, NULL},
	{KEY_UINT, AT(scavenge_retain), 0, 1000, true, NULL},
	{KEY_UINT, AT(scavenge_pace), 1, 100, false, NULL},
	{KEY_BOOL, AT(scavenge_uring), 0, 1, false, NULL},
	{KEY_BOOL, AT(debug_fill), 0, 1, false, NULL},
	{KEY_BOOL, AT(page_per_object), 0, 1, false, NULL},
};

static const struct sm_config_key names[] = {
	{"heap.reserve", "0 | 1g..32t",
	 "address range to reserve, halved until the system grants it; 0: by the memory of the machine"},
	{"heap.arena", "1m..16g", "bytes that are committed at a time; a power of two"},
	{"heap.limit", "0 | 4m..64t", "bytes that may be mapped, metadata included; 0: none"},
	{"pageheap", "buddy|bitmap", "binary buddy, or address-ordered first fit over a bitmap"},
	{"cache.mode", "thread|cpu|none",
	 "a cache for each thread, for each CPU (restartable sequences), none"},
	{"cache.window", "64..16m",
	 "bytes of a window: what a cache takes from a span at a time [@SIZE][@cpuN]"},
	{"cache.slots", "0 | 1..8192",
	 "freed objects that a list keeps (span backend); 0: by malloc.list [@SIZE][@cpuN]"},
	{"cache.batch", "0 | 1..8192",
	 "slots that a refill fetches (span backend); 0: a window, or a list [@SIZE][@cpuN]"},
	{"cache.spans", "0 | 1..64",
	 "spans of a class that a cache owns (gc), or looks through (span); 0: 1, or 8 [@SIZE][@cpuN]"},
	{"cache.budget", "0 | 16k..1g",
	 "bytes that a core's cache may hold; 0: 2m for cache.mode=cpu, else no bound [@cpuN]"},
	{"hugepages", "off|madvise|collapse", "transparent huge pages: not asked for, advised, made at once"},
	{"numa", "local|interleave|bind:N", "node that memory comes from; N: 0..63, as this machine counts"},
	{"scavenge.interval", "0 | 1..3600000", "ms between rounds that give free memory back; 0: never"},
	{"scavenge.retain", "0..1000", "percent of the bytes in use that is kept free"},
	{"scavenge.pace", "1..100", "percent of one CPU that the scavenger may use"},
	{"scavenge.io_uring", "0|1", "give memory back in batches by io_uring where the system allows it"},
	{"debug.fill", "0|1", "patterns in fresh, freed and padding bytes"},
	{"debug.page_per_object", "0|1", "every object on pages of its own, made inaccessible when freed"},
	{NULL, NULL, NULL},
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(NKEYS + 1 == sizeof(names) / sizeof(names[0]), "each key has a name");

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
	return names;
}

int sm_parse_size(const char *text, size_t *out)
{
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	/* strtoull would take a sign and blanks. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	switch (tolower((unsigned char)*end)) {
	case 'k': shift = 10; break;
	case 'm': shift = 20; break;
	case 'g': shift = 30; break;
	case 't': shift = 40; break;
	case '\0': break;
	default: return -EINVAL;
	}
	if (shift != 0 && end[1] != '\0')
		return -EINVAL;
	if (n > SIZE_MAX >> shift)
		return -ERANGE;
	*out = (size_t)n << shift;
	return 0;
}

static bool in_bounds(const struct key *k, size_t n)
{
	return (n == 0 && k->zero) || (n >= k->min && n <= k->max);
}

static int parse_bool(const char *text, size_t *out)
{
	static const char *const words[] = {"0", "1", "off", "on", "no", "yes", "false", "true"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i & 1;
			return 0;
		}
	return -EINVAL;
}

static int parse_word(const struct key *k, const char *text, size_t *out)
{
	size_t i;

	for (i = 0; k->words[i] != NULL; i++)
		if (strcmp(text, k->words[i]) == 0) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}

/* "local", "interleave", "bind:N"; the node lands in numa_bind. */
static int parse_numa(const struct key *k, const char *text, enum sm_numa_policy *policy, unsigned *node)
{
	size_t n;

	if (strcmp(text, "local") == 0) {
		*policy = SM_NUMA_LOCAL;
		return 0;
	}
	if (strcmp(text, "interleave") == 0) {
		*policy = SM_NUMA_INTERLEAVE;
		return 0;
	}
	if (strncmp(text, "bind:", 5) != 0 || sm_parse_size(text + 5, &n) != 0 || n > k->max)
		return -EINVAL;
	*policy = SM_NUMA_BIND;
	*node = (unsigned)n;
	return 0;
}

/* Reads text as k says, into the member. 0 or -EINVAL, with nothing changed. */
static int set_member(const struct key *k, struct sm_heap_config *cfg, const char *text)
{
	void *member = (char *)cfg + k->offset;
	size_t n = 0;
	int err = 0;

	switch (k->kind) {
	case KEY_SIZE:
	case KEY_POW2:
	case KEY_UINT:
		err = sm_parse_size(text, &n);
		if (err == 0 && !in_bounds(k, n))
			err = -ERANGE;
		if (err == 0 && k->kind == KEY_POW2 && (n & (n - 1)) != 0)
			err = -EINVAL;
		if (err == 0 && k->kind == KEY_UINT)
			*(unsigned *)member = (unsigned)n;
		else if (err == 0)
			*(size_t *)member = n;
		break;
	case KEY_BOOL:
		err = parse_bool(text, &n);
		if (err == 0)
			*(bool *)member = n;
		break;
	case KEY_WORD:
		err = parse_word(k, text, &n);
		if (err == 0)
			*(unsigned *)member = (unsigned)n;
		break;
	case KEY_NUMA: err = parse_numa(k, text, member, &cfg->numa_bind); break;
	}
	return err ? -EINVAL : 0;
}

/* Enumerations are stored through unsigned above. */
_Static_assert(sizeof(enum sm_pageheap_kind) == sizeof(unsigned), "an enum is an unsigned");

static int find_key(const char *name)
{
	size_t i;

	for (i = 0; i < NKEYS; i++)
		if (strcmp(names[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

/* ---- for one class, for one core ------------------------------------------------------------------- */

static const char *const knob_names[SM_KNOBS] = {"cache.window", "cache.slots", "cache.batch", "cache.spans",
						 "cache.budget"};

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
			if (o->cls != 0 || sm_parse_size(part, &n) != 0 || n == 0 || n > SM_MAX_SMALL)
				return false;
			o->cls = (uint8_t)sm_size_class(n);
		}
	}
	return true;
}

/*
 * A key with an @. Returns its index in the tables and fills *o but for the value; -ENOENT: no such key, -EINVAL:
 * not there, or not so; err says which.
 */
static int find_override(const char *key, struct sm_override *o, char *err, size_t errlen)
{
	const char *at = strchr(key, '@');
	char name[64];
	int knob, i;

	snprintf(name, sizeof(name), "%.*s", (int)(at - key), key);
	i = find_key(name);
	if (i < 0) {
		snprintf(err, errlen, "no heap key is called '%s'", name);
		return -ENOENT;
	}
	for (knob = 0; knob < SM_KNOBS && strcmp(knob_names[knob], name) != 0; knob++) {
	}
	*o = (struct sm_override){.knob = (uint8_t)knob, .cpu = -1};
	if (knob == SM_KNOBS) {
		snprintf(err, errlen,
			 "%s: %s cannot be set for one class or core; allowed: cache.window, cache.slots, "
			 "cache.batch, cache.spans, cache.budget",
			 key, name);
		return -EINVAL;
	}
	if (!parse_where(at, o) || (knob == SM_KNOB_BUDGET && o->cls != 0)) {
		snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s@cpuN, N: 0..%d", key, at,
			 knob == SM_KNOB_BUDGET ? "" : "@SIZE, SIZE: 1..32k; ", SM_MAX_CPUS - 1);
		return -EINVAL;
	}
	return i;
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
	int i = find_override(key, &o, err, errlen);
	size_t n;

	if (i < 0)
		return i;
	/* 0, "automatic", is a value for everybody only: it would not say what it replaces. */
	if (sm_parse_size(value, &n) != 0 || n < keys[i].min || n > keys[i].max) {
		snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s", key, value,
			 strncmp(names[i].values, "0 | ", 4) == 0 ? names[i].values + 4 : names[i].values);
		return -EINVAL;
	}
	o.value = (uint32_t)n;
	have = same_place(cfg, &o);
	if (have == NULL && cfg->noverrides == SM_OVERRIDES_MAX) {
		snprintf(err, errlen, "%s: too many settings for one class or core; allowed: %d", key,
			 SM_OVERRIDES_MAX);
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

		if (o->knob == knob && (o->cls == 0 || o->cls == cls) && (o->cpu < 0 || o->cpu == cpu) &&
		    rank > best) {
			best = rank;
			value = o->value;
		}
	}
	return value;
}

/* ---- text ------------------------------------------------------------------------------------------ */

int sm_heap_config_set(struct sm_heap_config *cfg, const char *key, const char *value, char *err,
		       size_t errlen)
{
	int i;

	if (strchr(key, '@') != NULL)
		return set_override(cfg, key, value, err, errlen);
	i = find_key(key);
	if (i < 0) {
		snprintf(err, errlen, "no heap key is called '%s'", key);
		return -ENOENT;
	}
	if (set_member(&keys[i], cfg, value) != 0) {
		snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s", key, value, names[i].values);
		return -EINVAL;
	}
	return 0;
}

/* The shortest spelling that reads back as n. */
static int print_size(char *buf, size_t len, size_t n)
{
	static const char suffix[] = {'\0', 'k', 'm', 'g', 't'};
	unsigned i = 0;

	while (n != 0 && n % 1024 == 0 && i < 4) {
		n /= 1024;
		i++;
	}
	return suffix[i] ? snprintf(buf, len, "%zu%c", n, suffix[i]) : snprintf(buf, len, "%zu", n);
}

int sm_heap_config_get(const struct sm_heap_config *cfg, const char *key, char *buf, size_t len)
{
	static const char *const policies[] = {"local", "interleave"};
	struct sm_override o;
	const void *member;
	char why[256];
	int i;

	if (strchr(key, '@') != NULL) {
		i = find_override(key, &o, why, sizeof(why));
		if (i < 0)
			return -ENOENT;
		print_size(buf, len, sm__config_knob(cfg, (enum sm_knob)o.knob, o.cls, o.cpu));
		return 0;
	}
	i = find_key(key);
	if (i < 0)
		return i;
	member = (const char *)cfg + keys[i].offset;
	switch (keys[i].kind) {
	case KEY_SIZE:
	case KEY_POW2: print_size(buf, len, *(const size_t *)member); break;
	case KEY_UINT: snprintf(buf, len, "%u", *(const unsigned *)member); break;
	case KEY_BOOL: snprintf(buf, len, "%d", *(const bool *)member); break;
	case KEY_WORD: snprintf(buf, len, "%s", keys[i].words[*(const unsigned *)member]); break;
	case KEY_NUMA:
		if (cfg->numa == SM_NUMA_BIND)
			snprintf(buf, len, "bind:%u", cfg->numa_bind);
		else
			snprintf(buf, len, "%s", policies[cfg->numa]);
		break;
	}
	return 0;
}
