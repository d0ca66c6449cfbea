/*
 * depot_shard.c: the lists of freed objects in the depots, kept apart by the threads that gave
 * them.
 *
 * Were they in one place, threads that allocate and free by the thousand would get each other's
 * objects: lines go from one CPU's cache to the other's, and where several objects share a line,
 * both go on writing to it. So a thread (cache.mode=cpu: a CPU) leaves lists in a shard, and takes
 * from there first.
 *
 * What its own shard does not have it takes from others only if these have a surplus: their threads
 * gave more than SURPLUS_BYTES, and took back less than half of it. So objects that one thread
 * allocates and another frees come back; what a thread will want again in a moment stays. Else it
 * gets free slots of spans, or new memory. When there is none, any list will do.
 *
 * There are as many shards as CPUs, 16 at most; threads beyond that share. A shard has a shelf for
 * each class and node, and one lock (rank SM_RANK_SHARD) for all of them, taken by its own threads
 * for a list, and by others that found nothing of their own. One at a time. `count` may be read
 * without it: a shelf that is passed by because it was empty a moment ago costs a refill from
 * spans.
 *
 * Credit. All shards together may keep depot_cap() objects of a class and node: a seventh of those
 * in use, and a list. More is of no use: an object that goes back to its span at once is still in
 * the CPU's cache then, one that waited in a long shelf is not, and a list of many of those costs a
 * miss for each. A shelf draws on that by credit, CREDIT lists' worth at once, and keeps what it
 * has drawn while its lists come and go, so that they do so without touching a line that others
 * write. A thread that finds the depot's credit used up collects what shelves do not use.
 *
 *     objects <= credit of each shelf (under the lock)     sum of credit over the shards ==
 *                                                          depot->credit (at rest)
 *     sum of credit in bytes over all depots == depot_bytes (at rest)
 *
 * What is in use shrinks while a program frees, and the depot with it: when a list finds no place
 * it goes back to spans, and one that the depot has too much goes with it (sm__shard_shed). So what
 * is left of a peak is bounded by what is in use then, not by the peak. As long as all depots
 * together have SLACK_BYTES at most, none of that holds: programs that allocate and free a few MiB
 * over and over need not take them from spans each time.
 *
 * The shards' memory lies with the heap's and the locks are held over a fork, so that the child has
 * them all.
 */
#include "allocator/malloc/depot.h"
#include "allocator/pages/meta.h"

#define CREDIT	      4
#define DECAY	      1024
#define SHARE	      8
#define SURPLUS_BYTES (64 * SM_KIB)
#define SLACK_BYTES   (4 * SM_MIB)

struct sm_shelf {
	uint64_t *lists;	 /* words as in depot.c; [depot->cap], made when first needed */
	_Atomic(uint32_t) count; /* lists; written under the lock, as all below */
	_Atomic(uint32_t) given, taken;	   /* by its own threads, decaying */
	_Atomic(uint64_t) objects, credit; /* in the lists; that there may be */
};

struct sm_shard {
	struct sm_lock lock;
	struct sm_shelf shelves[]; /* [node * sm__nclasses + class], all under the lock */
};

static size_t shard_bytes(void)
{
	size_t n = (size_t)sm__process_heap.nnodes * sm__nclasses;

	return sm_align_up(sizeof(struct sm_shard) + n * sizeof(struct sm_shelf), 2 * SM_CACHELINE);
}

static struct sm_shard *shard_at(unsigned i)
{
	return (struct sm_shard *)((char *)sm__process_heap.shards + i * shard_bytes());
}

static struct sm_shelf *shelf_at(struct sm_shard *sh, unsigned node, unsigned cls)
{
	return &sh->shelves[(size_t)node * sm__nclasses + cls];
}

bool sm__shard_init(void)
{
	struct sm_process_heap *g = &sm__process_heap;
#ifdef SM_HOSTILE
	unsigned least = SM_SHARDS_MAX; /* as on a machine of many CPUs */
#else
	unsigned least = g->ncpus;
#endif

	for (g->nshards = 1; g->nshards < least && g->nshards < SM_SHARDS_MAX;)
		g->nshards *= 2;
	g->shards = sm__meta_alloc(&g->heap->pages, g->nshards * shard_bytes());
	if (g->shards == NULL)
		return false;
	for (unsigned i = 0; i < g->nshards; i++)
		sm_lock_init(&shard_at(i)->lock, SM_RANK_SHARD);
	return true;
}

/* Of the calling thread, or of the CPU that it was on a moment ago. */
static unsigned mine(void)
{
	const struct sm_process_heap *g = &sm__process_heap;

	return (g->nslabs != 0 ? sm__rseq_cpu() : sm__mcache->shard) & (g->nshards - 1);
}

static uint64_t length_of(uint64_t word)
{
	return word >> SM_RSEQ_TAG_SHIFT;
}

/* ---- taking ------------------------------------------------------------------------------- */

/* Under the lock. 0: none. */
static uint64_t take_locked(struct sm_shelf *s)
{
	uint32_t n = sm_load_relaxed(&s->count);
	uint64_t word;

	if (n == 0)
		return 0;
	word = s->lists[n - 1];
	sm_store_relaxed(&s->count, n - 1);
	sm_store_relaxed(&s->objects, sm_load_relaxed(&s->objects) - length_of(word));
	return word;
}

/* own: for one of the shard's own threads, which counts. */
static uint64_t take_from(struct sm_shard *sh, unsigned node, unsigned cls, bool own)
{
	struct sm_shelf *s = shelf_at(sh, node, cls);
	uint64_t word;

	if (sm_load_relaxed(&s->count) == 0)
		return 0;
	sm_lock_acquire(&sh->lock);
	word = take_locked(s);
	if (own)
		sm_store_relaxed(&s->taken, sm_load_relaxed(&s->taken) + 1);
	sm_lock_release(&sh->lock);
	return word;
}

/* Do its own threads free much more than they allocate? Read without the lock: a guess from moments
 * ago. */
static bool has_surplus(const struct sm_shelf *s, unsigned cls)
{
	size_t list = (size_t)sm__process_heap.list[cls] * sm__sizeclasses[cls].slot_bytes;
	uint32_t given = sm_load_relaxed(&s->given);

	return given * list >= SURPLUS_BYTES && sm_load_relaxed(&s->taken) < given / 2;
}

uint64_t sm__shard_take(unsigned node, unsigned cls)
{
	return take_from(shard_at(mine()), node, cls, true);
}

uint64_t sm__shard_steal(unsigned node, unsigned cls, bool any)
{
	const struct sm_process_heap *g = &sm__process_heap;
	unsigned own = mine(), first = any ? 0 : 1; /* 0: the own shard */
	uint64_t word = 0;

	for (unsigned i = first; word == 0 && i < g->nshards; i++) {
		struct sm_shard *sh = shard_at((own + i) & (g->nshards - 1));

		if (any || has_surplus(shelf_at(sh, node, cls), cls))
			word = take_from(sh, node, cls, false);
	}
	return word;
}

/* ---- giving ------------------------------------------------------------------------------- */

/* Objects that the depot may keep: an eighth of those that are out, its own included; and a list.
 */
static uint64_t depot_cap(const struct sm_depot *d, unsigned cls)
{
	uint64_t n = sm_load_relaxed(&d->out) / SHARE + sm__process_heap.list[cls];

	return n < d->most ? n : d->most;
}

/* Credit in bytes, of all depots. */
static bool within_slack(unsigned cls, uint64_t need)
{
	uint64_t bytes = need * sm__sizeclasses[cls].slot_bytes;

	return sm_load_relaxed(&sm__process_heap.depot_bytes) + bytes <= SLACK_BYTES;
}

/* Credit for `need` objects, or somewhat more. Relaxed: sums bound memory, they order nothing. */
static uint64_t draw(struct sm_depot *d, unsigned cls, uint64_t need)
{
	uint64_t have = sm_load_relaxed(&d->credit), cap = depot_cap(d, cls), n;
	uint64_t want = CREDIT * sm__process_heap.list[cls];

	if (within_slack(cls, need))
		cap = d->most;
	want = want > need ? want : need;
	do {
		if (have + need > cap)
			return 0;
		n = cap - have < want ? cap - have : want;
	} while (!sm_cas_relaxed(&d->credit, &have, have + n));
	sm_fetch_add_relaxed(&sm__process_heap.depot_bytes, n * sm__sizeclasses[cls].slot_bytes);
	return n;
}

/* Under the lock. */
static void return_unused_locked(struct sm_depot *d, unsigned cls, struct sm_shelf *s)
{
	uint64_t unused = sm_load_relaxed(&s->credit) - sm_load_relaxed(&s->objects);

	sm_store_relaxed(&s->credit, sm_load_relaxed(&s->objects));
	sm_fetch_sub_relaxed(&d->credit, unused);
	sm_fetch_sub_relaxed(&sm__process_heap.depot_bytes,
			     unused * sm__sizeclasses[cls].slot_bytes);
}

/* Credit that others have and do not use goes back to the depot. No lock may be held. */
static bool collect(unsigned node, unsigned cls)
{
	const struct sm_process_heap *g = &sm__process_heap;
	bool any = false;

	for (unsigned i = 0; i < g->nshards; i++) {
		struct sm_shard *sh = shard_at(i);
		struct sm_shelf *s = shelf_at(sh, node, cls);

		if (sm_load_relaxed(&s->credit) == sm_load_relaxed(&s->objects))
			continue;
		sm_lock_acquire(&sh->lock);
		return_unused_locked(sm__depot_of(node, cls), cls, s);
		sm_lock_release(&sh->lock);
		any = true;
	}
	return any;
}

static void count_given_locked(struct sm_shelf *s)
{
	uint32_t given = sm_load_relaxed(&s->given) + 1;

	if (given == DECAY) {
		given /= 2;
		sm_store_relaxed(&s->taken, sm_load_relaxed(&s->taken) / 2);
	}
	sm_store_relaxed(&s->given, given);
}

static bool give_locked(struct sm_depot *d, unsigned cls, struct sm_shelf *s, uint64_t word)
{
	uint64_t objects = sm_load_relaxed(&s->objects) + length_of(word);
	uint64_t credit = sm_load_relaxed(&s->credit);
	uint32_t n = sm_load_relaxed(&s->count);

	if (n == d->cap)
		return false;
	if (objects > credit) {
		credit += draw(d, cls, objects - credit);
		sm_store_relaxed(&s->credit, credit);
	}
	if (objects > credit)
		return false;
	if (s->lists == NULL)
		s->lists =
			sm__meta_alloc(&sm__process_heap.heap->pages, d->cap * sizeof(*s->lists));
	if (s->lists == NULL)
		return false;
	count_given_locked(s);
	s->lists[n] = word;
	sm_store_relaxed(&s->objects, objects);
	sm_store_relaxed(&s->count, n + 1);
	return true;
}

bool sm__shard_give(unsigned node, unsigned cls, uint64_t word)
{
	struct sm_shard *sh = shard_at(mine());
	bool kept;

	for (int i = 0; i < 2; i++) {
		sm_lock_acquire(&sh->lock);
		kept = give_locked(sm__depot_of(node, cls), cls, shelf_at(sh, node, cls), word);
		sm_lock_release(&sh->lock);
		if (kept || !collect(node, cls))
			return kept;
	}
	return false;
}

/* A list of the shelf, and the credit that it had for it. 0: none. */
static uint64_t shed_from(struct sm_shard *sh, unsigned node, unsigned cls)
{
	struct sm_shelf *s = shelf_at(sh, node, cls);
	uint64_t word;

	if (sm_load_relaxed(&s->count) == 0)
		return 0;
	sm_lock_acquire(&sh->lock);
	word = take_locked(s);
	return_unused_locked(sm__depot_of(node, cls), cls, s);
	sm_lock_release(&sh->lock);
	return word;
}

/* A guess: others give and take meanwhile. One list more or less is left for it. */
static bool is_too_much(const struct sm_depot *d, unsigned cls)
{
	return sm_load_relaxed(&d->credit) > depot_cap(d, cls) && !within_slack(cls, 0);
}

uint64_t sm__shard_shed(unsigned node, unsigned cls)
{
	const struct sm_process_heap *g = &sm__process_heap;
	struct sm_depot *d = sm__depot_of(node, cls);
	unsigned own = mine();
	uint64_t word = 0;

	if (!is_too_much(d, cls) || (collect(node, cls) && !is_too_much(d, cls)))
		return 0;
	for (unsigned i = 0; word == 0 && i < g->nshards; i++)
		word = shed_from(shard_at((own + i) & (g->nshards - 1)), node, cls);
	return word;
}

/* ---- counting, fork ----------------------------------------------------------------------- */

uint64_t sm__shard_objects(unsigned node, unsigned cls)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < sm__process_heap.nshards; i++) {
		struct sm_shard *sh = shard_at(i);

		sm_lock_acquire(&sh->lock);
		sum += sm_load_relaxed(&shelf_at(sh, node, cls)->objects);
		sm_lock_release(&sh->lock);
	}
	return sum;
}

static const char *check_shelves(unsigned node, unsigned cls, uint64_t *bytes)
{
	struct sm_depot *d = sm__depot_of(node, cls);
	const char *why = NULL;
	uint64_t credit = 0;

	for (unsigned i = 0; i < sm__process_heap.nshards; i++) {
		struct sm_shard *sh = shard_at(i);
		struct sm_shelf *s = shelf_at(sh, node, cls);
		uint64_t objects = 0;

		sm_lock_acquire(&sh->lock);
		for (uint32_t k = 0; k < sm_load_relaxed(&s->count); k++)
			objects += length_of(s->lists[k]);
		if (objects != sm_load_relaxed(&s->objects))
			why = "a shelf's count of objects is not the sum of its lists";
		if (objects > sm_load_relaxed(&s->credit))
			why = "a shelf has more objects than credit";
		credit += sm_load_relaxed(&s->credit);
		sm_lock_release(&sh->lock);
	}
	*bytes += credit * sm__sizeclasses[cls].slot_bytes;
	return credit == sm_load_relaxed(&d->credit) ? why
						     : "the shelves' credit is not the depot's";
}

const char *sm__shard_check(void)
{
	const char *why = NULL;
	uint64_t bytes = 0;

	for (unsigned node = 0; why == NULL && node < sm__process_heap.nnodes; node++)
		for (unsigned cls = 1; why == NULL && cls < sm__nclasses; cls++)
			why = check_shelves(node, cls, &bytes);
	if (why == NULL && bytes != sm_load_relaxed(&sm__process_heap.depot_bytes))
		why = "the depots' credit does not add up to its bytes";
	return why;
}

void sm__shard_fork_prepare(void)
{
	for (unsigned i = 0; i < sm__process_heap.nshards; i++)
		sm_lock_acquire(&shard_at(i)->lock);
}

void sm__shard_fork_parent(void)
{
	for (unsigned i = sm__process_heap.nshards; i-- > 0;)
		sm_lock_release(&shard_at(i)->lock);
}

void sm__shard_fork_child(void)
{
	sm__shard_fork_parent();
	for (unsigned i = 0; i < sm__process_heap.nshards; i++)
		sm_lock_init(&shard_at(i)->lock, SM_RANK_SHARD);
}
