/*
 * file.c: a file of timelines: what stands around them, and what is left of one that broke off.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workloads/trace/trace_internal.h"

static const struct sm_trace_format *const formats[] = {&sm__trace_perfetto, &sm__trace_chrome};
#define NFORMATS (sizeof(formats) / sizeof(formats[0]))

const struct sm_trace_format *sm_trace_format_of(const char *path)
{
	size_t len = strlen(path);

	return len > 5 && strcmp(path + len - 5, ".json") == 0 ? &sm__trace_chrome
							       : &sm__trace_perfetto;
}

const struct sm_trace_format *sm_trace_format_find(const char *name)
{
	for (size_t i = 0; i < NFORMATS; i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

const char *sm_trace_format_name(const struct sm_trace_format *f)
{
	return f->name;
}

static int append(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	if (lseek(fd, 0, SEEK_END) < 0)
		return -errno;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (size_t)n == len ? 0 : -ENOSPC;
}

int sm_trace_file_begin(const struct sm_trace_format *f, int fd)
{
	return append(fd, f->prologue);
}

/* The last record's separator goes, where there is one. */
int sm_trace_file_end(const struct sm_trace_format *f, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	size_t len = strlen(f->separator);

	if (end < 0)
		return -errno;
	if (len > 0 && end > (off_t)strlen(f->prologue) && ftruncate(fd, end - (off_t)len) != 0)
		return -errno;
	return append(fd, f->epilogue);
}

/* The file is mapped, for a record may be anywhere in it. */
off_t sm_trace_file_mend(const struct sm_trace_format *f, int fd, off_t from)
{
	off_t base = from - from % sysconf(_SC_PAGESIZE);
	unsigned char *bytes;
	struct stat st;
	size_t whole;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size <= from)
		return st.st_size;
	bytes = mmap(NULL, (size_t)(st.st_size - base), PROT_READ, MAP_SHARED, fd, base);
	if (bytes == MAP_FAILED)
		return -errno;
	whole = f->whole(bytes + (from - base), (size_t)(st.st_size - from));
	munmap(bytes, (size_t)(st.st_size - base));
	if (from + (off_t)whole < st.st_size && ftruncate(fd, from + (off_t)whole) != 0)
		return -errno;
	return from + (off_t)whole;
}
