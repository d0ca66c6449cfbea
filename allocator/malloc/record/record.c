/* record.c: see record.h. */
#include "allocator/malloc/record/record.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/base/sizeclass.h"
#include "allocator/base/syscall.h"
#include "spanmark/malloc.h"

#define SIZES 11 /* lists of 2 << i slots, each with a spare */
#define REUSE 26 /* 2^6 to 2^31 bytes, and beyond */
#define DEPTH 4096

struct class_record {
	uint64_t allocs, frees;
	uint64_t refills[SIZES], overflows[SIZES], held[SIZES]; /* held: summed over operations */
	uint64_t reuse[REUSE];
	uint32_t level[SIZES];
	uint32_t depth;
	uint64_t freed_at[DEPTH]; /* a ring: what lies deeper was forgotten */
};

/* Of a thread, written by it alone; read when the process ends, when the others stand still or are
 * not believed to the last operation. */
struct thread_record {
	struct thread_record *next;
	uint64_t bytes;
	struct class_record cls[SM_NCLASSES_MAX];
};

static _Atomic(struct thread_record *) threads;
static __thread struct thread_record *mine;
static __thread bool inside; /* of the making of `mine` */

static struct thread_record *this_thread(void)
{
	long at;

	if (mine != NULL || inside)
		return mine;
	inside = true;
	at = sm__sys_mmap(NULL, sizeof(*mine), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (!sm__sys_failed(at)) {
		struct thread_record *t = (void *)at;

		t->next = sm_load_relaxed(&threads);
		while (!sm_cas_weak_acqrel(&threads, &t->next, t))
			;
		mine = t;
	}
	inside = false;
	return mine;
}

static struct class_record *class_of(size_t size)
{
	struct thread_record *t = size <= SM_MAX_SMALL ? this_thread() : NULL;

	return t != NULL ? &t->cls[sm_size_class(size)] : NULL;
}

static void born(size_t size)
{
	struct class_record *c = class_of(size);

	if (c == NULL)
		return;
	c->allocs++;
	for (unsigned i = 0; i < SIZES; i++) {
		if (c->level[i] == 0) {
			c->refills[i]++;
			c->level[i] = 2u << i;
		}
		c->held[i] += --c->level[i];
	}
	if (c->depth > 0) {
		uint64_t between = mine->bytes - c->freed_at[--c->depth % DEPTH];
		unsigned power = between < 128 ? 0 : 63u - 6 - (unsigned)__builtin_clzll(between);

		c->reuse[power < REUSE ? power : REUSE - 1]++;
	}
	mine->bytes += size;
}

static void died(size_t size)
{
	struct class_record *c = class_of(size);

	if (c == NULL)
		return;
	c->frees++;
	for (unsigned i = 0; i < SIZES; i++) {
		if (c->level[i] == 4u << i) {
			c->overflows[i]++;
			c->level[i] -= 2u << i;
		}
		c->held[i] += ++c->level[i];
	}
	c->freed_at[c->depth++ % DEPTH] = mine->bytes;
}

size_t sm__record_size(const void *p)
{
	return p != NULL ? sm_usable_size(p) : 0;
}

void *sm__record_alloc(void *p)
{
	if (p != NULL)
		born(sm__record_size(p));
	return p;
}

void sm__record_free(const void *p)
{
	if (p != NULL)
		died(sm__record_size(p));
}

void *sm__record_move(const void *p, size_t size, void *q)
{
	if (q == p || q == NULL)
		return q;
	if (p != NULL)
		died(size);
	return sm__record_alloc(q);
}

/* ---- processes ---------------------------------------------------------------------------- */

/* A child counts what it does itself. */
static void begin_again(void)
{
	for (struct thread_record *t = sm_load_relaxed(&threads); t != NULL; t = t->next) {
		t->bytes = 0;
		memset(t->cls, 0, sizeof(t->cls));
	}
}

static __attribute__((constructor)) void watch_forks(void)
{
	pthread_atfork(NULL, NULL, begin_again);
}

/* ---- the end ------------------------------------------------------------------------------ */

/* One write for a line: processes of one tree append to one file. */
struct line {
	char text[256 * 1024];
	size_t n;
};

static void print(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	l->n += n > 0 ? (size_t)n : 0;
	if (l->n >= sizeof(l->text))
		l->n = sizeof(l->text) - 1;
}

static void print_list(struct line *l, const char *name, const uint64_t *v, unsigned n)
{
	print(l, ",\"%s\":[", name);
	for (unsigned i = 0; i < n; i++)
		print(l, "%s%llu", i > 0 ? "," : "", (unsigned long long)v[i]);
	print(l, "]");
}

static void sum_class(struct class_record *sum, unsigned cls)
{
	for (struct thread_record *t = sm_load_acquire(&threads); t != NULL; t = t->next) {
		const struct class_record *c = &t->cls[cls];

		sum->allocs += c->allocs;
		sum->frees += c->frees;
		for (unsigned i = 0; i < SIZES; i++) {
			uint64_t ops = c->allocs + c->frees;

			sum->refills[i] += c->refills[i];
			sum->overflows[i] += c->overflows[i];
			/* slots that its list held in the mean; of all threads together */
			sum->held[i] += ops > 0 ? (c->held[i] + ops / 2) / ops : 0;
		}
		for (unsigned i = 0; i < REUSE; i++)
			sum->reuse[i] += c->reuse[i];
	}
}

static struct line line;
static struct class_record total;

static void print_classes(void)
{
	const char *comma = "";

	for (unsigned cls = 1; cls < SM_NCLASSES_MAX; cls++) {
		memset(&total, 0, sizeof(total));
		sum_class(&total, cls);
		if (total.allocs == 0)
			continue;
		print(&line, "%s{\"bytes\":%u,\"allocs\":%llu,\"frees\":%llu", comma,
		      sm__sizeclasses[cls].slot_bytes, (unsigned long long)total.allocs,
		      (unsigned long long)total.frees);
		comma = ",";
		print_list(&line, "refills", total.refills, SIZES);
		print_list(&line, "overflows", total.overflows, SIZES);
		print_list(&line, "held", total.held, SIZES);
		print_list(&line, "reuse", total.reuse, REUSE);
		print(&line, "}");
	}
}

static __attribute__((destructor)) void report(void)
{
	const char *path = NULL;
	unsigned n = 0;
	int fd;

	for (char **e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, "SPANMARK_RECORD=", 16) == 0)
			path = *e + 16;
	if (path == NULL)
		return;
	for (struct thread_record *t = sm_load_acquire(&threads); t != NULL; t = t->next)
		n++;
	print(&line, "{\"pid\":%d,\"threads\":%u,\"slots\":[", (int)getpid(), n);
	for (unsigned i = 0; i < SIZES; i++)
		print(&line, "%s%u", i > 0 ? "," : "", 2u << i);
	print(&line, "],\"classes\":[");
	print_classes();
	print(&line, "]}\n");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, line.text, line.n) != (ssize_t)line.n)
		return; /* without a line there is no record, which is for others to say */
	close(fd);
}
