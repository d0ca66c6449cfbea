/* scavenge.c: memory that is free goes back to the system, and dense memory onto huge pages. */
#include "allocator/pages/scavenge.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "allocator/base/clock.h"
#include "allocator/base/phase.h"
#include "allocator/pages/pageheap_internal.h"
#include "allocator/os/osthread.h"

/* The kernel's headers have it since 6.1. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE_BYTES (4 * SM_MIB)  /* largest piece of a batch: bounds how much is away at a time */
#define MIN_BYTES   (32 * SM_KIB) /* smaller ones are not worth a call, except on request */

/* ---- one batch ---------------------------------------------------------------------------- */

static void advise_sync(struct sm_scavenger *sc, struct sm_advice *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a[i].result == -ECANCELED) {
			a[i].result = sm__os_madvise(a[i].addr, a[i].bytes, a[i].advice);
			sc->stats.sync_calls++;
		}
}

static struct sm_uring *ring_of(struct sm_pages *pg, struct sm_scavenger *sc)
{
	int err;

	if (sc->ring == NULL && pg->config->scavenge_uring && sc->stats.uring_error == 0) {
		err = sm__uring_open(&sc->ring, SM_URING_BATCH);
		if (err != 0) {
			sc->ring = NULL;
			sc->stats.uring_error = err;
			/* Said once: it works without, only a call at a time. */
			sm__say("io_uring: %s: free memory goes back by madvise",
				strerrordesc_np(-err));
		}
	}
	return sc->ring;
}

static void advise_all(struct sm_pages *pg, struct sm_scavenger *sc, struct sm_advice *a,
		       unsigned n)
{
	struct sm_uring *ring = n > 1 ? ring_of(pg, sc) : NULL;

	for (unsigned i = 0; i < n; i++)
		a[i].result = -ECANCELED;
	if (ring != NULL) {
		int err = sm__uring_madvise(ring, a, n);

		for (unsigned i = 0; i < n; i++)
			sc->stats.uring_calls += a[i].result != -ECANCELED;
		if (err != 0) {
			sm__uring_close(ring);
			sc->ring = NULL;
			sc->stats.uring_error = err;
			sm__say("io_uring: %s: free memory goes back by madvise",
				strerrordesc_np(-err));
		}
	}
	/* All of them without a ring; with one that broke, those that it did not do. */
	advise_sync(sc, a, n);
}

struct cursor {
	uint32_t unit;	/* where to go on */
	uint64_t spare; /* dirty free units to pass over: they are retained */
	uint32_t grain; /* units of a huge page, or 1 */
	uint32_t least; /* dirty units that are worth a call */
};

/* Is at least half of the huge page at `unit` free? Frontier and guard count as in use: they are
 * not ours to give. */
static bool mostly_free(struct sm_pages *pg, const struct sm_ph_node *nd, uint32_t unit,
			uint32_t huge)
{
	uint32_t free = 0;

	for (uint32_t end = unit + huge; unit < end && unit < nd->frontier;) {
		const struct sm_span *d = sm__ph_desc(pg, nd, unit);

		if (d->back == 0 && sm_load_relaxed(&d->state) == SM_SPAN_FREE && unit != 0) {
			free++;
			unit++;
		} else {
			unit = unit - d->back + (unit != 0 ? d[-(ptrdiff_t)d->back].nunits : 1);
		}
	}
	return free >= huge / 2;
}

/*
 * The next piece of the free run [unit, end): dirty, and whole huge pages, or what is free of one
 * huge page. False: there is none.
 */
static bool next_piece(struct sm_pages *pg, const struct sm_ph_node *nd, uint32_t unit,
		       uint32_t end, uint32_t grain, struct sm_piece *p)
{
	uint32_t most = (uint32_t)(PIECE_BYTES >> SM_UNIT_SHIFT), region;

	unit = sm__ph_dirty_next(nd, unit, end);
	if (unit >= end)
		return false;
	region = (uint32_t)sm_align_down(unit, grain);
	end = end - unit > most ? unit + most : end;
	if (region == unit && end - unit >= grain)
		end = (uint32_t)sm_align_down(end, grain);
	else if (end > region + grain)
		end = region + grain;
	p->unit = unit;
	p->n = end - unit;
	p->dirty = sm__ph_dirty_count(nd, unit, p->n);
	p->part = grain > 1 && (region != unit || p->n % grain != 0);
	p->dense = p->part && !mostly_free(pg, nd, region, grain);
	return true;
}

/* Takes up to SM_URING_BATCH pieces out, in address order from the cursor. Called with the node's
 * lock held. */
static unsigned collect_locked(struct sm_pages *pg, struct sm_ph_node *nd, struct cursor *c,
			       struct sm_piece *p)
{
	struct sm_pageheap *ph = sm__ph(pg);
	unsigned n = 0;
	uint32_t end, unit = c->unit;

	while (n < SM_URING_BATCH && (unit = sm__ph_run_from(ph, nd, unit, &end)) != 0) {
		while (n < SM_URING_BATCH && next_piece(pg, nd, unit, end, c->grain, &p[n])) {
			unit = p[n].unit + p[n].n;
			if (c->spare >= p[n].dirty) {
				c->spare -= p[n].dirty;
				continue;
			}
			if (p[n].dirty < c->least || p[n].dense)
				continue;
			SM_CHECK(SM_PH_CALL(ph, take_at, nd, p[n].unit, p[n].n));
			nd->busy_units += p[n].n;
			n++;
		}
		if (n < SM_URING_BATCH)
			unit = end;
	}
	c->unit = unit; /* 0: the end was reached */
	return n;
}

/*
 * The kernel frees nothing of a huge page that is given back in part: it stays whole until memory
 * is short. To be told that the part is cold makes it split the page, by which what is then given
 * back really goes.
 */
static void break_up(struct sm_pages *pg, struct sm_ph_node *nd, const struct sm_piece *p,
		     unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].part)
			(void)sm__os_madvise(sm__ph_addr(pg, nd, p[i].unit),
					     (size_t)p[i].n << SM_UNIT_SHIFT, MADV_COLD);
}

static size_t put_back_locked(struct sm_pages *pg, struct sm_ph_node *nd, struct sm_scavenger *sc,
			      const struct sm_piece *p, const struct sm_advice *a, unsigned n)
{
	size_t units = 0;

	for (unsigned i = 0; i < n; i++) {
		if (a[i].result == 0) {
			sm__ph_dirty_clear(nd, p[i].unit, p[i].n);
			sm__ph_uncollapse(nd, p[i].unit, p[i].n);
			sm__ph_uncount(&nd->dirty_units, p[i].dirty);
			units += p[i].dirty;
		} else {
			sc->stats.failed_calls++;
		}
		nd->busy_units -= p[i].n;
		SM_PH_CALL(sm__ph(pg), give, nd, p[i].unit, p[i].n);
	}
	return units << SM_UNIT_SHIFT;
}

/* One batch of one node. Returns the bytes released; c->unit is 0 when the node's end was reached.
 */
static size_t batch(struct sm_pages *pg, struct sm_ph_node *nd, struct cursor *c)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;
	struct sm_piece *p = sc->piece;
	struct sm_advice *a = sc->advice;
	size_t bytes = 0;
	unsigned n;

	/* Held while the pieces are away: a thread that finds no memory waits for it
	 * (sm__scavenge_quiesce). */
	sm_lock_acquire(&sc->lock);
	sm_lock_acquire(&nd->lock);
	n = collect_locked(pg, nd, c, p);
	sm_lock_release(&nd->lock);
	if (n > 0) {
		for (unsigned i = 0; i < n; i++)
			a[i] = (struct sm_advice){.addr = sm__ph_addr(pg, nd, p[i].unit),
						  .bytes = (size_t)p[i].n << SM_UNIT_SHIFT,
						  .advice = MADV_DONTNEED};
		break_up(pg, nd, p, n);
		advise_all(pg, sc, a, n);
		sm_lock_acquire(&nd->lock);
		bytes = put_back_locked(pg, nd, sc, p, a, n);
		sm_lock_release(&nd->lock);
		sc->stats.batches++;
		sc->stats.released_bytes += bytes;
	}
	sm_lock_release(&sc->lock);
	return bytes;
}

bool sm__scavenge_quiesce(struct sm_pages *pg)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;
	bool away = sm_lock_is_held(&sc->lock);

	if (away) {
		sm_lock_acquire(&sc->lock);
		sm_lock_release(&sc->lock);
	}
	return away;
}

/* ---- huge pages --------------------------------------------------------------------------- */

/* The grain of releasing and collapsing: units of a huge page; 1: huge pages do not matter. */
static uint32_t huge_units(const struct sm_pages *pg)
{
	return pg->config->hugepages == SM_HUGE_OFF ? 1 : sm__ph(pg)->huge_units;
}

#define COLLAPSE_BATCH 16

/* Regions of [unit, end), all of it in use, that are whole huge pages and have not been collapsed.
 */
static unsigned pick_regions(struct sm_ph_node *nd, uint32_t unit, uint32_t end, uint32_t huge,
			     uint32_t *region, unsigned n)
{
	for (unit = (uint32_t)sm_align_up(unit, huge); unit + huge <= end && n < COLLAPSE_BATCH;
	     unit += huge)
		if (!sm_bitset_test(&nd->collapsed, unit / huge))
			region[n++] = unit;
	return n;
}

/* The next regions at or behind *from without a free unit; *from moves on, to 0 at the end. */
static unsigned pick_locked(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t *from,
			    uint32_t huge, uint32_t *region)
{
	uint32_t at = *from, end = 0, unit = 0;
	unsigned n = 0;

	do {
		unit = sm__ph_run_from(sm__ph(pg), nd, at, &end);
		n = pick_regions(nd, at, unit != 0 ? unit : nd->frontier, huge, region, n);
		at = unit != 0 ? end : nd->frontier;
	} while (n < COLLAPSE_BATCH && at < nd->frontier);
	*from = n == COLLAPSE_BATCH ? region[n - 1] + huge : 0;
	return n;
}

/*
 * The regions are collapsed without a lock: their memory may be freed or even given back meanwhile,
 * and the kernel keeps contents and answers an error when there is nothing to collapse.
 */
static size_t collapse_batch(struct sm_pages *pg, struct sm_ph_node *nd, uint32_t *from,
			     uint32_t huge)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;
	uint32_t region[COLLAPSE_BATCH];
	bool done[COLLAPSE_BATCH];
	size_t bytes = 0;
	unsigned n;

	sm_lock_acquire(&sc->lock);
	sm_lock_acquire(&nd->lock);
	n = pick_locked(pg, nd, from, huge, region);
	sm_lock_release(&nd->lock);
	for (unsigned i = 0; i < n; i++)
		done[i] = sm__os_madvise(sm__ph_addr(pg, nd, region[i]),
					 (size_t)huge << SM_UNIT_SHIFT, MADV_COLLAPSE) == 0;
	sm_lock_acquire(&nd->lock);
	for (unsigned i = 0; i < n; i++)
		if (done[i]) {
			sm_bitset_set(&nd->collapsed, region[i] / huge);
			bytes += (size_t)huge << SM_UNIT_SHIFT;
		} else {
			sc->stats.failed_calls++;
		}
	sm_lock_release(&nd->lock);
	sc->stats.collapsed_bytes += bytes;
	sm_lock_release(&sc->lock);
	return bytes;
}

/* ---- rounds ------------------------------------------------------------------------------- */

/* Waits. False: the scavenger is to stop. */
static bool wait_ns(struct sm_scavenger *sc, uint64_t ns)
{
	uint64_t until = sm__now_ns() + ns;
	struct timespec ts = {.tv_sec = (time_t)(until / 1000000000u),
			      .tv_nsec = (long)(until % 1000000000u)};
	bool go_on;

	pthread_mutex_lock(&sc->sleep_mutex);
	while (!sc->stop && pthread_cond_timedwait(&sc->sleep_cond, &sc->sleep_mutex, &ts) == 0)
		continue;
	go_on = !sc->stop;
	pthread_mutex_unlock(&sc->sleep_mutex);
	return go_on;
}

/* Rests so that work of `ns` was `pace` percent of the time. At most a second: stopping must not
 * wait longer, and one slow call on a busy machine must not put an end to scavenging. */
static bool rest_scavenger(struct sm_pages *pg, struct sm_scavenger *sc, uint64_t ns)
{
	uint64_t pause = ns * (100 - pg->config->scavenge_pace) / pg->config->scavenge_pace;

	return wait_ns(sc, pause < 1000000000u ? pause : 1000000000u);
}

/* Dirty free units that stay: a share of what is in use, and what the last peaks needed. */
static uint64_t retained_units(struct sm_pages *pg, struct sm_ph_node *nd)
{
	uint64_t used, decayed;

	sm_lock_acquire(&nd->lock);
	used = sm_load_relaxed(&nd->used_units);
	decayed =
		nd->recent_peak > used ? nd->recent_peak - (nd->recent_peak - used + 7) / 8 : used;
	nd->recent_peak = nd->peak_units > decayed ? nd->peak_units : (uint32_t)decayed;
	nd->peak_units = sm_load_relaxed(&nd->used_units);
	decayed = nd->recent_peak;
	sm_lock_release(&nd->lock);
	return decayed - used + used * pg->config->scavenge_retain / 100;
}

static bool paced_step(struct sm_pages *pg, struct sm_ph_node *nd, struct cursor *c, uint32_t *from)
{
	uint64_t start = sm__now_ns();
	size_t bytes = 0;

	sm_phase_enter(SM_PHASE_SCAVENGE);
	if (c->unit != 0)
		bytes += batch(pg, nd, c);
	if (*from != 0)
		bytes += collapse_batch(pg, nd, from, c->grain);
	sm_phase_leave(SM_PHASE_SCAVENGE);
	return bytes == 0 ? wait_ns(&sm__ph(pg)->scavenger, 0)
			  : rest_scavenger(pg, &sm__ph(pg)->scavenger, sm__now_ns() - start);
}

static bool round_of(struct sm_pages *pg)
{
	struct sm_pageheap *ph = sm__ph(pg);

	sm__stackpool_trim(pg, false);
	for (unsigned i = 0; i < ph->nnodes; i++) {
		struct sm_ph_node *nd = &ph->nodes[i];
		uint32_t grain = huge_units(pg);
		uint32_t from = grain > 1 && pg->config->hugepages == SM_HUGE_COLLAPSE ? 1 : 0;
		uint32_t least = (uint32_t)(MIN_BYTES >> SM_UNIT_SHIFT);
		struct cursor c = {.unit = 1,
				   .spare = retained_units(pg, nd),
				   .grain = grain,
				   .least = least ? least : 1};

		while (c.unit != 0 || from != 0)
			if (!paced_step(pg, nd, &c, &from))
				return false;
	}
	sm_lock_acquire(&ph->scavenger.lock);
	ph->scavenger.stats.rounds++;
	sm_lock_release(&ph->scavenger.lock);
	return true;
}

static void *scavenger_main(void *arg)
{
	struct sm_pages *pg = arg;
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;

	pthread_setname_np(pthread_self(), "sm-scavenge");
	if (sc->hooks.start != NULL)
		sc->hooks.start(sc->hooks.ctx);
	while (wait_ns(sc, (uint64_t)pg->config->scavenge_ms * 1000000u) && round_of(pg))
		continue;
	if (sc->hooks.stop != NULL)
		sc->hooks.stop(sc->hooks.ctx);
	return NULL;
}

/* ---- calls -------------------------------------------------------------------------------- */

void sm__scavenge_init(struct sm_pages *pg)
{
	sm_lock_init(&sm__ph(pg)->scavenger.lock, SM_RANK_SCAVENGE);
}

/* Not before there is a thread: libc's calls are not for the birth of malloc's heap. */
static void init_sleep(struct sm_scavenger *sc)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&sc->sleep_mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sc->sleep_cond, &attr);
	pthread_condattr_destroy(&attr);
}

int sm__scavenger_start(struct sm_pages *pg, const struct sm_scavenge_hooks *hooks)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;
	int err;

	if (pg->config->scavenge_ms == 0 || sc->running)
		return 0;
	if (hooks != NULL)
		sc->hooks = *hooks;
	init_sleep(sc);
	sc->stop = false;
	err = sm__os_thread(&sc->thread, scavenger_main, pg);
	sc->running = err == 0;
	sc->pid = getpid();
	return err;
}

void sm__scavenger_stop(struct sm_pages *pg)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;

	if (!sc->running || sc->pid != getpid())
		return;
	pthread_mutex_lock(&sc->sleep_mutex);
	sc->stop = true;
	pthread_cond_signal(&sc->sleep_cond);
	pthread_mutex_unlock(&sc->sleep_mutex);
	pthread_join(sc->thread, NULL);
	sc->running = false;
}

void sm__scavenge_fini(struct sm_pages *pg)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;

	sm__scavenger_stop(pg);
	sm__uring_close(sc->ring);
	sc->ring = NULL;
}

void sm__scavenge_fork_child(struct sm_pages *pg)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;

	/* The thread stayed in the parent, and the ring is shared with it: opened anew when it is
	 * needed. */
	sc->running = false;
	sm__uring_close(sc->ring);
	sc->ring = NULL;
}

/* What is given back but mapped counts under strict overcommit, RLIMIT_AS and mlockall. */
static void unmap_end(struct sm_pages *pg, struct sm_ph_node *nd)
{
	sm_lock_acquire(&nd->lock);
	sm__arena_retreat_clean(pg, nd);
	sm_lock_release(&nd->lock);
}

size_t sm__scavenge(struct sm_pages *pg, size_t retain)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint64_t spare = retain >> SM_UNIT_SHIFT;
	size_t bytes = 0;

	sm_phase_enter(SM_PHASE_SCAVENGE);
	sm__stackpool_trim(pg, true);
	for (unsigned i = 0; i < ph->nnodes; i++) {
		/* Asked for: small pieces too, and parts of huge pages. */
		struct cursor c = {.unit = 1, .spare = spare, .grain = 1, .least = 1};

		while (c.unit != 0)
			bytes += batch(pg, &ph->nodes[i], &c);
		spare = c.spare;
		if (pg->sparse)
			unmap_end(pg, &ph->nodes[i]);
	}
	sm_phase_leave(SM_PHASE_SCAVENGE);
	return bytes;
}

size_t sm__scavenge_collapse(struct sm_pages *pg)
{
	struct sm_pageheap *ph = sm__ph(pg);
	uint32_t huge = huge_units(pg);
	size_t bytes = 0;

	if (pg->config->hugepages != SM_HUGE_COLLAPSE || huge == 1)
		return 0;
	for (unsigned i = 0; i < ph->nnodes; i++)
		for (uint32_t from = 1; from != 0;)
			bytes += collapse_batch(pg, &ph->nodes[i], &from, huge);
	return bytes;
}

void sm__scavenge_stats(struct sm_pages *pg, struct sm_scavenge_stats *out)
{
	struct sm_scavenger *sc = &sm__ph(pg)->scavenger;

	sm_lock_acquire(&sc->lock);
	*out = sc->stats;
	sm_lock_release(&sc->lock);
}
