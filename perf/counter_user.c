/* counter_user.c: user-space counter reads; counter_user.h and <linux/perf_event.h> have the
 * protocol. */
#include "perf/counter_user.h"

#include <errno.h>
#include <linux/perf_event.h>

#include "perf/clock.h"

bool sm__user_readable(const struct perf_event_mmap_page *page)
{
	return page != NULL && page->cap_user_rdpmc;
}

/* ns since the kernel last updated the times in the page. */
static uint64_t since_update(const volatile struct perf_event_mmap_page *p)
{
	uint64_t cyc = sm_clock_ticks(), quot, rem;

	if (p->cap_user_time_short)
		cyc = p->time_cycles + ((cyc - p->time_cycles) & p->time_mask);
	quot = cyc >> p->time_shift;
	rem = cyc & (((uint64_t)1 << p->time_shift) - 1);
	return p->time_offset + quot * p->time_mult + ((rem * p->time_mult) >> p->time_shift);
}

int sm__user_read(const struct perf_event_mmap_page *page, sm_pmc_fn pmc, struct sm_user_count *out)
{
	const volatile struct perf_event_mmap_page *p = page;

	for (int tries = 0; tries < 100; tries++) {
		/* Acquire: nothing below may be read before the sequence number. */
		uint32_t seq = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE), idx = p->index;
		uint64_t enabled = p->time_enabled, running = p->time_running;
		int64_t count = p->offset;

		/* While the two are equal their difference stays so; the exact time does not matter
		 * then. */
		if (p->cap_user_time && enabled != running) {
			uint64_t delta = since_update(p);

			enabled += delta;
			if (idx)
				running += delta;
		}
		if (p->cap_user_rdpmc && idx) {
			unsigned shift = 64u - p->pmc_width;
			uint64_t raw = pmc(idx - 1) << (shift & 63);

			/* Sign extension: the kernel starts counters at negative values, and they
			 * wrap at 2^width. */
			count = (int64_t)((uint64_t)count +
					  (uint64_t)((int64_t)raw >> (shift & 63)));
		}
		/* Nothing above may be read after the second look: an acquire fence orders loads
		 * before it with it. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&page->lock, __ATOMIC_RELAXED) != seq)
			continue;
		if (!idx || !p->cap_user_rdpmc)
			return -EAGAIN;
		*out = (struct sm_user_count){
			.value = (uint64_t)count, .enabled = enabled, .running = running};
		return 0;
	}
	return -EAGAIN;
}
