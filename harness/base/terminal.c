/* terminal.c: see terminal.h. */
#include "harness/base/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool sm_terminal_colors(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if ((no != NULL && *no) || (term != NULL && strcmp(term, "dumb") == 0))
		return false;
	return isatty(fileno(f)) == 1;
}

unsigned sm_terminal_width(FILE *f, unsigned wanted)
{
	struct winsize size;
	bool narrow = isatty(fileno(f)) == 1 && ioctl(fileno(f), TIOCGWINSZ, &size) == 0 &&
		      size.ws_col > 0 && size.ws_col < wanted;

	return narrow ? 80 : wanted;
}
