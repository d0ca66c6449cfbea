/*
 * span.pml: marking by span (collector/span/markspan.c): two markers mark the objects of one unit, in any order, and take the
 * unit from the queue whenever it is there.
 *
 * Of a marked object its marker does one of three things: (a) a read-modify-write of the unit's byte; (b) it reads the
 * byte, behind a fence, and is content if that says MANY, else (a); (c) it claims the object itself, and scans it, or
 * the other way round. Who finds the unit unowned queues it, with the object as its representative. At its turn the
 * unit is disowned, then claimed: the representative alone if the byte said ONE, else all that is marked and not yet
 * in scans.
 *
 * Safety: when both are done and the queue is empty, each object was scanned, and claimed once, which counts it; and
 * nobody owns the unit.
 *
 * MUTANT: 1 the byte is cleared behind the claim, 2 (b) is content with ONE too, 3 (b) without its fence: the byte is
 * read before the mark is seen, 4 scans is read and written apart, 5 the byte is read and written apart where the unit
 * is queued, 6 a claim that leaves some does not queue the unit again, 7 a unit found with MANY claims its
 * representative alone, 8 (c) scans without a claim.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

#define OBJECTS 3
#define MARKERS 2

#define UNOWNED 0
#define ONE 1
#define MANY 3

byte owned = UNOWNED, done = 0;
bool marks[OBJECTS], scans[OBJECTS];
bool scanned[OBJECTS];
byte claimed[OBJECTS];
chan queue = [4] of { byte };

/* (a) */
inline post(i)
{
#if MUTANT == 5
	was = owned;
	owned = (was == UNOWNED -> ONE : MANY);
#else
	atomic { was = owned; owned = (was == UNOWNED -> ONE : owned) };
	if
	:: was == UNOWNED
	:: else -> atomic { was = owned; owned = MANY }
	fi;
#endif
	if
	:: was == UNOWNED -> queue ! i
	:: else
	fi;
	was = 0
}

inline claim(i)
{
#if MUTANT == 4
	won = !scans[i];
	scans[i] = true;
#else
	atomic { won = !scans[i]; scans[i] = true };
#endif
	if
	:: won -> claimed[i]++; scanned[i] = true
	:: else
	fi;
	won = false
}

inline mark(i)
{
#if MUTANT == 3
	seen = owned;
#endif
	atomic { won = !marks[i]; marks[i] = true };
	if
	:: won -> post(i)
	:: won ->
#if MUTANT != 3
		seen = owned;
#endif
		if
		:: seen == MANY
#if MUTANT == 2
		:: seen == ONE
#endif
		:: else -> post(i)
		fi;
		seen = 0
	:: won ->
#if MUTANT == 8
		scanned[i] = true
#else
		if
		:: scanned[i] = true
		:: skip
		fi;
		claim(i)
#endif
	:: else
	fi;
	won = false
}

/* The unit's turn. */
inline take()
{
#if MUTANT == 1
	was = owned;
#else
	atomic { was = owned; owned = UNOWNED };
#endif
	if
#if MUTANT == 7
	:: was != UNOWNED -> claim(rep)
#else
	:: was == ONE -> claim(rep)
	:: else ->
		k = 0;
		do
		:: k < OBJECTS ->
			if
			:: marks[k] -> claim(k)
			:: else
			fi;
			k++
		:: k > 0 && k < OBJECTS -> /* enough for now: the rest waits on */
#if MUTANT != 6
			atomic { was = owned; owned = MANY };
			if
			:: was == UNOWNED -> queue ! rep
			:: else
			fi;
#endif
			break
		:: k == OBJECTS -> break
		od
#endif
	fi;
#if MUTANT == 1
	owned = UNOWNED;
#endif
	was = 0; k = 0; rep = 0
}

active [MARKERS] proctype Marker()
{
	byte was = 0, seen = 0, rep = 0, k = 0, i = 0;
	bool won = false, tried[OBJECTS];

	do
	:: i < OBJECTS ->
		/* Any that it has not tried, or a turn between. */
		if
		:: !tried[0] -> tried[0] = true; i++; mark(0)
		:: !tried[1] -> tried[1] = true; i++; mark(1)
		:: !tried[2] -> tried[2] = true; i++; mark(2)
		:: queue ? rep -> take()
		fi
	:: i == OBJECTS -> break
	od;
	done++;
	do
	:: atomic { queue ? rep -> done-- }; take(); done++
	:: atomic { done == MARKERS && empty(queue) -> break }
	od;
	assert(scanned[0] && scanned[1] && scanned[2] && owned == UNOWNED);
	assert(claimed[0] == 1 && claimed[1] == 1 && claimed[2] == 1)
}
