/*
 * void sm__with_registers(void (*fn)(void *arg, uintptr_t *sp), void *arg);
 *
 * Pushes every callee-saved general register and calls fn with the address of the lowest pushed word:
 * from there upward lies everything that the caller and its callers hold across the call. Vector
 * registers are all caller-saved in this ABI, so nothing of the callers' is in them. Not setjmp: glibc
 * mangles rbp (and rsp) in a jmp_buf.
 */
	.text
	.globl	sm__with_registers
	.hidden	sm__with_registers
	.type	sm__with_registers, @function
sm__with_registers:
	.cfi_startproc
	endbr64
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
	ret
	.cfi_endproc
	.size	sm__with_registers, . - sm__with_registers
	.section .note.GNU-stack, "", @progbits
