/*
 * decide.pml: the objects that marking has not reached are let go while mutators may still ask a weak reference for one
 * (collector/roots/weak.h).
 *
 * One object, white, in reach of no mutator: two weak references and a finalizer know of it. A worker empties the
 * queue. Two mutators get the object from a weak reference, in steps: it reads the reference, looks at the mark bit, and
 * if that is clear tries the door. What it gets it holds until the cycle ends. The control thread ends marking: calm,
 * a round, shut (one exchange of the word with door, found and those inside); then it clears the references one after the
 * other, takes the finalizer, and if it has one waits for a NONE round, opens the door, marks, and ends marking again.
 *
 * A second object hangs on the first: the thread that marks the first queues it, and scanning marks the second.
 *
 * Safety: an object that a mutator holds is black in the end, and so is what hangs on it; an object that a weak
 * reference handed out is not finalized while it is held; two gets one after the other do not see NULL first and the
 * object then; nothing is queued when marking is over.
 *
 * MUTANT: 1 the door is shut without a look at what was found since the calm, 2 a get that finds the object white
 * answers it without marking, 3 a get in vain at the door answers the object, 4 no NONE round before the door
 * opens again, 5 finalizers are marked before the references are cleared, 6 a get marks before it has entered,
 * 7 finalizers run before their objects are marked.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

bool marked, child_marked, queued;   /* the object's bit, the second object's, and whether the first waits to be scanned */
bool ref[2] = true;                  /* each weak reference: still there */
byte inside;
bool found, shut;
bool asked[2], over;
bool has_finalizer = true, finalized;
bool held[2];                        /* a mutator holds the object, from a reference */

#define DRAINED (!queued && inside == 0)

inline mark_first()
{
	atomic {
		if
		:: !marked -> marked = true; queued = true; news = true
		:: else
		fi
	}
}

/* The worker: takes, scans, gives up. */
active proctype Worker()
{
end:	do
	:: over -> break
	:: atomic { queued -> queued = false; inside++ };
		child_marked = true;
		inside--
	od
}

active [2] proctype Mutator()
{
	byte m = _pid - 1; /* the worker is 0 */
	byte r = 0, gets = 0;
	bool got, news, was_null, in;

end:	do
	:: over -> break
	/* the safepoint */
	:: atomic { asked[m] -> asked[m] = false }
	/* a get */
	:: !over && gets < 2 ->
		gets++;
		got = false;
		news = false;
		if
		:: r = 0
		:: r = 1
		fi;
		if
		:: !ref[r] -> skip
		:: ref[r] ->
			if
			:: marked -> got = true
			:: !marked ->
#if MUTANT == 2
				got = true
#elif MUTANT == 6
				mark_first();
				got = true;
				atomic { in = !shut; if :: in -> inside++ :: else fi };
				if :: in -> atomic { found = found || news; inside-- } :: else fi
#else
				atomic { in = !shut; if :: in -> inside++ :: else fi };
				if
				:: in ->
					mark_first();
					got = true;
					atomic { found = found || news; inside-- }
				:: else ->
#if MUTANT == 3
					got = true
#else
					skip
#endif
				fi
#endif
			fi
		fi;
		if
		:: got ->
			held[m] = true;
			assert(!finalized);
			assert(!was_null)
		:: else -> was_null = true
		fi
	od
}

inline round()
{
	atomic { asked[0] = true; asked[1] = true };
	!asked[0] && !asked[1]
}

inline terminate()
{
	ended = false;
	do
	:: ended -> break
	:: else ->
		/* calm */
		atomic { DRAINED -> found = false };
		round();
		DRAINED;
		atomic {
			if
#if MUTANT == 1
			:: true -> shut = true; ended = true
#else
			:: DRAINED && !found -> shut = true; ended = true
			:: else
#endif
			fi
		}
	od
}

active proctype Control()
{
	bool ended, news, taken;

	terminate();
#if MUTANT == 5
	atomic { if :: !marked && has_finalizer -> taken = true; marked = true; queued = true :: else fi };
#endif
	if :: ref[0] && !marked -> ref[0] = false :: else fi;
	if :: ref[1] && !marked -> ref[1] = false :: else fi;
	if :: !marked && has_finalizer -> taken = true :: else fi;
	if
	:: taken ->
#if MUTANT == 7
		finalized = true;
		assert(marked);
#endif
#if MUTANT != 4
		round();
#endif
		atomic { inside++; shut = false };
		mark_first();
		inside--;
		atomic { finalized = true; assert(!held[0] && !held[1]) };
		terminate()
	:: else
	fi;
	/* barrier off */
	round();
	atomic {
		assert(!queued && inside == 0);
		assert((!held[0] && !held[1]) || (marked && child_marked));
		assert(!finalized || child_marked);
		over = true
	}
}
