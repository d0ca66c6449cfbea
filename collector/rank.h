/*
 * rank.h: the collector's locks, in the order in which they may be taken (see allocator/base/lock.h).
 */
#ifndef SM_COLLECTOR_RANK_H
#define SM_COLLECTOR_RANK_H

enum sm_gc_lock_rank {
	SM_RANK_GC_CONTROL = 10,  /* gc->control_lock: requests for cycles */
	SM_RANK_GC_MUTATORS = 20, /* gc->mutators_lock: the list, the view, the handshake's request */
	SM_RANK_GC_SPECIALS = 30, /* weak references and finalizers */
	SM_RANK_GC_ROOTS = 40,	  /* registered ranges, handles */
	SM_RANK_GC_TYPES = 45,	  /* the table of types (takes the heap's bins lock) */
	SM_RANK_GC_QUEUE = 60,	  /* one node's packets */
	SM_RANK_GC_PACKETS = 64,  /* free packets */
	SM_RANK_GC_STALLS = 70,	  /* figures of mutators that are gone */
};

#endif
