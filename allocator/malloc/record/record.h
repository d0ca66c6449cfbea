/*
 * record.h: what every size of a list of freed objects would have done to a program, found out in
 * one run of it: hooks of the malloc interface in libspanmark-record.so, which is
 * libspanmark-malloc.so but for them. It is for looking, not for timing.
 *
 * For each thread and size class, lists of 2 to 2048 slots are kept on the side, as numbers, each
 * with a spare one of as many (malloc_fast.h):
 *
 *     malloc   both are empty: a refill, of one list; then one slot less
 *     free     both are full: an overflow, one list goes; then one slot more
 *
 * and a stack of when each freed slot was freed, in bytes that its thread had allocated, so that a
 * slot that is used again tells how much went through the caches meanwhile.
 *
 * When a process ends by exit, it appends a line of JSON to the file that SPANMARK_RECORD names:
 *
 *     {"pid":1,"threads":2,"slots":[2,..],"classes":[{"bytes":64,"allocs":n,"frees":n,
 *      "refills":[n,..],"overflows":[n,..],"held":[mean slots,..],"reuse":[n,..]},..]}
 *
 * refills, overflows and held are by slots; reuse counts by the power of two of the bytes between,
 * from 2^6 on.
 */
#ifndef SM_ALLOCATOR_RECORD_H
#define SM_ALLOCATOR_RECORD_H

#if defined(SM_RECORD)
#include <stddef.h>

void *sm__record_alloc(void *p); /* p; NULL: nothing was allocated */
void sm__record_free(const void *p);
size_t sm__record_size(const void *p);
/* What was of `size` bytes at p lies at q now; q NULL: it stayed. */
void *sm__record_move(const void *p, size_t size, void *q);
#else
#define sm__record_alloc(p)	    (p)
#define sm__record_free(p)	    ((void)0)
#define sm__record_size(p)	    ((size_t)0)
#define sm__record_move(p, size, q) ((void)(size), (q))
#endif

#endif
