/*
 * backend.c: see backend.h.
 */
#include "harness/mallocs/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/mallocs/library.h"
#include "harness/base/suggest.h"

#define OURS "libspanmark-malloc.so"
/* What ends a name in LD_PRELOAD, or begins a token of the loader's. */
#define UNLISTABLE " \t\n:;$"
#define UNLISTED   "blank : ; $, which LD_PRELOAD cannot hold"

static const struct sm_backend_desc backends[] = {
	{"gc", SM_WL_GC, NULL, NULL, "spanmark's collector over its span allocator"},
	{"span", SM_WL_SPAN, NULL, NULL, "spanmark's span allocator, freed explicitly"},
	{"libc", SM_WL_LIBC, NULL, NULL,
	 "malloc and free: the C library's, or what your LD_PRELOAD puts there"},
	{"bdwgc", SM_WL_BDWGC, "libgc.so.1|libgc.so", "libgc1",
	 "Boehm, Demers and Weiser's collector, loaded"},
	{"mimalloc", SM_WL_LIBC,
	 "libmimalloc.so.3|libmimalloc.so.2|libmimalloc.so.2.0|libmimalloc.so", "libmimalloc2.0",
	 "mimalloc, preloaded"},
	{"jemalloc", SM_WL_LIBC, "libjemalloc.so.2|libjemalloc.so", "libjemalloc2",
	 "jemalloc, preloaded"},
	{"tcmalloc", SM_WL_LIBC,
	 "libtcmalloc_minimal.so.4|libtcmalloc.so.4|libtcmalloc_minimal.so|libtcmalloc.so",
	 "libtcmalloc-minimal4", "gperftools' tcmalloc, preloaded"},
	{"spanmark-malloc", SM_WL_LIBC, OURS, NULL,
	 "spanmark's " OURS ", preloaded as a program would"},
	{SM_BACKEND_PRELOAD "PATH", SM_WL_LIBC, NULL, NULL,
	 "any shared library that has malloc and free, preloaded"},
};
#define NBACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct sm_backend_desc *sm_backends(size_t *n)
{
	*n = NBACKENDS;
	return backends;
}

static const char *path_of(const char *name)
{
	size_t len = strlen(SM_BACKEND_PRELOAD);

	return strncmp(name, SM_BACKEND_PRELOAD, len) == 0 && name[len] != '\0' ? name + len : NULL;
}

const struct sm_backend_desc *sm_backend_find(const char *name, char *err, size_t errlen)
{
	const char *names[NBACKENDS];

	if (path_of(name) != NULL)
		return &backends[NBACKENDS - 1];
	for (size_t i = 0; i < NBACKENDS; i++) {
		names[i] = backends[i].name;
		if (strcmp(name, names[i]) == 0 && i < NBACKENDS - 1)
			return &backends[i];
	}
	sm_suggest_error(err, errlen, "backend", name, names, NBACKENDS);
	return NULL;
}

/* ---- libraries ---------------------------------------------------------------------------- */

/* Ours: beside this program in a build tree, in the lib folder beside its own where installed. */
char *sm_backend_ours(const char *file)
{
	static const char *const places[] = {"", "../lib/"};
	char self[3072], path[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s%s%s", (int)(slash + 1 - self), self, places[i],
			 file);
		if (access(path, R_OK) == 0)
			return realpath(path, NULL);
	}
	return sm_library_find(file);
}

static void find_library(struct sm_case_backend *b, const struct sm_backend_desc *d)
{
	b->library =
		strcmp(d->sonames, OURS) == 0 ? sm_backend_ours(OURS) : sm_library_find(d->sonames);
	if (b->library != NULL && strpbrk(b->library, UNLISTABLE) != NULL) {
		snprintf(b->missing, sizeof(b->missing), "its file's path has one of " UNLISTED);
		free(b->library);
		b->library = NULL;
	} else if (b->library == NULL && d->package != NULL)
		snprintf(b->missing, sizeof(b->missing), "not installed: apt-get install %s",
			 d->package);
	else if (b->library == NULL)
		snprintf(b->missing, sizeof(b->missing),
			 "not installed: no %s beside spanmark or in ../lib: make install",
			 d->sonames);
}

static int refuse(const char *path, const char *why, char *err, size_t errlen)
{
	snprintf(err, errlen,
		 "--backend " SM_BACKEND_PRELOAD "%.200s: %s; allowed: a shared library of this "
		 "machine that has malloc and free",
		 path, why);
	return -EINVAL;
}

static int take_path(struct sm_case_backend *b, const char *path, char *err, size_t errlen)
{
	struct sm_elf elf;
	char why[160];

	if (sm_elf_read(path, &elf, why, sizeof(why)) != 0)
		return refuse(path, why, err, errlen);
	if (!elf.shared)
		return refuse(path, "is no shared library", err, errlen);
	/* Where it lists no symbols the worker will tell. */
	if (elf.has_symbols && !(elf.has_malloc && elf.has_free))
		return refuse(path, elf.has_malloc ? "has no free" : "has no malloc", err, errlen);
	b->library = realpath(path, NULL);
	if (b->library == NULL)
		return -ENOMEM;
	if (strpbrk(b->library, UNLISTABLE) != NULL)
		return refuse(b->library, "its path has one of " UNLISTED, err, errlen);
	return 0;
}

int sm_backend_resolve(struct sm_case_backend *b, const char *name, char *err, size_t errlen)
{
	const struct sm_backend_desc *d = sm_backend_find(name, err, errlen);
	struct sm_library lib;
	int rc = 0;

	*b = (struct sm_case_backend){0};
	if (d == NULL)
		return -EINVAL;
	b->kernel = d->kernel;
	b->name = strdup(name);
	if (b->name == NULL)
		return -ENOMEM;
	if (path_of(name) != NULL)
		rc = take_path(b, path_of(name), err, errlen);
	else if (d->sonames != NULL)
		find_library(b, d);
	if (rc == 0 && b->library != NULL) {
		(void)sm_library_of_file(b->library, &lib);
		snprintf(b->build_id, sizeof(b->build_id), "%s", lib.build_id);
	}
	return rc;
}

void sm_backend_free(struct sm_case_backend *b)
{
	free(b->name);
	free(b->library);
	*b = (struct sm_case_backend){0};
}

void sm_backend_preload(const char *library, char *buf, size_t len)
{
	snprintf(buf, len, "LD_PRELOAD=%s", library);
}
