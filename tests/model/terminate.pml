/*
 * terminate.pml: the end of marking with several markers at once: a dedicated worker, and a mutator
 * that assists, flushes its barrier buffer when it is full, and dies while the round is on.
 *
 * Grey objects are tokens: in the shared queue, in a marker's hands, or in a mutator's buffer. Scanning
 * a token may produce more, up to a budget. A mutator comes by a new token (a white object that it
 * loaded and shaded) only while grey work exists somewhere from which it can be reached: the invariant
 * of the snapshot.
 *
 *   terminator: remember found; queues drained (no packet, no active marker)? a round in which each
 *   mutator flushes; found unchanged and still drained: the end
 *
 * Safety: at the end no token is left anywhere.
 *
 * MUTANT: 1 a full buffer handed over does not count as found, 2 a worker takes before it enters
 * (`active`), 3 a marker leaves before it gives back what it holds, 4 a dying mutator's buffer is dropped,
 * 5 the round's flush drops the buffer, 6 queue and active are read one after the other, queue first,
 * 7 found is remembered after the queues were seen drained: what a flush brought in between is missed.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

#define MUTATORS 2
#define BUDGET 2

byte queue = 1, active_markers = 0, found = 0, budget = BUDGET;
byte hand[3];            /* worker, two assisting mutators */
byte buffer[MUTATORS] = 1;
bool asked[MUTATORS], alive[MUTATORS] = true;
byte unanswered = 0;
bool over = false;

#define GREY (queue + hand[0] + hand[1] + hand[2] + buffer[0] + buffer[1])

inline enter() { active_markers++ }
inline leave() { active_markers-- }

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
	:: over -> break
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

inline flush(m)
{
	atomic { queue = queue + buffer[m]; buffer[m] = 0 }
}

active [MUTATORS] proctype Mutator()
{
	byte m = _pid - 1; /* the worker is 0 */

end:	do
	:: over -> break
	/* shades something white that grey work leads to */
	:: atomic { !over && GREY > 0 && budget > 0 && buffer[m] < 2 -> budget--; buffer[m]++ }
	/* the buffer is full: handed over outside any round; marked first, then counted, then this mutator may go on */
	:: buffer[m] > 0 ->
		flush(m);
#if MUTANT != 1
		found++
#endif
	/* an assist; what it found counts, too */
	:: m == 0 && queue > 0 ->
		enter();
		if
		:: atomic { queue > 0 -> queue--; hand[1 + m]++ }
		:: queue == 0
		fi;
		scan(1 + m);
		leave();
		found++
	/* the round */
	:: asked[m] ->
#if MUTANT == 5
		buffer[m] = 0;
#endif
		if
		:: buffer[m] > 0 -> flush(m); found++
		:: buffer[m] == 0
		fi;
		atomic { asked[m] = false; unanswered-- }
	/* the thread ends */
	:: atomic { m == 1 && !over -> skip };
#if MUTANT == 4
		buffer[m] = 0;
#endif
		if
		:: buffer[m] > 0 -> flush(m); found++
		:: buffer[m] == 0
		fi;
		atomic { alive[m] = false; if :: asked[m] -> asked[m] = false; unanswered-- :: else fi };
		break
	od
}

inline look(result)
{
#if MUTANT == 6
	result = (queue == 0);
	result = result && (active_markers == 0)
#else
	atomic { result = (queue == 0 && active_markers == 0) } /* one word holds both */
#endif
}

active proctype Terminator()
{
	byte before;
	bool drained;

	do
	::
#if MUTANT == 7
		look(drained);
		before = found;
#else
		before = found;
		look(drained);
#endif
		if
		:: drained ->
			atomic {
				unanswered = 0;
				if :: alive[0] -> asked[0] = true; unanswered++ :: else fi;
				if :: alive[1] -> asked[1] = true; unanswered++ :: else fi
			};
			unanswered == 0; /* no second look at the queues: what came to them since counts in found */
			if
			:: found == before -> break
			:: else
			fi
		:: else
		fi
	od;
	atomic { assert(GREY == 0); over = true }
}
