/*
 * arch/x86_64/registers.h: what spill.S stores, and where a thread was that a signal interrupted.
 */
#ifndef SM_COLLECTOR_ARCH_X86_64_REGISTERS_H
#define SM_COLLECTOR_ARCH_X86_64_REGISTERS_H

#include <ucontext.h>

/* Words that sm__with_registers stores first. */
#define SM_REGISTER_WORDS 7

SM_INLINE uintptr_t sm__interrupted_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

#endif
