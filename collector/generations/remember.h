/*
 * remember.h: the remembered set of gc.generations: where old objects may hold pointers to young
 * ones. There are kinds of it behind one interface, gc.remember:
 *
 *   cards     a store sets the byte of the 128 bytes that its slot lies in    remember_cards.c
 *   objects   a store logs the object that it writes to, once                 remember_objects.c
 *   none      a store does nothing: the kernel tells which pages were written remember_pages.c
 *
 * What they have in common. Call T(n) the moment at which cycle n's BLACK round is over. The set is
 * looked at after it, in each minor cycle: of the places in it, the old objects' words are marked
 * from. Every store that is under way then, or comes later, is one whose mutator has its barrier
 * on. An edge from an old object X to a young one Y was made by a store s, for objects are born
 * zeroed, and initialising stores are stores. Let s come after T(n-1) and before T(n). An object is
 * old after two cycles (generation.h), so an edge counts for two:
 *
 *   In n      the place is in the set, as STORED: n looks at it, if it is minor, and leaves it
 *             behind as SEEN. Y existed at T(n) and lives, so it is marked or was born black: it
 *             has lived through n's sweep.
 *   In n + 1  the place is SEEN, or STORED anew: looked at. Y is marked again, so it is old from
 *             this cycle's sweep on.
 *   After     the edge leads to an old object.
 *
 * X's age does not matter for that, so neither does when X is promoted, nor whether s races with
 * it. Where X has not lived through a sweep when n looks, the place need not become SEEN: X will be
 * old in n + 2 at the earliest, n + 1 marks it as it does all that is young, and so Y is old no
 * later than X. A major cycle marks all that is reachable and needs no set: to n it is as if it had
 * looked at everything.
 *
 * A store that races with the look of cycle n (it comes after T(n)) may be missed by it, and find
 * that its place is SEEN when it is done. What n itself needs of such a store is the marking
 * barrier's affair (barrier.c): Y was reachable at T(n) another way, or is black. And as Y existed
 * before n's sweep, SEEN, which n + 1 looks at, is enough for it. A kind must keep one thing
 * therefore: no look takes from the set what it has not looked at as SEEN, and a store that comes
 * after a place was lowered raises it again. Each argues for that where it stands.
 *
 * An object that moves (generation.h) does so between two cycles, with its age: of the edge from X
 * to Y neither age changes, nor the slot's content but for Y's new address. What changes is the
 * card: those that the copy lies on are set as high as those that X lay on, byte for byte, so that
 * of each slot is no less than it was. The world is stopped at safepoints: no store lies between
 * its card and its slot. The cards that X lay on stay as they are, as they do when an object dies.
 *
 * An old object that is dead, and that no major cycle has found yet, counts as any old one: what it
 * leads to is kept, so its words never lead to memory that is another's.
 *
 * Words that no store wrote are not remembered: a conservative object's integers. They keep nothing
 * alive by right.
 *
 * Who looks. Whoever marks: the control thread, which makes the set ready to be handed out and is
 * done when all is, and what takes an SM_ENTRY_REMEMBERED from a packet, worker or assist. Each
 * takes one part after the other: units of the heap by a cursor (sm__walk_take), or chunks of a log
 * under its lock. So within a cycle a part has one looker, who alone lowers what is in it; the
 * stores that race with it are the mutators', as above. Between cycles:
 *
 *     stores before T(n) --handshake--> control thread: begin --the entry's packet--> looker of n
 *     looker of n --workq.active falls--> control thread: drained --> n's sweep, looker of n + 1
 *
 * A looker counts as active from before it has the entry until it has looked and its marks are
 * queued, so queues that are drained behind sm__remember_look mean that all parts have been looked
 * at. An entry is an invitation and no more: one for which there is no packet is dropped, one that
 * finds nothing left was late; whatever others leave the control thread looks at.
 *
 * An entry is put back before its part is looked at, and packets are emptied from their end: a
 * looker marks what it has found before it takes the next part. A mutator takes a unit at a time,
 * and the loop looks up from its work behind it: an assist has a bound.
 */
#ifndef SM_COLLECTOR_REMEMBER_H
#define SM_COLLECTOR_REMEMBER_H

#include "allocator/base/lock.h"
#include "allocator/pages/span.h"
#include "collector/generations/generation.h"
#include "collector/generations/remember_dirty.h"
#include "spanmark/inline.h"

struct sm_gc;
struct sm_gc_config;
struct sm_marker;
struct sm_mutator;
struct sm_log_chunk;
struct sm_log_block;
struct sm_remember_kind;

/* New objects lie in the holes between old ones, and set the cards of these as well: with 512 bytes
 * a minor cycle of `young-garbage` read half of what is old. */
#define SM_CARD_SHIFT  SM__CARD_SHIFT
#define SM_CARD_BYTES  (1u << SM_CARD_SHIFT)
#define SM_CARD_SEEN   1u
#define SM_CARD_STORED SM__CARD_STORED

/* The map of logged objects: a bit for a word; a word of it is what one entry of a log stands for
 * at most. */
#define SM_LOG_SHIFT	  3
#define SM_LOG_WORD_SHIFT (SM_LOG_SHIFT + 6)
#define SM_LOG_BYTES	  ((uintptr_t)1 << SM_LOG_WORD_SHIFT)

/* The units that the heap had reached when the look began, handed out. */
struct sm_walk {
	struct sm_gen_runs runs; /* control thread, before the look */
	_Atomic(size_t) next;	 /* so many units of all runs have been */
};

struct sm_remember {
	const struct sm_remember_kind *kind; /* fixed after creation; NULL: no generations */
	_Atomic(uint8_t) *cards;	     /* [(addr - base) >> SM_CARD_SHIFT] */
	_Atomic(uint64_t) *logged;	     /* the map; [(addr - base) >> SM_LOG_WORD_SHIFT] */

	struct sm_walk walk;

	struct sm_dirty dirty;
	uint8_t *pages; /* [page]: 0, seen, stored; control thread, and who looks at its unit */
	bool watched;	/* they were protected before: each that is told of was a page fault */
	size_t faults;	/* .. of the last look */

	struct sm_lock lock; /* rank SM_RANK_GC_LOG */
	/* under lock: handed over since a cycle looked last; looked at once; to be used */
	struct sm_log_chunk *fresh, *seen, *free;
	/* .. what this cycle has yet to look at: for the first time, for the second */
	struct sm_log_chunk *first, *second;
	struct sm_log_block *blocks;
	size_t blocks_left; /* that may be mapped; tests set it */
	/* chunks taken since the last trim, and from the one before to that */
	size_t taken[2];
	/* control thread: being filled: of `seen`, between looks of `fresh` */
	struct sm_log_chunk *own;
	_Atomic(uint32_t) lost;	   /* there are bits without an entry */
	_Atomic(size_t) log_bytes; /* of blocks */
};

/* -ENOTSUP: the kind does not serve here; err says why. */
int sm__remember_check(const struct sm_gc_config *cfg, char *err, size_t errlen);
/* As above; and -ENOMEM, of which err says nothing. */
int sm__remember_init(struct sm_gc *gc, char *err, size_t errlen);
void sm__remember_fini(struct sm_gc *gc);
/* What the set's map takes for a unit of the heap. */
size_t sm__remember_unit_bytes(const struct sm_gc *gc);
/* What is to be set in mutators' `barrier`, of SM__BARRIER_*. */
uint8_t sm__remember_barrier(const struct sm_gc *gc);

/* Nothing aged lies in [from, end), places of whole pages of the map of the aged: the memory of
 * what is remembered of it goes back. */
void sm__remember_give_back(struct sm_gc *gc, uintptr_t from, uintptr_t end);
/* Generations are off, no store is remembered any more: the set is empty again. Control thread. */
void sm__remember_drop(struct sm_gc *gc);

/* objects: is the slot's object logged, or the slot no object's? */
SM_INLINE bool sm__remember_logged(const struct sm_range *r, const struct sm_remember *rem,
				   const void *slot)
{
	uintptr_t off = (uintptr_t)slot - r->base;

	return off >= r->bytes || (sm_load_relaxed(&rem->logged[off >> SM_LOG_WORD_SHIFT]) >>
					   (off >> SM_LOG_SHIFT & 63) &
				   1) != 0;
}

/* .. if not: logs it, unless it is young. A pointer is going to be stored in *slot; no safepoint
 * lies in between. */
void sm__remember_log(struct sm_mutator *m, void *slot);
/* The mutator's log, *log, may be looked at by the next cycle; *log is NULL then. By who may act
 * for the mutator: with its stack's scan, and when it detaches. */
void sm__remember_give(struct sm_gc *gc, struct sm_log_chunk **log);

/* gc.generations=auto: what the kind takes of the program: of so many stores, as if cards were set;
 * and ns of CPU time beside stores, since the last minor cycle. Control thread. */
uint64_t sm__remember_stores(const struct sm_gc *gc, uint64_t stores);
double sm__remember_beside_ns(const struct sm_gc *gc);

/* What sm__remember_look() counts, in the plural. */
const char *sm__remember_what(const struct sm_gc *gc);
/* A cycle looks at the set. A minor one marks what the words of old objects in it lead to, and a
 * major one, which passes NULL, nothing. Control thread, after T(n), known to termination unless k
 * is NULL. How many places held old objects, cards, logged objects, pages, is counted by each
 * marker; others may still be looking when it returns. */
void sm__remember_look(struct sm_gc *gc, struct sm_marker *k);
/* k has taken SM_ENTRY_REMEMBERED: looks at one part, if any is left, and puts the entry back. */
void sm__remember_help(struct sm_gc *gc, struct sm_marker *k);

/* An object of so many bytes lies elsewhere now: what is remembered of its words goes with it. The
 * world is stopped, between two cycles. */
void sm__remember_moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes);

/* For the verifier, with the world stopped behind a cycle's marking: will the next cycle look at
 * the slot, of an object? */
bool sm__remember_has(const struct sm_gc *gc, uintptr_t slot);

#endif
