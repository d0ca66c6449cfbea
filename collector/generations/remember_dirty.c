/* remember_dirty.c: the kernel's two ways to tell which pages were written. */
#include "collector/generations/remember_dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/os/os.h"

const struct sm_dirty_source *sm__dirty_instead;

static const struct sm_dirty_source *const sources[] = {&sm__dirty_scan, &sm__dirty_soft};

/* ---- what the kernel's headers of 6.7 say, which may be newer than ours --------------------- */

struct page_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct uffd_api {
	uint64_t api, features, ioctls;
};

struct uffd_register {
	uint64_t start, len, mode, ioctls;
};

#define IO_SCAN		 _IOWR('f', 16, struct scan_arg)
#define SCAN_PROTECT	 3u /* protect what matches; fail where nothing watches */
#define CATEGORY_WRITTEN 2u
#define IO_API		 _IOWR(0xaa, 0x3f, struct uffd_api)
#define IO_REGISTER	 _IOWR(0xaa, 0x00, struct uffd_register)
#define API		 0xaau
#define FEATURE_WP_ASYNC (1u << 15)
#define MODE_WP		 2u
#define USER_MODE_ONLY	 1

/* Bits of an entry of pagemap. */
#define ENTRY_PROTECTED 57
#define ENTRY_SOFT	55

/* ---- both ----------------------------------------------------------------------------------- */

static int open_proc(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

/* Entries of pagemap from addr on; false: none can be read. */
static bool read_entries(const struct sm_dirty *d, uintptr_t addr, uint64_t *entry, size_t n)
{
	ssize_t want = (ssize_t)(n * sizeof(*entry));

	return pread(d->pagemap, entry, (size_t)want, (off_t)(addr / d->page * sizeof(*entry))) ==
	       want;
}

static void close_both(struct sm_dirty *d)
{
	close(d->fd);
	close(d->pagemap);
}

static void note_page(void *ctx, uintptr_t from, uintptr_t end)
{
	*(bool *)ctx |= from < end;
}

static bool page_is_told(struct sm_dirty *d, uintptr_t page)
{
	bool told = false;

	d->source->take(d, page, page + d->page, note_page, &told);
	if (d->source->forget != NULL)
		d->source->forget(d);
	return told;
}

/* Written, told; not told again; written, told. */
static bool works(struct sm_dirty *d)
{
	volatile char *p = sm__os_map(d->page);
	bool good;

	if (p == NULL)
		return false;
	*p = 1;
	good = page_is_told(d, (uintptr_t)p) && !page_is_told(d, (uintptr_t)p);
	*p = 2;
	good = good && d->source->is_dirty(d, (uintptr_t)p) && page_is_told(d, (uintptr_t)p) &&
	       !d->source->is_dirty(d, (uintptr_t)p);
	sm__os_unmap((void *)p, d->page);
	return good;
}

static int try_source(struct sm_dirty *d, const struct sm_dirty_source *source)
{
	int err;

	*d = (struct sm_dirty){.source = source, .page = (size_t)sysconf(_SC_PAGESIZE)};
	err = source->open(d);
	if (err == 0 && !works(d)) {
		source->close(d);
		err = -ENOTSUP;
	}
	if (err != 0)
		d->source = NULL;
	return err;
}

static const char *reason(int e)
{
	switch (e) {
	case -ENOTSUP: return "this kernel has it not";
	case -EBUSY: return "another collector of this process uses it";
	default: return strerror(-e);
	}
}

int sm__dirty_open(struct sm_dirty *d, char *err, size_t errlen)
{
	size_t n = sizeof(sources) / sizeof(sources[0]), at = 0;
	char why[200] = "";

	for (size_t i = 0; i < (sm__dirty_instead != NULL ? 1 : n); i++) {
		const struct sm_dirty_source *s =
			sm__dirty_instead ? sm__dirty_instead : sources[i];
		int e = try_source(d, s);

		if (e == 0)
			return 0;
		at += (size_t)snprintf(why + at, sizeof(why) - at, "%s%s: %s", i ? ", " : "",
				       s->name, reason(e));
	}
	if (err && errlen)
		snprintf(
			err, errlen,
			"gc.remember=none: the kernel does not tell which pages were written (%s); "
			"set cards or objects",
			why);
	return -ENOTSUP;
}

void sm__dirty_close(struct sm_dirty *d)
{
	if (d->source != NULL)
		d->source->close(d);
	d->source = NULL;
}

/* ---- PAGEMAP_SCAN --------------------------------------------------------------------------- */

static int open_scan(struct sm_dirty *d)
{
	struct uffd_api api = {.api = API, .features = FEATURE_WP_ASYNC};

	d->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
	if (d->fd < 0)
		return errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno;
	d->pagemap = open_proc("/proc/self/pagemap", O_RDONLY);
	if (d->pagemap >= 0 && ioctl(d->fd, IO_API, &api) == 0)
		return 0;
	close(d->fd);
	if (d->pagemap < 0)
		return d->pagemap;
	close(d->pagemap);
	return -ENOTSUP;
}

/* What is mapped anew is not watched yet. Of what is, nothing changes. */
static bool watch(struct sm_dirty *d, uintptr_t from, uintptr_t end)
{
	struct uffd_register r = {.start = from, .len = end - from, .mode = MODE_WP};

	return ioctl(d->fd, IO_REGISTER, &r) == 0;
}

/* *from is how far it came. */
static bool scan(struct sm_dirty *d, uintptr_t *from, uintptr_t end, sm_dirty_fn *fn, void *ctx)
{
	struct page_region found[64];
	struct scan_arg a = {.size = sizeof(a),
			     .flags = SCAN_PROTECT,
			     .end = end,
			     .vec = (uintptr_t)found,
			     .vec_len = sizeof(found) / sizeof(found[0]),
			     .category_mask = CATEGORY_WRITTEN,
			     .return_mask = CATEGORY_WRITTEN};

	while (*from < end) {
		int n;

		a.start = *from;
		n = ioctl(d->pagemap, IO_SCAN, &a);
		if (n < 0 || a.walk_end <= *from)
			return false;
		for (int i = 0; i < n; i++)
			fn(ctx, (uintptr_t)found[i].start, (uintptr_t)found[i].end);
		*from = (uintptr_t)a.walk_end;
	}
	return true;
}

/* A mapping that cannot be watched (of a file that may not be written) spoils the call for all of
 * the range: so by halves, down to what may be told in vain. */
static void take_scan(struct sm_dirty *d, uintptr_t from, uintptr_t end, sm_dirty_fn *fn, void *ctx)
{
	uintptr_t middle;

	if (from >= end || (watch(d, from, end) && scan(d, &from, end, fn, ctx)))
		return;
	if (end - from <= SM_UNIT) {
		fn(ctx, from, end);
		return;
	}
	middle = sm_align_down(from + (end - from) / 2, d->page);
	take_scan(d, from, middle, fn, ctx);
	take_scan(d, middle, end, fn, ctx);
}

static bool is_unprotected(const struct sm_dirty *d, uintptr_t addr)
{
	uint64_t entry;

	return !read_entries(d, addr, &entry, 1) || (entry >> ENTRY_PROTECTED & 1) == 0;
}

const struct sm_dirty_source sm__dirty_scan = {
	.name = "PAGEMAP_SCAN",
	.open = open_scan,
	.close = close_both,
	.take = take_scan,
	.is_dirty = is_unprotected,
};

/* ---- soft-dirty ----------------------------------------------------------------------------- */

/* The process that has it open: to forget is to forget what another collector was not told of yet.
 * In the child of a fork nobody has. */
static _Atomic(uint32_t) soft_taken;

static bool take_soft_for(uint32_t pid)
{
	uint32_t was = sm_load_relaxed(&soft_taken);

	return was != pid && sm_cas_acqrel(&soft_taken, &was, pid);
}

static void close_soft(struct sm_dirty *d)
{
	close_both(d);
	sm_store_release(&soft_taken, 0);
}

static int open_soft(struct sm_dirty *d)
{
	if (!take_soft_for((uint32_t)getpid()))
		return -EBUSY;
	d->fd = open_proc("/proc/self/clear_refs", O_WRONLY);
	d->pagemap = d->fd >= 0 ? open_proc("/proc/self/pagemap", O_RDONLY) : d->fd;
	if (d->pagemap >= 0)
		return 0;
	if (d->fd >= 0)
		close(d->fd);
	sm_store_release(&soft_taken, 0);
	return d->pagemap;
}

static void take_soft(struct sm_dirty *d, uintptr_t from, uintptr_t end, sm_dirty_fn *fn, void *ctx)
{
	uint64_t entry[512];

	while (from < end) {
		size_t n = (end - from) / d->page < 512 ? (end - from) / d->page : 512;
		bool read = read_entries(d, from, entry, n);

		for (size_t i = 0; i < n; i++, from += d->page) {
			if (!read || (entry[i] >> ENTRY_SOFT & 1) != 0)
				fn(ctx, from, from + d->page);
		}
	}
}

/* If it fails all stay written: told once more. */
static void forget_soft(struct sm_dirty *d)
{
	ssize_t ignored = pwrite(d->fd, "4", 1, 0);

	(void)ignored;
}

static bool is_soft_dirty(const struct sm_dirty *d, uintptr_t addr)
{
	uint64_t entry;

	return !read_entries(d, addr, &entry, 1) || (entry >> ENTRY_SOFT & 1) != 0;
}

const struct sm_dirty_source sm__dirty_soft = {
	.name = "soft-dirty",
	.stops = true,
	.open = open_soft,
	.close = close_soft,
	.take = take_soft,
	.forget = forget_soft,
	.is_dirty = is_soft_dirty,
};
