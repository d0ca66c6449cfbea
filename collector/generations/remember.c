/* remember.c: which kind of remembered set there is. */
#include "collector/generations/remember_internal.h"

static const struct sm_remember_kind *const kinds[] = {
	[SM_GC_REMEMBER_CARDS] = &sm__remember_cards,
	[SM_GC_REMEMBER_OBJECTS] = &sm__remember_objects,
	[SM_GC_REMEMBER_NONE] = &sm__remember_pages,
};

int sm__remember_check(const struct sm_gc_config *cfg, char *err, size_t errlen)
{
	const struct sm_remember_kind *kind = kinds[cfg->remember];

	if (cfg->generations == SM_GC_GENERATIONS_OFF || kind->check == NULL)
		return 0;
	return kind->check(err, errlen);
}

int sm__remember_init(struct sm_gc *gc, char *err, size_t errlen)
{
	gc->remember.kind = kinds[gc->config.remember];
	return gc->remember.kind->init(gc, err, errlen);
}

void sm__remember_fini(struct sm_gc *gc)
{
	if (gc->remember.kind != NULL)
		gc->remember.kind->fini(gc);
}

size_t sm__remember_unit_bytes(const struct sm_gc *gc)
{
	return gc->remember.kind->unit_bytes;
}

uint8_t sm__remember_barrier(const struct sm_gc *gc)
{
	return gc->remember.kind->barrier;
}

void sm__remember_give(struct sm_gc *gc, struct sm_log_chunk **log)
{
	if (*log != NULL)
		gc->remember.kind->give(gc, log);
}

uint64_t sm__remember_stores(const struct sm_gc *gc, uint64_t stores)
{
	return (uint64_t)((double)stores * gc->remember.kind->store);
}

/* 1.4 us of system time each, in a virtual machine. */
#define FAULT_NS 1500.0

double sm__remember_beside_ns(const struct sm_gc *gc)
{
	return FAULT_NS * (double)gc->remember.faults;
}

const char *sm__remember_what(const struct sm_gc *gc)
{
	return gc->remember.kind->what;
}

uint64_t sm__remember_look(struct sm_gc *gc, struct sm_marker *k)
{
	return gc->remember.kind->look(gc, k);
}

void sm__remember_drop(struct sm_gc *gc)
{
	if (gc->remember.kind->drop != NULL)
		gc->remember.kind->drop(gc);
}

bool sm__remember_has(const struct sm_gc *gc, uintptr_t slot)
{
	return gc->remember.kind->has(gc, slot);
}

void sm__remember_moved(struct sm_gc *gc, uintptr_t from, uintptr_t to, size_t bytes)
{
	if (gc->remember.kind->moved != NULL)
		gc->remember.kind->moved(gc, from, to, bytes);
}
