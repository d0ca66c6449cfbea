/*
 * preload.h: a malloc library in a program that is not ours, and the proof that it is there.
 *
 * LD_PRELOAD names the library and the witness (harness/program/witness/witness.c), which says of
 * every program of the tree which object serves malloc in it. Both the witness and what it writes
 * to are files in memory that belong to this process: nothing is left on a disk.
 */
#ifndef SM_HARNESS_PROGRAM_PRELOAD_H
#define SM_HARNESS_PROGRAM_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sm_preload {
	int library, lines; /* files in memory; -1 */
	char **env;	    /* of the program */
};

/* libs: what LD_PRELOAD names first ("libc.so.6" for libc's own malloc: a program may be linked
 * with another). 0 or -errno. */
int sm_preload_make(struct sm_preload *p, const char *lib);
void sm_preload_free(struct sm_preload *p);

struct sm_preload_proof {
	unsigned programs; /* that said a word */
	unsigned others;   /* of them: with a malloc of another object */
	bool proved;	   /* `pid` has the library's */
	char object[256];  /* that serves malloc in `pid`, at last; "": not known */
	char other[256];   /* one of the others' */
};
/* What the witness said until now. `lib` is looked for as the same file: a path, or libc.so.6. */
void sm_preload_prove(const struct sm_preload *p, const char *lib, pid_t pid,
		      struct sm_preload_proof *out);

/* The file that the loader takes for a name: libc's. */
#define SM_PRELOAD_LIBC "libc.so.6"

#endif
