/* terminal.h: what the file that is printed into takes. */
#ifndef SM_HARNESS_TERMINAL_H
#define SM_HARNESS_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Colour, when nobody said: on a terminal that is not dumb, unless NO_COLOR is set. */
bool sm_terminal_colors(FILE *f);
/* `wanted` columns; 80 on a terminal that has fewer. */
unsigned sm_terminal_width(FILE *f, unsigned wanted);

#endif
