/*
 * arch/x86_64/preempted.h: the section that preempted.h announces. Labels as in
 * allocator/os/arch/x86_64/rseq.h. The section is one instruction behind the announcement; a thread
 * that is disturbed right there announces again.
 */
#ifndef SM_COLLECTOR_ARCH_X86_64_PREEMPTED_H
#define SM_COLLECTOR_ARCH_X86_64_PREEMPTED_H

SM_INLINE uint64_t sm__preempted_announce(struct sm_rseq_area *area)
{
	uint64_t cs;

	__asm__ volatile(SM_RSEQ_SECTION "leaq 3b(%%rip), %[cs]\n\t"
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
