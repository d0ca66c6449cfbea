/*
 * bdwgc.c: see bdwgc.h. Declared here as its own header has it, which need not be installed.
 */
#include "workloads/bdwgc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator/base/atomic.h"
#include "perf/clock.h"

struct stack_base { /* struct GC_stack_base; larger where the machine has a second stack */
	void *mem_base, *reg_base;
};

enum event { /* GC_EventType */
	     EVENT_START = 0,
	     EVENT_END = 5,
	     EVENT_PRE_STOP_WORLD = 6,
	     EVENT_POST_START_WORLD = 9,
};

struct sm_bdwgc sm_bdwgc;

/* The rest of its functions; the last are not in every version. */
static struct {
	void (*init)(void);
	void (*allow_register_threads)(void);
	int (*get_stack_base)(struct stack_base *sb);
	int (*register_my_thread)(const struct stack_base *sb);
	int (*unregister_my_thread)(void);
	size_t (*get_gc_no)(void);
	size_t (*get_total_bytes)(void);
	int (*get_parallel)(void);
	void (*set_warn_proc)(void (*warn)(char *text, size_t arg));
	void (*set_markers_count)(unsigned n);
	void (*start_mark_threads)(void);
	void (*set_on_collection_event)(void (*event)(int event));
} gc;

static const struct {
	const char *name;
	void *at; /* of the pointer */
	bool optional;
} functions[] = {
	{"GC_malloc", &sm_bdwgc.malloc, false},
	{"GC_malloc_atomic", &sm_bdwgc.malloc_atomic, false},
	{"GC_malloc_uncollectable", &sm_bdwgc.malloc_uncollectable, false},
	{"GC_free", &sm_bdwgc.free, false},
	{"GC_gcollect", &sm_bdwgc.gcollect, false},
	{"GC_register_finalizer", &sm_bdwgc.register_finalizer, false},
	{"GC_init", &gc.init, false},
	{"GC_allow_register_threads", &gc.allow_register_threads, false},
	{"GC_get_stack_base", &gc.get_stack_base, false},
	{"GC_register_my_thread", &gc.register_my_thread, false},
	{"GC_unregister_my_thread", &gc.unregister_my_thread, false},
	{"GC_get_gc_no", &gc.get_gc_no, false},
	{"GC_get_total_bytes", &gc.get_total_bytes, false},
	{"GC_get_parallel", &gc.get_parallel, false},
	{"GC_set_warn_proc", &gc.set_warn_proc, false},
	{"GC_set_markers_count", &gc.set_markers_count, true},
	{"GC_start_mark_threads", &gc.start_mark_threads, true},
	{"GC_set_on_collection_event", &gc.set_on_collection_event, true},
};

int sm_bdwgc_load(const char *path, char *err, size_t errlen)
{
	static void *lib;

	if (lib != NULL)
		return 0;
	lib = dlopen(path != NULL ? path : "libgc.so.1", RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(err, errlen, "bdwgc: %s", dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(lib, functions[i].name);

		if (f == NULL && !functions[i].optional) {
			snprintf(err, errlen, "bdwgc: %.100s has no %s",
				 path != NULL ? path : "libgc.so.1", functions[i].name);
			dlclose(lib);
			lib = NULL;
			return -EINVAL;
		}
		memcpy(functions[i].at, &f, sizeof(f));
	}
	return 0;
}

/* ---- what it does ------------------------------------------------------------------------- */

/* Written by whoever collects, under its lock; read at any time. */
static struct {
	uint64_t began, stopped; /* when; of the collector alone */
	_Atomic(uint64_t) cycle_ns, stopped_ns, longest_stop_ns;
} times;

static void (*tell_stop)(void *ctx, uint64_t since, uint64_t until);
static void *tell_ctx;

static void on_event(int event)
{
	uint64_t now = sm_clock_ns(), took;

	switch (event) {
	case EVENT_START: times.began = now; break;
	case EVENT_END:
		sm_fetch_add_relaxed(&times.cycle_ns, sm_clock_delta(times.began, now));
		break;
	case EVENT_PRE_STOP_WORLD: times.stopped = now; break;
	case EVENT_POST_START_WORLD:
		took = sm_clock_delta(times.stopped, now);
		sm_fetch_add_relaxed(&times.stopped_ns, took);
		if (took > sm_load_relaxed(&times.longest_stop_ns))
			sm_store_relaxed(&times.longest_stop_ns, took);
		if (tell_stop != NULL)
			tell_stop(tell_ctx, times.stopped, now);
		break;
	default: break;
	}
}

void sm_bdwgc_on_stop(void (*fn)(void *ctx, uint64_t since, uint64_t until), void *ctx)
{
	tell_stop = fn;
	tell_ctx = ctx;
}

bool sm_bdwgc_tells_times(void)
{
	return gc.set_on_collection_event != NULL;
}

void sm_bdwgc_totals(struct sm_bdwgc_totals *out)
{
	*out = (struct sm_bdwgc_totals){
		.cycles = gc.get_gc_no(),
		.allocated_bytes = gc.get_total_bytes(),
		.cycle_ns = sm_load_relaxed(&times.cycle_ns),
		.stopped_ns = sm_load_relaxed(&times.stopped_ns),
	};
}

uint64_t sm_bdwgc_longest_stop_ns(void)
{
	return sm_load_relaxed(&times.longest_stop_ns);
}

void sm_bdwgc_reset_longest_stop(void)
{
	sm_store_relaxed(&times.longest_stop_ns, 0);
}

/* ---- begin, threads ----------------------------------------------------------------------- */

static void (*warn_to)(void *ctx, const char *text);
static void *warn_ctx;

/* Its text is a format for one word, with a newline. */
static void on_warning(char *text, size_t arg)
{
	char line[240];

	if (warn_to == NULL)
		return;
	snprintf(line, sizeof(line), text, arg);
	line[strcspn(line, "\n")] = '\0';
	warn_to(warn_ctx, line);
}

unsigned sm_bdwgc_begin(unsigned threads, bool alone, void (*warn)(void *ctx, const char *text),
			void *ctx)
{
	warn_ctx = ctx;
	warn_to = warn;
	if (alone && gc.set_markers_count != NULL)
		gc.set_markers_count(1);
	gc.set_warn_proc(on_warning);
	if (gc.set_on_collection_event != NULL)
		gc.set_on_collection_event(on_event);
	gc.init();
	/* A program of one thread does not pay for others. */
	if (threads > 1)
		gc.allow_register_threads();
	if (!alone && gc.start_mark_threads != NULL)
		gc.start_mark_threads();
	return (unsigned)gc.get_parallel();
}

void sm_bdwgc_end(void)
{
	warn_to = NULL;
}

bool sm_bdwgc_thread_start(void)
{
	struct stack_base sb;

	return gc.get_stack_base(&sb) == 0 && gc.register_my_thread(&sb) == 0;
}

void sm_bdwgc_thread_stop(void)
{
	gc.unregister_my_thread();
}
