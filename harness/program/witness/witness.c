/*
 * witness.c: a library that is loaded into every program that is measured, beside the malloc under
 * test, and says which object serves malloc there: one line "PID OBJECT" for each program that is
 * executed, appended to the file that SPANMARK_WITNESS names. An object without a name is the
 * program itself.
 *
 * It runs once, before main, allocates nothing, and says nothing when it cannot: without a word
 * there is no proof, which is for others to say (harness/program/preload.c). Its bytes are part of
 * the command.
 */
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENOUGH (1 << 18) /* bytes of lines: whoever executes more has been proved often enough */

static void *volatile unused;

struct look {
	uintptr_t at;
	const char *name;
};

static int look_into(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct look *l = ctx;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD || l->at < start || l->at - start >= p->p_memsz)
			continue;
		l->name = info->dlpi_name;
		return 1;
	}
	return 0;
}

/* Of this library, which lies where its head is. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* A loader may have left an entry of the dynamic section as it stands in the file. */
static const void *entry(ElfW(Addr) at)
{
	uintptr_t base = (uintptr_t)&__ehdr_start;

	return (const void *)(at < base ? base + at : (uintptr_t)at);
}

/*
 * Where a call of malloc goes: what its slot was bound to when this library was loaded. In a
 * program that is linked for one place (Debian's python3) malloc's address is a stub of the
 * program's, whoever serves it.
 */
static uintptr_t called(void)
{
	const ElfW(Rela) *rel = NULL;
	const ElfW(Sym) *symbols = NULL;
	const char *names = NULL;
	size_t n = 0;

	for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_JMPREL: rel = entry(d->d_un.d_ptr); break;
		case DT_PLTRELSZ: n = d->d_un.d_val / sizeof(*rel); break;
		case DT_SYMTAB: symbols = entry(d->d_un.d_ptr); break;
		case DT_STRTAB: names = entry(d->d_un.d_ptr); break;
		default: break;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(names + symbols[ELF64_R_SYM(rel[i].r_info)].st_name, "malloc") == 0)
			return *(const uintptr_t *)entry(rel[i].r_offset);
	return 0; /* in no object */
}

static char *put_number(char *end, unsigned n)
{
	do
		*--end = (char)('0' + n % 10);
	while (n /= 10);
	return end;
}

__attribute__((constructor)) static void witness(void)
{
	const char *path = getenv("SPANMARK_WITNESS");
	struct look l = {.at = called(), .name = ""};
	char line[1024], *p = put_number(line + 16, (unsigned)getpid());
	size_t len, number = (size_t)(line + 16 - p);
	struct stat st;
	int fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd == INT_MIN) /* never: the call whose slot is looked at */
		unused = malloc(1);
	if (fd < 0)
		return;
	dl_iterate_phdr(look_into, &l);
	memmove(line, p, number);
	line[number] = ' ';
	len = strnlen(l.name, sizeof(line) - number - 2);
	memcpy(line + number + 1, l.name, len);
	line[number + 1 + len] = '\n';
	if (fstat(fd, &st) == 0 && st.st_size < ENOUGH) {
		ssize_t ignored = write(fd, line, number + len + 2);

		(void)ignored;
	}
	close(fd);
}
