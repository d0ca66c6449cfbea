/*
 * bench_alloc: what `make bench-alloc` runs under each allocator, by LD_PRELOAD: malloc and free of
 * whichever malloc is loaded, nothing of ours.
 *
 *   bench_alloc KERNEL N [M]   one line of results: the sum that the kernel's data give, wall and
 *                              CPU seconds, peak RSS in KiB
 *   bench_alloc --list         the kernels, each with an N and an M that take milliseconds
 *
 * The kernels are in tests/bench/malloc/: what N and M are stands above each. Sums are the same
 * under every malloc (tests/cli/test_bench_alloc.sh).
 */
#include <time.h>

#include "tests/bench/malloc/kernel.h"

static const struct {
	const char *name;
	kernel_fn *run;
	long small_n, small_m;
} kernels[] = {
	{"loop", kernel_loop, 10000, 1},
	{"trees", kernel_trees, 8, 2},
	{"handoff", kernel_handoff, 20000, 1},
	{"server", kernel_server, 3000, 1},
	{"threads", kernel_threads, 20, 1},
	{"numbers", kernel_numbers, 20000, 1},
	{"pareto", kernel_pareto, 30000, 2},
	{"batches", kernel_batches, 8, 1},
	{"orders", kernel_orders, 6, 3},
	{"vectors", kernel_vectors, 40000, 1},
	{"phases", kernel_phases, 10000, 6},
	{"cross", kernel_cross, 10000, 3},
	{"asym", kernel_asym, 100, 2},
	{"larson", kernel_larson, 3, 2},
	{"larson-sized", kernel_larson_sized, 3, 2},
	{"leaks", kernel_leaks, 40, 1},
	{"power", kernel_power, 10000, 3},
	{"active", kernel_active, 1000, 2},
	{"passive", kernel_passive, 1000, 2},
	{"large", kernel_large, 20, 4},
	{"ages", kernel_ages, 10, 2},
};
enum { KERNELS = sizeof(kernels) / sizeof(kernels[0]) };

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Not getrusage: that counts what the process was before exec, too. */
static long peak_kib(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	long kib = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

static void run(kernel_fn *fn, long n, long m)
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t sum = fn(n, m);

	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("check=%llu wall=%.6f cpu=%.6f rss=%ld\n", (unsigned long long)sum, wall, cpu,
	       peak_kib());
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[2]) : 0, m = argc > 3 ? atol(argv[3]) : 1;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (int i = 0; i < KERNELS; i++)
			printf("%s %ld %ld\n", kernels[i].name, kernels[i].small_n,
			       kernels[i].small_m);
		return 0;
	}
	if (n < 1 || m < 1)
		die("usage: bench_alloc KERNEL N [M] | --list");
	for (int i = 0; i < KERNELS; i++) {
		if (strcmp(argv[1], kernels[i].name) == 0) {
			run(kernels[i].run, n, m);
			return 0;
		}
	}
	die("no such kernel");
}
