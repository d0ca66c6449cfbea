/*
 * late_signal.c: the handler notes where a late mutator was.
 */
#include <signal.h>
#include <stddef.h>

#include "collector/mutator/late_signal.h"
#include "collector/mutator/mutator_internal.h"

static _Atomic(uint32_t) signal_installed;

static void note_where(int sig, siginfo_t *info, void *context)
{
	uintptr_t pc = sm__interrupted_pc(context);

	(void)sig;
	(void)info;
	for (struct sm_mutator_priv *p = sm__self.mutators; p; p = p->mine)
		sm_store_relaxed(&p->interrupted_pc, pc);
}

void sm__signal_install(void)
{
	struct sigaction old, act = {.sa_sigaction = note_where,
				     .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

	if (sm_load_acquire(&signal_installed) || sigaction(SM_LATE_SIGNAL, NULL, &old) != 0)
		return;
	if ((old.sa_flags & SA_SIGINFO) || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN))
		return;
	if (sigaction(SM_LATE_SIGNAL, &act, NULL) == 0)
		sm_store_release(&signal_installed, 1);
}

/* The program may have put its own handler in the place of ours since. */
bool sm__signal_usable(void)
{
	struct sigaction now;

	return sm_load_acquire(&signal_installed) && sigaction(SM_LATE_SIGNAL, NULL, &now) == 0 &&
	       (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == note_where;
}
