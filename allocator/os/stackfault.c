/*
 * stackfault.c: the report of a stack overflow.
 *
 * A thread's note of its stack lies at the start of its signal stack's mapping and is found through
 * a thread-local pointer, so the handler takes no lock and calls nothing that is not safe in a
 * handler.
 */
#include "spanmark/stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/lock.h"
#include "allocator/base/say.h"
#include "allocator/os/os.h"

struct watch {
	uintptr_t low, high; /* the stack */
	uintptr_t guard;     /* faults in [guard, low) are overflows */
	bool own_signal_stack;
	stack_t before;
	size_t bytes; /* of this mapping */
	char name[32];
};

/* Owner thread only, its signal handlers included. */
static __thread struct watch *mine;

static struct sm_lock install_lock = SM_LOCK_INIT(SM_RANK_LEAF);
static bool installed;				 /* under install_lock */
static struct sigaction before_segv, before_bus; /* written before the handler is in place */

/* ---- the handler -------------------------------------------------------------------------- */

struct line {
	char text[256];
	size_t len;
};

static void put_text(struct line *l, const char *s)
{
	while (*s != '\0' && l->len < sizeof(l->text))
		l->text[l->len++] = *s++;
}

static void put_number(struct line *l, uintptr_t n, unsigned base)
{
	char digits[32];
	size_t i = sizeof(digits);

	digits[--i] = '\0';
	do
		digits[--i] = "0123456789abcdef"[n % base];
	while ((n /= base) != 0);
	if (base == 16)
		put_text(l, "0x");
	put_text(l, digits + i);
}

static void report_fault(const struct watch *w, uintptr_t addr)
{
	struct line l = {.len = 0};

	put_text(&l, "spanmark: stack overflow in thread \"");
	put_text(&l, w->name);
	put_text(&l, "\" (tid ");
	put_number(&l, (uintptr_t)syscall(SYS_gettid), 10);
	put_text(&l, "): stack ");
	put_number(&l, w->low, 16);
	put_text(&l, "-");
	put_number(&l, w->high, 16);
	put_text(&l, " (");
	put_number(&l, (w->high - w->low) / SM_KIB, 10);
	put_text(&l, " KiB), fault at ");
	put_number(&l, addr, 16);
	put_text(&l, "\n");
	sm__say_line(l.text, l.len);
}

/* As if we had not been there. */
static void pass_on(const struct sigaction *before, int sig, siginfo_t *info, void *context)
{
	struct sigaction dfl;

	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(sig, info, context);
		return;
	}
	if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
		before->sa_handler(sig);
		return;
	}
	if (before->sa_handler == SIG_IGN && info->si_code <= 0)
		return; /* sent by a process, and ignored */
	/* The default action: for a fault by running into it again, for a sent signal by sending it
	 * again. */
	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0)
		raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct watch *w = mine;
	uintptr_t addr = (uintptr_t)info->si_addr;

	if (w != NULL && info->si_code > 0 && addr >= w->guard && addr < w->low) {
		report_fault(w, addr);
		abort();
	}
	pass_on(sig == SIGSEGV ? &before_segv : &before_bus, sig, info, context);
}

static void install_handler(void)
{
	struct sigaction sa;

	sm_lock_acquire(&install_lock);
	if (!installed) {
		memset(&sa, 0, sizeof(sa));
		sa.sa_sigaction = on_fault;
		/* Handlers before us may expect to be interrupted by their own signal; we leave it
		 * blocked. */
		sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
		sigemptyset(&sa.sa_mask);
		sigaction(SIGSEGV, NULL, &before_segv);
		sigaction(SIGBUS, NULL, &before_bus);
		sigaction(SIGSEGV, &sa, NULL);
		sigaction(SIGBUS, &sa, NULL);
		installed = true;
	}
	sm_lock_release(&install_lock);
}

/* ---- watching ----------------------------------------------------------------------------- */

static size_t signal_stack_bytes(void)
{
	/* What the kernel stores of vector registers alone may be many KiB (AVX-512, SVE). */
	long least = sysconf(_SC_MINSIGSTKSZ);

	return (least > 0 ? (size_t)least : 0) + 64 * SM_KIB;
}

/* Bounds by the thread library; for a stack of ours it knows exactly what we told it. */
static int find_bounds(struct watch *w)
{
	pthread_attr_t attr;
	void *low;
	size_t bytes;
	int err = pthread_getattr_np(pthread_self(), &attr);

	if (err != 0)
		return -err;
	err = pthread_attr_getstack(&attr, &low, &bytes);
	pthread_attr_destroy(&attr);
	/* The library leaves a guard of its own out of the stack, as we do with ours. */
	w->low = (uintptr_t)low;
	w->high = w->low + bytes;
	/* Ours is one unit; the library's is below as well, and the kernel's gap below the main
	 * stack, whose end is known to the page only, is larger. */
	w->guard = w->low - (SM_UNIT > 64 * SM_KIB ? SM_UNIT : 64 * SM_KIB);
	return -err;
}

static void use_signal_stack(struct watch *w)
{
	stack_t st;

	/* A signal stack that is there already is the program's choice, and is used. */
	if (sigaltstack(NULL, &w->before) == 0 && !(w->before.ss_flags & SS_DISABLE))
		return;
	memset(&st, 0, sizeof(st));
	st.ss_sp = (char *)w + sm_align_up(sizeof(*w), 64);
	st.ss_size = w->bytes - sm_align_up(sizeof(*w), 64);
	w->own_signal_stack = sigaltstack(&st, NULL) == 0;
}

static void set_name(struct watch *w, const char *name)
{
	strncpy(w->name, name != NULL ? name : "", sizeof(w->name) - 1);
}

int sm_stack_watch(const char *name)
{
	size_t bytes = sm_align_up(sizeof(struct watch), 64) + signal_stack_bytes();
	struct watch *w = mine;
	int err;

	if (w != NULL) {
		set_name(w, name);
		return 0;
	}
	w = sm__os_map_guarded(bytes);
	if (w == NULL)
		return -ENOMEM;
	w->bytes = bytes;
	set_name(w, name);
	err = find_bounds(w);
	if (err != 0) {
		sm__os_unmap_guarded(w, bytes);
		return err;
	}
	use_signal_stack(w);
	mine = w;
	install_handler();
	return 0;
}

void sm_stack_unwatch(void)
{
	struct watch *w = mine;

	if (w == NULL)
		return;
	mine = NULL;
	if (w->own_signal_stack)
		(void)sigaltstack(&w->before, NULL);
	sm__os_unmap_guarded(w, w->bytes);
}
