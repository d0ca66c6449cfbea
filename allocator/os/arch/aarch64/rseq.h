/*
 * arch/aarch64/rseq.h: the restartable sections of rseq.h. Included by it alone.
 *
 * The labels are those of the x86-64 file: 0 announces the section, 1 its start, 2 behind the
 * commit, 4 where the kernel sends a disturbed thread (behind the signature, both in a section of
 * their own), 5 the way out, or a label of the C code. x9 holds the slab, x10 scratch.
 */
#ifndef SM_ALLOCATOR_ARCH_AARCH64_RSEQ_H
#define SM_ALLOCATOR_ARCH_AARCH64_RSEQ_H

SM_INLINE struct sm_rseq_area *sm__rseq_area(void)
{
	char *tp;

	__asm__("mrs %0, tpidr_el0" : "=r"(tp));
	return (struct sm_rseq_area *)(tp + sm__rseq_area_offset);
}

/* The section's description and its way back, up to where it is announced.
 * collector/mutator/preempted.h has a section, too. */
#define SM_RSEQ_SECTION                            \
	".pushsection __rseq_cs, \"aw\"\n\t"       \
	".balign 32\n\t"                           \
	"3:\n\t"                                   \
	".long 0, 0\n\t"                           \
	".quad 1f, 2f - 1f, 4f\n\t"                \
	".popsection\n\t"                          \
	".pushsection .text.sm_rseq, \"ax\"\n\t"   \
	".inst 0xd428bc00\n\t" /* the signature */ \
	"4:\n\t"                                   \
	"b 0f\n\t"                                 \
	".popsection\n\t"                          \
	"0:\n\t"

/* Loads the CPU's slab into x9, or leaves. */
#define SM_RSEQ_ENTER                        \
	SM_RSEQ_SECTION                      \
	"adrp x9, 3b\n\t"                    \
	"add x9, x9, :lo12:3b\n\t"           \
	"str x9, [%[rs], #8]\n\t"            \
	"1:\n\t"                             \
	"ldr w9, [%[rs], #4]\n\t"            \
	"mov %[res], xzr\n\t"                \
	"cmp w9, %w[n]\n\t"                  \
	"b.hs 5f\n\t"                        \
	"ldr x9, [%[slabs], x9, lsl #3]\n\t" \
	"cbz x9, 5f\n\t"

#define SM_RSEQ_CLOBBERS "memory", "cc", "x9", "x10"

/*
 * The same for stacks, with a table in which every number that the kernel may say has an entry. x9
 * holds the slab, x10 the stack's word, x11 its top, x12 scratch.
 */
#define SM_RSEQ_ENTER_STACK                  \
	SM_RSEQ_SECTION                      \
	"adrp x9, 3b\n\t"                    \
	"add x9, x9, :lo12:3b\n\t"           \
	"str x9, [%[rs], #8]\n\t"            \
	"1:\n\t"                             \
	"ldrsw x9, [%[rs], #4]\n\t"          \
	"ldr x9, [%[slabs], x9, lsl #3]\n\t" \
	"ldr x10, [x9, %[k], lsl #3]\n\t"    \
	"and x11, x10, #0xfffff\n\t"

#define SM_RSEQ_CLOBBERS_STACK "memory", "cc", "x9", "x10", "x11", "x12"

/* Pops stack k of the slab. NULL: empty; the section is left where it finds that out. */
SM_INLINE void *sm__rseq_pop(void *const *slabs, size_t k)
{
	uint64_t res;

	__asm__ volatile goto(
		SM_RSEQ_ENTER_STACK "add x12, x9, %[slots]\n\t"
				    "ldr %[res], [x12, x11, lsl #3]\n\t"
				    "add x10, x10, %[pop]\n\t"
				    "cbz %[res], %l[empty]\n\t"
				    "str x10, [x9, %[k], lsl #3]\n\t"
				    "2:\n\t"
		: [res] "=&r"(res)
		: [rs] "r"(sm__rseq_area()), [slabs] "r"(slabs), [k] "r"(k), [pop] "r"(SM_RSEQ_POP),
		  [slots] "I"(offsetof(struct sm_rseq_slab, slots))
		: SM_RSEQ_CLOBBERS_STACK
		: empty);
	if (res == 0)
		__builtin_unreachable(); /* the caller need not look again */
	return (void *)res;
empty:
	return NULL;
}

/* Pushes p. False: full (or the slab is away). */
SM_INLINE bool sm__rseq_push(void *const *slabs, size_t k, void *p)
{
	__asm__ volatile goto(SM_RSEQ_ENTER_STACK "add x12, x9, %[ends]\n\t"
						  "ldr w12, [x12, %[k], lsl #2]\n\t"
						  "cmp w11, w12\n\t"
						  "b.hs %l[full]\n\t"
						  "add x12, x9, x11, lsl #3\n\t"
						  "str %[p], [x12, %[above]]\n\t"
						  "add x10, x10, #1\n\t"
						  "str x10, [x9, %[k], lsl #3]\n\t"
						  "2:\n\t"
			      :
			      : [rs] "r"(sm__rseq_area()), [slabs] "r"(slabs), [k] "r"(k),
				[p] "r"(p), [ends] "I"(offsetof(struct sm_rseq_slab, end)),
				[above] "I"(offsetof(struct sm_rseq_slab, slots) + sizeof(void *))
			      : SM_RSEQ_CLOBBERS_STACK
			      : full);
	return true;
full:
	return false;
}

/* Stores value where 0 was; second, a word at `at2`, is stored before it and counts only with it.
 */
SM_INLINE bool sm__rseq_put(const struct sm_rseq_table *t, size_t at, uint64_t value, size_t at2,
			    uint64_t second)
{
	uint64_t res;

	__asm__ volatile(SM_RSEQ_ENTER "ldr x10, [x9, %[at]]\n\t"
				       "cbnz x10, 5f\n\t"
				       "str %[second], [x9, %[at2]]\n\t"
				       "mov %[res], #1\n\t"
				       "str %[value], [x9, %[at]]\n\t"
				       "2:\n\t"
				       "5:\n\t"
			 : [res] "=&r"(res)
			 : [rs] "r"(sm__rseq_area()), [slabs] "r"(t->slabs), [n] "r"(t->ncpus),
			   [at] "r"(at), [at2] "r"(at2), [value] "r"(value), [second] "r"(second)
			 : SM_RSEQ_CLOBBERS);
	return res;
}

/* Bumps the window {cur, end} at `at` by size; the last slot leaves cur 0. NULL: no window. */
SM_INLINE void *sm__rseq_bump(const struct sm_rseq_table *t, size_t at, size_t size)
{
	uint64_t res;

	__asm__ volatile(SM_RSEQ_ENTER "add x9, x9, %[at]\n\t"
				       "ldr %[res], [x9]\n\t"
				       "cbz %[res], 5f\n\t"
				       "ldr x10, [x9, #8]\n\t"
				       "sub x10, x10, %[res]\n\t"
				       "cmp x10, %[size]\n\t"
				       "add x10, %[res], %[size]\n\t"
				       "csel x10, xzr, x10, eq\n\t"
				       "str x10, [x9]\n\t"
				       "2:\n\t"
				       "5:\n\t"
			 : [res] "=&r"(res)
			 : [rs] "r"(sm__rseq_area()), [slabs] "r"(t->slabs), [n] "r"(t->ncpus),
			   [at] "r"(at), [size] "r"(size)
			 : SM_RSEQ_CLOBBERS);
	return (void *)res;
}

#undef SM_RSEQ_ENTER
#undef SM_RSEQ_ENTER_STACK
#undef SM_RSEQ_CLOBBERS_STACK
#undef SM_RSEQ_CLOBBERS

#endif
