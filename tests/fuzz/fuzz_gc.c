/*
 * fuzz_gc.c: sequences of the collector's calls against a shadow graph, with the verifier.
 *
 * One mutator. Cycles begin when the input says so, on another thread; the mutator acknowledges
 * each handshake when the input says so, and what it does until then happens in that very moment of
 * the cycle (tests/support/step.h). What the shadow reaches must be there, whole; what the
 * collector gave up must be out of the shadow's reach.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>

#include "collector/cycle/gc_internal.h"
#include "tests/fuzz/fuzz.h"

#define ROOTS	16
#define HANDLES 4
#define WEAKS	8
#define PAIRS	4
#define SHADES	256
#define EDGES	3
#define SHAPES	5
#define FINAL	512

struct object {
	struct object *edge[EDGES];
	uint64_t id, canary;
};

/* Nodes of the shadow are named by index; id 0: free. */
static struct shade {
	uint64_t id;
	int edge[EDGES];
	bool seen;
} shade[SHADES];
static int root_shade[ROOTS], handle_shade[HANDLES];
static struct {
	struct sm_weak *ref;
	uint64_t id;
} weak[WEAKS];
static struct {
	struct sm_ephemeron *ref;
	int key, value;
} pair[PAIRS];
static uint64_t next_id;

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *shape[SHAPES];
static void *root[ROOTS];
static struct sm_handle *handle[HANDLES];

static uint64_t canary_of(uint64_t id)
{
	return id * 0x9e3779b97f4a7c15u ^ 0xfeed;
}

static void check_object(const struct object *o, uint64_t id)
{
	FUZZ_MUST(o != NULL && o->id == id && o->canary == canary_of(id));
}

/* ---- cycles, on a thread that has nothing else to do -------------------------------------- */

static _Atomic(uint32_t) wanted, done;
static sem_t wish;

static void *collect(void *arg)
{
	for (;;) {
		while (sem_wait(&wish) != 0)
			;
		FUZZ_MUST(sm_collect(gc, NULL) == 0);
		sm_fetch_add_acqrel(&done, 1);
	}
	return arg;
}

static bool cycle_is_on(void)
{
	return sm_load_acquire(&wanted) != sm_load_acquire(&done);
}

static void begin(void)
{
	if (cycle_is_on())
		return;
	sm_fetch_add_acqrel(&wanted, 1);
	sem_post(&wish);
}

/* The next handshake of the cycle that is on, if there is one more. */
static void acknowledge(void)
{
	while (cycle_is_on() && sm_load_acquire(sm__poll(m)) == 0)
		sched_yield();
	sm_safepoint(m);
}

static void finish(void)
{
	while (cycle_is_on())
		acknowledge();
	FUZZ_MUST(gc->stats.verify_errors == 0);
}

/* The same in a blocking section: a proxy acts. */
static void finish_blocked(void)
{
	sm_blocking_enter(m);
	while (cycle_is_on())
		sched_yield();
	sm_blocking_leave(m);
}

/* ---- the shadow --------------------------------------------------------------------------- */

static bool see(int i)
{
	bool news = i >= 0 && !shade[i].seen;

	if (!news)
		return false;
	shade[i].seen = true;
	for (int k = 0; k < EDGES; k++)
		see(shade[i].edge[k]);
	return true;
}

/* What is in reach; a value is while its key is. held: what the stack alone holds. */
static void mark_shadow(int held)
{
	bool more = true;

	for (int i = 0; i < SHADES; i++)
		shade[i].seen = false;
	for (int i = 0; i < ROOTS; i++)
		see(root_shade[i]);
	for (int i = 0; i < HANDLES; i++)
		see(handle_shade[i]);
	see(held);
	while (more) {
		more = false;
		for (int i = 0; i < PAIRS; i++)
			if (pair[i].ref != NULL && pair[i].key >= 0 && shade[pair[i].key].seen)
				more |= see(pair[i].value);
	}
}

static bool in_reach(uint64_t id)
{
	for (int i = 0; i < SHADES; i++)
		if (shade[i].id == id && shade[i].seen)
			return true;
	return false;
}

/* A free entry, or -1; entries out of reach become free, and pairs forget a key that is gone. */
static int new_shade(uint64_t id, int held)
{
	for (int tries = 0; tries < 2; tries++) {
		for (int i = 0; i < SHADES; i++) {
			if (shade[i].id != 0)
				continue;
			shade[i] = (struct shade){.id = id, .edge = {-1, -1, -1}};
			return i;
		}
		mark_shadow(held);
		for (int i = 0; i < PAIRS; i++)
			if (pair[i].key >= 0 && !shade[pair[i].key].seen)
				pair[i].key = pair[i].value = -1;
		for (int i = 0; i < SHADES; i++)
			if (!shade[i].seen)
				shade[i].id = 0;
	}
	return -1;
}

/* ---- ways through both -------------------------------------------------------------------- */

struct place {
	struct object *o;
	int s;
};

static void *load_edge(const struct object *o, int k)
{
	return sm_load((void *const *)&o->edge[k]);
}

/* From a root or a handle up to two edges on. o NULL: nothing there. */
static struct place find(struct fuzz_bytes *b)
{
	unsigned from = fuzz_number(b, 1) % (ROOTS + HANDLES), way = fuzz_number(b, 1);
	bool is_root = from < ROOTS;
	struct place p;

	p.s = is_root ? root_shade[from] : handle_shade[from - ROOTS];
	p.o = is_root		     ? sm_load(&root[from])
	      : handle[from - ROOTS] ? sm_handle_get(handle[from - ROOTS])
				     : NULL;
	FUZZ_MUST((p.s < 0) == (p.o == NULL));
	for (; p.o != NULL; way >>= 2) {
		int k = (int)(way & 3), to;

		check_object(p.o, shade[p.s].id);
		if (k == EDGES || way == 0)
			break;
		to = shade[p.s].edge[k];
		FUZZ_MUST((to < 0) == (load_edge(p.o, k) == NULL));
		if (to < 0)
			break;
		p = (struct place){load_edge(p.o, k), to};
	}
	return p;
}

static void walk(const struct object *o, int s)
{
	check_object(o, shade[s].id);
	if (shade[s].seen)
		return;
	shade[s].seen = true;
	for (int k = 0; k < EDGES; k++) {
		const struct object *to = load_edge(o, k);

		FUZZ_MUST((to == NULL) == (shade[s].edge[k] < 0));
		if (to != NULL)
			walk(to, shade[s].edge[k]);
	}
}

static void check_all(void)
{
	for (int i = 0; i < SHADES; i++)
		shade[i].seen = false;
	for (int i = 0; i < ROOTS; i++)
		if (root_shade[i] >= 0)
			walk(root[i], root_shade[i]);
	for (int i = 0; i < HANDLES; i++)
		if (handle_shade[i] >= 0)
			walk(sm_handle_get(handle[i]), handle_shade[i]);
}

/* ---- finalizers --------------------------------------------------------------------------- */

static _Atomic(uint64_t) finalized[FINAL];
static _Atomic(uint32_t) nfinalized;

static void finalizer(void *ctx, struct sm_mutator *own, void *object)
{
	uint32_t n = sm_fetch_add_acqrel(&nfinalized, 1);

	(void)own;
	check_object(object, (uint64_t)(uintptr_t)ctx);
	if (n < FINAL)
		sm_store_release(&finalized[n], (uint64_t)(uintptr_t)ctx);
}

/* What was finalized is out of reach for good. */
static void check_finalized(int held)
{
	uint32_t n = sm_load_acquire(&nfinalized);

	mark_shadow(held);
	for (uint32_t i = 0; i < n && i < FINAL; i++)
		FUZZ_MUST(!in_reach(sm_load_acquire(&finalized[i])));
}

/* ---- operations --------------------------------------------------------------------------- */

static struct place born(struct fuzz_bytes *b, int held)
{
	uint64_t id = ++next_id;
	struct place p = {sm_new(m, shape[fuzz_number(b, 1) % SHAPES]), -1};

	FUZZ_MUST(p.o != NULL);
	for (int k = 0; k < EDGES; k++)
		FUZZ_MUST(p.o->edge[k] == NULL);
	p.o->id = id;
	p.o->canary = canary_of(id);
	p.s = new_shade(id, held);
	return p;
}

static void set_root(unsigned r, struct place p)
{
	sm_store(m, &root[r % ROOTS], p.o);
	root_shade[r % ROOTS] = p.s;
}

static void set_edge(struct place from, int k, struct place to)
{
	sm_store(m, (void **)&from.o->edge[k], to.o);
	shade[from.s].edge[k] = to.s;
}

static void op_new(struct fuzz_bytes *b, bool linked, int held)
{
	struct place p = born(b, held), at, other;

	if (p.s < 0)
		return;
	other = find(b);
	if (other.o != NULL)
		set_edge(p, 0, other);
	at = linked ? find(b) : (struct place){NULL, -1};
	if (at.o != NULL)
		set_edge(at, (int)(fuzz_number(b, 1) % EDGES), p);
	else
		set_root(fuzz_number(b, 1), p);
}

/* Out of an edge, into a root; where both are for a while is in a register alone. */
static void op_move(struct fuzz_bytes *b)
{
	struct place p = find(b), out;
	int k = (int)(fuzz_number(b, 1) % EDGES);

	if (p.o == NULL)
		return;
	out.s = shade[p.s].edge[k];
	if (fuzz_number(b, 1) % 2) {
		out.o = sm_exchange(m, (void **)&p.o->edge[k], NULL);
	} else {
		void *expected = load_edge(p.o, k);

		out.o = expected;
		FUZZ_MUST(sm_cas(m, (void **)&p.o->edge[k], &expected, NULL));
	}
	shade[p.s].edge[k] = -1;
	FUZZ_MUST((out.o == NULL) == (out.s < 0));
	if (fuzz_number(b, 1) % 2)
		sm_safepoint(m);
	if (out.o != NULL)
		set_root(fuzz_number(b, 1), out);
}

static void op_copy(struct fuzz_bytes *b)
{
	struct place from = find(b), to = find(b);
	unsigned n = fuzz_number(b, 1) % ROOTS;

	if (from.o != NULL && to.o != NULL) {
		sm_copy_slots(m, (void **)to.o->edge, (void *const *)from.o->edge, EDGES);
		memmove(shade[to.s].edge, shade[from.s].edge, sizeof(shade[to.s].edge));
	} else {
		sm_copy_slots(m, root + n, root, ROOTS - n);
		memmove(root_shade + n, root_shade, (ROOTS - n) * sizeof(root_shade[0]));
	}
}

static void op_handle(struct fuzz_bytes *b)
{
	unsigned i = fuzz_number(b, 1) % HANDLES;
	struct place p = find(b);

	if (p.o == NULL) {
		sm_handle_free(m, handle[i]);
		handle[i] = NULL;
	} else if (handle[i] == NULL) {
		handle[i] = sm_handle_new(m, p.o);
		FUZZ_MUST(handle[i] != NULL);
	} else {
		FUZZ_MUST(sm_handle_set(m, handle[i], p.o) == 0);
	}
	handle_shade[i] = p.s;
}

static void op_weak(struct fuzz_bytes *b, int held)
{
	unsigned i = fuzz_number(b, 1) % WEAKS;
	struct object *o;

	if (weak[i].ref != NULL) {
		mark_shadow(held);
		o = sm_weak_get(m, weak[i].ref);
		FUZZ_MUST(o != NULL || !in_reach(weak[i].id));
		if (o != NULL)
			check_object(o, weak[i].id);
	}
	if (fuzz_number(b, 1) % 2 == 0) {
		struct place p = find(b);

		sm_weak_free(m, weak[i].ref);
		weak[i].ref = p.o != NULL ? sm_weak_new(m, p.o) : NULL;
		weak[i].id = p.o != NULL ? shade[p.s].id : 0;
		FUZZ_MUST(p.o == NULL || weak[i].ref != NULL);
	}
}

static void op_pair(struct fuzz_bytes *b, int held)
{
	unsigned i = fuzz_number(b, 1) % PAIRS;
	struct place key, value;

	if (pair[i].ref != NULL && pair[i].key >= 0) {
		mark_shadow(held);
		if (shade[pair[i].key].seen)
			check_object(sm_ephemeron_get(m, pair[i].ref), shade[pair[i].value].id);
	}
	if (fuzz_number(b, 1) % 2 == 0) {
		key = find(b);
		value = find(b);
		sm_ephemeron_free(m, pair[i].ref);
		pair[i].ref = NULL;
		pair[i].key = pair[i].value = -1;
		if (key.o == NULL || value.o == NULL)
			return;
		pair[i].ref = sm_ephemeron_new(m, key.o, value.o);
		FUZZ_MUST(pair[i].ref != NULL);
		pair[i].key = key.s;
		pair[i].value = value.s;
	}
}

static void op_finalizer(struct fuzz_bytes *b)
{
	struct place p = find(b);
	int rc;

	if (p.o == NULL)
		return;
	if (fuzz_number(b, 1) % 4 == 0)
		rc = sm_finalizer_clear(m, p.o);
	else
		rc = sm_finalizer_set(m, p.o, finalizer, (void *)(uintptr_t)shade[p.s].id, NULL);
	FUZZ_MUST(rc == 0 || rc == -EEXIST || rc == -ENOENT);
}

static void op_junk(struct fuzz_bytes *b)
{
	for (unsigned n = fuzz_number(b, 1); n > 0; n--)
		FUZZ_MUST(sm_new_bytes(m, fuzz_number(b, 1) * 32) != NULL);
}

static void operate(struct fuzz_bytes *b, struct place *held)
{
	switch (fuzz_number(b, 1) % 18) {
	case 0: op_new(b, false, held->s); break;
	case 1:
	case 2: op_new(b, true, held->s); break;
	case 3: { /* link */
		struct place from = find(b), to = find(b);

		if (from.o != NULL)
			set_edge(from, (int)(fuzz_number(b, 1) % EDGES), to);
		break;
	}
	case 4: op_move(b); break;
	case 5: op_copy(b); break;
	case 6: set_root(fuzz_number(b, 1), (struct place){NULL, -1}); break;
	case 7: op_handle(b); break;
	case 8: op_weak(b, held->s); break;
	case 9: op_pair(b, held->s); break;
	case 10: op_finalizer(b); break;
	case 11: op_junk(b); break;
	case 12: begin(); break;
	case 13: acknowledge(); break;
	case 14: finish_blocked(); break;
	case 15: /* held by the stack alone, and let go */ *held = find(b); break;
	case 16:
		if (held->o != NULL)
			set_root(fuzz_number(b, 1), *held);
		break;
	default: check_all(); break;
	}
	if (held->o != NULL)
		check_object(held->o, shade[held->s].id);
}

/* ---- begin and end ------------------------------------------------------------------------ */

static void set(struct sm_gc_config *cfg, const char *key, const char *value)
{
	char err[200];

	FUZZ_MUST(sm_gc_config_set(cfg, key, value, err, sizeof(err)) == 0);
}

static void make(void)
{
	uint64_t mask = 7;
	struct sm_gc_config cfg;
	pthread_t t;

	sm_gc_config_init(&cfg);
	set(&cfg, "gc.verify", "1");
	set(&cfg, "gc.percent", "0");
	set(&cfg, "gc.report_ms", "0");
	set(&cfg, "gc.workers", "1");
	set(&cfg, "gc.barrier_buffer", "2");
	set(&cfg, "gc.packet", "2");
	set(&cfg, "cache.window", "1k");
	set(&cfg, "heap.reserve", "4g");
	gc = sm_gc_create(&cfg, NULL, 0);
	FUZZ_MUST(gc != NULL && (m = sm_mutator_attach(gc)) != NULL);
	shape[0] = sm_type_prefix(gc, sizeof(struct object), EDGES);
	shape[1] = sm_type_prefix(gc, 96, EDGES);
	shape[2] = sm_type_bitmap(gc, 128, &mask);
	shape[3] = sm_type_conservative(gc, 208);
	shape[4] = sm_type_prefix(gc, 40 * SM_KIB, EDGES);
	for (int i = 0; i < SHAPES; i++)
		FUZZ_MUST(shape[i] != NULL);
	FUZZ_MUST(sm_root_add(gc, root, ROOTS) == 0);
	FUZZ_MUST(sem_init(&wish, 0, 0) == 0 && pthread_create(&t, NULL, collect, NULL) == 0);
	pthread_detach(t);
}

static void forget(void)
{
	for (unsigned i = 0; i < ROOTS; i++)
		set_root(i, (struct place){NULL, -1});
	for (unsigned i = 0; i < HANDLES; i++) {
		sm_handle_free(m, handle[i]);
		handle[i] = NULL;
		handle_shade[i] = -1;
	}
	for (unsigned i = 0; i < WEAKS; i++) {
		sm_weak_free(m, weak[i].ref);
		weak[i].ref = NULL;
	}
	for (unsigned i = 0; i < PAIRS; i++) {
		sm_ephemeron_free(m, pair[i].ref);
		pair[i].ref = NULL;
		pair[i].key = pair[i].value = -1;
	}
	memset(shade, 0, sizeof(shade));
}

static SM_NOINLINE void play(struct fuzz_bytes *b)
{
	/* On the stack, where the scan of it finds the object. */
	struct place *volatile held = &(struct place){NULL, -1};

	while (b->at < b->end)
		operate(b, held);
	check_all();
	finish();
	if (held->o != NULL)
		check_object(held->o, shade[held->s].id);
	check_finalized(held->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_bytes b = {data, data + size};
	static unsigned runs;

	if (gc == NULL)
		make();
	forget();
	play(&b);
	check_all();
	begin(); /* what it left goes, and the verifier looks at what stays */
	finish();
	check_all();
	if (runs++ % 64 == 0)
		FUZZ_MUST(sm_heap_check(sm_gc_heap(gc)) == 0);
	/* Finalizers that are still to run belong to objects that are forgotten now. */
	forget();
	sm_store_release(&nfinalized, 0);
	return 0;
}
