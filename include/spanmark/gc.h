/*
 * gc.h: the collector's public interface.
 *
 * A collection in one breath: the pacer (or sm_collect) starts a cycle; a handshake turns every
 * mutator's barrier on; another has each mutator scan its own stack; mark workers and assisting
 * mutators empty the grey queues; a handshake finds that no mutator holds grey work and turns the
 * barrier off; spans are swept by whoever allocates from them, and by a background sweeper.
 * With gc.mode=stw all of it but the sweep happens while every mutator waits: the baseline.
 *
 *     OFF --barrier on (all ack)--> MARK --no grey work anywhere (all ack)--> SWEEP --swept--> OFF
 *
 * Pointers. A thread that touches the heap attaches and gets a mutator, which it alone uses.
 * Pointers to collected objects may lie on its stack, in its registers and its thread ranges (found
 * conservatively, interior ones included, at addresses that are multiples of 8), in objects of a
 * layout that says so, in registered roots and in handles. Pointers in the heap point to the start
 * of an object. Every store of one into a collected object or a registered root goes through
 * sm_store and its kin.
 *
 * Who may call what, at any time between sm_gc_create and sm_gc_destroy:
 *
 *   the mutator's thread, not blocked   whatever takes a mutator, on any of its stacks, for objects
 *                                       of that mutator's collector; the call may be a safepoint
 *   the same in a blocking section      sm_blocking_enter, leave and call; sm_collect;
 *                                       sm_finalizer_wait; sm_weak_free
 *   any thread, attached or not         whatever takes a struct sm_gc and no mutator; sm_collect;
 *                                       sm_handle_get, when another thread keeps the handle, and
 *                                       the caller is attached or only compares
 *   a finalizer                         what the mutator's thread may, but sm_mutator_detach,
 *                                       sm_finalizer_wait and sm_gc_destroy
 *   a signal handler                    nothing
 *
 * Anything else gets -EINVAL (NULL with EINVAL) where the call can say so, or ends the process with
 * one line that names call, thread and address. Inline calls check nothing on their fast paths:
 * their misuse is reported when a slow path is next taken, or at once in a program compiled with
 * SM_CHECK_CALLS defined.
 *
 * Waiting. A thread that blocks (I/O, joins, locks that another mutator holds for long) says so
 * with sm_blocking_enter and leave, else it delays phase changes; so does one with a mutator before
 * a call that waits and is not given it. A thread that is late at a safepoint for gc.signal_ms gets
 * SIGURG, unless the program has a handler for it: nanosleep, poll, select and the like return
 * EINTR then.
 *
 * Errors. Allocation returns NULL with errno ENOMEM after a collection has been tried; everything
 * else that can fail returns 0 or -errno, or NULL with errno.
 *
 * Fork. The child has the forking thread alone, and no mark workers. It may go on using the heap
 * (its own mutator stays attached), and nothing is ever collected there: memory grows to the limit,
 * then allocation fails; sm_collect returns -ENOTSUP. Made for fork + exec and for short-lived
 * children.
 *
 * Example:
 *     #include <spanmark/gc.h>
 *     struct node { struct node *next; long value; } *list = NULL;
 *     struct sm_gc *gc = sm_gc_create(NULL, NULL, 0);
 *     struct sm_mutator *m = sm_mutator_attach(gc);
 *     const struct sm_type *type = sm_type_prefix(gc, sizeof(struct node), 1);
 *     for (long i = 0; i < 100000; i++) {
 *         struct node *n = (struct node *)sm_new(m, type);
 *         n->value = i;
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

struct sm_gc;

struct sm_gc_config {
	struct sm_heap_config heap;
	enum sm_gc_mode mode; /* gc.mode=concurrent|stw */
	/* gc.percent: as GOGC; 0: collect only on request or at the limit */
	unsigned growth_percent;
	size_t min_heap;     /* gc.min_heap: no cycle below this many bytes */
	size_t memory_limit; /* gc.limit */
	/* gc.workers: dedicated mark workers, 0: a quarter of the CPUs, at least 1 */
	unsigned workers;
	unsigned fifo;	 /* gc.fifo: prefetch distance of the mark loop, 0..64 */
	bool verify;	 /* gc.verify: the independent verifier after every cycle */
	bool trace;	 /* gc.trace: one line a cycle on stderr */
	unsigned stress; /* gc.stress: collect at every n-th refill; 0: never */
	/* Called on each mark worker thread (0..workers-1) and the background threads (index >=
	 * workers) before they do anything, and when they end: to pin them and attach counters.
	 * NULL: no-op. */
	void (*worker_start)(void *ctx, unsigned index,
			     /* "mark", "mark-fractional", "mark-idle", "control", .. */
			     const char *role);
	void (*worker_stop)(void *ctx, unsigned index, const char *role);
	void *worker_ctx;
	/* Further keys (policies, pacer, barrier buffers) are in the table of gcconfig.c. */
	struct sm_gc_tuning {
		unsigned policy;	 /* gc.policy=none|throughput|latency|memory */
		unsigned room;		 /* gc.room: times min_heap, while marking is dear */
		unsigned assist;	 /* gc.assist=0|1 */
		unsigned barrier_buffer; /* gc.barrier_buffer: entries */
		size_t mark_packet;	 /* gc.packet: entries of a work packet */
		/* gc.mark_stack: bytes of work packets, then the overflow path */
		size_t mark_stack_limit;
		unsigned assist_slice; /* gc.assist_slice: bytes that one assist scans at most */
		/* gc.fractional: per cent of a CPU for one more worker, 0: none */
		unsigned fractional;
		/* gc.idle_workers: workers that run where nothing else wants to */
		unsigned idle_workers;
		/* gc.signal_ms: a handshake waits so long, then signals; 0: never */
		unsigned signal_ms;
		/* gc.report_ms: .. and then reports the mutator, with its stack bounds */
		unsigned report_ms;
		/* gc.aside: the collector's threads keep off CPUs on which mutators run */
		bool aside;
		/* gc.delay_us: testing: random pauses up to this inside the collector */
		unsigned delay_us;
	} tuning;
	/* CPU -> L3 index, for stealing near before far; set by the caller, not by keys. All 0: one
	 * L3. */
	uint16_t cpu_l3[SM_MAX_CPUS];
};

/* Every field at its default. The struct is the caller's, and one thread's at a time. */
SM_API void sm_gc_config_init(struct sm_gc_config *cfg);
/* gc.* keys here, everything else through sm_heap_config_set. Same errors. */
SM_API int sm_gc_config_set(struct sm_gc_config *cfg, const char *key, const char *value, char *err,
			    size_t errlen);
/* The gc.* keys, for help and listings; the name of the last row is NULL. Constant. */
SM_API const struct sm_config_key *sm_gc_config_keys(void);

/*
 * A collector with a heap and threads of its own; cfg is copied, NULL stands for the defaults. NULL
 * with errno, and one line in err (errlen bytes, or NULL and 0): ENOMEM (address space, memory),
 * EINVAL (a configuration that this kernel cannot serve), EAGAIN (threads). Any thread; any number
 * of collectors.
 */
SM_API struct sm_gc *sm_gc_create(const struct sm_gc_config *cfg, char *err, size_t errlen);
/*
 * Stops the threads, unmaps the heap; NULL: nothing happens. Aborts when a mutator is attached,
 * when called by a finalizer, and for what is no collector. No other call on gc is under way. A
 * finalizer that runs ends first; those that are set or queued do not run any more, and the
 * contexts that they own are disposed of. Handles, weak references and ephemerons go with the
 * collector.
 */
SM_API void sm_gc_destroy(struct sm_gc *gc);
/* gc's for as long as gc lives: for stats.h, stack.h and sm_heap_check. */
SM_API struct sm_heap *sm_gc_heap(struct sm_gc *gc);

/* ---- types: what the fast path needs to know of an object --------------------------------- */

struct sm_layout;

/*
 * Lives as long as the collector; a program changes nothing in it. There may be any number of
 * types. Equal descriptions give the same pointer, found in constant time, so a type may be asked
 * for again instead of being kept. A type takes about 150 bytes for good, one with a bitmap of more
 * than 64 words that bitmap too; its first objects share spans with those of other types, so a type
 * with one object costs no span.
 *
 * All of these may be called by any thread, attached or not, at any time, and give NULL with errno:
 * ENOMEM; EINVAL where it says so; EOVERFLOW: objects of 4 GiB or more are arrays.
 */
struct sm_type {
	/* window index; 0: ask sm_new_slow. Atomic: a type that proves common gets one */
	uint32_t bin;
	uint32_t size; /* bytes asked for */
	const struct sm_layout *layout;
};

/* Objects of `size` bytes with pointers in the words whose bit is set in `bitmap`: bit i % 64 of
 * entry i / 64 is word i's, in (size / 8 + 63) / 64 entries. */
SM_API const struct sm_type *sm_type_bitmap(struct sm_gc *gc, size_t size, const uint64_t *bitmap);
/* Pointers in the first nptrs words, none after. nptrs 0: pointer-free. EINVAL: more than there are
 * words. */
SM_API const struct sm_type *sm_type_prefix(struct sm_gc *gc, size_t size, size_t nptrs);
/* n words, each a pointer. */
SM_API const struct sm_type *sm_type_pointers(struct sm_gc *gc, size_t nwords);
/*
 * Any word may be a pointer, possibly interior. So this is also the type for tagged pointers, as
 * long as the word leads into the object: a tag in low bits that stays below the object's size, or
 * an integer beside them. Tags in the upper bits hide a pointer, here and on stacks.
 */
SM_API const struct sm_type *sm_type_conservative(struct sm_gc *gc, size_t size);
/*
 * A header of `header` bytes (0 is allowed) and then any number of elements of `element` bytes,
 * each with its bitmap as above; NULL: no pointers. One type for every length; see sm_new_flex. The
 * first element lies right behind the header: where elements have pointers both sizes are multiples
 * of 8, else EINVAL, as for elements of no bytes.
 *
 *     struct table { struct table *next; size_t n; struct { void *key; long value; } entry[]; };
 *     type = sm_type_flex(gc, sizeof(struct table), (uint64_t[]){1}, sizeof(..entry[0]),
 *     (uint64_t[]){1}); t = sm_new_flex(m, type, n);
 */
SM_API const struct sm_type *sm_type_flex(struct sm_gc *gc, size_t header,
					  const uint64_t *header_bits, size_t element,
					  const uint64_t *element_bits);

/* ---- mutators ----------------------------------------------------------------------------- */

/*
 * Attaches the calling thread, on its own stack, which is scanned from then on. May happen at any
 * moment of a cycle. A thread that is attached gets the mutator that it has; each attach is undone
 * by one detach. A thread may be attached to several collectors. NULL with errno: ENOMEM; EAGAIN
 * (no thread-specific key is left); EBUSY (it is attached, and in a blocking section); EINVAL (not
 * on the thread's own stack, or gc is no collector).
 */
SM_API struct sm_mutator *sm_mutator_attach(struct sm_gc *gc);
/*
 * Undoes one attach; the last hands windows, buffers and statistics over. A thread that ends
 * attached (returns, calls pthread_exit, is cancelled, also in a blocking section) is detached by
 * the library, behind all of the program's thread-specific destructors but those that renew
 * themselves to the last round.
 */
SM_API void sm_mutator_detach(struct sm_mutator *m);
/* The calling thread's mutator of gc; NULL: it is not attached. A look at thread-local memory. */
SM_API struct sm_mutator *sm_mutator_current(struct sm_gc *gc);

SM_API void sm_safepoint_slow(struct sm_mutator *m);
/* Acknowledges a pending handshake. One load and a branch when there is none. */
SM_INLINE void sm_safepoint(struct sm_mutator *m)
{
	SM__CHECK_CALL(m, "sm_safepoint");
	if (__builtin_expect(sm__polled(m), 0))
		sm_safepoint_slow(m);
}

/*
 * Between these the thread touches no collected object and is handled by proxy. They nest. The
 * functions that call them may return in between, as long as their frames are no more than 16 KiB
 * together (else leave aborts: what they had saved of their callers' registers would be lost).
 */
SM_API void sm_blocking_enter(struct sm_mutator *m);
SM_API void sm_blocking_leave(struct sm_mutator *m);
/* Returns fn(arg), run between enter and leave. fn must return: no exception, no longjmp, no
 * thread's end. */
SM_API void *sm_blocking_call(struct sm_mutator *m, void *(*fn)(void *arg), void *arg);

/* ---- allocation --------------------------------------------------------------------------- */

SM_API void *sm_new_slow(struct sm_mutator *m, const struct sm_type *type);

/* A new object, the collector's: zeroed when its layout has pointers, else contents undefined. As
 * are all below: NULL with ENOMEM, and each may be a safepoint. */
SM_INLINE void *sm_new(struct sm_mutator *m, const struct sm_type *type)
{
	void *p;

	SM__CHECK_CALL(m, "sm_new");
	p = sm__window_bump(sm__window(m, __atomic_load_n(&type->bin, __ATOMIC_RELAXED)));
	if (__builtin_expect(p == NULL, 0))
		return sm_new_slow(m, type);
	return p;
}

/* A pointer-free object of any size, contents undefined. Under 16 B it may share a block. */
SM_API void *sm_new_bytes_slow(struct sm_mutator *m, size_t size);
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
/* The same, zeroed. */
SM_API void *sm_new_bytes_zeroed(struct sm_mutator *m, size_t size);
/* n elements of `type` in one object, each at a multiple of 8 if it has pointers; any n, and no
 * type for each. NULL: ENOMEM, also when n * size overflows; EINVAL for a type of sm_type_flex. */
SM_API void *sm_new_array(struct sm_mutator *m, const struct sm_type *type, size_t n);
/* The header and n elements of a type of sm_type_flex (EINVAL: of another). n 0 is sm_new. ENOMEM
 * as above. */
SM_API void *sm_new_flex(struct sm_mutator *m, const struct sm_type *type, size_t n);
/*
 * As sm_new, at an address that is a multiple of align, a power of two up to 4096 (else EINVAL; a
 * build with larger span units takes their size too). The object is as any other: its address is
 * its start, interior pointers on a stack keep it alive, and it takes the next slot that is a
 * multiple of align, so small objects with a large alignment take align bytes.
 */
SM_API void *sm_new_aligned(struct sm_mutator *m, const struct sm_type *type, size_t align);

/* ---- stores ------------------------------------------------------------------------------------
 *
 * A slot is a word of a collected object or of a registered root; the value NULL or the start of an
 * object. None of these fails, none is a safepoint between recording and storing. Two threads may
 * use one slot at the same time. Never use memcpy or memset on slots.
 */

SM_API void sm_store_slow(struct sm_mutator *m, void **slot, void *value);

/* *slot = value, with release. Barrier off: one load and a predictable branch. */
SM_INLINE void sm_store(struct sm_mutator *m, void **slot, void *value)
{
	SM__CHECK_CALL(m, "sm_store");
	if (__builtin_expect(sm__barrier_on(m), 0))
		sm_store_slow(m, slot, value);
	else
		sm__store_pointer(slot, value);
}

/* What was stored with sm_store is seen with what it leads to. */
SM_INLINE void *sm_load(void *const *slot)
{
	return sm__load_pointer(slot);
}

/* Sequentially consistent. sm_cas: false puts what was there into *expected. */
SM_API bool sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value);
SM_API void *sm_exchange(struct sm_mutator *m, void **slot, void *value);
/* n slots, each word by itself; source and destination may overlap. */
SM_API void sm_copy_slots(struct sm_mutator *m, void **dst, void *const *src, size_t n);
SM_API void sm_clear_slots(struct sm_mutator *m, void **dst, size_t n);

/* ---- roots, handles ----------------------------------------------------------------------------
 *
 * Handles, and weak references and ephemerons below, are the caller's until freed (NULL: nothing
 * happens); sm_gc_destroy frees those that are left. Any thread may use one, each with its own
 * mutator, beside others, but not while another frees it. One that was freed before, or never made,
 * aborts with call, thread and address.
 */

/*
 * [start, start + nwords) holds pointers (precise, to the start of objects) until removed; the
 * memory stays the caller's and must be there so long. Any thread, attached or not. Both take a few
 * steps, however many ranges there are; while a cycle marks, removing one reads its words first,
 * and either may wait for what another thread does with 8 KiB of roots (gc.mode=stw: for the end of
 * the stop). A range that was added twice must be removed twice. -EINVAL: start is NULL or not
 * aligned, nwords is 0 (or beyond 2^40); -ENOMEM; remove: -ENOENT, nothing was added there.
 */
SM_API int sm_root_add(struct sm_gc *gc, void *start, size_t nwords);
SM_API int sm_root_remove(struct sm_gc *gc, void *start);

/*
 * A handle keeps one object alive, or none; set beside get is as a store beside a load. object is
 * NULL or the start of a collected object, else EINVAL, and set changes nothing. No call waits.
 */
struct sm_handle;
/* NULL: EINVAL, ENOMEM */
SM_API struct sm_handle *sm_handle_new(struct sm_mutator *m, void *object);
SM_API void *sm_handle_get(struct sm_handle *h);
SM_API int sm_handle_set(struct sm_mutator *m, struct sm_handle *h, void *object);
SM_API void sm_handle_free(struct sm_mutator *m, struct sm_handle *h);

/* ---- weak references, ephemerons, finalizers ---------------------------------------------------
 *
 * Order, when a cycle finds an object unreachable from roots: (1) every weak reference to it, and
 * to whatever only it kept alive, reads NULL from then on, and so does every ephemeron of which it
 * is the key; (2) its finalizer is queued, and the object with all that it refers to is kept alive
 * until the finalizer has returned; (3) a later cycle frees it, unless the finalizer stored it
 * somewhere reachable.
 *
 * "object" is the start of a collected object; of those under 16 bytes, which may share a block,
 * any address in it, and all of a block die together. An inner, foreign or freed one, and NULL, is
 * refused: errno EINVAL, or -EINVAL.
 *
 * No call but sm_finalizer_wait and the first sm_finalizer_set (which makes a thread) waits for
 * more than a lock that is held for some instructions.
 */

struct sm_weak;
SM_API struct sm_weak *sm_weak_new(struct sm_mutator *m, void *object); /* NULL: EINVAL, ENOMEM */
SM_API void *sm_weak_get(struct sm_mutator *m, struct sm_weak *w);	/* the object, or NULL */
SM_API void sm_weak_free(struct sm_mutator *m, struct sm_weak *w);

/*
 * An ephemeron refers to its key weakly, and keeps its value alive while the key is alive for other
 * reasons than the value: that the value leads to the key, or is the key, counts for nothing.
 */
struct sm_ephemeron;
SM_API struct sm_ephemeron *sm_ephemeron_new(struct sm_mutator *m, void *key,
					     void *value); /* EINVAL, ENOMEM */
SM_API void *sm_ephemeron_get(struct sm_mutator *m,
			      struct sm_ephemeron *e); /* the value; NULL: the key is gone */
SM_API void sm_ephemeron_free(struct sm_mutator *m, struct sm_ephemeron *e);

/*
 * Finalizers run once each, in the order in which they were set, one at a time, on a thread of
 * their own with a mutator, m. Objects that refer to each other are queued together, so one may
 * meet an object whose finalizer has run. It may allocate, collect, set and clear finalizers: one
 * that it sets for the object itself runs when that is unreachable again. It must not wait for
 * finalizers. None is sure to run: sm_gc_destroy waits for the one that is running, and runs no
 * more; in a forked child none runs.
 */
typedef void sm_finalizer_fn(void *ctx, struct sm_mutator *m, void *object);
typedef void sm_dispose_fn(void *ctx);
/*
 * dispose, unless it is NULL, makes ctx the finalizer's: dispose(ctx) is called once, when fn has
 * returned (on that thread), by sm_finalizer_clear (on the caller's), or by sm_gc_destroy for those
 * that have not run (on the caller's, with no mutator attached: it may not use the heap). If set
 * fails, ctx stays the caller's. -EINVAL: fn is NULL, or object is none; -EEXIST: it has one
 * already; -ENOMEM; -EAGAIN: there is no thread yet and none can be made.
 */
SM_API int sm_finalizer_set(struct sm_mutator *m, void *object, sm_finalizer_fn *fn, void *ctx,
			    sm_dispose_fn *dispose);
/* -ENOENT: it has none, or that is queued, or runs. */
SM_API int sm_finalizer_clear(struct sm_mutator *m, void *object);
/*
 * Waits until every finalizer queued so far has returned; not when there is nobody to run them:
 * while the collector ends, or in a forked child. m is the caller's, NULL if it is not attached.
 */
SM_API void sm_finalizer_wait(struct sm_gc *gc, struct sm_mutator *m);

/* ---- thread ranges and coroutines --------------------------------------------------------------
 *
 * The calling thread's own mutator, all three.
 *
 * Words [start, start + bytes) belong to the calling thread (thread-local variables, a coroutine's
 * stack) and are scanned conservatively together with its stack: stores into them need no barrier,
 * because only the owner writes them. The memory stays the caller's; detaching removes all ranges.
 * 0; -EINVAL (start NULL, no bytes, not the caller's m); -ENOMEM; -EEXIST (overlaps another);
 * remove: -ENOENT (no range starts there); -EBUSY (the caller runs on it); -EINVAL.
 *
 * Coroutines. A range may be a stack that the thread switches to (swapcontext, or by hand): what
 * runs there may do with the mutator whatever it may do on the thread's own stack. Which stack the
 * mutator is on is found by its stack pointer. Within a blocking section no stack may be switched.
 *
 *     sm_thread_range_add(m, stack, bytes);             once for each coroutine
 *     ..
 *     sm_stack_leave(m); swapcontext(&from, &to);       at each switch, on the stack that is left
 */
SM_API int sm_thread_range_add(struct sm_mutator *m, void *start, size_t bytes);
SM_API int sm_thread_range_remove(struct sm_mutator *m, void *start);
/*
 * The stack that this is called on is about to be left: until the mutator is on it again it is
 * scanned from here, with the registers of this moment. Nothing collected may be loaded or
 * allocated between this call and the switch. The function that makes this call must still be there
 * when the stack is come back to: one that ends in the switch, which a compiler makes a jump, has
 * given up the frame that holds its caller's registers. A program calls it before every switch, for
 * what it said last holds, or never: then all other stacks are scanned as a whole, the thread's own
 * as far as it is mapped (8 MiB take some ms the first time), and the place where its switch stores
 * the registers (the ucontext_t) must be registered, too.
 */
SM_API void sm_stack_leave(struct sm_mutator *m);

/* ---- collections -------------------------------------------------------------------------- */

/* Runs a full cycle that starts after the call, waits for it, the sweep included. m is the caller's
 * mutator, or NULL. -ENOTSUP in a forked child; -EINVAL: m is another's. */
SM_API int sm_collect(struct sm_gc *gc, struct sm_mutator *m);

/*
 * gc.limit (0: none but heap.limit) and gc.percent (0..10000, else -EINVAL), from now on: a cycle
 * is asked for, and at its end the pacer decides by the new value. heap.limit, which allocation
 * keeps to by itself, stays as it was created. Any thread.
 */
SM_API int sm_gc_set_limit(struct sm_gc *gc, size_t bytes);
SM_API int sm_gc_set_percent(struct sm_gc *gc, unsigned percent);

enum sm_cycle_event {
	SM_CYCLE_BEGINS, /* before its first handshake */
	/* marked and swept; sm_gc_stats has its figures, and sm_collect is about to return */
	SM_CYCLE_ENDS,
};
typedef void sm_cycle_fn(void *ctx, enum sm_cycle_event event);
/*
 * Calls fn at each begin and end of a cycle, on a thread of the collector, with mutators running;
 * NULL: no more. One at a time; when the call returns, the former is not running and never will be
 * again. fn is short, for the cycle waits for it; it may read figures and set limits; what
 * attaches, collects, inspects or sets the callback aborts. Any thread but one that fn waits for; a
 * mutator's waits in a blocking section of its own. 0; -ENOTSUP: in the child of a fork.
 */
SM_API int sm_gc_on_cycle(struct sm_gc *gc, sm_cycle_fn *fn, void *ctx);

/* ---- figures -----------------------------------------------------------------------------------
 *
 * Any thread, at any time; they wait for nothing and cannot fail, *out is the caller's. Those of
 * running mutators may be a moment old. sm_mutator_stalls: the mutator is attached throughout.
 */

/* Figures of the last completed cycle and totals. Times in ns of CLOCK_MONOTONIC. */
struct sm_gc_stats {
	uint32_t version; /* SM_GC_STATS_VERSION; set by the callee */
	uint32_t cycles;
	uint64_t last_marked_objects, last_marked_bytes;
	/* from "barrier on everywhere" to "no grey work": the marking itself */
	uint64_t last_mark_ns;
	uint64_t last_cycle_ns; /* start of cycle to barrier off */
	uint64_t last_sweep_ns;
	uint64_t last_heap_before, last_heap_after, last_goal; /* bytes */
	uint64_t total_mark_ns, total_cycle_ns, total_marked_objects;
	uint64_t live_bytes;	  /* estimate now: marked + allocated since */
	uint64_t allocated_bytes; /* since creation */
	/* waits that mutators suffered for the collector */
	uint64_t stall_max_ns, stall_total_ns, stalls;
	uint64_t verify_errors; /* differences the verifier found; stays 0 in a correct collector */
	/* Since version 2, all since creation. Objects with pointers (and pieces of large ones)
	 * scanned by a worker, or an assisting mutator, of the node that owns their memory, and of
	 * another. A thread counts as of the node on which it ran when it took the work up. All
	 * local with one node. */
	uint64_t total_scanned_local, total_scanned_remote;
	/* Packets of grey objects taken from another thread: of the same L3, of the node, of
	 * another node; */
	uint64_t total_steals_l3, total_steals_node, total_steals_across;
	/* .. and those that another node's thread found and handed over to their own node. */
	uint64_t total_delivered;
	uint64_t total_overflows; /* objects that found no room on the mark stack (gc.mark_stack) */
};
#define SM_GC_STATS_VERSION 2
SM_API void sm_gc_stats(struct sm_gc *gc, struct sm_gc_stats *out);

/* Why a mutator waited for the collector. Each wait is in exactly one of these; they do not nest.
 * */
enum sm_stall_cause {
	SM_STALL_HANDSHAKE, /* acknowledging a phase change, the scan of its own stack included */
	SM_STALL_STOP,	    /* standing still: gc.mode=stw, the verifier */
	SM_STALL_ASSIST,    /* marking in proportion to what it allocates */
	SM_STALL_SWEEP,	    /* a refill that swept on the way */
	SM_STALL_BARRIER,   /* handing a full barrier buffer over */
	SM_STALL_MEMORY,    /* waiting for a collection because memory or the limit was out */
	SM_STALL_PACE,	    /* giving way, or slowed down, because the heap is beyond its goal */
	/* since version 3: any lock of the heap that another thread held, the collector or not */
	SM_STALL_LOCK,
	SM_STALL_CAUSES
};
struct sm_gc_stall {
	uint64_t count, total_ns, p50_ns, p99_ns, p999_ns, max_ns; /* quantiles to within 1/16 */
	/*
	 * Of these waits, those in which the thread kept its CPU throughout (all of it the
	 * collector's doing), and those in which the scheduler took it away for an unknown part.
	 * Neither: where the kernel does not tell (no restartable sequences; cache.mode=cpu), and
	 * waits that are sleeps (stop, memory, pace).
	 */
	uint64_t kept, kept_max_ns, lost, lost_max_ns;
};
struct sm_gc_stalls {
	uint32_t version; /* SM_GC_STALLS_VERSION; set by the callee */
	struct sm_gc_stall cause[SM_STALL_CAUSES];
	struct sm_gc_stall all;
	/* Time to safepoint: from a handshake's request to its last acknowledgement; not a
	 * mutator's wait. */
	struct sm_gc_stall handshake_round;
};
#define SM_GC_STALLS_VERSION 3
/* All mutators since creation, those gone included. */
SM_API void sm_gc_stalls(struct sm_gc *gc, struct sm_gc_stalls *out);
/* Forgets all stalls so far (a program's warm-up). A wait that ends in another thread at this very
 * moment may be kept in part. */
SM_API void sm_gc_stalls_reset(struct sm_gc *gc);
/* One attached mutator's own. handshake_round is left zero. */
SM_API void sm_mutator_stalls(struct sm_mutator *m, struct sm_gc_stalls *out);
SM_API const char *sm_stall_name(enum sm_stall_cause cause); /* "handshake", "stop", .. */

/* ---- inspection --------------------------------------------------------------------------- */

/*
 * The start of the object that p points to or into, and its bytes, at least what was asked for;
 * NULL, 0: p leads to none. Of pointer-free objects under 16 bytes: the block that they share. Any
 * thread, at any time, without a lock. The answer holds while something keeps the object alive; one
 * that nothing keeps, and a slot that no thread has handed out yet, may be taken for objects.
 */
SM_API void *sm_object_base(struct sm_gc *gc, const void *p);
SM_API size_t sm_object_size(struct sm_gc *gc, const void *p);

struct sm_object {
	void *address;
	size_t bytes;  /* of its slot: at least what was asked for */
	bool pointers; /* may hold some */
};
/* False: enough. */
typedef bool sm_object_fn(void *ctx, const struct sm_object *object);

/*
 * Calls fn once for each object that is reachable from roots, in no particular order, with the
 * world stopped, after a cycle that is under way. Weak references keep nothing; a word on a stack
 * counts as a pointer. fn runs on a thread of the collector: it may read objects and call what
 * takes no mutator and does not wait (sm_object_base, malloc); what allocates, attaches, collects
 * or inspects aborts. It waits for nothing that a mutator does. m may be NULL when the caller is
 * not attached. 0; -EINVAL: no fn; -ENOMEM: for the walk's tables (1/128 of the range's used part,
 * and a stack); -ENOTSUP: in a fork's child.
 */
SM_API int sm_heap_foreach(struct sm_gc *gc, struct sm_mutator *m, sm_object_fn *fn, void *ctx);

/*
 * Writes the objects that this walk finds, their edges and the roots to fd as JSON lines, which
 * "spanmark heap" reads (format: docs/COLLECTOR.md). Whoever reads a pipe's other end is no
 * mutator, or in a blocking section. An object's type is its layout: types have no names, for equal
 * descriptions are one type, and rare objects do not keep theirs. m and errors as above, or -errno
 * of write; the last line lacks then.
 */
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
