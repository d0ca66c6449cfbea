/* tally.c: see tally.h. */
#include "tests/support/tally.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/atomic.h"

#define SHARDS 64

/* By thread, so that counting orders no thread's stores. */
static struct {
	_Atomic(uint64_t) stores;
	char apart[56];
} shard[SHARDS] __attribute__((aligned(64)));
static _Atomic(uint64_t) threads;

static void count(const struct sm_mutator *m)
{
	sm_fetch_add_relaxed(&shard[(uintptr_t)m / 4096 % SHARDS].stores, 1);
}

void __real_sm_store_slow(struct sm_mutator *m, void **slot, void *value);
bool __real_sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value);
void *__real_sm_exchange(struct sm_mutator *m, void **slot, void *value);
struct sm_mutator *__real_sm_mutator_attach(struct sm_gc *gc);
void __wrap_sm_store_slow(struct sm_mutator *m, void **slot, void *value);
bool __wrap_sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value);
void *__wrap_sm_exchange(struct sm_mutator *m, void **slot, void *value);
struct sm_mutator *__wrap_sm_mutator_attach(struct sm_gc *gc);

void __wrap_sm_store_slow(struct sm_mutator *m, void **slot, void *value)
{
	count(m);
	__real_sm_store_slow(m, slot, value);
}

bool __wrap_sm_cas(struct sm_mutator *m, void **slot, void **expected, void *value)
{
	if (m->barrier)
		count(m);
	return __real_sm_cas(m, slot, expected, value);
}

void *__wrap_sm_exchange(struct sm_mutator *m, void **slot, void *value)
{
	if (m->barrier)
		count(m);
	return __real_sm_exchange(m, slot, value);
}

struct sm_mutator *__wrap_sm_mutator_attach(struct sm_gc *gc)
{
	sm_fetch_add_relaxed(&threads, 1);
	return __real_sm_mutator_attach(gc);
}

void tally_end(const char *program, unsigned long long seed, const struct sm_gc_stats *st)
{
	const char *path = getenv("SM_TEST_TALLY");
	uint64_t stores = 0;
	char line[200];
	int n, fd;

	for (int i = 0; i < SHARDS; i++)
		stores += sm_exchange_acqrel(&shard[i].stores, 0);
	if (path == NULL)
		return;
	/* The first word: "stress_migrate gc" is two. */
	n = snprintf(line, sizeof(line), "%.*s %llu %u %llu %llu %llu\n",
		     (int)strcspn(program, " "), program, seed, st->cycles,
		     (unsigned long long)st->total_marked_objects, (unsigned long long)stores,
		     (unsigned long long)sm_exchange_acqrel(&threads, 0));
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		perror(path);
	if (fd >= 0)
		close(fd);
}
