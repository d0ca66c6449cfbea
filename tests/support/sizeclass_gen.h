/* sizeclass_gen.h: the generator of allocator/base/sizeclass.c. */
#ifndef SM_TESTS_SUPPORT_SIZECLASS_GEN_H
#define SM_TESTS_SUPPORT_SIZECLASS_GEN_H

#include <stdio.h>

/* Writes the whole file. Exits with a message when some class cannot be made. */
void sm_generate_sizeclasses(FILE *out);

#endif
