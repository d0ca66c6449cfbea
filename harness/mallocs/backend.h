/*
 * backend.h: the backends that a user can name, and what each is on this machine.
 *
 *     name               kernel   library
 *     gc, span           itself   none: in this program
 *     libc               libc     none: whatever serves malloc, the user's own LD_PRELOAD too
 *     jemalloc, ..       libc     found here, preloaded into the worker alone
 *     preload:PATH       libc     PATH, likewise
 *     bdwgc              bdwgc    found here, loaded by the worker
 *
 * A kernel is what workloads are compiled for (workloads/backend.h); a library is a file. What is
 * not installed is no error: its cases are n/a, with what to install.
 */
#ifndef SM_HARNESS_BACKEND_H
#define SM_HARNESS_BACKEND_H

#include "harness/mallocs/elf.h"
#include "workloads/workload.h"

#define SM_BACKEND_PRELOAD "preload:" /* before a path */

struct sm_backend_desc {
	const char *name;
	enum sm_wl_backend kernel;
	const char *sonames; /* "a|b": the library is the first that is there; NULL: none */
	const char *package; /* Debian's; NULL: none */
	const char *help;    /* half a line */
};

/* The table, *n entries, in the order of lists; the first SM_WL_COUNT are the kernels' own. */
const struct sm_backend_desc *sm_backends(size_t *n);
/* Is it a backend's name? NULL, and one line that says which there are; of preload:PATH its own
 * entry, whose name is "preload:PATH". */
const struct sm_backend_desc *sm_backend_find(const char *name, char *err, size_t errlen);

/* A backend as the user named it, and what it is here. */
struct sm_case_backend {
	char *name; /* as typed */
	enum sm_wl_backend kernel;
	char *library; /* absolute; NULL: none */
	char build_id[2 * SM_BUILD_ID_MAX + 1];
	char missing[120]; /* why it cannot run here: "not installed: apt-get install ..."; "" */
};

/*
 * Looks for it. 0, also where it is not installed; -EINVAL and one line in err: no such backend, or
 * a PATH that cannot be preloaded; -ENOMEM. Free in every case.
 */
int sm_backend_resolve(struct sm_case_backend *b, const char *name, char *err, size_t errlen);
void sm_backend_free(struct sm_case_backend *b);

/* A library that is built with the command: beside it, in ../lib, or where the loader looks;
 * malloc'ed. NULL: it is not there. */
char *sm_backend_ours(const char *file);

/* LD_PRELOAD=LIBRARY, for a process's environment; the user's own stays out of it. */
void sm_backend_preload(const char *library, char *buf, size_t len);

#endif
