/*
 * Threads against phases: a storm of handshakes over spinning, blocked and sleeping threads
 * (scenario 10); threads born and dying in every phase (11; 10^5 with SM_TEST_LONG); fork in every
 * phase (12); signals at 10 kHz to threads in the middle of everything (13).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/graph.h"

struct shared {
	struct sm_stress *s;
	struct sm_gc *gc;
	struct sm_graph_types types;
	/* SLOTS packages, handed from thread to thread; see sm_deep_table */
	struct sm_handle *deep;
	uintptr_t slots;
	double until;
	_Atomic(uint64_t) ops, births;
};
#define SLOTS 8

static void doze(long us)
{
	nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

/* Takes a package out of a shared slot, checks it, puts another in. */
static SM_NOINLINE void exchange(struct shared *sh, struct sm_mutator *m, struct sm_rng *r)
{
	void **slots = (void **)~sh->slots;
	struct sm_node *p =
		sm_package_new(m, &sh->types, r, sm_rng_next(r), (unsigned)sm_rng_below(r, 4));

	SM_MUST(p != NULL);
	p = sm_exchange(m, &slots[sm_rng_below(r, SLOTS)], p);
	sm_safepoint(m);
	if (p)
		sm_package_check(p);
	/* From one slot to another. */
	p = sm_exchange(m, &slots[sm_rng_below(r, SLOTS)], NULL);
	if (p)
		sm_store(m, &slots[sm_rng_below(r, SLOTS)], p);
	sm_fetch_add_relaxed(&sh->ops, 1);
}

/* ---- 10 ----------------------------------------------------------------------------------- */

static void *stormy(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;
	struct sm_node *mine;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	mine = sm_package_new(m, &sh->types, &r, w->index, 4);
	while (sm_stress_before(sh->until)) {
		switch (w->index % 4) {
		case 0: /* spins over safepoints, holding something on its stack */
			for (int i = 0; i < 1000; i++)
				sm_safepoint(m);
			break;
		case 1: /* goes in and out of blocking sections, nested */
			for (int i = 0; i < 100; i++) {
				sm_blocking_enter(m);
				sm_blocking_enter(m);
				sm_blocking_leave(m);
				sm_blocking_leave(m);
			}
			break;
		case 2: /* sleeps in one */
			sm_blocking_enter(m);
			doze(300);
			sm_blocking_leave(m);
			break;
		case 3: exchange(sh, m, &r); break;
		}
		sm_package_check(mine);
		/* A new one to hold: what it replaces is garbage from here on. */
		if (sm_rng_below(&r, 16) == 0)
			mine = sm_package_new(m, &sh->types, &r, w->index, 4);
	}
	sm_mutator_detach(m);
	return NULL;
}

/* ---- 11 ----------------------------------------------------------------------------------- */

static void *mayfly(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;

	SM_MUST(m != NULL, "attach: %s", strerror(errno));
	sm_rng_seed(&r, sh->s->seed, sm_load_relaxed(&sh->births));
	for (uint64_t n = sm_rng_below(&r, 6); n > 0; n--)
		exchange(sh, m, &r);
	sm_mutator_detach(m);
	return NULL;
}

static void *breeder(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	uint64_t most = sh->s->large ? 100000 : 1u << 30;

	while (sm_load_relaxed(&sh->births) < most &&
	       (sh->s->large || sm_stress_before(sh->until))) {
		pthread_t t[4];

		for (int i = 0; i < 4; i++)
			t[i] = sm_stress_thread(mayfly, w);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		sm_fetch_add_relaxed(&sh->births, 4);
	}
	return NULL;
}

/* A thread attaches in the middle of a cycle with an object in its hands; its parent lets go of it
 * only then. */
struct gift {
	struct shared *sh;
	uintptr_t package; /* disguised */
	_Atomic(uint32_t) taken;
};

static void *heir(void *arg)
{
	struct gift *g = arg;
	struct sm_node *volatile mine = (struct sm_node *)~g->package;
	struct sm_mutator *m = sm_mutator_attach(g->sh->gc);
	struct sm_rng r;

	SM_MUST(m != NULL);
	sm_store_release(&g->taken, 1);
	sm_rng_seed(&r, g->sh->s->seed, 5);
	for (int i = 0; i < 20; i++) {
		exchange(g->sh, m, &r);
		sm_package_check(mine);
	}
	sm_mutator_detach(m);
	return NULL;
}

static SM_NOINLINE uintptr_t wrap(struct shared *sh, struct sm_mutator *m, struct sm_rng *r)
{
	return ~(uintptr_t)sm_package_new(m, &sh->types, r, sm_rng_next(r), 3);
}

static void *giver(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	while (sm_stress_before(sh->until)) {
		struct gift g = {.sh = sh};
		pthread_t t;

		/* No safepoint from the package's birth to its being taken: until then it cannot be
		 * lost. */
		g.package = wrap(sh, m, &r);
		t = sm_stress_thread(heir, &g);
		for (int i = 0; i < 200 && !sm_load_acquire(&g.taken); i++)
			sched_yield();
		/* Late: it may be waiting for a stop of the world that waits for us. Hold on to it,
		 * then. */
		if (!sm_load_acquire(&g.taken)) {
			struct sm_node *volatile held = (struct sm_node *)~g.package;

			while (!sm_load_acquire(&g.taken)) {
				sm_safepoint(m);
				sched_yield();
			}
			held = NULL;
			(void)held;
		}
		sm_stress_scrub_stack();
		sm_safepoint(m);
		sm_blocking_enter(m);
		pthread_join(t, NULL);
		sm_blocking_leave(m);
		sm_fetch_add_relaxed(&sh->births, 1);
	}
	sm_mutator_detach(m);
	return NULL;
}

/* ---- 12 ----------------------------------------------------------------------------------- */

/* The child goes on with the heap, alone, and nothing is collected there. */
static _Noreturn void child(struct shared *sh, struct sm_mutator *m, struct sm_node *held)
{
	struct sm_rng r;

	alarm(60);
	sm_rng_seed(&r, 1, 1);
	sm_package_check(held);
	for (int i = 0; i < 2000; i++) {
		struct sm_node *p = sm_package_new(m, &sh->types, &r, sm_rng_next(&r), 3);

		if (p == NULL)
			_exit(3);
		sm_package_check(p);
	}
	if (sm_collect(sh->gc, m) != -ENOTSUP)
		_exit(4);
	sm_package_check(held);
	_exit(0);
}

static void *forker(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	while (sm_stress_before(sh->until)) {
		if (w->index == 0) {
			struct sm_node *held = sm_package_new(m, &sh->types, &r, 5, 4);
			int status;
			pid_t pid;

			fflush(NULL);
			pid = fork();
			SM_MUST(pid >= 0);
			if (pid == 0)
				child(sh, m, held);
			sm_blocking_enter(m);
			SM_MUST(waitpid(pid, &status, 0) == pid);
			sm_blocking_leave(m);
			SM_MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0,
				"the child of a fork ended with %#x", (unsigned)status);
			sm_package_check(held);
			sm_fetch_add_relaxed(&sh->births, 1);
		} else {
			exchange(sh, m, &r);
		}
	}
	sm_mutator_detach(m);
	return NULL;
}

/* ---- 13 ----------------------------------------------------------------------------------- */

static _Atomic(uint64_t) signals;

static void count_signal(int sig)
{
	(void)sig;
	sm_fetch_add_relaxed(&signals, 1);
}

static void *signalled(void *arg)
{
	struct sm_stress_worker *w = arg;
	struct shared *sh = w->shared;
	struct sm_mutator *m = sm_mutator_attach(sh->gc);
	struct sm_rng r;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	timer_t timer;

	SM_MUST(m != NULL);
	sm_rng_seed(&r, sh->s->seed, w->index);
	if (w->index == 0) {
		struct itimerspec every = {{0, 100000}, {0, 100000}};

		SM_MUST(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0);
		SM_MUST(timer_settime(timer, 0, &every, NULL) == 0);
	}
	while (sm_stress_before(sh->until) || (w->index == 0 && sm_load_relaxed(&signals) == 0)) {
		exchange(sh, m, &r);
		if (sm_rng_below(&r, 32) == 0) {
			sm_blocking_enter(m);
			doze(50);
			sm_blocking_leave(m);
		}
	}
	if (w->index == 0)
		timer_delete(timer);
	sm_mutator_detach(m);
	return NULL;
}

/* ---- all ---------------------------------------------------------------------------------- */

static const char *only; /* an argument names one scenario */

static void run(struct sm_stress *s, const char *what, void *(*fn)(void *), unsigned threads,
		double until)
{
	struct shared sh = {.s = s, .until = until};
	struct sm_mutator *m;

	if (only && strstr(what, only) == NULL)
		return;
	sh.gc = sm_stress_gc(s, true, NULL);
	m = sm_mutator_attach(sh.gc);
	SM_MUST(m != NULL);
	sm_graph_types_init(&sh.types, sh.gc, 4);
	sh.deep = sm_deep_table(m, sh.gc, sm_type_pointers(sh.gc, SLOTS), 5000, &sh.slots);
	SM_MUST(sh.deep != NULL);
	/* Each scenario runs, also where a slow machine has used the time up for what is above. */
	if (sh.until < sm_stress_elapsed() + 0.4)
		sh.until = sm_stress_elapsed() + 0.4;
	sm_stress_beside_collector(sh.gc, m, threads, fn, &sh);
	printf("  %s: %llu packages, %llu births\n", what, (unsigned long long)sh.ops,
	       (unsigned long long)sh.births);
	sm_handle_free(m, sh.deep);
	sm_mutator_detach(m);
	sm_stress_end(sh.gc);
	s->seed++;
}

int main(int argc, char **argv)
{
	struct sm_stress s;
	double each;

	only = argc > 1 ? argv[1] : NULL;
	sm_stress_begin(&s, "stress_threads", 12);
	each = s.seconds / 4;
	signal(SIGRTMIN, count_signal);
	run(&s, "storm", stormy, 12, each);
	run(&s, "births and deaths", breeder, 3, 1.7 * each);
	run(&s, "gifts to births", giver, 2, 2.5 * each);
	run(&s, "fork", forker, 3, 3 * each);
	run(&s, "signals", signalled, 4, s.seconds);
	printf("  %llu signals\n", (unsigned long long)signals);
	SM_MUST(signals > 0 || only);
	return 0;
}
