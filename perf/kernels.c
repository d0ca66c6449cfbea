/* kernels.c: see kernels.h. The loops are assembly (perf/arch): a compiler may not change what is
 * being counted. */
#include "perf/kernels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perf/arch/cpu.h"

void sm__kernel_loop(uint64_t rounds)
{
	if (rounds)
		sm__cpu_loop(rounds);
}

/* Exclusive or of two registers: one cycle on every core we name, and none eliminates it at rename.
 */
void sm__kernel_chain(uint64_t rounds)
{
	if (rounds)
		sm__cpu_chain(rounds, 1, 0x9e3779b97f4a7c15);
}

void sm__random_bytes(uint8_t *bits, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		bits[i] = (uint8_t)(seed >> 32);
	}
}

/* One random cycle through all n places (Sattolo). */
static uint32_t *random_cycle(size_t n, uint64_t seed)
{
	uint32_t *next = malloc(n * sizeof(*next)), *order = malloc(n * sizeof(*order));

	if (next == NULL || order == NULL) {
		free(next);
		free(order);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (size_t i = n - 1; i > 0; i--) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		size_t j = (size_t)((seed >> 11) % i);
		uint32_t t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (size_t i = 0; i < n; i++)
		next[order[i]] = order[(i + 1) % n];
	free(order);
	return next;
}

static void follow(void **p, uint64_t accesses)
{
	for (; accesses >= 8; accesses -= 8) {
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
		p = (void **)*p;
	}
	for (; accesses; accesses--)
		p = (void **)*p;
	__asm__ volatile("" : : "r"(p) : "memory");
}

int sm__chase_make(struct sm_chase *c, size_t bytes, uint64_t seed)
{
	size_t huge = (size_t)2 << 20, n = bytes / 64;
	uint32_t *next;
	char *base;

	memset(c, 0, sizeof(*c));
	if (n < 2)
		return -EINVAL;
	c->mapped = (bytes + huge - 1) & ~(huge - 1);
	base = mmap(NULL, c->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	/* Large pages where they can be had: what is to miss here is the cache, not the TLB. */
	madvise(base, c->mapped, MADV_HUGEPAGE);
	next = random_cycle(n, seed);
	if (next == NULL) {
		munmap(base, c->mapped);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		*(void **)(base + i * 64) = base + (size_t)next[i] * 64;
	free(next);
	c->start = (void **)base;
	c->lines = n;
	c->bytes = bytes;
	return 0;
}

void sm__chase_free(struct sm_chase *c)
{
	if (c->start != NULL)
		munmap(c->start, c->mapped);
	c->start = NULL;
}

void sm__kernel_chase(const struct sm_chase *c, uint64_t accesses)
{
	follow(c->start, accesses);
}

/* ---- pages -------------------------------------------------------------------------------- */

#define FILE_PAGES 64

/* One line of each page, a different one from page to page: not all in one set of the cache. */
static size_t place(size_t page, size_t page_size)
{
	return page * page_size + (page % FILE_PAGES) * 64 % page_size;
}

/* A file of FILE_PAGES pages; with `code` a return instruction at the place of each. */
static int small_file(size_t page_size, bool code)
{
	int fd = memfd_create("spanmark-pages", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)(FILE_PAGES * page_size))) {
		close(fd);
		return -1;
	}
	for (size_t i = 0; fd >= 0 && code && i < FILE_PAGES; i++) {
		if (pwrite(fd, sm__return_code, sm__return_code_size, (off_t)place(i, page_size)) !=
		    (ssize_t)sm__return_code_size) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static char *map_repeatedly(size_t pages, size_t page_size, int prot, size_t *mapped)
{
	size_t chunk = FILE_PAGES * page_size;
	int fd = small_file(page_size, prot & PROT_EXEC);
	char *base;

	*mapped = (pages + FILE_PAGES - 1) / FILE_PAGES * chunk;
	if (fd < 0)
		return NULL;
	base = mmap(NULL, *mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (size_t at = 0; base != MAP_FAILED && at < *mapped; at += chunk) {
		if (mmap(base + at, chunk, prot, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) ==
		    MAP_FAILED) {
			munmap(base, *mapped);
			base = MAP_FAILED;
		}
	}
	close(fd);
	return base == MAP_FAILED ? NULL : base;
}

/*
 * The pages share memory, so a pointer stored in one appears in its twins: the chase runs on
 * offsets instead, kept in a table of its own whose lines hit the cache.
 */
static int make_pages(struct sm_pages *p, size_t pages, uint64_t seed, int prot)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t *next;
	void **table;

	memset(p, 0, sizeof(*p));
	if (pages < 2)
		return -EINVAL;
	p->base = map_repeatedly(pages, page_size, prot, &p->mapped);
	if (p->base == NULL)
		return prot & PROT_EXEC ? -EPERM : -ENOMEM;
	next = random_cycle(pages, seed);
	table = malloc(pages * sizeof(*table));
	if (next == NULL || table == NULL) {
		free(next);
		free(table);
		munmap(p->base, p->mapped);
		return -ENOMEM;
	}
	for (size_t i = 0, at = 0; i < pages; i++, at = next[at])
		table[i] = p->base + place(at, page_size);
	free(next);
	p->start = table;
	p->pages = pages;
	return 0;
}

int sm__pages_make(struct sm_pages *p, size_t pages, uint64_t seed)
{
	return make_pages(p, pages, seed, PROT_READ | PROT_WRITE);
}

int sm__code_make(struct sm_pages *p, size_t pages, uint64_t seed)
{
	int rc = make_pages(p, pages, seed, PROT_READ | PROT_EXEC);

	if (!rc)
		__builtin___clear_cache(p->base, p->base + p->mapped);
	return rc;
}

void sm__kernel_code(const struct sm_pages *p, uint64_t calls)
{
	for (size_t i = 0; calls; calls--) {
		((void (*)(void))p->start[i])();
		if (++i == p->pages)
			i = 0;
	}
}

void sm__pages_free(struct sm_pages *p)
{
	if (p->base != NULL)
		munmap(p->base, p->mapped);
	free(p->start);
	memset(p, 0, sizeof(*p));
}

void sm__kernel_pages(const struct sm_pages *p, uint64_t accesses)
{
	uint64_t sum = 0;

	for (size_t i = 0; accesses; accesses--) {
		sum += *(volatile uint8_t *)p->start[i];
		if (++i == p->pages)
			i = 0;
	}
	__asm__ volatile("" : : "r"(sum));
}

int sm__kernel_faults(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	madvise(p, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		*(volatile char *)(p + i * page) = 1;
	munmap(p, n * page);
	return 0;
}
