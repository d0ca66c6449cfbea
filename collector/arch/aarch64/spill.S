/*
 * void sm__with_registers(void (*fn)(void *arg, uintptr_t *sp), void *arg);
 *
 * Stores every callee-saved register, x19 to x29 and the low halves of v8 to v15, and calls fn with the
 * address of the lowest stored word: from there upward lies everything that the caller and its callers
 * hold across the call. The upper halves of v8 to v15 and the other vector registers are caller-saved.
 */
	.text
	.globl	sm__with_registers
	.hidden	sm__with_registers
	.type	sm__with_registers, %function
sm__with_registers:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-176]!
	.cfi_def_cfa_offset 176
	.cfi_offset x29, -176
	.cfi_offset x30, -168
	mov	x29, sp
	stp	x19, x20, [sp, #16]
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x2, x0
	mov	x0, x1
	mov	x1, sp
	blr	x2
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldp	x29, x30, [sp], #176
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	sm__with_registers, . - sm__with_registers
	.section .note.GNU-stack, "", @progbits
