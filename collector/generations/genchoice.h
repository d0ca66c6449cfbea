/*
 * genchoice.h: gc.generations=auto: do generations pay? Pure arithmetic, of what was measured.
 *
 * A cycle costs CPU time and buys room: what the program may allocate until the next one is due
 * (goal - live, pacer.h). So for each byte of room
 *
 *   without   marked of the last major cycles / room behind them
 *   with      (a major cycle + the minor ones since) / (the room behind each of these) + stores
 *
 * where a cycle's cost is the CPU time of all that marked, and of the walk over cards, and with
 * gc.remember=none of the page faults by which the kernel learnt what it tells; what every cycle
 * costs alike, handshakes and sweeping, does not count: where hardly anything is alive it is most
 * of a cycle, and noise. Generations pay where `with` is less than 0.98 of `without`.
 *
 *   stores    what setting cards costs the program, for each byte that it allocates: stores of
 *             pointers for each byte, as counted while cycles mark (they take the slow path then,
 *             whether generations are on or off), times 2 ns (`make bench-generations`; with
 *             gc.remember=objects 2.6 times that, with none nothing: `make bench-remember`); and
 *             at least a 50th of the program's own CPU time, for it is not counted in gc.mode=stw,
 *             nor what the cards' cache lines displace
 *
 * It begins with generations off: what they may save is known from major cycles alone, and where
 * stores would cost more than half of it they are never tried. Where they might pay they are tried
 * once the heap is warm, and not while it grows by most of what is allocated: what is built first
 * stays, which tells nothing of later. A try ends when the pacer wants a major cycle, or after 6
 * minor ones, unless they pay by then; and from there on each time that a major cycle is due they
 * must have paid since the last one, or they are off; the 64th minor cycle in a row is followed by
 * a major one, so that it is known what they save. Each try in vain doubles the number of cycles
 * to the next, and makes it large enough that what the try lost is a 50th of what they cost. A
 * heap twice as large as at the last decision, or half, is another one: it is tried soon.
 */
#ifndef SM_COLLECTOR_GENCHOICE_H
#define SM_COLLECTOR_GENCHOICE_H

#include "allocator/base/base.h"

/* Cycles to the first try; then between two tries, at first and at most. */
#define SM_GEN_WARM  4u
#define SM_GEN_FIRST 16u
#define SM_GEN_MOST  2048u

/* Written by the control thread. */
struct sm_gen_choice {
	bool on;
	bool held;	/* testing: nothing is decided */
	double without; /* ns for a byte of room; 0: not yet known */
	double with;	/* likewise, of the last major cycle and the minor ones since */
	double stores;	/* ns for a byte allocated */
	/* sums in which each cycle counts half of the next: stores and the bytes allocated
	 * meanwhile; the program's ns, and the bytes allocated since the cycle before */
	double counted, born, program_ns, grown;
	/* from the last major cycle on */
	double major_ns, ns, room;
	unsigned minors;
	bool paid;	 /* it was found so since they went on */
	unsigned wait;	 /* major cycles until the next try */
	unsigned pause;	 /* .. and how many it will be after the one to come */
	size_t live;	 /* when it was last decided */
	unsigned warmed; /* cycles, up to SM_GEN_WARM */
};

/* What a cycle turned out to be. */
struct sm_gen_cycle {
	bool minor, next_minor; /* it was; the pacer means the next to be */
	bool grows;		/* most of what is new stays, as far as the last major one tells */
	double ns;		/* CPU time that it took */
	double program_ns;	/* .. and that the program took since the last one; 0: unknown */
	size_t live, room;	/* marked by the last major one; behind this one */
	size_t grown;		/* allocated since the last one */
	uint64_t stores;	/* of pointers, while it marked */
	size_t born;		/* allocated meanwhile */
};

/* What major cycles cost has not been seen for long: the next is to be one. */
bool sm__gen_is_stale(const struct sm_gen_choice *choice);
/* A cycle has ended: choice->on tells what the next is to be. */
void sm__gen_learn(struct sm_gen_choice *choice, const struct sm_gen_cycle *cycle);

#endif
