/*
 * gcconfig.c: the collector's keys, one table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/gc_internal.h"

enum policy { POLICY_THROUGHPUT, POLICY_LATENCY, POLICY_MEMORY };

/*
 * Below this no cycle starts. The default stays in the last-level cache of most machines: garbage at full
 * speed (churn, 64 B) takes 1.5 times as long when the heap goes round 64 MiB. Where little is live but marking it
 * is dear (binary-trees), the pacer goes up to gc.room times as far. The throughput preset does so at once.
 */
#define DEFAULT_MIN    (16 * SM_MIB)
#define DEFAULT_ROOM   4
#define THROUGHPUT_MIN (64 * SM_MIB)
/*
 * Marking what the barrier recorded takes 3 ns an entry, and the mutator waits for it: 512 entries made a
 * thousandth of the steps of `ring` longer than 1.2 to 2 us. With 128 a graph that is written to at full speed was marked
 * a fifth slower: so many packets, so little in each.
 */
#define DEFAULT_BUFFER 256

void sm_gc_config_init(struct sm_gc_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	sm_heap_config_init(&cfg->heap);
	cfg->heap.cache_mode = SM_CACHE_THREAD;
	/* A marker jumps about in the whole heap: with 4 KiB pages every jump misses the TLB (measured: 10x). */
	cfg->heap.hugepages = SM_HUGE_MADVISE;
	cfg->mode = SM_GC_CONCURRENT;
	cfg->growth_percent = 100;
	cfg->min_heap = DEFAULT_MIN;
	cfg->tuning.room = DEFAULT_ROOM;
	cfg->fifo = 48;
	cfg->tuning.policy = POLICY_THROUGHPUT;
	cfg->tuning.assist = 1;
	cfg->tuning.barrier_buffer = DEFAULT_BUFFER;
	cfg->tuning.mark_packet = 512;
	cfg->tuning.mark_stack_limit = 256 * SM_MIB;
	cfg->tuning.assist_slice = 8 * SM_KIB;
	cfg->tuning.aside = true;
	cfg->tuning.signal_ms = 20;
	cfg->tuning.report_ms = 2000;
#if defined(SM_HOSTILE)
	cfg->tuning.barrier_buffer = 4;
	cfg->tuning.mark_packet = 4;
	cfg->tuning.mark_stack_limit = 4096;
	cfg->min_heap = 64 * SM_KIB;
#endif
}

/* A key's value is a choice of words, or a number with bounds that goes to a place in the struct. */
struct key {
	struct sm_config_key text;
	size_t offset;
	uint8_t bytes;	   /* of the field: 1, 4 or 8 */
	bool size;	   /* takes k, m, g */
	uint64_t min, max; /* of numbers */
	const char *words[4];
};

#define FIELD(f) .offset = offsetof(struct sm_gc_config, f), .bytes = sizeof(((struct sm_gc_config *)0)->f)

static const struct key keys[] = {
	{{"gc.mode", "concurrent|stw", "mark beside the mutators, or while all stand still"},
	 FIELD(mode),
	 .words = {"concurrent", "stw"}},
	{{"gc.policy", "throughput|latency|memory", "a preset of the keys below it"},
	 FIELD(tuning.policy),
	 .words = {"throughput", "latency", "memory"}},
	{{"gc.percent", "0..10000", "growth over the live heap before the next cycle; 0: on request only"},
	 FIELD(growth_percent),
	 .max = 10000},
	{{"gc.min_heap", "size", "no cycle below this"},
	 FIELD(min_heap),
	 .size = true,
	 .max = (uint64_t)1 << 46},
	{{"gc.room", "1..64", "times gc.min_heap that a small heap may grow by while marking it is dear"},
	 FIELD(tuning.room),
	 .min = 1,
	 .max = 64},
	{{"gc.limit", "size", "memory to stay under by collecting more often; 0: none"},
	 FIELD(memory_limit),
	 .size = true,
	 .max = (uint64_t)1 << 46},
	{{"gc.workers", "0..256", "dedicated mark workers; 0: a quarter of the CPUs, at least 1"},
	 FIELD(workers),
	 .max = 256},
	{{"gc.fractional", "0..90", "per cent of a CPU for one more mark worker; 0: none"},
	 FIELD(tuning.fractional),
	 .max = 90},
	{{"gc.idle_workers", "0..256",
	  "mark workers that run only on CPUs with nothing else to do (SCHED_IDLE)"},
	 FIELD(tuning.idle_workers),
	 .max = 256},
	{{"gc.fifo", "0..64", "prefetch distance of the mark loop, in objects"},
	 FIELD(fifo),
	 .max = SM_FIFO_MAX},
	{{"gc.verify", "0|1", "check every cycle with the independent marker"}, FIELD(verify), .max = 1},
	{{"gc.trace", "0|1", "one line a cycle on stderr"}, FIELD(trace), .max = 1},
	{{"gc.stress", "0..1000000", "a cycle at every n-th refill; 0: never"},
	 FIELD(stress),
	 .max = 1000000},
	{{"gc.assist", "0|1", "mutators mark in proportion to what they allocate"},
	 FIELD(tuning.assist),
	 .max = 1},
	{{"gc.assist_slice", "size", "bytes that one assist scans at most: 1k..16m"},
	 FIELD(tuning.assist_slice),
	 .size = true,
	 .min = 1024,
	 .max = 16 * SM_MIB},
	{{"gc.barrier_buffer", "2..65536", "pointers that a mutator records before it marks them"},
	 FIELD(tuning.barrier_buffer),
	 .min = 2,
	 .max = 65536},
	{{"gc.packet", "2..65536", "entries of a work packet"},
	 FIELD(tuning.mark_packet),
	 .min = 2,
	 .max = 65536},
	{{"gc.mark_stack", "size", "memory for work packets, then the overflow path: 1k.."},
	 FIELD(tuning.mark_stack_limit),
	 .size = true,
	 .min = 1024,
	 .max = (uint64_t)1 << 40},
	{{"gc.aside", "0|1",
	  "the collector's threads keep off CPUs on which mutators run, where others are left"},
	 FIELD(tuning.aside),
	 .max = 1},
	{{"gc.signal_ms", "0..3600000", "signal a mutator that is so late for a handshake; 0: never"},
	 FIELD(tuning.signal_ms),
	 .max = 3600000},
	{{"gc.report_ms", "0..3600000", "and report it after so long; 0: never"},
	 FIELD(tuning.report_ms),
	 .max = 3600000},
	{{"gc.delay_us", "0..1000000", "testing: random pauses inside the collector, up to this"},
	 FIELD(tuning.delay_us),
	 .max = 1000000},
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static void put_value(struct sm_gc_config *cfg, const struct key *k, uint64_t v)
{
	char *at = (char *)cfg + k->offset;

	if (k->bytes == 1)
		*(bool *)at = v != 0;
	else if (k->bytes == 4)
		*(uint32_t *)at = (uint32_t)v;
	else
		*(uint64_t *)at = v;
}

/*
 * Presets; whatever is set after them wins.
 *   throughput  growth 100%, no cycle below 64 MiB, assists as the pacer asks
 *   latency     small assist slices and barrier buffers: shorter stalls, more of them
 *   memory      growth 40%, no minimum to speak of
 */
static void apply_policy(struct sm_gc_config *cfg)
{
	/* Every preset sets every key that any of them sets, so that the last one named is what counts. */
	cfg->growth_percent = 100;
	cfg->min_heap = DEFAULT_MIN;
	cfg->tuning.room = DEFAULT_ROOM;
	cfg->tuning.assist_slice = 8 * SM_KIB;
	cfg->tuning.barrier_buffer = DEFAULT_BUFFER;
	switch (cfg->tuning.policy) {
	case POLICY_LATENCY:
		cfg->tuning.assist_slice = 4 * SM_KIB;
		cfg->tuning.barrier_buffer = 128;
		break;
	case POLICY_MEMORY:
		cfg->growth_percent = 40;
		cfg->min_heap = 2 * SM_MIB;
		cfg->tuning.room = 1;
		break;
	default:
		cfg->min_heap = THROUGHPUT_MIN;
		cfg->tuning.room = 1;
		break;
	}
}

static int bad(const struct key *k, const char *value, char *err, size_t errlen)
{
	if (err && errlen)
		snprintf(err, errlen, "%s=%s: allowed is %s", k->text.name, value, k->text.values);
	return -EINVAL;
}

static int set_word(struct sm_gc_config *cfg, const struct key *k, const char *value, char *err,
		    size_t errlen)
{
	for (unsigned i = 0; i < 4 && k->words[i]; i++) {
		if (strcmp(value, k->words[i]) == 0) {
			put_value(cfg, k, i);
			if (k->offset == offsetof(struct sm_gc_config, tuning.policy))
				apply_policy(cfg);
			return 0;
		}
	}
	return bad(k, value, err, errlen);
}

static int set_number(struct sm_gc_config *cfg, const struct key *k, const char *value, char *err,
		      size_t errlen)
{
	uint64_t v;

	if (k->size) {
		size_t s;

		if (sm_parse_size(value, &s) != 0)
			return bad(k, value, err, errlen);
		v = s;
	} else {
		char *end;

		errno = 0;
		v = strtoull(value, &end, 10);
		if (errno || end == value || *end || value[0] < '0' || value[0] > '9')
			return bad(k, value, err, errlen);
	}
	if (v < k->min || v > k->max)
		return bad(k, value, err, errlen);
	put_value(cfg, k, v);
	return 0;
}

int sm_gc_config_set(struct sm_gc_config *cfg, const char *key, const char *value, char *err, size_t errlen)
{
	for (size_t i = 0; i < NKEYS; i++) {
		if (strcmp(key, keys[i].text.name) != 0)
			continue;
		if (keys[i].words[0])
			return set_word(cfg, &keys[i], value, err, errlen);
		return set_number(cfg, &keys[i], value, err, errlen);
	}
	return sm_heap_config_set(&cfg->heap, key, value, err, errlen);
}

const struct sm_config_key *sm_gc_config_keys(void)
{
	static struct sm_config_key list[NKEYS + 1];

	/* Writes the same every time, so a race between two first callers is harmless. */
	for (size_t i = 0; i < NKEYS; i++)
		list[i] = keys[i].text;
	return list;
}
