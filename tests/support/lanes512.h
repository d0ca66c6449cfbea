/*
 * lanes512.h: the kernel for AVX-512 on a CPU without it.
 */
#ifndef SM_TESTS_LANES512_H
#define SM_TESTS_LANES512_H

#include "collector/span/scankernel.h"

/* collector/span/arch/x86_64/scan_avx512.c, its instructions done lane by lane. On another
 * architecture it has no name. */
extern const struct sm_scan_kernel lanes512_kernel;

#endif
