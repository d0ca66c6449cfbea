/*
 * inline.h: what a thread that uses the collected heap carries with it. Public only because the
 * inline functions of gc.h read it; use the functions.
 */
#ifndef SM_COLLECTOR_MUTATOR_H
#define SM_COLLECTOR_MUTATOR_H

#include "allocator/objects/cache.h"

struct sm_gc;
struct sm_mutator_priv;

struct sm_mutator {
	/* Written by the handshake's requester and by signals, read by the owner: a handshake is pending. */
	_Atomic(uint32_t) poll;
	/* Owner thread only (or the proxy that holds it while it is blocked): barrier on. */
	bool barrier;
	/* Owner: barrier buffer, filled from buf_next to buf_end, then handed over. */
	void **buf_next, **buf_end;
	struct sm_gc *gc;
	struct sm_mutator_priv *priv; /* the collector's own, mutator_priv.h */
	struct sm_cache cache;
};

#endif
