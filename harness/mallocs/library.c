/*
 * library.c: see library.h.
 */
#include "harness/mallocs/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of this program. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* ---- where it is -------------------------------------------------------------------------- */

/* A library of this machine, as a path of its own; NULL. */
static char *usable(const char *path)
{
	struct sm_elf elf;
	char why[80];

	return sm_elf_read(path, &elf, why, sizeof(why)) == 0 && elf.shared ? strdup(path) : NULL;
}

static char *in_folder(const char *folder, size_t len, const char *name)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%.*s/%s", (int)len, folder, name);

	return len > 0 && n < (int)sizeof(path) ? usable(path) : NULL;
}

static char *in_variable(const char *name)
{
	const char *at = secure_getenv("LD_LIBRARY_PATH");
	char *found = NULL;

	while (at != NULL && *at != '\0' && found == NULL) {
		size_t len = strcspn(at, ":;");

		found = in_folder(at, len, name);
		at += len + (at[len] != '\0');
	}
	return found;
}

/* The loader's cache, of glibc 2.2 and later: a head, entries, and the texts that they point to. */
struct cache_head {
	char magic[20]; /* with the layout's number */
	uint32_t entries, texts;
	uint32_t unused[5];
};
struct cache_entry {
	int32_t flags;
	uint32_t name, path; /* from the head on */
	uint32_t os;
	uint64_t hwcap; /* 0: for any processor */
};

static const char *cached_text(const char *cache, size_t len, uint32_t at)
{
	return at < len && memchr(cache + at, 0, len - at) != NULL ? cache + at : "";
}

static char *in_cache_text(const char *cache, size_t len, const char *name)
{
	const struct cache_entry *e = (const void *)(cache + sizeof(struct cache_head));
	uint32_t n = ((const struct cache_head *)(const void *)cache)->entries;
	char *found = NULL;

	if (n > (len - sizeof(struct cache_head)) / sizeof(*e))
		return NULL;
	for (uint32_t i = 0; i < n && found == NULL; i++)
		if (e[i].hwcap == 0 && strcmp(cached_text(cache, len, e[i].name), name) == 0)
			found = usable(cached_text(cache, len, e[i].path));
	return found;
}

static char *in_cache(const char *name)
{
	static const char magic[] = "glibc-ld.so.cache1.1";
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *found = NULL, *map, *head;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		size_t len = (size_t)st.st_size;

		map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
		/* An older layout may stand in front of it. */
		head = map != MAP_FAILED ? memmem(map, len, magic, sizeof(magic) - 1) : NULL;
		if (head != NULL && (head - map) % 8 == 0 &&
		    len - (size_t)(head - map) >= sizeof(struct cache_head))
			found = in_cache_text(head, len - (size_t)(head - map), name);
		if (map != MAP_FAILED)
			munmap(map, len);
	}
	close(fd);
	return found;
}

/* The folders that the loader itself searches. */
static char *in_loaders_folders(const char *name)
{
	void *self = dlopen(NULL, RTLD_LAZY);
	Dl_serinfo size, *all = NULL;
	char *found = NULL;

	if (self != NULL && dlinfo(self, RTLD_DI_SERINFOSIZE, &size) == 0 &&
	    (all = malloc(size.dls_size)) != NULL) {
		*all = size;
		if (dlinfo(self, RTLD_DI_SERINFO, all) != 0)
			all->dls_cnt = 0;
		for (unsigned i = 0; i < all->dls_cnt && found == NULL; i++)
			found = in_folder(all->dls_serpath[i].dls_name,
					  strlen(all->dls_serpath[i].dls_name), name);
	}
	free(all);
	if (self != NULL)
		dlclose(self);
	return found;
}

char *sm_library_find(const char *sonames)
{
	char *found = NULL, name[80];

	for (const char *at = sonames; *at != '\0' && found == NULL;) {
		size_t len = strcspn(at, "|");

		snprintf(name, sizeof(name), "%.*s", (int)len, at);
		found = in_variable(name);
		found = found != NULL ? found : in_cache(name);
		found = found != NULL ? found : in_loaders_folders(name);
		at += len + (at[len] != '\0');
	}
	return found;
}

/* ---- what it is --------------------------------------------------------------------------- */

int sm_library_of_file(const char *path, struct sm_library *out)
{
	struct sm_elf elf;
	char why[80];
	int rc = sm_elf_read(path, &elf, why, sizeof(why));

	*out = (struct sm_library){0};
	snprintf(out->path, sizeof(out->path), "%s", path);
	snprintf(out->version, sizeof(out->version), "%s", elf.version);
	snprintf(out->build_id, sizeof(out->build_id), "%s", elf.build_id);
	return rc;
}

/* The object's own function of this name: what is found may be a library's that it needs. */
static void *own_symbol(void *object, const void *base, const char *name)
{
	void *p = dlsym(object, name);
	Dl_info info;

	return p != NULL && dladdr(p, &info) != 0 && info.dli_fbase == base ? p : NULL;
}

/* 209 is 2.0.9; since 3.3, 30403 is 3.4.3. */
static void mimalloc_version(void *f, char *buf, size_t len)
{
	int v = ((int (*)(void))f)(), base = v < 10000 ? 10 : 100;

	snprintf(buf, len, "%d.%d.%d", v / base / base, v / base % base, v % base);
}

static void jemalloc_version(void *f, char *buf, size_t len)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t) =
		(int (*)(const char *, void *, size_t *, void *, size_t))f;
	const char *text = "";
	size_t size = sizeof(text);

	if (mallctl("version", (void *)&text, &size, NULL, 0) == 0)
		snprintf(buf, len, "%.*s", (int)strcspn(text, "-"), text); /* without the commit */
}

static void tcmalloc_version(void *f, char *buf, size_t len)
{
	int major, minor;
	const char *patch;

	const char *text =
		((const char *(*)(int *, int *, const char **))f)(&major, &minor, &patch);

	snprintf(buf, len, "%s", text + strcspn(text, "0123456789")); /* of "gperftools 2.10" */
}

static void bdwgc_version(void *f, char *buf, size_t len)
{
	unsigned v = ((unsigned (*)(void))f)();

	snprintf(buf, len, "%u.%u.%u", v >> 16, v >> 8 & 255, v & 255);
}

static void libc_version(void *f, char *buf, size_t len)
{
	snprintf(buf, len, "%s", ((const char *(*)(void))f)());
}

static void ask_version(const void *base, struct sm_library *out)
{
	static const struct {
		const char *symbol;
		void (*ask)(void *f, char *buf, size_t len);
	} known[] = {
		{"mi_version", mimalloc_version},	{"mallctl", jemalloc_version},
		{"tc_version", tcmalloc_version},	{"GC_get_version", bdwgc_version},
		{"gnu_get_libc_version", libc_version},
	};
	void *object = dlopen(out->path, RTLD_LAZY | RTLD_NOLOAD);

	for (size_t i = 0;
	     object != NULL && out->version[0] == '\0' && i < sizeof(known) / sizeof(known[0]);
	     i++) {
		void *f = own_symbol(object, base, known[i].symbol);

		if (f != NULL)
			known[i].ask(f, out->version, sizeof(out->version));
	}
	if (object != NULL)
		dlclose(object);
}

bool sm_library_of_address(const void *address, struct sm_library *out)
{
	Dl_info info;

	*out = (struct sm_library){0};
	if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
		return false;
	(void)sm_library_of_file(info.dli_fname, out);
	ask_version(info.dli_fbase, out);
	return true;
}

/* ---- what serves malloc ------------------------------------------------------------------- */

bool sm_library_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Why a preload did not take, where it can be told. */
static const char *why_not(void)
{
	return getauxval(AT_SECURE) != 0
		       ? "; spanmark's file gives it rights (setuid, capabilities), so the loader "
			 "ignores LD_PRELOAD"
		       : "; the loader did not take it: does `LD_PRELOAD=PATH true` complain?";
}

int sm_library_has(const char *path, const char *what, const void *at, struct sm_library *out,
		   char *err, size_t errlen)
{
	if (!sm_library_of_address(at, out)) {
		snprintf(err, errlen, "what serves %s cannot be told", what);
		return -EINVAL;
	}
	if (path == NULL || sm_library_same_file(path, out->path))
		return 0;
	snprintf(err, errlen, "%s is served by %.60s, not by %.60s%s", what, out->path, path,
		 why_not());
	return -EINVAL;
}

/*
 * Where calls of a function go whose address was taken. In a program that is linked for one place
 * that address is a stub of the program's: then the first library that has the function, in the
 * order in which the loader looks.
 */
static const void *target(const void *address, const char *name)
{
	void *self = dlopen(NULL, RTLD_LAZY), *f = NULL;
	struct link_map *map = NULL;
	struct sm_elf elf;
	char why[80];
	Dl_info info;

	if (dladdr(address, &info) != 0 && info.dli_fbase == (const void *)&__ehdr_start &&
	    sm_elf_read("/proc/self/exe", &elf, why, sizeof(why)) == 0 && !elf.has_malloc &&
	    self != NULL)
		(void)dlinfo(self, RTLD_DI_LINKMAP, &map);
	for (map = map != NULL ? map->l_next : NULL; map != NULL && f == NULL; map = map->l_next) {
		void *object = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);

		f = object != NULL ? dlsym(object, name) : NULL;
		if (f != NULL && (dladdr(f, &info) == 0 || strcmp(info.dli_fname, map->l_name)))
			f = NULL; /* of one that it needs */
		if (object != NULL)
			dlclose(object);
	}
	if (self != NULL)
		dlclose(self);
	return f != NULL ? f : address;
}

int sm_library_serves(const char *path, struct sm_library *out, char *err, size_t errlen)
{
	/* Not through dlsym: what calls of this program go to. */
	void *(*volatile allocate)(size_t) = malloc;
	void (*volatile release)(void *) = free;
	const void *mallocs = target((const void *)(uintptr_t)allocate, "malloc");
	const void *frees = target((const void *)(uintptr_t)release, "free");
	struct sm_library other;
	int rc = sm_library_has(path, "malloc", mallocs, out, err, errlen);

	return rc ? rc : sm_library_has(path, "free", frees, &other, err, errlen);
}
