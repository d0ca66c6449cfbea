/* os.c: mappings, and what they may be refused for: os.h has the contract. */
#include "allocator/os/os.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/base/clock.h"
#include "allocator/base/syscall.h"

/* ---- fault injection ---------------------------------------------------------------------- */

static struct {
	_Atomic(int) kind; /* SM_OS_ANY or a kind; -1: nothing is injected */
	_Atomic(int) err;
	_Atomic(long) nth;
	_Atomic(unsigned long) seen;
} inject = {.kind = -1};

unsigned long sm__os_inject(enum sm_os_kind kind, long nth, int err)
{
	unsigned long seen = sm_load_relaxed(&inject.seen);

	sm_store_relaxed(&inject.kind, -1);
	sm_store_relaxed(&inject.err, err);
	sm_store_relaxed(&inject.nth, nth);
	sm_store_relaxed(&inject.seen, 0);
	if (nth != 0)
		/* A thread that sees the kind sees the rest. */
		sm_store_release(&inject.kind, (int)kind);
	return seen;
}

int sm__os_fault(enum sm_os_kind kind)
{
	int armed = sm_load_acquire(&inject.kind);
	long nth, seen;

	if (SM_LIKELY(armed < 0) || (armed != SM_OS_ANY && armed != (int)kind))
		return 0;
	nth = sm_load_relaxed(&inject.nth);
	seen = (long)sm_fetch_add_relaxed(&inject.seen, 1) + 1;
	if (nth > 0 ? seen == nth : seen >= -nth)
		return -sm_load_relaxed(&inject.err);
	return 0;
}

/* ---- what the machine is ------------------------------------------------------------------ */

static _Atomic(size_t) page_size;

size_t sm__os_page_size(void)
{
	size_t n = sm_load_relaxed(&page_size);

	if (SM_UNLIKELY(n == 0)) {
		/* Not sysconf: its tables are one more page of libc's. */
		n = (size_t)getpagesize();
		sm_store_relaxed(&page_size, n);
	}
	return n;
}

void sm__os_pretend_page_size(size_t bytes)
{
	sm_store_relaxed(&page_size, bytes);
}

/* By system calls: stdio would call malloc, which may be us. */
static size_t read_huge_size(void)
{
	char text[32];
	const char *at = text;
	long n = sm__sys_read_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text,
				   sizeof(text));

	return n > 0 ? (size_t)sm__read_digits(&at) : 0;
}

size_t sm__os_huge_size(void)
{
	static _Atomic(size_t) cached; /* value + 1 */
	size_t n = sm_load_relaxed(&cached);

	if (n == 0) {
		n = read_huge_size() + 1;
		sm_store_relaxed(&cached, n);
	}
	return n - 1;
}

size_t sm__os_address_limit(void)
{
	struct rlimit rl;

	if (sm__syscall6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&rl, 0, 0) != 0 ||
	    rl.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return (size_t)rl.rlim_cur;
}

uint64_t sm__os_random(void)
{
	uint64_t x = 0;
	uint64_t now;

	if (sm__syscall6(SYS_getrandom, (long)&x, sizeof(x), GRND_NONBLOCK, 0, 0, 0) == sizeof(x))
		return x;
	now = sm__now_ns();
	x = (uint64_t)(uintptr_t)&x ^ (now << 32) ^ now >> 32 ^
	    (uint64_t)sm__syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
	return x ^ (x >> 29);
}

/* ---- address space ------------------------------------------------------------------------ */

#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static void *map_or_null(void *hint, size_t bytes, int prot, int more_flags)
{
	long p = sm__sys_mmap(hint, bytes, prot, RESERVE_FLAGS | more_flags, -1, 0);

	if (!sm__sys_failed(p))
		return (void *)p;
	errno = (int)-p;
	return NULL;
}

/* The same, of what a test may refuse. */
static void *map_unless_refused(size_t bytes, int prot, int more_flags)
{
	int err = sm__os_fault(SM_OS_RESERVE);

	if (err == 0)
		return map_or_null(NULL, bytes, prot, more_flags);
	errno = -err;
	return NULL;
}

/*
 * Where to ask for a reservation. The kernel's own choice is random by less than an aligned base of
 * gigabytes leaves over, so we choose: anywhere between 1/64 and 1/2 of a 46-bit user space, which
 * both architectures have in their usual configuration; where it is not free or not there, the
 * kernel places the mapping by its own rule. Sanitizers have a map of their own: not there.
 */
static void *random_hint(size_t align)
{
	uint64_t room = (uint64_t)1 << 45;

	if (SM_ASAN || SM_TSAN ||
	    (sm__syscall6(SYS_personality, 0xffffffff, 0, 0, 0, 0, 0) & ADDR_NO_RANDOMIZE))
		return NULL;
	return (void *)(uintptr_t)sm_align_down(
		(room >> 5) + sm__os_random() % (room - (room >> 5)), align);
}

void *sm__os_reserve(size_t bytes, size_t align)
{
	size_t page = sm__os_page_size();
	size_t slack = align > page ? align - page : 0;
	int err = sm__os_fault(SM_OS_RESERVE);
	void *hint;
	char *p, *q;

	if (err != 0 || bytes + slack < bytes) {
		errno = err != 0 ? -err : ENOMEM;
		return NULL;
	}
	/* An aligned hint that is honoured needs no slack: of value where RLIMIT_AS is tight. */
	hint = random_hint(align);
	p = map_or_null(hint, bytes, PROT_NONE, 0);
	if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
		return p;
	(void)sm__sys_munmap(p, bytes);
	p = map_or_null(hint, bytes + slack, PROT_NONE, 0);
	if (p == NULL)
		return NULL;
	q = (char *)sm_align_up((uintptr_t)p, align);
	if (q != p)
		(void)sm__sys_munmap(p, (size_t)(q - p));
	if (q + bytes != p + bytes + slack)
		(void)sm__sys_munmap(q + bytes, (size_t)(p + slack - q));
	return q;
}

/* Is a page free to be mapped here? One is mapped, and given back. */
static bool is_free(char *p)
{
	size_t page = sm__os_page_size();
	long q = sm__sys_mmap(p, page, PROT_NONE, RESERVE_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);

	if (sm__sys_failed(q))
		return false;
	(void)sm__sys_munmap((void *)q, page);
	/* A kernel that does not know the flag places it where it likes. */
	return (char *)q == p;
}

#define FIND_TRIES 8

/* The kernel places mappings from the top of the address space downwards, so far from here. */
void *sm__os_find(size_t bytes, size_t align)
{
	if (SM_ASAN || SM_TSAN || sm__os_fault(SM_OS_RESERVE) != 0)
		return NULL;
	for (int i = 0; i < FIND_TRIES; i++) {
		char *p = random_hint(align);

		if (p == NULL)
			p = (char *)sm_align_up((uintptr_t)1 << 42, align) +
			    i * sm_align_up(bytes, align);
		if (is_free(p) && is_free(p + sm_align_down(bytes / 2, SM_UNIT)) &&
		    is_free(p + sm_align_down(bytes - SM_UNIT, SM_UNIT)))
			return p;
	}
	return NULL;
}

int sm__os_map_at(void *p, size_t bytes)
{
	int err = sm__os_fault(SM_OS_COMMIT);
	long q;

	if (err != 0)
		return err;
	q = sm__sys_mmap(p, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (sm__sys_failed(q))
		return (int)q;
	if (q == (long)p)
		return 0;
	/* Linux before 4.17, and valgrind, take the place for a hint. */
	(void)sm__sys_munmap((void *)q, bytes);
	return -EEXIST;
}

int sm__os_stake(void *p)
{
	long q = sm__sys_mmap(p, sm__os_page_size(), PROT_NONE, RESERVE_FLAGS | MAP_FIXED_NOREPLACE,
			      -1, 0);

	return sm__sys_failed(q) ? (int)q : 0;
}

int sm__os_unmap_at(void *p, size_t bytes)
{
	int err = sm__os_fault(SM_OS_DECOMMIT);

	return err != 0 ? err : sm__sys_munmap(p, bytes);
}

void *sm__os_reserve_readable(size_t bytes)
{
	return map_unless_refused(bytes, PROT_READ, 0);
}

void *sm__os_map(size_t bytes)
{
	return map_unless_refused(bytes, PROT_READ | PROT_WRITE, 0);
}

void *sm__os_map_populated(size_t bytes)
{
	return map_unless_refused(bytes, PROT_READ | PROT_WRITE, MAP_POPULATE);
}

void *sm__os_remap(void *p, size_t bytes, size_t wanted)
{
	int err = sm__os_fault(SM_OS_RESERVE);
	void *q = err == 0 ? mremap(p, bytes, wanted, MREMAP_MAYMOVE) : MAP_FAILED;

	if (q != MAP_FAILED)
		return q;
	errno = err == 0 ? errno : -err;
	return NULL;
}

void sm__os_unmap(void *p, size_t bytes)
{
	if (p == NULL)
		return;
	(void)sm__os_fault(SM_OS_UNMAP);
	if (bytes != 0 && sm__sys_munmap(p, bytes) != 0)
		/* Too many mappings to cut a hole: at least the memory goes back. */
		(void)sm__sys_madvise(p, bytes, MADV_DONTNEED);
}

/* ---- memory ------------------------------------------------------------------------------- */

int sm__os_commit(void *p, size_t bytes)
{
	int err = sm__os_fault(SM_OS_COMMIT);

	return err != 0 ? err : sm__sys_mprotect(p, bytes, PROT_READ | PROT_WRITE);
}

int sm__os_decommit(void *p, size_t bytes)
{
	int err = sm__os_fault(SM_OS_DECOMMIT);

	long q;

	if (err != 0)
		return err;
	q = sm__sys_mmap(p, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED, -1, 0);
	return sm__sys_failed(q) ? (int)q : 0;
}

int sm__os_madvise(void *p, size_t bytes, int advice)
{
	int err = sm__os_fault(SM_OS_MADVISE);

	return err != 0 ? err : sm__sys_madvise(p, bytes, advice);
}

int sm__os_release(void *p, size_t bytes)
{
	return sm__os_madvise(p, bytes, MADV_DONTNEED);
}

int sm__os_protect(void *p, size_t bytes, bool accessible)
{
	int err = sm__os_fault(SM_OS_PROTECT);

	return err != 0 ? err
			: sm__sys_mprotect(p, bytes,
					   accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
}

int sm__os_bind(void *p, size_t bytes, int node_os, bool strict)
{
	/* The kernel's numbers reach 1023; it reads maxnode - 1 bits of the mask. */
	unsigned long mask[1024 / (8 * sizeof(unsigned long))] = {0};
	int err = sm__os_fault(SM_OS_BIND);

	if (err != 0)
		return err;
	if (node_os < 0 || node_os >= 1024)
		return -EINVAL;
	mask[(size_t)node_os / (8 * sizeof(unsigned long))] |=
		1ul << (size_t)node_os % (8 * sizeof(unsigned long));
	return (int)sm__syscall6(SYS_mbind, (long)p, (long)bytes,
				 strict ? MPOL_BIND : MPOL_PREFERRED, (long)mask, 1024 + 1, 0);
}

int sm__os_map_file(void *p, size_t bytes, int fd, off_t offset, bool shared, bool writable)
{
	int err = sm__os_fault(SM_OS_FILE);
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	long q;

	if (err != 0)
		return err;
	q = sm__sys_mmap(p, bytes, prot, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
			 offset);
	return sm__sys_failed(q) ? (int)q : 0;
}

void *sm__os_map_guarded(size_t bytes)
{
	size_t page = sm__os_page_size();
	size_t inner = sm_align_up(bytes, page);
	char *p = NULL;
	int err = inner < bytes ? -ENOMEM : sm__os_fault(SM_OS_RESERVE);

	if (err == 0) {
		p = map_or_null(NULL, inner + 2 * page, PROT_NONE, 0);
		err = p == NULL ? -errno : sm__os_commit(p + page, inner);
	}
	if (err != 0) {
		if (p != NULL)
			sm__os_unmap(p, inner + 2 * page);
		errno = -err;
		return NULL;
	}
	return p + page;
}

void sm__os_unmap_guarded(void *p, size_t bytes)
{
	size_t page = sm__os_page_size();

	if (p != NULL)
		sm__os_unmap((char *)p - page, sm_align_up(bytes, page) + 2 * page);
}
