/*
 * handshake.h: asking every mutator to do something at a safepoint, without stopping them together.
 */
#ifndef SM_COLLECTOR_HANDSHAKE_H
#define SM_COLLECTOR_HANDSHAKE_H

#include "collector/mutator/mutator_internal.h"

enum sm_handshake_op {
	SM_HS_NONE,	  /* nothing: every mutator has passed a safepoint since the request */
	SM_HS_BARRIER_ON, /* barrier on */
	SM_HS_BLACK,	  /* windows black, and what is born from here on */
	SM_HS_SCAN,	  /* scan the own stack */
	SM_HS_FLUSH,	  /* hand grey objects over */
	/* barrier off, its buffer forgotten; behind an armed cycle it stays, for slots alone */
	SM_HS_BARRIER_OFF,
	SM_HS_RETIRE, /* give all windows back; new ones are of the new sweep generation */
	/* give all windows back (if gc.mode=stw) and stand still until released */
	SM_HS_STOP,
	/* behind the slices of an armed cycle: barrier off, slots that it noted handed over */
	SM_HS_SLOTS_OFF,
	SM_HS_GENERATIONS, /* stores begin to be remembered, or cease to be */
};

/*
 * What a mutator that attaches now is to be like: the state to which the latest handshake brings
 * all mutators. Under gc->mutators_lock.
 */
struct sm_view {
	uint8_t barrier; /* SM__BARRIER_* */
	bool black;
	bool scan; /* stacks have been or are being scanned: scan your own at once */
	uint32_t black_gen;
};

struct sm_handshake {
	/* under gc->mutators_lock; a mutator that was asked reads op after poll, with acquire */
	_Atomic(uint32_t) op;	 /* enum sm_handshake_op */
	_Atomic(uint32_t) cause; /* as op: enum sm_stall_cause, what a wait for it counts as */
	bool retire;		 /* a stop takes the windows, too */
	bool stopping;		 /* from the request of a stop to its release: no thread attaches */
	struct sm_event resumed;
	/* mutators that have not acknowledged, and 1 for the requester */
	_Atomic(uint32_t) pending;
	_Atomic(uint32_t) sleeping; /* the requester waits in the kernel */
	struct sm_stall_hist rounds;
	_Atomic(uint64_t) late; /* mutators reported for being late */
};

/* Control thread only. Returns when every mutator has done op. */
void sm__handshake(struct sm_gc *gc, enum sm_handshake_op op);
/* All mutators stand still between these, and the control thread may act for each. No mutator
 * attaches or detaches. retire: windows go back (as in SM_HS_RETIRE). cause: why they wait. */
void sm__world_stop(struct sm_gc *gc, bool retire);
void sm__world_stop_for(struct sm_gc *gc, bool retire, enum sm_stall_cause cause);
void sm__world_resume(struct sm_gc *gc);
/*
 * What sm_safepoint_slow, sm_blocking_enter and sm_blocking_leave do, with the registers at sp:
 * spill.S calls them. Each returns how much below sp is to be zeroed.
 */
size_t sm__safepoint(struct sm_mutator *m, uintptr_t *sp);
size_t sm__block(struct sm_mutator *m, uintptr_t *sp);
size_t sm__unblock(struct sm_mutator *m, uintptr_t *sp);
/* Takes a blocked mutator back from the thread that acts for it. */
void sm__become_running(struct sm_mutator *m);

#endif
