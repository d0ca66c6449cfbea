/*
 * lanes512.c: scan_avx512.c compiled again, with what the few instructions that it uses do written
 * out lane by lane, as Intel's manual has it (64-bit-lane forms of VPBROADCASTQ, VMOVDQU64 with
 * zeroing, VPSUBQ, VPCMPUQ with a write mask, VPCOMPRESSQ with zeroing). It shows that the kernel
 * is right if the CPU is, on any CPU; one that has AVX-512 runs the kernel itself, too.
 *
 * Lanes that a mask leaves out are not read, which AddressSanitizer and Valgrind see here.
 */
#include "tests/support/lanes512.h"

static bool anywhere(void)
{
	return true;
}

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include "collector/span/arch/x86_64/scan_x86.h"

struct lanes {
	uint64_t of[8];
};

static inline struct lanes set1(long long x)
{
	struct lanes v;

	for (unsigned i = 0; i < 8; i++)
		v.of[i] = (uint64_t)x;
	return v;
}

static inline struct lanes load(__mmask8 mask, const void *at)
{
	struct lanes v = {{0}};

	for (unsigned i = 0; i < 8; i++)
		if (mask >> i & 1)
			memcpy(&v.of[i], (const char *)at + i * sizeof(uint64_t), sizeof(uint64_t));
	return v;
}

static inline struct lanes sub(struct lanes a, struct lanes b)
{
	for (unsigned i = 0; i < 8; i++)
		a.of[i] -= b.of[i];
	return a;
}

static inline __mmask8 below(__mmask8 mask, struct lanes a, struct lanes b)
{
	unsigned is = 0;

	for (unsigned i = 0; i < 8; i++)
		is |= (unsigned)(a.of[i] < b.of[i]) << i;
	return (__mmask8)(is & mask);
}

static inline struct lanes compress(__mmask8 mask, struct lanes a)
{
	struct lanes v = {{0}};
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		if (mask >> i & 1)
			v.of[n++] = a.of[i];
	return v;
}

static inline void store(void *at, struct lanes v)
{
	memcpy(at, v.of, sizeof(v.of));
}

/* What the kernel's source calls them. The compiler must make none of its own: no target. */
#undef _mm512_set1_epi64
#undef _mm512_maskz_loadu_epi64
#undef _mm512_sub_epi64
#undef _mm512_mask_cmplt_epu64_mask
#undef _mm512_maskz_compress_epi64
#undef _mm512_storeu_si512
#define _mm512_set1_epi64	     set1
#define _mm512_maskz_loadu_epi64     load
#define _mm512_sub_epi64	     sub
#define _mm512_mask_cmplt_epu64_mask below
#define _mm512_maskz_compress_epi64  compress
#define _mm512_storeu_si512	     store
#define __m512i			     struct lanes
#define target(isa)
#define sm__scan_avx512 lanes512_scan
size_t lanes512_scan(const struct sm_scan_job *j, uintptr_t *out);
#include "collector/span/arch/x86_64/scan_avx512.c"

const struct sm_scan_kernel lanes512_kernel = {"avx512 by lanes", lanes512_scan, anywhere};
#else
const struct sm_scan_kernel lanes512_kernel = {NULL, NULL, anywhere};
#endif
