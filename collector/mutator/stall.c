/* stall.c: recording waits, adding histograms, their quantiles. */
#include "collector/mutator/stall.h"

#include "allocator/base/clock.h"
#include "allocator/base/phase.h"

static const char *const names[SM_STALL_CAUSES] = {
	[SM_STALL_HANDSHAKE] = "handshake", [SM_STALL_STOP] = "stop",
	[SM_STALL_ASSIST] = "assist",	    [SM_STALL_SWEEP] = "sweep",
	[SM_STALL_BARRIER] = "barrier",	    [SM_STALL_MEMORY] = "memory",
	[SM_STALL_PACE] = "pace",	    [SM_STALL_LOCK] = "lock",
	[SM_STALL_COMPACT] = "compact",
};

const char *sm_stall_name(enum sm_stall_cause cause)
{
	return (unsigned)cause < SM_STALL_CAUSES ? names[cause] : "?";
}

/* 0..15 have a bucket each; above, the four bits after the leading one choose among 16. */
unsigned sm__stall_bucket(uint64_t ns)
{
	unsigned exp, b;

	if (ns < 16)
		return (unsigned)ns;
	exp = 63 - (unsigned)__builtin_clzll(ns);
	b = (exp - 3) * 16 + (unsigned)((ns >> (exp - 4)) & 15);
	return b < SM_STALL_BUCKETS ? b : SM_STALL_BUCKETS - 1;
}

uint64_t sm__stall_bucket_top(unsigned bucket)
{
	unsigned exp = bucket / 16 + 3;

	if (bucket < 16)
		return bucket;
	return ((16 + (uint64_t)(bucket % 16) + 1) << (exp - 4)) - 1;
}

/* One writer, so load + store suffices; atomic only so that a reader never sees half a word. */
#define BUMP(field, by) sm_store_relaxed(&(field), sm_load_relaxed(&(field)) + (by))

static void raise_to(_Atomic(uint64_t) *max, uint64_t ns)
{
	if (ns > sm_load_relaxed(max))
		sm_store_relaxed(max, ns);
}

void sm__stall_record(struct sm_stall_hist *h, uint64_t ns, enum sm_kept kept)
{
	BUMP(h->bucket[sm__stall_bucket(ns)], 1);
	BUMP(h->count, 1);
	BUMP(h->total_ns, ns);
	raise_to(&h->max_ns, ns);
	if (kept == SM_KEPT) {
		BUMP(h->kept, 1);
		raise_to(&h->kept_max_ns, ns);
	} else if (kept == SM_KEPT_LOST) {
		BUMP(h->lost, 1);
		raise_to(&h->lost_max_ns, ns);
	}
}

void sm__stall_note(struct sm_stall_set *set, enum sm_stall_cause cause, uint64_t ns,
		    enum sm_kept kept)
{
	sm__stall_record(&set->cause[cause], ns, kept);
	sm_phase_waited(cause, ns);
	sm__stall_recent(set, ns);
	if (SM_UNLIKELY(set->told != NULL)) {
		uint64_t now = sm__now_ns();

		set->told(set->told_ctx, now - ns, now);
	}
}

void sm__stall_recent(struct sm_stall_set *set, uint64_t ns)
{
	raise_to(&set->recent_max_ns, ns);
}

/* The writer may record at the same time: such a record may be kept in part. */
void sm__stall_clear_hist(struct sm_stall_hist *h)
{
	for (unsigned i = 0; i < SM_STALL_BUCKETS; i++)
		sm_store_relaxed(&h->bucket[i], 0);
	sm_store_relaxed(&h->count, 0);
	sm_store_relaxed(&h->total_ns, 0);
	sm_store_relaxed(&h->max_ns, 0);
	sm_store_relaxed(&h->kept, 0);
	sm_store_relaxed(&h->kept_max_ns, 0);
	sm_store_relaxed(&h->lost, 0);
	sm_store_relaxed(&h->lost_max_ns, 0);
}

void sm__stall_clear(struct sm_stall_set *set)
{
	for (unsigned c = 0; c < SM_STALL_CAUSES; c++)
		sm__stall_clear_hist(&set->cause[c]);
	sm_store_relaxed(&set->recent_max_ns, 0);
}

void sm__stall_add(struct sm_stall_hist *to, struct sm_stall_hist *from)
{
	if (sm_load_relaxed(&from->count) == 0)
		return;
	for (unsigned i = 0; i < SM_STALL_BUCKETS; i++)
		BUMP(to->bucket[i], sm_load_relaxed(&from->bucket[i]));
	BUMP(to->count, sm_load_relaxed(&from->count));
	BUMP(to->total_ns, sm_load_relaxed(&from->total_ns));
	BUMP(to->kept, sm_load_relaxed(&from->kept));
	BUMP(to->lost, sm_load_relaxed(&from->lost));
	raise_to(&to->max_ns, sm_load_relaxed(&from->max_ns));
	raise_to(&to->kept_max_ns, sm_load_relaxed(&from->kept_max_ns));
	raise_to(&to->lost_max_ns, sm_load_relaxed(&from->lost_max_ns));
}

/* Smallest bucket top that at least q of all values do not exceed; never above the true maximum. */
static uint64_t quantile(struct sm_stall_hist *h, uint64_t n, double q)
{
	uint64_t rank = (uint64_t)((double)n * q), seen = 0, max = sm_load_relaxed(&h->max_ns);

	if (rank >= n)
		rank = n - 1;
	for (unsigned i = 0; i < SM_STALL_BUCKETS; i++) {
		seen += sm_load_relaxed(&h->bucket[i]);
		if (seen > rank) {
			uint64_t top = sm__stall_bucket_top(i);

			return top < max ? top : max;
		}
	}
	return max;
}

void sm__stall_summary(struct sm_stall_hist *h, struct sm_gc_stall *out)
{
	uint64_t n = 0;

	/* Counted from the buckets, so that the quantiles agree with themselves while others
	 * record. */
	for (unsigned i = 0; i < SM_STALL_BUCKETS; i++)
		n += sm_load_relaxed(&h->bucket[i]);
	*out = (struct sm_gc_stall){.count = n,
				    .total_ns = sm_load_relaxed(&h->total_ns),
				    .max_ns = sm_load_relaxed(&h->max_ns),
				    .kept = sm_load_relaxed(&h->kept),
				    .kept_max_ns = sm_load_relaxed(&h->kept_max_ns),
				    .lost = sm_load_relaxed(&h->lost),
				    .lost_max_ns = sm_load_relaxed(&h->lost_max_ns)};
	if (n == 0)
		return;
	out->p50_ns = quantile(h, n, 0.5);
	out->p99_ns = quantile(h, n, 0.99);
	out->p999_ns = quantile(h, n, 0.999);
}
