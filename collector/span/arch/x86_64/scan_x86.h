/*
 * scan_x86.h: kernels of the dense scan that have a file of their own.
 */
#ifndef SM_COLLECTOR_SCAN_X86_H
#define SM_COLLECTOR_SCAN_X86_H

#include "collector/span/scankernel.h"

/* Needs AVX-512F, BMI and popcnt. */
size_t sm__scan_avx512(const struct sm_scan_job *j, uintptr_t *out);

#endif
