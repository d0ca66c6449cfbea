/*
 * handshake.pml: request and acknowledgement between the control thread and one mutator that runs,
 * reaches safepoints, and enters and leaves blocking sections, in which a proxy acts for it.
 *
 *   requester: op; poll = 1; FENCE; state == BLOCKED? CAS to HELD, look at poll again, act, back
 *   owner:     state = BLOCKED; FENCE; poll? CAS back to RUNNING, act
 *
 * Stores to `poll` (requester) and `state` (owner) go through store buffers of one entry; a fence or a
 * CAS waits until the own buffer is empty. With both fences at least one side sees the other.
 *
 * Safety: never two at the mutator's cache at once; every request acted on exactly once; the mutator's
 * own work never overlaps a proxy's. Liveness, as the absence of an invalid end state: no request is
 * lost (the requester looks once, then sleeps until a mutator has acknowledged).
 *
 * MUTANT: 1 no fence at the owner, 2 none at the requester, 3 the proxy does not look at poll again,
 * 4 leaving a blocking section is a plain store, 5 the proxy takes a blocked mutator without a CAS,
 * 6 the owner acknowledges before it acts, 7 a mutator asked while it blocks does not look again.
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif

#define RUNNING 0
#define BLOCKED 1
#define HELD    2
#define NONE    9

byte state = RUNNING, poll = 0, pending = 0;
byte owner_sb = NONE, request_sb = NONE; /* the stores on their way: state, poll */
byte busy = 0;  /* who acts for the mutator right now */
byte acted = 0; /* times the request at hand was acted on */
bool stop = false;

#define OWNER_FENCE (owner_sb == NONE)
#define REQUEST_FENCE (request_sb == NONE)

active proctype Memory()
{
end:	do
	:: atomic { owner_sb != NONE -> state = owner_sb; owner_sb = NONE }
	:: atomic { request_sb != NONE -> poll = request_sb; request_sb = NONE }
	od
}

/* What the handshake asks for: takes a while, must not overlap anything. */
inline act()
{
	atomic { busy++; assert(busy == 1) };
	atomic { acted++; busy--; assert(acted == 1) }
}

/* poll = 0 after a CAS or in RUNNING: only the one who acts writes it, and the next request follows pending. */
inline acknowledge()
{
	if
	:: poll != 0 ->
#if MUTANT == 6
		atomic { poll = 0; pending-- };
		act()
#else
		act();
		atomic { poll = 0; pending-- }
#endif
	:: else
	fi
}

active proctype Owner()
{
	do
	:: stop -> break
	/* the program: touches its cache while RUNNING */
	:: atomic { !stop -> busy++; assert(busy == 1) }; busy--
	:: acknowledge()
	:: !stop -> /* a blocking section */
		do
		:: atomic { OWNER_FENCE -> owner_sb = BLOCKED }; /* a release store: earlier ones are out */
#if MUTANT != 1
		   OWNER_FENCE;
#endif
#if MUTANT == 7
		   break;
#endif
		   if
		   :: poll == 0 -> break
		   :: else ->
			if
			:: atomic { OWNER_FENCE && state == BLOCKED -> state = RUNNING };
				acknowledge()
			:: atomic { OWNER_FENCE && state != BLOCKED -> break }
			fi
		   fi
		od;
		/* As long as it likes: perhaps until the end of the program. */
		if
		:: true
		:: true -> stop
		fi;
		/* leave */
#if MUTANT == 4
		atomic { OWNER_FENCE; state = RUNNING };
#else
		atomic { OWNER_FENCE && state == BLOCKED -> state = RUNNING };
#endif
		acknowledge()
	od
}

active proctype Requester()
{
	byte n = 0;

	do
	:: n < ROUNDS ->
		atomic { acted = 0; pending = 2 };
		atomic { REQUEST_FENCE -> request_sb = 1 };
#if MUTANT != 2
		REQUEST_FENCE;
#endif
		/* one look at each mutator */
		if
		:: (request_sb == 1 || poll != 0) ->
			if
#if MUTANT == 5
			:: state == BLOCKED -> state = HELD;
#else
			:: atomic { REQUEST_FENCE && state == BLOCKED -> state = HELD };
#endif
#if MUTANT == 3
				act(); atomic { poll = 0; pending-- };
#else
				if
				:: poll != 0 -> act(); atomic { poll = 0; pending-- }
				:: else
				fi;
#endif
				state = BLOCKED
			:: atomic { state != BLOCKED -> skip }
			fi
		:: else
		fi;
		pending--;
		pending == 0;
		assert(acted == 1 && poll == 0);
		n++
	:: else -> break
	od;
	stop = true
}
