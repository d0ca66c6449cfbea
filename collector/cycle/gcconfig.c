/*
 * gcconfig.c: the collector's keys.
 */
#include <string.h>

#include "collector/cycle/gc_internal.h"

enum policy { POLICY_NONE, POLICY_THROUGHPUT, POLICY_LATENCY, POLICY_MEMORY };

/*
 * Below this no cycle starts. The default stays in the last-level cache of most machines: garbage
 * at full speed (churn, 64 B) takes 1.5 times as long when the heap goes round 64 MiB. Where little
 * is live but marking it is expensive (binary-trees), the pacer goes up to gc.room times as far.
 * The throughput preset does so at once.
 */
#define DEFAULT_MIN    (16 * SM_MIB)
#define DEFAULT_ROOM   4
#define THROUGHPUT_MIN (64 * SM_MIB)
/*
 * Marking what the barrier recorded takes 3 ns an entry, and the mutator waits for it: 512 entries
 * made a thousandth of the steps of `ring` longer than 1.2 to 2 us. With 128 a graph that is
 * written to at full speed was marked a fifth slower: so many packets, so little in each.
 */
#define DEFAULT_BUFFER 256

/*
 * Presets; whatever is set after them wins.
 *   none        the defaults
 *   throughput  growth 100%, no cycle below 64 MiB, assists as the pacer asks
 *   latency     small assist slices and barrier buffers: shorter stalls, more of them
 *   memory      growth 40%, no minimum to speak of
 */
static void apply_policy(struct sm_gc_config *cfg)
{
	/* Every preset sets every key that any of them sets, so that the last one named is what
	 * counts. */
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
	case POLICY_THROUGHPUT:
		cfg->min_heap = THROUGHPUT_MIN;
		cfg->tuning.room = 1;
		break;
	default: break;
	}
}

void sm_gc_config_init(struct sm_gc_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	sm_heap_config_init(&cfg->heap);
	cfg->heap.cache_mode = SM_CACHE_THREAD;
	/* A marker jumps about in the whole heap: with 4 KiB pages every jump misses the TLB
	 * (measured: 10x). */
	cfg->heap.hugepages = SM_HUGE_MADVISE;
	cfg->mode = SM_GC_CONCURRENT;
	cfg->tuning.policy = POLICY_NONE;
	apply_policy(cfg);
	cfg->fifo = 48;
	cfg->tuning.assist = 1;
	cfg->tuning.mark_packet = 512;
	cfg->tuning.mark_stack_limit = 256 * SM_MIB;
	cfg->tuning.avoid_cpus = true;
	cfg->tuning.signal_ms = 20;
	cfg->tuning.report_ms = 2000;
	cfg->mark = SM_GC_MARK_OBJECTS;
	cfg->compact_percent = 20;
	cfg->compact_slice_us = 50;
	cfg->tuning.dense = 101;
	cfg->tuning.span_ahead = 4;
#if defined(SM_HOSTILE)
	cfg->tuning.barrier_buffer = 4;
	cfg->tuning.mark_packet = 4;
	cfg->tuning.mark_stack_limit = 4096;
	cfg->min_heap = 64 * SM_KIB;
#endif
}

static const char *const mode_words[] = {"concurrent", "stw", NULL};
static const char *const compact_words[] = {"off", "full", "auto", "force", NULL};
static const char *const generations_words[] = {"off", "on", "auto", NULL};
static const char *const remember_words[] = {"cards", "objects", "none", NULL};
static const char *const mark_words[] = {"objects", "spans", "auto", NULL};
static const char *const kernel_words[] = {"auto", "portable", "avx2", "avx512",
					   "neon", "sve",      NULL};
static const char *const policy_words[] = {"none", "throughput", "latency", "memory", NULL};

#define AT(member) SM_KEY_AT(struct sm_gc_config, member)

static const struct sm_key keys[] = {
	{"gc.mode", "concurrent|stw", "mark beside the mutators, or while all stand still",
	 AT(mode), SM_KEY_WORD, .words = mode_words},
	{"gc.mark", "objects|spans|auto",
	 "what waits to be scanned: each object, or spans; auto: the better one", AT(mark),
	 SM_KEY_WORD, .words = mark_words},
	{"gc.compact", "off|full|auto|force",
	 "objects move together: when asked and all in one stop; when due, or always, in slices",
	 AT(compact), SM_KEY_WORD, .words = compact_words},
	{"gc.generations", "off|on|auto",
	 "most cycles mark what is young alone, by a barrier that remembers stores; auto: where it "
	 "pays",
	 AT(generations), SM_KEY_WORD, .words = generations_words},
	{"gc.remember", "cards|objects|none",
	 "gc.generations: a store sets a byte, logs its object once, or leaves it to the kernel",
	 AT(remember), SM_KEY_WORD, .words = remember_words},
	{"gc.compact_percent", "1..100",
	 "gc.compact=auto: per cent of the heap that must come free in whole 2 MiB",
	 AT(compact_percent), SM_KEY_NUMBER, .min = 1, .max = 100},
	{"gc.compact_slice_us", "0..1000000",
	 "gc.compact=auto|force: how long a slice of moving stops the world; 0: one for all",
	 AT(compact_slice_us), SM_KEY_NUMBER, .max = 1000000},
	{"gc.policy", "none|throughput|latency|memory", "a preset of the keys below it",
	 AT(tuning.policy), SM_KEY_WORD, .words = policy_words},
	{"gc.percent", "0..10000",
	 "growth over the live heap before the next cycle; 0: on request only", AT(growth_percent),
	 SM_KEY_NUMBER, .max = 10000},
	{"gc.min_heap", "size", "no cycle below this", AT(min_heap), SM_KEY_SIZE,
	 .max = (uint64_t)1 << 46},
	{"gc.room", "1..64",
	 "times gc.min_heap that a small heap may grow by while marking it is expensive",
	 AT(tuning.room), SM_KEY_NUMBER, .min = 1, .max = 64},
	{"gc.limit", "size", "memory to stay under by collecting more often; 0: none",
	 AT(memory_limit), SM_KEY_SIZE, .max = (uint64_t)1 << 46},
	{"gc.workers", "0..256", "dedicated mark workers; 0: a quarter of the CPUs, at least 1",
	 AT(workers), SM_KEY_NUMBER, .max = 256},
	{"gc.fractional", "0..90", "per cent of a CPU for one more mark worker; 0: none",
	 AT(tuning.fractional), SM_KEY_NUMBER, .max = 90},
	{"gc.idle_workers", "0..256",
	 "mark workers that run only on CPUs with nothing else to do (SCHED_IDLE)",
	 AT(tuning.idle_workers), SM_KEY_NUMBER, .max = 256},
	{"gc.fifo", "0..64", "prefetch distance of the mark loop, in objects", AT(fifo),
	 SM_KEY_NUMBER, .max = SM_FIFO_MAX},
	{"gc.kernel", "auto|portable|avx2|avx512|neon|sve",
	 "how gc.mark=spans reads many objects of a span; auto: the best that the CPU has",
	 AT(tuning.kernel), SM_KEY_WORD, .words = kernel_words},
	{"gc.dense", "0..101",
	 "gc.mark=spans: per cent of a span's slots from which the kernel reads all at once",
	 AT(tuning.dense), SM_KEY_NUMBER, .max = 101},
	{"gc.span_ahead", "0..16", "prefetch distance of gc.mark=spans, in spans",
	 AT(tuning.span_ahead), SM_KEY_NUMBER, .max = SM_SPAN_AHEAD_MAX},
	{"gc.verify", "0|1", "check every cycle with the independent marker", AT(verify),
	 SM_KEY_NUMBER, .max = 1},
	{"gc.trace", "0|1", "one line a cycle on stderr", AT(trace), SM_KEY_NUMBER, .max = 1},
	{"gc.stress", "0..1000000", "a cycle at every n-th refill; 0: never", AT(stress),
	 SM_KEY_NUMBER, .max = 1000000},
	{"gc.sync", "0|1", "cycles at fixed points: a mutator that is due for one waits for it all",
	 AT(tuning.sync), SM_KEY_NUMBER, .max = 1},
	{"gc.assist", "0|1", "mutators mark in proportion to what they allocate", AT(tuning.assist),
	 SM_KEY_NUMBER, .max = 1},
	{"gc.assist_slice", "size", "bytes that one assist scans at most: 1k..16m",
	 AT(tuning.assist_slice), SM_KEY_SIZE, .min = 1024, .max = 16 * SM_MIB},
	{"gc.barrier_buffer", "2..65536", "pointers that a mutator records before it marks them",
	 AT(tuning.barrier_buffer), SM_KEY_NUMBER, .min = 2, .max = 65536},
	{"gc.packet", "2..65536", "entries of a work packet", AT(tuning.mark_packet), SM_KEY_NUMBER,
	 .min = 2, .max = 65536},
	{"gc.mark_stack", "size", "memory for work packets, then the overflow path: 1k..",
	 AT(tuning.mark_stack_limit), SM_KEY_SIZE, .min = 1024, .max = (uint64_t)1 << 40},
	{"gc.avoid_cpus", "0|1",
	 "the collector's threads keep off CPUs on which mutators run, where others are left",
	 AT(tuning.avoid_cpus), SM_KEY_NUMBER, .max = 1},
	{"gc.signal_ms", "0..3600000", "signal a mutator that is so late for a handshake; 0: never",
	 AT(tuning.signal_ms), SM_KEY_NUMBER, .max = 3600000},
	{"gc.report_ms", "0..3600000", "and report it after so long; 0: never",
	 AT(tuning.report_ms), SM_KEY_NUMBER, .max = 3600000},
	{"gc.delay_us", "0..1000000", "testing: random pauses inside the collector, up to this",
	 AT(tuning.delay_us), SM_KEY_NUMBER, .max = 1000000},
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(NKEYS <= SM_KEYS_MAX, "the list has room");

int sm_gc_config_set(struct sm_gc_config *cfg, const char *key, const char *value, char *err,
		     size_t errlen)
{
	const struct sm_key *k = sm__key_find(keys, NKEYS, key);

	if (k == NULL)
		return sm_heap_config_set(&cfg->heap, key, value, err, errlen);
	if (sm__key_set(k, cfg, value) != 0)
		return sm__key_refuse(k, value, err, errlen);
	if (k->offset == offsetof(struct sm_gc_config, tuning.policy))
		apply_policy(cfg);
	return 0;
}

const struct sm_config_key *sm_gc_config_keys(void)
{
	static struct sm_key_list list;

	return sm__keys_list(&list, keys, NKEYS);
}

int sm__gc_config_check(const struct sm_gc_config *cfg, char *err, size_t errlen)
{
	int e = sm__keys_check(keys, NKEYS, cfg, err, errlen);

	return e ? e : sm__config_check(&cfg->heap, err, errlen);
}
