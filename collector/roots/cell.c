/* cell.c: cells of a table: taking one, giving it back, finding those in use. */
#include "collector/roots/cell.h"

#include <errno.h>
#include <string.h>

#include "allocator/os/os.h"
#include "collector/mutator/misuse.h"

/* ---- numbers and places ------------------------------------------------------------------- */

struct sm_cell *sm__cell_at(struct sm_cells *t, uint64_t number)
{
	unsigned s = sm__cells_segment(number - 1);

	/* Acquire: a thread that finds a segment finds it mapped; a number that was handed out has
	 * one. */
	return (struct sm_cell *)(sm_load_acquire(&t->segment[s]) +
				  (number - 1 - sm__cells_before_segment(s)) * t->bytes);
}

/* The number of the cell at p; 0: there is none, or it was never taken. The last segment holds half
 * of all. */
uint64_t sm__cell_number(struct sm_cells *t, const void *p)
{
	uint64_t made = sm__cells_made(t);

	for (unsigned s = made ? sm__cells_segment(made - 1) + 1 : 0; s-- > 0;) {
		char *base = sm_load_acquire(&t->segment[s]);
		uintptr_t off = (uintptr_t)p - (uintptr_t)base;

		if (base == NULL || (uintptr_t)p < (uintptr_t)base ||
		    off >= sm__cells_of_segment(s) * t->bytes)
			continue;
		if (off % t->bytes != 0 || sm__cells_before_segment(s) + off / t->bytes >= made)
			return 0;
		return sm__cells_before_segment(s) + off / t->bytes + 1;
	}
	return 0;
}

/* ---- life of the table -------------------------------------------------------------------- */

void sm__cells_init(struct sm_cells *t, size_t bytes, const char *what)
{
	memset(t, 0, sizeof(*t));
	t->bytes = (uint32_t)bytes;
	t->what = what;
}

void sm__cells_fini(struct sm_cells *t)
{
	for (unsigned s = 0; s < SM_CELLS_SEGMENTS; s++) {
		char *base = sm_load_relaxed(&t->segment[s]);

		if (base)
			sm__os_unmap(base, sm__cells_of_segment(s) * t->bytes);
	}
}

/* Several may make the same segment: the first one's stays. */
static bool grow_segment(struct sm_cells *t, unsigned segment)
{
	size_t bytes = sm__cells_of_segment(segment) * t->bytes;
	char *none = NULL, *made;

	if (segment >= SM_CELLS_SEGMENTS) {
		errno = ENOMEM;
		return false;
	}
	made = sm__os_map(bytes);
	if (made == NULL)
		return false;
	if (!sm_cas_acqrel(&t->segment[segment], &none, made))
		sm__os_unmap(made, bytes);
	return true;
}

/* ---- take and give ------------------------------------------------------------------------ */

static struct sm_cell *take_free(struct sm_cells *t)
{
	uint64_t head = sm_load_acquire(&t->free), below;
	struct sm_cell *c;

	do {
		if ((uint32_t)head == 0)
			return NULL;
		c = sm__cell_at(t, (uint32_t)head);
		/* If another took c meanwhile this is its mark, or anything; the exchange fails
		 * then. */
		below = (uint32_t)(sm_load_relaxed(&c->link) >> 1);
	} while (!sm_cas_weak_acqrel(&t->free, &head, ((head >> 32) + 1) << 32 | below));
	return c;
}

static struct sm_cell *take_fresh(struct sm_cells *t)
{
	uint64_t made = sm_load_acquire(&t->made);

	for (;;) {
		unsigned s = sm__cells_segment(made);

		if ((s >= SM_CELLS_SEGMENTS || sm_load_acquire(&t->segment[s]) == NULL) &&
		    !grow_segment(t, s))
			return NULL;
		/* Release, with what grow did: a number below `made` has its segment. */
		if (sm_cas_weak_acqrel(&t->made, &made, made + 1))
			return sm__cell_at(t, made + 1);
	}
}

struct sm_cell *sm__cell_take(struct sm_cells *t)
{
	struct sm_cell *c = take_free(t);

	if (c == NULL)
		c = take_fresh(t);
	return c;
}

static SM_COLD _Noreturn void misused(struct sm_cells *t, const void *c, const char *call)
{
	sm__misuse(call, c, "not %s in use: %s", t->what,
		   sm__cell_number(t, c) ? "it was freed before" : "never made");
}

bool sm__cell_in_use(struct sm_cells *t, const void *c)
{
	return sm__cell_number(t, c) != 0 && sm__cell_is_used((struct sm_cell *)(uintptr_t)c);
}

void sm__cell_must_be_used(struct sm_cells *t, const void *c, const char *call)
{
	if (SM_UNLIKELY(!sm__cell_in_use(t, c)))
		misused(t, c, call);
}

void sm__cell_give(struct sm_cells *t, struct sm_cell *c, const char *call)
{
	uint64_t number = sm__cell_number(t, c), used = SM_CELL_USED, head;

	/* Of two that give it at once one finds it in use. */
	if (number == 0 || !sm_cas_acqrel(&c->link, &used, 0))
		misused(t, c, call);
	head = sm_load_relaxed(&t->free);
	do
		sm_store_relaxed(&c->link, (uint64_t)(uint32_t)head << 1);
	while (!sm_cas_weak_acqrel(&t->free, &head, ((head >> 32) + 1) << 32 | number));
}
