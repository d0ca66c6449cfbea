/*
 * base.h: units, alignment arithmetic, branch hints and the graded assertions every file of the
 * allocator and the collector uses. Nothing here allocates or depends on anything of ours.
 */
#ifndef SM_ALLOCATOR_BASE_H
#define SM_ALLOCATOR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The span unit: the page heap hands out multiples of it. 13, 14 or 16 at build time. */
#ifndef SM_UNIT_SHIFT
#define SM_UNIT_SHIFT 14
#endif
#if SM_UNIT_SHIFT != 13 && SM_UNIT_SHIFT != 14 && SM_UNIT_SHIFT != 16
#error "SM_UNIT_SHIFT must be 13 (8 KiB), 14 (16 KiB) or 16 (64 KiB)"
#endif
#define SM_UNIT		 ((size_t)1 << SM_UNIT_SHIFT)

#define SM_KIB		 ((size_t)1 << 10)
#define SM_MIB		 ((size_t)1 << 20)
#define SM_GIB		 ((size_t)1 << 30)
#define SM_CACHELINE	 64

#define SM_INLINE	 static inline __attribute__((always_inline))
#define SM_NOINLINE	 __attribute__((noinline))
#define SM_COLD		 __attribute__((noinline, cold))
#define SM_LIKELY(x)	 __builtin_expect(!!(x), 1)
#define SM_UNLIKELY(x)	 __builtin_expect(!!(x), 0)
#define SM_PREFETCH_R(p) __builtin_prefetch((p), 0, 3)
/* Into the second cache, where more misses may be on their way than the first can have. */
#define SM_PREFETCH_L2(p) __builtin_prefetch((p), 0, 2)
#define SM_PREFETCH_W(p)  __builtin_prefetch((p), 1, 3)

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SM_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define SM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(SM_TSAN)
#define SM_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SM_ASAN)
#define SM_ASAN 1
#endif
#ifndef SM_TSAN
#define SM_TSAN 0
#endif
#ifndef SM_ASAN
#define SM_ASAN 0
#endif

SM_INLINE size_t sm_align_up(size_t n, size_t a)
{
	return (n + a - 1) & ~(a - 1);
}

SM_INLINE size_t sm_align_down(size_t n, size_t a)
{
	return n & ~(a - 1);
}

/*
 * Graded assertions. SM_CHECK is always there (cold paths, corruption that must not go on);
 * SM_ASSERT costs a compare and is there unless NDEBUG; SM_PARANOID walks things and is there in
 * hostile and debug builds only. All print one line and abort.
 */
SM_COLD _Noreturn void sm__fatal(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define SM_CHECK(cond)                                                            \
	do {                                                                      \
		if (SM_UNLIKELY(!(cond)))                                         \
			sm__fatal(__FILE__, __LINE__, "check failed: %s", #cond); \
	} while (0)

#ifdef NDEBUG
#define SM_ASSERT(cond) ((void)0)
#else
#define SM_ASSERT(cond) SM_CHECK(cond)
#endif

#if defined(SM_HOSTILE) || defined(SM_DEBUG)
#define SM_PARANOID(cond) SM_CHECK(cond)
#else
#define SM_PARANOID(cond) ((void)0)
#endif

#endif
