/*
 * void sm__with_registers(size_t (*fn)(void *arg, uintptr_t *sp), void *arg);
 *
 * Stores every callee-saved register, x19 to x29 and the low halves of v8 to v15, and calls fn with the
 * address of the lowest stored word: from there upward lies everything that the caller and its callers
 * hold across the call; the first SM_REGISTER_WORDS of them are the registers. The upper halves of v8 to v15 and the
 * other vector registers are caller-saved.
 *
 * fn returns how many bytes below sp, a multiple of 16, are to be zeroed: the frames that fn had. This frame is
 * zeroed with them. It is done here because no C function can zero its own frame: what the compiler leaves in there
 * depends on the options. 0: nothing is zeroed.
 *
 * The entry points below it are calls of gc.h that are sm__with_registers(THE CALL, m).
 */
	.text

	.macro ENTRY name, fn
	.globl	\name
	.type	\name, %function
\name:
	.cfi_startproc
	hint	#34			/* bti c */
	mov	x1, x0
	adrp	x0, \fn
	add	x0, x0, :lo12:\fn
	b	.Lwith_registers
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
	.type	sm__with_registers, %function
sm__with_registers:
	.cfi_startproc
	hint	#34			/* bti c */
.Lwith_registers:
	stp	x29, x30, [sp, #-160]!
	.cfi_def_cfa_offset 160
	.cfi_offset x29, -160
	.cfi_offset x30, -152
	mov	x29, sp
	stp	x19, x20, [sp, #16]
	.cfi_offset x19, -144
	.cfi_offset x20, -136
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
	ldp	x29, x30, [sp], #160
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	cbz	x0, 2f
	/* x0 bytes, and the 160 of this frame. sp goes down first: a signal must find its room below. */
	mov	x1, sp
	.cfi_def_cfa x1, 0
	add	x0, x0, #160
	sub	x2, x1, x0
	mov	sp, x2
1:	stp	xzr, xzr, [x2], #16
	cmp	x2, x1
	b.ne	1b
	mov	sp, x1
	.cfi_def_cfa sp, 0
2:	ret
	.cfi_endproc
	.size	sm__with_registers, . - sm__with_registers
	.section .note.GNU-stack, "", @progbits
