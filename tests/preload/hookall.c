/*
 * Another preloaded library that wraps everything of libc that ours calls and that somebody might
 * wrap (tracers, time fakers, deadlock finders, accounting of memory or threads), and allocates in
 * each wrapper: whichever of our calls was made under a lock of ours never returns.
 *
 * A wrapper keeps the arguments, does its work and jumps to the real function. HOOKALL=1 prints a
 * name when its wrapper is first met.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __thread int inside __attribute__((tls_model("initial-exec")));

static void work(void)
{
	static void *kept[256];
	static unsigned n;
	void *p[40];

	for (int i = 0; i < 40; i++) {
		p[i] = malloc((size_t)(16 + i * 900));
		memset(p[i], 1, 16);
	}
	for (int i = 0; i < 40; i++)
		free(p[i]);
	free(calloc(1, 200000));
	free(__atomic_exchange_n(&kept[__atomic_fetch_add(&n, 1, __ATOMIC_RELAXED) % 256],
				 malloc(5000), __ATOMIC_ACQ_REL));
}

__attribute__((visibility("hidden"))) void *hook_enter(void **slot, const char *name)
{
	/* Resolving may come back to us: then without work. */
	if (inside++ == 0) {
		if (*slot == NULL && getenv("HOOKALL") != NULL) {
			(void)!write(2, name, strlen(name));
			(void)!write(2, "\n", 1);
		}
		work();
	}
	if (*slot == NULL)
		*slot = dlsym(RTLD_NEXT, name);
	inside--;
	return *slot;
}

#define HEAD(name)                                                      \
	".section .rodata\nhook_name_" #name ": .asciz \"" #name "\"\n" \
	".data\n.balign 8\nhook_slot_" #name ": .quad 0\n"              \
	".text\n.balign 16\n.globl " #name "\n.type " #name ", %function\n" #name ":\n"
#if defined(__x86_64__)
#define WRAP(name)                                                                  \
	__asm__(HEAD(name) "push %rdi; push %rsi; push %rdx; push %rcx; push %r8\n" \
			   "push %r9; push %rax\n"                                  \
			   "lea hook_slot_" #name "(%rip), %rdi\n"                  \
			   "lea hook_name_" #name "(%rip), %rsi\n"                  \
			   "call hook_enter\nmov %rax, %r11\n"                      \
			   "pop %rax; pop %r9; pop %r8; pop %rcx; pop %rdx\n"       \
			   "pop %rsi; pop %rdi; jmp *%r11\n");
#elif defined(__aarch64__)
#define WRAP(name)                                                                              \
	__asm__(HEAD(                                                                           \
		name) "stp x0, x1, [sp, #-80]!; stp x2, x3, [sp, #16]; stp x4, x5, [sp, #32]\n" \
		      "stp x6, x7, [sp, #48]; stp x8, x30, [sp, #64]\n"                         \
		      "adrp x0, hook_slot_" #name "; add x0, x0, :lo12:hook_slot_" #name "\n"   \
		      "adrp x1, hook_name_" #name "; add x1, x1, :lo12:hook_name_" #name "\n"   \
		      "bl hook_enter\nmov x16, x0\n"                                            \
		      "ldp x2, x3, [sp, #16]; ldp x4, x5, [sp, #32]; ldp x6, x7, [sp, #48]\n"   \
		      "ldp x8, x30, [sp, #64]; ldp x0, x1, [sp], #80\nbr x16\n");
#endif

WRAP(clock_gettime)
WRAP(getpagesize)
WRAP(getpid)
WRAP(getrandom)
WRAP(getrlimit)
WRAP(mmap)
WRAP(munmap)
WRAP(personality)
WRAP(pthread_attr_destroy)
WRAP(pthread_attr_getstack)
WRAP(pthread_attr_init)
WRAP(pthread_attr_setstack)
WRAP(pthread_cond_init)
WRAP(pthread_cond_signal)
WRAP(pthread_cond_timedwait)
WRAP(pthread_condattr_destroy)
WRAP(pthread_condattr_init)
WRAP(pthread_condattr_setclock)
WRAP(pthread_create)
WRAP(pthread_getattr_np)
WRAP(pthread_join)
WRAP(pthread_key_create)
WRAP(pthread_key_delete)
WRAP(pthread_mutex_init)
WRAP(pthread_mutex_lock)
WRAP(pthread_mutex_unlock)
WRAP(pthread_self)
WRAP(pthread_setname_np)
WRAP(pthread_setspecific)
WRAP(pthread_sigmask)
WRAP(raise)
WRAP(sched_getcpu)
WRAP(sched_yield)
WRAP(sigaction)
WRAP(sigaltstack)
WRAP(syscall)
WRAP(sysconf)
WRAP(sysinfo)
