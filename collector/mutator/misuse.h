/*
 * misuse.h: reports a call that breaks the rules in one line and aborts, in place of a hang, a
 * crash elsewhere or silence.
 *
 * The fast paths check nothing. A mutator that is detached is left such that each of them takes its
 * slow path: no window, a poll, an almost full barrier buffer. The slow paths check.
 */
#ifndef SM_COLLECTOR_MISUSE_H
#define SM_COLLECTOR_MISUSE_H

#include "collector/mutator/mutator_internal.h"

/* "spanmark: CALL: thread TID: ADDRESS: WHAT", and aborts. */
SM_COLD _Noreturn void sm__misuse(const char *call, const void *address, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Says what is wrong with m, for which one of the functions below was false. */
SM_COLD _Noreturn void sm__misuse_mutator(const char *call, const struct sm_mutator *m);

/* m is the calling thread's, attached. */
SM_INLINE bool sm__is_mine(const struct sm_mutator *m)
{
	return SM_LIKELY(m != NULL) && SM_LIKELY(m->priv->owner == &sm__self);
}

/* .. and not in a blocking section. */
SM_INLINE bool sm__may_use(const struct sm_mutator *m)
{
	return sm__is_mine(m) && SM_LIKELY(m->priv->blocking == 0);
}

SM_INLINE void sm__check_owner(const struct sm_mutator *m, const char *call)
{
	if (!sm__is_mine(m))
		sm__misuse_mutator(call, m);
}

SM_INLINE void sm__check_caller(const struct sm_mutator *m, const char *call)
{
	if (!sm__may_use(m))
		sm__misuse_mutator(call, m);
}

/* Sets p->on for sp. */
SM_INLINE void sm__stack_must(struct sm_mutator_priv *p, const char *call, uintptr_t sp)
{
	if (SM_UNLIKELY(!sm__stack_find(p, sp)))
		sm__misuse(call, (void *)sp,
			   "this stack is neither the thread's own nor registered with "
			   "sm_thread_range_add");
}

#endif
