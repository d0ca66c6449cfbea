/*
 * moment_caller.h: for the table of moments (test_moments_table.c): who calls, what each finds
 * prepared, and pairs of objects that show whether they are whole.
 */
#ifndef SM_TESTS_SUPPORT_MOMENT_CALLER_H
#define SM_TESTS_SUPPORT_MOMENT_CALLER_H

#include <unistd.h>

#include "tests/support/moment.h"

/*
 * late: attached, and the one that has not acknowledged what the cycle waits for. acked: attached,
 * and has; another holds the cycle. born: attaches in this moment, dead words on its stack. dying:
 * detaches right after. blocked, outsider: without a mutator that runs. No kind for signal
 * handlers: gc.h allows them no call.
 */
#define CALLERS(X) \
	X(late) X(acked) X(born) X(dying) X(coroutine) X(finalizer) X(blocked) X(outsider)
enum caller_kind {
#define X(name) name,
	CALLERS(X)
#undef X
		NCALLERS
};
static const char *const caller_name[] = {
#define X(name) #name,
	CALLERS(X)
#undef X
};

#define K(kind) (1u << (kind))
#define RUNNING (K(late) | K(acked) | K(born) | K(dying) | K(coroutine) | K(finalizer))
#define ANY	(RUNNING | K(blocked) | K(outsider))
#define NOT_RUN (K(blocked) | K(outsider))
#define WAITING (1u << 31) /* for the cycle itself */

struct caller {
	struct sm_mutator *m;			/* NULL: none that runs */
	struct sm_mutator *own;			/* that of one that is blocked, too */
	void *volatile *mine, *volatile *taken; /* on the caller's stack */
	void **place;
	struct sm_weak *weak;
	struct sm_handle *handle, *made;
	struct sm_ephemeron *ephemeron, *made_ephemeron;
	/* not 0: (*taken)[1] is an object, and so many bytes into it is a word that leads to a pair
	 */
	size_t inner;
};

/* ---- pairs -------------------------------------------------------------------------------- */

#define PARENT 0x1111feedu
#define CHILD  0x2222feedu

static int fd;

/* An object with a child that it alone leads to. Disguised. */
static __attribute__((noinline)) uintptr_t pair(struct sm_mutator *own)
{
	void *volatile child = sm_new(own, node);
	uintptr_t *p;

	((uintptr_t *)child)[2] = CHILD;
	p = sm_new(own, node);
	p[2] = PARENT;
	sm_store(own, (void **)p, child);
	return ~(uintptr_t)p;
}

static bool whole(const void *p)
{
	const uintptr_t *w = p;

	return w == NULL || (w[2] == PARENT && w[0] != 0 && ((const uintptr_t *)w[0])[2] == CHILD);
}

/* What each cell finds prepared. */
static void *range[4], *old_range[4], *own_range[4], *old_own_range[4];
static void *file;
static int null_fd;
static _Atomic(int) owned, disposed; /* contexts of finalizers */
static _Atomic(int) events[2];	     /* of cycles, by enum sm_cycle_event */
static bool end_is_due;		     /* of the cycle in which the call was made */

static void note(void *ctx, struct sm_mutator *own, void *object)
{
	(void)ctx;
	(void)own;
	if (!whole(object))
		ck_abort_msg("what is finalized is damaged");
}

static uintptr_t cell_dead(void); /* disguised */

#endif
