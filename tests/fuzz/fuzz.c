/* fuzz.c: see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	FUZZ_MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
	static char path[40];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	FUZZ_MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

void fuzz_reason(const char *err)
{
	FUZZ_MUST(err[0] != '\0');
}

uint8_t fuzz_byte(struct fuzz_bytes *b)
{
	return b->at < b->end ? *b->at++ : 0;
}

uint32_t fuzz_number(struct fuzz_bytes *b, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 6 | (fuzz_byte(b) & 63);
	return v;
}
