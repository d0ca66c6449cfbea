/*
 * inline.h: what fast paths need compiled into the program. gc.h includes it, and a program calls
 * what gc.h offers; names with two underscores are not for programs.
 *
 * Example:
 *     #include <spanmark/gc.h>
 *     struct sm_gc *gc = sm_gc_create(NULL, NULL, 0);
 *     struct sm_mutator *m = sm_mutator_attach(gc);
 *     for (int i = 0; i < 1000000; i++)
 *         sm_safepoint(m);
 *     sm_mutator_detach(m);
 *     sm_gc_destroy(gc);
 */
#ifndef SPANMARK_INLINE_H
#define SPANMARK_INLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spanmark/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sm_span;
struct sm_gc;
struct sm_mutator_priv;

/*
 * A run of free slots that a mutator owns: [cur, end) in steps of size. All zero: empty. The owned
 * span, or NULL; a shared bin's run has none either, and its bounds are offsets in the heap's range
 * (allocator/objects/mixed.h).
 */
struct sm_window {
	char *cur, *end;
	size_t size;
	struct sm_span *span;
};

/* What a store's slow path is for: a cycle marks; gc.generations remembers where it was stored,
 * by a card or in a log; slots that lead to what is to move are noted (gc.compact=auto|force). */
enum { SM__BARRIER_MARK = 1, SM__BARRIER_REMEMBER = 2, SM__BARRIER_SLOTS = 4, SM__BARRIER_LOG = 8 };

/*
 * A mutator as inline code sees it. Its owner alone reads and writes all but poll, except at a
 * handshake, when the proxy that holds the mutator acts for it.
 */
struct sm_mutator {
	uint32_t poll; /* atomic: a handshake is pending */
	/* not 0: stores take the slow path, for SM__BARRIER_* */
	uint8_t barrier;
	void **buf_next, **buf_end;
	struct sm_gc *gc;
	struct sm_mutator_priv *priv;
	/* gc.generations: a byte of cards for 2^SM__CARD_SHIFT bytes of the heap. Fixed. */
	uintptr_t heap_base;
	size_t heap_bytes;
	uint8_t *cards;
} __attribute__((aligned(64)));

enum { SM__CARD_SHIFT = 7, SM__CARD_STORED = 2 };

/* A pointer is stored in *slot: an object's slot has its card set, a root's has none. Relaxed: the
 * handshakes order it. */
SM_INLINE void sm__set_card(struct sm_mutator *m, void **slot)
{
	uintptr_t off = (uintptr_t)slot - m->heap_base;

	if (__builtin_expect(off < m->heap_bytes, 1))
		__atomic_store_n(&m->cards[off >> SM__CARD_SHIFT], SM__CARD_STORED,
				 __ATOMIC_RELAXED);
}

/* With SM_CHECK_CALLS defined, inline calls check that the caller may make them. */
SM_API void sm__check_call(const struct sm_mutator *m, const char *call);
#if defined(SM_CHECK_CALLS) || defined(SM_HOSTILE)
#define SM__CHECK_CALL(m, call) sm__check_call((m), (call))
#else
#define SM__CHECK_CALL(m, call) ((void)0)
#endif

/* Size -> bin of pointer-free objects, in steps of 8 bytes up to 1 KiB. Constant. */
extern SM_API const uint8_t sm__class_small[1024 / 8 + 1];

/* The next slot of a window, or NULL when it is used up: six instructions. */
SM_INLINE void *sm__window_bump(struct sm_window *w)
{
	char *p = w->cur;

	if (__builtin_expect(p == w->end, 0))
		return NULL;
	/* Relaxed: statistics read other threads' windows. */
	__atomic_store_n(&w->cur, p + w->size, __ATOMIC_RELAXED);
	return p;
}

/* A mutator's windows, one for each bin, lie behind it. Seen from as far in front of each,
 * compilers fold all offsets into the accesses. */
struct sm__window_behind {
	char before[sizeof(struct sm_mutator)]; /* not the struct: that one is aligned */
	struct sm_window w;
};
SM_INLINE struct sm_window *sm__window(struct sm_mutator *m, size_t bin)
{
	return &((struct sm__window_behind *)(void *)((char *)m + bin * sizeof(struct sm_window)))
			->w;
}

/* A load on which all accesses behind it depend, which every machine that we know keeps in order.
 * ThreadSanitizer knows no such order. */
#if defined(__SANITIZE_THREAD__)
#define SM__LOAD_ORDER __ATOMIC_ACQUIRE
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SM__LOAD_ORDER __ATOMIC_ACQUIRE
#endif
#endif
#ifndef SM__LOAD_ORDER
#define SM__LOAD_ORDER __ATOMIC_RELAXED
#endif

#ifdef __cplusplus
}
#endif

#endif
