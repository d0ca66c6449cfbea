/*
 * scan_avx512.c: the kernel for AVX-512F, by itself: tests/support/lanes512.c compiles it a second
 * time, with each instruction done lane by lane, for CPUs that have not got it.
 */
#include <immintrin.h>

#include "collector/span/arch/x86_64/scan_x86.h"

struct avx512 {
	__m512i base, bytes;
	__mmask8 last; /* which words of the last eight are pointers */
};

/* Compressed in a register, then stored: to memory at once it is many times as slow on Zen 4. */
__attribute__((target("avx512f,bmi,popcnt"))) static inline uintptr_t *
keep_avx512(const struct avx512 *a, __mmask8 of, const void *w, uintptr_t *out)
{
	__m512i v = _mm512_maskz_loadu_epi64(of, w);
	__mmask8 in = _mm512_mask_cmplt_epu64_mask(of, _mm512_sub_epi64(v, a->base), a->bytes);

	_mm512_storeu_si512(out, _mm512_maskz_compress_epi64(in, v));
	return out + __builtin_popcount(in);
}

__attribute__((target("avx512f,bmi,popcnt"))) size_t sm__scan_avx512(const struct sm_scan_job *j,
								     uintptr_t *out)
{
	struct avx512 a = {_mm512_set1_epi64((long long)j->base),
			   _mm512_set1_epi64((long long)j->bytes),
			   (__mmask8)(0xffu >> (7 - (j->nptrs - 1) % 8))};
	uintptr_t *first = out;

	for (unsigned w = 0; w < j->words; w++) {
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1) {
			const uintptr_t *at = (const uintptr_t *)sm__scan_address(
				j, w, (unsigned)__builtin_ctzll(bits));
			unsigned n = j->nptrs;

			for (; n > 8; n -= 8, at += 8)
				out = keep_avx512(&a, 0xff, at, out);
			out = keep_avx512(&a, a.last, at, out);
		}
	}
	return (size_t)(out - first);
}
