/*
 * elf.h: what a program or a shared library says of itself in its file, without running it.
 */
#ifndef SM_HARNESS_ELF_H
#define SM_HARNESS_ELF_H

#include <stdbool.h>
#include <stddef.h>

#define SM_BUILD_ID_MAX 32 /* bytes; linkers write 16 or 20 */

struct sm_elf {
	bool shared;	  /* a shared library, or a program that can be loaded anywhere */
	bool interpreted; /* names a loader, which reads LD_PRELOAD: no static program */
	/* It lists its symbols, and defines these among them. */
	bool has_symbols, has_malloc, has_free;
	char build_id[2 * SM_BUILD_ID_MAX + 1]; /* hex; "": none */
	char version[32];			/* a library of spanmark's: of what; "": another */
};

/*
 * Reads the file. 0; -errno where it cannot be read; -ENOEXEC: it is no ELF file, or one of another
 * machine. why: what it is instead, half a line ("is of another machine").
 */
int sm_elf_read(const char *path, struct sm_elf *out, char *why, size_t whylen);

#endif
