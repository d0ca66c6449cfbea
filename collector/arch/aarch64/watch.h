/*
 * arch/aarch64/watch.h: the section that watch.h announces. Labels and signature as in allocator/arch/aarch64/rseq.h. The
 * section is one instruction behind the announcement; a thread that is disturbed right there announces again.
 */
#ifndef SM_COLLECTOR_ARCH_AARCH64_WATCH_H
#define SM_COLLECTOR_ARCH_AARCH64_WATCH_H

SM_INLINE uint64_t sm__watch_announce(struct sm_rseq_area *area)
{
	uint64_t cs;

	__asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t"
			 ".balign 32\n\t"
			 "3:\n\t"
			 ".long 0, 0\n\t"
			 ".quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 "b 0f\n\t"
			 ".inst 0xd428bc00\n\t"
			 "4:\n\t"
			 "b 0f\n\t"
			 "0:\n\t"
			 "adrp %[cs], 3b\n\t"
			 "add %[cs], %[cs], :lo12:3b\n\t"
			 "str %[cs], [%[rs], #8]\n\t"
			 "1:\n\t"
			 "nop\n\t"
			 "2:\n\t"
			 : [cs] "=&r"(cs)
			 : [rs] "r"(area)
			 : "memory");
	return cs;
}

#endif
