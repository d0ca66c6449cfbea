/*
 * elf.c: see elf.h. The file may be anything: nothing in it is believed to lie within it.
 */
#include "harness/mallocs/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of this program, which runs here. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

struct file {
	const char *at;
	uint64_t len;
};

/* len bytes at off, as they lie; NULL: not within the file, or not aligned for what is read there.
 */
static const void *piece(const struct file *f, uint64_t off, uint64_t len, uint64_t align)
{
	return off <= f->len && len <= f->len - off && off % align == 0 ? f->at + off : NULL;
}

/* ---- notes: who made it ------------------------------------------------------------------- */

static void take_note(struct sm_elf *out, const char *name, unsigned namesz, unsigned type,
		      const unsigned char *desc, unsigned descsz)
{
	if (namesz == 4 && memcmp(name, "GNU", 4) == 0 && type == NT_GNU_BUILD_ID) {
		for (unsigned k = 0; k < descsz && k < SM_BUILD_ID_MAX; k++)
			snprintf(out->build_id + (size_t)2 * k, 3, "%02x", desc[k]);
	} else if (namesz == 9 && memcmp(name, "spanmark", 9) == 0 && descsz > 0) {
		snprintf(out->version, sizeof(out->version), "%.*s", (int)descsz,
			 (const char *)desc);
	}
}

static void read_notes(const struct file *f, const ElfW(Phdr) * ph, struct sm_elf *out)
{
	uint64_t off = ph->p_offset, left = ph->p_filesz;

	while (left >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = piece(f, off, sizeof(*note), 4);
		uint64_t name = off + sizeof(*note), desc, size;

		if (note == NULL)
			return;
		desc = name + (((uint64_t)note->n_namesz + 3) & ~(uint64_t)3);
		size = desc + (((uint64_t)note->n_descsz + 3) & ~(uint64_t)3) - off;
		if (size > left || piece(f, off, size, 4) == NULL)
			return;
		take_note(out, f->at + name, note->n_namesz, note->n_type,
			  (const unsigned char *)f->at + desc, note->n_descsz);
		off += size;
		left -= size;
	}
}

static void read_segments(const struct file *f, const ElfW(Ehdr) * eh, struct sm_elf *out)
{
	const ElfW(Phdr) *ph =
		eh->e_phentsize == sizeof(*ph)
			? piece(f, eh->e_phoff, eh->e_phnum * sizeof(*ph), _Alignof(ElfW(Phdr)))
			: NULL;

	for (unsigned i = 0; ph != NULL && i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_NOTE)
			read_notes(f, &ph[i], out);
		out->interpreted |= ph[i].p_type == PT_INTERP;
	}
}

/* ---- symbols ------------------------------------------------------------------------------ */

static void read_symbols(const struct file *f, const ElfW(Shdr) * syms, const ElfW(Shdr) * names,
			 struct sm_elf *out)
{
	const ElfW(Sym) *s = piece(f, syms->sh_offset, syms->sh_size, _Alignof(ElfW(Sym)));
	const char *text = piece(f, names->sh_offset, names->sh_size, 1);

	if (s == NULL || text == NULL || names->sh_size == 0 || text[names->sh_size - 1] != 0)
		return;
	out->has_symbols = true;
	for (uint64_t i = 0; i < syms->sh_size / sizeof(*s); i++) {
		if (s[i].st_shndx == SHN_UNDEF || s[i].st_name >= names->sh_size)
			continue;
		out->has_malloc |= strcmp(text + s[i].st_name, "malloc") == 0;
		out->has_free |= strcmp(text + s[i].st_name, "free") == 0;
	}
}

static void read_sections(const struct file *f, const ElfW(Ehdr) * eh, struct sm_elf *out)
{
	const ElfW(Shdr) *sh =
		eh->e_shentsize == sizeof(*sh)
			? piece(f, eh->e_shoff, eh->e_shnum * sizeof(*sh), _Alignof(ElfW(Shdr)))
			: NULL;

	for (unsigned i = 0; sh != NULL && i < eh->e_shnum; i++)
		if (sh[i].sh_type == SHT_DYNSYM && sh[i].sh_link < eh->e_shnum)
			read_symbols(f, &sh[i], &sh[sh[i].sh_link], out);
}

/* ---- the file ----------------------------------------------------------------------------- */

static int read_file(const struct file *f, struct sm_elf *out, char *why, size_t whylen)
{
	const ElfW(Ehdr) *eh = piece(f, 0, sizeof(*eh), 1);

	if (eh == NULL || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0) {
		snprintf(why, whylen, "is no ELF file");
		return -ENOEXEC;
	}
	if (eh->e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
	    eh->e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
	    eh->e_machine != __ehdr_start.e_machine) {
		snprintf(why, whylen, "is of another machine");
		return -ENOEXEC;
	}
	out->shared = eh->e_type == ET_DYN;
	read_segments(f, eh, out);
	read_sections(f, eh, out);
	return 0;
}

int sm_elf_read(const char *path, struct sm_elf *out, char *why, size_t whylen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = fd < 0 ? -errno : 0;
	struct file f = {0};
	struct stat st;

	*out = (struct sm_elf){0};
	if (rc == 0 && fstat(fd, &st) != 0)
		rc = -errno;
	if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_size == 0)) {
		snprintf(why, whylen, S_ISREG(st.st_mode) ? "is empty" : "is no file");
		rc = -ENOEXEC;
	} else if (rc == 0) {
		f.len = (uint64_t)st.st_size;
		f.at = mmap(NULL, f.len, PROT_READ, MAP_PRIVATE, fd, 0);
		rc = f.at == MAP_FAILED ? -errno : read_file(&f, out, why, whylen);
		if (f.at != MAP_FAILED)
			munmap((void *)f.at, f.len);
	}
	if (fd >= 0)
		close(fd);
	if (rc && rc != -ENOEXEC)
		snprintf(why, whylen, "cannot be read: %s", strerror(-rc));
	return rc;
}
