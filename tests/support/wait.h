/* wait.h: waits for the collector that a test knows. */
#ifndef SM_TESTS_SUPPORT_WAIT_H
#define SM_TESTS_SUPPORT_WAIT_H

#include <stdint.h>

struct sm_mutator;

/* The calling thread's mutator waited for `ns` and is done now. */
void waited_for(struct sm_mutator *m, uint64_t ns);

#endif
