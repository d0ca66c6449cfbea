/*
 * gc.c: the collector's birth and end, and asking for cycles.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/objects/markmap.h"
#include "allocator/os/os.h"
#include "allocator/os/osthread.h"
#include "allocator/pages/scavenge.h"
#include "allocator/os/setfile.h"
#include "collector/mutator/fork.h"
#include "collector/cycle/gc_internal.h"
#include "collector/types/inspect.h"
#include "collector/mutator/late_signal.h"
#include "collector/mutator/misuse.h"
#include "collector/mutator/stacks.h"
#include "collector/cycle/sweep.h"
#include "collector/types/typedesc.h"

/* ---- asking for cycles -------------------------------------------------------------------- */

/* Number of the next cycle, which is wanted from now on. One that has started may have scanned
 * already what the caller has since dropped. */
static uint64_t want_cycle(struct sm_gc *gc, bool full, bool compact)
{
	uint64_t next;

	sm_lock_acquire(&gc->control_lock);
	next = sm_load_relaxed(&gc->cycles_started) + 1;
	if (sm_load_relaxed(&gc->cycles_wanted) < next)
		sm_store_seqcst(&gc->cycles_wanted, next);
	if (full)
		sm_store_seqcst(&gc->gen.full_wanted[next % 2], next);
	if (compact)
		sm_store_seqcst(&gc->compact.wanted[next % 2], next);
	sm_lock_release(&gc->control_lock);
	return next;
}

static void ask_full(struct sm_gc *gc)
{
	want_cycle(gc, true, false);
	sm__event_signal(&gc->wake);
}

void sm__gc_ask(struct sm_gc *gc)
{
	want_cycle(gc, false, false);
	sm__event_signal(&gc->wake);
}

void sm__gc_wait(struct sm_gc *gc, struct sm_mutator *m, const _Atomic(uint64_t) *count,
		 uint64_t least)
{
	if (m)
		sm_blocking_enter(m);
	sm__event_signal(&gc->wake);
	for (;;) {
		uint32_t seq = sm__event_prepare(&gc->done);

		if (sm_load_seqcst(count) >= least) {
			sm__event_cancel(&gc->done);
			break;
		}
		sm__event_wait(&gc->done, seq, 0);
	}
	if (m)
		sm_blocking_leave(m);
}

int sm__gc_collect_and_wait(struct sm_gc *gc, struct sm_mutator *m, bool full)
{
	sm__not_in_callback(gc, "sm_collect");
	if (sm_load_relaxed(&gc->forked))
		return -ENOTSUP;
	sm__gc_wait(gc, m, &gc->cycles_completed, want_cycle(gc, full, false));
	return 0;
}

int sm__gc_compact_and_wait(struct sm_gc *gc, struct sm_mutator *m)
{
	sm__not_in_callback(gc, "sm_collect_compact");
	if (sm_load_relaxed(&gc->forked))
		return -ENOTSUP;
	sm__gc_wait(gc, m, &gc->cycles_completed, want_cycle(gc, true, true));
	/* Chosen behind the one, moved behind the next. */
	if (gc->config.compact != SM_GC_COMPACT_FULL && gc->config.mode != SM_GC_STW &&
	    !sm_load_relaxed(&gc->compact.failed))
		sm__gc_wait(gc, m, &gc->cycles_completed, want_cycle(gc, true, false));
	return sm_load_relaxed(&gc->compact.failed) ? -ENOMEM : 0;
}

int sm_collect(struct sm_gc *gc, struct sm_mutator *m)
{
	if (!sm__gc_lives(gc) || (m && (!sm__is_mine(m) || m->gc != gc)))
		return -EINVAL;
	return sm__gc_collect_and_wait(gc, m ? m : sm_mutator_current(gc), true);
}

/* ---- settings while it runs --------------------------------------------------------------- */

int sm_gc_set_limit(struct sm_gc *gc, size_t bytes)
{
	if (bytes == SM_SET_NONE)
		return -EINVAL;
	sm_store_seqcst(&gc->set_limit, bytes);
	ask_full(gc);
	return 0;
}

int sm_gc_set_percent(struct sm_gc *gc, unsigned percent)
{
	if (percent > 10000)
		return -EINVAL;
	sm_store_seqcst(&gc->set_percent, percent);
	ask_full(gc);
	return 0;
}

/*
 * The former function may be running, and wait for a cycle of any collector: so the caller waits
 * for it in a blocking section of each that it is attached to.
 */
int sm_gc_on_cycle(struct sm_gc *gc, sm_cycle_fn *fn, void *ctx)
{
	sm__not_in_callback(gc, "sm_gc_on_cycle");
	if (sm_load_relaxed(&gc->forked))
		return -ENOTSUP;
	for (struct sm_mutator_priv *p = sm__self.mutators; p; p = p->mine)
		sm_blocking_enter(p->m);
	sm_lock_acquire(&gc->callback_lock);
	gc->on_cycle = fn;
	gc->on_cycle_ctx = ctx;
	sm_lock_release(&gc->callback_lock);
	for (struct sm_mutator_priv *p = sm__self.mutators; p; p = p->mine)
		sm_blocking_leave(p->m);
	return 0;
}

struct sm_heap *sm_gc_heap(struct sm_gc *gc)
{
	return gc->heap;
}

/* ---- birth and end ------------------------------------------------------------------------ */

static void init_locks(struct sm_gc *gc)
{
	sm_lock_init(&gc->callback_lock, SM_RANK_GC_CALLBACK);
	sm_store_relaxed(&gc->set_limit, SM_SET_NONE);
	sm_store_relaxed(&gc->set_percent, SM_SET_NONE);
	sm_lock_init(&gc->mutators_lock, SM_RANK_GC_MUTATORS);
	sm_lock_init(&gc->types_lock, SM_RANK_GC_TYPES);
	sm_lock_init(&gc->control_lock, SM_RANK_GC_CONTROL);
	sm_lock_init(&gc->stats_lock, SM_RANK_GC_STALLS);
	sm_lock_init(&gc->remember.lock, SM_RANK_GC_LOG);
}

static void set_hooks(struct sm_gc *gc)
{
	struct sm_heap_hooks hooks = {.ctx = gc,
				      .before_refill = sm__before_refill,
				      .window_taken = sm__window_taken,
				      .window_returned = sm__window_returned,
				      .large_new = sm__large_new,
				      .sweep = sm__sweep_hook,
				      .out_of_memory = sm__out_of_memory};

	sm__heap_set_hooks(gc->heap, &hooks);
}

static void init_pacer(struct sm_gc *gc)
{
	struct sm_pacer_config c = {.percent = gc->config.growth_percent,
				    .min_heap = gc->config.min_heap,
				    .max_room = gc->config.min_heap * gc->config.tuning.room,
				    .limit = gc->config.memory_limit,
				    .concurrent = gc->config.mode == SM_GC_CONCURRENT,
				    .generations = gc->gen.made};

	if (c.limit == 0)
		c.limit = gc->config.heap.limit;
	c.utilization = ((double)gc->nworkers + gc->config.tuning.fractional / 100.0) / gc->cpus;
	sm__pacer_init(&gc->pacer, &c);
	gc->cpu_at_end = sm__process_ns();
	sm__throttle_set(gc, 0, 0);
}

static unsigned default_workers(unsigned cpus)
{
	double fractional;
	unsigned n = sm__pacer_workers(cpus, &fractional);

	return n ? n : 1;
}

static void scavenger_started(void *ctx)
{
	struct sm_gc *gc = ctx;

	if (gc->config.worker_start)
		gc->config.worker_start(gc->config.worker_ctx, gc->nworkers + 2, "scavenge");
	sm__cpu_avoid_ready(&gc->scavenger_cpu_avoid);
}

static void scavenger_stopped(void *ctx)
{
	struct sm_gc *gc = ctx;

	/* It goes before the control thread does. */
	sm_store_release(&gc->scavenger_cpu_avoid.tid, 0);
	if (gc->config.worker_stop)
		gc->config.worker_stop(gc->config.worker_ctx, gc->nworkers + 2, "scavenge");
}

static int start_threads(struct sm_gc *gc)
{
	struct sm_scavenge_hooks scavenger = {
		.start = scavenger_started, .stop = scavenger_stopped, .ctx = gc};
	int err = sm__workers_start(gc);

	if (err == 0) {
		err = sm__os_thread(&gc->control, sm__control_main, gc);
		gc->have_control = err == 0;
	}
	if (err == 0)
		err = sm__scavenger_start(&gc->heap->pages, &scavenger);
	return err;
}

static int create_heap(struct sm_gc *gc, char *err, size_t errlen)
{
	int e;

	gc->heap = sm__heap_create(&gc->config.heap, err, errlen);
	if (gc->heap == NULL)
		return -errno;
	e = sm__markmap_create(gc->heap);
	if (e == 0 && gc->config.mark != SM_GC_MARK_OBJECTS)
		e = sm__markmap_add_scans(gc->heap);
	gc->range = gc->heap->pages.range; /* with the map's tables */
	gc->nnodes = gc->heap->pages.nnodes;
	if (e && err && errlen)
		snprintf(err, errlen,
			 "no address space for the mark bits (a 128th of heap.reserve, now %zu "
			 "MiB: try less)",
			 gc->range.bytes / SM_MIB);
	return e;
}

static int map_unit_flags(struct sm_gc *gc)
{
	size_t units = sm_align_up(gc->range.bytes >> SM_UNIT_SHIFT, 8);

	gc->unit_flags = sm__os_map(units);
	return gc->unit_flags == NULL ? -ENOMEM : 0;
}

static int init_markers(struct sm_gc *gc)
{
	int e = sm__workq_init(&gc->workq, &gc->config.heap, gc->nnodes,
			       gc->config.tuning.mark_packet, gc->config.tuning.mark_stack_limit,
			       (gc->by_span.made ? 4 : 2) * (gc->nall_workers + 1));

	if (e == 0)
		e = sm__marker_init(&gc->marker, gc, 0);
	if (e == 0)
		e = sm__marker_init(&gc->root_marker, gc, 0);
	if (e)
		return e;
	gc->workers = aligned_alloc(SM_CACHELINE, gc->nall_workers * sizeof(*gc->workers));
	if (gc->workers == NULL)
		return -ENOMEM;
	memset(gc->workers, 0, gc->nall_workers * sizeof(*gc->workers));
	return 0;
}

static int init_parts(struct sm_gc *gc, char *err, size_t errlen)
{
	int e = create_heap(gc, err, errlen);

	if (e == 0)
		e = map_unit_flags(gc);
	if (e == 0)
		e = sm__by_span_init(gc, err, errlen);
	if (e == 0)
		e = sm__gen_init(gc, err, errlen);
	if (e == 0)
		e = sm__compact_map_pins(gc, err, errlen);
	if (e == 0)
		e = init_markers(gc);
	if (e)
		return e;
	init_pacer(gc);
	set_hooks(gc);
	sm__preempted_init();
	sm__signal_install();
	return start_threads(gc);
}

static void stop_threads(struct sm_gc *gc)
{
	sm__finalizers_stop(gc);
	if (gc->heap)
		sm__scavenger_stop(&gc->heap->pages);
	sm_store_seqcst(&gc->quit, 1);
	sm__event_signal(&gc->wake);
	if (gc->have_control && !sm_load_relaxed(&gc->forked))
		pthread_join(gc->control, NULL);
	if (gc->workers)
		sm__workers_stop(gc);
}

/* Also of one that is not whole, because something failed. */
static void destroy_parts(struct sm_gc *gc)
{
	stop_threads(gc);
	sm__mutators_fini(gc);
	sm__marker_fini(&gc->marker);
	sm__marker_fini(&gc->root_marker);
	sm__workq_fini(&gc->workq);
	sm__finalizers_fini(gc);
	sm__ephemerons_fini(gc);
	sm__weaks_fini(gc);
	sm__roots_fini(&gc->roots);
	sm__handles_fini(gc);
	sm__pins_fini(gc);
	sm__compact_unmap_pins(gc);
	sm__armed_fini(gc);
	sm__types_fini(gc);
	if (gc->unit_flags)
		sm__os_unmap((void *)gc->unit_flags,
			     sm_align_up(gc->range.bytes >> SM_UNIT_SHIFT, 8));
	sm__by_span_fini(gc);
	sm__gen_fini(gc);
	free(gc->workers);
	if (gc->heap)
		sm__heap_destroy(gc->heap);
	free(gc);
}

/* Of the file of a tuning: all but what is malloc's. */
static int take_setting(void *config, const char *key, const char *value, char *err, size_t errlen)
{
	int e;

	if (strncmp(key, "env.", 4) == 0)
		return -ENOENT;
	e = sm_gc_config_set(config, key, value, err, errlen);
	return e == -ENOENT ? -EINVAL : e;
}

struct sm_gc *sm_gc_create(const struct sm_gc_config *cfg, char *err, size_t errlen)
{
	struct sm_gc *gc = aligned_alloc(SM_CACHELINE, sm_align_up(sizeof(*gc), SM_CACHELINE));
	int e;

	if (err && errlen)
		err[0] = '\0';
	if (gc == NULL) {
		if (err && errlen)
			snprintf(err, errlen, "cannot create a collector: %s", strerror(ENOMEM));
		errno = ENOMEM;
		return NULL;
	}
	memset(gc, 0, sizeof(*gc));
	if (cfg)
		gc->config = *cfg;
	else
		sm_gc_config_init(&gc->config);
	sm__setfile_read(take_setting, &gc->config);
	cfg = &gc->config;
	e = sm__gc_config_check(cfg, err, errlen);
	if (e) {
		free(gc);
		errno = -e;
		return NULL;
	}
	gc->cpus = sm__os_cpus();
	gc->nworkers = cfg->workers ? cfg->workers : default_workers(gc->cpus);
	gc->nall_workers = gc->nworkers + (cfg->tuning.fractional != 0) + cfg->tuning.idle_workers;
	init_locks(gc);
	sm__roots_init(&gc->roots);
	sm__handles_init(gc);
	sm__weaks_init(gc);
	sm__ephemerons_init(gc);
	sm__finalizers_init(gc);
	sm__compact_init(gc);
	sm__armed_init(gc);
	e = init_parts(gc, err, errlen);
	if (e) {
		if (err && errlen && err[0] == '\0')
			snprintf(err, errlen, "cannot create a collector: %s", strerror(-e));
		destroy_parts(gc);
		errno = -e;
		return NULL;
	}
	sm__fork_register(gc);
	return gc;
}

/* The finalizer thread is a mutator, too: the collector's own. */
static void check_no_mutator(struct sm_gc *gc)
{
	sm_lock_acquire(&gc->mutators_lock);
	for (struct sm_mutator_priv *p = gc->mutators; p && !sm_load_relaxed(&gc->forked);
	     p = p->next) {
		if (!p->collectors)
			sm__misuse("sm_gc_destroy", p->m, "the mutator of thread %d is attached",
				   (int)p->tid);
		if (p->owner == &sm__self)
			sm__misuse("sm_gc_destroy", gc, "called by a finalizer");
	}
	sm_lock_release(&gc->mutators_lock);
}

void sm_gc_destroy(struct sm_gc *gc)
{
	if (gc == NULL)
		return;
	if (!sm__gc_lives(gc))
		sm__misuse("sm_gc_destroy", gc, "no collector, or destroyed before");
	check_no_mutator(gc);
	sm__fork_unregister(gc);
	destroy_parts(gc);
}
