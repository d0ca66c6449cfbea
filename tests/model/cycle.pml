/*
 * cycle.pml: one collection cycle after another beside two mutators, over three objects in two spans,
 * with explicit store buffers.
 *
 *   OFF -> barrier on -> windows blackened, born black from here -> own stack scanned -> mark
 *       -> termination rounds -> barrier off, buffers discarded -> sweepgen flips
 *       -> windows retired, born white from here -> sweep -> OFF
 *
 * Each arrow that all mutators take part in is a handshake: each acknowledges on its own, and acts
 * under its old view until then.
 *
 * Memory. A mutator's stores to slots go into its store buffer and reach memory later: in order
 * (MEM 1: TSO), or in any order but per slot (MEM 2: PSO, the weaker one). MEM 0: the mutator waits
 * for each store, which still leaves a gap between reading a slot's old value and writing it. A
 * release store or an acknowledgement waits until the buffer is empty. A load sees the thread's own
 * buffered stores first. The collector reads memory only.
 *
 * Slots. Objects 0 and 1 lie in span 0, object 2 in span 1. A slot is free, part of a mutator's
 * window, or an object; its one word keeps the old value until a window is zeroed (through the store
 * buffer too). A span is owned by a mutator while it has a window there.
 *
 * Safety, as assertions: no reachable object is swept; a mutator never holds a pointer to anything
 * but an object; marking follows no edge to a free slot; a span gains no object by sweeping; no mark
 * bit is left when the next cycle starts.
 *
 * MUTANT n plants one bug (run.sh lists them). OPS0/OPS1 limit what each mutator does, so that several
 * small runs cover what one big run could not.
 */
#ifndef MEM
#define MEM 1
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef OPS0
#define OPS0 (LOAD | STORE | ALLOC | WALK)
#endif
#ifndef OPS1
#define OPS1 (LOAD | STORE | ALLOC | WALK)
#endif
#ifndef CYCLES
#define CYCLES 1
#endif
/* Where black allocation begins. 0: in a round of its own, between barrier on and scan. The other two
 * designs are wrong, and refuted: 1, with the barrier; 2 with NO_BLACK_ROUND, with the scan. */
#ifndef BLACK_AT
#define BLACK_AT 0
#endif

#define LOAD  1 /* value = base->word */
#define STORE 2 /* base->word = value */
#define ALLOC 4 /* value = new object; base = value; lazy sweeping */
#define WALK  8 /* base = base->word */
#define OPS(m) ((m -> OPS1 : OPS0))

#define NIL  3
#define BIT(o) (1 << (o))
#define SPAN(o) ((o) >> 1)

#define FREE 0
#define OBJ  1
#define WIN(m) (2 + (m))

#define HS_BARRIER_ON 1
#define HS_BLACK      2
#define HS_SCAN       3
#define HS_FLUSH      4
#define HS_OFF        5
#define HS_RETIRE     6

/* memory */
byte word[3];     /* the one pointer slot of each object */
byte kind[3];     /* FREE, OBJ, WIN(m) */
byte mark;        /* bit o: slot o is marked */
byte wq;          /* bit o: o is grey in the collector's queue */
bool spangen[2];  /* the sweep generation of each span (parity) */
byte owner[2];    /* 0: none, 1 + m */
bool sweepgen;    /* the heap's sweep generation (parity) */

/* handshake */
byte request;     /* HS_*, 0: none */
byte acked;       /* bit m */
bool found;       /* work turned up in this termination round */

/* each mutator's own */
byte root0[2], root1[2]; /* its stack: a base and a value */
bool barrier[2], black[2], gen[2];
byte buf[2];      /* barrier buffer, a set */
byte sb_slot[4], sb_val[4]; /* store buffers, two entries each: [2m] is the older; slot NIL: empty */

byte reach[2], seen = NIL;
byte i; /* scratch, 0 between steps */

/* ---- memory model ---- */
#define SB_EMPTY(m) (sb_slot[2 * (m)] == NIL)
#define SB_FULL(m) (sb_slot[2 * (m) + 1] != NIL)

inline sb_put(m, s, v)
{
	if
	:: SB_EMPTY(m) -> sb_slot[2 * m] = s; sb_val[2 * m] = v
	:: else -> assert(!SB_FULL(m)); sb_slot[2 * m + 1] = s; sb_val[2 * m + 1] = v
	fi
}
inline sb_drain_old(m)
{
	word[sb_slot[2 * m]] = sb_val[2 * m];
	sb_slot[2 * m] = sb_slot[2 * m + 1]; sb_val[2 * m] = sb_val[2 * m + 1];
	sb_slot[2 * m + 1] = NIL; sb_val[2 * m + 1] = 0;
	if :: SB_EMPTY(m) -> sb_val[2 * m] = 0 :: else fi
}
inline sb_drain_young(m)
{
	word[sb_slot[2 * m + 1]] = sb_val[2 * m + 1];
	sb_slot[2 * m + 1] = NIL; sb_val[2 * m + 1] = 0
}
/* What m sees in slot s. */
#define SEEN(m, s)                                                                                   \
	(sb_slot[2 * (m) + 1] == (s) -> sb_val[2 * (m) + 1] :                                          \
	 (sb_slot[2 * (m)] == (s) -> sb_val[2 * (m)] : word[s]))

/* A release store or a store of the sequentially consistent model may start. */
#if MEM == 2
#if MUTANT == 10 /* slots published by plain stores */
#define CAN_STORE(m) (!SB_FULL(m))
#else
#define CAN_STORE(m) SB_EMPTY(m)
#endif
#else
#define CAN_STORE(m) (!SB_FULL(m))
#endif
#if MEM == 0
#define GO(m) SB_EMPTY(m)
#else
#define GO(m) true
#endif
/* An acknowledgement is a release store; MUTANT 11 leaves its fence out (TSO still drains in order,
 * which acknowledging "from the store buffer" would show; PSO does not). */
#if MUTANT == 11
#define CAN_ACK(m) true
#else
#define CAN_ACK(m) SB_EMPTY(m)
#endif

/* ---- marking ---- */
inline shade(o)
{
	if
	:: o != NIL && (mark & BIT(o)) == 0 -> mark = mark | BIT(o); wq = wq | BIT(o)
	:: else
	fi
}
/* The barrier's record: unmarked objects only, into the mutator's own buffer. */
inline record(m, o)
{
	if
	:: o != NIL && (mark & BIT(o)) == 0 -> buf[m] = buf[m] | BIT(o)
	:: else
	fi
}
inline flush(m)
{
	mark = mark | buf[m]; wq = wq | buf[m]; buf[m] = 0
}

/*
 * What each mutator can reach in its own view of memory. A store that is still on its way becomes
 * visible to a mutator that reaches that slot; what it leads to counts in the view of the mutator that
 * stored it, whose older stores arrive first.
 */
#define PENDING(e, s) (sb_slot[e] == (s) && ((reach[0] | reach[1]) & BIT(s)) != 0 && sb_val[e] != NIL)
inline follow(m, s)
{
	seen = SEEN(m, s);
	if :: (reach[m] & BIT(s)) != 0 && seen != NIL -> reach[m] = reach[m] | BIT(seen) :: else fi
}
inline compute_reach()
{
	reach[0] = (root0[0] == NIL -> 0 : BIT(root0[0])) | (root1[0] == NIL -> 0 : BIT(root1[0]));
	reach[1] = (root0[1] == NIL -> 0 : BIT(root0[1])) | (root1[1] == NIL -> 0 : BIT(root1[1]));
	i = 0;
	do
	:: i < 9 ->
		if :: PENDING(0, i % 3) -> reach[0] = reach[0] | BIT(sb_val[0]) :: else fi;
		if :: PENDING(1, i % 3) -> reach[0] = reach[0] | BIT(sb_val[1]) :: else fi;
		if :: PENDING(2, i % 3) -> reach[1] = reach[1] | BIT(sb_val[2]) :: else fi;
		if :: PENDING(3, i % 3) -> reach[1] = reach[1] | BIT(sb_val[3]) :: else fi;
		follow(0, i % 3);
		follow(1, i % 3);
		i++
	:: else -> break
	od;
	i = 0; seen = NIL
}

/* ---- sweeping: marks become the allocation bits ---- */
inline sweep_slot(o)
{
	if
	:: kind[o] == OBJ && (mark & BIT(o)) == 0 ->
		assert(((reach[0] | reach[1]) & BIT(o)) == 0);
		kind[o] = FREE
	:: kind[o] == FREE -> assert((mark & BIT(o)) == 0)
	:: else
	fi;
#if MUTANT != 14 /* stale mark bits */
	mark = mark & (7 - BIT(o))
#endif
}
inline sweep_span(s)
{
	compute_reach();
	if
	:: s == 0 -> sweep_slot(0); sweep_slot(1)
	:: else -> sweep_slot(2)
	fi;
	reach[0] = 0; reach[1] = 0;
	spangen[s] = sweepgen
}

/* ---- what a mutator does at a handshake (or its proxy, see handshake.pml) ---- */
inline blacken_windows(m)
{
	if :: kind[0] == WIN(m) -> mark = mark | 1 :: else fi;
	if :: kind[1] == WIN(m) -> mark = mark | 2 :: else fi;
	if :: kind[2] == WIN(m) -> mark = mark | 4 :: else fi
}
inline retire_slot(m, o)
{
	if
	:: kind[o] == WIN(m) ->
		kind[o] = FREE;
#if MUTANT != 13 /* a retired window's slots stay black */
		mark = mark & (7 - BIT(o))
#endif
	:: else
	fi
}
inline retire(m)
{
	retire_slot(m, 0); retire_slot(m, 1); retire_slot(m, 2);
	if :: owner[0] == 1 + m -> owner[0] = 0 :: else fi;
	if :: owner[1] == 1 + m -> owner[1] = 0 :: else fi;
}
inline scan_stack(m)
{
#if MUTANT == 12 /* the second stack is not scanned */
	if
	:: m == 0 -> shade(root0[m]); shade(root1[m])
	:: else
	fi;
#else
	shade(root0[m]); shade(root1[m]);
#endif
	/* A stale word: whatever it points at is marked when its allocation bit is set. */
	if
	:: true
	:: kind[2] != FREE -> shade(2)
	fi
}
inline answer(m)
{
	if
	:: request == HS_BARRIER_ON ->
		barrier[m] = 1;
#if BLACK_AT == 1
		black[m] = 1; blacken_windows(m)
#endif
	:: request == HS_SCAN ->
#if MUTANT == 5 /* on late: the barrier comes with the scan */
		barrier[m] = 1;
#endif
		scan_stack(m);
#if BLACK_AT == 2
		black[m] = 1; blacken_windows(m)
#endif
	:: request == HS_BLACK ->
#if MUTANT != 6 && BLACK_AT == 0 /* born white */
		black[m] = 1; blacken_windows(m)
#endif
	:: request == HS_FLUSH ->
#if MUTANT == 3 /* a mutator's buffer is dropped */
		buf[m] = 0;
#endif
#if MUTANT == 4 /* barrier off early: in the round that may still find work */
		barrier[m] = 0;
#endif
		if
		:: buf[m] != 0 -> found = 1; flush(m)
		:: else
		fi
	:: request == HS_OFF -> barrier[m] = 0; buf[m] = 0
	:: request == HS_RETIRE -> retire(m); black[m] = 0; gen[m] = sweepgen
	fi;
	acked = acked | BIT(m)
}

/* ---- the mutator ---- */
inline do_store(m, v)
{
	if
	:: barrier[m] ->
#if MUTANT != 1 /* no deletion shade */
		old = SEEN(m, root0[m]);
		record(m, old); old = NIL;
#endif
#if MUTANT != 2 /* no insertion shade */
		record(m, v);
#endif
	:: else
	fi;
	sb_put(m, root0[m], v)
}
#define HAS_WIN(m) (kind[0] == WIN(m) || kind[1] == WIN(m) || kind[2] == WIN(m))
/* The generation by which m judges a span. */
#if MUTANT == 15 /* the heap's instead of its own view */
#define VIEW(m) sweepgen
#else
#define VIEW(m) gen[m]
#endif
#define MAY_TAKE(m, o)                                                                               \
	(kind[o] == FREE && spangen[SPAN(o)] == VIEW(m) && (owner[SPAN(o)] == 0 || owner[SPAN(o)] == 1 + m))

inline take(m, o)
{
	owner[SPAN(o)] = 1 + m;
	kind[o] = WIN(m);
	if :: black[m] -> mark = mark | BIT(o) :: else fi;
#if MUTANT != 16 /* window not zeroed */
	sb_put(m, o, NIL)
#endif
}
inline born(m, o)
{
	kind[o] = OBJ; root1[m] = o
}

proctype Mutator(byte m)
{
	byte old = NIL;

end:	do
	/* memory catches up */
	:: atomic { !SB_EMPTY(m) -> sb_drain_old(m) }
#if MEM == 2
	:: atomic { SB_FULL(m) && sb_slot[2 * m] != sb_slot[2 * m + 1] -> sb_drain_young(m) }
#endif
	/* the program */
	:: atomic {
		GO(m) && (OPS(m) & LOAD) && root0[m] != NIL && SEEN(m, root0[m]) != root1[m] ->
		root1[m] = SEEN(m, root0[m]);
		assert(root1[m] == NIL || kind[root1[m]] == OBJ)
	   }
	:: atomic {
		GO(m) && (OPS(m) & WALK) && root0[m] != NIL && SEEN(m, root0[m]) != NIL && SEEN(m, root0[m]) != root0[m] ->
		root0[m] = SEEN(m, root0[m]);
		assert(kind[root0[m]] == OBJ)
	   }
	:: atomic { (OPS(m) & ALLOC) && root1[m] != NIL && root0[m] != root1[m] -> root0[m] = root1[m] }
	:: atomic { root1[m] != NIL -> root1[m] = NIL }
	:: atomic {
		GO(m) && (OPS(m) & STORE) && root0[m] != NIL && CAN_STORE(m) && SEEN(m, root0[m]) != root1[m] ->
		assert(kind[root0[m]] == OBJ);
		do_store(m, root1[m])
	   }
	:: atomic {
		GO(m) && (OPS(m) & ALLOC) && !HAS_WIN(m) && CAN_STORE(m) &&
		(MAY_TAKE(m, 0) || MAY_TAKE(m, 1) || MAY_TAKE(m, 2)) ->
		if
		:: MAY_TAKE(m, 0) -> take(m, 0)
		:: MAY_TAKE(m, 1) -> take(m, 1)
		:: MAY_TAKE(m, 2) -> take(m, 2)
		fi
	   }
	:: atomic {
		GO(m) && (OPS(m) & ALLOC) && HAS_WIN(m) ->
		if
		:: kind[0] == WIN(m) -> born(m, 0)
		:: kind[1] == WIN(m) -> born(m, 1)
		:: kind[2] == WIN(m) -> born(m, 2)
		fi
	   }
	/* A full barrier buffer is handed over at once: a mutator turns grey work over on its own. */
	:: atomic {
		request != 0 && buf[m] != 0 -> flush(m);
#if MUTANT != 7 /* premature end: only what handshakes flush counts as found */
		found = 1
#endif
	   }
	/* the safepoint */
	:: atomic { request != 0 && (acked & BIT(m)) == 0 && CAN_ACK(m) -> answer(m) }
	/* lazy sweeping under the new view */
	:: d_step { gen[m] == sweepgen && spangen[0] != gen[m] && owner[0] == 0 && (OPS(m) & ALLOC) -> sweep_span(0) }
	:: d_step { gen[m] == sweepgen && spangen[1] != gen[m] && owner[1] == 0 && (OPS(m) & ALLOC) -> sweep_span(1) }
	od
}

/* ---- the collector ---- */
inline scan(o)
{
	wq = wq & (7 - BIT(o));
	found = 1;
	val = word[o];
	if
	:: val != NIL ->
		assert(kind[val] != FREE);
		shade(val)
	:: else
	fi;
	val = NIL
}
inline mark_one()
{
	atomic {
		if
		:: wq & 1 -> scan(0)
		:: wq & 2 -> scan(1)
		:: wq & 4 -> scan(2)
		fi
	}
}
#define ALL (acked == 3)
inline handshake(h)
{
	atomic { acked = 0; request = h };
	atomic { ALL -> request = 0; acked = 0 }
}

proctype Collector()
{
	byte val = NIL;
	byte cycles = 0;

	do
	:: cycles < CYCLES ->
		assert(mark == 0 && wq == 0);
#if MUTANT != 5
		handshake(HS_BARRIER_ON);
#endif
#ifndef NO_BLACK_ROUND
		handshake(HS_BLACK);
#endif
		/* Marking may begin while the second mutator has not been scanned yet. */
		atomic { acked = 0; request = HS_SCAN };
		do
		:: wq != 0 -> mark_one()
		:: atomic { ALL -> request = 0; acked = 0; break }
		od;
#if MUTANT != 9 /* premature end: no termination round at all */
		do
		:: wq != 0 -> mark_one()
		:: atomic { wq == 0 -> found = 0; acked = 0; request = HS_FLUSH };
			do
			:: wq != 0 -> mark_one()
			:: atomic { ALL -> request = 0; acked = 0; break }
			od;
			if
			:: atomic { !found && wq == 0 -> break }
			:: else
			fi
		od;
#endif
		found = 0;
		handshake(HS_OFF);
		d_step { wq = 0; sweepgen = !sweepgen };
		handshake(HS_RETIRE);
		d_step { if :: spangen[0] != sweepgen && owner[0] == 0 -> sweep_span(0) :: spangen[0] == sweepgen fi };
#if MUTANT != 17 /* the next cycle starts before everything is swept */
		d_step { if :: spangen[1] != sweepgen && owner[1] == 0 -> sweep_span(1) :: spangen[1] == sweepgen fi };
#endif
		cycles++
	:: else -> break
	od;
	assert(mark == 0)
}

init
{
	atomic {
		do
		:: i < 4 -> sb_slot[i] = NIL; i++
		:: else -> break
		od;
		/* 0 -> 1; what else there is depends on whether slots are to be allocated. */
		word[0] = 1; kind[0] = OBJ;
		word[1] = NIL; kind[1] = OBJ;
#ifdef PREBUILT
		word[1] = 2;
		word[2] = NIL; kind[2] = OBJ;
#else
		word[2] = 0; kind[2] = FREE; /* stale contents of an earlier life */
#endif
		root0[0] = 0; root0[1] = 0; root1[0] = NIL; root1[1] = NIL;
		i = 0;
		run Mutator(0); run Mutator(1); run Collector()
	}
}
