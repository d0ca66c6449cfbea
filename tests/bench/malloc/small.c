/*
 * small.c: kernels of one or two threads whose objects are small and die young, in several orders.
 */
#include "tests/bench/malloc/kernel.h"

/* ---- numbers (the kind of cfrac) ---------------------------------------------------------- */

/*
 * Arithmetic on integers of any length, each of which is an object: an operation allocates its
 * result, and its operands die soon. Some hundred results live on.
 */
struct number {
	uint32_t length;
	uint32_t limb[];
};

enum { KEPT = 512, LONGEST = 12 };

static struct number *number_of(uint32_t length)
{
	struct number *x = malloc(sizeof(*x) + length * sizeof(x->limb[0]));

	if (x == NULL)
		die("no memory");
	x->length = length;
	return x;
}

static struct number *times_plus(const struct number *a, uint32_t by, const struct number *b)
{
	uint32_t longer = a->length > b->length ? a->length : b->length;
	struct number *x = number_of(longer + 1);
	uint64_t carry = 0;

	for (uint32_t i = 0; i < longer; i++) {
		carry += i < a->length ? (uint64_t)a->limb[i] * by : 0;
		carry += i < b->length ? b->limb[i] : 0;
		x->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
	x->limb[longer] = (uint32_t)carry;
	x->length = carry != 0 ? longer + 1 : longer;
	return x;
}

static struct number *upper_part(const struct number *a, uint32_t from)
{
	struct number *x = number_of(a->length - from);

	memcpy(x->limb, a->limb + from, x->length * sizeof(x->limb[0]));
	return x;
}

static uint64_t digest(const struct number *x)
{
	uint64_t sum = x->length;

	for (uint32_t i = 0; i < x->length; i++)
		sum = sum * 0x100000001b3ull + x->limb[i];
	return sum;
}

/* N operations. */
uint64_t kernel_numbers(long n, long m)
{
	struct number *kept[KEPT] = {NULL}, *a = number_of(1), *b = number_of(1);
	uint64_t state = seed_of(m), sum = 0;

	a->limb[0] = 1;
	b->limb[0] = 3;
	for (long i = 0; i < n; i++) {
		uint32_t k = draw(&state);
		struct number *t = times_plus(a, k | 1, b), *u = times_plus(t, 1, a);

		free(t);
		if (u->length > LONGEST) {
			t = upper_part(u, LONGEST - 1 - k % 8);
			free(u);
			u = t;
		}
		if ((k >> 8) % 8 == 0) {
			sum += kept[k % KEPT] != NULL ? digest(kept[k % KEPT]) : 1;
			free(kept[k % KEPT]);
			kept[k % KEPT] = b;
		} else {
			free(b);
		}
		b = a;
		a = u;
	}
	sum += digest(a) + digest(b);
	free(a);
	free(b);
	for (int i = 0; i < KEPT; i++)
		free(kept[i]);
	return sum;
}

/* ---- pareto (the kind of alloc-test) ------------------------------------------------------ */

enum { PARETO_SLOTS = 1 << 15 };

struct trader {
	long who, n;
	uint64_t sum;
};

/* Four fifths of the sizes are in the first fifth of the range, and so on inside that: 16..3000. */
static size_t pareto_size(uint64_t *state)
{
	uint32_t span = 3000;

	while (span > 16 && below(state, 5) != 0)
		span /= 5;
	return 16 + below(state, span);
}

static void *trade(void *arg)
{
	struct trader *t = arg;
	void **slot = calloc(PARETO_SLOTS, sizeof(*slot));
	uint64_t state = seed_of(t->who), sum = 0;

	for (long i = 0; i < t->n; i++) {
		/* Slots, too: most of the traffic is on few. */
		uint32_t span = below(&state, 5) != 0 ? PARETO_SLOTS / 5 : PARETO_SLOTS;
		uint32_t k = below(&state, span);

		if (slot[k] != NULL) {
			sum += take(slot[k]);
			slot[k] = NULL;
		} else {
			size_t size = pareto_size(&state);

			slot[k] = stamped(size, (uint64_t)i << 8 | (uint64_t)t->who);
			memset((char *)slot[k] + sizeof(struct stamp), (int)(uint8_t)i,
			       size > sizeof(struct stamp) + 1 ? size - sizeof(struct stamp) - 1
							       : 0);
		}
	}
	for (int k = 0; k < PARETO_SLOTS; k++)
		sum += take(slot[k]);
	free(slot);
	t->sum = sum;
	return NULL;
}

/* N operations in each of M threads. */
uint64_t kernel_pareto(long n, long m)
{
	struct trader t[MOST_THREADS];
	uint64_t sum = 0;

	for (long i = 0; i < m && i < MOST_THREADS; i++)
		t[i] = (struct trader){.who = i, .n = n};
	run_threads(m, trade, t, sizeof(t[0]));
	for (long i = 0; i < m; i++)
		sum += t[i].sum;
	return sum;
}

/* ---- batches (the kind of glibc's simple benchmark) --------------------------------------- */

/* One size at a time, 32..4096: 25, 100, 400, 1600 objects are allocated, then freed, oldest first;
 * N times. */
uint64_t kernel_batches(long n, long m)
{
	static const int counts[] = {25, 100, 400, 1600};
	void *p[1600];
	uint64_t sum = 0;

	(void)m;
	for (long round = 0; round < n; round++) {
		for (size_t size = 32; size <= 4096; size *= 2) {
			int count = counts[(size_t)round % 4];

			for (int i = 0; i < count; i++)
				p[i] = stamped(size, (uint64_t)round << 16 | (uint64_t)i);
			for (int i = 0; i < count; i++)
				sum += take(p[i]);
		}
	}
	return sum;
}

/* ---- orders (the kinds of sh6bench and sh8bench) ------------------------------------------ */

enum { BATCH = 5000 };

struct sorter {
	long who, n;
	struct sorter *next;
	pthread_barrier_t *all;
	void **batch;
	uint64_t sum;
};

/* Small sizes far oftener than large ones: 17..~1000. */
static size_t skewed_size(uint64_t *state)
{
	return 17u + (1u << below(state, 7)) + below(state, 1u << below(state, 10));
}

static uint64_t free_in_order(void **p, long how)
{
	uint64_t sum = 0;

	if (how == 0) {
		for (int i = 0; i < BATCH; i++)
			sum += take(p[i]);
	} else if (how == 1) {
		for (int i = BATCH - 1; i >= 0; i--)
			sum += take(p[i]);
	} else {
		for (int step = 0; step < 16; step++)
			for (int i = step; i < BATCH; i += 16)
				sum += take(p[i]);
	}
	return sum;
}

/*
 * Allocates a batch; frees it in the order of allocation, in reverse, or in strides. Of two
 * batches one is freed by its owner; the other goes to the next thread, which frees it.
 */
static void *sort_out(void *arg)
{
	struct sorter *s = arg;
	uint64_t state = seed_of(s->who);

	for (long round = 0; round < s->n; round++) {
		void **mine = malloc(BATCH * sizeof(*mine));

		s->batch = malloc(BATCH * sizeof(*s->batch));
		for (int i = 0; i < BATCH; i++) {
			uint64_t tag = (uint64_t)round << 24 | (uint64_t)i << 8 | (uint64_t)s->who;

			mine[i] = stamped(skewed_size(&state), tag);
			s->batch[i] = stamped(skewed_size(&state), tag ^ 0x80);
		}
		s->sum += free_in_order(mine, round % 3);
		free(mine);
		pthread_barrier_wait(s->all);
		s->sum += free_in_order(s->next->batch, round % 3);
		free(s->next->batch);
		pthread_barrier_wait(s->all);
	}
	return NULL;
}

/* N rounds in each of M threads. */
uint64_t kernel_orders(long n, long m)
{
	struct sorter s[MOST_THREADS];
	pthread_barrier_t all;
	uint64_t sum = 0;

	pthread_barrier_init(&all, NULL, (unsigned)m);
	for (long i = 0; i < m && i < MOST_THREADS; i++)
		s[i] = (struct sorter){.who = i, .n = n, .all = &all, .next = &s[(i + 1) % m]};
	run_threads(m, sort_out, s, sizeof(s[0]));
	for (long i = 0; i < m; i++)
		sum += s[i].sum;
	return sum;
}

/* ---- vectors ------------------------------------------------------------------------------ */

enum { VECTORS = 256 };

/* 256 arrays that grow by realloc, by a half each time, to 1..64 KiB; N appendings of 64 B. */
uint64_t kernel_vectors(long n, long m)
{
	struct {
		char *data;
		size_t used, room, most;
	} v[VECTORS] = {{0}};
	uint64_t state = seed_of(m), sum = 0;

	for (long i = 0; i < n; i++) {
		uint32_t k = below(&state, VECTORS);

		if (v[k].used + 64 > v[k].room) {
			v[k].room = (v[k].used + 64) / 2 * 3;
			v[k].data = realloc(v[k].data, v[k].room);
			if (v[k].data == NULL)
				die("no memory");
		}
		memset(v[k].data + v[k].used, (int)(uint8_t)i, 64);
		v[k].used += 64;
		if (v[k].used > v[k].most) {
			sum = sum * 3 + (uint8_t)v[k].data[0] + (uint8_t)v[k].data[v[k].used / 2];
			free(v[k].data);
			v[k].data = NULL;
			v[k].used = v[k].room = 0;
			v[k].most = (size_t)1024 << below(&state, 7);
		}
	}
	for (int k = 0; k < VECTORS; k++) {
		sum = sum * 3 + v[k].used;
		free(v[k].data);
	}
	return sum;
}
