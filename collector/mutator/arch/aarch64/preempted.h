/*
 * arch/aarch64/preempted.h: the section that preempted.h announces. Labels as in
 * allocator/os/arch/aarch64/rseq.h. The section is one instruction behind the announcement; a
 * thread that is disturbed right there announces again.
 */
#ifndef SM_COLLECTOR_ARCH_AARCH64_PREEMPTED_H
#define SM_COLLECTOR_ARCH_AARCH64_PREEMPTED_H

SM_INLINE uint64_t sm__preempted_announce(struct sm_rseq_area *area)
{
	uint64_t cs;

	__asm__ volatile(SM_RSEQ_SECTION "adrp %[cs], 3b\n\t"
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
