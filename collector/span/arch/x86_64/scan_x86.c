/*
 * scan_x86.c: kernels of the dense scan (scankernel.h) for AVX2 and, scan_avx512.c, AVX-512F.
 *
 * Lanes of a vector load that are aligned words are read whole by every CPU that has these
 * instructions; nothing else is asked of them while mutators store to the words. Under
 * ThreadSanitizer, which sees no lanes, they are not used.
 */
#include <immintrin.h>

#include "collector/span/arch/x86_64/scan_x86.h"

#define TOP (UINT64_C(1) << 63)

/* ---- AVX2 --------------------------------------------------------------------------------- */

/* Moves the words of which a bit is set to the front: pairs of 32 bits, for vpermd. */
#define PAIR(i) (2 * (i)), (2 * (i) + 1)
static const uint32_t front[16][8] __attribute__((aligned(32))) = {
	{0},
	{PAIR(0)},
	{PAIR(1)},
	{PAIR(0), PAIR(1)},
	{PAIR(2)},
	{PAIR(0), PAIR(2)},
	{PAIR(1), PAIR(2)},
	{PAIR(0), PAIR(1), PAIR(2)},
	{PAIR(3)},
	{PAIR(0), PAIR(3)},
	{PAIR(1), PAIR(3)},
	{PAIR(0), PAIR(1), PAIR(3)},
	{PAIR(2), PAIR(3)},
	{PAIR(0), PAIR(2), PAIR(3)},
	{PAIR(1), PAIR(2), PAIR(3)},
	{PAIR(0), PAIR(1), PAIR(2), PAIR(3)},
};

/* Unsigned p - base < bytes by the signed comparison that there is: both moved by half of all. */
struct avx2 {
	__m256i move, bytes, last; /* last: which words of the last four are pointers */
};

__attribute__((target("avx2,bmi,popcnt"))) static inline uintptr_t *
keep_avx2(const struct avx2 *a, __m256i v, uintptr_t *out)
{
	__m256i in = _mm256_cmpgt_epi64(a->bytes, _mm256_add_epi64(v, a->move));
	unsigned mask = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(in));
	__m256i to = _mm256_load_si256((const __m256i *)front[mask]);

	_mm256_storeu_si256((__m256i *)out, _mm256_permutevar8x32_epi32(v, to));
	return out + __builtin_popcount(mask);
}

/* Words that are no pointers are not even loaded: they read as NULL. */
__attribute__((target("avx2,bmi,popcnt"))) static inline uintptr_t *
object_avx2(const struct avx2 *a, unsigned nptrs, uintptr_t at, uintptr_t *out)
{
	const long long *w = (const long long *)at;

	for (; nptrs > 4; nptrs -= 4, w += 4)
		out = keep_avx2(a, _mm256_loadu_si256((const __m256i *)w), out);
	return keep_avx2(a, _mm256_maskload_epi64(w, a->last), out);
}

__attribute__((target("avx2,bmi,popcnt"))) static size_t scan_avx2(const struct sm_scan_job *j,
								   uintptr_t *out)
{
	unsigned tail = (j->nptrs - 1) % 4 + 1;
	struct avx2 a = {
		_mm256_set1_epi64x((long long)(TOP - j->base)),
		_mm256_set1_epi64x((long long)(j->bytes - TOP)),
		_mm256_cmpgt_epi64(_mm256_set1_epi64x(tail), _mm256_setr_epi64x(0, 1, 2, 3))};
	uintptr_t *first = out;

	for (unsigned w = 0; w < j->words; w++)
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1)
			out = object_avx2(&a, j->nptrs,
					  sm__scan_address(j, w, (unsigned)__builtin_ctzll(bits)),
					  out);
	return (size_t)(out - first);
}

/* ---- which there are ---------------------------------------------------------------------- */

static bool have_avx2(void)
{
	return !SM_TSAN && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("popcnt");
}

static bool have_avx512(void)
{
	return !SM_TSAN && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("popcnt");
}

const struct sm_scan_kernel sm__scan_kernels_here[] = {
	{"avx2", scan_avx2, have_avx2},
	{"avx512", sm__scan_avx512, have_avx512},
	{NULL, NULL, NULL},
};
