/*
 * arch/x86_64/rseq.h: the restartable sections of rseq.h. Included by it alone.
 *
 * Each section: 0 announces it (rseq_cs), 1 is its first instruction, 2 the one behind the commit,
 * 4 where the kernel sends a disturbed thread: back to 0. In front of 4 stands the signature that
 * the kernel demands, as the operand of an undefined instruction; both in a section of their own,
 * since the compiler may put the code around a section into any of its. Leaving a section early (5,
 * or a label of the C code: nothing that the section computed counts there) is allowed anywhere.
 */
#ifndef SM_ALLOCATOR_ARCH_X86_64_RSEQ_H
#define SM_ALLOCATOR_ARCH_X86_64_RSEQ_H

SM_INLINE struct sm_rseq_area *sm__rseq_area(void)
{
	char *tp;

	__asm__("movq %%fs:0, %0" : "=r"(tp));
	return (struct sm_rseq_area *)(tp + sm__rseq_area_offset);
}

/* The section's description and its way back, up to where it is announced.
 * collector/mutator/preempted.h has a section, too. */
#define SM_RSEQ_SECTION                                              \
	".pushsection __rseq_cs, \"aw\"\n\t"                         \
	".balign 32\n\t"                                             \
	"3:\n\t"                                                     \
	".long 0, 0\n\t"                                             \
	".quad 1f, 2f - 1f, 4f\n\t"                                  \
	".popsection\n\t"                                            \
	".pushsection .text.sm_rseq, \"ax\"\n\t"                     \
	".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1 signature(%rip), %edi */ \
	".long 0x53053053\n\t"                                       \
	"4:\n\t"                                                     \
	"jmp 0f\n\t"                                                 \
	".popsection\n\t"                                            \
	"0:\n\t"

/* Loads the CPU's slab into s, or leaves. */
#define SM_RSEQ_ENTER                      \
	SM_RSEQ_SECTION                    \
	"leaq 3b(%%rip), %[s]\n\t"         \
	"movq %[s], 8(%[rs])\n\t"          \
	"1:\n\t"                           \
	"movl 4(%[rs]), %k[s]\n\t"         \
	"xorl %k[res], %k[res]\n\t"        \
	"cmpl %[n], %k[s]\n\t"             \
	"jae 5f\n\t"                       \
	"movq (%[slabs],%[s],8), %[s]\n\t" \
	"testq %[s], %[s]\n\t"             \
	"je 5f\n\t"

/*
 * The same for stacks: the thread's area by its offset, a table in which every number that the
 * kernel may say has an entry. s: the slab, w: the stack's word, i: the top.
 */
#define SM_RSEQ_ENTER_STACK                \
	SM_RSEQ_SECTION                    \
	"leaq 3b(%%rip), %[s]\n\t"         \
	"movq %[s], %%fs:8(%[area])\n\t"   \
	"1:\n\t"                           \
	"movslq %%fs:4(%[area]), %[s]\n\t" \
	"movq (%[slabs],%[s],8), %[s]\n\t" \
	"movq (%[s],%[k],8), %[w]\n\t"     \
	"movl %k[w], %k[i]\n\t"            \
	"andl $0xfffff, %k[i]\n\t"

/* Pops stack k of the slab. NULL: empty; the section is left where it finds that out. */
SM_INLINE void *sm__rseq_pop(void *const *slabs, size_t k)
{
	uint64_t res, s, w, i;

	__asm__ volatile goto(SM_RSEQ_ENTER_STACK "movq %c[slots](%[s],%[i],8), %[res]\n\t"
						  "addq $0xfffff, %[w]\n\t"
						  "testq %[res], %[res]\n\t"
						  "je %l[empty]\n\t"
						  "movq %[w], (%[s],%[k],8)\n\t"
						  "2:\n\t"
			      : [res] "=&r"(res), [s] "=&r"(s), [w] "=&r"(w), [i] "=&r"(i)
			      : [area] "r"(sm__rseq_area_offset), [slabs] "r"(slabs), [k] "r"(k),
				[slots] "i"(offsetof(struct sm_rseq_slab, slots))
			      : "memory", "cc"
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
	uint64_t s, w, i;

	__asm__ volatile goto(SM_RSEQ_ENTER_STACK "cmpl %c[ends](%[s],%[k],4), %k[i]\n\t"
						  "jae %l[full]\n\t"
						  "incq %[w]\n\t"
						  "movq %[p], 8+%c[slots](%[s],%[i],8)\n\t"
						  "movq %[w], (%[s],%[k],8)\n\t"
						  "2:\n\t"
			      : [s] "=&r"(s), [w] "=&r"(w), [i] "=&r"(i)
			      : [area] "r"(sm__rseq_area_offset), [slabs] "r"(slabs), [k] "r"(k),
				[p] "r"(p), [slots] "i"(offsetof(struct sm_rseq_slab, slots)),
				[ends] "i"(offsetof(struct sm_rseq_slab, end))
			      : "memory", "cc"
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
	uint64_t res, s;

	__asm__ volatile(SM_RSEQ_ENTER "cmpq $0, (%[s],%[at])\n\t"
				       "jne 5f\n\t"
				       "movq %[second], (%[s],%[at2])\n\t"
				       "incl %k[res]\n\t"
				       "movq %[value], (%[s],%[at])\n\t"
				       "2:\n\t"
				       "5:\n\t"
			 : [res] "=&r"(res), [s] "=&r"(s)
			 : [rs] "r"(sm__rseq_area()), [slabs] "r"(t->slabs), [n] "r"(t->ncpus),
			   [at] "r"(at), [at2] "r"(at2), [value] "r"(value), [second] "r"(second)
			 : "memory", "cc");
	return res;
}

/* Bumps the window {cur, end} at `at` by size; the last slot leaves cur 0. NULL: no window. */
SM_INLINE void *sm__rseq_bump(const struct sm_rseq_table *t, size_t at, size_t size)
{
	uint64_t res, s, x, zero;

	__asm__ volatile(SM_RSEQ_ENTER "movq (%[s],%[at]), %[res]\n\t"
				       "testq %[res], %[res]\n\t"
				       "je 5f\n\t"
				       "xorl %k[zero], %k[zero]\n\t"
				       "leaq (%[res],%[size]), %[x]\n\t"
				       "cmpq 8(%[s],%[at]), %[x]\n\t"
				       "cmoveq %[zero], %[x]\n\t"
				       "movq %[x], (%[s],%[at])\n\t"
				       "2:\n\t"
				       "5:\n\t"
			 : [res] "=&r"(res), [s] "=&r"(s), [x] "=&r"(x), [zero] "=&r"(zero)
			 : [rs] "r"(sm__rseq_area()), [slabs] "r"(t->slabs), [n] "r"(t->ncpus),
			   [at] "r"(at), [size] "r"(size)
			 : "memory", "cc");
	return (void *)res;
}

#undef SM_RSEQ_ENTER
#undef SM_RSEQ_ENTER_STACK

#endif
