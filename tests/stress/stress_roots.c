/*
 * Roots on stacks and in registers. A pointer in one callee-saved register only, each of them in
 * turn (scenario 8); interior, one-past-the-end, stale and wild words (7). In both modes, with the
 * verifier.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/stress.h"

struct cell {
	struct cell *next;
	uint64_t canary, pad[6];
};
#define CANARY 0x5eedf00dcafe1234ull

static struct sm_gc *gc;
static struct sm_mutator *m;
static const struct sm_type *type;

static SM_NOINLINE uintptr_t hidden(void)
{
	struct cell *c = sm_new(m, type);

	SM_MUST(c != NULL);
	c->canary = CANARY;
	return ~(uintptr_t)c; /* disguised: the caller's copy is no root */
}

/* Garbage enough to reuse every freed slot, with another canary. */
static SM_NOINLINE void churn(void)
{
	for (int i = 0; i < 4096; i++) {
		struct cell *c = sm_new(m, type);

		if (c)
			c->canary = 0xdead;
	}
}

static SM_NOINLINE void collect_and_churn(void)
{
	sm_stress_scrub_stack();
	SM_MUST(sm_collect(gc, m) == 0);
	sm_stress_scrub_stack();
	churn();
}

static bool alive(uintptr_t disguised)
{
	return ((struct cell *)~disguised)->canary == CANARY;
}

/* ---- 8: one register ---------------------------------------------------------------------- */

/*
 * Puts the pointer into one callee-saved register, calls, and takes it out again. Nothing else
 * holds it: the disguised value is turned round in that register.
 */
#if defined(__x86_64__)
#define IN_REGISTER(reg)                                                                              \
	static SM_NOINLINE bool in_##reg(uintptr_t d)                                                 \
	{                                                                                             \
		uintptr_t out, arg = d;                                                               \
		void (*f)(void) = collect_and_churn;                                                  \
		/* Below the red zone; the stack aligned for the call, its old value in two words. */ \
		__asm__ volatile("sub $128, %%rsp\n\t"                                                \
				 "push %%" #reg "\n\t"                                                \
				 "mov %[d], %%" #reg "\n\t"                                           \
				 "not %%" #reg "\n\t"                                                 \
				 "mov %%rsp, %%r11\n\t"                                               \
				 "and $-16, %%rsp\n\t"                                                \
				 "push %%r11\n\t"                                                     \
				 "push %%r11\n\t"                                                     \
				 "call *%[f]\n\t"                                                     \
				 "pop %%r11\n\t"                                                      \
				 "mov %%r11, %%rsp\n\t"                                               \
				 "mov %%" #reg ", %[out]\n\t"                                         \
				 "pop %%" #reg "\n\t"                                                 \
				 "add $128, %%rsp\n\t"                                                \
				 : [out] "=&a"(out), [d] "+D"(arg), [f] "+S"(f)                       \
				 :                                                                    \
				 : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0",    \
				   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",    \
				   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");     \
		return ((struct cell *)out)->canary == CANARY && alive(d);                            \
	}
#define EACH_REGISTER(X) X(rbx) X(rbp) X(r12) X(r13) X(r14) X(r15)
EACH_REGISTER(IN_REGISTER)
#define EACH_VECTOR(X)
#elif defined(__aarch64__)
#define IN_REGISTER(reg)                                                                           \
	static SM_NOINLINE bool in_##reg(uintptr_t d)                                              \
	{                                                                                          \
		register uintptr_t x0 __asm__("x0") = d;                                           \
		register void (*x1)(void) __asm__("x1") = collect_and_churn;                       \
		__asm__ volatile("stp " #reg ", x30, [sp, #-16]!\n\t"                              \
				 "sub sp, sp, #128\n\t"                                            \
				 "mvn " #reg ", x0\n\t"                                            \
				 "blr x1\n\t"                                                      \
				 "mov x0, " #reg "\n\t"                                            \
				 "add sp, sp, #128\n\t"                                            \
				 "ldp " #reg ", x30, [sp], #16\n\t"                                \
				 : "+r"(x0), "+r"(x1)                                              \
				 :                                                                 \
				 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",   \
				   "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30",         \
				   "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", \
				   "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",  \
				   "v25", "v26", "v27", "v28", "v29", "v30", "v31");               \
		return ((struct cell *)x0)->canary == CANARY && alive(d);                          \
	}
#define EACH_REGISTER(X) \
	X(x19) X(x20) X(x21) X(x22) X(x23) X(x24) X(x25) X(x26) X(x27) X(x28) X(x29)
EACH_REGISTER(IN_REGISTER)

/* The low half of v8 to v15 is callee-saved, too. */
#define IN_VECTOR(reg)                                                                             \
	static SM_NOINLINE bool in_##reg(uintptr_t d)                                              \
	{                                                                                          \
		register uintptr_t x0 __asm__("x0") = d;                                           \
		register void (*x1)(void) __asm__("x1") = collect_and_churn;                       \
		__asm__ volatile("stp " #reg ", d0, [sp, #-16]!\n\t"                               \
				 "str x30, [sp, #-16]!\n\t"                                        \
				 "sub sp, sp, #128\n\t"                                            \
				 "mvn x9, x0\n\t"                                                  \
				 "fmov " #reg ", x9\n\t"                                           \
				 "mov x9, #0\n\t"                                                  \
				 "blr x1\n\t"                                                      \
				 "fmov x0, " #reg "\n\t"                                           \
				 "add sp, sp, #128\n\t"                                            \
				 "ldr x30, [sp], #16\n\t"                                          \
				 "ldp " #reg ", d0, [sp], #16\n\t"                                 \
				 : "+r"(x0), "+r"(x1)                                              \
				 :                                                                 \
				 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",   \
				   "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30",         \
				   "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", \
				   "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",  \
				   "v25", "v26", "v27", "v28", "v29", "v30", "v31");               \
		return ((struct cell *)x0)->canary == CANARY && alive(d);                          \
	}
#define EACH_VECTOR(X) X(d8) X(d9) X(d10) X(d11) X(d12) X(d13) X(d14) X(d15)
EACH_VECTOR(IN_VECTOR)
#else
#define EACH_REGISTER(X)
#define EACH_VECTOR(X)
#endif

static void registers(void)
{
	static const struct {
		const char *name;
		bool (*holds)(uintptr_t);
	} regs[] = {
#define ENTRY(reg) {#reg, in_##reg},
		EACH_REGISTER(ENTRY) EACH_VECTOR(ENTRY)
#undef ENTRY
			{NULL, NULL},
	};

	for (unsigned i = 0; regs[i].name; i++) {
		for (int n = 0; n < 3; n++)
			SM_MUST(regs[i].holds(hidden()), "an object held by %s alone was freed",
				regs[i].name);
	}
}

/* ---- 7: words ----------------------------------------------------------------------------- */

static SM_NOINLINE bool survives(uintptr_t disguised, size_t offset)
{
	volatile uintptr_t word = ~disguised + offset;
	bool yes;

	collect_and_churn();
	yes = alive(disguised);
	word = 0;
	(void)word;
	return yes;
}

static void words(struct sm_rng *r)
{
	/* Interior: any byte of the object. */
	for (size_t off = 0; off < sizeof(struct cell); off += 1 + sm_rng_below(r, 9))
		SM_MUST(survives(hidden(), off), "an object held by its byte %zu alone was freed",
			off);
	/* Wild: nothing may crash, and nothing that is free may come to life (the verifier and the
	 * sweeper's check that no span gains objects watch). */
	for (int n = 0; n < 40; n++) {
		volatile uintptr_t wild[64];
		struct sm_heap *h = sm_gc_heap(gc);

		for (size_t i = 0; i < 64; i++) {
			uint64_t dice = sm_rng_below(r, 4);

			wild[i] = dice == 0   ? sm_rng_next(r)
				  : dice == 1 ? h->pages.range.base +
							sm_rng_below(r, h->pages.range.bytes)
				  : dice == 2 ? h->pages.range.base + sm_rng_below(r, 8 * SM_MIB)
					      : h->pages.range.base + h->pages.range.bytes -
							sm_rng_below(r, 64);
		}
		collect_and_churn();
		(void)wild[0];
	}
}

/* Stale: after the last use, an object goes within two collections, unless a dead word happens to
 * hold it; of many, nearly all must go. */
static SM_NOINLINE void stale(void)
{
	struct sm_gc_stats st;
	uint64_t before;

	SM_MUST(sm_collect(gc, m) == 0);
	sm_gc_stats(gc, &st);
	before = st.last_marked_objects;
	for (int i = 0; i < 10000; i++)
		hidden();
	sm_stress_scrub_stack();
	SM_MUST(sm_collect(gc, m) == 0 && sm_collect(gc, m) == 0);
	sm_gc_stats(gc, &st);
	SM_MUST(st.last_marked_objects < before + 100, "%llu of 10000 dead objects are still there",
		(unsigned long long)(st.last_marked_objects - before));
}

static void all(struct sm_stress *s, const char *keys)
{
	struct sm_rng r;

	sm_rng_seed(&r, s->seed, 1);
	gc = sm_stress_gc(s, false, keys);
	m = sm_mutator_attach(gc);
	SM_MUST(m != NULL);
	type = sm_type_prefix(gc, sizeof(struct cell), 1);
	registers();
	words(&r);
	stale();
	sm_mutator_detach(m);
	sm_stress_end(gc);
}

int main(void)
{
	struct sm_stress s;

	sm_stress_begin(&s, "stress_roots", 5);
	all(&s, "gc.mode=stw");
	all(&s, "gc.mode=concurrent");
	all(&s, "gc.mode=concurrent,cache.window=1k,debug.fill=1");
	return 0;
}
