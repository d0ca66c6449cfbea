/*
 * terminate.pml: the end of marking with several markers at once: a dedicated worker; a mutator that assists, flushes
 * its barrier buffer when it is full, and dies while the round is on; a thread that attaches; one that is not attached
 * and removes a root; and a slot of a conservative object that holds an integer.
 *
 * Grey objects are tokens: in the shared queue, held by a marker, or in a mutator's buffer. Scanning
 * a token may produce more, up to a budget. A mutator comes by a new token (a white object that it
 * loaded and shaded), a young thread's stack and an outsider's root hold one, only while grey work exists somewhere from
 * which it can be reached: the invariant of the snapshot. When there is none, whatever they hold that looks white is dead.
 *
 *   terminator: drained (no packet, no thread inside)? then `found` is cleared, in the same moment; a round in which each
 *   mutator flushes; still drained, and nothing found? then the door is shut, in the same moment: the end
 *
 * A thread that marks from outside the queues enters by the door: inside it counts as active; what it finds it leaves in
 * `found` before it goes. Found shut, it marks nothing.
 *
 * OUTSIDER and YOUNG: with each of these two, which make the model larger.
 *
 * Safety: when the door is shut no token is left anywhere, and none comes to be afterwards.
 *
 * MUTANT: 1 a full buffer handed over does not count as found, 2 a worker takes before it enters, 3 a marker leaves
 * before it gives back what it holds, 4 a dying mutator's buffer is dropped, 5 the round's flush drops the buffer,
 * 6 queue and active are read one after the other, queue first, 7 found is cleared after the queues were seen drained,
 * 8 an outsider marks without entering, 9 a young thread scans though the door is shut (a dead word becomes grey),
 * 10 a full buffer is marked though the door is shut (an integer that looks like a dead object), 11 a young thread scans
 * without entering, 12 what was found is left behind after the door.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

#define MUTATORS 2
#define BUDGET 2

byte queue = 1, active_markers = 0, budget = BUDGET;
bool found = false, shut = false;
byte hand[5];            /* worker, assisting mutator, flushing mutators' own, outsider, young */
byte buffer[MUTATORS] = 1;
bool asked[MUTATORS], alive[MUTATORS] = true;
byte unanswered = 0;

#define GREY (queue + hand[0] + hand[1] + hand[2] + hand[3] + hand[4] + buffer[0] + buffer[1])

inline enter() { active_markers++ }
inline leave() { active_markers-- }

/* The door. */
inline enter_open(in)
{
	atomic { if :: !shut -> active_markers++; in = true :: else -> in = false fi }
}
inline leave_open(f)
{
#if MUTANT == 12
	atomic { active_markers-- };
	if :: f -> found = true :: else fi
#else
	if :: f -> found = true :: else fi;
	atomic { active_markers-- }
#endif
}

/* Takes one, scans it, which may turn up more; gives back what it holds. h: whose hands. */
inline scan(h)
{
	do
	:: atomic { hand[h] > 0 && hand[h] < 3 && budget > 0 -> budget--; hand[h]++ }
	:: atomic { hand[h] > 0 -> hand[h]-- }
	:: atomic { hand[h] > 1 -> hand[h]--; queue++ }
	:: hand[h] == 0 -> break
	od
}

active proctype Worker()
{
end:	do
	:: shut && queue == 0 -> break
	:: queue > 0 ->
#if MUTANT == 2
		if
		:: atomic { queue > 0 -> queue--; hand[0]++ }
		:: queue == 0
		fi;
		enter();
#else
		enter();
		if
		:: atomic { queue > 0 -> queue--; hand[0]++ }
		:: queue == 0
		fi;
#endif
#if MUTANT == 3
		leave();
		scan(0)
#else
		scan(0);
		leave()
#endif
	od
}

/* Marked one after the other, then given, then said. */
inline flush(m)
{
	enter_open(in);
	if
	:: in ->
		atomic { something = buffer[m] > 0; queue = queue + buffer[m]; buffer[m] = 0 };
#if MUTANT == 1
		something = false;
#endif
		leave_open(something);
		something = false
	:: else ->
		/* Shut: all that was recorded is black, or looks like a dead object. */
#if MUTANT == 10
		queue = queue + stale;
#endif
		buffer[m] = 0
	fi;
	in = false
}

active [MUTATORS] proctype Mutator()
{
	byte m = _pid - 1; /* the worker is 0 */
	bool in = false, something = false;
	byte stale = 1; /* an integer in a slot of a conservative object */

end:	do
	:: shut ->
		/* The barrier is on for a while yet: a buffer may run full. */
		if
		:: flush(m)
		:: true
		fi;
		break
	/* shades something white that grey work leads to */
	:: atomic { !shut && GREY > 0 && budget > 0 && buffer[m] < 2 -> budget--; buffer[m]++ }
	/* the buffer is full: handed over outside any round */
	:: buffer[m] > 0 && !shut -> flush(m)
	/* an assist */
	:: m == 0 && queue > 0 ->
		enter();
		if
		:: atomic { queue > 0 -> queue--; hand[1]++ }
		:: queue == 0
		fi;
		scan(1);
		leave()
	/* the round */
	:: asked[m] ->
#if MUTANT == 5
		buffer[m] = 0;
#endif
		flush(m);
		atomic { asked[m] = false; unanswered-- }
	/* the thread ends */
	:: atomic { m == 1 && !shut -> skip };
#if MUTANT == 4
		buffer[m] = 0;
#endif
		flush(m);
		atomic { alive[m] = false; if :: asked[m] -> asked[m] = false; unanswered-- :: else fi };
		break
	od
}

/*
 * Marks what its root or its stack holds: something white if grey work leads there, else nothing that lives; `dead` when the
 * door is shut and it looks white all the same. Hands h.
 */
inline mark_from_outside(h, counted, looks)
{
	if
	:: counted -> enter_open(in)
	:: else -> in = true
	fi;
	if
	:: in ->
		if
		:: atomic { !shut && GREY > 0 && budget > 0 -> budget--; hand[h]++; something = true }
		/* what is recorded in a buffer, which will be found marked when that is flushed */
		:: atomic { !shut && buffer[0] > 0 -> buffer[0]--; hand[h]++; something = true }
		:: true
		fi;
		/* It holds what it claimed, for a while. */
		atomic { queue = queue + hand[h]; hand[h] = 0 };
		if
		:: counted -> leave_open(something)
		:: else -> if :: something -> found = true :: else fi
		fi
	:: else ->
#if MUTANT == 9
		if :: looks -> queue++ :: else fi
#else
		skip
#endif
	fi;
	in = false
}

#ifdef OUTSIDER
active proctype Outsider()
{
	bool in = false, something = false;

#if MUTANT == 8
	mark_from_outside(3, false, false)
#else
	mark_from_outside(3, true, false)
#endif
}
#endif

#ifdef YOUNG
active proctype Young()
{
	bool in = false, something = false;

#if MUTANT == 11
	mark_from_outside(4, false, true)
#else
	mark_from_outside(4, true, true)
#endif
}
#endif

/* Drained: then found is forgotten. */
inline calm(result)
{
#if MUTANT == 6
	result = (queue == 0);
	atomic { result = result && (active_markers == 0); if :: result -> found = false :: else fi }
#elif MUTANT == 7
	atomic { result = (queue == 0 && active_markers == 0) };
	found = false
#else
	atomic { result = (queue == 0 && active_markers == 0); if :: result -> found = false :: else fi }
#endif
}

/* Drained and nothing found: then the door is shut. */
inline try_shut(result)
{
	atomic { result = (queue == 0 && active_markers == 0 && !found); if :: result -> shut = true :: else fi }
}

active proctype Terminator()
{
	bool drained = false;

	do
	:: calm(drained);
		if
		:: drained ->
			atomic {
				unanswered = 0;
				if :: alive[0] -> asked[0] = true; unanswered++ :: else fi;
				if :: alive[1] -> asked[1] = true; unanswered++ :: else fi
			};
			unanswered == 0;
			try_shut(drained);
			if
			:: drained -> break
			:: else
			fi
		:: else
		fi
	od;
	assert(GREY == 0)
}

/* What is grey when all is over would be scanned in the next cycle. */
active proctype Next()
{
	(shut && active_markers == 0) -> assert(GREY == 0)
}
