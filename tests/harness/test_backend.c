/*
 * test_backend.c: what a backend's name is on this machine, and what files say of themselves,
 * whole, cut anywhere, and with every byte of their heads wrong.
 */
#include "harness/mallocs/backend.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/mallocs/library.h"
#include "tests/support/run.h"
#include "tests/support/skip.h"

static char err[512], folder[] = "/tmp/spanmark-test-XXXXXX";

/* The build tree's: tests lie in its folder `tests`. */
static const char *built(const char *name)
{
	static char path[4096];
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	ck_assert_int_gt(n, 0);
	self[n] = '\0';
	for (int up = 0; up < 2; up++) {
		slash = strrchr(self, '/');
		ck_assert_ptr_nonnull(slash);
		*slash = '\0';
	}
	snprintf(path, sizeof(path), "%s/%s", self, name);
	return path;
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *data = malloc(1 << 20);

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	*len = fread(data, 1, 1 << 20, f);
	ck_assert(feof(f));
	fclose(f);
	return data;
}

static const char *written(const char *data, size_t len)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/file.so", folder);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static void make_folder(void)
{
	strcpy(folder, "/tmp/spanmark-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file.so", folder);
	unlink(path);
	rmdir(folder);
}

/* ---- files -------------------------------------------------------------------------------- */

START_TEST(files_tell_what_they_are)
{
	struct sm_elf elf;

	ck_assert_int_eq(sm_elf_read(built("mallocs/forward.so"), &elf, err, sizeof(err)), 0);
	ck_assert(elf.shared && !elf.interpreted && elf.has_symbols);
	ck_assert(elf.has_malloc && elf.has_free);
	ck_assert_uint_ge(strlen(elf.build_id), 32);
	ck_assert_uint_eq(strspn(elf.build_id, "0123456789abcdef"), strlen(elf.build_id));
	ck_assert_str_eq(elf.version, "");
	ck_assert_int_eq(sm_elf_read(built("mallocs/nofree.so"), &elf, err, sizeof(err)), 0);
	ck_assert(elf.has_malloc && !elf.has_free);
	ck_assert_int_eq(sm_elf_read(built("libspanmark-malloc.so"), &elf, err, sizeof(err)), 0);
	ck_assert(elf.has_malloc && elf.has_free);
	ck_assert_str_eq(elf.version, SM_VERSION);
	/* This program uses malloc and has none. */
	ck_assert_int_eq(sm_elf_read("/proc/self/exe", &elf, err, sizeof(err)), 0);
	ck_assert(elf.interpreted && !elf.has_free);
	ck_assert_int_eq(sm_elf_read("/nowhere", &elf, err, sizeof(err)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "cannot be read: No such file"));
	ck_assert_int_eq(sm_elf_read("/dev/zero", &elf, err, sizeof(err)), -ENOEXEC);
	ck_assert_str_eq(err, "is no file");
}
END_TEST

/* Cut at any place, it is read or refused, and tells nothing else than the whole. */
START_TEST(files_may_be_cut)
{
	struct sm_elf whole, elf;
	size_t len, refused = 0;
	const char *path;
	char *data;

	ck_assert_int_eq(sm_elf_read(built("mallocs/forward.so"), &whole, err, sizeof(err)), 0);
	data = read_file(built("mallocs/forward.so"), &len);
	make_folder();
	path = written(data, len);
	for (size_t cut = len;; cut -= cut <= 1024 || cut + 128 > len ? 1 : 97) {
		int rc;

		ck_assert_int_eq(truncate(path, (off_t)cut), 0);
		rc = sm_elf_read(path, &elf, err, sizeof(err));
		ck_assert(rc == 0 || rc == -ENOEXEC);
		refused += rc != 0;
		ck_assert(elf.build_id[0] == '\0' || strcmp(elf.build_id, whole.build_id) == 0);
		ck_assert_int_eq(elf.has_symbols, cut == len);
		if (cut == 0)
			break;
	}
	ck_assert_uint_eq(refused, 64); /* shorter than its head: 0 .. 63 bytes */
	free(data);
	remove_folder();
}
END_TEST

/* Every byte of the heads of file and segments, and of the sections' at its end, set to all ones:
 * nothing is read beyond the file. */
START_TEST(files_may_lie)
{
	struct sm_elf elf;
	size_t len;
	char *data = read_file(built("mallocs/forward.so"), &len);
	const char *path;
	int fd;

	make_folder();
	path = written(data, len);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (size_t at = 0; at < len; at += at < 700 || at + 2500 > len ? 1 : 501) {
		char lie = (char)(_i == 0 ? 0xff : data[at] ^ 0x80);
		int rc;

		ck_assert_int_eq(pwrite(fd, &lie, 1, (off_t)at), 1);
		rc = sm_elf_read(path, &elf, err, sizeof(err));
		ck_assert(rc == 0 || rc == -ENOEXEC);
		ck_assert_uint_lt(strlen(elf.build_id), sizeof(elf.build_id));
		ck_assert_int_eq(pwrite(fd, &data[at], 1, (off_t)at), 1);
	}
	close(fd);
	free(data);
	remove_folder();
}
END_TEST

/* ---- names -------------------------------------------------------------------------------- */

START_TEST(kernels_come_first)
{
	size_t n;
	const struct sm_backend_desc *d = sm_backends(&n);

	ck_assert_uint_gt(n, SM_WL_COUNT);
	for (unsigned i = 0; i < SM_WL_COUNT; i++) {
		ck_assert_str_eq(d[i].name, sm_wl_backend_name((enum sm_wl_backend)i));
		ck_assert_int_eq(d[i].kernel, i);
	}
	for (size_t i = SM_WL_COUNT; i < n; i++)
		ck_assert_int_eq(d[i].kernel, SM_WL_LIBC);
}
END_TEST

START_TEST(names_are_resolved)
{
	struct sm_case_backend b;
	char name[4200], *real;
	size_t n;
	const struct sm_backend_desc *d = sm_backends(&n);

	/* Each is there, or says how to get it. */
	for (size_t i = 0; i + 1 < n; i++) {
		ck_assert_int_eq(sm_backend_resolve(&b, d[i].name, err, sizeof(err)), 0);
		ck_assert_str_eq(b.name, d[i].name);
		if (d[i].sonames == NULL)
			ck_assert(b.library == NULL && b.missing[0] == '\0');
		else
			ck_assert((b.library == NULL) == (b.missing[0] != '\0'));
		if (b.library != NULL)
			ck_assert(b.library[0] == '/' && access(b.library, R_OK) == 0);
		if (b.missing[0] != '\0' && d[i].package != NULL)
			ck_assert_ptr_nonnull(strstr(b.missing, d[i].package));
		sm_backend_free(&b);
	}
	snprintf(name, sizeof(name), "preload:%s", built("mallocs/forward.so"));
	ck_assert_int_eq(sm_backend_resolve(&b, name, err, sizeof(err)), 0);
	real = realpath(built("mallocs/forward.so"), NULL);
	ck_assert_str_eq(b.library, real);
	ck_assert_str_eq(b.name, name);
	ck_assert_int_eq(b.kernel, SM_WL_LIBC);
	ck_assert_uint_ge(strlen(b.build_id), 32);
	free(real);
	sm_backend_free(&b);
	ck_assert_int_eq(sm_backend_resolve(&b, "preload:PATH", err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "preload:PATH: cannot be read"));
	sm_backend_free(&b);
	ck_assert_int_eq(sm_backend_resolve(&b, "hoard", err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "unknown backend 'hoard'"));
	sm_backend_free(&b);
}
END_TEST

/* What is loaded here is found where it was loaded from, by each way to find it. */
START_TEST(the_loaders_file_is_found)
{
	struct sm_library at, file;
	char *path = sm_library_find("libnone.so.1|libc.so.6");

	if (path == NULL)
		SM_SKIP("no libc.so.6 for the loader");
	/* Not malloc: a sanitizer may have its own. */
	ck_assert(sm_library_of_address(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &at));
	ck_assert_int_eq(sm_library_of_file(path, &file), 0);
	ck_assert_str_eq(at.build_id, file.build_id);
	ck_assert_int_eq(at.version[0], '2');
	ck_assert_str_eq(file.version, "");
	free(path);
	ck_assert_ptr_null(sm_library_find("libnone.so.1"));
	ck_assert_ptr_null(sm_library_find(""));
	/* A folder of the user's comes before all others. */
	*strrchr(strcpy(err, built("mallocs/forward.so")), '/') = '\0';
	setenv("LD_LIBRARY_PATH", err, 1);
	path = sm_library_find("forward.so");
	ck_assert_str_eq(path, built("mallocs/forward.so"));
	free(path);
	unsetenv("LD_LIBRARY_PATH");
	ck_assert_ptr_null(sm_library_find("forward.so"));
}
END_TEST

START_TEST(another_file_does_not_serve)
{
	struct sm_library out;

	ck_assert_int_eq(sm_library_serves(NULL, &out, err, sizeof(err)), 0);
	ck_assert_str_ne(out.path, "");
	ck_assert_int_eq(sm_library_serves(built("mallocs/forward.so"), &out, err, sizeof(err)),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "malloc is served by "));
	ck_assert_ptr_nonnull(strstr(err, "the loader did not take it"));
	ck_assert_ptr_null(strchr(err, '\n'));
}
END_TEST

int main(void)
{
	return SM_SUITE("backend", 60, SM_T(files_tell_what_they_are), SM_T(files_may_be_cut),
			SM_LOOP(files_may_lie, 0, 2), SM_T(kernels_come_first),
			SM_T(names_are_resolved), SM_T(the_loaders_file_is_found),
			SM_T(another_file_does_not_serve));
}
