/*
 * mmu.c: waits by windows of ten lengths at once.
 */
#include "workloads/mmu.h"

#define MS ((uint64_t)1000000)
/* F(window, its length). */
#define LENGTHS(F)     \
	F(0, MS)       \
	F(1, 2 * MS)   \
	F(2, 5 * MS)   \
	F(3, 10 * MS)  \
	F(4, 20 * MS)  \
	F(5, 50 * MS)  \
	F(6, 100 * MS) \
	F(7, 200 * MS) \
	F(8, 500 * MS) \
	F(9, 1000 * MS)

#define LENGTH(i, ns) [i] = (ns),
const uint64_t sm_mmu_lengths[SM_MMU_WINDOWS] = {LENGTHS(LENGTH)};

/* The most that a window up to the end of step `last` holds, if `waited` is all up to then. */
static uint64_t most(const struct sm_mmu_window *w, uint64_t last, uint64_t waited)
{
	/* Before the first step nothing was waited: 0 stands there. */
	uint64_t ns = waited - w->before[(last + 1 - SM_MMU_STEPS) % SM_MMU_PLACES];

	return ns > w->most ? ns : w->most;
}

/*
 * Goes on to a later step, up to whose begin `waited` is all. In each step on the way the wait was
 * `each` long; those that are in no window any more are left out.
 */
SM_INLINE void go_to(struct sm_mmu_window *w, uint64_t step, uint64_t waited, uint64_t each)
{
	uint64_t n = step - w->step;

	n = n <= SM_MMU_STEPS ? n : SM_MMU_STEPS + 1;
	for (uint64_t i = 0; i < n; i++)
		w->before[(step - i) % SM_MMU_PLACES] = waited - i * each;
	w->step = step;
}

/* Inline, so that the length is a constant. */
SM_INLINE void add(struct sm_mmu_window *w, uint64_t length, uint64_t since, uint64_t until,
		   uint64_t waited)
{
	uint64_t ns = length / SM_MMU_STEPS;

	if (until <= w->end)
		return;
	if (since >= w->end) {
		w->most = most(w, w->step, waited);
		go_to(w, since / ns, waited, 0);
	}
	if (until > (w->step + 1) * ns) {
		uint64_t step = (until - 1) / ns;

		waited += step * ns - since;
		go_to(w, step, waited, ns);
		w->most = most(w, step - 1, waited);
	}
	w->end = (w->step + 1) * ns;
}

void sm_mmu_wait(struct sm_mmu *m, uint64_t since, uint64_t until)
{
	uint64_t ns = until > since ? until - since : 0;

	if (since < m->until)
		since = m->until;
	m->until = until = since + ns;
#define ADD(i, ns) add(&m->window[i], ns, since, until, m->waited);
	LENGTHS(ADD)
	m->waited += ns;
}

double sm_mmu_percent(const struct sm_mmu *m, unsigned window)
{
	const struct sm_mmu_window *w = &m->window[window];

	return 100 - 100 * (double)most(w, w->step, m->waited) / (double)sm_mmu_lengths[window];
}
