/*
 * void sm__with_registers(size_t (*fn)(void *arg, uintptr_t *sp), void *arg);
 *
 * Pushes every callee-saved general register and calls fn with the address of the lowest pushed word:
 * from there upward lies everything that the caller and its callers hold across the call; the first
 * SM_REGISTER_WORDS of them are the registers. Vector registers are all caller-saved in this ABI, so nothing of the
 * callers' is in them. Not setjmp: glibc mangles rbp (and rsp) in a jmp_buf.
 *
 * fn returns how many bytes below sp, a multiple of 8, are to be zeroed: the frames that fn had. This frame is
 * zeroed with them. It is done here because no C function can zero its own frame: what the compiler leaves in there
 * depends on the options. 0: nothing is zeroed.
 *
 * The entry points below it are calls of gc.h that are sm__with_registers(THE CALL, m).
 */
	.text

	.macro ENTRY name, fn
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	endbr64
	movq	%rdi, %rsi
	leaq	\fn(%rip), %rdi
	jmp	.Lwith_registers
	.cfi_endproc
	.size	\name, . - \name
	.hidden	\fn
	.endm

	ENTRY sm_safepoint_slow, sm__safepoint
	ENTRY sm_blocking_enter, sm__block
	ENTRY sm_blocking_leave, sm__unblock
	ENTRY sm_stack_leave, sm__stack_leave

	.globl	sm__with_registers
	.hidden	sm__with_registers
	.type	sm__with_registers, @function
sm__with_registers:
	.cfi_startproc
	endbr64
.Lwith_registers:
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	/* return address + 6 pushes: 56 bytes; 8 more align the stack to 16 */
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	$0, (%rsp)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rsp, %rsi
	call	*%rax
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	testq	%rax, %rax
	jz	1f
	/* rax bytes, and the 56 of this frame. rsp goes down first: a signal must find its room below. */
	leaq	56(%rax), %rcx
	movq	%rsp, %r11
	.cfi_def_cfa %r11, 8
	subq	%rcx, %rsp
	movq	%rsp, %rdi
	shrq	$3, %rcx
	xorl	%eax, %eax
	rep stosq
	movq	%r11, %rsp
	.cfi_def_cfa %rsp, 8
1:	ret
	.cfi_endproc
	.size	sm__with_registers, . - sm__with_registers
	.section .note.GNU-stack, "", @progbits
