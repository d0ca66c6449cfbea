/*
 * gc.h: the collector's public interface. docs/API.md is the guide for writing a runtime on it;
 * docs/COLLECTOR.md tells how it works.
 *
 * Pointers. A thread that touches the heap attaches and gets a mutator. Pointers to objects may lie
 * on its stacks, in its registers and thread ranges (found conservatively, interior ones included,
 * at multiples of 8), in objects of a layout that says so, in registered roots and in handles. In
 * objects and roots they are the start of an object, and every store of one is sm_store or its kin.
 *
 * Conventions: heap.h, and, unless a call says otherwise:
 *   Threads    What takes a mutator m: m's own thread, on any of its stacks, outside a blocking
 *              section, for objects of m's collector; it may be a safepoint. "m or NULL": NULL from
 *              a thread that is not attached. Everything else: any thread, attached or not. All of
 *              it from sm_gc_create to sm_gc_destroy.
 *   Errors     What can fail may fail with ENOMEM, allocation after it has tried a collection. A
 *              wrong m is EINVAL from sm_collect, sm_collect_compact, sm_pin, sm_unpin,
 *              sm_thread_range_*, sm_finalizer_set and _clear, sm_handle_new and _set, sm_weak_new
 *              and sm_ephemeron_new; everything else ends the process with one line that names
 *              call, thread and address. Inline calls look on their slow paths only, or always in a
 *              program compiled with SM_CHECK_CALLS defined.
 *   Ownership  Objects are the collector's, and live while something reaches them. A handle, weak
 *              reference or ephemeron is the caller's until its _free (NULL: nothing happens) or
 *              sm_gc_destroy; used later, it ends the process.
 *   Waiting    A mutator waits for the scan of its own stack, an assist, a sweep, and for a cycle
 *              where memory is out. A thread that blocks elsewhere does so in a blocking section,
 *              or delays phase changes: after gc.signal_ms it gets SIGURG, unless the program has a
 *              handler for it, so that nanosleep, poll, select and the like return EINTR.
 *   Fork       The child has the forking thread alone, may allocate, and never collects.
 *
 * Example:
 *     #include <spanmark/gc.h>
 *     struct node { struct node *next; } *list = NULL;
 *     struct sm_gc *gc = sm_gc_create(NULL, NULL, 0);
 *     struct sm_mutator *m = sm_mutator_attach(gc);
 *     const struct sm_type *type = sm_type_prefix(gc, sizeof(struct node), 1);
 *     for (int i = 0; i < 100000; i++) {
 *         struct node *n = (struct node *)sm_new(m, type);
 *         sm_store(m, (void **)&n->next, list);
 *         list = n;
 *     }
 *     sm_collect(gc, m);
 *     sm_mutator_detach(m);
 *     sm_gc_destroy(gc);
 */
#ifndef SPANMARK_GC_H
#define SPANMARK_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spanmark/heap.h"
#include "spanmark/inline.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a collector -------------------------------------------------------------------------- */

enum sm_gc_mode { SM_GC_CONCURRENT, SM_GC_STW };
enum sm_gc_mark { SM_GC_MARK_OBJECTS, SM_GC_MARK_SPANS, SM_GC_MARK_AUTO };
/* Whether objects move together: never; where sm_collect_compact asks, all in one stop; behind any
 * cycle, in many short stops, when much comes free, or always. */
enum sm_gc_compact {
	SM_GC_COMPACT_OFF,
	SM_GC_COMPACT_FULL,
	SM_GC_COMPACT_AUTO,
	SM_GC_COMPACT_FORCE
};
/* Whether cycles between two full ones mark what is young alone. */
enum sm_gc_generations { SM_GC_GENERATIONS_OFF, SM_GC_GENERATIONS_ON, SM_GC_GENERATIONS_AUTO };
/* How these find what old objects lead to: stores set cards, or log their object once; or the
 * kernel tells which pages were written, where it can, and stores do nothing. */
enum sm_gc_remember { SM_GC_REMEMBER_CARDS, SM_GC_REMEMBER_OBJECTS, SM_GC_REMEMBER_NONE };
enum sm_gc_kernel {
	SM_KERNEL_AUTO,
	SM_KERNEL_PORTABLE,
	SM_KERNEL_AVX2,
	SM_KERNEL_AVX512,
	SM_KERNEL_NEON,
	SM_KERNEL_SVE
};

struct sm_gc;

/* A field's key is gc. and its name, or stands beside it; sm_gc_config_keys tells what it means. */
struct sm_gc_config {
	struct sm_heap_config heap;
	enum sm_gc_mode mode;
	enum sm_gc_mark mark;
	enum sm_gc_compact compact;
	enum sm_gc_generations generations;
	enum sm_gc_remember remember;
	unsigned compact_percent, compact_slice_us;
	unsigned growth_percent; /* gc.percent: as GOGC; 0: collect on request or at the limit */
	size_t min_heap;	 /* bytes, as all sizes */
	size_t memory_limit;	 /* gc.limit */
	unsigned workers;	 /* 0: a quarter of the CPUs, at least 1 */
	unsigned fifo;
	bool verify, trace;
	unsigned stress;
	/* Called, unless NULL, on each mark worker (index below workers) and background thread
	 * before it does anything, and when it ends. role: "mark", "mark-fractional", "control", ..
	 */
	void (*worker_start)(void *ctx, unsigned index, const char *role);
	void (*worker_stop)(void *ctx, unsigned index, const char *role);
	void *worker_ctx;
	struct sm_gc_tuning {
		unsigned policy, room, assist, barrier_buffer;
		size_t mark_packet;	 /* gc.packet */
		size_t mark_stack_limit; /* gc.mark_stack */
		unsigned assist_slice, fractional, idle_workers, signal_ms, report_ms;
		bool avoid_cpus;
		bool sync; /* who is due for a cycle waits for all of it */
		unsigned delay_us;
		unsigned dense, span_ahead;
		enum sm_gc_kernel kernel;
	} tuning;
	/* CPU -> L3 index, for stealing near before far; by the caller, not by keys. All 0: one. */
	uint16_t cpu_l3[SM_MAX_CPUS];
};

/* As their namesakes in heap.h; what is no gc.* key goes to the heap's part. */
SM_API void sm_gc_config_init(struct sm_gc_config *cfg);
SM_API int sm_gc_config_set(struct sm_gc_config *cfg, const char *key, const char *value, char *err,
			    size_t errlen);
SM_API const struct sm_config_key *sm_gc_config_keys(void);

/*
 * A collector with a heap and threads of its own; cfg is copied, NULL: the defaults. Settings of
 * the file that SPANMARK_CONFIG names in the environment (spanmark tune) win over both. Any number
 * may live. NULL: ENOMEM (address space, memory), EINVAL (a member that its key does not take, what
 * this kernel cannot serve), ENOTSUP (gc.remember=none, where no kernel tells, or it tells one
 * collector alone), EAGAIN (threads).
 */
SM_API struct sm_gc *sm_gc_create(const struct sm_gc_config *cfg, char *err, size_t errlen);
/*
 * Stops the threads and unmaps the heap; NULL: nothing happens. A finalizer that runs ends first,
 * no other runs any more. No other call on gc may be under way. It ends the process while a mutator
 * is attached, when called by a finalizer, and for what is no collector.
 */
SM_API void sm_gc_destroy(struct sm_gc *gc);
/* For the calls of heap.h and stack.h. */
SM_API struct sm_heap *sm_gc_heap(struct sm_gc *gc);

/* ---- types -----------------------------------------------------------------------------------
 *
 * They live as long as the collector and are constant for the program. Equal descriptions give the
 * same pointer, found in constant time. NULL: ENOMEM; EINVAL where it says so; EOVERFLOW: objects
 * of 4 GiB or more are arrays.
 */
struct sm_layout;
struct sm_type {
	uint32_t bin;  /* window index, 0: ask sm_new_slow; atomic: common types get one */
	uint32_t size; /* bytes asked for */
	const struct sm_layout *layout;
};

/* `size` bytes with pointers in the words whose bit is set: bit i % 64 of entry i / 64 is word i's,
 * in (size / 8 + 63) / 64 entries. */
SM_API const struct sm_type *sm_type_bitmap(struct sm_gc *gc, size_t size, const uint64_t *bitmap);
/* Pointers in the first nptrs words, none after; EINVAL: more than there are. Or in all words. */
SM_API const struct sm_type *sm_type_prefix(struct sm_gc *gc, size_t size, size_t nptrs);
SM_API const struct sm_type *sm_type_pointers(struct sm_gc *gc, size_t nwords);
/* Any word may be a pointer, interior or tagged in low bits, if it leads into the object. */
SM_API const struct sm_type *sm_type_conservative(struct sm_gc *gc, size_t size);
/*
 * The same type, but its objects never move (gc.compact). They take the way of a rare type's: spans
 * that they share with other unmovable ones. Of NULL, with which the other calls fail: NULL, errno
 * as it is.
 */
SM_API const struct sm_type *sm_type_unmovable(struct sm_gc *gc, const struct sm_type *type);
/*
 * A header of `header` bytes, 0 or more, and right behind it any number of elements of `element`
 * bytes, each with its bitmap, NULL: no pointers. For sm_new_flex, any length. EINVAL: element is
 * 0, or its pointers would not lie at multiples of 8.
 */
SM_API const struct sm_type *sm_type_flex(struct sm_gc *gc, size_t header,
					  const uint64_t *header_bits, size_t element,
					  const uint64_t *element_bits);

/* ---- mutators ----------------------------------------------------------------------------- */

/*
 * Attaches the calling thread, on its own stack, which is scanned from then on; at any moment of a
 * cycle, to any number of collectors. A thread that is attached gets the mutator that it has. NULL:
 * ENOMEM; EAGAIN: no thread-specific key is left; EBUSY: it is attached and in a blocking section;
 * EINVAL: another stack, or no collector; or an error of pthread_getattr_np.
 */
SM_API struct sm_mutator *sm_mutator_attach(struct sm_gc *gc);
/* Undoes one attach; m is gone with the last. A thread that ends attached, also in a blocking
 * section, is detached behind the program's thread-specific destructors. */
SM_API void sm_mutator_detach(struct sm_mutator *m);
/* The calling thread's mutator of gc; NULL, without errno: it is not attached. */
SM_API struct sm_mutator *sm_mutator_current(struct sm_gc *gc);

SM_API void sm_safepoint_slow(struct sm_mutator *m);
/* Acknowledges a pending handshake. One load and a branch when there is none. */
SM_INLINE void sm_safepoint(struct sm_mutator *m)
{
	SM__CHECK_CALL(m, "sm_safepoint");
	if (__builtin_expect(__atomic_load_n(&m->poll, __ATOMIC_RELAXED) != 0, 0))
		sm_safepoint_slow(m);
}

/*
 * A blocking section: the thread touches no collected object, switches no stack, and is handled by
 * proxy. Of the calls with m it may make these, which nest, and sm_collect, sm_collect_compact,
 * sm_finalizer_wait, sm_weak_free. The functions that call enter and leave may return in between if
 * their frames are no more than 16 KiB together (else leave ends the process). sm_blocking_call
 * returns fn(arg), run in one: fn must return, not by an exception, longjmp or the thread's end.
 */
SM_API void sm_blocking_enter(struct sm_mutator *m);
SM_API void sm_blocking_leave(struct sm_mutator *m);
SM_API void *sm_blocking_call(struct sm_mutator *m, void *(*fn)(void *arg), void *arg);

/* ---- allocation: NULL is ENOMEM, also for sizes that overflow ------------------------------- */

SM_API void *sm_new_slow(struct sm_mutator *m, const struct sm_type *type);
/* A new object: zeroed when its layout has pointers, else contents undefined. */
SM_INLINE void *sm_new(struct sm_mutator *m, const struct sm_type *type)
{
	void *p;

	SM__CHECK_CALL(m, "sm_new");
	p = sm__window_bump(sm__window(m, __atomic_load_n(&type->bin, __ATOMIC_RELAXED)));
	if (__builtin_expect(p == NULL, 0))
		return sm_new_slow(m, type);
	return p;
}

SM_API void *sm_new_bytes_slow(struct sm_mutator *m, size_t size);
/* Pointer-free, of any size, contents undefined; under 16 B it may share a block with others. */
SM_INLINE void *sm_new_bytes(struct sm_mutator *m, size_t size)
{
	SM__CHECK_CALL(m, "sm_new_bytes");
	/* Pointer-free class c has bin c by construction, so no type is needed. */
	if (__builtin_expect(size >= 16 && size <= 1024, 1)) {
		void *p = sm__window_bump(sm__window(m, sm__class_small[(size + 7) >> 3]));

		if (__builtin_expect(p != NULL, 1))
			return p;
	}
	return sm_new_bytes_slow(m, size);
}
SM_API void *sm_new_bytes_zeroed(struct sm_mutator *m, size_t size);
/* n elements in one object, each at a multiple of 8 if it has pointers; and a header with n
 * elements. EINVAL: array of a type of sm_type_flex, flex of another. */
SM_API void *sm_new_array(struct sm_mutator *m, const struct sm_type *type, size_t n);
SM_API void *sm_new_flex(struct sm_mutator *m, const struct sm_type *type, size_t n);
/* As sm_new, at a multiple of align, a power of two up to 4096 (or a larger span unit), else
 * EINVAL. */
SM_API void *sm_new_aligned(struct sm_mutator *m, const struct sm_type *type, size_t align);

/*
 * A file as a pointer-free object: bytes of fd, which may be closed then, from offset, a multiple
 * of the page size; flags: SM_MAP_*. Behind the file's end it reads as zero up to the end of the
 * page, then raises SIGBUS or SIGSEGV. The heap's limit counts the address space. NULL: EINVAL
 * (offset, no bytes), EBADF, EACCES (how fd was opened), ENODEV (cannot be mapped).
 */
SM_API void *sm_map_file(struct sm_mutator *m, int fd, int64_t offset, size_t bytes,
			 unsigned flags);
/* Unmaps it before it is collected. p: what sm_map_file returned, used no more, else it ends the
 * process. */
SM_API void sm_unmap_file(struct sm_mutator *m, void *p);

/* ---- stores ------------------------------------------------------------------------------------
 *
 * A slot is a word of an object or of a registered root; the value NULL or the start of an object.
 * None of these fails, none is a safepoint between recording and storing. Two threads may use one
 * slot at the same time. Never use memcpy or memset on slots.
 */

SM_API void sm_store_slow(struct sm_mutator *m, void **slot, void *value);
/* *slot = value, with release. Barrier and generations off: one load and a predictable branch. */
SM_INLINE void sm_store(struct sm_mutator *m, void **slot, void *value)
{
	SM__CHECK_CALL(m, "sm_store");
	if (__builtin_expect(m->barrier, 0)) {
		/* Read anew: kept in a register, it costs an instruction where it is 0. */
		if (__atomic_load_n(&m->barrier, __ATOMIC_RELAXED) != SM__BARRIER_REMEMBER) {
			sm_store_slow(m, slot, value);
			return;
		}
		if (value != NULL)
			sm__set_card(m, slot);
	}
	__atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

/* What was stored with sm_store is seen with what it leads to. Any thread that keeps it alive. */
SM_INLINE void *sm_load(void *const *slot)
{
	return __atomic_load_n(slot, SM__LOAD_ORDER);
}

/* Sequentially consistent. sm_cas: false puts what was there into *expected. */
SM_API bool sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value);
SM_API void *sm_exchange(struct sm_mutator *m, void **slot, void *value);
/* n slots, each word by itself; source and destination may overlap. */
SM_API void sm_copy_slots(struct sm_mutator *m, void **dst, void *const *src, size_t n);
SM_API void sm_clear_slots(struct sm_mutator *m, void **dst, size_t n);

/* ---- roots, handles, weak references, ephemerons -----------------------------------------------
 *
 * Any thread, with its own mutator, may use a handle, weak reference or ephemeron beside others,
 * but not while another frees it. No call waits for more than a lock held for some instructions.
 * "object" is the start of an object (one under 16 bytes: any address in it; all of the block that
 * it shares die together), else EINVAL.
 *
 * When a cycle finds an object unreachable: (1) weak references to it and to what only it kept
 * alive, and ephemerons of which it is the key, read NULL from then on; (2) its finalizer is
 * queued, and it is kept alive with all that it refers to until that has returned; (3) a later
 * cycle frees it, unless the finalizer stored it somewhere reachable.
 */

/*
 * [start, start + nwords) holds pointers until removed, as often as it was added; the memory must
 * be there so long. While a cycle marks, removing reads the words first; either may wait for 8 KiB
 * of roots to be marked (gc.mode=stw: for the end of the stop). -EINVAL: start is NULL or not
 * aligned, nwords 0 or beyond 2^40; -ENOENT: nothing was added there.
 */
SM_API int sm_root_add(struct sm_gc *gc, void *start, size_t nwords);
SM_API int sm_root_remove(struct sm_gc *gc, void *start);

/* Keeps one object alive, or none (NULL); a set that fails changes nothing. sm_handle_get: a caller
 * that is not attached only compares. */
struct sm_handle;
SM_API struct sm_handle *sm_handle_new(struct sm_mutator *m, void *object);
SM_API void *sm_handle_get(struct sm_handle *h);
SM_API int sm_handle_set(struct sm_mutator *m, struct sm_handle *h, void *object);
SM_API void sm_handle_free(struct sm_mutator *m, struct sm_handle *h);

struct sm_weak;
SM_API struct sm_weak *sm_weak_new(struct sm_mutator *m, void *object);
SM_API void *sm_weak_get(struct sm_mutator *m, struct sm_weak *w); /* the object, or NULL */
SM_API void sm_weak_free(struct sm_mutator *m, struct sm_weak *w);

/* Refers to its key weakly, and keeps its value alive while the key is alive for other reasons than
 * the value. get: the value; NULL: the key is gone. */
struct sm_ephemeron;
SM_API struct sm_ephemeron *sm_ephemeron_new(struct sm_mutator *m, void *key, void *value);
SM_API void *sm_ephemeron_get(struct sm_mutator *m, struct sm_ephemeron *e);
SM_API void sm_ephemeron_free(struct sm_mutator *m, struct sm_ephemeron *e);

/* ---- finalizers ------------------------------------------------------------------------------
 *
 * They run once each, in the order in which they were set, one at a time, on a thread of their own,
 * which is attached: m. They may use the heap and set finalizers, also for their object, but not
 * detach, wait for finalizers or destroy the collector (it ends the process). None is sure to run.
 *
 * dispose, unless NULL, makes ctx the finalizer's: it is called once, when fn has returned (on that
 * thread), by sm_finalizer_clear (on the caller's), or by sm_gc_destroy for those that have not run
 * (on the caller's, which may not use the heap).
 */
typedef void sm_finalizer_fn(void *ctx, struct sm_mutator *m, void *object);
typedef void sm_dispose_fn(void *ctx);
/* -EINVAL: no fn, no object; -EEXIST: it has one; -EAGAIN: no thread can be made. ctx is the
 * caller's then. */
SM_API int sm_finalizer_set(struct sm_mutator *m, void *object, sm_finalizer_fn *fn, void *ctx,
			    sm_dispose_fn *dispose);
/* -ENOENT: it has none, or that is queued, or runs; -EINVAL: m. */
SM_API int sm_finalizer_clear(struct sm_mutator *m, void *object);
/* Waits for every finalizer queued so far, but in a forked child. m is the caller's, or NULL. */
SM_API void sm_finalizer_wait(struct sm_gc *gc, struct sm_mutator *m);

/* ---- thread ranges and coroutines --------------------------------------------------------------
 *
 * [start, start + bytes) belongs to the calling thread (thread-local variables, a coroutine's
 * stack) and is scanned conservatively with its stack until removed or detached; only its owner
 * writes it, without a barrier, and what runs on it may do what it may on the thread's own stack.
 * -EINVAL: start NULL, no bytes, m; -EEXIST: overlaps another; -ENOENT: no range starts there;
 * -EBUSY: the caller runs on it.
 */
SM_API int sm_thread_range_add(struct sm_mutator *m, void *start, size_t bytes);
SM_API int sm_thread_range_remove(struct sm_mutator *m, void *start);
/*
 * The stack that this is called on is about to be left: until m is on it again it is scanned from
 * here, with the registers of this moment. Before every switch, for the last call holds, or never:
 * then other stacks are scanned whole, and where the switch stores registers must be a range, too.
 * No object may be loaded or allocated between this and the switch, and the function that calls it
 * must be there when the stack is come back to: the switch is not its tail call.
 */
SM_API void sm_stack_leave(struct sm_mutator *m);

/* ---- collections -------------------------------------------------------------------------- */

/* Runs a full cycle that starts after the call and waits for it, the sweep included. m is the
 * caller's, or NULL. -EINVAL; -ENOTSUP: in a forked child. */
SM_API int sm_collect(struct sm_gc *gc, struct sm_mutator *m);

/*
 * The same, and behind it objects move together, so that memory comes free that few objects held;
 * the world stands still meanwhile. An object moves unless it is pinned: by a word on a stack, in a
 * register or a thread range, or in an object of a conservative type, that points to or into it; by
 * sm_pin; by an unmovable type; or because it is large or a mapped file. Wherever else a pointer
 * may lie it leads to the new place afterwards: what a program makes of an address, a hash or a
 * copy in memory that the collector does not know, it makes of pinned objects alone. With
 * gc.compact=auto|force objects move likewise behind any cycle that is not a minor one, in short
 * stops, and this call runs two; with gc.mode=stw behind any, all in one. -ENOTSUP: gc.compact=off,
 * or in a forked child; -ENOMEM: for its tables, and nothing, or not all, has moved.
 */
SM_API int sm_collect_compact(struct sm_gc *gc, struct sm_mutator *m);
/* The object lives and stays where it is until unpinned as often as it was pinned. -EINVAL: no
 * object, m; -ENOENT: it is not pinned. */
SM_API int sm_pin(struct sm_mutator *m, void *object);
SM_API int sm_unpin(struct sm_mutator *m, void *object);

/* gc.limit (0: none but heap.limit, which stays) and gc.percent from now on: they ask for a cycle,
 * at whose end they hold. -EINVAL: SIZE_MAX; above 10000. */
SM_API int sm_gc_set_limit(struct sm_gc *gc, size_t bytes);
SM_API int sm_gc_set_percent(struct sm_gc *gc, unsigned percent);

/* Before the first handshake; after the sweep, with sm_gc_stats at the cycle's figures. */
enum sm_cycle_event { SM_CYCLE_BEGINS, SM_CYCLE_ENDS };
typedef void sm_cycle_fn(void *ctx, enum sm_cycle_event event);
/*
 * Calls fn at each begin and end of a cycle, on a thread of the collector, with mutators running;
 * NULL: no more. One at a time; the former does not run any more when the call returns, and the
 * call is not made by a thread that fn waits for. The cycle waits for fn, which may read figures
 * and set limits; attaching, collecting, inspecting and this call end the process there. -ENOTSUP:
 * in a forked child.
 */
SM_API int sm_gc_on_cycle(struct sm_gc *gc, sm_cycle_fn *fn, void *ctx);

/* ---- figures: no call waits; those of running mutators may be a moment old ------------------ */

/* Figures of the last completed cycle and totals since creation. ns of CLOCK_MONOTONIC; bytes. */
struct sm_gc_stats {
	uint32_t version, cycles;
	uint64_t last_marked_objects, last_marked_bytes;
	uint64_t last_mark_ns;	/* from "barrier on everywhere" to "no grey work" */
	uint64_t last_cycle_ns; /* start of cycle to barrier off */
	uint64_t last_sweep_ns, last_heap_before, last_heap_after, last_goal;
	uint64_t total_mark_ns, total_cycle_ns, total_marked_objects;
	uint64_t live_bytes, allocated_bytes; /* an estimate: marked + allocated since; in all */
	uint64_t stall_max_ns, stall_total_ns, stalls; /* waits of mutators for the collector */
	uint64_t verify_errors; /* differences the verifier found; 0 in a correct collector */
	/* Since version 2. Objects with pointers (and pieces of large ones) scanned on the node
	 * that owns their memory, and on another; packets of grey objects taken from a thread of
	 * the same L3, of the node, of another, and handed over to their own node; objects that
	 * found no room on the mark stack (gc.mark_stack). */
	uint64_t total_scanned_local, total_scanned_remote;
	uint64_t total_steals_l3, total_steals_node, total_steals_across, total_delivered;
	uint64_t total_overflows;
	/* Since version 3, with gc.mark=spans: spans that were taken from the queue, and the
	 * objects scanned there: alone in their span, with others one by one, by the kernel. */
	uint64_t total_spans, total_span_alone, total_span_sparse, total_span_dense;
	/* Since version 4, with gc.generations: of the cycles, those that were minor; objects that
	 * these marked; places in which they looked for pointers to young objects: with
	 * gc.remember=cards 128 bytes each, with objects logged ones, with none pages. */
	uint64_t minors, total_minor_objects, total_minor_bytes, total_remembered;
	uint64_t old_bytes; /* at the end of the last cycle but what that one made old */
	/* Since version 4: cycles while generations were on, minor ones or not, and how often they
	 * went on or off (gc.generations=auto). */
	uint64_t generational_cycles, generation_switches;
	enum sm_gc_remember remember; /* the setting */
};
#define SM_GC_STATS_VERSION 4
SM_API void sm_gc_stats(struct sm_gc *gc, struct sm_gc_stats *out);

/* Why an object did not move; of several, one counts. */
enum sm_pin_cause {
	SM_PINNED_STACK,	/* stacks, registers, thread ranges */
	SM_PINNED_CONSERVATIVE, /* a word of an object of a conservative type */
	SM_PINNED_PROGRAM,	/* sm_pin */
	SM_PINNED_TYPE,		/* sm_type_unmovable */
	SM_PIN_CAUSES
};
struct sm_compaction {
	uint64_t stopped_ns;	    /* the world stood still: all slices */
	uint64_t spans, candidates; /* of small objects; of those, that were to be evacuated */
	uint64_t moved_objects, moved_bytes;
	uint64_t pinned_objects[SM_PIN_CAUSES], pinned_bytes[SM_PIN_CAUSES];
	uint64_t freed_bytes;			/* of spans that were evacuated */
	uint64_t released_bytes;		/* to the system, other free memory included */
	uint64_t regions_before, regions_after; /* of 2 MiB in which there is any span */
	/* Since version 2: slots that were noted (gc.compact=full notes none); stops of the world;
	 * objects of these spans; spans that came free. */
	uint64_t slots_noted, slices, objects, evacuated;
};
struct sm_gc_compact_stats {
	uint32_t version;
	uint64_t compactions, stopped_max_ns;
	struct sm_compaction last, total;
	/* since version 2: of all stops, each from its request to its end */
	uint64_t slice_p50_ns, slice_p99_ns;
	/* since version 3: CPU time of the moving thread in a stop, at most: beside other load
	 * a stop lasts as long as that thread, or one that it waits for, waits for a CPU */
	uint64_t slice_cpu_max_ns;
};
#define SM_GC_COMPACT_STATS_VERSION 3
SM_API void sm_gc_compact_stats(struct sm_gc *gc, struct sm_gc_compact_stats *out);
SM_API const char *sm_pin_cause_name(enum sm_pin_cause cause); /* "stack", "conservative", .. */

/* Why a mutator waited. Each wait is in exactly one of these; they do not nest. */
enum sm_stall_cause {
	SM_STALL_HANDSHAKE, /* acknowledging a phase change, the scan of its own stack included */
	SM_STALL_STOP,	    /* standing still: gc.mode=stw, the verifier, an inspection */
	SM_STALL_ASSIST,    /* marking in proportion to what it allocates */
	SM_STALL_SWEEP,	    /* a refill that swept on the way */
	SM_STALL_BARRIER,   /* handing a full barrier buffer over */
	SM_STALL_MEMORY,    /* waiting for a collection because memory or the limit was out */
	SM_STALL_PACE,	    /* slowed down because the heap is beyond its goal */
	SM_STALL_LOCK,	    /* since version 3: a lock of the heap that another thread held */
	SM_STALL_COMPACT,   /* since version 4: standing still, or a fork, while objects move */
	SM_STALL_CAUSES
};
struct sm_gc_stall {
	uint64_t count, total_ns, p50_ns, p99_ns, p999_ns, max_ns; /* quantiles to within 1/16 */
	/* Of these, those in which the thread kept its CPU throughout, and those in which the
	 * scheduler took it away; neither: where the kernel does not tell, and sleeps. */
	uint64_t kept, kept_max_ns, lost, lost_max_ns;
};
struct sm_gc_stalls {
	uint32_t version;
	struct sm_gc_stall cause[SM_STALL_CAUSES], all;
	/* From a handshake's request to its last acknowledgement; not a mutator's wait. */
	struct sm_gc_stall handshake_round;
};
#define SM_GC_STALLS_VERSION 4
/* All mutators, those gone included, since creation or sm_gc_stalls_reset (a wait that ends at that
 * moment may be kept in part); or one that is attached throughout, without handshake_round. */
SM_API void sm_gc_stalls(struct sm_gc *gc, struct sm_gc_stalls *out);
SM_API void sm_gc_stalls_reset(struct sm_gc *gc);
SM_API void sm_mutator_stalls(struct sm_mutator *m, struct sm_gc_stalls *out); /* any thread */
SM_API const char *sm_stall_name(enum sm_stall_cause cause); /* "handshake", "stop", .. */

/* ---- inspection --------------------------------------------------------------------------- */

/* The start of the object that p points to or into, and its bytes, at least what was asked for;
 * NULL, 0: none. They take no lock; the answer holds while something keeps the object alive. */
SM_API void *sm_object_base(struct sm_gc *gc, const void *p);
SM_API size_t sm_object_size(struct sm_gc *gc, const void *p);

struct sm_object {
	void *address;
	size_t bytes;  /* of its slot: at least what was asked for */
	bool pointers; /* may hold some */
};
typedef bool sm_object_fn(void *ctx, const struct sm_object *object); /* false: enough */
/*
 * Visits each object that is reachable from roots once, with the world stopped, after a cycle that
 * is under way; weak references keep nothing. Foreach calls fn on a thread of the collector: it may
 * read objects and call what takes no mutator and does not wait (sm_object_base, malloc); what
 * allocates, attaches, collects or inspects ends the process, and what waits for a mutator hangs.
 * Dump writes them with edges and roots to fd as JSON lines for "spanmark heap", and its reader, if
 * fd is a pipe, is no mutator or in a blocking section. m is the caller's, or NULL. -EINVAL: no fn;
 * -ENOMEM: the walk's tables; -ENOTSUP: in a forked child; -errno of write: the last line lacks.
 */
SM_API int sm_heap_foreach(struct sm_gc *gc, struct sm_mutator *m, sm_object_fn *fn, void *ctx);
SM_API int sm_heap_dump(struct sm_gc *gc, struct sm_mutator *m, int fd);

#ifdef __cplusplus
} /* extern "C" */

/* In C++ a slot has its own pointer type: sm_store(m, &node->next, other) and node =
 * sm_load(&node->next) need no cast. */
template <typename T> struct sm__exactly {
	typedef T type;
};
template <typename T>
SM_INLINE void sm_store(struct sm_mutator *m, T **slot, typename sm__exactly<T>::type *value)
{
	sm_store(m, (void **)slot, (void *)value);
}
template <typename T> SM_INLINE T *sm_load(T *const *slot)
{
	return (T *)sm_load((void *const *)slot);
}
#endif

#endif
