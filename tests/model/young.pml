/*
 * young.pml: the remembered set of gc.generations, beside mutators that store while objects grow old
 * (collector/generations/remember.h, generation.h).
 *
 * An object X, always in reach, has one slot and one card. NY objects are born one after the other; a mutator holds at
 * most one of them on its stack, stores it into X's slot, loads it back, drops it. The collector runs CYCLES cycles, each
 * minor or major: barrier on, BLACK (born black), SCAN (stacks), then X itself if it is white, and its card if it is set
 * and X is old; in any order with what the mutators do. A flush of what the barrier recorded, barrier off; then the sweep:
 * what has no mark is freed, aged' = mark, mark' = mark and aged; RETIRE (born white) after it.
 *
 * A store is its parts: what the barrier records, the card, the slot; and a card is lowered as its state asks for.
 * Handshakes are asked for together, and each mutator answers between two of its operations.
 *
 * MOVE: behind a cycle objects may move. The world is stopped; X goes to the other of two places, each of which has a card,
 * and the new place's is raised to the old one's; the young keep their bits.
 *
 * Safety: nothing that X's slot, a stack leads to is freed; and when a cycle begins, an old X that leads to a young object
 * has its card set.
 *
 * MUTANT: 1 a store sets no card, 2 a card counts for one cycle, 3 a card that was seen is cleared by a plain store, 4 only a store
 * into an old X sets the card, 5 the card is looked at before the barrier is on, 6 a major cycle clears the card. MOVE: 7 the
 * card stays behind, 8 it counts for one cycle more, 9 what moves is young again, 10 the world goes on while X moves.
 * OLD: X is old when it begins.
 *
 * LOG: gc.remember=objects (collector/generations/remember_objects.c). A store looks at X's bit, then at its mark and at its age, sets
 * the bit, and logs X; logs are handed over with the scan; each cycle clears the bit and looks, and the next one looks
 * again. The sweep of X is two steps. MUTANT: 11 logs are not handed over with the scan, 12 a logged object counts for one
 * cycle, 13 an object with its mark gone is young, 14 a major cycle drops what is logged, 15 X's mark goes before it is
 * aged.
 *
 * PAGES: gc.remember=none (collector/generations/remember_pages.c). The kernel knows of a store in the step in which it happens. A minor
 * cycle takes and forgets that in one step, then looks; with TWO in two, and mutators stand still. MUTANT: 16 a page counts
 * for one cycle, 17 mutators do not stand still.
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef CYCLES
#define CYCLES 3
#endif
#ifndef NY
#define NY 2
#endif
#ifndef NM
#define NM 2
#endif

#define NONE 0 /* no object; X is not numbered */

byte slot;                                     /* of X */
byte card[2];                                  /* by place: 0, 1 seen, 2 stored */
byte place = 0;                                /* where X is */
bool stopped = false;
#ifdef OLD
bool xmark = true, xaged = true;
#else
bool xmark, xaged;
#endif
bool born[NY + 1], freed[NY + 1], mark[NY + 1], aged[NY + 1];
byte stack[NM];
bool barrier[NM], black[NM], scanned[NM];
bool logged, mylog[NM], fresh, seenlog;         /* LOG: X's bit; X is in these */
bool written;                                  /* PAGES */
bool rec[NY + 1];                              /* in some buffer */
byte op;                                       /* what is asked for: 1 on, 2 black, 3 scan, 4 off, 5 retire, 6 stop */
bool asked[NM];
bool over;
byte next = 1;                                 /* of the objects, that to be born */

inline shade(o) { if :: o != NONE -> mark[o] = true :: else fi }
inline record(o) { if :: o != NONE -> rec[o] = true :: else fi }

inline answer()
{
	atomic {
		asked[me] ->
		if
		:: op == 1 -> barrier[me] = true; scanned[me] = false
		:: op == 2 -> black[me] = true
		:: op == 3 -> shade(stack[me]); scanned[me] = true;
#if defined(LOG) && MUTANT != 11
			fresh = fresh || mylog[me]; mylog[me] = false
#endif
		:: op == 4 -> barrier[me] = false
		:: op == 5 -> black[me] = false
		:: op == 0 || op == 6 -> skip
		fi;
		asked[me] = false;
		!stopped
	}
}

/* Before the slot is written. */
inline remember()
{
#if defined(LOG)
	if
	:: logged
	:: else ->
		old = xmark;
#if MUTANT == 13
		if :: !old
#else
		if :: !old && !xaged
#endif
		:: else -> atomic { if :: !logged -> logged = true; old = 2 :: else fi };
			if :: old == 2 -> mylog[me] = true :: else fi
		fi
	fi;
	old = 0
#elif defined(PAGES) || MUTANT == 1
	skip
#elif MUTANT == 4
	if :: xmark && xaged -> card[at] = 2 :: else fi
#else
	card[at] = 2
#endif
}

active [NM] proctype Mutator()
{
	byte me = _pid, old, at;

end:	do
	:: over -> break
	:: answer()
	:: atomic { !over && next <= NY && stack[me] == NONE ->
		born[next] = true; mark[next] = black[me]; stack[me] = next; next++ }
	:: !over && stack[me] != NONE ->
		/* sm_store(&X->slot, stack[me]) */
		at = place;
		if
		:: barrier[me] -> old = slot; record(old); if :: !scanned[me] -> record(stack[me]) :: else fi
		:: else
		fi;
		remember();
		atomic {
			slot = stack[me];
#if defined(PAGES)
			written = true;
#endif
		}
		stack[me] = NONE;
		at = 0
	:: atomic { !over && stack[me] == NONE && slot != NONE -> stack[me] = slot; assert(!freed[stack[me]]) }
	:: !over && slot != NONE ->
		/* sm_store(&X->slot, NULL): no card */
		if
		:: barrier[me] -> old = slot; record(old)
		:: else
		fi;
		slot = NONE
	:: atomic { stack[me] != NONE -> stack[me] = NONE }
	od
}

inline handshake(what)
{
#if NM == 1
	atomic { op = what; asked[0] = true };
	!asked[0]
#else
	atomic { op = what; asked[0] = true; asked[1] = true };
	!asked[0] && !asked[1]
#endif
}

/* What is recorded is marked. (Objects have no slots of their own.) */
inline flush()
{
	d_step {
		o = 1;
		do
		:: o <= NY -> mark[o] = mark[o] || rec[o]; rec[o] = false; o++
		:: else -> break
		od;
		o = 0
	}
}

inline look_at_card()
{
	seen = card[place];
	if
	:: seen != 0 && xmark && xaged ->
		atomic { o = slot; shade(o); o = 0 }
	:: else
	fi;
	if
	:: seen == 0 -> skip
	:: else ->
#if MUTANT == 2
		seen = 1; /* as if it were the second time */
		atomic { if :: card[place] != 0 -> card[place] = 0 :: else fi }
#else
		/* X has not lived through a sweep; or it was stored into; or it was seen */
		if
		:: !xaged -> card[place] = 0
		:: xaged && seen == 2 -> card[place] = 1
#if MUTANT == 3
		:: else -> card[place] = 0
#else
		:: else -> atomic { if :: card[place] == 1 -> card[place] = 0 :: else fi }
#endif
		fi
#endif
	fi
}

#if defined(LOG)
inline look_at_set()
{
	atomic { seen = seenlog; seenlog = false };
	if
	:: minor && seen && xmark && xaged -> atomic { o = slot; shade(o); o = 0 }
	:: else
	fi;
	atomic { seen = fresh; fresh = false };
	if
	:: seen ->
		logged = false;
		if
		:: minor && xmark && xaged -> atomic { o = slot; shade(o); o = 0 }
		:: else
		fi;
#if MUTANT == 14
		seenlog = xaged && minor
#elif MUTANT != 12
		seenlog = xaged
#endif
	:: else
	fi;
	seen = 0
}
#elif defined(PAGES)
inline look_at_page()
{
	if
	:: card[0] != 0 && xmark && xaged -> atomic { o = slot; shade(o); o = 0 }
	:: else
	fi
}

inline take_page()
{
#if !defined(TWO)
	atomic { if :: written -> card[0] = 2; written = false :: else fi };
#elif MUTANT == 17
	if :: written -> card[0] = 2 :: else fi;
	written = false;
#else
	d_step { if :: written -> card[0] = 2 :: else fi; written = false };
#endif
}

inline look_at_set()
{
	if
	:: minor ->
		take_page();
		look_at_page();
#if MUTANT == 16
		card[0] = 0
#else
		card[0] = (card[0] == 2 && xaged -> 1 : 0)
#endif
	:: else
	fi
}
#else
inline look_at_set()
{
	if :: minor -> look_at_card() :: else fi
}
#endif

/* All else has ended: one step. */
inline sweep()
{
	d_step {
		o = 1;
		do
		:: o <= NY ->
			if
			:: born[o] && !freed[o] && !mark[o] ->
				freed[o] = true;
				assert(slot != o && stack[0] != o && stack[NM - 1] != o)
			:: else
			fi;
			seen = mark[o];
			mark[o] = mark[o] && aged[o];
			aged[o] = seen;
			o++
		:: else -> break
		od;
#if !defined(LOG)
		seen = xmark;
		xmark = xmark && xaged;
		xaged = seen;
#endif
		o = 0;
		seen = 0
	}
#if defined(LOG)
	seen = xaged;
#if MUTANT == 15
	o = xmark;
	xmark = xmark && seen;
	xaged = o;
#else
	xaged = xmark;
	xmark = xmark && seen;
#endif
	seen = 0;
	o = 0;
#endif
}

/* X to the other place; a slot that leads to a young one is as before, but for the address. */
inline move()
{
#if MUTANT != 10
	stopped = true;
	handshake(6);
#endif
	d_step {
#if MUTANT == 8
		seen = (card[place] != 0 -> 1 : 0);
#elif MUTANT != 7
		seen = card[place];
#endif
		place = 1 - place;
		card[place] = (seen > card[place] -> seen : card[place]);
		seen = 0;
#if MUTANT == 9
		o = 1;
		do
		:: o <= NY -> mark[o] = false; aged[o] = false; o++
		:: else -> break
		od;
		o = 0;
#endif
	}
	stopped = false
}

active proctype Collector()
{
	byte n = 0, seen = 0, o = 0;
	bool minor;

	do
	:: n == CYCLES -> break
	:: else ->
		n++;
		if
		:: minor = true
		:: minor = false; d_step { xmark = false; o = 1; do :: o <= NY -> mark[o] = false; o++ :: else -> break od; o = 0 }
		fi;
#if MUTANT == 5
		if :: minor -> look_at_card() :: else fi;
#endif
		handshake(1);
		handshake(2);
		handshake(3);
#if MUTANT != 5
		look_at_set();
#endif
#if MUTANT == 6
		if :: minor :: else -> card[place] = 0 fi;
#endif
		/* X is a root's: scanned if it is white. */
		if
		:: !xmark -> xmark = true; atomic { o = slot; shade(o); o = 0 }
		:: else
		fi;
		/* The round that found nothing: what is recorded then is black. */
		handshake(0);
		flush();
		handshake(4);
		flush();
		sweep();
		handshake(5);
#ifdef MOVE
		if :: skip :: move() fi
#endif
	od;
	over = true
}
