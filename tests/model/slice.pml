/*
 * Compaction by slices (collector/compact/armed.h): two mutators load and store, with a barrier that notes
 * slots, beside a marker that notes slots, and slices that stop them and move an object each.
 *
 *   slot 0   of an object that stays             X, first: slot 1 is its pointer, slot 2 is it where
 *   slot 1   X's pointer where X was             X goes
 *   slot 2   X's pointer where X is then         Z, second: no pointers
 *
 * What must hold: behind a slice that moved an object no slot and no register leads to where it was;
 * memory that is no pointer any more is not written.
 *
 * MUTANT: 1 the marker notes nothing; 2 the barrier notes nothing; 3 the barrier goes off with
 * marking; 4 registers do not pin; 5 a safepoint between note and store; 6 a slice ends before all
 * its slots are patched; 7 the marker begins before all barriers are on; 8 slots of what moved are
 * not noted again; 9 a slot is patched whatever its memory is now.
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef OPS
#define OPS 4
#endif

#define NONE  0
#define X_OLD 1
#define X_NEW 2
#define Z_OLD 3
#define Z_NEW 4

#define IS_X(v) ((v) == X_OLD || (v) == X_NEW)

byte slot[3];
bool noted_x[3], noted_z[3];
byte reg[4]; /* two of each mutator */
bool barrier[2], asked[2], parked[2];
bool stopping, moved_x, moved_z;

/* A slot of X, by the address in a register. */
#define FIELD(r) ((r) == X_OLD -> 1 : 2)

inline note(at, value) {
	if
	:: value == X_OLD -> noted_x[at] = true
	:: value == Z_OLD -> noted_z[at] = true
	:: else -> skip
	fi
}

inline check(value) {
	assert(!(moved_x && value == X_OLD) && !(moved_z && value == Z_OLD))
}

inline safepoint(i) {
	if
	:: asked[i] -> atomic { barrier[i] = true; asked[i] = false }
	:: stopping -> parked[i] = true; !stopping; parked[i] = false
	:: else -> skip
	fi
}

inline store(i, at, value) {
	if
	:: barrier[i] && MUTANT != 2 -> note(at, value)
	:: else -> skip
	fi;
	if
	:: MUTANT == 5 -> safepoint(i)
	:: else -> skip
	fi;
	slot[at] = value
}

/* reg[2 * i]: an object; reg[2 * i + 1]: what is stored. */
proctype mutator(byte i) {
	byte n = 0, at, v;

	do
	:: n < OPS ->
		n++;
		if
		:: atomic { reg[2 * i] = slot[0]; check(reg[2 * i]) }
		:: atomic { reg[2 * i + 1] = slot[0]; check(reg[2 * i + 1]) }
		:: IS_X(reg[2 * i]) ->
			atomic { reg[2 * i + 1] = slot[FIELD(reg[2 * i])]; check(reg[2 * i + 1]) }
		:: IS_X(reg[2 * i]) && !IS_X(reg[2 * i + 1]) ->
			at = FIELD(reg[2 * i]);
			v = reg[2 * i + 1];
			store(i, at, v)
		:: v = reg[2 * i + 1];
			/* MUTANT 5: the word is in no register that a stop looks at. */
			if
			:: MUTANT == 5 -> reg[2 * i + 1] = NONE
			:: else -> skip
			fi;
			store(i, 0, v)
		:: atomic { reg[2 * i] = NONE; reg[2 * i + 1] = NONE }
		fi;
		v = NONE;
		safepoint(i)
	:: else -> break
	od;
	/* It ends in a blocking section, where a proxy acts for it. */
	do
	:: asked[i] -> atomic { barrier[i] = true; asked[i] = false }
	:: stopping -> parked[i] = true; !stopping; parked[i] = false
	od
}

inline mark() {
	if
	:: MUTANT != 1 ->
		atomic { note(0, slot[0]) };
		atomic { note(1, slot[1]) }
	:: else -> skip
	fi
}

#define HELD(v) (MUTANT != 4 && (reg[0] == (v) || reg[1] == (v) || reg[2] == (v) || reg[3] == (v)))

inline patch_x(at) {
	if
	:: noted_x[at] && slot[at] == X_OLD -> slot[at] = X_NEW
	:: else -> skip
	fi
}

inline patch_z(at) {
	if
	:: noted_z[at] && slot[at] == Z_OLD -> slot[at] = Z_NEW
	:: else -> skip
	fi
}

inline stop() {
	stopping = true;
	parked[0] && parked[1]
}

inline slice_x() {
	stop();
	d_step {
		if
		:: HELD(X_OLD) -> skip
		:: else ->
			slot[2] = slot[1];
			if
			:: MUTANT != 8 -> note(2, slot[2])
			:: else -> skip
			fi;
			moved_x = true;
			/* The memory is another's, and holds a number that looks like Z's address. */
			slot[1] = Z_OLD
		fi;
		if
		:: moved_x && MUTANT != 6 -> patch_x(0)
		:: else -> skip
		fi
	};
	stopping = false;
	if
	:: MUTANT == 6 && moved_x -> patch_x(0)
	:: else -> skip
	fi
}

inline slice_z() {
	!parked[0] && !parked[1];
	stop();
	d_step {
		if
		:: HELD(Z_OLD) -> skip
		:: else ->
			moved_z = true;
			patch_z(0);
			if
			:: moved_x && MUTANT != 9 -> skip
			:: else -> patch_z(1)
			fi;
			patch_z(2);
			assert(slot[0] != Z_OLD && (moved_x || slot[1] != Z_OLD) && slot[2] != Z_OLD)
		fi;
		assert(!moved_x || slot[1] == Z_OLD)
	};
	stopping = false
}

active proctype control() {
	if
	:: MUTANT == 7 -> mark()
	:: else -> skip
	fi;
	asked[0] = true;
	asked[1] = true;
	!asked[0] && !asked[1];
	if
	:: MUTANT != 7 -> mark()
	:: else -> skip
	fi;
	if
	:: MUTANT == 3 -> barrier[0] = false; barrier[1] = false
	:: else -> skip
	fi;
	slice_x();
	slice_z()
}

init {
	atomic {
		slot[0] = X_OLD;
		slot[1] = Z_OLD;
		run mutator(0);
		run mutator(1)
	}
}
