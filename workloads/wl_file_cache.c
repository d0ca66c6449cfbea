/*
 * wl_file_cache.c: blocks of a file, read while the program goes on.
 *
 * Each thread keeps the `live` blocks of `block` bytes that it used last. Each of `ops` wants a
 * block of the file, the third power of a uniform number, so that few are wanted often. One that is
 * neither kept nor on its way takes the place of the least recently used: a buffer is allocated,
 * and the kernel fills it through an io_uring, up to `depth` of them at a time, while the thread
 * goes on. A block's contents follow from its place in the file; all of it is checked when it has
 * come, both ends whenever it is used. Where io_uring is denied blocks are read by pread, one at a
 * time: a warning and the result in_flight say so.
 *
 * A request names its buffer by an integer (the kernel has its address, which no collector sees),
 * so the table `reading` keeps it: a buffer that was collected under way would be another's, and
 * its contents wrong. Where objects move it is pinned until it has come, for the same reason.
 *
 * Stresses: buffers that a device writes to, larger than what a program allocates most; memory that
 * dies in the order of use. Shown by: in_flight, stall_max_us, hit_share, peak_rss_kib over the
 * live bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "allocator/os/uring.h"
#include "workloads/backend.h"

/* A block of the file in a thread's order of use. Numbers, for it is the same on every backend. */
struct place {
	uint32_t newer, older; /* in a circle with places[nblocks], whose older one is the newest */
	bool kept;	       /* or on its way */
};

struct cache {
	struct sm_uring *ring;	 /* NULL: pread */
	struct sm_table blocks;	 /* of each block of the file: its buffer, NULL: not here */
	struct sm_table reading; /* `depth` buffers that the kernel fills */
	uint32_t *wanted;	 /* for what block of the file each of those is */
	uint32_t *idle, nidle;	 /* those that are not in use */
	struct place *places;
	uint64_t n;			 /* kept */
	unsigned flying;		 /* reads that the kernel has */
	uint64_t hits, reads, in_flight; /* the last: sum over reads, of those under way */
};

struct file_cache {
	enum sm_wl_backend backend;
	size_t block;
	uint64_t ops, live, nblocks, seed;
	unsigned depth;
	int fd, ring_err; /* 0: io_uring */
	struct cache *caches;
};

/* The word at `offset` of the file. */
static uint64_t word_at(const struct file_cache *f, uint64_t offset)
{
	return (f->seed ^ offset) * 0x9e3779b97f4a7c15u;
}

static bool ends_are_right(const struct file_cache *f, const uint64_t *data, uint64_t number)
{
	uint64_t at = number * f->block;

	return data[0] == word_at(f, at) && data[f->block / 8 - 1] == word_at(f, at + f->block - 8);
}

static bool all_is_right(const struct file_cache *f, const uint64_t *data, uint64_t number)
{
	uint64_t at = number * f->block, wrong = 0;

	for (size_t i = 0; i < f->block / 8; i++)
		wrong |= data[i] ^ word_at(f, at + i * 8);
	return wrong == 0;
}

/* ---- the order of use --------------------------------------------------------------------- */

static void unlink_use(struct cache *c, uint32_t number)
{
	struct place *p = &c->places[number];

	c->places[p->newer].older = p->older;
	c->places[p->older].newer = p->newer;
}

static void use(const struct file_cache *f, struct cache *c, uint32_t number)
{
	struct place *p = &c->places[number], *ends = &c->places[f->nblocks];

	p->newer = (uint32_t)f->nblocks;
	p->older = ends->older;
	c->places[p->older].newer = number;
	ends->older = number;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* As a thread that the collector need not wait for: the buffers stay where they are. */
static int wait_for_one(struct sm_thread *t, struct cache *c, uint64_t *slot, int *result)
{
	int got;

	if (t->m != NULL)
		sm_blocking_enter(t->m);
	do
		got = sm__uring_take(c->ring, true, slot, result);
	while (got == 0);
	if (t->m != NULL)
		sm_blocking_leave(t->m);
	return got;
}

/* Waits until a read has ended. 0 or -errno. */
static int take(struct sm_thread *t, struct cache *c, uint64_t *slot, int *result)
{
	int got = sm__uring_take(c->ring, false, slot, result);

	if (got == 0)
		got = wait_for_one(t, c, slot, result);
	if (got < 0)
		return sm_run_fail(t->run, got, "io_uring: %s", strerror(-got));
	c->flying--;
	return 0;
}

/* A read has ended: its block is here. */
SM_INLINE int finish(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f,
		     struct cache *c, uint64_t slot, int result)
{
	void *data = sm_load(&c->reading.slots[slot]);
	uint32_t number = c->wanted[slot];

	if (result != (int)f->block)
		return sm_run_fail(t->run, -EIO, "block %u: %s", number,
				   result < 0 ? strerror(-result) : "read in part");
	if (!all_is_right(f, data, number))
		return sm_run_fail(t->run, -EIO, "thread %u: block %u arrived damaged", t->index,
				   number);
	sm_backend_store(b, t, &c->blocks.slots[number], data);
	sm_backend_store(b, t, &c->reading.slots[slot], NULL);
	c->idle[c->nidle++] = (uint32_t)slot;
	return 0;
}

/* Waits until a read has ended. */
SM_INLINE int finish_one(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f,
			 struct cache *c)
{
	uint64_t slot;
	int result, err = take(t, c, &slot, &result);

	if (err != 0)
		return err;
	sm_backend_unpin(b, t, sm_load(&c->reading.slots[slot]));
	return finish(b, t, f, c, slot, result);
}

static int read_now(struct sm_thread *t, const struct file_cache *f, void *data, uint64_t at)
{
	ssize_t got;

	if (t->m != NULL)
		sm_blocking_enter(t->m);
	do
		got = pread(f->fd, data, f->block, (off_t)at);
	while (got < 0 && errno == EINTR);
	if (t->m != NULL)
		sm_blocking_leave(t->m);
	return got < 0 ? -errno : (int)got;
}

SM_INLINE int start(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f,
		    struct cache *c, uint32_t number)
{
	void *data = sm_backend_bytes(b, t, f->block);
	uint32_t slot = c->idle[--c->nidle];
	uint64_t at = (uint64_t)number * f->block;
	int err;

	sm_backend_store(b, t, &c->reading.slots[slot], data);
	c->wanted[slot] = number;
	c->reads++;
	if (c->ring == NULL)
		return finish(b, t, f, c, slot, read_now(t, f, data, at));
	err = sm_backend_pin(b, t, data);
	if (err != 0)
		return sm_run_fail(t->run, err, "a buffer cannot be pinned: %s", strerror(-err));
	err = sm__uring_read(c->ring, f->fd, data, f->block, at, slot);
	if (err != 0)
		return sm_run_fail(t->run, err, "io_uring: %s", strerror(-err));
	c->in_flight += ++c->flying;
	return 0;
}

/* ---- the cache ---------------------------------------------------------------------------- */

/* The least recently used goes; one that is on its way is waited for. */
SM_INLINE int evict(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f,
		    struct cache *c)
{
	uint32_t number = c->places[f->nblocks].newer;
	void **slot = &c->blocks.slots[number], *data;
	int err = 0;

	while ((data = sm_load(slot)) == NULL && err == 0)
		err = finish_one(b, t, f, c);
	if (err != 0)
		return err;
	unlink_use(c, number);
	c->places[number].kept = false;
	c->n--;
	sm_backend_store(b, t, slot, NULL);
	sm_backend_free(b, data);
	return 0;
}

SM_INLINE int miss(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f,
		   struct cache *c, uint32_t number)
{
	int err = 0;

	if (c->n == f->live)
		err = evict(b, t, f, c);
	if (err == 0 && c->nidle == 0)
		err = finish_one(b, t, f, c);
	if (err != 0)
		return err;
	c->places[number].kept = true;
	c->n++;
	use(f, c, number);
	return start(b, t, f, c, number);
}

SM_INLINE int work(const enum sm_wl_backend b, struct sm_thread *t, struct file_cache *f)
{
	struct cache *c = &f->caches[t->index];
	int err = 0;

	for (uint64_t i = 0; i < f->ops && err == 0; i++) {
		double u = (double)(sm_rng_next(&t->rng) >> 11) / 9007199254740992.0;
		uint32_t number = (uint32_t)((double)f->nblocks * u * u * u);
		const uint64_t *data = sm_load(&c->blocks.slots[number]);

		if (!c->places[number].kept) {
			err = miss(b, t, f, c, number);
			continue;
		}
		c->hits++;
		if (data != NULL && !ends_are_right(f, data, number))
			return sm_run_fail(t->run, -EIO, "thread %u: block %u was overwritten",
					   t->index, number);
		unlink_use(c, number);
		use(f, c, number);
	}
	while (err == 0 && c->nidle < f->depth)
		err = finish_one(b, t, f, c);
	return err;
}

static int thread_main(struct sm_thread *t, void *arg)
{
	struct file_cache *f = arg;

	return SM_FOR_BACKEND(f->backend, work, t, f);
}

/* ---- set-up ------------------------------------------------------------------------------- */

static int write_file(struct sm_run *run, const struct file_cache *f, const char *path)
{
	uint64_t words[512], at = 0, end = f->nblocks * f->block;

	while (at < end) {
		size_t n = end - at < sizeof(words) ? (size_t)(end - at) : sizeof(words);
		ssize_t wrote;

		for (size_t i = 0; i < n / 8; i++)
			words[i] = word_at(f, at + i * 8);
		wrote = pwrite(f->fd, words, n, (off_t)at);
		if (wrote < 8 && !(wrote < 0 && errno == EINTR))
			return sm_run_fail(run, wrote < 0 ? -errno : -ENOSPC,
					   "%s: cannot write %llu bytes: %s", path,
					   (unsigned long long)end,
					   strerror(wrote < 0 ? errno : ENOSPC));
		at += wrote > 0 ? (uint64_t)wrote & ~7ull : 0;
	}
	return 0;
}

/* In TMPDIR, without a name as soon as it is there. */
static int make_file(struct sm_run *run, struct file_cache *f)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];

	if (folder == NULL || *folder == '\0')
		folder = "/tmp";
	snprintf(path, sizeof(path), "%s/spanmark-XXXXXX", folder);
	f->fd = mkostemp(path, O_CLOEXEC);
	if (f->fd < 0)
		return sm_run_fail(run, -errno, "cannot make a file in %s (TMPDIR): %s", folder,
				   strerror(errno));
	(void)unlink(path);
	return write_file(run, f, folder);
}

/* For all threads, for the ring is closed when they are gone. */
static int make_cache(struct sm_run *run, struct file_cache *f, struct cache *c)
{
	struct sm_thread *t = sm_run_thread(run);
	int err = sm_table_new(t, &c->blocks, f->nblocks);

	if (err == 0)
		err = sm_table_new(t, &c->reading, f->depth);
	if (err != 0)
		return err;
	c->wanted = calloc(f->depth, sizeof(*c->wanted));
	c->idle = calloc(f->depth, sizeof(*c->idle));
	c->places = calloc(f->nblocks + 1, sizeof(*c->places));
	if (c->wanted == NULL || c->idle == NULL || c->places == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for a cache");
	c->places[f->nblocks].newer = c->places[f->nblocks].older = (uint32_t)f->nblocks;
	while (c->nidle < f->depth) {
		c->idle[c->nidle] = c->nidle;
		c->nidle++;
	}
	if (f->ring_err == 0)
		f->ring_err = sm__uring_open(&c->ring, f->depth);
	return 0;
}

/* What a run that failed left in the kernel's hands is waited for first. */
static void free_cache(struct sm_run *run, struct cache *c)
{
	uint64_t slot;
	int result;

	while (c->flying > 0 && take(sm_run_thread(run), c, &slot, &result) == 0)
		continue;
	sm__uring_close(c->ring);
	sm_table_free(sm_run_thread(run), &c->blocks);
	sm_table_free(sm_run_thread(run), &c->reading);
	free(c->wanted);
	free(c->idle);
	free(c->places);
}

/* All threads read in one way. */
static int make_caches(struct sm_run *run, struct file_cache *f, unsigned threads)
{
	int err = 0;

	f->caches = calloc(threads, sizeof(*f->caches));
	if (f->caches == NULL)
		return sm_run_fail(run, -ENOMEM, "out of memory for %u caches", threads);
	for (unsigned i = 0; i < threads && err == 0; i++)
		err = make_cache(run, f, &f->caches[i]);
	if (err != 0 || f->ring_err == 0)
		return err;
	sm_run_warn(run, "file-cache: io_uring: %s: blocks are read by pread, one at a time\n",
		    strerror(-f->ring_err));
	for (unsigned i = 0; i < threads; i++) {
		sm__uring_close(f->caches[i].ring);
		f->caches[i].ring = NULL;
	}
	return 0;
}

static void report(struct sm_run *run, const struct file_cache *f, unsigned threads)
{
	uint64_t hits = 0, reads = 0, in_flight = 0;

	for (unsigned i = 0; i < threads; i++) {
		hits += f->caches[i].hits;
		reads += f->caches[i].reads;
		in_flight += f->caches[i].in_flight;
	}
	sm_run_ops(run, f->ops * threads);
	sm_run_result(run, SM_RESULT_hit_share, 100 * (double)hits / (double)(f->ops * threads));
	if (f->ring_err == 0)
		sm_run_result(run, SM_RESULT_in_flight, (double)in_flight / (double)reads);
	else
		sm_run_result_none(run, SM_RESULT_in_flight,
				   "io_uring is denied: blocks are read by pread, one at a time");
}

static int check_sizes(const struct sm_params *p, char *err, size_t errlen)
{
	long long file = sm_params_int(p, "file"), block = sm_params_int(p, "block");

	if (block % 8 != 0)
		snprintf(err, errlen, "block=%lld: must be a multiple of 8", block);
	else if (block > file)
		snprintf(err, errlen, "block=%lld: must be at most file, %lld", block, file);
	else if (file / block > 1000000000)
		snprintf(err, errlen, "block=%lld: must be at least %lld, for file=%lld", block,
			 (file / 1000000000 + 8) / 8 * 8, file);
	else
		return 0;
	return -EINVAL;
}

static int run(struct sm_run *run)
{
	const struct sm_params *p = sm_run_params(run);
	unsigned threads = sm_run_threads(run);
	struct file_cache f = {
		.backend = sm_run_backend(run),
		.block = (size_t)sm_params_int(p, "block"),
		.ops = (uint64_t)sm_params_int(p, "ops"),
		.live = (uint64_t)sm_params_int(p, "live"),
		.nblocks = (uint64_t)(sm_params_int(p, "file") / sm_params_int(p, "block")),
		.depth = (unsigned)sm_params_int(p, "depth"),
		.seed = sm_rng_next(&sm_run_thread(run)->rng),
	};
	int err = make_file(run, &f);

	if (err == 0)
		err = make_caches(run, &f, threads);
	if (err == 0)
		err = sm_run_parallel_timed(run, threads, thread_main, &f);
	if (err == 0)
		report(run, &f, threads);
	for (unsigned i = 0; f.caches != NULL && i < threads; i++)
		free_cache(run, &f.caches[i]);
	free(f.caches);
	if (f.fd >= 0)
		close(f.fd);
	return err;
}

static const struct sm_param_desc params[] = {
	{.name = "file",
	 .def = 64 << 20,
	 .min = 8,
	 .max = (int64_t)1 << 40,
	 .quick = 4 << 20,
	 .unit = "bytes",
	 .help = "written to TMPDIR first, without a name; whole blocks of it are read"},
	{.name = "block",
	 .def = 16 << 10,
	 .min = 8,
	 .max = 1 << 30,
	 .quick = 16 << 10,
	 .unit = "bytes",
	 .help = "that are read at a time, a multiple of 8"},
	{.name = "live",
	 .def = 1024,
	 .min = 1,
	 .max = 1000000000,
	 .quick = 64,
	 .unit = "blocks",
	 .help = "that each thread keeps, at most"},
	{.name = "depth",
	 .def = 32,
	 .min = 1,
	 .max = 4096,
	 .quick = 32,
	 .unit = "reads",
	 .help = "of each thread under way, at most"},
	{.name = "ops",
	 .def = 300000,
	 .min = 1,
	 .max = 1000000000000,
	 .quick = 5000,
	 .unit = "blocks",
	 .help = "that each thread wants"},
	SM_PARAM_THREADS(1, 1, "each with a cache of its own"),
	{0},
};

const struct sm_workload sm__wl_file_cache = {
	.name = "file-cache",
	.summary =
		"blocks of a file that the kernel writes to while the program goes on (io_uring)",
	.op = "block",
	.params = params,
	.backends = SM_WL_EVERY,
	.check = check_sizes,
	.run = run,
};
