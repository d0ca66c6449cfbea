/*
 * step.h: a cycle, stopped between its handshakes. The test's one mutator does not acknowledge, so
 * the control thread waits; what the mutator does then happens in that very moment, every time.
 *
 * Pointers that nothing but a certain place may hold are kept disguised (~p) everywhere else.
 */
#ifndef SM_TESTS_SUPPORT_STEP_H
#define SM_TESTS_SUPPORT_STEP_H

#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"

/* Acknowledges what comes until a cycle has asked for op, which it leaves pending. */
static inline void step_until(struct sm_mutator *m, enum sm_handshake_op op)
{
	for (;;) {
		if (sm_load_acquire(sm__poll(m)) == 0) {
			sm_cpu_relax();
			continue;
		}
		/* Stable while we have not acknowledged. */
		if (sm_load_relaxed(&m->gc->hs.op) == (uint32_t)op)
			return;
		sm_safepoint(m);
	}
}

/* Acknowledges that one, too. */
static inline void step_past(struct sm_mutator *m, enum sm_handshake_op op)
{
	step_until(m, op);
	sm_safepoint(m);
}

/* A new object of `type`, its third word 0xfeed; *w, if given, is a weak reference to it. */
static __attribute__((noinline, unused)) uintptr_t
step_hidden(struct sm_mutator *m, const struct sm_type *type, struct sm_weak **w)
{
	uintptr_t *p = sm_new(m, type);

	p[2] = 0xfeed;
	if (w)
		*w = sm_weak_new(m, p);
	return ~(uintptr_t)p;
}

static __attribute__((noinline, unused)) void step_link(struct sm_mutator *m, void **slot,
							uintptr_t hidden)
{
	sm_store(m, slot, (void *)~hidden);
}

/* The same where the object that is written to is disguised. */
static __attribute__((noinline, unused)) void step_link_in(struct sm_mutator *m, uintptr_t object,
							   unsigned word, uintptr_t hidden)
{
	sm_store(m, (void **)~object + word, (void *)~hidden);
}

static __attribute__((noinline, unused)) bool step_alive(struct sm_mutator *m, struct sm_weak *w)
{
	return sm_weak_get(m, w) != NULL;
}

#endif
