/* clock.c: calibration of the tick counter; see clock.h. */
#include "perf/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static double ticks_per_ns, given;

/* The pair with the shortest read of the two clocks is the one least disturbed. */
static void sample(uint64_t *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t a = sm_clock_ticks();
		uint64_t t = sm_clock_ns();
		uint64_t b = sm_clock_ticks();

		if (b - a < best) {
			best = b - a;
			*ns = t;
			*ticks = a + (b - a) / 2;
		}
	}
}

static void calibrate(void)
{
	uint64_t hz = sm__cpu_tick_hz(), ns0 = 0, t0 = 0, ns1 = 0, t1 = 0;

	if (given > 0) {
		ticks_per_ns = given;
		return;
	}
	if (hz) {
		ticks_per_ns = (double)hz / 1e9;
		return;
	}
	sample(&ns0, &t0);
	while (sm_clock_ns() - ns0 < 5000000)
		;
	sample(&ns1, &t1);
	ticks_per_ns = ns1 > ns0 && t1 > t0 ? (double)(t1 - t0) / (double)(ns1 - ns0) : 1.0;
}

void sm_clock_take_ticks_per_ns(double ticks)
{
	/* from a counter of 1 MHz to one of 100 GHz */
	if (ticks >= 0.001 && ticks <= 100)
		given = ticks;
}

double sm_clock_ticks_per_ns(void)
{
	pthread_once(&once, calibrate);
	return ticks_per_ns;
}

bool sm_clock_ticks_reliable(void)
{
	static const char *const good[] = {"tsc", "kvm-clock", "arch_sys_counter",
					   "hyperv_clocksource_tsc_page"};
	char name[64] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (f == NULL)
		return false;
	if (fgets(name, sizeof(name), f) != NULL)
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(name, good[i]) == 0)
			return true;
	return false;
}
