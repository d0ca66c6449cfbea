/*
 * What the machine takes from a thread that does nothing but look at the clock: the measure for
 * latencies.
 *
 *   bench_gaps SECONDS CPU [CPU]
 *
 * The thread runs on the first CPU, another one spins on the second, as a mark worker would. A gap
 * is the distance of two readings of the CPU's constant-rate counter: nothing but an interrupt,
 * another program or the hypervisor makes it long. Prints "name value unit" lines. What the kernel
 * gave to other threads shows as switches as well.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "perf/clock.h"
#include "perf/pin.h"

static volatile bool stop;

static void *spin(void *arg)
{
	char why[200];

	(void)sm_pin_thread((int)(intptr_t)arg, why, sizeof(why));
	while (!stop)
		;
	return NULL;
}

static long switches(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nivcsw : 0;
}

int main(int argc, char **argv)
{
	double per_ns = sm_clock_ticks_per_ns(), seconds = argc > 1 ? strtod(argv[1], NULL) : 0;
	uint64_t over20 = 0, over100 = 0, longest = 0, from, before, now;
	uint64_t limit20 = (uint64_t)(20e3 * per_ns), limit100 = (uint64_t)(100e3 * per_ns);
	char why[200];
	pthread_t other;
	long lost;

	if (argc < 3 || argc > 4 || !(seconds > 0) ||
	    sm_pin_thread(atoi(argv[2]), why, sizeof(why)) != 0) {
		fprintf(stderr,
			"bench_gaps: SECONDS (above 0) and one or two CPUs of this machine\n");
		return 2;
	}
	if (argc == 4 && pthread_create(&other, NULL, spin, (void *)(intptr_t)atoi(argv[3])) != 0)
		return 1;
	lost = switches();
	from = before = sm_clock_ticks();
	do {
		uint64_t gap;

		now = sm_clock_ticks();
		gap = sm_clock_delta(before, now);
		over20 += gap > limit20;
		over100 += gap > limit100;
		longest = gap > longest ? gap : longest;
		before = now;
	} while ((double)(now - from) < seconds * 1e9 * per_ns);
	stop = true;
	if (argc == 4)
		pthread_join(other, NULL);
	printf("gaps_20us_per_s %.2f gaps/s\n", (double)over20 / seconds);
	printf("gaps_100us_per_s %.2f gaps/s\n", (double)over100 / seconds);
	printf("gap_max_us %.1f us\n", (double)longest / per_ns / 1e3);
	printf("switches %ld switches\n", switches() - lost);
	return 0;
}
