/*
 * Binding threads and memory to what the plan says, and proving it.
 *
 * Every call reads the result back (sched_getaffinity and getcpu for threads, get_mempolicy for
 * memory) and fails when the kernel did not do what it was asked: a benchmark that believes in a
 * pin which did not take is worse than one without pins. Errors come with one line of text that
 * names the CPU or node, the failing call, and what can be done.
 *
 * All of it works on os numbers, of any size. Thread-safe; each call affects the calling thread
 * only.
 */
#ifndef SM_PERF_PIN_H
#define SM_PERF_PIN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Pins the calling thread to one PU and checks that it now runs there. 0, or -errno with a message
 * in why: -EINVAL (no such CPU, offline, or outside the cpuset), -EPERM, -EIO (the kernel accepted
 * but the thread is not there).
 */
int sm_pin_thread(int pu_os, char *why, size_t whylen);

/* Checks again, at the end of a sample: 0 while the thread is bound to this PU alone and runs on
 * it; -EIO and why. */
int sm_pin_verify(int pu_os, char *why, size_t whylen);

/* Undoes sm_pin_thread: the affinity mask that the process started with. */
int sm_pin_release(void);

/* How often the kernel has moved the calling thread to another CPU since it began; -1 where it does
 * not say. Some 50 us: nothing for a timed part. */
long sm_pin_moves(void);

/*
 * Keeps the calling thread off these n PUs (-1: none), on those that are left of the mask that the
 * process started with. 0; -EBUSY: none is left, and the thread may run on all; -ENOMEM.
 */
int sm_pin_avoid(const int *pus_os, unsigned n);

/* Where the calling thread runs now; SM_NONE (-1) where the kernel does not say. */
int sm_pin_current(int *node_os);

#endif
