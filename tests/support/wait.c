/* wait.c: waits of known length; a file of its own, since workloads and collector each have a
 * struct sm_thread. */
#include "tests/support/wait.h"

#include "collector/mutator/mutator_internal.h"

void waited_for(struct sm_mutator *m, uint64_t ns)
{
	sm__stall_note(&m->priv->stalls, SM_STALL_PACE, ns, SM_KEPT);
}
