/*
 * shadow.h: a source of written pages for gc.remember=none that asks no kernel: it keeps a copy of
 * each page as it was when it was forgotten, and compares. As soft-dirty bits it tells in one step
 * and forgets in another. So the kind is tested on kernels that have neither way.
 */
#ifndef SM_TESTS_SUPPORT_SHADOW_H
#define SM_TESTS_SUPPORT_SHADOW_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/generations/remember_dirty.h"

#define SHADOW_PAGES (1u << 16)

static struct shadow {
	struct {
		uintptr_t page;
		char *copy; /* NULL: it was zero */
	} at[SHADOW_PAGES];
	/* Called by each step, if not NULL. */
	void (*watch)(void);
	bool refuses;
} shadow;

static size_t shadow_find(uintptr_t page)
{
	size_t i = (page >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	while (shadow.at[i].page != 0 && shadow.at[i].page != page)
		i = (i + 1) % SHADOW_PAGES;
	return i;
}

/* False: nothing is there. */
static bool shadow_read(const struct sm_dirty *d, uintptr_t page, char *now)
{
	return pread(d->fd, now, d->page, (off_t)page) == (ssize_t)d->page;
}

static bool shadow_differs(const struct sm_dirty *d, uintptr_t page, char *now)
{
	static const char zero[65536];
	const char *copy = shadow.at[shadow_find(page)].copy;

	return shadow_read(d, page, now) && memcmp(now, copy ? copy : zero, d->page) != 0;
}

static int shadow_open(struct sm_dirty *d)
{
	if (shadow.refuses)
		return -EPERM;
	d->fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	d->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return d->fd >= 0 && d->pagemap >= 0 ? 0 : -errno;
}

static void shadow_close(struct sm_dirty *d)
{
	close(d->fd);
	close(d->pagemap);
	for (size_t i = 0; i < SHADOW_PAGES; i++)
		free(shadow.at[i].copy);
	memset(shadow.at, 0, sizeof(shadow.at));
}

/* Pages that are neither in memory nor swapped out are not looked at: most of an arena. */
static void shadow_take(struct sm_dirty *d, uintptr_t from, uintptr_t end, sm_dirty_fn *fn,
			void *ctx)
{
	enum { RUN = 512 };
	uint64_t entry[RUN];
	char now[65536];

	if (shadow.watch)
		shadow.watch();
	for (size_t i = 0; from < end; from += d->page, i = (i + 1) % RUN) {
		if (i == 0 && pread(d->pagemap, entry, sizeof(entry),
				    (off_t)(from / d->page * sizeof(entry[0]))) <= 0)
			memset(entry, 0xff, sizeof(entry));
		if (entry[i] >> 62 == 0 || !shadow_differs(d, from, now))
			continue;
		shadow.at[shadow_find(from)].page = from;
		fn(ctx, from, from + d->page);
	}
}

/* All that is now, told or not: as the kernel does. */
static void shadow_forget(struct sm_dirty *d)
{
	char now[65536];

	if (shadow.watch)
		shadow.watch();
	for (size_t i = 0; i < SHADOW_PAGES; i++) {
		uintptr_t page = shadow.at[i].page;

		if (page == 0 || !shadow_differs(d, page, now))
			continue;
		if (shadow.at[i].copy == NULL)
			shadow.at[i].copy = malloc(d->page);
		memcpy(shadow.at[i].copy, now, d->page);
	}
}

static bool shadow_is_dirty(const struct sm_dirty *d, uintptr_t addr)
{
	char now[65536];

	return shadow_differs(d, sm_align_down(addr, d->page), now);
}

static const struct sm_dirty_source shadow_source = {
	.name = "a copy",
	.stops = true,
	.open = shadow_open,
	.close = shadow_close,
	.take = shadow_take,
	.forget = shadow_forget,
	.is_dirty = shadow_is_dirty,
};

#endif
