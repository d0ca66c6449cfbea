/*
 * test_gcfail: the nth request for memory or a thread fails, for n = 0, 1, 2, .., under the whole
 * life of a collector: made, used by two threads, collected, ended. Whatever is refused: NULL with
 * ENOMEM or an error, no crash, no hang; what was kept is whole; and when the system gives again
 * everything works and verifies.
 *
 * What is asked of the system is refused by sm__os_inject; what the collector asks of the C library
 * (memory, threads) by this file's own malloc, .., which the linker prefers to the library's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "collector/cycle/gc_internal.h"
#include "tests/support/gctest.h"
#include "tests/support/run.h"
#include "tests/support/scale.h"
#include "tests/support/skip.h"

/* ---- the C library, refusing -------------------------------------------------------------- */

enum kind { MEMORY, THREAD };
static _Atomic(int) armed = -1;
/* requests of the armed kind until one is refused; below 0: it was */
static _Atomic(long) left;
static _Atomic(int) all_after;	     /* and all that follow it */
static _Atomic(unsigned long) asked; /* requests of the armed kind */

#if !SM_ASAN && !SM_TSAN /* which have allocation functions of their own in the way */
static bool refuse(enum kind k)
{
	long n;

	if (sm_load_seqcst(&armed) != (int)k)
		return false;
	asked++;
	n = left--;
	return n == 0 || (n < 0 && all_after);
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static void *none(void)
{
	errno = ENOMEM;
	return NULL;
}

void *malloc(size_t size)
{
	return refuse(MEMORY) ? none() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return refuse(MEMORY) ? none() : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return refuse(MEMORY) ? none() : __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return refuse(MEMORY) ? none() : __libc_memalign(align, size);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
				void *))dlsym(RTLD_NEXT, "pthread_create");
	return refuse(THREAD) ? EAGAIN : real(t, attr, fn, arg);
}
#endif

/* ---- a life ------------------------------------------------------------------------------- */

static unsigned long system_asked;

static void disarm(void)
{
	sm_store_seqcst(&armed, -1);
	system_asked += sm__os_inject(SM_OS_ANY, 0, 0);
}

/* Check's own assertions ask for memory, also when they hold. */
#define MUST(cond)                                                 \
	do {                                                       \
		if (!(cond)) {                                     \
			int was = errno;                           \
                                                                   \
			disarm();                                  \
			ck_abort_msg("%s (errno %d)", #cond, was); \
		}                                                  \
	} while (0)

/* Collectors that have tables of their own: pairs of setting and value. */
static const char *const ways[][9] = {
	{NULL},
	{"gc.generations", "on", "gc.compact", "force", "gc.mark", "spans", NULL},
	{"gc.generations", "on", "gc.remember", "objects", "gc.compact", "full", NULL},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
static const char *const *way;

static struct sm_gc *gc;
static void *root[16];
static _Atomic(int) finalized, refused;

static void finalize(void *ctx, struct sm_mutator *m, void *object)
{
	(void)ctx;
	(void)m;
	finalized += ((uintptr_t *)object)[2] == 0xfeed;
}

/* NULL only with ENOMEM (a thread: EAGAIN). */
static void *got(void *p)
{
	if (p == NULL) {
		refused++;
		MUST(errno == ENOMEM);
	}
	return p;
}

static bool done(int err)
{
	refused += err != 0;
	MUST(err == 0 || err == -ENOMEM || err == -EAGAIN);
	return err == 0;
}

static void cells(struct sm_mutator *m, const struct sm_type *node)
{
	uintptr_t *o = got(sm_new(m, node));
	struct sm_handle *handle;
	struct sm_weak *weak;
	struct sm_ephemeron *pair;
	void *local[4] = {NULL};

	if (o == NULL)
		return;
	o[2] = 0xfeed;
	weak = got(sm_weak_new(m, o));
	pair = got(sm_ephemeron_new(m, o, o));
	handle = got(sm_handle_new(m, o));
	done(sm_finalizer_set(m, o, finalize, NULL, NULL));
	if (done(sm_thread_range_add(m, local, sizeof(local))))
		MUST(sm_thread_range_remove(m, local) == 0);
	if (handle) {
		MUST(sm_handle_get(handle) == o);
		sm_handle_free(m, handle);
	}
	if (pair) {
		MUST(sm_ephemeron_get(m, pair) == o);
		sm_ephemeron_free(m, pair);
	}
	if (weak) {
		MUST(sm_weak_get(m, weak) == o);
		sm_weak_free(m, weak);
	}
}

static unsigned nodes; /* in a chain */

/* Small, large, arrays; a chain in root[at] whose length is returned. */
static unsigned use(struct sm_mutator *m, unsigned at)
{
	const struct sm_type *node = got((void *)sm_type_prefix(gc, 32 + 32 * at, 2));
	const struct sm_type *bits =
		got((void *)sm_type_bitmap(gc, 2048, (uint64_t[4]){1, 0, 0, 1}));
	unsigned length = 0;

	if (node == NULL)
		return 0;
	for (unsigned i = 0; i < nodes; i++) {
		uintptr_t *o = got(sm_new(m, node));

		if (o == NULL)
			continue;
		o[2] = 0xfeed;
		sm_store(m, (void **)o, sm_load(&root[at]));
		sm_store(m, &root[at], o);
		length++;
		if (i % 100 == 0)
			got(sm_new_bytes(m, 50000 + i * 100));
		if (i % 500 == 0)
			got(sm_new_array(m, node, 200));
		if (i % 50 == 0 && bits)
			got(sm_new(m, bits));
	}
	cells(m, node);
	return length;
}

static void check(unsigned at, unsigned length)
{
	unsigned n = 0;

	for (uintptr_t *o = root[at]; o; o = sm_load((void **)o), n++)
		MUST(o[2] == 0xfeed);
	MUST(n == length);
}

static void *second(void *arg)
{
	struct sm_mutator *m = got(sm_mutator_attach(gc));

	(void)arg;
	if (m == NULL)
		return NULL;
	check(1, use(m, 1));
	sm_mutator_detach(m);
	return NULL;
}

static struct sm_gc *make(void)
{
	struct sm_gc_config cfg;
	char err[200] = "";
	struct sm_gc *made;

	sm_gc_config_init(&cfg);
	cfg.heap.nnodes = 2;
	cfg.workers = 2;
	cfg.tuning.fractional = 10;
	cfg.min_heap = SM_MIB;
	MUST(sm_gc_config_set(&cfg, "numa", "interleave", err, sizeof(err)) == 0);
	MUST(sm_gc_config_set(&cfg, "gc.stress", "40", err, sizeof(err)) == 0);
	for (const char *const *s = way; *s; s += 2)
		MUST(sm_gc_config_set(&cfg, s[0], s[1], err, sizeof(err)) == 0);
	errno = 0;
	made = sm_gc_create(&cfg, err, sizeof(err));
	if (made == NULL) {
		refused++;
		MUST(errno == ENOMEM || errno == EAGAIN);
		MUST(err[0] != '\0');
	}
	return made;
}

/* From creation to the end, as far as it is let; then without refusals, verified. */
static void live(void)
{
	struct sm_mutator *m;
	unsigned length = 0;
	pthread_t t;

	memset(root, 0, sizeof(root));
	gc = make();
	if (gc == NULL)
		return;
	if (done(sm_root_add(gc, root, 16)) && (m = got(sm_mutator_attach(gc))) != NULL) {
		bool beside = done(-pthread_create(&t, NULL, second, NULL));

		length = use(m, 0);
		MUST(sm_collect(gc, m) == 0);
		if (gc->config.compact != SM_GC_COMPACT_OFF)
			done(sm_collect_compact(gc, m));
		check(0, length);
		sm_blocking_enter(m);
		if (beside)
			pthread_join(t, NULL);
		sm_blocking_leave(m);
		disarm();
		gc->config.verify = true;
		MUST(sm_collect(gc, m) == 0);
		MUST(gctest_stats(gc).verify_errors == 0);
		check(0, length);
		memset(root, 0, sizeof(root));
		MUST(use(m, 2) == nodes);
		check(2, nodes);
		sm_mutator_detach(m);
		MUST(sm_root_remove(gc, root) == 0);
		sm_finalizer_wait(gc, NULL);
	}
	disarm();
	MUST(sm_collect(gc, NULL) == 0);
	MUST(sm_heap_check(sm_gc_heap(gc)) == 0);
	sm_gc_destroy(gc);
}

/* ---- n = 0, 1, 2, .. ---------------------------------------------------------------------- */

/* Densely at first, where making a collector asks for one thing after another; then in growing
 * steps. */
static long next(long n)
{
	return n < 60 ? n + 1 : n + n / 4;
}

static const struct refusals {
	int library, system; /* enum kind, enum sm_os_kind; -1: not this */
	bool all;	     /* refuse everything from the nth on */
} cases[] = {
	{MEMORY, -1, false},	   {MEMORY, -1, true},	       {THREAD, -1, false},
	{THREAD, -1, true},	   {-1, SM_OS_RESERVE, false}, {-1, SM_OS_RESERVE, true},
	{-1, SM_OS_COMMIT, false}, {-1, SM_OS_MADVISE, false}, {-1, SM_OS_BIND, false},
	{-1, SM_OS_ANY, false},	   {-1, SM_OS_ANY, true},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static void go_through(const struct refusals *c)
{
	time_t until = time(NULL) + 6;
	bool was_refused = true;
	int times = 0;

	/* Past the last request there is nothing left to refuse. */
	for (long n = 0; was_refused && time(NULL) < until; n = next(n), times++) {
		asked = system_asked = 0;
		left = n;
		all_after = c->all;
		if (c->system >= 0)
			sm__os_inject((enum sm_os_kind)c->system, c->all ? -(n + 1) : n + 1,
				      ENOMEM);
		else
			sm_store_seqcst(&armed, c->library);
		live();
		disarm();
		was_refused = (long)(asked + system_asked) > n;
	}
	printf("case %d: %d lives, %d refusals seen by the program\n", (int)(c - cases), times,
	       sm_load_relaxed(&refused));
	ck_assert_int_gt(times, 1);
}

START_TEST(nth_failure)
{
	const struct refusals *c = &cases[(size_t)_i % CASES];

	/* Under sanitizers only the system's refusals are to be had. */
	if ((SM_ASAN || SM_TSAN) && c->library >= 0)
		SM_SKIP("a sanitizer has a malloc of its own");
	way = ways[(size_t)_i / CASES];
	go_through(c);
}
END_TEST

int main(void)
{
	nodes = (unsigned)sm_test_scaled(3000);
	return SM_SUITE("gcfail", 90, SM_LOOP(nth_failure, 0, CASES * WAYS));
}
