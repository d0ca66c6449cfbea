/*
 * arch/x86_64/watch.h: the section that watch.h announces. Labels and signature as in allocator/arch/x86_64/rseq.h. The
 * section is one instruction behind the announcement; a thread that is disturbed right there announces again.
 */
#ifndef SM_COLLECTOR_ARCH_X86_64_WATCH_H
#define SM_COLLECTOR_ARCH_X86_64_WATCH_H

SM_INLINE uint64_t sm__watch_announce(struct sm_rseq_area *area)
{
	uint64_t cs;

	__asm__ volatile(".pushsection __rseq_cs, \"aw\"\n\t"
			 ".balign 32\n\t"
			 "3:\n\t"
			 ".long 0, 0\n\t"
			 ".quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 ".pushsection .text.sm_rseq, \"ax\"\n\t"
			 ".byte 0x0f, 0xb9, 0x3d\n\t"
			 ".long 0x53053053\n\t"
			 "4:\n\t"
			 "jmp 0f\n\t"
			 ".popsection\n\t"
			 "0:\n\t"
			 "leaq 3b(%%rip), %[cs]\n\t"
			 "movq %[cs], 8(%[rs])\n\t"
			 "1:\n\t"
			 "nop\n\t"
			 "2:\n\t"
			 : [cs] "=&r"(cs)
			 : [rs] "r"(area)
			 : "memory");
	return cs;
}

#endif
