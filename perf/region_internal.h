/* The inside of struct sm_region_thread, shared by region.c (changes), region_open.c and
 * region_read.c. */
#ifndef SM_PERF_REGION_INTERNAL_H
#define SM_PERF_REGION_INTERNAL_H

#include "perf/clock.h"
#include "perf/region.h"

#define SM__REGION_GROUPS 16

/* A sequence of counts of one group: enabled, running, values. */
#define SM__REGION_HEAD 2

/* Where event e of kind k is counted. */
struct sm__slot {
	int8_t group; /* -1: nowhere */
	uint8_t index;
};

struct sm_region_thread {
	/* Fixed after open. */
	const struct sm_counterset *cs;
	struct sm_region_options opt;
	unsigned kind, n_groups, n_slots;
	bool use_ns; /* the tick counter is not to be trusted here */
	double ticks_per_ns;
	struct sm__slot *slots;		      /* [kind * n_events + event] */
	unsigned base[SM__REGION_GROUPS + 1]; /* first word of a group in a row of counts */
	bool user[SM__REGION_GROUPS];	      /* read at every change, in user space */
	double ns_change, ns_light, insn_change;
	enum sm_read_mode mode;
	int sim; /* number under Callgrind, -1 */

	/* The owner's alone. */
	struct sm_counter_group groups[SM__REGION_GROUPS];
	uint64_t last_ticks;
	uint64_t *last; /* a row: what was read last */
	uint8_t stack[SM_REGION_DEPTH];
	unsigned depth, over; /* `over`: entries beyond SM_REGION_DEPTH */
	uint8_t cur;	      /* the region that time goes to */
	uint8_t owner;	      /* the region that groups read by system calls go to */
	bool open;

	/* Written by the owner under `seq`, read by any thread: every access is atomic (relaxed),
	 * seq orders them. */
	uint32_t seq;
	uint32_t busy;
	uint64_t ticks[SM_REGION_MAX], enters[SM_REGION_MAX];
	uint64_t changes, light_changes, dropped;
	uint32_t lost; /* bit set of groups that the kernel took away */
	uint64_t start_ticks, end_ticks;
	uint64_t *counts; /* [region][row] */
	uint64_t *first;  /* a row: what was read at the start */
	uint64_t *final;  /* a row: a copy of `last` for readers */
};

static inline uint64_t sm__region_now(const struct sm_region_thread *t)
{
	return t->use_ns ? sm_clock_ns() : sm_clock_ticks();
}

/* Relaxed atomics: the words are shared with readers, the order comes from seq. */
static inline void sm__put(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline uint64_t sm__get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void sm__add(uint64_t *p, uint64_t v)
{
	sm__put(p, sm__get(p) + v); /* one writer: no read-modify-write needed */
}

/*
 * The sequence lock: odd while the owner writes. The release fence keeps the data behind the odd
 * number, the release store keeps it before the even one. Under ThreadSanitizer, which knows no
 * fences, an exchange orders as strongly.
 */
static inline void sm__write_begin(struct sm_region_thread *t)
{
	uint32_t s = __atomic_load_n(&t->seq, __ATOMIC_RELAXED);

#if defined(__SANITIZE_THREAD__)
	__atomic_exchange_n(&t->seq, s + 1, __ATOMIC_ACQ_REL);
#else
	__atomic_store_n(&t->seq, s + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static inline void sm__write_end(struct sm_region_thread *t)
{
	__atomic_store_n(&t->seq, __atomic_load_n(&t->seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

static inline bool sm__is_light(const struct sm_region_thread *t, unsigned region)
{
	return t->opt.light >> region & 1;
}

/* Gives what passed since the last change to the regions that were current; between write_begin and
 * write_end. */
void sm__region_account(struct sm_region_thread *t, bool everything);

#endif
