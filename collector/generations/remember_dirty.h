/*
 * remember_dirty.h: which pages of a range were written, as the kernel tells it: for
 * gc.remember=none.
 *
 *   PAGEMAP_SCAN  Linux 6.7 (on ARM64 6.10). Pages are write-protected by userfaultfd in its
 *                 asynchronous mode: the first store to one traps, and the kernel itself lifts the
 *                 protection and lets the store go on. One ioctl tells which pages are not
 *                 protected and protects them again, page by page under the page table's lock. The
 *                 processors have flushed their buffers of translations, and what was stored
 *                 before, when it returns: so a store is either in the memory that the caller reads
 *                 afterwards, or its page is told next time. Any number of threads may store.
 *   soft-dirty    Linux 3.11 with CONFIG_MEM_SOFT_DIRTY (not on ARM64). /proc/self/pagemap tells,
 *                 and a 4 written to /proc/self/clear_refs forgets, all pages of the process at
 *                 once. These are two steps: what is stored in between to a page that was not
 *                 written before would be lost, so no thread may store from the one to the other.
 *                 One of a process has it at a time: what one forgets the next was not told of.
 *
 * The kernel notes pages, that is 4 KiB, whoever writes: an allocation that zeroes a slot counts as
 * a store does. A huge page is one page until it is protected: the first store that traps has the
 * kernel split it, and while it is protected khugepaged joins none there. In the child of a fork
 * nothing is protected, and nobody asks. The first store to a page after it was asked for costs a
 * page fault, and no memory.
 */
#ifndef SM_COLLECTOR_REMEMBER_DIRTY_H
#define SM_COLLECTOR_REMEMBER_DIRTY_H

#include "allocator/base/base.h"

typedef void sm_dirty_fn(void *ctx, uintptr_t from, uintptr_t end);

struct sm_dirty {
	const struct sm_dirty_source *source; /* NULL: not open */
	int fd, pagemap;
	size_t page; /* bytes */
};

struct sm_dirty_source {
	const char *name;
	bool stops; /* between take and forget no thread may store */
	/* -ENOTSUP: the kernel has no such thing; -EBUSY: another of this process has it open, and
	 * two cannot; or another -errno: it refuses. */
	int (*open)(struct sm_dirty *d);
	void (*close)(struct sm_dirty *d);
	/* Tells fn of runs of pages in [from, end), both multiples of a unit, that were written
	 * since they were forgotten, or never were. Of too many if the kernel fails. */
	void (*take)(struct sm_dirty *d, uintptr_t from, uintptr_t end, sm_dirty_fn *fn, void *ctx);
	/* All ranges have been taken: forgets what was told. NULL: take did. */
	void (*forget)(struct sm_dirty *d);
	/* Was the page of addr written since it was forgotten? Changes nothing. */
	bool (*is_dirty)(const struct sm_dirty *d, uintptr_t addr);
};

/* The first source that works, tried out on a page of its own. Otherwise -ENOTSUP, and err says
 * what each answered. */
int sm__dirty_open(struct sm_dirty *d, char *err, size_t errlen);
void sm__dirty_close(struct sm_dirty *d);

extern const struct sm_dirty_source sm__dirty_scan, sm__dirty_soft;
/* Tests: if not NULL, in place of both. */
extern const struct sm_dirty_source *sm__dirty_instead;

#endif
