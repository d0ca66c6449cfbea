/*
 * A program that maps memory of its own where the heap may want to grow, for nothing of that is
 * reserved: collectors and engines ask for gigabytes at an address of their choice (ZGC at 4, 8 and
 * 16 TiB). usage: foreign end | front
 *
 *   end     a large reservation at the far end, where large objects go
 *   front   a small one right in front of what the heap has reached
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GIB ((size_t)1 << 30)

static void *at(char *hint, size_t bytes)
{
	void *p = mmap(hint, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		exit(77);
	return p;
}

static int large(void)
{
	for (int i = 0; i < 5; i++) {
		char *p = malloc((size_t)100 << 20);

		if (p == NULL)
			return 1;
		memset(p, 1, 4096);
	}
	return 0;
}

static int small(void)
{
	for (int i = 0; i < 1000; i++) {
		char *p = malloc(i % 2 ? 100000 : 30000);

		if (p == NULL)
			return 1;
		memset(p, 1, 30000);
		if (i % 3 == 0)
			free(p);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *p = malloc(20000);
	int bad;

	if (argc > 1 && strcmp(argv[1], "front") == 0)
		for (size_t away = (size_t)1 << 18; away <= (size_t)64 << 20; away *= 2)
			at((char *)((uintptr_t)p & -(uintptr_t)4096) + away, away / 2);
	else
		/* The heap's range is of 256 GiB or more, a power of two. */
		for (size_t range = 256; range <= 8192; range *= 2)
			at(p + (range - 24) * GIB, 24 * GIB - ((size_t)32 << 20));
	bad = large() + 2 * small();
	printf("large %s, small %s\n", bad & 1 ? "refused" : "ok", bad & 2 ? "refused" : "ok");
	return bad;
}
