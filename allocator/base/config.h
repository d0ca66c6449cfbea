/*
 * config.h: what the allocator asks of a configuration; the configuration itself is public:
 * spanmark/heap.h.
 */
#ifndef SM_ALLOCATOR_CONFIG_H
#define SM_ALLOCATOR_CONFIG_H

#include "allocator/base/base.h"
#include "allocator/base/keytable.h"
#include "spanmark/heap.h"

/* The settings cache.*, each of which a struct sm_override may change for a class or a core. */
enum sm_knob {
	SM_KNOB_WINDOW,
	SM_KNOB_SLOTS,
	SM_KNOB_BATCH,
	SM_KNOB_SPANS,
	SM_KNOB_BUDGET,
	SM_KNOBS
};

/* What holds for a class (0: no particular one) on a core (-1: no particular one). */
size_t sm__config_knob(const struct sm_heap_config *cfg, enum sm_knob knob, unsigned cls, int cpu);

/* Is every member what its key takes? 0, or -EINVAL and a line in err (errlen bytes). */
int sm__config_check(const struct sm_heap_config *cfg, char *err, size_t errlen);

#endif
