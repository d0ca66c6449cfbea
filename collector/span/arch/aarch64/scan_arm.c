/*
 * scan_arm.c: kernels of the dense scan (scankernel.h) for NEON and SVE.
 *
 * An aligned word within a vector load is read whole (Arm ARM B2.2, elements); nothing else is
 * asked while mutators store to the words. What orders an object's contents behind the pointer that
 * led to it is the dependency through that pointer, as for scalar loads. Under ThreadSanitizer,
 * which sees no lanes, they are not used.
 *
 * SVE is written in assembly: not every compiler that we build with has its intrinsics for a
 * function of a file that is compiled without it.
 */
#include <arm_neon.h>
#include <sys/auxv.h>

#include "collector/span/scankernel.h"

/* ---- NEON --------------------------------------------------------------------------------- */

/* Both words are stored; how far out moves decides what stays. */
static size_t scan_neon(const struct sm_scan_job *j, uintptr_t *out)
{
	uint64x2_t base = vdupq_n_u64(j->base), bytes = vdupq_n_u64(j->bytes);
	uintptr_t *first = out;

	for (unsigned w = 0; w < j->words; w++) {
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1) {
			const uint64_t *at = (const uint64_t *)sm__scan_address(
				j, w, (unsigned)__builtin_ctzll(bits));
			unsigned n = j->nptrs;

			for (; n >= 2; n -= 2, at += 2) {
				uint64x2_t v = vld1q_u64(at);
				uint64x2_t in = vcltq_u64(vsubq_u64(v, base), bytes);

				vst1q_lane_u64((uint64_t *)out, v, 0);
				out -= (int64_t)vgetq_lane_u64(in, 0);
				vst1q_lane_u64((uint64_t *)out, v, 1);
				out -= (int64_t)vgetq_lane_u64(in, 1);
			}
			if (n != 0) {
				*out = __atomic_load_n(at, __ATOMIC_RELAXED);
				out += *out - j->base < j->bytes;
			}
		}
	}
	return (size_t)(out - first);
}

/* ---- SVE ---------------------------------------------------------------------------------- */

/* A vector at a time, of whatever length; the last one by a predicate. All lanes are stored: there
 * is room for a vector of 2048 bits behind the end. */
static inline uintptr_t *object_sve(const struct sm_scan_job *j, uintptr_t at, uintptr_t *out)
{
	uint64_t i = 0, n = j->nptrs, count;

	__asm__ volatile(".arch_extension sve\n\t"
			 "ptrue p2.d\n\t"
			 "mov z2.d, %[base]\n\t"
			 "mov z3.d, %[bytes]\n\t"
			 "whilelo p0.d, %[i], %[n]\n"
			 "1:\n\t"
			 "ld1d {z0.d}, p0/z, [%[at], %[i], lsl #3]\n\t"
			 "sub z1.d, z0.d, z2.d\n\t"
			 "cmplo p1.d, p0/z, z1.d, z3.d\n\t"
			 "compact z0.d, p1, z0.d\n\t"
			 "st1d {z0.d}, p2, [%[out]]\n\t"
			 "cntp %[count], p2, p1.d\n\t"
			 "add %[out], %[out], %[count], lsl #3\n\t"
			 "incd %[i]\n\t"
			 "whilelo p0.d, %[i], %[n]\n\t"
			 "b.first 1b\n\t"
			 : [out] "+r"(out), [i] "+r"(i), [count] "=&r"(count)
			 : [at] "r"(at), [n] "r"(n), [base] "r"(j->base), [bytes] "r"(j->bytes)
			 : "v0", "v1", "v2", "v3", "cc", "memory");
	return out;
}

static size_t scan_sve(const struct sm_scan_job *j, uintptr_t *out)
{
	uintptr_t *first = out;

	for (unsigned w = 0; w < j->words; w++)
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1)
			out = object_sve(j, sm__scan_address(j, w, (unsigned)__builtin_ctzll(bits)),
					 out);
	return (size_t)(out - first);
}

/* ---- which there are ---------------------------------------------------------------------- */

static bool have_neon(void)
{
	return !SM_TSAN;
}

#define HAVE_SVE (1ul << 22) /* HWCAP_SVE */

static bool have_sve(void)
{
	return !SM_TSAN && (getauxval(AT_HWCAP) & HAVE_SVE) != 0;
}

const struct sm_scan_kernel sm__scan_kernels_here[] = {
	{"neon", scan_neon, have_neon},
	{"sve", scan_sve, have_sve},
	{NULL, NULL, NULL},
};
