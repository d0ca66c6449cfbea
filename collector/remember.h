/*
 * remember.h: the remembered set of gc.generations: where old objects may hold pointers to young
 * ones.
 *
 * Cards: one byte for 128 bytes of the heap's range. A store of a pointer into an object sets the
 * byte of its slot to CARD_STORED, whatever the age of the object and of what it points to: no test
 * but that the slot is no root's. A minor cycle looks, card by card, at the objects in those that
 * are set, the old ones, and there at the words that lie in the card: of a large array 16 words.
 *
 * A card counts for two minor cycles, because an object is old after two (generation.h):
 *
 *     store        minor cycle        minor cycle
 *       -> STORED ------------> SEEN ------------> 0      a store meanwhile: STORED again
 *                    looked at          looked at
 *
 * Why every edge from an old object X to a young one Y is on a card that is set when a minor cycle
 * looks. Call T(n) the moment at which cycle n's BLACK round is over: cards are looked at after it,
 * and every store that is under way then, or comes later, is one whose mutator has its barrier on.
 * The edge was made by a store s, for objects are born zeroed, and initialising stores are stores.
 * Let s come after T(n-1) and before T(n).
 *   In n      the card is STORED: n looks at it, if it is minor, and leaves SEEN behind. Y existed
 *             at T(n) and lives, so it is marked or was born black: it has lived through n's sweep.
 *   In n + 1  the card is SEEN or STORED: looked at. Y is marked again, so it is old from this
 *             cycle's sweep on.
 *   After     the edge leads to an old object.
 * A major cycle marks all that is reachable and looks at no card, nor does it change one: a card
 * may count for longer, never for less. X's age is not asked for, so it does not matter when X is
 * promoted, nor whether s races with that.
 *
 * A store that races with the look of cycle n (it comes after T(n)) may find its STORED changed to
 * SEEN, or, the other way round, its card cleared before it sets it. Cleared or lowered by an
 * exchange from the value that was read, the byte is never lowered twice for one look; a store
 * before the exchange had a Y that existed before n's sweep, so SEEN, which n + 1 looks at, is
 * enough for it; where the exchange finds SEEN and clears it, and the store set STORED in between,
 * the exchange fails. What n itself needs of such a store is the marking barrier's affair
 * (barrier.c): Y was reachable at T(n) another way, or is black.
 *
 * Where no object of a card has lived through a sweep, the card is cleared at once: X will be old
 * in n + 2 at the earliest, and Y as well.
 *
 * An old object that is dead, and that no major cycle has found yet, counts as any old one: what it
 * leads to is kept, so its words never lead to memory that is another's.
 *
 * Words that no store wrote are not remembered: a conservative object's integers. They keep nothing
 * alive by right.
 */
#ifndef SM_COLLECTOR_REMEMBER_H
#define SM_COLLECTOR_REMEMBER_H

#include "allocator/base/atomic.h"
#include "allocator/pages/span.h"

struct sm_gc;
struct sm_marker;

/* New objects lie in the holes between old ones, and set the cards of these as well: with 512 bytes
 * a minor cycle of `young-garbage` read half of what is old. */
#define SM_CARD_SHIFT  7
#define SM_CARD_BYTES  (1u << SM_CARD_SHIFT)
#define SM_CARD_SEEN   1u
#define SM_CARD_STORED 2u

struct sm_remember {
	_Atomic(uint8_t) *cards; /* [(addr - base) >> SM_CARD_SHIFT]; NULL: no generations */
};

/* -ENOMEM. */
int sm__remember_init(struct sm_gc *gc);
void sm__remember_fini(struct sm_gc *gc);

/* A pointer is stored in *slot. Relaxed: the handshakes order it. */
SM_INLINE void sm__remember_slot(const struct sm_range *r, const struct sm_remember *rem,
				 const void *slot)
{
	uintptr_t off = (uintptr_t)slot - r->base;

	if (SM_LIKELY(off < r->bytes))
		sm_store_relaxed(&rem->cards[off >> SM_CARD_SHIFT], SM_CARD_STORED);
}

/* Marks what the words of old objects on set cards lead to, and ages the cards. Control thread,
 * after T(n), known to termination. Returns how many cards held old objects. */
uint64_t sm__remember_mark(struct sm_gc *gc, struct sm_marker *k);

/* For the verifier: is the card of the slot set? */
bool sm__remember_has(const struct sm_gc *gc, uintptr_t slot);

#endif
