/*
 * library.h: a shared library: where the loader would find it, and what it is.
 */
#ifndef SM_HARNESS_LIBRARY_H
#define SM_HARNESS_LIBRARY_H

#include <stddef.h>

#include "harness/mallocs/elf.h"

/* What a worker ran with: kept with its sample, as {"path","version","build_id"}. */
struct sm_library {
	char path[4096];
	char version[64]; /* "": it does not say */
	char build_id[2 * SM_BUILD_ID_MAX + 1];
};

/*
 * The file that the loader would take for one of these names ("liba.so.2|liba.so.1", the first that
 * is there): by LD_LIBRARY_PATH, the loader's cache, its folders. A library of this machine;
 * malloc'ed; NULL: none.
 */
char *sm_library_find(const char *sonames);

/* Are both there, and one file (by device and inode)? */
bool sm_library_same_file(const char *a, const char *b);

/* Of a file: path and build id; the version where the file itself has it. 0 or -errno as
 * sm_elf_read. */
int sm_library_of_file(const char *path, struct sm_library *out);

/* Of the object of this process that the address lies in; it is asked for its version. false: none.
 */
bool sm_library_of_address(const void *address, struct sm_library *out);

/*
 * Does a function of this process, `what` at `at`, come from that file (by device and inode; NULL:
 * from whichever it is)? Then *out is the file; else -EINVAL, and err says in one line where it
 * comes from, and why where that can be told.
 */
int sm_library_has(const char *path, const char *what, const void *at, struct sm_library *out,
		   char *err, size_t errlen);

/*
 * Do malloc and free of this process come from that file? As sm_library_has.
 */
int sm_library_serves(const char *path, struct sm_library *out, char *err, size_t errlen);

#endif
