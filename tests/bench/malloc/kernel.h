/*
 * kernel.h: what the kernels of bench_alloc share.
 *
 * A kernel is one way to use malloc and free, written from a description of what some known
 * benchmark does, or a program: no code of theirs. bench_alloc.c has the table of them, runs one,
 * and prints what it took. A kernel stamps what it allocates and takes the stamp off when it frees,
 * so that an object that two owners hold, or that lies over another, ends the program, and so that
 * the sum of what was taken off is the same under every malloc: sums commute, whoever frees what.
 */
#ifndef SM_TESTS_BENCH_MALLOC_KERNEL_H
#define SM_TESTS_BENCH_MALLOC_KERNEL_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the sum. N and M are the command line's; a kernel's comment says what they are. */
typedef uint64_t kernel_fn(long n, long m);

kernel_fn kernel_loop, kernel_trees, kernel_handoff, kernel_server, kernel_threads;
kernel_fn kernel_numbers, kernel_pareto, kernel_batches, kernel_orders, kernel_vectors;
kernel_fn kernel_phases, kernel_cross, kernel_asym, kernel_larson, kernel_larson_sized;
kernel_fn kernel_leaks, kernel_power, kernel_active, kernel_passive, kernel_large, kernel_ages;

enum { MOST_THREADS = 64 };

static inline void die(const char *what)
{
	fprintf(stderr, "bench_alloc: %s\n", what);
	exit(1);
}

static inline void start_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
	if (pthread_create(t, NULL, fn, arg) != 0)
		die("no thread");
}

/* Starts N threads (64 at most), each with one of the elements of SIZE bytes at ARGS, and waits. */
static inline void run_threads(long n, void *(*fn)(void *), void *args, size_t size)
{
	pthread_t t[MOST_THREADS];

	if (n > MOST_THREADS)
		die("too many threads");
	for (long i = 0; i < n; i++)
		start_thread(&t[i], fn, (char *)args + (size_t)i * size);
	for (long i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* xorshift64*: state is never 0. */
static inline uint32_t draw(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

static inline uint64_t seed_of(long who)
{
	return ((uint64_t)who + 1) * 0x9e3779b97f4a7c15ull;
}

/* Less than N, without a division. */
static inline uint32_t below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((uint64_t)draw(state) * n) >> 32);
}

/* What an object of ours begins with. Its last byte repeats the tag's lowest. */
struct stamp {
	uint64_t tag;
	uint32_t size;
	uint32_t spare;
};

static inline void *stamped(size_t size, uint64_t tag)
{
	struct stamp *s;

	if (size < sizeof(*s) + 1)
		size = sizeof(*s) + 1;
	s = malloc(size);
	if (s == NULL)
		die("no memory");
	s->tag = tag;
	s->size = (uint32_t)size;
	((unsigned char *)s)[size - 1] = (unsigned char)tag;
	return s;
}

/* What the object adds to the sum. The caller frees it. */
static inline uint64_t stamp_off(const void *p)
{
	const struct stamp *s = p;

	if (((const unsigned char *)p)[s->size - 1] != (unsigned char)s->tag)
		die("an object was damaged");
	return s->tag * 31 + s->size;
}

static inline uint64_t take(void *p)
{
	uint64_t sum = p != NULL ? stamp_off(p) : 0;

	free(p);
	return sum;
}

#endif
