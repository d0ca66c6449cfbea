/*
 * scankernel.c: the portable kernel, and which of them a CPU gets.
 */
#include <string.h>

#include "allocator/base/atomic.h"
#include "collector/span/scankernel.h"

/* Words may be stored to meanwhile: each is loaded whole, whichever value it gives. */
SM_INLINE uintptr_t *take(const struct sm_scan_job *j, uintptr_t object, uintptr_t *out)
{
	const uintptr_t *w = (const uintptr_t *)object, *end = w + j->nptrs;

	do {
		uintptr_t p = sm_load_dependent((const _Atomic(uintptr_t) *)w);

		*out = p;
		out += p - j->base < j->bytes;
	} while (++w < end);
	return out;
}

static size_t scan_portable(const struct sm_scan_job *j, uintptr_t *out)
{
	uintptr_t *first = out;

	for (unsigned w = 0; w < j->words; w++)
		for (uint64_t bits = j->todo[w]; bits; bits &= bits - 1)
			out = take(j, sm__scan_address(j, w, (unsigned)__builtin_ctzll(bits)), out);
	return (size_t)(out - first);
}

static bool always(void)
{
	return true;
}

static const struct sm_scan_kernel portable = {"portable", scan_portable, always};

const struct sm_scan_kernel *sm__scan_kernel_at(unsigned i)
{
	if (i == 0)
		return &portable;
#if defined(__x86_64__) || defined(__aarch64__)
	for (const struct sm_scan_kernel *k = sm__scan_kernels_here; k->name; k++) {
		if (--i == 0)
			return k;
	}
#endif
	return NULL;
}

const struct sm_scan_kernel *sm__scan_kernel(const char *name)
{
	const struct sm_scan_kernel *k, *best = NULL;

	for (unsigned i = 0; (k = sm__scan_kernel_at(i)) != NULL; i++) {
		if ((name == NULL || strcmp(k->name, name) == 0) && k->usable())
			best = k;
	}
	return best;
}
